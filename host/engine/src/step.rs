//! The one function that decides, and the one `match` that shows what is legal.

use domain::effect::{Change, Wanted};
use domain::entry::Entry;
use domain::event::{Event, RunOutcome};
use domain::pipeline::Pipeline;
use domain::task::{Activity, HoldKind, PutOff, Task};
use domain::time::Timestamp;
use serde::Serialize;

use crate::illegal::Illegal;
use crate::plan::{Plan, cut};
use crate::{answers, dependencies, intents, runs};

/// What an event leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What happened: `task' = fold(task, entries)`.
    pub entries: Vec<Entry>,
    /// True in the same transaction.
    pub changes: Vec<Change>,
    /// They become jobs.
    pub effects: Vec<Wanted>,
}

/// Why an event does nothing. It is recorded, and it is no error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "rejected", content = "why")]
pub enum Rejected {
    /// It belongs to an activity that the task has left.
    #[error("late: it belongs to an activity that the task has left")]
    Late,
    /// It happened already.
    #[error("duplicate: it happened already")]
    Duplicate,
    /// It means nothing where the task stands.
    #[error("illegal here: {0}")]
    Illegal(Illegal),
    /// The task has ended.
    #[error("terminal: the task has ended")]
    Terminal,
}

impl Rejected {
    /// As rows and answers spell it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::Illegal(_) => "illegal",
            Self::Terminal => "terminal",
        }
    }
}

/// Decides. `task` is not changed: folding the entries into it is the caller's.
pub fn step(pipeline: &Pipeline, task: &Task, event: &Event, now: Timestamp) -> Result<Step, Rejected> {
    let mut plan = Plan::new(pipeline, task, now);
    decide(&mut plan, event)?;
    stop_if_it_waited(&mut plan, task);
    hold_if_it_was_put_off(&mut plan, task);
    Ok(plan.finish())
}

/// A hold that was put off takes hold as a stop does: as soon as the irreversible step is left, unless only the proof is. The step
/// answered, or nothing of it had begun.
fn hold_if_it_was_put_off(plan: &mut Plan<'_>, before: &Task) {
    let left = matches!(before.position.activity, Activity::Acting { .. }) && plan.task.epoch != before.epoch;
    if left
        && !plan.only_the_proof_is_left()
        && let Some(PutOff { kind, reason }) = plan.task.put_off.clone()
    {
        plan.hold(kind, &reason);
    }
}

/// A stop that was put off takes hold as soon as the irreversible step is left, whatever ended it. Where the commit landed
/// and nothing is left but its proof, the task goes on to its end instead: cancelled would be a lie.
fn stop_if_it_waited(plan: &mut Plan<'_>, before: &Task) {
    let left = matches!(before.position.activity, Activity::Acting { .. }) && plan.task.epoch != before.epoch;
    let ends = matches!(plan.task.position.activity, Activity::Stopping | Activity::Settled { .. });
    if plan.task.stop_requested && left && !ends && !plan.only_the_proof_is_left() {
        plan.stop();
    }
}

