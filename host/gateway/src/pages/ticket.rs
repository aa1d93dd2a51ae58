//! The page of one work item: what happens next, what a person can do, and all that happened so far.

use askama::Template;
use conductor::ports::store::{BoardComment, BoardItem, Page, Prerequisite, Unmet};
use domain::ids::WorkItemId;
use domain::task::Task;
use serde::Deserialize;

use super::frame::Frame;
use super::row::Row;
use crate::api::State;
use crate::app::GatewayState;
use crate::find;
use crate::problem::Problem;
use crate::said::both;
use crate::show::{Moment, line, plain, sentence};
use crate::standing::Scene;
use crate::tongue::{Part, Tongue, say};

mod changed;
mod history;

use changed::Changed;
use history::Share;

const ROWS: u32 = 50;
const LONGEST_TEXT: usize = 20_000;
/// Characters of a card's status.
pub(super) const SHOWN_STATUS: usize = 200;

/// From where on each of its lists is read, newest first; left out: from the newest. The frame reads what else may stand there.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Which {
    runs: Option<u64>,
    verdicts: Option<u64>,
    comments: Option<u64>,
    entries: Option<u64>,
}

/// A list of which a page shows a part.
struct Rows<T> {
    rows: Vec<T>,
    /// How many there are in all.
    all: u64,
    /// How many lie behind these, and where those begin.
    older: u64,
    next: Option<u64>,
    /// These are not the newest.
    is_later: bool,
}

impl<T> Rows<T> {
    fn of<R>(page: Page<R>, is_later: bool, show: impl FnOnce(Vec<R>) -> Vec<T>) -> Self {
        let Page { rows, all, older, next } = page;
        Self { rows: show(rows), all, older, next, is_later }
    }

    const fn none() -> Self {
        Self { rows: Vec::new(), all: 0, older: 0, next: None, is_later: false }
    }

    /// Nothing was ever in it.
    const fn is_empty(&self) -> bool {
        self.all == 0
    }
}

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
    sentence: Vec<Part>,
    pull: Option<String>,
    /// What it changes; none: nothing yet.
    change: Option<Changed>,
    /// Its card can be started, and is here.
    can_start: bool,
    /// It is a card of our own board: comments are written to it.
    has_card: bool,
    /// What it needs first.
    needs: Vec<Need>,
    task: Option<Way>,
    comments: Rows<Line>,
}

impl Ticket {
    /// It can still be made to wait for another one.
    fn takes_needs(&self) -> bool {
        self.task.is_some() && !matches!(self.row.state, State::Done | State::Stopped)
    }
}

/// What came of it so far.
struct Way {
    id: u64,
    facts: Vec<(&'static str, String)>,
    time: Vec<Share>,
    feedback: Vec<(String, String)>,
    runs: Rows<Run>,
    evaluations: Rows<Judgement>,
    documents: Vec<Paper>,
    entries: Rows<Event>,
}

struct Line {
    at: Moment,
    who: String,
    text: String,
}

/// Another task that must be done first.
struct Need {
    key: String,
    state: State,
    word: &'static str,
}

/// One thing that happened.
struct Event {
    at: Moment,
    text: Vec<Part>,
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

pub(crate) fn read(state: &GatewayState, t: Tongue, item: &str, which: &Which) -> Result<Ticket, Problem> {
    let key: WorkItemId = find::parse(item)?;
    let (mut card, mut task) = (None, None);
    for project in state.store.projects()? {
        card = card.or(state.store.item(&project.name, &key)?);
        task = task.or(state.store.task_of(&project.name, &key)?);
    }
    match (task, card) {
        (Some(task), card) => started(state, &Scene::among(state, t, [&task])?, task, card, which),
        (None, Some(card)) => unstarted(state, t, card, which),
        (None, None) => Err(Problem::not_found(both!(
            "there is no work item {key}; the board lists those that are there",
            "задачи {key} нет; какие есть, видно на доске"
        ))),
    }
}

fn started(
    state: &GatewayState,
    scene: &Scene,
    task: Task,
    card: Option<BoardItem>,
    which: &Which,
) -> Result<Ticket, Problem> {
    let (store, t) = (&*state.store, scene.tongue);
    let standing = scene.standing(&task);
    let comments = match &card {
        Some(card) => comments(state, card, which)?,
        None => Rows::none(),
    };
    let has_card = card.as_ref().is_some_and(|card| card.gone.is_none());
    Ok(Ticket {
        can_start: false,
        has_card,
        needs: needs(store.prerequisites(task.id)?, t),
        title: line(&task.title, 500),
        description: text(&store.blob(&task.description)?),
        labels: line(&task.labels.join(", "), 1000),
        status: card.map(|card| line(&card.status, SHOWN_STATUS)),
        sentence: sentence(&standing.sentence, 1000),
        row: Row::of(scene, &task, state.now()),
        pull: task.merged.as_ref().and_then(|_| state.desk.pull_command(&task.project)),
        change: changed::read(state, t, &task),
        comments,
        task: Some(history::way(state, t, &task, which)?),
    })
}

fn unstarted(state: &GatewayState, t: Tongue, card: BoardItem, which: &Which) -> Result<Ticket, Problem> {
    let comments = comments(state, &card, which)?;
    let start = line(&state.desk.start_status(&card.project), 100);
    let is_there = card.gone.is_none();
    Ok(Ticket {
        can_start: is_there && card.status != state.desk.start_status(&card.project),
        has_card: is_there,
        needs: Vec::new(),
        title: line(&card.title, 500),
        description: text(card.description.as_bytes()),
        labels: line(&card.labels.join(", "), 1000),
        status: Some(line(&card.status, SHOWN_STATUS)),
        row: Row::unstarted(t, &card, state.now()),
        sentence: match &card.gone {
            Some(actor) => sentence(&say!(t, "removed from the board by {actor}", "убрана с доски: {actor}"), 200),
            None => sentence(
                &say!(
                    t,
                    "nobody started it; a move to “{start}” does",
                    "её никто не начал; для этого переместите её в «{start}»"
                ),
                300,
            ),
        },
        pull: None,
        change: None,
        task: None,
        comments,
    })
}

fn needs(rows: Vec<Prerequisite>, t: Tongue) -> Vec<Need> {
    let need = |row: Prerequisite| {
        let (state, word) = match row.unmet {
            None => (State::Done, t.of("done", "готова")),
            Some(Unmet::Unfinished) => (State::Queued, t.of("not done yet", "ещё не готова")),
            Some(Unmet::Cancelled) => {
                (State::NeedsYou, t.of("stopped, it will not be done", "остановлена, готова не будет"))
            }
        };
        Need { key: row.needs.work_item.to_string(), state, word }
    };
    rows.into_iter().map(need).collect()
}

fn comments(state: &GatewayState, card: &BoardItem, which: &Which) -> Result<Rows<Line>, Problem> {
    let page = state.store.comment_page(&card.project, &card.work_item, which.comments, ROWS)?;
    Ok(Rows::of(page, which.comments.is_some(), |rows| rows.iter().map(comment).collect()))
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
