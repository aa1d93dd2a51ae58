//! STOP, at once or after the irreversible step, and the two ends (catalogue B9, H3, I4).

use domain::effect::{Effect, Notice};
use domain::entry::Entry;
use domain::event::{Answer, Event, Intent, Observation, StepFacts};
use domain::task::{HoldKind, Terminality};
use domain::verdict::InfraCause;
use engine::Rejected;

use crate::pipelines::{full, quick};
use crate::world::{World, commit};

fn gone() -> Event {
    Event::Observed { observation: Observation::GoneFromBoard { by: "bob".to_owned() } }
}

fn stopped_while_deploying() -> World {
    let mut world = World::new(full());
    world.walk_to("deploy acting deploy");
    world.go_on();
    world.intent(Intent::Stop, "enough").unwrap();
    assert_eq!(world.stands(), "deploy acting deploy");
    world
}

#[test]
fn a_panic_during_the_clean_up_does_not_end_the_stop() {
    let mut world = World::new(quick());
    world.intent(Intent::Stop, "enough").unwrap();
    let stopped_in = world.task.epoch;
    world.tell(&Event::Panicked { message: "a bug".to_owned(), unanswered: false }).unwrap();
    assert_eq!(world.stands(), "development stopping");
    assert!(world.task.epoch > stopped_in, "what went before it is late");
    let (_, again) = world.jobs.first().expect("the clean-up is wanted again");
    assert_eq!(again.effect, Effect::CleanUp);
    assert!(again.available_at > world.now, "after a pause");
}

#[test]
fn i4_1_a_stop_cancels_the_run_cleans_up_and_tells_once() {
    let mut world = World::new(quick());
    world.intent(Intent::Stop, "enough").unwrap();
    assert_eq!(world.stands(), "development stopping");
    let [(_, wanted)] = world.jobs.as_slice() else { panic!("one job") };
    assert_eq!(wanted.effect, Effect::CleanUp);
    world.go_on();
    assert_eq!(world.stands(), "cancelled settled");
    let notices = world.told.iter().filter(|effect| matches!(effect, Effect::Notify { .. })).count();
    assert_eq!((world.notices(Notice::Cancelled), notices), (1, 2), "the entry into development, and the end");
}

#[test]
fn i4_2_a_stop_of_a_task_that_awaits_a_person_is_immediate() {
    let mut world = World::new(full());
    world.walk_to("deploy awaiting-person confirm");
    world.intent(Intent::Stop, "").unwrap();
    assert_eq!(world.stands(), "deploy stopping");
}

#[test]
fn i4_2_a_stop_in_line_for_the_lease_leaves_the_line() {
    let mut world = World::new(full());
    world.walk_to("deploy acting deploy");
    world.intent(Intent::Stop, "").unwrap();
    assert_eq!(world.stands(), "deploy stopping");
    assert!(world.task.requested.is_empty());
}

#[test]
fn i4_3_a_stop_while_the_deploy_runs_takes_hold_after_it_and_a_second_changes_nothing() {
    let mut world = stopped_while_deploying();
    assert_eq!(world.intent(Intent::Stop, ""), Err(Rejected::Duplicate));
    world.go_on();
    assert_eq!(world.stands(), "deploy stopping");
    assert_eq!(world.task.deployed, world.task.head);
    world.go_on();
    assert_eq!((world.task.end(), world.notices(Notice::Cancelled)), (Some(Terminality::Cancelled), 1));
}

#[test]
fn i4_3_a_stop_while_the_merge_lands_ends_as_done() {
    let mut world = World::new(quick());
    world.walk_to("testing acting merge");
    world.intent(Intent::Stop, "").unwrap();
    world.go_on();
    world.go_on();
    assert_eq!(world.task.end(), Some(Terminality::Done), "its commit is in main: cancelled would be a lie");
}

#[test]
fn i4_5_a_stop_that_waits_takes_hold_whatever_ends_the_step() {
    let panicked = |unanswered| Event::Panicked { message: "index out of bounds".to_owned(), unanswered };
    for event in [gone(), panicked(false)] {
        let mut world = stopped_while_deploying();
        world.tell(&event).unwrap();
        assert_eq!(world.stands(), "deploy acting deploy", "{event:?}: it ends the step as little as the stop does");
        world.go_on();
        assert_eq!(world.stands(), "deploy stopping", "{event:?}");
    }
    let mut world = stopped_while_deploying();
    world.tell(&panicked(true)).unwrap();
    assert_eq!(world.stands(), "deploy stopping");
    let mut world = stopped_while_deploying();
    world.fail("exit 3");
    assert_eq!(world.stands(), "deploy stopping");
}

