//! The driver: each method of the port is one request to the writer, or one look by a reader.

use std::sync::Arc;
use std::time::Instant;

use conductor::ports::inbox::{DeliveryFilter, DeliveryRow, Hint, Taken, WholeDelivery};
use conductor::ports::store::{
    Applied, AppliedSeen, BoardActivity, BoardComment, BoardItem, ClaimLimits, Completion, Delivery, EntryRow,
    EvaluationRow, EventRow, Expansion, FreezeRow, Incarnation, JobRow, LeaseRow, NewEvaluation, NewItem, NewTask,
    NewWould, Prerequisite, Project, RunRow, Seen, Spending, Store, StoreError, ToldRow, WouldRow,
};
use conductor::slots::DriverRow;
use domain::document::{Document, NewDocument};
use domain::effect::Claim;
use domain::event::{Event, Spent};
use domain::ids::{
    Actor, CommitId, DeliveryId, Digest, DocumentId, EvaluationId, FenceToken, JobId, ProjectName, RunId, TaskId,
    WorkItemId,
};
use domain::plugin::Check;
use domain::task::Task;
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::WakeKind;
use rusqlite::Connection;

use crate::complete::Ending;
use crate::delivery::About;
use crate::failure::Result as Inner;
use crate::lock::HostLock;
use crate::open::Core;
use crate::readers::Readers;
use crate::transact::{self, Origin};
use crate::writer::{News, Stopwatch, Tx, Writer, micros};
use crate::{
    board, claim, clock, complete, delivery, hints, jobs, leases, ownership, queue, records, slots, spending, tasks,
    wakes,
};

type Result<T> = std::result::Result<T, StoreError>;

/// The store on SQLite. When it is dropped, what was acknowledged is on the disk and the lock is free.
pub struct SqliteStore {
    // In the order in which they end: the writer is the last connection, and so it folds the log into the database; then the
    // lock is let go.
    pub(crate) readers: Readers,
    pub(crate) writer: Writer,
    pub(crate) core: Arc<Core>,
    pub(crate) news: Arc<News>,
    pub(crate) _lock: Option<HostLock>,
}

impl SqliteStore {
    /// Calls back after each commit that changed something, on the thread that writes: the listener must not write itself,
    /// nor wait for anything.
    pub fn subscribe(&self, listener: Box<dyn Fn() + Send + Sync>) {
        self.news.subscribe(listener);
    }

    /// Who is told how long things took from now on. The first one stays.
    pub fn measure(&self, stopwatch: Stopwatch) {
        self.news.measure(stopwatch);
    }

    /// Keeps a delivery of somebody outside, raw, as it came; `row`: which row of the tracker's log it tells of, with its order.
    /// A repeat is kept too: what it says is taken once.
    pub fn receive(
        &self,
        source: &str,
        project: &ProjectName,
        work_item: Option<&WorkItemId>,
        row: Option<(&str, u64)>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<()> {
        let (source, body) = (source.to_owned(), body.to_vec());
        let (project, work_item) = (project.clone(), work_item.cloned());
        let row = row.map(|(key, order)| (key.to_owned(), order));
        self.write(move |tx| {
            let (key, order) = row.as_ref().map_or((None, 0), |(key, order)| (Some(key.as_str()), *order));
            let about = About { row: key, order, polled: false };
            delivery::insert(tx.sql, &source, &project, work_item.as_ref(), &body, about, now)
        })
    }

    pub(crate) fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&Tx<'_>) -> Inner<T> + Send + 'static,
    {
        self.news.check()?;
        self.writer.write(work)
    }

    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Inner<T>) -> Result<T> {
        self.news.check()?;
        self.readers.read(work).map_err(|failure| self.news.mark(failure.into()))
    }

    /// A ticket's text must lie on the disk before the task that names it.
    fn keep_description(&self, new: &NewTask) -> Result<()> {
        self.put_blob(new.description.as_bytes()).map(|_| ())
    }
}

impl Store for SqliteStore {
    fn put_project(&self, project: &Project, now: Timestamp) -> Result<()> {
        let project = project.clone();
        self.write(move |tx| transact::put_project(tx, &project, now))
    }

