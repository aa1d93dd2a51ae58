//! How a claimed job ends: done, given back, reaped, or cancelled under its owner's hands. The token fences each way.

use conductor::ports::store::{Applied, Completion, Incarnation, NewEvaluation, RunRow};
use domain::effect::{Effect, run_of};
use domain::event::{Answer, Event, FailureClass, RunOutcome, Spent};
use domain::ids::{FenceToken, JobId, TaskId};
use domain::time::Timestamp;
use rusqlite::{Connection, params};

use crate::failure::Result;
use crate::row::{all, execute, get_json, get_readable, get_u64, int, number, read_or_none, time};
use crate::transact::{self, Origin};
use crate::writer::Tx;
use crate::{jobs, records, slots, tasks, wakes};

/// A completion that outlives its caller's borrows.
pub(crate) struct Ending {
    pub(crate) job: JobId,
    pub(crate) token: FenceToken,
    pub(crate) event: Event,
    pub(crate) wakes: u64,
    pub(crate) evaluation: Option<NewEvaluation>,
    pub(crate) run: Option<RunRow>,
}

impl From<Completion<'_>> for Ending {
    fn from(completion: Completion<'_>) -> Self {
        Self {
            job: completion.job,
            token: completion.token,
            event: completion.event,
            wakes: completion.wakes,
            evaluation: completion.evaluation.cloned(),
            run: completion.run.cloned(),
        }
    }
}

/// Closes the job and steps its task. Where the job was cancelled meanwhile, the engine sees by the epoch that this is late.
pub(crate) fn complete(tx: &Tx<'_>, ending: &Ending, now: Timestamp) -> Result<Applied> {
    let job = jobs::held(tx.sql, ending.job, ending.token)?;
    if let Some(run) = &ending.run {
        records::put_run(tx, run)?;
    }
    jobs::close(tx.sql, job.id, now)?;
    let evaluation =
        ending.evaluation.as_ref().map(|evaluation| records::put_evaluation(tx, evaluation)).transpose()?;
    let mut event = ending.event.clone();
    if let Event::StepAnswered { answer, facts, woken, .. } = &mut event {
        facts.evaluation = evaluation.or(facts.evaluation);
        if matches!(answer, Answer::Wait { .. }) {
            *woken = wakes::counted(tx.sql, &tasks::task(tx.sql, job.task)?)? > ending.wakes;
        }
    }
    if let Event::RunEnded { outcome, .. } = &event {
        slots::heard(tx.sql, job.id, outcome, now)?;
    }
    transact::apply(tx, job.task, &event, Origin { job: Some(job.id), delivery: None }, now)
}

/// The job is on the point of acting outside. A cancelled one may not begin any more.
pub(crate) fn attempted(tx: &Tx<'_>, job: JobId, token: FenceToken) -> Result<()> {
    if jobs::fenced(tx.sql, job, token)? {
        return Err(jobs::stale(job));
    }
    execute(tx.sql, "UPDATE job SET attempted = 1 WHERE id = ?1", params![int(job.0)])?;
    Ok(())
}

/// The attempt began nothing after all.
pub(crate) fn unattempted(tx: &Tx<'_>, job: JobId, token: FenceToken) -> Result<()> {
    jobs::fenced(tx.sql, job, token)?;
    execute(tx.sql, "UPDATE job SET attempted = 0 WHERE id = ?1", params![int(job.0)])?;
    Ok(())
}

const REQUEUE: &str = "state = 'queued', owner = NULL, owner_uuid = NULL, host = NULL, pid = NULL, started_at = NULL,
    claimed_at = NULL";

/// Gives the job back for later; a cancelled one has no later.
pub(crate) fn give_back(tx: &Tx<'_>, job: JobId, token: FenceToken, at: Timestamp, why: &str) -> Result<()> {
    if jobs::fenced(tx.sql, job, token)? {
        let closed = "UPDATE job SET winding = 0, owner = NULL, owner_uuid = NULL, host = NULL WHERE id = ?1";
        execute(tx.sql, closed, params![int(job.0)])?;
        return Ok(());
    }
    let statement = format!("UPDATE job SET {REQUEUE}, available_at = ?2, why = ?3 WHERE id = ?1");
    execute(tx.sql, &statement, params![int(job.0), time(at), why])?;
    Ok(())
}

/// Says for which budget the job's run is being ended. Who lost the job, or whose run has ended, says nothing.
pub(crate) fn put_over_budget(tx: &Tx<'_>, job: JobId, token: FenceToken, why: &str) -> Result<()> {
    if jobs::fenced(tx.sql, job, token)? {
        return Err(jobs::stale(job));
    }
    let mut run = records::run(tx.sql, run_of(job))?;
    if run.ended_at.is_some() {
        return Ok(());
    }
    run.over_budget.get_or_insert_with(|| why.to_owned());
    records::put_run(tx, &run)
}

