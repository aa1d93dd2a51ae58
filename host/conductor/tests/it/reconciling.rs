//! Reconciling: what a lost delivery would have told is found by polling, taken once, and said by nobody twice.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use conductor::ports::forge::ForgeError;
use conductor::{Intervals, Neighbour, RECONCILE_INTERVAL};
use domain::entry::Entry;
use domain::event::Intent;
use domain::pipeline::Consent;
use domain::plugin::{Check, CheckState, MapperIntent};
use domain::task::Task;
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::{Finding, GateHold, Severity, Verdict, WakeKind};
use serde_json::json;

use crate::world::{UNHEARD, World, item, person, plugin, project};

/// So long that every poll was due more than once.
const LONG: u64 = RECONCILE_INTERVAL.0 / 1000 * 3;

fn chatty(settings: &mut conductor::project::ProjectSettings) {
    settings.notifiers = vec![(plugin("chat"), json!({}))];
}

fn world() -> World {
    World::with(chatty)
}

/// Waits for checks, for an hour at most.
fn wait(world: &World) -> Verdict {
    let until = world.now().plus(Milliseconds::from_seconds(3600));
    Verdict::Wait { until, wake: [WakeKind::Checks].into_iter().collect(), why: "no checks yet".to_owned() }
}

fn fail() -> Verdict {
    let finding = Finding {
        rule: "tests".to_owned(),
        severity: Severity::Major,
        title: "It does not work".to_owned(),
        detail: "At all.".to_owned(),
        path: None,
        line: None,
        help: None,
    };
    Verdict::Fail { findings: vec![finding], figures: Vec::new() }
}

fn answers(world: &World, verdicts: impl IntoIterator<Item = Verdict>) {
    *world.plugins.gate.lock().unwrap() = verdicts.into_iter().collect::<VecDeque<_>>();
}

fn report(world: &World, state: CheckState) {
    let raw = format!("{state:?}").to_lowercase();
    let (name, description) = ("build".to_owned(), String::new());
    let check = Check { name, state, raw, at: world.now(), url: None, description, report: None };
    *world.forge.checks.lock().unwrap() = vec![check];
}

/// Everything that anybody could have noticed: the task, its events, notices and comments.
fn noticed(world: &World) -> (Task, usize, usize, Vec<String>) {
    let task = world.task();
    let events = world.store.events(task.id, 1000).unwrap().len();
    let told = world.plugins.told.lock().unwrap().len();
    (task, events, told, world.comments())
}

/// A long time passes in small steps, as in life.
fn pass_long(world: &World) {
    for _ in 0..LONG / 5 {
        world.pass(5);
    }
}

fn nothing_follows(world: &World) {
    let before = noticed(world);
    let polls = world.tracker.polls.load(Ordering::SeqCst);
    pass_long(world);
    assert!(world.tracker.polls.load(Ordering::SeqCst) > polls, "nobody polled");
    assert_eq!(noticed(world), before);
}

/// A task that waits for its checks.
fn waiting(world: &World, times: usize) {
    answers(world, (0..times).map(|_| wait(world)));
    world.started();
    world.end_runs();
    world.go();
    assert_eq!(world.stands(), "waiting");
}

/// A task whose question stands on the board.
fn asked(world: &World) {
    world.started();
    world.end_runs();
    world.go();
    assert_eq!(world.stands(), "awaiting-person");
}

fn taken(world: &World, wanted: Intent) -> usize {
    let is = |entry: &Entry| matches!(entry, Entry::IntentTaken { intent, .. } if *intent == wanted);
    world.entries().iter().filter(|entry| is(entry)).count()
}

#[test]
fn i5_1_a_green_check_that_nobody_told_of_lets_the_task_on_once() {
    let world = world();
    waiting(&world, 1);
    let told = world.plugins.told.lock().unwrap().len();
    report(&world, CheckState::Success);
    world.pass(10);
    assert_eq!(world.stands(), "awaiting-person");
    let passes = world
        .entries()
        .iter()
        .filter(|entry| matches!(entry, Entry::StepAnswered { answer, .. } if answer == "pass"))
        .count();
    assert_eq!(passes, 1);
    assert_eq!(world.plugins.told.lock().unwrap().len(), told + 1, "one message: that a person is asked");
    nothing_follows(&world);
}

#[test]
fn i5_2_a_red_check_says_nothing_over_many_polls() {
    let world = world();
    waiting(&world, 2);
    nothing_follows(&world);
    let told = world.plugins.told.lock().unwrap().len();
    report(&world, CheckState::Failure);
    world.pass(10);
    assert_eq!(world.stands(), "waiting", "it was asked once more, and waits again");
    assert_eq!(world.plugins.told.lock().unwrap().len(), told);
    nothing_follows(&world);
}

#[test]
fn i5_3_an_escalated_task_is_left_alone_by_a_green_check() {
    let world = world();
    answers(&world, (0..4).map(|_| fail()));
    world.started();
    for _ in 0..4 {
        world.end_runs();
        world.go();
    }
    assert!(world.hold().starts_with("Escalated"), "{}", world.hold());
    report(&world, CheckState::Success);
    nothing_follows(&world);
}

