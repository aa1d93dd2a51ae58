//! The core of the store: a task is read, the engine decides, the entries are folded, and the task is written where its
//! version is still the one that was read; changes, jobs, entries and the event itself stand in the same savepoint.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use conductor::ports::store::{Applied, AppliedSeen, NewTask, Project, Refusal, Seen, Thing};
use domain::document::NewDocument;
use domain::effect::Change;
use domain::entry::Entry;
use domain::event::{Event, Intent, RunOutcome};
use domain::ids::{Actor, DeliveryId, Digest, Epoch, JobId, StageName, StepName, TaskId, Version};
use domain::pipeline::Pipeline;
use domain::task::{Position, Task};
use domain::time::Timestamp;
use engine::{Rejected, Seed, Step};
use rusqlite::params;

use crate::failure::{Failure, Result, inside, not_found, refused};
use crate::row::{all, execute, int, tell_damage, time, to_json};
use crate::writer::{Tx, words};
use crate::{access, jobs, leases, ownership, records, spending, tasks};

/// A title is for a card; the ticket has the whole of it.
const TITLE_CHARACTERS: usize = 500;

/// No task that has begun is in this epoch.
const NEVER: Epoch = Epoch(0);

/// Where an event came from.
#[derive(Clone, Copy, Default)]
pub(crate) struct Origin {
    pub(crate) job: Option<JobId>,
    pub(crate) delivery: Option<(DeliveryId, u32)>,
}

/// What the engine made of an event.
enum Decision {
    /// The task after the step, its record, and the step.
    Step(Box<Task>, String, Step),
    Rejected(Rejected),
    /// It panicked, or what it decided cannot be kept.
    Broken(String),
}

impl Tx<'_> {
    /// Does this for a task beside others: where a row that it needs does not read, nothing of it is done, that is told, and the
    /// others go on.
    pub(crate) fn apart<T>(&self, task: TaskId, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        let done = self.apart_or_why(work)?;
        Ok(done.map_err(|(what, why)| tell_damage(what, Some(int(task.0)), &why)).ok())
    }

    /// The same, for whoever tells of it: of which kind the row is, and what is wrong with it.
    pub(crate) fn apart_or_why<T>(
        &self,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<std::result::Result<T, (&'static str, String)>> {
        execute(self.sql, "SAVEPOINT apart", [])?;
        let done = match work() {
            Err(Failure::Row { what, why }) => {
                execute(self.sql, "ROLLBACK TO apart", [])?;
                Err((what, why))
            }
            // The whole request is undone with it.
            done => Ok(done?),
        };
        execute(self.sql, "RELEASE apart", [])?;
        Ok(done)
    }
}

/// Steps a task. Where deciding panics, the task is held and the host lives on.
pub(crate) fn apply(tx: &Tx<'_>, id: TaskId, event: &Event, origin: Origin, now: Timestamp) -> Result<Applied> {
    let task = tasks::task(tx.sql, id)?;
    let pipeline = tx.core.pipeline(tx.sql, &task.project)?;
    match decide(tx, &pipeline, &task, event, now) {
        Decision::Broken(message) => {
            put_event(tx, id, event, Outcome::Panicked(&message), origin, now)?;
            let unanswered = event.epoch() == Some(task.epoch);
            let panicked = Event::Panicked { message, unanswered };
            let held = match decide(tx, &pipeline, &task, &panicked, now) {
                Decision::Broken(again) => {
                    return Err(refused(Refusal::Undecided { task: id, why: again }));
                }
                decision => carry_out(tx, &task, &panicked, decision, Origin::default(), now)?,
            };
            let Some(cost) = only_its_cost(event) else { return Ok(held) };
            let task = tasks::task(tx.sql, id)?;
            let decision = decide(tx, &pipeline, &task, &cost, now);
            carry_out(tx, &task, &cost, decision, Origin::default(), now)
        }
        decision => carry_out(tx, &task, event, decision, origin, now),
    }
}

