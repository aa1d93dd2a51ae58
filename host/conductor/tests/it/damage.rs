//! Rows and blobs that do not read: what they are about stands still and says why, and everybody else goes on (catalogue C2).

use std::path::PathBuf;

use conductor::ports::store::{ClaimLimits, NewTask};
use domain::event::{Event, Intent};
use domain::ids::{CommitId, Digest, TaskId, WorkItemId};
use domain::task::{Activity, Terminality, Track};
use rusqlite::Connection;
use serde_json::json;
use webhooks::Source;

use crate::world::{World, person, project};

/// As somebody would write whom no rule binds.
fn plant(world: &World, statements: &str) {
    let sql = Connection::open(world.dir.path().join("gatewright.db")).unwrap();
    sql.pragma_update(None, "foreign_keys", "OFF").unwrap();
    sql.pragma_update(None, "ignore_check_constraints", "ON").unwrap();
    sql.execute_batch(statements).unwrap();
}

/// A world with room for one run at a time.
fn narrow() -> World {
    let mut world = World::new();
    world.limits = ClaimLimits::of(1);
    world
}

/// A task of a card, whose ticket says this.
fn task(world: &World, number: u32, says: &str) -> TaskId {
    world.card("Backlog");
    let new = NewTask {
        project: project(),
        work_item: WorkItemId::new(format!("SHOP-{number:03}")).unwrap(),
        title: "Sell more".to_owned(),
        description: says.to_owned(),
        labels: Vec::new(),
        track: Track::Full,
        actor: person("ada"),
    };
    world.store.create_task(&new, world.now()).unwrap().0
}

fn blob(world: &World, says: &str) -> PathBuf {
    let digest = Digest::of(says.as_bytes());
    world.dir.path().join("blobs").join(&digest.as_str()[..2]).join(digest.as_str())
}

/// Some minutes of a host's life. A piece of work may fail; a look for work may not.
fn live_on(world: &World) {
    for _ in 0..120 {
        world.clock_only(2);
        for piece in world.conductor.tick(&world.limits, 8).unwrap().work {
            let _ = world.conductor.perform(piece);
        }
    }
}

/// Its runs end well and ada approves, until it is done.
fn carry_through(world: &World, task: TaskId) {
    for _ in 0..4 {
        live_on(world);
        let standing = world.store.task(task).unwrap();
        if matches!(standing.position.activity, Activity::AwaitingPerson { .. }) {
            let event = Event::Intent { intent: Intent::Approve, actor: person("ada"), note: String::new() };
            world.store.apply(task, &event, world.now()).unwrap();
        }
        world.end_runs();
    }
    live_on(world);
    assert_eq!(world.store.task(task).unwrap().end(), Some(Terminality::Done), "{task}");
}

fn hold(world: &World, task: TaskId) -> String {
    match world.store.task(task).unwrap().position.activity {
        Activity::Held { hold } => hold.reason,
        other => panic!("it is {}", other.name()),
    }
}

#[test]
fn c2_2_a_blob_that_is_gone_or_damaged_holds_its_task_and_no_place() {
    for damaged in [false, true] {
        let world = narrow();
        let says = "Sell what is gone.";
        let (broken, sound) = (task(&world, 1, says), task(&world, 2, "Sell what is there."));
        if damaged {
            std::fs::write(blob(&world, says), "Sell anything.").unwrap();
        } else {
            std::fs::remove_file(blob(&world, says)).unwrap();
        }
        live_on(&world);
        let why = hold(&world, broken);
        let wanted = if damaged { "are not the ones that were written there" } else { "blob" };
        assert!(why.starts_with("`launch-agent` cannot be done: ") && why.contains(wanted), "{why}");
        assert_eq!(world.runs.live().len(), 1, "the place is the next one's");
        carry_through(&world, sound);
        // Once it is there again, a person lets the task on.
        std::fs::write(blob(&world, says), says).unwrap();
        let resume = Event::Intent { intent: Intent::Resume, actor: person("ada"), note: String::new() };
        world.store.apply(broken, &resume, world.now()).unwrap();
        carry_through(&world, broken);
    }
}

