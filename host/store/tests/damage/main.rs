//! Every text of every table is damaged, one after the other: whatever befell it, the house opens and everybody else goes on
//! (catalogue C2).

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

mod house;

use std::collections::BTreeSet;
use std::path::Path;

use conductor::ports::access::{Access as _, AuditFilter};
use conductor::ports::inbox::{DeliveryFilter, Taken};
use conductor::ports::store::{Counts as _, Expansion, Keeping as _, Live, Overview as _, Store, StoreError};
use domain::effect::{Effect, JobClass};
use domain::event::{Event, FailureClass, RunOutcome};
use domain::ids::{DeliveryId, RunId, TaskId, WorkItemId};
use domain::time::Timestamp;
use domain::verdict::WakeKind;
use rusqlite::Connection;
use store::{SqliteStore, StoreConfig};
use webhooks::Fact;

use crate::house::{NOW, RUNS, ada, complete, ended, folder, house, item, name, open, owner, projects, raw};

/// Whose rows are damaged; `SHOP-003`, of the same project, and `OTHER-001` are the others.
const VICTIMS: &[(&str, &[&str])] = &[
    ("schema_version", &["version = 1"]),
    ("project", &["name = 'shop'"]),
    ("task", &["id = 1", "id = 2"]),
    ("entry", &["task = 2"]),
    ("event", &["task = 2"]),
    ("job", &["task = 1 AND state = 'claimed'", "task = 2 AND state = 'queued'", "task = 5 AND slot = 1"]),
    ("lease", &["project = 'shop'"]),
    ("lease_request", &["project = 'shop'"]),
    ("run", &["task = 1"]),
    ("evaluation", &["task = 2"]),
    ("document", &["task = 2"]),
    ("blob", &["1"]),
    ("wake_count", &["subject = 'SHOP-002'"]),
    ("check_result", &["project = 'shop'"]),
    ("freeze", &["project = 'cold'"]),
    ("freeze_log", &["project = 'cold'"]),
    ("tracker_item", &["work_item = 'SHOP-001'"]),
    ("tracker_item_needs", &["work_item = 'SHOP-001'"]),
    ("tracker_activity", &["work_item = 'SHOP-001'"]),
    ("tracker_comment", &["work_item = 'SHOP-001'"]),
    ("delivery", &["work_item = 'SHOP-001'", "hook_key IS NOT NULL AND project = 'shop'"]),
    ("intent", &["project = 'shop'"]),
    ("breaker", &["1"]),
    ("spending", &["project = 'shop'"]),
    ("poll", &["project = 'shop'"]),
    ("would", &["project = 'shop'"]),
    ("token", &["1"]),
    ("session", &["1"]),
    ("audit", &["project = 'shop'"]),
];

/// Where it is the whole project that is damaged, only other projects are nobody's business of it.
const OF_THE_PROJECT: &[&str] = &["project"];

/// Tables without a text, and those that nothing writes or reads yet.
const NOTHING_TO_DAMAGE: &[(&str, &str)] = &[
    ("paused", "it has no text"),
    ("dependency", "it has no text"),
    ("clock", "it has no text"),
    ("estimate", "nothing reads it yet"),
    ("lesson", "nothing reads it yet"),
    ("plugin", "nothing reads it yet"),
    ("kv", "nothing reads it yet"),
    ("actor", "nothing reads it yet"),
];

/// No text, no JSON, JSON of another kind.
const DAMAGE: &[&str] = &["CAST(x'ff' AS TEXT)", "'{'", "'[7]'"];

