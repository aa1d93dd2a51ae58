//! Each repository: what is live in it, what it cost, how long its tickets take, and how its gates answer.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use conductor::ports::store::Project;
use domain::pipeline::{EdgeStep, StepKind};
use domain::task::Terminality;
use domain::time::Milliseconds;

use super::frame::Frame;
use super::places::{Place, places};
use crate::app::GatewayState;
use crate::problem::Problem;
use crate::show::{line, span_in};
use crate::tongue::{Tongue, say};

/// The last tickets of which the usual time is told.
const ENDED: u32 = 50;
/// The last answers of gates.
const JUDGED: u32 = 300;

#[derive(Template)]
#[template(path = "repositories.html")]
pub(crate) struct RepositoriesPage {
    pub(crate) frame: Frame,
    pub(crate) repositories: Vec<Repository>,
}

/// A repository.
pub(crate) struct Repository {
    place: Place,
    pipeline: String,
    prefix: String,
    serial: bool,
    pace: String,
    gates: Vec<Gate>,
}

/// How a gate answered lately.
struct Gate {
    step: String,
    asked: u64,
    passed: u64,
    percent: u64,
    broke: u64,
}

pub(crate) fn read(state: &GatewayState, t: Tongue) -> Result<Vec<Repository>, Problem> {
    let projects = state.store.projects()?;
    let places = places(state, t, &projects)?;
    let both = projects.iter().zip(places);
    both.map(|(project, place)| repository(state, t, project, place)).collect()
}

fn repository(state: &GatewayState, t: Tongue, project: &Project, place: Place) -> Result<Repository, Problem> {
    Ok(Repository {
        place,
        pipeline: line(project.pipeline.name(), 100),
        prefix: project.prefix.clone(),
        serial: project.serial,
        pace: pace(state, t, project)?,
        gates: gates(state, project)?,
    })
}

/// How long tickets took that were done: half of them no longer than this.
fn pace(state: &GatewayState, t: Tongue, project: &Project) -> Result<String, Problem> {
    let ended = state.store.ended_tasks_of(&project.name, ENDED)?;
    let done = ended.iter().filter(|task| task.end() == Some(Terminality::Done));
    let mut took: Vec<Milliseconds> = done.map(|task| task.activity_entered_at.since(task.created_at)).collect();
    took.sort_unstable();
    let Some(median) = took.get(took.len() / 2) else {
        return Ok(t.of("no ticket was done yet", "ни одна задача ещё не готова").to_owned());
    };
    let median = span_in(t, *median);
    let of = t.count(took.len() as u64, ["ticket", "tickets"], ["задача", "задачи", "задач"]);
    Ok(say!(t, "half of the last {of} took {median} or less", "половине последних ({of}) хватило {median}"))
}

fn gates(state: &GatewayState, project: &Project) -> Result<Vec<Gate>, Problem> {
    let edges = project.pipeline.stages().iter().filter_map(|stage| stage.edge.as_ref());
    let is_gate = |step: &&EdgeStep| matches!(step.kind, StepKind::Gate { .. });
    let named: BTreeSet<&str> =
        edges.flat_map(|edge| &edge.steps).filter(is_gate).map(|step| step.name.as_str()).collect();
    let mut steps: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for row in state.store.evaluations_in(&project.name, JUDGED)? {
        // Guards, notifiers and mappers are asked too, and their answers pass nothing and fail nothing.
        if !named.contains(row.evaluation.step.as_str()) {
            continue;
        }
        let (asked, passed, broke) = steps.entry(line(&row.evaluation.step, 100)).or_default();
        *asked += 1;
        match row.evaluation.answer.as_str() {
            "pass" | "not-applicable" => *passed += 1,
            "infra" => *broke += 1,
            _ => {}
        }
    }
    let gate = |(step, (asked, passed, broke)): (String, (u64, u64, u64))| Gate {
        step,
        asked,
        passed,
        percent: (passed * 100).checked_div(asked).unwrap_or(0),
        broke,
    };
    Ok(steps.into_iter().map(gate).collect())
}