#[test]
fn c2_2_a_run_whose_row_is_damaged_holds_its_task_and_no_place() {
    let world = narrow();
    let (broken, sound) = (task(&world, 1, "One."), task(&world, 2, "Two."));
    world.go();
    assert_eq!(world.runs.live().len(), 1);
    plant(&world, "UPDATE run SET body = '{'");
    world.end_runs();
    live_on(&world);
    let why = hold(&world, broken);
    assert!(why.contains("a row of `run` does not read"), "{why}");
    assert_eq!(world.runs.live().len(), 1);
    carry_through(&world, sound);
    let resume = Event::Intent { intent: Intent::Resume, actor: person("ada"), note: String::new() };
    world.store.apply(broken, &resume, world.now()).unwrap();
    live_on(&world);
    assert_eq!(world.store.task(broken).unwrap().position.activity.name(), "running");
}

/// What nobody can even hold gives its place back, whichever row was damaged while the job was claimed.
#[test]
fn c2_2_what_is_damaged_under_its_run_gives_its_place_back() {
    for damage in [
        "UPDATE task SET body = '{', version = version + 1 WHERE id = 1",
        "UPDATE job SET body = '{' WHERE state = 'claimed'",
        "UPDATE job SET body = '{' WHERE state = 'claimed'; UPDATE task SET body = '{', version = version + 1 WHERE id = 1",
        "UPDATE run SET body = '{'; UPDATE task SET body = '{', version = version + 1 WHERE id = 1",
    ] {
        let world = narrow();
        task(&world, 1, "One.");
        let sound = task(&world, 2, "Two.");
        world.go();
        plant(&world, damage);
        world.end_runs();
        live_on(&world);
        assert_eq!(world.runs.live().len(), 1, "{damage}");
        carry_through(&world, sound);
    }
}

/// A row of each kind is damaged while the host lives; whoever else there is comes to an end.
#[test]
fn c2_2_a_host_over_damaged_rows_of_every_kind_brings_all_others_to_their_end() {
    let mut world = World::new();
    world.limits = ClaimLimits::of(2);
    let of_run = task(&world, 1, "One.");
    world.go();
    let (of_task, of_blob) = (task(&world, 2, "Two."), task(&world, 3, "Three."));
    let (stopped, sound) = (task(&world, 4, "Four."), task(&world, 5, "Five."));
    let item = world.store.task(stopped).unwrap().work_item;
    for status in ["To Analyse", "STOP"] {
        world.store.move_item(&project(), &item, status, &person("ada"), world.now()).unwrap();
    }
    let commit = CommitId::new("b".repeat(40)).unwrap();
    for name in ["lost", "kept"] {
        let body = json!({"sha": commit.as_str(), "context": name, "state": "success", "description": "",
            "updated_at": "2026-01-01T00:00:00Z"});
        world.tell(Source::Gitea, "status", &body, true);
    }
    std::fs::remove_file(blob(&world, "Three.")).unwrap();
    plant(
        &world,
        &format!(
            "UPDATE run SET body = '{{';
            UPDATE task SET body = CAST(x'ff' AS TEXT), version = version + 1 WHERE id = {of_task};
            UPDATE delivery SET headers = '{{' WHERE id = (SELECT MIN(id) FROM delivery WHERE hook_key IS NOT NULL);
            UPDATE delivery SET source = CAST(x'ff' AS TEXT)
                WHERE id = (SELECT MIN(id) FROM delivery WHERE work_item = '{item}' AND log_row IS NOT NULL AND state = 'pending');"
        ),
    );
    world.end_runs();
    live_on(&world);
    carry_through(&world, sound);
    assert_eq!(world.store.task(stopped).unwrap().end(), Some(Terminality::Cancelled), "its stop was heard");
    let kept = world.store.checks(&project(), &commit).unwrap();
    assert_eq!(kept.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), ["kept"]);
    assert!(hold(&world, of_run).contains("a row of `run` does not read"));
    assert!(hold(&world, of_blob).contains("blob"));
    let jobs = world.store.jobs(&world.limits, world.now(), 100).unwrap();
    let note = jobs.iter().find(|job| job.task == of_task && job.state == "queued").and_then(|job| job.note.clone());
    assert!(note.unwrap().starts_with("a row of `task` does not read: "));
}
