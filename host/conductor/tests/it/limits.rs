//! A run that took more of the machine than it may: no pass, no retry of the developer's, and a sentence that says what helps.

use conductor::ports::forge::ForgeError;
use conductor::ports::runs::Ending;
use conductor::ports::store::Incarnation;
use conductor::project::{CommandSpec, HookName, Worker};
use domain::document::{DocumentKind, Role};
use domain::event::{Event, Intent};
use domain::ids::{StageName, StepName};
use domain::limits::{Limit, RunLimits};
use domain::network::Network;
use domain::pipeline::{Edge, EdgeStep, OnPatience, Pipeline, PipelineDraft, Stage, StageKind, StepKind};
use domain::task::Terminality;
use domain::time::Milliseconds;

use crate::leases::follows;
use crate::world::{World, person, plugin};

/// All runs end so, until somebody must look.
fn exhausted(world: &World, ending: &Ending) -> usize {
    let mut runs = 0;
    while world.stands() == "running" {
        runs += world.runs.live().len();
        world.end_runs_as(ending);
        world.go();
    }
    runs
}

#[test]
fn a_run_past_a_limit_is_no_pass_and_costs_none_of_the_developers_retries() {
    for (limit, allowed, words) in [
        (Limit::Memory, 4 << 30, "it took more than 4GiB of memory and was ended"),
        (Limit::Processes, 2048, "it had more than 2048 processes and threads at one time"),
        (Limit::Disk, 20 << 30, "it took more than 20GiB of the disk"),
        (Limit::OpenFiles, 131_072, "its processes had more than 131072 files open together"),
    ] {
        let world = World::new();
        world.started();
        assert_eq!(exhausted(&world, &Ending::OverLimit { limit, allowed }), 3);
        let hold = world.hold();
        assert!(hold.starts_with("Undelivered: ") && hold.contains(words), "{hold}");
        assert!(hold.contains(&format!("set `{}` in `limits` of the worker", limit.key())), "{hold}");
        assert_eq!(world.task().retries, 0);
    }
}

/// A forge that takes no more requests for now is nobody's failure: its task waits, says why, and has all its tries left.
#[test]
fn c3_1_a_forge_that_says_later_is_asked_later_and_costs_nothing() {
    let world = World::new();
    let retry_after = Some(Milliseconds::from_seconds(90));
    let busy = ForgeError::Later { why: "429 Too Many Requests".to_owned(), retry_after };
    *world.forge.closed.lock().unwrap() = Some(busy);
    world.started();
    for _ in 0..10 {
        let [waits] = &world.waiting()[..] else { panic!("one launch waits") };
        assert_eq!(waits.available_at, world.now().plus(Milliseconds::from_seconds(90)));
        assert_eq!(waits.note.as_deref(), Some("429 Too Many Requests"));
        world.pass(90);
        world.go();
    }
    assert_eq!((world.stands(), world.task().run_retries, world.task().transient_retries), ("running", 0, 0));
    assert!(world.runs.live().is_empty());
    *world.forge.closed.lock().unwrap() = None;
    world.pass(90);
    world.go();
    assert_eq!(world.runs.live().len(), 1);
}

/// What fails before anything is launched is tried again after a while that doubles: a restart of the forge holds no task.
#[test]
fn c3_2_launches_that_the_forge_fails_are_spread() {
    let world = World::new();
    *world.forge.closed.lock().unwrap() = Some(ForgeError::Infra("502 Bad Gateway".to_owned()));
    world.started();
    for (tries, least) in [(1, 7), (2, 15)] {
        assert_eq!((world.stands(), world.task().run_retries), ("running", tries));
        let [waits] = &world.waiting()[..] else { panic!("one launch waits") };
        let pause = waits.available_at.since(world.now());
        assert!((least * 1000..=least * 2000 + 2000).contains(&pause.0), "try {tries}: {pause:?}");
        world.pass(60);
        world.go();
    }
    assert!(world.hold().contains("502 Bad Gateway"), "{}", world.hold());
    assert_eq!(world.task().retries, 0, "no developer's retry");
}

/// Whoever pauses a task that waits for a place is obeyed when the place is free: nothing more is launched for it.
#[test]
fn a_task_that_was_paused_in_the_line_is_not_launched() {
    let mut world = World::new();
    world.limits.runs = 0;
    world.started();
    assert_eq!(world.waiting().len(), 1);
    world.store.apply(world.task().id, &paused(), world.now()).unwrap();
    assert_eq!(world.stands(), "running");
    world.limits.runs = 1;
    world.go();
    assert_eq!((world.stands(), world.hold().as_str()), ("held", "Paused: paused"));
    assert!(world.runs.live().is_empty());
    let resumed = Event::Intent { intent: Intent::Resume, actor: person("ada"), note: String::new() };
    world.store.apply(world.task().id, &resumed, world.now()).unwrap();
    world.go();
    assert_eq!((world.runs.live().len(), world.task().run_retries), (1, 0));
    // What runs goes on.
    world.store.apply(world.task().id, &paused(), world.now()).unwrap();
    world.restart();
    world.go();
    assert_eq!((world.stands(), world.runs.live().len()), ("running", 1));
}

