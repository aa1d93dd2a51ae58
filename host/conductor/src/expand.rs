//! What a delivery of the built-in board means. A row of the activity log is a request: who may decide is checked here.

use domain::event::{Event, Intent, Observation};
use domain::ids::Actor;
use domain::plugin::{BoardStatus, Failure, MapperIntent, StatusChange, StatusGroup};
use domain::task::{Task, Track};
use serde::Deserialize;

use crate::Conductor;
use crate::aftermath::said;
use crate::ports::plugins::{Asking, InboundCall};
use crate::ports::store::{BoardItem, Delivery, Expansion, NewEvaluation, NewTask, StoreError};
use crate::ports::tracker::TrackerError;
use crate::project::ProjectSettings;
use crate::view::task_view;

/// Failed expansions before a delivery is parked.
const TRIES: u32 = 3;

#[derive(Deserialize)]
struct Row {
    kind: RowKind,
    activity: u64,
    from: Option<String>,
    #[serde(default)]
    to: String,
    actor: Actor,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RowKind {
    Created,
    Moved,
    Removed,
}

/// What the status-mapper makes of a move.
enum Meant {
    Intent(Intent),
    Nothing,
    /// Asking again will not help.
    GivenUp(String),
}

impl Conductor {
    pub(crate) fn expand(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let expansion = match self.meaning(delivery)? {
            Ok(expansion) => expansion,
            Err(why) if delivery.attempts + 1 < TRIES => {
                tracing::warn!(delivery = %delivery.id, why, "a delivery could not be expanded yet");
                return self.outside.store.expand_later(delivery.id, &why);
            }
            Err(why) => Expansion::Parked { why },
        };
        self.outside.store.expand(delivery.id, &[expansion], self.now()).map(|_| ())
    }

    fn meaning(&self, delivery: &Delivery) -> Result<Result<Expansion, String>, StoreError> {
        let row = match serde_json::from_slice::<Row>(&delivery.body) {
            Ok(row) => row,
            Err(error) => {
                return Ok(Ok(Expansion::Parked { why: format!("the body cannot be read: {error}") }));
            }
        };
        let Some(work_item) = &delivery.work_item else {
            return Ok(Ok(nothing("it names no work item")));
        };
        let Some(settings) = self.settings(&delivery.project) else {
            return Ok(Err(format!("the project {} is not configured on this host", delivery.project)));
        };
        if row.actor == Actor::Host {
            return Ok(Ok(nothing("the host wrote it itself")));
        }
        let Some(item) = self.outside.store.item(&delivery.project, work_item)? else {
            return Ok(Ok(nothing("the item is not there")));
        };
        let task = self.outside.store.task_of(&delivery.project, work_item)?;
        if row.kind == RowKind::Removed {
            return Ok(Ok(match task {
                Some(task) if task.end().is_none() => gone(&row),
                _ => nothing("the item is gone, and no task lives for it"),
            }));
        }
        if self.never_stood(&row, &item)? {
            return Ok(Ok(nothing("the item does not stand there, and no later row leaves from there")));
        }
        self.intent_of(&row, &item, task, &settings, delivery)
    }

    /// A row counts only if the item stands there, or a later row leaves from there.
    fn never_stood(&self, row: &Row, item: &BoardItem) -> Result<bool, StoreError> {
        if item.status == row.to {
            return Ok(false);
        }
        let later = self.outside.store.activity(&item.project, &item.work_item)?;
        Ok(!later.iter().any(|other| other.id > row.activity && other.from.as_deref() == Some(row.to.as_str())))
    }

    fn intent_of(
        &self,
        row: &Row,
        item: &BoardItem,
        task: Option<Task>,
        settings: &ProjectSettings,
        delivery: &Delivery,
    ) -> Result<Result<Expansion, String>, StoreError> {
        let live = task.filter(|task| task.end().is_none());
        // STOP is matched by the host itself: no plugin stands between a person and the stop.
        let intent = if row.to.trim().eq_ignore_ascii_case("stop") {
            Intent::Stop
        } else {
            match self.ask_mapper(row, item, live.as_ref(), settings)? {
                Ok(Meant::Intent(intent)) => intent,
                Ok(Meant::Nothing) => return Ok(Ok(self.no_intent(row, item, live.as_ref()))),
                Ok(Meant::GivenUp(why)) => return Ok(Ok(Expansion::Parked { why })),
                Err(why) => return Ok(Err(why)),
            }
        };
        // B5: a card made in a start column is a start; no other intent is read from a creation.
        if row.kind == RowKind::Created && intent != Intent::Start {
            return Ok(Ok(nothing("only a start is read from a creation")));
        }
        if let Some(refused) = refusal(settings, intent, &row.actor) {
            let key = format!("gatewright-refusal-{}", delivery.id);
            match self.outside.tracker.comment(&item.project, &item.work_item, &key, &refused, self.now()) {
                Ok(()) | Err(TrackerError::Gone) => {}
                Err(error) => return Ok(Err(error.to_string())),
            }
            return Ok(Ok(match live {
                Some(_) => refused_intent(row, intent, refused),
                None => nothing(&refused),
            }));
        }
        if live.is_none() && intent != Intent::Start {
            return Ok(Ok(nothing("no task lives for this item")));
        }
        let note = if intent == Intent::Reject { self.reason(item, &row.actor)? } else { String::new() };
        let new_task = (live.is_none()).then(|| NewTask {
            project: item.project.clone(),
            work_item: item.work_item.clone(),
            title: item.title.clone(),
            description: item.description.clone(),
            labels: item.labels.clone(),
            track: track(&item.labels),
            actor: row.actor.clone(),
        });
        let event = Event::Intent { intent, actor: row.actor.clone(), note };
        Ok(Ok(Expansion::Intent { ordinal: 0, key: format!("board-{}", row.activity), event, new_task }))
    }