/// Steps a task that still stands as somebody saw it. Where it moved meanwhile, they hear what happened instead.
pub(crate) fn apply_seen(tx: &Tx<'_>, id: TaskId, event: &Event, seen: &Seen, now: Timestamp) -> Result<AppliedSeen> {
    match moved(tx, id, event, seen, now)? {
        Some(moved) => Ok(moved),
        None => apply(tx, id, event, Origin::default(), now).map(AppliedSeen::Applied),
    }
}

/// What happened to a task since somebody saw it, where it moved: their wish is recorded as late. None: it stands as they saw it.
pub(crate) fn moved(
    tx: &Tx<'_>,
    id: TaskId,
    event: &Event,
    seen: &Seen,
    now: Timestamp,
) -> Result<Option<AppliedSeen>> {
    let task = tasks::task(tx.sql, id)?;
    if seen.is(&task) {
        return Ok(None);
    }
    carry_out(tx, &task, event, Decision::Rejected(Rejected::Late), Origin::default(), now)?;
    let mut since = tasks::entries(tx.sql, id)?;
    since.retain(|row| row.version > seen.version);
    Ok(Some(AppliedSeen::Moved { task: Box::new(task), since }))
}

/// What the end of a run leads to could not be decided; what it cost counts all the same, as of one that came late.
fn only_its_cost(event: &Event) -> Option<Event> {
    match event {
        Event::RunEnded { run, outcome, spent: Some(spent), role, .. } => Some(Event::RunEnded {
            epoch: NEVER,
            run: *run,
            outcome: outcome.clone(),
            spent: Some(*spent),
            role: *role,
        }),
        _ => None,
    }
}

fn decide(tx: &Tx<'_>, pipeline: &Pipeline, task: &Task, event: &Event, now: Timestamp) -> Decision {
    let decided = catch_unwind(AssertUnwindSafe(|| {
        (tx.core.decide)(pipeline, task, event, now).map(|step| (fold(task, &step), step))
    }));
    match decided {
        Ok(Ok((after, step))) => match tasks::record(&after) {
            Ok(record) => Decision::Step(Box::new(after), record, step),
            Err(failure) => Decision::Broken(conductor::ports::store::StoreError::from(failure).to_string()),
        },
        Ok(Err(rejected)) => Decision::Rejected(rejected),
        Err(panic) => Decision::Broken(words(&*panic)),
    }
}

fn fold(task: &Task, step: &Step) -> Task {
    let mut after = task.clone();
    for entry in &step.entries {
        after.fold(entry);
    }
    after.version = Version(task.version.0 + 1);
    after
}

fn carry_out(
    tx: &Tx<'_>,
    task: &Task,
    event: &Event,
    decision: Decision,
    origin: Origin,
    now: Timestamp,
) -> Result<Applied> {
    match decision {
        Decision::Step(after, record, step) => {
            write(tx, task, (&after, &record), &step, now)?;
            put_event(tx, task.id, event, Outcome::Stepped(after.version), origin, now)?;
            access::of_event(tx.sql, task, Some(&after), event, ("stepped", None), now)?;
            // A late run's documents belong to a visit that is over: they open nothing.
            if event.epoch() == Some(task.epoch) {
                put_documents(tx, task, documents(event), now)?;
            }
            Ok(Applied::Stepped { version: after.version, task: after })
        }
        Decision::Rejected(rejected) => {
            put_event(tx, task.id, event, Outcome::Rejected(&rejected), origin, now)?;
            let why = if let Rejected::Illegal(why) = &rejected { Some(why.to_string()) } else { None };
            access::of_event(tx.sql, task, None, event, (rejected.word(), why.as_deref()), now)?;
            Ok(Applied::Rejected(rejected))
        }
        Decision::Broken(message) => Err(inside(message)),
    }
}

