//! What people and servers do behind our back, as far as the engine decides it. The names carry the rules' numbers.

use domain::effect::{Effect, Notice};
use domain::event::{Answer, Event, Intent, Observation, StepFacts, Withholder};
use domain::task::HoldKind;
use engine::Rejected;

use crate::pipelines::{full, quick, unreviewed};
use crate::world::{World, commit};

fn seen(world: &mut World, observation: Observation) {
    world.tell(&Event::Observed { observation }).unwrap();
}

fn gone() -> Observation {
    Observation::GoneFromBoard { by: "bob".to_owned() }
}

fn refused() -> Observation {
    Observation::RefusedAtForge { by: "bob".to_owned() }
}

fn merged(number: u32, tested: bool) -> Observation {
    Observation::MergedElsewhere { commit: commit(number), by: "bob".to_owned(), tested }
}

fn pushed(number: u32) -> Observation {
    Observation::ForeignPush { head: commit(number) }
}

fn base_moved() -> Answer {
    Answer::BaseMoved { base: commit(50) }
}

#[test]
fn rule_b8_an_item_that_is_gone_holds_by_name_and_nothing_is_written_to_it() {
    let mut world = World::new(quick());
    world.walk_to("review running");
    let told = world.told.len();
    seen(&mut world, gone());
    assert_eq!(world.hold_kind(), Some(HoldKind::GoneFromBoard));
    let [Effect::Notify { notice: Notice::Held, text }] = &world.told[told..] else { panic!("{:?}", world.told) };
    assert!(text.ends_with("gone from the board by bob"));
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "review running");
}

#[test]
fn rule_b8_and_b15_two_facts_that_are_both_true_do_not_take_turns() {
    let mut world = World::new(quick());
    world.walk_to("testing judging tests-passed");
    seen(&mut world, refused());
    for again in [gone(), refused(), gone()] {
        assert!(world.tell(&Event::Observed { observation: again }).is_err());
    }
    assert_eq!((world.hold_kind(), world.notices(Notice::Held)), (Some(HoldKind::RefusedAtForge), 1));
}

#[test]
fn rule_b12_a_forge_that_says_later_waits_and_costs_nothing() {
    let mut world = World::new(quick());
    world.walk_to("testing acting merge");
    let until = world.now.plus(domain::time::Milliseconds::from_seconds(60));
    let wake = domain::verdict::WakeSet::from_iter([domain::verdict::WakeKind::Checks]);
    world.answer(Answer::Wait { until, wake, why: "a required check runs".to_owned() });
    assert_eq!((world.stands().as_str(), world.task.infra_retries), ("testing waiting merge", 0));
    assert_eq!(world.task.leases.len(), 1);
}

#[test]
fn rule_b12_a_head_that_moved_during_the_merge_is_reviewed_anew() {
    let mut world = World::new(quick());
    world.walk_to("testing acting merge");
    world.answer(Answer::HeadMoved { head: commit(60) });
    assert_eq!((world.stands().as_str(), world.task.validated.is_none()), ("review running", true));
    assert!(world.task.leases.is_empty());
}

#[test]
fn rule_b13_a_base_that_moves_before_the_merge_goes_on_from_the_rebase_and_spends_no_retry() {
    let mut world = World::new(quick());
    world.walk_to("testing acting merge");
    world.answer(base_moved());
    assert_eq!((world.stands().as_str(), world.task.position.visit), ("testing acting rebase", 2));
    assert_eq!((world.task.retries, world.task.leases.len()), (0, 1));
    world.walk_to("done settled");
    assert_eq!(world.task.runs, 3, "no run was repeated");
}

#[test]
fn rule_b13_a_base_that_moves_before_the_deploy_goes_on_from_the_rebase_of_the_edge_before() {
    let mut world = World::new(full());
    world.walk_to("deploy acting deploy");
    world.go_on();
    world.answer(base_moved());
    assert_eq!((world.stands().as_str(), world.task.retries), ("deploy-staging acting rebase", 0));
    world.walk_to("deploy awaiting-person confirm");
}

