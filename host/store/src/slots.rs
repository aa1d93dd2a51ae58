//! The places of runs: which are taken, and how the breakers of the agent drivers stand. Who may take one is decided by
//! `conductor::slots`; here is only what that is decided from.

use std::collections::BTreeMap;

use conductor::breaker::{Breaker, Heard};
use conductor::ports::store::ClaimLimits;
use conductor::project::HookName;
use conductor::slots::{DriverRow, Seat, Slots, Taken};
use domain::document::Role;
use domain::effect::Effect;
use domain::event::RunOutcome;
use domain::ids::{DriverName, JobId, ProjectName};
use domain::time::Timestamp;
use rusqlite::{Connection, Row, params};

use crate::failure::{Failure, Result};
use crate::row::{all, execute, from_json, get_json, get_name, int, number, one, to_json};

/// What a claimed or cancelled run has, and what a dead host began and nobody took up yet: its run may live.
const TAKEN: &str = "SELECT t.project AS project, o.driver AS driver FROM job o JOIN task t ON t.id = o.task
        WHERE o.slot = 1 AND (o.state = 'claimed' OR o.winding = 1)
    UNION ALL SELECT t.project, o.driver FROM job o JOIN task t ON t.id = o.task
        WHERE o.state = 'queued' AND o.priority = 0 AND o.available_at = 0 AND o.slot = 1 AND o.attempted = 1";

fn taken(sql: &Connection) -> Result<Vec<Taken>> {
    all(sql, TAKEN, [], |row| Ok(Taken { project: get_name(row, "task", "project")?, driver: driver_of(row)? }))
}

pub(crate) fn driver_of(row: &Row<'_>) -> Result<Option<DriverName>> {
    if row.get_ref("driver")?.as_str_or_null().ok().flatten().is_none() {
        return Ok(None);
    }
    get_name(row, "job", "driver").map(Some)
}

/// Drivers whose breaker heard something, or that have runs now.
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
        let driver: DriverName = get_name(row, "breaker", "driver")?;
        Ok((driver, get_json::<Breaker>(row, "breaker", "body")?))
    })?;
    let mut found = Vec::new();
    for (driver, breaker) in kept {
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
    Ok(Slots::new(limits, &taken, drivers, now))
}

/// Who would sit in the job's place; none: it takes none, or a run that a dead host began has it already.
pub(crate) fn seat_of(row: &Row<'_>) -> Result<Option<(ProjectName, Seat)>> {
    let begun = row.get::<_, bool>("attempted")? && row.get::<_, i64>("available_at")? == 0;
    if begun || !row.get::<_, bool>("slot")? {
        return Ok(None);
    }
    let effect: Effect = get_json(row, "job", "body")?;
    let Some(seat) = Seat::of(&effect) else { return Ok(None) };
    Ok(Some((get_name(row, "task", "project")?, seat)))
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
    let query = "SELECT driver FROM job WHERE id = ?1";
    let Some(driver) = one(sql, query, params![int(job.0)], driver_of)?.flatten() else { return Ok(()) };
    let before = breaker(sql, &driver)?;
    let after = before.after_hearing(Heard::of(outcome), now);
    if after != before {
        if after.word() != before.word() {
            tracing::warn!(%driver, "the breaker of an agent driver is {} now", after.word());
        }
        write(sql, &driver, &after)?;
    }
    Ok(())
}

fn breaker(sql: &Connection, driver: &DriverName) -> Result<Breaker> {
    let query = "SELECT body FROM breaker WHERE driver = ?1";
    let kept = one(sql, query, params![driver.as_str()], |row| from_json("breaker", &row.get::<_, String>("body")?))?;
    Ok(kept.unwrap_or_default())
}

fn write(sql: &Connection, driver: &DriverName, breaker: &Breaker) -> Result<()> {
    let statement = "INSERT INTO breaker (driver, state, body) VALUES (?1, ?2, ?3)
        ON CONFLICT (driver) DO UPDATE SET state = excluded.state, body = excluded.body";
    execute(sql, statement, params![driver.as_str(), breaker.word(), to_json(breaker)?])?;
    Ok(())
}
