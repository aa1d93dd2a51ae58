//! Tasks: our record of each work item's way.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use conductor::ports::store::{EntryRow, EvaluationRow, Page, RunRow, TaskList};
use domain::document::Document;
use domain::ids::{DocumentId, EvaluationId, RunId, TaskId};
use serde::Deserialize;

use crate::api::{CardView, Listing, NewCard, NewTaskCard, TaskListing, TaskView};
use crate::app::App;
use crate::body::{Parameters, Required, Segments};
use crate::desk::with_live_usage;
use crate::find;
use crate::problem::Problem;
use crate::routes::{Answer, Limit, Part, items, part};
use crate::said::both;
use crate::standing::Scene;
use crate::tongue::Tongue;
use crate::visitor::Operator;

/// How long a creation waits for its task: a delivery is expanded within one tick of a host that is well.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Which tasks.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    live: Option<bool>,
    project: Option<String>,
    before: Option<u64>,
    limit: Option<u32>,
}

pub(crate) async fn list(State(app): State<App>, Parameters(which): Parameters<Which>) -> Answer<TaskListing> {
    let rows = Limit { limit: which.limit }.rows()?;
    let listed = app.ask(move |state| {
        let project =
            which.project.map(|name| find::project(&*state.store, &name)).transpose()?.map(|project| project.name);
        let of = TaskList { live: which.live.unwrap_or(false), project };
        let Page { rows, all, next, .. } = state.store.task_page(&of, which.before.map(TaskId), rows)?;
        let scene = Scene::among(state, Tongue::English, &rows)?;
        let items = rows.into_iter().map(|task| scene.view(task)).collect();
        Ok(TaskListing { items, more: next.is_some(), total: all, next })
    });
    listed.await.map(Json)
}

/// Does the creation wait?
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    #[serde(default)]
    wait: bool,
}

pub(crate) async fn create(
    State(app): State<App>,
    Operator(actor): Operator,
    Parameters(wait): Parameters<Wait>,
    Required(body): Required<NewTaskCard>,
) -> Result<(StatusCode, Json<CardView>), Problem> {
    let card = app.write(move |state| {
        let project = match &body.project {
            Some(name) => find::project(&*state.store, name.as_str())?,
            None => find::only_project(&*state.store)?,
        };
        // Made where a task starts (B5): in one transaction, so that no crash leaves a card that nobody starts.
        let status = Some(state.desk.start_status(&project.name));
        let card = NewCard {
            title: body.title,
            description: body.description,
            labels: body.labels,
            status,
            after: body.after,
        };
        items::make(state, &project, card, actor)
    });
    let mut view = CardView { card: card.await?, task: None };
    if wait.wait {
        view = appear(&app, view).await?;
    }
    Ok((StatusCode::CREATED, Json(view)))
}

/// The card as soon as its task is there, or as it is when patience ends.
async fn appear(app: &App, mut view: CardView) -> Result<CardView, Problem> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut closing = app.closing.clone();
    while view.task.is_none() && tokio::time::Instant::now() < deadline && !*closing.borrow_and_update() {
        let (project, item) = (view.card.project.clone(), view.card.work_item.clone());
        view.task = app
            .ask(move |state| {
                let task = state.store.task_of(&project, &item)?;
                task.map(|task| Ok(Scene::view_of(state, task)?)).transpose()
            })
            .await?;
        if view.task.is_none() {
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(view)
}

pub(crate) async fn show(State(app): State<App>, Segments(reference): Segments<String>) -> Answer<TaskView> {
    let answer = app.ask(move |state| {
        let task = find::task(&*state.store, &reference)?;
        Ok(Scene::view_of(state, task)?)
    });
    answer.await.map(Json)
}

pub(crate) async fn entries(
    State(app): State<App>,
    Segments(reference): Segments<String>,
) -> Answer<Listing<EntryRow>> {
    let items = app.ask(move |state| {
        let task = find::task(&*state.store, &reference)?;
        Ok(state.store.entries(task.id)?)
    });
    Ok(Json(Listing { items: items.await?, more: false }))
}

pub(crate) async fn runs(
    State(app): State<App>,
    Segments(reference): Segments<String>,
    Parameters(wanted): Parameters<Part>,
) -> Answer<Listing<RunRow>> {
    let (before, rows) = wanted.rows()?;
    let runs = app.ask(move |state| {
        let task = find::task(&*state.store, &reference)?;
        let mut runs = state.store.run_page(task.id, before.map(RunId), rows)?;
        runs.rows = runs.rows.into_iter().map(|run| with_live_usage(&*state.desk, run)).collect();
        Ok(part(runs))
    });
    runs.await.map(Json)
}

pub(crate) async fn evaluations(
    State(app): State<App>,
    Segments(reference): Segments<String>,
    Parameters(wanted): Parameters<Part>,
) -> Answer<Listing<EvaluationRow>> {
    let (before, rows) = wanted.rows()?;
    let evaluations = app.ask(move |state| {
        let task = find::task(&*state.store, &reference)?;
        Ok(part(state.store.evaluation_page(Some(task.id), before.map(EvaluationId), rows)?))
    });
    evaluations.await.map(Json)
}

pub(crate) async fn documents(
    State(app): State<App>,
    Segments(reference): Segments<String>,
) -> Answer<Listing<Document>> {
    let items = app.ask(move |state| {
        let task = find::task(&*state.store, &reference)?;
        Ok(state.store.documents(task.id)?)
    });
    Ok(Json(Listing { items: items.await?, more: false }))
}

/// A document's own bytes. An agent wrote them: plain text, whatever they look like.
pub(crate) async fn document(
    State(app): State<App>,
    Segments((reference, document)): Segments<(String, String)>,
) -> Result<Response, Problem> {
    let bytes = app.ask(move |state| {
        let task = find::task(&*state.store, &reference)?;
        let documents = state.store.documents(task.id)?;
        let id = document.parse::<DocumentId>().ok();
        let found = documents.iter().find(|row| id == Some(row.id) || row.name == document);
        let Some(found) = found else {
            let there = documents.iter().map(|row| format!("{} ({})", row.id, row.name)).collect::<Vec<_>>().join(", ");
            let (there, ours) = if there.is_empty() {
                ("none yet".to_owned(), "пока ни одного".to_owned())
            } else {
                (there.clone(), there)
            };
            let id = task.id;
            return Err(Problem::not_found(both!(
                "task {id} has no document `{document}`; there are: {there}",
                "у задачи {id} нет документа `{document}`; есть: {ours}"
            )));
        };
        Ok(state.store.blob(&found.blob)?)
    });
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], bytes.await?).into_response())
}
