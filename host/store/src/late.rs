//! Rule B3: an answer counts only if it was given after the board had shown the question. The order is the board's own log and
//! the transactions that write it; no clock is compared.

use conductor::board::SOURCE;
use conductor::ports::store::Delivery;
use domain::event::{Event, Intent};
use domain::ids::{Epoch, ProjectName, StageName, TaskId, WorkItemId};
use domain::task::{Activity, Task};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::failure::Result;
use crate::row::{get_json, int, number, one};
use crate::tasks;

/// How an item's task stood when a row of the log was written; it is kept with the row, for a delivery may be lost or come again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stood {
    task: TaskId,
    epoch: Epoch,
    stage: StageName,
    visit: u32,
    /// The board showed it so: none of our status writes was still to come.
    shown: bool,
}

pub(crate) fn stood(sql: &Connection, project: &ProjectName, work_item: &WorkItemId) -> Result<Option<Stood>> {
    let Some(id) = tasks::live_task(sql, project, work_item)? else { return Ok(None) };
    let task = tasks::task(sql, id)?;
    let shown = !writes_are_due(sql, id)?;
    let (stage, visit) = (task.position.stage.clone(), task.position.visit);
    Ok(Some(Stood { task: id, epoch: task.epoch, stage, visit, shown }))
}

/// A status that the task wants shown is not written yet.
fn writes_are_due(sql: &Connection, task: TaskId) -> Result<bool> {
    let query = "SELECT 1 FROM job WHERE task = ?1 AND class = 'aftermath' AND state IN ('queued', 'claimed')
        AND effect = 'set-status'";
    Ok(number(sql, query, params![int(task.0)])?.is_some())
}

/// Why this answer of a person's does not count. Late is what stands in the log before our status write that opened the wait or,
/// where that wrote no row, what was done in an earlier visit.
pub(crate) fn why_late(sql: &Connection, delivery: &Delivery, task: &Task, event: &Event) -> Result<Option<String>> {
    let Event::Intent { intent: Intent::Approve | Intent::ConfirmDeploy | Intent::Reject | Intent::Start, .. } = event
    else {
        return Ok(None);
    };
    let is_asked = matches!(task.position.activity, Activity::AwaitingPerson { .. } | Activity::Held { .. });
    let row = delivery.row.as_ref().filter(|_| is_asked && delivery.source == SOURCE);
    let Some(activity) = row.and_then(|row| row.parse().ok()) else { return Ok(None) };
    let query = "SELECT stood FROM tracker_activity WHERE id = ?1 AND stood IS NOT NULL";
    let stood: Option<Stood> = one(sql, query, params![int(activity)], |row| get_json(row, "activity", "stood"))?;
    if stood.as_ref().is_some_and(|stood| stood.task == task.id && stood.epoch == task.epoch && stood.shown) {
        return Ok(None);
    }
    let here =
        |stood: &Stood| (stood.task, &stood.stage, stood.visit) == (task.id, &task.position.stage, task.position.visit);
    let is_late =
        is_written_over(sql, task, activity)? || writes_are_due(sql, task.id)? || !stood.as_ref().is_some_and(here);
    Ok(is_late.then(|| "the card was moved before it showed what this would answer".to_owned()))
}

/// Our own hand moved the card after this row.
fn is_written_over(sql: &Connection, task: &Task, activity: u64) -> Result<bool> {
    let query = "SELECT 1 FROM tracker_activity WHERE project = ?1 AND work_item = ?2 AND id > ?3 AND actor = ?4";
    let ours = crate::row::to_json(&domain::ids::Actor::Host)?;
    let row = params![task.project.as_str(), task.work_item.as_str(), int(activity), ours];
    Ok(number(sql, query, row)?.is_some())
}
