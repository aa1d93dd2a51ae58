//! A house in which each table has a row of the victims', and two sound tasks beside them.

use std::path::Path;
use std::sync::mpsc::channel;

use conductor::ports::access::{Access as _, NewToken};
use conductor::ports::inbox::{Inbox, NewDelivery};
use conductor::ports::store::{
    Applied, ClaimLimits, Completion, Incarnation, NewItem, NewTask, Project, RunRow, Store, StoreError, ToldRow,
};
use domain::access::Right;
use domain::document::Role;
use domain::effect::{Claim, JobClass, run_of};
use domain::event::{Answer, Event, RunOutcome, Spent, StepFacts};
use domain::ids::{Actor, BranchName, CommitId, Digest, ProjectName, TaskId, TokenName, WorkItemId};
use domain::plugin::{Check, CheckState};
use domain::task::Track;
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::WakeKind;
use rusqlite::Connection;
use store::conformance::small_project;
use store::{SqliteStore, StoreConfig};
use webhooks::{Headers, Source};

pub(crate) const NOW: Timestamp = Timestamp(1_000_000);
pub(crate) const RUNS: ClaimLimits = ClaimLimits::of(9);

pub(crate) fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(StoreConfig::new(dir, "here")).unwrap()
}

pub(crate) fn raw(dir: &Path) -> Connection {
    let sql = Connection::open(dir.join("gatewright.db")).unwrap();
    sql.pragma_update(None, "foreign_keys", "OFF").unwrap();
    sql.pragma_update(None, "ignore_check_constraints", "ON").unwrap();
    sql
}

/// In memory where there is such a place: thousands of commits need no disk here, for nothing dies.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn ada() -> Actor {
    Actor::Person("ada".to_owned())
}

pub(crate) fn name(project: &str) -> ProjectName {
    ProjectName::new(project).unwrap()
}

pub(crate) fn item(id: &str) -> WorkItemId {
    WorkItemId::new(id).unwrap()
}

pub(crate) fn commit() -> CommitId {
    CommitId::new("a".repeat(40)).unwrap()
}

pub(crate) fn projects() -> [Project; 3] {
    let of =
        |project: &str, prefix: &str| Project { name: name(project), prefix: prefix.to_owned(), ..small_project() };
    [of("shop", "SHOP"), of("other", "OTHER"), of("cold", "COLD")]
}

pub(crate) fn owner(life: &str) -> Incarnation {
    Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 7, start_time: 11, uuid: life.repeat(32) }
}

fn begin(store: &SqliteStore, project: &str, id: &str) -> TaskId {
    let card = NewItem {
        project: name(project),
        title: "Sell more".to_owned(),
        description: "Much more.".to_owned(),
        status: "Backlog".to_owned(),
        labels: vec!["red".to_owned()],
        actor: ada(),
        after: Vec::new(),
    };
    assert_eq!(store.create_item(&card, NOW).unwrap().work_item, item(id));
    let new = NewTask {
        project: name(project),
        work_item: item(id),
        title: "Sell more".to_owned(),
        description: format!("What {id} asks for."),
        labels: Vec::new(),
        track: Track::Full,
        actor: ada(),
    };
    store.create_task(&new, NOW).unwrap().0
}

pub(crate) fn complete(store: &SqliteStore, claim: &Claim, event: Event) -> Result<Applied, StoreError> {
    let (job, token) = (claim.job.id, claim.token);
    store.complete(Completion { job, token, event, wakes: 0, evaluation: None, run: None }, NOW)
}

pub(crate) fn ended(claim: &Claim, outcome: RunOutcome) -> Event {
    let spent = Some(Spent { input_tokens: 7, cost_microusd: 9, ..Spent::default() });
    Event::RunEnded { epoch: claim.job.epoch, run: run_of(claim.job.id), outcome, spent, role: Some(Role::Developer) }
}

fn run_row(claim: &Claim) -> RunRow {
    RunRow {
        pid: Some(4711),
        ..RunRow::begun(run_of(claim.job.id), &claim.task, Role::Developer, 1, "agent".to_owned(), NOW)
    }
}

/// The next claim that drives this task; aftermath on the way is told.
fn drive(store: &SqliteStore, life: &str, task: TaskId) -> Claim {
    loop {
        let claim = store.claim(&owner(life), &RUNS, NOW).unwrap().unwrap();
        if claim.job.effect.class() == JobClass::Aftermath {
            complete(store, &claim, Event::AftermathEnded { note: "told".to_owned() }).unwrap();
        } else if claim.job.task == task {
            return claim;
        }
    }
}

fn tell(store: &SqliteStore, project: &str, key: u8) {
    let delivery = NewDelivery {
        source: Source::Gitea,
        projects: vec![(name(project), true)],
        key: [key; 32],
        sent_as: Some(format!("id-{key}")),
        word: "push".to_owned(),
        headers: Headers::new([("x-gitea-event-type", "push")]),
        body: b"{}".to_vec(),
        at: NOW,
    };
    let (tell, told) = channel();
    let inbox: &dyn Inbox = store;
    inbox.receive(delivery, Box::new(move |outcome| tell.send(outcome).unwrap()));
    told.recv().unwrap().unwrap();
}

