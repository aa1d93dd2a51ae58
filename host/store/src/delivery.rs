//! Deliveries: kept raw, expanded serially per work item, each into events that happen once.

use std::sync::LazyLock;

use conductor::ports::store::{Applied, Delivery, Expansion, NewTask, Thing, ToldRow};
use domain::event::Event;
use domain::ids::{DeliveryId, ProjectName, TaskId, WorkItemId};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::WakeKind;
use engine::{Illegal, Rejected};
use rusqlite::{Connection, Row, params};

use crate::failure::{Failure, Result, not_found};
use crate::late;
use crate::row::{
    all, execute, get_name, get_text, get_text_or_none, get_time, get_u64, int, number, one, read_or_none, time,
    to_json,
};
use crate::tasks;
use crate::transact::{self, Origin};
use crate::wakes;
use crate::writer::Tx;

/// Which row of the tracker's log a delivery tells of.
#[derive(Clone, Copy, Default)]
pub(crate) struct About<'a> {
    pub(crate) row: Option<&'a str>,
    pub(crate) order: u64,
    /// A poll found it.
    pub(crate) polled: bool,
}

pub(crate) fn insert(
    sql: &Connection,
    source: &str,
    project: &ProjectName,
    work_item: Option<&WorkItemId>,
    body: &[u8],
    about: About<'_>,
    now: Timestamp,
) -> Result<()> {
    let statement =
        "INSERT INTO delivery (source, project, work_item, received_at, body, state, log_row, row_order, polled)
        VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6, ?7, ?8)";
    let work_item = work_item.map(WorkItemId::as_str);
    let (row, order) = (about.row, int(about.order));
    execute(sql, statement, params![source, project.as_str(), work_item, time(now), body, row, order, about.polled])?;
    Ok(())
}

/// Has any delivery told of this row?
fn is_told(sql: &Connection, project: &ProjectName, source: &str, row: &ToldRow) -> Result<bool> {
    let query = "SELECT 1 FROM delivery WHERE project = ?1 AND source = ?2 AND log_row = ?3";
    Ok(number(sql, query, params![project.as_str(), source, row.key])?.is_some())
}

/// The rows that no delivery told.
pub(crate) fn untold(sql: &Connection, project: &ProjectName, source: &str, rows: &[ToldRow]) -> Result<Vec<ToldRow>> {
    let mut untold = Vec::new();
    for row in rows {
        if !is_told(sql, project, source, row)? {
            untold.push(row.clone());
        }
    }
    Ok(untold)
}

/// What no delivery told becomes one, in the transaction that keeps where the next poll goes on.
pub(crate) fn take_rows(
    tx: &Tx<'_>,
    project: &ProjectName,
    source: &str,
    rows: &[ToldRow],
    cursor: Option<&str>,
    now: Timestamp,
) -> Result<u32> {
    let mut taken = 0;
    for row in rows {
        if is_told(tx.sql, project, source, row)? {
            continue;
        }
        let about = About { row: Some(&row.key), order: row.order, polled: true };
        insert(tx.sql, source, project, Some(&row.work_item), &row.body, about, now)?;
        wakes::wake(tx, project, row.work_item.as_str(), WakeKind::Status, now)?;
        taken += 1;
    }
    if let Some(cursor) = cursor {
        let statement = "INSERT INTO poll (project, source, cursor, at) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (project, source) DO UPDATE SET cursor = excluded.cursor, at = excluded.at";
        execute(tx.sql, statement, params![project.as_str(), source, cursor, time(now)])?;
    }
    Ok(taken)
}

/// How old the newest look may be that is written down: a board that is quiet was looked at all the same.
const LOOK_AGE: Milliseconds = Milliseconds::from_seconds(60);

/// Whether this look is to be written down: it came further, or the one that is known is old.
pub(crate) fn is_look_new(
    sql: &Connection,
    project: &ProjectName,
    source: &str,
    cursor: &str,
    now: Timestamp,
) -> Result<bool> {
    let query = "SELECT cursor = ?3 AND at BETWEEN ?4 AND ?5 FROM poll WHERE project = ?1 AND source = ?2";
    let since = Timestamp(now.0.saturating_sub(LOOK_AGE.0));
    let known = params![project.as_str(), source, cursor, time(since), time(now)];
    Ok(!one(sql, query, known, |row| Ok(row.get::<_, bool>(0)?))?.unwrap_or(false))
}

