//! The queue as people see it: what waits, and why. Of several reasons the first is told; `WaitReason` says in which order.

use std::sync::LazyLock;

use conductor::ports::store::{ClaimLimits, JobRow, Predecessor, StoreError, Unmet, WaitReason};
use conductor::slots::{Refusal, Slots};
use domain::effect::JobClass;
use domain::ids::{JobId, TaskId};
use domain::time::Timestamp;
use rusqlite::{Connection, Params, Row, named_params};

use crate::claim::{CRAMPED, CROWDED, DRIVEN, LEASED, OUT_OF_TURN};
use crate::failure::{Failure, Result};
use crate::ownership::{BEHIND, DEPENDENT, EARLIEST, FROZEN, PREREQUISITE};
use crate::row::{all, get_name, get_readable, get_time, get_u64, number, time, to_json};
use crate::slots;

/// The same conditions as the claim's, so that what people read is what holds the job. Closed jobs become many: the live ones
/// are found by index.
static JOBS: LazyLock<String> = LazyLock::new(|| {
    listed(
        "SELECT j.id AS id, CASE WHEN j.state = 'claimed' THEN 2 ELSE j.state = 'queued' OR j.winding END AS live FROM job j
            WHERE j.id IN (SELECT id FROM job WHERE state IN ('queued', 'claimed')
                UNION SELECT id FROM job WHERE state = 'claimed' OR winding = 1
                UNION SELECT id FROM (SELECT id FROM job ORDER BY id DESC LIMIT :limit))
            ORDER BY live DESC, CASE WHEN live THEN j.id ELSE -j.id END LIMIT :limit",
    )
});
/// The same of some tasks, however many others wait.
static JOBS_OF: LazyLock<String> = LazyLock::new(|| {
    listed(
        "SELECT j.id AS id, 1 AS live FROM job j
            WHERE j.task IN (SELECT value FROM json_each(:tasks)) AND (j.state IN ('queued', 'claimed') OR j.winding = 1)",
    )
});

/// The claim set it aside, for what it needs does not read: its own record or its task's.
const DAMAGED: &str = "(t.id IS NULL OR (j.aside = 1 AND j.why LIKE 'a row of `%` does not read: %'))";

