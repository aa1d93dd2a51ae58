//! Observed tasks: other hands do the work, and what git shows carries the task on and ends it.

use domain::effect::{Effect, Notice};
use domain::event::{Answer, Event, Intent, Observation, RunOutcome};
use domain::task::{HoldKind, Terminality};
use domain::verdict::GateHold;
use engine::{Rejected, Step};

use crate::pipelines::quick;
use crate::world::{World, commit};

fn landed(world: &mut World) -> Result<Step, Rejected> {
    let observation = Observation::Landed { commit: commit(70), by: "bob".to_owned() };
    world.tell(&Event::Observed { observation })
}

fn illegal(answer: Result<Step, Rejected>, words: &str) {
    let Err(Rejected::Illegal(why)) = &answer else { panic!("{answer:?} is not illegal") };
    assert!(why.to_string().contains(words), "{why}");
}

#[test]
fn what_others_bring_to_the_base_branch_ends_an_observed_task_wherever_it_stands() {
    for stands in ["development running", "review judging review-verdict", "testing awaiting-person approve"] {
        let mut world = World::observed(quick());
        world.walk_to(stands);
        landed(&mut world).unwrap();
        assert_eq!((world.stands().as_str(), world.task.end()), ("done settled", Some(Terminality::Done)), "{stands}");
        assert_eq!((&world.task.merged, world.task.visits[&world.task.position.stage]), (&Some(commit(70)), 1));
        let said = format!("SHOP-7 is done: bob brought {} to main", commit(70));
        assert_eq!(world.notices(Notice::Done), 1);
        let comment = |effect: &&Effect| matches!(effect, Effect::Comment { text } if text.starts_with(&said));
        assert_eq!(world.told.iter().filter(comment).count(), 1, "{:?}", world.told);
        assert!(world.told.contains(&Effect::SetStatus { phase: "done".to_owned() }));
        assert!(!world.told.contains(&Effect::Tidy), "nothing of ours is to be tidied");
    }
}

#[test]
fn a_held_observed_task_is_ended_by_no_other_hand_before_a_person_let_it_on() {
    let mut world = World::observed(quick());
    world.walk_to("review judging review-verdict");
    world.answer(Answer::Hold { kind: GateHold::Blocked, reason: "look".to_owned() });
    illegal(landed(&mut world), "only a person ends a hold");
    assert_eq!((world.hold_kind(), &world.task.merged), (Some(HoldKind::Blocked), &None));
    world.intent(Intent::Resume, "").unwrap();
    landed(&mut world).unwrap();
    assert_eq!(world.stands(), "done settled");
}

#[test]
fn a_task_of_ours_is_ended_by_no_other_hand() {
    let mut world = World::new(quick());
    illegal(landed(&mut world), "only an observed task");
    let followed = world.run_ended(RunOutcome::Followed { head: Some(commit(60)), documents: Vec::new() });
    illegal(world.tell(&followed), "only an observed task");
    assert_eq!((world.stands().as_str(), &world.task.head), ("development running", &None));
}

/// Whoever tells of a merge, git is asked.
#[test]
fn hearsay_of_a_merge_changes_nothing_for_an_observed_task() {
    for tested in [true, false] {
        let mut world = World::observed(quick());
        let merged = Observation::MergedElsewhere { commit: commit(70), by: "bob".to_owned(), tested };
        illegal(world.tell(&Event::Observed { observation: merged }), "what git shows");
        assert_eq!((world.stands().as_str(), &world.task.merged), ("development running", &None));
        assert!(world.frozen.is_empty());
    }
}

#[test]
fn what_another_hand_pushed_carries_an_observed_task_on() {
    let mut world = World::observed(quick());
    let followed = world.run_ended(RunOutcome::Followed { head: Some(commit(60)), documents: Vec::new() });
    world.tell(&followed).unwrap();
    assert_eq!((world.stands().as_str(), &world.task.head), ("development judging checks-green", &Some(commit(60))));
    world.fail("red");
    assert_eq!(world.task.feedback.len(), 1);
    let followed = world.run_ended(RunOutcome::Followed { head: Some(commit(61)), documents: Vec::new() });
    world.tell(&followed).unwrap();
    assert_eq!((world.stands().as_str(), &world.task.head), ("development judging checks-green", &Some(commit(61))));
    assert!(world.task.feedback.is_empty(), "what was mended is not told again");
}
