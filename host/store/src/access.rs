//! Tokens, browser sessions, and the audit: who may do what, and who did what.

use std::fmt::Write as _;

use conductor::ports::access::{Access, AuditFilter, AuditRow, Deed, NewToken, Record, SessionRow, TokenRow};
use conductor::ports::asker::asker;
use conductor::ports::store::{Refusal, StoreError, Thing};
use domain::event::Event;
use domain::ids::{Actor, SessionId, TaskId, TokenName, Version};
use domain::task::Task;
use domain::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use crate::failure::{Failure, Result, not_found, refused};
use crate::records::actor;
use crate::row::{execute, get_name, get_readable, get_time, get_u64, int, one, sound, time, to_json};
use crate::sqlite::SqliteStore;

type Told<T> = std::result::Result<T, StoreError>;

impl Access for SqliteStore {
    fn put_token(&self, token: &NewToken, actor: &Actor, now: Timestamp) -> Told<()> {
        let (token, actor) = (token.clone(), actor.clone());
        self.write(move |tx| put_token(tx.sql, &token, &actor, now))
    }

    fn revoke_token(&self, name: &TokenName, actor: &Actor, now: Timestamp) -> Told<bool> {
        let (name, actor) = (name.clone(), actor.clone());
        self.write(move |tx| revoke_token(tx.sql, &name, &actor, now))
    }

    fn tokens(&self) -> Told<Vec<TokenRow>> {
        self.read(|sql| sound(sql, "SELECT * FROM token ORDER BY name", [], read_token))
    }

    fn token_used(&self, name: &TokenName, now: Timestamp) -> Told<()> {
        let name = name.clone();
        self.write(move |tx| {
            let statement = "UPDATE token SET used_at = ?2 WHERE name = ?1 AND coalesce(used_at, 0) < ?2";
            execute(tx.sql, statement, params![name.as_str(), time(now)]).map(drop)
        })
    }

    fn open_session(&self, session: &SessionRow, peer: &str) -> Told<SessionId> {
        let (session, peer) = (session.clone(), peer.to_owned());
        self.write(move |tx| open_session(tx.sql, &session, &peer))
    }

    fn session_seen(&self, session: SessionId, now: Timestamp) -> Told<()> {
        self.write(move |tx| {
            let statement = "UPDATE session SET seen_at = ?2 WHERE id = ?1 AND ended_at IS NULL AND seen_at < ?2";
            execute(tx.sql, statement, params![int(session.0), time(now)]).map(drop)
        })
    }

    fn end_session(&self, session: SessionId, actor: &Actor, now: Timestamp) -> Told<()> {
        let actor = actor.clone();
        self.write(move |tx| {
            let statement = "UPDATE session SET ended_at = ?2 WHERE id = ?1 AND ended_at IS NULL";
            match execute(tx.sql, statement, params![int(session.0), time(now)])? {
                0 => Ok(()),
                _ => append(tx.sql, &Record::done(actor.clone(), Deed::LogOut), now),
            }
        })
    }

    fn sessions(&self) -> Told<Vec<SessionRow>> {
        self.read(|sql| sound(sql, "SELECT * FROM session WHERE ended_at IS NULL ORDER BY id", [], read_session))
    }

    fn record(&self, record: &Record, now: Timestamp) -> Told<()> {
        let record = record.clone();
        self.write(move |tx| append(tx.sql, &record, now))
    }

    fn audit(&self, filter: &AuditFilter, limit: u32) -> Told<Vec<AuditRow>> {
        self.read(|sql| audit(sql, filter, limit))
    }
}

