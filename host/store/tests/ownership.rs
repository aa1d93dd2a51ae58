//! Rows that another hand wrote, or that cannot be read: what lets go, and what holds on (catalogue C2, D7, P1).

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

use std::path::Path;

use conductor::ports::store::{Applied, ClaimLimits, Incarnation, JobRow, NewTask, Project, Store, WaitReason};
use domain::effect::{Claim, Effect, JobClass, Notice};
use domain::event::{Event, Intent};
use domain::ids::{Actor, TaskId, WorkItemId};
use domain::task::{Activity, HoldKind, Track};
use domain::time::Timestamp;
use rusqlite::Connection;
use store::conformance::small_project;
use store::{SqliteStore, StoreConfig};

const NOW: Timestamp = Timestamp(1_000_000);
const RUNS: ClaimLimits = ClaimLimits::of(9);

/// The state folder of a project with so many new tasks.
fn folder(serial: bool, tasks: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    store.put_project(&Project { serial, ..small_project() }, NOW).unwrap();
    for number in 1..=tasks {
        let new = NewTask {
            project: small_project().name,
            work_item: WorkItemId::new(format!("SHOP-{number}")).unwrap(),
            title: "Sell more".to_owned(),
            description: String::new(),
            labels: Vec::new(),
            track: Track::Full,
            actor: ada(),
        };
        store.create_task(&new, NOW).unwrap();
    }
    dir
}

fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(StoreConfig::new(dir, "here")).unwrap()
}

/// As somebody would write whom no rule binds.
fn plant(dir: &Path, statements: &str) {
    let sql = Connection::open(dir.join("gatewright.db")).unwrap();
    sql.pragma_update(None, "foreign_keys", "OFF").unwrap();
    sql.pragma_update(None, "ignore_check_constraints", "ON").unwrap();
    sql.execute_batch(statements).unwrap();
}

fn ada() -> Actor {
    Actor::Person("ada".to_owned())
}

fn owner() -> Incarnation {
    let uuid = "0123456789abcdef0123456789abcdef".to_owned();
    Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 7, start_time: 11, uuid }
}

/// Everything that can be claimed; the aftermath is told.
fn claims(store: &SqliteStore) -> Vec<Claim> {
    std::iter::from_fn(|| store.claim(&owner(), &RUNS, NOW).unwrap()).collect()
}

/// The tasks whose runs can begin.
fn begun(store: &SqliteStore) -> Vec<u64> {
    let runs = claims(store).into_iter().filter(|claim| claim.job.effect.class() == JobClass::Drive);
    runs.map(|claim| claim.job.task.0).collect()
}

#[test]
fn d7_2_a_cycle_that_another_hand_wrote_holds_its_tasks_under_one_alarm() {
    let dir = folder(false, 4);
    plant(dir.path(), "INSERT INTO dependency (task, needs) VALUES (1, 2), (2, 1), (3, 1)");
    let store = open(dir.path());
    assert!(store.rebuild(TaskId(1)).unwrap()[0].starts_with("dependencies: "), "no entry tells of it");
    assert_eq!(store.hold_cycles(NOW).unwrap(), 2);
    assert_eq!(store.hold_cycles(NOW).unwrap(), 0, "once");
    let reason = |task| match store.task(TaskId(task)).unwrap().position.activity {
        Activity::Held { hold } if hold.kind == HoldKind::DependencyCycle => Some(hold.reason),
        _ => None,
    };
    assert!(reason(1).unwrap().starts_with("SHOP-1 needs SHOP-2, SHOP-2 needs SHOP-1: none of them"));
    assert_eq!((reason(1), reason(3), reason(4)), (reason(2), None, None), "who needs them waits");
    let claims = claims(&store);
    let alarms = claims.iter().filter(|claim| matches!(&claim.job.effect, Effect::Notify { notice: Notice::Held, .. }));
    let mut driven = claims.iter().filter(|claim| claim.job.effect.class() == JobClass::Drive);
    assert_eq!(driven.next().map(|claim| claim.job.task), Some(TaskId(4)), "other tasks run");
    assert_eq!(driven.next(), None);
    // Notices of a task are told in order: what was queued counts too.
    drop(store);
    let sql = Connection::open(dir.path().join("gatewright.db")).unwrap();
    let query = "SELECT COUNT(*) FROM job WHERE effect = 'notify' AND json_extract(body, '$.notice') = 'held'";
    let wanted: u32 = sql.query_row(query, [], |row| row.get(0)).unwrap();
    assert_eq!(wanted, 1);
    assert!(alarms.count() <= 1);
}

