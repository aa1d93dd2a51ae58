//! Deliveries of trackers and forges outside: kept raw under a key, and closed with the facts that they told, in one transaction.

use conductor::ports::access::{Deed, Record};
use conductor::ports::inbox::{
    Answer, DeliveryFilter, DeliveryRow, Hint, Inbox, NewDelivery, Received, Taken, WholeDelivery,
};
use conductor::ports::store::{Refusal, StoreError, Thing};
use domain::ids::{Actor, DeliveryId, ProjectName};
use domain::time::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use webhooks::Fact;

use crate::failure::{Failure, Result, not_found, refused};
use crate::row::{
    execute, from_json, get_name, get_readable, get_text, get_text_or_none, get_time, get_u64, int, one, read_or_none,
    sound, time, to_json,
};
use crate::sqlite::SqliteStore;
use crate::writer::Tx;
use crate::{access, delivery, wakes};

/// Bytes of bodies that are read at once: what waits may be thousands of large ones.
const BATCH_BYTES: usize = 8 << 20;

impl Inbox for SqliteStore {
    fn receive(&self, delivery: NewDelivery, answer: Answer) {
        match self.news.check().and_then(|()| Ok(to_json(&delivery.headers)?)) {
            Ok(headers) => {
                self.writer.write_and_tell(move |tx| insert(tx, &delivery, &headers), answer);
            }
            Err(error) => answer(Err(error)),
        }
    }
}

/// `headers`: the delivery's as JSON, made before the one thread that writes has to do with it.
pub(crate) fn insert(tx: &Tx<'_>, new: &NewDelivery, headers: &str) -> Result<Received> {
    let statement =
        "INSERT INTO delivery (source, project, received_at, body, state, hook_key, sent_as, word, verified, headers)
        VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?6, ?7, ?8, ?9)";
    let mut received = Received::Repeat;
    for (project, verified) in &new.projects {
        if let Some(known) = tx.seen.borrow().find(project, &new.key) {
            // Whoever proved it later proved it.
            let again = "UPDATE delivery SET repeats = repeats + 1, verified = MAX(verified, ?2) WHERE id = ?1";
            execute(tx.sql, again, params![known, verified])?;
            continue;
        }
        let row = params![
            new.source.as_str(),
            project.as_str(),
            time(new.at),
            new.body,
            new.key,
            new.sent_as,
            new.word,
            verified,
            headers
        ];
        execute(tx.sql, statement, row)?;
        tx.seen.borrow_mut().add(project, &new.key, tx.sql.last_insert_rowid());
        received = Received::New;
    }
    Ok(received)
}

/// The oldest that nobody has read; fewer than asked for where they are large. What does not read stays where it is, is told, and
/// stands before nobody.
pub(crate) fn pending(sql: &Connection, limit: u32) -> Result<Vec<Hint>> {
    let query = "SELECT * FROM delivery WHERE state = 'pending' AND state <> 'expanded' AND hook_key IS NOT NULL
        ORDER BY id";
    let mut statement = sql.prepare_cached(query)?;
    let mut rows = statement.query([])?;
    let (mut hints, mut bytes) = (Vec::<Hint>::new(), 0);
    while hints.len() < limit as usize {
        let Some(row) = rows.next()? else { break };
        let Some(hint) = read_or_none(hint(row), || row.get("id").ok())? else { continue };
        bytes += hint.body.len();
        if bytes > BATCH_BYTES && !hints.is_empty() {
            break;
        }
        hints.push(hint);
    }
    Ok(hints)
}

fn hint(row: &Row<'_>) -> Result<Hint> {
    Ok(Hint {
        id: DeliveryId(get_u64(row, "id")?),
        source: get_name(row, "delivery", "source")?,
        project: get_name(row, "delivery", "project")?,
        verified: row.get::<_, Option<bool>>("verified")?.unwrap_or(false),
        headers: headers(row)?,
        body: row.get("body")?,
        at: get_time(row, "received_at")?,
    })
}

