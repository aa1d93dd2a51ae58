//! Claiming: the next job that may run, with its lease, in one transaction.

use std::cmp::Reverse;
use std::sync::LazyLock;

use conductor::ports::store::{ClaimLimits, Incarnation};
use conductor::slots::{Seat, Slots};
use domain::effect::{Claim, Job};
use domain::event::Event;
use domain::ids::{DriverName, FenceToken, LeaseName};
use domain::task::Task;
use domain::time::Timestamp;
use rusqlite::{Connection, Row, named_params, params};

use crate::failure::{Failure, Result};
use crate::ownership::{BEHIND, DEPENDENT, FROZEN, IN_EARNEST};
use crate::row::{execute, int, number, one, time, to_json};
use crate::transact::{self, Origin};
use crate::writer::Tx;
use crate::{jobs, leases, slots, tasks, wakes};

/// Another task holds the lease, or it is free and a smaller task id stands in line.
pub(crate) static LEASED: LazyLock<String> = LazyLock::new(|| {
    format!(
        "(j.lease IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.project = t.project AND l.name = j.lease AND l.holder = t.id)
    AND (EXISTS (SELECT 1 FROM lease l WHERE l.project = t.project AND l.name = j.lease AND l.holder IS NOT NULL)
        OR EXISTS (SELECT 1 FROM lease_request r JOIN task q ON q.id = r.task
            WHERE r.project = t.project AND r.name = j.lease AND r.task < t.id AND {IN_EARNEST})))"
    )
});

/// No run may be launched. One that a host which is gone has begun (only then is it available since ever) is found instead.
pub(crate) const CRAMPED: &str = "(j.slot = 1 AND NOT (j.attempted = 1 AND j.available_at = 0) AND NOT :may_launch)";

/// No more runs may be launched. A cancelled run holds its slot until its tree is gone. What a dead host began is claimed before
/// anything new, and has its slot already.
pub(crate) const CROWDED: &str = "(j.slot = 1 AND NOT (j.attempted = 1 AND j.available_at = 0) AND :runs <=
    (SELECT COUNT(*) FROM job o WHERE o.slot = 1 AND (o.state = 'claimed' OR o.winding = 1)))";

/// One drive job of a task at a time. A cancelled run may still write into the clone: only the clean-up, which ends it, and
/// timers, which touch nothing, need not wait for its end.
pub(crate) const DRIVEN: &str = "(j.class = 'drive' AND (j.epoch <> t.epoch
    OR EXISTS (SELECT 1 FROM job o WHERE o.task = t.id AND o.class = 'drive' AND o.state = 'claimed')
    OR (j.effect NOT IN ('clean-up', 'timer')
        AND EXISTS (SELECT 1 FROM job o WHERE o.task = t.id AND o.winding = 1))))";

/// The aftermath of a task is told in the order in which it came about. A notice that a chat does not take for an hour holds back
/// the notices after it, not the board.
pub(crate) const OUT_OF_TURN: &str = "(j.class = 'aftermath' AND EXISTS (SELECT 1 FROM job o
    WHERE o.task = t.id AND o.class = 'aftermath' AND o.state IN ('queued', 'claimed') AND o.id < j.id
        AND (o.effect = 'notify') = (j.effect = 'notify')))";

/// What only a change in the database lets go of, beside time and places: a job that is held so is set aside by the claim that
/// found it, and taken back by the triggers of the tables that these conditions read.
pub(crate) static HELD: LazyLock<String> = LazyLock::new(|| {
    let leased = &*LEASED;
    format!("({FROZEN} OR {DRIVEN} OR {OUT_OF_TURN} OR {leased} OR {DEPENDENT} OR {BEHIND})")
});

/// The jobs of a lane in the order of their claims. `lane` says which, in words of the index.
fn lane(lane: &str) -> String {
    let held = &*HELD;
    format!(
        "SELECT j.*, t.project AS project, {held} AS held FROM job j INDEXED BY job_ready JOIN task t ON t.id = j.task
        WHERE j.state = 'queued' AND j.aside = 0 AND {lane} AND j.available_at <= :now
        ORDER BY j.priority DESC, j.available_at, j.id"
    )
}

/// What takes no place.
static PLACELESS: LazyLock<String> = LazyLock::new(|| lane("j.slot = 0"));
/// What takes a place: of the index alone, for most of it may be held back by what holds its whole place.
const PLACED: &str = "SELECT j.id, j.place, j.available_at FROM job j INDEXED BY job_ready
    WHERE j.state = 'queued' AND j.aside = 0 AND j.slot = 1 AND j.available_at <= :now
    ORDER BY j.priority DESC, j.available_at, j.id";
