//! Events: facts that arrived. The engine is told one at a time.

use serde::{Deserialize, Serialize};

use crate::document::{NewDocument, Role};
use crate::ids::{
    Actor, BranchName, CommitId, Digest, Epoch, EvaluationId, FenceToken, LeaseName, RunId, StageName, StepName,
    TaskId, WorkItemId,
};
use crate::time::{Milliseconds, Timestamp};
use crate::verdict::{GateHold, InfraCause, WakeKind, WakeSet};

pub use crate::cost::Spent;

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// Begin, or go on after questions were answered.
    Start,
    /// The work may go on.
    Approve,
    /// It goes back, with a reason.
    Reject,
    /// The deploy may begin.
    ConfirmDeploy,
    /// Everything ends.
    Stop,
    /// What would it cost?
    Estimate,
    /// An operator's: a held task goes on.
    Resume,
    /// An operator's: over the step that holds.
    Waive,
    /// An operator's: nothing new is launched for this task.
    Pause,
}

/// The answer of a step as the engine needs it; the whole verdict with its texts is a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// Go on.
    Pass {
        /// For the timeline.
        note: String,
    },
    /// The work is at fault.
    Fail {
        /// The findings, as a JSON list of `domain::verdict::Finding`.
        findings: Digest,
        /// How many.
        count: u32,
        /// The first one's title.
        title: String,
    },
    /// The system is at fault.
    Infra {
        /// What kind of fault.
        cause: InfraCause,
        /// For people.
        message: String,
        /// No sooner than this.
        retry_after: Option<Milliseconds>,
    },
    /// Not yet.
    Wait {
        /// When to ask again.
        until: Timestamp,
        /// What may end it earlier.
        wake: WakeSet,
        /// For people.
        why: String,
    },
    /// A person must act.
    Hold {
        /// Which kind of acting.
        kind: GateHold,
        /// For people.
        reason: String,
    },
    /// This step has no say here.
    NotApplicable {
        /// For people.
        why: String,
    },
    /// The host itself must stop here for a reason of its own.
    Stuck {
        /// What holds.
        kind: crate::task::HoldKind,
        /// For people.
        reason: String,
    },
    /// The base moved since this edge was judged.
    BaseMoved {
        /// Where it stands.
        base: CommitId,
    },
    /// The branch moved, and not by us.
    HeadMoved {
        /// Where it stands.
        head: CommitId,
    },
}

/// What an answered step found to be true besides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFacts {
    /// The branch after the step, when the step moved it.
    pub head: Option<CommitId>,
    /// The base branch as the step saw it.
    pub base: Option<CommitId>,
    /// The commit that the suite passed on.
    pub validated: Option<CommitId>,
    /// The commit that the base branch was moved to.
    pub merged: Option<CommitId>,
    /// The commit that the hook deployed.
    pub deployed: Option<CommitId>,
    /// The evaluation that judged.
    pub evaluation: Option<EvaluationId>,
    /// Documents that the host wrote.
    pub documents: Vec<NewDocument>,
}

/// How a run ended, after the host took over what it left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum RunOutcome {
    /// It delivered.
    Delivered {
        /// The branch after the run.
        head: Option<CommitId>,
        /// The documents that it owns and wrote.
        documents: Vec<NewDocument>,
        /// The commit that the project's own suite passed on, where the run was that suite.
        validated: Option<CommitId>,
    },
    /// What it did is a fault of the work: another's document, rewritten history.
    Trespassed {
        /// The branch after the run: what was not a trespass was taken.
        head: Option<CommitId>,
        /// The findings, as for a verdict.
        findings: Digest,
        /// How many.
        count: u32,
        /// The first one's title.
        title: String,
    },
    /// It did not deliver: no document, a bad exit, a time-out, a lost shim.
    Undelivered {
        /// For people.
        cause: String,
        /// No sooner than this.
        retry_after: Option<Milliseconds>,
        /// Which budget the next attempt is of. What was written before there were classes is permanent.
        #[serde(default)]
        class: FailureClass,
    },
    /// Of an observed task: nothing was launched, and another hand did what the run would have done.
    Followed {
        /// The branch as the other hand left it; none: it is where it was.
        head: Option<CommitId>,
        /// The documents of this role that lie on it.
        documents: Vec<NewDocument>,
    },
    /// It spent what it was allowed to.
    OverBudget {
        /// For people.
        cause: String,
    },
}

