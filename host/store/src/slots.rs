//! The places of runs: which are taken, and how the breakers of the agent drivers stand. Who may take one is decided by
//! `conductor::slots`; here is only what that is decided from.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use conductor::breaker::{Breaker, Heard, Kept};
use conductor::ports::store::ClaimLimits;
use conductor::project::HookName;
use conductor::slots::{Asker, DriverRow, Seat, Slots, Taken};
use domain::document::Role;
use domain::effect::Effect;
use domain::event::RunOutcome;
use domain::ids::{DriverName, JobId, ProjectName, TaskId};
use domain::time::Timestamp;
use rusqlite::{Connection, Row, named_params, params};

use crate::claim::{DRIVEN, LEASED};
use crate::failure::{Failure, Result};
use crate::ownership::{BEHIND, DEPENDENT, FROZEN};
use crate::row::{all, execute, get_json, get_name, get_u64, int, number, one, time, to_json};

/// What a claimed or cancelled run has, and what a dead host began and nobody took up yet: its run may live.
const TAKEN: &str = "SELECT t.project AS project, o.driver AS driver FROM job o JOIN task t ON t.id = o.task
        WHERE o.slot = 1 AND (o.state = 'claimed' OR o.winding = 1)
    UNION ALL SELECT t.project, o.driver FROM job o JOIN task t ON t.id = o.task
        WHERE o.state = 'queued' AND o.priority = 0 AND o.available_at = 0 AND o.slot = 1 AND o.attempted = 1";

/// A launch of a place that nothing holds back but places, of another task than this one. What a dead host began has its place.
static ANOTHER: LazyLock<String> = LazyLock::new(|| {
    let leased = &*LEASED;
    format!(
        "SELECT 1 FROM job j INDEXED BY job_place JOIN task t ON t.id = j.task
        WHERE j.state = 'queued' AND j.aside = 0 AND j.slot = 1 AND j.place = :place AND j.available_at <= :now
            AND NOT (j.attempted = 1 AND j.available_at = 0) AND j.task <> :task
            AND NOT ({FROZEN} OR {DRIVEN} OR {leased} OR {DEPENDENT} OR {BEHIND}) LIMIT 1"
    )
});

/// A name that does not read takes a place among all, and of nobody's.
fn taken(sql: &Connection) -> Result<Vec<Taken>> {
    let read = |row: &Row<'_>| {
        let Some(project) = read_or_none(get_name(row, "task", "project"))? else { return Ok(None) };
        Ok(Some(Taken { project, driver: read_or_none(driver_of(row))?.flatten() }))
    };
    Ok(all(sql, TAKEN, [], read)?.into_iter().flatten().collect())
}

/// What is damaged counts as not there: it must not keep everybody from a claim.
fn read_or_none<T>(read: Result<T>) -> Result<Option<T>> {
    crate::row::read_or_none(read, || None)
}

pub(crate) fn driver_of(row: &Row<'_>) -> Result<Option<DriverName>> {
    if row.get_ref("driver")?.as_str_or_null().ok().flatten().is_none() {
        return Ok(None);
    }
    get_name(row, "job", "driver").map(Some)
}

/// Drivers whose breaker heard something, or that have runs now. One whose memory does not read counts as closed, as in a claim.
pub(crate) fn drivers(sql: &Connection) -> Result<Vec<DriverRow>> {
    let mut rows = rows(sql, &taken(sql)?)?;
    rows.sort_by(|one, other| one.driver.cmp(&other.driver));
    Ok(rows)
}

fn rows(sql: &Connection, taken: &[Taken]) -> Result<Vec<DriverRow>> {
    let mut runs: BTreeMap<&DriverName, u32> = BTreeMap::new();
    for driver in taken.iter().filter_map(|taken| taken.driver.as_ref()) {
        *runs.entry(driver).or_default() += 1;
    }
    let kept = all(sql, "SELECT driver, body FROM breaker", [], |row| {
        let Some(driver) = read_or_none(get_name::<DriverName>(row, "breaker", "driver"))? else { return Ok(None) };
        let kept: Kept = read_or_none(get_json(row, "breaker", "body"))?.unwrap_or_default();
        Ok(Some((driver, kept.breaker)))
    })?;
    let mut found = Vec::new();
    for (driver, breaker) in kept.into_iter().flatten() {
        let probe_lives = match &breaker {
            Breaker::HalfOpen { probe, .. } => lives(sql, *probe)?,
            Breaker::Closed { .. } | Breaker::Open { .. } => false,
        };
        found.push(DriverRow { runs: runs.remove(&driver).unwrap_or(0), driver, breaker, probe_lives });
    }
    found.extend(runs.into_iter().map(|(driver, runs)| DriverRow {
        driver: driver.clone(),
        breaker: Breaker::default(),
        probe_lives: false,
        runs,
    }));
    Ok(found)
}

/// A probe that a dead host began lives as long as its run may.
fn lives(sql: &Connection, job: JobId) -> Result<bool> {
    let query = "SELECT 1 FROM job WHERE id = ?1 AND (state = 'claimed' OR winding = 1
        OR (state = 'queued' AND attempted = 1 AND available_at = 0))";
    Ok(number(sql, query, params![int(job.0)])?.is_some())
}

/// The places at this moment.
pub(crate) fn at<'a>(sql: &Connection, limits: &'a ClaimLimits, now: Timestamp) -> Result<Slots<'a>> {
    let taken = taken(sql)?;
    let drivers = rows(sql, &taken)?;
    let mut slots = Slots::new(limits, &taken, drivers, now);
    for driver in slots.probing() {
        if let Some(last) = breaker(sql, &driver)?.last
            && another_waits(sql, &slots, &driver, last, now)?
        {
            slots.let_others_before(driver, last);
        }
    }
    Ok(slots)
}

