//! No failure of a plugin passes a gate: every cause that the sandbox or the host can name only makes the task wait.

use domain::entry::Entry;
use domain::event::Answer;
use domain::ids::Digest;
use domain::task::HoldKind;
use domain::time::Timestamp;
use domain::verdict::{GateHold, InfraCause, WakeSet};

use crate::pipelines::quick;
use crate::world::World;

const CAUSES: [InfraCause; 14] = [
    InfraCause::Time,
    InfraCause::Calls,
    InfraCause::Memory,
    InfraCause::Table,
    InfraCause::Stack,
    InfraCause::Resources,
    InfraCause::Output,
    InfraCause::InvalidAnswer,
    InfraCause::Denied,
    InfraCause::Exhausted,
    InfraCause::Exit,
    InfraCause::Trap,
    InfraCause::TooLarge,
    InfraCause::Unavailable,
];

#[test]
fn no_failure_of_a_plugin_passes_a_gate() {
    let named = [InfraCause::Guest("flaky".to_owned()), InfraCause::Host("disk".to_owned())];
    for cause in CAUSES.into_iter().chain(named) {
        let mut world = World::new(quick());
        world.walk_to("review judging review-verdict");
        world.answer(Answer::Infra { cause: cause.clone(), message: "broke".to_owned(), retry_after: None });
        assert_eq!(world.stands(), "review waiting review-verdict", "{cause}");
        assert!(world.task.passed.is_empty() && world.task.retries == 0, "{cause}");
    }
}

#[test]
fn what_a_gate_holds_for_is_for_people_only() {
    for (kind, hold) in [(GateHold::Blocked, HoldKind::Blocked), (GateHold::NeedsInput, HoldKind::NeedsInput)] {
        let mut world = World::new(quick());
        world.walk_to("review judging review-verdict");
        world.answer(Answer::Hold { kind, reason: "look".to_owned() });
        assert_eq!(world.hold_kind(), Some(hold));
        assert!(world.jobs.is_empty());
    }
}

#[test]
fn a_gate_without_a_say_passes() {
    let mut world = World::new(quick());
    world.walk_to("review judging review-verdict");
    world.answer(Answer::NotApplicable { why: "only documents changed".to_owned() });
    assert_eq!(world.stands(), "testing running");
}

/// Whatever a step answers stands in the task's history, in its own words.
#[test]
fn each_answer_is_told_with_its_word_and_its_reason() {
    let text = || "in its words".to_owned();
    let answers = [
        (Answer::Pass { note: text() }, "pass"),
        (Answer::Fail { findings: Digest::of(b"[]"), count: 1, title: text() }, "fail"),
        (Answer::Infra { cause: InfraCause::Time, message: text(), retry_after: None }, "infra"),
        (Answer::Wait { until: Timestamp(1 << 40), wake: WakeSet::default(), why: text() }, "wait"),
        (Answer::Hold { kind: GateHold::Blocked, reason: text() }, "hold"),
        (Answer::NotApplicable { why: text() }, "not-applicable"),
        (Answer::Stuck { kind: HoldKind::Blocked, reason: text() }, "stuck"),
    ];
    for (given, word) in answers {
        let mut world = World::new(quick());
        world.walk_to("review judging review-verdict");
        let told = world.answer(given).entries.into_iter().find_map(|entry| match entry {
            Entry::StepAnswered { answer, note, .. } => Some((answer, note)),
            _ => None,
        });
        assert_eq!(told, Some((word.to_owned(), text())));
    }
}
