//! What the buttons of pages do: the same as the API's routes, and then back to the page.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use conductor::ports::access::{Deed, Record};
use conductor::ports::store::{Applied, Live};
use domain::event::{Event, Intent};
use domain::ids::{Actor, Epoch, TaskId, Version};
use serde::Deserialize;

use super::Refused;
use super::frame::{Reader, own_path};
use crate::api::{IntentNote, NewCard};
use crate::app::{App, GatewayState};
use crate::body::Segments;
use crate::deed::word;
use crate::find;
use crate::problem::Problem;
use crate::routes::{intents, items, one_line};
use crate::tongue::Tongue;
use crate::visitor::{Form, Operator};

/// Tickets that one press stops or pauses at most; the next press takes the others.
const AT_ONCE: u32 = 1000;

/// What a form of a task sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Given {
    task: u64,
    /// As it was shown: another one is answered by what happened meanwhile.
    version: u64,
    /// With it, only another activity is another standing.
    #[serde(default)]
    epoch: Option<u64>,
    #[serde(default)]
    note: String,
    #[serde(default)]
    back: String,
}

/// A button of a task.
pub(crate) async fn give(
    app: App,
    reader: Reader,
    actor: Actor,
    intent: Intent,
    item: String,
    given: Given,
) -> Result<Response, Refused> {
    let body = IntentNote {
        note: given.note.trim().to_owned(),
        version: Some(Version(given.version)),
        epoch: given.epoch.map(Epoch),
    };
    match intents::take(app, actor, intent, TaskId(given.task).to_string(), body).await {
        Ok(taken) => Ok(done(&given.back, word(intent), Some(taken.0.task.task.work_item.as_str()))),
        Err(problem) => Err(Refused::of(problem, reader.at(&format!("/t/{item}")))),
    }
}

/// What a form of a project sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Frozen {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    back: String,
}

pub(crate) async fn freeze(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Segments(name): Segments<String>,
    Form(form): Form<Frozen>,
) -> Result<Response, Refused> {
    set_freeze(app, reader, actor, name, form, true).await
}

pub(crate) async fn thaw(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Segments(name): Segments<String>,
    Form(form): Form<Frozen>,
) -> Result<Response, Refused> {
    set_freeze(app, reader, actor, name, form, false).await
}

async fn set_freeze(
    app: App,
    reader: Reader,
    actor: Actor,
    name: String,
    form: Frozen,
    on: bool,
) -> Result<Response, Refused> {
    let set = app.write(move |state| {
        let reason = if on { Some(one_line("reason", &form.reason, 500)?) } else { None };
        let project = find::project(&*state.store, &name)?.name;
        state.store.set_freeze(&project, reason.as_deref(), &actor, state.now())?;
        Ok(form.back)
    });
    match set.await {
        Ok(back) => Ok(done(&back, if on { "freeze" } else { "thaw" }, None)),
        Err(problem) => Err(Refused::of(problem, reader)),
    }
}

/// A ticket that shall be, and starts at once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTicket {
    title: String,
    #[serde(default)]
    description: String,
    /// Separated by commas.
    #[serde(default)]
    labels: String,
}

pub(crate) async fn create(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Segments(name): Segments<String>,
    Form(form): Form<NewTicket>,
) -> Result<Response, Refused> {
    let made = app.write(move |state| {
        let project = find::project(&*state.store, &name)?;
        let labels =
            form.labels.split(',').map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned).collect();
        let status = Some(state.desk.start_status(&project.name));
        let card = NewCard { title: form.title, description: form.description, labels, status, after: Vec::new() };
        items::make(state, &project, card, actor)
    });
    match made.await {
        Ok(card) => Ok(done(&format!("/t/{}", card.work_item), "created", Some(card.work_item.as_str()))),
        Err(problem) => Err(Refused::of(problem, reader)),
    }
}

/// How many the button named.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counted {
    count: u64,
    #[serde(default)]
    note: String,
}

pub(crate) async fn stop_all(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Form(form): Form<Counted>,
) -> Result<Response, Refused> {
    to_all(app, reader, actor, Intent::Stop, "stopped-all", form).await
}

pub(crate) async fn pause_all(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Form(form): Form<Counted>,
) -> Result<Response, Refused> {
    to_all(app, reader, actor, Intent::Pause, "paused-all", form).await
}

async fn to_all(
    app: App,
    reader: Reader,
    actor: Actor,
    intent: Intent,
    did: &str,
    form: Counted,
) -> Result<Response, Refused> {
    match app.write(move |state| each(state, &actor, intent, &form)).await {
        Ok(()) => Ok(done("/", did, None)),
        Err(problem) => Err(Refused::of(problem, reader)),
    }
}

/// Counted again first: what came after the page was loaded is not what was meant.
fn each(state: &GatewayState, actor: &Actor, intent: Intent, form: &Counted) -> Result<(), Problem> {
    let standings = state.store.standings()?;
    let live = standings.live();
    if live != form.count {
        return Err(Problem::conflict(format!(
            "changed since you looked: the button named {}, and there are {live} now; look again",
            live_tickets(form.count)
        )));
    }
    let all = match intent {
        Intent::Stop => Some(Deed::StopAll),
        _ => None,
    };
    if let Some(what) = all {
        let (note, count) = (form.note.trim().to_owned(), Some(live_tickets(live)));
        state.access.record(&Record { why: note, subject: count, ..Record::done(actor.clone(), what) }, state.now())?;
    }
    let mut tasks = state.store.live_tasks(Live::Moving, AT_ONCE)?;
    tasks.extend(state.store.live_tasks(Live::Waiting, AT_ONCE)?);
    for task in tasks {
        let event = Event::Intent { intent, actor: actor.clone(), note: form.note.trim().to_owned() };
        // One that has stopped or paused meanwhile is what was wanted.
        let (Applied::Stepped { .. } | Applied::Rejected(_)) = state.store.apply(task.id, &event, state.now())?;
    }
    Ok(())
}

/// As the records say it, whatever the reader's language.
fn live_tickets(number: u64) -> String {
    Tongue::English.count(number, ["live ticket", "live tickets"], [""; 3])
}

/// Back to the page, which says what was done.
fn done(back: &str, did: &str, item: Option<&str>) -> Response {
    let back = own_path(back);
    let path = back.split(['?', '#']).next().unwrap_or("/");
    let item = item.map(|item| format!("&item={item}")).unwrap_or_default();
    Redirect::to(&format!("{path}?did={did}{item}")).into_response()
}