    fn projects(&self) -> Result<Vec<Project>> {
        self.read(tasks::projects)
    }

    fn project(&self, name: &ProjectName) -> Result<Option<Project>> {
        self.read(|sql| tasks::project(sql, name))
    }

    fn create_task(&self, new: &NewTask, now: Timestamp) -> Result<(TaskId, bool)> {
        self.keep_description(new)?;
        let new = new.clone();
        self.write(move |tx| transact::create(tx, &new, now).map(|(id, made)| (id, made.is_some())))
    }

    fn apply(&self, task: TaskId, event: &Event, now: Timestamp) -> Result<Applied> {
        let event = event.clone();
        self.write(move |tx| transact::apply(tx, task, &event, Origin::default(), now))
    }

    fn apply_seen(&self, task: TaskId, event: &Event, seen: &Seen, now: Timestamp) -> Result<AppliedSeen> {
        let (event, seen) = (event.clone(), *seen);
        self.write(move |tx| transact::apply_seen(tx, task, &event, &seen, now))
    }

    fn task(&self, task: TaskId) -> Result<Task> {
        self.read(|sql| tasks::task(sql, task))
    }

    fn task_at(&self, task: TaskId, at: Timestamp) -> Result<Option<Task>> {
        self.read(|sql| tasks::task_at(sql, task, at))
    }

    fn task_of(&self, project: &ProjectName, work_item: &WorkItemId) -> Result<Option<Task>> {
        self.read(|sql| tasks::newest_task(sql, project, work_item))
    }

    fn tasks(&self, live: bool, limit: u32) -> Result<Vec<Task>> {
        self.read(|sql| tasks::tasks(sql, live, limit))
    }

    fn entries(&self, task: TaskId) -> Result<Vec<EntryRow>> {
        self.read(|sql| tasks::entries(sql, task))
    }

    fn events(&self, task: TaskId, limit: u32) -> Result<Vec<EventRow>> {
        self.read(|sql| tasks::events(sql, task, None, limit))
    }

    fn events_at(&self, task: TaskId, at: Timestamp, limit: u32) -> Result<Vec<EventRow>> {
        self.read(|sql| tasks::events(sql, task, Some(at), limit))
    }

    fn rebuild(&self, task: TaskId) -> Result<Vec<String>> {
        self.read(|sql| tasks::rebuild(sql, task))
    }

    fn depend(&self, task: TaskId, needs: TaskId, actor: &Actor, now: Timestamp) -> Result<Applied> {
        let actor = actor.clone();
        self.write(move |tx| ownership::depend(tx, task, needs, &actor, now))
    }

    fn undepend(&self, task: TaskId, needs: TaskId, actor: &Actor, now: Timestamp) -> Result<Applied> {
        let actor = actor.clone();
        self.write(move |tx| ownership::undepend(tx, task, needs, &actor, now))
    }

    fn prerequisites(&self, task: TaskId) -> Result<Vec<Prerequisite>> {
        self.read(|sql| ownership::prerequisites(sql, task))
    }

    fn hold_cycles(&self, now: Timestamp) -> Result<u32> {
        // As a rule there is none, and a look costs the thread that writes nothing.
        let any = self.read(ownership::has_cycles)?;
        if any { self.write(move |tx| ownership::hold_cycles(tx, now)) } else { Ok(0) }
    }

    fn claim(&self, owner: &Incarnation, limits: &ClaimLimits, now: Timestamp) -> Result<Option<Claim>> {
        let (owner, limits) = (owner.clone(), limits.clone());
        let watched = self.news.stopwatch().map(|stopwatch| (stopwatch, Instant::now()));
        let claimed = self.write(move |tx| claim::claim(tx, &owner, &limits, now));
        if let Some((stopwatch, began)) = watched {
            let outcome = match &claimed {
                Ok(Some(_)) => "claimed",
                Ok(None) => "none",
                Err(_) => "failed",
            };
            (stopwatch.claims)(micros(began), outcome);
        }
        claimed
    }

