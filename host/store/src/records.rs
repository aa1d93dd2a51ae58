//! What is kept beside the tasks: runs, evaluations, documents, freezes.

use conductor::ports::access::{Deed, Record};
use conductor::ports::store::{EvaluationRow, FreezeRow, NewEvaluation, RunRow, Thing};
use domain::document::{Document, NewDocument};
use domain::ids::{Actor, Digest, DocumentId, EvaluationId, JobId, ProjectName, RunId, TaskId};
use domain::time::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::access;
use crate::failure::{Failure, Result, not_found};
use crate::row::{
    all, execute, get_json, get_name, get_text, get_text_or_none, get_time, get_u64, int, one, read_or_none, sound,
    time, to_json,
};
use crate::transact::name_blob;
use crate::writer::Tx;

/// A summary is one line of a table; the verdict has the whole of it.
const SUMMARY_CHARACTERS: usize = 1000;

/// Writes a run before its launch, and again with what is known later. While its job is claimed, the job shows the pid too.
pub(crate) fn put_run(tx: &Tx<'_>, run: &RunRow) -> Result<()> {
    // What does not read is written over by what its owner knows.
    let known: Option<RunRow> = one(tx.sql, "SELECT body FROM run WHERE id = ?1", params![int(run.id.0)], |row| {
        read_or_none(get_json(row, "run", "body"), || Some(int(run.id.0)))
    })?
    .flatten();
    // Stamped at the launch, they survive whatever is written later.
    let stamped = |stamp: fn(&RunRow) -> &Option<String>| stamp(run).clone().or_else(|| stamp(known.as_ref()?).clone());
    let run = &RunRow {
        model: stamped(|run| &run.model),
        effort: stamped(|run| &run.effort),
        over_budget: stamped(|run| &run.over_budget),
        ..run.clone()
    };
    let statement = "INSERT INTO run (id, task, host, started_at, ended_at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT (id) DO UPDATE SET started_at = excluded.started_at, ended_at = excluded.ended_at, body = excluded.body";
    let (id, ended_at) = (int(run.id.0), run.ended_at.map(time));
    let row = params![id, int(run.task.0), tx.core.host, time(run.started_at), ended_at, to_json(run)?];
    execute(tx.sql, statement, row)?;
    let job = "UPDATE job SET pid = ?2, started_at = ?3 WHERE id = ?1 AND state = 'claimed'";
    execute(tx.sql, job, params![id, run.pid, time(run.started_at)])?;
    match &run.brief {
        Some(brief) if known.and_then(|known| known.brief).as_ref() != Some(brief) => name_blob(tx, brief, true),
        _ => Ok(()),
    }
}

/// One that does not read is passed over: no run is taken for a success that nobody can read, and the task goes on with the next.
pub(crate) fn runs(sql: &Connection, task: TaskId, limit: u32) -> Result<Vec<RunRow>> {
    let query = "SELECT id, body FROM run WHERE task = ?1 ORDER BY id DESC LIMIT ?2";
    sound(sql, query, params![int(task.0), limit], |row| get_json(row, "run", "body"))
}

pub(crate) fn run(sql: &Connection, id: RunId) -> Result<RunRow> {
    let query = "SELECT body FROM run WHERE id = ?1";
    one(sql, query, params![int(id.0)], |row| get_json(row, "run", "body"))?.ok_or_else(|| not_found(Thing::Run, id))
}

pub(crate) fn put_evaluation(tx: &Tx<'_>, new: &NewEvaluation) -> Result<EvaluationId> {
    let new = NewEvaluation { summary: new.summary.chars().take(SUMMARY_CHARACTERS).collect(), ..new.clone() };
    name_blob(tx, &new.verdict, true)?;
    name_blob(tx, &new.transcript, true)?;
    let statement = "INSERT INTO evaluation (task, job, step, plugin, digest, answer, at, body)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let (task, job) = (new.task.map(|task| int(task.0)), new.job.map(|job| int(job.0)));
    let (plugin, digest, at) = (new.plugin.as_str(), new.digest.as_ref().map(Digest::as_str), time(new.at));
    execute(tx.sql, statement, params![task, job, new.step, plugin, digest, new.answer, at, to_json(&new)?])?;
    Ok(EvaluationId(tx.sql.last_insert_rowid().unsigned_abs()))
}

pub(crate) fn read_evaluation(row: &Row<'_>) -> Result<EvaluationRow> {
    Ok(EvaluationRow { id: EvaluationId(get_u64(row, "id")?), evaluation: get_json(row, "evaluation", "body")? })
}

pub(crate) fn evaluations(sql: &Connection, task: Option<TaskId>, limit: u32) -> Result<Vec<EvaluationRow>> {
    if let Some(task) = task {
        let query = "SELECT id, body FROM evaluation WHERE task = ?1 ORDER BY id DESC LIMIT ?2";
        return sound(sql, query, params![int(task.0), limit], read_evaluation);
    }
    sound(sql, "SELECT id, body FROM evaluation ORDER BY id DESC LIMIT ?1", params![limit], read_evaluation)
}

