//! Figures for machines: `/metrics` for Prometheus, `/api/v1/metrics` in the shape of the system that came before.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use axum::Json;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, header};
use axum::middleware::Next;
use axum::response::Response;
use conductor::ports::store::{RunRow, StoreError};
use domain::budget::DAY_MS;
use domain::cost::Spent;
use domain::time::Timestamp;
use tokio::time::Instant;

use crate::api::{Agent, Block, Cost, OldMetrics, QueueFigures, Tokens};
use crate::app::{App, GatewayState};
use crate::metrics;
use crate::problem::Problem;
use crate::process;
use crate::routes::Answer;

/// For so long an answer is told again: whoever scrapes more often than anybody needs costs no reads.
const MOMENT: Duration = Duration::from_secs(1);
/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Of the old shape; the old system's last one was 1.
const SCHEMA: u32 = 1;
/// Runs that are told of: no host has so many.
const AGENTS: u32 = 1000;

pub(crate) async fn prometheus(State(app): State<App>) -> Result<([(HeaderName, &'static str); 1], String), Problem> {
    // Held over the reading: who asks meanwhile gets the same answer.
    let mut told = app.told.lock().await;
    let text = match &*told {
        Some((at, text)) if at.elapsed() < MOMENT => text.clone(),
        _ => {
            let text = app.ask(metrics::page).await?;
            *told = Some((Instant::now(), text.clone()));
            text
        }
    };
    Ok(([(header::CONTENT_TYPE, TEXT)], text))
}

/// Around each route: how often it answered what, and how fast. A path that is no route is not counted: its words are a stranger's.
pub(crate) async fn measure(State(app): State<App>, path: MatchedPath, request: Request, next: Next) -> Response {
    let (method, began) = (request.method().clone(), Instant::now());
    let response = next.run(request).await;
    // Methods of a route are ours; another one is a stranger's word, and was refused.
    let method =
        if response.status() == axum::http::StatusCode::METHOD_NOT_ALLOWED { "other" } else { method.as_str() };
    let seconds = began.elapsed().as_secs_f64();
    app.state.meters.answered(method, path.as_str(), response.status().as_u16(), seconds);
    response
}

pub(crate) async fn old(State(app): State<App>) -> Answer<OldMetrics> {
    let answer = app.ask(|state| {
        Ok(OldMetrics {
            schema_version: SCHEMA,
            generated_at: rfc3339(state.now()),
            clk_tck: process::ticks_per_second(),
            stages: block("stages", || stages(state)),
            queue: block("queue", || queue(state)),
            agents: block("agents", || agents(state)),
            cost: block("cost", || cost(state)),
        })
    });
    answer.await.map(Json)
}

/// What a source says; one that fails or panics says so, and nothing else does.
pub(crate) fn block<T>(name: &str, source: impl FnOnce() -> Result<T, StoreError>) -> Block<T> {
    let error = match catch_unwind(AssertUnwindSafe(source)) {
        Ok(Ok(block)) => return Block::Fine(block),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it panicked".to_owned(),
    };
    tracing::warn!(block = name, error, "a part of an answer cannot be told");
    Block::Broken { error }
}

fn rfc3339(at: Timestamp) -> String {
    let at = i64::try_from(at.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.unwrap_or_default().to_string()
}

fn stages(state: &GatewayState) -> Result<BTreeMap<domain::ids::StageName, u64>, StoreError> {
    let mut stages = BTreeMap::new();
    for row in state.store.count_tasks()?.into_iter().filter(|row| !row.ended) {
        *stages.entry(row.stage).or_insert(0) += row.count;
    }
    Ok(stages)
}

fn queue(state: &GatewayState) -> Result<QueueFigures, StoreError> {
    let now = state.now();
    let counts = state.store.count_jobs(now)?;
    Ok(QueueFigures {
        queued: counts.queued,
        claimed: counts.claimed,
        cancelled: counts.cancelled,
        retrying: counts.retrying,
        attempts_max: counts.attempts_max,
        oldest_due_seconds: counts.due_since.map(|at| now.since(at).0 / 1000),
        max_concurrency: state.desk.limits().runs,
    })
}

fn agents(state: &GatewayState) -> Result<Vec<Agent>, StoreError> {
    let agent = |run: RunRow| Agent {
        work_item_id: state.store.task(run.task).ok().map(|task| task.work_item),
        cpu_ticks: state.desk.cpu_ticks(run.id),
        runtime_seconds: state.now().since(run.started_at).0 / 1000,
        run: run.id,
        task: run.task,
        role: run.role.as_str().to_owned(),
        stage: run.stage,
        pid: run.pid,
        model: run.model,
        effort: run.effort,
    };
    Ok(state.store.living_runs(AGENTS)?.into_iter().map(agent).collect())
}

fn cost(state: &GatewayState) -> Result<Cost, StoreError> {
    let usd = |microusd: u64| microusd as f64 / 1e6;
    let (mut total, mut today, mut projects) = (Spent::default(), Spent::default(), BTreeMap::new());
    for project in state.store.projects()? {
        let spending = state.store.spending(&project.name, state.now().0 / DAY_MS)?;
        total = total.plus(spending.total);
        today = today.plus(spending.day);
        projects.insert(project.name, usd(spending.total.cost_microusd));
    }
    let tokens = Tokens {
        input: total.input_tokens,
        output: total.output_tokens,
        cache_read: total.cache_read_tokens,
        cache_creation: total.cache_creation_tokens,
        priced: total.priced_tokens,
    };
    Ok(Cost { tokens, usd: usd(total.cost_microusd), today_usd: usd(today.cost_microusd), projects })
}
