//! Tasks and projects as rows, and the one statement that writes a task's position.

use conductor::ports::store::{EntryRow, EventRow, Project, Refusal, StoreError, Thing};
use domain::ids::{BranchName, CommitId, JobId, ProjectName, TaskId, Version, WorkItemId};
use domain::task::Task;
use domain::time::Timestamp;
use rusqlite::{Connection, Row, params};
use serde_json::Value;

use crate::failure::{Failure, Result, not_found, refused};
use crate::ownership;
use crate::row::{
    all, execute, from_json, get_json, get_name, get_readable, get_text, get_text_or_none, get_time, get_u64, int,
    number, one, sound, time, to_json,
};
use crate::writer::Tx;

/// A task's record stays below this, so that reading one never becomes the cost of a step.
pub(crate) const RECORD: usize = 64 * 1024;

pub(crate) fn task(sql: &Connection, id: TaskId) -> Result<Task> {
    let query = "SELECT id, body FROM task WHERE id = ?1";
    one(sql, query, params![int(id.0)], body)?.ok_or_else(|| not_found(Thing::Task, id))
}

pub(crate) fn live_task(sql: &Connection, project: &ProjectName, work_item: &WorkItemId) -> Result<Option<TaskId>> {
    let query = "SELECT id FROM task WHERE project = ?1 AND work_item = ?2 AND terminal = 0";
    Ok(number(sql, query, params![project.as_str(), work_item.as_str()])?.map(TaskId))
}

pub(crate) fn newest_task(sql: &Connection, project: &ProjectName, work_item: &WorkItemId) -> Result<Option<Task>> {
    let query = "SELECT id, body FROM task WHERE project = ?1 AND work_item = ?2 ORDER BY id DESC LIMIT 1";
    one(sql, query, params![project.as_str(), work_item.as_str()], body)
}

/// A task by its record. Its number says which row it is that does not read.
fn body(row: &Row<'_>) -> Result<Task> {
    let id = get_u64(row, "id")?;
    get_json(row, "task", "body").map_err(|failure| match failure {
        Failure::Row { what, why } => Failure::Row { what, why: format!("number {id}: {why}") },
        failure => failure,
    })
}

/// One that does not read is passed over: whoever looks at all of them has the others to look after.
pub(crate) fn tasks(sql: &Connection, live: bool, limit: u32) -> Result<Vec<Task>> {
    // By an index of the live ones: the ended ones become many.
    let living =
        "SELECT id, body FROM task WHERE id IN (SELECT id FROM task WHERE terminal = 0) ORDER BY id DESC LIMIT ?1";
    let every = "SELECT id, body FROM task ORDER BY id DESC LIMIT ?1";
    sound(sql, if live { living } else { every }, params![limit], |row| get_json(row, "task", "body"))
}

/// The row of a task before its first step. Ids are never used again: tasks are never deleted.
pub(crate) fn insert_seed(sql: &Connection, seed: &Task, now: Timestamp) -> Result<()> {
    let statement = "INSERT INTO task
        (id, project, work_item, stage, visit, activity, epoch, version, terminal, body, seed, updated_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?9, ?10)";
    let position = &seed.position;
    let (project, item, stage) = (seed.project.as_str(), seed.work_item.as_str(), position.stage.as_str());
    let (activity, body) = (position.activity.name(), record(seed)?);
    let (id, epoch, version) = (int(seed.id.0), int(seed.epoch.0), int(seed.version.0));
    let row = params![id, project, item, stage, position.visit, activity, epoch, version, body, time(now)];
    execute(sql, statement, row)?;
    Ok(())
}

pub(crate) fn next_id(sql: &Connection) -> Result<TaskId> {
    Ok(TaskId(number(sql, "SELECT MAX(id) FROM task", [])?.unwrap_or(0) + 1))
}

/// Writes where a task stands, with its record. This is the only code that does, and only over the version that was read.
pub(crate) fn write_task(sql: &Connection, read: Version, (task, record): (&Task, &str), now: Timestamp) -> Result<()> {
    let statement =
        "UPDATE task SET stage = ?3, visit = ?4, activity = ?5, epoch = ?6, version = ?7, branch = ?8, head = ?9,
        terminal = ?10, body = ?11, updated_at = ?12 WHERE id = ?1 AND version = ?2";
    let position = &task.position;
    let written = execute(
        sql,
        statement,
        params![
            int(task.id.0),
            int(read.0),
            position.stage.as_str(),
            position.visit,
            position.activity.name(),
            int(task.epoch.0),
            int(task.version.0),
            task.branch.as_ref().map(BranchName::as_str),
            task.head.as_ref().map(CommitId::as_str),
            task.end().is_some(),
            record,
            time(now),
        ],
    )?;
    if written == 1 { Ok(()) } else { Err(refused(Refusal::Changed { task: task.id })) }
}

/// A task's JSON; refused where it outgrows its bound.
pub(crate) fn record(task: &Task) -> Result<String> {
    let body = to_json(task)?;
    if body.len() < RECORD {
        return Ok(body);
    }
    Err(refused(Refusal::TooLarge { task: task.id, bytes: body.len(), most: RECORD }))
}

