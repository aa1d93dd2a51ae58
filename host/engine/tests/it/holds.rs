//! What leads out of a hold, and what does not: resume, reject, waive, pause, and a pipeline that changed.

use domain::effect::{Effect, Notice};
use domain::entry::Entry;
use domain::event::{Answer, Event, FailureClass, Intent, Observation, RunOutcome, Withholder};
use domain::ids::{Actor, Digest};
use domain::pipeline::Consent;
use domain::task::{HoldKind, Track};
use domain::verdict::{GateHold, InfraCause};
use engine::Rejected;

use crate::pipelines::{full, full_with_security, quick, quick_asking, stage, step, unreviewed};
use crate::world::{World, commit};

fn blocked() -> Answer {
    Answer::Hold { kind: GateHold::Blocked, reason: "look".to_owned() }
}

fn infra() -> Answer {
    Answer::Infra { cause: InfraCause::Time, message: "slow".to_owned(), retry_after: None }
}

fn held_at(pipeline: domain::pipeline::Pipeline, stands: &str) -> World {
    let mut world = World::new(pipeline);
    world.walk_to(stands);
    world.answer(blocked());
    world
}

fn pipeline_changed(world: &mut World, pipeline: domain::pipeline::Pipeline) {
    let changed = world.pipeline.changed_in(&pipeline);
    world.pipeline = pipeline;
    let digest = world.pipeline.digest().clone();
    world.tell(&Event::PipelineChanged { digest, changed }).unwrap();
}

/// Its component or its settings are others: what it said before is nobody's answer any more.
#[test]
fn a_gate_that_is_another_one_is_asked_again_before_anybody_approves() {
    let rebound = |name: &'static str, word: &'static [u8]| {
        full().bound(move |step| (step.name.as_str() == name).then(|| Digest::of(word)))
    };
    let mut world = World::new(rebound("questions", b"one"));
    world.walk_to("analysis awaiting-person approve");
    pipeline_changed(&mut world, rebound("questions", b"one"));
    assert_eq!(world.stands(), "analysis awaiting-person approve", "nothing changed for it");
    pipeline_changed(&mut world, rebound("questions", b"another"));
    assert_eq!(world.stands(), "analysis judging questions");
    world.go_on();
    assert_eq!(world.stands(), "analysis awaiting-person approve", "the other gate's answer stands");
}

/// What the host did and what a person said is not undone by an edit; only gates are asked again.
#[test]
fn a_gate_that_is_another_one_is_asked_again_after_the_action_that_is_under_way() {
    let rebound = |word: &'static [u8]| {
        full().bound(move |step| (step.name.as_str() == "deploy-status").then(|| Digest::of(word)))
    };
    let mut world = World::new(rebound(b"one"));
    world.walk_to("deploy acting merge");
    pipeline_changed(&mut world, rebound(b"another"));
    assert_eq!(world.stands(), "deploy acting merge");
    world.go_on();
    assert_eq!(world.stands(), "deploy judging deploy-status");
    world.go_on();
    assert_eq!(world.stands(), "deploy acting prove-merged");
}

#[test]
fn what_was_done_and_what_a_person_said_stands_though_its_step_is_another_one() {
    let mut world = World::new(full());
    world.walk_to("deploy judging deploy-status");
    let passed = world.task.passed.clone();
    let changed = ["confirm", "deploy", "deploy-status"].map(|name| (stage("deploy"), step(name))).to_vec();
    let decided = world.tell(&Event::PipelineChanged { digest: Digest::of(b"another"), changed }).unwrap();
    let dropped = decided.entries.iter().filter(|entry| matches!(entry, Entry::PassDropped { .. })).count();
    assert_eq!((dropped, &world.task.passed), (0, &passed), "no gate of them had passed");
    assert_eq!(world.stands(), "deploy judging deploy-status");
}

