//! The two ends, and what comes after them (catalogue B9, H3, I4).

use std::sync::atomic::Ordering;

use conductor::ports::runs::RunState;
use conductor::project::HookName;
use domain::document::Role;
use domain::event::{Event, Intent};
use domain::ids::{LeaseName, RunId, StageName, StepName};
use domain::pipeline::{Action, Edge, EdgeStep, OnPatience, Pipeline, PipelineDraft, Stage, StageKind, StepKind};
use domain::plugin::GuardDecision;
use domain::task::Terminality;
use domain::time::Milliseconds;
use serde_json::json;

use crate::drivers::base;
use crate::leases::follows;
use crate::limits::{command, paused};
use crate::world::{UNHEARD, World, guard, item, person, plugin, project};

fn told_of_all() -> World {
    World::with(|settings| settings.notifiers = vec![(plugin("chat"), json!({}))])
}

fn told(world: &World, event: &str) -> usize {
    world.plugins.told.lock().unwrap().iter().filter(|(_, notice)| notice.event == event).count()
}

/// Ada stops it, and the next life of the host finds that what ran has ended.
fn stop(world: &mut World) {
    world.move_to("STOP", &person("ada"));
    world.go();
    world.restart();
    world.pass(1);
}

/// A task whose run was under way when ada stopped it.
fn stopped() -> World {
    let mut world = told_of_all();
    world.started();
    stop(&mut world);
    assert_eq!(world.task().end(), Some(Terminality::Cancelled));
    world
}

/// All that anybody could have noticed of it, however long one looks and whatever the board says meanwhile.
fn nothing_follows(world: &mut World, statuses: &[&str]) {
    let noticed = |world: &World| {
        let told = world.plugins.told.lock().unwrap().len();
        (world.task(), world.entries(), world.comments(), told, world.runs.live().len())
    };
    let before = noticed(world);
    for status in statuses {
        world.move_to(status, &person("ada"));
        world.restart();
        world.pass(600);
        assert_eq!(noticed(world), before, "{status}");
    }
}

#[test]
fn b9_1_no_restart_no_look_and_no_move_of_its_card_moves_a_cancelled_task() {
    let mut world = stopped();
    nothing_follows(&mut world, &["Approved", "Rejected", "In Review", "STOP"]);
}

#[test]
fn h3_2_an_approval_of_a_done_task_is_nothing_and_tells_nobody() {
    let mut world = told_of_all();
    world.started();
    world.end_runs();
    world.go();
    world.move_to("Approved", &person("ada"));
    world.go();
    assert_eq!((world.task().end(), told(&world, "done")), (Some(Terminality::Done), 1));
    nothing_follows(&mut world, &["In Review", "Approved"]);
}

#[test]
fn i4_1_a_stop_ends_the_run_keeps_the_documents_and_tells_once() {
    let mut world = told_of_all();
    world.started();
    let documents = world.store.documents(world.task().id).unwrap();
    assert!(!documents.is_empty());
    stop(&mut world);
    world.pass(3600);
    assert!(world.runs.live().is_empty());
    assert_eq!(world.store.documents(world.task().id).unwrap(), documents);
    assert!(documents.iter().all(|document| world.store.blob(&document.blob).is_ok()));
    assert_eq!((world.task().end(), told(&world, "cancelled")), (Some(Terminality::Cancelled), 1));
    assert_eq!(world.comments().iter().filter(|comment| comment.contains("was stopped")).count(), 1);
}

/// The card of a stopped task starts another one, under the same number, on a branch of its own that holds nothing of the first.
#[test]
fn i4_4_a_start_after_a_stop_makes_a_new_task_on_a_fresh_branch() {
    let mut world = World::new();
    world.started();
    world.end_runs();
    world.go();
    let first = world.task();
    assert_ne!(first.head, Some(base()), "it holds work");
    stop(&mut world);
    world.move_to("To Analyse", &person("ada"));
    world.go();
    let second = world.task();
    assert_ne!(second.id, first.id);
    assert_eq!((&second.work_item, second.end()), (&first.work_item, None));
    assert_eq!((second.head, second.runs, second.retries, second.feedback.len()), (Some(base()), 0, 0, 0));
    assert_eq!((world.stands(), world.runs.live().len()), ("running", 1));
    assert_eq!(world.store.task(first.id).unwrap().end(), Some(Terminality::Cancelled));
}