/// One of it, if nothing but places could hold it back.
static ONE: LazyLock<String> = LazyLock::new(|| {
    let held = &*HELD;
    format!("SELECT j.*, t.project AS project, {held} AS held FROM job j JOIN task t ON t.id = j.task WHERE j.id = ?1")
});
/// The first place behind another for which somebody waits, and since when: the index has it at once.
const WANTED: &str = "SELECT place, available_at FROM job INDEXED BY job_place
    WHERE state = 'queued' AND aside = 0 AND slot = 1 AND place > ?1 ORDER BY place, available_at LIMIT 1";
/// So many launches are passed over before it is asked whether any place is open at all.
const PASSED: u32 = 32;
/// What has its place already: a dead host began it.
static BEGUN: LazyLock<String> =
    LazyLock::new(|| lane("j.slot = 1 AND j.priority = 0 AND j.available_at = 0 AND j.attempted = 1"));

/// Whether a place is free at all, as far as the limit in all says.
const ROOMY: &str =
    "SELECT 1 WHERE ?1 > (SELECT COUNT(*) FROM job o WHERE o.slot = 1 AND (o.state = 'claimed' OR o.winding = 1))";

/// Claims the next job that may run.
pub(crate) fn claim(tx: &Tx<'_>, owner: &Incarnation, limits: &ClaimLimits, now: Timestamp) -> Result<Option<Claim>> {
    while let Some((job, slots)) = next(tx.sql, limits, now)? {
        match tx.apart_or_why(|| granted(tx, &job, slots.as_ref(), now))? {
            Err((what, why)) => unread(tx.sql, int(job.id.0), what, &why)?,
            Ok(Some((task, lease_token, driver))) => {
                return take(tx, job, task, (lease_token, driver), owner, now).map(Some);
            }
            Ok(None) => {}
        }
    }
    Ok(None)
}

/// The task, the lease's token, and whose run it will be.
type Granted = (Task, Option<FenceToken>, Option<DriverName>);

/// What a job is claimed with; none: it is no job any more.
fn granted(tx: &Tx<'_>, job: &Job, slots: Option<&Slots<'_>>, now: Timestamp) -> Result<Option<Granted>> {
    let (task, lease_token) = with_lease(tx, job, now)?;
    // Granting a lease stepped the task; where that ended the activity, the job is none any more.
    if lease_token.is_some() && !is_queued(tx.sql, job)? {
        return Ok(None);
    }
    let driver = stamp(tx, job, &task, slots, now)?;
    Ok(Some((task, lease_token, driver)))
}

/// By what jobs are ordered: the largest comes first.
type Rank = (i64, Reverse<i64>, Reverse<i64>);

/// A job that may be claimed.
struct Head<'a> {
    rank: Rank,
    job: Job,
    slots: Option<Slots<'a>>,
}

/// The first job that nothing holds back.
fn next<'a>(sql: &Connection, limits: &'a ClaimLimits, now: Timestamp) -> Result<Option<(Job, Option<Slots<'a>>)>> {
    let may_launch = limits.may_launch && number(sql, ROOMY, [limits.runs])?.is_some();
    let placeless = head(sql, &PLACELESS, now)?;
    let placed = if may_launch { placed(sql, limits, now)? } else { head(sql, &BEGUN, now)? };
    let first = [placeless, placed].into_iter().flatten().max_by_key(|head| head.rank);
    Ok(first.map(|head| (head.job, head.slots)))
}

/// The first of a lane that nothing holds back; what is held is set aside on the way.
fn head(sql: &Connection, lane: &str, now: Timestamp) -> Result<Option<Head<'static>>> {
    let (mut held, mut broken, mut found) = (Vec::new(), Vec::new(), None);
    let mut statement = sql.prepare_cached(lane)?;
    let mut rows = statement.query(named_params! { ":now": time(now) })?;
    while let Some(row) = rows.next()? {
        if row.get("held")? {
            held.push(row.get("id")?);
            continue;
        }
        match jobs::read(row) {
            Err(Failure::Row { what, why }) => broken.push((row.get("id")?, what, why)),
            job => {
                found = Some(Head { rank: rank(row)?, job: job?, slots: None });
                break;
            }
        }
    }
    drop(rows);
    set_aside(sql, &held)?;
    broken.into_iter().try_for_each(|(id, what, why)| unread(sql, id, what, &why))?;
    Ok(found)
}