/// Makes what a step says true.
fn write(tx: &Tx<'_>, before: &Task, (after, record): (&Task, &str), step: &Step, now: Timestamp) -> Result<()> {
    // Before the task is written: a terminal task may not have a live drive job for even a moment.
    if step.changes.contains(&Change::CancelDriveJobs) {
        jobs::cancel_drive(tx.sql, before.id, now)?;
    }
    tasks::write_task(tx.sql, before.version, (after, record), now)?;
    ownership::follow(tx.sql, before, after)?;
    for change in &step.changes {
        match change {
            Change::CancelDriveJobs => {}
            Change::RequestLease { name } => leases::request(tx.sql, after, name)?,
            Change::ReleaseLease { name } => leases::release(tx.sql, after, name)?,
            Change::AddDependency { needs } => ownership::add(tx.sql, after, *needs)?,
            Change::RemoveDependency { needs } => ownership::remove(tx.sql, after, *needs)?,
            Change::Freeze { reason } => {
                records::set_freeze(tx.sql, &after.project, Some(reason), &Actor::Host, now)?;
            }
        }
    }
    for (ordinal, wanted) in step.effects.iter().enumerate() {
        jobs::insert(tx.sql, after, ordinal, wanted)?;
    }
    for (ordinal, entry) in step.entries.iter().enumerate() {
        put_entry(tx, after, ordinal, entry, now)?;
    }
    match after.end() {
        Some(end) if before.end().is_none() => ownership::ended(tx, after, end, now),
        _ => Ok(()),
    }
}

fn put_entry(tx: &Tx<'_>, task: &Task, ordinal: usize, entry: &Entry, now: Timestamp) -> Result<()> {
    let body = serde_json::to_value(entry).map_err(|error| inside(error.to_string()))?;
    let kind = body.get("entry").and_then(|kind| kind.as_str()).unwrap_or_default();
    let statement = "INSERT INTO entry (task, version, ordinal, at, kind, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let (id, version) = (int(task.id.0), int(task.version.0));
    execute(tx.sql, statement, params![id, version, int(ordinal as u64), time(now), kind, body.to_string()])?;
    match entry {
        Entry::RunEnded { spent: Some(spent), .. } => spending::add(tx.sql, &task.project, spent, now),
        Entry::FeedbackAdded { feedback } => feedback.findings.iter().try_for_each(|blob| name_blob(tx, blob, false)),
        _ => Ok(()),
    }
}

pub(crate) fn name_blob(tx: &Tx<'_>, digest: &Digest, needed: bool) -> Result<()> {
    tx.core.blobs.name(tx.sql, digest, &tx.core.host, needed)
}