/// A claimed or winding job, by whom it is held.
pub(crate) struct Owned {
    job: i64,
    token: i64,
    pub(crate) owner: Incarnation,
}

/// Who has jobs. An owner that does not read is known by what stands beside it, as far as that reads: it is nobody who lives.
pub(crate) fn owned(sql: &Connection) -> Result<Vec<Owned>> {
    let query = "SELECT id, token, owner, owner_uuid, host FROM job
        WHERE owner IS NOT NULL AND (state = 'claimed' OR winding = 1)";
    all(sql, query, [], |row| {
        let (job, token) = (row.get("id")?, row.get("token")?);
        let owner = match read_or_none(get_json(row, "job", "owner"), || Some(job))? {
            Some(owner) => owner,
            None => Incarnation {
                host: get_readable(row, "host")?.unwrap_or_default(),
                boot_id: String::new(),
                pid: 0,
                start_time: 0,
                uuid: get_readable(row, "owner_uuid")?.unwrap_or_default(),
            },
        };
        Ok(Owned { job, token, owner })
    })
}

/// Takes the jobs of owners that are gone. A cancelled one is nobody's then: whoever asks next must end its run.
pub(crate) fn reap(tx: &Tx<'_>, gone: &[Owned]) -> Result<u32> {
    let mut queued = 0;
    for Owned { job, token, .. } in gone {
        let orphaned = "UPDATE job SET owner = NULL, owner_uuid = NULL, host = NULL, token = token + 1
            WHERE id = ?1 AND token = ?2 AND winding = 1";
        execute(tx.sql, orphaned, params![job, token])?;
        // What was begun comes first: its run may live, and holds its place already. See `jobs::cancel_drive`.
        let statement = format!(
            "UPDATE job SET {REQUEUE}, available_at = CASE attempted WHEN 1 THEN 0 ELSE available_at END
            WHERE id = ?1 AND token = ?2 AND state = 'claimed'"
        );
        queued += execute(tx.sql, &statement, params![job, token])?;
    }
    Ok(u32::try_from(queued).unwrap_or(u32::MAX))
}

pub(crate) fn cancelled_claims(sql: &Connection, owner: &Incarnation) -> Result<Vec<(JobId, FenceToken)>> {
    let query = "SELECT id, token FROM job WHERE winding = 1 AND (owner_uuid = ?1 OR owner_uuid IS NULL) ORDER BY id";
    all(sql, query, params![owner.uuid], |row| Ok((JobId(get_u64(row, "id")?), FenceToken(get_u64(row, "token")?))))
}

/// Closes a cancelled job after its run ended. What it cost is the task's cost all the same.
pub(crate) fn close_cancelled(
    tx: &Tx<'_>,
    id: JobId,
    token: FenceToken,
    spent: Option<Spent>,
    now: Timestamp,
) -> Result<()> {
    let closed = "SELECT 1 FROM job WHERE id = ?1 AND token = ?2 AND state = 'cancelled' AND winding = 0";
    if number(tx.sql, closed, params![int(id.0), int(token.0)])?.is_some() {
        return Ok(());
    }
    if !jobs::fenced(tx.sql, id, token)? {
        return Err(jobs::stale(id));
    }
    // Where the job does not read, nobody knows whose cost it is; its place is free all the same.
    let job = match spent {
        Some(_) => read_or_none(jobs::held(tx.sql, id, token), || Some(int(id.0)))?,
        None => None,
    };
    jobs::close(tx.sql, id, now)?;
    if let Some(job) = job {
        let outcome = RunOutcome::Undelivered {
            cause: "cancelled".to_owned(),
            retry_after: None,
            class: FailureClass::Permanent,
        };
        let role = match job.effect {
            Effect::Launch { role, .. } => Some(role),
            _ => None,
        };
        let event = Event::RunEnded { epoch: job.epoch, run: run_of(id), outcome, spent, role };
        transact::apply(tx, job.task, &event, Origin { job: Some(id), delivery: None }, now)?;
    }
    Ok(())
}

pub(crate) fn claimed_jobs(sql: &Connection, task: TaskId) -> Result<Vec<JobId>> {
    let query = "SELECT id FROM job WHERE task = ?1
        AND ((state = 'claimed' AND (class = 'drive' OR effect = 'tidy')) OR winding = 1) ORDER BY id";
    all(sql, query, params![int(task.0)], |row| Ok(JobId(get_u64(row, "id")?)))
}