fn put_token(sql: &Connection, token: &NewToken, by: &Actor, now: Timestamp) -> Result<()> {
    let name = token.name.as_str();
    let query = "SELECT revoked_at FROM token WHERE name = ?1";
    let before = one(sql, query, [name], |row| Ok(row.get::<_, Option<i64>>("revoked_at")?.is_some()))?;
    if let Some(revoked) = before {
        return Err(refused(Refusal::TokenKnown { name: token.name.clone(), revoked }));
    }
    let statement =
        "INSERT INTO token (name, right, secret, made_by, made_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (right, secret, expires) = (token.right.as_str(), token.secret.as_str(), token.expires_at.map(time));
    execute(sql, statement, params![name, right, secret, to_json(by)?, time(now), expires])?;
    let made = Record {
        subject: Some(name.to_owned()),
        after: Some(right.to_owned()),
        ..Record::done(by.clone(), Deed::MakeToken)
    };
    append(sql, &made, now)
}

fn revoke_token(sql: &Connection, name: &TokenName, by: &Actor, now: Timestamp) -> Result<bool> {
    let statement = "UPDATE token SET revoked_at = ?2, revoked_by = ?3 WHERE name = ?1 AND revoked_at IS NULL";
    if execute(sql, statement, params![name.as_str(), time(now), to_json(by)?])? == 0 {
        let there = one(sql, "SELECT 1 FROM token WHERE name = ?1", [name.as_str()], |_| Ok(()))?;
        return there.map(|()| false).ok_or_else(|| not_found(Thing::Token, name));
    }
    let statement = "UPDATE session SET ended_at = ?2 WHERE token = ?1 AND ended_at IS NULL";
    execute(sql, statement, params![name.as_str(), time(now)])?;
    let revoked = Record { subject: Some(name.to_string()), ..Record::done(by.clone(), Deed::RevokeToken) };
    append(sql, &revoked, now).map(|()| true)
}

fn read_token(row: &Row<'_>) -> Result<TokenRow> {
    let moment = |column: &str| -> Result<Option<Timestamp>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(|at| Timestamp(at.unsigned_abs())))
    };
    let revoked = match moment("revoked_at")? {
        Some(at) => Some((at, actor(row, "revoked_by")?)),
        None => None,
    };
    Ok(TokenRow {
        name: get_name(row, "token", "name")?,
        right: get_name(row, "token", "right")?,
        secret: get_name(row, "token", "secret")?,
        made_by: actor(row, "made_by")?,
        made_at: get_time(row, "made_at")?,
        expires_at: moment("expires_at")?,
        used_at: moment("used_at")?,
        revoked,
    })
}

fn open_session(sql: &Connection, session: &SessionRow, peer: &str) -> Result<SessionId> {
    let statement = "INSERT INTO session (token, opened_with, secret, opened_at, seen_at) VALUES (?1, ?2, ?3, ?4, ?4)";
    let (token, with) = (session.token.as_str(), session.opened_with.as_str());
    execute(sql, statement, params![token, with, session.secret.as_str(), time(session.opened_at)])?;
    let id = SessionId(sql.last_insert_rowid().unsigned_abs());
    let actor = Actor::Session { token: token.to_owned(), session: id };
    let opened = Record { peer: Some(peer.to_owned()), ..Record::done(actor, Deed::LogIn) };
    append(sql, &opened, session.opened_at)?;
    Ok(id)
}

fn read_session(row: &Row<'_>) -> Result<SessionRow> {
    Ok(SessionRow {
        id: SessionId(get_u64(row, "id")?),
        token: get_name(row, "session", "token")?,
        opened_with: get_name(row, "session", "opened_with")?,
        secret: get_name(row, "session", "secret")?,
        opened_at: get_time(row, "opened_at")?,
        seen_at: get_time(row, "seen_at")?,
    })
}

/// Appends a line, in the transaction of what it tells of.
pub(crate) fn append(sql: &Connection, record: &Record, now: Timestamp) -> Result<()> {
    let statement = "INSERT INTO audit
        (at, actor, who, what, outcome, peer, project, task, subject, before, after, why)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let project = record.project.as_ref().map(domain::ids::ProjectName::as_str);
    // What the host or a tracker does in the same transaction came from no address.
    let by_asker = matches!(record.actor, Actor::Token(_) | Actor::Session { .. });
    let peer = record.peer.clone().or_else(|| asker().filter(|_| by_asker));
    let row = params![
        time(now),
        to_json(&record.actor)?,
        record.actor.to_string(),
        record.what.as_str(),
        record.outcome,
        peer,
        project,
        record.task.map(|task| int(task.0)),
        record.subject,
        record.before,
        record.after,
        record.why,
    ];
    execute(sql, statement, row).map(drop)
}