enum Outcome<'a> {
    Stepped(Version),
    Rejected(&'a Rejected),
    Panicked(&'a str),
}

fn put_event(
    tx: &Tx<'_>,
    task: TaskId,
    event: &Event,
    outcome: Outcome<'_>,
    origin: Origin,
    now: Timestamp,
) -> Result<()> {
    let (word, why, version) = match outcome {
        Outcome::Stepped(version) => ("stepped", None, Some(int(version.0))),
        Outcome::Panicked(message) => ("panicked", Some(Cow::Borrowed(message)), None),
        Outcome::Rejected(Rejected::Late) => ("late", None, None),
        Outcome::Rejected(Rejected::Duplicate) => ("duplicate", None, None),
        Outcome::Rejected(Rejected::Illegal(why)) => ("illegal", Some(Cow::Owned(why.to_string())), None),
        Outcome::Rejected(Rejected::Terminal) => ("terminal", None, None),
    };
    let statement = "INSERT INTO event (task, at, kind, body, outcome, why, version, job, delivery, ordinal)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let job = origin.job.map(|job| int(job.0));
    let (delivery, ordinal) = origin.delivery.map(|(id, ordinal)| (int(id.0), ordinal)).unzip();
    let (kind, body) = (event.name(), to_json(event)?);
    execute(
        tx.sql,
        statement,
        params![int(task.0), time(now), kind, body, word, why, version, job, delivery, ordinal],
    )?;
    Ok(())
}

fn documents(event: &Event) -> &[NewDocument] {
    match event {
        Event::RunEnded {
            outcome: RunOutcome::Delivered { documents, .. } | RunOutcome::Followed { documents, .. },
            ..
        } => documents,
        Event::StepAnswered { facts, .. } => &facts.documents,
        Event::BranchCut { documents, .. } => documents,
        _ => &[],
    }
}

/// They belong to the visit in which they were delivered, whatever the sender believed it was.
fn put_documents(tx: &Tx<'_>, task: &Task, documents: &[NewDocument], now: Timestamp) -> Result<()> {
    let Position { stage, visit, .. } = &task.position;
    for document in documents {
        let document = NewDocument { stage: stage.clone(), visit: *visit, ..document.clone() };
        records::put_document(tx, task.id, &document, now)?;
    }
    Ok(())
}

/// Makes a task, once per live work item; the description's blob is there already.
pub(crate) fn create(tx: &Tx<'_>, new: &NewTask, now: Timestamp) -> Result<(TaskId, Option<Applied>)> {
    if let Some(id) = tasks::live_task(tx.sql, &new.project, &new.work_item)? {
        return Ok((id, None));
    }
    let (_, base_branch) = tasks::project_row(tx.sql, &new.project)?;
    let pipeline = tx.core.pipeline(tx.sql, &new.project)?;
    let seed = Seed {
        id: tasks::next_id(tx.sql)?,
        project: new.project.clone(),
        work_item: new.work_item.clone(),
        title: new.title.chars().take(TITLE_CHARACTERS).collect(),
        description: Digest::of(new.description.as_bytes()),
        labels: new.labels.clone(),
        track: new.track,
        base_branch: base_branch.parse().map_err(|_| not_found(Thing::Branch, &base_branch))?,
        actor: new.actor.clone(),
        observed: tasks::is_observed(tx.sql, &new.project)?,
    };
    let (task, step) = catch_unwind(AssertUnwindSafe(|| engine::begin(&pipeline, seed, now)))
        .map_err(|panic| inside(format!("beginning the task panicked: {}", words(&*panic))))?;
    tasks::insert_seed(tx.sql, &task, now)?;
    name_blob(tx, &task.description, true)?;
    let after = fold(&task, &step);
    write(tx, &task, (&after, &tasks::record(&after)?), &step, now)?;
    let start = Event::Intent { intent: Intent::Start, actor: new.actor.clone(), note: String::new() };
    access::of_event(tx.sql, &task, Some(&after), &start, ("stepped", None), now)?;
    ownership::take_over(tx, &after, &new.actor, now)?;
    let after = tasks::task(tx.sql, task.id)?;
    Ok((task.id, Some(Applied::Stepped { version: after.version, task: Box::new(after) })))
}

/// Nothing is known of what stood there: no answer stands.
fn every_step(pipeline: &Pipeline) -> Vec<(StageName, StepName)> {
    let edges = pipeline.stages().iter().filter_map(|stage| Some((&stage.name, stage.edge.as_ref()?)));
    edges.flat_map(|(stage, edge)| edge.steps.iter().map(|step| (stage.clone(), step.name.clone()))).collect()
}

/// Writes a project; another pipeline is told to each of its live tasks.
pub(crate) fn put_project(tx: &Tx<'_>, project: &Project, now: Timestamp) -> Result<()> {
    let Some(before) = tasks::write_project(tx, project, now)? else { return Ok(()) };
    let changed = match serde_json::from_str::<Pipeline>(&before) {
        Ok(before) => before.changed_in(&project.pipeline),
        Err(_) => every_step(&project.pipeline),
    };
    let event = Event::PipelineChanged { digest: project.pipeline.digest().clone(), changed };
    let query = "SELECT id FROM task WHERE project = ?1 AND terminal = 0 ORDER BY id";
    let live = all(tx.sql, query, params![project.name.as_str()], |row| Ok(TaskId(crate::row::get_u64(row, "id")?)))?;
    for task in live {
        // The project is every task's: one that does not read hears of it when it reads again, at the next change.
        tx.apart(task, || apply(tx, task, &event, Origin::default(), now))?;
    }
    Ok(())
}
