//! Observed projects: what is decided, what is written down instead of done, and what others carry on.

use conductor::ports::runs::Ending;
use conductor::ports::store::WouldRow;
use conductor::project::{Pointers, UsageReader, Worker};
use domain::cost::Usage;
use domain::document::Role;
use domain::entry::Entry;
use domain::event::{Event, Intent, Observation};
use domain::ids::{Actor, CommitId};
use domain::plugin::GuardDecision;
use domain::task::Terminality;
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::{Finding, Severity, Verdict};
use serde_json::json;

use crate::world::{World, guard, person, plugin, project};

const BRANCH: &str = "feature/SHOP-001-sell-more";
const DAY: u64 = 24 * 3600;

fn observed(role: Role) -> World {
    World::of(role, |settings| {
        settings.observe = true;
        settings.notifiers = vec![(plugin("chat"), json!({}))];
    })
}

fn woulds(world: &World) -> Vec<WouldRow> {
    world.store.woulds(Some(&project()), Timestamp(0), 0, 1000).unwrap()
}

fn effects(world: &World) -> Vec<String> {
    woulds(world).into_iter().map(|row| row.would.effect).collect()
}

fn of(world: &World, effect: &str) -> Vec<String> {
    let rows = woulds(world).into_iter().filter(|row| row.would.effect == effect);
    rows.map(|row| format!("{}: {}", row.would.target, row.would.summary)).collect()
}

/// What lies outside is as it was before.
fn nothing_was_done(world: &World) {
    assert_eq!(*world.forge.deeds.lock().unwrap(), Vec::<&str>::new());
    assert_eq!(world.runs.launches.lock().unwrap().len(), 0);
    assert_eq!(world.plugins.told.lock().unwrap().len(), 0);
    assert_eq!(world.comments(), Vec::<String>::new());
    let log = world.store.activity(&project(), &world.task().work_item).unwrap();
    assert!(log.iter().all(|row| row.actor != Actor::Host), "{log:?}");
}

fn why_it_waits(world: &World) -> String {
    let job = world.waiting().pop().unwrap();
    format!("{:?}: {}", job.reason.unwrap(), job.note.unwrap_or_default())
}

fn finding() -> Finding {
    Finding {
        rule: "no-tests".to_owned(),
        severity: Severity::Blocker,
        title: "No tests".to_owned(),
        detail: String::new(),
        path: None,
        line: None,
        help: None,
    }
}

#[test]
fn an_observed_task_does_nothing_outside_and_says_for_what_it_waits() {
    let mut world = observed(Role::Developer);
    world.started();
    assert_eq!(world.stands(), "running");
    assert!(world.task().observed);
    assert_eq!(
        why_it_waits(&world),
        format!(
            "Time: observed: the developer would be launched; no branch of another hand bears SHOP-001, as {BRANCH} would"
        )
    );
    for _ in 0..20 {
        world.pass(600);
    }
    world.restart();
    world.pass(600);
    assert_eq!(effects(&world), ["notify", "launch-agent", "set-status"], "each once, whatever time passes");
    assert_eq!(
        of(&world, "launch-agent"),
        [format!("developer: `agent`, attempt 1, on the new branch {BRANCH} at its base")]
    );
    assert_eq!(world.entries().iter().filter(|entry| matches!(entry, Entry::ActivityEntered { .. })).count(), 1);
    nothing_was_done(&world);
}

#[test]
fn pushes_of_others_are_judged_and_a_persons_answer_is_heard() {
    let world = observed(Role::Developer);
    let pass = Verdict::Pass { note: "fine".to_owned(), warnings: Vec::new(), figures: Vec::new() };
    let fail = Verdict::Fail { findings: vec![finding()], figures: Vec::new() };
    *world.plugins.gate.lock().unwrap() = [fail, pass].into();
    world.started();
    let first = world.forge.pushed(BRANCH, "c", &[]);
    world.pass(600);
    assert_eq!((world.stands(), world.task().retries), ("running", 1), "the gate judged the push, and sent it back");
    assert_eq!(world.task().head, Some(first));
    world.pass(600);
    assert_eq!(world.task().retries, 1, "the same push is not judged twice");
    let second = world.forge.pushed(BRANCH, "d", &[]);
    world.pass(600);
    assert_eq!((world.stands(), world.task().head), ("awaiting-person", Some(second)));
    assert_eq!(of(&world, "launch-agent").len(), 2);
    assert!(of(&world, "post-comment").iter().any(|row| row.contains("waits for you")), "{:?}", woulds(&world));
    world.move_to("Approved", &person("ada"));
    world.go();
    assert_eq!(world.task().end(), Some(Terminality::Done));
    let evaluations = world.store.evaluations(Some(world.task().id), 100).unwrap();
    assert_eq!(evaluations.iter().filter(|row| row.evaluation.step == "questions").count(), 2);
    nothing_was_done(&world);
}

