//! The way through a pipeline: which stage follows which, who works there, and what ends it (catalogue B1, B2, B5, B8, B10).

use domain::document::Role;
use domain::effect::{Effect, Notice};
use domain::entry::Entry;
use domain::event::{Answer, Event, FailureClass, Intent, Observation, RunOutcome, StepFacts};
use domain::ids::{BranchName, Digest};
use domain::task::{HoldKind, Terminality, Track};
use domain::time::Milliseconds;
use domain::verdict::{WakeKind, WakeSet};

use crate::pipelines::{admitted, full, full_with_security, quick, unmerged, without_shortcut};
use crate::world::{World, commit};

fn stages(world: &World) -> Vec<String> {
    let entered = world.entries.iter().filter_map(|entry| match entry {
        Entry::StageEntered { stage, .. } => Some(stage.to_string()),
        _ => None,
    });
    entered.collect()
}

fn role_at_work(world: &World) -> Option<Role> {
    match world.jobs.first().map(|(_, wanted)| &wanted.effect) {
        Some(Effect::Launch { role, .. }) => Some(*role),
        _ => None,
    }
}

#[test]
fn b1_1_an_all_green_task_visits_every_stage_once_in_order_and_each_worker_runs_once() {
    let mut world = World::new(full());
    world.walk_to("done settled");
    let wanted = ["analysis", "architecture", "development", "review", "testing", "deploy-staging", "deploy", "done"];
    assert_eq!(stages(&world), wanted);
    let runs = world.entries.iter().filter_map(|entry| match entry {
        Entry::RunEnded { role, .. } => Some(*role),
        _ => None,
    });
    let roles = [Role::Analyst, Role::Architect, Role::Developer, Role::Reviewer, Role::Tester];
    assert_eq!((runs.collect::<Vec<_>>(), world.task.runs), (roles.map(Some).to_vec(), 5));
    assert_eq!(world.task.retries, 0);
    assert_eq!(world.task.end(), Some(Terminality::Done));
}

#[test]
fn b1_1_quick_ends_with_the_tested_commit_in_main() {
    let mut world = World::new(quick());
    world.walk_to("done settled");
    assert_eq!(stages(&world), ["development", "review", "testing", "done"]);
    assert_eq!(world.task.merged, world.task.head);
    assert!(world.told.contains(&Effect::Tidy));
}

#[test]
fn the_timeline_says_how_each_run_ended() {
    let undelivered = |class| RunOutcome::Undelivered { cause: "exit 1".to_owned(), retry_after: None, class };
    let trespass = RunOutcome::Trespassed {
        head: None,
        findings: Digest::of(b"wrote 12-review.md"),
        count: 1,
        title: "wrote the reviewer's document".to_owned(),
    };
    let mut world = World::new(quick());
    let outcomes = [
        undelivered(FailureClass::Transient),
        undelivered(FailureClass::Permanent),
        trespass,
        RunOutcome::OverBudget { cause: "12 USD are spent".to_owned() },
    ];
    for outcome in outcomes {
        let ended = world.run_ended(outcome);
        world.tell(&ended).unwrap();
    }
    world.intent(Intent::Resume, "").unwrap();
    world.walk_to("development judging checks-green");
    let mut observed = World::observed(quick());
    let followed = observed.run_ended(RunOutcome::Followed { head: Some(commit(60)), documents: Vec::new() });
    observed.tell(&followed).unwrap();
    let said = world.entries.iter().chain(&observed.entries).filter_map(|entry| match entry {
        Entry::RunEnded { outcome, .. } => Some(outcome.as_str()),
        _ => None,
    });
    let wanted = [
        "undelivered: exit 1",
        "undelivered: exit 1",
        "trespassed: wrote the reviewer's document",
        "over budget: 12 USD are spent",
        "delivered",
        "done by another hand",
    ];
    assert_eq!(said.collect::<Vec<_>>(), wanted);
}

#[test]
fn a_way_that_merges_nothing_is_done_at_its_end() {
    let mut world = World::new(unmerged());
    world.walk_to("testing judging tests-passed");
    world.go_on();
    assert_eq!((world.stands().as_str(), &world.task.merged), ("done settled", &None));
    let said = world
        .told
        .iter()
        .filter(|effect| matches!(effect, Effect::Notify { notice: Notice::Done, text } if text == "SHOP-7 is done"));
    assert_eq!(said.count(), 1);
}

/// Whoever reads the ticket reads what it cost, by role; where nothing ran, there is nothing to tell.
#[test]
fn e7_3_the_last_comment_says_what_each_role_cost() {
    let last = |world: &World| {
        let mut said = world.told.iter().filter_map(|effect| match effect {
            Effect::Comment { text } => Some(text.clone()),
            _ => None,
        });
        said.next_back().unwrap()
    };
    let mut world = World::new(unmerged());
    world.walk_to("review judging review-verdict");
    world.fail("the cart leaks");
    world.walk_to("done settled");
    let wanted = [
        "SHOP-7 is done",
        "",
        "What it cost: $0.01, 50 tokens in, 10 out, 5 min",
        "- developer: 2 runs, $0.01, 20 tokens in, 4 out, 2 min",
        "- reviewer: 2 runs, $0.01, 20 tokens in, 4 out, 2 min",
        "- tester: 1 run, $0.01, 10 tokens in, 2 out, 1 min",
    ];
    assert_eq!(last(&world).lines().collect::<Vec<_>>(), wanted);
    let mut world = World::new(quick());
    world.intent(Intent::Stop, "").unwrap();
    world.go_on();
    assert_eq!(last(&world), "SHOP-7 was stopped");
}

