//! Guards: what they hold, put off, drop and amend, and what their own failure leads to.

use domain::entry::Entry;
use domain::event::Intent;
use domain::plugin::{Failure, GuardDecision};
use domain::time::{Milliseconds, Timestamp};

use crate::drivers::retry;
use crate::world::{World, guard};

const TEN_MINUTES: Milliseconds = Milliseconds::from_seconds(600);

fn world_with(kind: &str, decide: impl Fn(Timestamp) -> Result<GuardDecision, Failure> + Send + 'static) -> World {
    let world = World::with(|settings| settings.guards = vec![guard(&[kind], TEN_MINUTES)]);
    *world.plugins.guard.lock().unwrap() = Some(Box::new(decide));
    world
}

fn later(now: Timestamp, seconds: u64) -> GuardDecision {
    GuardDecision::Delay { until: now.plus(Milliseconds::from_seconds(seconds)), why: "not at night".to_owned() }
}

fn asked(world: &World) -> usize {
    world.plugins.asked.lock().unwrap().len()
}

#[test]
fn a_guard_delays_no_longer_than_its_patience_over_restarts_too() {
    let mut world = world_with("launch-agent", |now| Ok(later(now, 240)));
    world.started();
    let begun = world.now();
    for _ in 0..2 {
        assert_eq!(world.stands(), "running");
        world.restart();
        world.pass(240);
    }
    assert_eq!(world.stands(), "running");
    world.pass(119);
    assert_eq!(
        (asked(&world), world.stands()),
        (3, "running"),
        "no sooner than it said, and no later than its patience"
    );
    world.pass(1);
    assert_eq!(world.stands(), "held");
    let why = "the guard night-watch delayed it longer than its patience: not at night";
    assert_eq!(world.hold(), format!("Blocked: a guard holds launch-agent: {why}"));
    let questions = world.plugins.asked.lock().unwrap();
    assert!(questions.iter().all(|(question, _)| question.first_asked_at == begun), "{questions:?}");
    let patience = questions.iter().map(|(_, patience)| patience.0 / 1000).collect::<Vec<_>>();
    assert_eq!(patience, [600, 360, 120, 0]);
}

#[test]
fn a_run_that_a_guard_holds_is_no_run() {
    let world = world_with("launch-agent", |_| Ok(GuardDecision::Hold { reason: "no budget today".to_owned() }));
    world.started();
    assert_eq!(world.hold(), "Blocked: a guard holds launch-agent: no budget today");
    assert!(!world.entries().iter().any(|entry| matches!(entry, Entry::RunEnded { .. })));
    assert!(world.store.runs(world.task().id, 10).unwrap().is_empty());
    *world.plugins.guard.lock().unwrap() = None;
    let resume = domain::event::Event::Intent {
        intent: Intent::Resume,
        actor: domain::ids::Actor::Token("operator".to_owned()),
        note: String::new(),
    };
    world.store.apply(world.task().id, &resume, world.now()).unwrap();
    world.go();
    assert_eq!((world.stands(), world.runs.live().len()), ("running", 1));
}

#[test]
fn aftermath_that_a_guard_delays_too_long_is_dropped_with_an_entry() {
    let world = world_with("post-comment", |now| Ok(later(now, 3600)));
    world.started();
    world.end_runs();
    world.go();
    assert_eq!((world.stands(), asked(&world)), ("awaiting-person", 1));
    world.pass(599);
    assert_eq!(asked(&world), 1);
    world.pass(1);
    assert_eq!(world.comments(), Vec::<String>::new());
    let dropped = "post-comment was not performed: the guard night-watch delayed it longer than its patience";
    assert!(world.notes().iter().any(|note| note.starts_with(dropped)), "{:?}", world.notes());
}

#[test]
fn delays_and_restarts_count_as_no_failure_of_the_guard() {
    let count = std::sync::atomic::AtomicU32::new(0);
    let mut world =
        world_with("launch-agent", move |now| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0..8 => Ok(later(now, 10)),
            8..12 => Err(retry("trapped", None)),
            _ => Ok(GuardDecision::Allow),
        });
    world.started();
    for _ in 0..13 {
        assert_eq!(world.stands(), "running");
        world.restart();
        world.pass(10);
    }
    assert_eq!((asked(&world), world.runs.live().len()), (13, 1), "four failures are not five");
}

#[test]
fn a_guard_that_fails_five_times_allows_nothing() {
    let world = world_with("launch-agent", |_| Err(retry("trapped", None)));
    world.started();
    for _ in 0..4 {
        assert_eq!(world.stands(), "running");
        world.pass(2);
    }
    assert_eq!((asked(&world), world.stands()), (5, "held"));
    assert!(world.hold().ends_with("the guard night-watch failed: trapped"), "{}", world.hold());
    assert!(world.runs.live().is_empty());
}

#[test]
fn a_guards_own_failure_says_when_to_ask_again_and_when_not_to() {
    let world = world_with("launch-agent", |_| Err(retry("limit", Some(Milliseconds(50_000)))));
    world.started();
    world.pass(49);
    assert_eq!(asked(&world), 1);
    world.pass(1);
    assert_eq!(asked(&world), 2);
    let gives_up = world_with("launch-agent", |_| Err(Failure::GiveUp { message: "no key".to_owned() }));
    gives_up.started();
    assert_eq!((asked(&gives_up), gives_up.stands()), (1, "held"));
}

#[test]
fn only_an_operators_word_lets_a_failed_guard_allow() {
    let mut binding = guard(&["launch-agent"], TEN_MINUTES);
    binding.allow_on_error = true;
    let world = World::with(|settings| settings.guards = vec![binding]);
    *world.plugins.guard.lock().unwrap() = Some(Box::new(|_| Err(retry("trapped", None))));
    world.started();
    assert_eq!(world.runs.live().len(), 1);
}

#[test]
fn an_amended_text_is_said_as_the_plugins_port_gave_it() {
    let text = "Please look.\n\n(amended by the plugin night-watch)";
    let world = world_with("post-comment", move |_| {
        Ok(GuardDecision::Amend { phase: None, text: Some(text.to_owned()), why: "shorter".to_owned() })
    });
    world.started();
    world.end_runs();
    world.go();
    assert_eq!(world.comments(), [text], "signed once, by the one who knows what is a plugin's");
}
