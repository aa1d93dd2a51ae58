//! What a tracker or forge outside tells: it is believed as far as its sender is known, and brings a look at once.

use std::sync::atomic::Ordering;

use conductor::ports::inbox::DeliveryFilter;
use domain::ids::CommitId;
use domain::plugin::Failure;
use serde_json::json;
use webhooks::Source;

use crate::world::{UNHEARD, World, person, project};

fn rows(world: &World) -> Vec<(String, Option<String>)> {
    let rows =
        world.store.deliveries(&DeliveryFilter { source: Some("gitea".to_owned()), ..DeliveryFilter::default() }, 10);
    rows.unwrap().into_iter().map(|row| (row.state, row.effect)).collect()
}

fn status(commit: &str, name: &str) -> serde_json::Value {
    json!({"sha": commit, "context": name, "state": "success", "description": "", "updated_at": "2026-01-01T00:00:00Z"})
}

/// The board's own delivery of the stop was lost, and the mapper knows nothing at all: the hint brings the look at the log, and the
/// host matches the stop itself. Without the hint it would have stood there until the next poll.
#[test]
fn a_stop_comes_through_a_hint_whatever_the_mapper_does() {
    let world = World::new();
    world.started();
    let fails = || Err(Failure::GiveUp { message: "out of words".to_owned() });
    world.plugins.inbound.lock().unwrap().extend((0..9).map(|_| fails()));
    world.move_to("STOP", &person(UNHEARD));
    world.go();
    assert!(world.task().end().is_none(), "nobody told of it");
    world.tell(Source::Plane, "issue", &json!({"event": "issue", "action": "updated", "data": {"id": "x"}}), true);
    world.go();
    let entries = format!("{:?}", world.entries());
    assert!(entries.contains("Stop"), "{entries}");
}

#[test]
fn rule_b2_a_hint_looks_again_for_two_minutes_though_nothing_was_there() {
    let world = World::new();
    world.started();
    world.pass(300);
    let before = world.tracker.polls.load(Ordering::SeqCst);
    world.tell(Source::Plane, "issue_comment", &json!({"event": "issue_comment"}), true);
    world.go();
    let polls = |world: &World| world.tracker.polls.load(Ordering::SeqCst) - before;
    assert_eq!(polls(&world), 1);
    world.pass(1);
    assert_eq!(polls(&world), 2);
    world.pass(4);
    assert_eq!(polls(&world), 3);
    world.pass(25);
    assert_eq!(polls(&world), 4);
}

#[test]
fn a_check_is_kept_at_the_word_of_who_signed_it_and_of_nobody_else() {
    let world = World::new();
    world.started();
    let commit = CommitId::new("b".repeat(40)).unwrap();
    world.tell(Source::Gitea, "status", &status(commit.as_str(), "unsigned"), false);
    world.tell(Source::Gitea, "status", &status(commit.as_str(), "build"), true);
    world.tell(Source::Gitea, "status", &status(commit.as_str(), "gatewright/main/retest"), true);
    world.go();
    let kept = world.store.checks(&project(), &commit).unwrap();
    assert_eq!(kept.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), ["build"]);
    let effects = rows(&world).into_iter().map(|(_, effect)| effect.unwrap()).collect::<Vec<_>>();
    assert_eq!(effects[0], "the host reported it itself");
    assert_eq!(effects[2], "it is not signed, so it is not believed: a look at the forge");
}

#[test]
fn what_is_no_event_of_ours_is_closed_with_its_reason_and_holds_nobody_up() {
    let world = World::new();
    world.started();
    world.tell(Source::Gitea, "star", &json!({}), true);
    world.tell_raw(Source::Gitea, "push", b"{\"ref\": ", true);
    world.tell(Source::Gitea, "push", &json!({"ref": "refs/heads/x", "after": "c".repeat(40)}), true);
    world.go();
    let rows = rows(&world);
    let states = rows.iter().map(|(state, _)| state.as_str()).collect::<Vec<_>>();
    assert_eq!(states, ["expanded", "parked", "expanded"], "the newest first");
    assert_eq!(rows[2].1.as_deref(), Some("not understood: Gitea's `star`; a look at the forge"));
}

/// Neither sender comes again: what was not understood, and what was parked, is found by a look, and a flood of it by no more looks
/// than the clock makes.
#[test]
fn what_is_parked_or_not_understood_brings_a_look_and_a_flood_of_it_few() {
    let world = World::new();
    world.started();
    world.pass(300);
    let before = world.tracker.polls.load(Ordering::SeqCst);
    let polls = |world: &World| world.tracker.polls.load(Ordering::SeqCst) - before;
    world.tell_raw(Source::Plane, "issue", b"{", true);
    world.go();
    assert_eq!(polls(&world), 1, "parked");
    for number in 0..20 {
        world.tell(Source::Plane, "sticker", &json!({"event": "sticker", "n": number}), true);
        world.tell(Source::Plane, "issue", &json!({"event": "issue", "data": {"id": number}}), false);
        world.go();
        world.pass(1);
    }
    assert!(polls(&world) <= 2, "{} polls in 20 seconds", polls(&world));
    let after = polls(&world);
    world.pass(120);
    assert!((after + 1..=after + 3).contains(&polls(&world)), "the last of them is looked after: {}", polls(&world));
}
