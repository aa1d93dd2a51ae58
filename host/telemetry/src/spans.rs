//! Spans as they are drawn. Attributes are those of the semantic conventions for CI/CD and version control, and `gatewright.*` for
//! what these have no word for. Texts of agents, tickets and plugins are in none: a trace goes to another system.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conductor::ports::store::{Applied, RunRow};
use domain::document::Role;
use domain::effect::{Claim, Effect};
use domain::event::{Answer, Event, RunResult};
use domain::ids::{Digest, DriverName, JobId};
use domain::pipeline::Action;
use domain::task::{Task, Terminality};
use domain::time::Timestamp;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::Sender;

/// Jobs whose beginning is kept in mind; a host performs a handful at a time, and those that never end are forgotten.
const BEGUN: usize = 1024;

/// Draws spans.
pub(crate) struct Pen {
    pages: String,
    scope: InstrumentationScope,
    began: BTreeMap<JobId, Timestamp>,
}

/// A span in the making.
struct Sketch {
    id: String,
    name: String,
    kind: SpanKind,
    start: Timestamp,
    end: Timestamp,
    attributes: Vec<KeyValue>,
    /// What went wrong, in the conventions' word.
    wrong: Option<&'static str>,
    is_root: bool,
}

impl Pen {
    pub(crate) fn new(sender: &Sender) -> Self {
        let scope = InstrumentationScope::builder("gatewright").with_version(sender.version.clone()).build();
        Self { pages: sender.pages.clone(), scope, began: BTreeMap::new() }
    }

    /// A job is taken in hand.
    pub(crate) fn began(&mut self, claim: &Claim, at: Timestamp) {
        while self.began.len() >= BEGUN {
            self.began.pop_first();
        }
        self.began.insert(claim.job.id, at);
    }

    /// A run that ended.
    pub(crate) fn run(
        &self,
        task: &Task,
        run: &RunRow,
        driver: Option<&DriverName>,
        effect: Option<&Effect>,
    ) -> Option<SpanData> {
        let result = run.result?;
        let (name, kind) = match effect {
            Some(Effect::Act { step, action }) => (step.to_string(), kind_of_action(*action)),
            _ => (run.role.as_str().to_owned(), kind_of_role(run.role)),
        };
        let mut attributes = self.of_task(task);
        attributes.extend([
            KeyValue::new("cicd.pipeline.task.name", name.clone()),
            KeyValue::new("cicd.pipeline.task.run.id", run.id.to_string()),
            KeyValue::new("cicd.pipeline.task.run.url.full", format!("{}/r/{}", self.pages, run.id)),
            KeyValue::new("cicd.pipeline.task.run.result", result.as_str()),
            KeyValue::new("gatewright.stage", run.stage.to_string()),
            KeyValue::new("gatewright.visit", i64::from(run.visit)),
            KeyValue::new("gatewright.attempt", i64::from(run.attempt)),
        ]);
        attributes.extend(kind.map(|kind| KeyValue::new("cicd.pipeline.task.type", kind)));
        attributes.extend(driver.map(|driver| KeyValue::new("gatewright.driver", driver.to_string())));
        attributes.extend(run.model.clone().map(|model| KeyValue::new("gatewright.model", model)));
        attributes.extend(
            run.head_after.as_ref().map(|head| KeyValue::new("vcs.ref.head.revision", head.as_str().to_owned())),
        );
        if let Some(spent) = run.spent {
            attributes.push(KeyValue::new("gatewright.cost.usd", spent.cost_microusd as f64 / 1e6));
        }
        let end = run.ended_at.unwrap_or(run.started_at);
        Some(self.draw(
            task,
            Sketch {
                id: format!("run {}", run.id),
                name,
                kind: SpanKind::Internal,
                start: run.started_at,
                end,
                attributes,
                wrong: wrong(result),
                is_root: false,
            },
        ))
    }

    /// A step that answered; one that waits has not.
    pub(crate) fn step(&mut self, claim: &Claim, event: &Event, at: Timestamp) -> Option<SpanData> {
        let start = self.began.remove(&claim.job.id).unwrap_or(at);
        let Event::StepAnswered { step, answer, .. } = event else { return None };
        let (word, result) = result_of(answer)?;
        let task = &claim.task;
        let mut attributes = self.of_task(task);
        attributes.extend([
            KeyValue::new("cicd.pipeline.task.name", step.to_string()),
            KeyValue::new("cicd.pipeline.task.run.id", claim.job.id.to_string()),
            KeyValue::new("cicd.pipeline.task.run.result", result),
            KeyValue::new("gatewright.stage", task.position.stage.to_string()),
            KeyValue::new("gatewright.visit", i64::from(task.position.visit)),
            KeyValue::new("gatewright.attempt", i64::from(claim.job.attempt)),
            KeyValue::new("gatewright.answer", word),
        ]);
        if let Effect::Judge { plugin, .. } = &claim.job.effect {
            attributes.push(KeyValue::new("gatewright.plugin", plugin.to_string()));
        }
        Some(self.draw(
            task,
            Sketch {
                id: format!("step {} {}", claim.job.id, claim.job.attempt),
                name: step.to_string(),
                kind: SpanKind::Internal,
                start,
                end: at,
                attributes,
                wrong: Some(result).filter(|result| ["failure", "error"].contains(result)),
                is_root: false,
            },
        ))
    }

