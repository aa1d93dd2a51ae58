//! Two tasks and one lease: whatever keeps the first one from its end, the second gets the lease and goes on (catalogue C7, I4).

use conductor::ports::runs::Ending;
use conductor::ports::store::{Project, WaitReason};
use conductor::project::HookName;
use domain::document::Role;
use domain::ids::{BranchName, LeaseName, RunId, StageName, StepName, TaskId, WorkItemId};
use domain::pipeline::{
    Action, Edge, EdgeStep, INFRA_RETRIES, OnPatience, Pipeline, PipelineDraft, Stage, StageKind, StepKind,
};
use domain::task::{Activity, HoldKind, Task, Terminality};
use domain::time::Milliseconds;
use domain::verdict::{GateHold, Verdict};

use crate::limits::command;
use crate::world::{World, item, person, plugin, project};

fn stage(name: &str) -> StageName {
    StageName::new(name).unwrap()
}

/// What was developed is tested under the lease, deployed and judged.
fn shipping() -> Pipeline {
    let step = |name: &str, kind, lease: Option<&str>| EdgeStep {
        name: StepName::new(name).unwrap(),
        kind,
        lease: lease.map(|name| LeaseName::new(name).unwrap()),
        patience: Milliseconds::from_seconds(86_400),
        on_patience: OnPatience::Hold,
        binding: None,
    };
    let steps = vec![
        step("retest", StepKind::Action { action: Action::Retest }, Some("merge")),
        step("deploy", StepKind::Action { action: Action::Deploy }, None),
        step("deploy-status", StepKind::Gate { plugin: plugin("deploy-status") }, None),
    ];
    let edge = Edge { to: stage("done"), steps, on_fail: stage("development"), on_moved_base: None, bug_to: None };
    let place = |name: &str, kind, edge| Stage { name: stage(name), kind, edge };
    let stages = vec![
        place("development", StageKind::Work { role: Role::Developer }, Some(edge)),
        place("done", StageKind::Terminal { end: Terminality::Done }, None),
        place("cancelled", StageKind::Terminal { end: Terminality::Cancelled }, None),
    ];
    Pipeline::new(PipelineDraft { name: "shipping".to_owned(), stages }).unwrap()
}

/// From now on the project's tasks go this way.
pub(crate) fn follows(world: &World, pipeline: Pipeline) {
    let row = Project {
        name: project(),
        prefix: "SHOP".to_owned(),
        base_branch: BranchName::new("main").unwrap(),
        pipeline,
        serial: false,
        observe: false,
    };
    world.store.put_project(&row, world.now()).unwrap();
}

/// Two tasks are developed: the first one is being tested under the lease, and the second stands in line for it.
fn one_behind_the_other() -> World {
    let world = World::with(|settings| {
        settings.hooks.insert(HookName::Test, command("test"));
        settings.hooks.insert(HookName::Deploy, command("deploy"));
    });
    follows(&world, shipping());
    world.started_many(2);
    world.end_runs();
    world.go();
    assert_eq!((holder(&world), live(&world)), (Some(first(&world).id), vec!["test".to_owned()]));
    assert_eq!(second_waits_for(&world), Some(WaitReason::Lease));
    world
}

fn first(world: &World) -> Task {
    world.store.task_of(&project(), &item()).unwrap().unwrap()
}

fn second(world: &World) -> Task {
    world.store.task_of(&project(), &WorkItemId::new("SHOP-002").unwrap()).unwrap().unwrap()
}

fn holder(world: &World) -> Option<TaskId> {
    let leases = world.store.leases().unwrap();
    assert_eq!(leases.len(), 1);
    leases[0].2
}

/// Why the second task's retest waits; none: it does not.
fn second_waits_for(world: &World) -> Option<WaitReason> {
    let limits = world.conductor.limits(&world.limits);
    let jobs = world.store.jobs(&limits, world.now(), 100).unwrap();
    let task = second(world).id;
    jobs.into_iter().find(|job| job.task == task && job.effect == "retest" && job.state == "queued")?.reason
}

fn only_run(world: &World) -> RunId {
    let runs = world.runs.live();
    assert_eq!(runs.len(), 1);
    runs[0]
}

/// The programs that run now.
fn live(world: &World) -> Vec<String> {
    let (live, launches) = (world.runs.live(), world.runs.launches.lock().unwrap());
    launches.iter().filter(|launch| live.contains(&launch.run)).map(|launch| launch.argv[0].clone()).collect()
}

