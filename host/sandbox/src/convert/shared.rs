//! Tasks, runs, statuses, facts and errors.

use domain::plugin as own;
use domain::task::Terminality;
use domain::verdict as judged;

use crate::bindings::gatewright::errors::errors;
use crate::bindings::gatewright::tasks::tasks;

impl From<judged::Fact> for tasks::Fact {
    fn from(fact: judged::Fact) -> Self {
        Self { key: fact.key, value: fact.value }
    }
}

impl From<tasks::Fact> for judged::Fact {
    fn from(fact: tasks::Fact) -> Self {
        Self { key: fact.key, value: fact.value }
    }
}

impl From<own::Figures> for tasks::Figures {
    fn from(figures: own::Figures) -> Self {
        Self {
            input_tokens: figures.input_tokens,
            output_tokens: figures.output_tokens,
            cost_microusd: figures.cost_microusd,
            wall_ms: figures.wall_ms,
        }
    }
}

impl From<tasks::Figures> for own::Figures {
    fn from(figures: tasks::Figures) -> Self {
        Self {
            input_tokens: figures.input_tokens,
            output_tokens: figures.output_tokens,
            cost_microusd: figures.cost_microusd,
            wall_ms: figures.wall_ms,
        }
    }
}

impl From<own::BoardStatus> for tasks::Status {
    fn from(status: own::BoardStatus) -> Self {
        let group = match status.group {
            own::StatusGroup::Backlog => tasks::StatusGroup::Backlog,
            own::StatusGroup::Unstarted => tasks::StatusGroup::Unstarted,
            own::StatusGroup::Started => tasks::StatusGroup::Started,
            own::StatusGroup::Completed => tasks::StatusGroup::Completed,
            own::StatusGroup::Cancelled => tasks::StatusGroup::Cancelled,
            own::StatusGroup::Unknown => tasks::StatusGroup::Unknown,
        };
        Self { name: status.name, group }
    }
}

impl From<own::TaskView> for tasks::Task {
    fn from(task: own::TaskView) -> Self {
        Self {
            id: task.id.0,
            version: task.version.0,
            project: task.project.into(),
            work_item: task.work_item.map(Into::into),
            url: task.url,
            title: task.title,
            labels: task.labels,
            track: task.track,
            stage: task.stage.into(),
            visit: task.visit,
            phase: task.phase,
            created_at: task.created_at.0,
            stage_entered_at: task.stage_entered_at.0,
            terminality: match task.terminality {
                None => tasks::Terminality::Active,
                Some(Terminality::Done) => tasks::Terminality::Done,
                Some(Terminality::Cancelled) => tasks::Terminality::Cancelled,
            },
            branch: task.branch.map(Into::into),
            base_branch: task.base_branch.into(),
            retries: task.retries,
            watching: task.watching,
            held: task.held,
            waits_for: task.waits_for.into_iter().map(Into::into).collect(),
            forecast: task.forecast.map(Into::into),
            more: facts(task.more),
        }
    }
}

impl From<own::RunView> for tasks::Run {
    fn from(run: own::RunView) -> Self {
        Self {
            id: run.id.0,
            role: run.role,
            stage: run.stage.into(),
            visit: run.visit,
            attempt: run.attempt,
            started_at: run.started_at.0,
            finished_at: run.finished_at.map(|at| at.0),
            exit_code: run.exit_code,
            timed_out: run.timed_out,
            head_before: run.head_before.map(Into::into),
            head_after: run.head_after.map(Into::into),
            spent: run.spent.map(Into::into),
            model: run.model,
            effort: run.effort,
            more: facts(run.more),
        }
    }
}

/// Facts, each turned.
pub(super) fn facts<A, B: From<A>>(facts: Vec<A>) -> Vec<B> {
    facts.into_iter().map(B::from).collect()
}

impl From<own::HostError> for errors::HostError {
    fn from(error: own::HostError) -> Self {
        match error {
            own::HostError::Denied(denial) => Self::Denied(errors::Denial {
                capability: denial.capability,
                refused_by: match denial.refused_by {
                    own::Refusal::NotRequested => errors::Refusal::NotRequested,
                    own::Refusal::NotGranted => errors::Refusal::NotGranted,
                    own::Refusal::AboveCeiling => errors::Refusal::AboveCeiling,
                },
            }),
            own::HostError::NotFound => Self::NotFound,
            own::HostError::TooLarge(limit) => Self::TooLarge(limit),
            own::HostError::Timeout => Self::Timeout,
            own::HostError::Upstream(failure) => Self::Upstream(errors::UpstreamFailure {
                status: failure.status,
                message: failure.message,
                retry_after_ms: failure.retry_after_ms,
            }),
            own::HostError::Invalid(text) => Self::Invalid(text),
            own::HostError::Exhausted(text) => Self::Exhausted(text),
            own::HostError::Unavailable(text) => Self::Unavailable(text),
            own::HostError::Other(text) => Self::Other(text),
        }
    }
}
