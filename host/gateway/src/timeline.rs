//! What happened to a task, a line per entry.

use domain::entry::{Entry, MovedBy};
use domain::event::{Intent, Observation};
use domain::ids::CommitId;
use domain::task::Activity;

use crate::show::{Moment, cost};

/// The entry in words; none: a reader has seen it in the entry beside it.
pub(crate) fn words(entry: &Entry) -> Option<String> {
    Some(match entry {
        Entry::Created { actor } => format!("created by {actor}"),
        Entry::StageEntered { stage, visit: 1, .. } => format!("entered {stage}"),
        Entry::StageEntered { stage, visit, .. } => format!("entered {stage} again, visit {visit}"),
        Entry::ActivityEntered { activity, .. } => return activity_words(activity),
        Entry::BranchCut { branch, base } => format!("branch {branch} cut from {}", short(base)),
        Entry::HeadMoved { head, by } => format!("branch moved to {} by {}", short(head), mover(*by)),
        Entry::BaseSeen { base } => format!("the base stands at {}", short(base)),
        Entry::RunEnded { run, outcome, spent, .. } => {
            let cost = spent.as_ref().map(cost).filter(|cost| !cost.is_empty());
            let cost = cost.map(|cost| format!(" ({cost})")).unwrap_or_default();
            format!("run {run} ended: {outcome}{cost}")
        }
        Entry::RunRetrySpent => "the run is launched again".to_owned(),
        Entry::TransientRetrySpent => "the run is tried again later; the service refused for now".to_owned(),
        Entry::InfraRetrySpent => "the step is tried again; the system was at fault".to_owned(),
        Entry::DeveloperRetrySpent => "the work went back; one retry spent".to_owned(),
        Entry::DeveloperRetryGranted => "one more retry granted".to_owned(),
        Entry::StepAnswered { step, answer, note, .. } if note.is_empty() => format!("{step}: {answer}"),
        Entry::StepAnswered { step, answer, note, .. } => format!("{step}: {answer}: {note}"),
        Entry::Waived { step, actor, why } => format!("{step} waived by {actor}: {why}"),
        Entry::FeedbackAdded { feedback } if feedback.note.is_empty() => {
            format!("for the next run, from {}", feedback.source)
        }
        Entry::FeedbackAdded { feedback } => format!("for the next run, from {}: {}", feedback.source, feedback.note),
        Entry::Validated { commit } => format!("the suite passed on {}", short(commit)),
        Entry::ValidationDropped => "what was tested is no more what stands".to_owned(),
        Entry::Merged { commit } => format!("merged as {}", short(commit)),
        Entry::Deployed { commit } => format!("deployed {}", short(commit)),
        Entry::LeaseRequested { name } => format!("stands in line for the {name} lease"),
        Entry::LeaseTaken { name, token } => format!("took the {name} lease, fence {token}"),
        Entry::LeaseReleased { name } => format!("gave the {name} lease back"),
        Entry::IntentTaken { intent, actor, note } if note.is_empty() => format!("{} by {actor}", intent_word(*intent)),
        Entry::IntentTaken { intent, actor, note } => format!("{} by {actor}: {note}", intent_word(*intent)),
        Entry::IntentRefused { intent, actor, why } => {
            format!("{} by {actor} does not count: {why}", intent_word(*intent))
        }
        Entry::Observed { observation } => observed(observation),
        Entry::ForeignMergeSeen { commit } => format!("whoever lets it on knows that {} is merged", short(commit)),
        Entry::PauseSet { on: true } => "to be paused".to_owned(),
        Entry::PauseSet { on: false } => "no more to be paused".to_owned(),
        Entry::DependencyAdded { on, actor, .. } => format!("needs {on}, says {actor}"),
        Entry::DependencyRemoved { on, actor, .. } => format!("needs {on} no more, says {actor}"),
        Entry::PrerequisiteCancelled { on, .. } => format!("{on}, which it needs, was stopped"),
        Entry::StopDeferred => "stops once the step under way has answered".to_owned(),
        Entry::PipelineChanged { digest } => format!("the pipeline is another one, {}", &digest.as_str()[..12]),
        Entry::LabelsRead { labels, .. } => format!("labels: {}", labels.join(", ")),
        Entry::AftermathEnded { note } => note.clone(),
        Entry::Panicked { message } => format!("deciding panicked: {message}"),
        Entry::PassDropped { step } => format!("{step} is another one now: it is asked again"),
        Entry::InfraRetriesRefreshed | Entry::StepAsked { .. } | Entry::StepPassed { .. } | Entry::FeedbackCleared => {
            return None;
        }
    })
}

/// Only what no other entry of the same step says.
fn activity_words(activity: &Activity) -> Option<String> {
    match activity {
        Activity::Held { hold } => Some(format!("held: {}", hold.reason)),
        Activity::Waiting { until, why, .. } => Some(format!("waits until {}: {why}", Moment::of(*until).text)),
        Activity::AwaitingPerson { step, .. } => Some(format!("{step} asks a person")),
        Activity::Acting { step } => Some(format!("the host performs {step}")),
        Activity::Stopping => Some("stopping".to_owned()),
        Activity::Running { .. } | Activity::Judging { .. } | Activity::Settled { .. } => None,
    }
}

fn observed(observation: &Observation) -> String {
    match observation {
        Observation::GoneFromBoard { by } => format!("gone from the board, by {by}"),
        Observation::ForeignPush { head } => format!("another hand pushed {}", short(head)),
        Observation::RefusedAtForge { by } => format!("refused at the forge by {by}"),
        Observation::MergedElsewhere { commit, by, tested: true } => format!("merged by {by} as {}", short(commit)),
        Observation::Landed { commit, by } => format!("{by} brought {} to the base branch", short(commit)),
        Observation::MergedElsewhere { commit, by, .. } => format!("merged untested by {by} as {}", short(commit)),
        Observation::WatchDegraded => "the deployed revision turned bad".to_owned(),
        Observation::Labels { labels } => format!("labels seen: {}", labels.join(", ")),
    }
}

fn mover(by: MovedBy) -> &'static str {
    match by {
        MovedBy::Run => "a run",
        MovedBy::Rebase => "the host's rebase",
        MovedBy::Foreign => "another hand",
    }
}

fn intent_word(intent: Intent) -> &'static str {
    match intent {
        Intent::Start => "started",
        Intent::Approve => "approved",
        Intent::Reject => "rejected",
        Intent::ConfirmDeploy => "deploy confirmed",
        Intent::Stop => "stopped",
        Intent::Estimate => "estimate asked",
        Intent::Resume => "resumed",
        Intent::Waive => "waived",
        Intent::Pause => "paused",
    }
}

fn short(commit: &CommitId) -> &str {
    &commit.as_str()[..12]
}
