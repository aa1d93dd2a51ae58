//! What is old goes; what anybody still needs stays.

use conductor::ports::runs::RunState;
use domain::ids::RunId;
use domain::task::Terminality;
use domain::time::Milliseconds;

use crate::world::World;

const KEPT: u64 = 3600;

/// A world whose first run has ended.
fn with_a_run() -> (World, RunId) {
    let world = World::new();
    world.conductor.keep_runs(Some(Milliseconds::from_seconds(KEPT)));
    world.started();
    let run = world.runs.live()[0];
    (world, run)
}

fn is_there(world: &World, run: RunId) -> bool {
    world.runs.runs.lock().unwrap().contains_key(&run)
}

fn collected(world: &World, run: RunId) -> bool {
    world.conductor.collect().unwrap();
    assert_eq!(is_there(world, run), world.store.when_collected(run).unwrap().is_none());
    !is_there(world, run)
}

#[test]
fn the_folder_of_a_run_goes_when_it_and_its_task_are_over_and_old() {
    let (world, run) = with_a_run();
    world.clock_only(2 * KEPT);
    assert!(!collected(&world, run), "it lives");
    world.end_runs();
    world.go();
    world.clock_only(2 * KEPT);
    assert!(!collected(&world, run), "its task waits for a person, who may want to read it");
    world.approve();
    assert_eq!(world.task().end(), Some(Terminality::Done));
    assert!(collected(&world, run));
    let row = world.store.run(run).unwrap();
    assert!(row.ended_at.is_some() && row.outcome.is_some(), "what it was and cost stays: {row:?}");
    let when = world.store.when_collected(run).unwrap();
    world.clock_only(60);
    assert!(collected(&world, run));
    assert_eq!(world.store.when_collected(run).unwrap(), when, "it went once");
}

#[test]
fn a_young_run_is_kept_and_one_that_nobody_wants_gone_for_ever() {
    let (world, run) = with_a_run();
    world.end_runs();
    world.go();
    world.approve();
    world.conductor.keep_runs(None);
    world.clock_only(1000 * KEPT);
    assert!(!collected(&world, run), "nobody said how long");
    let ever = Milliseconds::from_seconds(1001 * KEPT + 1_790_000_000);
    world.conductor.keep_runs(Some(ever));
    assert!(!collected(&world, run), "it is not old enough");
}

/// Of a stopped task too; and a folder that cannot be removed is not told as gone, and stands in no other's way.
#[test]
fn a_folder_that_stays_is_not_told_as_gone() {
    let (world, run) = with_a_run();
    world.stop(world.task().id);
    world.pass(60);
    assert_eq!(world.task().end(), Some(Terminality::Cancelled));
    world.clock_only(2 * KEPT);
    world.runs.stuck.lock().unwrap().push(run);
    assert!(!collected(&world, run));
    world.runs.stuck.lock().unwrap().clear();
    world.clock_only(60);
    assert!(collected(&world, run));
}

#[test]
fn a_host_that_died_between_the_folder_and_the_row_writes_it_down_later() {
    let (world, run) = with_a_run();
    world.end_runs();
    world.go();
    world.approve();
    world.clock_only(2 * KEPT);
    world.runs.runs.lock().unwrap().insert(run, RunState::Absent);
    world.conductor.collect().unwrap();
    assert!(world.store.when_collected(run).unwrap().is_some());
    assert_eq!(world.store.when_collected(RunId(9999)).unwrap(), None);
}
