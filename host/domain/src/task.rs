//! The task: our durable record of one work item's way. Nothing changes it but [`Task::fold`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::cost::RoleSum;
use crate::document::Role;
use crate::effect::Feedback;
use crate::entry::Entry;
use crate::event::Spent;
use crate::ids::{
    BranchName, CommitId, Digest, Epoch, FenceToken, LeaseName, ProjectName, StageName, StepName, TaskId, Version,
    WorkItemId,
};
use crate::pipeline::Consent;
use crate::time::Timestamp;
use crate::verdict::WakeSet;

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Terminality {
    /// The change is in main.
    Done,
    /// It was stopped.
    Cancelled,
}

/// Which stages a task walks through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Track {
    /// All of them.
    #[default]
    Full,
    /// A bug: the edges' `bug-to` holds.
    Bug,
}

/// Where a task stands: the one place of truth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The stage.
    pub stage: StageName,
    /// Which stay in it, from 1.
    pub visit: u32,
    /// What goes on there.
    pub activity: Activity,
}

/// What goes on in a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "activity")]
pub enum Activity {
    /// A run is wanted or under way.
    Running {
        /// Counts from 1 within the visit.
        attempt: u32,
    },
    /// A gate is asked.
    Judging {
        /// Which step.
        step: StepName,
    },
    /// The host acts.
    Acting {
        /// Which step.
        step: StepName,
    },
    /// A step said `wait` or `infra`: it is asked again later.
    Waiting {
        /// Which step; none: the stage's run.
        step: Option<StepName>,
        /// When.
        until: Timestamp,
        /// What may end it earlier.
        wake: WakeSet,
        /// For people.
        why: String,
    },
    /// A person is asked for consent.
    AwaitingPerson {
        /// Which step.
        step: StepName,
        /// To what.
        consent: Consent,
    },
    /// A person must look.
    Held {
        /// Why, and what leads out.
        hold: Hold,
    },
    /// It was stopped; the tree and the clone are going.
    Stopping,
    /// The end.
    Settled {
        /// Which.
        end: Terminality,
    },
}

impl Activity {
    /// The word for it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Running { .. } => "running",
            Self::Judging { .. } => "judging",
            Self::Acting { .. } => "acting",
            Self::Waiting { .. } => "waiting",
            Self::AwaitingPerson { .. } => "awaiting-person",
            Self::Held { .. } => "held",
            Self::Stopping => "stopping",
            Self::Settled { .. } => "settled",
        }
    }

    /// The step that it is about.
    pub const fn step(&self) -> Option<&StepName> {
        match self {
            Self::Judging { step } | Self::Acting { step } | Self::AwaitingPerson { step, .. } => Some(step),
            Self::Waiting { step, .. } => step.as_ref(),
            Self::Held { hold } => hold.step.as_ref(),
            Self::Running { .. } | Self::Stopping | Self::Settled { .. } => None,
        }
    }
}

/// A person must look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why, as a word.
    pub kind: HoldKind,
    /// Why, for people.
    pub reason: String,
    /// The step that holds; none: the stage's run.
    pub step: Option<StepName>,
}

/// Why a task is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldKind {
    /// The developer's retries are spent.
    Escalated,
    /// Somebody has questions to answer.
    NeedsInput,
    /// Somebody has to mend something.
    Blocked,
    /// The step's infra retries are spent.
    InfraExhausted,
    /// The step's patience ran out.
    PatienceExhausted,
    /// The run did not deliver, again and again.
    Undelivered,
    /// A budget is spent.
    OverBudget,
    /// An operator paused it.
    Paused,
    /// Its stage or step is gone from the pipeline.
    PipelineChanged,
    /// The work item is gone (B8).
    GoneFromBoard,
    /// A person closed it at the forge (B15).
    RefusedAtForge,
    /// It runs, and main is elsewhere (B13).
    DeployedNotInMain,
    /// A person merged what was not tested (B14).
    MergedUntested,
    /// What a hook did is not known.
    FateUnknown,
    /// The proof of the merge failed.
    NotProven,
    /// It needs a task that needs it.
    DependencyCycle,
    /// Deciding about it panicked.
    Panicked,
}

/// Nobody observed anything when older records were written: they stay as they are.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_acted_on(observed: &bool) -> bool {
    !*observed
}

