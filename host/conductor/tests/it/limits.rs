//! A run that took more of the machine than it may: no pass, no retry of the developer's, and a sentence that says what helps.

use conductor::ports::runs::Ending;
use conductor::ports::store::Incarnation;
use conductor::project::{CommandSpec, HookName, Worker};
use domain::document::Role;
use domain::limits::{Limit, RunLimits};
use domain::network::Network;
use domain::time::Milliseconds;

use crate::world::World;

/// All runs end so, until somebody must look.
fn exhausted(world: &World, ending: &Ending) -> usize {
    let mut runs = 0;
    while world.stands() == "running" {
        runs += world.runs.live().len();
        world.end_runs_as(ending);
        world.go();
    }
    runs
}

#[test]
fn a_run_past_a_limit_is_no_pass_and_costs_none_of_the_developers_retries() {
    for (limit, allowed, words) in [
        (Limit::Memory, 4 << 30, "it took more than 4GiB of memory and was ended"),
        (Limit::Processes, 2048, "it had more than 2048 processes and threads at one time"),
        (Limit::Disk, 20 << 30, "it took more than 20GiB of the disk"),
        (Limit::OpenFiles, 131_072, "its processes had more than 131072 files open together"),
    ] {
        let world = World::new();
        world.started();
        assert_eq!(exhausted(&world, &Ending::OverLimit { limit, allowed }), 3);
        let hold = world.hold();
        assert!(hold.starts_with("Undelivered: ") && hold.contains(words), "{hold}");
        assert!(hold.contains(&format!("set `{}` in `limits` of the worker", limit.key())), "{hold}");
        assert_eq!(world.task().retries, 0);
    }
}

#[test]
fn a_suite_past_a_limit_has_not_tested_anything() {
    let suite = CommandSpec {
        argv: vec!["suite".to_owned()],
        budget: Milliseconds::from_seconds(600),
        grace: Milliseconds::from_seconds(5),
        pass_environment: Vec::new(),
        readable: Vec::new(),
        writable: Vec::new(),
        network: Network::default(),
        limits: RunLimits::default(),
        sandboxed: true,
    };
    let world = World::with(|settings| {
        settings.hooks.insert(HookName::Test, suite.clone());
        settings.workers.insert(Role::Developer, Worker::Command(suite));
    });
    world.started();
    exhausted(&world, &Ending::OverLimit { limit: Limit::Memory, allowed: 4 << 30 });
    let hold = world.hold();
    assert!(hold.contains("the suite did not run to its end: it took more than 4GiB of memory"), "{hold}");
    assert_eq!((world.task().validated, world.task().retries), (None, 0));
}

/// A life of the host.
pub(crate) fn incarnation(life: u32) -> Incarnation {
    Incarnation {
        host: "here".to_owned(),
        boot_id: "boot".to_owned(),
        pid: life,
        start_time: u64::from(life),
        uuid: format!("{life:032}"),
    }
}
