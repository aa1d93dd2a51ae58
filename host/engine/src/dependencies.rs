//! Tasks that need others of their project: what an edge means to its task, and what makes a cycle of edges.

use std::collections::BTreeMap;

use domain::effect::{Change, Notice};
use domain::entry::Entry;
use domain::ids::{Actor, TaskId, WorkItemId};
use domain::task::{Activity, HoldKind};

use crate::illegal::Illegal;
use crate::plan::Plan;
use crate::step::Rejected;

/// Tasks that one task may need: its record stays small, and no person reads more.
pub const MOST_NEEDS: usize = 50;

/// The jobs that are not claimed yet wait from here on; what is under way goes on. A task that has a lease may be the very one
/// that its prerequisite waits for.
pub(crate) fn add(plan: &mut Plan<'_>, needs: TaskId, on: &WorkItemId, actor: &Actor) -> Result<(), Rejected> {
    if plan.task.needs.contains(&needs) {
        return Err(Rejected::Duplicate);
    }
    if let Some(lease) = plan.task.leases.keys().next() {
        return Err(Rejected::Illegal(Illegal::HoldsLease { lease: lease.clone(), on: on.clone() }));
    }
    if plan.task.needs.len() >= MOST_NEEDS {
        return Err(Rejected::Illegal(Illegal::NeedsMany));
    }
    plan.note(Entry::DependencyAdded { needs, on: on.clone(), actor: actor.clone() });
    plan.change(Change::AddDependency { needs });
    Ok(())
}

pub(crate) fn remove(plan: &mut Plan<'_>, needs: TaskId, on: &WorkItemId, actor: &Actor) -> Result<(), Rejected> {
    if !plan.task.needs.contains(&needs) {
        return Err(Rejected::Illegal(Illegal::NeedsNot { on: on.clone() }));
    }
    plan.note(Entry::DependencyRemoved { needs, on: on.clone(), actor: actor.clone() });
    plan.change(Change::RemoveDependency { needs });
    Ok(())
}

/// Nothing is let on by this: whoever needed that one decides what becomes of the work without it.
pub(crate) fn cancelled(plan: &mut Plan<'_>, needs: TaskId, on: &WorkItemId) -> Result<(), Rejected> {
    if !plan.task.needs.contains(&needs) {
        return Err(Rejected::Illegal(Illegal::NeedsNot { on: on.clone() }));
    }
    plan.note(Entry::PrerequisiteCancelled { needs, on: on.clone() });
    let item = plan.task.work_item.clone();
    let text = format!(
        "{item} needs {on}, which was stopped and will not be done: start {on} again, or let {item} go on without it"
    );
    plan.tell(Notice::Held, &text);
    if plan.hold_kind() != Some(HoldKind::GoneFromBoard) {
        plan.comment(text);
    }
    Ok(())
}

/// What our own door refuses was written by another hand: a person must take one of the edges away.
pub(crate) fn cycle(plan: &mut Plan<'_>, cycle: &[WorkItemId], alerts: bool) -> Result<(), Rejected> {
    if matches!(plan.task.position.activity, Activity::Held { .. }) {
        return Err(Rejected::Illegal(Illegal::StandsStill));
    }
    if plan.in_critical_window() {
        return Err(Rejected::Illegal(Illegal::Irreversible));
    }
    let reason = format!("{}: none of them can go on before one of these needs is taken away", around(cycle));
    let text = plan.hold_silently(HoldKind::DependencyCycle, &reason);
    if alerts {
        plan.tell(Notice::Held, &text);
    }
    plan.comment(text);
    Ok(())
}

/// `A needs B, B needs A`.
pub fn around(cycle: &[WorkItemId]) -> String {
    let next = cycle.iter().cycle().skip(1);
    let links = cycle.iter().zip(next).map(|(task, needs)| format!("{task} needs {needs}"));
    links.collect::<Vec<_>>().join(", ")
}

/// Who needs whom: `(task, needs)`.
pub type Edges = [(TaskId, TaskId)];

/// The way by which `from` needs `to`, both included; none: it does not. An edge from `to` to `from` would close a cycle of them.
pub fn way(edges: &Edges, from: TaskId, to: TaskId) -> Option<Vec<TaskId>> {
    let needs = by_task(edges);
    let mut came_from = BTreeMap::from([(from, from)]);
    let mut open = vec![from];
    while let Some(task) = open.pop() {
        if task == to {
            return Some(back(&came_from, from, to));
        }
        for next in needs.get(&task).into_iter().flatten() {
            if !came_from.contains_key(next) {
                came_from.insert(*next, task);
                open.push(*next);
            }
        }
    }
    None
}

/// Cycles that have no task in common, each from its smallest task on; every cycle of the edges shares a task with one of them.
pub fn cycles(edges: &Edges) -> Vec<Vec<TaskId>> {
    // What was not followed yet: nothing of a task that leads into no cycle, or that stands in one that was found.
    let mut left = by_task(edges);
    let mut found = Vec::new();
    for start in left.keys().copied().collect::<Vec<_>>() {
        let mut way = vec![start];
        while let Some(task) = way.last() {
            let Some(next) = left.get_mut(task).and_then(Vec::pop) else {
                way.pop();
                continue;
            };
            let Some(closes_at) = way.iter().position(|before| *before == next) else {
                way.push(next);
                continue;
            };
            let cycle = way.split_off(closes_at);
            left.retain(|task, _| !cycle.contains(task));
            found.push(from_the_smallest(cycle));
        }
    }
    found
}

fn from_the_smallest(mut cycle: Vec<TaskId>) -> Vec<TaskId> {
    let smallest = cycle.iter().enumerate().min_by_key(|(_, task)| **task).map_or(0, |(at, _)| at);
    cycle.rotate_left(smallest);
    cycle
}

fn by_task(edges: &Edges) -> BTreeMap<TaskId, Vec<TaskId>> {
    let mut needs: BTreeMap<TaskId, Vec<TaskId>> = BTreeMap::new();
    for (task, other) in edges {
        needs.entry(*task).or_default().push(*other);
    }
    needs
}

fn back(came_from: &BTreeMap<TaskId, TaskId>, from: TaskId, to: TaskId) -> Vec<TaskId> {
    let mut way = vec![to];
    while let Some(last) = way.last().copied().filter(|last| *last != from) {
        way.push(came_from[&last]);
    }
    way.reverse();
    way
}