/// Could another task than this one probe now?
fn another_waits(
    sql: &Connection,
    slots: &Slots<'_>,
    driver: &DriverName,
    task: TaskId,
    now: Timestamp,
) -> Result<bool> {
    for (project, seat) in slots.open_to(driver) {
        let place = place(&project, seat);
        let conditions = named_params! { ":place": place, ":now": time(now), ":task": int(task.0) };
        if number(sql, &ANOTHER, conditions)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Who asks for the job's place, and who would sit there; none: it takes none, or a run that a dead host began has it already.
pub(crate) fn seat_of(row: &Row<'_>) -> Result<Option<(Asker, Seat)>> {
    let begun = row.get::<_, bool>("attempted")? && row.get::<_, i64>("available_at")? == 0;
    if begun || !row.get::<_, bool>("slot")? {
        return Ok(None);
    }
    let effect: Effect = get_json(row, "job", "body")?;
    let Some(seat) = Seat::of(&effect) else { return Ok(None) };
    let asker = Asker { project: get_name(row, "task", "project")?, task: TaskId(get_u64(row, "task")?) };
    Ok(Some((asker, seat)))
}

/// As the database spells a place.
pub(crate) fn place(project: &ProjectName, seat: Seat) -> String {
    match seat {
        Seat::Role(role) => format!("{project} role {role}"),
        Seat::Hook(hook) => format!("{project} hook {}", hook.as_str()),
    }
}

/// Which launches may begin now, asked by their places: each place is decided about once.
pub(crate) struct Passing<'a> {
    pub(crate) slots: Slots<'a>,
    known: BTreeMap<String, bool>,
}

impl<'a> Passing<'a> {
    pub(crate) fn at(sql: &Connection, limits: &'a ClaimLimits, now: Timestamp) -> Result<Self> {
        Ok(Self { slots: at(sql, limits, now)?, known: BTreeMap::new() })
    }

    /// May a launch of this place begin?
    pub(crate) fn admits(&mut self, place: &str) -> Result<bool> {
        if let Some(admitted) = self.known.get(place) {
            return Ok(*admitted);
        }
        let admitted = self.decides(place)?;
        self.known.insert(place.to_owned(), admitted);
        Ok(admitted)
    }

    /// The same, for whoever asks about each place once.
    pub(crate) fn decides(&self, place: &str) -> Result<bool> {
        let (project, seat) = read_place(place)?;
        Ok(self.slots.refuses(&project, seat).is_none())
    }
}

fn read_place(place: &str) -> Result<(ProjectName, Seat)> {
    let wrong = || Failure::Row { what: "job", why: format!("`{place}` is no place") };
    let mut words = place.split(' ');
    let (Some(project), Some(kind), Some(name), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(wrong());
    };
    let seat = match kind {
        "role" => Role::ALL.into_iter().find(|role| role.as_str() == name).map(Seat::Role),
        "hook" => HookName::ALL.into_iter().find(|hook| hook.as_str() == name).map(Seat::Hook),
        _ => None,
    };
    let project = ProjectName::new(project).map_err(|_| wrong())?;
    seat.map(|seat| (project, seat)).ok_or_else(wrong)
}

/// A run of this driver was let through: where its breaker is not closed, it is the probe.
pub(crate) fn passed(
    sql: &Connection,
    slots: &Slots<'_>,
    driver: &DriverName,
    job: JobId,
    now: Timestamp,
) -> Result<()> {
    if slots.probes(driver) {
        let breaker = breaker(sql, driver)?;
        write(sql, driver, &breaker.after_passing(job, now))?;
    }
    Ok(())
}

/// A run ended: its driver's breaker hears of it, in the transaction that closes the job.
pub(crate) fn heard(sql: &Connection, job: JobId, outcome: &RunOutcome, now: Timestamp) -> Result<()> {
    let query = "SELECT driver, task FROM job WHERE id = ?1";
    let found = one(sql, query, params![int(job.0)], |row| Ok((driver_of(row)?, TaskId(get_u64(row, "task")?))))?;
    let Some((Some(driver), task)) = found else { return Ok(()) };
    let before = breaker(sql, &driver)?;
    let after = before.after_hearing(Heard::of(outcome), task, now);
    if after != before {
        let word = after.breaker.word();
        if word != before.breaker.word() {
            tracing::warn!(%driver, "the breaker of an agent driver is {word} now");
        }
        write(sql, &driver, &after)?;
    }
    Ok(())
}

fn breaker(sql: &Connection, driver: &DriverName) -> Result<Kept> {
    let query = "SELECT body FROM breaker WHERE driver = ?1";
    let read = |row: &Row<'_>| read_or_none(get_json(row, "breaker", "body"));
    let kept = one(sql, query, params![driver.as_str()], read)?;
    Ok(kept.flatten().unwrap_or_default())
}

fn write(sql: &Connection, driver: &DriverName, kept: &Kept) -> Result<()> {
    let statement = "INSERT INTO breaker (driver, state, body) VALUES (?1, ?2, ?3)
        ON CONFLICT (driver) DO UPDATE SET state = excluded.state, body = excluded.body";
    execute(sql, statement, params![driver.as_str(), kept.breaker.word(), to_json(kept)?])?;
    Ok(())
}
