//! Evaluations: what plugins were asked and what they answered. And blobs, for who has the token.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use conductor::ports::store::EvaluationRow;
use domain::ids::{Digest, EvaluationId};
use serde::Deserialize;

use crate::api::{EvaluationView, Listing};
use crate::app::App;
use crate::body::{Parameters, Segments};
use crate::find;
use crate::problem::Problem;
use crate::routes::{Answer, Limit, part};
use crate::visitor::Operator;

/// Which evaluations.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    task: Option<String>,
    before: Option<u64>,
    limit: Option<u32>,
}

pub(crate) async fn list(
    State(app): State<App>,
    Parameters(which): Parameters<Which>,
) -> Answer<Listing<EvaluationRow>> {
    let rows = Limit { limit: which.limit }.rows()?;
    let evaluations = app.ask(move |state| {
        let task = which.task.map(|reference| find::task(&*state.store, &reference)).transpose()?;
        Ok(part(state.store.evaluation_page(task.map(|task| task.id), which.before.map(EvaluationId), rows)?))
    });
    evaluations.await.map(Json)
}

pub(crate) async fn show(State(app): State<App>, Segments(id): Segments<String>) -> Answer<EvaluationView> {
    let id: EvaluationId = find::parse(&id)?;
    let answer = app.ask(move |state| {
        let row = state.store.evaluation(id)?;
        let answered = serde_json::from_slice(&state.store.blob(&row.evaluation.verdict)?).ok();
        Ok(EvaluationView { row, answered })
    });
    answer.await.map(Json)
}

pub(crate) async fn transcript(State(app): State<App>, Segments(id): Segments<String>) -> Result<Response, Problem> {
    let id: EvaluationId = find::parse(&id)?;
    let bytes = app.ask(move |state| {
        let row = state.store.evaluation(id)?;
        Ok(state.store.blob(&row.evaluation.transcript)?)
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes.await?).into_response())
}

/// Bytes by hash: briefs, components, answers of other systems. Hence the token, though it is a read.
pub(crate) async fn blob(
    State(app): State<App>,
    _: Operator,
    Segments(digest): Segments<String>,
) -> Result<Response, Problem> {
    let digest: Digest = find::parse(&digest)?;
    let bytes = app.ask(move |state| Ok(state.store.blob(&digest)?));
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes.await?).into_response())
}
