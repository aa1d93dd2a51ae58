//! Deciding about a task may panic, or want a record that is too large: that task is held, and the host lives on.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

use conductor::ports::store::{Applied, NewTask, Store};
use domain::document::Role;
use domain::entry::Entry;
use domain::event::{Event, Intent, Observation, RunOutcome, Spent};
use domain::ids::{Actor, RunId, TaskId, WorkItemId};
use domain::pipeline::Pipeline;
use domain::task::{Activity, HoldKind, Task, Track};
use domain::time::Timestamp;
use engine::{Rejected, Step};
use rusqlite::Connection;
use store::conformance::small_project;
use store::{SqliteStore, StoreConfig};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp(1_000_000);

/// The engine, but for two events: an estimate panics, and so does the end of the task's own run.
fn decide(pipeline: &Pipeline, task: &Task, event: &Event, now: Timestamp) -> Result<Step, Rejected> {
    assert!(!matches!(event, Event::Intent { intent: Intent::Estimate, .. }), "it cannot be estimated");
    let ends = matches!(event, Event::RunEnded { epoch, .. } if *epoch == task.epoch);
    assert!(!ends, "its end cannot be decided");
    engine::step(pipeline, task, event, now)
}

fn open() -> (TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig { decide, ..StoreConfig::new(dir.path(), "here") };
    let store = SqliteStore::open(config).unwrap();
    store.put_project(&small_project(), NOW).unwrap();
    (dir, store)
}

fn begin(store: &SqliteStore, name: &str) -> TaskId {
    let new = NewTask {
        project: small_project().name,
        work_item: WorkItemId::new(name).unwrap(),
        title: name.to_owned(),
        description: String::new(),
        labels: Vec::new(),
        track: Track::Full,
        actor: Actor::Host,
    };
    store.create_task(&new, NOW).unwrap().0
}

fn hold(store: &SqliteStore, task: TaskId) -> HoldKind {
    match store.task(task).unwrap().position.activity {
        Activity::Held { hold } => hold.kind,
        other => panic!("the task is {}", other.name()),
    }
}

#[test]
fn a_panic_holds_the_task_that_it_was_about() {
    let (dir, store) = open();
    let (hit, spared) = (begin(&store, "A-1"), begin(&store, "A-2"));
    let event = Event::Intent { intent: Intent::Estimate, actor: Actor::Host, note: String::new() };
    let applied = store.apply(hit, &event, NOW).unwrap();
    assert!(matches!(applied, Applied::Stepped { .. }), "{applied:?}");
    assert_eq!(hold(&store, hit), HoldKind::Panicked);
    let entries = store.entries(hit).unwrap();
    let said = entries.iter().find_map(|row| match &row.entry {
        Entry::Panicked { message } => Some(message.as_str()),
        _ => None,
    });
    assert_eq!(said, Some("it cannot be estimated"));
    assert_eq!(store.task(spared).unwrap().position.activity.name(), "running");
    assert!(store.rebuild(hit).unwrap().is_empty());
    drop(store);
    let sql = Connection::open(dir.path().join("gatewright.db")).unwrap();
    let outcomes = |kind: &str| -> String {
        sql.query_row("SELECT outcome FROM event WHERE task = 1 AND kind = ?1", [kind], |row| row.get(0)).unwrap()
    };
    assert_eq!((outcomes("intent").as_str(), outcomes("panicked").as_str()), ("panicked", "stepped"));
}

#[test]
fn a_run_whose_end_cannot_be_decided_costs_what_it_cost() {
    let (_dir, store) = open();
    let task = begin(&store, "A-1");
    let spent = Spent { cost_microusd: 700, ..Spent::default() };
    let ended = |epoch| Event::RunEnded {
        epoch,
        run: RunId(1),
        outcome: RunOutcome::Undelivered {
            cause: "no document".to_owned(),
            retry_after: None,
            class: domain::event::FailureClass::Permanent,
        },
        spent: Some(spent),
        role: Some(Role::Developer),
    };
    store.apply(task, &ended(store.task(task).unwrap().epoch), NOW).unwrap();
    assert_eq!(hold(&store, task), HoldKind::Panicked);
    let after = store.task(task).unwrap();
    assert_eq!((after.spent, after.by_role[&Role::Developer].runs, after.runs), (spent, 1, 1));
    assert_eq!(store.spending(&after.project, 0).unwrap().total, spent);
    assert!(store.rebuild(task).unwrap().is_empty());
}

#[test]
fn a_task_that_outgrows_its_record_is_held() {
    let (_dir, store) = open();
    let task = begin(&store, "A-1");
    let labels = (0..4000).map(|number| format!("a-label-of-some-length-{number}")).collect();
    let event = Event::Observed { observation: Observation::Labels { labels } };
    store.apply(task, &event, NOW).unwrap();
    assert_eq!(hold(&store, task), HoldKind::Panicked);
    assert!(store.task(task).unwrap().labels.is_empty());
    assert!(store.rebuild(task).unwrap().is_empty());
}
