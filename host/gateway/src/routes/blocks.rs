//! `/queue`: the page by which the system that came before was watched. Each block has a source of its own, and a broken one breaks
//! no other.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use conductor::ports::store::{Predecessor, Project, StoreError};
use domain::ids::ProjectName;
use domain::pipeline::{Action, EdgeStep, StepKind};
use domain::task::Task;
use serde_json::{Map, Value, json};

use crate::again;
use crate::api::{Block, Feature, Gate, Queue};
use crate::app::{App, GatewayState};
use crate::desk::Readings;
use crate::routes::figures::block;
use crate::routes::queue::drivers;
use crate::routes::{ALL, Answer, MOST_ROWS};

/// The newest jobs that the old page showed.
const RECENT: u32 = 10;

pub(crate) async fn queue(State(app): State<App>) -> Answer<Queue> {
    let answer = app.ask(|state| {
        let limits = block("limits", || Ok(state.desk.limits()));
        let drivers = block("drivers", || Ok(drivers(&state.desk.limits(), state.store.drivers()?)));
        Ok(Queue {
            counts: block("counts", || counts(state)),
            max_concurrency: match limits {
                Block::Fine(limits) => Block::Fine(limits.runs),
                Block::Broken { error } => Block::Broken { error },
            },
            gates: block("gates", || gates(state)),
            jobs: block("jobs", || newest(state)),
            drivers,
            features: features(state),
        })
    });
    answer.await.map(Json)
}

fn counts(state: &GatewayState) -> Result<BTreeMap<String, u64>, StoreError> {
    let counts = state.store.count_jobs(state.now())?;
    let rows = [
        ("queued", counts.queued),
        ("claimed", counts.claimed),
        ("done", counts.done),
        ("cancelled", counts.cancelled),
    ];
    Ok(rows.into_iter().map(|(word, count)| (word.to_owned(), count)).collect())
}

fn newest(state: &GatewayState) -> Result<Vec<conductor::ports::store::JobRow>, StoreError> {
    let limits = state.desk.limits();
    let mut jobs = state.store.jobs(&limits, state.now(), MOST_ROWS)?;
    jobs.sort_by_key(|job| std::cmp::Reverse(job.id));
    jobs.truncate(RECENT as usize);
    Ok(again::explained(state, &limits, jobs))
}

fn gates(state: &GatewayState) -> Result<Vec<Gate>, StoreError> {
    let live = state.store.tasks(true, ALL)?;
    let of = |project: &ProjectName, wanted: &dyn Fn(&Task) -> bool| {
        let own = live.iter().rev().filter(|task| task.project == *project && wanted(task));
        own.map(|task| Predecessor { task: task.id, work_item: task.work_item.clone() }).collect()
    };
    let gate = |project: Project| {
        Ok(Gate {
            serial: project.serial,
            frozen: state.store.freeze(&project.name)?,
            paused: of(&project.name, &Task::stands_aside),
            active: of(&project.name, &|task| !task.stands_aside() && task.branch.is_some()),
            project: project.name,
        })
    };
    state.store.projects()?.into_iter().map(gate).collect()
}

type Source = fn(&GatewayState) -> Result<Feature, StoreError>;

/// The blocks by their old names. Of what this host does in another way, or not at all, the block says so.
const FEATURES: [(&str, Source); 15] = [
    ("reconcile", reconcile),
    ("reaper", reaper),
    ("serial_gate", serial_gate),
    ("auto_labels", auto_labels),
    ("stop", stop),
    ("disk_monitor", |state| Ok(disk_monitor(state))),
    ("build_cache_prune", |_| Ok(absent("this host keeps no build cache of docker's"))),
    ("fs_ownership", |_| Ok(absent("clones and runs belong to the host's own user, whoever that is"))),
    ("coverage", |state| with_step(state, |step| is_gate(step, "coverage"))),
    ("merge_gate", merge_gate),
    ("lessons", |_| Ok(absent("no lessons are drawn yet"))),
    ("transition_lease", |_| Ok(absent("a task moves in one transaction: nobody can hold half a move"))),
    ("staging_runner", |state| with_step(state, |step| is_action(step, Action::Staging))),
    ("estimator", |_| Ok(absent("no estimator is asked yet"))),
    ("dependencies", dependencies),
];

fn features(state: &GatewayState) -> BTreeMap<String, Block<Feature>> {
    FEATURES.into_iter().map(|(name, source)| (name.to_owned(), block(name, || source(state)))).collect()
}

