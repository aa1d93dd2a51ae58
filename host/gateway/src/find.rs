//! Finding what a path names. What is not there is answered by what is.

use std::collections::HashMap;
use std::str::FromStr;

use conductor::ports::store::{BoardItem, Project, Store, StoreError};
use domain::ids::{InvalidId, ProjectName, TaskId, WorkItemId};
use domain::task::Task;

use crate::problem::Problem;
use crate::said::{Said, both};

/// How many rows a refusal names.
const NAMED: usize = 10;

/// An id of the path or of a parameter.
pub(crate) fn parse<T: FromStr<Err = InvalidId>>(text: &str) -> Result<T, Problem> {
    Ok(text.parse()?)
}

/// The work items of these tasks, each asked for once.
pub(crate) fn keys(
    store: &dyn Store,
    tasks: impl Iterator<Item = TaskId>,
) -> Result<HashMap<TaskId, WorkItemId>, StoreError> {
    let mut tasks: Vec<TaskId> = tasks.collect();
    tasks.sort_unstable();
    tasks.dedup();
    Ok(store.named(&tasks)?.into_iter().map(|(id, _, item)| (id, item)).collect())
}

pub(crate) fn project(store: &dyn Store, name: &str) -> Result<Project, Problem> {
    let name: ProjectName = parse(name)?;
    let mut projects = store.projects()?;
    if let Some(place) = projects.iter().position(|project| project.name == name) {
        return Ok(projects.swap_remove(place));
    }
    let there = named(projects.iter().map(|project| project.name.to_string()));
    Err(Problem::not_found(there.after(&both!("there is no project `{name}`; ", "проекта `{name}` нет; "))))
}

/// The project that a request means without saying so: the only one.
pub(crate) fn only_project(store: &dyn Store) -> Result<Project, Problem> {
    let mut projects = store.projects()?;
    if projects.len() == 1 {
        return Ok(projects.remove(0));
    }
    let there = named(projects.iter().map(|project| project.name.to_string()));
    Err(Problem::invalid(there.after(&both!(
        "`project` is missing, and without it there must be exactly one; ",
        "`project` не указан, а без него проект должен быть ровно один; "
    ))))
}

/// A card that is still on the board.
pub(crate) fn card(store: &dyn Store, project: &ProjectName, item: &str) -> Result<BoardItem, Problem> {
    let item: WorkItemId = parse(item)?;
    let found = store.item(project, &item)?;
    let Some(card) = found else {
        let rows = store.items(project, NAMED as u32 + 1)?;
        let there = named(rows.iter().map(|card| card.work_item.to_string()));
        return Err(Problem::not_found(there.after(&both!(
            "there is no work item `{item}` on the board of `{project}`; ",
            "на доске `{project}` нет задачи `{item}`; "
        ))));
    };
    match &card.gone {
        None => Ok(card),
        Some(actor) => Err(Problem::gone(both!(
            "the work item `{item}` was removed from the board by {actor}",
            "задача `{item}` убрана с доски: {actor}"
        ))),
    }
}

/// A task by its number, or by the key of its work item: then the newest.
pub(crate) fn task(store: &dyn Store, reference: &str) -> Result<Task, Problem> {
    if let Ok(id) = reference.parse::<TaskId>() {
        return match store.task(id) {
            Err(conductor::ports::store::StoreError::NotFound { .. }) => Err(no_task(store, reference)?),
            other => Ok(other?),
        };
    }
    let item: WorkItemId = parse(reference)?;
    let mut found = Vec::new();
    for project in store.projects()? {
        found.extend(store.task_of(&project.name, &item)?);
    }
    match found.len() {
        0 => Err(no_task(store, reference)?),
        1 => Ok(found.remove(0)),
        _ => {
            let all = found.iter().map(|task| format!("{} ({})", task.id, task.project)).collect::<Vec<_>>().join(", ");
            Err(Problem::conflict(both!(
                "several projects have a task of `{item}`; name one by its number: {all}",
                "задача `{item}` есть в нескольких проектах; назовите её по номеру: {all}"
            )))
        }
    }
}

/// A task by its number, or by the key of a work item of this project: then the newest.
pub(crate) fn task_in(store: &dyn Store, project: &ProjectName, reference: &str) -> Result<Task, Problem> {
    if reference.parse::<TaskId>().is_ok() {
        return task(store, reference);
    }
    match store.task_of(project, &parse(reference)?)? {
        Some(task) => Ok(task),
        // It may be another project's, which is told better than that it is nowhere.
        None => task(store, reference),
    }
}

fn no_task(store: &dyn Store, reference: &str) -> Result<Problem, Problem> {
    let rows = store.tasks(false, NAMED as u32 + 1)?;
    let there = named(rows.iter().map(|task| format!("{} ({})", task.id, task.work_item)));
    Ok(Problem::not_found(there.after(&both!("there is no task `{reference}`; ", "задачи `{reference}` нет; "))))
}

/// `there is none`, `there is: a`, `there are: a, b, …`.
pub(crate) fn named(rows: impl Iterator<Item = String>) -> Said {
    let mut rows: Vec<String> = rows.collect();
    let more = if rows.len() > NAMED { ", …" } else { "" };
    rows.truncate(NAMED);
    let all = rows.join(", ");
    match rows.len() {
        0 => both!("there is none", "нет ни одного"),
        1 => both!("there is: {all}", "есть: {all}"),
        _ => both!("there are: {all}{more}", "есть: {all}{more}"),
    }
}
