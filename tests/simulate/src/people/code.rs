//! What people do at the forge.

use conductor::ports::store::Store as _;
use domain::event::Observation;
use domain::ids::{BranchName, CommitId, Epoch, TaskId};
use domain::plugin::{Check, CheckState};
use domain::task::{Activity, Task};
use domain::time::Timestamp;
use domain::verdict::WakeKind;
use store::SqliteStore;

use super::{DECIDER, STRANGER, any_task, observe, project};
use crate::weather::Trouble;
use crate::world::{Shared, look};

fn branch_of(world: &Shared, store: &SqliteStore) -> Option<(Task, BranchName)> {
    let task = any_task(world, store)?;
    let branch = task.branch.clone()?;
    Some((task, branch))
}

/// A webhook tells of it, or not: then the next look finds it.
pub(super) fn push(world: &Shared, store: &SqliteStore) {
    let Some((task, branch)) = branch_of(world, store) else { return };
    let (pushed, is_told) = {
        let mut world = look(world);
        let file = world.luck.below(24) as u8;
        world.tell(|| format!("a person pushes to {branch}"));
        (world.forge.push(&branch, file), world.luck.in_thousand(500))
    };
    if let Some(head) = pushed.filter(|_| is_told && task.end().is_none()) {
        observe(world, store, &task, Observation::ForeignPush { head });
    }
}

/// Whoever may write the repository does it, whether he may decide here or not.
fn somebody(world: &Shared) -> String {
    look(world).luck.one_of(&[DECIDER, STRANGER]).to_string()
}

pub(super) fn delete_branch(world: &Shared, store: &SqliteStore) {
    let Some((task, branch)) = branch_of(world, store) else { return };
    let is_told = {
        let mut world = look(world);
        world.forge.forget(&branch);
        world.tell(|| format!("a person deletes {branch}"));
        world.luck.in_thousand(500)
    };
    if is_told {
        observe(world, store, &task, Observation::RefusedAtForge { by: somebody(world) });
    }
}

pub(super) fn merge_by_hand(world: &Shared, store: &SqliteStore) {
    let Some((task, branch)) = branch_of(world, store) else { return };
    let (merged, is_told) = {
        let mut world = look(world);
        let merged = world.forge.merge_by_hand(&branch);
        if merged.is_some() {
            world.tell(|| format!("a person merges {branch} by hand"));
        }
        (merged, world.luck.in_thousand(600))
    };
    if let Some(commit) = merged.filter(|_| is_told) {
        let tested = task.validated.as_ref() == Some(&commit);
        observe(world, store, &task, Observation::MergedElsewhere { commit, by: somebody(world), tested });
    }
}

/// A check is reported at the forge. None: and nobody is told.
pub(super) fn report(world: &Shared, head: &CommitId) -> Option<Check> {
    let mut world = look(world);
    let (name, raw) = ("build".to_owned(), "success".to_owned());
    let at = Timestamp(world.now);
    let check =
        Check { name, state: CheckState::Success, raw, at, url: None, description: String::new(), report: None };
    world.forge.report(head, check.clone());
    let is_lost = world.weather.has(Trouble::Lost) && world.luck.in_thousand(500);
    if is_lost {
        world.tell(|| "and its delivery is lost".to_owned());
    }
    (!is_lost).then_some(check)
}

/// Tasks that wait for checks of a commit of which the forge has one that the store has not.
pub fn unheard(world: &Shared, store: &SqliteStore) -> Vec<(TaskId, Epoch)> {
    let Ok(tasks) = store.tasks(true, 20) else { return Vec::new() };
    let waits = |task: &Task| matches!(&task.position.activity, Activity::Waiting { step: Some(_), wake, .. } if wake.contains(WakeKind::Checks));
    let mut found = Vec::new();
    for task in tasks.iter().filter(|task| waits(task)) {
        let Some(head) = &task.head else { continue };
        let reported = look(world).forge.checks.get(head).cloned().unwrap_or_default();
        let known = store.checks(&project(), head).unwrap_or_default();
        if reported.iter().any(|check| !known.contains(check)) {
            found.push((task.id, task.epoch));
        }
    }
    found
}
