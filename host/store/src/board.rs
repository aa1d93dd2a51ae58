//! The built-in board: cards, their activity log and their comments. What a person does there becomes a delivery in the same
//! transaction, just as a webhook of a tracker would.

use conductor::board::{DELETED, SOURCE};
use conductor::ports::access::{Deed, Record};
use conductor::ports::store::{BoardActivity, BoardComment, BoardItem, NewItem, Thing};
use domain::ids::{Actor, ProjectName, WorkItemId};
use domain::time::Timestamp;
use domain::verdict::WakeKind;
use rusqlite::{Connection, Row, params};
use serde_json::json;

use crate::access;
use crate::delivery::{self, About};
use crate::failure::{Result, inside, not_found};
use crate::late;
use crate::ownership;
use crate::records::actor;
use crate::row::{
    execute, from_json, get_json, get_name, get_text, get_text_or_none, get_time, get_u64, int, number, one, sound,
    time, to_json,
};
use crate::tasks::project_row;
use crate::wakes;
use crate::writer::Tx;

pub(crate) fn create(tx: &Tx<'_>, new: &NewItem, now: Timestamp) -> Result<BoardItem> {
    let (prefix, _) = project_row(tx.sql, &new.project)?;
    let (work_item, number) = next_id(tx.sql, &new.project, &prefix)?;
    let statement = "INSERT INTO tracker_item
        (project, work_item, number, title, description, status, labels, created_by, created_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let (project, id) = (new.project.as_str(), work_item.as_str());
    let (labels, created_by) = (to_json(&new.labels)?, to_json(&new.actor)?);
    let (title, text) = (&new.title, &new.description);
    let row = params![project, id, int(number), title, text, new.status, labels, created_by, time(now)];
    execute(tx.sql, statement, row)?;
    ownership::put_on_card(tx.sql, &new.project, &work_item, &new.after)?;
    let change = Change { kind: "created", from: None, to: &new.status, actor: &new.actor };
    log(tx, &new.project, &work_item, &change, now)?;
    item(tx.sql, &new.project, &work_item)?.ok_or_else(|| not_found(Thing::WorkItem, &work_item))
}

/// The card that this very hand made of these very words after the one that it had seen.
pub(crate) fn same_since(sql: &Connection, new: &NewItem, seen: Option<&WorkItemId>) -> Result<Option<BoardItem>> {
    let query = "SELECT * FROM tracker_item WHERE project = ?1
            AND number > coalesce((SELECT number FROM tracker_item WHERE project = ?1 AND work_item = ?2), 0)
            AND title = ?3 AND description = ?4 AND labels = ?5 AND created_by = ?6
        ORDER BY number LIMIT 1";
    let (project, seen) = (new.project.as_str(), seen.map(WorkItemId::as_str));
    let (labels, by) = (to_json(&new.labels)?, to_json(&new.actor)?);
    one(sql, query, params![project, seen, new.title, new.description, labels, by], read)
}

/// The project's next number, past every id that a card or a task bears already.
fn next_id(sql: &Connection, project: &ProjectName, prefix: &str) -> Result<(WorkItemId, u64)> {
    let query = "SELECT MAX(number) FROM tracker_item WHERE project = ?1";
    let mut next = number(sql, query, params![project.as_str()])?.unwrap_or(0) + 1;
    loop {
        let id = WorkItemId::new(format!("{prefix}-{next:03}")).map_err(|error| inside(error.to_string()))?;
        let taken = "SELECT 1 WHERE EXISTS (SELECT 1 FROM tracker_item WHERE project = ?1 AND work_item = ?2)
            OR EXISTS (SELECT 1 FROM task WHERE project = ?1 AND work_item = ?2)";
        if number(sql, taken, params![project.as_str(), id.as_str()])?.is_none() {
            return Ok((id, next));
        }
        next += 1;
    }
}

struct Change<'a> {
    kind: &'a str,
    from: Option<&'a str>,
    to: &'a str,
    actor: &'a Actor,
}

