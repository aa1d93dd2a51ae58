//! Notices: told once to each that takes them, again to those that ask for it, in order.

use std::collections::VecDeque;

use domain::plugin::Failure;
use domain::time::Milliseconds;
use domain::verdict::{GateHold, Verdict};
use serde_json::json;

use crate::drivers::retry;
use crate::world::{World, person, plugin};

fn world_with(names: &[&str]) -> World {
    World::with(|settings| settings.notifiers = names.iter().map(|name| (plugin(name), json!({}))).collect())
}

fn script(world: &World, name: &str, answers: Vec<Result<(), Failure>>) {
    world.plugins.notifiers.lock().unwrap().insert(name.to_owned(), VecDeque::from(answers));
}

/// How often each was told of its first notice.
fn told(world: &World, name: &str) -> usize {
    let told = world.plugins.told.lock().unwrap();
    let first = told[0].1.id;
    told.iter().filter(|(who, notice)| *who == plugin(name) && notice.id == first).count()
}

#[test]
fn one_failing_notifier_makes_nobody_hear_it_twice() {
    let mut world = world_with(&["good", "flaky"]);
    script(&world, "flaky", vec![Err(retry("busy", None)), Err(retry("busy", None))]);
    world.started();
    assert_eq!((told(&world, "good"), told(&world, "flaky")), (1, 1));
    world.restart();
    world.pass(3);
    assert_eq!((told(&world, "good"), told(&world, "flaky")), (1, 2));
    world.pass(5);
    assert_eq!((told(&world, "good"), told(&world, "flaky")), (1, 3));
    world.pass(3600);
    assert_eq!((told(&world, "good"), told(&world, "flaky")), (1, 3));
    assert!(world.notes().contains(&"told the notifiers: stage-entered".to_owned()), "{:?}", world.notes());
}

#[test]
fn where_there_is_no_notifier_the_history_says_that_nobody_was_told() {
    let world = world_with(&[]);
    world.started();
    world.pass(1);
    let notes = world.notes();
    assert!(notes.contains(&"told nobody, for the project has no notifier: stage-entered".to_owned()), "{notes:?}");
    assert!(!notes.iter().any(|note| note.contains("told the notifiers")), "{notes:?}");
}

#[test]
fn one_plugin_may_be_told_under_two_settings() {
    let world = World::with(|settings| {
        settings.notifiers = vec![(plugin("chat"), json!({"room": 1})), (plugin("chat"), json!({"room": 2}))];
    });
    script(&world, "chat", vec![Ok(()), Err(retry("busy", None))]);
    world.started();
    world.pass(10);
    let rooms =
        world.plugins.told.lock().unwrap().iter().map(|(_, notice)| notice.settings.clone()).collect::<Vec<_>>();
    assert_eq!(rooms, [r#"{"room":1}"#, r#"{"room":2}"#, r#"{"room":2}"#]);
}

#[test]
fn a_notifier_that_gives_up_is_not_asked_again() {
    let world = world_with(&["dead", "flaky"]);
    script(&world, "dead", vec![Err(Failure::GiveUp { message: "the chat is gone".to_owned() })]);
    script(&world, "flaky", vec![Err(retry("busy", None))]);
    world.started();
    world.pass(10);
    assert_eq!((told(&world, "dead"), told(&world, "flaky")), (1, 2));
    let note = "told the notifiers: stage-entered; dead was given up: the chat is gone".to_owned();
    assert!(world.notes().contains(&note), "{:?}", world.notes());
}

#[test]
fn the_pause_that_a_notifier_asks_for_is_kept_and_is_at_most_an_hour() {
    let world = world_with(&["slow"]);
    let hours = Milliseconds::from_seconds(10 * 3600);
    script(&world, "slow", vec![Err(retry("limit", Some(Milliseconds(90_000)))), Err(retry("limit", Some(hours)))]);
    world.started();
    world.pass(89);
    assert_eq!(told(&world, "slow"), 1);
    world.pass(1);
    assert_eq!(told(&world, "slow"), 2);
    world.pass(3599);
    assert_eq!(told(&world, "slow"), 2);
    world.pass(1);
    assert_eq!(told(&world, "slow"), 3);
}

#[test]
fn a_notice_that_nobody_takes_is_given_up_and_the_board_does_not_wait_for_it() {
    let world = world_with(&["deaf"]);
    script(&world, "deaf", (0..8).map(|_| Err(retry("busy", Some(Milliseconds::from_seconds(600))))).collect());
    world.started();
    world.end_runs();
    world.go();
    assert_eq!((world.stands(), world.status().as_str()), ("awaiting-person", "In Review"));
    for _ in 0..9 {
        world.pass(600);
    }
    assert_eq!(told(&world, "deaf"), 8);
    assert!(
        world.notes().iter().any(|note| note.contains("deaf was given up: guest: busy: busy")),
        "{:?}",
        world.notes()
    );
}

#[test]
fn the_sequence_of_a_tasks_notices_grows_with_each_notice() {
    let world = world_with(&["chat"]);
    let hold = Verdict::Hold { kind: GateHold::NeedsInput, reason: "which shop?".to_owned(), findings: Vec::new() };
    world.plugins.gate.lock().unwrap().push_back(hold);
    world.started();
    world.end_runs();
    world.go();
    assert_eq!((world.stands(), world.status().as_str()), ("held", "Needs Input"));
    world.move_to("To Analyse", &person("ada"));
    world.go();
    let told = world.plugins.told.lock().unwrap();
    let events = told.iter().map(|(_, notice)| notice.event.as_str()).collect::<Vec<_>>();
    assert_eq!(events, ["stage-entered", "questions", "released", "stage-entered"]);
    let sequence = told.iter().map(|(_, notice)| notice.sequence).collect::<Vec<_>>();
    assert!(sequence.is_sorted_by(|one, next| one < next), "{sequence:?}");
}
