//! How long each page takes over a store of 10,000 tasks, 1,000 of them live, with 1,000,000 entries, and over a log of 200 MB.
//!
//! `cargo bench -p gateway --bench pages`. Each page is asked for 40 times, one after the other, through the router and without a
//! socket; the median must stay below the bound, or the exit code is 1. The rows are copies of those that real steps made.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement may fail where it stands, and prints what it found"
)]

#[path = "../tests/browser/desk.rs"]
mod desk;
#[expect(dead_code, reason = "the browser's test takes more of it")]
#[path = "../tests/browser/scene.rs"]
mod scene;

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use conductor::ports::store::Overview as _;
use gateway::{GatewayState, Meters, Reach, Token};
use rusqlite::Connection;
use store::{SqliteStore, StoreConfig};
use tower::ServiceExt as _;

use crate::desk::SceneDesk;
use crate::scene::NOW;

const TASKS: u64 = 10_000;
const ENTRIES_EACH: u64 = 100;
/// Of so many one is live.
const LIVE: u64 = 10;
/// Between the jobs of two copies.
const STRIDE: u64 = 10_000;
/// What a page may take.
const BOUND: Duration = Duration::from_millis(50);
const ROUNDS: usize = 40;

fn open(dir: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(StoreConfig::new(dir, "here")).unwrap())
}

