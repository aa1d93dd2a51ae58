//! Whose turn it is within a project: serial projects, pauses, and tasks that need others.
//!
//! What holds a job back stands here as conditions of the one statement that claims. **Where a row cannot be read** the gate of
//! serial projects and the needs of tasks let go: an edge to a task that is not there, or a task whose project is not, holds
//! nothing. A freeze holds by being there at all, whatever its row says. Where the database itself cannot be read, the whole
//! statement fails, and nothing is claimed.

use conductor::ports::store::{Applied, Predecessor, Prerequisite, Refusal, Unmet};
use domain::event::Event;
use domain::ids::{Actor, ProjectName, TaskId, WorkItemId};
use domain::task::{Activity, Task, Terminality};
use domain::time::Timestamp;
use engine::dependencies::{cycles, way};
use rusqlite::{Connection, Row, params};

use crate::failure::{Failure, Result, refused};
use crate::row::{all, execute, get_name, get_u64, int, number};
use crate::tasks;
use crate::transact::{self, Origin};
use crate::writer::Tx;

/// The task `$t` needs one that is not done.
macro_rules! unmet {
    ($t:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM dependency d JOIN task p ON p.id = d.needs WHERE d.task = ",
            $t,
            ".id AND d.met = 0)"
        )
    };
}

/// Tasks `e` of the project of `t` that came before it and are under way. One that needs another is not: it may need this one.
/// Nor is one that a person paused, or that waits for an answer.
macro_rules! earlier {
    () => {
        concat!(
            "FROM task e INDEXED BY task_live WHERE e.project = t.project AND e.terminal = 0 AND e.id < t.id
            AND NOT EXISTS (SELECT 1 FROM paused z WHERE z.task = e.id) AND NOT ",
            unmet!("e")
        )
    };
}

/// What would begin the task: it has no branch yet, and this would cut it.
macro_rules! enters {
    () => {
        "j.class = 'drive' AND t.branch IS NULL AND j.effect NOT IN ('timer', 'clean-up')"
    };
}

/// The repository admits no new task: one without a branch has not begun.
pub(crate) const FROZEN: &str =
    concat!("(", enters!(), " AND EXISTS (SELECT 1 FROM freeze f WHERE f.project = t.project))");

/// The task needs one that is not done. A run that a host which is gone has begun (only then is it available since ever) is
/// found all the same; timers touch nothing, and a clean-up ends the task.
pub(crate) const DEPENDENT: &str = concat!(
    "(j.class = 'drive' AND j.effect NOT IN ('timer', 'clean-up') AND NOT (j.attempted = 1 AND j.available_at = 0) AND ",
    unmet!("t"),
    ")"
);

/// The project takes one task at a time, and this one would begin behind another.
pub(crate) const BEHIND: &str = concat!(
    "(",
    enters!(),
    " AND EXISTS (SELECT 1 FROM project s WHERE s.name = t.project AND s.serial = 1) AND EXISTS (SELECT 1 ",
    earlier!(),
    "))"
);

/// The task `q` stands in line for a lease and may take it before `t`. Who needs another, or has not begun and does not, would
/// keep it from those who go on.
pub(crate) const IN_EARNEST: &str = concat!("(NOT ", unmet!("q"), " AND (q.branch IS NOT NULL OR t.branch IS NULL))");

/// The newest task of what `t` needs; one that was stopped first, for only a person moves that.
pub(crate) const PREREQUISITE: &str = "(SELECT n.id FROM dependency d JOIN task p ON p.id = d.needs
        JOIN task n ON n.project = p.project AND n.work_item = p.work_item
    WHERE d.task = t.id AND d.met = 0
        AND n.id = (SELECT MAX(o.id) FROM task o WHERE o.project = p.project AND o.work_item = p.work_item)
    ORDER BY n.terminal DESC, n.id LIMIT 1)";

/// The first of those before `t`.
pub(crate) const EARLIEST: &str = concat!("(SELECT MIN(e.id) ", earlier!(), ")");

/// Makes true beside the task what its record says of standing aside.
pub(crate) fn follow(sql: &Connection, before: &Task, after: &Task) -> Result<()> {
    let stands_aside = |task: &Task| task.stands_aside() && task.end().is_none();
    match (stands_aside(before), stands_aside(after)) {
        (false, true) => execute(sql, "INSERT OR IGNORE INTO paused (task) VALUES (?1)", [int(after.id.0)])?,
        (true, false) => execute(sql, "DELETE FROM paused WHERE task = ?1", [int(after.id.0)])?,
        _ => 0,
    };
    Ok(())
}

