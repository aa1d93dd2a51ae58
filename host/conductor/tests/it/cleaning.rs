//! How a stop comes to its end: it waits for the task's runs, and tries again what could not be removed (catalogue I4).

use std::sync::atomic::Ordering;

use conductor::ports::runs::Ending;
use conductor::ports::store::{JobRow, NewTask, Project, WaitReason};
use domain::event::{Event, Intent};
use domain::ids::{ProjectName, TaskId, WorkItemId};
use domain::task::{Terminality, Track};
use domain::time::Milliseconds;

use crate::world::{World, person};

fn intend_stop(world: &World, task: TaskId) {
    let stop = Event::Intent { intent: Intent::Stop, actor: person("ada"), note: String::new() };
    world.store.apply(task, &stop, world.now()).unwrap();
    world.go();
}

fn clean_up(world: &World, task: TaskId) -> JobRow {
    let jobs = world.store.jobs(&world.limits, world.now(), 100).unwrap();
    jobs.into_iter().find(|job| job.task == task && job.effect == "clean-up").unwrap()
}

fn end(world: &World, task: TaskId) -> Option<Terminality> {
    world.store.task(task).unwrap().end()
}

/// For how long the clean-up is put off now.
fn pause(world: &World, task: TaskId) -> Milliseconds {
    let job = clean_up(world, task);
    assert_eq!((job.state.as_str(), job.reason), ("queued", Some(WaitReason::Time)));
    job.available_at.since(world.now())
}

#[test]
fn i4_1_waiting_for_a_run_to_die_spends_no_pause_of_the_clean_up() {
    let world = World::new();
    world.started();
    let (task, run) = (world.task().id, world.runs.live()[0]);
    intend_stop(&world, task);
    // It was told to end, and nobody has told of its end yet.
    for _ in 0..18 {
        world.pass(1);
    }
    assert!(clean_up(&world, task).attempts >= 18);
    world.forge.cannot_remove.store(true, Ordering::SeqCst);
    world.end_run(run, Ending::Cancelled, "");
    world.pass(1);
    assert_eq!(pause(&world, task), Milliseconds::from_seconds(2), "the first failure");
    let mut pauses = Vec::new();
    for _ in 0..6 {
        world.pass(pause(&world, task).0 / 1000);
        pauses.push(pause(&world, task).0 / 1000);
    }
    assert_eq!(pauses, [4, 8, 16, 30, 30, 30]);
    assert_eq!(clean_up(&world, task).note.as_deref(), Some("502 Bad Gateway"));
    world.forge.cannot_remove.store(false, Ordering::SeqCst);
    world.pass(30);
    assert_eq!(end(&world, task), Some(Terminality::Cancelled));
}

/// Its card is written to at the same time: that is no run.
#[test]
fn i4_2_the_aftermath_puts_no_stop_off() {
    let world = World::new();
    world.started();
    world.end_runs();
    world.go();
    let task = world.task().id;
    assert_eq!(world.stands(), "awaiting-person");
    intend_stop(&world, task);
    assert_eq!((end(&world, task), clean_up(&world, task).attempts), (Some(Terminality::Cancelled), 1));
}

/// A stopped task of a project whose file went: nothing says that it is cleaned up while its clone is there.
#[test]
fn i4_1_a_stop_waits_for_its_projects_file_and_says_so() {
    let world = World::new();
    let name = ProjectName::new("till").unwrap();
    let shop = world.store.projects().unwrap().remove(0);
    let till = Project { name: name.clone(), prefix: "TILL".to_owned(), ..shop };
    world.store.put_project(&till, world.now()).unwrap();
    let new = NewTask {
        project: name.clone(),
        work_item: WorkItemId::new("TILL-001").unwrap(),
        title: "Sell more".to_owned(),
        description: String::new(),
        labels: Vec::new(),
        track: Track::Full,
        actor: person("ada"),
    };
    let (task, _) = world.store.create_task(&new, world.now()).unwrap();
    intend_stop(&world, task);
    for _ in 0..10 {
        world.pass(60);
        let waits = clean_up(&world, task);
        assert_eq!((end(&world, task), waits.reason), (None, Some(WaitReason::Time)));
        assert!(waits.available_at.since(world.now()) <= Milliseconds::from_seconds(30));
        let why = waits.note.unwrap();
        assert!(
            why.contains("`till` is not configured") && why.contains("put its file `projects/till.toml` back"),
            "{why}"
        );
    }
    assert!(world.forge.deeds.lock().unwrap().is_empty());
    world.edit(|settings| settings.name = name);
    world.pass(30);
    assert_eq!(end(&world, task), Some(Terminality::Cancelled));
    assert!(world.forge.deeds.lock().unwrap().contains(&"remove clones"));
}
