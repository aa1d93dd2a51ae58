//! What a person wants of a task, by token instead of by the board.

use axum::Json;
use conductor::ports::store::Applied;
use domain::event::{Event, Intent};
use domain::ids::Actor;
use domain::task::Task;

use crate::api::{IntentNote, Taken};
use crate::app::{App, GatewayState};
use crate::find;
use crate::problem::Problem;
use crate::routes::{Answer, at_most};
use crate::standing::Scene;

const LONGEST_NOTE: usize = 4000;

/// Applies an intent and says what became of it.
pub(crate) async fn take(app: App, actor: Actor, intent: Intent, reference: String, body: IntentNote) -> Answer<Taken> {
    at_most("note", &body.note, LONGEST_NOTE)?;
    if intent == Intent::Waive && body.note.trim().is_empty() {
        return Err(Problem::invalid("`note` is empty; a waiver is kept for ever with who gave it and why"));
    }
    app.write(move |state| apply(state, actor, intent, &reference, body)).await.map(Json)
}

fn apply(
    state: &GatewayState,
    actor: Actor,
    intent: Intent,
    reference: &str,
    body: IntentNote,
) -> Result<Taken, Problem> {
    let seen = find::task(&*state.store, reference)?;
    if let Some(version) = body.version
        && version != seen.version
    {
        let now = seen.version;
        let detail = format!("changed since you looked: you saw version {version} of task {}, it is at {now}", seen.id);
        return Err(no(state, "late", detail, seen));
    }
    let event = Event::Intent { intent, actor, note: body.note };
    match state.store.apply(seen.id, &event, state.now())? {
        Applied::Stepped { task, .. } => Ok(Taken { intent, task: Scene::read(state)?.view(*task) }),
        Applied::Rejected(rejected) => {
            let task = state.store.task(seen.id)?;
            let changed = if task.version == seen.version { "" } else { "changed since you looked: " };
            Err(no(state, rejected.word(), format!("{changed}{rejected}"), task))
        }
    }
}

pub(crate) fn no(state: &GatewayState, word: &str, why: String, task: Task) -> Problem {
    match Scene::read(state) {
        Ok(scene) => {
            let view = scene.view(task);
            let detail = format!("{why}. {} now: {}", view.task.work_item, view.standing.sentence);
            Problem::rejected(detail, word.to_owned(), Some(view))
        }
        Err(error) => error.into(),
    }
}