/// What leads out is the same as for an edge of our own, and then the entries tell of all that was.
#[test]
fn d7_2_an_edge_that_another_hand_wrote_can_be_taken_away() {
    let dir = folder(false, 2);
    plant(dir.path(), "INSERT INTO dependency (task, needs) VALUES (1, 2), (2, 1)");
    let store = open(dir.path());
    assert_eq!(store.hold_cycles(NOW).unwrap(), 2);
    let removed = store.undepend(TaskId(1), TaskId(2), &ada(), NOW).unwrap();
    assert!(matches!(removed, Applied::Stepped { .. }), "{removed:?}");
    for task in [1, 2] {
        let resume = Event::Intent { intent: Intent::Resume, actor: ada(), note: String::new() };
        store.apply(TaskId(task), &resume, NOW).unwrap();
    }
    assert_eq!(store.hold_cycles(NOW).unwrap(), 0);
    assert_eq!(begun(&store), [1]);
    assert_eq!(store.rebuild(TaskId(1)).unwrap(), Vec::<String>::new());
}

#[test]
fn d7_3_an_edge_to_a_task_that_is_not_there_holds_nothing() {
    let dir = folder(false, 1);
    plant(dir.path(), "INSERT INTO dependency (task, needs) VALUES (1, 99)");
    let store = open(dir.path());
    assert_eq!(store.prerequisites(TaskId(1)).unwrap(), []);
    assert_eq!(begun(&store), [1]);
}

/// Only `met = 0` is an unmet need: a word that is none holds nothing.
#[test]
fn d7_3_an_edge_whose_word_makes_no_sense_holds_nothing() {
    for (met, begins) in [("0", vec![2]), ("7", vec![1, 2]), ("-1", vec![1, 2])] {
        let dir = folder(false, 2);
        plant(dir.path(), &format!("INSERT INTO dependency (task, needs, met) VALUES (1, 2, {met})"));
        assert_eq!(begun(&open(dir.path())), begins, "{met}");
    }
}

/// Of the needed task its columns are read, and nothing that could be garbage: it is not done, so it holds.
#[test]
fn d7_3_a_needed_task_whose_record_cannot_be_read_is_not_done_all_the_same() {
    let dir = folder(false, 3);
    plant(dir.path(), "INSERT INTO dependency (task, needs) VALUES (1, 2)");
    plant(
        dir.path(),
        "UPDATE job SET state = 'cancelled', closed_at = 1 WHERE task = 2; UPDATE task SET body = '{', version = version + 1 WHERE id = 2",
    );
    let store = open(dir.path());
    store.task(TaskId(2)).unwrap_err();
    assert_eq!(begun(&store), [3]);
    store.undepend(TaskId(1), TaskId(2), &ada(), NOW).unwrap_err();
}

#[test]
fn c2_2_a_serial_gate_that_cannot_be_read_lets_claiming_proceed() {
    let dir = folder(true, 2);
    assert_eq!(begun(&open(dir.path())), [1]);
    // No project, or one of which nobody can say whether it is serial.
    for broken in ["DELETE FROM project", "UPDATE project SET serial = 7", "UPDATE project SET serial = -1"] {
        let dir = folder(true, 2);
        plant(dir.path(), broken);
        assert_eq!(begun(&open(dir.path())), [1, 2], "{broken}");
    }
}

