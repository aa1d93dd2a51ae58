//! A clock that is set back makes nothing wait for as long as it went back.

use conductor::Work;
use conductor::ports::forge::ForgeError;
use domain::time::Milliseconds;

use crate::world::World;

const HOUR: u64 = 3600;

/// The forge said "later": the launch waits 90 seconds.
fn waiting() -> World {
    let world = World::new();
    let retry_after = Some(Milliseconds::from_seconds(90));
    let busy = ForgeError::Later { why: "429 Too Many Requests".to_owned(), retry_after };
    *world.forge.closed.lock().unwrap() = Some(busy);
    world.started();
    *world.forge.closed.lock().unwrap() = None;
    assert!(world.runs.live().is_empty());
    world
}

fn begins_after_its_90_seconds(world: &World) {
    world.go();
    assert!(world.runs.live().is_empty(), "it waits no less than it would have");
    world.pass(80);
    assert!(world.runs.live().is_empty());
    world.pass(11);
    assert_eq!(world.runs.live().len(), 1);
}

/// Its right is counted in a time that nobody sets: the next word for it comes as soon as if the clock stood where it did.
#[test]
fn a_run_is_let_live_on_though_the_clock_was_set_back_by_days() {
    let world = World::new();
    world.started();
    let run = world.runs.live()[0];
    let told = |world: &World| world.runs.rights.lock().unwrap().len();
    world.pass(7200);
    let before = told(&world);
    world.set_back(3 * 24 * 3600);
    world.pass(1);
    assert_eq!(told(&world), before + 1);
    assert_eq!(world.runs.rights.lock().unwrap().last(), Some(&(run, world.now().plus(conductor::RIGHT))));
    world.pass(1);
    assert_eq!(told(&world), before + 1, "and then no sooner than ever");
}

#[test]
fn a_clock_that_goes_back_under_a_living_host_makes_nothing_wait_longer() {
    let world = waiting();
    world.set_back(HOUR);
    begins_after_its_90_seconds(&world);
}

#[test]
fn nor_does_one_that_goes_back_while_no_host_lives() {
    let mut world = waiting();
    world.set_back(HOUR);
    world.restart();
    begins_after_its_90_seconds(&world);
    // The next start finds a time that was seen already, and moves nothing again.
    let _ = world.another();
    world.restart();
    world.go();
    assert_eq!(world.runs.live().len(), 2);
}

/// What a host claimed and did not begin is the next one's at once, whatever the clock says.
#[test]
fn the_job_of_a_dead_owner_runs_again_though_the_clock_went_back() {
    let mut world = World::new();
    world.started();
    let _ = world.another();
    let claimed = world.go_without("launch-agent");
    assert!(claimed.iter().any(|work| matches!(work, Work::Perform(_))), "its host dies before it begins");
    world.set_back(HOUR);
    world.restart();
    world.go();
    assert_eq!(world.runs.live().len(), 2);
}