#[test]
fn a_waive_goes_over_the_step_that_holds_and_says_who_and_why() {
    let mut world = held_at(quick(), "review judging review-verdict");
    world.intent(Intent::Waive, "the reviewer is on leave").unwrap();
    assert_eq!(world.stands(), "testing running");
    let waived = world.entries.iter().find_map(|entry| match entry {
        Entry::Waived { step, actor, why } => Some(format!("{actor} over {step}: {why}")),
        _ => None,
    });
    assert_eq!(waived.as_deref(), Some("ann over review-verdict: the reviewer is on leave"));
}

#[test]
fn a_waive_never_goes_over_security_a_proof_a_merge_or_a_deploy() {
    let steps = [
        "deploy-staging judging security",
        "deploy-staging acting rebase",
        "deploy acting deploy",
        "deploy acting merge",
        "deploy acting prove-merged",
    ];
    for stands in steps {
        let mut world = held_at(full_with_security(), stands);
        let refused = world.intent(Intent::Waive, "I know better").unwrap_err().to_string();
        assert!(refused.ends_with("can never be waived"), "{stands}: {refused}");
    }
}

#[test]
fn a_waived_retest_validates_what_stands() {
    let mut world = held_at(quick(), "testing acting retest");
    world.intent(Intent::Waive, "the suite needs a machine that is gone").unwrap();
    assert_eq!(world.task.validated, world.task.head);
    world.walk_to("done settled");
}

/// What holds is the board, the forge, a pause: a waive is no way around them.
#[test]
fn a_waive_leads_out_of_no_hold_that_a_step_did_not_answer() {
    let mut world = World::new(quick());
    world.walk_to("testing acting retest");
    let gone = domain::event::Observation::RefusedAtForge { by: "bob".to_owned() };
    world.tell(&Event::Observed { observation: gone }).unwrap();
    let refused = world.intent(Intent::Waive, "go on").unwrap_err().to_string();
    assert!(refused.contains("`resume` asks again"), "{refused}");
}

#[test]
fn resume_asks_the_same_step_again() {
    let mut world = held_at(quick(), "review judging review-verdict");
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "review judging review-verdict");
    assert_eq!((world.task.retries, world.notices(Notice::Released)), (0, 1));
}

#[test]
fn resume_takes_the_lease_again_that_the_hold_gave_back() {
    let mut world = held_at(quick(), "testing acting merge");
    assert!(world.task.leases.is_empty());
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "testing acting merge");
    assert_eq!(world.task.requested.len(), 1);
}

#[test]
fn reject_of_a_hold_goes_back() {
    let mut world = held_at(quick(), "testing judging tests-passed");
    world.intent(Intent::Reject, "rewrite it").unwrap();
    assert_eq!(world.stands(), "development running");
    assert_eq!(world.task.feedback[0].note, "rewrite it");
}

#[test]
fn an_approval_lets_no_held_task_on() {
    let mut world = held_at(quick(), "testing judging tests-passed");
    assert!(matches!(world.intent(Intent::Approve, ""), Err(Rejected::Illegal(_))));
}

#[test]
fn a_pause_takes_hold_before_the_next_step() {
    let mut world = World::new(quick());
    world.walk_to("review running");
    world.intent(Intent::Pause, "").unwrap();
    assert_eq!(world.stands(), "review running");
    assert_eq!(world.intent(Intent::Pause, ""), Err(Rejected::Duplicate));
    world.go_on();
    assert_eq!((world.stands().as_str(), world.hold_kind()), ("review held review-verdict", Some(HoldKind::Paused)));
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "review judging review-verdict");
}

