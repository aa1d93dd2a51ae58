//! What trackers and forges told, what came of it, and whether they still tell.

use std::collections::HashMap;

use askama::Template;
use conductor::ports::inbox::{DeliveryFilter, DeliveryRow};
use domain::ids::{DeliveryId, TaskId, WorkItemId};
use domain::time::{Milliseconds, Timestamp};
use serde::Deserialize;

use super::frame::{Frame, encoded};
use crate::api::{Flaw, State};
use crate::app::GatewayState;
use crate::find;
use crate::misfits::Misfit;
use crate::problem::Problem;
use crate::routes::deliveries::{SOURCES, STATES, Which, view};
use crate::show::{Age, Moment, bytes, line, plain, quoted};
use crate::tongue::{Tongue, say};
use crate::words;

/// Rows of a page.
const SHOWN: u32 = 100;
/// Who tells nothing for so long, while others of the project do, is asked after.
const SILENCE: Milliseconds = Milliseconds::from_seconds(24 * 60 * 60);
/// Characters of an event on its page.
const LONGEST_EVENT: usize = 64 * 1024;

#[derive(Template)]
#[template(path = "deliveries.html")]
pub(crate) struct DeliveriesPage {
    pub(crate) frame: Frame,
    pub(crate) deliveries: Deliveries,
}

/// What was told, the newest first.
pub(crate) struct Deliveries {
    rows: Vec<Row>,
    senders: Vec<Sender>,
    refused: Vec<RefusedOnes>,
    sources: Vec<Choice>,
    states: Vec<Choice>,
    projects: Vec<Choice>,
    is_filtered: bool,
    /// Of all, shown or not.
    parked: u64,
    older: Option<String>,
}

/// One of those that a filter offers.
struct Choice {
    word: String,
    shown: String,
    is_chosen: bool,
}

/// A tracker or a forge of a project.
struct Sender {
    name: String,
    last: Option<Age>,
    is_silent: bool,
}

/// Deliveries of a source that were refused for their signature since the host started.
struct RefusedOnes {
    source: &'static str,
    because: &'static str,
    count: String,
    last: Age,
    /// They came from where fitting ones came, and want mending.
    is_alarming: bool,
    is_proven: bool,
    from: String,
    advice: String,
}

/// A delivery.
pub(crate) struct Row {
    id: u64,
    at: Moment,
    source: String,
    word: String,
    project: String,
    item: Option<String>,
    sent_as: String,
    /// Whether its sender is known.
    proof: (State, String),
    standing: (State, String),
    effect: String,
    size: String,
    is_parked: bool,
}

/// Which deliveries, as the page's address says; beside them what was just done here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shown {
    source: Option<String>,
    project: Option<String>,
    state: Option<String>,
    before: Option<String>,
    /// The frame reads it.
    #[serde(rename = "did")]
    _did: Option<String>,
}

impl From<Shown> for Which {
    fn from(shown: Shown) -> Self {
        let Shown { source, project, state, before, _did } = shown;
        Self { source, project, state, before, limit: None }
    }
}

pub(crate) fn read(state: &GatewayState, t: Tongue, which: &Which) -> Result<Deliveries, Problem> {
    let filter = which.filter()?;
    let mut found = state.store.deliveries(&filter, SHOWN + 1)?;
    let more = found.len() > SHOWN as usize;
    found.truncate(SHOWN as usize);
    let older = found.last().filter(|_| more).map(|last| older(&filter, last.id));
    let keys = find::keys(&*state.store, found.iter().filter_map(|row| row.task))?;
    let projects = state.store.projects()?;
    let chosen = filter.project.as_ref().map(ToString::to_string);
    Ok(Deliveries {
        rows: found.iter().map(|delivery| row(t, delivery, &keys)).collect(),
        senders: senders(state, t)?,
        refused: refused(state, t),
        sources: choices(SOURCES.map(str::to_owned), filter.source.as_deref(), |word| words::source(t, word)),
        states: choices(STATES.map(str::to_owned), filter.state.as_deref(), |word| stands(t, word)),
        projects: choices(projects.iter().map(|project| project.name.to_string()), chosen.as_deref(), |word| word),
        parked: state.store.parked_deliveries()?,
        is_filtered: filter != DeliveryFilter::default(),
        older,
    })
}

fn choices(words: impl IntoIterator<Item = String>, chosen: Option<&str>, shown: impl Fn(&str) -> &str) -> Vec<Choice> {
    let choice = |word: String| Choice { is_chosen: chosen == Some(&word), shown: shown(&word).to_owned(), word };
    words.into_iter().map(choice).collect()
}