/// The columns of a table: whether each is a text, and its place in the key.
fn columns(sql: &Connection, table: &str) -> Vec<(String, bool, u32)> {
    let mut statement = sql.prepare("SELECT name, type, pk FROM pragma_table_info(?1)").unwrap();
    let rows = statement.query_map([table], |row| Ok((row.get(0)?, row.get::<_, String>(1)? == "TEXT", row.get(2)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

/// Writes over one column of one row, as a disk would: no trigger hears of it.
fn damage(sql: &Connection, table: &str, column: &str, whose: &str, with: &str) {
    let mut statement =
        sql.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1").unwrap();
    let triggers = statement.query_map([table], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
    let triggers = triggers.unwrap().map(Result::unwrap).collect::<Vec<_>>();
    for (trigger, _) in &triggers {
        sql.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    let columns = columns(sql, table);
    let key = columns.iter().filter(|(.., place)| *place > 0).map(|(name, ..)| name.as_str()).collect::<Vec<_>>();
    let key = key.join(", ");
    let statement = format!(
        "UPDATE {table} SET {column} = {with} WHERE ({key}) = (SELECT {key} FROM {table} WHERE {whose} ORDER BY {key} LIMIT 1)"
    );
    // Another type is no damage that could come about: the database keeps none in such a column.
    let blob = sql.execute(&statement.replace(with, "x'00'"), []).unwrap_err();
    assert!(blob.to_string().contains("cannot store BLOB value in TEXT column"), "{blob}");
    assert_eq!(sql.execute(&statement, []).unwrap(), 1, "{statement}");
    for (_, again) in triggers {
        sql.execute_batch(&again).unwrap();
    }
}

type Asked = Result<(), String>;

fn told<T>(what: &str, answer: Result<T, StoreError>) -> Result<T, String> {
    answer.map_err(|error| format!("{what}: {error}"))
}

fn holds(what: &str, holds: bool) -> Asked {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

/// Jobs of the others are claimed and completed.
fn others_are_carried_on(store: &SqliteStore, others: &[TaskId]) -> Asked {
    told("reap", store.reap(&|_| false, NOW))?;
    let mut driven = BTreeSet::new();
    while let Some(claim) = told("claim", store.claim(&owner("b"), &RUNS, NOW))? {
        if !others.contains(&claim.job.task) {
            continue;
        }
        if matches!(claim.job.effect, Effect::Launch { .. }) {
            let cause = "it fell".to_owned();
            let outcome = RunOutcome::Undelivered { cause, retry_after: None, class: FailureClass::Permanent };
            told("complete", complete(store, &claim, ended(&claim, outcome)))?;
            driven.insert(claim.job.task);
        } else if claim.job.effect.class() == JobClass::Aftermath {
            told("complete", complete(store, &claim, Event::AftermathEnded { note: "told".to_owned() }))?;
        }
    }
    holds("a job of the others is not claimed", others.iter().all(|task| driven.contains(task)))
}

/// What came for the others is taken, and what happens to their cards is written down.
fn others_are_heard(store: &SqliteStore, others: &[(&str, WorkItemId)]) -> Asked {
    let pending = told("pending_deliveries", store.pending_deliveries(100))?;
    let hints = told("hints", store.hints(100))?;
    for (project, card) in others {
        let project = name(project);
        let delivery = pending.iter().find(|one| one.project == project && one.work_item.as_ref() == Some(card));
        let Some(delivery) = delivery else { return Err(format!("a delivery of {card} is not taken")) };
        let nothing = Expansion::Nothing { why: "it means nothing".to_owned() };
        told("expand", store.expand(delivery.id, &[nothing], NOW))?;
        let Some(hint) = hints.iter().rfind(|one| one.project == project) else {
            return Err(format!("a hint of {project} is not taken"));
        };
        let facts = vec![Fact::Wake { subject: card.to_string(), wake: WakeKind::Comment }];
        let taken = Taken { id: hint.id, facts, effect: "a comment".to_owned(), parked: false };
        told("take_hints", store.take_hints(&[taken], NOW))?;
        told("wake", store.wake(&project, card.as_str(), WakeKind::Comment, NOW))?;
        told("move_item", store.move_item(&project, card, "Approved", &ada(), NOW))?;
        told("put_comment", store.put_comment(&project, card, &ada(), None, "well", NOW))?;
    }
    Ok(())
}

/// Nothing that lists many fails for one.
fn all_is_listed(store: &SqliteStore, others: &[TaskId]) -> Asked {
    let tasks = told("tasks", store.tasks(true, 100))?;
    holds("the others are not listed", others.iter().all(|id| tasks.iter().any(|task| task.id == *id)))?;
    let projects = told("projects", store.projects())?;
    holds("the other project is not listed", projects.iter().any(|project| project.name == name("other")))?;
    told("project", store.project(&name("other")))?;
    let jobs = told("jobs", store.jobs(&RUNS, NOW, 100))?;
    holds("jobs of the others are not listed", others.iter().all(|id| jobs.iter().any(|job| job.task == *id)))?;
    told("drivers", store.drivers())?;
    told("leases", store.leases())?;
    told("items", store.items(&name("shop"), 100))?;
    told("activity_since", store.activity_since(&name("shop"), 0, 100))?;
    told("poll_cursor", store.poll_cursor(&name("shop"), "board"))?;
    told("woulds", store.woulds(None, Timestamp(0), 0, 100))?;
    told("evaluations", store.evaluations(None, 100))?;
    told("deliveries", store.deliveries(&DeliveryFilter::default(), 100))?;
    let of_board = DeliveryFilter { source: Some("board".to_owned()), ..DeliveryFilter::default() };
    told("deliveries of a source", store.deliveries(&of_board, 100))?;
    told("freeze", store.freeze(&name("other")))?;
    told("freeze_log", store.freeze_log(&name("cold"), 100))?;
    told("next_available", store.next_available(NOW))?;
    told("last_seen", store.last_seen())?;
    told("cancelled_claims", store.cancelled_claims(&owner("b")))?;
    told("hold_cycles", store.hold_cycles(NOW))?;
    told("tokens", store.tokens())?;
    told("sessions", store.sessions())?;
    told("audit", store.audit(&AuditFilter::default(), 100))?;
    Ok(())
}

fn all_is_shown(store: &SqliteStore) -> Asked {
    told("standings", store.standings())?;
    told("load", store.load())?;
    told("live_tasks", store.live_tasks(Live::Waiting, 100))?;
    told("live_tasks", store.live_tasks(Live::Moving, 100))?;
    told("live_tasks_of", store.live_tasks_of(&name("shop"), 100))?;
    told("ended_tasks_of", store.ended_tasks_of(&name("shop"), 100))?;
    told("tasks_named", store.tasks_named("sell", 100))?;
    told("named", store.named(&(1..6).map(TaskId).collect::<Vec<_>>()))?;
    told("last_step", store.last_step())?;
    told("contacts", store.contacts())?;
    told("evaluations_in", store.evaluations_in(&name("shop"), 100))?;
    told("newest_answers", store.newest_answers(100))?;
    told("extent", store.extent())?;
    told("count_tasks", store.count_tasks())?;
    told("count_jobs", store.count_jobs(NOW))?;
    told("count_queue", store.count_queue(NOW))?;
    told("count_deliveries", store.count_deliveries())?;
    told("count_needs", store.count_needs())?;
    told("polls", store.polls())?;
    told("living_runs", store.living_runs(100))?;
    told("old_runs", store.old_runs(NOW, RunId(0), 100))?;
    Ok(())
}

/// Everything that a house does beside its damaged row.
fn goes_on(dir: &Path, of_the_project: bool) -> Asked {
    let store = told("open", SqliteStore::open(StoreConfig::new(dir, "here")))?;
    let (same, other) = (TaskId(3), TaskId(4));
    let tasks = if of_the_project { vec![other] } else { vec![same, other] };
    let mut cards = vec![("other", item("OTHER-001"))];
    if !of_the_project {
        cards.push(("shop", item("SHOP-003")));
    }
    all_is_listed(&store, &tasks)?;
    all_is_shown(&store)?;
    others_are_heard(&store, &cards)?;
    others_are_carried_on(&store, &tasks)?;
    // As a host that starts anew, or reads its files again: the pipeline is another one than was kept.
    for project in projects() {
        told("put_project", store.put_project(&project, NOW))?;
    }
    Ok(())
}

#[test]
fn c2_2_whatever_text_of_whatever_table_is_damaged_everybody_else_goes_on() {
    let kept = tempfile::tempdir().unwrap();
    house(kept.path());
    let sql = raw(kept.path());
    sql.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let mut statement = sql.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables = statement.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap);
    let (mut failures, mut cases) = (Vec::new(), 0);
    for table in tables.filter(|table| !table.starts_with("sqlite_")) {
        let texts = columns(&sql, &table).into_iter().filter(|(_, is_text, _)| *is_text).collect::<Vec<_>>();
        let Some((_, victims)) = VICTIMS.iter().find(|(name, _)| *name == table) else {
            let why = NOTHING_TO_DAMAGE.iter().find(|(name, _)| *name == table).map(|(_, why)| *why);
            assert!(why.is_some_and(|why| texts.is_empty() == why.contains("no text")), "`{table}` has no victim");
            continue;
        };
        for (whose, (column, ..), with) in victims
            .iter()
            .flat_map(|whose| texts.iter().flat_map(move |text| DAMAGE.iter().map(move |with| (*whose, text, *with))))
        {
            let dir = folder();
            std::fs::copy(kept.path().join("gatewright.db"), dir.path().join("gatewright.db")).unwrap();
            damage(&raw(dir.path()), &table, column, whose, with);
            cases += 1;
            if let Err(failure) = goes_on(dir.path(), OF_THE_PROJECT.contains(&table.as_str())) {
                failures.push(format!("{table}.{column} = {with} where {whose}: {failure}"));
            }
        }
    }
    assert!(cases > 300, "{cases}");
    assert!(failures.is_empty(), "{} of {cases}:\n{}", failures.len(), failures.join("\n"));
}

/// The house itself, before anything is damaged: else the table of damage proves nothing.
#[test]
fn nothing_is_wrong_with_the_house_before() {
    let dir = tempfile::tempdir().unwrap();
    house(dir.path());
    goes_on(dir.path(), false).unwrap();
}

/// A stop stands behind a move whose row does not read.
#[test]
fn c2_2_a_damaged_delivery_stands_before_no_other_of_its_item() {
    for column in ["source", "log_row", "work_item", "project"] {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.put_project(&projects()[0], NOW).unwrap();
        for (order, body) in [(1, "moved"), (2, "stopped")] {
            let row = order.to_string();
            let row = Some((row.as_str(), order));
            store.receive("board", &name("shop"), Some(&item("SHOP-001")), row, body.as_bytes(), NOW).unwrap();
        }
        damage(&raw(dir.path()), "delivery", column, "id = 1", "CAST(x'ff' AS TEXT)");
        let pending = store.pending_deliveries(10).unwrap();
        assert_eq!(pending.iter().map(|one| one.id).collect::<Vec<_>>(), [DeliveryId(2)], "{column}");
        if column != "project" {
            let rows = store.deliveries(&DeliveryFilter::default(), 10).unwrap();
            let why = rows.iter().find(|row| row.id == DeliveryId(1)).and_then(|row| row.effect.as_deref()).unwrap();
            assert!(why.starts_with("a row of `delivery` does not read: "), "{column}: {why}");
        }
    }
}
