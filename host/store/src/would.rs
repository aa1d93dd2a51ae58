//! What would have been done for observed projects: rows that are only appended, each effect once.

use conductor::ports::store::{NewWould, WouldRow};
use domain::ids::ProjectName;
use domain::time::Timestamp;
use rusqlite::{Connection, params};

use crate::failure::Result;
use crate::row::{execute, get_json, get_u64, int, number, sound, time, to_json};
use crate::writer::Tx;

/// True: it stands there now and did not before.
pub(crate) fn put(tx: &Tx<'_>, would: &NewWould) -> Result<bool> {
    let statement = "INSERT INTO would (project, key, task, at, body) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (project, key) DO NOTHING";
    let task = would.task.map(|task| int(task.0));
    let row = params![would.project.as_str(), would.key, task, time(would.at), to_json(would)?];
    Ok(execute(tx.sql, statement, row)? > 0)
}

pub(crate) fn is_there(sql: &Connection, project: &ProjectName, key: &str) -> Result<bool> {
    let query = "SELECT 1 FROM would WHERE project = ?1 AND key = ?2";
    Ok(number(sql, query, params![project.as_str(), key])?.is_some())
}

/// Oldest first, after the row with this id.
pub(crate) fn list(
    sql: &Connection,
    project: Option<&ProjectName>,
    since: Timestamp,
    after: u64,
    limit: u32,
) -> Result<Vec<WouldRow>> {
    let query = "SELECT id, body FROM would WHERE id > ?1 AND at >= ?2 AND (?3 IS NULL OR project = ?3)
        ORDER BY id LIMIT ?4";
    sound(sql, query, params![int(after), time(since), project.map(ProjectName::as_str), limit], |row| {
        Ok(WouldRow { id: get_u64(row, "id")?, would: get_json(row, "would", "body")? })
    })
}