/// The way to those before this one.
fn older(filter: &DeliveryFilter, last: DeliveryId) -> String {
    let mut query = format!("before={last}");
    let project = filter.project.as_ref().map(ToString::to_string);
    for (name, value) in [("source", &filter.source), ("project", &project), ("state", &filter.state)] {
        if let Some(value) = value {
            query.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    query
}

fn senders(state: &GatewayState, t: Tongue) -> Result<Vec<Sender>, Problem> {
    let (now, contacts) = (state.now(), state.store.contacts()?);
    let heard = |at: Option<Timestamp>| at.filter(|at| now.since(*at) < SILENCE);
    let sender = |contact: &conductor::ports::store::Contact| {
        let (source, project) = (words::source(t, &contact.source), &contact.project);
        let others = contacts.iter().filter(|other| other.project == *project && other.source != contact.source);
        let is_silent =
            heard(contact.delivered).is_none() && others.filter_map(|other| heard(other.delivered)).count() > 0;
        Sender {
            name: line(&say!(t, "{source} of {project}", "{source} проекта {project}"), 100),
            last: contact.delivered.map(|at| Age::of(t, at, now)),
            is_silent: is_silent && contact.source != SOURCES[0],
        }
    };
    Ok(contacts.iter().map(sender).collect())
}

fn refused(state: &GatewayState, t: Tongue) -> Vec<RefusedOnes> {
    let one = |misfit: Misfit| RefusedOnes {
        source: misfit.source,
        because: match misfit.flaw {
            Flaw::Unfit => t.of("for the signature", "из-за подписи"),
            Flaw::Malformed => t.of("for what should be their signature", "из-за того, что стоит вместо подписи"),
            Flaw::Unsigned => t.of("because they are not signed", "потому что не подписаны"),
        },
        count: t.count(misfit.count, ["delivery", "deliveries"], ["доставка", "доставки", "доставок"]),
        last: Age::of(t, misfit.last, state.now()),
        is_alarming: misfit.is_alarming(state.now()),
        is_proven: misfit.is_proven,
        from: line(&misfit.senders(t), 500),
        advice: line(&quoted(&misfit.advice(t)), 1000),
    };
    state.meters.misfits.all().into_iter().map(one).collect()
}

fn row(t: Tongue, delivery: &DeliveryRow, keys: &HashMap<TaskId, WorkItemId>) -> Row {
    let by_task = delivery.task.and_then(|task| keys.get(&task));
    Row {
        id: delivery.id.0,
        at: Moment::of(delivery.received_at),
        source: line(words::source(t, &delivery.source), 40),
        word: line(delivery.word.as_deref().unwrap_or_default(), 80),
        project: delivery.project.to_string(),
        item: delivery.work_item.as_ref().or(by_task).map(ToString::to_string),
        sent_as: line(delivery.sent_as.as_deref().unwrap_or_default(), 80),
        proof: proof(t, delivery),
        standing: standing(t, delivery),
        effect: line(delivery.effect.as_deref().unwrap_or_default(), 300),
        size: bytes(delivery.size),
        is_parked: delivery.state == "parked",
    }
}

fn proof(t: Tongue, delivery: &DeliveryRow) -> (State, String) {
    match delivery.verified {
        _ if delivery.polled => {
            (State::Retrying, t.of("nobody told; found in the log", "не сообщили; найдено в журнале").to_owned())
        }
        Some(true) => (State::Done, t.of("signature fits", "подпись верна").to_owned()),
        Some(false) => (State::Skipped, t.of("not signed", "без подписи").to_owned()),
        None => (State::Done, t.of("our own board", "своя доска").to_owned()),
    }
}

fn standing(t: Tongue, delivery: &DeliveryRow) -> (State, String) {
    let state = match delivery.state.as_str() {
        "pending" => State::Queued,
        "parked" => State::Held,
        _ => State::Done,
    };
    let mut word = stands(t, &delivery.state).to_owned();
    if delivery.attempts > 0 {
        let attempts = delivery.attempts;
        word.push_str(&say!(t, ", tries: {attempts}", ", попыток: {attempts}"));
    }
    if delivery.repeats > 0 {
        let repeats = delivery.repeats;
        word.push_str(&say!(t, ", came again: {repeats}", ", повторов: {repeats}"));
    }
    (state, word)
}

/// How a delivery stands, in the words of its row; the filter above it says the same.
fn stands(t: Tongue, state: &str) -> &'static str {
    match state {
        "pending" => t.of("not read yet", "ещё не прочитано"),
        "parked" => t.of("could not be read", "прочесть не удалось"),
        _ => t.of("read", "прочитано"),
    }
}

#[derive(Template)]
#[template(path = "delivery.html")]
pub(crate) struct DeliveryPage {
    pub(crate) frame: Frame,
    pub(crate) delivery: Whole,
}

/// A delivery with what it tells of.
pub(crate) struct Whole {
    row: Row,
    headers: Vec<(String, String)>,
    event: Option<String>,
    is_cut: bool,
    unreadable: Option<String>,
}

pub(crate) fn whole(state: &GatewayState, t: Tongue, id: &str) -> Result<Whole, Problem> {
    let id: DeliveryId = find::parse(id)?;
    let seen = view(state.store.delivery(id)?);
    let keys = find::keys(&*state.store, seen.row.task.into_iter())?;
    let event = seen.event.as_ref().and_then(|event| serde_json::to_string_pretty(event).ok());
    let is_cut = event.as_ref().is_some_and(|event| event.chars().nth(LONGEST_EVENT).is_some());
    let headers = seen.headers.iter();
    Ok(Whole {
        row: row(t, &seen.row, &keys),
        headers: headers.map(|(name, value)| (line(name, 80), line(value, 300))).collect(),
        event: event.map(|event| plain(&event.chars().take(LONGEST_EVENT).collect::<String>())),
        is_cut,
        unreadable: seen.unreadable.map(|why| line(&why, 300)),
    })
}
