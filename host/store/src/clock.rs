//! What a clock that was set back means for what is to come about later.

use domain::time::{Milliseconds, Timestamp};
use rusqlite::{Connection, params};

use crate::failure::Result;
use crate::row::{execute, int, number};
use crate::writer::Tx;

/// When the newest event or delivery came, if that tells anything of the time that it is now.
pub(crate) fn last_seen(sql: &Connection) -> Result<Option<Timestamp>> {
    let query = "SELECT MAX(at) FROM (
        SELECT * FROM (SELECT at FROM event WHERE id > (SELECT event FROM clock) ORDER BY id DESC LIMIT 1)
        UNION ALL
        SELECT * FROM (SELECT received_at FROM delivery WHERE id > (SELECT delivery FROM clock) ORDER BY id DESC LIMIT 1))";
    Ok(number(sql, query, [])?.map(Timestamp))
}

/// Jobs that wait for a time wait as long as they would have. What is available since ever stays so: a dead host began it.
pub(crate) fn went_back(tx: &Tx<'_>, by: Milliseconds) -> Result<u32> {
    let statement = "UPDATE job SET available_at = MAX(1, available_at - ?1)
        WHERE state IN ('queued', 'claimed') AND available_at > 0";
    let moved = execute(tx.sql, statement, params![int(by.0)])?;
    let seen = "UPDATE clock SET event = (SELECT COALESCE(MAX(id), 0) FROM event),
        delivery = (SELECT COALESCE(MAX(id), 0) FROM delivery)";
    execute(tx.sql, seen, [])?;
    Ok(u32::try_from(moved).unwrap_or(u32::MAX))
}