pub(crate) fn cursor(sql: &Connection, project: &ProjectName, source: &str) -> Result<Option<String>> {
    let query = "SELECT cursor FROM poll WHERE project = ?1 AND source = ?2";
    // One that does not read is none: the poll begins anew, and what was told of is known by its rows.
    let read = |row: &Row<'_>| read_or_none(get_text(row, "poll", "cursor"), || None);
    Ok(one(sql, query, params![project.as_str(), source], read)?.flatten())
}

/// The first of each item. `among` bounds those that are asked for, `before` those that stand before them.
fn first_of_each(among: &str, before: &str) -> String {
    format!(
        "SELECT * FROM delivery d WHERE state = 'pending' AND hook_key IS NULL {among} AND NOT EXISTS (
            SELECT 1 FROM delivery o
            WHERE o.state = 'pending' AND o.hook_key IS NULL {before} AND o.project = d.project
                AND o.work_item IS d.work_item
                AND (o.row_order < d.row_order OR o.row_order = d.row_order AND o.id < d.id))
        ORDER BY id LIMIT ?1"
    )
}

static PENDING: LazyLock<String> = LazyLock::new(|| first_of_each("", ""));
/// The same without those that were found not to read.
static PENDING_AMONG: LazyLock<String> = LazyLock::new(|| {
    first_of_each(
        "AND d.id NOT IN (SELECT value FROM json_each(?2))",
        "AND o.id NOT IN (SELECT value FROM json_each(?2))",
    )
});

/// Of each work item the one whose row is the oldest: what was told late comes in its turn, as far as that is not over. What was
/// parked stands in nobody's way, and so does what does not read: a stop behind it is heard.
pub(crate) fn pending(sql: &Connection, limit: u32) -> Result<Vec<Delivery>> {
    let mut unread = Vec::<i64>::new();
    loop {
        let (mut found, damaged) = (Vec::new(), unread.len());
        let among = to_json(&unread)?;
        let mut take = |row: &Row<'_>| -> Result<()> {
            let id = row.get("id")?;
            match read_or_none(read(row), || Some(id))? {
                Some(delivery) => found.push(delivery),
                None => unread.push(id),
            }
            Ok(())
        };
        if damaged == 0 {
            all(sql, &PENDING, params![limit], &mut take)?;
        } else {
            all(sql, &PENDING_AMONG, params![limit, among], &mut take)?;
        }
        if unread.len() == damaged {
            return Ok(found);
        }
    }
}

pub(crate) fn read(row: &Row<'_>) -> Result<Delivery> {
    let work_item = get_text_or_none(row, "delivery", "work_item")?;
    let unreadable = |error: domain::ids::InvalidId| Failure::Row { what: "delivery", why: error.to_string() };
    Ok(Delivery {
        id: DeliveryId(get_u64(row, "id")?),
        source: get_text(row, "delivery", "source")?,
        project: get_name(row, "delivery", "project")?,
        work_item: work_item.map(|id| id.parse()).transpose().map_err(unreadable)?,
        received_at: get_time(row, "received_at")?,
        body: row.get("body")?,
        row: get_text_or_none(row, "delivery", "log_row")?,
        polled: row.get("polled")?,
        attempts: row.get("attempts")?,
    })
}

