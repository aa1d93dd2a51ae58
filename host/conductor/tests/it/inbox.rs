//! The inbox: what a person's move means, once, or why it means nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::entry::Entry;
use domain::event::Intent;
use domain::ids::Actor;
use domain::plugin::{Failure, GuardDecision, MapperIntent};
use domain::task::Terminality;
use domain::time::Milliseconds;

use crate::drivers::retry;
use crate::world::{World, guard, item, person, project};

/// A task whose work is done and whose question stands on the board.
fn asked() -> World {
    asked_of(World::new())
}

fn asked_of(world: World) -> World {
    world.started();
    world.end_runs();
    world.go();
    assert_eq!((world.stands(), world.status().as_str()), ("awaiting-person", "In Review"));
    world
}

/// What was refused, and why.
fn refused(world: &World) -> Vec<(Intent, String)> {
    let of = |entry| match entry {
        Entry::IntentRefused { intent, why, .. } => Some((intent, why)),
        _ => None,
    };
    world.entries().into_iter().filter_map(of).collect()
}

#[test]
fn a_card_is_carried_from_its_start_to_its_end() {
    let world = asked();
    world.move_to("Approved", &person("ada"));
    world.go();
    assert_eq!((world.stands(), world.status().as_str()), ("settled", "Done"));
    assert!(world.comments().last().unwrap().contains("is done"));
}

#[test]
fn a_delivery_that_cannot_be_read_yet_is_read_later() {
    let world = World::new();
    world.plugins.inbound.lock().unwrap().push_back(Err(retry("trapped", None)));
    world.started();
    assert!(world.store.task_of(&project(), &item()).unwrap().is_none());
    world.pass(2);
    world.go();
    assert_eq!(world.stands(), "running");
}

#[test]
fn a_delivery_that_fails_eight_times_is_parked_and_the_next_one_goes_on() {
    let world = World::new();
    world.plugins.inbound.lock().unwrap().extend((0..8).map(|_| Err(retry("trapped", None))));
    world.started();
    let mut seconds = 0;
    while !world.store.pending_deliveries(10).unwrap().is_empty() {
        world.pass(1);
        seconds += 1;
    }
    assert_eq!((seconds, world.plugins.inbound.lock().unwrap().len()), (2 + 4 + 8 + 16 + 32 + 64 + 128, 0));
    assert!(world.store.task_of(&project(), &item()).unwrap().is_none());
    world.move_to("Backlog", &person("ada"));
    world.move_to("To Analyse", &person("ada"));
    world.go();
    assert_eq!(world.stands(), "running");
}

/// Whatever the mapper cannot read now, and however long it wants to be left alone.
#[test]
fn a_stop_waits_for_no_mapper() {
    let world = asked();
    let inbound = || world.plugins.inbound.lock().unwrap();
    inbound().push_back(Err(retry("overload", Some(Milliseconds::from_seconds(3600)))));
    world.move_to("Approved", &person("ada"));
    world.go();
    assert_eq!((world.stands(), inbound().len()), ("awaiting-person", 0));
    inbound().push_back(Err(retry("not before its time", None)));
    world.move_to("STOP", &person("ada"));
    world.pass(30);
    world.pass(1);
    assert_eq!((world.stands(), world.task().end(), inbound().len()), ("settled", Some(Terminality::Cancelled), 1));
    assert!(world.store.pending_deliveries(10).unwrap().is_empty());
}

#[test]
fn rule_b2_a_row_that_shows_later_than_its_delivery_is_waited_for() {
    let world = World::new();
    world.tracker.unshown.store(23, std::sync::atomic::Ordering::SeqCst);
    world.started();
    for _ in 0..23 {
        assert!(world.store.task_of(&project(), &item()).unwrap().is_none());
        assert_eq!(world.store.pending_deliveries(10).unwrap().len(), 1);
        world.pass(5);
        world.go();
    }
    assert_eq!(world.stands(), "running");
}

