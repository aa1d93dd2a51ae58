//! What plugins are asked.

use domain::plugin as own;

use super::shared::facts;
use crate::bindings::exports::gatewright::{
    estimator::estimator, gate::gate, guard::guard, notifier::notifier, status_mapper::status_mapper,
};

impl From<own::GateSubject> for gate::Subject {
    fn from(subject: own::GateSubject) -> Self {
        Self {
            task: subject.task.into(),
            edge: gate::Edge { source: subject.edge.source.into(), target: subject.edge.target.into() },
            step: subject.step.into(),
            commit: subject.commit.map(Into::into),
            fork_point: subject.fork_point.map(Into::into),
            base_head: subject.base_head.map(Into::into),
            asked_before: subject.asked_before,
            first_asked_at: subject.first_asked_at.0,
            run: subject.run.map(Into::into),
            settings: subject.settings,
            more: facts(subject.more),
        }
    }
}

impl From<own::EffectView> for guard::Effect {
    fn from(effect: own::EffectView) -> Self {
        Self {
            kind: effect.kind,
            object: effect.object,
            phase: effect.phase,
            status: effect.status.map(Into::into),
            text: effect.text,
            commit: effect.commit.map(Into::into),
            more: facts(effect.more),
        }
    }
}

impl From<own::GuardQuestion> for guard::Asked {
    fn from(question: own::GuardQuestion) -> Self {
        Self {
            id: question.id.0,
            first_asked_at: question.first_asked_at.0,
            project: question.project.into(),
            environment: question.environment,
            destination: question.destination.map(|destination| guard::Destination {
                system: destination.system,
                address: destination.address,
                sandbox: destination.sandbox,
            }),
            task: question.task.map(Into::into),
            effect: question.effect.into(),
            cause: question.cause,
            settings: question.settings,
            more: facts(question.more),
        }
    }
}

impl From<own::EstimatorQuestion> for estimator::Question {
    fn from(question: own::EstimatorQuestion) -> Self {
        Self {
            project: question.project.into(),
            work_item: question.work_item.into(),
            title: question.title,
            description: question.description,
            labels: question.labels,
            track: question.track,
            settings: question.settings,
            more: facts(question.more),
        }
    }
}

impl From<own::NoticeRow> for notifier::Row {
    fn from(row: own::NoticeRow) -> Self {
        Self {
            key: row.key,
            mark: row.mark,
            runs: row.runs,
            wall_ms: row.wall_ms,
            cost_microusd: row.cost_microusd,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            model: row.model,
            effort: row.effort,
            more: facts(row.more),
        }
    }
}

impl From<own::NoticeLink> for notifier::Link {
    fn from(link: own::NoticeLink) -> Self {
        Self { rel: link.rel, label: link.label, url: link.url }
    }
}

impl From<own::NoticeView> for notifier::View {
    fn from(view: own::NoticeView) -> Self {
        Self {
            task: view.task.into(),
            status_line: view.status_line,
            rows: view.rows.into_iter().map(Into::into).collect(),
            links: view.links.into_iter().map(Into::into).collect(),
            total_cost_microusd: view.total_cost_microusd,
            total_wall_ms: view.total_wall_ms,
            agents_ms: view.agents_ms,
            people_ms: view.people_ms,
            more: facts(view.more),
        }
    }
}

impl From<own::NotifierNotice> for notifier::Notice {
    fn from(notice: own::NotifierNotice) -> Self {
        Self {
            id: notice.id.0,
            sequence: notice.sequence,
            attempt: notice.attempt,
            at: notice.at.0,
            project: notice.project.into(),
            event: notice.event,
            urgency: match notice.urgency {
                own::Urgency::Quiet => notifier::Urgency::Quiet,
                own::Urgency::Ping => notifier::Urgency::Ping,
                own::Urgency::Alarm => notifier::Urgency::Alarm,
            },
            text: notice.text,
            links: notice.links.into_iter().map(Into::into).collect(),
            view: notice.view.map(Into::into),
            settings: notice.settings,
            more: facts(notice.more),
        }
    }
}

impl From<own::StatusChange> for status_mapper::Change {
    fn from(change: own::StatusChange) -> Self {
        Self {
            project: change.project.into(),
            work_item: change.work_item.into(),
            from: change.from.map(Into::into),
            to: change.to.into(),
            board: change.board.into_iter().map(Into::into).collect(),
            by_us: change.by_us,
            task: change.task.map(Into::into),
            settings: change.settings,
            more: facts(change.more),
        }
    }
}

impl From<own::Standing> for status_mapper::Standing {
    fn from(standing: own::Standing) -> Self {
        Self {
            project: standing.project.into(),
            work_item: standing.work_item.into(),
            task: standing.task.map(Into::into),
            phase: standing.phase,
            board: standing.board.into_iter().map(Into::into).collect(),
            settings: standing.settings,
            more: facts(standing.more),
        }
    }
}

impl From<status_mapper::Intent> for own::MapperIntent {
    fn from(intent: status_mapper::Intent) -> Self {
        match intent {
            status_mapper::Intent::None => Self::None,
            status_mapper::Intent::Start => Self::Start,
            status_mapper::Intent::Approve => Self::Approve,
            status_mapper::Intent::Reject => Self::Reject,
            status_mapper::Intent::ConfirmDeploy => Self::ConfirmDeploy,
            status_mapper::Intent::Stop => Self::Stop,
            status_mapper::Intent::Estimate => Self::Estimate,
        }
    }
}
