//! What people want who saw how things stood: compared here, in the transaction that acts.

use conductor::ports::access::{Deed, Record};
use conductor::ports::store::{
    Applied, AppliedSeen, BoardItem, FreezeRow, Group, Live, NewItem, Predecessor, Pressed, Pressing, Reached, Seen,
    SeenFreeze, StoreError,
};
use domain::event::{Event, Intent};
use domain::ids::{Actor, DeliveryId, ProjectName, TaskId, WorkItemId};
use domain::time::Timestamp;
use rusqlite::{Connection, params};

use crate::failure::{Failure, Result};
use crate::overview;
use crate::row::{all, get_u64, number};
use crate::sqlite::SqliteStore;
use crate::transact::Origin;
use crate::writer::Tx;
use crate::{access, board, hints, ownership, records, tasks, transact};

/// Tasks, or deliveries, that one wish reaches: the transaction that it is holds up all others meanwhile.
const AT_ONCE: u32 = 1000;
/// Tasks that wait for a person and are looked at for a cause.
const LOOKED_AT: u32 = 200;

type Told<T> = std::result::Result<T, StoreError>;

impl Pressing for SqliteStore {
    fn group_size(&self, group: &Group) -> Told<u64> {
        self.read(|sql| size(sql, group))
    }

    fn apply_to_all(
        &self,
        group: &Group,
        intent: Intent,
        actor: &Actor,
        note: &str,
        seen: Option<u64>,
        now: Timestamp,
    ) -> Told<Pressed<Reached, u64>> {
        let event = Event::Intent { intent, actor: actor.clone(), note: note.to_owned() };
        let group = group.clone();
        self.write(move |tx| apply_to_all(tx, &group, &event, seen, now))
    }

    fn set_freeze_seen(
        &self,
        project: &ProjectName,
        reason: Option<&str>,
        actor: &Actor,
        seen: SeenFreeze,
        now: Timestamp,
    ) -> Told<Pressed<(), Option<FreezeRow>>> {
        let (project, reason, actor) = (project.clone(), reason.map(str::to_owned), actor.clone());
        self.write(move |tx| {
            let is = if records::freeze(tx.sql, &project)?.is_some() { SeenFreeze::Frozen } else { SeenFreeze::Open };
            if is != seen {
                return Ok(Pressed::Changed(records::freeze_log(tx.sql, &project, 1)?.pop()));
            }
            records::set_freeze(tx.sql, &project, reason.as_deref(), &actor, now).map(Pressed::Done)
        })
    }

    fn depend_seen(
        &self,
        task: TaskId,
        needs: TaskId,
        actor: &Actor,
        seen: &Seen,
        now: Timestamp,
    ) -> Told<AppliedSeen> {
        let (actor, seen) = (actor.clone(), *seen);
        self.write(move |tx| {
            let event =
                Event::DependencyAdded { needs, on: tasks::task(tx.sql, needs)?.work_item, actor: actor.clone() };
            match transact::moved(tx, task, &event, &seen, now)? {
                Some(moved) => Ok(moved),
                None => ownership::depend(tx, task, needs, &actor, now).map(AppliedSeen::Applied),
            }
        })
    }

    fn undepend_seen(
        &self,
        task: TaskId,
        needs: TaskId,
        actor: &Actor,
        seen: &Seen,
        now: Timestamp,
    ) -> Told<AppliedSeen> {
        let (actor, seen) = (actor.clone(), *seen);
        self.write(move |tx| {
            let on = tasks::task(tx.sql, needs)?.work_item;
            let event = Event::DependencyRemoved { needs, on, actor: actor.clone() };
            match transact::moved(tx, task, &event, &seen, now)? {
                Some(moved) => Ok(moved),
                None => ownership::undepend(tx, task, needs, &actor, now).map(AppliedSeen::Applied),
            }
        })
    }

    fn create_item_once(
        &self,
        item: &NewItem,
        seen: Option<&WorkItemId>,
        now: Timestamp,
    ) -> Told<Pressed<BoardItem, BoardItem>> {
        let (item, seen) = (item.clone(), seen.cloned());
        self.write(move |tx| match board::same_since(tx.sql, &item, seen.as_ref())? {
            Some(there) => Ok(Pressed::Changed(there)),
            None => board::create(tx, &item, now).map(Pressed::Done),
        })
    }

