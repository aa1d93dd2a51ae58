//! Runs as work: how many there are, why one failed, who is refused by a service, what is not there; and how a host ends.

use std::sync::mpsc::channel;
use std::time::Duration;

use conductor::breaker::{Breaker, COOL_DOWN, FAILURES};
use conductor::ports::runs::{Ending, LaunchError};
use conductor::ports::store::{ClaimLimits, WaitReason};
use conductor::preflight::PREFLIGHT_INTERVAL;
use conductor::shutdown::{Left, Manner, Phase};
use conductor::{Tick, Work};
use domain::entry::Entry;
use domain::event::Spent;
use domain::ids::{JobId, RunId};
use domain::pipeline::TRANSIENT_RETRIES;
use domain::time::Milliseconds;
use domain::verdict::{Finding, Severity, Verdict, WakeKind, WakeSet};

use crate::limits::incarnation;
use crate::records::missing;
use crate::world::{World, item, person, project};

const REFUSED: &str = "API Error: 429 Too Many Requests\nRetry-After: 30\n";

fn only_run(world: &World) -> RunId {
    let live = world.runs.live();
    assert_eq!(live.len(), 1);
    live[0]
}

fn breaker(world: &World) -> Breaker {
    world.store.drivers().unwrap().pop().map_or_else(Breaker::default, |row| row.breaker)
}

#[test]
fn c1_1_of_two_runs_one_waits_where_one_is_the_limit() {
    let mut world = World::new();
    world.limits = ClaimLimits::of(1);
    world.started_many(2);
    for _ in 0..2 {
        let run = only_run(&world);
        world.end_run(run, Ending::Exited(0), "");
    }
    assert_eq!(world.runs.live(), []);
    assert_eq!(world.runs.runs.lock().unwrap().len(), 2);
}

#[test]
fn c2_1_a_job_whose_program_is_missing_takes_no_place() {
    let mut world = World::with(|settings| settings.runs = Some(1));
    world.limits = ClaimLimits::of(2);
    world.started_many(2);
    let waiting = world.waiting();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].reason.clone(), Some(WaitReason::Slot));
    assert_eq!(waiting[0].note.as_deref(), Some("1 run of the project `shop` is under way"));
    let run = only_run(&world);
    world.end_run(run, Ending::Exited(0), "");
    assert_ne!(only_run(&world), run);
}

#[test]
fn c3_1_a_refused_run_is_tried_again_after_what_the_service_says_and_costs_no_attempt() {
    let world = World::new();
    world.started();
    world.end_run(only_run(&world), Ending::Exited(1), REFUSED);
    let task = world.task();
    assert_eq!((task.retries, task.run_retries, task.transient_retries), (0, 0, 1));
    assert_eq!(world.runs.live(), []);
    let waiting = world.waiting();
    assert_eq!((waiting[0].reason.clone(), waiting[0].attempts), (Some(WaitReason::Time), 0));
    assert!(waiting[0].available_at >= world.now().plus(Milliseconds::from_seconds(30)));
    world.pass(29);
    assert_eq!(world.runs.live(), []);
    world.pass(1);
    world.end_run(only_run(&world), Ending::Exited(0), "");
    assert_eq!(world.stands(), "awaiting-person");
}

#[test]
fn c3_1_the_log_of_another_run_has_no_say() {
    let world = World::new();
    world.started();
    let first = only_run(&world);
    world.end_run(first, Ending::Exited(1), REFUSED);
    world.pass(30);
    // What lies about of the first one is there still.
    assert_eq!(world.runs.logs.lock().unwrap()[&first], REFUSED);
    world.end_run(only_run(&world), Ending::Exited(1), "assertion failed\n");
    assert_eq!((world.task().run_retries, world.task().transient_retries), (1, 1));
}

#[test]
fn c3_2_what_is_refused_again_and_again_is_held_with_one_alert() {
    let world = World::new();
    world.started();
    for _ in 0..=TRANSIENT_RETRIES {
        world.end_run(only_run(&world), Ending::Exited(1), REFUSED);
        world.pass(3600);
    }
    assert!(world.hold().starts_with("InfraExhausted: the run failed 11 times"), "{}", world.hold());
    assert_eq!((world.task().retries, world.task().run_retries), (0, 0));
}

