//! One task whose agent says that its service refuses: nobody else waits for that (catalogue C3, C4).

use conductor::breaker::{Breaker, COOL_DOWN, FAILURES};
use conductor::ports::runs::Ending;
use conductor::ports::store::{ClaimLimits, WaitReason};
use domain::ids::{RunId, TaskId};

use crate::world::World;

/// What a hostile ticket has its agent print before it exits with 1.
const AT_ONCE: &str = "retry-after: 0\n";

fn breaker(world: &World) -> Breaker {
    world.store.drivers().unwrap().pop().map_or_else(Breaker::default, |row| row.breaker)
}

/// The run of this task that lives, if one does.
fn run_of(world: &World, task: TaskId) -> Option<RunId> {
    let newest = world.store.runs(task, 1).unwrap().first().map(|row| row.id);
    newest.filter(|run| world.runs.live().contains(run))
}

/// Two cards with runs under way: whose agent refuses at its own will, and another.
fn two_tasks() -> (World, TaskId, TaskId) {
    let mut world = World::new();
    world.limits = ClaimLimits::of(20);
    world.started_many(2);
    let task = |run: RunId| world.store.run(run).unwrap().task;
    let tasks = world.runs.live().into_iter().map(task).collect::<Vec<_>>();
    let [hostile, honest] = tasks[..] else { panic!("{tasks:?}") };
    (world, hostile, honest)
}

/// The task's run is refused, and the next one begins.
fn refuse(world: &World, task: TaskId) {
    world.end_run(run_of(world, task).unwrap(), Ending::Exited(1), AT_ONCE);
    world.pass(1);
}

/// A breaker that both opened, the hostile one last; the other waits too, and its launch is the younger one.
fn opened_by_both() -> (World, TaskId, TaskId) {
    let (world, hostile, honest) = two_tasks();
    refuse(&world, honest);
    for _ in 1..FAILURES {
        refuse(&world, hostile);
    }
    assert!(matches!(breaker(&world), Breaker::Open { trips: 0, .. }), "{:?}", breaker(&world));
    refuse(&world, honest);
    assert!(world.runs.live().is_empty());
    (world, hostile, honest)
}

fn prober(world: &World) -> TaskId {
    let Breaker::HalfOpen { probe, .. } = breaker(world) else { panic!("{:?}", breaker(world)) };
    world.store.run(RunId(probe.0)).unwrap().task
}

#[test]
fn c3_2_a_told_wait_of_nothing_is_a_pause_all_the_same() {
    let world = World::new();
    world.started();
    let run = world.runs.live()[0];
    world.end_run(run, Ending::Exited(1), AT_ONCE);
    assert!(world.runs.live().is_empty(), "it was launched again at once");
    assert!(world.waiting()[0].available_at > world.now());
    world.pass(1);
    assert_eq!(world.runs.live().len(), 1);
}

#[test]
fn c4_2_one_task_alone_opens_no_breaker() {
    let (world, hostile, honest) = two_tasks();
    world.end_run(run_of(&world, honest).unwrap(), Ending::Exited(0), "");
    for _ in 0..2 * FAILURES {
        refuse(&world, hostile);
        assert!(matches!(breaker(&world), Breaker::Closed { .. }), "{:?}", breaker(&world));
    }
    let before = world.runs.live().len();
    world.card("To Analyse");
    world.go();
    assert_eq!(world.runs.live().len(), before + 1, "another ticket goes its way");
}

#[test]
fn c4_2_who_was_refused_last_is_no_probe_while_another_waits() {
    let (world, hostile, honest) = opened_by_both();
    let waits = world.waiting();
    let since = |task| waits.iter().find(|job| job.task == task).unwrap().available_at;
    assert!(since(hostile) < since(honest), "by the order of the claims it would be the hostile one's");
    world.pass(COOL_DOWN.0 / 1000);
    assert_eq!(prober(&world), honest);
    assert_eq!(world.waiting()[0].reason, Some(WaitReason::Breaker));
    // It is served, and both go on.
    world.end_run(run_of(&world, honest).unwrap(), Ending::Exited(0), "");
    assert_eq!(breaker(&world), Breaker::default());
    assert!(run_of(&world, hostile).is_some());
}

/// Where nobody else could go ahead, it is that task again: nobody waits for ever.
#[test]
fn c4_2_who_was_refused_last_is_the_probe_where_nobody_else_waits() {
    let (world, hostile, honest) = opened_by_both();
    world.stop(honest);
    world.pass(COOL_DOWN.0 / 1000);
    assert_eq!(prober(&world), hostile);
}
