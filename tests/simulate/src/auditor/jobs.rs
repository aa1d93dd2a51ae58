//! The rows of live jobs: who owns them, how often they were claimed, who holds a place.

use std::collections::BTreeMap;

use domain::effect::JobClass;
use domain::ids::{Epoch, TaskId};
use domain::task::{Activity, Terminality};
use domain::time::Timestamp;
use rusqlite::Connection;

use super::rules::{breakers, let_through};
use super::turns::Turn;
use super::{Auditor, Claimed, number};
use crate::host::RUNS;

const LIVE_JOBS: &str = "SELECT id, task, epoch, class, effect, state, winding, attempts, token, owner_uuid, pid, started_at,
    claimed_at, slot, attempted = 1 AND available_at = 0, driver FROM job WHERE state IN ('queued', 'claimed') OR winding = 1";

/// Tokens and attempts only grow, and no attempt counts twice.
fn grew(before: Claimed, now: Claimed) -> Option<&'static str> {
    if now.token < before.token || now.attempts < before.attempts {
        return Some("tokens or attempts went back");
    }
    let is_twice = now.attempts > before.attempts && now.attempts - before.attempts > now.token - before.token;
    is_twice.then_some("an attempt was counted twice")
}

impl Auditor {
    fn was_stopped(&self, task: TaskId) -> bool {
        self.shadows.get(&task).and_then(|shadow| shadow.task.end()) == Some(Terminality::Cancelled)
    }

    /// What was claimed since the last look, as far as it drives a task.
    pub(super) fn jobs(
        &mut self,
        sql: &Connection,
        living: &[u64],
        clock: Timestamp,
        wrongs: &mut Vec<String>,
    ) -> Result<Vec<Turn>, rusqlite::Error> {
        let mut turns = Vec::new();
        let mut query = sql.prepare_cached(LIVE_JOBS)?;
        let mut rows = query.query([])?;
        let mut driven: BTreeMap<TaskId, (u32, u32)> = BTreeMap::new();
        let mut slots = 0;
        let mut passed = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (id, task) = (number(row, 0)?, TaskId(number(row, 1)?));
            let epoch = Epoch(number(row, 2)?);
            let is_drive = row.get::<_, String>(3)? == "drive";
            let (state, winding) = (row.get::<_, String>(5)?, number(row, 6)? == 1);
            let begun = state == "queued" && number(row, 14)? == 1;
            let now = Claimed { attempts: number(row, 7)?, token: number(row, 8)?, begun };
            let owner: Option<String> = row.get(9)?;
            let (pid, started, claimed) =
                (row.get::<_, Option<i64>>(10)?, row.get::<_, Option<i64>>(11)?, row.get::<_, Option<i64>>(12)?);
            let is_claimed = state == "claimed";
            if state == "queued" && (owner.is_some() || pid.is_some() || started.is_some() || claimed.is_some()) {
                wrongs.push(format!("job {id} is queued and has an owner, a pid or a start"));
            }
            if let Some(owner) = &owner
                && !living.iter().any(|life| format!("{life:032x}") == *owner)
            {
                wrongs.push(format!("job {id} belongs to the dead host {owner} while another lives"));
            }
            if self.was_stopped(task) && (is_drive || winding) {
                wrongs.push(format!("task {task} was stopped, and its job {id} is {state}"));
            }
            slots += u32::from(number(row, 13)? == 1 && (is_claimed || winding));
            let counts = driven.entry(task).or_default();
            counts.0 += u32::from(is_drive && is_claimed);
            let shadow = self.shadows.get(&task).map(|shadow| shadow.task.epoch);
            counts.1 += u32::from(is_drive && !winding && shadow == Some(epoch));
            let before = self.jobs.insert(id, now).unwrap_or_default();
            if is_drive && is_claimed && now.token > before.token {
                turns.push(Turn { job: id, task, effect: row.get(4)?, was_begun: number(row, 14)? == 1 });
            }
            if let Some(driver) = row.get::<_, Option<String>>(15)?
                && is_claimed
                && now.attempts > before.attempts
                && !before.begun
            {
                *passed.entry(driver).or_insert(0) += 1;
            }
            wrongs.extend(grew(before, now).map(|wrong| format!("{wrong} of job {id}")));
        }
        if slots > RUNS {
            wrongs.push(format!("{slots} jobs hold a run's slot, {RUNS} may"));
        }
        for (driver, passed) in passed {
            wrongs.extend(let_through(self.breakers.get(&driver), clock, passed, &driver));
        }
        self.breakers = breakers(sql)?;
        for (id, shadow) in &self.shadows {
            let (claimed, live) = driven.get(id).copied().unwrap_or_default();
            if claimed > 1 {
                wrongs.push(format!("task {id} is driven by {claimed} jobs at once"));
            }
            let needs = !matches!(
                shadow.task.position.activity,
                Activity::AwaitingPerson { .. } | Activity::Held { .. } | Activity::Settled { .. }
            );
            if needs && live == 0 {
                let stands = shadow.task.position.activity.name();
                wrongs.push(format!("task {id} is {stands} and no {:?} job will ever move it", JobClass::Drive));
            }
        }
        Ok(turns)
    }
}