#[test]
fn rule_b13_a_base_that_moves_after_the_deploy_holds_with_its_lease_and_freezes() {
    let mut world = World::new(full());
    world.walk_to("deploy acting merge");
    world.answer(base_moved());
    assert_eq!(world.hold_kind(), Some(HoldKind::DeployedNotInMain));
    assert_eq!((world.frozen.len(), world.task.leases.len()), (1, 1));
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "deploy-staging acting rebase");
    world.walk_to("done settled");
    assert_eq!(world.task.deployed, world.task.merged);
}

/// What runs is an older commit, and it goes on running: the new one was not deployed yet, so nobody has to look.
#[test]
fn rule_b13_a_base_that_moves_before_the_second_deploy_goes_on_from_the_rebase() {
    let mut world = World::new(full());
    world.walk_to("deploy judging deploy-status");
    world.fail("exit 3");
    world.walk_to("deploy acting deploy");
    world.go_on();
    assert!(world.task.deployed.is_some() && world.task.deployed != world.task.head);
    world.answer(base_moved());
    assert_eq!((world.stands().as_str(), world.frozen.len()), ("deploy-staging acting rebase", 0));
}

/// What was not asked before the base moved is asked all the same.
#[test]
fn rule_b13_going_on_from_the_rebase_skips_no_step_that_nobody_answered() {
    let mut world = World::new(quick());
    world.walk_to("testing judging tests-passed");
    world.answer(base_moved());
    assert_eq!(world.stands(), "testing judging tests-passed");
    world.go_on();
    assert_eq!(world.stands(), "testing awaiting-person approve");
}

#[test]
fn rule_b14_a_tested_merge_by_another_hand_is_the_proof() {
    let mut world = World::new(quick());
    world.walk_to("testing acting merge");
    seen(&mut world, merged(70, true));
    assert_eq!(world.stands(), "testing acting merge");
    let facts = StepFacts { merged: Some(commit(70)), ..StepFacts::default() };
    let event = world.answered(Answer::Pass { note: "it is in main already".to_owned() }, facts);
    world.tell(&event).unwrap();
    world.answer(Answer::Pass { note: "proven".to_owned() });
    assert_eq!(world.stands(), "done settled");
}

#[test]
fn rule_b14_an_untested_merge_holds_by_name_freezes_and_resume_tests_main_as_it_stands() {
    let mut world = World::new(quick());
    world.walk_to("testing acting retest");
    seen(&mut world, merged(70, false));
    assert_eq!((world.hold_kind(), world.frozen.len()), (Some(HoldKind::MergedUntested), 1));
    assert!(world.frozen[0].starts_with("merged by bob, untested"));
    assert!(world.tell(&Event::Observed { observation: merged(70, false) }).is_err(), "told once");
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "testing acting rebase");
    world.walk_to("done settled");
}

#[test]
fn rule_b14_resume_of_an_untested_merge_skips_no_consent() {
    let mut world = World::new(quick());
    world.walk_to("testing awaiting-person approve");
    seen(&mut world, merged(70, false));
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "testing awaiting-person approve");
    assert!(world.tell(&Event::Observed { observation: merged(70, false) }).is_err(), "it holds once");
    seen(&mut world, merged(71, false));
    assert_eq!(world.hold_kind(), Some(HoldKind::MergedUntested), "another one is news");
}

#[test]
fn rule_b14_a_tested_merge_is_taken_once_and_is_no_untested_one_afterwards() {
    let mut world = World::new(quick());
    world.walk_to("testing acting merge");
    seen(&mut world, merged(70, true));
    let entries = world.entries.len();
    for tested in [true, false] {
        let again = Event::Observed { observation: merged(70, tested) };
        assert_eq!(world.tell(&again), Err(Rejected::Duplicate));
    }
    assert_eq!((world.entries.len(), world.frozen.len()), (entries, 0));
}

