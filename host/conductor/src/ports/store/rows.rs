//! Rows of the store, as people, plugins and the API read them.

use domain::cost::{Price, Usage};
use domain::document::Role;
use domain::effect::JobClass;
use domain::event::{Event, RunResult, Spent};
use domain::ids::{
    Actor, CommitId, DeliveryId, Digest, EvaluationId, JobId, PluginId, ProjectName, RunId, StageName, TaskId, Version,
    WorkItemId,
};
use domain::task::Task;
use domain::time::{Milliseconds, Timestamp};
use serde::{Deserialize, Serialize};

use super::{NewTask, WaitReason};
use crate::slots::Refusal;

/// A job for people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobRow {
    /// Its id.
    pub id: JobId,
    /// Whose.
    pub task: TaskId,
    /// `launch-agent`, `judge`, …
    pub effect: String,
    /// What it is for.
    pub class: JobClass,
    /// `queued`, `claimed`, `done`, `cancelled`.
    pub state: String,
    /// Attempts so far.
    pub attempts: u32,
    /// No sooner than this.
    pub available_at: Timestamp,
    /// When it was claimed.
    pub claimed_at: Option<Timestamp>,
    /// Why it waits, if it does: its words stand among the others of this row.
    #[serde(flatten)]
    pub reason: Option<WaitReason>,
    /// What exactly it waits for, where that has a name: which program, which driver, which limit.
    #[serde(default)]
    pub note: Option<String>,
    /// The same as a value, where the note is worded from one: pages word it in their reader's language.
    #[serde(skip)]
    pub refusal: Option<Refusal>,
}

/// A run for people and plugins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// Whose.
    pub task: TaskId,
    /// Who worked.
    pub role: Role,
    /// In which stage.
    pub stage: StageName,
    /// In which stay.
    pub visit: u32,
    /// Counts from 1 within the visit.
    pub attempt: u32,
    /// An agent, or a command of the host.
    pub command: String,
    /// The shim, once it is known.
    pub pid: Option<u32>,
    /// When it was launched.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// None: by a signal, or not yet.
    pub exit_code: Option<i32>,
    /// It ran over its time.
    pub timed_out: bool,
    /// How it ended, for people.
    pub outcome: Option<String>,
    /// How it ended, in one word; none: it lives, or ended before there were words for it.
    #[serde(default)]
    pub result: Option<RunResult>,
    /// The branch before.
    pub head_before: Option<CommitId>,
    /// The branch after.
    pub head_after: Option<CommitId>,
    /// What counts, once it ended; none: it never began, or is a hook, which no budget counts.
    pub spent: Option<Spent>,
    /// What the agent itself said that it used.
    #[serde(default)]
    pub usage: Usage,
    /// The model, as the project's file names it.
    #[serde(default)]
    pub model: Option<String>,
    /// Likewise the effort.
    #[serde(default)]
    pub effort: Option<String>,
    /// On what terms it was launched; none: a hook.
    #[serde(default)]
    pub terms: Option<Terms>,
    /// The budget for which it is being ended, or was.
    #[serde(default)]
    pub over_budget: Option<String>,
    /// The brief that it got.
    pub brief: Option<Digest>,
    /// What the agent reported, as JSON.
    pub report: Option<String>,
    /// Which conversation it had with its model; none: nobody knows.
    #[serde(default)]
    pub conversation: Option<Conversation>,
    /// Tools that it used, as it says.
    #[serde(default)]
    pub steps: u32,
    /// What it did last, in a line.
    #[serde(default)]
    pub doing: Option<String>,
}

impl RunRow {
    /// How the outcome begins of a run that something refused for now.
    pub(crate) const LATER: &str = "undelivered, and tried again later: ";

    /// What kept it from delivering, where that passes by itself.
    pub fn refused_for_now(&self) -> Option<&str> {
        self.outcome.as_deref()?.strip_prefix(Self::LATER)
    }

    /// One that begins in the stay that the task is in, of which nothing else is known yet.
    pub fn begun(id: RunId, task: &Task, role: Role, attempt: u32, command: String, at: Timestamp) -> Self {
        Self {
            id,
            task: task.id,
            role,
            stage: task.position.stage.clone(),
            visit: task.position.visit,
            attempt,
            command,
            pid: None,
            started_at: at,
            ended_at: None,
            exit_code: None,
            timed_out: false,
            outcome: None,
            result: None,
            head_before: None,
            head_after: None,
            spent: None,
            usage: Usage::default(),
            model: None,
            effort: None,
            terms: None,
            over_budget: None,
            brief: None,
            report: None,
            conversation: None,
            steps: 0,
            doing: None,
        }
    }
}

/// A run's conversation with its model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its name, as the agent knows it; none: the agent names it itself, and has not yet.
    pub id: Option<String>,
    /// The run whose conversation it goes on with.
    pub resumed: Option<RunId>,
    /// Its length at the end, in tokens.
    pub context: Option<u64>,
    /// What it had used when the run began.
    pub before: Usage,
    /// As far as it is counted by conversation, what it had used when the run ended.
    pub total: Usage,
}

/// What counts for a run, as the project's file said when it was launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// For what it does not say itself.
    pub price: Price,
    /// No run lives longer: its time and its grace.
    pub longest: Milliseconds,
}

/// What runs that ended cost a project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    /// On one day.
    pub day: Spent,
    /// Ever.
    pub total: Spent,
}