/// The first of what takes a place. What is held back by a limit, a breaker or a missing program stands in nobody's way.
fn placed<'a>(sql: &Connection, limits: &'a ClaimLimits, now: Timestamp) -> Result<Option<Head<'a>>> {
    let mut statement = sql.prepare_cached(PLACED)?;
    let mut rows = statement.query(named_params! { ":now": time(now) })?;
    let mut next = rows.next()?;
    if next.is_none() {
        return Ok(None);
    }
    let mut passing = slots::Passing::at(sql, limits, now)?;
    let (mut held, mut broken, mut found, mut passed) = (Vec::new(), Vec::new(), None, 0);
    while let Some(row) = next {
        let place = row.get_ref("place")?.as_str_or_null().ok().flatten().unwrap_or_default();
        let id: i64 = row.get("id")?;
        // What is available since ever, a dead host began: it has its place.
        let admitted = if row.get::<_, i64>("available_at")? > 0 { passing.admits(place) } else { Ok(true) };
        if let Err(Failure::Row { what, why }) = admitted {
            broken.push((id, what, why));
        } else if !admitted? {
            passed += 1;
            if passed == PASSED && !is_any_open(sql, &passing, now)? {
                break;
            }
        } else {
            match one(sql, &ONE, [id], |row| candidate(row, &passing.slots))? {
                Some(Candidate::Free(rank, job)) => {
                    found = Some((rank, *job));
                    break;
                }
                Some(Candidate::Held) => held.push(id),
                Some(Candidate::Broken(what, why)) => broken.push((id, what, why)),
                Some(Candidate::Refused) | None => {}
            }
        }
        next = rows.next()?;
    }
    drop(rows);
    set_aside(sql, &held)?;
    broken.into_iter().try_for_each(|(id, what, why)| unread(sql, id, what, &why))?;
    Ok(found.map(|(rank, job)| Head { rank, job, slots: Some(passing.slots) }))
}

/// May anything at all be launched for which somebody waits?
fn is_any_open(sql: &Connection, passing: &slots::Passing<'_>, now: Timestamp) -> Result<bool> {
    let mut statement = sql.prepare_cached(WANTED)?;
    let mut place = String::new();
    loop {
        let mut rows = statement.query([&place])?;
        let Some(row) = rows.next()? else { return Ok(false) };
        let next = row.get_ref(0)?.as_str().unwrap_or_default();
        // One that does not read is found and set aside by whoever looks on.
        if row.get::<_, i64>(1)? <= time(now) && passing.decides(next).unwrap_or(true) {
            return Ok(true);
        }
        next.clone_into(&mut place);
    }
}

