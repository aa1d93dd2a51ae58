//! What sends a task back, what only makes it wait, and what that costs (catalogue B3, G1, B12 of the outside's rules).

use domain::effect::Notice;
use domain::entry::Entry;
use domain::event::{Answer, Event, FailureClass, Intent, RunOutcome, StepFacts};
use domain::ids::Digest;
use domain::pipeline::{DEVELOPER_RETRIES, INFRA_RETRIES, RUN_RETRIES, TRANSIENT_RETRIES};
use domain::task::HoldKind;
use domain::time::Milliseconds;
use domain::verdict::{InfraCause, WakeKind, WakeSet};
use engine::Rejected;

use crate::pipelines::{PATIENCE, full, quick, step, unreviewed};
use crate::world::World;

fn infra() -> Answer {
    Answer::Infra { cause: InfraCause::Time, message: "the suite starved".to_owned(), retry_after: None }
}

fn wait(world: &World, minutes: u64) -> Answer {
    let until = world.now.plus(Milliseconds::from_seconds(minutes * 60));
    Answer::Wait { until, wake: WakeSet::from_iter([WakeKind::Checks]), why: "a check runs".to_owned() }
}

fn bounced_to_the_cap() -> World {
    let mut world = World::new(quick());
    for bounce in 1..=DEVELOPER_RETRIES {
        world.walk_to("review judging review-verdict");
        world.fail("still red");
        assert_eq!((world.stands().as_str(), world.task.retries), ("development running", bounce));
    }
    world.walk_to("review judging review-verdict");
    world.fail("still red");
    world
}

#[test]
fn b3_1_the_fourth_rejection_launches_nobody_and_alerts_once() {
    let world = bounced_to_the_cap();
    assert_eq!(world.hold_kind(), Some(HoldKind::Escalated));
    assert_eq!(world.hold_reason(), "sent back 4 times; last by review-verdict: still red");
    assert!(world.jobs.is_empty());
    assert_eq!(world.notices(Notice::Escalated), 1);
}

#[test]
fn b3_1_resume_grants_one_more_and_no_other() {
    let mut world = bounced_to_the_cap();
    world.intent(Intent::Resume, "try the other way").unwrap();
    assert_eq!(world.stands(), "development running");
    assert_eq!(world.notices(Notice::Released), 1);
    world.walk_to("review judging review-verdict");
    world.fail("still red");
    assert_eq!(world.hold_kind(), Some(HoldKind::Escalated));
    assert_eq!((world.task.retries, world.task.granted_retries), (DEVELOPER_RETRIES + 1, 1));
}

/// The stage was gone when a person granted one more: it is still to be had when the stage comes back, and it is one.
fn granted_while_the_stage_was_gone() -> World {
    let mut world = bounced_to_the_cap();
    let put = |world: &mut World, pipeline| {
        world.pipeline = pipeline;
        let digest = world.pipeline.digest().clone();
        world.tell(&Event::PipelineChanged { digest, changed: Vec::new() }).unwrap();
    };
    put(&mut world, unreviewed());
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.hold_kind(), Some(HoldKind::PipelineChanged));
    assert_eq!((world.task.retries, world.task.granted_retries), (DEVELOPER_RETRIES, 1));
    put(&mut world, quick());
    world
}

#[test]
fn b3_1_a_grant_that_could_not_be_used_yet_is_used_by_the_next_rejection_of_a_gate() {
    let mut world = granted_while_the_stage_was_gone();
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "review judging review-verdict");
    world.fail("still red");
    assert_eq!(world.stands(), "development running");
    world.walk_to("review judging review-verdict");
    world.fail("still red");
    assert_eq!(world.hold_kind(), Some(HoldKind::Escalated));
}

#[test]
fn b3_1_a_person_who_rejects_grants_nothing_above_a_grant_that_is_not_used() {
    let mut world = granted_while_the_stage_was_gone();
    world.intent(Intent::Reject, "not so").unwrap();
    assert_eq!(world.stands(), "development running");
    assert_eq!((world.task.retries, world.task.granted_retries), (DEVELOPER_RETRIES + 1, 1));
    world.walk_to("review judging review-verdict");
    world.fail("still red");
    assert_eq!(world.hold_kind(), Some(HoldKind::Escalated));
}

