//! The other system beside an observed project.

use domain::ids::BranchName;
use store::SqliteStore;

use crate::people::any_task;
use crate::world::{Shared, look};

/// It cuts branches after its work items, pushes to them and merges.
pub(crate) fn work(world: &Shared, store: &SqliteStore) {
    let Some(task) = any_task(world, store) else { return };
    let named = BranchName::new(format!("bot/{}", task.work_item)).expect("a branch");
    let branch = task.branch.unwrap_or(named);
    let mut world = look(world);
    let (merges, file) = (world.luck.in_thousand(250), world.luck.below(24) as u8);
    world.tell(|| format!("the other system works on {branch}"));
    if merges {
        world.forge.merge_by_hand(&branch);
    } else if world.forge.push(&branch, file).is_none() {
        world.forge.cut_by_hand(&branch);
        world.forge.push(&branch, file);
    }
}
