//! What people want, and what the host saw them do.

use domain::effect::{Feedback, Notice};
use domain::entry::Entry;
use domain::event::{Intent, Observation};
use domain::ids::{Actor, CommitId};
use domain::pipeline::{Action, Consent, DEVELOPER_RETRIES, StepKind};
use domain::task::{Activity, Hold, HoldKind, Terminality, Track};

use crate::answers::{foreign_head, go_on_from_the_rebase, rebase_of};
use crate::illegal::Illegal;
use crate::plan::{Plan, cut, keeps_leases};
use crate::step::Rejected;

pub(crate) fn decide(plan: &mut Plan<'_>, intent: Intent, actor: &Actor, note: &str) -> Result<(), Rejected> {
    let activity = plan.task.position.activity.clone();
    check(plan, intent, &activity)?;
    plan.note(Entry::IntentTaken { intent, actor: actor.clone(), note: cut(note) });
    if matches!((intent, &activity), (Intent::Start | Intent::Resume | Intent::Waive, Activity::Held { .. })) {
        plan.tell(Notice::Released, &format!("{} goes on: {actor} said so", plan.task.work_item));
    }
    match (intent, activity) {
        (Intent::Stop, Activity::Acting { .. }) if plan.in_critical_window() => plan.note(Entry::StopDeferred),
        (Intent::Stop, Activity::Held { .. }) => plan.stop(),
        (Intent::Stop, _) if plan.only_the_proof_is_left() => plan.note(Entry::StopDeferred),
        (Intent::Stop, _) => plan.stop(),
        (Intent::Approve | Intent::ConfirmDeploy, Activity::AwaitingPerson { step, .. }) => plan.pass(&step),
        (Intent::Reject, _) => reject(plan, actor, note),
        (Intent::Pause, activity) => pause(plan, &activity),
        (Intent::Resume, Activity::Held { hold }) => resume(plan, &hold, actor, note),
        (Intent::Resume, _) => plan.note(Entry::PauseSet { on: false }),
        (Intent::Start, Activity::Held { .. }) => again_with_answers(plan, actor, note),
        (Intent::Waive, Activity::Held { hold }) => waive(plan, &hold, actor, note),
        _ => return Err(Rejected::Duplicate),
    }
    Ok(())
}

/// Is the intent legal where the task stands?
fn check(plan: &Plan<'_>, intent: Intent, activity: &Activity) -> Result<(), Rejected> {
    let legal = match (intent, activity) {
        (Intent::Stop, Activity::Held { .. }) => true,
        (Intent::Stop, _)
            if plan.task.stop_requested && (plan.in_critical_window() || plan.only_the_proof_is_left()) =>
        {
            return Err(Rejected::Duplicate);
        }
        (Intent::Stop, _) => true,
        (Intent::Approve, Activity::AwaitingPerson { consent, .. }) => *consent == Consent::Approve,
        (Intent::ConfirmDeploy, Activity::AwaitingPerson { consent, .. }) => *consent == Consent::Confirm,
        (Intent::Reject, Activity::AwaitingPerson { .. } | Activity::Held { .. }) => true,
        (Intent::Start, Activity::Held { hold }) if hold.kind == HoldKind::NeedsInput => true,
        (Intent::Start, _) => return Err(Rejected::Duplicate),
        // A held task stands still, and yet it may stand in others' way: paused, it does not.
        (Intent::Pause, _) if plan.task.is_paused() => return Err(Rejected::Duplicate),
        (Intent::Pause, _) | (Intent::Resume, Activity::Held { .. }) => true,
        (Intent::Resume, _) if plan.task.paused => true,
        (Intent::Waive, Activity::Held { hold }) => return check_waive(plan, hold),
        _ => false,
    };
    if legal { Ok(()) } else { Err(Rejected::Illegal(Illegal::Unasked { intent, stands: activity.name() })) }
}

fn check_waive(plan: &Plan<'_>, hold: &Hold) -> Result<(), Rejected> {
    if !held_by_its_answer(hold.kind) {
        return Err(Rejected::Illegal(Illegal::NoAnswerHolds));
    }
    let Some(name) = &hold.step else {
        return Err(Rejected::Illegal(Illegal::RunHolds));
    };
    match plan.pipeline.step(&plan.task.position.stage, name) {
        Some(step) if step.waivable() => Ok(()),
        Some(_) => Err(Rejected::Illegal(Illegal::NeverWaived { step: name.clone() })),
        None => Err(Rejected::Illegal(Illegal::StepGone { step: name.clone() })),
    }
}

