//! How a task begins.

use std::collections::{BTreeMap, BTreeSet};

use domain::entry::Entry;
use domain::event::Spent;
use domain::ids::{Actor, BranchName, Digest, Epoch, ProjectName, TaskId, Version, WorkItemId};
use domain::pipeline::Pipeline;
use domain::task::{Activity, Position, Task, Track};
use domain::time::Timestamp;

use crate::plan::Plan;
use crate::step::Step;

/// What a task is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Seed {
    /// Its id.
    pub id: TaskId,
    /// Whose.
    pub project: ProjectName,
    /// The tracker's key.
    pub work_item: WorkItemId,
    /// As last read.
    pub title: String,
    /// The ticket's text, as a blob.
    pub description: Digest,
    /// As last read.
    pub labels: Vec<String>,
    /// Which stages it walks through.
    pub track: Track,
    /// The branch that it is for.
    pub base_branch: BranchName,
    /// Who wanted it.
    pub actor: Actor,
    /// Nothing is done outside for it.
    pub observed: bool,
}

/// The task as it was before its first entry, and its first step.
pub fn begin(pipeline: &Pipeline, seed: Seed, now: Timestamp) -> (Task, Step) {
    let task = Task {
        id: seed.id,
        version: Version(0),
        epoch: Epoch(0),
        project: seed.project,
        work_item: seed.work_item,
        title: seed.title,
        description: seed.description,
        labels: seed.labels,
        track: seed.track,
        position: Position { stage: pipeline.first().name.clone(), visit: 0, activity: Activity::Stopping },
        visits: BTreeMap::new(),
        created_at: now,
        stage_entered_at: now,
        activity_entered_at: now,
        branch: None,
        base_branch: seed.base_branch,
        head: None,
        base: None,
        validated: None,
        merged: None,
        deployed: None,
        foreign_merge: None,
        observed: seed.observed,
        retries: 0,
        granted_retries: 0,
        run_retries: 0,
        transient_retries: 0,
        infra_retries: 0,
        asked: None,
        feedback: Vec::new(),
        leases: BTreeMap::new(),
        requested: BTreeSet::new(),
        passed: Vec::new(),
        stop_requested: false,
        put_off: None,
        paused: false,
        needs: BTreeSet::new(),
        spent: Spent::default(),
        by_role: BTreeMap::new(),
        runs: 0,
        entries: 0,
    };
    let mut plan = Plan::new(pipeline, &task, now);
    plan.note(Entry::Created { actor: seed.actor });
    plan.enter_stage(&pipeline.first().name);
    let step = plan.finish();
    (task, step)
}