pub(crate) fn entries(sql: &Connection, id: TaskId) -> Result<Vec<EntryRow>> {
    let query = "SELECT version, ordinal, at, body FROM entry WHERE task = ?1 ORDER BY version, ordinal";
    all(sql, query, params![int(id.0)], |row| {
        Ok(EntryRow {
            version: Version(get_u64(row, "version")?),
            ordinal: row.get("ordinal")?,
            at: get_time(row, "at")?,
            entry: get_json(row, "entry", "body")?,
        })
    })
}

/// The last event that a task was told at or before a time. Whatever stands before it came before it, whatever its clock said.
const LAST: &str = "(SELECT MAX(id) FROM event WHERE task = ?1 AND at <= ?2)";

/// What the task was told, as its rows say: the newest so many, up to a time perhaps.
pub(crate) fn events(sql: &Connection, id: TaskId, at: Option<Timestamp>, limit: u32) -> Result<Vec<EventRow>> {
    let last = if at.is_some() { LAST } else { "?2" };
    let query = format!(
        "SELECT * FROM (SELECT * FROM event WHERE task = ?1 AND id <= {last} ORDER BY id DESC LIMIT ?3) ORDER BY id"
    );
    all(sql, &query, params![int(id.0), at.map_or(i64::MAX, time), limit], |row| {
        let number =
            |name: &str| -> Result<Option<u64>> { Ok(row.get::<_, Option<i64>>(name)?.map(i64::unsigned_abs)) };
        Ok(EventRow {
            id: get_u64(row, "id")?,
            at: get_time(row, "at")?,
            event: get_json(row, "event", "body")?,
            outcome: get_text(row, "event", "outcome")?,
            why: get_text_or_none(row, "event", "why")?,
            version: number("version")?.map(Version),
            job: number("job")?.map(JobId),
        })
    })
}

/// The version that a task had at a time: the last one that an entry was written for, or an event was told, at or before it. A clock
/// that jumped to and fro makes later versions of earlier times, so it is asked for the last, and all before it belong to it.
fn version_at(sql: &Connection, id: TaskId, at: Timestamp) -> Result<Option<Version>> {
    let query = format!(
        "SELECT MAX(version) FROM (SELECT version FROM entry WHERE task = ?1 AND at <= ?2
            UNION ALL SELECT version FROM event WHERE task = ?1 AND id <= {LAST})"
    );
    Ok(number(sql, &query, params![int(id.0), time(at)])?.map(Version))
}

/// Its entries folded up to a time. Nothing is decided anew.
pub(crate) fn task_at(sql: &Connection, id: TaskId, at: Timestamp) -> Result<Option<Task>> {
    let query = "SELECT seed FROM task WHERE id = ?1";
    let mut folded: Task = one(sql, query, params![int(id.0)], |row| get_json(row, "task", "seed"))?
        .ok_or_else(|| not_found(Thing::Task, id))?;
    let Some(version) = version_at(sql, id, at)? else { return Ok(None) };
    for row in entries(sql, id)?.into_iter().take_while(|row| row.version <= version) {
        folded.fold(&row.entry);
    }
    folded.version = version;
    Ok(Some(folded))
}

/// Folds the entries into the seed and compares with the row, column by column and field by field. Nothing is decided anew.
pub(crate) fn rebuild(sql: &Connection, id: TaskId) -> Result<Vec<String>> {
    let query = "SELECT * FROM task WHERE id = ?1";
    let (mut folded, body, columns) = one(sql, query, params![int(id.0)], |row| {
        let seed: Task = get_json(row, "task", "seed")?;
        let body: Value = get_json(row, "task", "body")?;
        let columns: Vec<(&str, Value)> = vec![
            ("stage", get_text(row, "task", "stage")?.into()),
            ("visit", row.get::<_, i64>("visit")?.into()),
            ("activity", get_text(row, "task", "activity")?.into()),
            ("epoch", row.get::<_, i64>("epoch")?.into()),
            ("version", row.get::<_, i64>("version")?.into()),
            ("branch", get_text_or_none(row, "task", "branch")?.into()),
            ("head", get_text_or_none(row, "task", "head")?.into()),
            ("terminal", row.get::<_, bool>("terminal")?.into()),
        ];
        Ok((seed, body, columns))
    })?
    .ok_or_else(|| not_found(Thing::Task, id))?;
    for row in entries(sql, id)? {
        folded.fold(&row.entry);
    }
    // A step without entries is a version all the same: its event says so.
    let last = "SELECT MAX(version) FROM (SELECT version FROM event WHERE task = ?1 UNION ALL SELECT version FROM entry WHERE task = ?1)";
    folded.version = Version(number(sql, last, params![int(id.0)])?.unwrap_or(0));
    let mut differences = compare(&from_json("task", &to_json(&folded)?)?, &with_defaults(body)?);
    let position = &folded.position;
    let expected: Vec<Value> = vec![
        position.stage.as_str().into(),
        position.visit.into(),
        position.activity.name().into(),
        folded.epoch.0.into(),
        folded.version.0.into(),
        folded.branch.as_ref().map(BranchName::as_str).into(),
        folded.head.as_ref().map(CommitId::as_str).into(),
        folded.end().is_some().into(),
    ];
    for ((name, stored), wanted) in columns.iter().zip(&expected) {
        if stored != wanted {
            differences.push(format!("column {name}: the entries make {wanted}, the row says {stored}"));
        }
    }
    differences.extend(ownership::differences(sql, &folded)?);
    Ok(differences)
}