#[test]
fn a_run_that_a_guard_or_a_budget_withholds_never_was() {
    for (by, kind) in [(Withholder::Guard, HoldKind::Blocked), (Withholder::Budget, HoldKind::OverBudget)] {
        let mut world = World::new(quick());
        let withheld = Event::Withheld { epoch: world.task.epoch, by, reason: "not tonight".to_owned() };
        let step = world.tell(&withheld).unwrap();
        assert_eq!((world.stands().as_str(), world.hold_kind()), ("development held", Some(kind)));
        assert_eq!((world.task.runs, world.task.run_retries, world.task.retries), (0, 0, 0));
        assert!(!step.entries.iter().any(|entry| matches!(entry, Entry::RunEnded { .. })));
        assert_eq!(world.tell(&withheld), Err(Rejected::Late));
        assert!(matches!(world.intent(Intent::Waive, "it may cost more"), Err(Rejected::Illegal(_))));
        world.intent(Intent::Resume, "").unwrap();
        assert_eq!(world.stands(), "development running");
    }
}

#[test]
fn rule_b1_a_refused_intent_is_an_entry_and_nothing_more() {
    let mut world = World::new(quick());
    world.walk_to("testing awaiting-person approve");
    let before = world.task.clone();
    let (actor, why) = (Actor::Person("eve".to_owned()), "eve may not decide this here".to_owned());
    let step = world.tell(&Event::IntentRefused { intent: Intent::Approve, actor, why }).unwrap();
    assert!(matches!(step.entries[..], [Entry::IntentRefused { .. }]));
    assert!(step.effects.is_empty() && step.changes.is_empty());
    assert_eq!(world.task.position, before.position);
}

#[test]
fn a_pause_takes_hold_before_a_run_is_launched_again() {
    let mut world = World::new(quick());
    world.intent(Intent::Pause, "").unwrap();
    let ended = world.run_ended(RunOutcome::Undelivered {
        cause: "crashed".to_owned(),
        retry_after: None,
        class: FailureClass::Permanent,
    });
    world.tell(&ended).unwrap();
    assert_eq!(world.hold_kind(), Some(HoldKind::Paused));
}

#[test]
fn a_pause_of_a_waiting_task_takes_hold_at_once_and_gives_its_lease_back() {
    let mut world = World::new(quick());
    world.walk_to("testing acting merge");
    world.answer(infra());
    assert_eq!(world.task.leases.len(), 1);
    world.intent(Intent::Pause, "").unwrap();
    assert_eq!(world.hold_kind(), Some(HoldKind::Paused));
    assert!(world.task.leases.is_empty());
}

#[test]
fn a_pause_is_taken_back_by_resume_before_it_took_hold() {
    let mut world = World::new(quick());
    world.intent(Intent::Pause, "").unwrap();
    world.intent(Intent::Resume, "").unwrap();
    world.go_on();
    world.go_on();
    assert_eq!(world.stands(), "development judging checks-green");
}

/// One resume is enough, also where a pause was still waiting to take hold.
#[test]
fn resume_of_another_hold_takes_the_pause_back_too() {
    let mut world = World::new(quick());
    world.intent(Intent::Pause, "").unwrap();
    let ended = world.run_ended(RunOutcome::OverBudget { cause: "spent".to_owned() });
    world.tell(&ended).unwrap();
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "development running");
}

#[test]
fn a_changed_pipeline_asks_what_waits_again() {
    let mut world = World::new(full());
    world.walk_to("deploy-staging awaiting-person approve");
    pipeline_changed(&mut world, full_with_security());
    assert_eq!(world.stands(), "deploy-staging judging security");
}

#[test]
fn a_changed_pipeline_asks_nobody_twice_for_the_same_consent() {
    let mut world = World::new(full());
    world.walk_to("deploy-staging awaiting-person approve");
    let asked = world.notices(Notice::ApproveRequested);
    pipeline_changed(&mut world, full());
    assert_eq!(world.stands(), "deploy-staging awaiting-person approve");
    assert_eq!(world.notices(Notice::ApproveRequested), asked);
}

