//! The queue as people see it: what waits, and why. Of several reasons the first is told; `WaitReason` says in which order.

use std::sync::LazyLock;

use conductor::ports::store::{ClaimLimits, JobRow, Predecessor, Unmet, WaitReason};
use conductor::slots::Slots;
use domain::effect::JobClass;
use domain::ids::{JobId, TaskId};
use domain::time::Timestamp;
use rusqlite::{Connection, Params, Row, named_params};

use crate::claim::{CRAMPED, CROWDED, DRIVEN, LEASED, OUT_OF_TURN};
use crate::failure::{Failure, Result};
use crate::ownership::{BEHIND, DEPENDENT, EARLIEST, FROZEN, PREREQUISITE};
use crate::row::{all, get_name, get_time, get_u64, number, time, to_json};
use crate::slots;

/// The same conditions as the claim's, so that what people read is what holds the job. Closed jobs become many: the live ones
/// are found by index.
static JOBS: LazyLock<String> = LazyLock::new(|| {
    listed(
        "SELECT j.id AS id, (j.state IN ('queued', 'claimed') OR j.winding) AS live FROM job j
            WHERE j.id IN (SELECT id FROM job WHERE state IN ('queued', 'claimed')
                UNION SELECT id FROM job WHERE state = 'claimed' OR winding = 1
                UNION SELECT id FROM (SELECT id FROM job ORDER BY id DESC LIMIT :limit))
            ORDER BY live DESC, j.id DESC LIMIT :limit",
    )
});
/// The same of some tasks, however many others wait.
static JOBS_OF: LazyLock<String> = LazyLock::new(|| {
    listed(
        "SELECT j.id AS id, 1 AS live FROM job j
            WHERE j.task IN (SELECT value FROM json_each(:tasks)) AND (j.state IN ('queued', 'claimed') OR j.winding = 1)",
    )
});

/// Jobs with the reasons why they wait, the live ones first. `which` says of which jobs: of no others is it asked.
fn listed(which: &str) -> String {
    let leased = &*LEASED;
    format!(
        "WITH chosen AS MATERIALIZED ({which}),
        listed AS (SELECT j.*, c.live AS live, t.project AS project,
            CASE WHEN j.state <> 'queued' THEN NULL WHEN {FROZEN} THEN 'freeze'
            WHEN {DEPENDENT} THEN 'dependency' WHEN {BEHIND} THEN 'active-task' WHEN {leased} THEN 'lease'
            WHEN {CRAMPED} THEN 'space' WHEN {CROWDED} THEN 'slot' WHEN j.available_at > :now THEN 'time' END AS reason
        FROM chosen c CROSS JOIN job j ON j.id = c.id CROSS JOIN task t ON t.id = j.task)
        SELECT l.*, b.id AS before, b.work_item AS before_item, b.terminal AS before_ended
        FROM listed l JOIN task t ON t.id = l.task LEFT JOIN task b
            ON b.id = CASE l.reason WHEN 'dependency' THEN {PREREQUISITE} WHEN 'active-task' THEN {EARLIEST} END
        ORDER BY l.live DESC, l.id DESC"
    )
}

pub(crate) fn jobs(sql: &Connection, limits: &ClaimLimits, now: Timestamp, limit: u32) -> Result<Vec<JobRow>> {
    let conditions = named_params! {
        ":now": time(now), ":may_launch": limits.may_launch, ":runs": limits.runs, ":limit": limit,
    };
    read(sql, &JOBS, conditions, limits, now)
}

pub(crate) fn jobs_of(sql: &Connection, tasks: &[TaskId], limits: &ClaimLimits, now: Timestamp) -> Result<Vec<JobRow>> {
    let conditions = named_params! {
        ":now": time(now), ":may_launch": limits.may_launch, ":runs": limits.runs, ":tasks": to_json(&tasks)?,
    };
    read(sql, &JOBS_OF, conditions, limits, now)
}