/// Who rejects and approves at once has rejected, though the row that leaves from there shows later.
#[test]
fn rule_b2_a_row_counts_though_what_led_on_from_it_shows_later() {
    let world = asked_of(World::new());
    world.move_to("Rejected", &person("ada"));
    world.move_to("Approved", &person("ada"));
    world.tracker.lags.store(true, std::sync::atomic::Ordering::SeqCst);
    world.go();
    assert_eq!(world.stands(), "awaiting-person");
    world.tracker.lags.store(false, std::sync::atomic::Ordering::SeqCst);
    world.pass(5);
    world.go();
    assert_eq!(world.stands(), "running", "it was sent back");
}

#[test]
fn rule_b2_a_delivery_whose_row_never_shows_is_none() {
    let world = World::new();
    world.tracker.unshown.store(24, std::sync::atomic::Ordering::SeqCst);
    world.started();
    for _ in 0..24 {
        world.pass(5);
        world.go();
    }
    assert!(world.store.task_of(&project(), &item()).unwrap().is_none());
    assert!(world.store.pending_deliveries(10).unwrap().is_empty());
}

#[test]
fn a_mapper_that_gives_up_is_not_asked_again() {
    let world = World::new();
    let inbound = [Err(Failure::GiveUp { message: "no such board".to_owned() }), Ok(MapperIntent::Start)];
    world.plugins.inbound.lock().unwrap().extend(inbound);
    world.started();
    assert!(world.store.task_of(&project(), &item()).unwrap().is_none());
    assert_eq!(world.plugins.inbound.lock().unwrap().len(), 1);
}

#[test]
fn rule_b1_who_may_not_decide_gets_a_comment_and_the_task_an_entry() {
    let world = asked_of(World::with(|settings| {
        settings.deciders.insert(Intent::Approve, vec!["ada".to_owned()]);
    }));
    world.move_to("Approved", &person("eve"));
    world.go();
    assert_eq!(world.stands(), "awaiting-person");
    let why = "eve may not decide this here; these may: ada.".to_owned();
    assert_eq!(refused(&world), [(Intent::Approve, why.clone())]);
    assert_eq!(world.comments().iter().filter(|text| **text == why).count(), 1);
    world.move_to("In Review", &person("eve"));
    world.move_to("Approved", &person("ada"));
    world.go();
    assert_eq!(world.stands(), "settled");
}

/// By the API the token asks nobody, and by a card it is the same token.
#[test]
fn rule_b1_the_operators_token_may_decide_everything() {
    let world = asked_of(World::with(|settings| {
        settings.deciders.insert(Intent::Approve, vec!["ada".to_owned()]);
    }));
    world.move_to("Approved", &Actor::Token("operator".to_owned()));
    world.go();
    assert_eq!((world.stands(), refused(&world).len()), ("settled", 0));
}

#[test]
fn rule_b3_an_approval_from_before_the_question_is_late_whenever_it_is_read() {
    let world = World::new();
    world.started();
    world.move_to("Approved", &person("ada"));
    world.end_runs();
    let deliveries = world.go_without("");
    assert_eq!((world.stands(), world.status().as_str()), ("awaiting-person", "In Review"));
    world.perform(deliveries);
    assert_eq!(world.stands(), "awaiting-person");
    let late = refused(&world);
    assert_eq!((late.len(), late[0].0), (1, Intent::Approve));
    assert_eq!(late[0].1, "the card was moved before it showed what this would answer");
    world.move_to("Approved", &person("ada"));
    world.go();
    assert_eq!(world.stands(), "settled");
}

#[test]
fn rule_b3_an_approval_while_the_question_is_not_on_the_board_yet_is_late() {
    let world = World::new();
    world.started();
    world.end_runs();
    let status = world.go_without("set-status");
    assert_eq!(world.stands(), "awaiting-person");
    world.move_to("Approved", &person("ada"));
    let deliveries = world.go_without("");
    world.perform(deliveries);
    assert_eq!((world.stands(), refused(&world).len()), ("awaiting-person", 1));
    world.perform(status);
    assert_eq!(world.status(), "In Review", "it is put back: what is asked is seen");
    world.move_to("Approved", &person("ada"));
    world.go();
    assert_eq!(world.stands(), "settled");
}

