//! The queue when it is long: 100,000 jobs of 10,000 tasks in 1,000 projects, half of them serial, more runs wanted than may
//! run. How long a claim takes, how soon the first one comes after a restart, and how many jobs a second go from the claim to
//! their end, each durable, beside bare commits of SQLite in the same run. `cargo bench -p store --bench queue`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use conductor::ports::store::{
    Applied, ClaimLimits, Completion, Counts as _, Incarnation, NewTask, Overview as _, Project, Store,
};
use conductor::slots::{Place, Seat, Sitter};
use domain::document::Role;
use domain::effect::{Claim, Effect};
use domain::event::Event;
use domain::ids::{Actor, Digest, ProjectName, TaskId, WorkItemId};
use domain::task::Track;
use domain::time::Timestamp;
use rusqlite::{Connection, params};
use store::conformance::small_project;
use store::{SqliteStore, StoreConfig};

const PROJECTS: usize = 1_000;
const TASKS: usize = 10;
const JOBS: usize = 100_000;
/// Runs that are under way while the rest is claimed: no other may begin.
const RUNS: u32 = 8;
/// Claims, each timed.
const CLAIMS: usize = 5_000;
/// Who claims and completes at one time.
const CALLERS: usize = 32;
/// Jobs from claim to end, by all callers together.
const THROUGH: usize = 32_000;
const NOW: Timestamp = Timestamp(1_000_000_000);
const LIMITS: ClaimLimits = ClaimLimits::of(RUNS);

fn main() {
    let folder = std::env::var_os("GATEWRIGHT_BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(folder).expect("a folder");
    let place = dir.path().join("store");
    fill(&place);
    let me = incarnation();
    let began = Instant::now();
    let store = SqliteStore::open(StoreConfig::new(&place, "here")).expect("the store opens");
    store.reap(&|_| false, NOW).expect("nobody lives");
    let first = store.claim(&me, &LIMITS, NOW).expect("a claim").expect("a job");
    say(&format!("restart to the first claim          {:>10.1?}   (aim: under 1 s)", began.elapsed()));
    end(&store, &first);
    let runs = take_all_slots(&store, &me);
    for (how, limits) in
        [(format!("beside {runs} runs"), LIMITS), ("no agent's program there".to_owned(), without_programs())]
    {
        let claims = one_by_one(&store, &me, &limits);
        say(&format!(
            "a claim, {how:<24} p50 {:>8.1?}   p99 {:>8.1?}   (aim: p99 under 2 ms)",
            claims[claims.len() / 2],
            claims[claims.len() * 99 / 100],
        ));
    }
    readers(&store);
    let (ours, bare) = (by_all(&store, &me), bare_commits(dir.path()));
    say(&format!("jobs from claim to end, {CALLERS} callers   {ours:>8.0} per second"));
    say(&format!("bare commits of SQLite, 1 row each  {bare:>8.0} per second"));
    say(&format!("ratio: jobs to bare commits {:.2}", ours / bare));
}

#[expect(clippy::print_stdout, reason = "the figures are what a bench is for")]
fn say(line: &str) {
    println!("{line}");
}

fn incarnation() -> Incarnation {
    let uuid = Digest::of(b"bench").as_str()[..32].to_owned();
    Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 7, start_time: 11, uuid }
}

/// The tasks through the store; what they would have told the board in a long outage, as copies of what they tell it anyway.
fn fill(place: &Path) {
    let store = SqliteStore::open(StoreConfig::new(place, "here")).expect("the store opens");
    let projects = (0..PROJECTS).map(project).collect::<Vec<_>>();
    thread::scope(|scope| {
        for share in projects.chunks(PROJECTS.div_ceil(CALLERS)) {
            let store = &store;
            scope.spawn(move || share.iter().for_each(|project| begin(store, project)));
        }
    });
    drop(store);
    let sql = Connection::open(place.join("gatewright.db")).expect("the database");
    let queued: i64 =
        sql.query_row("SELECT COUNT(*) FROM job WHERE state = 'queued'", [], |row| row.get(0)).expect("a count");
    let comment = serde_json::to_string(&Effect::Comment { text: "it is done".to_owned() }).expect("JSON");
    let copies = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO job (task, version, ordinal, epoch, class, effect, body, slot, priority, state, available_at)
        SELECT t.id, t.version, 1000 + n.i, t.epoch, 'aftermath', 'post-comment', ?2, 0, 0, 'queued', ?3
        FROM n, task t ORDER BY n.i, t.id LIMIT ?4";
    let wanted = JOBS - queued as usize;
    sql.execute(copies, params![wanted.div_ceil(PROJECTS * TASKS) as i64, comment, NOW.0 as i64, wanted as i64])
        .expect("the copies");
    say(&format!("{JOBS} queued jobs of {} tasks in {PROJECTS} projects", PROJECTS * TASKS));
}

