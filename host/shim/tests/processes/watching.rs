//! The watcher: one call for each end, however the run ended, and none is missed.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use agents::{RunState, Runner, SandboxMode, Watcher};
use rustix::process::Signal;

use crate::scene::{LONG, World, await_file, live, record, signal};

fn watcher(runner: &std::sync::Arc<Runner>) -> (Watcher, Receiver<u64>) {
    let (ended, ends) = channel();
    let watcher = Watcher::new(std::sync::Arc::clone(runner), Box::new(move |job| ended.send(job).unwrap())).unwrap();
    (watcher, ends)
}

#[test]
fn each_end_is_told_once() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    let (watcher, ends) = watcher(&runner);
    for job in 1..=3 {
        let script = format!("until [ -e go{job} ]; do sleep 0.01; done; exit {job}");
        runner.launch(job, &world.script(&script)).unwrap();
        watcher.add(job).unwrap();
        watcher.add(job).unwrap();
    }
    for job in [2, 3, 1] {
        std::fs::write(world.path(&format!("clone/go{job}")), "").unwrap();
        assert_eq!(ends.recv_timeout(LONG).unwrap(), job);
        assert!(matches!(runner.inspect(job).unwrap(), RunState::Ended(_)));
    }
    drop(watcher);
    assert!(ends.recv().is_err(), "nothing was told twice");
}

#[test]
fn a_run_that_is_over_already_is_told_at_once() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    runner.launch(1, &world.script("true")).unwrap();
    record(&runner, 1);
    let (watcher, ends) = watcher(&runner);
    watcher.add(1).unwrap();
    watcher.add(2).unwrap();
    let mut told = [ends.recv_timeout(LONG).unwrap(), ends.recv_timeout(LONG).unwrap()];
    told.sort_unstable();
    assert_eq!(told, [1, 2]);
}

#[test]
fn a_lost_run_is_told_too() {
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    let (watcher, ends) = watcher(&runner);
    let info = live(&runner.launch(1, &world.script("echo here > ready; sleep 1000")).unwrap());
    watcher.add(1).unwrap();
    await_file(&world.path("clone/ready"));
    signal(info.pid, Signal::KILL);
    assert_eq!(ends.recv_timeout(LONG).unwrap(), 1);
    assert!(matches!(runner.inspect(1).unwrap(), RunState::Lost(_)));
    runner.remove(1).unwrap();
}

#[test]
fn a_callback_that_panics_leaves_the_others_watched() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    let (ended, ends) = channel();
    let on_end = move |job| {
        assert_ne!(job, 1, "this one panics, as it should");
        ended.send(job).unwrap();
    };
    let watcher = Watcher::new(std::sync::Arc::clone(&runner), Box::new(on_end)).unwrap();
    for job in [1, 2] {
        runner.launch(job, &world.script("true")).unwrap();
        record(&runner, job);
        watcher.add(job).unwrap();
    }
    assert_eq!(ends.recv_timeout(LONG).unwrap(), 2);
}

#[test]
fn a_watcher_that_is_dropped_ends_no_run() {
    let world = World::new();
    let runner = world.runner(SandboxMode::None);
    let (watcher, ends) = watcher(&runner);
    runner.launch(1, &world.script("sleep 1000")).unwrap();
    watcher.add(1).unwrap();
    drop(watcher);
    assert!(ends.recv_timeout(Duration::from_millis(1)).is_err());
    assert!(runner.inspect(1).unwrap().is_live());
    runner.cancel(1).unwrap();
    record(&runner, 1);
}
