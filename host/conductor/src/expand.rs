//! What a delivery of the tracker means. It is a hint at a row of the tracker's log; the row is a request, and who may decide is
//! checked here.

use domain::event::{Event, Intent, Observation};
use domain::ids::Actor;
use domain::plugin::{BoardStatus, Failure, MapperIntent, StatusChange, StatusGroup};
use domain::task::{Task, Track};
use domain::time::Milliseconds;
use serde::Deserialize;

use crate::Conductor;
use crate::aftermath::{pause, said};
use crate::ports::plugins::{Asking, InboundCall};
use crate::ports::store::{BoardItem, Delivery, Expansion, NewEvaluation, NewTask, NewWould, StoreError};
use crate::ports::tally::{Expanded, Fact, Told};
use crate::ports::tracker::{LogRow as Row, RowKind, TrackerError};
use crate::project::ProjectSettings;
use crate::view::task_view;

/// Failed expansions before a delivery is parked: four minutes of them, where nobody asks for longer pauses.
const TRIES: u32 = 8;

/// What a delivery hints at. All else that it says is read from the log: there it is the tracker's own word.
#[derive(Deserialize)]
struct Hint {
    activity: Key,
}

/// Older deliveries of the board have a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Key {
    Number(u64),
    Text(String),
}

/// What the status-mapper makes of a move.
enum Meant {
    Intent(Intent),
    Nothing,
    /// Asking again will not help.
    GivenUp(String),
}

/// Why it is not known yet what a delivery means.
enum NotYet {
    /// Something failed, and asking again a few times may help, no sooner than after this.
    Failed(String, Milliseconds),
    /// The mapper failed, and does not want to be asked again before this time is over.
    Paused(Milliseconds),
    /// The tracker does not answer, or the project's file is away: that is nobody's fault who moves a card, and counts as no try.
    Unanswered(String),
    /// Rows before this one come first.
    Earlier,
    /// The log does not show the row, or not yet what led the item to where it stands: a tracker may tell of a row before it shows
    /// it (B2). What it means if none shows.
    Unseen(Expansion),
    /// The item's task is being stopped: a new one begins when that has ended.
    Stopping,
}

impl From<TrackerError> for NotYet {
    fn from(error: TrackerError) -> Self {
        match error {
            TrackerError::Unavailable(_) => Self::Unanswered(error.to_string()),
            TrackerError::Gone | TrackerError::Refused(_) => Self::Failed(error.to_string(), Milliseconds::default()),
        }
    }
}

impl Conductor {
    pub(crate) fn expand(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let said = |outcome| self.report(Fact::Expanded { source: &delivery.source, outcome, told: None });
        let expansion = match self.meaning(delivery)? {
            Ok(expansion) => expansion,
            Err(NotYet::Earlier) => return Ok(()),
            Err(NotYet::Stopping) => {
                let later =
                    Expansion::Later { why: "the item's task is being stopped; a new one begins then".to_owned() };
                self.outside.store.expand(delivery.id, &[later], self.now())?;
                self.put_off(delivery.id);
                return Ok(());
            }
            Err(NotYet::Unanswered(why)) => {
                tracing::warn!(delivery = %delivery.id, why, "a delivery waits for the tracker");
                self.put_off(delivery.id);
                said(Expanded::Later);
                return Ok(());
            }
            Err(NotYet::Unseen(_)) if self.looks_again(delivery.id) => {
                self.put_off(delivery.id);
                said(Expanded::Later);
                return Ok(());
            }
            Err(NotYet::Unseen(meaning)) => meaning,
            Err(NotYet::Paused(left)) => {
                self.put_off_by(delivery.id, left);
                return Ok(());
            }
            Err(NotYet::Failed(why, after)) if delivery.attempts + 1 < TRIES => {
                tracing::warn!(delivery = %delivery.id, why, "a delivery could not be expanded yet");
                self.put_off_by(delivery.id, pause(delivery.attempts + 1, after));
                said(Expanded::Later);
                return self.outside.store.expand_later(delivery.id, &why);
            }
            Err(NotYet::Failed(why, _)) => {
                tracing::error!(delivery = %delivery.id, why, "a delivery is parked: what it asks for is not done, and a person must look");
                Expansion::Parked { why }
            }
        };
        self.needs_no_look(delivery.id);
        let outcome = match &expansion {
            Expansion::Intent { .. } => Expanded::Told,
            Expansion::Nothing { .. } => Expanded::Nothing,
            Expansion::Parked { .. } => Expanded::Parked,
            Expansion::Later { .. } => Expanded::Later,
        };
        let at = self.now();
        let applied = self.outside.store.expand(delivery.id, &[expansion], at)?;
        tracing::debug!(source = delivery.source, outcome = outcome.word(), "a delivery was expanded");
        let told = Told { delivery: delivery.id, received_at: delivery.received_at, at, applied: &applied };
        self.report(Fact::Expanded { source: &delivery.source, outcome, told: Some(told) });
        Ok(())
    }

