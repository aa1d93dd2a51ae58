//! What a person wants of a task, by token instead of by the board.

use axum::Json;
use conductor::ports::store::{Applied, AppliedSeen, EntryRow, Seen};
use domain::event::{Event, Intent};
use domain::ids::Actor;
use domain::task::Task;

use crate::api::{IntentNote, Taken};
use crate::app::{App, GatewayState};
use crate::find;
use crate::problem::Problem;
use crate::routes::{Answer, at_most};
use crate::standing::Scene;

pub(crate) const LONGEST_NOTE: usize = 4000;
/// Of what happened meanwhile, the newest: whoever looked a week ago reads the timeline.
const MOST_SINCE: usize = 50;

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
    let event = Event::Intent { intent, actor, note: body.note };
    let applied = match (body.version, body.epoch) {
        (None, None) => state.store.apply(seen.id, &event, state.now())?,
        (version, epoch) => {
            // Whoever names no version is told of what comes while he asks, and of nothing before.
            let looked_at = Seen { version: version.unwrap_or(seen.version), epoch };
            match state.store.apply_seen(seen.id, &event, &looked_at, state.now())? {
                AppliedSeen::Applied(applied) => applied,
                AppliedSeen::Moved { task, since } => {
                    let saw = match (version, epoch) {
                        (None, Some(epoch)) => format!("epoch {epoch} of task {}, it is at {}", task.id, task.epoch),
                        _ => version_seen(&looked_at, &task),
                    };
                    return Err(moved(state, &saw, *task, since));
                }
            }
        }
    };
    match applied {
        Applied::Stepped { task, .. } => Ok(Taken { intent, task: Scene::view_of(state, *task)? }),
        Applied::Rejected(rejected) => {
            let task = state.store.task(seen.id)?;
            let changed = if task.version == seen.version { "" } else { "changed since you looked: " };
            Err(no(state, rejected.word(), format!("{changed}{rejected}"), task))
        }
    }
}

/// Which version somebody saw, and which one it is.
pub(crate) fn version_seen(looked_at: &Seen, task: &Task) -> String {
    format!("version {} of task {}, it is at {}", looked_at.version, task.id, task.version)
}

/// It is not what was looked at any more: what happened meanwhile, instead of the deed.
pub(crate) fn moved(state: &GatewayState, saw: &str, task: Task, mut since: Vec<EntryRow>) -> Problem {
    since.drain(..since.len().saturating_sub(MOST_SINCE));
    let told = since.iter().filter_map(|row| crate::timeline::words(&row.entry)).collect::<Vec<_>>();
    let mut detail = format!("changed since you looked: you saw {saw}");
    if !told.is_empty() {
        detail = format!("{detail}; meanwhile: {}", told.join("; "));
    }
    no(state, "late", detail, task).since(since)
}

pub(crate) fn no(state: &GatewayState, word: &str, why: String, task: Task) -> Problem {
    match Scene::view_of(state, task) {
        Ok(view) => {
            let detail = format!("{why}. {} now: {}", view.task.work_item, view.standing.sentence);
            Problem::rejected(detail, word.to_owned(), Some(view))
        }
        Err(error) => error.into(),
    }
}