/// The task has ended: whoever needs it may go on, or is told that it will not be done.
pub(crate) fn ended(tx: &Tx<'_>, task: &Task, end: Terminality, now: Timestamp) -> Result<()> {
    let (project, item) = (task.project.as_str(), task.work_item.as_str());
    if end == Terminality::Done {
        let statement = "UPDATE dependency SET met = 1 WHERE met = 0
            AND needs IN (SELECT id FROM task WHERE project = ?1 AND work_item = ?2 AND id <= ?3)";
        execute(tx.sql, statement, params![project, item, int(task.id.0)])?;
        return Ok(());
    }
    let query = "SELECT d.task, d.needs FROM dependency d JOIN task t ON t.id = d.task AND t.terminal = 0
        WHERE d.met = 0 AND d.needs IN (SELECT id FROM task WHERE project = ?1 AND work_item = ?2) ORDER BY d.task";
    for (dependent, needs) in all(tx.sql, query, params![project, item], edge)? {
        tell_cancelled(tx, dependent, needs, &task.work_item, now)?;
    }
    Ok(())
}

/// A dependent whose row cannot be read stands in no stop's way.
fn tell_cancelled(tx: &Tx<'_>, task: TaskId, needs: TaskId, on: &WorkItemId, now: Timestamp) -> Result<()> {
    let event = Event::PrerequisiteCancelled { needs, on: on.clone() };
    tx.apart(task, || transact::apply(tx, task, &event, Origin::default(), now)).map(drop)
}

fn edge(row: &Row<'_>) -> Result<(TaskId, TaskId)> {
    Ok((TaskId(get_u64(row, "task")?), TaskId(get_u64(row, "needs")?)))
}

/// Writes an edge that the engine took.
pub(crate) fn add(sql: &Connection, task: &Task, needs: TaskId) -> Result<()> {
    let statement = "INSERT OR IGNORE INTO dependency (task, needs, met) SELECT ?1, p.id, EXISTS (
            SELECT 1 FROM task n WHERE n.project = p.project AND n.work_item = p.work_item AND n.id >= p.id
                AND n.terminal = 1
                AND CASE WHEN json_valid(n.body) THEN json_extract(n.body, '$.position.activity.end') = 'done' END)
        FROM task p WHERE p.id = ?2";
    execute(sql, statement, params![int(task.id.0), int(needs.0)])?;
    Ok(())
}

/// Takes an edge away.
pub(crate) fn remove(sql: &Connection, task: &Task, needs: TaskId) -> Result<()> {
    execute(sql, "DELETE FROM dependency WHERE task = ?1 AND needs = ?2", params![int(task.id.0), int(needs.0)])?;
    Ok(())
}

/// A person wants that a task waits for another. What can be refused at the door never becomes a deadlock.
pub(crate) fn depend(tx: &Tx<'_>, id: TaskId, needs: TaskId, actor: &Actor, now: Timestamp) -> Result<Applied> {
    let (task, other) = (tasks::task(tx.sql, id)?, tasks::task(tx.sql, needs)?);
    may_be_needed(tx.sql, &task.project, &other)?;
    let item = &task.work_item;
    if task.project == other.project && *item == other.work_item {
        return Err(refused(Refusal::NeedsItself { item: item.clone() }));
    }
    // Of the needed work item, it is the newest task that will be done.
    let is_done = other.end() == Some(Terminality::Done);
    let live = tasks::live_task(tx.sql, &other.project, &other.work_item)?.filter(|_| !is_done);
    let edges = live_edges(tx.sql)?;
    if let Some(way) = live.and_then(|live| way(&edges, live, id)) {
        let mut cycle = vec![item.clone()];
        for link in &way[..way.len() - 1] {
            cycle.push(tasks::task(tx.sql, *link)?.work_item);
        }
        return Err(refused(Refusal::Cycle { items: cycle }));
    }
    let event = Event::DependencyAdded { needs, on: other.work_item, actor: actor.clone() };
    transact::apply(tx, id, &event, Origin::default(), now)
}

