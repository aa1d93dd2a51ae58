//! The schema: each kept database migrates, a newer one is refused untouched, and the invariants hold against raw SQL too.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

use std::fs;
use std::path::{Path, PathBuf};

use conductor::ports::inbox::{Inbox, NewDelivery, Received};
use conductor::ports::store::{ClaimLimits, Completion, Incarnation, NewItem, NewTask, Store, StoreError};
use domain::document::Role;
use domain::effect::{JobClass, run_of};
use domain::event::{Event, Intent, RunOutcome, Spent};
use domain::ids::{Actor, BranchName, CommitId, TaskId, WorkItemId};
use domain::task::Track;
use domain::time::Timestamp;
use domain::verdict::WakeKind;
use rusqlite::Connection;
use store::conformance::small_project;
use store::{SqliteStore, StoreConfig};

const NOW: Timestamp = Timestamp(1_000_000);
const RUNS: ClaimLimits = ClaimLimits::of(9);

fn open(dir: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(StoreConfig::new(dir, "here"))
}

fn raw(dir: &Path) -> Connection {
    let sql = Connection::open(dir.join("gatewright.db")).unwrap();
    sql.pragma_update(None, "foreign_keys", "ON").unwrap();
    sql
}

fn kept(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/databases/schema-{version}.db"))
}

fn owner() -> Incarnation {
    let uuid = "0123456789abcdef0123456789abcdef".to_owned();
    Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 7, start_time: 11, uuid }
}

fn new_task(number: u32) -> NewTask {
    NewTask {
        project: small_project().name,
        work_item: WorkItemId::new(format!("SHOP-{number:03}")).unwrap(),
        title: format!("Item {number}"),
        description: "Sell more.".to_owned(),
        labels: vec!["bug".to_owned()],
        track: Track::Full,
        actor: Actor::Person("ada".to_owned()),
    }
}

/// A card, a stopped task, one whose run is claimed and one that waits for its gate.
fn fill(store: &SqliteStore) {
    let project = small_project();
    store.put_project(&project, NOW).unwrap();
    let ids: Vec<TaskId> = (1..=3).map(|number| store.create_task(&new_task(number), NOW).unwrap().0).collect();
    let stop = Event::Intent { intent: Intent::Stop, actor: Actor::Host, note: "enough".to_owned() };
    store.apply(ids[0], &stop, NOW).unwrap();
    let commit = |digit: &str| CommitId::new(digit.repeat(40)).unwrap();
    let mut left_running = false;
    while let Some(claim) = store.claim(&owner(), &RUNS, NOW).unwrap() {
        let epoch = claim.job.epoch;
        let event = match claim.job.effect.name() {
            "clean-up" => Event::CleanedUp { epoch },
            "launch-agent" if claim.job.task == ids[2] => {
                left_running = true;
                continue;
            }
            "launch-agent" => {
                let branch = BranchName::new("gatewright/shop-002").unwrap();
                store
                    .apply(
                        claim.job.task,
                        &Event::BranchCut { epoch, branch, base: commit("0"), documents: Vec::new() },
                        NOW,
                    )
                    .unwrap();
                let outcome = RunOutcome::Delivered { head: Some(commit("a")), documents: vec![], validated: None };
                let spent = Some(Spent { cost_microusd: 5, ..Spent::default() });
                Event::RunEnded { epoch, run: run_of(claim.job.id), outcome, spent, role: Some(Role::Developer) }
            }
            "judge" => {
                store.give_back(claim.job.id, claim.token, NOW, "kept for the next host").unwrap();
                break;
            }
            _ => Event::AftermathEnded { note: "told".to_owned() },
        };
        let (job, token) = (claim.job.id, claim.token);
        store.complete(Completion { job, token, event, wakes: 0, evaluation: None, run: None }, NOW).unwrap();
    }
    assert!(left_running);
    store.wake(&project.name, "SHOP-002", WakeKind::Comment, NOW).unwrap();
    let (title, description, status) = ("A card".to_owned(), String::new(), "To do".to_owned());
    let (labels, actor) = (Vec::new(), Actor::Person("ada".to_owned()));
    store
        .create_item(
            &NewItem { project: project.name, title, description, status, labels, actor, after: Vec::new() },
            NOW,
        )
        .unwrap();
}

