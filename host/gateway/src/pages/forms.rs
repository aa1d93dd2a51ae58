//! What the buttons of pages do: the same as the API's routes, and then back to the page.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use conductor::ports::access::{Deed, Record};
use conductor::ports::store::{Applied, Live};
use domain::event::{Event, Intent};
use domain::ids::{Actor, Epoch, TaskId, Version};
use domain::task::Task;
use serde::Deserialize;

use super::frame::{Reader, own_path};
use super::ticket::SHOWN_STATUS;
use super::{Refused, now};
use crate::api::{IntentNote, NewCard};
use crate::app::{App, GatewayState};
use crate::body::Segments;
use crate::deed::word;
use crate::find;
use crate::problem::Problem;
use crate::routes::{intents, items, one_line};
use crate::show::line;
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
    /// How it stood when the button was shown: `frozen` or `open`.
    #[serde(default)]
    seen: String,
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
        let frozen = state.store.freeze(&project)?;
        match (form.seen.as_str(), &frozen) {
            ("open", Some(why)) => {
                let who = state.store.freeze_log(&project, 1)?.first().map(|row| format!(" by {}", row.actor));
                let who = who.unwrap_or_default();
                return Err(Problem::conflict(format!(
                    "changed since you looked: `{project}` was frozen meanwhile{who}: {why}"
                )));
            }
            ("frozen", None) => {
                return Err(Problem::conflict(format!("changed since you looked: `{project}` is frozen no more")));
            }
            _ => {}
        }
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

/// What a form about another task sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Needing {
    task: u64,
    version: u64,
    on: String,
    #[serde(default)]
    back: String,
}

pub(crate) async fn depend(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Segments(item): Segments<String>,
    Form(form): Form<Needing>,
) -> Result<Response, Refused> {
    set_need(app, reader, actor, item, form, true).await
}

pub(crate) async fn undepend(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Segments(item): Segments<String>,
    Form(form): Form<Needing>,
) -> Result<Response, Refused> {
    set_need(app, reader, actor, item, form, false).await
}

async fn set_need(
    app: App,
    reader: Reader,
    actor: Actor,
    item: String,
    form: Needing,
    on: bool,
) -> Result<Response, Refused> {
    let set = app.write(move |state| {
        let task = state.store.task(TaskId(form.task))?;
        if task.version != Version(form.version) {
            let (saw, now) = (form.version, task.version);
            let late = format!("changed since you looked: you saw version {saw} of task {}, it is at {now}", task.id);
            return Err(intents::no(state, "late", late, task));
        }
        let other = find::task_in(&*state.store, &task.project, form.on.trim())?.id;
        let applied = if on {
            state.store.depend(task.id, other, &actor, state.now())?
        } else {
            state.store.undepend(task.id, other, &actor, state.now())?
        };
        match applied {
            Applied::Stepped { .. } => Ok((task.work_item, form.back)),
            Applied::Rejected(no) => Err(intents::no(state, no.word(), no.to_string(), state.store.task(task.id)?)),
        }
    });
    match set.await {
        Ok((key, back)) => Ok(done(&back, if on { "depend" } else { "undepend" }, Some(key.as_str()))),
        Err(problem) => Err(Refused::of(problem, reader.at(&format!("/t/{item}")))),
    }
}

/// What a form of a card sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Card {
    project: String,
    /// Where it stood when the button was shown.
    status: String,
}

/// Moves a card to where tasks are started from.
pub(crate) async fn start(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Segments(item): Segments<String>,
    Form(form): Form<Card>,
) -> Result<Response, Refused> {
    let way_back = format!("/t/{item}");
    let started = app.write(move |state| {
        let project = find::project(&*state.store, &form.project)?.name;
        let card = find::card(&*state.store, &project, &item)?;
        if line(&card.status, SHOWN_STATUS) != form.status {
            let (saw, now) = (&form.status, &card.status);
            return Err(Problem::conflict(format!(
                "changed since you looked: `{item}` stood at “{saw}” on the board, and stands at “{now}” now"
            )));
        }
        let to = state.desk.start_status(&project);
        state.store.move_item(&project, &card.work_item, &to, &actor, state.now())?;
        Ok(card.work_item)
    });
    match started.await {
        Ok(key) => Ok(done(&way_back, "started", Some(key.as_str()))),
        Err(problem) => Err(Refused::of(problem, reader.at(&way_back))),
    }
}

/// What a comment's form sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Comment {
    project: String,
    text: String,
}

pub(crate) async fn comment(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Segments(item): Segments<String>,
    Form(form): Form<Comment>,
) -> Result<Response, Refused> {
    let way_back = format!("/t/{item}");
    match app.write(move |state| items::write(state, &form.project, &item, &form.text, &actor)).await {
        Ok(_) => Ok(done(&way_back, "comment", None)),
        Err(problem) => Err(Refused::of(problem, reader.at(&way_back))),
    }
}

/// What the button of a cause sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Caused {
    cause: String,
    #[serde(default)]
    step: String,
    count: u64,
    #[serde(default)]
    note: String,
}

pub(crate) async fn retry(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Form(form): Form<Caused>,
) -> Result<Response, Refused> {
    let retried = app.write(move |state| {
        let tasks = now::held_by(state, &form.cause, &form.step)?;
        resume(state, &actor, tasks, &form.note, form.count)
    });
    match retried.await {
        Ok(()) => Ok(done("/", "retried", None)),
        Err(problem) => Err(Refused::of(problem, reader)),
    }
}

pub(crate) async fn resume_all(
    State(app): State<App>,
    reader: Reader,
    Operator(actor): Operator,
    Form(form): Form<Counted>,
) -> Result<Response, Refused> {
    let resumed = app.write(move |state| {
        let tasks = now::paused(&*state.store)?;
        resume(state, &actor, tasks, &form.note, form.count)
    });
    match resumed.await {
        Ok(()) => Ok(done("/", "resumed-all", None)),
        Err(problem) => Err(Refused::of(problem, reader)),
    }
}

/// Lets tasks go on, if there are still as many as the button named.
fn resume(state: &GatewayState, actor: &Actor, tasks: Vec<Task>, note: &str, count: u64) -> Result<(), Problem> {
    let there = tasks.len() as u64;
    if there != count {
        return Err(Problem::conflict(format!(
            "changed since you looked: the button named {}, and there are {there} now; look again",
            live_tickets(count)
        )));
    }
    for task in tasks {
        let event = Event::Intent { intent: Intent::Resume, actor: actor.clone(), note: note.trim().to_owned() };
        // One that goes on meanwhile is what was wanted.
        let (Applied::Stepped { .. } | Applied::Rejected(_)) = state.store.apply(task.id, &event, state.now())?;
    }
    Ok(())
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
