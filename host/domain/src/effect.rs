//! Effects: what the host shall do. Persisted, an effect is a job.

use serde::{Deserialize, Serialize};

use crate::document::Role;
use crate::ids::{Digest, DriverName, Epoch, FenceToken, JobId, LeaseName, PluginId, RunId, StepName, TaskId, Version};
use crate::pipeline::Action;
use crate::task::Task;
use crate::time::Timestamp;

/// What the host shall do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "effect")]
pub enum Effect {
    /// Launch an agent, or the command that stands in for the role.
    Launch {
        /// Who works.
        role: Role,
        /// Counts from 1 within the visit.
        attempt: u32,
    },
    /// Ask a gate.
    Judge {
        /// As which step.
        step: StepName,
        /// Which component.
        plugin: PluginId,
    },
    /// Do something to the repository or to an environment.
    Act {
        /// As which step.
        step: StepName,
        /// What.
        action: Action,
    },
    /// Wake the task; the job's `available_at` says when.
    Timer,
    /// After a stop: end the tree, remove the clone and the branch, and report.
    CleanUp,
    /// Show on the board how the task stands.
    SetStatus {
        /// How: a stage's name or one of the phases of the WIT.
        phase: String,
    },
    /// Write a comment at the work item.
    Comment {
        /// What.
        text: String,
    },
    /// Tell the notifiers.
    Notify {
        /// What happened.
        notice: Notice,
        /// For people.
        text: String,
    },
    /// The task is done: its clone and its branch may go.
    Tidy,
}

/// What a notifier is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// A stage began.
    StageEntered,
    /// Somebody must approve.
    ApproveRequested,
    /// Somebody must confirm the deploy.
    ConfirmRequested,
    /// Somebody has questions to answer.
    Questions,
    /// A person must look.
    Held,
    /// A held task goes on.
    Released,
    /// The developer's retries are spent.
    Escalated,
    /// A run did not deliver.
    AgentFailed,
    /// An edge's infra retries are spent.
    InfraExhausted,
    /// The deploy failed.
    DeployFailed,
    /// The end.
    Done,
    /// The other end.
    Cancelled,
}

impl Notice {
    /// The word for it in the WIT.
    pub const fn word(self) -> &'static str {
        match self {
            Self::StageEntered => "stage-entered",
            Self::ApproveRequested => "approve-requested",
            Self::ConfirmRequested => "confirm-requested",
            Self::Questions => "questions",
            Self::Held => "held",
            Self::Released => "released",
            Self::Escalated => "escalated",
            Self::AgentFailed => "agent-failed",
            Self::InfraExhausted => "infra-exhausted",
            Self::DeployFailed => "deploy-failed",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobClass {
    /// It advances the task.
    Drive,
    /// It tells the world; it never moves a stage.
    Aftermath,
}

/// What a crash in the middle leaves unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nature {
    /// The other side refuses a second one.
    Keyed,
    /// What is wanted now is written, whatever was written before.
    Level,
    /// The fate is unknown after a crash.
    Unkeyed,
}

impl Effect {
    /// What the job is for.
    pub const fn class(&self) -> JobClass {
        match self {
            Self::Launch { .. } | Self::Judge { .. } | Self::Act { .. } | Self::Timer | Self::CleanUp => {
                JobClass::Drive
            }
            Self::SetStatus { .. } | Self::Comment { .. } | Self::Notify { .. } | Self::Tidy => JobClass::Aftermath,
        }
    }

    /// What a crash in the middle leaves unknown.
    pub const fn nature(&self) -> Nature {
        match self {
            Self::Launch { .. } | Self::Act { .. } | Self::Comment { .. } => Nature::Keyed,
            Self::Notify { .. } => Nature::Unkeyed,
            Self::Judge { .. } | Self::Timer | Self::CleanUp | Self::SetStatus { .. } | Self::Tidy => Nature::Level,
        }
    }

    /// The kind as rows, guards and reports spell it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Launch { .. } => "launch-agent",
            Self::Judge { .. } => "judge",
            Self::Act { action, .. } => action.as_str(),
            Self::Timer => "timer",
            Self::CleanUp => "clean-up",
            Self::SetStatus { .. } => "set-status",
            Self::Comment { .. } => "post-comment",
            Self::Notify { .. } => "notify",
            Self::Tidy => "tidy",
        }
    }
}

/// What is true in the same transaction as a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Change {
    /// The task left its activity: its live drive jobs and timers end.
    CancelDriveJobs,
    /// The task stands in line for a lease.
    RequestLease {
        /// Which.
        name: LeaseName,
    },
    /// The task gives a lease back, and leaves the line.
    ReleaseLease {
        /// Which.
        name: LeaseName,
    },
    /// The task's jobs wait until that one is done.
    AddDependency {
        /// Which.
        needs: TaskId,
    },
    /// They do not wait for it any more.
    RemoveDependency {
        /// Which.
        needs: TaskId,
    },
    /// The repository admits no new task.
    Freeze {
        /// For people.
        reason: String,
    },
}

/// An effect that shall become a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// What.
    pub effect: Effect,
    /// No sooner than this.
    pub available_at: Timestamp,
    /// A lease that must be the task's before the job is claimed.
    pub lease: Option<LeaseName>,
}

/// A job that a host claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id: the same over all attempts.
    pub id: JobId,
    /// Whose.
    pub task: TaskId,
    /// The task's version that wanted it.
    pub version: Version,
    /// Its place among the effects of that version.
    pub ordinal: u32,
    /// The activity that it belongs to.
    pub epoch: Epoch,
    /// What to do.
    pub effect: Effect,
    /// Counts from 1.
    pub attempt: u32,
    /// An earlier attempt was on the point of acting.
    pub attempted_before: bool,
    /// A lease that must be the task's.
    pub lease: Option<LeaseName>,
}

/// A claimed job with all that performing it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The job.
    pub job: Job,
    /// The fence of this claim.
    pub token: FenceToken,
    /// The task as it stood at the claim.
    pub task: Task,
    /// The fence of the task's lease, where the job needs one.
    pub lease_token: Option<FenceToken>,
    /// The agent driver that it was claimed for; none: it launches no agent.
    pub driver: Option<DriverName>,
    /// How often facts that wake arrived for this task's subjects before the claim.
    pub wakes: u64,
}

/// The run that a job launched: the two share one number.
pub const fn run_of(job: JobId) -> RunId {
    RunId(job.0)
}

/// Findings for the next run, and where they came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// The step, the run or the person that sent the task back.
    pub source: String,
    /// The component that judged, if one did.
    pub plugin: Option<PluginId>,
    /// A JSON list of `domain::verdict::Finding`; none: `note` says all.
    pub findings: Option<Digest>,
    /// A person's reason, or an answer to questions.
    pub note: String,
}

impl Feedback {
    /// The note where somebody rejected without a word.
    pub const NO_REASON: &str = "Rejected without a reason. Look at the ticket again.";
}