#[test]
fn c3_3_a_plain_failure_at_the_last_attempt_is_held() {
    let world = World::new();
    world.started();
    for _ in 0..3 {
        world.end_run(only_run(&world), Ending::Exited(1), "");
    }
    assert!(world.hold().starts_with("Undelivered: "), "{}", world.hold());
    assert_eq!(world.runs.live(), []);
}

#[test]
fn c3_4_a_run_that_was_ended_by_its_time_costs_one_attempt_and_nothing_of_it_is_salvaged() {
    let world = World::new();
    world.started();
    let run = only_run(&world);
    world.end_run(run, Ending::TimedOut, "VERDICT: PASS\nAPI Error: 429\nRetry-After: 30\n");
    let task = world.task();
    assert_eq!((task.run_retries, task.transient_retries, task.retries), (1, 0, 0));
    assert_eq!(task.position.stage.as_str(), "development");
    assert_eq!(task.head, task.base, "no commit of its was taken");
    assert_ne!(only_run(&world), run, "launched again at once");
    assert!(world.store.run(run).unwrap().timed_out);
}

#[test]
fn c4_1_a_missing_program_keeps_its_jobs_queued_until_it_is_there() {
    let world = World::new();
    world.runs.missing.lock().unwrap().insert("agent".to_owned(), missing("agent"));
    world.started();
    let waits = |world: &World| {
        let job = &world.waiting()[0];
        let why = job.note.clone().unwrap();
        assert!(why.contains("`agent`") && why.contains("no such file"), "{why}");
        (job.reason.clone(), job.attempts)
    };
    assert_eq!(waits(&world), (Some(WaitReason::Program), 0));
    world.pass(3600);
    assert_eq!(waits(&world), (Some(WaitReason::Program), 0));
    assert_eq!((world.task().run_retries, world.task().runs), (0, 0));
    assert!(world.store.runs(world.task().id, 10).unwrap().is_empty());
    world.runs.missing.lock().unwrap().clear();
    world.pass(PREFLIGHT_INTERVAL.0 / 1000);
    world.end_run(only_run(&world), Ending::Exited(0), "");
    assert_eq!(world.stands(), "awaiting-person");
}

#[test]
fn c4_1_a_program_that_goes_between_the_look_and_the_launch_costs_nothing_either() {
    let world = World::new();
    world.runs.vanishing.lock().unwrap().push("agent".to_owned());
    world.started();
    for _ in 0..5 {
        world.pass(60);
        let task = world.task();
        assert_eq!((task.position.activity.name(), task.run_retries, task.runs), ("running", 0, 0));
    }
    let row = world.store.runs(world.task().id, 10).unwrap().remove(0);
    assert!(row.outcome.unwrap().starts_with("not started: `agent` cannot begin: "));
    world.runs.vanishing.lock().unwrap().clear();
    world.pass(PREFLIGHT_INTERVAL.0 / 1000);
    let run = only_run(&world);
    assert_eq!(world.store.run(run).unwrap().outcome, None);
    world.end_run(run, Ending::Exited(0), "");
    assert_eq!(world.stands(), "awaiting-person");
}

#[test]
fn c6_3_a_broken_preflight_keeps_nobody_from_starting() {
    let mut world = World::new();
    let broken = LaunchError::Infra("the probe cannot be started".to_owned());
    world.runs.missing.lock().unwrap().insert("agent".to_owned(), broken);
    world.restart();
    world.started();
    assert_eq!(world.runs.live().len(), 1);
}