/// A launch that found no program has begun nothing, so a pause keeps it back when the program is there again.
#[test]
fn a_task_that_was_paused_while_its_program_was_gone_is_not_launched() {
    let world = World::new();
    world.runs.vanishing.lock().unwrap().push("agent".to_owned());
    world.started();
    world.store.apply(world.task().id, &paused(), world.now()).unwrap();
    world.runs.vanishing.lock().unwrap().clear();
    world.pass(600);
    assert_eq!((world.stands(), world.hold().as_str()), ("held", "Paused: paused"));
    assert!(world.runs.live().is_empty());
}

/// Before the development a push of another hand changes nothing; and what only judges is not withheld for a pause, which takes
/// hold at its answer.
#[test]
fn a_pause_leaves_no_judgement_without_its_answer() {
    let world = World::with(|settings| {
        let agent = settings.workers[&Role::Developer].clone();
        settings.workers.insert(Role::Analyst, agent);
    });
    follows(&world, analysed());
    let written =
        [DocumentKind::Brd, DocumentKind::Questions].map(|kind| (kind.file_name().to_owned(), b"It is so.\n".to_vec()));
    world.forge.documents.lock().unwrap().extend(written);
    world.started();
    world.end_runs();
    let judging = world.go_without("judge");
    let task = world.task();
    assert_eq!((world.stands(), judging.len()), ("judging", 1));
    world.store.apply(task.id, &paused(), world.now()).unwrap();
    world.forge.pushed(task.branch.as_ref().unwrap().as_str(), "9", &[]);
    world.perform(judging);
    assert_ne!(world.task().head, task.head, "the push was seen");
    assert_eq!((world.stands(), world.hold().as_str()), ("held", "Paused: paused"));
}

/// An analysis that a gate judges, and a development.
fn analysed() -> Pipeline {
    let stage = |name: &str| StageName::new(name).unwrap();
    let questions = EdgeStep {
        name: StepName::new("questions").unwrap(),
        kind: StepKind::Gate { plugin: plugin("questions") },
        lease: None,
        patience: Milliseconds::from_seconds(3600),
        on_patience: OnPatience::Hold,
        binding: None,
    };
    let place = |name: &str, kind, edge: Option<(&str, Vec<EdgeStep>)>| Stage {
        name: stage(name),
        kind,
        edge: edge.map(|(to, steps)| Edge {
            to: stage(to),
            steps,
            on_fail: stage(name),
            on_moved_base: None,
            bug_to: None,
        }),
    };
    let stages = vec![
        place("analysis", StageKind::Work { role: Role::Analyst }, Some(("development", vec![questions]))),
        place("development", StageKind::Work { role: Role::Developer }, Some(("done", Vec::new()))),
        place("done", StageKind::Terminal { end: Terminality::Done }, None),
        place("cancelled", StageKind::Terminal { end: Terminality::Cancelled }, None),
    ];
    Pipeline::new(PipelineDraft { name: "analysed".to_owned(), stages }).unwrap()
}

pub(crate) fn paused() -> Event {
    Event::Intent { intent: Intent::Pause, actor: person("ada"), note: String::new() }
}

/// A command of the operator's, of one word.
pub(crate) fn command(program: &str) -> CommandSpec {
    CommandSpec {
        argv: vec![program.to_owned()],
        budget: Milliseconds::from_seconds(600),
        grace: Milliseconds::from_seconds(5),
        pass_environment: Vec::new(),
        readable: Vec::new(),
        writable: Vec::new(),
        network: Network::default(),
        limits: RunLimits::default(),
        sandboxed: true,
    }
}

#[test]
fn a_suite_past_a_limit_has_not_tested_anything() {
    let suite = command("suite");
    let world = World::with(|settings| {
        settings.hooks.insert(HookName::Test, suite.clone());
        settings.workers.insert(Role::Developer, Worker::Command(suite));
    });
    world.started();
    exhausted(&world, &Ending::OverLimit { limit: Limit::Memory, allowed: 4 << 30 });
    let hold = world.hold();
    assert!(hold.contains("the suite did not run to its end: it took more than 4GiB of memory"), "{hold}");
    assert_eq!((world.task().validated, world.task().retries), (None, 0));
}

/// A life of the host.
pub(crate) fn incarnation(life: u32) -> Incarnation {
    Incarnation {
        host: "here".to_owned(),
        boot_id: "boot".to_owned(),
        pid: life,
        start_time: u64::from(life),
        uuid: format!("{life:032}"),
    }
}
