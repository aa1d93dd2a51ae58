//! What people want who saw how things stood: compared in the transaction that acts, so that the second hears of the first.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

use conductor::ports::access::{Access as _, AuditFilter, Deed};
use conductor::ports::store::{
    Applied, AppliedSeen, Group, NewTask, Pressed, Pressing as _, Reached, Seen, SeenFreeze, Store as _,
};
use domain::event::{Event, Intent};
use domain::ids::{Actor, ProjectName, TaskId, WorkItemId};
use domain::task::{HoldKind, Track};
use domain::time::Timestamp;
use rusqlite::Connection;
use store::conformance::small_project;
use store::{SqliteStore, StoreConfig};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp(1_000_000);

fn ada() -> Actor {
    Actor::Person("ada".to_owned())
}

fn project() -> ProjectName {
    small_project().name
}

/// A store with so many new tasks.
fn open(tasks: u32) -> (TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap();
    store.put_project(&small_project(), NOW).unwrap();
    for number in 1..=tasks {
        let new = NewTask {
            project: project(),
            work_item: WorkItemId::new(format!("SHOP-{number}")).unwrap(),
            title: "Sell more".to_owned(),
            description: String::new(),
            labels: Vec::new(),
            track: Track::Full,
            actor: ada(),
        };
        store.create_task(&new, NOW).unwrap();
    }
    (dir, store)
}

fn reached(told: Pressed<Reached, u64>) -> Vec<u64> {
    let Pressed::Done(Reached { tasks, more: false }) = told else { panic!("{told:?}") };
    tasks.into_iter().map(|one| one.task.0).collect()
}

#[test]
fn an_intent_for_all_moves_all_of_them_or_none() {
    let (_dir, store) = open(3);
    let all = Group::Live(None);
    let to_all = |group: &Group, intent, seen| store.apply_to_all(group, intent, &ada(), "why", seen, NOW).unwrap();
    assert_eq!(to_all(&all, Intent::Pause, Some(2)), Pressed::Changed(3));
    assert_eq!(store.group_size(&Group::Paused(None)).unwrap(), 0);
    assert_eq!(reached(to_all(&Group::Live(Some(project())), Intent::Pause, Some(3))), [1, 2, 3]);
    assert_eq!(reached(to_all(&all, Intent::Pause, None)), [0; 0], "it would say nothing new");
    assert_eq!(store.group_size(&Group::Paused(Some(project()))).unwrap(), 3);
    assert_eq!(reached(to_all(&Group::Paused(None), Intent::Resume, Some(3))), [1, 2, 3]);
    assert_eq!(to_all(&Group::Paused(None), Intent::Resume, Some(3)), Pressed::Changed(0));
    let panicked = Event::Panicked { message: "out of ink".to_owned(), unanswered: false };
    store.apply(TaskId(2), &panicked, NOW).unwrap();
    let step = |task: TaskId| match store.task(task).unwrap().position.activity {
        domain::task::Activity::Held { hold } => hold.step,
        other => panic!("{other:?}"),
    };
    let broke = Group::Held { cause: HoldKind::Panicked, step: step(TaskId(2)) };
    assert_eq!(reached(to_all(&broke, Intent::Resume, Some(1))), [2]);
    assert_eq!(to_all(&broke, Intent::Resume, Some(1)), Pressed::Changed(0));
    assert_eq!(reached(to_all(&all, Intent::Stop, Some(3))), [1, 2, 3]);
    let filter = AuditFilter { what: Some(Deed::StopAll), ..AuditFilter::default() };
    let lines = store.audit(&filter, 9).unwrap();
    assert_eq!(lines.iter().map(|line| line.subject.as_deref()).collect::<Vec<_>>(), [Some("3 live tickets")]);
}

#[test]
fn one_whose_record_does_not_read_keeps_nobody_else_from_a_stop() {
    let (dir, store) = open(3);
    let sql = Connection::open(dir.path().join("gatewright.db")).unwrap();
    sql.pragma_update(None, "ignore_check_constraints", "ON").unwrap();
    sql.execute_batch("UPDATE task SET body = '{', version = version + 1 WHERE id = 2").unwrap();
    let told = store.apply_to_all(&Group::Live(None), Intent::Stop, &ada(), "", Some(3), NOW).unwrap();
    assert_eq!(reached(told), [1, 3]);
    let error = store.task(TaskId(2)).unwrap_err().to_string();
    assert!(error.starts_with("a row of `task` does not read: number 2: "), "{error}");
}

#[test]
fn who_freezes_what_was_frozen_meanwhile_writes_nothing() {
    let (_dir, store) = open(0);
    let set = |reason, seen| store.set_freeze_seen(&project(), reason, &ada(), seen, NOW).unwrap();
    assert_eq!(set(Some("main is red"), SeenFreeze::Open), Pressed::Done(()));
    let Pressed::Changed(Some(row)) = set(Some("mine"), SeenFreeze::Open) else { panic!("it was frozen") };
    assert_eq!((row.actor, row.reason.as_deref()), (ada(), Some("main is red")));
    assert_eq!(set(None, SeenFreeze::Frozen), Pressed::Done(()));
    let Pressed::Changed(Some(row)) = set(None, SeenFreeze::Frozen) else { panic!("it was thawed") };
    assert_eq!(row.reason, None);
    assert_eq!(store.freeze_log(&project(), 9).unwrap().len(), 2);
}

#[test]
fn a_need_of_a_task_that_moved_meanwhile_is_recorded_as_late() {
    let (_dir, store) = open(3);
    let seen = Seen { version: store.task(TaskId(3)).unwrap().version, epoch: None };
    let depend = |on| store.depend_seen(TaskId(3), TaskId(on), &ada(), &seen, NOW).unwrap();
    assert!(matches!(depend(1), AppliedSeen::Applied(Applied::Stepped { .. })));
    let AppliedSeen::Moved { task, since } = depend(2) else { panic!("it moved") };
    assert_eq!((task.needs.len(), since.is_empty()), (1, false));
    let undepend = || store.undepend_seen(TaskId(3), TaskId(1), &ada(), &seen, NOW).unwrap();
    assert!(matches!(undepend(), AppliedSeen::Moved { .. }));
    assert_eq!(store.task(TaskId(3)).unwrap().needs.len(), 1);
    let late = store.events(TaskId(3), 9).unwrap().into_iter().filter(|row| row.outcome == "late").count();
    assert_eq!(late, 2);
}