fn read(
    sql: &Connection,
    query: &str,
    conditions: impl Params,
    limits: &ClaimLimits,
    now: Timestamp,
) -> Result<Vec<JobRow>> {
    let mut slots = None;
    all(sql, query, conditions, |row| {
        let claimed_at: Option<i64> = row.get("claimed_at")?;
        let (reason, note) = waits_for(sql, row, limits, &mut slots, now)?;
        Ok(JobRow {
            id: JobId(get_u64(row, "id")?),
            task: TaskId(get_u64(row, "task")?),
            effect: row.get("effect")?,
            class: class(row.get_ref("class")?.as_str().unwrap_or_default())?,
            state: row.get("state")?,
            attempts: row.get("attempts")?,
            available_at: get_time(row, "available_at")?,
            claimed_at: claimed_at.map(|at| Timestamp(at.unsigned_abs())),
            reason,
            note,
        })
    })
}

/// The first reason that counts: `freeze > dependency > active-task > lease > space > program > slot > breaker > time`.
fn waits_for<'a>(
    sql: &Connection,
    row: &Row<'_>,
    limits: &'a ClaimLimits,
    slots: &mut Option<Slots<'a>>,
    now: Timestamp,
) -> Result<(Option<WaitReason>, Option<String>)> {
    let own = reason(row)?;
    let is_queued = row.get_ref("state")?.as_str() == Ok("queued");
    if !is_queued || !matches!(own, None | Some(WaitReason::Slot | WaitReason::Time)) {
        return Ok((own, None));
    }
    let refusal = slots::refusal(sql, row, limits, slots, now)?;
    match refusal.filter(|refusal| own != Some(WaitReason::Slot) || refusal.reason() == WaitReason::Program) {
        Some(refusal) => Ok((Some(refusal.reason()), Some(refusal.why().to_owned()))),
        // What was given back says why itself.
        None if own == Some(WaitReason::Time) => Ok((own, row.get("why")?)),
        None => Ok((own, None)),
    }
}

fn class(word: &str) -> Result<JobClass> {
    match word {
        "drive" => Ok(JobClass::Drive),
        "aftermath" => Ok(JobClass::Aftermath),
        _ => Err(Failure::Row { what: "job", why: format!("`{word}` is no class") }),
    }
}

fn reason(row: &Row<'_>) -> Result<Option<WaitReason>> {
    let word: Option<String> = row.get("reason")?;
    Ok(match word.as_deref() {
        None => None,
        Some("freeze") => Some(WaitReason::Freeze),
        Some("dependency") => {
            let was_stopped: bool = row.get("before_ended")?;
            let prerequisite = if was_stopped { Unmet::Cancelled } else { Unmet::Unfinished };
            Some(WaitReason::Dependency { waits_for: before(row)?, prerequisite })
        }
        Some("active-task") => Some(WaitReason::ActiveTask { waits_for: before(row)? }),
        Some("lease") => Some(WaitReason::Lease),
        Some("space") => Some(WaitReason::Space),
        Some("slot") => Some(WaitReason::Slot),
        Some(_) => Some(WaitReason::Time),
    })
}

fn before(row: &Row<'_>) -> Result<Predecessor> {
    Ok(Predecessor { task: TaskId(get_u64(row, "before")?), work_item: get_name(row, "task", "before_item")? })
}

/// Only a commit lets go of what a freeze, a lease, another task or an earlier job holds, and each commit is news anyway: time matters to
/// the others.
pub(crate) static NEXT: LazyLock<String> = LazyLock::new(|| {
    let leased = &*LEASED;
    format!(
        "SELECT j.available_at FROM job j JOIN task t ON t.id = j.task
        WHERE j.state = 'queued' AND j.available_at > ?1 AND NOT {FROZEN} AND NOT {DRIVEN} AND NOT {OUT_OF_TURN} AND NOT {leased}
            AND NOT {DEPENDENT} AND NOT {BEHIND}
        ORDER BY j.available_at LIMIT 1"
    )
});

/// When the next job becomes available that is not yet: what is due already waits for a slot, and no clock brings that.
pub(crate) fn next_available(sql: &Connection, now: Timestamp) -> Result<Option<Timestamp>> {
    Ok(number(sql, &NEXT, [now.0 as i64])?.map(Timestamp))
}