#[test]
fn b3_2_infra_costs_no_developers_retry() {
    let mut world = World::new(quick());
    world.walk_to("testing acting retest");
    world.answer(infra());
    assert_eq!(world.stands(), "testing waiting retest");
    assert_eq!((world.task.retries, world.task.infra_retries), (0, 1));
}

#[test]
fn r5_infra_past_its_cap_holds_with_one_alert_and_never_goes_back() {
    let mut world = World::new(quick());
    world.walk_to("testing acting retest");
    for _ in 0..INFRA_RETRIES {
        world.answer(infra());
        world.go_on();
        assert_eq!(world.stands(), "testing acting retest");
    }
    world.answer(infra());
    assert_eq!(world.hold_kind(), Some(HoldKind::InfraExhausted));
    assert_eq!((world.task.retries, world.notices(Notice::InfraExhausted)), (0, 1));
    assert_eq!(world.hold_reason(), "retest failed 6 times by infrastructure; last time: the suite starved");
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!((world.stands().as_str(), world.task.infra_retries), ("testing acting retest", 0));
}

#[test]
fn r5_the_pause_between_two_tries_doubles_and_heeds_retry_after() {
    let mut world = World::new(quick());
    world.walk_to("testing acting retest");
    let mut pauses = Vec::new();
    for retry_after in [None, None, None, Some(Milliseconds::from_seconds(90))] {
        let asked = world.now;
        world.answer(Answer::Infra { cause: InfraCause::Time, message: "slow".to_owned(), retry_after });
        world.go_on();
        pauses.push(world.now.since(asked).0 / 1000);
    }
    assert_eq!(pauses, [1, 2, 4, 90]);
}

#[test]
fn g1_1_a_rebase_moves_the_head_and_the_retest_is_of_the_new_one() {
    let mut world = World::new(quick());
    world.walk_to("testing acting rebase");
    let before = world.task.head.clone();
    world.walk_to("testing acting merge");
    assert_ne!(world.task.head, before);
    assert_eq!(world.task.validated, world.task.head);
    assert_eq!(world.task.merged, None);
}

#[test]
fn g1_1_a_rebase_tells_on_which_base_the_branch_stands_now() {
    let mut world = World::new(quick());
    world.walk_to("testing acting rebase");
    world.go_on();
    let (event, before) = (world.good_event().unwrap(), world.task.base.clone());
    let Event::StepAnswered { facts, .. } = &event else { panic!("{event:?}") };
    assert!(facts.base.is_some() && facts.base != before);
    world.tell(&event).unwrap();
    assert_eq!(world.task.base, facts.base);
    let again = StepFacts { base: facts.base.clone(), ..StepFacts::default() };
    let event = world.answered(Answer::Pass { note: "green".to_owned() }, again);
    let step = world.tell(&event).unwrap();
    let seen = step.entries.iter().filter(|entry| matches!(entry, Entry::BaseSeen { .. })).count();
    assert_eq!(seen, 0, "where the base has not moved, nothing is told of it");
}

#[test]
fn g1_2_a_conflict_goes_back_and_gives_the_lease_back() {
    let mut world = World::new(quick());
    world.walk_to("testing acting rebase");
    world.go_on();
    assert_eq!(world.task.leases.len(), 1);
    world.fail("conflict in cart.rs");
    assert_eq!((world.stands().as_str(), world.task.retries), ("development running", 1));
    assert!(world.task.leases.is_empty());
}

#[test]
fn g1_3_a_retest_past_its_budget_keeps_stage_and_retries() {
    let mut world = World::new(full());
    world.walk_to("deploy-staging acting retest");
    world.answer(infra());
    assert_eq!((world.stands().as_str(), world.task.retries), ("deploy-staging waiting retest", 0));
    assert_eq!(world.task.leases.len(), 1, "what was rebased stays fenced");
}

#[test]
fn g1_6_a_red_retest_goes_back_and_nothing_counts_as_validated() {
    let mut world = World::new(full());
    world.walk_to("deploy-staging acting retest");
    world.fail("two tests are red");
    assert_eq!(world.stands(), "development running");
    assert_eq!(world.task.validated, None);
}

