//! How a task and its runs look to plugins.

use domain::event::Spent;
use domain::pipeline::Pipeline;
use domain::plugin::{Figures, RunView, TaskView};
use domain::task::{Activity, Task, Track};

use crate::ports::store::RunRow;

/// A task as plugins see it.
pub fn task_view(task: &Task) -> TaskView {
    TaskView {
        id: task.id,
        version: task.version,
        project: task.project.clone(),
        work_item: Some(task.work_item.clone()),
        url: None,
        title: task.title.clone(),
        labels: task.labels.clone(),
        track: match task.track {
            Track::Full => "full",
            Track::Bug => "bug",
        }
        .to_owned(),
        stage: task.position.stage.clone(),
        visit: task.position.visit,
        phase: task.phase(),
        created_at: task.created_at,
        stage_entered_at: task.stage_entered_at,
        terminality: task.end(),
        branch: task.branch.clone(),
        base_branch: task.base_branch.clone(),
        retries: task.retries,
        watching: false,
        held: match &task.position.activity {
            Activity::Held { hold } => Some(hold.reason.clone()),
            _ => None,
        },
        waits_for: Vec::new(),
        forecast: None,
        more: Vec::new(),
    }
}

/// A run as plugins see it.
pub fn run_view(run: &RunRow) -> RunView {
    RunView {
        id: run.id,
        role: run.role.to_string(),
        stage: run.stage.clone(),
        visit: run.visit,
        attempt: run.attempt,
        started_at: run.started_at,
        finished_at: run.ended_at,
        exit_code: run.exit_code,
        timed_out: run.timed_out,
        head_before: run.head_before.clone(),
        head_after: run.head_after.clone(),
        spent: run.spent.map(figures),
        model: run.model.clone(),
        effort: run.effort.clone(),
        more: Vec::new(),
    }
}

fn figures(spent: Spent) -> Figures {
    Figures {
        input_tokens: spent.shown_input(),
        output_tokens: spent.output_tokens,
        cost_microusd: spent.cost_microusd,
        wall_ms: spent.wall.0,
    }
}

/// The edge that a task is on.
pub fn edge_of(pipeline: &Pipeline, task: &Task) -> Option<domain::plugin::EdgeName> {
    let target = pipeline.edge(&task.position.stage)?.to.clone();
    Some(domain::plugin::EdgeName { source: task.position.stage.clone(), target })
}