/// How a job that is ready stands.
enum Candidate {
    Free(Rank, Box<Job>),
    Held,
    Refused,
    Broken(&'static str, String),
}

fn candidate(row: &Row<'_>, slots: &Slots<'_>) -> Result<Candidate> {
    match judged(row, slots) {
        Err(Failure::Row { what, why }) => Ok(Candidate::Broken(what, why)),
        judged => judged,
    }
}

fn judged(row: &Row<'_>, slots: &Slots<'_>) -> Result<Candidate> {
    let refused = slots::seat_of(row)?.is_some_and(|(project, seat)| slots.refuses(&project, seat).is_some());
    Ok(match (row.get("held")?, refused) {
        (true, _) => Candidate::Held,
        (false, true) => Candidate::Refused,
        (false, false) => Candidate::Free(rank(row)?, Box::new(jobs::read(row)?)),
    })
}

fn rank(row: &Row<'_>) -> Result<Rank> {
    Ok((row.get("priority")?, Reverse(row.get("available_at")?), Reverse(row.get("id")?)))
}

fn set_aside(sql: &Connection, held: &[i64]) -> Result<()> {
    for id in held {
        execute(sql, "UPDATE job SET aside = 1 WHERE id = ?1", [id])?;
    }
    Ok(())
}

/// A record that cannot be read keeps its own task from going on, and nobody else.
fn unread(sql: &Connection, job: i64, what: &str, why: &str) -> Result<()> {
    let why = format!("a row of `{what}` does not read: {why}");
    tracing::error!(
        job,
        why,
        "a job is set aside: what it needs is damaged; `gatewright restore` has it from a backup"
    );
    execute(sql, "UPDATE job SET aside = 1, why = ?2 WHERE id = ?1", params![job, why])?;
    Ok(())
}

/// The driver whose run this will be stands in the job as long as it may live: a run that a dead host began keeps the one that
/// it was launched by.
fn stamp(tx: &Tx<'_>, job: &Job, task: &Task, slots: Option<&Slots<'_>>, now: Timestamp) -> Result<Option<DriverName>> {
    let Some(seat) = Seat::of(&job.effect) else { return Ok(None) };
    let kept = "SELECT driver FROM job WHERE id = ?1 AND attempted = 1 AND available_at = 0";
    if let Some(driver) = one(tx.sql, kept, params![int(job.id.0)], slots::driver_of)? {
        return Ok(driver);
    }
    let Some((driver, slots)) = slots.and_then(|slots| Some((slots.driver(&task.project, seat)?, slots))) else {
        return Ok(None);
    };
    slots::passed(tx.sql, slots, driver, job.id, now)?;
    Ok(Some(driver.clone()))
}

/// The task with the lease that the job needs.
fn with_lease(tx: &Tx<'_>, job: &Job, now: Timestamp) -> Result<(Task, Option<FenceToken>)> {
    let task = tasks::task(tx.sql, job.task)?;
    let Some(name) = &job.lease else { return Ok((task, None)) };
    if let Some(token) = leases::held_by(tx.sql, &task, name)? {
        return Ok((task, Some(token)));
    }
    let token = leases::grant(tx.sql, &task, name)?;
    let granted = Event::LeaseGranted { name: name.clone(), token };
    transact::apply(tx, task.id, &granted, Origin { job: Some(job.id), delivery: None }, now)?;
    let task = tasks::task(tx.sql, job.task)?;
    if task.leases.get(name) != Some(&token) {
        refuse_lease(tx, &task, name, now)?;
    }
    Ok((tasks::task(tx.sql, job.task)?, Some(token)))
}

/// The engine did not take the lease for a job that cannot go without it: a person must look, and others go on.
fn refuse_lease(tx: &Tx<'_>, task: &Task, name: &LeaseName, now: Timestamp) -> Result<()> {
    leases::release(tx.sql, task, name)?;
    let message = format!("the lease `{name}` was granted to a step that does not take it");
    transact::apply(tx, task.id, &Event::Panicked { message, unanswered: true }, Origin::default(), now)?;
    let statement =
        "UPDATE job SET state = 'cancelled', closed_at = ?3 WHERE task = ?1 AND lease = ?2 AND state = 'queued'";
    execute(tx.sql, statement, params![int(task.id.0), name.as_str(), time(now)])?;
    Ok(())
}

fn is_queued(sql: &Connection, job: &Job) -> Result<bool> {
    Ok(number(sql, "SELECT 1 FROM job WHERE id = ?1 AND state = 'queued'", params![int(job.id.0)])?.is_some())
}

fn take(
    tx: &Tx<'_>,
    mut job: Job,
    task: Task,
    (lease_token, driver): (Option<FenceToken>, Option<DriverName>),
    owner: &Incarnation,
    now: Timestamp,
) -> Result<Claim> {
    let statement = "UPDATE job SET state = 'claimed', token = token + 1, attempts = attempts + 1, claimed_at = ?2,
        owner = ?3, owner_uuid = ?4, host = ?5, pid = NULL, started_at = NULL, why = NULL, driver = ?6
        WHERE id = ?1 RETURNING token";
    let name = driver.as_ref().map(DriverName::as_str);
    let row = params![int(job.id.0), time(now), to_json(owner)?, owner.uuid, owner.host, name];
    let token = FenceToken(number(tx.sql, statement, row)?.unwrap_or_default());
    job.attempt += 1;
    let wakes = wakes::counted(tx.sql, &task)?;
    Ok(Claim { job, token, task, lease_token, driver, wakes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(sql: &Connection, query: &str) -> String {
        let mut statement = sql.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let mut rows = statement.raw_query();
        let mut lines = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            lines.push(row.get::<_, String>("detail").unwrap());
        }
        lines.join("\n")
    }

    /// Closed jobs become many: no question that is asked all the time may read them.
    #[test]
    fn only_what_is_queued_or_claimed_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = crate::SqliteStore::open(crate::StoreConfig::new(dir.path(), "here")).unwrap();
        let later = store.read(|sql| Ok(plan(sql, &crate::queue::NEXT))).unwrap();
        assert!(later.contains("job_later") && !later.contains("TEMP B-TREE"), "{later}");
        let taken = store.read(|sql| Ok(plan(sql, ROOMY))).unwrap();
        assert!(taken.contains("job_placed") && !taken.contains("MULTI-INDEX"), "{taken}");
        for lane in [&*PLACELESS, PLACED, &*BEGUN] {
            let plan = store.read(|sql| Ok(plan(sql, lane))).unwrap();
            assert!(!plan.contains("SCAN j\n") && !plan.contains("SCAN o\n"), "{plan}");
            assert!(plan.contains("job_ready"), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "the order is the index's: {plan}");
        }
    }
}