/// Jobs with the reasons why they wait: those that are performed, then those that wait, the oldest first, then the newest of the
/// others. `which` says of which jobs: of no others is it asked.
fn listed(which: &str) -> String {
    let leased = &*LEASED;
    format!(
        "WITH chosen AS MATERIALIZED ({which}),
        listed AS (SELECT j.*, c.live AS live, t.project AS project,
            CASE WHEN j.state <> 'queued' THEN NULL WHEN {FROZEN} THEN 'freeze'
            WHEN {DEPENDENT} THEN 'dependency' WHEN {BEHIND} THEN 'active-task' WHEN {leased} THEN 'lease'
            WHEN {CRAMPED} THEN 'space' WHEN {CROWDED} THEN 'slot' WHEN j.available_at > :now THEN 'time'
            WHEN {DRIVEN} OR {OUT_OF_TURN} THEN 'turn' WHEN {DAMAGED} THEN 'damaged' END AS reason
        FROM chosen c CROSS JOIN job j ON j.id = c.id LEFT JOIN task t ON t.id = j.task)
        SELECT l.*, b.id AS before, b.work_item AS before_item, b.terminal AS before_ended
        FROM listed l LEFT JOIN task t ON t.id = l.task LEFT JOIN task b
            ON b.id = CASE l.reason WHEN 'dependency' THEN {PREREQUISITE} WHEN 'active-task' THEN {EARLIEST} END
        ORDER BY l.live DESC, CASE WHEN l.live THEN l.id ELSE -l.id END"
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

/// Nothing is passed over: of a row that does not read whole, what can be read is listed.
fn read(
    sql: &Connection,
    query: &str,
    conditions: impl Params,
    limits: &ClaimLimits,
    now: Timestamp,
) -> Result<Vec<JobRow>> {
    let mut places = Places { limits, slots: None };
    all(sql, query, conditions, |row| {
        let claimed_at: Option<i64> = row.get("claimed_at")?;
        let state = get_readable(row, "state")?.unwrap_or_default();
        let Waits { reason, note, refusal } =
            if state == "queued" { waits_for(sql, row, &mut places, now)? } else { Waits::default() };
        Ok(JobRow {
            id: JobId(get_u64(row, "id")?),
            task: TaskId(get_u64(row, "task")?),
            effect: get_readable(row, "effect")?.unwrap_or_default(),
            // The table knows no third one.
            class: if row.get_ref("class")?.as_str() == Ok("drive") { JobClass::Drive } else { JobClass::Aftermath },
            state,
            attempts: row.get("attempts")?,
            available_at: get_time(row, "available_at")?,
            claimed_at: claimed_at.map(|at| Timestamp(at.unsigned_abs())),
            reason,
            note,
            refusal,
        })
    })
}

/// What a record that does not read is told as; any other failure is one.
fn damage<T>(read: Result<T>) -> Result<std::result::Result<T, String>> {
    match read {
        Err(failure @ Failure::Row { .. }) => Ok(Err(StoreError::from(failure).to_string())),
        other => other.map(Ok),
    }
}

/// The places of runs, counted once, when they first matter.
struct Places<'a> {
    limits: &'a ClaimLimits,
    /// Or what of them does not read: nothing can be launched then.
    slots: Option<std::result::Result<Slots<'a>, String>>,
}

impl Places<'_> {
    /// Why the job in this row may not be claimed, as far as places go; or what of it does not read.
    fn refusal(
        &mut self,
        sql: &Connection,
        row: &Row<'_>,
        now: Timestamp,
    ) -> Result<std::result::Result<Option<Refusal>, String>> {
        let (project, seat) = match damage(slots::seat_of(row))? {
            Ok(Some(seat)) => seat,
            Ok(None) => return Ok(Ok(None)),
            Err(sentence) => return Ok(Err(sentence)),
        };
        let slots = match &self.slots {
            Some(slots) => slots,
            None => &*self.slots.insert(damage(slots::at(sql, self.limits, now))?),
        };
        Ok(slots.as_ref().map(|slots| slots.refuses(&project, seat)).map_err(Clone::clone))
    }
}

/// Why a job waits, and what is said of it.
#[derive(Default)]
struct Waits {
    reason: Option<WaitReason>,
    note: Option<String>,
    refusal: Option<Refusal>,
}

impl Waits {
    fn of(reason: Option<WaitReason>, note: Option<String>) -> Self {
        Self { reason, note, refusal: None }
    }
}

/// The first reason that counts: `freeze > dependency > active-task > lease > space > program > slot > breaker > time > turn >
/// damaged`.
fn waits_for(sql: &Connection, row: &Row<'_>, places: &mut Places<'_>, now: Timestamp) -> Result<Waits> {
    use WaitReason::{Damaged, Program, Slot, Time, Turn};
    let own = match damage(reason(row))? {
        Ok(own) => own,
        Err(sentence) => return Ok(Waits::of(Some(Damaged), Some(sentence))),
    };
    if !matches!(own, None | Some(Slot | Time | Turn | Damaged)) {
        return Ok(Waits::of(own, None));
    }
    let refusal = places.refusal(sql, row, now)?;
    Ok(match (refusal, own) {
        (Ok(Some(refusal)), own) if own != Some(Slot) || refusal.reason() == Program => {
            Waits { reason: Some(refusal.reason()), note: Some(refusal.to_string()), refusal: Some(refusal) }
        }
        (Err(sentence), None | Some(Damaged)) => Waits::of(Some(Damaged), Some(sentence)),
        // What was given back says why itself, and so does what was set aside.
        (_, own @ Some(Time | Damaged)) => Waits::of(own, get_readable(row, "why")?),
        (_, own) => Waits::of(own, None),
    })
}

fn reason(row: &Row<'_>) -> Result<Option<WaitReason>> {
    Ok(match row.get_ref("reason")?.as_str_or_null().ok().flatten() {
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
        Some("turn") => Some(WaitReason::Turn),
        Some("damaged") => Some(WaitReason::Damaged),
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