    fn attempted(&self, job: JobId, token: FenceToken, _now: Timestamp) -> Result<()> {
        self.write(move |tx| complete::attempted(tx, job, token))
    }

    fn unattempted(&self, job: JobId, token: FenceToken) -> Result<()> {
        self.write(move |tx| complete::unattempted(tx, job, token))
    }

    fn held(&self, job: JobId, token: FenceToken) -> Result<()> {
        self.read(|sql| jobs::fenced(sql, job, token).map(drop))
    }

    fn complete(&self, completion: Completion<'_>, now: Timestamp) -> Result<Applied> {
        let ending = Ending::from(completion);
        self.write(move |tx| complete::complete(tx, &ending, now))
    }

    fn give_back(&self, job: JobId, token: FenceToken, available_at: Timestamp, why: &str) -> Result<()> {
        let why = why.to_owned();
        self.write(move |tx| complete::give_back(tx, job, token, available_at, &why))
    }

    fn reap(&self, is_alive: &dyn Fn(&Incarnation) -> bool, _now: Timestamp) -> Result<u32> {
        // Whether an owner lives is asked of the machine, and that is no work for the thread that writes.
        let mut gone = self.read(complete::owned)?;
        gone.retain(|owned| !is_alive(&owned.owner));
        if gone.is_empty() { Ok(0) } else { self.write(move |tx| complete::reap(tx, &gone)) }
    }

    fn cancelled_claims(&self, owner: &Incarnation) -> Result<Vec<(JobId, FenceToken)>> {
        self.read(|sql| complete::cancelled_claims(sql, owner))
    }

    fn close_cancelled(&self, job: JobId, token: FenceToken, spent: Option<Spent>, now: Timestamp) -> Result<()> {
        self.write(move |tx| complete::close_cancelled(tx, job, token, spent, now))
    }

    fn claimed_jobs(&self, task: TaskId) -> Result<Vec<JobId>> {
        self.read(|sql| complete::claimed_jobs(sql, task))
    }

    fn next_available(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        self.read(|sql| queue::next_available(sql, now))
    }

    fn last_seen(&self) -> Result<Option<Timestamp>> {
        self.read(clock::last_seen)
    }

    fn clock_went_back(&self, by: Milliseconds) -> Result<u32> {
        self.write(move |tx| clock::went_back(tx, by))
    }

    fn drivers(&self) -> Result<Vec<DriverRow>> {
        self.read(slots::drivers)
    }

    fn jobs(&self, limits: &ClaimLimits, now: Timestamp, limit: u32) -> Result<Vec<JobRow>> {
        self.read(|sql| queue::jobs(sql, limits, now, limit))
    }

    fn jobs_of(&self, tasks: &[TaskId], limits: &ClaimLimits, now: Timestamp) -> Result<Vec<JobRow>> {
        self.read(|sql| queue::jobs_of(sql, tasks, limits, now))
    }

    fn put_run(&self, run: &RunRow, token: FenceToken) -> Result<()> {
        let run = run.clone();
        self.write(move |tx| {
            jobs::fenced(tx.sql, JobId(run.id.0), token)?;
            records::put_run(tx, &run)
        })
    }

    fn put_over_budget(&self, job: JobId, token: FenceToken, why: &str) -> Result<()> {
        let why = why.to_owned();
        self.write(move |tx| complete::put_over_budget(tx, job, token, &why))
    }

    fn spending(&self, project: &ProjectName, day: u64) -> Result<Spending> {
        self.read(|sql| spending::read(sql, project, day))
    }

    fn runs(&self, task: TaskId, limit: u32) -> Result<Vec<RunRow>> {
        self.read(|sql| records::runs(sql, task, limit))
    }

    fn run(&self, run: RunId) -> Result<RunRow> {
        self.read(|sql| records::run(sql, run))
    }

    fn put_blob(&self, bytes: &[u8]) -> Result<Digest> {
        self.news.check()?;
        Ok(self.core.blobs.put(bytes)?)
    }

    fn blob(&self, digest: &Digest) -> Result<Vec<u8>> {
        self.news.check()?;
        Ok(self.core.blobs.get(digest)?)
    }

