//! Merging: forward only, once, and only what was seen.

use std::fs;
use std::sync::Barrier;

use conductor::ports::forge::{Forge, ForgeError, Sight};
use domain::ids::TaskId;

use crate::world::{Work, World, branch, git, id, mark};

fn merge(
    work: &Work<'_>,
    job: u64,
    head: &domain::ids::CommitId,
    base: &domain::ids::CommitId,
) -> Result<conductor::ports::forge::Merged, ForgeError> {
    work.world.forge.merge_fast_forward(&mark(work.task, job), &work.branch, head, &branch("main"), base)
}

#[test]
fn a_merge_moves_the_base_and_signs_the_reflog() {
    let world = World::new();
    let work = world.start(7);
    let base = world.main();
    work.commit("a", "a");
    let head = work.take_clean(2).head;
    let merged = merge(&work, 3, &head, &base).unwrap();
    assert_eq!((&merged.commit, &merged.base_head, merged.already), (&head, &head, false));
    assert_eq!(world.main(), head);
    let log = fs::read_to_string(world.bare().join("logs/refs/heads/main")).unwrap();
    assert!(log.trim_end().ends_with("task 7 job 3: merge feature/T-7"), "{log}");
    git(&world.user, &["pull", "-q", "gatewright", "main"]);
    assert!(world.user.join("a").exists());
    assert_eq!(git(&world.user, &["log", "-1", "--format=%H"]), head.as_str());
}

#[test]
fn a_repeat_is_success_even_after_others_merged_and_the_branch_is_gone() {
    let world = World::new();
    let work = world.start(7);
    let base = world.main();
    work.commit("a", "a");
    let head = work.take_clean(2).head;
    merge(&work, 3, &head, &base).unwrap();
    let again = merge(&work, 3, &head, &base).unwrap();
    assert!(again.already && again.commit == head);
    git(&world.user, &["pull", "-q", "gatewright", "main"]);
    git(&world.user, &["commit", "-q", "--allow-empty", "-m", "Later"]);
    git(&world.user, &["push", "-q", "gatewright", "main"]);
    assert_eq!(world.forge.discard_branch(TaskId(1), &work.branch, &head).unwrap(), None);
    let again = merge(&work, 3, &head, &base).unwrap();
    assert!(again.already && again.base_head == world.main() && again.base_head != head);
}

#[test]
fn a_moved_base_a_moved_branch_and_a_deleted_one_are_told() {
    let world = World::new();
    let work = world.start(7);
    let base = world.main();
    work.commit("a", "a");
    let first = work.take_clean(2).head;
    work.commit("b", "b");
    let mut request = work.take_request(3);
    request.expected = first.clone();
    let second = world.forge.take_over(&request).unwrap().head;
    let moved = merge(&work, 4, &first, &base);
    assert!(
        matches!(moved, Err(ForgeError::Moved { branch, found: Some(found), .. }) if branch == work.branch && found == second)
    );
    git(&world.user, &["commit", "-q", "--allow-empty", "-m", "By hand"]);
    git(&world.user, &["push", "-q", "gatewright", "main"]);
    let now = world.main();
    let moved = merge(&work, 4, &second, &base);
    assert!(
        matches!(moved, Err(ForgeError::Moved { branch, found: Some(found), .. }) if branch.as_str() == "main" && found == now)
    );
    // Seen, but not rebased.
    let refused = merge(&work, 4, &second, &now);
    assert!(matches!(refused, Err(ForgeError::Refused(text)) if text.contains("rebased")));
    assert_eq!(world.main(), now);
    git(&world.user, &["push", "-q", "gatewright", ":feature/T-7"]);
    assert!(matches!(merge(&work, 4, &second, &now), Err(ForgeError::Moved { found: None, .. })));
    let unknown = merge(&work, 4, &id(&"1".repeat(40)), &now);
    assert!(matches!(unknown, Err(ForgeError::NotFound(_))));
}