#[test]
fn a_document_that_another_hand_leaves_is_the_reviewers_and_an_old_one_is_nobodys() {
    let world = observed(Role::Reviewer);
    let path = "docs/work-items/SHOP-001/12-review.md";
    let approved = "---\nverdict: APPROVED\n---\n\nFine.\n";
    let changes = "---\nverdict: REQUEST_CHANGES\n---\n\nTests.\n";
    world.forge.pushed(BRANCH, "c", &[(path, "")]);
    world.started();
    let why = why_it_waits(&world);
    assert!(why.contains("a new 12-review.md on feature/SHOP-001-sell-more by another hand is awaited; "), "{why}");
    assert!(why.contains("12-review.md is malformed: it is empty"), "{why}");
    let fail = Verdict::Fail { findings: vec![finding()], figures: Vec::new() };
    *world.plugins.gate.lock().unwrap() = [fail].into();
    world.forge.pushed(BRANCH, "d", &[(path, changes)]);
    world.pass(600);
    assert_eq!((world.stands(), world.task().retries), ("running", 1));
    world.pass(DAY);
    assert_eq!(world.task().retries, 1, "what was taken once is not taken again");
    world.forge.pushed(BRANCH, "e", &[(path, approved)]);
    world.pass(600);
    assert_eq!(world.stands(), "awaiting-person");
    let kept = world.store.documents(world.task().id).unwrap();
    let review = kept.iter().find(|document| document.name == "12-review.md").unwrap();
    assert_eq!(world.store.blob(&review.blob).unwrap(), approved.as_bytes());
    assert_eq!(review.run, None, "no run of ours wrote it");
    nothing_was_done(&world);
}

#[test]
fn a_merge_that_git_shows_ends_an_observed_task_wherever_it_stands() {
    let world = observed(Role::Developer);
    world.started();
    let work = world.forge.pushed("bot/shop-001", "c", &[]);
    *world.plugins.gate.lock().unwrap() =
        [Verdict::Hold { kind: domain::verdict::GateHold::Blocked, reason: "wait".to_owned(), findings: Vec::new() }]
            .into();
    world.pass(600);
    world.forge.merged(&work);
    world.pass(DAY);
    assert_eq!(world.stands(), "held", "only a person ends a hold");
    let told = Observation::MergedElsewhere { commit: work.clone(), by: "a webhook".to_owned(), tested: true };
    world.store.apply(world.task().id, &Event::Observed { observation: told }, world.now()).unwrap();
    assert_eq!(world.stands(), "held");
    let resume = Event::Intent { intent: Intent::Resume, actor: person("ada"), note: String::new() };
    world.store.apply(world.task().id, &resume, world.now()).unwrap();
    world.pass(600);
    assert_eq!((world.task().end(), world.task().merged), (Some(Terminality::Done), Some(work)));
    assert_eq!(world.store.freeze(&project()).unwrap(), None);
    nothing_was_done(&world);
}

#[test]
fn a_merge_that_a_webhook_claims_ends_nothing() {
    let world = observed(Role::Developer);
    world.started();
    let work = world.forge.pushed(BRANCH, "c", &[]);
    let told = Observation::MergedElsewhere { commit: work.clone(), by: "a webhook".to_owned(), tested: true };
    world.store.apply(world.task().id, &Event::Observed { observation: told }, world.now()).unwrap();
    world.pass(600);
    assert_eq!((world.stands(), world.task().merged), ("awaiting-person", None));
}

#[test]
fn a_guard_is_asked_once_and_what_it_holds_is_held() {
    let world = World::with(|settings| {
        settings.observe = true;
        settings.guards = vec![guard(&["launch-agent"], Milliseconds::from_seconds(60))];
    });
    world.started();
    world.pass(600);
    world.pass(600);
    assert_eq!(world.plugins.asked.lock().unwrap().len(), 1);
    let world = World::with(|settings| {
        settings.observe = true;
        settings.guards = vec![guard(&["launch-agent"], Milliseconds::from_seconds(60))];
    });
    *world.plugins.guard.lock().unwrap() =
        Some(Box::new(|_| Ok(GuardDecision::Hold { reason: "not today".to_owned() })));
    world.started();
    assert_eq!(world.hold(), "Blocked: a guard holds launch-agent: not today");
    assert_eq!(of(&world, "launch-agent"), Vec::<String>::new(), "it would not have been launched");
}