    fn meaning(&self, delivery: &Delivery) -> Result<Result<Expansion, NotYet>, StoreError> {
        let key = match serde_json::from_slice::<Hint>(&delivery.body) {
            Ok(Hint { activity: Key::Number(number) }) => number.to_string(),
            Ok(Hint { activity: Key::Text(text) }) => text,
            Err(error) => {
                return Ok(Ok(Expansion::Parked { why: format!("the body cannot be read: {error}") }));
            }
        };
        let Some(work_item) = &delivery.work_item else {
            return Ok(Ok(nothing("it names no work item")));
        };
        let Some(settings) = self.settings(&delivery.project) else {
            let why = format!("the project {} is not configured on this host", delivery.project);
            return Ok(Err(NotYet::Unanswered(why)));
        };
        let log = match self.outside.tracker.log(&delivery.project, work_item) {
            Ok(log) => log,
            Err(error) => return Ok(Err(error.into())),
        };
        let Some(row) = log.iter().find(|row| row.key == key).cloned() else {
            return Ok(Err(NotYet::Unseen(nothing("the tracker's log has no such row"))));
        };
        if row.actor == Actor::Host {
            return Ok(Ok(nothing("the host wrote it itself")));
        }
        if self.take_earlier(&delivery.project, &log, &row)? > 0 {
            return Ok(Err(NotYet::Earlier));
        }
        let Some(item) = self.outside.store.item(&delivery.project, work_item)? else {
            return Ok(Ok(nothing("the item is not there")));
        };
        let task = self.outside.store.task_of(&delivery.project, work_item)?;
        if row.kind == RowKind::Removed {
            return Ok(Ok(match task {
                Some(task) if task.end().is_none() => gone(&row, self.intent_key(&row)),
                _ => nothing("the item is gone, and no task lives for it"),
            }));
        }
        // A row counts only if the item stands there, or a later row leaves from there.
        let leaves = |later: &Row| later.order > row.order && later.from.as_deref() == Some(row.to.as_str());
        if item.status != row.to && !log.iter().any(leaves) {
            let false_row = nothing("the item does not stand there, and no later row leaves from there");
            let is_behind = log.iter().max_by_key(|row| row.order).is_some_and(|newest| newest.to != item.status);
            return Ok(if is_behind { Err(NotYet::Unseen(false_row)) } else { Ok(false_row) });
        }
        let is_stopped_later = log.iter().any(|later| {
            later.order > row.order
                && later.actor != Actor::Host
                && is_stop(later)
                && refusal(&settings, Intent::Stop, &later.actor).is_none()
        });
        if let Some(left) = self.pause_left(delivery.id) {
            // A stop waits for no plugin: what came before it moves nothing any more.
            return Ok(if is_stopped_later {
                Ok(nothing("it was stopped before this could be read"))
            } else {
                Err(NotYet::Paused(left))
            });
        }
        self.intent_of(&row, &item, task, &settings, (delivery.polled, is_stopped_later))
    }