/// An evaluation that shall be kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewEvaluation {
    /// The job that asked: a second attempt replaces nothing, it adds.
    pub job: Option<JobId>,
    /// Whose.
    pub task: Option<TaskId>,
    /// As which step, guard or mapper.
    pub step: String,
    /// Which component.
    pub plugin: PluginId,
    /// The sha256 of the component that answered; none: it was not loaded.
    pub digest: Option<Digest>,
    /// `pass`, `fail`, …
    pub answer: String,
    /// For people, cut to 1,000 characters.
    pub summary: String,
    /// The whole verdict as JSON.
    pub verdict: Digest,
    /// What was asked and answered.
    pub transcript: Digest,
    /// The commit under judgement.
    pub head: Option<CommitId>,
    /// The base at that time.
    pub base: Option<CommitId>,
    /// Microseconds of the whole call.
    pub micros: u64,
    /// When it was asked.
    pub at: Timestamp,
}

/// An evaluation that was kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRow {
    /// Its id.
    pub id: EvaluationId,
    /// What was kept.
    pub evaluation: NewEvaluation,
}

/// A freeze or a thaw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreezeRow {
    /// When.
    pub at: Timestamp,
    /// Who; of a freeze that the engine wanted: the host.
    pub actor: Actor,
    /// Why it was frozen; none: it was thawed.
    pub reason: Option<String>,
}

/// What would have been done outside, had the project not been observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewWould {
    /// Whose.
    pub project: ProjectName,
    /// What names the effect over all its attempts: with the project, each key stands once.
    pub key: String,
    /// For which task; none: the work item has none.
    pub task: Option<TaskId>,
    /// The tracker's key.
    pub work_item: WorkItemId,
    /// What, as guards name it: `launch-agent`, `merge`, `set-status`, …
    pub effect: String,
    /// On what: a role, a branch, a work item.
    pub target: String,
    /// With what, in a line or two for people.
    pub summary: String,
    /// Where the task stood: stage, visit, step.
    pub why: String,
    /// When.
    pub at: Timestamp,
}

/// What would have been done, with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WouldRow {
    /// Grows.
    pub id: u64,
    /// What.
    #[serde(flatten)]
    pub would: NewWould,
}

/// An entry with its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntryRow {
    /// The version that the step made.
    pub version: Version,
    /// Its place within the step.
    pub ordinal: u32,
    /// When.
    pub at: Timestamp,
    /// What.
    pub entry: domain::entry::Entry,
}

/// An event that a task was told of, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRow {
    /// Its number.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: domain::event::Event,
    /// `stepped`, `late`, `duplicate`, `illegal`, `terminal`, `panicked`.
    pub outcome: String,
    /// Why it did nothing, if it did nothing.
    pub why: Option<String>,
    /// The version that it made, if it made one.
    pub version: Option<Version>,
    /// The job whose end it was.
    pub job: Option<JobId>,
}

/// A card on the built-in board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardItem {
    /// Whose.
    pub project: ProjectName,
    /// Its key.
    pub work_item: WorkItemId,
    /// What it says.
    pub title: String,
    /// Plain text.
    pub description: String,
    /// The column that it stands in.
    pub status: String,
    /// All of them.
    pub labels: Vec<String>,
    /// Who made it.
    pub created_by: Actor,
    /// When.
    pub created_at: Timestamp,
    /// It was deleted or archived.
    pub gone: Option<Actor>,
}

/// A row of the board's activity log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardActivity {
    /// Its id: the order of the log, and the key by which an intent is taken once.
    pub id: u64,
    /// Which item.
    pub work_item: WorkItemId,
    /// Who.
    pub actor: Actor,
    /// From which status; none: the creation.
    pub from: Option<String>,
    /// To which.
    pub to: String,
    /// When.
    pub at: Timestamp,
}

/// A comment on the built-in board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardComment {
    /// Its id.
    pub id: u64,
    /// Who.
    pub actor: Actor,
    /// The key that refuses a second one.
    pub external_id: Option<String>,
    /// Plain text.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// What an expanded delivery leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Expansion {
    /// An intent for the item's task; `start` makes the task where there is none.
    Intent {
        /// Its place within the delivery.
        ordinal: u32,
        /// The activity row that says so: taken once.
        key: String,
        /// What for.
        event: Event,
        /// The task that `start` makes.
        new_task: Option<NewTask>,
    },
    /// Nothing follows.
    Nothing {
        /// For people.
        why: String,
    },
    /// Not yet: it stays pending, costs no try, and is asked about again. What it tells was seen in time.
    Later {
        /// For people: what it waits for.
        why: String,
    },
    /// It could not be expanded: parked for people.
    Parked {
        /// Why.
        why: String,
    },
}

/// A delivery that waits to be expanded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// `board`, `plane`, `gitea`.
    pub source: String,
    /// Whose.
    pub project: ProjectName,
    /// The work item, as far as it is known: expansion is serial per item.
    pub work_item: Option<WorkItemId>,
    /// When it came.
    pub received_at: Timestamp,
    /// The body as it came.
    pub body: Vec<u8>,
    /// The row of the tracker's log that it tells of.
    pub row: Option<String>,
    /// Nobody told of it: the host found it in the log.
    pub polled: bool,
    /// Failed expansions so far.
    pub attempts: u32,
}

/// A row of a tracker's log, as the delivery that should have told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldRow {
    /// The tracker's own id of it.
    pub key: String,
    /// Its place among the rows of its item.
    pub order: u64,
    /// Which item.
    pub work_item: WorkItemId,
    /// What the delivery says.
    pub body: Vec<u8>,
}
