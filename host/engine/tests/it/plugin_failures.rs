//! No failure of a plugin passes a gate: every cause that the sandbox or the host can name only makes the task wait.

use domain::event::Answer;
use domain::task::HoldKind;
use domain::verdict::{GateHold, InfraCause};

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
fn a_gate_without_a_say_passes_and_says_so() {
    let mut world = World::new(quick());
    world.walk_to("review judging review-verdict");
    world.answer(Answer::NotApplicable { why: "only documents changed".to_owned() });
    assert_eq!(world.stands(), "testing running");
    let said = world
        .entries
        .iter()
        .any(|entry| matches!(entry, domain::entry::Entry::StepAnswered { answer, .. } if answer == "not-applicable"));
    assert!(said);
}