fn headers(row: &Row<'_>) -> Result<webhooks::Headers> {
    let text = get_text_or_none(row, "delivery", "headers")?;
    text.map_or_else(|| Ok(webhooks::Headers::default()), |text| from_json("delivery", &text))
}

/// Closes hints with what they told. One that is closed already tells nothing more.
pub(crate) fn take(tx: &Tx<'_>, taken: &[Taken], now: Timestamp) -> Result<()> {
    for hint in taken {
        let statement = "UPDATE delivery SET state = ?2, closed_at = ?3, why = ?4 WHERE id = ?1 AND state = 'pending'";
        let state = if hint.parked { "parked" } else { "expanded" };
        if execute(tx.sql, statement, params![int(hint.id.0), state, time(now), hint.effect])? == 0 {
            continue;
        }
        let query = "SELECT project FROM delivery WHERE id = ?1";
        let project = one(tx.sql, query, params![int(hint.id.0)], |row| get_name(row, "delivery", "project"))?
            .ok_or_else(|| not_found(Thing::Delivery, hint.id))?;
        for fact in &hint.facts {
            match fact {
                Fact::Check { commit, check } => wakes::put_check(tx, &project, commit, check, now)?,
                Fact::Wake { subject, wake } => drop(wakes::wake(tx, &project, subject, *wake, now)?),
            }
        }
    }
    Ok(())
}

/// A parked one is pending again, with a line of the audit. It counts its tries anew.
pub(crate) fn retry(sql: &Connection, id: DeliveryId, actor: &Actor, now: Timestamp) -> Result<()> {
    let query = "SELECT project, state, why FROM delivery WHERE id = ?1";
    let found = one(sql, query, params![int(id.0)], |row| {
        let project: ProjectName = get_name(row, "delivery", "project")?;
        Ok((project, get_text(row, "delivery", "state")?, get_text_or_none(row, "delivery", "why")?))
    })?;
    let (project, state, why) = found.ok_or_else(|| not_found(Thing::Delivery, id))?;
    if state != "parked" {
        return Err(refused(Refusal::NotParked { delivery: id, state }));
    }
    let statement = "UPDATE delivery SET state = 'pending', closed_at = NULL, why = NULL, attempts = 0 WHERE id = ?1";
    execute(sql, statement, params![int(id.0)])?;
    let retried = Record {
        project: Some(project),
        subject: Some(id.to_string()),
        before: Some(why.map_or_else(|| "parked".to_owned(), |why| format!("parked: {why}"))),
        after: Some("pending".to_owned()),
        ..Record::done(actor.clone(), Deed::RetryDelivery)
    };
    access::append(sql, &retried, now)
}

/// The newest first. Of one project or one source, the newest of each project's sources are asked for, and those that wait besides:
/// two indexes have them in their order.
pub(crate) fn list(sql: &Connection, filter: &DeliveryFilter, limit: u32) -> Result<Vec<DeliveryRow>> {
    let before = filter.before.map_or(i64::MAX, |id| int(id.0));
    let ask = |place: &str, source: Option<&str>, project: Option<&str>| {
        let query = format!(
            "SELECT d.*, octet_length(d.body) AS size, (SELECT MAX(task) FROM intent i WHERE i.delivery = d.id) AS task
            FROM delivery d {place} AND d.id < ?4 ORDER BY d.id DESC LIMIT ?5"
        );
        sound(sql, &query, params![source, project, filter.state, before, limit], listed)
    };
    let (source, project) = (filter.source.as_deref(), filter.project.as_ref().map(ProjectName::as_str));
    // What is not asked for stands in no condition, and what an index is limited to stands in one: SQLite would use no index else.
    let open = |state: &str| {
        let of_source = if source.is_some() { "AND d.source = ?1" } else { "" };
        let of_project = if project.is_some() { "AND d.project = ?2" } else { "" };
        let place = format!(
            "INDEXED BY delivery_open WHERE d.state <> 'expanded' AND d.state = {state} {of_source} {of_project}"
        );
        ask(&place, source, project)
    };
    let is_any = source.is_none() && project.is_none();
    let mut found = match filter.state.as_deref() {
        None if is_any => return ask("WHERE TRUE", None, None),
        Some("expanded") if is_any => return ask("WHERE d.state = ?3", None, None),
        None => open("'pending'")?,
        Some("expanded") => Vec::new(),
        Some(_) => return open("?3"),
    };
    let state = if filter.state.is_some() { "AND d.state = ?3" } else { "" };
    let closed =
        format!("INDEXED BY delivery_source WHERE d.source = ?1 AND d.project = ?2 AND d.state <> 'pending' {state}");
    for (project, source) in senders(sql, filter)? {
        found.extend(ask(&closed, Some(&source), Some(&project))?);
    }
    found.sort_unstable_by_key(|row: &DeliveryRow| std::cmp::Reverse(row.id));
    found.truncate(limit as usize);
    Ok(found)
}