    fn intent_of(
        &self,
        row: &Row,
        item: &BoardItem,
        task: Option<Task>,
        settings: &ProjectSettings,
        (polled, is_stopped_later): (bool, bool),
    ) -> Result<Result<Expansion, NotYet>, StoreError> {
        let live = task.filter(|task| task.end().is_none());
        // STOP is matched by the host itself: no plugin stands between a person and the stop.
        let intent = if is_stop(row) {
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
            let key = format!("gatewright-refusal-{}", self.intent_key(row));
            let written = if settings.observe || live.as_ref().is_some_and(|task| task.observed) {
                self.would_refuse(item, live.as_ref(), &key, &refused)?;
                Ok(())
            } else {
                self.outside.tracker.comment(&item.project, &item.work_item, &key, &refused, self.now())
            };
            match written {
                Ok(()) | Err(TrackerError::Gone) => {}
                Err(error) => return Ok(Err(error.into())),
            }
            return Ok(Ok(match live {
                Some(_) => refused_intent(row, self.intent_key(row), intent, refused),
                None => nothing(&refused),
            }));
        }
        // What a stop took back before it was heard begins nothing. Heard after the end of the task that it found, the stop says no more.
        if intent == Intent::Start && live.as_ref().is_none_or(Task::is_being_stopped) && is_stopped_later {
            return Ok(Ok(nothing("it was stopped again before it could begin")));
        }
        // I4.4: whoever starts again what he stopped means a new task, however long the old one takes to end.
        if intent == Intent::Start && live.as_ref().is_some_and(Task::is_being_stopped) {
            return Ok(Err(NotYet::Stopping));
        }
        if live.is_none() && intent != Intent::Start {
            return Ok(Ok(nothing("no task lives for this item")));
        }
        // The log of an item may be older than the host: what began and ended then begins no task now.
        if live.is_none() && polled && item.status != row.to {
            return Ok(Ok(nothing("nobody told of this start, and the item has moved on since")));
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
        Ok(Ok(Expansion::Intent { ordinal: 0, key: self.intent_key(row), event, new_task }))
    }

    fn would_refuse(&self, item: &BoardItem, live: Option<&Task>, key: &str, text: &str) -> Result<(), StoreError> {
        let would = NewWould {
            project: item.project.clone(),
            key: key.to_owned(),
            task: live.map(|task| task.id),
            work_item: item.work_item.clone(),
            effect: "post-comment".to_owned(),
            target: item.work_item.to_string(),
            summary: text.to_owned(),
            why: format!("the card was moved to {}", item.status),
            at: self.now(),
        };
        self.outside.store.put_would(&would).map(|_| ())
    }

    /// Under which a row is taken once, whoever told of it.
    fn intent_key(&self, row: &Row) -> String {
        format!("{}-{}", self.outside.tracker.source(), row.key)
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
            (Some(_), Some(StatusGroup::Completed | StatusGroup::Cancelled)) => gone(row, self.intent_key(row)),
            _ => nothing("the status means nothing to the pipeline"),
        }
    }

    fn ask_mapper(
        &self,
        row: &Row,
        item: &BoardItem,
        task: Option<&Task>,
        settings: &ProjectSettings,
    ) -> Result<Result<Meant, NotYet>, StoreError> {
        let board = match self.outside.tracker.statuses(&item.project) {
            Ok(board) => board,
            Err(error) => return Ok(Err(error.into())),
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
        let verdict = serde_json::to_vec(&evaluation.answer).map_err(|error| StoreError::inside(error.to_string()))?;
        let answer = evaluation.answer.as_ref().map_or_else(said, |intent| format!("{intent:?}"));
        let kept = NewEvaluation {
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
        };
        self.outside.store.put_evaluation(&kept)?;
        self.report(Fact::Evaluated { evaluation: &kept });
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
            Err(failure @ Failure::Retry { after, .. }) => {
                let why = format!("the status-mapper failed: {}", said(&failure));
                Err(NotYet::Failed(why, after.unwrap_or_default()))
            }
        })
    }

    /// B6: the newest comment of the one who rejected.
    fn reason(&self, item: &BoardItem, actor: &Actor) -> Result<String, StoreError> {
        let comments = self.outside.store.comments(&item.project, &item.work_item, 50)?;
        Ok(comments.into_iter().find(|comment| comment.actor == *actor).map(|comment| comment.text).unwrap_or_default())
    }
}

fn is_stop(row: &Row) -> bool {
    row.to.trim().eq_ignore_ascii_case("stop")
}

fn nothing(why: &str) -> Expansion {
    Expansion::Nothing { why: why.to_owned() }
}

fn gone(row: &Row, key: String) -> Expansion {
    let observation = Observation::GoneFromBoard { by: row.actor.to_string() };
    Expansion::Intent { ordinal: 0, key, event: Event::Observed { observation }, new_task: None }
}

/// B1: it changes nothing, and stands among the task's entries.
fn refused_intent(row: &Row, key: String, intent: Intent, why: String) -> Expansion {
    let event = Event::IntentRefused { intent, actor: row.actor.clone(), why };
    Expansion::Intent { ordinal: 0, key, event, new_task: None }
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
