//! The built-in board: cards, their status, their comments. A person's move becomes a delivery; a comment drives nothing.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use conductor::ports::store::{BoardActivity, BoardComment, BoardItem, NewItem, Project};
use domain::ids::{Actor, ProjectName, WorkItemId};

use crate::api::{CardView, Listing, Move, NewCard, NewComment};
use crate::app::{App, GatewayState};
use crate::body::{Parameters, Required, Segments};
use crate::find;
use crate::problem::Problem;
use crate::routes::{Answer, Limit, Part, at_most, listing, one_line, part};
use crate::said::both;
use crate::standing::Scene;
use crate::visitor::Operator;

/// Where a card is made that says nothing of it.
pub(crate) const BACKLOG: &str = "Backlog";
const LONGEST_TITLE: usize = 500;
const LONGEST_TEXT: usize = 64 * 1024;
const MOST_LABELS: usize = 50;
const LONGEST_WORD: usize = 100;

pub(crate) async fn list(
    State(app): State<App>,
    Segments(name): Segments<String>,
    Parameters(limit): Parameters<Limit>,
) -> Answer<Listing<BoardItem>> {
    let rows = limit.rows()?;
    let items = app.ask(move |state| {
        let project = find::project(&*state.store, &name)?;
        Ok(state.store.items(&project.name, rows + 1)?)
    });
    Ok(Json(listing(items.await?, rows)))
}

pub(crate) async fn create(
    State(app): State<App>,
    Operator(actor): Operator,
    Segments(name): Segments<String>,
    Required(card): Required<NewCard>,
) -> Result<(StatusCode, Json<BoardItem>), Problem> {
    let made = app.write(move |state| {
        let project = find::project(&*state.store, &name)?;
        make(state, &project, card, actor)
    });
    Ok((StatusCode::CREATED, Json(made.await?)))
}

/// Makes a card after looking at what it says.
pub(crate) fn make(state: &GatewayState, project: &Project, card: NewCard, actor: Actor) -> Result<BoardItem, Problem> {
    Ok(state.store.create_item(&wanted(state, project, card, actor)?, state.now())?)
}

/// A card that shall be, after looking at what it says.
pub(crate) fn wanted(state: &GatewayState, project: &Project, card: NewCard, actor: Actor) -> Result<NewItem, Problem> {
    if !state.desk.is_configured(&project.name) {
        let name = &project.name;
        return Err(Problem::conflict(both!(
            "`projects/{name}.toml` is gone, and nobody would take the ticket up: put the file back",
            "файла `projects/{name}.toml` больше нет, и задачу никто не возьмёт: верните файл"
        )));
    }
    let status = match card.status {
        Some(status) => known_status(state, &project.name, &status)?,
        None => BACKLOG.to_owned(),
    };
    let title = one_line("title", &card.title, LONGEST_TITLE)?;
    at_most("description", &card.description, LONGEST_TEXT)?;
    if card.labels.len() > MOST_LABELS {
        let count = card.labels.len();
        return Err(Problem::invalid(both!(
            "`labels` has {count} of them; it may have {MOST_LABELS}",
            "в `labels` их {count}, а можно не больше {MOST_LABELS}"
        )));
    }
    let labels = card.labels.iter().map(|label| one_line("labels", label, LONGEST_WORD)).collect::<Result<_, _>>()?;
    let mut after = Vec::new();
    for reference in &card.after {
        after.push(find::task_in(&*state.store, &project.name, reference)?.id);
    }
    let (project, description) = (project.name.clone(), card.description);
    Ok(NewItem { project, title, description, status, labels, actor, after })
}

/// A status as the board spells it: a column that is not there would swallow the card.
fn known_status(state: &GatewayState, project: &ProjectName, status: &str) -> Result<String, Problem> {
    let status = one_line("status", status, LONGEST_WORD)?;
    let known = state.desk.statuses(project);
    if known.is_empty() || known.contains(&status) {
        return Ok(status);
    }
    let known = known.join(", ");
    Err(Problem::invalid(both!(
        "`status` is `{status}`, which is no column of this board; there are: {known}",
        "`status` — `{status}`, а такого столбца на доске нет; есть: {known}"
    )))
}

