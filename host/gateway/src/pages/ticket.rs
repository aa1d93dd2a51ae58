//! The page of one work item: what happens next, what a person can do, and all that happened so far.

use askama::Template;
use conductor::ports::store::{BoardComment, BoardItem};
use domain::ids::WorkItemId;
use domain::task::Task;

use super::frame::Frame;
use super::row::Row;
use crate::api::State;
use crate::app::GatewayState;
use crate::find;
use crate::problem::Problem;
use crate::show::{Moment, line, plain, quoted};
use crate::standing::Scene;
use crate::tongue::{Tongue, say};

mod history;

use history::Share;

const ROWS: u32 = 50;
const LONGEST_TEXT: usize = 20_000;

#[derive(Template)]
#[template(path = "ticket.html")]
pub(crate) struct TicketPage {
    pub(crate) frame: Frame,
    pub(crate) ticket: Ticket,
}

/// All that the page says.
pub(crate) struct Ticket {
    row: Row,
    title: String,
    description: String,
    labels: String,
    status: Option<String>,
    sentence: String,
    pull: Option<String>,
    task: Option<Way>,
    comments: Vec<Line>,
}

/// What came of it so far.
struct Way {
    id: u64,
    facts: Vec<(&'static str, String)>,
    time: Vec<Share>,
    feedback: Vec<(String, String)>,
    runs: Vec<Run>,
    evaluations: Vec<Judgement>,
    documents: Vec<Paper>,
    entries: Vec<Line>,
    older: usize,
}

struct Line {
    at: Moment,
    who: String,
    text: String,
}

struct Run {
    id: u64,
    state: State,
    what: String,
    stamp: String,
    at: Moment,
    took: String,
    outcome: String,
    cost: String,
}

struct Judgement {
    id: u64,
    at: Moment,
    step: String,
    plugin: String,
    digest: String,
    state: State,
    answer: String,
    summary: String,
    head: String,
    took: String,
    findings: Vec<String>,
}

struct Paper {
    id: u64,
    name: String,
    by: String,
    at: Moment,
    size: String,
}

pub(crate) fn read(state: &GatewayState, t: Tongue, item: &str) -> Result<Ticket, Problem> {
    let key: WorkItemId = find::parse(item)?;
    let (mut card, mut task) = (None, None);
    for project in state.store.projects()? {
        card = card.or(state.store.item(&project.name, &key)?);
        task = task.or(state.store.task_of(&project.name, &key)?);
    }
    match (task, card) {
        (Some(task), card) => started(state, &Scene::among(state, t, [&task])?, task, card),
        (None, Some(card)) => unstarted(state, t, card),
        (None, None) => Err(Problem::not_found(say!(
            t,
            "there is no work item {key}; the board lists those that are there",
            "задачи {key} нет; какие есть, видно на доске"
        ))),
    }
}

fn started(state: &GatewayState, scene: &Scene, task: Task, card: Option<BoardItem>) -> Result<Ticket, Problem> {
    let (store, t) = (&*state.store, scene.tongue);
    let standing = scene.standing(&task);
    let comments = match &card {
        Some(_) => store.comments(&task.project, &task.work_item, ROWS)?,
        None => Vec::new(),
    };
    Ok(Ticket {
        title: line(&task.title, 500),
        description: text(&store.blob(&task.description)?),
        labels: line(&task.labels.join(", "), 1000),
        status: card.map(|card| line(&card.status, 200)),
        sentence: line(&quoted(&standing.sentence), 1000),
        row: Row::of(scene, &task, state.now()),
        pull: task.merged.as_ref().and_then(|_| state.desk.pull_command(&task.project)),
        comments: comments.iter().map(comment).collect(),
        task: Some(history::way(state, t, &task)?),
    })
}

fn unstarted(state: &GatewayState, t: Tongue, card: BoardItem) -> Result<Ticket, Problem> {
    let comments = state.store.comments(&card.project, &card.work_item, ROWS)?;
    let start = line(&state.desk.start_status(&card.project), 100);
    Ok(Ticket {
        title: line(&card.title, 500),
        description: text(card.description.as_bytes()),
        labels: line(&card.labels.join(", "), 1000),
        status: Some(line(&card.status, 200)),
        row: Row::unstarted(t, &card, state.now()),
        sentence: match &card.gone {
            Some(actor) => line(&say!(t, "removed from the board by {actor}", "убрана с доски: {actor}"), 200),
            None => say!(
                t,
                "nobody started it; a move to “{start}” does",
                "её никто не начал; для этого переместите её в «{start}»"
            ),
        },
        pull: None,
        task: None,
        comments: comments.iter().map(comment).collect(),
    })
}

fn comment(row: &BoardComment) -> Line {
    Line { at: Moment::of(row.at), who: line(&row.actor.to_string(), 100), text: text(row.text.as_bytes()) }
}

/// A text of several lines, cut where a page would be only that text.
fn text(bytes: &[u8]) -> String {
    let whole = String::from_utf8_lossy(bytes);
    let mut characters = whole.chars();
    let mut cut: String = characters.by_ref().take(LONGEST_TEXT).collect();
    if characters.next().is_some() {
        cut.push('…');
    }
    plain(&cut)
}