/// Closes a delivery with what it leads to: one answer per intent. A delivery that is closed already leads to nothing more.
pub(crate) fn expand(tx: &Tx<'_>, id: DeliveryId, expansions: &[Expansion], now: Timestamp) -> Result<Vec<Applied>> {
    let query = "SELECT * FROM delivery WHERE id = ?1";
    let (delivery, pending) = one(tx.sql, query, params![int(id.0)], |row| {
        Ok((read(row)?, row.get_ref("state")?.as_str() == Ok("pending")))
    })?
    .ok_or_else(|| not_found(Thing::Delivery, id))?;
    if !pending {
        return Ok(Vec::new());
    }
    let mut applied = Vec::new();
    let (mut state, mut reasons) = ("expanded", Vec::new());
    for expansion in expansions {
        match expansion {
            Expansion::Intent { ordinal, key, event, new_task } => {
                let (became, refused) = intent(tx, &delivery, *ordinal, key, event, new_task.as_ref(), now)?;
                applied.push(became);
                reasons.extend(refused);
            }
            Expansion::Nothing { why } => reasons.push(why.clone()),
            Expansion::Later { why } => {
                let kept = "UPDATE delivery SET why = ?2, polled = 0 WHERE id = ?1 AND (why IS NOT ?2 OR polled = 1)";
                execute(tx.sql, kept, params![int(id.0), why])?;
                return Ok(applied);
            }
            Expansion::Parked { why } => {
                state = "parked";
                reasons.push(why.clone());
            }
        }
    }
    let statement = "UPDATE delivery SET state = ?2, closed_at = ?3, why = ?4 WHERE id = ?1";
    let why = (!reasons.is_empty()).then(|| reasons.join("; "));
    execute(tx.sql, statement, params![int(id.0), state, time(now), why])?;
    Ok(applied)
}

/// Takes an intent once, whoever told of it first. Besides: why it does not count.
fn intent(
    tx: &Tx<'_>,
    delivery: &Delivery,
    ordinal: u32,
    key: &str,
    event: &Event,
    new_task: Option<&NewTask>,
    now: Timestamp,
) -> Result<(Applied, Option<String>)> {
    let taken = "SELECT 1 FROM intent WHERE project = ?1 AND key = ?2";
    if number(tx.sql, taken, params![delivery.project.as_str(), key])?.is_some() {
        return Ok((Applied::Rejected(Rejected::Duplicate), None));
    }
    let work_item = delivery.work_item.as_ref().or_else(|| new_task.map(|new| &new.work_item));
    let live = match work_item {
        Some(item) => tasks::live_task(tx.sql, &delivery.project, item)?,
        None => None,
    };
    let origin = Origin { job: None, delivery: Some((delivery.id, ordinal)) };
    let mut refused = None;
    let (task, applied) = match (live, new_task, work_item) {
        (Some(task), _, _) => {
            let event = in_time(tx, delivery, task, event)?;
            if let Event::IntentRefused { why, .. } = &event {
                refused = Some(why.clone());
            }
            (Some(task), transact::apply(tx, task, &event, origin, now)?)
        }
        (None, Some(new), _) => begin(tx, new, now)?,
        (None, None, Some(item)) => match tasks::newest_task(tx.sql, &delivery.project, item)? {
            Some(ended) => (Some(ended.id), transact::apply(tx, ended.id, event, origin, now)?),
            None => (None, no_task()),
        },
        (None, None, None) => (None, no_task()),
    };
    let statement =
        "INSERT INTO intent (project, key, delivery, ordinal, task, taken_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (project, task) = (delivery.project.as_str(), task.map(|task| int(task.0)));
    execute(tx.sql, statement, params![project, key, int(delivery.id.0), ordinal, task, time(now)])?;
    Ok((applied, refused))
}

/// The event itself, or that it does not count: decided where it is applied, for the task may have begun to wait just now.
fn in_time(tx: &Tx<'_>, delivery: &Delivery, task: TaskId, event: &Event) -> Result<Event> {
    let why = late::why_late(tx.sql, delivery, &tasks::task(tx.sql, task)?, event)?;
    Ok(match (event, why) {
        (Event::Intent { intent, actor, .. }, Some(why)) => {
            Event::IntentRefused { intent: *intent, actor: actor.clone(), why }
        }
        _ => event.clone(),
    })
}

fn begin(tx: &Tx<'_>, new: &NewTask, now: Timestamp) -> Result<(Option<TaskId>, Applied)> {
    let (id, applied) = transact::create(tx, new, now)?;
    let applied = applied.unwrap_or(Applied::Rejected(Rejected::Duplicate));
    Ok((Some(id), applied))
}

fn no_task() -> Applied {
    Applied::Rejected(Rejected::Illegal(Illegal::NoTask))
}

/// Counts an expansion that failed, and why.
pub(crate) fn later(tx: &Tx<'_>, id: DeliveryId, why: &str) -> Result<()> {
    let statement = "UPDATE delivery SET attempts = attempts + 1, why = ?2 WHERE id = ?1 AND state = 'pending'";
    execute(tx.sql, statement, params![int(id.0), why])?;
    Ok(())
}