#[test]
fn a_call_that_ends_before_the_ref_moves_may_be_repeated() {
    let world = World::new();
    let work = world.start(7);
    let (base, name) = (world.main(), work.branch.clone());
    work.commit("a", "a");
    work.write("b", "b");
    let blocked = |of: &str| world.bare().join("refs/heads").join(format!("{of}.lock"));
    // A lock of this moment: another git is at work, or was when the machine stopped.
    fs::write(blocked("feature/T-7"), "").unwrap();
    let request = work.take_request(2);
    assert!(matches!(world.forge.take_over(&request), Err(ForgeError::Infra(_))));
    assert_eq!(work.head(), base);
    fs::remove_file(blocked("feature/T-7")).unwrap();
    let head = world.forge.take_over(&request).unwrap().head;
    fs::write(blocked("main"), "").unwrap();
    assert!(matches!(merge(&work, 3, &head, &base), Err(ForgeError::Infra(_))));
    assert_eq!(world.main(), base);
    fs::remove_file(blocked("main")).unwrap();
    assert!(!merge(&work, 3, &head, &base).unwrap().already);
    fs::write(blocked("feature/T-7"), "").unwrap();
    assert!(world.forge.discard_branch(TaskId(1), &name, &head).is_err());
    fs::remove_file(blocked("feature/T-7")).unwrap();
    assert_eq!(world.forge.discard_branch(TaskId(1), &name, &head).unwrap(), None);
}

#[test]
fn of_two_that_merge_at_once_one_wins() {
    let world = World::new();
    let works = [world.start(7), world.start(8)];
    let base = world.main();
    for work in &works {
        work.commit(&format!("file-{}", work.task), "x");
        work.take_clean(2);
    }
    let barrier = Barrier::new(works.len());
    let outcomes = std::thread::scope(|scope| {
        let threads = works.each_ref().map(|work| {
            let (barrier, base) = (&barrier, &base);
            scope.spawn(move || {
                barrier.wait();
                merge(work, 3, &work.head(), base)
            })
        });
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(outcomes.iter().any(|outcome| matches!(outcome, Err(ForgeError::Moved { .. }))), "{outcomes:?}");
    let winner = works.iter().zip(&outcomes).find(|(_, outcome)| outcome.is_ok()).unwrap().0.head();
    assert_eq!(world.main(), winner);
}

#[test]
fn the_whole_way_from_branch_to_main_survives_a_restart_between_all_steps() {
    let world = World::new();
    let task = world.start(7);
    task.commit("a", "a");
    task.write("b", "b");
    let name = task.branch.clone();
    let request = task.take_request(2);
    let world = world.restarted();
    let head = world.forge.take_over(&request).unwrap().head;
    git(&world.user, &["commit", "-q", "--allow-empty", "-m", "By hand"]);
    git(&world.user, &["push", "-q", "gatewright", "main"]);
    let base = world.main();
    let world = world.restarted();
    let head = world.forge.rebase(&mark(7, 3), &name, &head, &base).unwrap().head;
    let world = world.restarted();
    world.forge.merge_fast_forward(&mark(7, 4), &name, &head, &branch("main"), &base).unwrap();
    let world = world.restarted();
    assert!(world.forge.is_ancestor(&head, &world.main()).unwrap());
    world.forge.remove_clones(domain::ids::TaskId(7)).unwrap();
    assert_eq!(world.forge.discard_branch(TaskId(1), &name, &head).unwrap(), None);
    assert_eq!(world.forge.task_branches().unwrap(), []);
    assert_eq!(world.forge.branch_head(&name).unwrap(), None);
}

/// A stop may come while a run's work is being taken over: what the task never heard of is its own all the same.
#[test]
fn i4_1_a_branch_goes_with_the_moves_that_its_task_never_heard_of_and_stays_with_anybody_elses() {
    let world = World::new();
    let work = world.start(7);
    let from = work.head();
    work.commit("a", "a");
    let head = work.take_clean(2).head;
    assert_ne!(head, from);
    assert_eq!(world.forge.discard_branch(TaskId(70), &work.branch, &from).unwrap(), Some(head));
    assert_eq!(world.forge.discard_branch(TaskId(7), &work.branch, &from).unwrap(), None);
    assert_eq!(world.forge.task_branches().unwrap(), []);
}