#[test]
fn a_way_that_begins_with_a_gate_cuts_its_branch_there() {
    let mut world = World::new(admitted());
    assert_eq!(world.stands(), "admission judging admission");
    let branch = BranchName::new("feature/SHOP-7").unwrap();
    world
        .tell(&Event::BranchCut {
            epoch: world.task.epoch,
            branch: branch.clone(),
            base: commit(1),
            documents: Vec::new(),
        })
        .unwrap();
    assert_eq!(world.stands(), "admission judging admission", "and the gate is still asked");
    assert_eq!(world.task.branch, Some(branch));
}

#[test]
fn b1_2_a_failing_security_gate_takes_no_lease_and_rebases_nothing() {
    let mut world = World::new(full_with_security());
    world.walk_to("deploy-staging judging security");
    world.fail("a key in the code");
    assert_eq!(world.stands(), "development running");
    assert!(!world.entries.iter().any(|entry| matches!(entry, Entry::LeaseRequested { .. })));
}

#[test]
fn b1_3_the_two_terminals_have_no_way_out() {
    for pipeline in [quick(), full()] {
        let ends = pipeline.stages().iter().filter(|stage| stage.edge.is_none()).map(|stage| stage.name.as_str());
        assert_eq!(ends.collect::<Vec<_>>(), ["done", "cancelled"]);
    }
}

#[test]
fn b2_1_an_approved_analysis_launches_the_architect() {
    let mut world = World::new(full());
    world.walk_to("analysis awaiting-person approve");
    world.intent(Intent::Approve, "").unwrap();
    assert_eq!(world.stands(), "architecture running");
    assert_eq!(role_at_work(&world), Some(Role::Architect));
}

#[test]
fn b2_2_a_reviewers_request_for_changes_goes_back_to_development() {
    let mut world = World::new(quick());
    world.walk_to("review judging review-verdict");
    world.fail("the cart leaks");
    assert_eq!(world.stands(), "development running");
    assert_eq!((world.task.retries, world.task.position.visit), (1, 2));
    assert_eq!(role_at_work(&world), Some(Role::Developer));
}

/// A gate is asked again by a timer, a fact or an edit, and each time nobody has worked since: only its answer costs, and once.
#[test]
fn b2_3_being_asked_again_costs_no_retry_and_neither_does_an_answer_that_nobody_asked_for() {
    let mut world = World::new(quick());
    world.walk_to("review judging review-verdict");
    for by_a_fact in [true, false] {
        let until = world.now.plus(Milliseconds::from_seconds(60));
        let wake = WakeSet::from_iter([WakeKind::Comment]);
        world.answer(Answer::Wait { until, wake, why: "a second opinion".to_owned() });
        if by_a_fact {
            world.tell(&Event::Woken { kind: WakeKind::Comment }).unwrap();
        } else {
            world.go_on();
        }
        assert_eq!((world.stands().as_str(), world.task.retries), ("review judging review-verdict", 0));
    }
    let red = Answer::Fail { findings: Digest::of(b"red"), count: 1, title: "red".to_owned() };
    let answered = world.answered(red, StepFacts::default());
    world.tell(&answered).unwrap();
    assert_eq!((world.stands().as_str(), world.task.retries), ("development running", 1));
    assert_eq!(world.tell(&answered), Err(engine::Rejected::Late));
    assert_eq!((world.stands().as_str(), world.task.retries), ("development running", 1));
}

#[test]
fn b5_1_an_architect_who_disagrees_sends_the_task_back_to_analysis() {
    let mut world = World::new(full());
    world.walk_to("architecture judging deliverables-adr");
    world.fail("the request contradicts itself");
    assert_eq!(world.stands(), "analysis running");
    assert_eq!(role_at_work(&world), Some(Role::Analyst));
    assert_eq!(world.task.feedback.len(), 1);
}

#[test]
fn b5_2_without_a_conflict_the_developer_is_next() {
    let mut world = World::new(full());
    world.walk_to("architecture judging deliverables-adr");
    world.go_on();
    assert_eq!(role_at_work(&world), Some(Role::Developer));
}

#[test]
fn b8_1_a_bug_skips_architecture() {
    let mut world = World::with(full(), Track::Bug, &["Bug"]);
    world.walk_to("analysis awaiting-person approve");
    world.intent(Intent::Approve, "").unwrap();
    assert_eq!(world.stands(), "development running");
}

