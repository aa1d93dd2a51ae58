//! What is counted of the rows. Each query is answered by an index that holds all that it asks for, so that a scrape of a large
//! database reads no bodies.

use conductor::ports::store::{Counts, DeliveryCount, JobCounts, PollRow, QueueCount, RunRow, StoreError, TaskCount};
use domain::time::Timestamp;
use rusqlite::{Connection, params};

use crate::claim::HELD;
use crate::failure::Result;
use crate::row::{get_json, get_name, get_text, get_time, get_u64, number, one, sound, time};
use crate::sqlite::SqliteStore;

type Told<T> = std::result::Result<T, StoreError>;

impl Counts for SqliteStore {
    fn count_tasks(&self) -> Told<Vec<TaskCount>> {
        self.read(tasks)
    }

    fn count_jobs(&self, now: Timestamp) -> Told<JobCounts> {
        self.read(|sql| jobs(sql, now))
    }

    fn count_queue(&self, now: Timestamp) -> Told<Vec<QueueCount>> {
        self.read(|sql| queue(sql, now))
    }

    fn count_deliveries(&self) -> Told<Vec<DeliveryCount>> {
        self.read(deliveries)
    }

    fn count_needs(&self) -> Told<u64> {
        self.read(needs)
    }

    fn polls(&self) -> Told<Vec<PollRow>> {
        self.read(polls)
    }

    fn living_runs(&self, limit: u32) -> Told<Vec<RunRow>> {
        self.read(|sql| living_runs(sql, limit))
    }
}

fn tasks(sql: &Connection) -> Result<Vec<TaskCount>> {
    let query = "SELECT project, terminal, stage, activity, COUNT(*) AS count FROM task
        GROUP BY project, terminal, stage, activity";
    sound(sql, query, [], |row| {
        Ok(TaskCount {
            project: get_name(row, "task", "project")?,
            stage: get_name(row, "task", "stage")?,
            activity: get_text(row, "task", "activity")?,
            ended: row.get("terminal")?,
            count: get_u64(row, "count")?,
        })
    })
}

/// The ended ones become many, so only the live ones are looked at; those that were cancelled are counted by their own index.
fn jobs(sql: &Connection, now: Timestamp) -> Result<JobCounts> {
    let live = "SELECT COUNT(*) FILTER (WHERE state = 'queued') AS queued,
            COUNT(*) FILTER (WHERE state = 'claimed') AS claimed,
            COUNT(*) FILTER (WHERE state = 'queued' AND attempts > 0) AS retrying, MAX(attempts) AS attempts_max
        FROM job WHERE id IN (SELECT id FROM job WHERE state IN ('queued', 'claimed'))";
    let mut counts = one(sql, live, [], |row| {
        let attempts: Option<u64> = row.get::<_, Option<i64>>("attempts_max")?.map(i64::unsigned_abs);
        Ok(JobCounts {
            queued: get_u64(row, "queued")?,
            claimed: get_u64(row, "claimed")?,
            retrying: get_u64(row, "retrying")?,
            attempts_max: attempts.unwrap_or(0),
            ..JobCounts::default()
        })
    })?
    .unwrap_or_default();
    let due = format!(
        "SELECT j.available_at FROM job j JOIN task t ON t.id = j.task
        WHERE j.state = 'queued' AND j.available_at > 0 AND j.available_at <= ?1 AND NOT {} ORDER BY j.available_at LIMIT 1",
        *HELD
    );
    counts.due_since = number(sql, &due, params![time(now)])?.map(Timestamp);
    let count = |query: &str| Ok::<_, crate::failure::Failure>(number(sql, query, [])?.unwrap_or(0));
    counts.cancelled = count("SELECT COUNT(*) FROM job WHERE state = 'cancelled'")?;
    let all = count("SELECT COUNT(*) FROM job")?;
    counts.done = all.saturating_sub(counts.queued + counts.claimed + counts.cancelled);
    counts.winding = count("SELECT COUNT(*) FROM job WHERE (state = 'claimed' OR winding = 1) AND state <> 'claimed'")?;
    Ok(counts)
}

/// Of each job that waits one look at the head of its task's row.
fn queue(sql: &Connection, now: Timestamp) -> Result<Vec<QueueCount>> {
    let query = format!(
        "SELECT t.stage AS stage, j.effect AS effect, COUNT(*) AS queued,
            MIN(j.available_at) FILTER (WHERE j.available_at > 0 AND j.available_at <= ?1 AND NOT {}) AS due_since
        FROM job j JOIN task t ON t.id = j.task WHERE j.id IN (SELECT id FROM job WHERE state = 'queued')
        GROUP BY t.stage, j.effect",
        *HELD
    );
    sound(sql, &query, params![time(now)], |row| {
        let due: Option<i64> = row.get("due_since")?;
        Ok(QueueCount {
            stage: get_name(row, "task", "stage")?,
            effect: get_text(row, "job", "effect")?,
            queued: get_u64(row, "queued")?,
            due_since: due.map(|at| Timestamp(at.unsigned_abs())),
        })
    })
}

fn deliveries(sql: &Connection) -> Result<Vec<DeliveryCount>> {
    let query = "SELECT source, SUM(pending) AS pending, SUM(parked) AS parked FROM (
            SELECT source, COUNT(*) AS pending, 0 AS parked FROM delivery
                WHERE state = 'pending' AND state <> 'expanded' GROUP BY source
            UNION ALL SELECT source, 0, COUNT(*) FROM delivery
                WHERE state = 'parked' AND state <> 'expanded' GROUP BY source)
        GROUP BY source ORDER BY source";
    sound(sql, query, [], |row| {
        Ok(DeliveryCount {
            source: get_text(row, "delivery", "source")?,
            pending: get_u64(row, "pending")?,
            parked: get_u64(row, "parked")?,
        })
    })
}

fn needs(sql: &Connection) -> Result<u64> {
    Ok(number(sql, "SELECT COUNT(*) FROM dependency WHERE met = 0", [])?.unwrap_or(0))
}

fn polls(sql: &Connection) -> Result<Vec<PollRow>> {
    sound(sql, "SELECT project, source, at FROM poll ORDER BY project, source", [], |row| {
        let project = get_name(row, "poll", "project")?;
        Ok(PollRow { project, source: get_text(row, "poll", "source")?, at: get_time(row, "at")? })
    })
}

fn living_runs(sql: &Connection, limit: u32) -> Result<Vec<RunRow>> {
    let query = "SELECT id, body FROM run WHERE ended_at IS NULL ORDER BY id DESC LIMIT ?1";
    sound(sql, query, params![limit], |row| get_json(row, "run", "body"))
}
