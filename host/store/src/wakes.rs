//! Facts that may end a wait, counted per `(project, subject, kind)`: known task or not, asked for or not. So a fact that
//! arrives while a gate is being asked is not lost: committing `wait` over a higher count asks again at once.

use conductor::ports::store::Applied;
use domain::event::Event;
use domain::ids::{BranchName, CommitId, ProjectName, TaskId};
use domain::plugin::Check;
use domain::task::{Activity, Task};
use domain::time::Timestamp;
use domain::verdict::WakeKind;
use rusqlite::{Connection, params};

use crate::failure::Result;
use crate::row::{all, execute, get_json, int, number, sound, time, to_json};
use crate::transact::{self, Origin};
use crate::writer::Tx;

/// Counts the fact and tells it to each task that waits for it; how many it woke.
pub(crate) fn wake(tx: &Tx<'_>, project: &ProjectName, subject: &str, kind: WakeKind, now: Timestamp) -> Result<u32> {
    let statement = "INSERT INTO wake_count (project, subject, kind, count) VALUES (?1, ?2, ?3, 1)
        ON CONFLICT (project, subject, kind) DO UPDATE SET count = count + 1";
    execute(tx.sql, statement, params![project.as_str(), subject, kind.as_str()])?;
    let mut woken = 0;
    for task in waiting(tx.sql, project, subject, kind)? {
        let wake = || transact::apply(tx, task, &Event::Woken { kind }, Origin::default(), now);
        woken += u32::from(matches!(tx.apart(task, wake)?, Some(Applied::Stepped { .. })));
    }
    Ok(woken)
}

fn waiting(sql: &Connection, project: &ProjectName, subject: &str, kind: WakeKind) -> Result<Vec<TaskId>> {
    let query = "SELECT id, body FROM task WHERE project = ?1 AND terminal = 0 AND activity = 'waiting' ORDER BY id";
    // Whose record does not read is woken by nothing, and keeps the fact from nobody else.
    let tasks: Vec<Task> = sound(sql, query, params![project.as_str()], |row| get_json(row, "task", "body"))?;
    let mut found = Vec::new();
    for task in tasks {
        let listens = matches!(&task.position.activity, Activity::Waiting { wake, .. } if wake.contains(kind));
        if listens && is_subject(sql, &task, subject, kind)? {
            found.push(task.id);
        }
    }
    Ok(found)
}

/// Whether a fact of this kind about this subject is about this task.
fn is_subject(sql: &Connection, task: &Task, subject: &str, kind: WakeKind) -> Result<bool> {
    Ok(match kind {
        WakeKind::Checks => task.head.as_ref().is_some_and(|head| head.as_str() == subject),
        WakeKind::Push | WakeKind::PullRequest => task.branch.as_ref().is_some_and(|branch| branch.as_str() == subject),
        WakeKind::Status | WakeKind::Labels | WakeKind::Comment => task.work_item.as_str() == subject,
        WakeKind::Exec => {
            let query = "SELECT 1 FROM run WHERE task = ?1 AND CAST(id AS TEXT) = ?2";
            number(sql, query, params![int(task.id.0), subject])?.is_some()
        }
    })
}

/// How many facts about a task's subjects, as they are now, have arrived.
pub(crate) fn counted(sql: &Connection, task: &Task) -> Result<u64> {
    let query = "SELECT SUM(count) FROM wake_count WHERE project = ?1 AND (
        (kind = 'checks' AND subject = ?2)
        OR (kind IN ('push', 'pull-request') AND subject = ?3)
        OR (kind IN ('status', 'labels', 'comment') AND subject = ?4)
        OR (kind = 'exec' AND subject IN (SELECT CAST(id AS TEXT) FROM run WHERE task = ?5)))";
    let head = task.head.as_ref().map(CommitId::as_str);
    let branch = task.branch.as_ref().map(BranchName::as_str);
    let subjects = params![task.project.as_str(), head, branch, task.work_item.as_str(), int(task.id.0)];
    Ok(number(sql, query, subjects)?.unwrap_or(0))
}

/// Keeps the newest report of each name; an older one that comes late changes nothing, but it may wake.
pub(crate) fn put_check(
    tx: &Tx<'_>,
    project: &ProjectName,
    commit: &CommitId,
    check: &Check,
    now: Timestamp,
) -> Result<()> {
    let query = "SELECT body FROM check_result WHERE project = ?1 AND head = ?2 AND name = ?3";
    let place = params![project.as_str(), commit.as_str(), check.name];
    // What does not read stands before nobody.
    let stands = sound(tx.sql, query, place, |row| get_json::<Check>(row, "check", "body"))?;
    if stands.iter().all(|stands| check.supersedes(stands)) {
        let statement = "INSERT INTO check_result (project, head, name, reported_at, body) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (project, head, name) DO UPDATE SET reported_at = excluded.reported_at, body = excluded.body";
        let row = params![project.as_str(), commit.as_str(), check.name, time(check.at), to_json(check)?];
        execute(tx.sql, statement, row)?;
    }
    wake(tx, project, commit.as_str(), WakeKind::Checks, now)?;
    Ok(())
}

pub(crate) fn checks(sql: &Connection, project: &ProjectName, commit: &CommitId) -> Result<Vec<Check>> {
    let query = "SELECT body FROM check_result WHERE project = ?1 AND head = ?2 ORDER BY name";
    all(sql, query, params![project.as_str(), commit.as_str()], |row| get_json(row, "check", "body"))
}