/// The lease is the second task's by now, and it acts under it up to its end.
fn second_goes_to_its_end(world: &World) {
    let task = second(world).id;
    assert_eq!((holder(world), live(world)), (Some(task), vec!["test".to_owned()]));
    assert_eq!(world.store.run(only_run(world)).unwrap().task, task);
    world.end_run(only_run(world), Ending::Exited(0), "");
    assert_eq!((holder(world), live(world)), (Some(task), vec!["deploy".to_owned()]));
    world.end_run(only_run(world), Ending::Exited(0), "");
    assert_eq!((second(world).end(), holder(world)), (Some(Terminality::Done), None));
}

/// Its end by the shim, with its whole tree, is the shim's to show: here each try ends so.
#[test]
fn c7_5_what_never_ends_in_time_is_held_and_the_next_one_gets_its_lease() {
    let world = one_behind_the_other();
    for tries in 1..=INFRA_RETRIES + 1 {
        assert_eq!((holder(&world), live(&world)), (Some(first(&world).id), vec!["test".to_owned()]), "{tries}");
        assert_eq!(second_waits_for(&world), Some(WaitReason::Lease), "{tries}");
        let run = only_run(&world);
        // Over its time or not: as long as it is there, it has the lease.
        world.pass(3600);
        assert_eq!((only_run(&world), holder(&world)), (run, Some(first(&world).id)), "{tries}");
        world.end_run(run, Ending::TimedOut, "");
        assert!(world.store.run(run).unwrap().timed_out);
        if tries <= INFRA_RETRIES {
            world.pass(3600);
        }
    }
    assert!(world.hold().starts_with("InfraExhausted: "), "{}", world.hold());
    assert!(world.hold().contains("ran over its time"), "{}", world.hold());
    let task = first(&world);
    assert_eq!((task.retries, task.leases.len(), task.requested.len()), (0, 0, 0));
    second_goes_to_its_end(&world);
    assert_eq!(first(&world).position, task.position, "it stays held");
}

/// It is the task's, not the host's: the next life finds it where it was, and so does whoever stands in line.
#[test]
fn d1_3_a_lease_outlives_the_host_that_took_it() {
    let mut world = one_behind_the_other();
    let run = only_run(&world);
    for seconds in [0, 3600] {
        world.restart();
        world.pass(seconds);
        assert_eq!((only_run(&world), holder(&world)), (run, Some(first(&world).id)));
        assert_eq!((second_waits_for(&world), live(&world)), (Some(WaitReason::Lease), vec!["test".to_owned()]));
    }
    world.end_run(run, Ending::Exited(0), "");
    world.end_run(only_run(&world), Ending::Exited(0), "");
    assert_eq!(first(&world).end(), Some(Terminality::Done));
    second_goes_to_its_end(&world);
}

/// What was deployed keeps its lease while a person looks, so only the stop can make way.
#[test]
fn i4_2_a_stop_of_what_waits_for_a_person_under_the_lease_lets_the_next_one_go_on_at_once() {
    let world = one_behind_the_other();
    world.end_run(only_run(&world), Ending::Exited(0), "");
    let look = Verdict::Hold { kind: GateHold::Blocked, reason: "look at it".to_owned(), findings: Vec::new() };
    world.plugins.gate.lock().unwrap().push_back(look);
    world.end_run(only_run(&world), Ending::Exited(0), "");
    let task = first(&world);
    assert!(matches!(&task.position.activity, Activity::Held { hold } if hold.kind == HoldKind::Blocked));
    assert!(task.deployed.is_some() && task.leases.len() == 1, "parked after its deploy, with the lease");
    world.pass(3600);
    assert_eq!((holder(&world), live(&world)), (Some(task.id), Vec::new()));
    assert_eq!(second_waits_for(&world), Some(WaitReason::Lease));
    let before = world.now();
    world.move_to("STOP", &person("ada"));
    world.go();
    assert_eq!(world.now(), before, "no time passes");
    let stopped = first(&world);
    assert_eq!((stopped.end(), stopped.leases.len()), (Some(Terminality::Cancelled), 0));
    assert_eq!((holder(&world), live(&world)), (Some(second(&world).id), vec!["test".to_owned()]), "it acts already");
    second_goes_to_its_end(&world);
}