/// What somebody wanted of a task, and what became of it: the host's own facts are no line of the audit.
pub(crate) fn of_event(
    sql: &Connection,
    task: &Task,
    after: Option<&Task>,
    event: &Event,
    outcome: (&'static str, Option<&str>),
    now: Timestamp,
) -> Result<()> {
    let (what, by, said) = match event {
        Event::Intent { intent, actor, note } => (Deed::Intent(*intent), actor, note.as_str()),
        Event::IntentRefused { intent, actor, why } => (Deed::Intent(*intent), actor, why.as_str()),
        Event::DependencyAdded { on, actor, .. } => (Deed::Depend, actor, on.as_str()),
        Event::DependencyRemoved { on, actor, .. } => (Deed::Undepend, actor, on.as_str()),
        _ => return Ok(()),
    };
    if *by == Actor::Host {
        return Ok(());
    }
    let (outcome, why) = match outcome {
        ("stepped", _) if matches!(event, Event::IntentRefused { .. }) => ("refused", None),
        ("stepped", _) => ("done", None),
        other => other,
    };
    let record = Record {
        outcome,
        project: Some(task.project.clone()),
        task: Some(task.id),
        subject: Some(task.work_item.to_string()),
        // Before its first step there was no task, whatever the engine began it from.
        before: (task.version > Version(0)).then(|| stand(task)),
        after: after.map(stand),
        why: [Some(said), why].into_iter().flatten().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" · "),
        ..Record::done(by.clone(), what)
    };
    append(sql, &record, now)
}

fn stand(task: &Task) -> String {
    format!("{}, {}", task.position.stage, task.position.activity.name())
}

fn audit(sql: &Connection, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditRow>> {
    let mut query = "SELECT * FROM audit WHERE 1".to_owned();
    let mut bound: Vec<Value> = Vec::new();
    let mut only = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            bound.push(value);
            let _ = write!(query, " AND {condition} ?{}", bound.len());
        }
    };
    only("who =", filter.who.clone().map(Value::Text));
    only("what =", filter.what.map(|what| Value::Text(what.as_str().to_owned())));
    only("task =", filter.task.map(|task| Value::Integer(int(task.0))));
    only("project =", filter.project.as_ref().map(|project| Value::Text(project.to_string())));
    only("at >=", filter.since.map(|since| Value::Integer(time(since))));
    only("at <", filter.until.map(|until| Value::Integer(time(until))));
    only("id <", filter.before.map(|before| Value::Integer(int(before))));
    bound.push(Value::Integer(i64::from(limit)));
    let _ = write!(query, " ORDER BY id DESC LIMIT ?{}", bound.len());
    let text = |row: &Row<'_>, column: &str| Ok::<_, Failure>(get_readable(row, column)?.unwrap_or_default());
    sound(sql, &query, params_from_iter(bound), |row| {
        let task: Option<i64> = row.get("task")?;
        Ok(AuditRow {
            id: get_u64(row, "id")?,
            at: get_time(row, "at")?,
            actor: actor(row, "actor")?,
            who: text(row, "who")?,
            what: text(row, "what")?,
            outcome: text(row, "outcome")?,
            peer: get_readable(row, "peer")?,
            project: get_readable(row, "project")?,
            task: task.map(|task| TaskId(task.unsigned_abs())),
            subject: get_readable(row, "subject")?,
            before: get_readable(row, "before")?,
            after: get_readable(row, "after")?,
            why: text(row, "why")?,
        })
    })
}