pub(crate) async fn show(
    State(app): State<App>,
    Segments((name, item)): Segments<(String, String)>,
) -> Answer<CardView> {
    let answer = app.ask(move |state| {
        let project = find::project(&*state.store, &name)?;
        let card = find::card(&*state.store, &project.name, &item)?;
        let task = state.store.task_of(&project.name, &card.work_item)?;
        let task = task.map(|task| Scene::view_of(state, task)).transpose()?;
        Ok(CardView { card, task })
    });
    answer.await.map(Json)
}

pub(crate) async fn remove(
    State(app): State<App>,
    Operator(actor): Operator,
    Segments((name, item)): Segments<(String, String)>,
) -> Result<StatusCode, Problem> {
    let deed = app.write(move |state| {
        let (project, card) = there(state, &name, &item)?;
        Ok(state.store.remove_item(&project, &card, &actor, state.now())?)
    });
    deed.await.map(|()| StatusCode::NO_CONTENT)
}

pub(crate) async fn set_status(
    State(app): State<App>,
    Operator(actor): Operator,
    Segments((name, item)): Segments<(String, String)>,
    Required(body): Required<Move>,
) -> Answer<BoardItem> {
    let answer = app.write(move |state| {
        let (project, card) = there(state, &name, &item)?;
        let status = known_status(state, &project, &body.status)?;
        state.store.move_item(&project, &card, &status, &actor, state.now())?;
        find::card(&*state.store, &project, &item)
    });
    answer.await.map(Json)
}

pub(crate) async fn comments(
    State(app): State<App>,
    Segments((name, item)): Segments<(String, String)>,
    Parameters(wanted): Parameters<Part>,
) -> Answer<Listing<BoardComment>> {
    let (before, rows) = wanted.rows()?;
    let comments = app.ask(move |state| {
        let (project, card) = there(state, &name, &item)?;
        Ok(part(state.store.comment_page(&project, &card, before, rows)?))
    });
    comments.await.map(Json)
}

pub(crate) async fn comment(
    State(app): State<App>,
    Operator(actor): Operator,
    Segments((name, item)): Segments<(String, String)>,
    Required(body): Required<NewComment>,
) -> Result<(StatusCode, Json<Listing<BoardComment>>), Problem> {
    let newest = app.write(move |state| write(state, &name, &item, &body.text, &actor));
    Ok((StatusCode::CREATED, Json(listing(newest.await?, 1))))
}

/// Writes a comment after looking at it; the newest two.
pub(crate) fn write(
    state: &GatewayState,
    project: &str,
    item: &str,
    text: &str,
    actor: &Actor,
) -> Result<Vec<BoardComment>, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::invalid(both!("`text` is empty", "поле `text` пусто")));
    }
    at_most("text", text, LONGEST_TEXT)?;
    let (project, card) = there(state, project, item)?;
    state.store.put_comment(&project, &card, actor, None, text, state.now())?;
    Ok(state.store.comments(&project, &card, 2)?)
}

pub(crate) async fn activity(
    State(app): State<App>,
    Segments((name, item)): Segments<(String, String)>,
) -> Answer<Listing<BoardActivity>> {
    let items = app.ask(move |state| {
        let (project, card) = there(state, &name, &item)?;
        Ok(state.store.activity(&project, &card)?)
    });
    Ok(Json(Listing { items: items.await?, more: false }))
}

/// The project and the card that a path names, both there.
fn there(state: &GatewayState, project: &str, item: &str) -> Result<(ProjectName, WorkItemId), Problem> {
    let project = find::project(&*state.store, project)?.name;
    let card = find::card(&*state.store, &project, item)?.work_item;
    Ok((project, card))
}
