//! `/metrics` in Prometheus' text format: what this life of the host measured itself ([`Meters`]), and what is counted of the rows
//! when somebody asks ([`collect`]).
//!
//! Names follow Prometheus' conventions: a prefix, base units, `_total` behind what only grows, `_info` behind what only says.
//! Labels are words of ours and names from the operator's files, never a ticket, a task or a commit: what is about one of those
//! stands in the API. `result` is a word of OpenTelemetry's conventions for CI/CD.

mod collect;

pub(crate) use collect::page;

use conductor::ports::store::Applied;
use conductor::ports::tally::{Fact, Tally};
use domain::effect::Claim;
use domain::event::{Answer, Event, FailureClass, RunOutcome, RunResult};
use domain::task::{Activity, Task};
use domain::time::Timestamp;
use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, TextEncoder};
use store_meters::StoreMeters;

use crate::misfits::Misfits;

/// From half a millisecond, a lone commit on a good disk, to half a minute, in which a person gives up.
const QUICK: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];
/// Runs take minutes; the longest budget of a preset is two hours.
const LONG: [f64; 10] = [1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1200.0, 2400.0, 3600.0, 7200.0];
/// A group of requests in one commit holds 256 at most.
const GROUPS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// Where a label has no name to bear.
const NONE: &str = "none";

/// What this life of the host measures. Noting something costs an atomic addition, and never waits.
pub struct Meters {
    registry: Registry,
    /// When this life began.
    since: Timestamp,
    store: StoreMeters,
    runs: IntCounterVec,
    run_seconds: HistogramVec,
    evaluations: HistogramVec,
    jobs: IntCounterVec,
    steps: IntCounterVec,
    retries: IntCounterVec,
    expanded: IntCounterVec,
    webhooks: IntCounterVec,
    /// For the pages: a counter does not say when it grew last.
    pub(crate) misfits: Misfits,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
}

impl Meters {
    /// All at nought, for a life that began then. An error is a name that two metrics bear.
    pub fn new(since: Timestamp) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let histogram = |name: &str, help: &str, buckets: &[f64], labels: &[&str]| {
            let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
            register(&registry, HistogramVec::new(options, labels)?)
        };
        Ok(Self {
            store: StoreMeters::new(&registry)?,
            runs: counter(
                "gatewright_runs_total",
                "Runs of agents and commands that ended, by how they ended.",
                &["project", "role", "driver", "result"],
            )?,
            run_seconds: histogram(
                "gatewright_run_duration_seconds",
                "How long runs took, from their launch to their end.",
                &LONG,
                &["role", "driver", "result"],
            )?,
            evaluations: histogram(
                "gatewright_evaluation_duration_seconds",
                "How long plugins took to answer, by their answers.",
                &QUICK,
                &["plugin", "answer"],
            )?,
            jobs: counter(
                "gatewright_jobs_completed_total",
                "Jobs that were closed, by whether their task stepped.",
                &["effect", "outcome"],
            )?,
            steps: counter(
                "gatewright_steps_answered_total",
                "Answers of the steps between two stages, by step and answer.",
                &["step", "answer"],
            )?,
            retries: counter(
                "gatewright_retries_total",
                "Jobs that did not bring what they were for, by why and by what follows.",
                &["effect", "cause", "outcome"],
            )?,
            expanded: counter(
                "gatewright_deliveries_expanded_total",
                "Deliveries that were looked at, by what came of them.",
                &["source", "outcome"],
            )?,
            webhooks: counter(
                "gatewright_webhook_deliveries_total",
                "Webhook requests, by what became of them.",
                &["source", "outcome"],
            )?,
            requests: counter(
                "gatewright_http_requests_total",
                "Requests to the operator's listener, by the route that answered.",
                &["method", "route", "status"],
            )?,
            request_seconds: histogram(
                "gatewright_http_request_duration_seconds",
                "How long answers took until their headers were sent.",
                &QUICK,
                &["method", "route"],
            )?,
            misfits: Misfits::default(),
            registry,
            since,
        })
    }

    /// What was measured so far, in Prometheus' text format; `/metrics` tells it beside what is counted of the rows.
    pub fn told(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// A webhook request came in, and this became of it: a word of ours, as the source's is.
    pub fn received(&self, source: &str, outcome: &'static str) {
        self.webhooks.with_label_values(&[source, outcome]).inc();
    }

    /// A commit of the store, and how many requests shared it.
    pub fn committed(&self, micros: u64, requests: usize) {
        self.store.committed(micros, requests);
    }

    /// A look for a job to claim.
    pub fn claimed(&self, micros: u64, outcome: &'static str) {
        self.store.claimed(micros, outcome);
    }

    /// A job moved its task: what it answered, and whether that is tried again.
    fn stepped(&self, claim: &Claim, event: &Event, task: &Task) {
        if let Event::StepAnswered { step, answer, .. } = event {
            self.steps.with_label_values(&[step.as_str(), answer.word()]).inc();
        }
        if let Some(cause) = cause_of(event) {
            let outcome = if matches!(task.position.activity, Activity::Held { .. }) { "held" } else { "again" };
            self.retries.with_label_values(&[claim.job.effect.name(), cause, outcome]).inc();
        }
    }

    pub(crate) fn answered(&self, method: &str, route: &str, status: u16, seconds: f64) {
        self.requests.with_label_values(&[method, route, &status.to_string()]).inc();
        self.request_seconds.with_label_values(&[method, route]).observe(seconds);
    }
}