/// Writes the database that is kept of the newest schema: `GATEWRIGHT_KEEP_DATABASE=1 cargo test -p store --test schema keep`,
/// once, when the schema is released; never again afterwards.
#[test]
fn keep_the_database_of_the_newest_schema() {
    if std::env::var_os("GATEWRIGHT_KEEP_DATABASE").is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path()).unwrap());
    let sql = raw(dir.path());
    let version: u32 = sql.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let target = kept(version);
    let _ = fs::remove_file(&target);
    // Small pages make a small file: most tables are empty.
    sql.execute_batch(&format!("PRAGMA page_size = 512; VACUUM INTO '{}'", target.display())).unwrap();
}

/// What the database says of its tables and indexes.
fn described(sql: &Connection) -> Vec<(String, Option<String>)> {
    let mut statement = sql.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_database_of_each_released_schema_migrates_and_goes_on() {
    let (newest, fresh): (u32, _) = {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()).unwrap());
        let sql = raw(dir.path());
        (sql.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap(), described(&sql))
    };
    for version in 1..=newest {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(kept(version), dir.path().join("gatewright.db")).unwrap();
        let store = open(dir.path()).unwrap();
        let tasks = store.tasks(false, 10).unwrap();
        assert_eq!(tasks.iter().map(|task| task.id.0).collect::<Vec<_>>(), [3, 2, 1]);
        let activities = tasks.iter().map(|task| task.position.activity.name()).collect::<Vec<_>>();
        assert_eq!(activities, ["running", "judging", "settled"]);
        for task in &tasks {
            assert_eq!(store.rebuild(task.id).unwrap(), Vec::<String>::new());
            assert_eq!(store.projects().unwrap()[0].name, task.project);
        }
        assert_eq!(store.reap(&|_| false, NOW).unwrap(), 1);
        let mut effects = Vec::new();
        while let Some(claim) = store.claim(&owner(), &RUNS, NOW).unwrap() {
            effects.extend((claim.job.effect.class() == JobClass::Drive).then(|| claim.job.effect.name()));
        }
        effects.sort_unstable();
        assert_eq!(effects, ["judge", "launch-agent"]);
        let pending = store.pending_deliveries(10).unwrap();
        assert_eq!(pending.len(), 1);
        assert!(pending[0].row.is_some(), "what was told is known as such: no poll tells it again");
        drop(store);
        let sql = raw(dir.path());
        let row: u32 = sql.query_row("SELECT MAX(version) FROM schema_version", [], |row| row.get(0)).unwrap();
        assert_eq!(row, newest, "the row agrees with the pragma");
        let sound: String = sql.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!((sound.as_str(), described(&sql)), ("ok", fresh.clone()), "of {version}");
    }
}

/// What came as a webhook before the keys stood in memory is known again.
#[test]
fn a_delivery_of_an_earlier_schema_that_comes_again_is_a_repeat() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(kept(4), dir.path().join("gatewright.db")).unwrap();
    let project = small_project().name;
    let insert =
        "INSERT INTO delivery (source, project, received_at, body, state, hook_key, sent_as, word, verified, headers)
        VALUES ('gitea', ?1, 1, x'7b7d', 'pending', ?2, 'old', 'push', 0, '[]')";
    raw(dir.path()).execute(insert, rusqlite::params![project.as_str(), [7_u8; 32]]).unwrap();
    let store = open(dir.path()).unwrap();
    let receive = |key: u8| {
        let delivery = NewDelivery {
            source: webhooks::Source::Gitea,
            projects: vec![(project.clone(), true)],
            key: [key; 32],
            sent_as: None,
            word: "push".to_owned(),
            headers: webhooks::Headers::default(),
            body: b"{}".to_vec(),
            at: NOW,
        };
        let (tell, told) = std::sync::mpsc::channel();
        Inbox::receive(&store, delivery, Box::new(move |outcome| tell.send(outcome).unwrap()));
        told.recv().unwrap().unwrap()
    };
    assert_eq!((receive(7), receive(8)), (Received::Repeat, Received::New));
}

