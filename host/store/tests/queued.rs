//! What a queued job has of its past: nothing that says who owned it, or that it runs (catalogue C5).

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

use std::fs;
use std::path::Path;

use conductor::ports::store::{ClaimLimits, Completion, Incarnation, NewTask, RunRow, Store};
use domain::document::Role;
use domain::effect::{Claim, JobClass, run_of};
use domain::event::{Answer, Event, FailureClass, RunOutcome, StepFacts};
use domain::ids::{Actor, BranchName, CommitId, WorkItemId};
use domain::task::Track;
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::WakeKind;
use rusqlite::Connection;
use store::conformance::small_project;
use store::{SqliteStore, StoreConfig};

const NOW: Timestamp = Timestamp(1_000_000);
const LATER: Timestamp = Timestamp(9_000_000);
const RUNS: ClaimLimits = ClaimLimits::of(9);

/// A store with one task.
fn begun(dir: &Path) -> SqliteStore {
    let store = SqliteStore::open(StoreConfig::new(dir, "here")).unwrap();
    store.put_project(&small_project(), NOW).unwrap();
    let new = NewTask {
        project: small_project().name,
        work_item: WorkItemId::new("SHOP-001").unwrap(),
        title: "Sell more".to_owned(),
        description: String::new(),
        labels: Vec::new(),
        track: Track::Full,
        actor: Actor::Person("ada".to_owned()),
    };
    store.create_task(&new, NOW).unwrap();
    store
}

fn raw(dir: &Path) -> Connection {
    Connection::open(dir.join("gatewright.db")).unwrap()
}

fn owner() -> Incarnation {
    let uuid = "0123456789abcdef0123456789abcdef".to_owned();
    Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 7, start_time: 11, uuid }
}

fn run_row(claim: &Claim) -> RunRow {
    RunRow {
        pid: Some(4711),
        ..RunRow::begun(run_of(claim.job.id), &claim.task, Role::Developer, 1, "agent".to_owned(), NOW)
    }
}

/// A job whose claimed run has a pid, as the rows show it.
fn launched(store: &SqliteStore) -> Claim {
    loop {
        let claim = store.claim(&owner(), &RUNS, NOW).unwrap().unwrap();
        if claim.job.effect.name() == "launch-agent" {
            store.put_run(&run_row(&claim), claim.token).unwrap();
            store.attempted(claim.job.id, claim.token, NOW).unwrap();
            return claim;
        }
    }
}

fn ownership(sql: &Connection, claim: &Claim) -> (String, [bool; 4]) {
    let query =
        "SELECT state, owner IS NULL, pid IS NULL, started_at IS NULL, claimed_at IS NULL FROM job WHERE id = ?1";
    sql.query_row(query, [claim.job.id.0.cast_signed()], |row| {
        Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]))
    })
    .unwrap()
}

/// Another life of the host, which takes over what the first one left.
fn another() -> Incarnation {
    Incarnation { pid: 8, uuid: "f".repeat(32), ..owner() }
}

fn done(store: &SqliteStore, claim: &Claim, event: Event) {
    let (job, token) = (claim.job.id, claim.token);
    store.complete(Completion { job, token, event, wakes: 0, evaluation: None, run: None }, NOW).unwrap();
}

fn ended(store: &SqliteStore, claim: &Claim, outcome: RunOutcome) {
    let (epoch, run) = (claim.job.epoch, run_of(claim.job.id));
    done(store, claim, Event::RunEnded { epoch, run, outcome, spent: None, role: Some(Role::Developer) });
}

fn failed(store: &SqliteStore, claim: &Claim, class: FailureClass, retry_after: Option<Milliseconds>) {
    ended(store, claim, RunOutcome::Undelivered { cause: "it fell".to_owned(), retry_after, class });
}

/// The dead one's job, in the hands of the next life.
fn taken_over(store: &SqliteStore) -> Claim {
    assert!(store.reap(&|_| false, NOW).unwrap() > 0);
    let claim = store.claim(&another(), &RUNS, NOW).unwrap().unwrap();
    store.put_run(&run_row(&claim), claim.token).unwrap();
    claim
}

/// The run delivers, and its gate says "not yet".
fn waits(store: &SqliteStore, claim: &Claim) {
    let commit = |digit: &str| CommitId::new(digit.repeat(40)).unwrap();
    let (epoch, branch) = (claim.job.epoch, BranchName::new("gatewright/shop-001").unwrap());
    let cut = Event::BranchCut { epoch, branch, base: commit("0"), documents: Vec::new() };
    store.apply(claim.job.task, &cut, NOW).unwrap();
    ended(store, claim, RunOutcome::Delivered { head: Some(commit("a")), documents: Vec::new(), validated: None });
    let gate = next_of(store, "judge");
    let wake = [WakeKind::Comment].into_iter().collect();
    let answer = Answer::Wait { until: NOW.plus(Milliseconds(1)), wake, why: "not yet".to_owned() };
    let (epoch, step) = (gate.job.epoch, gate.task.position.activity.step().unwrap().clone());
    done(store, &gate, Event::StepAnswered { epoch, step, answer, facts: StepFacts::default(), woken: false });
}

/// The next claim of that kind; the aftermath on the way is told.
fn next_of(store: &SqliteStore, effect: &str) -> Claim {
    loop {
        let claim = store.claim(&owner(), &RUNS, LATER).unwrap().unwrap();
        if claim.job.effect.name() == effect {
            return claim;
        }
        assert_eq!(claim.job.effect.class(), JobClass::Aftermath, "{:?}", claim.job.effect);
        done(store, &claim, Event::AftermathEnded { note: "told".to_owned() });
    }
}

