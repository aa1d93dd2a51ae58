//! Entries: what happened to a task. `task' = fold(task, entries)`, and nothing else changes a task.

use serde::{Deserialize, Serialize};

use crate::cost::RoleSum;
use crate::document::Role;
use crate::effect::Feedback;
use crate::event::{Intent, Observation, Spent};
use crate::ids::{
    Actor, BranchName, CommitId, Digest, Epoch, EvaluationId, FenceToken, LeaseName, RunId, StageName, StepName,
    TaskId, WorkItemId,
};
use crate::task::{Activity, Asked, HoldKind, PutOff, Task, Track};
use crate::time::Timestamp;

/// What moved a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MovedBy {
    /// A run's commits.
    Run,
    /// The host's rebase.
    Rebase,
    /// Another hand.
    Foreign,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "entry")]
pub enum Entry {
    /// The task began. Its first entry; folding it changes nothing.
    Created {
        /// By whom.
        actor: Actor,
    },
    /// A new visit of a stage.
    StageEntered {
        /// Which.
        stage: StageName,
        /// Which stay.
        visit: u32,
        /// When.
        at: Timestamp,
    },
    /// Another activity.
    ActivityEntered {
        /// Which.
        activity: Activity,
        /// When.
        at: Timestamp,
    },
    /// The branch was cut.
    BranchCut {
        /// Its name.
        branch: BranchName,
        /// Where it begins.
        base: CommitId,
    },
    /// The branch stands elsewhere.
    HeadMoved {
        /// Where.
        head: CommitId,
        /// By what.
        by: MovedBy,
    },
    /// The base that the branch stands on.
    BaseSeen {
        /// Which.
        base: CommitId,
    },
    /// A run ended.
    RunEnded {
        /// Which.
        run: RunId,
        /// How, for people.
        outcome: String,
        /// What counts as its cost.
        spent: Option<Spent>,
        /// Who worked.
        #[serde(default)]
        role: Option<Role>,
    },
    /// A run is launched again in the same visit.
    RunRetrySpent,
    /// A run is tried again later after a failure that passes by itself: no attempt is spent.
    TransientRetrySpent,
    /// A step is tried again after an infrastructure fault.
    InfraRetrySpent,
    /// The work went back once more.
    DeveloperRetrySpent,
    /// A person granted one more.
    DeveloperRetryGranted,
    /// A person gave the step fresh infra retries.
    InfraRetriesRefreshed,
    /// A step was asked.
    StepAsked {
        /// Which.
        step: StepName,
        /// When.
        at: Timestamp,
    },
    /// A step answered.
    StepAnswered {
        /// Which.
        step: StepName,
        /// What, in a word: `pass`, `fail`, …
        answer: String,
        /// Why, for people.
        note: String,
        /// The evaluation that judged.
        evaluation: Option<EvaluationId>,
    },
    /// An operator went over a step.
    Waived {
        /// Which.
        step: StepName,
        /// Who.
        actor: Actor,
        /// Why.
        why: String,
    },
    /// A step of the edge needs no more asking in this visit.
    StepPassed {
        /// Which.
        step: StepName,
    },
    /// What a passed step answered does not stand any more: it is asked again.
    PassDropped {
        /// Which.
        step: StepName,
    },
    /// A stop came while an irreversible step runs; it takes hold after it.
    StopDeferred,
    /// A pause was asked for, or taken back.
    PauseSet {
        /// Asked for?
        on: bool,
    },
    /// The task goes on only when that one is done.
    DependencyAdded {
        /// Which.
        needs: TaskId,
        /// The tracker's key of it.
        on: WorkItemId,
        /// By whom.
        actor: Actor,
    },
    /// It goes on without that one.
    DependencyRemoved {
        /// Which.
        needs: TaskId,
        /// The tracker's key of it.
        on: WorkItemId,
        /// By whom.
        actor: Actor,
    },
    /// A task that this one needs was stopped.
    PrerequisiteCancelled {
        /// Which.
        needs: TaskId,
        /// The tracker's key of it.
        on: WorkItemId,
    },
    /// Something for the next run to read.
    FeedbackAdded {
        /// What.
        feedback: Feedback,
    },
    /// The work moved on: old findings are not for the next run.
    FeedbackCleared,
    /// The suite passed on this commit.
    Validated {
        /// Which.
        commit: CommitId,
    },
    /// What was validated is no more what stands.
    ValidationDropped,
    /// The base branch was moved to this commit.
    Merged {
        /// Which.
        commit: CommitId,
    },
    /// The hook deployed this commit.
    Deployed {
        /// Which.
        commit: CommitId,
    },
    /// The task stands in line for a lease.
    LeaseRequested {
        /// Which.
        name: LeaseName,
    },
    /// The lease is the task's.
    LeaseTaken {
        /// Which.
        name: LeaseName,
        /// Its fence.
        token: FenceToken,
    },
    /// The lease was given back.
    LeaseReleased {
        /// Which.
        name: LeaseName,
    },
    /// A person's intent was taken.
    IntentTaken {
        /// What.
        intent: Intent,
        /// By whom.
        actor: Actor,
        /// The reason that was given.
        note: String,
    },
    /// What a person wanted does not count.
    IntentRefused {
        /// What.
        intent: Intent,
        /// By whom.
        actor: Actor,
        /// Why not.
        why: String,
    },
    /// The host saw something.
    Observed {
        /// What.
        observation: Observation,
    },
    /// What another hand merged untested holds the task once: whoever lets it on has looked at this commit.
    ForeignMergeSeen {
        /// What was merged.
        commit: CommitId,
    },
    /// The labels as last read.
    LabelsRead {
        /// All of them.
        labels: Vec<String>,
        /// What they make of the track.
        track: Track,
    },
    /// A hold waits for the irreversible step under way to end.
    HoldDeferred {
        /// What kind of hold.
        kind: HoldKind,
        /// For people.
        reason: String,
    },
    /// The pipeline is another one now.
    PipelineChanged {
        /// Its digest.
        digest: Digest,
    },
    /// An aftermath effect ended.
    AftermathEnded {
        /// For people.
        note: String,
    },
    /// Deciding panicked.
    Panicked {
        /// What the panic said.
        message: String,
    },
}