#[test]
fn c4_2_the_breaker_opens_for_all_tasks_of_a_driver_outlives_a_restart_and_closes_after_a_success() {
    let mut world = World::new();
    world.limits = ClaimLimits::of(FAILURES + 3);
    world.started_many(FAILURES + 1);
    for run in world.runs.live().into_iter().take(FAILURES as usize) {
        world.end_run(run, Ending::Exited(1), "API Error: 529 overloaded");
    }
    let Breaker::Open { until, .. } = breaker(&world) else { panic!("{:?}", breaker(&world)) };
    world.restart();
    world.card("To Analyse");
    world.go();
    assert_eq!(world.runs.live().len(), 1, "the one that was under way");
    assert!(world.waiting().iter().all(|job| job.reason == Some(WaitReason::Breaker)), "{:?}", world.waiting());
    let tick: Tick = world.conductor.tick(&world.limits, 8).unwrap();
    assert!(tick.look_again <= Some(until), "time alone lets the probe through");
    world.pass(COOL_DOWN.0 / 1000);
    assert_eq!(world.runs.live().len(), 2, "one goes ahead to see");
    assert!(matches!(breaker(&world), Breaker::HalfOpen { .. }));
    let probe = *world.runs.live().last().unwrap();
    world.end_run(probe, Ending::Exited(1), "API Error: 529 overloaded");
    assert!(matches!(breaker(&world), Breaker::Open { trips: 1, .. }));
    world.pass(2 * COOL_DOWN.0 / 1000);
    let probe = *world.runs.live().last().unwrap();
    world.end_run(probe, Ending::Exited(0), "");
    assert_eq!(breaker(&world), Breaker::default());
    world.pass(3600);
    assert_eq!(world.runs.live().len(), FAILURES as usize + 1, "all the others go on");
    assert_eq!(world.task().run_retries, 0);
}

/// A probe that is gone without an answer is no answer: the next one goes ahead.
#[test]
fn c4_2_a_probe_that_was_stopped_makes_room_for_another() {
    let mut world = World::new();
    world.limits = ClaimLimits::of(20);
    world.started_many(FAILURES);
    for run in world.runs.live() {
        world.end_run(run, Ending::Exited(1), "overloaded");
    }
    world.pass(COOL_DOWN.0 / 1000);
    let Breaker::HalfOpen { probe, .. } = breaker(&world) else { panic!("{:?}", breaker(&world)) };
    let job =
        world.store.jobs(&world.limits, world.now(), 100).unwrap().into_iter().find(|job| job.id == probe).unwrap();
    world.stop(job.task);
    let Breaker::HalfOpen { probe: second, .. } = breaker(&world) else { panic!("{:?}", breaker(&world)) };
    assert_ne!(second, probe);
    assert_eq!(world.runs.live(), [RunId(second.0)]);
}

#[test]
fn c7_3_of_the_reaped_and_the_reaper_one_ends_the_run() {
    let mut world = World::new();
    world.started();
    let run = only_run(&world);
    world.runs.end(run, Ending::Exited(0));
    let old = world.finish_later(run);
    world.restart();
    world.go();
    assert_eq!(world.stands(), "awaiting-person");
    let (version, entries) = (world.task().version, world.entries());
    world.perform(vec![old]);
    assert_eq!((world.task().version, world.entries()), (version, entries.clone()), "who lost does nothing");
    assert_eq!(entries.iter().filter(|entry| matches!(entry, Entry::RunEnded { .. })).count(), 1);
}