fn project(number: usize) -> Project {
    let name = ProjectName::new(format!("p{number:04}")).expect("a name");
    Project { name, serial: number.is_multiple_of(2), ..small_project() }
}

fn begin(store: &SqliteStore, project: &Project) {
    store.put_project(project, NOW).expect("a project");
    for number in 0..TASKS {
        let new = NewTask {
            project: project.name.clone(),
            work_item: WorkItemId::new(format!("SHOP-{number:03}")).expect("an id"),
            title: "Sell more of everything".to_owned(),
            description: String::new(),
            labels: vec!["shop".to_owned()],
            track: Track::Full,
            actor: Actor::Host,
        };
        store.create_task(&new, NOW).expect("a task");
    }
}

/// Claims and keeps runs until no other may begin; what else comes first is ended.
fn take_all_slots(store: &SqliteStore, me: &Incarnation) -> u32 {
    let mut runs = 0;
    while runs < RUNS {
        let claim = store.claim(me, &LIMITS, NOW).expect("a claim").expect("a job");
        if matches!(claim.job.effect, Effect::Launch { .. }) { runs += 1 } else { end(store, &claim) }
    }
    runs
}

/// More runs may begin, and the place of each that is wanted is closed: the reason may be a limit or a breaker as well.
fn without_programs() -> ClaimLimits {
    let closed = || Sitter { driver: None, missing: Some("there is no such program".to_owned()) };
    let seats = BTreeMap::from(Role::ALL.map(|role| (Seat::Role(role), closed())));
    let places = (0..PROJECTS).map(|number| {
        (project(number).name, Place { runs: None, repository: number.to_string(), seats: seats.clone() })
    });
    ClaimLimits { places: Some(Arc::new(places.collect())), ..ClaimLimits::of(2 * RUNS) }
}

/// What people and scrapers ask of a long queue.
fn readers(store: &SqliteStore) {
    const ROUNDS: u32 = 20;
    let all: Vec<TaskId> = (1..=1000).map(TaskId).collect();
    let questions: [(&str, &dyn Fn()); 4] = [
        ("how many wait", &|| assert!(store.load().expect("counts").queued > 0)),
        ("counts for metrics", &|| assert!(store.count_jobs(NOW).expect("counts").queued > 0)),
        ("the first 1,000 and why", &|| assert_eq!(store.jobs(&LIMITS, NOW, 1000).expect("jobs").len(), 1000)),
        ("those of 1,000 tasks and why", &|| assert!(store.jobs_of(&all, &LIMITS, NOW).expect("jobs").len() >= 1000)),
    ];
    for (what, ask) in questions {
        let began = Instant::now();
        for _ in 0..ROUNDS {
            ask();
        }
        say(&format!("asked: {what:<29} {:>10.1?}", began.elapsed() / ROUNDS));
    }
}

fn one_by_one(store: &SqliteStore, me: &Incarnation, limits: &ClaimLimits) -> Vec<Duration> {
    let mut each = Vec::with_capacity(CLAIMS);
    for _ in 0..CLAIMS {
        let began = Instant::now();
        let claim = store.claim(me, limits, NOW).expect("a claim").expect("a job");
        each.push(began.elapsed());
        end(store, &claim);
    }
    each.sort_unstable();
    each
}

/// Nothing was done, and the task's record says so.
fn end(store: &SqliteStore, claim: &Claim) {
    let event = Event::AftermathEnded { note: "said".to_owned() };
    let ending =
        Completion { job: claim.job.id, token: claim.token, event, wakes: claim.wakes, evaluation: None, run: None };
    assert!(matches!(store.complete(ending, NOW).expect("an end"), Applied::Stepped { .. }));
}

fn by_all(store: &SqliteStore, me: &Incarnation) -> f64 {
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                for _ in 0..THROUGH / CALLERS {
                    let claim = store.claim(me, &LIMITS, NOW).expect("a claim").expect("a job");
                    end(store, &claim);
                }
            });
        }
    });
    THROUGH as f64 / began.elapsed().as_secs_f64()
}

/// One row in each commit, one commit after the other: what one durable write costs here.
fn bare_commits(dir: &Path) -> f64 {
    const COMMITS: usize = 2_000;
    let sql = Connection::open(dir.join("bare.db")).expect("the database");
    sql.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE row (id INTEGER PRIMARY KEY, body TEXT)",
    )
    .expect("a table");
    let began = Instant::now();
    let mut insert = sql.prepare("INSERT INTO row (body) VALUES (?1)").expect("a statement");
    for _ in 0..COMMITS {
        insert.execute(["{\"note\":\"said\"}"]).expect("a row");
    }
    COMMITS as f64 / began.elapsed().as_secs_f64()
}
