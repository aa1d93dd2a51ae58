//! What belongs to an activity that its task has left, told all the same: by somebody who was slow, and whom no fence stopped.

use conductor::ports::store::Store as _;
use domain::event::{Answer, Event, FailureClass, RunOutcome, StepFacts, Withholder};
use domain::ids::{CommitId, Epoch, RunId, StepName};
use domain::task::Task;
use store::SqliteStore;

use super::any_task;
use crate::world::{Shared, look};

/// No run of ours has such a number.
const NOBODYS_RUN: u64 = 1 << 40;

/// An answer of an earlier activity reaches a task.
pub(super) fn tell(world: &Shared, store: &SqliteStore) {
    let Some(task) = any_task(world, store).filter(|task| task.epoch.0 > 1) else { return };
    let (event, now) = {
        let mut world = look(world);
        let epoch = Epoch(1 + world.luck.below(task.epoch.0 - 1));
        let word = world.luck.number();
        (late(&task, epoch, word), world.clock())
    };
    look(world).tell(|| format!("task {} hears a {} of epoch {:?}", task.id, event.name(), event.epoch()));
    let _ = store.apply(task.id, &event, now);
}

fn late(task: &Task, epoch: Epoch, word: u64) -> Event {
    let head = CommitId::new("0".repeat(40)).expect("a commit's id");
    let step = task.position.activity.step().cloned();
    let step = step.unwrap_or_else(|| StepName::new("approve").expect("a step"));
    let answer = match word / 6 % 4 {
        0 => Answer::Pass { note: "late".to_owned() },
        1 => Answer::BaseMoved { base: head.clone() },
        2 => Answer::HeadMoved { head: head.clone() },
        _ => Answer::NotApplicable { why: "late".to_owned() },
    };
    match word % 6 {
        0 => {
            let validated = Some(head.clone());
            let facts = StepFacts { head: Some(head), validated, ..StepFacts::default() };
            Event::StepAnswered { epoch, step, answer, facts, woken: false }
        }
        1 => {
            let outcome = match word / 6 % 2 {
                0 => RunOutcome::Delivered { head: Some(head), documents: Vec::new(), validated: None },
                _ => RunOutcome::Undelivered {
                    cause: "late".to_owned(),
                    retry_after: None,
                    class: FailureClass::Permanent,
                },
            };
            let run = RunId(NOBODYS_RUN + word % 1_000_000);
            Event::RunEnded { epoch, run, outcome, spent: None, role: None }
        }
        2 => Event::TimerFired { epoch },
        3 => Event::BranchCut { epoch, branch: task.base_branch.clone(), base: head, documents: Vec::new() },
        4 => Event::Withheld { epoch, by: Withholder::Guard, reason: "late".to_owned() },
        _ => Event::CleanedUp { epoch },
    }
}
