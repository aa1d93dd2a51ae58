//! What a task carries from one round to the next: the findings of a bounce, the length of a review; and how a job
//! goes on after a panic (catalogue B4, B6, D3).

use std::collections::VecDeque;

use domain::document::Role;
use domain::entry::Entry;
use domain::event::{Event, Intent};
use domain::task::Activity;
use domain::time::Milliseconds;
use domain::verdict::{Finding, Severity, Verdict};

use crate::world::{World, guard, person};

fn finding(severity: Severity, title: &str, detail: &str) -> Finding {
    Finding {
        rule: "review".to_owned(),
        severity,
        title: title.to_owned(),
        detail: detail.to_owned(),
        path: Some("src/cart.rs".to_owned()),
        line: Some(7),
        help: None,
    }
}

/// What the newest run read first.
fn brief(world: &World) -> String {
    let run = world.store.runs(world.task().id, 1).unwrap().remove(0);
    String::from_utf8(world.store.blob(&run.brief.unwrap()).unwrap()).unwrap()
}

fn sent_back(findings: Vec<Finding>) -> World {
    let world = World::new();
    let red = Verdict::Fail { findings, figures: Vec::new() };
    *world.plugins.gate.lock().unwrap() = VecDeque::from([red]);
    world.started();
    assert!(!brief(&world).contains("mended"), "nothing was found yet");
    world.end_runs();
    world.go();
    assert_eq!((world.stands(), world.task().retries), ("running", 1));
    world
}

#[test]
fn b4_1_each_finding_stands_word_for_word_in_the_next_brief() {
    let world = sent_back(vec![
        finding(Severity::Blocker, "The cart leaks", "It forgets `item 3`\nof every order."),
        finding(Severity::Major, "No test", "Nothing holds `total()`."),
    ]);
    let brief = brief(&world);
    for said in ["The cart leaks\n\nIt forgets `item 3`\nof every order.", "No test\n\nNothing holds `total()`."] {
        assert!(brief.contains(said), "{brief}");
    }
    assert_eq!(brief.matches("in `src/cart.rs`, line 7").count(), 2, "{brief}");
}

/// The bounce does not depend on what could be read: a finding may have no more to say than where to look.
#[test]
fn b4_2_a_finding_without_words_sends_back_all_the_same() {
    let bare = Finding { path: None, line: None, ..finding(Severity::Major, "12-review.md asks for changes", "") };
    assert!(brief(&sent_back(vec![bare])).contains("12-review.md asks for changes"));
}

/// The reviewer's own file is at fault, and only a reviewer can mend it.
#[test]
fn f2_a_review_without_a_readable_verdict_is_asked_for_again_and_costs_the_developer_nothing() {
    let world = World::of(Role::Reviewer, |_| {});
    let review = |text: &str| {
        *world.forge.documents.lock().unwrap() = vec![("12-review.md".to_owned(), text.as_bytes().to_vec())];
        world.end_runs();
        world.go();
    };
    world.started();
    assert!(!brief(&world).contains("asked again"));
    review("---\nverdict: CHANGES_REQUESTED\n---\n\n## Findings\n\n- P0: it leaks\n");
    assert_eq!((world.stands(), world.task().retries, world.task().run_retries), ("running", 0, 1));
    let told = brief(&world);
    for said in ["`verdict: CHANGES_REQUESTED` is no verdict", "`verdict: APPROVED` or `verdict: REQUEST_CHANGES`"] {
        assert!(told.contains(said), "{told}");
    }
    review("---\nverdict: APPROVED\nverdict: REQUEST_CHANGES\n---\n");
    assert!(brief(&world).contains("the key `verdict` stands there twice"));
    review("---\nverdict: [\n---\n");
    assert!(world.hold().starts_with("Undelivered: "), "{}", world.hold());
    let resume = Event::Intent { intent: Intent::Resume, actor: person("ada"), note: String::new() };
    world.store.apply(world.task().id, &resume, world.now()).unwrap();
    world.go();
    review("---\nverdict: APPROVED\n---\n");
    assert_eq!((world.stands(), world.task().retries), ("awaiting-person", 0));
}

#[test]
fn b6_2_how_long_a_person_took_is_recorded() {
    let world = World::new();
    world.started();
    world.end_runs();
    world.go();
    let asked = world.task().activity_entered_at;
    assert_eq!(world.stands(), "awaiting-person");
    world.pass(5400);
    world.move_to("Approved", &person("ada"));
    world.go();
    let rows = world.store.entries(world.task().id).unwrap();
    let at = |wanted: &dyn Fn(&Entry) -> bool| rows.iter().find(|row| wanted(&row.entry)).unwrap().at;
    let began = at(&|entry| matches!(entry, Entry::ActivityEntered { activity: Activity::AwaitingPerson { .. }, .. }));
    let ended = at(&|entry| matches!(entry, Entry::IntentTaken { intent: Intent::Approve, .. }));
    assert_eq!((began, ended.since(began)), (asked, Milliseconds::from_seconds(5400)));
}

/// The thread that performed it is gone without a word; its job is not stuck with it, and nobody else began it meanwhile.
#[test]
fn d3_2_a_panic_while_performing_leaves_a_job_that_can_go_on() {
    let world = World::with(|settings| {
        settings.guards = vec![guard(&["launch-agent"], Milliseconds::from_seconds(60))];
    });
    *world.plugins.guard.lock().unwrap() = Some(Box::new(|_| panic!("a bug")));
    world.started();
    assert!(world.hold().starts_with("Panicked: ") && world.hold().contains("a bug"), "{}", world.hold());
    world.plugins.guard.clear_poison();
    *world.plugins.guard.lock().unwrap() = None;
    let resume = Event::Intent { intent: Intent::Resume, actor: person("ada"), note: String::new() };
    world.store.apply(world.task().id, &resume, world.now()).unwrap();
    world.go();
    assert_eq!((world.stands(), world.runs.live().len()), ("running", 1));
    world.end_runs();
    world.go();
    assert_eq!(world.stands(), "awaiting-person");
}