impl Answer {
    /// As entries, spans and labels of metrics spell it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pass { .. } => "pass",
            Self::Fail { .. } => "fail",
            Self::Infra { .. } => "infra",
            Self::Wait { .. } => "wait",
            Self::Hold { .. } => "hold",
            Self::NotApplicable { .. } => "not-applicable",
            Self::Stuck { .. } => "stuck",
            Self::BaseMoved { .. } => "base-moved",
            Self::HeadMoved { .. } => "head-moved",
        }
    }
}

/// How a run ended, in the words of OpenTelemetry's conventions for CI/CD: a failure is the work's, an error is the system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunResult {
    /// It delivered.
    Success,
    /// The work is bad: the suite fails, a document of another's was written.
    Failure,
    /// The system is: no document, a crash, a lost shim, a service that refuses.
    Error,
    /// Its time was up.
    Timeout,
    /// A person or a budget ended it.
    Cancellation,
}

impl RunResult {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Success, Self::Failure, Self::Error, Self::Timeout, Self::Cancellation];

    /// As the conventions spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Cancellation => "cancellation",
        }
    }
}

/// Whether a failure of a run passes by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    /// The service behind the agent refuses for now (429, an overload): the run is tried again later, on a budget of its own.
    Transient,
    /// All else, and whatever nobody can tell: it costs one of the visit's attempts.
    #[default]
    Permanent,
}

/// Who keeps a run from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Withholder {
    /// A guard.
    #[default]
    Guard,
    /// A budget of which nothing is left.
    Budget,
    /// A person who paused the task before it began.
    Pause,
    /// A stop or a hold that waits for what has not begun yet.
    Wish,
}

/// What the host saw at the board or the forge (reference rules B1 to B22).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "seen")]
pub enum Observation {
    /// The work item was deleted, or a person moved it to an end that is no intent (B8).
    GoneFromBoard {
        /// Who, where that is known.
        by: String,
    },
    /// The branch moved by another hand.
    ForeignPush {
        /// Where it stands.
        head: CommitId,
    },
    /// The task's branch was deleted, or its pull request closed, by another hand (B15).
    RefusedAtForge {
        /// Who, where that is known.
        by: String,
    },
    /// Another hand merged it (B14).
    MergedElsewhere {
        /// What is in the base branch now.
        commit: CommitId,
        /// Who, where that is known.
        by: String,
        /// Its tree is the one that was tested.
        tested: bool,
    },
    /// Of an observed task: git shows that another hand brought its branch into the base branch. Nobody but the host says so.
    Landed {
        /// What is in the base branch now.
        commit: CommitId,
        /// Who, where that is known.
        by: String,
    },
    /// The deployed revision turned bad during the watch.
    WatchDegraded,
    /// The task's labels as last read.
    Labels {
        /// All of them.
        labels: Vec<String>,
    },
}