/// What a run left takes ten minutes to be taken over. Meanwhile the host goes on looking, people go on talking, whoever watches runs
/// tells of the end again, another task goes its way, and another worker looks for something to claim.
#[test]
fn d3_1_while_a_run_is_taken_over_for_ten_minutes_nothing_else_moves_its_task() {
    let world = World::new();
    world.started();
    let run = only_run(&world);
    world.runs.end(run, Ending::Exited(0));
    let finish = world.finish_later(run);
    let (began, has_begun) = channel();
    let (go_on, may_go_on) = channel();
    *world.forge.holds_up.lock().unwrap() = Some((began, may_go_on));
    let before = world.task();
    let taken_over = || world.entries().iter().filter(|entry| matches!(entry, Entry::RunEnded { .. })).count();
    std::thread::scope(|threads| {
        // If what follows fails, the thread is let go of, and the test ends.
        let go_on = go_on;
        let finishing = threads.spawn(|| world.conductor.perform(finish).unwrap());
        has_begun.recv_timeout(Duration::from_mins(1)).unwrap();
        let (run_of_another, other) = world.another();
        world.go();
        world.end_run(run_of_another(&world), Ending::Exited(0), "");
        assert_eq!(world.store.task(other).unwrap().position.activity.name(), "awaiting-person", "the host goes on");
        for minute in 1..=10 {
            match minute {
                2 => world.move_to("Approved", &person("ada")),
                3 => world.say("Is it done yet?", &person("ada")),
                4 => world.tell_end(run),
                5 => drop(world.store.wake(&project(), item().as_str(), WakeKind::Comment, world.now()).unwrap()),
                _ => {}
            }
            world.pass(60);
            assert_eq!(world.store.reap(&|owner| *owner == incarnation(1), world.now()).unwrap(), 0);
            let claimed = world.store.claim(&incarnation(2), &world.limits, world.now()).unwrap();
            assert_eq!(claimed.map(|claim| claim.job.effect), None, "minute {minute}");
            assert_eq!(world.store.claimed_jobs(before.id).unwrap(), [JobId(run.0)], "minute {minute}");
            let task = world.task();
            assert_eq!((task.position, task.epoch), (before.position.clone(), before.epoch), "minute {minute}");
            assert_eq!((taken_over(), world.runs.live()), (0, Vec::new()), "minute {minute}");
        }
        go_on.send(()).unwrap();
        finishing.join().unwrap();
    });
    assert_eq!((taken_over(), world.stands()), (1, "judging"));
    world.pass(3600);
    assert_eq!((taken_over(), world.stands()), (1, "awaiting-person"), "what was said too early approved nothing");
    let deeds = world.forge.deeds.lock().unwrap().clone();
    assert_eq!(deeds.iter().filter(|deed| **deed == "take over").count(), 2, "each task's run once");
    assert_eq!((world.task().runs, world.task().run_retries), (1, 0));
}

#[test]
fn c7_4_exit_0_before_a_red_gate_moves_nothing_on() {
    let world = World::new();
    let finding = Finding {
        rule: "r".to_owned(),
        severity: Severity::Blocker,
        title: "red".to_owned(),
        detail: String::new(),
        path: None,
        line: None,
        help: None,
    };
    let fail = Verdict::Fail { findings: vec![finding], figures: Vec::new() };
    world.plugins.gate.lock().unwrap().push_back(fail);
    world.started();
    world.end_run(only_run(&world), Ending::Exited(0), "");
    assert_eq!((world.task().position.stage.as_str(), world.task().position.visit), ("development", 2));
    assert_eq!(world.runs.live().len(), 1);
}

#[test]
fn c8_1_what_waits_launches_nothing_and_costs_nothing() {
    let world = World::new();
    let until = world.now().plus(Milliseconds::from_seconds(60));
    let wait = Verdict::Wait { until, wake: WakeSet::empty(), why: "not yet".to_owned() };
    world.plugins.gate.lock().unwrap().push_back(wait);
    world.started();
    world.end_run(only_run(&world), Ending::Exited(0), "");
    assert_eq!(world.stands(), "waiting");
    let (runs, spent) = (world.task().runs, world.task().spent);
    world.pass(60);
    assert_eq!(world.stands(), "awaiting-person");
    assert_eq!((world.task().runs, world.task().spent), (runs, spent));
    assert_eq!(world.task().spent, Spent { wall: spent.wall, ..Spent::default() }, "time alone, and only the run's");
    assert_eq!(world.runs.runs.lock().unwrap().len(), 1);
}

#[test]
fn a_host_that_drains_claims_nothing_new_and_ends_with_its_last_run() {
    let mut world = World::new();
    world.limits = ClaimLimits::of(1);
    world.started_many(2);
    let mut phase = Phase::Serving.after_signal(Manner::Drain);
    assert_eq!(world.conductor.left(), Left { runs: 1, pieces: 0 });
    assert!(!phase.is_over(world.conductor.left()) && !phase.claims());
    let run = only_run(&world);
    world.runs.end(run, Ending::Exited(0));
    let work = world.drain(run);
    assert!(matches!(work.as_slice(), [Work::Finish(_), ..]), "{work:?}");
    assert!(!phase.is_over(world.conductor.left()), "its end is not taken over yet");
    for piece in work {
        world.conductor.perform(piece).unwrap();
    }
    assert!(phase.is_over(world.conductor.left()));
    assert_eq!(world.runs.live(), [], "the second card's run was not claimed");
    phase = Phase::Draining.after_signal(Manner::Drain);
    assert_eq!(phase, Phase::AtOnce);
}