/// Our durable record of one work item's way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Grows with each step.
    pub version: Version,
    /// Grows with each change of activity.
    pub epoch: Epoch,
    /// Whose.
    pub project: ProjectName,
    /// The tracker's key.
    pub work_item: WorkItemId,
    /// As last read; cut to 500 characters.
    pub title: String,
    /// The ticket's text.
    pub description: Digest,
    /// As last read.
    pub labels: Vec<String>,
    /// Which stages it walks through.
    pub track: Track,
    /// Where it stands.
    pub position: Position,
    /// How often each stage was entered.
    pub visits: BTreeMap<StageName, u32>,
    /// When it began.
    pub created_at: Timestamp,
    /// When the visit began.
    pub stage_entered_at: Timestamp,
    /// When the activity began.
    pub activity_entered_at: Timestamp,
    /// Its branch, once it is cut.
    pub branch: Option<BranchName>,
    /// The branch that it is for.
    pub base_branch: BranchName,
    /// The branch's commit under judgement.
    pub head: Option<CommitId>,
    /// The base that the branch stands on.
    pub base: Option<CommitId>,
    /// The commit that the suite last passed on.
    pub validated: Option<CommitId>,
    /// The commit that the base branch was moved to.
    pub merged: Option<CommitId>,
    /// The commit that was deployed.
    pub deployed: Option<CommitId>,
    /// What another hand merged untested, as far as a person knows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_merge: Option<CommitId>,
    /// Its project was observed when it began: nothing is ever done outside for it, and what others do is followed.
    #[serde(default, skip_serializing_if = "is_acted_on")]
    pub observed: bool,
    /// Developer retries spent.
    pub retries: u32,
    /// Developer retries that people granted above the cap.
    pub granted_retries: u32,
    /// Runs launched again in this visit.
    pub run_retries: u32,
    /// Runs tried again in this visit after failures that pass by themselves.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub transient_retries: u32,
    /// Infra retries spent on the step that is asked.
    pub infra_retries: u32,
    /// When the step that is asked was first asked in this visit, and how often since.
    pub asked: Option<Asked>,
    /// What the next run must read.
    pub feedback: Vec<Feedback>,
    /// Leases that are the task's, with their fences.
    pub leases: BTreeMap<LeaseName, FenceToken>,
    /// Leases for which it stands in line.
    pub requested: BTreeSet<LeaseName>,
    /// Steps of the edge that answered with a pass, or were waived, in this visit.
    pub passed: Vec<StepName>,
    /// A stop that waits for an irreversible step to end.
    pub stop_requested: bool,
    /// A hold that waits for it likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put_off: Option<PutOff>,
    /// A pause that takes hold before the next step or run.
    pub paused: bool,
    /// Tasks that must be done before this one goes on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub needs: BTreeSet<TaskId>,
    /// What its runs cost together.
    pub spent: Spent,
    /// The same by role.
    #[serde(default)]
    pub by_role: BTreeMap<Role, RoleSum>,
    /// Runs so far.
    pub runs: u32,
    /// Entries so far: one that is missing is noticed, whatever it said.
    #[serde(default)]
    pub entries: u64,
}

/// A count that came later: tasks that were written before it read as those that have none.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_none_yet(count: &u32) -> bool {
    *count == 0
}

/// A hold that waits for an irreversible step to end: what is under way is not cut short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutOff {
    /// What kind of hold.
    pub kind: HoldKind,
    /// For people.
    pub reason: String,
}

/// How often a step was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Which.
    pub step: StepName,
    /// When first.
    pub first_at: Timestamp,
    /// How often before.
    pub times: u32,
}

impl Task {
    /// Has it ended?
    pub const fn end(&self) -> Option<Terminality> {
        match self.position.activity {
            Activity::Settled { end } => Some(end),
            _ => None,
        }
    }

    /// Does nothing new begin for it, because a person wants so? From the wish on: what is under way may still end.
    pub const fn is_paused(&self) -> bool {
        let held = matches!(self.position.activity, Activity::Held { hold: Hold { kind: HoldKind::Paused, .. } });
        self.paused || held
    }

    /// Does it keep no later task from beginning? A person paused it, or it waits for an answer, which may take days.
    pub const fn stands_aside(&self) -> bool {
        let asks = matches!(self.position.activity, Activity::Held { hold: Hold { kind: HoldKind::NeedsInput, .. } });
        asks || self.is_paused()
    }

    /// Was it told to stop, though that may not have taken hold yet?
    pub const fn is_being_stopped(&self) -> bool {
        self.stop_requested || matches!(self.position.activity, Activity::Stopping)
    }

    /// The task after an entry. Total: every entry can be folded into every task.
    pub fn fold(&mut self, entry: &Entry) {
        crate::entry::fold(self, entry);
        self.entries += 1;
    }

    /// How the task stands, for people: the word of the WIT's `phase`.
    pub fn phase(&self) -> String {
        match &self.position.activity {
            Activity::AwaitingPerson { consent: Consent::Confirm, .. } => "awaiting-deploy".to_owned(),
            Activity::AwaitingPerson { .. } => "in-review".to_owned(),
            Activity::Held { hold } if hold.kind == HoldKind::NeedsInput => "needs-input".to_owned(),
            Activity::Held { .. } => "blocked".to_owned(),
            Activity::Settled { end: Terminality::Done } => "done".to_owned(),
            Activity::Settled { end: Terminality::Cancelled } => "cancelled".to_owned(),
            // Not before its processes are gone and its clean-up is reported.
            Activity::Stopping => "stopping".to_owned(),
            Activity::Acting { step } if step.as_str() == "deploy" => "deploying".to_owned(),
            _ => self.position.stage.as_str().to_owned(),
        }
    }
}