/// What the store's own doors write only by a long way, as they would write it.
const BESIDE: &str = "
    INSERT INTO lease (project, name, holder, token) VALUES ('shop', 'merge', 2, 1);
    INSERT INTO lease_request (project, name, task) VALUES ('shop', 'merge', 1);
    INSERT INTO blob (digest, size, named, host) VALUES (printf('%064d', 1), 1, 1, 'here');
    INSERT INTO evaluation (task, job, step, plugin, digest, answer, at, body)
        VALUES (2, NULL, 'checks', 'checks-green', NULL, 'pass', 1, '{}');
    INSERT INTO document (task, kind, name, stage, visit, run, written_at, size, blob)
        VALUES (2, 'review', '12-review.md', 'development', 1, NULL, 1, 1, printf('%064d', 1));
    INSERT INTO tracker_item_needs (project, work_item, needs) VALUES ('shop', 'SHOP-001', 2);
    INSERT INTO intent (project, key, delivery, ordinal, task, taken_at) VALUES ('shop', 'activity 1', 1, 0, 1, 1);
    INSERT INTO breaker (driver, state, body) VALUES ('claude', 'closed', '{}');
    INSERT INTO would (project, key, task, at, body) VALUES ('shop', 'job 1', 1, 1, '{}');
    INSERT INTO session (token, opened_with, secret, opened_at, seen_at)
        VALUES ('ada', printf('%064d', 2), printf('%064d', 3), 1, 1);
    UPDATE project SET digest = 'another';
";

/// A house in which each table has a row of the victims': one task has a living run, one waits, one is new; and two sound ones.
pub(crate) fn house(dir: &Path) {
    let store = open(dir);
    for project in projects() {
        store.put_project(&project, NOW).unwrap();
    }
    let (running, waiting) = (begin(&store, "shop", "SHOP-001"), begin(&store, "shop", "SHOP-002"));
    let claim = drive(&store, "a", running);
    store.put_run(&run_row(&claim), claim.token).unwrap();
    store.attempted(claim.job.id, claim.token, NOW).unwrap();
    let launch = drive(&store, "a", waiting);
    let branch = BranchName::new("gatewright/shop-2").unwrap();
    let cut = Event::BranchCut { epoch: launch.job.epoch, branch, base: commit(), documents: Vec::new() };
    store.apply(waiting, &cut, NOW).unwrap();
    let delivered = RunOutcome::Delivered { head: Some(commit()), documents: Vec::new(), validated: None };
    complete(&store, &launch, ended(&launch, delivered)).unwrap();
    let gate = drive(&store, "a", waiting);
    let wake = [WakeKind::Comment, WakeKind::Checks].into_iter().collect();
    let answer = Answer::Wait { until: NOW.plus(Milliseconds(9_000_000)), wake, why: "not yet".to_owned() };
    let step = gate.task.position.activity.step().unwrap().clone();
    let (epoch, facts) = (gate.job.epoch, StepFacts::default());
    complete(&store, &gate, Event::StepAnswered { epoch, step, answer, facts, woken: false }).unwrap();
    store.wake(&name("shop"), "SHOP-002", WakeKind::Status, NOW).unwrap();
    let (tag, raw_state, description) = ("build".to_owned(), "success".to_owned(), String::new());
    let check =
        Check { name: tag, state: CheckState::Success, raw: raw_state, at: NOW, url: None, description, report: None };
    store.put_check(&name("shop"), &CommitId::new("b".repeat(40)).unwrap(), &check, NOW).unwrap();
    for (project, id) in [("shop", "SHOP-003"), ("other", "OTHER-001"), ("shop", "SHOP-004")] {
        begin(&store, project, id);
    }
    for status in ["To Analyse", "Backlog"] {
        store.move_item(&name("shop"), &item("SHOP-001"), status, &ada(), NOW).unwrap();
    }
    store.put_comment(&name("shop"), &item("SHOP-001"), &ada(), Some("c-1"), "well", NOW).unwrap();
    store.set_freeze(&name("cold"), Some("main is red"), &ada(), NOW).unwrap();
    let row = ToldRow { key: "row-1".to_owned(), order: 99, work_item: item("SHOP-001"), body: b"{}".to_vec() };
    store.take_rows(&name("shop"), "board", &[row], Some("7"), NOW).unwrap();
    for (project, key) in [("shop", 1), ("shop", 2), ("other", 3)] {
        tell(&store, project, key);
    }
    let (token, secret) = (TokenName::new("ada").unwrap(), Digest::of(b"secret"));
    store.put_token(&NewToken { name: token, right: Right::Read, secret, expires_at: None }, &ada(), NOW).unwrap();
    drop(store);
    raw(dir).execute_batch(BESIDE).unwrap();
}
