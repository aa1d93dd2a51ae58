//! What the buttons of pages do: the same as the API's routes, and then back to the page.

use axum::extract::State;
use axum::response::Response;
use conductor::ports::store::{Applied, AppliedSeen, BoardItem, FreezeRow, Pressed, Seen, SeenFreeze};
use domain::event::Intent;
use domain::ids::{Actor, Epoch, ProjectName, TaskId, Version, WorkItemId};
use serde::Deserialize;

use super::Refused;
use super::frame::Reader;
use super::ticket::SHOWN_STATUS;
use crate::api::{IntentNote, NewCard};
use crate::app::App;
use crate::body::Segments;
use crate::deed::word;
use crate::find;
use crate::problem::Problem;
use crate::routes::{intents, items, one_line};
use crate::said::both;
use crate::show::line;
use crate::visitor::{Form, Operator};
use crate::worded;

pub(crate) use many::{pause_all, resume_all, retry, retry_delivery, retry_parked, stop_all, stop_project};

mod many;

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
    let (named, task) = (item.clone(), TaskId(given.task));
    let of_it = app.ask(move |state| {
        let theirs = state.store.task(task)?.work_item;
        let told = || {
            both!(
                "the button is of the ticket {theirs}, and not of `{named}`",
                "кнопка от задачи {theirs}, а не от `{named}`"
            )
        };
        if theirs.as_str() == named { Ok(()) } else { Err(Problem::conflict(told())) }
    });
    if let Err(problem) = of_it.await {
        return Err(Refused::of(problem, reader.at("/")));
    }
    match intents::take(app.clone(), actor, intent, TaskId(given.task).to_string(), body).await {
        Ok(taken) => Ok(reader.done(&app, &given.back, word(intent), Some(&taken.0.task.task.work_item))),
        Err(problem) => Err(Refused::of(problem, reader.at(&format!("/t/{item}")))),
    }
}

/// What a form of a project sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Frozen {
    #[serde(default)]
    reason: String,
    /// How it stood when the button was shown.
    #[serde(default)]
    seen: Option<SeenFreeze>,
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
        let Some(seen) = form.seen else {
            state.store.set_freeze(&project, reason.as_deref(), &actor, state.now())?;
            return Ok(form.back);
        };
        match state.store.set_freeze_seen(&project, reason.as_deref(), &actor, seen, state.now())? {
            Pressed::Done(()) => Ok(form.back),
            Pressed::Changed(last) => Err(meanwhile(&project, seen, last)),
        }
    });
    match set.await {
        Ok(back) => Ok(reader.done(&app, &back, if on { "freeze" } else { "thaw" }, None)),
        Err(problem) => Err(Refused::of(problem, reader)),
    }
}

/// What another hand did to a project, by the newest line of its log.
fn meanwhile(project: &ProjectName, seen: SeenFreeze, last: Option<FreezeRow>) -> Problem {
    let (who, why) = last.map_or((None, None), |row| (Some(row.actor), row.reason));
    let (by, from) = who.map(|who| (format!(" by {who}"), format!(": {who}"))).unwrap_or_default();
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Problem::conflict(match seen {
        SeenFreeze::Open => both!(
            "changed since you looked: `{project}` was frozen meanwhile{by}{why}",
            "изменилось, пока вы смотрели: `{project}` тем временем заморожен{from}{why}"
        ),
        SeenFreeze::Frozen => both!(
            "changed since you looked: `{project}` is frozen no more; it was thawed meanwhile{by}",
            "изменилось, пока вы смотрели: `{project}` больше не заморожен, его тем временем разморозили{from}"
        ),
    })
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
    /// The newest card when the form was shown, empty where there was none: a form that is sent twice makes one ticket.
    #[serde(default)]
    last: Option<String>,
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
        let Some(last) = form.last else { return items::make(state, &project, card, actor) };
        let seen = if last.is_empty() { None } else { Some(find::parse::<WorkItemId>(&last)?) };
        let item = items::wanted(state, &project, card, actor)?;
        match state.store.create_item_once(&item, seen.as_ref(), state.now())? {
            Pressed::Done(card) => Ok(card),
            Pressed::Changed(BoardItem { work_item, .. }) => Err(Problem::conflict(both!(
                "this form was sent before, and made {work_item}: nothing was made now. Whoever wants another one of the same \
                 words loads the page anew",
                "эта форма уже отправлена и создала {work_item}: сейчас ничего не создано. Кому нужна ещё одна с теми же словами, \
                 загрузит страницу заново"
            ))),
        }
    });
    match made.await {
        Ok(card) => Ok(reader.done(&app, &format!("/t/{}", card.work_item), "created", Some(&card.work_item))),
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
        let other = find::task_in(&*state.store, &task.project, form.on.trim())?.id;
        let looked_at = Seen { version: Version(form.version), epoch: None };
        let applied = if on {
            state.store.depend_seen(task.id, other, &actor, &looked_at, state.now())?
        } else {
            state.store.undepend_seen(task.id, other, &actor, &looked_at, state.now())?
        };
        match applied {
            AppliedSeen::Applied(Applied::Stepped { .. }) => Ok((task.work_item, form.back)),
            AppliedSeen::Applied(Applied::Rejected(no)) => {
                Err(intents::no(state, no.word(), worded::rejected(&no), state.store.task(task.id)?))
            }
            AppliedSeen::Moved { task, since } => {
                Err(intents::moved(state, &intents::version_seen(&looked_at, &task), *task, since))
            }
        }
    });
    match set.await {
        Ok((key, back)) => Ok(reader.done(&app, &back, if on { "depend" } else { "undepend" }, Some(&key))),
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
        let moved = |now: &str| {
            let saw = &form.status;
            Problem::conflict(both!(
                "changed since you looked: `{item}` stood at “{saw}” on the board, and stands at “{now}” now",
                "изменилось, пока вы смотрели: `{item}` стояла на доске в «{saw}», а теперь в «{now}»"
            ))
        };
        if line(&card.status, SHOWN_STATUS) != form.status {
            return Err(moved(&card.status));
        }
        let to = state.desk.start_status(&project);
        // Another hand may have been at it since: that is seen where it is written.
        match state.store.move_item_seen(&card, &to, &actor, state.now())? {
            Pressed::Done(()) => Ok(card.work_item),
            Pressed::Changed(card) => Err(moved(&card.status)),
        }
    });
    match started.await {
        Ok(key) => Ok(reader.done(&app, &way_back, "started", Some(&key))),
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
        Ok(_) => Ok(reader.done(&app, &way_back, "comment", None)),
        Err(problem) => Err(Refused::of(problem, reader.at(&way_back))),
    }
}