#[test]
fn b8_2_a_task_that_is_no_bug_any_more_goes_through_architecture() {
    let mut world = World::with(full(), Track::Bug, &["Bug"]);
    world.walk_to("analysis awaiting-person approve");
    world.tell(&Event::Observed { observation: Observation::Labels { labels: Vec::new() } }).unwrap();
    world.intent(Intent::Approve, "").unwrap();
    assert_eq!(world.stands(), "architecture running");
}

#[test]
fn b8_2_a_task_that_becomes_a_bug_skips_architecture() {
    let mut world = World::new(full());
    world.walk_to("analysis awaiting-person approve");
    let labels = vec!["size-s".to_owned(), "BUG".to_owned()];
    world.tell(&Event::Observed { observation: Observation::Labels { labels } }).unwrap();
    world.intent(Intent::Approve, "").unwrap();
    assert_eq!(world.stands(), "development running");
}

/// What a bug skips is the pipeline's word: where no edge leads around a stage, the label changes nothing.
#[test]
fn b8_3_where_the_pipeline_has_no_shortcut_the_label_changes_nothing() {
    let mut world = World::with(without_shortcut(), Track::Bug, &["Bug"]);
    world.walk_to("analysis awaiting-person approve");
    world.intent(Intent::Approve, "").unwrap();
    assert_eq!(world.stands(), "architecture running");
}

#[test]
fn b10_1_a_merge_by_another_hand_does_not_complete_a_task() {
    let mut world = World::new(full());
    world.walk_to("deploy awaiting-person confirm");
    let merged = Observation::MergedElsewhere { commit: commit(5), by: "bob".to_owned(), tested: true };
    world.tell(&Event::Observed { observation: merged }).unwrap();
    assert_eq!(world.stands(), "deploy awaiting-person confirm");
}

#[test]
fn b10_2_a_failed_deploy_goes_back_to_development_and_says_so() {
    let mut world = World::new(full());
    world.walk_to("deploy judging deploy-status");
    world.fail("exit 3");
    assert_eq!(world.stands(), "development running");
    assert_eq!(world.notices(Notice::DeployFailed), 1);
    assert_eq!(world.task.validated, None);
    assert!(world.task.leases.is_empty() && world.task.passed.is_empty());
    world.walk_to("deploy acting deploy");
    assert_ne!(world.task.head, world.task.deployed, "the deploy is wanted anew, of the new commit");
}

#[test]
fn g4_1_what_is_not_proven_to_be_in_main_holds_with_its_lease() {
    let mut world = World::new(quick());
    world.walk_to("testing acting prove-merged");
    world.answer(Answer::Stuck { kind: HoldKind::NotProven, reason: "it is not in main".to_owned() });
    assert_eq!(world.hold_kind(), Some(HoldKind::NotProven));
    assert_eq!(world.task.retries, 0);
    assert_eq!(world.task.leases.len(), 1);
    assert_eq!(world.notices(Notice::Held), 1);
}

/// The forge says merged, and it is another commit than the tested one: held where it stands, not in `done`.
#[test]
fn g4_1_a_merge_of_something_else_is_never_done() {
    let mut world = World::new(quick());
    world.walk_to("testing acting merge");
    let facts = StepFacts { merged: Some(commit(5)), ..StepFacts::default() };
    let event = world.answered(Answer::Pass { note: "merged".to_owned() }, facts);
    world.tell(&event).unwrap();
    world.answer(Answer::Pass { note: "proven".to_owned() });
    assert_eq!(world.stands(), "testing held prove-merged");
    assert_eq!(world.hold_kind(), Some(HoldKind::NotProven));
    world.intent(Intent::Resume, "").unwrap();
    assert_eq!(world.stands(), "testing acting rebase");
    world.walk_to("done settled");
}

#[test]
fn g4_3_the_proof_frees_the_lease() {
    let mut world = World::new(quick());
    world.walk_to("testing acting prove-merged");
    assert_eq!(world.task.leases.len(), 1);
    world.go_on();
    assert_eq!(world.stands(), "done settled");
    assert!(world.task.leases.is_empty());
}

#[test]
fn h3_2_a_replayed_approval_of_a_done_task_changes_nothing() {
    let mut world = World::new(quick());
    world.walk_to("done settled");
    let told = world.told.len();
    assert_eq!(world.intent(Intent::Approve, ""), Err(engine::Rejected::Terminal));
    assert_eq!(world.told.len(), told);
}

/// A label cannot be read as an answer to something else: only what `fail` says goes back, with its findings by digest.
#[test]
fn b4_1_the_findings_reach_the_next_run() {
    let mut world = World::new(quick());
    world.walk_to("testing judging tests-passed");
    world.fail("two tests are red");
    let [feedback] = world.task.feedback.as_slice() else { panic!("one feedback") };
    assert_eq!(feedback.findings, Some(Digest::of(b"two tests are red")));
    assert_eq!(feedback.plugin.as_ref().map(domain::ids::PluginId::as_str), Some("tests-passed"));
    world.go_on();
    assert!(world.task.feedback.is_empty(), "what was mended is not told again");
}