/// The gate reads two columns: what is garbage beside them lets nobody by.
#[test]
fn c2_2_a_serial_gate_holds_whatever_else_of_its_rows_cannot_be_read() {
    let dir = folder(true, 2);
    plant(dir.path(), "UPDATE project SET pipeline = '{', digest = 'none'");
    assert_eq!(begun(&open(dir.path())), [1]);
}

/// The gate and the needs are conditions of the statement that claims: there is no reading them that could fail without it.
#[test]
fn c2_2_where_a_table_of_the_claim_cannot_be_read_the_claim_fails_as_a_whole() {
    for table in ["dependency", "project", "paused"] {
        let dir = folder(true, 2);
        let store = open(dir.path());
        plant(dir.path(), &format!("ALTER TABLE {table} RENAME TO gone"));
        let error = store.claim(&owner(), &RUNS, NOW).unwrap_err();
        assert!(
            error.to_string().contains(&format!("no such table: main.{table}"))
                || error.to_string().contains(&format!("no such table: {table}")),
            "{error}"
        );
        plant(dir.path(), &format!("ALTER TABLE gone RENAME TO {table}"));
        assert_eq!(begun(&store), [1], "{table}: it goes on once it can be read");
    }
}

#[test]
fn c2_3_a_freeze_whose_row_cannot_be_read_holds() {
    let dir = folder(false, 1);
    let project = small_project().name;
    open(dir.path()).set_freeze(&project, Some("main is red"), &ada(), NOW).unwrap();
    plant(dir.path(), "UPDATE freeze SET reason = CAST(x'ff' AS TEXT), actor = 'nobody', at = -1");
    let store = open(dir.path());
    assert_eq!(begun(&store), [0; 0]);
    let jobs = store.jobs(&RUNS, NOW, 10).unwrap();
    assert!(jobs.iter().any(|job| job.reason == Some(WaitReason::Freeze)));
    assert_eq!(store.freeze(&project).unwrap().as_deref(), Some("its reason cannot be read"));
    store.set_freeze(&project, None, &ada(), NOW).unwrap();
    assert_eq!(begun(&store), [1]);
}

/// Where the table itself cannot be read nothing is claimed at all: a freeze may stand there.
#[test]
fn c2_3_without_the_table_of_freezes_nothing_is_claimed() {
    let dir = folder(false, 1);
    plant(dir.path(), "ALTER TABLE freeze RENAME TO gone");
    let store = open(dir.path());
    store.claim(&owner(), &RUNS, NOW).unwrap_err();
}

#[test]
fn a_pause_whose_row_is_lost_is_noticed() {
    let dir = folder(false, 1);
    let store = open(dir.path());
    let pause = Event::Intent { intent: Intent::Pause, actor: ada(), note: String::new() };
    store.apply(TaskId(1), &pause, NOW).unwrap();
    drop(store);
    plant(dir.path(), "DELETE FROM paused");
    let store = open(dir.path());
    let differences = store.rebuild(TaskId(1)).unwrap();
    assert_eq!(differences, ["paused: the entries make true, the row says false"]);
}

/// Damage keeps the task from going on that it befell, and nobody else.
#[test]
fn c2_2_a_record_that_cannot_be_read_keeps_nobody_else_from_a_claim() {
    for damage in [
        "UPDATE task SET body = '{', version = version + 1 WHERE id = 1",
        "UPDATE job SET body = '{' WHERE task = 1",
        "UPDATE job SET lease = 'no such/name', slot = 0 WHERE task = 1",
        "UPDATE job SET place = 'broken' WHERE task = 1",
    ] {
        let dir = folder(false, 3);
        plant(dir.path(), damage);
        assert_eq!(begun(&open(dir.path())), [2, 3], "{damage}");
        let sql = Connection::open(dir.path().join("gatewright.db")).unwrap();
        let why = "SELECT COUNT(*) FROM job WHERE task = 1 AND aside = 1 AND why LIKE 'a row of `%` does not read: %'";
        assert!(sql.query_row(why, [], |row| row.get::<_, u32>(0)).unwrap() > 0, "{damage}");
    }
}

