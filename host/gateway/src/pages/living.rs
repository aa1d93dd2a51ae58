//! What runs that have not ended cost so far: budgets count it, and so do the figures of pages.

use std::collections::HashMap;

use domain::cost::Spent;
use domain::ids::{ProjectName, TaskId};

use crate::app::GatewayState;
use crate::problem::Problem;

/// Runs that are looked at; more have no place on one machine.
const RUNS: u32 = 1000;

/// What is being spent.
pub(super) struct Living {
    by_task: HashMap<TaskId, Spent>,
    by_project: HashMap<ProjectName, Spent>,
}

impl Living {
    pub(super) fn read(state: &GatewayState) -> Result<Self, Problem> {
        let mut by_task: HashMap<TaskId, Spent> = HashMap::new();
        for run in state.store.living_runs(RUNS)? {
            let Some((_, spent)) = state.desk.live_usage(run.id) else { continue };
            let sum = by_task.entry(run.task).or_default();
            *sum = sum.plus(spent);
        }
        let tasks: Vec<TaskId> = by_task.keys().copied().collect();
        let mut by_project: HashMap<ProjectName, Spent> = HashMap::new();
        for (task, project, _) in state.store.named(&tasks)? {
            let sum = by_project.entry(project).or_default();
            *sum = sum.plus(by_task[&task]);
        }
        Ok(Self { by_task, by_project })
    }

    /// In a project.
    pub(super) fn of(&self, project: &ProjectName) -> Spent {
        self.by_project.get(project).copied().unwrap_or_default()
    }

    /// For a task.
    pub(super) fn for_task(&self, task: TaskId) -> Spent {
        self.by_task.get(&task).copied().unwrap_or_default()
    }
}