/// A row as this host reads it: one of an earlier host lacks what did not exist then.
fn with_defaults(body: Value) -> Result<Value> {
    let read: Task = from_json("task", &body.to_string())?;
    let mut whole: Value = from_json("task", &to_json(&read)?)?;
    if let (Value::Object(whole), Value::Object(body)) = (&mut whole, body) {
        for (name, value) in body {
            whole.entry(name).or_insert(value);
        }
    }
    Ok(whole)
}

fn compare(folded: &Value, stored: &Value) -> Vec<String> {
    let (Value::Object(folded), Value::Object(stored)) = (folded, stored) else {
        return vec!["the row is no record".to_owned()];
    };
    let names = folded.keys().chain(stored.keys().filter(|name| !folded.contains_key(*name)));
    names
        .filter(|name| folded.get(*name) != stored.get(*name))
        .map(|name| {
            let show = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
            format!("{name}: the entries make {}, the row says {}", show(folded.get(name)), show(stored.get(name)))
        })
        .collect()
}

/// All but those that do not read: the others go on without them.
pub(crate) fn projects(sql: &Connection) -> Result<Vec<Project>> {
    sound(sql, "SELECT * FROM project ORDER BY name", [], read_project)
}

pub(crate) fn project(sql: &Connection, name: &ProjectName) -> Result<Option<Project>> {
    one(sql, "SELECT * FROM project WHERE name = ?1", params![name.as_str()], read_project)
}

fn read_project(row: &Row<'_>) -> Result<Project> {
    let name = get_readable(row, "name")?.unwrap_or_default();
    let read = || -> Result<Project> {
        Ok(Project {
            name: get_name(row, "project", "name")?,
            prefix: get_text(row, "project", "prefix")?,
            base_branch: get_name(row, "project", "base_branch")?,
            pipeline: get_json(row, "project", "pipeline")?,
            serial: row.get("serial")?,
            observe: row.get("observe")?,
        })
    };
    // Its name says which one it is, for it has no number.
    read().map_err(|failure| match failure {
        Failure::Row { what, why } => Failure::Row { what, why: format!("`{name}`: {why}") },
        failure => failure,
    })
}

/// Writes a project; whether a pipeline was replaced by another one.
/// The pipeline before, where it was another one; as text, for an older host may have kept what this one would refuse.
pub(crate) fn write_project(tx: &Tx<'_>, project: &Project, now: Timestamp) -> Result<Option<String>> {
    let query = "SELECT digest, pipeline FROM project WHERE name = ?1";
    let before: Option<(String, String)> = one(tx.sql, query, params![project.name.as_str()], |row| {
        // What stands there is written over, whether it reads or not.
        let text = |column| Ok::<_, Failure>(get_readable(row, column)?.unwrap_or_default());
        Ok((text("digest")?, text("pipeline")?))
    })?;
    let statement =
        "INSERT INTO project (name, prefix, base_branch, pipeline, digest, updated_at, serial, observe)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        ON CONFLICT (name) DO UPDATE SET prefix = excluded.prefix, base_branch = excluded.base_branch,
        pipeline = excluded.pipeline, digest = excluded.digest, updated_at = excluded.updated_at, serial = excluded.serial,
        observe = excluded.observe";
    let digest = project.pipeline.digest().as_str();
    let (name, branch) = (project.name.as_str(), project.base_branch.as_str());
    let pipeline = to_json(&project.pipeline)?;
    let row = params![name, project.prefix, branch, pipeline, digest, time(now), project.serial, project.observe];
    execute(tx.sql, statement, row)?;
    Ok(before.filter(|(before, _)| before != digest).map(|(_, pipeline)| pipeline))
}

/// Does a task that begins now begin as an observed one?
pub(crate) fn is_observed(sql: &Connection, project: &ProjectName) -> Result<bool> {
    let query = "SELECT observe FROM project WHERE name = ?1";
    // What cannot be read is not acted on.
    Ok(one(sql, query, params![project.as_str()], |row| Ok(row.get("observe")?))?.unwrap_or(true))
}

/// The row of a project, for what may happen only within one.
pub(crate) fn project_row(sql: &Connection, name: &ProjectName) -> Result<(String, String)> {
    let query = "SELECT prefix, base_branch FROM project WHERE name = ?1";
    one(sql, query, params![name.as_str()], |row| {
        Ok((get_text(row, "project", "prefix")?, get_text(row, "project", "base_branch")?))
    })?
    .ok_or_else(|| Failure::Told(StoreError::NotFound { what: Thing::Project, id: name.to_string() }))
}
