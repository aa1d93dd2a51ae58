//! Leases belong to a task. They change only through a step's changes, and through the claim of the job that needs one.

use conductor::ports::store::LeaseRow;
use domain::ids::{FenceToken, LeaseName, ProjectName, TaskId};
use domain::task::Task;
use rusqlite::{Connection, params};

use crate::failure::Result;
use crate::row::{execute, get_name, get_u64, int, number, one, sound};

/// The task stands in line.
pub(crate) fn request(sql: &Connection, task: &Task, name: &LeaseName) -> Result<()> {
    ensure(sql, &task.project, name)?;
    let statement = "INSERT OR IGNORE INTO lease_request (project, name, task) VALUES (?1, ?2, ?3)";
    execute(sql, statement, params![task.project.as_str(), name.as_str(), int(task.id.0)])?;
    Ok(())
}

/// The task gives it back, if it has it, and leaves the line. Another's lease stays another's.
pub(crate) fn release(sql: &Connection, task: &Task, name: &LeaseName) -> Result<()> {
    let row = params![task.project.as_str(), name.as_str(), int(task.id.0)];
    execute(sql, "UPDATE lease SET holder = NULL WHERE project = ?1 AND name = ?2 AND holder = ?3", row)?;
    execute(sql, "DELETE FROM lease_request WHERE project = ?1 AND name = ?2 AND task = ?3", row)?;
    Ok(())
}

/// Gives a free lease to a task, under a token that nobody had before.
pub(crate) fn grant(sql: &Connection, task: &Task, name: &LeaseName) -> Result<FenceToken> {
    ensure(sql, &task.project, name)?;
    let row = params![task.project.as_str(), name.as_str(), int(task.id.0)];
    let statement = "UPDATE lease SET holder = ?3, token = token + 1 WHERE project = ?1 AND name = ?2 RETURNING token";
    let token = number(sql, statement, row)?.unwrap_or_default();
    execute(sql, "DELETE FROM lease_request WHERE project = ?1 AND name = ?2 AND task = ?3", row)?;
    Ok(FenceToken(token))
}

/// The token, if the lease is this task's.
pub(crate) fn held_by(sql: &Connection, task: &Task, name: &LeaseName) -> Result<Option<FenceToken>> {
    let query = "SELECT token FROM lease WHERE project = ?1 AND name = ?2 AND holder = ?3";
    let row = params![task.project.as_str(), name.as_str(), int(task.id.0)];
    one(sql, query, row, |row| Ok(FenceToken(get_u64(row, "token")?)))
}

fn ensure(sql: &Connection, project: &ProjectName, name: &LeaseName) -> Result<()> {
    let statement = "INSERT OR IGNORE INTO lease (project, name, holder, token) VALUES (?1, ?2, NULL, 0)";
    execute(sql, statement, params![project.as_str(), name.as_str()])?;
    Ok(())
}

pub(crate) fn leases(sql: &Connection) -> Result<Vec<LeaseRow>> {
    let query = "SELECT project, name, holder, token FROM lease ORDER BY project, name";
    sound(sql, query, [], |row| {
        let holder: Option<i64> = row.get("holder")?;
        let holder = holder.and_then(|id| u64::try_from(id).ok()).map(TaskId);
        let (project, name) = (get_name(row, "lease", "project")?, get_name(row, "lease", "name")?);
        Ok((project, name, holder, FenceToken(get_u64(row, "token")?)))
    })
}
