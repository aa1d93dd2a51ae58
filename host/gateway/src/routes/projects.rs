//! Projects, and the freeze of their repositories.

use axum::Json;
use axum::extract::State;
use conductor::ports::store::Project;
use domain::ids::ProjectName;

use crate::api::{Freeze, FreezeReason, Listing, ProjectView};
use crate::app::{App, GatewayState};
use crate::body::{Required, Segments};
use crate::find;
use crate::problem::Problem;
use crate::routes::{Answer, one_line};
use crate::visitor::Operator;

/// How many freezes and thaws are shown.
const LOG: u32 = 20;

pub(crate) async fn list(State(app): State<App>) -> Answer<Listing<ProjectView>> {
    let items = app.ask(|state| state.store.projects()?.iter().map(|project| view(state, project)).collect()).await?;
    Ok(Json(Listing { items, more: false }))
}

fn view(state: &GatewayState, project: &Project) -> Result<ProjectView, Problem> {
    Ok(ProjectView {
        name: project.name.clone(),
        prefix: project.prefix.clone(),
        base_branch: project.base_branch.clone(),
        pipeline: project.pipeline.name().to_owned(),
        stages: project.pipeline.stages().iter().map(|stage| stage.name.clone()).collect(),
        statuses: state.desk.statuses(&project.name),
        serial: project.serial,
        observed: project.observe,
        frozen: state.store.freeze(&project.name)?,
        pull: state.desk.pull_command(&project.name),
    })
}

pub(crate) async fn frozen(State(app): State<App>, Segments(name): Segments<String>) -> Answer<Freeze> {
    let answer = app.ask(move |state| {
        let project = find::project(&*state.store, &name)?.name;
        stands(state, project)
    });
    answer.await.map(Json)
}

fn stands(state: &GatewayState, project: ProjectName) -> Result<Freeze, Problem> {
    let (frozen, log) = (state.store.freeze(&project)?, state.store.freeze_log(&project, LOG)?);
    Ok(Freeze { project, frozen, log })
}

pub(crate) async fn freeze(
    State(app): State<App>,
    Operator(actor): Operator,
    Segments(name): Segments<String>,
    Required(body): Required<FreezeReason>,
) -> Answer<Freeze> {
    let reason = one_line("reason", &body.reason, 500)?;
    let answer = app.write(move |state| {
        let project = find::project(&*state.store, &name)?.name;
        state.store.set_freeze(&project, Some(&reason), &actor, state.now())?;
        stands(state, project)
    });
    answer.await.map(Json)
}

pub(crate) async fn thaw(
    State(app): State<App>,
    Operator(actor): Operator,
    Segments(name): Segments<String>,
) -> Answer<Freeze> {
    let answer = app.write(move |state| {
        let project = find::project(&*state.store, &name)?.name;
        state.store.set_freeze(&project, None, &actor, state.now())?;
        stands(state, project)
    });
    answer.await.map(Json)
}
