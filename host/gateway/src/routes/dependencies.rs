//! Tasks that must be done before another one goes on.

use axum::Json;
use axum::extract::State;
use conductor::ports::store::Applied;
use domain::ids::TaskId;
use domain::task::Task;

use crate::api::{Dependencies, NewDependency};
use crate::app::{App, GatewayState};
use crate::body::{Required, Segments};
use crate::find;
use crate::problem::Problem;
use crate::routes::Answer;
use crate::routes::intents::no;
use crate::standing::Scene;
use crate::visitor::Operator;
use crate::worded;

pub(crate) async fn list(State(app): State<App>, Segments(reference): Segments<String>) -> Answer<Dependencies> {
    let answer = app.ask(move |state| view(state, find::task(&*state.store, &reference)?));
    answer.await.map(Json)
}

fn view(state: &GatewayState, task: Task) -> Result<Dependencies, Problem> {
    let needs = state.store.prerequisites(task.id)?;
    Ok(Dependencies { task: Scene::view_of(state, task)?, needs })
}

pub(crate) async fn add(
    State(app): State<App>,
    Operator(actor): Operator,
    Segments(reference): Segments<String>,
    Required(body): Required<NewDependency>,
) -> Answer<Dependencies> {
    let answer = app.write(move |state| {
        let (task, on) = both(state, &reference, &body.on)?;
        told(state, task, state.store.depend(task, on, &actor, state.now())?)
    });
    answer.await.map(Json)
}

pub(crate) async fn remove(
    State(app): State<App>,
    Operator(actor): Operator,
    Segments(reference): Segments<String>,
    Required(body): Required<NewDependency>,
) -> Answer<Dependencies> {
    let answer = app.write(move |state| {
        let (task, on) = both(state, &reference, &body.on)?;
        told(state, task, state.store.undepend(task, on, &actor, state.now())?)
    });
    answer.await.map(Json)
}

/// The task, and the other one: a key means that of the task's own project.
fn both(state: &GatewayState, reference: &str, on: &str) -> Result<(TaskId, TaskId), Problem> {
    let task = find::task(&*state.store, reference)?;
    Ok((task.id, find::task_in(&*state.store, &task.project, on)?.id))
}

fn told(state: &GatewayState, task: TaskId, applied: Applied) -> Result<Dependencies, Problem> {
    match applied {
        Applied::Stepped { .. } => view(state, state.store.task(task)?),
        Applied::Rejected(rejected) => {
            Err(no(state, rejected.word(), worded::rejected(&rejected), state.store.task(task)?))
        }
    }
}
