//! What pages for people ask of the store beyond single rows: each answer is bounded, and found by an index.

use domain::ids::{PluginId, ProjectName, StageName, TaskId, WorkItemId};
use domain::task::Task;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BoardItem, EvaluationRow, StoreError};

/// How many live tasks stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// A run, a gate, the host or a clock is at it.
    pub moving: u64,
    /// A person is asked for consent.
    pub asking: u64,
    /// A person must look.
    pub held: u64,
    /// Stopped, and not yet cleaned up.
    pub stopping: u64,
}

impl Standings {
    /// All that have not ended.
    pub const fn live(&self) -> u64 {
        self.moving + self.asking + self.held + self.stopping
    }
}

/// Which live tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// Those that ask a person for consent, or are held.
    Waiting,
    /// All others.
    Moving,
}

/// When something outside was last heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Whose.
    pub project: ProjectName,
    /// `board`, `plane`, `gitea`.
    pub source: String,
    /// The newest delivery.
    pub delivered: Option<Timestamp>,
    /// The newest poll of its log that got an answer and moved on.
    pub polled: Option<Timestamp>,
}

/// How large the database is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The number of its schema.
    pub schema: u32,
    /// The bytes of its pages.
    pub bytes: u64,
    /// Tasks, ended ones too.
    pub tasks: u64,
    /// Events that tasks were told of.
    pub events: u64,
}

/// How a plugin answered once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerRow {
    /// Which.
    pub plugin: PluginId,
    /// `pass`, `fail`, …
    pub answer: String,
    /// Microseconds of the whole call.
    pub micros: u64,
    /// When.
    pub at: Timestamp,
}

/// What waits and what is performed at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Jobs that wait.
    pub queued: u64,
    /// Jobs that somebody has.
    pub claimed: u64,
    /// Places of runs that are taken; a cancelled run has its own until its tree is gone.
    pub placed: u64,
}

/// What pages read.
pub trait Overview {
    /// How many live tasks stand how.
    fn standings(&self) -> Result<Standings, StoreError>;
    /// How many jobs wait and are performed at this moment.
    fn load(&self) -> Result<Load, StoreError>;
    /// Live tasks, those first that stand so the longest by their numbers.
    fn live_tasks(&self, which: Live, limit: u32) -> Result<Vec<Task>, StoreError>;
    /// Tasks of a project that have not ended, newest first.
    fn live_tasks_of(&self, project: &ProjectName, limit: u32) -> Result<Vec<Task>, StoreError>;
    /// Tasks of a project that have ended, newest first.
    fn ended_tasks_of(&self, project: &ProjectName, limit: u32) -> Result<Vec<Task>, StoreError>;
    /// Tasks of a project that merged or deployed a commit, those that ended too, newest first.
    fn landed_tasks_of(&self, project: &ProjectName, limit: u32) -> Result<Vec<Task>, StoreError>;
    /// How many tasks of a project stand in each stage, those that ended too.
    fn stages(&self, project: &ProjectName) -> Result<Vec<(StageName, u64)>, StoreError>;
    /// Cards of a project that are there and had no task yet, newest first, and how many there are in all.
    fn unstarted(&self, project: &ProjectName, limit: u32) -> Result<(Vec<BoardItem>, u64), StoreError>;
    /// Cards without a task of which the key or the title has this text, whatever its case, newest first.
    fn cards_named(&self, text: &str, limit: u32) -> Result<Vec<BoardItem>, StoreError>;
    /// Tasks of which the key or the title has this text, whatever its case, newest first.
    fn tasks_named(&self, text: &str, limit: u32) -> Result<Vec<Task>, StoreError>;
    /// Of these tasks those that are there: whose, and of which work item.
    fn named(&self, tasks: &[TaskId]) -> Result<Vec<(TaskId, ProjectName, WorkItemId)>, StoreError>;
    /// When a task last moved.
    fn last_step(&self) -> Result<Option<Timestamp>, StoreError>;
    /// When each side outside was last heard of.
    fn contacts(&self) -> Result<Vec<Contact>, StoreError>;
    /// The newest evaluations of a project's tasks, newest first.
    fn evaluations_in(&self, project: &ProjectName, limit: u32) -> Result<Vec<EvaluationRow>, StoreError>;
    /// How plugins answered lately, newest first.
    fn newest_answers(&self, limit: u32) -> Result<Vec<AnswerRow>, StoreError>;
    /// How large the database is.
    fn extent(&self) -> Result<Extent, StoreError>;
}
