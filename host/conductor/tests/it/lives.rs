//! What one life of a host leaves to the next: runs, jobs, leases, a stop that was put off (catalogue C6, C7, H3, I4).

use conductor::ports::runs::Ending;
use conductor::project::HookName;
use domain::event::{Event, Intent};
use domain::ids::RunId;
use domain::pipeline::Action;
use domain::task::Terminality;
use serde_json::json;

use crate::ends::deployed_after;
use crate::leases::follows;
use crate::limits::command;
use crate::world::{World, person, plugin};

const HOUR: u64 = 3600;
const MONTH: u64 = 30 * 24 * HOUR;

fn only_run(world: &World) -> RunId {
    let live = world.runs.live();
    assert_eq!(live.len(), 1);
    live[0]
}

/// A run under way, in a house where everything is told.
fn told_of_all() -> World {
    let world = World::with(|settings| settings.notifiers = vec![(plugin("chat"), json!({}))]);
    world.started();
    world
}

#[test]
fn c6_1_a_run_is_taken_up_by_the_next_host_however_old_it_is_and_nobody_is_told() {
    let mut world = told_of_all();
    let run = only_run(&world);
    let noticed = |world: &World| {
        let told = world.plugins.told.lock().unwrap().len();
        (told, world.comments(), world.entries(), world.task(), world.runs.launches.lock().unwrap().len())
    };
    let before = noticed(&world);
    // No age of it makes it another one's: younger than a tick, older than any look, a month.
    for seconds in [0, 1, 2100, HOUR, MONTH] {
        world.clock_only(seconds);
        world.restart();
        world.go();
        assert_eq!((only_run(&world), noticed(&world)), (run, before.clone()), "after {seconds} s");
    }
    world.end_run(run, Ending::Exited(0), "");
    assert_eq!((world.stands(), world.task().run_retries), ("awaiting-person", 0));
}

/// Nothing but the owner's death makes a job another one's: here its run has ended a month ago, and the owner has not looked yet.
#[test]
fn c7_2_a_living_owners_job_is_its_own_however_long_ago_its_run_ended_and_a_dead_ones_is_taken_at_once() {
    for dies in [false, true] {
        let mut world = told_of_all();
        let run = only_run(&world);
        world.runs.end(run, Ending::Exited(0));
        world.clock_only(if dies { 0 } else { MONTH });
        if dies {
            world.restart();
        } else {
            assert_eq!(world.store.reap(&|_| true, world.now()).unwrap(), 0);
            assert!(world.waiting().is_empty());
            world.tell_end(run);
        }
        world.go();
        assert_eq!((world.stands(), world.task().run_retries), ("awaiting-person", 0), "dies: {dies}");
        assert_eq!(world.runs.launches.lock().unwrap().len(), 1, "dies: {dies}");
    }
}

/// The host that was told of the stop died before it had ended the run.
#[test]
fn h3_1_a_run_that_its_task_left_behind_is_ended_by_the_next_host_and_nothing_runs_again() {
    let mut world = told_of_all();
    let run = only_run(&world);
    let stop = Event::Intent { intent: Intent::Stop, actor: person("ada"), note: String::new() };
    world.store.apply(world.task().id, &stop, world.now()).unwrap();
    assert_eq!((only_run(&world), world.task().end()), (run, None), "nobody ended it yet");
    world.restart();
    world.go();
    assert!(world.runs.live().is_empty(), "whoever is there ends it");
    world.tell_end(run);
    world.pass(60);
    assert_eq!(world.task().end(), Some(Terminality::Cancelled));
    assert!(world.waiting().is_empty() && world.runs.live().is_empty());
    assert_eq!(world.runs.launches.lock().unwrap().len(), 1);
}

/// A stop during a deploy waits for what the hook says, over the death of its host too, and nothing follows the deploy.
#[test]
fn i4_5_a_stop_that_waits_for_a_deploy_takes_hold_in_the_next_life() {
    let mut world = World::with(|settings| {
        for (hook, program) in [(HookName::Test, "suite"), (HookName::Deploy, "ship")] {
            settings.hooks.insert(hook, command(program));
        }
    });
    follows(&world, deployed_after(&[Action::Retest]));
    world.started();
    for _ in ["the developer", "the suite"] {
        world.end_runs();
        world.go();
    }
    let hook = only_run(&world);
    world.stop(world.task().id);
    assert!(world.task().stop_requested && world.task().end().is_none());
    world.restart();
    world.go();
    assert_eq!((only_run(&world), world.task().stop_requested), (hook, true), "the hook is not ended half-way");
    world.end_run(hook, Ending::Exited(0), "");
    assert_eq!(world.task().end(), Some(Terminality::Cancelled));
    assert!(world.task().deployed.is_some() && world.task().merged.is_none());
    assert_eq!(world.runs.launches.lock().unwrap().len(), 3);
}