/// The run had not delivered: its stage is not skipped by going on further behind.
#[test]
fn rule_b14_resume_of_a_merge_that_was_seen_during_a_run_launches_the_run_again() {
    let mut world = World::new(quick());
    world.walk_to("testing running");
    seen(&mut world, merged(70, false));
    assert_eq!(world.hold_kind(), Some(HoldKind::MergedUntested));
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "testing running");
}

#[test]
fn rule_b14_resume_of_an_untested_merge_before_any_rebase_asks_the_same_step_again() {
    let mut world = World::new(quick());
    world.walk_to("review judging review-verdict");
    seen(&mut world, merged(70, false));
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!((world.stands().as_str(), world.hold_kind()), ("review judging review-verdict", None));
}

/// What others tested and merged is not there any more, and it is not what the branch holds: asking again says the same.
#[test]
fn rule_b14_resume_of_a_tested_merge_that_is_not_proven_tests_the_branch() {
    let mut world = World::new(quick());
    world.walk_to("testing acting prove-merged");
    seen(&mut world, merged(70, true));
    world.answer(Answer::Stuck { kind: HoldKind::NotProven, reason: "it is not in main".to_owned() });
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "testing acting rebase");
    world.walk_to("done settled");
}

#[test]
fn rule_b15_a_refusal_at_the_forge_holds_until_a_person_lets_it_on() {
    let mut world = World::new(full());
    world.walk_to("deploy-staging acting retest");
    seen(&mut world, refused());
    assert_eq!(world.hold_kind(), Some(HoldKind::RefusedAtForge));
    assert!(world.task.leases.is_empty());
    seen(&mut world, pushed(60));
    assert_eq!(world.hold_kind(), Some(HoldKind::RefusedAtForge), "a push lets nothing on");
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "review running", "what was pushed meanwhile is reviewed");
}

#[test]
fn rule_b15_reject_of_a_refusal_goes_back() {
    let mut world = World::new(quick());
    world.walk_to("testing awaiting-person approve");
    seen(&mut world, refused());
    world.intent(Intent::Reject, "start over").unwrap();
    assert_eq!(world.stands(), "development running");
}

#[test]
fn rule_b15_what_is_refused_while_it_cannot_be_taken_back_stays_fenced() {
    let mut world = World::new(full());
    world.walk_to("deploy acting deploy");
    world.go_on();
    seen(&mut world, refused());
    assert_eq!((world.stands().as_str(), world.task.leases.len()), ("deploy acting deploy", 1));
    assert!(world.tell(&Event::Observed { observation: gone() }).is_err(), "one reason is enough");
    world.go_on();
    assert_eq!((world.hold_kind(), &world.task.deployed), (Some(HoldKind::RefusedAtForge), &world.task.head));
    assert_eq!(world.task.leases.len(), 1, "what was deployed is not in main yet");
}

/// Whatever is seen meanwhile, and whatever breaks beside it: half a deploy is worse than a whole one.
#[test]
fn rule_b8_a_deploy_that_is_under_way_is_not_cut_short_by_what_happens_beside_it() {
    let merged = Observation::MergedElsewhere { by: "bob".to_owned(), commit: commit(77), tested: false };
    let beside = |observation| Event::Observed { observation };
    let panicked = |unanswered| Event::Panicked { message: "index out of bounds".to_owned(), unanswered };
    let cases = [
        (beside(gone()), HoldKind::GoneFromBoard),
        (beside(refused()), HoldKind::RefusedAtForge),
        (beside(merged), HoldKind::MergedUntested),
        (panicked(false), HoldKind::Panicked),
    ];
    for (event, kind) in cases {
        let mut world = World::new(full());
        world.walk_to("deploy acting deploy");
        world.go_on();
        let epoch = world.task.epoch;
        world.tell(&event).unwrap();
        assert_eq!((world.stands().as_str(), world.task.epoch), ("deploy acting deploy", epoch), "{event:?}");
        // The suite that judges it later, the host that dies meanwhile: the answer is what counts.
        world.fail("exit 3");
        assert_eq!(world.hold_kind(), Some(kind), "{event:?}");
        assert_eq!(world.task.put_off, None);
    }
    let mut world = World::new(full());
    world.walk_to("deploy acting deploy");
    world.go_on();
    world.tell(&panicked(true)).unwrap();
    assert_eq!(world.hold_kind(), Some(HoldKind::Panicked), "its own answer broke: there is no other");
}

