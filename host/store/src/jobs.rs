//! Jobs: persisted effects. Each is unique under `(task, version, ordinal)`.

use domain::effect::{Effect, Job, JobClass, Wanted};
use domain::ids::{Epoch, FenceToken, InvalidId, JobId, LeaseName, TaskId, Version};
use domain::task::Task;
use domain::time::Timestamp;
use rusqlite::{Connection, Row, params};

use conductor::ports::store::{StoreError, Thing};
use conductor::slots::Seat;

use crate::failure::{Failure, Result, not_found};
use crate::row::{execute, get_json, get_text_or_none, get_u64, int, one, time, to_json};
use crate::slots;

/// What ends something, or costs nothing, does not stand behind what takes hours.
const fn priority(effect: &Effect) -> i64 {
    match effect {
        Effect::CleanUp => 2,
        Effect::Timer => 1,
        _ => 0,
    }
}

pub(crate) const fn class_word(class: JobClass) -> &'static str {
    match class {
        JobClass::Drive => "drive",
        JobClass::Aftermath => "aftermath",
    }
}

pub(crate) fn insert(sql: &Connection, task: &Task, ordinal: usize, wanted: &Wanted) -> Result<()> {
    let statement = "INSERT INTO job
        (task, version, ordinal, epoch, class, effect, body, lease, slot, priority, state, available_at, place)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 'queued', ?11, ?12)";
    let effect = &wanted.effect;
    let lease = wanted.lease.as_ref().map(LeaseName::as_str);
    let (id, version, epoch) = (int(task.id.0), int(task.version.0), int(task.epoch.0));
    let (class, name, body) = (class_word(effect.class()), effect.name(), to_json(effect)?);
    // Whatever launches something holds a run's slot while it is performed. For an observed task nothing ever is launched.
    let place = Seat::of(effect).filter(|_| !task.observed).map(|seat| slots::place(&task.project, seat));
    let (slot, priority, at) = (place.is_some(), priority(effect), time(wanted.available_at));
    let ordinal = int(ordinal as u64);
    execute(sql, statement, params![id, version, ordinal, epoch, class, name, body, lease, slot, priority, at, place])?;
    Ok(())
}

/// Of a queued job: it may have a run that lives, or that nobody has counted. A dead owner began it and nobody took it up yet (only
/// then is it available since ever), or its run began and its end waits to be taken over.
const BEGUN: &str = "(attempted = 1
    AND (available_at = 0 OR EXISTS (SELECT 1 FROM run r WHERE r.id = job.id AND r.ended_at IS NULL)))";

/// The task left its activity. What is claimed keeps its owner until its run has ended. What was begun, and is nobody's now, is
/// under a token that nobody has, until somebody ended its run and counted what that cost.
pub(crate) fn cancel_drive(sql: &Connection, task: TaskId, now: Timestamp) -> Result<()> {
    let statement = format!(
        "UPDATE job SET state = 'cancelled', winding = (state = 'claimed' OR {BEGUN}),
            token = token + (state = 'queued' AND {BEGUN}), closed_at = ?2
        WHERE task = ?1 AND class = 'drive' AND state IN ('queued', 'claimed')"
    );
    execute(sql, &statement, params![int(task.0), time(now)])?;
    Ok(())
}

/// A job as a host performs it. `attempt` counts the claim that is being made or was made.
pub(crate) fn read(row: &Row<'_>) -> Result<Job> {
    let lease = get_text_or_none(row, "job", "lease")?;
    Ok(Job {
        id: JobId(get_u64(row, "id")?),
        task: TaskId(get_u64(row, "task")?),
        version: Version(get_u64(row, "version")?),
        ordinal: row.get("ordinal")?,
        epoch: Epoch(get_u64(row, "epoch")?),
        effect: get_json(row, "job", "body")?,
        attempt: row.get("attempts")?,
        attempted_before: row.get("attempted")?,
        lease: lease.map(LeaseName::new).transpose().map_err(unreadable)?,
    })
}

fn unreadable(error: InvalidId) -> Failure {
    Failure::Row { what: "job", why: error.to_string() }
}

/// The job, if the token is still the one that counts; cancelled ones are held until they are closed.
pub(crate) fn held(sql: &Connection, id: JobId, token: FenceToken) -> Result<Job> {
    fenced(sql, id, token)?;
    one(sql, "SELECT * FROM job WHERE id = ?1", params![int(id.0)], read)?.ok_or_else(|| not_found(Thing::Job, id))
}

/// Refused where the token is not the one that counts; whether the job was cancelled. It asks nothing of what the job is, so that
/// one whose record was damaged after its claim can be given back.
pub(crate) fn fenced(sql: &Connection, id: JobId, token: FenceToken) -> Result<bool> {
    let query = "SELECT state, winding, token FROM job WHERE id = ?1";
    let (winding, live, fence) = one(sql, query, params![int(id.0)], |row| {
        let winding: bool = row.get("winding")?;
        let live = winding || row.get_ref("state")?.as_str() == Ok("claimed");
        Ok((winding, live, get_u64(row, "token")?))
    })?
    .ok_or_else(|| not_found(Thing::Job, id))?;
    if live && fence == token.0 { Ok(winding) } else { Err(stale(id)) }
}

pub(crate) fn stale(job: JobId) -> Failure {
    Failure::Told(StoreError::Stale { job })
}

/// Ends a held job: `done`, or for good `cancelled`.
pub(crate) fn close(sql: &Connection, id: JobId, now: Timestamp) -> Result<()> {
    let statement = "UPDATE job SET state = CASE WHEN winding THEN state ELSE 'done' END, winding = 0,
        owner = NULL, owner_uuid = NULL, host = NULL, closed_at = ?2 WHERE id = ?1";
    execute(sql, statement, params![int(id.0), time(now)])?;
    Ok(())
}