impl Change<'_> {
    fn deed(&self) -> Deed {
        match self.kind {
            "created" => Deed::CreateCard,
            "removed" => Deed::RemoveCard,
            _ => Deed::MoveCard,
        }
    }
}

fn audit(tx: &Tx<'_>, project: &ProjectName, work_item: &WorkItemId, said: Record, now: Timestamp) -> Result<()> {
    access::append(
        tx.sql,
        &Record { project: Some(project.clone()), subject: Some(work_item.to_string()), ..said },
        now,
    )
}

/// A row of the activity log, and unless the host wrote it the delivery that tells of it: our own moves are never an intent.
fn log(tx: &Tx<'_>, project: &ProjectName, work_item: &WorkItemId, change: &Change<'_>, now: Timestamp) -> Result<()> {
    let is_news = *change.actor != Actor::Host;
    let stood = if is_news { late::stood(tx.sql, project, work_item)? } else { None };
    let stood = stood.map(|stood| to_json(&stood)).transpose()?;
    let statement = "INSERT INTO tracker_activity (project, work_item, actor, before, after, at, stood)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let (name, id, actor) = (project.as_str(), work_item.as_str(), to_json(change.actor)?);
    execute(tx.sql, statement, params![name, id, actor, change.from, change.to, time(now), stood])?;
    let row = tx.sql.last_insert_rowid();
    if is_news {
        let (before, after) = (change.from.map(str::to_owned), Some(change.to.to_owned()));
        audit(
            tx,
            project,
            work_item,
            Record { before, after, ..Record::done(change.actor.clone(), change.deed()) },
            now,
        )?;
    }
    if !is_news || !(tx.core.tells)(change.actor) {
        return Ok(());
    }
    let body = json!({
        "kind": change.kind,
        "activity": row.to_string(),
        "work_item": id,
        "from": change.from,
        "to": change.to,
        "actor": change.actor,
    });
    let about = About { row: Some(&row.to_string()), order: row.unsigned_abs(), polled: false };
    delivery::insert(tx.sql, SOURCE, project, Some(work_item), body.to_string().as_bytes(), about, now)?;
    // Nor does what waits wake itself.
    wakes::wake(tx, project, work_item.as_str(), WakeKind::Status, now).map(|_| ())
}

pub(crate) fn r#move(
    tx: &Tx<'_>,
    project: &ProjectName,
    work_item: &WorkItemId,
    status: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    let card = present(tx.sql, project, work_item)?;
    if card.status == status {
        return Ok(());
    }
    let statement = "UPDATE tracker_item SET status = ?3 WHERE project = ?1 AND work_item = ?2";
    execute(tx.sql, statement, params![project.as_str(), work_item.as_str(), status])?;
    let change = Change { kind: "moved", from: Some(&card.status), to: status, actor };
    log(tx, project, work_item, &change, now)
}

pub(crate) fn remove(
    tx: &Tx<'_>,
    project: &ProjectName,
    work_item: &WorkItemId,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    let card = present(tx.sql, project, work_item)?;
    let statement = "UPDATE tracker_item SET gone = ?3 WHERE project = ?1 AND work_item = ?2";
    execute(tx.sql, statement, params![project.as_str(), work_item.as_str(), to_json(actor)?])?;
    let change = Change { kind: "removed", from: Some(&card.status), to: DELETED, actor };
    log(tx, project, work_item, &change, now)
}

pub(crate) fn present(sql: &Connection, project: &ProjectName, work_item: &WorkItemId) -> Result<BoardItem> {
    let found = item(sql, project, work_item)?.filter(|card| card.gone.is_none());
    found.ok_or_else(|| not_found(Thing::WorkItem, work_item))
}

pub(crate) fn item(sql: &Connection, project: &ProjectName, work_item: &WorkItemId) -> Result<Option<BoardItem>> {
    let query = "SELECT * FROM tracker_item WHERE project = ?1 AND work_item = ?2";
    one(sql, query, params![project.as_str(), work_item.as_str()], read)
}