pub(crate) fn evaluations_of(sql: &Connection, job: JobId) -> Result<Vec<EvaluationRow>> {
    // By the task, for that has an index.
    let query =
        "SELECT id, body FROM evaluation WHERE task = (SELECT task FROM job WHERE id = ?1) AND job = ?1 ORDER BY id";
    all(sql, query, params![int(job.0)], read_evaluation)
}

pub(crate) fn evaluation(sql: &Connection, id: EvaluationId) -> Result<EvaluationRow> {
    let query = "SELECT id, body FROM evaluation WHERE id = ?1";
    one(sql, query, params![int(id.0)], read_evaluation)?.ok_or_else(|| not_found(Thing::Evaluation, id))
}

pub(crate) fn put_document(tx: &Tx<'_>, task: TaskId, new: &NewDocument, now: Timestamp) -> Result<DocumentId> {
    name_blob(tx, &new.blob, true)?;
    let statement = "INSERT INTO document (task, kind, name, stage, visit, run, written_at, size, blob)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let (kind, stage, blob) = (new.kind.word(), new.stage.as_str(), new.blob.as_str());
    let run = new.run.map(|run| int(run.0));
    let row = params![int(task.0), kind, new.name, stage, new.visit, run, time(now), int(new.size), blob];
    execute(tx.sql, statement, row)?;
    Ok(DocumentId(tx.sql.last_insert_rowid().unsigned_abs()))
}

/// The newest of each name.
pub(crate) fn documents(sql: &Connection, task: TaskId) -> Result<Vec<Document>> {
    let query = "SELECT * FROM document WHERE id IN (SELECT MAX(id) FROM document WHERE task = ?1 GROUP BY name)
        ORDER BY id DESC";
    all(sql, query, params![int(task.0)], |row| {
        let kind = get_text(row, "document", "kind")?;
        let blob: Digest = get_name(row, "document", "blob")?;
        let run: Option<i64> = row.get("run")?;
        Ok(Document {
            id: DocumentId(get_u64(row, "id")?),
            kind: domain::document::DocumentKind::ALL
                .into_iter()
                .find(|known| known.word() == kind)
                .ok_or_else(|| Failure::Row { what: "document", why: format!("`{kind}` is no kind") })?,
            name: get_text(row, "document", "name")?,
            stage: get_name(row, "document", "stage")?,
            visit: row.get("visit")?,
            run: run.map(|run| RunId(run.unsigned_abs())),
            written_at: get_time(row, "written_at")?,
            size: get_u64(row, "size")?,
            blob,
        })
    })
}

/// Freezes or thaws. A freeze that stands keeps its first reason: what came first is what a person must mend.
pub(crate) fn set_freeze(
    sql: &Connection,
    project: &ProjectName,
    reason: Option<&str>,
    actor: &Actor,
    now: Timestamp,
) -> Result<()> {
    match reason {
        Some(reason) => {
            let statement = "INSERT INTO freeze (project, reason, actor, at) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (project) DO NOTHING";
            execute(sql, statement, params![project.as_str(), reason, to_json(actor)?, time(now)])?;
        }
        None => {
            if execute(sql, "DELETE FROM freeze WHERE project = ?1", params![project.as_str()])? == 0 {
                return Ok(());
            }
        }
    }
    let statement = "INSERT INTO freeze_log (project, reason, actor, at) VALUES (?1, ?2, ?3, ?4)";
    execute(sql, statement, params![project.as_str(), reason, to_json(actor)?, time(now)])?;
    let what = if reason.is_some() { Deed::Freeze } else { Deed::Thaw };
    let record = Record {
        project: Some(project.clone()),
        subject: Some(project.to_string()),
        why: reason.unwrap_or_default().to_owned(),
        ..Record::done(actor.clone(), what)
    };
    access::append(sql, &record, now)
}

pub(crate) fn freeze(sql: &Connection, project: &ProjectName) -> Result<Option<String>> {
    let query = "SELECT reason FROM freeze WHERE project = ?1";
    // It stands, whatever its row says.
    let said = |row: &Row<'_>| {
        Ok(get_text(row, "freeze", "reason").unwrap_or_else(|_| "its reason cannot be read".to_owned()))
    };
    one(sql, query, params![project.as_str()], said)
}

pub(crate) fn freeze_log(sql: &Connection, project: &ProjectName, limit: u32) -> Result<Vec<FreezeRow>> {
    let query = "SELECT id, at, actor, reason FROM freeze_log WHERE project = ?1 ORDER BY id DESC LIMIT ?2";
    sound(sql, query, params![project.as_str(), limit], |row| {
        let reason = get_text_or_none(row, "freeze_log", "reason")?;
        Ok(FreezeRow { at: get_time(row, "at")?, actor: actor(row, "actor")?, reason })
    })
}

/// An actor as rows keep it.
pub(crate) fn actor(row: &Row<'_>, column: &str) -> Result<Actor> {
    get_json(row, "actor", column)
}