/// Refuses what would never be done, and what is another project's.
pub(crate) fn may_be_needed(sql: &Connection, project: &ProjectName, other: &Task) -> Result<()> {
    let item = &other.work_item;
    if *project != other.project {
        let (item, theirs, ours) = (item.clone(), other.project.clone(), project.clone());
        return Err(refused(Refusal::OtherProject { item, theirs, ours }));
    }
    let newest = tasks::newest_task(sql, &other.project, item)?;
    if other.end() != Some(Terminality::Done) && newest.is_some_and(|task| task.end() == Some(Terminality::Cancelled)) {
        return Err(refused(Refusal::WillNotBeDone { item: item.clone() }));
    }
    Ok(())
}

/// A person wants that a task goes on without another. Whoever says a key means the work item, whichever of its tasks was needed
/// first.
pub(crate) fn undepend(tx: &Tx<'_>, id: TaskId, needs: TaskId, actor: &Actor, now: Timestamp) -> Result<Applied> {
    let (task, other) = (tasks::task(tx.sql, id)?, tasks::task(tx.sql, needs)?);
    let query = "SELECT d.needs FROM dependency d JOIN task p ON p.id = d.needs
        WHERE d.task = ?1 AND p.project = ?2 AND p.work_item = ?3 ORDER BY d.needs";
    let row = params![int(id.0), other.project.as_str(), other.work_item.as_str()];
    let mut meant = all(tx.sql, query, row, |row| Ok(TaskId(get_u64(row, "needs")?)))?;
    // The engine says that there is none.
    let last = meant.pop().unwrap_or(needs);
    for edge in meant {
        let _ = remove_one(tx, &task, edge, &other.work_item, actor, now)?;
    }
    remove_one(tx, &task, last, &other.work_item, actor, now)
}

/// An edge that another hand wrote becomes the task's own first: its entries then tell of all that was.
fn remove_one(
    tx: &Tx<'_>,
    task: &Task,
    needs: TaskId,
    on: &WorkItemId,
    actor: &Actor,
    now: Timestamp,
) -> Result<Applied> {
    let is_there = number(
        tx.sql,
        "SELECT 1 FROM dependency WHERE task = ?1 AND needs = ?2",
        params![int(task.id.0), int(needs.0)],
    )?;
    if is_there.is_some() && !task.needs.contains(&needs) {
        let event = Event::DependencyAdded { needs, on: on.clone(), actor: Actor::Host };
        transact::apply(tx, task.id, &event, Origin::default(), now)?;
    }
    let event = Event::DependencyRemoved { needs, on: on.clone(), actor: actor.clone() };
    transact::apply(tx, task.id, &event, Origin::default(), now)
}

/// Needs that a card was made with become its first task's, in the transaction that makes the task.
pub(crate) fn take_over(tx: &Tx<'_>, task: &Task, actor: &Actor, now: Timestamp) -> Result<()> {
    let row = params![task.project.as_str(), task.work_item.as_str()];
    let query = "SELECT needs FROM tracker_item_needs WHERE project = ?1 AND work_item = ?2 ORDER BY needs";
    let wanted = all(tx.sql, query, row, |row| Ok(TaskId(get_u64(row, "needs")?)))?;
    if wanted.is_empty() {
        return Ok(());
    }
    execute(tx.sql, "DELETE FROM tracker_item_needs WHERE project = ?1 AND work_item = ?2", row)?;
    for needs in wanted {
        // A record that cannot be read keeps no task from its beginning.
        let other = match tasks::task(tx.sql, needs) {
            Err(Failure::Row { .. }) => continue,
            other => other?,
        };
        let event = Event::DependencyAdded { needs, on: other.work_item.clone(), actor: actor.clone() };
        transact::apply(tx, task.id, &event, Origin::default(), now)?;
        let met = "SELECT met FROM dependency WHERE task = ?1 AND needs = ?2";
        let met = number(tx.sql, met, params![int(task.id.0), int(needs.0)])? == Some(1);
        let live = tasks::live_task(tx.sql, &other.project, &other.work_item)?;
        if !met && live.is_none() {
            tell_cancelled(tx, task.id, needs, &other.work_item, now)?;
        }
    }
    Ok(())
}