/// Copies the tasks of the scene until there are enough. No store has it open.
fn multiply(dir: &Path) {
    let sql = Connection::open(dir.join("gatewright.db")).unwrap();
    sql.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; BEGIN").unwrap();
    let bases = |live: bool| -> Vec<u64> {
        let mut found = sql.prepare("SELECT id FROM task WHERE terminal = ?1 ORDER BY id").unwrap();
        found.query_map([!live], |row| row.get::<_, i64>(0)).unwrap().map(|id| id.unwrap().unsigned_abs()).collect()
    };
    let (ended, live) = (bases(false), bases(true));
    let first = sql.query_row("SELECT MAX(id) FROM task", [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs() + 1;
    for id in first..=TASKS {
        let among = if id % LIVE == 0 { &live } else { &ended };
        let base = among[(id / LIVE) as usize % among.len()];
        copy(&sql, base, id);
    }
    sql.execute_batch("COMMIT; ANALYZE").unwrap();
}

fn copy(sql: &Connection, base: u64, id: u64) {
    let key = format!("DEMO-{id:05}");
    let run = |statement: &str| {
        let mut statement = sql.prepare_cached(statement).unwrap();
        let names = [(":base", base.cast_signed()), (":id", id.cast_signed()), (":jobs", (id * STRIDE).cast_signed())];
        for (name, value) in names {
            if let Some(place) = statement.parameter_index(name).unwrap() {
                statement.raw_bind_parameter(place, value).unwrap();
            }
        }
        if let Some(place) = statement.parameter_index(":key").unwrap() {
            statement.raw_bind_parameter(place, &key).unwrap();
        }
        if let Some(place) = statement.parameter_index(":each").unwrap() {
            statement.raw_bind_parameter(place, ENTRIES_EACH.cast_signed()).unwrap();
        }
        statement.raw_execute().unwrap();
    };
    // A task that has ended takes no job to drive it; the real one had its jobs while it was live.
    run("INSERT INTO job (id, task, version, ordinal, epoch, class, effect, body, lease, slot, priority, state, attempts, attempted,
            token, available_at, closed_at, why, driver, place)
        SELECT id + :jobs, :id, version, ordinal, epoch, class, effect, body, lease, slot, priority,
            CASE state WHEN 'claimed' THEN 'queued' ELSE state END, attempts, 0, token, available_at, closed_at, why, driver, place
        FROM job WHERE task = :base");
    run("INSERT INTO task (id, project, work_item, stage, visit, activity, epoch, version, branch, head, terminal, body, seed, updated_at)
        SELECT :id, project, :key, stage, visit, activity, epoch, version, branch, head, terminal,
            json_set(body, '$.id', :id, '$.work_item', :key, '$.entries', :each), seed, updated_at FROM task WHERE id = :base");
    run("WITH RECURSIVE rounds (round) AS (SELECT 0 UNION ALL SELECT round + 1 FROM rounds WHERE round < 9)
        INSERT INTO entry (task, version, ordinal, at, kind, body)
        SELECT :id, version + 1000 * round, ordinal, at, kind, body FROM rounds, entry WHERE task = :base
        ORDER BY round, version, ordinal LIMIT :each");
    run("INSERT INTO run (id, task, host, started_at, ended_at, body)
        SELECT id + :jobs, :id, host, started_at, ended_at, json_set(body, '$.id', id + :jobs, '$.task', :id) FROM run WHERE task = :base");
    run("INSERT INTO event (task, at, kind, body, outcome, why, version, job)
        SELECT :id, at, kind, body, outcome, why, version, job + :jobs FROM event WHERE task = :base");
    run("INSERT INTO evaluation (task, job, step, plugin, digest, answer, at, body)
        SELECT :id, job + :jobs, step, plugin, digest, answer, at, body FROM evaluation WHERE task = :base");
}

fn large_log(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("large.log");
    let mut file = std::fs::File::create(&path).unwrap();
    let line = format!("{}\n", "all is well so far ".repeat(20));
    let chunk = line.repeat(1000);
    while file.stream_position().unwrap() < 200 << 20 {
        file.write_all(chunk.as_bytes()).unwrap();
    }
    file.seek(SeekFrom::End(0)).unwrap();
    writeln!(file, "error: the needle").unwrap();
    path
}

async fn ask(router: &Router, path: &str) -> Duration {
    let request = Request::get(path).header(header::HOST, "127.0.0.1:8500").body(Body::empty()).unwrap();
    let began = Instant::now();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 26).await.unwrap();
    let took = began.elapsed();
    assert!(status.is_success(), "{path}: {status}: {}", String::from_utf8_lossy(&bytes));
    took
}

fn main() -> ExitCode {
    let dir = tempfile::tempdir().unwrap();
    let (run, large) = {
        let scene = scene::fill(open(dir.path()));
        (scene.living[0], scene.living[1])
    };
    multiply(dir.path());
    let store = open(dir.path());
    let (standings, extent) = (store.standings().unwrap(), store.extent().unwrap());
    println!("{} tasks, {} live, {} MiB", extent.tasks, standings.live(), extent.bytes >> 20);
    let desk = SceneDesk::new([(large, large_log(dir.path()))]);
    let state = GatewayState {
        access: store.clone(),
        store,
        reach: Reach::default(),
        desk: Arc::new(desk),
        token: Token::new("operator", "a-secret-of-the-measurement").unwrap(),
        clock: Arc::new(|| NOW),
        luck: Arc::new(|| Ok([7; 32])),
        meters: Arc::new(Meters::new(NOW).unwrap()),
    };
    let (_close, closing) = tokio::sync::watch::channel(false);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 8500));
    let router = gateway::router(state, address, closing).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let pages = [
        "/".to_owned(),
        "/q".to_owned(),
        "/t/DEMO-09990".to_owned(),
        "/t/DEMO-09991".to_owned(),
        format!("/r/{run}"),
        format!("/r/{large}"),
        format!("/r/{large}?before=100000000"),
        "/repositories".to_owned(),
        "/p/demo".to_owned(),
        "/plugins".to_owned(),
        "/deliveries".to_owned(),
        "/deliveries?source=gitea&state=parked".to_owned(),
        "/audit".to_owned(),
        "/system".to_owned(),
        "/find?q=greet".to_owned(),
    ];
    let mut slow = Vec::new();
    for path in pages {
        let mut took: Vec<Duration> = (0..ROUNDS).map(|_| runtime.block_on(ask(&router, &path))).collect();
        took.sort_unstable();
        let (median, worst) = (took[ROUNDS / 2], took[ROUNDS - 1]);
        println!("{path:<32} median {median:>9.1?}   slowest {worst:>9.1?}");
        if median > BOUND {
            slow.push(path);
        }
    }
    // A search reads up to 256 MiB: what it takes is said, and not bound by the time of a page.
    let search = format!("/r/{large}?q=needle");
    println!("{search:<32} {:>9.1?}", runtime.block_on(ask(&router, &search)));
    let search = format!("/r/{large}?q=absent");
    println!("{search:<32} {:>9.1?}, all of it looked through", runtime.block_on(ask(&router, &search)));
    if !slow.is_empty() {
        println!("over {BOUND:?}: {slow:?}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