/// The old task may take long to end: whoever starts again meanwhile is heard then, also where only a poll saw it.
#[test]
fn i4_4_a_start_while_the_stop_takes_hold_begins_a_new_task_when_it_has() {
    let mut world = World::new();
    world.started();
    let first = world.task();
    // The run goes on after it was told to end: nobody has told of its end yet.
    world.move_to("STOP", &person("ada"));
    world.go();
    assert_eq!((world.stands(), world.status().as_str()), ("stopping", "STOP"), "the board says nothing too early");
    world.move_to("To Analyse", &person("ada"));
    world.go();
    world.clock_only(3600);
    world.go();
    assert_eq!((world.task().id, world.stands()), (first.id, "stopping"));
    assert_eq!(world.store.pending_deliveries(10).unwrap().len(), 1, "it waits, and no try is counted");
    assert_eq!(world.store.pending_deliveries(10).unwrap()[0].attempts, 0);
    world.restart();
    world.pass(1);
    world.pass(10);
    let second = world.task();
    assert_ne!(second.id, first.id);
    assert_eq!((second.end(), world.stands()), (None, "running"));
    assert_eq!(world.store.task(first.id).unwrap().end(), Some(Terminality::Cancelled));
    assert!(world.store.pending_deliveries(10).unwrap().is_empty());
}

/// The stop that follows the start says nothing to the task that is being stopped already: the start must not outlive it.
#[test]
fn i4_4_a_start_that_was_stopped_again_meanwhile_begins_nothing() {
    for stranger in [false, true] {
        let mut world = World::with(|settings| drop(settings.deciders.insert(Intent::Stop, vec!["ada".to_owned()])));
        world.started();
        let first = world.task();
        world.move_to("STOP", &person("ada"));
        world.go();
        world.move_to("To Analyse", &person("ada"));
        world.go();
        world.move_to("STOP", &person(if stranger { "eve" } else { "ada" }));
        world.go();
        world.clock_only(3600);
        world.go();
        assert_eq!((world.task().id, world.stands()), (first.id, "stopping"));
        world.restart();
        world.pass(1);
        world.pass(10);
        assert_eq!(world.store.task(first.id).unwrap().end(), Some(Terminality::Cancelled));
        assert!(world.store.pending_deliveries(10).unwrap().is_empty());
        assert_eq!(world.task().id != first.id, stranger, "who may not stop takes nothing back");
    }
}

/// A pipeline in which what was developed is deployed, after these actions.
pub(crate) fn deployed_after(before: &[Action]) -> Pipeline {
    let stage = |name: &str| StageName::new(name).unwrap();
    let step = |action: Action| EdgeStep {
        name: StepName::new(action.as_str()).unwrap(),
        kind: StepKind::Action { action },
        lease: Some(LeaseName::new("merge").unwrap()),
        patience: Milliseconds::from_seconds(48 * 3600),
        on_patience: OnPatience::Hold,
        binding: None,
    };
    let edge = Edge {
        to: stage("done"),
        steps: before.iter().copied().chain([Action::Deploy]).map(step).collect(),
        on_fail: stage("development"),
        on_moved_base: None,
        bug_to: None,
    };
    let place = |name: &str, kind, edge| Stage { name: stage(name), kind, edge };
    let stages = vec![
        place("development", StageKind::Work { role: Role::Developer }, Some(edge)),
        place("done", StageKind::Terminal { end: Terminality::Done }, None),
        place("cancelled", StageKind::Terminal { end: Terminality::Cancelled }, None),
    ];
    Pipeline::new(PipelineDraft { name: "bold".to_owned(), stages }).unwrap()
}

/// A world whose pipeline deploys what was developed, and nobody tests it.
fn shipping() -> World {
    let world = World::with(|settings| drop(settings.hooks.insert(HookName::Deploy, command("ship"))));
    follows(&world, deployed_after(&[]));
    world.started();
    world
}