/// Nor does damage beside the jobs: to the memory of a breaker, to what says whose run holds a place, to a delivery.
#[test]
fn c2_2_damage_beside_the_jobs_keeps_nobody_from_a_claim() {
    let dir = folder(false, 3);
    let store = open(dir.path());
    let first = store.claim(&owner(), &RUNS, NOW).unwrap().unwrap();
    let beside = format!(
        "INSERT INTO breaker (driver, state, body) VALUES ('claude', 'open', '{{'), ('no/such', 'open', '{{}}');
        UPDATE job SET driver = 'no/such' WHERE id = {};
        INSERT INTO delivery (source, project, work_item, received_at, body, state, row_order, polled)
            VALUES ('board', 'no such', 'SHOP-1', 1, x'7b7d', 'pending', 1, 0), ('board', 'shop', 'SHOP-1', 1, x'7b7d', 'pending', 2, 0)",
        first.job.id
    );
    plant(dir.path(), &beside);
    assert_eq!(begun(&store).len() + usize::from(first.job.effect.class() == JobClass::Drive), 3);
    assert_eq!(store.pending_deliveries(10).unwrap().len(), 1, "the other is heard");
}

fn rows_of(store: &SqliteStore, task: u64) -> Vec<JobRow> {
    let mut rows = store.jobs(&RUNS, NOW, 100).unwrap();
    rows.retain(|row| row.task == TaskId(task) && row.state == "queued");
    rows
}

/// Whatever of a row does not read, the row is listed, with the others, and says what holds it.
#[test]
fn c2_2_what_was_set_aside_as_damaged_is_listed_and_says_so() {
    for (what, damage) in [
        ("task", "UPDATE task SET body = '{', version = version + 1 WHERE id = 1"),
        ("job", "UPDATE job SET body = '{' WHERE task = 1"),
        ("job", "UPDATE job SET effect = CAST(x'ff' AS TEXT), body = CAST(x'ff' AS TEXT) WHERE task = 1"),
        ("job", "UPDATE job SET lease = 'no such/name', slot = 0 WHERE task = 1"),
    ] {
        let dir = folder(false, 3);
        plant(dir.path(), damage);
        let store = open(dir.path());
        let there = store.jobs(&RUNS, NOW, 100).unwrap().len();
        assert_eq!(begun(&store), [2, 3], "{damage}");
        assert_eq!(store.jobs(&RUNS, NOW, 100).unwrap().len(), there, "{damage}: nothing is passed over");
        let rows = rows_of(&store, 1);
        let driving = rows.iter().find(|row| row.class == JobClass::Drive).unwrap();
        assert_eq!(driving.reason, Some(WaitReason::Damaged), "{damage}");
        let note = driving.note.as_deref().unwrap();
        assert!(note.starts_with(&format!("a row of `{what}` does not read: ")), "{damage}: {note}");
        assert!(rows.iter().all(|row| row.reason.is_some()), "{damage}: nothing of it is claimed next: {rows:?}");
    }
}

/// Nobody has tried to claim them yet, and the breaker is nobody's row: the listing is whole all the same.
#[test]
fn c2_2_a_listing_fails_for_no_row_that_does_not_read() {
    for (what, damage) in [
        ("job", "UPDATE job SET body = '{' WHERE slot = 1"),
        ("task", "UPDATE job SET task = 99 WHERE task = 1 AND slot = 1"),
    ] {
        let dir = folder(false, 1);
        let store = open(dir.path());
        let there = store.jobs(&RUNS, NOW, 100).unwrap().len();
        plant(dir.path(), damage);
        let jobs = store.jobs(&RUNS, NOW, 100).unwrap();
        assert_eq!(jobs.len(), there, "{damage}");
        let launch = jobs.iter().find(|job| job.effect == "launch-agent").unwrap();
        assert_eq!(launch.reason, Some(WaitReason::Damaged), "{damage}");
        assert!(
            launch.note.as_deref().unwrap().starts_with(&format!("a row of `{what}` does not read: ")),
            "{launch:?}"
        );
    }
}

