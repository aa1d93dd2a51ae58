//! A clock that was set back makes nothing wait longer: what the host does about it is seen after each of its looks.

use std::collections::BTreeMap;

use domain::time::{Milliseconds, Timestamp};
use rusqlite::Connection;

use super::{Auditor, number};

/// A host may pass over what is less than it would call set back, and a look between two whole ones may have seen a part of it.
const SET_BACK: Milliseconds = Milliseconds::from_seconds(10);

/// What waited for a time when a host had looked.
pub(super) struct Waited {
    life: u64,
    clock: Timestamp,
    /// By job, until when by the host's clock.
    until: BTreeMap<u64, u64>,
}

impl Auditor {
    /// After a whole look of this life of the host: a job that nobody touched since the look before waits longer than it would have.
    pub fn waits_longer(&mut self, life: u64, clock: Timestamp) -> Option<String> {
        let (sql, _) = self.reader.as_ref()?;
        let until = waiting(sql).ok()?;
        let before = self.waited.replace(Waited { life, clock, until });
        let (before, now) = (before?, self.waited.as_ref()?);
        if before.life != life || clock.plus(SET_BACK) >= before.clock {
            return None;
        }
        let untouched = |(job, until): &(&u64, &u64)| before.until.get(job) == Some(until) && **until > clock.0;
        let (job, until) = now.until.iter().find(untouched)?;
        let wanted = before.clock;
        Some(format!("job {job} waits until {until}, though the clock was set back from {wanted:?} to {clock:?}"))
    }
}

fn waiting(sql: &Connection) -> Result<BTreeMap<u64, u64>, rusqlite::Error> {
    let mut query =
        sql.prepare_cached("SELECT id, available_at FROM job WHERE state = 'queued' AND available_at > 0")?;
    let rows = query.query_map([], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
    rows.collect()
}