pub(crate) fn items(sql: &Connection, project: &ProjectName, limit: u32) -> Result<Vec<BoardItem>> {
    let query = "SELECT * FROM tracker_item WHERE project = ?1 ORDER BY number DESC LIMIT ?2";
    sound(sql, query, params![project.as_str(), limit], read)
}

pub(crate) fn read(row: &Row<'_>) -> Result<BoardItem> {
    let gone = get_text_or_none(row, "tracker_item", "gone")?;
    Ok(BoardItem {
        project: get_name(row, "tracker_item", "project")?,
        work_item: get_name(row, "tracker_item", "work_item")?,
        title: get_text(row, "tracker_item", "title")?,
        description: get_text(row, "tracker_item", "description")?,
        status: get_text(row, "tracker_item", "status")?,
        labels: get_json(row, "tracker_item", "labels")?,
        created_by: actor(row, "created_by")?,
        created_at: get_time(row, "created_at")?,
        gone: gone.map(|text| from_json("actor", &text)).transpose()?,
    })
}

pub(crate) fn activity(sql: &Connection, project: &ProjectName, work_item: &WorkItemId) -> Result<Vec<BoardActivity>> {
    let query = "SELECT * FROM tracker_activity WHERE project = ?1 AND work_item = ?2 ORDER BY id";
    sound(sql, query, params![project.as_str(), work_item.as_str()], read_activity)
}

pub(crate) fn activity_since(
    sql: &Connection,
    project: &ProjectName,
    id: u64,
    limit: u32,
) -> Result<Vec<BoardActivity>> {
    let query = "SELECT * FROM tracker_activity WHERE project = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
    sound(sql, query, params![project.as_str(), int(id), limit], read_activity)
}

fn read_activity(row: &Row<'_>) -> Result<BoardActivity> {
    Ok(BoardActivity {
        id: get_u64(row, "id")?,
        work_item: get_name(row, "tracker_activity", "work_item")?,
        actor: actor(row, "actor")?,
        from: get_text_or_none(row, "tracker_activity", "before")?,
        to: get_text(row, "tracker_activity", "after")?,
        at: get_time(row, "at")?,
    })
}

/// Writes a comment, once per external id. It drives nothing, but a gate may wait for what somebody else than us says.
pub(crate) fn put_comment(
    tx: &Tx<'_>,
    project: &ProjectName,
    work_item: &WorkItemId,
    comment: &BoardComment,
) -> Result<bool> {
    present(tx.sql, project, work_item)?;
    let statement = "INSERT INTO tracker_comment (project, work_item, actor, external_id, text, at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (project, work_item, external_id) DO NOTHING";
    let (name, id, by) = (project.as_str(), work_item.as_str(), to_json(&comment.actor)?);
    let row = params![name, id, by, comment.external_id, comment.text, time(comment.at)];
    let is_new = execute(tx.sql, statement, row)? == 1;
    if is_new && comment.actor != Actor::Host {
        audit(tx, project, work_item, Record::done(comment.actor.clone(), Deed::Comment), comment.at)?;
    }
    if is_new && comment.actor != Actor::Host && (tx.core.tells)(&comment.actor) {
        wakes::wake(tx, project, work_item.as_str(), WakeKind::Comment, comment.at)?;
    }
    Ok(is_new)
}

pub(crate) fn comments(
    sql: &Connection,
    project: &ProjectName,
    work_item: &WorkItemId,
    limit: u32,
) -> Result<Vec<BoardComment>> {
    let query = "SELECT * FROM tracker_comment WHERE project = ?1 AND work_item = ?2 ORDER BY id DESC LIMIT ?3";
    sound(sql, query, params![project.as_str(), work_item.as_str(), limit], read_comment)
}

pub(crate) fn read_comment(row: &Row<'_>) -> Result<BoardComment> {
    Ok(BoardComment {
        id: get_u64(row, "id")?,
        actor: actor(row, "actor")?,
        external_id: get_text_or_none(row, "tracker_comment", "external_id")?,
        text: get_text(row, "tracker_comment", "text")?,
        at: get_time(row, "at")?,
    })
}