/// The step itself said so; not the board, the forge, a pause or the pipeline.
const fn held_by_its_answer(kind: HoldKind) -> bool {
    matches!(
        kind,
        HoldKind::Escalated
            | HoldKind::NeedsInput
            | HoldKind::Blocked
            | HoldKind::InfraExhausted
            | HoldKind::PatienceExhausted
            | HoldKind::FateUnknown
    )
}

fn reject(plan: &mut Plan<'_>, actor: &Actor, note: &str) {
    let note = if note.trim().is_empty() { Feedback::NO_REASON.to_owned() } else { cut(note) };
    let feedback = Feedback { source: format!("{actor}, who rejected"), plugin: None, findings: None, note };
    plan.note(Entry::FeedbackAdded { feedback });
    grant_if_spent(plan);
    plan.back();
}

/// A person's word stands above the cap.
fn grant_if_spent(plan: &mut Plan<'_>) {
    if plan.task.retries >= DEVELOPER_RETRIES + plan.task.granted_retries {
        plan.note(Entry::DeveloperRetryGranted);
    }
}

fn pause(plan: &mut Plan<'_>, activity: &Activity) {
    match activity {
        Activity::Waiting { .. } | Activity::AwaitingPerson { .. } => plan.pause_now(),
        _ => plan.note(Entry::PauseSet { on: true }),
    }
}

fn resume(plan: &mut Plan<'_>, hold: &Hold, actor: &Actor, note: &str) {
    plan.note(Entry::InfraRetriesRefreshed);
    if plan.task.paused {
        plan.note(Entry::PauseSet { on: false });
    }
    match hold.kind {
        HoldKind::Escalated => {
            grant_if_spent(plan);
            if !note.trim().is_empty() {
                add_note(plan, actor, note);
            }
            plan.back();
        }
        HoldKind::NeedsInput => again_with_answers(plan, actor, note),
        HoldKind::DeployedNotInMain if hold.step.is_some() => go_on_from_the_rebase(plan),
        HoldKind::MergedUntested if hold.step.is_some() && rebase_of(plan).is_some() => go_on_from_the_rebase(plan),
        HoldKind::NotProven if asks_in_vain(plan, hold) && rebase_of(plan).is_some() => go_on_from_the_rebase(plan),
        _ => plan.ask_again(hold.step.as_ref()),
    }
}

/// The step that proves said yes, and yet it is not the tested commit that is in main; or nobody tested what stands there:
/// asking again would say the same.
fn asks_in_vain(plan: &Plan<'_>, hold: &Hold) -> bool {
    let has_passed = hold.step.as_ref().is_some_and(|step| plan.task.passed.contains(step));
    has_passed || plan.task.validated.is_none() || plan.task.validated != plan.task.head
}

fn again_with_answers(plan: &mut Plan<'_>, actor: &Actor, note: &str) {
    if !note.trim().is_empty() {
        add_note(plan, actor, note);
    }
    let stage = plan.task.position.stage.clone();
    plan.enter_stage(&stage);
}

fn add_note(plan: &mut Plan<'_>, actor: &Actor, note: &str) {
    let feedback = Feedback { source: actor.to_string(), plugin: None, findings: None, note: cut(note) };
    plan.note(Entry::FeedbackAdded { feedback });
}

fn waive(plan: &mut Plan<'_>, hold: &Hold, actor: &Actor, why: &str) {
    let Some(step) = hold.step.clone() else {
        return;
    };
    plan.note(Entry::Waived { step: step.clone(), actor: actor.clone(), why: cut(why) });
    let retest = plan
        .pipeline
        .step(&plan.task.position.stage, &step)
        .is_some_and(|found| found.kind == StepKind::Action { action: Action::Retest });
    if retest && let Some(commit) = plan.task.head.clone() {
        plan.note(Entry::Validated { commit });
    }
    plan.pass(&step);
}