/// A claim passes over what stands behind another job of its task, so a listing does not call it the next.
#[test]
fn what_stands_behind_another_job_of_its_task_waits_for_its_turn() {
    let copy = "INSERT INTO job (task, version, ordinal, epoch, class, effect, body, slot, priority, state, available_at, place)
        SELECT task, version, ordinal + 100, epoch, class, effect, body, slot, priority, 'queued', 0, place FROM job";
    let dir = folder(false, 1);
    let store = open(dir.path());
    let run = claims(&store).into_iter().find(|claim| claim.job.effect.class() == JobClass::Drive).unwrap();
    plant(
        dir.path(),
        &format!(
            "UPDATE job SET state = 'queued', available_at = {}, owner = NULL, owner_uuid = NULL, host = NULL, claimed_at = NULL
                WHERE class = 'aftermath'; {copy}",
            NOW.0 + 3_600_000
        ),
    );
    assert!(claims(&store).is_empty());
    let of = |class| {
        let rows = rows_of(&store, 1).into_iter().filter(move |row| row.class == class);
        rows.map(|row| (row.id > run.job.id, row.reason)).collect::<Vec<_>>()
    };
    assert_eq!(of(JobClass::Drive), [(true, Some(WaitReason::Turn))], "its run is claimed");
    let told = of(JobClass::Aftermath);
    assert_eq!(told.first().unwrap().1, Some(WaitReason::Time), "{told:?}");
    assert_eq!(told.last().unwrap().1, Some(WaitReason::Turn), "behind what backs off: {told:?}");
}

/// Of an old time the newest events before it are read, however many came since.
#[test]
fn what_a_task_was_told_up_to_a_time_is_cut_before_it_is_counted() {
    let dir = folder(false, 1);
    let store = open(dir.path());
    let task = TaskId(1);
    let pause = |at: u64| {
        let pause = Event::Intent { intent: Intent::Pause, actor: ada(), note: String::new() };
        store.apply(task, &pause, Timestamp(NOW.0 + at)).unwrap()
    };
    let paused = store.task(task).unwrap().version;
    for at in [10, 20, 30, 40] {
        pause(at);
    }
    let told = |at: u64, limit| {
        let rows = store.events_at(task, Timestamp(NOW.0 + at), limit).unwrap();
        rows.into_iter().map(|row| row.at.0 - NOW.0).collect::<Vec<_>>()
    };
    assert_eq!(told(20, 2), [10, 20]);
    assert_eq!(told(35, 1), [30]);
    assert_eq!(store.task_at(task, NOW).unwrap().unwrap().version, paused);
}

/// A clock that jumped ahead and back: what was done under it was done before what came after.
#[test]
fn a_moment_after_the_clock_jumped_ahead_and_back_is_cut_by_version() {
    let dir = folder(false, 1);
    let store = open(dir.path());
    let task = TaskId(1);
    let tell = |intent, at: u64| {
        let event = Event::Intent { intent, actor: ada(), note: String::new() };
        assert!(matches!(store.apply(task, &event, Timestamp(NOW.0 + at)).unwrap(), Applied::Stepped { .. }));
        store.task(task).unwrap()
    };
    let first = store.task(task).unwrap();
    let ahead = tell(Intent::Pause, 3_600_000);
    assert_eq!(store.task_at(task, Timestamp(NOW.0 + 5)).unwrap(), Some(first.clone()), "nothing else is known yet");
    let back = tell(Intent::Resume, 10);
    let at = |at: u64| store.task_at(task, Timestamp(NOW.0 + at)).unwrap().unwrap();
    assert_eq!((at(5).version, at(10).version, at(7_200_000).version), (first.version, back.version, back.version));
    assert_eq!(at(10), back);
    let told = store.events_at(task, Timestamp(NOW.0 + 10), 100).unwrap();
    assert_eq!(told.iter().filter_map(|row| row.version).max(), Some(back.version));
    assert!(told.iter().any(|row| row.version == Some(ahead.version)), "it came before: {told:?}");
    assert_eq!(store.events_at(task, Timestamp(NOW.0 + 5), 100).unwrap().len() + 2, told.len());
}
