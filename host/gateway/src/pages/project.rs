//! A project's board: its stages with the tasks that stand there, and the cards that nobody started.

use askama::Template;
use conductor::ports::store::Group;
use domain::ids::StageName;
use domain::pipeline::StageKind;
use domain::task::Task;
use domain::time::Timestamp;

use super::frame::Frame;
use super::row::{LONGEST_SENTENCE, Row};
use crate::app::GatewayState;
use crate::find;
use crate::problem::Problem;
use crate::show::line;
use crate::standing::Scene;
use crate::tongue::Tongue;
use crate::words;

/// Live tasks that are looked at. A board with more is read by nobody; the search is.
const LIVE: u32 = 300;
/// Ended ones.
const ENDED: u32 = 50;
/// Cards that nobody started, of which the newest are shown.
const CARDS: u32 = 100;
/// Ended tasks in a column: the newest.
const SHOWN_ENDED: usize = 8;
/// Live ones in a column.
const SHOWN_LIVE: usize = 30;

#[derive(Template)]
#[template(path = "project.html")]
pub(crate) struct ProjectPage {
    pub(crate) frame: Frame,
    pub(crate) project: Board,
}

/// All that the page says.
pub(crate) struct Board {
    name: String,
    pipeline: String,
    branch: String,
    start: String,
    serial: bool,
    frozen: Option<String>,
    observed: bool,
    /// Live tasks.
    live: u64,
    pull: Option<String>,
    /// The newest card: by it a form that is sent twice is known.
    last: String,
    columns: Vec<Column>,
    empty: bool,
}

struct Column {
    name: String,
    cards: Vec<Row>,
    /// Others that stand there.
    more: u64,
}

impl Column {
    fn all(&self) -> u64 {
        self.cards.len() as u64 + self.more
    }
}

pub(crate) fn read(state: &GatewayState, t: Tongue, name: &str) -> Result<Board, Problem> {
    let store = &*state.store;
    let project = find::project(store, name)?;
    let now = state.now();
    let mut own = store.live_tasks_of(&project.name, LIVE)?;
    own.extend(store.ended_tasks_of(&project.name, ENDED)?);
    let scene = Scene::among(state, t, &own)?;
    let (waiting, all_waiting) = store.unstarted(&project.name, CARDS)?;
    let counts = store.stages(&project.name)?;
    let empty = own.is_empty() && waiting.is_empty();
    let more = all_waiting.saturating_sub(waiting.len() as u64);
    let waiting = waiting.iter().map(|item| Row::unstarted(t, item, now)).collect();
    let mut columns = vec![Column { name: t.of("not started", "не начато").to_owned(), cards: waiting, more }];
    for stage in project.pipeline.stages() {
        let is_end = matches!(stage.kind, StageKind::Terminal { .. });
        let all = counts.iter().find(|(name, _)| *name == stage.name).map_or(0, |(_, all)| *all);
        columns.push(column(&scene, &stage.name, (is_end, all), &own, now));
    }
    Ok(Board {
        name: project.name.to_string(),
        pipeline: line(project.pipeline.name(), 100),
        branch: line(project.base_branch.as_str(), 100),
        start: line(&state.desk.start_status(&project.name), 100),
        serial: project.serial,
        frozen: store.freeze(&project.name)?.map(|reason| line(&reason, LONGEST_SENTENCE)),
        observed: project.observe,
        live: store.group_size(&Group::Live(Some(project.name.clone())))?,
        pull: own.iter().any(|task| task.merged.is_some()).then(|| state.desk.pull_command(&project.name)).flatten(),
        last: store.items(&project.name, 1)?.pop().map(|card| card.work_item.to_string()).unwrap_or_default(),
        columns,
        empty,
    })
}

fn column(scene: &Scene, stage: &StageName, (is_end, all): (bool, u64), tasks: &[Task], now: Timestamp) -> Column {
    let standing = tasks.iter().filter(|task| task.position.stage == *stage);
    let cards: Vec<Row> =
        standing.take(if is_end { SHOWN_ENDED } else { SHOWN_LIVE }).map(|task| Row::of(scene, task, now)).collect();
    let more = all.saturating_sub(cards.len() as u64);
    Column { name: words::stage(scene.tongue, stage.as_str()).to_owned(), cards, more }
}