    fn documents(&self, task: TaskId) -> Result<Vec<Document>> {
        self.read(|sql| records::documents(sql, task))
    }

    fn put_document(&self, task: TaskId, document: &NewDocument, now: Timestamp) -> Result<DocumentId> {
        let document = document.clone();
        self.write(move |tx| records::put_document(tx, task, &document, now))
    }

    fn put_evaluation(&self, evaluation: &NewEvaluation) -> Result<EvaluationId> {
        let evaluation = evaluation.clone();
        self.write(move |tx| records::put_evaluation(tx, &evaluation))
    }

    fn evaluations(&self, task: Option<TaskId>, limit: u32) -> Result<Vec<EvaluationRow>> {
        self.read(|sql| records::evaluations(sql, task, limit))
    }

    fn evaluations_of(&self, job: JobId) -> Result<Vec<EvaluationRow>> {
        self.read(|sql| records::evaluations_of(sql, job))
    }

    fn evaluation(&self, id: EvaluationId) -> Result<EvaluationRow> {
        self.read(|sql| records::evaluation(sql, id))
    }

    fn wake(&self, project: &ProjectName, subject: &str, kind: WakeKind, now: Timestamp) -> Result<u32> {
        let (project, subject) = (project.clone(), subject.to_owned());
        self.write(move |tx| wakes::wake(tx, &project, &subject, kind, now))
    }

    fn put_check(&self, project: &ProjectName, commit: &CommitId, check: &Check, now: Timestamp) -> Result<()> {
        let (project, commit, check) = (project.clone(), commit.clone(), check.clone());
        self.write(move |tx| wakes::put_check(tx, &project, &commit, &check, now))
    }

    fn checks(&self, project: &ProjectName, commit: &CommitId) -> Result<Vec<Check>> {
        self.read(|sql| wakes::checks(sql, project, commit))
    }

    fn set_freeze(&self, project: &ProjectName, reason: Option<&str>, actor: &Actor, now: Timestamp) -> Result<()> {
        let (project, reason, actor) = (project.clone(), reason.map(str::to_owned), actor.clone());
        self.write(move |tx| records::set_freeze(tx.sql, &project, reason.as_deref(), &actor, now))
    }

    fn put_would(&self, would: &NewWould) -> Result<bool> {
        let would = would.clone();
        self.write(move |tx| crate::would::put(tx, &would))
    }

    fn has_would(&self, project: &ProjectName, key: &str) -> Result<bool> {
        self.read(|sql| crate::would::is_there(sql, project, key))
    }

    fn woulds(&self, project: Option<&ProjectName>, since: Timestamp, after: u64, limit: u32) -> Result<Vec<WouldRow>> {
        self.read(|sql| crate::would::list(sql, project, since, after, limit))
    }

    fn freeze(&self, project: &ProjectName) -> Result<Option<String>> {
        self.read(|sql| records::freeze(sql, project))
    }

    fn freeze_log(&self, project: &ProjectName, limit: u32) -> Result<Vec<FreezeRow>> {
        self.read(|sql| records::freeze_log(sql, project, limit))
    }

    fn leases(&self) -> Result<Vec<LeaseRow>> {
        self.read(leases::leases)
    }

    fn create_item(&self, item: &NewItem, now: Timestamp) -> Result<BoardItem> {
        let item = item.clone();
        self.write(move |tx| board::create(tx, &item, now))
    }

    fn item(&self, project: &ProjectName, work_item: &WorkItemId) -> Result<Option<BoardItem>> {
        self.read(|sql| board::item(sql, project, work_item))
    }

    fn items(&self, project: &ProjectName, limit: u32) -> Result<Vec<BoardItem>> {
        self.read(|sql| board::items(sql, project, limit))
    }