/// Why it is tried again, or given up; none: there is no reason to.
const fn cause_of(event: &Event) -> Option<&'static str> {
    match event {
        Event::RunEnded { outcome: RunOutcome::Undelivered { class: FailureClass::Transient, .. }, .. } => {
            Some("transient")
        }
        Event::RunEnded { outcome: RunOutcome::Undelivered { class: FailureClass::Permanent, .. }, .. } => {
            Some("undelivered")
        }
        Event::RunEnded { outcome: RunOutcome::Trespassed { .. }, .. } => Some("trespassed"),
        Event::StepAnswered { answer: Answer::Infra { .. }, .. } => Some("infra"),
        Event::StepAnswered { answer: Answer::Fail { .. }, .. } => Some("fail"),
        _ => None,
    }
}

fn register<T: Collector + Clone + 'static>(registry: &Registry, meter: T) -> Result<T, prometheus::Error> {
    registry.register(Box::new(meter.clone()))?;
    Ok(meter)
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

impl Tally for Meters {
    fn note(&self, fact: Fact<'_>) {
        match fact {
            Fact::Began { .. } => {}
            Fact::Completed { claim, event, applied, .. } => {
                let outcome = match applied {
                    Applied::Stepped { .. } => "stepped",
                    Applied::Rejected(_) => "rejected",
                };
                self.jobs.with_label_values(&[claim.job.effect.name(), outcome]).inc();
                if let Applied::Stepped { task, .. } = applied {
                    self.stepped(claim, event, task);
                }
            }
            Fact::RunEnded { task, run, driver, .. } => {
                let driver = driver.map_or(NONE, |driver| driver.as_str());
                let result = run.result.map_or(NONE, RunResult::as_str);
                let role = run.role.as_str();
                self.runs.with_label_values(&[task.project.as_str(), role, driver, result]).inc();
                if let Some(ended_at) = run.ended_at {
                    let wall = ended_at.since(run.started_at).0 as f64 / 1e3;
                    self.run_seconds.with_label_values(&[role, driver, result]).observe(wall);
                }
            }
            Fact::Evaluated { evaluation } => {
                let labels = [evaluation.plugin.as_str(), evaluation.answer.as_str()];
                self.evaluations.with_label_values(&labels).observe(seconds(evaluation.micros));
            }
            Fact::Expanded { source, outcome, .. } => {
                self.expanded.with_label_values(&[source, outcome.word()]).inc();
            }
        }
    }
}

mod store_meters {
    //! What the store is measured by.

    use super::{GROUPS, Histogram, HistogramOpts, HistogramVec, QUICK, Registry, register, seconds};

    pub(super) struct StoreMeters {
        commits: Histogram,
        group: Histogram,
        claims: HistogramVec,
    }

    impl StoreMeters {
        pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
            let options =
                |name: &str, help: &str, buckets: &[f64]| HistogramOpts::new(name, help).buckets(buckets.to_vec());
            let commits = options(
                "gatewright_store_commit_duration_seconds",
                "How long commits took, the wait for the disk included.",
                &QUICK,
            );
            let group = options("gatewright_store_commit_requests", "How many requests shared one commit.", &GROUPS);
            let claims = options(
                "gatewright_claim_duration_seconds",
                "How long a look for a job to claim took, by what it found.",
                &QUICK,
            );
            Ok(Self {
                commits: register(registry, Histogram::with_opts(commits)?)?,
                group: register(registry, Histogram::with_opts(group)?)?,
                claims: register(registry, HistogramVec::new(claims, &["outcome"])?)?,
            })
        }

        pub(super) fn committed(&self, micros: u64, requests: usize) {
            self.commits.observe(seconds(micros));
            self.group.observe(requests as f64);
        }

        pub(super) fn claimed(&self, micros: u64, outcome: &str) {
            self.claims.with_label_values(&[outcome]).observe(seconds(micros));
        }
    }
}