#[test]
fn a_changed_pipeline_asks_anew_where_another_consent_is_wanted() {
    let mut world = World::new(quick());
    world.walk_to("testing awaiting-person approve");
    pipeline_changed(&mut world, quick_asking(Consent::Confirm, None));
    assert_eq!((world.stands().as_str(), world.task.phase().as_str()), {
        ("testing awaiting-person approve", "awaiting-deploy")
    });
    assert_eq!(world.notices(Notice::ConfirmRequested), 1);
    assert!(world.intent(Intent::Approve, "").is_err());
    world.intent(Intent::ConfirmDeploy, "").unwrap();
    assert_eq!(world.stands(), "testing acting rebase");
}

#[test]
fn a_changed_pipeline_in_which_a_label_stands_in_for_the_person_lets_the_task_on() {
    let mut world = World::with(quick(), Track::Full, &["urgent"]);
    world.walk_to("testing awaiting-person approve");
    pipeline_changed(&mut world, quick_asking(Consent::Approve, Some("other")));
    assert_eq!((world.stands().as_str(), world.notices(Notice::ApproveRequested)), {
        ("testing awaiting-person approve", 1)
    });
    pipeline_changed(&mut world, quick_asking(Consent::Approve, Some("urgent")));
    assert_eq!(world.stands(), "testing acting rebase");
}

#[test]
fn a_stage_that_is_gone_from_the_pipeline_holds_and_comes_back_with_it() {
    let mut world = World::new(full());
    world.walk_to("architecture judging deliverables-adr");
    pipeline_changed(&mut world, quick());
    assert_eq!(world.hold_kind(), Some(HoldKind::PipelineChanged));
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.hold_kind(), Some(HoldKind::PipelineChanged));
    pipeline_changed(&mut world, full());
    assert_eq!(world.hold_kind(), Some(HoldKind::PipelineChanged), "a person lets it on");
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "architecture judging deliverables-adr");
}

/// A deploy that is under way is not cancelled by an edit of a file: it ends, and then the task holds.
#[test]
fn what_acts_is_left_to_end_when_its_stage_is_gone() {
    let mut world = World::new(full());
    world.walk_to("deploy acting deploy");
    world.go_on();
    pipeline_changed(&mut world, quick());
    assert_eq!(world.stands(), "deploy acting deploy");
    world.go_on();
    assert_eq!(world.hold_kind(), Some(HoldKind::PipelineChanged));
    assert_eq!(world.task.deployed, world.task.head);
}

/// Who pauses a task whose work only waits for its turn has launched nothing more: it holds when its turn comes, and goes on there.
#[test]
fn a_pause_keeps_from_its_beginning_what_waited_for_its_turn() {
    for stands in ["development running", "testing acting retest"] {
        let mut world = World::new(quick());
        world.walk_to(stands);
        world.intent(Intent::Pause, "").unwrap();
        assert_eq!(world.stands(), stands, "what runs would go on");
        let epoch = world.task.epoch;
        let withheld = Event::Withheld { epoch, by: Withholder::Pause, reason: "paused".to_owned() };
        world.tell(&withheld).unwrap();
        assert_eq!((world.hold_kind(), world.task.paused), (Some(HoldKind::Paused), false));
        assert!(world.tell(&withheld).is_err(), "it came of an activity that was left");
        world.intent(Intent::Resume, "").unwrap();
        assert_eq!((world.stands().as_str(), world.task.run_retries), (stands, 0));
        // Who resumed before it was withheld wants it begun.
        let withheld = Event::Withheld { epoch: world.task.epoch, by: Withholder::Pause, reason: "paused".to_owned() };
        world.tell(&withheld).unwrap();
        assert_eq!(world.stands(), stands);
    }
}

