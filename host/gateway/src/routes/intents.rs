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
use crate::said::{Said, both};
use crate::standing::Scene;
use crate::timeline::words_in;
use crate::tongue::{Tongue, say};
use crate::worded;

pub(crate) const LONGEST_NOTE: usize = 4000;
/// Of what happened meanwhile, the newest: whoever looked a week ago reads the timeline.
const MOST_SINCE: usize = 50;

/// Applies an intent and says what became of it.
pub(crate) async fn take(app: App, actor: Actor, intent: Intent, reference: String, body: IntentNote) -> Answer<Taken> {
    at_most("note", &body.note, LONGEST_NOTE)?;
    if intent == Intent::Waive && body.note.trim().is_empty() {
        return Err(Problem::invalid(both!(
            "`note` is empty; a waiver is kept for ever with who gave it and why",
            "поле `note` пусто, а снятие шага хранится вечно с тем, кто и почему его снял"
        )));
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
                        (None, Some(epoch)) => {
                            let (id, now) = (task.id, task.epoch);
                            both!(
                                "epoch {epoch} of task {id}, it is at {now}",
                                "эпоху {epoch} задачи {id}, а теперь {now}"
                            )
                        }
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
            let why = worded::rejected(&rejected);
            let changed = both!("changed since you looked: ", "изменилось, пока вы смотрели: ");
            let why = if task.version == seen.version { why } else { why.after(&changed) };
            Err(no(state, rejected.word(), why, task))
        }
    }
}

/// Which version somebody saw, and which one it is.
pub(crate) fn version_seen(looked_at: &Seen, task: &Task) -> Said {
    let (saw, id, now) = (looked_at.version, task.id, task.version);
    both!("version {saw} of task {id}, it is at {now}", "версию {saw} задачи {id}, а теперь {now}")
}

/// It is not what was looked at any more: what happened meanwhile, instead of the deed.
pub(crate) fn moved(state: &GatewayState, saw: &Said, task: Task, mut since: Vec<EntryRow>) -> Problem {
    since.drain(..since.len().saturating_sub(MOST_SINCE));
    let told = |t: Tongue| {
        let told: Vec<String> = since.iter().filter_map(|row| words_in(t, &row.entry)).collect();
        if told.is_empty() {
            return String::new();
        }
        let told = told.join("; ");
        say!(t, "; meanwhile: {told}", "; тем временем: {told}")
    };
    let (english, russian) = (saw.english(), saw.in_tongue(Tongue::Russian));
    let (since_then, ours) = (told(Tongue::English), told(Tongue::Russian));
    let said = both!(
        "changed since you looked: you saw {english}{since_then}",
        "изменилось, пока вы смотрели: вы видели {russian}{ours}"
    );
    no(state, "late", said, task).since(since)
}

/// What was wanted is not possible, and how the task stands instead.
pub(crate) fn no(state: &GatewayState, word: &str, why: Said, task: Task) -> Problem {
    let stands = Scene::among(state, Tongue::Russian, [&task]).map(|scene| scene.standing(&task).sentence);
    match (Scene::view_of(state, task), stands) {
        (Ok(view), Ok(ours)) => {
            let (key, now) = (&view.task.work_item, &view.standing.sentence);
            let said = both!(". {key} now: {now}", ". {key} теперь: {ours}").after(&why);
            Problem::rejected(said, word.to_owned(), Some(view))
        }
        (Err(error), _) | (_, Err(error)) => error.into(),
    }
}
