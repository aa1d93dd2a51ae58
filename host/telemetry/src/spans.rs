//! Spans as they are drawn. Attributes are those of the semantic conventions for CI/CD and version control, and `gatewright.*` for
//! what these have no word for. Texts of agents, tickets and plugins are in none: a trace goes to another system.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conductor::ports::store::{Applied, RunRow};
use conductor::ports::tally::Told;
use domain::document::Role;
use domain::effect::{Claim, Effect, Job};
use domain::event::{Answer, Event, RunResult};
use domain::ids::{Digest, DriverName, JobId, RunId, TaskId, Version};
use domain::pipeline::Action;
use domain::task::{Task, Terminality};
use domain::time::Timestamp;
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::Sender;

/// Jobs whose beginning is kept in mind; a host performs a handful at a time, and those that never end are forgotten.
const BEGUN: usize = 1024;
/// Moves of tasks of which is kept in mind what brought them about; those of the oldest tasks are forgotten first.
const CAUSES: usize = 4096;

/// Draws spans.
pub(crate) struct Pen {
    pages: String,
    scope: InstrumentationScope,
    began: BTreeMap<JobId, Timestamp>,
    /// By which span a task came to a version: what it wanted there was brought about by that one.
    causes: BTreeMap<(TaskId, Version), SpanId>,
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
    /// At which version of its task it was wanted; none: by nothing that is a span.
    wanted_at: Option<Version>,
}

impl Pen {
    pub(crate) fn new(sender: &Sender) -> Self {
        let scope = InstrumentationScope::builder("gatewright").with_version(sender.version.clone()).build();
        Self { pages: sender.pages.clone(), scope, began: BTreeMap::new(), causes: BTreeMap::new() }
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
        job: Option<&Job>,
    ) -> Option<SpanData> {
        let result = run.result?;
        let (name, kind) = match job.map(|job| &job.effect) {
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
                id: run_name(run.id),
                name,
                kind: SpanKind::Internal,
                start: run.started_at,
                end,
                attributes,
                wrong: wrong(result),
                is_root: false,
                wanted_at: job.map(|job| job.version),
            },
        ))
    }

    /// What a delivery told a task, from its arrival on.
    pub(crate) fn delivery(&mut self, source: &str, told: &Told<'_>, applied: &Applied) -> Option<SpanData> {
        let Applied::Stepped { version, task } = applied else { return None };
        let mut attributes = self.of_task(task);
        attributes.extend([
            KeyValue::new("gatewright.delivery", told.delivery.to_string()),
            KeyValue::new("gatewright.source", source.to_owned()),
        ]);
        let span = self.draw(
            task,
            Sketch {
                id: format!("delivery {}", told.delivery),
                name: format!("delivery {source}"),
                kind: SpanKind::Consumer,
                start: told.received_at,
                end: told.at,
                attributes,
                wrong: None,
                is_root: false,
                wanted_at: None,
            },
        );
        self.keep_cause(task.id, *version, span.span_context.span_id());
        Some(span)
    }

    /// What the task wants from here on was brought about by this job: by its run, or else by its step.
    pub(crate) fn brought_about(
        &mut self,
        claim: &Claim,
        applied: &Applied,
        step: Option<&SpanData>,
        run: Option<&RunRow>,
    ) {
        let Applied::Stepped { version, .. } = applied else { return };
        let of_run = run.map(|run| span_id(trace_of(&claim.task), &run_name(run.id)));
        if let Some(cause) = of_run.or_else(|| step.map(|span| span.span_context.span_id())) {
            self.keep_cause(claim.task.id, *version, cause);
        }
    }

    fn keep_cause(&mut self, task: TaskId, version: Version, cause: SpanId) {
        while self.causes.len() >= CAUSES {
            self.causes.pop_first();
        }
        self.causes.insert((task, version), cause);
    }

    /// A step that answered, or an effect outside that was performed; a step that waits has not answered.
    pub(crate) fn step(&mut self, claim: &Claim, event: &Event, at: Timestamp) -> Option<SpanData> {
        let start = self.began.remove(&claim.job.id).unwrap_or(at);
        let (name, answered) = match event {
            Event::StepAnswered { step, answer, .. } => (step.to_string(), Some((answer.word(), result_of(answer)?))),
            Event::AftermathEnded { .. } | Event::CleanedUp { .. } => (claim.job.effect.name().to_owned(), None),
            _ => return None,
        };
        let task = &claim.task;
        let mut attributes = self.of_task(task);
        attributes.extend([
            KeyValue::new("cicd.pipeline.task.name", name.clone()),
            KeyValue::new("cicd.pipeline.task.run.id", claim.job.id.to_string()),
            KeyValue::new("gatewright.stage", task.position.stage.to_string()),
            KeyValue::new("gatewright.visit", i64::from(task.position.visit)),
            KeyValue::new("gatewright.attempt", i64::from(claim.job.attempt)),
        ]);
        if let Some((word, result)) = answered {
            attributes.push(KeyValue::new("cicd.pipeline.task.run.result", result));
            attributes.push(KeyValue::new("gatewright.answer", word));
        }
        if let Effect::Judge { plugin, .. } = &claim.job.effect {
            attributes.push(KeyValue::new("gatewright.plugin", plugin.to_string()));
        }
        Some(self.draw(
            task,
            Sketch {
                id: format!("step {} {}", claim.job.id, claim.job.attempt),
                name,
                kind: SpanKind::Internal,
                start,
                end: at,
                attributes,
                wrong: answered.map(|(_, result)| result).filter(|result| ["failure", "error"].contains(result)),
                is_root: false,
                wanted_at: Some(claim.job.version),
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
                wanted_at: None,
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
        let context = |id: &str| context_of(trace, span_id(trace, id));
        let mut links = SpanLinks::default();
        let cause = sketch.wanted_at.and_then(|version| self.causes.get(&(task.id, version)).copied());
        links.links.extend(cause.map(|cause| Link::with_context(context_of(trace, cause))));
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
            links,
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

fn context_of(trace: TraceId, span: SpanId) -> SpanContext {
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default())
}

fn run_name(run: RunId) -> String {
    format!("run {run}")
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

/// In the conventions' word; none: it has not answered yet.
const fn result_of(answer: &Answer) -> Option<&'static str> {
    match answer {
        Answer::Pass { .. } => Some("success"),
        Answer::NotApplicable { .. } => Some("skip"),
        Answer::Fail { .. } | Answer::Hold { .. } => Some("failure"),
        Answer::Infra { .. } | Answer::Stuck { .. } => Some("error"),
        Answer::Wait { .. } => None,
        // What it was asked about is not there any more; it is asked again.
        Answer::BaseMoved { .. } | Answer::HeadMoved { .. } => Some("cancellation"),
    }
}
