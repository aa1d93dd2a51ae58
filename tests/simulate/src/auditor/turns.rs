//! Whose turn it was: what was claimed against who needs whom, who came before, and what was frozen, as the tasks' own entries
//! say it.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::TaskId;
use domain::task::{Task, Terminality};
use rusqlite::Connection;

use super::{Found, Shadow, number};

/// A job that drives a task and was claimed just now.
pub(super) struct Turn {
    pub(super) job: u64,
    pub(super) task: TaskId,
    pub(super) effect: String,
    /// A host that is gone had begun it: it is only found again.
    pub(super) was_begun: bool,
}

type Shadows = BTreeMap<TaskId, Shadow>;

pub(super) fn examine(sql: &Connection, shadows: &Shadows, turns: &[Turn], wrongs: &mut Vec<String>) -> Found {
    rows(sql, shadows, wrongs)?;
    if turns.is_empty() {
        return Ok(());
    }
    let state = "SELECT (SELECT COUNT(*) FROM freeze), (SELECT serial FROM project)";
    let (is_frozen, is_serial) =
        sql.prepare_cached(state)?.query_row([], |row| Ok((number(row, 0)? > 0, number(row, 1)? == 1)))?;
    for turn in turns.iter().filter(|turn| !["timer", "clean-up"].contains(&turn.effect.as_str())) {
        let Some(task) = shadows.get(&turn.task).map(|shadow| &shadow.task) else { continue };
        let named = format!("job {} ({}) of task {} was claimed", turn.job, turn.effect, turn.task);
        if let Some(needs) = unmet(shadows, task).filter(|_| !turn.was_begun) {
            wrongs.push(format!("{named}, and task {needs}, which it needs, is not done"));
        }
        if task.branch.is_some() {
            continue;
        }
        if is_frozen {
            wrongs.push(format!("{named}: it begins in a frozen project"));
        }
        let earlier = shadows.range(..turn.task).map(|(_, shadow)| &shadow.task);
        let mut active = earlier.filter(|task| task.end().is_none() && !task.stands_aside());
        if let Some(before) = active.find(|task| unmet(shadows, task).is_none()).filter(|_| is_serial) {
            wrongs.push(format!("{named}: it begins before task {} has ended, in a serial project", before.id));
        }
    }
    Ok(())
}

/// What the task needs and is not done; a later task of the same work item will do.
fn unmet(shadows: &Shadows, task: &Task) -> Option<TaskId> {
    task.needs.iter().copied().find(|needs| !is_met(shadows, *needs))
}

fn is_met(shadows: &Shadows, needs: TaskId) -> bool {
    let Some(item) = shadows.get(&needs).map(|shadow| &shadow.task.work_item) else { return true };
    let later = shadows.range(needs..).map(|(_, shadow)| &shadow.task).filter(|task| task.work_item == *item);
    later.into_iter().any(|task| task.end() == Some(Terminality::Done))
}

/// The rows beside the tasks say what the entries say.
fn rows(sql: &Connection, shadows: &Shadows, wrongs: &mut Vec<String>) -> Found {
    let mut edges: BTreeMap<TaskId, BTreeSet<TaskId>> = BTreeMap::new();
    let mut query = sql.prepare_cached("SELECT task, needs, met FROM dependency")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (task, needs) = (TaskId(number(row, 0)?), TaskId(number(row, 1)?));
        edges.entry(task).or_default().insert(needs);
        let met = number(row, 2)? == 1;
        if met != is_met(shadows, needs) {
            wrongs.push(format!("that task {task} needs task {needs} is met: {met}, says the row, wrongly"));
        }
    }
    let mut query = sql.prepare_cached("SELECT task FROM paused")?;
    let paused = query.query_map([], |row| number(row, 0).map(TaskId))?.collect::<Result<BTreeSet<_>, _>>()?;
    for (id, shadow) in shadows {
        if edges.get(id).cloned().unwrap_or_default() != shadow.task.needs {
            wrongs.push(format!("task {id} needs {:?}, and its rows say otherwise", shadow.task.needs));
        }
        let stands_aside = shadow.task.stands_aside() && shadow.task.end().is_none();
        if paused.contains(id) != stands_aside {
            wrongs.push(format!("task {id} stands aside: {stands_aside}, and its row says otherwise"));
        }
    }
    Ok(())
}