/// Whatever a pipeline says: what nobody tested is not deployed, and the hook is not even launched.
#[test]
fn what_nobody_tested_is_not_deployed() {
    let world = shipping();
    world.end_runs();
    world.go();
    assert!(world.hold().starts_with("NotProven: ") && world.hold().contains("was not tested"), "{}", world.hold());
    assert!(world.runs.live().is_empty() && world.task().deployed.is_none());
    // Nor because somebody insists.
    let insists = Event::Intent { intent: Intent::Resume, actor: person("ada"), note: String::new() };
    world.store.apply(world.task().id, &insists, world.now()).unwrap();
    world.go();
    assert!(world.hold().starts_with("NotProven: ") && world.runs.live().is_empty(), "{}", world.hold());
}

/// A host died between the word that it tries and the run of the hook, and a guard put the next try off: nothing has begun, so
/// whoever stops the task meanwhile is obeyed.
#[test]
fn i4_1_a_deploy_that_was_tried_and_never_began_does_not_begin_after_a_stop() {
    let mut world = World::with(|settings| {
        settings.hooks.insert(HookName::Test, command("suite"));
        settings.hooks.insert(HookName::Deploy, command("ship"));
        settings.guards = vec![guard(&["deploy"], Milliseconds::from_seconds(24 * 3600))];
    });
    follows(&world, deployed_after(&[Action::Retest]));
    world.started();
    for _ in ["the developer", "the suite"] {
        world.end_runs();
        world.go();
    }
    let hook = world.runs.live()[0];
    died_before_the_start(&mut world, hook);
    stop(&mut world);
    assert!(world.task().stop_requested, "it waits for what the deploy says");
    world.pass(3600);
    assert_eq!((world.task().end(), world.task().deployed), (Some(Terminality::Cancelled), None));
    nothing_has_begun(&world, hook);
}

/// The same with a pause, and with an agent.
#[test]
fn a_launch_that_was_tried_and_never_began_does_not_begin_under_a_pause() {
    let mut world = World::with(|settings| {
        settings.guards = vec![guard(&["launch-agent"], Milliseconds::from_seconds(24 * 3600))];
    });
    world.started();
    let run = world.runs.live()[0];
    died_before_the_start(&mut world, run);
    world.store.apply(world.task().id, &paused(), world.now()).unwrap();
    world.pass(3600);
    assert_eq!((world.stands(), world.hold().as_str()), ("held", "Paused: paused"));
    nothing_has_begun(&world, run);
}

/// All that the host did before it died was to write down that it begins; the next life's guard puts it off by an hour.
fn died_before_the_start(world: &mut World, run: RunId) {
    world.runs.runs.lock().unwrap().insert(run, RunState::Prepared);
    let until = world.now().plus(Milliseconds::from_seconds(3600));
    let why = "not at night".to_owned();
    let decide = move |now| {
        if now < until { Ok(GuardDecision::Delay { until, why: why.clone() }) } else { Ok(GuardDecision::Allow) }
    };
    *world.plugins.guard.lock().unwrap() = Some(Box::new(decide));
    world.restart();
    world.go();
    assert!(world.runs.live().is_empty());
}

fn nothing_has_begun(world: &World, run: RunId) {
    assert!(world.runs.live().is_empty());
    assert_eq!(world.runs.runs.lock().unwrap()[&run], RunState::Prepared);
    let row = world.store.run(run).unwrap();
    assert!(row.ended_at.is_some() && row.outcome.unwrap().starts_with("not started: "));
}

/// The look before the deploy is the first that sees it: nothing is under way, so the hold does not wait for an answer.
#[test]
fn rule_b8_a_card_that_is_gone_is_not_deployed() {
    let world = shipping();
    world.store.remove_item(&project(), &item(), &person(UNHEARD), world.now()).unwrap();
    world.end_runs();
    world.go();
    assert!(world.hold().starts_with("GoneFromBoard: "), "{}", world.hold());
    assert!(world.runs.live().is_empty() && world.task().put_off.is_none());
}

/// A forge that fails once is not the end of it: what a done task left goes at the next try.
#[test]
fn what_a_done_task_left_is_removed_at_another_try() {
    let world = World::new();
    world.started();
    world.end_runs();
    world.go();
    world.forge.cannot_remove.store(true, Ordering::SeqCst);
    world.approve();
    world.pass(1);
    assert_eq!(world.task().end(), Some(Terminality::Done));
    let tidied = || world.notes().iter().any(|note| note.contains("were removed"));
    assert!(!tidied());
    world.forge.cannot_remove.store(false, Ordering::SeqCst);
    world.pass(3600);
    assert!(tidied(), "{:?}", world.notes());
}