#[test]
fn i5_4_a_task_that_needs_input_is_left_alone_and_so_it_is_without_a_tracker() {
    let world = world();
    answers(&world, [Verdict::Hold { kind: GateHold::NeedsInput, reason: "which?".to_owned(), findings: Vec::new() }]);
    world.started();
    world.end_runs();
    world.go();
    assert!(world.hold().starts_with("NeedsInput"), "{}", world.hold());
    report(&world, CheckState::Success);
    nothing_follows(&world);
    world.tracker.is_down.store(true, Ordering::SeqCst);
    nothing_follows(&world);
}

/// A tracker that says nothing says nothing of any task: whatever it waits for, whoever is at work.
#[test]
fn i5_4_a_tracker_that_does_not_answer_moves_no_task() {
    for stands in ["running", "waiting", "awaiting-person"] {
        let world = world();
        match stands {
            "running" => world.started(),
            "waiting" => waiting(&world, 1),
            _ => asked(&world),
        }
        world.tracker.is_down.store(true, Ordering::SeqCst);
        nothing_follows(&world);
        world.tracker.is_down.store(false, Ordering::SeqCst);
        nothing_follows(&world);
        assert_eq!(world.stands(), stands);
    }
}

/// Only what merely stands leaves it alone. What a person answers to the question is heard though its delivery was lost.
#[test]
fn i5_4_the_answer_that_a_task_waits_for_is_found() {
    let world = world();
    answers(&world, [Verdict::Hold { kind: GateHold::NeedsInput, reason: "which?".to_owned(), findings: Vec::new() }]);
    world.started();
    world.end_runs();
    world.go();
    assert_eq!(world.status(), "Needs Input");
    world.move_to("To Analyse", &person(UNHEARD));
    pass_long(&world);
    assert_eq!((world.stands(), taken(&world, Intent::Start)), ("running", 1));
}

/// The board of I5.5: one status is both where an ended task is shown, and what approves.
#[test]
fn i5_5_a_status_that_means_done_and_approved_is_never_replayed() {
    let world = world();
    asked(&world);
    world.move_to("Approved", &person("ada"));
    world.go();
    assert_eq!((world.stands(), world.status().as_str()), ("settled", "Done"));
    world.plugins.inbound.lock().unwrap().extend((0..9).map(|_| Ok(MapperIntent::Approve)));
    nothing_follows(&world);
    world.move_to("Backlog", &person(UNHEARD));
    world.move_to("Done", &person(UNHEARD));
    nothing_follows(&world);
    assert_eq!(taken(&world, Intent::Approve), 1);
}

#[test]
fn i5_6_a_restart_finds_nothing_that_was_known() {
    let mut world = world();
    asked(&world);
    world.restart();
    nothing_follows(&world);
    world.move_to("Approved", &person(UNHEARD));
    pass_long(&world);
    assert_eq!((world.stands(), taken(&world, Intent::Approve)), ("settled", 1));
    world.restart();
    nothing_follows(&world);
}

#[test]
fn a_lost_start_is_found() {
    let world = World::new();
    world.card("Backlog");
    world.go();
    world.move_to("To Analyse", &person(UNHEARD));
    world.go();
    assert!(world.store.task_of(&project(), &item()).unwrap().is_none());
    pass_long(&world);
    assert_eq!(world.stands(), "running");
}

/// A tracker's log may be older than the host.
#[test]
fn a_start_from_before_that_the_item_has_left_starts_nothing() {
    let world = World::new();
    world.card("Backlog");
    world.go();
    world.move_to("To Analyse", &person(UNHEARD));
    world.move_to("Done", &person(UNHEARD));
    pass_long(&world);
    world.move_to("Backlog", &person("ada"));
    world.go();
    assert!(world.store.task_of(&project(), &item()).unwrap().is_none());
}

#[test]
fn what_a_person_decided_and_no_delivery_told_is_taken_once() {
    for (consent, status, intent, stands) in [
        (Consent::Approve, "Approved", Intent::Approve, "settled"),
        (Consent::Approve, "Rejected", Intent::Reject, "running"),
        (Consent::Confirm, "Confirm Deploy", Intent::ConfirmDeploy, "settled"),
        (Consent::Approve, "STOP", Intent::Stop, "settled"),
    ] {
        let world = World::asking(consent, chatty);
        asked(&world);
        world.move_to(status, &person(UNHEARD));
        world.go();
        assert_eq!((world.stands(), taken(&world, intent)), ("awaiting-person", 0), "{status}");
        pass_long(&world);
        assert_eq!((world.stands(), taken(&world, intent)), (stands, 1), "{status}");
        nothing_follows(&world);
    }
}