/// What earlier hosts spent counts against the budgets of this one.
#[test]
fn what_was_spent_before_there_were_budgets_counts() {
    let dir = tempfile::tempdir().unwrap();
    fs::copy(kept(1), dir.path().join("gatewright.db")).unwrap();
    let sql = raw(dir.path());
    let day = 24 * 3_600_000;
    let insert = "INSERT INTO entry (task, version, ordinal, at, kind, body) VALUES (2, ?1, 0, ?2, 'run-ended', ?3)";
    let ended = |spent: &str| format!(r#"{{"entry":"run-ended","run":1,"outcome":"late","spent":{spent}}}"#);
    let cost = r#"{"input_tokens":3,"output_tokens":2,"cost_microusd":7,"wall":1000}"#;
    let huge = r#"{"input_tokens":18446744073709551615,"output_tokens":0,"cost_microusd":1,"wall":5}"#;
    for (version, at, spent) in [(900, 1, cost), (901, 2, cost), (902, day, "null"), (903, day + 1, huge)] {
        sql.execute(insert, rusqlite::params![version, at, ended(spent)]).unwrap();
    }
    drop(sql);
    let store = open(dir.path()).unwrap();
    let first = store.spending(&small_project().name, 0).unwrap();
    assert_eq!((first.day.input_tokens, first.day.output_tokens, first.day.cost_microusd), (6, 4, 14));
    assert_eq!((first.day.wall.0, first.total.cost_microusd), (2000, 15));
    let second = store.spending(&small_project().name, 1).unwrap().day;
    assert!(second.input_tokens > u64::MAX / 8 && second.wall.0 == 5, "{second:?}");
}

#[test]
fn a_database_of_a_newer_host_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    raw(dir.path()).pragma_update(None, "user_version", 99).unwrap();
    drop(raw(dir.path()));
    let before = fs::read(dir.path().join("gatewright.db")).unwrap();
    let Err(StoreError::Refused(why)) = open(dir.path()).map(|_| ()) else { panic!("it was opened") };
    assert!(why.to_string().contains("schema 99"), "{why}");
    assert_eq!(fs::read(dir.path().join("gatewright.db")).unwrap(), before);
}