/// Writes down what a card's task shall need.
pub(crate) fn put_on_card(sql: &Connection, project: &ProjectName, item: &WorkItemId, after: &[TaskId]) -> Result<()> {
    if after.len() > engine::dependencies::MOST_NEEDS {
        return Err(refused(Refusal::NeedsTooMany { named: after.len() }));
    }
    for needs in after {
        may_be_needed(sql, project, &tasks::task(sql, *needs)?)?;
        let statement = "INSERT OR IGNORE INTO tracker_item_needs (project, work_item, needs) VALUES (?1, ?2, ?3)";
        execute(sql, statement, params![project.as_str(), item.as_str(), int(needs.0)])?;
    }
    Ok(())
}

/// What a task needs, as it was named.
pub(crate) fn prerequisites(sql: &Connection, task: TaskId) -> Result<Vec<Prerequisite>> {
    let query = "SELECT p.id, p.work_item, d.met, EXISTS (SELECT 1 FROM task n
                WHERE n.project = p.project AND n.work_item = p.work_item AND n.terminal = 0) AS live
        FROM dependency d JOIN task p ON p.id = d.needs WHERE d.task = ?1 ORDER BY p.id";
    all(sql, query, params![int(task.0)], |row| {
        let needs = Predecessor { task: TaskId(get_u64(row, "id")?), work_item: get_name(row, "task", "work_item")? };
        let unmet = match (row.get::<_, bool>("met")?, row.get::<_, bool>("live")?) {
            (true, _) => None,
            (false, true) => Some(Unmet::Unfinished),
            (false, false) => Some(Unmet::Cancelled),
        };
        Ok(Prerequisite { needs, unmet })
    })
}

/// Who waits for whom: each edge leads to the task that will be done.
pub(crate) fn live_edges(sql: &Connection) -> Result<Vec<(TaskId, TaskId)>> {
    let query = "SELECT d.task AS task, n.id AS needs FROM dependency d JOIN task t ON t.id = d.task AND t.terminal = 0
            JOIN task p ON p.id = d.needs
            JOIN task n ON n.project = p.project AND n.work_item = p.work_item AND n.terminal = 0
        WHERE d.met = 0 ORDER BY d.task, n.id";
    all(sql, query, [], edge)
}

/// Holds all of each cycle, under one alarm. Who stands still already is left alone.
pub(crate) fn hold_cycles(tx: &Tx<'_>, now: Timestamp) -> Result<u32> {
    let mut held = 0;
    for cycle in cycles(&live_edges(tx.sql)?) {
        let mut tasks = Vec::new();
        for id in &cycle {
            tasks.extend(tx.apart(*id, || tasks::task(tx.sql, *id))?);
        }
        let items = tasks.iter().map(|task| task.work_item.clone()).collect::<Vec<_>>();
        let mut alerts = true;
        for task in tasks {
            if matches!(task.position.activity, Activity::Held { .. } | Activity::Stopping) {
                continue;
            }
            let event = Event::DependencyCycle { cycle: items.clone(), alerts };
            if let Applied::Stepped { .. } = transact::apply(tx, task.id, &event, Origin::default(), now)? {
                alerts = false;
                held += 1;
            }
        }
    }
    Ok(held)
}

/// Where the rows beside a task do not say what its entries make of it.
pub(crate) fn differences(sql: &Connection, folded: &Task) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let rows = all(sql, "SELECT needs FROM dependency WHERE task = ?1 ORDER BY needs", [int(folded.id.0)], |row| {
        Ok(TaskId(get_u64(row, "needs")?))
    })?;
    let wanted = folded.needs.iter().copied().collect::<Vec<_>>();
    if rows != wanted {
        let show = |ids: &[TaskId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        found.push(format!("dependencies: the entries make [{}], the rows say [{}]", show(&wanted), show(&rows)));
    }
    let paused = number(sql, "SELECT 1 FROM paused WHERE task = ?1", [int(folded.id.0)])?.is_some();
    let wanted = folded.stands_aside() && folded.end().is_none();
    if paused != wanted {
        found.push(format!("paused: the entries make {wanted}, the row says {paused}"));
    }
    Ok(found)
}

/// Is there any?
pub(crate) fn has_cycles(sql: &Connection) -> Result<bool> {
    Ok(!cycles(&live_edges(sql)?).is_empty())
}