/// Where our write made no row, what was done in this visit counts.
#[test]
fn rule_b3_without_a_row_of_ours_the_visit_decides() {
    let world = World::with(|settings| settings.guards = vec![guard(&["set-status"], Milliseconds::from_seconds(60))]);
    let drops = |_| Ok(GuardDecision::Suppress { reason: "this board is read only".to_owned() });
    *world.plugins.guard.lock().unwrap() = Some(Box::new(drops));
    world.started();
    world.move_to("Approved", &person("ada"));
    world.end_runs();
    let deliveries = world.go_without("");
    assert_eq!((world.stands(), world.status().as_str()), ("awaiting-person", "Approved"));
    world.perform(deliveries);
    assert_eq!(world.stands(), "settled");
}

#[test]
fn rule_b3_a_stop_is_never_late() {
    let world = World::new();
    world.started();
    world.move_to("STOP", &person("ada"));
    world.end_runs();
    let deliveries = world.go_without("");
    assert_eq!(world.stands(), "awaiting-person");
    world.perform(deliveries);
    assert!(world.has_taken(Intent::Stop));
    world.pass(1);
    assert_eq!(world.stands(), "settled");
}

#[test]
fn rule_b4_our_own_move_is_no_intent() {
    let world = asked();
    world.move_to("Approved", &Actor::Host);
    world.go();
    assert_eq!(world.stands(), "awaiting-person");
}

#[test]
fn rule_b5_only_a_start_is_read_from_a_creation() {
    let world = World::new();
    world.card("Approved");
    world.go();
    assert!(world.store.task_of(&project(), &item()).unwrap().is_none());
}

#[test]
fn rule_b8_nothing_is_launched_for_an_item_that_is_gone() {
    let world = World::with(|settings| {
        settings.guards = vec![guard(&["launch-agent"], Milliseconds::from_seconds(60))];
    });
    let open = Arc::new(AtomicBool::new(false));
    let is_open = Arc::clone(&open);
    *world.plugins.guard.lock().unwrap() = Some(Box::new(move |now| {
        let until = now.plus(Milliseconds::from_seconds(30));
        let wait = GuardDecision::Delay { until, why: "not yet".to_owned() };
        Ok(if is_open.load(Ordering::SeqCst) { GuardDecision::Allow } else { wait })
    }));
    world.started();
    world.store.remove_item(&project(), &item(), &person("ada"), world.now()).unwrap();
    open.store(true, Ordering::SeqCst);
    world.pass(30);
    assert_eq!(world.hold(), "GoneFromBoard: gone from the board by ada");
    assert!(world.runs.live().is_empty());
}

#[test]
fn rule_b8_a_card_in_an_end_that_is_no_intent_is_gone() {
    let world = asked();
    world.move_to("Cancelled", &person("ada"));
    world.go();
    assert_eq!(world.hold(), "GoneFromBoard: gone from the board by ada");
}

/// What it shall show waits for the tracker, however long it is away and however many hosts die meanwhile.
#[test]
fn a_tracker_that_is_away_for_hours_is_told_all_in_the_end() {
    let mut world = World::new();
    world.started();
    world.tracker.is_down.store(true, Ordering::SeqCst);
    world.end_runs();
    // One host alone asks often enough to give up what it may give up.
    for _ in 0..24 {
        world.pass(600);
    }
    for _ in 0..24 {
        world.pass(600);
        world.restart();
    }
    assert_eq!((world.stands(), world.status().as_str()), ("awaiting-person", "Development"));
    world.tracker.is_down.store(false, Ordering::SeqCst);
    world.pass(600);
    assert_eq!(world.status(), "In Review");
    assert!(world.comments().last().unwrap().contains("waits for you"), "{:?}", world.comments());
    assert!(!world.notes().iter().any(|note| note.contains("given up")), "{:?}", world.notes());
}