/// A fact about the repository is told even where the task itself is stopped.
#[test]
fn i4_3_a_stop_does_not_hide_that_main_holds_what_nobody_tested() {
    let mut world = World::new(quick());
    world.walk_to("testing acting merge");
    world.intent(Intent::Stop, "").unwrap();
    world.answer(Answer::Stuck { kind: HoldKind::MergedUntested, reason: "merged by bob, untested".to_owned() });
    assert_eq!((world.stands().as_str(), world.frozen.len()), ("testing stopping", 1));
}

#[test]
fn i4_3_a_stop_between_the_merge_and_its_proof_ends_as_done() {
    let mut world = World::new(quick());
    world.walk_to("testing acting prove-merged");
    world.answer(Answer::Infra { cause: InfraCause::Time, message: "no answer".to_owned(), retry_after: None });
    assert_eq!(world.stands(), "testing waiting prove-merged");
    world.intent(Intent::Stop, "").unwrap();
    assert_eq!(world.stands(), "testing waiting prove-merged");
    assert_eq!(world.intent(Intent::Stop, ""), Err(Rejected::Duplicate));
    world.go_on();
    world.go_on();
    assert_eq!(world.task.end(), Some(Terminality::Done));
}

#[test]
fn a_held_task_can_always_be_stopped() {
    let mut world = World::new(quick());
    world.walk_to("testing acting merge");
    world.intent(Intent::Stop, "").unwrap();
    world.go_on();
    let reason = "it is not in main".to_owned();
    world.answer(Answer::Stuck { kind: HoldKind::NotProven, reason });
    assert_eq!(world.hold_kind(), Some(HoldKind::NotProven));
    world.intent(Intent::Stop, "I said so").unwrap();
    assert_eq!(world.stands(), "testing stopping");
}

#[test]
fn b9_1_nothing_moves_a_cancelled_task() {
    let mut world = World::new(quick());
    let late = world.delivered();
    world.intent(Intent::Stop, "").unwrap();
    world.go_on();
    let epoch = world.task.epoch;
    let answer = Answer::Pass { note: String::new() };
    let events = [
        Event::TimerFired { epoch },
        Event::CleanedUp { epoch },
        Event::StepAnswered {
            epoch,
            step: crate::pipelines::step("merge"),
            answer,
            facts: StepFacts { merged: Some(commit(9)), ..StepFacts::default() },
            woken: false,
        },
        Event::Panicked { message: "late".to_owned(), unanswered: false },
        gone(),
        Event::PipelineChanged { digest: world.pipeline.digest().clone(), changed: Vec::new() },
    ];
    for event in events {
        assert_eq!(world.tell(&event), Err(Rejected::Terminal), "{event:?}");
    }
    for intent in [Intent::Start, Intent::Approve, Intent::Resume, Intent::Stop] {
        assert_eq!(world.intent(intent, ""), Err(Rejected::Terminal));
    }
    world.tell(&late).unwrap();
    assert_eq!((world.stands().as_str(), world.task.spent.cost_microusd), ("cancelled settled", 500));
}

#[test]
fn h3_1_a_watch_that_turns_bad_freezes_the_repository_and_moves_no_stage() {
    let mut world = World::new(full());
    world.walk_to("done settled");
    world.tell(&Event::Observed { observation: Observation::WatchDegraded }).unwrap();
    assert_eq!((world.stands().as_str(), world.frozen.len()), ("done settled", 1));
}

#[test]
fn h3_1_while_it_stops_a_task_takes_no_other_event() {
    let mut world = World::new(quick());
    world.intent(Intent::Stop, "").unwrap();
    assert_eq!(world.tell(&gone()), Err(Rejected::Late));
    assert_eq!(world.intent(Intent::Stop, ""), Err(Rejected::Duplicate));
    assert_eq!(world.intent(Intent::Resume, ""), Err(Rejected::Duplicate));
    let cancelled = |entry: &Entry| matches!(entry, Entry::StageEntered { stage, .. } if stage.as_str() == "cancelled");
    assert!(!world.entries.iter().any(cancelled), "it stands in its terminal only when all is gone");
}