/// What the acting step does is not known any more when its stage is gone, and it may be what cannot be taken back: a stop waits
/// for its end, and no push changes under its feet what it does.
#[test]
fn i4_3_a_stop_lets_what_acts_end_though_its_stage_is_gone() {
    let mut world = World::new(full());
    world.walk_to("deploy acting deploy");
    world.go_on();
    pipeline_changed(&mut world, quick());
    let head = world.task.head.clone();
    let pushed = Observation::ForeignPush { head: commit(9) };
    assert!(world.tell(&Event::Observed { observation: pushed }).is_err());
    assert_eq!(world.task.head, head);
    world.intent(Intent::Stop, "").unwrap();
    assert_eq!(world.stands(), "deploy acting deploy");
    world.go_on();
    assert_eq!((world.task.deployed.clone(), world.hold_kind()), (head, None));
    assert!(world.stands().contains("stopping"), "{}", world.stands());
}

/// A push that the step itself meets is no work for a stage that is gone: nothing untested is done with it.
#[test]
fn rule_b15_a_push_under_a_stage_that_is_gone_holds() {
    let mut world = World::new(full());
    world.walk_to("deploy acting deploy");
    pipeline_changed(&mut world, quick());
    world.answer(Answer::HeadMoved { head: commit(9) });
    assert_eq!((world.hold_kind(), &world.task.validated), (Some(HoldKind::PipelineChanged), &None));
    assert_eq!(world.hold_reason(), "the pipeline has no stage `deploy` any more");
    assert_eq!((world.task.head.as_ref(), &world.task.deployed), (Some(&commit(9)), &None));
}

#[test]
fn rule_b15_a_push_to_a_held_task_whose_stage_is_gone_changes_nothing_of_its_hold() {
    let mut world = held_at(full(), "deploy-staging judging staging-status");
    pipeline_changed(&mut world, quick());
    let (told, visit) = (world.notices(Notice::Held), world.task.position.visit);
    let pushed = Observation::ForeignPush { head: commit(9) };
    world.tell(&Event::Observed { observation: pushed }).unwrap();
    assert_eq!((world.stands().as_str(), world.hold_reason()), ("deploy-staging held staging-status", "look"));
    assert_eq!((world.hold_kind(), world.task.position.visit), (Some(HoldKind::Blocked), visit));
    assert_eq!((world.notices(Notice::Held), &world.task.validated), (told, &None));
    assert_eq!(world.task.head, Some(commit(9)));
}

#[test]
fn deciding_that_panicked_holds_the_task_and_keeps_what_it_fenced() {
    let mut world = World::new(quick());
    world.walk_to("testing acting retest");
    world.tell(&Event::Panicked { message: "index out of bounds".to_owned(), unanswered: false }).unwrap();
    assert_eq!(world.hold_kind(), Some(HoldKind::Panicked));
    assert_eq!(world.task.leases.len(), 1);
    world.tell(&Event::Panicked { message: "again".to_owned(), unanswered: false }).unwrap();
    assert_eq!(world.notices(Notice::Held), 1);
}

#[test]
fn each_hold_says_so_once_to_people_and_to_the_board() {
    let mut world = World::new(quick());
    world.walk_to("review judging review-verdict");
    let step = world.answer(blocked());
    let told = step.effects.iter().map(|wanted| wanted.effect.name()).collect::<Vec<_>>();
    assert_eq!(told, ["notify", "post-comment", "set-status"]);
    assert!(step.effects.iter().any(|wanted| wanted.effect == Effect::SetStatus { phase: "blocked".to_owned() }));
}

#[test]
fn resume_tests_what_nobody_tested_instead_of_asking_the_merge_again() {
    let mut world = World::new(unreviewed());
    world.walk_to("testing acting merge");
    world.answer(Answer::HeadMoved { head: commit(9) });
    assert_eq!(world.hold_kind(), Some(HoldKind::Blocked));
    world.intent(Intent::Resume, "").unwrap();
    world.go_on();
    world.answer(Answer::Stuck { kind: HoldKind::NotProven, reason: "it was not tested".to_owned() });
    assert_eq!(world.hold_kind(), Some(HoldKind::NotProven));
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "testing acting rebase");
    world.walk_to("done settled");
}