    fn move_item_seen(
        &self,
        card: &BoardItem,
        status: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Told<Pressed<(), BoardItem>> {
        let (seen, status, actor) = (card.clone(), status.to_owned(), actor.clone());
        self.write(move |tx| {
            let card = board::present(tx.sql, &seen.project, &seen.work_item)?;
            if card.status != seen.status {
                return Ok(Pressed::Changed(card));
            }
            board::r#move(tx, &seen.project, &seen.work_item, &status, &actor, now).map(Pressed::Done)
        })
    }

    fn parked_deliveries(&self) -> Told<u64> {
        self.read(parked)
    }

    fn retry_parked(&self, actor: &Actor, seen: Option<u64>, now: Timestamp) -> Told<Pressed<u64, u64>> {
        let actor = actor.clone();
        self.write(move |tx| {
            let there = parked(tx.sql)?;
            if seen.is_some_and(|seen| seen != there) {
                return Ok(Pressed::Changed(there));
            }
            // The words of the index of what is open.
            let query = "SELECT id FROM delivery WHERE state <> 'expanded' AND state = 'parked' ORDER BY id LIMIT ?1";
            let ids = all(tx.sql, query, [AT_ONCE], |row| Ok(DeliveryId(get_u64(row, "id")?)))?;
            for id in &ids {
                hints::retry(tx.sql, *id, &actor, now)?;
            }
            Ok(Pressed::Done(ids.len() as u64))
        })
    }
}

fn parked(sql: &Connection) -> Result<u64> {
    let query = "SELECT COUNT(*) FROM delivery WHERE state <> 'expanded' AND state = 'parked'";
    Ok(number(sql, query, [])?.unwrap_or(0))
}

/// How many are of a group. What tells it of most stands in their records, of which few are read.
fn size(sql: &Connection, group: &Group) -> Result<u64> {
    match group {
        Group::Live(project) => {
            let query = format!("SELECT COUNT(*) FROM task {}", live(project.is_some()));
            Ok(number(sql, &query, params![project.as_ref().map(ProjectName::as_str)])?.unwrap_or(0))
        }
        Group::Paused(_) | Group::Held { .. } => Ok(members(sql, group)?.0.len() as u64),
    }
}

/// Those that are live, by an index; the first parameter is the project's name, if there is one.
const fn live(of_a_project: bool) -> &'static str {
    if of_a_project {
        "WHERE project = ?1 AND terminal = 0"
    } else {
        "INDEXED BY task_standing WHERE ?1 IS NULL AND terminal = 0"
    }
}

/// Those of a group whose records were looked at, by their numbers, and whether there may be others.
fn members(sql: &Connection, group: &Group) -> Result<(Vec<TaskId>, bool)> {
    let (found, more) = match group {
        // Whoever stands aside is paused, or waits for an answer: few of all that are live.
        Group::Live(_) | Group::Paused(_) => {
            let query = "SELECT id, body FROM task WHERE id IN (SELECT task FROM paused) AND terminal = 0 ORDER BY id";
            (overview::bodies(sql, query, [])?, false)
        }
        Group::Held { .. } => {
            let waiting = overview::live_tasks(sql, Live::Waiting, LOOKED_AT)?;
            let more = waiting.len() >= LOOKED_AT as usize;
            (waiting, more)
        }
    };
    Ok((found.into_iter().filter(|task| group.has(task)).map(|task| task.id).collect(), more))
}

/// Whom an intent for a group is told, and whether there are others: those of a group of live ones to whom it says nothing new stand
/// in nobody's way.
fn addressees(sql: &Connection, group: &Group, intent: Intent) -> Result<(Vec<TaskId>, bool)> {
    let Group::Live(project) = group else { return members(sql, group) };
    let is_news = match intent {
        Intent::Pause => "AND activity <> 'stopping' AND id NOT IN (SELECT task FROM paused)",
        _ => "AND activity <> 'stopping'",
    };
    let query = format!("SELECT id FROM task {} {is_news} ORDER BY id LIMIT {}", live(project.is_some()), AT_ONCE + 1);
    let name = params![project.as_ref().map(ProjectName::as_str)];
    let mut tasks = all(sql, &query, name, |row| Ok(TaskId(get_u64(row, "id")?)))?;
    let more = tasks.len() > AT_ONCE as usize;
    tasks.truncate(AT_ONCE as usize);
    if intent == Intent::Pause {
        let paused = members(sql, &Group::Paused(project.clone()))?.0;
        tasks.extend(members(sql, group)?.0.into_iter().filter(|task| !paused.contains(task)));
    }
    Ok((tasks, more))
}

fn apply_to_all(
    tx: &Tx<'_>,
    group: &Group,
    event: &Event,
    seen: Option<u64>,
    now: Timestamp,
) -> Result<Pressed<Reached, u64>> {
    let count = size(tx.sql, group)?;
    if seen.is_some_and(|seen| seen != count) {
        return Ok(Pressed::Changed(count));
    }
    let Event::Intent { intent, .. } = event else { return Ok(Pressed::Done(Reached::default())) };
    let (tasks, more) = addressees(tx.sql, group, *intent)?;
    let mut reached = Reached { more, ..Reached::default() };
    for id in tasks {
        // What one cannot be told keeps it from nobody else.
        let told = || match transact::apply(tx, id, event, Origin::default(), now) {
            Err(Failure::Told(StoreError::Refused(why))) => Err(Failure::Row { what: "task", why: why.to_string() }),
            told => told,
        };
        // One that ended or stopped meanwhile, or goes on, is what was wanted.
        if let Some(Applied::Stepped { task, .. }) = tx.apart(id, told)? {
            reached.tasks.push(Predecessor { task: id, work_item: task.work_item });
        }
    }
    stops_all(tx, group, event, reached.tasks.len(), now)?;
    Ok(Pressed::Done(reached))
}

/// That all were stopped at once is a line of the audit beside theirs.
fn stops_all(tx: &Tx<'_>, group: &Group, event: &Event, count: usize, now: Timestamp) -> Result<()> {
    let (Group::Live(project), Event::Intent { intent: Intent::Stop, actor, note }) = (group, event) else {
        return Ok(());
    };
    if count == 0 {
        return Ok(());
    }
    let tickets = if count == 1 { "live ticket" } else { "live tickets" };
    let record = Record {
        project: project.clone(),
        subject: Some(format!("{count} {tickets}")),
        why: note.clone(),
        ..Record::done(actor.clone(), Deed::StopAll)
    };
    access::append(tx.sql, &record, now)
}