    /// B8: a person who moves a live task's item to an end that is no intent takes it from the board.
    fn no_intent(&self, row: &Row, item: &BoardItem, live: Option<&Task>) -> Expansion {
        let group = self
            .outside
            .tracker
            .statuses(&item.project)
            .ok()
            .and_then(|board| board.into_iter().find(|status| status.name == row.to))
            .map(|status| status.group);
        match (live, group) {
            (Some(_), Some(StatusGroup::Completed | StatusGroup::Cancelled)) => gone(row),
            _ => nothing("the status means nothing to the pipeline"),
        }
    }

    fn ask_mapper(
        &self,
        row: &Row,
        item: &BoardItem,
        task: Option<&Task>,
        settings: &ProjectSettings,
    ) -> Result<Result<Meant, String>, StoreError> {
        let board = match self.outside.tracker.statuses(&item.project) {
            Ok(board) => board,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let status = |name: &str| {
            let found = board.iter().find(|status| status.name == name).cloned();
            found.unwrap_or_else(|| BoardStatus { name: name.to_owned(), group: StatusGroup::Unknown })
        };
        let (plugin, mapper_settings) = &settings.status_mapper;
        let change = StatusChange {
            project: item.project.clone(),
            work_item: item.work_item.clone(),
            from: row.from.as_deref().map(status),
            to: status(&row.to),
            board: board.clone(),
            by_us: row.actor == Actor::Host,
            task: task.map(task_view),
            settings: mapper_settings.to_string(),
            more: Vec::new(),
        };
        let asking = Asking {
            project: item.project.clone(),
            plugin: plugin.clone(),
            at: self.now(),
            seed: self.outside.clock.random(),
        };
        let evaluation = self.outside.plugins.map_inbound(InboundCall { asking, change });
        let verdict = serde_json::to_vec(&evaluation.answer).map_err(|error| StoreError::Refused(error.to_string()))?;
        let answer = evaluation.answer.as_ref().map_or_else(said, |intent| format!("{intent:?}"));
        self.outside.store.put_evaluation(&NewEvaluation {
            job: None,
            task: task.map(|task| task.id),
            step: "inbound".to_owned(),
            plugin: plugin.clone(),
            digest: evaluation.digest.clone(),
            answer: if evaluation.answer.is_ok() { "ok" } else { "failure" }.to_owned(),
            summary: format!("{} → {answer}", row.to),
            verdict: self.outside.store.put_blob(&verdict)?,
            transcript: self.outside.store.put_blob(&evaluation.transcript)?,
            head: None,
            base: None,
            micros: evaluation.micros,
            at: self.now(),
        })?;
        Ok(match evaluation.answer {
            Ok(intent) => Ok(match intent {
                MapperIntent::None => Meant::Nothing,
                MapperIntent::Start => Meant::Intent(Intent::Start),
                MapperIntent::Approve => Meant::Intent(Intent::Approve),
                MapperIntent::Reject => Meant::Intent(Intent::Reject),
                MapperIntent::ConfirmDeploy => Meant::Intent(Intent::ConfirmDeploy),
                MapperIntent::Stop => Meant::Intent(Intent::Stop),
                MapperIntent::Estimate => Meant::Intent(Intent::Estimate),
            }),
            Err(Failure::GiveUp { message }) => Ok(Meant::GivenUp(format!("the status-mapper gave up: {message}"))),
            Err(failure) => Err(format!("the status-mapper failed: {}", said(&failure))),
        })
    }

    /// B6: the newest comment of the one who rejected.
    fn reason(&self, item: &BoardItem, actor: &Actor) -> Result<String, StoreError> {
        let comments = self.outside.store.comments(&item.project, &item.work_item, 50)?;
        Ok(comments.into_iter().find(|comment| comment.actor == *actor).map(|comment| comment.text).unwrap_or_default())
    }
}

fn nothing(why: &str) -> Expansion {
    Expansion::Nothing { why: why.to_owned() }
}

fn gone(row: &Row) -> Expansion {
    let observation = Observation::GoneFromBoard { by: row.actor.to_string() };
    Expansion::Intent {
        ordinal: 0,
        key: format!("board-{}", row.activity),
        event: Event::Observed { observation },
        new_task: None,
    }
}

/// B1: it changes nothing, and stands among the task's entries.
fn refused_intent(row: &Row, intent: Intent, why: String) -> Expansion {
    let event = Event::IntentRefused { intent, actor: row.actor.clone(), why };
    Expansion::Intent { ordinal: 0, key: format!("board-{}", row.activity), event, new_task: None }
}

/// B1: an intent counts only from an actor who may give it. The operator's token may give any, here as by the API.
fn refusal(settings: &ProjectSettings, intent: Intent, actor: &Actor) -> Option<String> {
    let allowed = settings.deciders.get(&intent)?;
    let Actor::Person(name) = actor else { return None };
    if allowed.contains(name) {
        return None;
    }
    Some(format!("{name} may not decide this here; these may: {}.", allowed.join(", ")))
}

fn track(labels: &[String]) -> Track {
    if labels.iter().any(|label| label.eq_ignore_ascii_case("bug")) { Track::Bug } else { Track::Full }
}