pub(crate) fn observe(plan: &mut Plan<'_>, observation: &Observation) -> Result<(), Rejected> {
    if is_known(plan, observation) {
        return Err(Rejected::Duplicate);
    }
    if matches!(observation, Observation::ForeignPush { .. }) && plan.in_critical_window() {
        return Err(Rejected::Illegal(Illegal::IrreversibleTells));
    }
    check_observation(plan, observation)?;
    plan.note(Entry::Observed { observation: observation.clone() });
    match observation {
        Observation::GoneFromBoard { by } => {
            plan.hold_from_outside(HoldKind::GoneFromBoard, &format!("gone from the board by {by}"));
        }
        Observation::RefusedAtForge { by } => {
            plan.hold_from_outside(HoldKind::RefusedAtForge, &format!("refused by {by} at the forge"));
        }
        Observation::ForeignPush { head } => foreign_head(plan, head),
        Observation::Landed { commit, by } => settle_followed(plan, commit, by),
        Observation::MergedElsewhere { commit, tested: true, .. } => {
            plan.note(Entry::Merged { commit: commit.clone() });
            plan.note(Entry::Validated { commit: commit.clone() });
        }
        Observation::MergedElsewhere { by, commit, .. } => {
            plan.note(Entry::ForeignMergeSeen { commit: commit.clone() });
            let reason = format!("merged by {by}, untested, as {commit}");
            plan.freeze(&reason);
            plan.hold_from_outside(HoldKind::MergedUntested, &reason);
        }
        Observation::WatchDegraded => plan.freeze("the deployed revision turned bad during its watch"),
        Observation::Labels { labels } => read_labels(plan, labels),
    }
    Ok(())
}

/// Of an observed task: others tested and merged, as they do without us. That the commit is in the base branch was seen in git;
/// there is nothing of ours to tidy.
fn settle_followed(plan: &mut Plan<'_>, commit: &CommitId, by: &str) {
    plan.note(Entry::Merged { commit: commit.clone() });
    let Some(stage) = plan.pipeline.terminal(Terminality::Done).map(|stage| stage.name.clone()) else {
        return plan.hold(HoldKind::PipelineChanged, "the pipeline has no end any more");
    };
    plan.note_visit(&stage);
    let said = format!("is done: {by} brought {commit} to {}", plan.task.base_branch);
    plan.settle(Terminality::Done, Notice::Done, &said);
}

/// What ends an observed task is what git shows, and it ends no other one.
fn check_observation(plan: &Plan<'_>, observation: &Observation) -> Result<(), Rejected> {
    let is_held = matches!(plan.task.position.activity, Activity::Held { .. });
    match (observation, plan.task.observed) {
        (Observation::Landed { .. }, false) => Err(Rejected::Illegal(Illegal::NotEndedByOthers)),
        (Observation::Landed { .. }, true) if is_held => Err(Rejected::Illegal(Illegal::OnlyAPerson)),
        (Observation::MergedElsewhere { .. }, true) => Err(Rejected::Illegal(Illegal::OnlyGit)),
        _ => Ok(()),
    }
}

/// A label that stands in for the person who is being asked lets the task on.
fn read_labels(plan: &mut Plan<'_>, labels: &[String]) {
    plan.note(Entry::LabelsRead { labels: labels.to_vec(), track: track_of(labels) });
    let Activity::AwaitingPerson { step, .. } = plan.task.position.activity.clone() else { return };
    let found = plan.pipeline.step(&plan.task.position.stage, &step);
    let waived = match found.map(|step| &step.kind) {
        Some(StepKind::Consent { waived_by, .. }) => waived_by.iter().any(|label| labels.contains(label)),
        _ => false,
    };
    if waived {
        plan.ask_again(Some(&step));
    }
}

fn track_of(labels: &[String]) -> Track {
    if labels.iter().any(|label| label.eq_ignore_ascii_case("bug")) { Track::Bug } else { Track::Full }
}

/// The task knows it already, or stands still already for what weighs as much: each look at the outside says the same again,
/// and two facts that are both true must not take turns.
fn is_known(plan: &Plan<'_>, observation: &Observation) -> bool {
    let task = &plan.task;
    match observation {
        Observation::GoneFromBoard { .. } | Observation::RefusedAtForge { .. } => {
            let put_off = task.put_off.as_ref().map(|put_off| put_off.kind);
            plan.hold_kind().or(put_off).is_some_and(|kind| {
                matches!(kind, HoldKind::GoneFromBoard | HoldKind::RefusedAtForge) || keeps_leases(kind)
            })
        }
        Observation::ForeignPush { head } => task.head.as_ref() == Some(head),
        Observation::MergedElsewhere { commit, .. } if task.merged.as_ref() == Some(commit) => plan.is_in_main(),
        Observation::MergedElsewhere { tested: false, commit, .. } => {
            plan.hold_kind() == Some(HoldKind::MergedUntested) || task.foreign_merge.as_ref() == Some(commit)
        }
        Observation::MergedElsewhere { .. } | Observation::Landed { .. } | Observation::WatchDegraded => false,
        Observation::Labels { labels } => task.labels == *labels && task.track == track_of(labels),
    }
}