fn feature(enabled: bool, figures: Value) -> Feature {
    let figures = match figures {
        Value::Object(figures) => figures,
        _ => Map::new(),
    };
    Feature { enabled, why: None, figures }
}

fn absent(why: &str) -> Feature {
    Feature { enabled: false, why: Some(why.to_owned()), figures: Map::new() }
}

fn reconcile(state: &GatewayState) -> Result<Feature, StoreError> {
    let Readings { intervals, unreachable, .. } = state.desk.readings();
    let (forges, trackers) = (intervals.forges.0 / 1000, intervals.trackers.0 / 1000);
    let polls = state.store.polls()?;
    let figures =
        json!({"forges_seconds": forges, "trackers_seconds": trackers, "polls": polls, "unreachable": unreachable});
    Ok(feature(true, figures))
}

/// An unfinished job is judged by its owner, never by its age.
fn reaper(state: &GatewayState) -> Result<Feature, StoreError> {
    let counts = state.store.count_jobs(state.now())?;
    Ok(feature(true, json!({"judges_by": "owner", "claimed": counts.claimed, "winding": counts.winding})))
}

fn serial_gate(state: &GatewayState) -> Result<Feature, StoreError> {
    let (mut serial, mut frozen) = (Vec::new(), Vec::new());
    for project in state.store.projects()? {
        if state.store.freeze(&project.name)?.is_some() {
            frozen.push(project.name.clone());
        }
        if project.serial {
            serial.push(project.name);
        }
    }
    Ok(feature(!serial.is_empty(), json!({"projects": serial, "frozen": frozen})))
}

/// Labels that stand for a person's consent.
fn auto_labels(state: &GatewayState) -> Result<Feature, StoreError> {
    let mut waived = Vec::new();
    for project in state.store.projects()? {
        for step in steps(&project) {
            if let StepKind::Consent { waived_by, .. } = &step.kind
                && !waived_by.is_empty()
            {
                waived.push(json!({"project": project.name, "step": step.name, "labels": waived_by}));
            }
        }
    }
    Ok(feature(!waived.is_empty(), json!({"steps": waived})))
}

fn stop(state: &GatewayState) -> Result<Feature, StoreError> {
    let stopping = state.store.count_tasks()?.into_iter().filter(|row| !row.ended && row.activity == "stopping");
    Ok(feature(true, json!({"stopping": stopping.map(|row| row.count).sum::<u64>()})))
}

fn disk_monitor(state: &GatewayState) -> Feature {
    let launches = state.desk.limits().may_launch;
    match state.desk.readings().disk {
        Some(disk) => feature(
            true,
            json!({"free_bytes": disk.free_bytes, "size_bytes": disk.size_bytes, "floor_bytes": disk.floor_bytes,
                "launches": launches}),
        ),
        None => absent("the disk cannot be looked at: nothing is launched"),
    }
}

fn merge_gate(state: &GatewayState) -> Result<Feature, StoreError> {
    let mut found = with_step(state, |step| is_action(step, Action::Merge))?;
    let held =
        state.store.leases()?.into_iter().filter(|(_, name, holder, _)| name.as_str() == "merge" && holder.is_some());
    let held = held.map(|(project, _, holder, _)| json!({"project": project, "task": holder})).collect();
    found.figures.insert("held".to_owned(), Value::Array(held));
    Ok(found)
}

fn dependencies(state: &GatewayState) -> Result<Feature, StoreError> {
    Ok(feature(true, json!({"unmet": state.store.count_needs()?})))
}

fn with_step(state: &GatewayState, wanted: fn(&EdgeStep) -> bool) -> Result<Feature, StoreError> {
    let projects = state.store.projects()?.into_iter().filter(|project| steps(project).any(wanted));
    let projects: Vec<ProjectName> = projects.map(|project| project.name).collect();
    Ok(feature(!projects.is_empty(), json!({"projects": projects})))
}

fn steps(project: &Project) -> impl Iterator<Item = &EdgeStep> {
    project.pipeline.stages().iter().filter_map(|stage| stage.edge.as_ref()).flat_map(|edge| &edge.steps)
}

fn is_action(step: &EdgeStep, wanted: Action) -> bool {
    matches!(step.kind, StepKind::Action { action } if action == wanted)
}

fn is_gate(step: &EdgeStep, wanted: &str) -> bool {
    matches!(&step.kind, StepKind::Gate { plugin } if plugin.as_str() == wanted)
}