/// Each project and each source that the filter leaves.
fn senders(sql: &Connection, filter: &DeliveryFilter) -> Result<Vec<(String, String)>> {
    let projects = match &filter.project {
        Some(project) => vec![project.to_string()],
        None => sound(sql, "SELECT name FROM project", [], |row| get_text(row, "project", "name"))?,
    };
    let next = "SELECT MIN(source) FROM delivery INDEXED BY delivery_source
        WHERE project = ?1 AND source > ?2 AND state <> 'pending'";
    let mut senders = Vec::new();
    for project in projects {
        if let Some(source) = &filter.source {
            senders.push((project, source.clone()));
            continue;
        }
        let mut last = String::new();
        while let Some(source) =
            one(sql, next, params![project, last], |row| Ok(row.get::<_, Option<String>>(0)?))?.flatten()
        {
            last.clone_from(&source);
            senders.push((project.clone(), source));
        }
    }
    Ok(senders)
}

pub(crate) fn whole(sql: &Connection, id: DeliveryId) -> Result<WholeDelivery> {
    let query =
        "SELECT d.*, octet_length(d.body) AS size, (SELECT MAX(task) FROM intent i WHERE i.delivery = d.id) AS task
        FROM delivery d WHERE d.id = ?1";
    let found = one(sql, query, params![int(id.0)], |row| {
        Ok(WholeDelivery { row: read(row)?, headers: headers(row)?, body: row.get("body")? })
    })?;
    found.ok_or_else(|| not_found(Thing::Delivery, id))
}

/// As it is listed: where it waits and will not be read, it says why.
fn listed(row: &Row<'_>) -> Result<DeliveryRow> {
    let mut listed = read(row)?;
    if listed.state == "pending" {
        let is_hint = !matches!(row.get_ref("hook_key")?, ValueRef::Null);
        let unread = if is_hint { hint(row).err() } else { delivery::read(row).err() };
        if let Some(failure @ Failure::Row { .. }) = unread {
            listed.effect = Some(StoreError::from(failure).to_string());
        }
    }
    Ok(listed)
}

/// For people: as much of each text as is one. What has no project is nobody's, and does not read.
fn read(row: &Row<'_>) -> Result<DeliveryRow> {
    let work_item = get_readable(row, "work_item")?;
    let number =
        |column: &str| row.get::<_, Option<i64>>(column).map(|number| number.and_then(|n| u64::try_from(n).ok()));
    Ok(DeliveryRow {
        id: DeliveryId(get_u64(row, "id")?),
        source: get_readable(row, "source")?.unwrap_or_default(),
        project: get_name(row, "delivery", "project")?,
        work_item: work_item.and_then(|id| id.parse().ok()),
        sent_as: get_readable(row, "sent_as")?,
        word: get_readable(row, "word")?,
        verified: row.get("verified")?,
        repeats: get_u64(row, "repeats")?,
        polled: row.get("polled")?,
        received_at: get_time(row, "received_at")?,
        state: get_readable(row, "state")?.unwrap_or_default(),
        effect: get_readable(row, "why")?,
        task: number("task")?.map(domain::ids::TaskId),
        closed_at: number("closed_at")?.map(Timestamp),
        attempts: row.get("attempts")?,
        size: get_u64(row, "size")?,
    })
}