    /// A task that ended with this job.
    pub(crate) fn task(&self, claim: &Claim, applied: &Applied, at: Timestamp) -> Option<SpanData> {
        let Applied::Stepped { task, .. } = applied else { return None };
        let end = task.end().filter(|_| claim.task.end().is_none())?;
        let result = match end {
            Terminality::Done => RunResult::Success,
            Terminality::Cancelled => RunResult::Cancellation,
        };
        let mut attributes = self.of_task(task);
        attributes.extend([
            KeyValue::new("cicd.pipeline.action.name", "RUN"),
            KeyValue::new("cicd.pipeline.result", result.as_str()),
            KeyValue::new("gatewright.cost.usd", task.spent.cost_microusd as f64 / 1e6),
        ]);
        attributes
            .extend(task.merged.as_ref().map(|head| KeyValue::new("vcs.ref.head.revision", head.as_str().to_owned())));
        Some(self.draw(
            task,
            Sketch {
                id: "task".to_owned(),
                name: format!("RUN {}", task.project),
                kind: SpanKind::Server,
                start: task.created_at,
                end: at,
                attributes,
                wrong: None,
                is_root: true,
            },
        ))
    }

    fn of_task(&self, task: &Task) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new("cicd.pipeline.name", task.project.to_string()),
            KeyValue::new("cicd.pipeline.run.id", task.id.to_string()),
            KeyValue::new("cicd.pipeline.run.url.full", format!("{}/t/{}", self.pages, task.work_item)),
            KeyValue::new("gatewright.work_item", task.work_item.to_string()),
        ];
        attributes
            .extend(task.branch.as_ref().map(|branch| KeyValue::new("vcs.ref.head.name", branch.as_str().to_owned())));
        attributes
    }

    fn draw(&self, task: &Task, sketch: Sketch) -> SpanData {
        let trace = trace_of(task);
        let context =
            |id: &str| SpanContext::new(trace, span_id(trace, id), TraceFlags::SAMPLED, false, TraceState::default());
        let mut attributes = sketch.attributes;
        let status = match sketch.wrong {
            Some(word) => {
                attributes.push(KeyValue::new("error.type", word));
                Status::error(word)
            }
            None => Status::Unset,
        };
        SpanData {
            span_context: context(&sketch.id),
            parent_span_id: if sketch.is_root { SpanId::INVALID } else { context("task").span_id() },
            parent_span_is_remote: false,
            span_kind: sketch.kind,
            name: sketch.name.into(),
            start_time: time(sketch.start),
            end_time: time(sketch.end.max(sketch.start)),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// The same in every life of the host, and no other task's.
fn trace_of(task: &Task) -> TraceId {
    let name = format!("{} {} {} {}", task.project, task.work_item, task.id, task.created_at.0);
    TraceId::from_hex(&Digest::of(name.as_bytes()).as_str()[..32]).unwrap_or(TraceId::INVALID)
}

fn span_id(trace: TraceId, name: &str) -> SpanId {
    let name = format!("{trace} {name}");
    SpanId::from_hex(&Digest::of(name.as_bytes()).as_str()[..16]).unwrap_or(SpanId::INVALID)
}

fn time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(at.0)).unwrap_or(UNIX_EPOCH)
}

fn wrong(result: RunResult) -> Option<&'static str> {
    match result {
        RunResult::Failure | RunResult::Error | RunResult::Timeout => Some(result.as_str()),
        RunResult::Success | RunResult::Cancellation => None,
    }
}

/// The conventions know these; other work has no word of theirs.
const fn kind_of_role(role: Role) -> Option<&'static str> {
    match role {
        Role::Tester => Some("test"),
        Role::Deployer => Some("deploy"),
        _ => None,
    }
}

const fn kind_of_action(action: Action) -> Option<&'static str> {
    match action {
        Action::Retest => Some("test"),
        Action::Staging | Action::Deploy => Some("deploy"),
        _ => None,
    }
}

/// Our word and the conventions'; none: it has not answered yet.
const fn result_of(answer: &Answer) -> Option<(&'static str, &'static str)> {
    match answer {
        Answer::Pass { .. } => Some(("pass", "success")),
        Answer::NotApplicable { .. } => Some(("not-applicable", "skip")),
        Answer::Fail { .. } => Some(("fail", "failure")),
        Answer::Infra { .. } => Some(("infra", "error")),
        Answer::Wait { .. } => None,
        Answer::Hold { .. } => Some(("hold", "failure")),
        Answer::Stuck { .. } => Some(("stuck", "error")),
        // What it was asked about is not there any more; it is asked again.
        Answer::BaseMoved { .. } => Some(("base-moved", "cancellation")),
        Answer::HeadMoved { .. } => Some(("head-moved", "cancellation")),
    }
}