#[test]
fn no_run_no_verdict_a_run_that_did_not_deliver_is_launched_again_and_then_holds() {
    let mut world = World::new(quick());
    for attempt in 1..=RUN_RETRIES + 1 {
        assert_eq!(world.task.position.activity, domain::task::Activity::Running { attempt });
        let ended = world.run_ended(RunOutcome::Undelivered {
            cause: "no document".to_owned(),
            retry_after: None,
            class: FailureClass::Permanent,
        });
        world.tell(&ended).unwrap();
    }
    assert_eq!(world.hold_kind(), Some(HoldKind::Undelivered));
    assert_eq!(world.hold_reason(), "the run did not deliver 3 times: no document");
    assert_eq!((world.task.retries, world.notices(Notice::AgentFailed)), (0, 1));
}

fn refused(retry_after: Option<Milliseconds>) -> RunOutcome {
    RunOutcome::Undelivered { cause: "429".to_owned(), retry_after, class: FailureClass::Transient }
}

fn crashed() -> RunOutcome {
    RunOutcome::Undelivered { cause: "exit 1".to_owned(), retry_after: None, class: FailureClass::Permanent }
}

#[test]
fn c3_1_a_transient_failure_waits_as_told_and_costs_no_attempt() {
    let mut world = World::new(quick());
    let told = world.now;
    let ended = world.run_ended(refused(Some(Milliseconds::from_seconds(30))));
    world.tell(&ended).unwrap();
    assert_eq!(world.task.position.activity, domain::task::Activity::Running { attempt: 1 });
    assert_eq!((world.task.retries, world.task.run_retries, world.task.transient_retries), (0, 0, 1));
    let (_, launch) = world.jobs.first().unwrap();
    assert_eq!(launch.effect.name(), "launch-agent");
    assert!(launch.available_at.since(told) >= Milliseconds::from_seconds(30));
}

#[test]
fn c3_2_transient_failures_have_a_budget_of_their_own_and_then_hold_with_one_alert() {
    let mut world = World::new(quick());
    for spent in 1..=TRANSIENT_RETRIES {
        let ended = world.run_ended(refused(None));
        world.tell(&ended).unwrap();
        assert_eq!((world.task.transient_retries, world.task.run_retries), (spent, 0));
    }
    let ended = world.run_ended(refused(None));
    world.tell(&ended).unwrap();
    assert_eq!(world.hold_kind(), Some(HoldKind::InfraExhausted));
    assert_eq!((world.notices(Notice::InfraExhausted), world.notices(Notice::AgentFailed)), (1, 0));
    assert_eq!(world.hold_reason(), "the run failed 11 times by what should have passed by itself; last: 429");
    assert_eq!((world.task.retries, world.task.run_retries), (0, 0));
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!((world.stands().as_str(), world.task.transient_retries), ("development running", 0));
}

#[test]
fn c3_3_a_plain_failure_at_the_last_attempt_holds_with_one_alert_whatever_was_transient_before() {
    let mut world = World::new(quick());
    for attempt in 1..=RUN_RETRIES + 1 {
        let ended = world.run_ended(refused(None));
        world.tell(&ended).unwrap();
        assert_eq!(world.task.position.activity, domain::task::Activity::Running { attempt });
        let ended = world.run_ended(crashed());
        world.tell(&ended).unwrap();
    }
    assert_eq!(world.hold_kind(), Some(HoldKind::Undelivered));
    assert_eq!((world.task.retries, world.notices(Notice::AgentFailed)), (0, 1));
}

#[test]
fn no_run_no_verdict_the_document_of_another_is_a_fault_of_the_work() {
    let mut world = World::new(quick());
    world.walk_to("development running");
    let findings = Digest::of(b"wrote 12-review.md");
    let trespass =
        RunOutcome::Trespassed { head: None, findings, count: 1, title: "wrote the reviewer's document".to_owned() };
    let ended = world.run_ended(trespass);
    world.tell(&ended).unwrap();
    assert_eq!((world.stands().as_str(), world.task.retries), ("development running", 1));
}