fn decide(plan: &mut Plan<'_>, event: &Event) -> Result<(), Rejected> {
    if plan.task.end().is_some() {
        return after_the_end(plan, event);
    }
    if event.epoch().is_some_and(|epoch| epoch != plan.task.epoch) {
        return late(plan, event);
    }
    match (&plan.task.position.activity.clone(), event) {
        (_, Event::AftermathEnded { note }) => plan.note(Entry::AftermathEnded { note: note.clone() }),
        (_, Event::IntentRefused { intent, actor, why }) => {
            plan.note(Entry::IntentRefused { intent: *intent, actor: actor.clone(), why: cut(why) });
        }
        (Activity::Stopping, Event::CleanedUp { .. }) => plan.settle_cancelled(),
        // The stop stands: whatever panicked, the clean-up may have been its victim.
        (Activity::Stopping, Event::Panicked { message, .. }) => {
            plan.note(Entry::Panicked { message: cut(message) });
            plan.clean_up_again();
        }
        (Activity::Stopping, Event::Intent { .. }) => return Err(Rejected::Duplicate),
        (Activity::Stopping, _) => return Err(Rejected::Late),
        (_, Event::CleanedUp { .. }) => return Err(Rejected::Illegal(Illegal::NoCleanUp)),
        (Activity::Held { .. }, Event::Panicked { message, .. }) => {
            plan.note(Entry::Panicked { message: cut(message) });
        }
        (_, Event::Panicked { message, unanswered }) => {
            plan.note(Entry::Panicked { message: cut(message) });
            if *unanswered {
                plan.hold(HoldKind::Panicked, message);
            } else {
                plan.hold_from_outside(HoldKind::Panicked, message);
            }
        }
        (_, Event::Intent { intent, actor, note }) => return intents::decide(plan, *intent, actor, note),
        (_, Event::Observed { observation }) => return intents::observe(plan, observation),
        (_, Event::DependencyAdded { needs, on, actor }) => return dependencies::add(plan, *needs, on, actor),
        (_, Event::DependencyRemoved { needs, on, actor }) => return dependencies::remove(plan, *needs, on, actor),
        (_, Event::PrerequisiteCancelled { needs, on }) => return dependencies::cancelled(plan, *needs, on),
        (_, Event::DependencyCycle { cycle, alerts }) => return dependencies::cycle(plan, cycle, *alerts),
        (_, Event::PipelineChanged { digest, changed }) => runs::pipeline_changed(plan, digest, changed),
        // A way may begin with a step: whatever needs the branch first cuts it.
        (
            Activity::Running { .. } | Activity::Judging { .. } | Activity::Acting { .. },
            Event::BranchCut { branch, base, .. },
        ) => return runs::branch_cut(plan, branch, base),
        (Activity::Running { .. }, Event::RunEnded { outcome: RunOutcome::Followed { .. }, .. })
            if !plan.task.observed =>
        {
            return Err(Rejected::Illegal(Illegal::NotCarriedOn));
        }
        (Activity::Running { attempt }, Event::RunEnded { run, outcome, spent, role, .. }) => {
            runs::ended(plan, *attempt, runs::Ended { run: *run, spent: *spent, role: *role }, outcome);
        }
        (activity @ (Activity::Running { .. } | Activity::Acting { .. }), Event::Withheld { by, reason, .. }) => {
            return runs::withheld(plan, activity, *by, reason);
        }
        (Activity::Judging { step }, Event::StepAnswered { step: answered, answer, facts, woken, .. })
        | (Activity::Acting { step }, Event::StepAnswered { step: answered, answer, facts, woken, .. })
            if step == answered =>
        {
            answers::decide(plan, step, answer, facts, *woken);
        }
        (Activity::Acting { .. } | Activity::Judging { .. }, Event::LeaseGranted { name, token }) => {
            return answers::lease_granted(plan, name, *token);
        }
        (Activity::Waiting { step, .. }, Event::TimerFired { .. }) => plan.ask_again(step.as_ref()),
        (Activity::Waiting { step, wake, .. }, Event::Woken { kind }) if wake.contains(*kind) => {
            plan.ask_again(step.as_ref());
        }
        (activity, event) => {
            return Err(unawaited(activity, event));
        }
    }
    Ok(())
}

/// Only aftermath is recorded at a terminal task; a watch that turns bad freezes the repository.
fn after_the_end(plan: &mut Plan<'_>, event: &Event) -> Result<(), Rejected> {
    use domain::event::Observation;
    match event {
        Event::AftermathEnded { note } => plan.note(Entry::AftermathEnded { note: note.clone() }),
        Event::Observed { observation: Observation::WatchDegraded } => {
            plan.note(Entry::Observed { observation: Observation::WatchDegraded });
            plan.freeze("the deployed revision turned bad during its watch");
        }
        Event::RunEnded { run, spent, role, .. } if spent.is_some() => {
            plan.note(Entry::RunEnded { run: *run, outcome: "late".to_owned(), spent: *spent, role: *role });
        }
        _ => return Err(Rejected::Terminal),
    }
    Ok(())
}

/// A late run still cost something.
fn late(plan: &mut Plan<'_>, event: &Event) -> Result<(), Rejected> {
    match event {
        Event::RunEnded { run, spent, role, .. } if spent.is_some() => {
            plan.note(Entry::RunEnded { run: *run, outcome: "late".to_owned(), spent: *spent, role: *role });
            Ok(())
        }
        _ => Err(Rejected::Late),
    }
}

fn unawaited(activity: &Activity, event: &Event) -> Rejected {
    Rejected::Illegal(Illegal::Unawaited { event: event.name(), stands: activity.name() })
}
