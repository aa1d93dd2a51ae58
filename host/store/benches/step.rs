//! What a step costs beside the commit that it needs anyway: 32 callers step their tasks through the store, and the same rows
//! are then written by SQLite alone, 32 to a commit, on the same disk in the same run. `cargo bench -p store`.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use conductor::ports::store::{Applied, NewTask, Store};
use domain::event::Event;
use domain::ids::{Actor, TaskId, WorkItemId};
use domain::task::Track;
use domain::time::Timestamp;
use rusqlite::{Connection, params};
use store::conformance::small_project;
use store::{SqliteStore, StoreConfig};

const CALLERS: usize = 32;
const STEPS: usize = 150;
const NOW: Timestamp = Timestamp(1_000_000);

fn main() {
    let folder = std::env::var_os("GATEWRIGHT_BENCH_FOLDER").map_or_else(std::env::temp_dir, Into::into);
    let dir = tempfile::tempdir_in(folder).expect("a folder");
    // Alternating, so that a slow minute of the disk is not held against one of the two.
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let place = dir.path().join(round.to_string());
        let (step, rows) = through_the_store(&place);
        ours.push(step);
        theirs.push(by_sqlite_alone(&place, &rows));
    }
    let (ours, theirs) = (median_of(ours), median_of(theirs));
    print_line("a step through the store", &ours);
    print_line("the same rows, SQLite alone", &theirs);
    let ratio = |ours: f64, theirs: f64| ours / theirs;
    say(&format!(
        "ratio: p50 {:.2}, time per step {:.2}   (aim: at most 1.5)",
        ratio(ours.p50.as_secs_f64(), theirs.p50.as_secs_f64()),
        ratio(theirs.per_second, ours.per_second),
    ));
}

struct Figures {
    p50: Duration,
    p99: Duration,
    per_second: f64,
}

fn figures(mut each: Vec<Duration>, whole: Duration) -> Figures {
    each.sort_unstable();
    let at = |part: usize| each[(each.len() - 1) * part / 100];
    Figures { p50: at(50), p99: at(99), per_second: each.len() as f64 / whole.as_secs_f64() }
}

fn median_of(mut rounds: Vec<Figures>) -> Figures {
    rounds.sort_by(|left, right| left.per_second.total_cmp(&right.per_second));
    rounds.swap_remove(rounds.len() / 2)
}

fn print_line(what: &str, figures: &Figures) {
    let Figures { p50, p99, per_second } = figures;
    say(&format!("{what:<30} p50 {p50:>10.1?}   p99 {p99:>10.1?}   {per_second:>8.0} per second"));
}

#[expect(clippy::print_stdout, reason = "the figures are what a bench is for")]
fn say(line: &str) {
    println!("{line}");
}

/// What one step wrote.
struct Rows {
    task: TaskId,
    body: String,
    event: String,
    entry: String,
}

fn through_the_store(dir: &Path) -> (Figures, Vec<Rows>) {
    let store = SqliteStore::open(StoreConfig::new(dir.join("store"), "here")).expect("the store opens");
    let project = small_project();
    store.put_project(&project, NOW).expect("a project");
    let tasks = (0..CALLERS).map(|number| begin(&store, number)).collect::<Vec<_>>();
    let event = Event::AftermathEnded { note: "the card shows `development` since this morning".to_owned() };
    let began = Instant::now();
    let lanes = thread::scope(|scope| {
        let lanes = tasks.iter().map(|task| scope.spawn(|| lane(&store, *task, &event))).collect::<Vec<_>>();
        lanes.into_iter().map(|lane| lane.join().expect("it ends")).collect::<Vec<_>>()
    });
    let whole = began.elapsed();
    let rows = tasks.iter().map(|task| rows(&store, *task, &event)).collect();
    (figures(lanes.concat(), whole), rows)
}

fn begin(store: &SqliteStore, number: usize) -> TaskId {
    let new = NewTask {
        project: small_project().name,
        work_item: WorkItemId::new(format!("SHOP-{number:03}")).expect("an id"),
        title: "Sell more of everything".to_owned(),
        description: String::new(),
        labels: vec!["shop".to_owned()],
        track: Track::Full,
        actor: Actor::Host,
    };
    store.create_task(&new, NOW).expect("a task").0
}

fn lane(store: &SqliteStore, task: TaskId, event: &Event) -> Vec<Duration> {
    let mut each = Vec::with_capacity(STEPS);
    for _ in 0..STEPS {
        let began = Instant::now();
        let applied = store.apply(task, event, NOW).expect("a step");
        each.push(began.elapsed());
        assert!(matches!(applied, Applied::Stepped { .. }));
    }
    each
}

fn rows(store: &SqliteStore, task: TaskId, event: &Event) -> Rows {
    let text = |value| serde_json::to_string(value).expect("JSON");
    let entries = store.entries(task).expect("entries");
    let entry = serde_json::to_string(&entries.last().expect("one").entry).expect("JSON");
    let body = serde_json::to_string(&store.task(task).expect("the task")).expect("JSON");
    Rows { task, body, event: text(event), entry }
}

/// The same rows into the same tables, with the same settings, by one connection that does nothing else.
fn by_sqlite_alone(dir: &Path, rows: &[Rows]) -> Figures {
    drop(SqliteStore::open(StoreConfig::new(dir.join("alone"), "here")).expect("the schema"));
    let source = dir.join("store/gatewright.db");
    let sql = Connection::open(dir.join("alone/gatewright.db")).expect("the database");
    sql.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; ATTACH '{}' AS source;
        INSERT INTO project SELECT * FROM source.project; INSERT INTO task SELECT * FROM source.task; DETACH source;",
        source.display()
    ))
    .expect("the same tasks");
    let mut version: i64 = sql.query_row("SELECT MAX(version) FROM task", [], |row| row.get(0)).expect("a version");
    let mut each = Vec::with_capacity(STEPS * CALLERS);
    let began = Instant::now();
    for _ in 0..STEPS {
        let group = Instant::now();
        version += 1;
        sql.execute_batch("BEGIN IMMEDIATE").expect("begun");
        for row in rows {
            write(&sql, row, version).expect("written");
        }
        sql.execute_batch("COMMIT").expect("committed");
        each.extend(std::iter::repeat_n(group.elapsed(), rows.len()));
    }
    figures(each, began.elapsed())
}

fn write(sql: &Connection, row: &Rows, version: i64) -> rusqlite::Result<()> {
    let task = row.task.0 as i64;
    sql.prepare_cached("UPDATE task SET body = ?2, version = ?3, updated_at = ?4 WHERE id = ?1 AND version = ?3 - 1")?
        .execute(params![task, row.body, version, NOW.0 as i64])?;
    sql.prepare_cached(
        "INSERT INTO entry (task, version, ordinal, at, kind, body) VALUES (?1, ?2, 0, ?3, 'aftermath-ended', ?4)",
    )?
    .execute(params![task, version, NOW.0 as i64, row.entry])?;
    sql.prepare_cached("INSERT INTO event (task, at, kind, body, outcome, version) VALUES (?1, ?2, 'aftermath-ended', ?3, 'stepped', ?4)")?
        .execute(params![task, NOW.0 as i64, row.event, version])?;
    Ok(())
}