#[test]
fn a_task_that_began_before_is_put_off_and_goes_on_when_its_project_acts_again() {
    let world = World::new();
    world.started();
    let (deeds, comments) = (world.forge.deeds.lock().unwrap().clone(), world.comments());
    let run = world.runs.live()[0];
    world.edit(|settings| settings.observe = true);
    world.end_run(run, Ending::Exited(0), "");
    assert_eq!(why_it_waits(&world), "Time: observed: what its run left is taken over when the project acts again");
    for _ in 0..5 {
        world.pass(600);
    }
    assert_eq!((world.stands(), world.task().observed), ("running", false));
    world.forge.pushed(BRANCH, "e", &[]);
    world.pass(600);
    assert_eq!(*world.forge.deeds.lock().unwrap(), deeds, "nothing was taken over, removed or cut");
    assert_eq!(world.comments(), comments);
    world.edit(|settings| settings.observe = false);
    world.pass(600);
    assert_eq!(world.stands(), "awaiting-person");
    assert_eq!(world.task().head, Some(CommitId::new("c".repeat(40)).unwrap()), "its own run's work");
    assert_eq!(world.runs.launches.lock().unwrap().len(), 1, "nothing was launched a second time");
}

/// Its run is over, and nobody has counted it yet: whoever stops the task meanwhile does not make it cost nothing.
#[test]
fn what_a_run_cost_counts_though_its_task_is_stopped_before_its_end_is_taken_over() {
    let world = World::new();
    world.edit(|settings| {
        if let Some(Worker::Agent(agent)) = settings.workers.get_mut(&Role::Developer) {
            agent.usage = UsageReader::Json(Pointers { cost_usd: Some("/cost".to_owned()), ..Pointers::default() });
        }
    });
    world.started();
    let run = world.runs.live()[0];
    let used = Usage { cost_microusd: Some(2_000_000), ..Usage::default() };
    world.runs.usage.lock().unwrap().insert(run, used);
    world.edit(|settings| settings.observe = true);
    world.end_run(run, Ending::Exited(0), "");
    world.stop(world.task().id);
    world.edit(|settings| settings.observe = false);
    world.pass(600);
    assert_eq!(world.task().end(), Some(Terminality::Cancelled));
    assert_eq!(world.task().spent.cost_microusd, 2_000_000);
    assert!(world.store.run(run).unwrap().ended_at.is_some());
}

#[test]
fn nothing_is_launched_stopped_or_told_for_a_task_that_began_before() {
    let world = World::new();
    world.card("To Analyse");
    world.edit(|settings| settings.observe = true);
    world.store.set_freeze(&project(), Some("not yet"), &person("ada"), world.now()).unwrap();
    // The task begins while its project acts, as its row says, and meets an observing host.
    world.store.set_freeze(&project(), None, &person("ada"), world.now()).unwrap();
    world.go();
    assert!(!world.task().observed);
    assert_eq!(why_it_waits(&world), "Time: observed: launch-agent waits until the project acts again");
    world.stop(world.task().id);
    world.pass(600);
    assert_eq!(world.stands(), "stopping");
    nothing_was_done(&world);
    assert_eq!(effects(&world).iter().filter(|effect| *effect == "clean-up").count(), 1);
    world.edit(|settings| settings.observe = false);
    world.pass(600);
    assert_eq!(world.task().end(), Some(Terminality::Cancelled));
}

#[test]
fn a_task_that_began_observed_stays_so_when_its_project_acts() {
    let world = observed(Role::Developer);
    world.started();
    world.edit(|settings| settings.observe = false);
    world.forge.pushed(BRANCH, "c", &[]);
    world.pass(600);
    assert_eq!(world.stands(), "awaiting-person");
    world.stop(world.task().id);
    world.pass(600);
    assert_eq!(world.task().end(), Some(Terminality::Cancelled));
    assert_eq!(world.forge.task_branches_now(), [BRANCH], "another hand's branch is nobody's to remove");
    nothing_was_done(&world);
}

#[test]
fn who_may_not_decide_gets_no_comment_in_an_observed_project() {
    let world = World::with(|settings| {
        settings.observe = true;
        settings.deciders = [(Intent::Start, vec!["grace".to_owned()])].into();
    });
    world.card("To Analyse");
    world.go();
    assert_eq!(world.comments(), Vec::<String>::new());
    assert_eq!(of(&world, "post-comment"), ["SHOP-001: ada may not decide this here; these may: grace."]);
}