#[test]
fn a_run_past_its_budget_costs_no_attempt_and_holds() {
    let mut world = World::new(quick());
    let ended = world.run_ended(RunOutcome::OverBudget { cause: "12 USD are spent".to_owned() });
    world.tell(&ended).unwrap();
    assert_eq!(world.hold_kind(), Some(HoldKind::OverBudget));
    assert_eq!((world.task.retries, world.task.run_retries), (0, 0));
}

#[test]
fn a_wait_ends_at_its_time_or_when_what_it_named_arrives() {
    let mut world = World::new(quick());
    world.walk_to("development judging checks-green");
    world.answer(wait(&world, 5));
    assert_eq!(world.tell(&Event::Woken { kind: WakeKind::Comment }).unwrap_err().to_string(), {
        "illegal here: `woken` while waiting"
    });
    world.tell(&Event::Woken { kind: WakeKind::Checks }).unwrap();
    assert_eq!(world.stands(), "development judging checks-green");
    world.answer(wait(&world, 5));
    world.go_on();
    assert_eq!(world.stands(), "development judging checks-green");
}

#[test]
fn a_wait_over_which_a_fact_arrived_is_asked_again_at_once() {
    let mut world = World::new(quick());
    world.walk_to("development judging checks-green");
    let mut event = world.answered(wait(&world, 5), StepFacts::default());
    if let Event::StepAnswered { woken, .. } = &mut event {
        *woken = true;
    }
    world.tell(&event).unwrap();
    assert_eq!(world.stands(), "development judging checks-green");
}

#[test]
fn a_wait_is_bounded_by_the_steps_patience() {
    let mut world = World::new(quick());
    world.walk_to("development judging checks-green");
    let begun = world.now;
    for _ in 0..100 {
        if world.hold_kind().is_some() {
            break;
        }
        world.answer(wait(&world, 50));
        if world.hold_kind().is_none() {
            world.go_on();
        }
    }
    assert_eq!(world.hold_kind(), Some(HoldKind::PatienceExhausted));
    assert_eq!(world.now.since(begun), PATIENCE);
}

/// Two steps of one edge are asked one after the other: an answer belongs to the one that is asked, and to no other.
#[test]
fn an_answer_of_another_step_than_the_one_that_is_asked_moves_nothing() {
    for (stands, other) in [("analysis judging questions", "deliverables"), ("deploy acting merge", "prove-merged")] {
        let mut world = World::new(full());
        world.walk_to(stands);
        let before = world.task.clone();
        let mut event = world.answered(Answer::Pass { note: "good".to_owned() }, StepFacts::default());
        if let Event::StepAnswered { step: answered, .. } = &mut event {
            *answered = step(other);
        }
        assert!(matches!(world.tell(&event), Err(Rejected::Illegal(_))), "{stands}");
        assert_eq!(world.task, before);
    }
}

#[test]
fn a_late_run_that_cost_nothing_is_no_entry() {
    let never_began = |world: &mut World| {
        let mut event = world.delivered();
        if let Event::RunEnded { spent, .. } = &mut event {
            *spent = None;
        }
        event
    };
    let mut world = World::new(quick());
    let late = never_began(&mut world);
    world.walk_to("development judging checks-green");
    assert_eq!(world.tell(&late), Err(Rejected::Late));
    let runs = world.task.runs;
    world.intent(Intent::Stop, "").unwrap();
    world.walk_to("cancelled settled");
    assert_eq!(world.tell(&late), Err(Rejected::Terminal));
    assert_eq!(world.task.runs, runs);
}

#[test]
fn a_late_run_costs_what_it_cost_and_moves_nothing() {
    let mut world = World::new(quick());
    let late = world.delivered();
    world.intent(Intent::Pause, "").unwrap();
    let gone = domain::event::Observation::GoneFromBoard { by: "bob".to_owned() };
    world.tell(&Event::Observed { observation: gone }).unwrap();
    let position = world.task.position.clone();
    world.tell(&late).unwrap();
    assert_eq!(world.task.position, position);
    assert_eq!((world.task.spent.cost_microusd, world.task.head.is_none()), (500, true));
}