type Way = fn(&SqliteStore, &Claim);

/// From a job whose claimed run has a pid to one that is queued: the same one, or the one that takes its place.
const WAYS: [(&str, &str, Way); 10] = [
    ("its owner died in it", "launch-agent", |store, _| assert!(store.reap(&|_| false, NOW).unwrap() > 0)),
    ("its owner died before it began", "launch-agent", |store, claim| {
        store.unattempted(claim.job.id, claim.token).unwrap();
        assert!(store.reap(&|_| false, NOW).unwrap() > 0);
    }),
    ("who took it over died as well", "launch-agent", |store, _| {
        taken_over(store);
        assert!(store.reap(&|owner| *owner != another(), NOW).unwrap() > 0);
    }),
    ("it was given back", "launch-agent", |store, claim| {
        store.give_back(claim.job.id, claim.token, NOW, "later").unwrap();
    }),
    ("nothing of it began", "launch-agent", |store, claim| {
        store.unattempted(claim.job.id, claim.token).unwrap();
        store.give_back(claim.job.id, claim.token, NOW, "its program is gone").unwrap();
    }),
    ("who took it over gave it back", "launch-agent", |store, _| {
        let claim = taken_over(store);
        store.give_back(claim.job.id, claim.token, NOW, "later").unwrap();
    }),
    ("it failed by what passes", "launch-agent", |store, claim| {
        failed(store, claim, FailureClass::Transient, Some(Milliseconds(1)));
    }),
    ("it failed", "launch-agent", |store, claim| failed(store, claim, FailureClass::Permanent, None)),
    ("a fact woke its task", "judge", |store, claim| {
        waits(store, claim);
        assert_eq!(store.wake(&small_project().name, "SHOP-001", WakeKind::Comment, NOW).unwrap(), 1);
    }),
    ("its time came", "judge", |store, claim| {
        waits(store, claim);
        let timer = next_of(store, "timer");
        done(store, &timer, Event::TimerFired { epoch: timer.job.epoch });
    }),
];

#[test]
fn c5_1_every_way_back_to_queued_clears_owner_pid_and_start() {
    for (name, effect, way) in WAYS {
        let dir = tempfile::tempdir().unwrap();
        let store = begun(dir.path());
        let claim = launched(&store);
        let sql = raw(dir.path());
        assert_eq!(ownership(&sql, &claim), ("claimed".to_owned(), [false; 4]), "{name}");
        way(&store, &claim);
        let owned = "SELECT COUNT(*) FROM job WHERE state = 'queued' AND NOT (owner IS NULL AND owner_uuid IS NULL
            AND host IS NULL AND pid IS NULL AND started_at IS NULL AND claimed_at IS NULL)";
        assert_eq!(sql.query_row(owned, [], |row| row.get(0)), Ok(0), "{name}");
        let queued = "SELECT COUNT(*) FROM job WHERE state = 'queued' AND class = 'drive'";
        assert_eq!(sql.query_row(queued, [], |row| row.get(0)), Ok(1), "{name}");
        let again = next_of(&store, effect);
        // A claimed job has no pid until its launch writes one.
        assert_eq!(ownership(&sql, &again), ("claimed".to_owned(), [false, true, true, false]), "{name}");
    }
}

/// Each file of the store's, as words in small letters with one space between them.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            let text = fs::read_to_string(&path).unwrap().to_lowercase();
            found.push((name, text.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    found
}

/// Whoever writes another statement that queues a job comes by here, and adds its way to [`WAYS`].
#[test]
fn c5_1_three_statements_queue_a_job() {
    let mut found = Vec::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (name, text) in sources(&source) {
        for what in ["{requeue}", "set state = 'queued'", "\"state = 'queued',", ", 'queued',", "insert into job"] {
            found.extend(text.matches(what).map(|_| format!("{name}: {what}")));
        }
    }
    found.sort();
    // Giving back and reaping say it in the same words; a job begins so, too.
    let requeue = "complete.rs: {requeue}";
    let wanted =
        ["complete.rs: \"state = 'queued',", requeue, requeue, "jobs.rs: , 'queued',", "jobs.rs: insert into job"];
    assert_eq!(found, wanted);
}

/// Nobody can plant a queued job with an owner or a pid: the database refuses it. Where somebody forced it in all the same, the
/// claim clears it, and no phantom holds a slot.
#[test]
fn c5_2_a_queued_job_with_a_pid_is_refused_and_one_that_was_forced_in_is_claimable() {
    let dir = tempfile::tempdir().unwrap();
    drop(begun(dir.path()));
    let sql = raw(dir.path());
    let planted = "UPDATE job SET pid = 1, started_at = 1 WHERE effect = 'launch-agent' AND state = 'queued'";
    let error = sql.execute(planted, []).unwrap_err().to_string();
    assert!(error.contains("CHECK"), "{error}");
    sql.pragma_update(None, "ignore_check_constraints", "ON").unwrap();
    assert_eq!(sql.execute(planted, []).unwrap(), 1);
    drop(sql);
    let store = SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap();
    let claim = loop {
        let claim = store.claim(&owner(), &ClaimLimits::of(1), NOW).unwrap().unwrap();
        if claim.job.effect.name() == "launch-agent" {
            break claim;
        }
    };
    assert_eq!(ownership(&raw(dir.path()), &claim), ("claimed".to_owned(), [false, true, true, false]));
}
