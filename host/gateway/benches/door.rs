//! How many deliveries a second are taken, each on the disk before it is answered, and how long the slowest in a hundred waits;
//! beside a bare axum server whose handler does nothing but one insert under group commit, in the same run.
//!
//! `cargo bench -p gateway --bench door [SECONDS] [ROUNDS]`: 16 connections on this machine, each sends its next delivery when the
//! last one was answered. Rounds of the two alternate, so that a noisy machine is noisy for both.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods, reason = "a program that measures")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use conductor::ports::store::Store as _;
use domain::time::Timestamp;
use gateway::{Hook, Hooks, Intake};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::Connection;
use sha2::Sha256;
use store::{SqliteStore, StoreConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use webhooks::{Secret, Source};

const CONNECTIONS: usize = 16;
const SECRET: &[u8] = b"a secret of the measurement";
/// As many as one commit of ours takes.
const GROUP: usize = 256;

/// A commit status as a forge sends it: some four kilobytes.
fn body() -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../webhooks/tests/fixtures/gitea/32_status_success.json");
    let request = webhooks::StoredRequest::parse(&std::fs::read(file).unwrap()).unwrap();
    let mut body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    body["commit"]["message"] = "What was changed, and why. ".repeat(90).into();
    serde_json::to_vec_pretty(&body).unwrap()
}

struct Measured {
    per_second: f64,
    /// Of the processor, of client and server, in microseconds: on a busy machine it says more than the time does.
    work: f64,
    median: Duration,
    slow: Duration,
}

/// One request after the other on each connection until the time is over.
fn measure(clients: &Runtime, port: u16, path: &str, seconds: u64) -> Measured {
    let body = Arc::new(body());
    let mut hmac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    hmac.update(&body);
    let signature = hmac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let (began, worked) = (Instant::now(), worked());
    let until = began + Duration::from_secs(seconds);
    let mut times = clients.block_on(async {
        let mut all = tokio::task::JoinSet::new();
        for connection in 0..CONNECTIONS {
            let (body, signature, path) = (body.clone(), signature.clone(), path.to_owned());
            all.spawn(async move { talk(port, &path, connection, &body, &signature, until).await });
        }
        all.join_all().await.concat()
    });
    let (took, work) = (began.elapsed(), self::worked().saturating_sub(worked));
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let count = times.len() as f64;
    let (per_second, work) = (count / took.as_secs_f64(), work.as_micros() as f64 / count);
    Measured { per_second, work, median: at(0.5), slow: at(0.99) }
}

/// What this process has had of the processor, to a hundredth of a second (proc_pid_stat(5): `utime` and `stime`).
fn worked() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = |field: usize| fields.split_whitespace().nth(field - 3).unwrap().parse::<u64>().unwrap();
    Duration::from_millis((ticks(14) + ticks(15)) * 10)
}

async fn talk(port: u16, path: &str, connection: usize, body: &[u8], signature: &str, until: Instant) -> Vec<Duration> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut times, mut answer) = (Vec::new(), [0; 1024]);
    let salt = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    while Instant::now() < until {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: gw\r\nuser-agent: Go-http-client/1.1\r\ncontent-length: {}\r\ncontent-type: application/json\r\n\
             x-gitea-delivery: {salt}-{connection}-{}\r\nx-gitea-event: status\r\nx-gitea-event-type: status\r\n\
             x-gitea-signature: {signature}\r\nx-hub-signature-256: sha256={signature}\r\n\r\n",
            body.len(),
            times.len()
        );
        let began = Instant::now();
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&answer[..read]));
        times.push(began.elapsed());
    }
    times
}

/// A runtime with a listener on it, as the host has it.
fn server() -> (Runtime, TcpListener, u16) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    (runtime, listener, port)
}

fn ours(dir: &Path) -> (Runtime, u16) {
    let store = Arc::new(SqliteStore::open(StoreConfig::new(dir, "here")).unwrap());
    let project = store::conformance::small_project();
    store.put_project(&project, Timestamp(1)).unwrap();
    let now = || Timestamp(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64);
    let intake = Arc::new(Intake::new(store, Arc::new(|_, _, _| {}), Arc::new(now)));
    intake.put_hooks(Hooks::new(vec![Hook {
        project: project.name,
        source: Source::Gitea,
        about: "acme/sorter".to_owned(),
        secrets: vec![Secret::new(SECRET).unwrap()],
        unsigned: false,
    }]));
    let (runtime, listener, port) = server();
    runtime.spawn(gateway::serve_intake(listener, intake, std::future::pending()));
    (runtime, port)
}

type Line = SyncSender<(Bytes, oneshot::Sender<()>)>;

/// What one would write in an hour: the body into a table, many inserts to a commit, the answer after it.
fn bare(dir: &Path) -> (Runtime, u16) {
    let sql = Connection::open(dir.join("bare.db")).unwrap();
    sql.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE delivery (id INTEGER PRIMARY KEY, body BLOB)")
        .unwrap();
    let (line, waiting) = sync_channel::<(Bytes, oneshot::Sender<()>)>(1024);
    std::thread::spawn(move || {
        while let Ok(first) = waiting.recv() {
            let group = std::iter::once(first).chain(waiting.try_iter().take(GROUP - 1)).collect::<Vec<_>>();
            sql.execute_batch("BEGIN IMMEDIATE").unwrap();
            for (body, _) in &group {
                let mut insert = sql.prepare_cached("INSERT INTO delivery (body) VALUES (?1)").unwrap();
                insert.execute([&body[..]]).unwrap();
            }
            sql.execute_batch("COMMIT").unwrap();
            for (_, tell) in group {
                let _ = tell.send(());
            }
        }
    });
    async fn take(State(line): State<Line>, body: Bytes) -> StatusCode {
        let (tell, told) = oneshot::channel();
        line.send((body, tell)).unwrap();
        told.await.unwrap();
        StatusCode::ACCEPTED
    }
    let (runtime, listener, port) = server();
    let router = Router::new().route("/", post(take)).with_state(line);
    runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (runtime, port)
}

fn main() {
    let numbers = std::env::args().filter_map(|argument| argument.parse::<u64>().ok()).collect::<Vec<_>>();
    let (seconds, rounds) = (numbers.first().copied().unwrap_or(5), numbers.get(1).copied().unwrap_or(3));
    // A folder on the disk that the build lies on: what stands in memory is always durable.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let clients = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (_bare, bare_port) = bare(dir.path());
    let (_ours, our_port) = ours(&dir.path().join("ours"));
    println!("{CONNECTIONS} connections, {} bytes, {seconds} s a round", body().len());
    let mut ratios = Vec::new();
    for round in 0..=rounds {
        let bare = measure(&clients, bare_port, "/", seconds);
        let ours = measure(&clients, our_port, "/webhook/gitea", seconds);
        if round == 0 {
            // The first round warms both up.
            continue;
        }
        let ratio = ours.per_second / bare.per_second;
        for (name, measured) in [("bare", &bare), ("door", &ours)] {
            let Measured { per_second, work, median, slow } = measured;
            println!(
                "{name}: {per_second:>8.0} a second, median {median:>9.1?}, p99 {slow:>9.1?}, {work:.0} µs of work each"
            );
        }
        println!("door to bare: {ratio:.2}, by work {:.2}", bare.work / ours.work);
        ratios.push(ratio);
    }
    ratios.sort_unstable_by(f64::total_cmp);
    println!("door to bare, the median of {rounds} rounds: {:.2}", ratios[ratios.len() / 2]);
}