/// One that has not begun is not begun any more.
#[test]
fn rule_b8_a_deploy_that_waits_for_its_place_is_not_begun_for_what_is_gone() {
    let withheld = |world: &World| Event::Withheld {
        epoch: world.task.epoch,
        by: Withholder::Wish,
        reason: "it was stopped or held before it began".to_owned(),
    };
    let mut world = World::new(full());
    world.walk_to("deploy acting deploy");
    world.go_on();
    seen(&mut world, gone());
    world.tell(&withheld(&world)).unwrap();
    assert_eq!((world.hold_kind(), &world.task.deployed), (Some(HoldKind::GoneFromBoard), &None));
    assert!(world.task.leases.is_empty(), "nothing was begun: the next may land");
    let mut world = World::new(full());
    world.walk_to("deploy acting deploy");
    world.go_on();
    world.intent(Intent::Stop, "enough").unwrap();
    world.tell(&withheld(&world)).unwrap();
    assert_eq!(world.stands(), "deploy stopping");
}

#[test]
fn a_foreign_push_sends_the_task_back_to_review() {
    let mut world = World::new(full());
    world.walk_to("deploy awaiting-person confirm");
    seen(&mut world, pushed(60));
    assert_eq!((world.stands().as_str(), world.task.position.visit), ("review running", 2));
    assert_eq!((world.task.validated.clone(), world.task.retries), (None, 0));
    assert!(world.tell(&Event::Observed { observation: pushed(60) }).is_err(), "the same head is no news");
}

/// Nothing that judged the branch has been asked yet: a push is no way around what comes before the review.
#[test]
fn a_foreign_push_never_leads_forwards() {
    let mut world = World::new(full());
    world.walk_to("analysis awaiting-person approve");
    seen(&mut world, pushed(60));
    assert_eq!(world.stands(), "analysis awaiting-person approve");
    world.walk_to("development running");
    seen(&mut world, pushed(61));
    assert_eq!(world.stands(), "development running");
}

#[test]
fn a_foreign_push_on_the_developers_edge_is_asked_about_anew() {
    let mut world = World::new(quick());
    world.walk_to("development judging checks-green");
    seen(&mut world, pushed(60));
    assert_eq!((world.stands().as_str(), world.task.position.visit), ("development judging checks-green", 2));
    assert_eq!(world.task.head, Some(commit(60)));
}

#[test]
fn a_foreign_push_during_the_merge_is_left_to_the_merges_own_answer() {
    let mut world = World::new(quick());
    world.walk_to("testing acting merge");
    assert!(world.tell(&Event::Observed { observation: pushed(60) }).is_err());
    assert_eq!(world.stands(), "testing acting merge");
}

/// What was deployed is not in main, and the branch holds what nobody reviewed: resume begins at the review.
#[test]
fn a_foreign_push_to_a_held_task_keeps_the_hold_and_its_leases() {
    let mut world = World::new(full());
    world.walk_to("deploy acting merge");
    world.answer(base_moved());
    seen(&mut world, pushed(60));
    assert_eq!((world.hold_kind(), world.task.leases.len()), (Some(HoldKind::DeployedNotInMain), 1));
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "review running");
}

/// Nobody but a review could say what the run should make of it.
#[test]
fn a_foreign_push_during_a_run_holds_where_nobody_reviews() {
    let mut world = World::new(unreviewed());
    world.walk_to("testing running");
    seen(&mut world, pushed(60));
    assert_eq!((world.stands().as_str(), world.hold_kind()), ("testing held", Some(HoldKind::Blocked)));
    assert_eq!(world.task.head, Some(commit(60)));
}
