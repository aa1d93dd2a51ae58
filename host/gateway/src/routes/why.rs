//! Why a task stands where it stands: what arrived, what was decided, on what evidence, and what would move it.

use axum::Json;
use axum::extract::State;
use conductor::ports::store::{EntryRow, EventRow, RunRow, Store, StoreError};
use domain::entry::Entry;
use domain::event::Event;
use domain::task::Task;
use domain::time::Timestamp;
use serde::Deserialize;

use crate::api::{Rebuilt, Why};
use crate::app::App;
use crate::body::{Parameters, Segments};
use crate::find;
use crate::problem::Problem;
use crate::routes::Answer;
use crate::routes::behind::Asked;
use crate::said::Said;
use crate::standing::Scene;
use crate::timeline::words;

/// Events that are looked through: a task that was told more is explained by its newest ones.
const EVENTS: u32 = 10_000;
/// Events without effect that are shown.
const REFUSED: usize = 20;

/// Of which moment.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct At {
    #[serde(default)]
    at: Option<u64>,
}

pub(crate) async fn why(
    State(app): State<App>,
    Segments(reference): Segments<String>,
    Parameters(At { at }): Parameters<At>,
) -> Answer<Why> {
    let answer = app.ask(move |state| {
        let (task, at) = (find::task(&*state.store, &reference)?, at.map(Timestamp));
        let was_not_there = || Problem::not_found(Said::to_programs("the task was not there at that time"));
        let view = match at {
            None => Scene::view_of(state, task)?,
            Some(at) => {
                let then = state.store.task_at(task.id, at)?.ok_or_else(was_not_there)?;
                Scene::of(state.store.projects()?, &[]).view(then)
            }
        };
        let seen = Seen::read(&*state.store, &view.task, at)?.ok_or_else(was_not_there)?;
        let asked = Asked { store: &*state.store, task: &view.task, entries: &seen.entries, at };
        let behind = asked.behind()?;
        let evidence = seen.evidence(&*state.store)?;
        let run = seen.run(&*state.store)?;
        let decision = seen.decision.iter().filter_map(|row| words(&row.entry)).collect();
        Ok(Why {
            task: view.task.id,
            work_item: view.task.work_item,
            stage: seen.stage,
            since: seen.since,
            event: seen.event,
            decision,
            evidence,
            run,
            said: seen.said,
            refused: seen.refused,
            waits_for: view.standing.sentence,
            behind,
            moved_by: view.standing.commands,
        })
    });
    answer.await.map(Json)
}

/// What explains one moment.
struct Seen {
    stage: String,
    since: Timestamp,
    event: Option<EventRow>,
    decision: Vec<EntryRow>,
    entries: Vec<EntryRow>,
    said: Option<EventRow>,
    refused: Vec<EventRow>,
}

impl Seen {
    /// Up to the version that the task had. `None`: there was no task yet.
    fn read(store: &dyn Store, then: &Task, at: Option<Timestamp>) -> Result<Option<Self>, StoreError> {
        let mut entries = store.entries(then.id)?;
        entries.retain(|row| row.version <= then.version);
        let entered = entries.iter().rfind(|row| matches!(row.entry, Entry::ActivityEntered { .. }));
        let Some((version, since)) = entered.map(|row| (row.version, row.at)) else { return Ok(None) };
        let stage = entries.iter().rev().find_map(|row| match &row.entry {
            Entry::StageEntered { stage, visit, .. } => Some(format!("{stage}, visit {visit}")),
            _ => None,
        });
        let events = match at {
            None => store.events(then.id, EVENTS)?,
            Some(at) => store.events_at(then.id, at, EVENTS)?,
        };
        let event = events.iter().find(|row| row.version == Some(version)).cloned();
        let is_word = |row: &&EventRow| row.version.is_some() && matches!(row.event, Event::Intent { .. });
        let said = events.iter().filter(is_word).max_by_key(|row| row.id).cloned();
        let after = event.as_ref().map_or(0, |event| event.id);
        let mut refused = events.into_iter().filter(|row| row.id > after && row.version.is_none()).collect::<Vec<_>>();
        refused.drain(..refused.len().saturating_sub(REFUSED));
        let decision = entries.iter().filter(|row| row.version == version).cloned().collect();
        Ok(Some(Self { stage: stage.unwrap_or_default(), since, event, decision, entries, said, refused }))
    }

    /// The evaluation that judged, where the event was a judgement.
    fn evidence(&self, store: &dyn Store) -> Result<Option<conductor::ports::store::EvaluationRow>, StoreError> {
        match self.event.as_ref().map(|row| &row.event) {
            Some(Event::StepAnswered { facts, .. }) => facts.evaluation.map(|id| store.evaluation(id)).transpose(),
            _ => Ok(None),
        }
    }

    /// The run whose end it was.
    fn run(&self, store: &dyn Store) -> Result<Option<RunRow>, StoreError> {
        match self.event.as_ref().map(|row| &row.event) {
            Some(Event::RunEnded { run, .. }) => match store.run(*run) {
                Ok(row) => Ok(Some(row)),
                Err(StoreError::NotFound { .. }) => Ok(None),
                Err(error) => Err(error),
            },
            _ => Ok(None),
        }
    }
}

pub(crate) async fn rebuild(State(app): State<App>, Segments(reference): Segments<String>) -> Answer<Rebuilt> {
    let answer = app.ask(move |state| {
        let task = find::task(&*state.store, &reference)?;
        Ok(Rebuilt { task: task.id, entries: task.entries, differences: state.store.rebuild(task.id)? })
    });
    answer.await.map(Json)
}