/// What no code of ours does, the database does not take from anybody else either.
#[test]
fn the_database_itself_refuses_what_must_never_be() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path()).unwrap());
    assert!(!dir.path().join("gatewright.db-wal").exists(), "a store that was closed is one file");
    let sql = raw(dir.path());
    sql.execute("INSERT INTO lease (project, name, holder, token) VALUES ('shop', 'merge', 2, 5)", []).unwrap();
    let cases = [
        ("UPDATE job SET pid = 9 WHERE state = 'queued'", "CHECK"),
        ("UPDATE job SET owner = '{}', owner_uuid = 'x', host = 'h' WHERE state = 'queued'", "CHECK"),
        ("UPDATE job SET state = 'queued', claimed_at = NULL WHERE state = 'claimed'", "CHECK"),
        ("UPDATE job SET state = 'queued', closed_at = NULL WHERE state = 'done'", "never opened again"),
        ("UPDATE job SET state = 'claimed', owner = '{}', owner_uuid = 'x', host = 'h', claimed_at = 1 WHERE state = 'queued'", "new token"),
        ("UPDATE job SET token = token - 1 WHERE state = 'claimed'", "only grows"),
        ("DELETE FROM job", "never deleted"),
        ("INSERT INTO job (task, version, ordinal, epoch, class, effect, body, slot, priority, state, available_at)
            SELECT task, version, ordinal, epoch, class, effect, body, slot, priority, 'queued', 1 FROM job WHERE task = 2 LIMIT 1", "UNIQUE"),
        ("INSERT INTO job (task, version, ordinal, epoch, class, effect, body, slot, priority, state, available_at)
            VALUES (1, 99, 0, 9, 'drive', 'timer', '{}', 0, 0, 'queued', 1)", "no live drive job"),
        ("UPDATE task SET terminal = 1, version = version + 1 WHERE id = 2", "no live drive job"),
        ("UPDATE task SET stage = 'development', version = version + 1 WHERE id = 1", "never leaves its place"),
        ("UPDATE task SET terminal = 0, version = version + 1 WHERE id = 1", "never leaves its place"),
        ("UPDATE task SET stage = 'done' WHERE id = 2", "grows by one"),
        ("UPDATE task SET version = version + 2 WHERE id = 2", "grows by one"),
        ("UPDATE task SET version = version + 1, epoch = epoch - 1 WHERE id = 2", "never shrinks"),
        ("UPDATE task SET version = version + 1, seed = '{}' WHERE id = 2", "its seed"),
        ("UPDATE task SET version = version + 1, body = CAST(zeroblob(65536) AS TEXT) WHERE id = 2", "CHECK"),
        ("INSERT INTO task SELECT 9, project, work_item, stage, visit, activity, epoch, version, branch, head, terminal, body, seed, 1
            FROM task WHERE id = 2", "UNIQUE"),
        ("DELETE FROM task WHERE id = 1", "never deleted"),
        ("UPDATE entry SET body = '{}'", "only appended"),
        ("DELETE FROM entry", "only appended"),
        ("UPDATE event SET outcome = 'late'", "only appended"),
        ("DELETE FROM event", "only appended"),
        ("UPDATE lease SET token = 4", "only grows"),
        ("UPDATE lease SET holder = 3", "only when it is free"),
        ("UPDATE lease SET holder = 3, token = 6", "only when it is free"),
        ("INSERT INTO lease (project, name, holder, token) VALUES ('shop', 'merge', 3, 6)", "UNIQUE"),
        ("DELETE FROM lease", "never deleted"),
        ("UPDATE wake_count SET count = count", "only grows"),
        ("DELETE FROM delivery", "never deleted"),
        ("UPDATE spending SET cost_microusd = 0, runs = runs + 1", "only grows"),
        ("UPDATE spending SET wall_ms = wall_ms", "only grows"),
        ("DELETE FROM spending", "never forgotten"),
        ("INSERT INTO document (task, kind, name, stage, visit, written_at, size, blob)
            VALUES (1, 'review', 'x', 'y', 1, 1, 1, 'nowhere')", "FOREIGN KEY"),
    ];
    for (statement, reason) in cases {
        let error = sql.execute(statement, []).expect_err(statement).to_string();
        assert!(error.contains(reason), "{statement}\nwas refused by: {error}");
    }
    sql.execute("UPDATE lease SET holder = NULL", []).unwrap();
    let error = sql.execute("UPDATE lease SET holder = 3", []).expect_err("without a new token").to_string();
    assert!(error.contains("new token"), "{error}");
    sql.execute("UPDATE lease SET holder = 3, token = token + 1", []).unwrap();
}

/// The position of a task is written by one statement of the whole code base.
#[test]
fn one_statement_writes_a_tasks_position() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    for folder in ["host", "sdk"] {
        search(&root.join(folder), &mut found);
    }
    assert_eq!(found, ["tasks.rs"], "only `write_task` may say so");
}

fn search(folder: &Path, found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "tests", "benches"].contains(&name.as_str()) {
            search(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "sql") {
            let text = fs::read_to_string(&path).unwrap().to_lowercase();
            let words = text.split_whitespace().collect::<Vec<_>>();
            let writes = words.windows(2).filter(|pair| pair[0].ends_with("update") && pair[1] == "task").count();
            found.extend(std::iter::repeat_n(name, writes));
        }
    }
}

/// Each entry counts, also one that changes nothing else of its task.
#[test]
fn an_entry_that_is_missing_is_noticed_whatever_it_said() {
    for (kind, place) in [("aftermath-ended", "the last of its step"), ("stage-entered", "within its step")] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path()).unwrap();
        fill(&store);
        drop(store);
        let sql = raw(dir.path());
        sql.execute_batch("DROP TRIGGER entry_is_kept").unwrap();
        let lost = "DELETE FROM entry WHERE task = 2 AND (version, ordinal) = (SELECT version, ordinal FROM entry
            WHERE task = 2 AND kind = ?1 ORDER BY version DESC, ordinal DESC LIMIT 1)";
        assert_eq!(sql.execute(lost, [kind]).unwrap(), 1, "{place}");
        drop(sql);
        let store = open(dir.path()).unwrap();
        let differences = store.rebuild(TaskId(2)).unwrap();
        assert!(differences.iter().any(|line| line.starts_with("entries: ")), "{place}: {differences:?}");
        assert_eq!(store.rebuild(TaskId(3)).unwrap(), Vec::<String>::new());
    }
}