#[test]
fn a_comment_that_nobody_told_of_asks_the_gate_again() {
    let world = world();
    let until = world.now().plus(Milliseconds::from_seconds(36_000));
    let wake = [WakeKind::Comment].into_iter().collect();
    let wait = Verdict::Wait { until, wake, why: "nobody answered yet".to_owned() };
    answers(&world, [wait.clone(), wait]);
    world.started();
    world.end_runs();
    world.go();
    nothing_follows(&world);
    world.say("Not yet", &person(UNHEARD));
    pass_long(&world);
    assert_eq!(world.stands(), "waiting", "it was asked again, and waits again");
    nothing_follows(&world);
    world.say("Yes, do it", &person(UNHEARD));
    pass_long(&world);
    assert_eq!(world.stands(), "awaiting-person");
}

/// The delivery comes after all, and after the poll.
#[test]
fn what_both_a_poll_and_a_delivery_told_is_taken_once() {
    let world = world();
    asked(&world);
    world.move_to("Rejected", &person(UNHEARD));
    pass_long(&world);
    world.end_runs();
    world.go();
    assert_eq!((world.stands(), taken(&world, Intent::Reject)), ("awaiting-person", 1));
    let row = world.store.activity(&project(), &item()).unwrap().into_iter().find(|row| row.to == "Rejected").unwrap();
    let body = json!({ "kind": "moved", "activity": row.id, "from": row.from, "to": row.to, "actor": row.actor });
    world.deliver(&row.id.to_string(), row.id, &body);
    world.go();
    assert_eq!((world.stands(), taken(&world, Intent::Reject)), ("awaiting-person", 1));
}

/// Who is heard second spoke second: what was lost before it comes first.
#[test]
fn a_lost_word_is_heard_before_the_next_one() {
    let world = world();
    asked(&world);
    world.move_to("STOP", &person(UNHEARD));
    world.move_to("Approved", &person("ada"));
    world.go();
    assert_eq!((taken(&world, Intent::Stop), taken(&world, Intent::Approve)), (1, 0));
}

/// A poll's approval is as late as a delivery's would have been.
#[test]
fn rule_b3_a_lost_approval_from_before_the_question_is_late() {
    let world = world();
    world.started();
    world.move_to("Approved", &person(UNHEARD));
    world.end_runs();
    pass_long(&world);
    assert_eq!((world.stands(), taken(&world, Intent::Approve)), ("awaiting-person", 0));
    assert!(world.entries().iter().any(|entry| matches!(entry, Entry::IntentRefused { intent: Intent::Approve, .. })));
}

#[test]
fn a_tracker_that_does_not_answer_costs_no_delivery() {
    let world = world();
    world.tracker.is_down.store(true, Ordering::SeqCst);
    world.card("To Analyse");
    pass_long(&world);
    assert_eq!(world.store.pending_deliveries(9).unwrap()[0].attempts, 0);
    world.tracker.is_down.store(false, Ordering::SeqCst);
    world.pass(5);
    assert_eq!(world.stands(), "running");
}

#[test]
fn the_operator_says_how_often_the_outside_is_looked_at() {
    let world = World::new();
    world.go();
    let hour = Milliseconds::from_seconds(3600);
    world.conductor.look_every(Intervals { forges: hour, trackers: hour });
    world.go();
    let polls = world.tracker.polls.load(Ordering::SeqCst);
    pass_long(&world);
    assert_eq!(world.tracker.polls.load(Ordering::SeqCst), polls);
    world.pass(3600);
    assert_eq!(world.tracker.polls.load(Ordering::SeqCst), polls + 1);
    assert!(world.now() > Timestamp(0));
}

/// Whoever cannot be asked is told with what he said and since when, until a look passes; what is about one card alone is not.
#[test]
fn a_tracker_and_a_forge_that_cannot_be_asked_are_told_until_they_can() {
    let world = world();
    waiting(&world, 1);
    world.pass(130);
    assert_eq!(world.conductor.unreachable(), []);
    let refused = ForgeError::Refused("403: the token has no right to read the repository".to_owned());
    *world.forge.unread.lock().unwrap() = Some(refused);
    world.pass(10);
    let since = world.now();
    let told = |world: &World| world.conductor.unreachable().into_iter().map(|one| (one.neighbour, one.since, one.why));
    let forge = (Neighbour::Forge, since, "403: the token has no right to read the repository".to_owned());
    assert!(told(&world).eq(std::iter::once(forge.clone())), "{:?}", world.conductor.unreachable());
    world.tracker.is_down.store(true, Ordering::SeqCst);
    world.pass(130);
    let both = told(&world).collect::<Vec<_>>();
    assert_eq!(both.len(), 2, "{both:?}");
    assert_eq!(both[0], forge, "it is the same trouble as long as no look passes");
    assert!(both[1].0 == Neighbour::Tracker && both[1].2.contains("does not answer"), "{both:?}");
    assert_eq!(world.conductor.unreachable()[1].project, project());
    *world.forge.unread.lock().unwrap() = None;
    world.pass(10);
    assert_eq!(told(&world).map(|(neighbour, ..)| neighbour).collect::<Vec<_>>(), [Neighbour::Tracker]);
    world.tracker.is_down.store(false, Ordering::SeqCst);
    world.pass(130);
    assert_eq!(world.conductor.unreachable(), []);
}