    fn move_item(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        status: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<()> {
        let (project, work_item, status, actor) =
            (project.clone(), work_item.clone(), status.to_owned(), actor.clone());
        self.write(move |tx| board::r#move(tx, &project, &work_item, &status, &actor, now))
    }

    fn remove_item(&self, project: &ProjectName, work_item: &WorkItemId, actor: &Actor, now: Timestamp) -> Result<()> {
        let (project, work_item, actor) = (project.clone(), work_item.clone(), actor.clone());
        self.write(move |tx| board::remove(tx, &project, &work_item, &actor, now))
    }

    fn activity(&self, project: &ProjectName, work_item: &WorkItemId) -> Result<Vec<BoardActivity>> {
        self.read(|sql| board::activity(sql, project, work_item))
    }

    fn activity_since(&self, project: &ProjectName, id: u64, limit: u32) -> Result<Vec<BoardActivity>> {
        self.read(|sql| board::activity_since(sql, project, id, limit))
    }

    fn put_comment(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        actor: &Actor,
        external_id: Option<&str>,
        text: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let (project, work_item) = (project.clone(), work_item.clone());
        let (actor, external_id, text) = (actor.clone(), external_id.map(str::to_owned), text.to_owned());
        let comment = BoardComment { id: 0, actor, external_id, text, at: now };
        self.write(move |tx| board::put_comment(tx, &project, &work_item, &comment))
    }

    fn comments(&self, project: &ProjectName, work_item: &WorkItemId, limit: u32) -> Result<Vec<BoardComment>> {
        self.read(|sql| board::comments(sql, project, work_item, limit))
    }

    fn take_rows(
        &self,
        project: &ProjectName,
        source: &str,
        rows: &[ToldRow],
        cursor: Option<&str>,
        now: Timestamp,
    ) -> Result<u32> {
        // As a rule there is nothing to write, and that is no work for the thread that writes.
        let untold = self.read(|sql| delivery::untold(sql, project, source, rows))?;
        let is_new = |cursor: &str| self.read(|sql| delivery::is_look_new(sql, project, source, cursor, now));
        let is_look_new = cursor.map(is_new).transpose()?.unwrap_or(false);
        if untold.is_empty() && !is_look_new {
            return Ok(0);
        }
        let (project, source, cursor) = (project.clone(), source.to_owned(), cursor.map(str::to_owned));
        self.write(move |tx| delivery::take_rows(tx, &project, &source, &untold, cursor.as_deref(), now))
    }

    fn poll_cursor(&self, project: &ProjectName, source: &str) -> Result<Option<String>> {
        self.read(|sql| delivery::cursor(sql, project, source))
    }

    fn pending_deliveries(&self, limit: u32) -> Result<Vec<Delivery>> {
        self.read(|sql| delivery::pending(sql, limit))
    }

    fn expand(&self, delivery: DeliveryId, expansions: &[Expansion], now: Timestamp) -> Result<Vec<Applied>> {
        for expansion in expansions {
            if let Expansion::Intent { new_task: Some(new), .. } = expansion {
                self.keep_description(new)?;
            }
        }
        let expansions = expansions.to_vec();
        self.write(move |tx| delivery::expand(tx, delivery, &expansions, now))
    }

    fn hints(&self, limit: u32) -> Result<Vec<Hint>> {
        self.read(|sql| hints::pending(sql, limit))
    }

    fn take_hints(&self, taken: &[Taken], now: Timestamp) -> Result<()> {
        let taken = taken.to_vec();
        self.write(move |tx| hints::take(tx, &taken, now))
    }

    fn deliveries(&self, filter: &DeliveryFilter, limit: u32) -> Result<Vec<DeliveryRow>> {
        self.read(|sql| hints::list(sql, filter, limit))
    }

    fn delivery(&self, id: DeliveryId) -> Result<WholeDelivery> {
        self.read(|sql| hints::whole(sql, id))
    }

    fn retry_delivery(&self, id: DeliveryId, actor: &Actor, now: Timestamp) -> Result<()> {
        let actor = actor.clone();
        self.write(move |tx| hints::retry(tx.sql, id, &actor, now))
    }

    fn expand_later(&self, delivery: DeliveryId, why: &str) -> Result<()> {
        let why = why.to_owned();
        self.write(move |tx| delivery::later(tx, delivery, &why))
    }

    fn sequence(&self) -> u64 {
        self.news.commits()
    }
}