/// A fact that arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// A person's intent.
    Intent {
        /// What is wanted.
        intent: Intent,
        /// By whom.
        actor: Actor,
        /// The reason that was given; cut to 4,000 characters.
        note: String,
    },
    /// The clone's base was cut: the task has a branch.
    BranchCut {
        /// The activity that it belongs to.
        epoch: Epoch,
        /// The branch.
        branch: BranchName,
        /// Where it begins.
        base: CommitId,
        /// What the host wrote down at the beginning: the ticket's text.
        #[serde(default)]
        documents: Vec<NewDocument>,
    },
    /// A run ended.
    RunEnded {
        /// The activity that it belongs to.
        epoch: Epoch,
        /// Which.
        run: RunId,
        /// How.
        outcome: RunOutcome,
        /// What counts as its cost; none: it never began.
        spent: Option<Spent>,
        /// Who worked.
        #[serde(default)]
        role: Option<Role>,
    },
    /// A gate or an action answered.
    StepAnswered {
        /// The activity that it belongs to.
        epoch: Epoch,
        /// Which step.
        step: StepName,
        /// What.
        answer: Answer,
        /// What else it found.
        facts: StepFacts,
        /// A fact that wakes this wait arrived while it was asked.
        woken: bool,
    },
    /// The lease that a step asked for is the task's.
    LeaseGranted {
        /// Which.
        name: LeaseName,
        /// Its fence.
        token: FenceToken,
    },
    /// A wait's time came.
    TimerFired {
        /// The activity that it belongs to.
        epoch: Epoch,
    },
    /// A fact arrived that may end a wait.
    Woken {
        /// Of what kind.
        kind: WakeKind,
    },
    /// The host saw something.
    Observed {
        /// What.
        observation: Observation,
    },
    /// The project's pipeline is another one now.
    PipelineChanged {
        /// Its digest.
        digest: Digest,
        /// Steps of the one before whose answers do not stand any more.
        #[serde(default)]
        changed: Vec<(StageName, StepName)>,
    },
    /// After a stop: the tree is empty, the clone is gone.
    CleanedUp {
        /// The activity that it belongs to.
        epoch: Epoch,
    },
    /// An aftermath effect was performed, suppressed or given up.
    AftermathEnded {
        /// For the timeline.
        note: String,
    },
    /// What the task wants next never began, and a person lets it on.
    Withheld {
        /// The activity that it belongs to.
        epoch: Epoch,
        /// By whom.
        #[serde(default)]
        by: Withholder,
        /// For people.
        reason: String,
    },
    /// A person wanted something that does not count: they may not decide it (B1), or it came before it was asked for (B3).
    IntentRefused {
        /// What was wanted.
        intent: Intent,
        /// By whom.
        actor: Actor,
        /// For people.
        why: String,
    },
    /// A person wants that the task goes on only when that one is done.
    DependencyAdded {
        /// Which.
        needs: TaskId,
        /// The tracker's key of it.
        on: WorkItemId,
        /// By whom.
        actor: Actor,
    },
    /// A person wants that it goes on without that one.
    DependencyRemoved {
        /// Which.
        needs: TaskId,
        /// The tracker's key of it.
        on: WorkItemId,
        /// By whom.
        actor: Actor,
    },
    /// A task that this one needs was stopped: it will not be done.
    PrerequisiteCancelled {
        /// Which.
        needs: TaskId,
        /// The tracker's key of it.
        on: WorkItemId,
    },
    /// The task needs one that needs it, and so none of them can go on.
    DependencyCycle {
        /// All of them, each needs the next, and the last one the first.
        cycle: Vec<WorkItemId>,
        /// One of them raises the alarm for all.
        alerts: bool,
    },
    /// Deciding about this task panicked; it is held instead of the host.
    Panicked {
        /// What the panic said.
        message: String,
        /// It broke what would have answered the activity: no other answer comes.
        #[serde(default)]
        unanswered: bool,
    },
}

impl Event {
    /// The kind, for tables and rows.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Intent { .. } => "intent",
            Self::BranchCut { .. } => "branch-cut",
            Self::RunEnded { .. } => "run-ended",
            Self::StepAnswered { .. } => "step-answered",
            Self::LeaseGranted { .. } => "lease-granted",
            Self::TimerFired { .. } => "timer-fired",
            Self::Woken { .. } => "woken",
            Self::Observed { .. } => "observed",
            Self::PipelineChanged { .. } => "pipeline-changed",
            Self::CleanedUp { .. } => "cleaned-up",
            Self::AftermathEnded { .. } => "aftermath-ended",
            Self::Withheld { .. } => "withheld",
            Self::IntentRefused { .. } => "intent-refused",
            Self::DependencyAdded { .. } => "dependency-added",
            Self::DependencyRemoved { .. } => "dependency-removed",
            Self::PrerequisiteCancelled { .. } => "prerequisite-cancelled",
            Self::DependencyCycle { .. } => "dependency-cycle",
            Self::Panicked { .. } => "panicked",
        }
    }

    /// The epoch that it belongs to, if it is the answer to an effect.
    pub const fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::BranchCut { epoch, .. }
            | Self::RunEnded { epoch, .. }
            | Self::StepAnswered { epoch, .. }
            | Self::TimerFired { epoch }
            | Self::Withheld { epoch, .. }
            | Self::CleanedUp { epoch } => Some(*epoch),
            _ => None,
        }
    }
}
