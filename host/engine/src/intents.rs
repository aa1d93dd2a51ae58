//! What people want, and what the host saw them do.

use domain::effect::Feedback;
use domain::entry::Entry;
use domain::event::{Intent, Observation};
use domain::ids::Actor;
use domain::pipeline::{Action, Consent, DEVELOPER_RETRIES, StepKind};
use domain::task::{Activity, Hold, HoldKind, Track};

use crate::answers::{foreign_head, go_on_from_the_rebase};
use crate::plan::{Plan, cut};
use crate::step::{Rejected, illegal};

/// What stands in a brief where somebody rejected without a word.
const NO_REASON: &str = "Rejected without a reason. Look at the ticket again.";

pub(crate) fn decide(plan: &mut Plan<'_>, intent: Intent, actor: &Actor, note: &str) -> Result<(), Rejected> {
    let activity = plan.task.position.activity.clone();
    check(plan, intent, &activity)?;
    plan.note(Entry::IntentTaken { intent, actor: actor.clone(), note: cut(note) });
    match (intent, activity) {
        (Intent::Stop, Activity::Acting { .. }) if in_critical_window(plan) => plan.note(Entry::StopDeferred),
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
        (Intent::Stop, _) if plan.task.stop_requested => return Err(Rejected::Duplicate),
        (Intent::Stop, _) => true,
        (Intent::Approve, Activity::AwaitingPerson { consent, .. }) => *consent == Consent::Approve,
        (Intent::ConfirmDeploy, Activity::AwaitingPerson { consent, .. }) => *consent == Consent::Confirm,
        (Intent::Reject, Activity::AwaitingPerson { .. } | Activity::Held { .. }) => true,
        (Intent::Start, Activity::Held { hold }) if hold.kind == HoldKind::NeedsInput => true,
        (Intent::Start, _) => return Err(Rejected::Duplicate),
        (Intent::Pause, Activity::Held { .. }) => false,
        (Intent::Pause, _) if plan.task.paused => return Err(Rejected::Duplicate),
        (Intent::Pause, _) | (Intent::Resume, Activity::Held { .. }) => true,
        (Intent::Resume, _) if plan.task.paused => true,
        (Intent::Waive, Activity::Held { hold }) => return check_waive(plan, hold),
        _ => false,
    };
    if legal { Ok(()) } else { Err(illegal(&expected(intent, activity))) }
}

fn expected(intent: Intent, activity: &Activity) -> String {
    let stands = activity.name();
    match intent {
        Intent::Approve => format!("`approve` answers a step that asks for it; the task is {stands}"),
        Intent::ConfirmDeploy => format!("`confirm-deploy` answers a step that asks for it; the task is {stands}"),
        Intent::Reject => format!("`reject` answers a step that asks a person, or a hold; the task is {stands}"),
        Intent::Resume | Intent::Waive => format!("only a held task can be let on; this one is {stands}"),
        Intent::Pause => "a held task stands still already".to_owned(),
        Intent::Estimate => "an estimate changes no task".to_owned(),
        Intent::Start | Intent::Stop => format!("the task is {stands}"),
    }
}

fn check_waive(plan: &Plan<'_>, hold: &Hold) -> Result<(), Rejected> {
    let Some(name) = &hold.step else {
        return Err(illegal("a run holds, not a step: there is nothing to waive; `resume` launches it again"));
    };
    match plan.pipeline.step(&plan.task.position.stage, name) {
        Some(step) if step.waivable() => Ok(()),
        Some(_) => Err(illegal(&format!("`{name}` can never be waived"))),
        None => Err(illegal(&format!("`{name}` is no step of this edge any more; `resume` goes on with the next one"))),
    }
}

/// Between the start of an irreversible action and its answer a stop only takes note.
fn in_critical_window(plan: &Plan<'_>) -> bool {
    let step = plan.task.position.activity.step();
    let found = step.and_then(|name| plan.pipeline.step(&plan.task.position.stage, name));
    found.is_some_and(|step| {
        matches!(step.kind, StepKind::Action { action: Action::Deploy | Action::Merge | Action::ProveMerged })
            && step.lease.iter().chain(&plan.task.requested).all(|lease| plan.task.leases.contains_key(lease))
    })
}

fn reject(plan: &mut Plan<'_>, actor: &Actor, note: &str) {
    let note = if note.trim().is_empty() { NO_REASON.to_owned() } else { cut(note) };
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
    match hold.kind {
        HoldKind::Escalated => {
            grant_if_spent(plan);
            if !note.trim().is_empty() {
                add_note(plan, actor, note);
            }
            plan.back();
        }
        HoldKind::NeedsInput => again_with_answers(plan, actor, note),
        HoldKind::DeployedNotInMain => go_on_from_the_rebase(plan),
        _ => plan.ask_again(hold.step.as_ref()),
    }
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
    let Some(step) = hold.step.clone() else { return };
    plan.note(Entry::Waived { step: step.clone(), actor: actor.clone(), why: cut(why) });
    let retest = plan.pipeline.step(&plan.task.position.stage, &step).is_some_and(|found| {
        found.kind == StepKind::Action { action: Action::Retest }
    });
    if retest && let Some(commit) = plan.task.head.clone() {
        plan.note(Entry::Validated { commit });
    }
    plan.pass(&step);
}

pub(crate) fn observe(plan: &mut Plan<'_>, observation: &Observation) -> Result<(), Rejected> {
    if let Activity::Held { hold } = &plan.task.position.activity
        && held_for_this(hold.kind, observation)
    {
        return Err(Rejected::Duplicate);
    }
    plan.note(Entry::Observed { observation: observation.clone() });
    match observation {
        Observation::GoneFromBoard { by } => {
            plan.hold(HoldKind::GoneFromBoard, &format!("gone from the board by {by}"));
        }
        Observation::RefusedAtForge { by } => {
            plan.hold(HoldKind::RefusedAtForge, &format!("refused by {by} at the forge"));
        }
        Observation::ForeignPush { head } if plan.task.head.as_ref() == Some(head) => return Err(Rejected::Duplicate),
        Observation::ForeignPush { head } => foreign_head(plan, head),
        Observation::MergedElsewhere { commit, tested: true, .. } => {
            plan.note(Entry::Merged { commit: commit.clone() });
            plan.note(Entry::Validated { commit: commit.clone() });
        }
        Observation::MergedElsewhere { by, commit, .. } => {
            let reason = format!("merged by {by}, untested, as {commit}");
            plan.freeze(&reason);
            plan.hold(HoldKind::MergedUntested, &reason);
        }
        Observation::WatchDegraded => plan.freeze("the deployed revision turned bad during its watch"),
        Observation::Labels { labels } => {
            let bug = labels.iter().any(|label| label.eq_ignore_ascii_case("bug"));
            let track = if bug { Track::Bug } else { Track::Full };
            plan.note(Entry::LabelsRead { labels: labels.clone(), track });
        }
    }
    Ok(())
}

fn held_for_this(kind: HoldKind, observation: &Observation) -> bool {
    matches!(
        (kind, observation),
        (HoldKind::GoneFromBoard, Observation::GoneFromBoard { .. })
            | (HoldKind::RefusedAtForge, Observation::RefusedAtForge { .. })
            | (HoldKind::MergedUntested, Observation::MergedElsewhere { tested: false, .. })
    )
}