pub(crate) fn fold(task: &mut Task, entry: &Entry) {
    match entry {
        Entry::StageEntered { stage, visit, at } => fold_stage(task, stage, *visit, *at),
        Entry::ActivityEntered { activity, at } => {
            task.position.activity = activity.clone();
            task.activity_entered_at = *at;
            if matches!(activity, Activity::Held { .. } | Activity::Stopping | Activity::Settled { .. }) {
                task.put_off = None;
            }
            task.epoch = Epoch(task.epoch.0 + 1);
        }
        Entry::BranchCut { branch, base } => {
            task.branch = Some(branch.clone());
            task.base = Some(base.clone());
            task.head = Some(base.clone());
        }
        Entry::HeadMoved { head, .. } => task.head = Some(head.clone()),
        Entry::BaseSeen { base } => task.base = Some(base.clone()),
        Entry::RunEnded { spent, role, .. } => fold_run(task, spent.unwrap_or_default(), *role),
        Entry::RunRetrySpent => task.run_retries += 1,
        Entry::TransientRetrySpent => task.transient_retries += 1,
        Entry::InfraRetrySpent => task.infra_retries += 1,
        Entry::InfraRetriesRefreshed => {
            task.infra_retries = 0;
            task.run_retries = 0;
            task.transient_retries = 0;
            task.asked = None;
        }
        Entry::DeveloperRetrySpent => task.retries += 1,
        Entry::DeveloperRetryGranted => task.granted_retries += 1,
        Entry::StepAsked { step, at } => fold_asked(task, step, *at),
        Entry::FeedbackAdded { feedback } => task.feedback.push(feedback.clone()),
        Entry::FeedbackCleared => task.feedback.clear(),
        Entry::Validated { commit } => task.validated = Some(commit.clone()),
        Entry::ValidationDropped => task.validated = None,
        Entry::Merged { commit } => task.merged = Some(commit.clone()),
        Entry::Deployed { commit } => task.deployed = Some(commit.clone()),
        Entry::ForeignMergeSeen { commit } => task.foreign_merge = Some(commit.clone()),
        Entry::StepPassed { step } => task.passed.push(step.clone()),
        Entry::PassDropped { step } => task.passed.retain(|passed| passed != step),
        Entry::StopDeferred => task.stop_requested = true,
        Entry::HoldDeferred { kind, reason } => task.put_off = Some(PutOff { kind: *kind, reason: reason.clone() }),
        Entry::PauseSet { on } => task.paused = *on,
        Entry::DependencyAdded { needs, .. } => drop(task.needs.insert(*needs)),
        Entry::DependencyRemoved { needs, .. } => drop(task.needs.remove(needs)),
        Entry::LeaseRequested { name } => {
            task.requested.insert(name.clone());
        }
        Entry::LeaseTaken { name, token } => {
            task.requested.remove(name);
            task.leases.insert(name.clone(), *token);
        }
        Entry::LeaseReleased { name } => {
            task.requested.remove(name);
            task.leases.remove(name);
        }
        Entry::LabelsRead { labels, track } => {
            task.labels.clone_from(labels);
            task.track = *track;
        }
        Entry::Created { .. }
        | Entry::StepAnswered { .. }
        | Entry::Waived { .. }
        | Entry::IntentTaken { .. }
        | Entry::IntentRefused { .. }
        | Entry::Observed { .. }
        | Entry::PipelineChanged { .. }
        | Entry::PrerequisiteCancelled { .. }
        | Entry::AftermathEnded { .. }
        | Entry::Panicked { .. } => {}
    }
}

fn fold_run(task: &mut Task, spent: Spent, role: Option<Role>) {
    task.runs += 1;
    task.spent = task.spent.plus(spent);
    if let Some(role) = role {
        let sum = task.by_role.entry(role).or_default();
        *sum = RoleSum { runs: sum.runs.saturating_add(1), spent: sum.spent.plus(spent) };
    }
}

fn fold_stage(task: &mut Task, stage: &StageName, visit: u32, at: Timestamp) {
    task.position.stage = stage.clone();
    task.position.visit = visit;
    task.visits.insert(stage.clone(), visit);
    task.stage_entered_at = at;
    task.run_retries = 0;
    task.transient_retries = 0;
    task.infra_retries = 0;
    task.asked = None;
    task.passed.clear();
}

fn fold_asked(task: &mut Task, step: &StepName, at: Timestamp) {
    match &mut task.asked {
        Some(asked) if asked.step == *step => asked.times += 1,
        _ => {
            task.asked = Some(Asked { step: step.clone(), first_at: at, times: 0 });
            task.infra_retries = 0;
        }
    }
}
