//! The board: what waits for a person first, then each project's stages with the tasks that stand there.

use std::collections::BTreeSet;

use askama::Template;
use conductor::ports::store::{BoardItem, Project};
use domain::ids::{ProjectName, StageName, WorkItemId};
use domain::pipeline::StageKind;
use domain::task::Task;
use domain::time::Timestamp;

use crate::api::{HeldBy, Holding, State};
use crate::app::GatewayState;
use crate::problem::Problem;
use crate::routes::events::Cursor;
use crate::show::{Moment, cost, line};
use crate::standing::Scene;

/// Tasks that are looked at. A board with more is read by nobody; `gatewright task list` is.
const TASKS: u32 = 500;
/// Cards of a project's board that are looked at.
const CARDS: u32 = 200;
/// Ended tasks in a column: the newest.
const ENDED: usize = 8;
const LONGEST_TITLE: usize = 140;
const LONGEST_SENTENCE: usize = 300;
/// What helps against a sandbox that does not work is a long sentence.
const LONGEST_HOW: usize = 1000;

#[derive(Template)]
#[template(path = "board.html")]
pub(crate) struct Whole {
    pub(crate) board: Board,
}

#[derive(Template)]
#[template(path = "board_fragment.html")]
pub(crate) struct Fragment {
    pub(crate) board: Board,
}

/// All that the page says.
pub(crate) struct Board {
    pub(crate) cursor: Cursor,
    pub(crate) at: Moment,
    sentence: String,
    troubles: Vec<String>,
    needs: Vec<Card>,
    projects: Vec<Lane>,
    holdings: Vec<Held>,
}

/// One thing that runs are held by.
struct Held {
    name: String,
    by: &'static str,
    how: String,
}

struct Lane {
    name: String,
    frozen: Option<String>,
    pull: Option<String>,
    columns: Vec<Column>,
    empty: bool,
}

struct Column {
    name: String,
    cards: Vec<Card>,
    more: usize,
}

struct Card {
    key: String,
    project: String,
    title: String,
    stage: String,
    state: State,
    sentence: String,
    since: Moment,
    cost: String,
    commands: Vec<String>,
}

pub(crate) fn read(state: &GatewayState, life: Timestamp) -> Result<Board, Problem> {
    // Read before the rest: what is committed meanwhile is shown twice rather than never.
    let cursor = Cursor::of(life, state);
    let scene = Scene::read(state)?;
    let tasks = state.store.tasks(false, TASKS)?;
    let health = state.desk.health();
    let needs = needs(&scene, &tasks);
    let mut projects = Vec::new();
    for project in &scene.projects {
        projects.push(lane(state, &scene, project, &tasks)?);
    }
    Ok(Board {
        cursor,
        at: Moment::of(state.now()),
        sentence: sentence(&scene, &tasks, needs.len()),
        troubles: health.reasons.iter().map(|reason| line(reason, LONGEST_SENTENCE)).collect(),
        needs,
        projects,
        holdings: state.desk.holdings().into_iter().map(held).collect(),
    })
}

fn held(holding: Holding) -> Held {
    let by = match holding.held_by {
        HeldBy::Kernel => "by the kernel",
        HeldBy::Shim => "by the run's shim",
        HeldBy::Nobody => "by nobody",
    };
    Held { name: holding.name, by, how: line(&holding.how, LONGEST_HOW) }
}

/// What nothing but a person moves on; who waits longest stands first, and what was paused on purpose last.
fn needs(scene: &Scene, tasks: &[Task]) -> Vec<Card> {
    let mut waiting: Vec<&Task> = tasks.iter().filter(|task| scene.standing(task).needs_person).collect();
    waiting.sort_by_key(|task| (scene.standing(task).state == State::Paused, task.activity_entered_at));
    waiting.into_iter().map(|task| card(scene, task)).collect()
}

fn sentence(scene: &Scene, tasks: &[Task], needs: usize) -> String {
    let count = |wanted: &[State]| tasks.iter().filter(|task| wanted.contains(&scene.standing(task).state)).count();
    let (moving, queued) = (count(&[State::Working, State::Retrying]), count(&[State::Queued]));
    let needs = match needs {
        0 => "nothing waits for you".to_owned(),
        1 => "1 waits for you".to_owned(),
        several => format!("{several} wait for you"),
    };
    format!("{moving} moving, {queued} queued, {needs}.")
}

fn lane(state: &GatewayState, scene: &Scene, project: &Project, tasks: &[Task]) -> Result<Lane, Problem> {
    let own: Vec<&Task> = tasks.iter().filter(|task| task.project == project.name).collect();
    let started: BTreeSet<&WorkItemId> = own.iter().map(|task| &task.work_item).collect();
    let cards = state.store.items(&project.name, CARDS)?;
    let waiting: Vec<Card> = cards
        .iter()
        .filter(|item| item.gone.is_none() && !started.contains(&item.work_item))
        .map(|item| unstarted(&project.name, item))
        .collect();
    let empty = own.is_empty() && waiting.is_empty();
    let mut columns = vec![Column { name: "not started".to_owned(), cards: waiting, more: 0 }];
    for stage in project.pipeline.stages() {
        let is_end = matches!(stage.kind, StageKind::Terminal { .. });
        columns.push(column(scene, &stage.name, is_end, &own));
    }
    Ok(Lane {
        name: project.name.to_string(),
        frozen: state.store.freeze(&project.name)?.map(|reason| line(&reason, LONGEST_SENTENCE)),
        pull: own.iter().any(|task| task.merged.is_some()).then(|| state.desk.pull_command(&project.name)).flatten(),
        columns,
        empty,
    })
}

fn column(scene: &Scene, stage: &StageName, is_end: bool, tasks: &[&Task]) -> Column {
    let standing: Vec<&&Task> = tasks.iter().filter(|task| task.position.stage == *stage).collect();
    let shown = if is_end { standing.len().min(ENDED) } else { standing.len() };
    let cards = standing[..shown].iter().map(|task| card(scene, task)).collect();
    Column { name: stage.to_string(), cards, more: standing.len() - shown }
}

fn card(scene: &Scene, task: &Task) -> Card {
    let standing = scene.standing(task);
    Card {
        key: task.work_item.to_string(),
        project: task.project.to_string(),
        title: line(&task.title, LONGEST_TITLE),
        stage: task.position.stage.to_string(),
        state: standing.state,
        sentence: line(&standing.sentence, LONGEST_SENTENCE),
        since: Moment::of(task.activity_entered_at),
        cost: cost(&task.spent),
        commands: standing.commands,
    }
}

fn unstarted(project: &ProjectName, item: &BoardItem) -> Card {
    Card {
        key: item.work_item.to_string(),
        project: project.to_string(),
        title: line(&item.title, LONGEST_TITLE),
        stage: String::new(),
        state: State::Skipped,
        sentence: line(&format!("on the board as {}", item.status), LONGEST_SENTENCE),
        since: Moment::of(item.created_at),
        cost: String::new(),
        commands: Vec::new(),
    }
}
