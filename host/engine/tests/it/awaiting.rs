//! What people are asked, what they may say where, and what counts (catalogue A7, B6, B7, I3).

use domain::effect::{Effect, Notice};
use domain::event::{Answer, Event, Intent, Observation};
use domain::task::{HoldKind, Track};
use domain::verdict::GateHold;
use engine::Rejected;

use crate::pipelines::{full, quick};
use crate::world::World;

fn labels(labels: &[&str]) -> Event {
    let labels = labels.iter().map(|&label| label.to_owned()).collect();
    Event::Observed { observation: Observation::Labels { labels } }
}

fn with_questions() -> World {
    let mut world = World::new(full());
    world.walk_to("analysis judging questions");
    world.answer(Answer::Hold { kind: GateHold::NeedsInput, reason: "which cart?".to_owned() });
    world
}

#[test]
fn a7_1_a_repeated_start_does_nothing() {
    let mut world = World::new(full());
    assert_eq!(world.intent(Intent::Start, ""), Err(Rejected::Duplicate));
    assert_eq!(world.jobs.len(), 1);
}

#[test]
fn a7_2_a_start_in_review_launches_nobody() {
    let mut world = World::new(full());
    world.walk_to("review judging review-verdict");
    assert_eq!(world.intent(Intent::Start, ""), Err(Rejected::Duplicate));
}

#[test]
fn a7_3_a_start_over_open_questions_launches_one_analyst() {
    let mut world = with_questions();
    world.intent(Intent::Start, "the blue one").unwrap();
    assert_eq!((world.stands().as_str(), world.task.position.visit), ("analysis running", 2));
    assert_eq!(world.jobs.len(), 1);
    assert_eq!(world.task.feedback.last().map(|feedback| feedback.note.as_str()), Some("the blue one"));
    assert_eq!(world.task.retries, 0);
}

#[test]
fn a7_4_approved_goes_straight_to_the_next_status() {
    let mut world = World::new(full());
    world.walk_to("analysis awaiting-person approve");
    let step = world.intent(Intent::Approve, "").unwrap();
    let statuses = step.effects.iter().filter_map(|wanted| match &wanted.effect {
        Effect::SetStatus { phase } => Some(phase.as_str()),
        _ => None,
    });
    assert_eq!(statuses.collect::<Vec<_>>(), ["architecture"]);
}

#[test]
fn a7_5_a_rejection_carries_its_reason_to_the_next_run() {
    let mut world = World::new(quick());
    world.walk_to("testing awaiting-person approve");
    world.intent(Intent::Reject, "the button is blue").unwrap();
    assert_eq!(world.stands(), "development running");
    assert_eq!(world.task.feedback[0].note, "the button is blue");
    assert_eq!(world.task.retries, 1);
}

#[test]
fn a7_6_a_rejection_without_a_reason_says_so() {
    let mut world = World::new(quick());
    world.walk_to("testing awaiting-person approve");
    world.intent(Intent::Reject, "  ").unwrap();
    assert!(world.task.feedback[0].note.starts_with("Rejected without a reason"));
}

#[test]
fn a_persons_rejection_stands_above_the_cap() {
    let mut world = World::new(quick());
    for _ in 0..5 {
        world.walk_to("testing awaiting-person approve");
        world.intent(Intent::Reject, "not yet").unwrap();
        assert_eq!(world.stands(), "development running");
    }
}

#[test]
fn b6_1_complete_deliverables_ask_exactly_once() {
    let mut world = World::new(full());
    world.walk_to("analysis awaiting-person approve");
    assert_eq!(world.notices(Notice::ApproveRequested), 1);
    assert!(world.jobs.is_empty());
    assert_eq!(world.task.phase(), "in-review");
}

#[test]
fn b6_2_approved_goes_on_to_architecture() {
    let mut world = World::new(full());
    world.walk_to("analysis awaiting-person approve");
    world.intent(Intent::Approve, "").unwrap();
    assert_eq!(world.stands(), "architecture running");
    assert_eq!(world.intent(Intent::Approve, "").unwrap_err().to_string(), {
        "illegal here: `approve` answers a step that asks for it; the task is running"
    });
}

#[test]
fn b7_1_open_questions_beat_the_deliverables() {
    let world = with_questions();
    assert_eq!(world.hold_kind(), Some(HoldKind::NeedsInput));
    assert_eq!((world.notices(Notice::Questions), world.notices(Notice::ApproveRequested)), (1, 0));
    assert_eq!(world.task.phase(), "needs-input");
}

#[test]
fn b7_4_resume_over_open_questions_is_a_new_visit_with_the_answers() {
    let mut world = with_questions();
    world.intent(Intent::Resume, "the blue one").unwrap();
    assert_eq!((world.stands().as_str(), world.task.position.visit), ("analysis running", 2));
}

#[test]
fn g10_an_approval_confirms_no_deploy_and_a_confirmation_approves_nothing() {
    let mut world = World::new(full());
    world.walk_to("deploy awaiting-person confirm");
    assert!(matches!(world.intent(Intent::Approve, ""), Err(Rejected::Illegal(_))));
    assert_eq!(world.stands(), "deploy awaiting-person confirm");
    let mut other = World::new(quick());
    other.walk_to("testing awaiting-person approve");
    assert!(matches!(other.intent(Intent::ConfirmDeploy, ""), Err(Rejected::Illegal(_))));
}

#[test]
fn i3_1_a_label_stands_in_for_the_person_and_one_comment_says_so() {
    let mut world = World::with(full(), Track::Full, &["autoApprove"]);
    world.walk_to("architecture running");
    assert_eq!(world.notices(Notice::ApproveRequested), 0);
    let said = |effect: &&Effect| matches!(effect, Effect::Comment { text } if text.contains("autoApprove"));
    assert_eq!(world.told.iter().filter(said).count(), 1);
}

#[test]
fn i3_1_a_label_that_arrives_while_a_person_is_asked_lets_the_task_on() {
    let mut world = World::new(full());
    world.walk_to("analysis awaiting-person approve");
    world.tell(&labels(&["autoDeploy"])).unwrap();
    assert_eq!(world.stands(), "analysis awaiting-person approve");
    world.tell(&labels(&["autoApprove"])).unwrap();
    assert_eq!(world.stands(), "architecture running");
}

#[test]
fn i3_2_open_questions_are_not_approved_by_a_label() {
    let mut world = World::with(full(), Track::Full, &["autoApprove"]);
    world.walk_to("analysis judging questions");
    world.answer(Answer::Hold { kind: GateHold::NeedsInput, reason: "which cart?".to_owned() });
    assert_eq!(world.hold_kind(), Some(HoldKind::NeedsInput));
}

#[test]
fn i3_5_a_label_deploys_nothing_over_a_red_staging() {
    let mut world = World::with(full(), Track::Full, &["autoDeploy"]);
    world.walk_to("deploy-staging judging staging-status");
    world.fail("staging is down");
    assert_eq!(world.stands(), "development running");
    assert_eq!(world.task.deployed, None);
}

#[test]
fn an_estimate_moves_no_task() {
    let mut world = World::new(quick());
    assert_eq!(world.intent(Intent::Estimate, "").unwrap_err().to_string(), {
        "illegal here: an estimate changes no task"
    });
}

#[test]
fn labels_that_say_the_same_again_are_no_news() {
    let mut world = World::with(full(), Track::Bug, &["Bug"]);
    let entries = world.entries.len();
    assert_eq!(world.tell(&labels(&["Bug"])), Err(Rejected::Duplicate));
    assert_eq!(world.entries.len(), entries);
}
