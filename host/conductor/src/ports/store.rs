//! The store's port. Every method that writes is one transaction, durable when it returns.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::document::{Document, NewDocument};
use domain::effect::Claim;
use domain::event::{Event, Spent};
use domain::ids::{
    Actor, BranchName, CommitId, DeliveryId, Digest, DocumentId, DriverName, Epoch, EvaluationId, FenceToken, JobId,
    LeaseName, ProjectName, RunId, TaskId, Version, WorkItemId,
};
use domain::pipeline::Pipeline;
use domain::plugin::Check;
use domain::task::{Task, Track};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::WakeKind;
pub use engine::{Illegal, Rejected, dependencies::MOST_NEEDS};
use serde::{Deserialize, Serialize};

use super::inbox::{DeliveryFilter, DeliveryRow, Hint, Taken, WholeDelivery};
use crate::slots::{DriverRow, Places};

mod counts;
mod history;
mod keeping;
mod overview;
mod pressing;
mod refusal;
mod rows;
mod wait;

pub use self::counts::{Counts, DeliveryCount, JobCounts, PollRow, QueueCount, TaskCount};
pub use self::history::{History, Page, TaskList};
pub use self::keeping::Keeping;
pub use self::overview::{AnswerRow, Contact, Extent, Live, Load, Overview, Standings};
pub use self::pressing::{Group, Pressed, Pressing, Reached, SeenFreeze};
pub use self::refusal::{Refusal, Thing};
pub use self::rows::{
    BoardActivity, BoardComment, BoardItem, Conversation, Delivery, EntryRow, EvaluationRow, EventRow, Expansion,
    FreezeRow, JobRow, NewEvaluation, NewWould, RunRow, Spending, Terms, ToldRow, WouldRow,
};
pub use self::wait::{Predecessor, Prerequisite, Unmet, WaitReason};

/// What the store can say no to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such row.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// Of what kind.
        what: Thing,
        /// As it was asked for.
        id: String,
    },
    /// The token is older than the row's: somebody else owns it now.
    #[error("the right to job {job} has passed on")]
    Stale {
        /// Which job.
        job: JobId,
    },
    /// The disk is full; nothing was written.
    #[error("the disk is full: {0}")]
    Full(String),
    /// The database failed in a way that leaves its state open: the process must end.
    #[error("the database failed: {0}")]
    Fatal(String),
    /// Somebody else holds the database; nothing was written, and it may be asked again.
    #[error("another program holds the database: {0}")]
    Busy(String),
    /// The database said no for a reason of its own; nothing was written. Its words are for the log.
    #[error("{0}")]
    Broken(String),
    /// A row does not read, which this names; nothing was written.
    #[error("{0}")]
    Damaged(String),
    /// What was asked for is not possible as things stand.
    #[error("{0}")]
    Refused(Refusal),
}

/// One life of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incarnation {
    /// The machine's name.
    pub host: String,
    /// The kernel's id of this boot.
    pub boot_id: String,
    /// The process.
    pub pid: u32,
    /// Its start, in clock ticks since boot: a pid alone comes again.
    pub start_time: u64,
    /// 32 hexadecimal digits that no other life has.
    pub uuid: String,
}

/// A project as the store keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its name.
    pub name: ProjectName,
    /// The letters before the number of a work item.
    pub prefix: String,
    /// Where its code goes.
    pub base_branch: BranchName,
    /// The way of its tasks.
    pub pipeline: Pipeline,
    /// A new task begins only when every earlier one has ended or is paused.
    pub serial: bool,
    /// Decisions are made, and nothing is done outside; so for each task that begins under it, to its end.
    pub observe: bool,
}

/// A task that shall be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTask {
    /// Whose.
    pub project: ProjectName,
    /// The tracker's key.
    pub work_item: WorkItemId,
    /// As last read.
    pub title: String,
    /// The ticket's text.
    pub description: String,
    /// As last read.
    pub labels: Vec<String>,
    /// Which stages it walks through.
    pub track: Track,
    /// Who wanted it.
    pub actor: Actor,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// The task moved.
    Stepped {
        /// Its version now.
        version: Version,
        /// The task as it stands now.
        task: Box<Task>,
    },
    /// It was recorded and did nothing.
    Rejected(Rejected),
}

/// How a task stood when somebody looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The version that was shown.
    pub version: Version,
    /// The epoch that was shown. With it, only another activity counts as moved; without it, any change does.
    #[serde(default)]
    pub epoch: Option<Epoch>,
}

impl Seen {
    /// Whether this is still what was looked at.
    pub fn is(&self, task: &Task) -> bool {
        self.epoch.map_or(self.version == task.version, |epoch| epoch == task.epoch)
    }
}

/// What became of an event for a task as somebody had seen it.
#[derive(Clone, Debug, PartialEq)]
pub enum AppliedSeen {
    /// It stood so still.
    Applied(Applied),
    /// It had moved; the event was recorded as late and did nothing.
    Moved {
        /// How it stands.
        task: Box<Task>,
        /// What happened since, oldest first.
        since: Vec<EntryRow>,
    },
}

/// Limits that a claim obeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimLimits {
    /// Runs (agents and commands) at one time, in all.
    pub runs: u32,
    /// Below the floor of free space nothing launches.
    pub may_launch: bool,
    /// Runs at one time of one project, one repository, one driver.
    pub each: Each,
    /// Runs at one time of these drivers, where the file says so.
    pub drivers: BTreeMap<DriverName, u32>,
    /// Who works where, and whether he could begin. None: nothing is known, and only what stands above holds.
    pub places: Option<Arc<Places>>,
}

/// Runs at one time of each of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Each {
    /// Of one project.
    pub project: u32,
    /// Of one repository: two projects may bind one.
    pub repository: u32,
    /// Of one agent driver: of one service and account.
    pub driver: u32,
}

impl ClaimLimits {
    /// So many runs in all, and nothing else is held back.
    pub const fn of(runs: u32) -> Self {
        let each = Each { project: u32::MAX, repository: u32::MAX, driver: u32::MAX };
        Self { runs, may_launch: true, each, drivers: BTreeMap::new(), places: None }
    }

    /// Runs at one time of a driver.
    pub fn of_driver(&self, driver: &DriverName) -> u32 {
        self.drivers.get(driver).copied().unwrap_or(self.each.driver)
    }
}

/// The store.
pub trait Store: Overview + Counts + History + Keeping + Pressing + Send + Sync {
    /// Writes a project; a changed pipeline sends `PipelineChanged` to each live task.
    fn put_project(&self, project: &Project, now: Timestamp) -> Result<(), StoreError>;
    /// All projects whose rows read; of one that does not, the log tells.
    fn projects(&self) -> Result<Vec<Project>, StoreError>;
    /// One project, whatever stands in the rows of the others. None: there is no such project.
    fn project(&self, name: &ProjectName) -> Result<Option<Project>, StoreError>;

    /// Makes a task, once per live work item: the one that is there is returned.
    fn create_task(&self, new: &NewTask, now: Timestamp) -> Result<(TaskId, bool), StoreError>;
    /// Steps a task.
    fn apply(&self, task: TaskId, event: &Event, now: Timestamp) -> Result<Applied, StoreError>;
    /// Steps a task, if it stands as it was seen; both in one transaction.
    fn apply_seen(&self, task: TaskId, event: &Event, seen: &Seen, now: Timestamp) -> Result<AppliedSeen, StoreError>;
    /// A task.
    fn task(&self, task: TaskId) -> Result<Task, StoreError>;
    /// A task as it stood at a time: its entries folded up to there. None: it was not there yet. The clock may have jumped: up to
    /// there is up to the last version that was written at or before the time, which is the task's.
    fn task_at(&self, task: TaskId, at: Timestamp) -> Result<Option<Task>, StoreError>;
    /// The newest task of a work item.
    fn task_of(&self, project: &ProjectName, work_item: &WorkItemId) -> Result<Option<Task>, StoreError>;
    /// Tasks whose records read, newest first; live ones only if asked so. Of one that does not read, the log tells, and so does
    /// [`Store::task`].
    fn tasks(&self, live: bool, limit: u32) -> Result<Vec<Task>, StoreError>;
    /// The entries of a task, oldest first.
    fn entries(&self, task: TaskId) -> Result<Vec<EntryRow>, StoreError>;
    /// The events of a task, oldest first, the newest so many.
    fn events(&self, task: TaskId, limit: u32) -> Result<Vec<EventRow>, StoreError>;
    /// The same up to a time, cut as [`Store::task_at`] is.
    fn events_at(&self, task: TaskId, at: Timestamp, limit: u32) -> Result<Vec<EventRow>, StoreError>;
    /// Folds the entries and compares with the row; the differences as text, empty: none.
    fn rebuild(&self, task: TaskId) -> Result<Vec<String>, StoreError>;

    /// The task goes on only when that other one is done, or a later task of its work item. Refused across projects, where the
    /// other was stopped, and where it would close a cycle, which is named.
    fn depend(&self, task: TaskId, needs: TaskId, actor: &Actor, now: Timestamp) -> Result<Applied, StoreError>;
    /// It goes on without.
    fn undepend(&self, task: TaskId, needs: TaskId, actor: &Actor, now: Timestamp) -> Result<Applied, StoreError>;
    /// What a task needs, and how that stands.
    fn prerequisites(&self, task: TaskId) -> Result<Vec<Prerequisite>, StoreError>;
    /// Holds every task that needs itself over others: our door lets no such edge in, another hand may. How many.
    fn hold_cycles(&self, now: Timestamp) -> Result<u32, StoreError>;

    /// Claims the next job that may run, grants its lease, and steps the task with `LeaseGranted` in the same transaction.
    fn claim(&self, owner: &Incarnation, limits: &ClaimLimits, now: Timestamp) -> Result<Option<Claim>, StoreError>;
    /// Records that the job is on the point of acting outside.
    fn attempted(&self, job: JobId, token: FenceToken, now: Timestamp) -> Result<(), StoreError>;
    /// What was on the point of beginning did not begin, and nothing was done outside: the job stands as if nobody had tried.
    fn unattempted(&self, job: JobId, token: FenceToken) -> Result<(), StoreError>;
    /// `Stale` unless this token still owns the job: asked before an effect that no other fence guards.
    fn held(&self, job: JobId, token: FenceToken) -> Result<(), StoreError>;
    /// Closes the job and steps its task, in one transaction, with the evaluation that judged. `wakes` is what the claim
    /// saw: where more have arrived since, a `wait` is asked again at once.
    fn complete(&self, completion: Completion<'_>, now: Timestamp) -> Result<Applied, StoreError>;
    /// Gives the job back for later; its attempt was spent.
    fn give_back(&self, job: JobId, token: FenceToken, available_at: Timestamp, why: &str) -> Result<(), StoreError>;
    /// Jobs of owners that `is_alive` denies become queued again; how many.
    fn reap(&self, is_alive: &dyn Fn(&Incarnation) -> bool, now: Timestamp) -> Result<u32, StoreError>;
    /// Jobs that were cancelled while this owner had them: their runs must end.
    fn cancelled_claims(&self, owner: &Incarnation) -> Result<Vec<(JobId, FenceToken)>, StoreError>;
    /// Closes a cancelled job after its run ended; a late run still records its cost.
    fn close_cancelled(
        &self,
        job: JobId,
        token: FenceToken,
        spent: Option<Spent>,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// What a clean-up of the task waits for: claimed jobs that drive it or tidy it up, and cancelled ones whose run may live. Its
    /// other aftermath touches neither its processes nor its clone.
    fn claimed_jobs(&self, task: TaskId) -> Result<Vec<JobId>, StoreError>;
    /// When the next job becomes available that is not yet; none: time alone brings no job.
    fn next_available(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;
    /// When the newest event or delivery came; none: there is none, or the clock was set back since.
    fn last_seen(&self) -> Result<Option<Timestamp>, StoreError>;
    /// The clock was set back by so much: what was to come about at a time comes about as much sooner. Of how many jobs.
    fn clock_went_back(&self, by: Milliseconds) -> Result<u32, StoreError>;
    /// Drivers whose breaker heard something, or that have runs now.
    fn drivers(&self) -> Result<Vec<DriverRow>, StoreError>;
    /// Jobs for people: those that are performed, then those that wait, the oldest first, then the newest of the others.
    fn jobs(&self, limits: &ClaimLimits, now: Timestamp, limit: u32) -> Result<Vec<JobRow>, StoreError>;
    /// The live jobs of these tasks, with the same reasons, however many others wait.
    fn jobs_of(&self, tasks: &[TaskId], limits: &ClaimLimits, now: Timestamp) -> Result<Vec<JobRow>, StoreError>;

    /// A run begins; written before the launch, again with the pid after it. Model and effort that stand are never lost.
    fn put_run(&self, run: &RunRow, token: FenceToken) -> Result<(), StoreError>;
    /// Writes down for which budget a living run is ended. One that has ended stays as it is.
    fn put_over_budget(&self, job: JobId, token: FenceToken, why: &str) -> Result<(), StoreError>;
    /// What ended runs of a project cost on a day (counted from the epoch, UTC) and ever.
    fn spending(&self, project: &ProjectName, day: u64) -> Result<Spending, StoreError>;
    /// Runs of a task, newest first.
    fn runs(&self, task: TaskId, limit: u32) -> Result<Vec<RunRow>, StoreError>;
    /// A run.
    fn run(&self, run: RunId) -> Result<RunRow, StoreError>;

    /// Keeps bytes under their hash, synced. Writing what is there costs a look.
    fn put_blob(&self, bytes: &[u8]) -> Result<Digest, StoreError>;
    /// Bytes by hash.
    fn blob(&self, digest: &Digest) -> Result<Vec<u8>, StoreError>;
    /// Documents of a task, newest first, each name once.
    fn documents(&self, task: TaskId) -> Result<Vec<Document>, StoreError>;
    /// Keeps a document of the host's own.
    fn put_document(&self, task: TaskId, document: &NewDocument, now: Timestamp) -> Result<DocumentId, StoreError>;

    /// Keeps an evaluation that belongs to no completion (mapper, guard, notifier).
    fn put_evaluation(&self, evaluation: &NewEvaluation) -> Result<EvaluationId, StoreError>;
    /// Evaluations, newest first, of one task or of all.
    fn evaluations(&self, task: Option<TaskId>, limit: u32) -> Result<Vec<EvaluationRow>, StoreError>;
    /// What was asked for a job, oldest first, over all its attempts and over restarts.
    fn evaluations_of(&self, job: JobId) -> Result<Vec<EvaluationRow>, StoreError>;
    /// An evaluation.
    fn evaluation(&self, id: EvaluationId) -> Result<EvaluationRow, StoreError>;

    /// A fact that may end a wait: counted per `(project, subject, kind)`, and told to each task that waits for it.
    fn wake(&self, project: &ProjectName, subject: &str, kind: WakeKind, now: Timestamp) -> Result<u32, StoreError>;
    /// Keeps a reported check, the newest of each name, and wakes.
    fn put_check(
        &self,
        project: &ProjectName,
        commit: &CommitId,
        check: &Check,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// The checks of a commit.
    fn checks(&self, project: &ProjectName, commit: &CommitId) -> Result<Vec<Check>, StoreError>;

    /// Freezes a project's repository, or thaws it (no reason); who did it is kept.
    fn set_freeze(
        &self,
        project: &ProjectName,
        reason: Option<&str>,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Why a project is frozen, if it is.
    fn freeze(&self, project: &ProjectName) -> Result<Option<String>, StoreError>;
    /// Who froze and thawed a project, newest first.
    fn freeze_log(&self, project: &ProjectName, limit: u32) -> Result<Vec<FreezeRow>, StoreError>;
    /// Leases: name (`project/merge`), holder, token.
    fn leases(&self) -> Result<Vec<LeaseRow>, StoreError>;

    /// Makes a card; its number is the project's next. The creation row and its delivery stand in the same transaction.
    fn create_item(&self, item: &NewItem, now: Timestamp) -> Result<BoardItem, StoreError>;
    /// A card.
    fn item(&self, project: &ProjectName, work_item: &WorkItemId) -> Result<Option<BoardItem>, StoreError>;
    /// Cards of a project, newest first.
    fn items(&self, project: &ProjectName, limit: u32) -> Result<Vec<BoardItem>, StoreError>;
    /// Moves a card: row, activity and (unless the host moved it) delivery and the count of a status that changed, in one
    /// transaction. The same status again writes nothing.
    fn move_item(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        status: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Deletes a card, as people do.
    fn remove_item(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// The activity of a project's cards after the row with this id, oldest first.
    fn activity_since(&self, project: &ProjectName, id: u64, limit: u32) -> Result<Vec<BoardActivity>, StoreError>;
    /// The activity of a card, oldest first.
    fn activity(&self, project: &ProjectName, work_item: &WorkItemId) -> Result<Vec<BoardActivity>, StoreError>;
    /// Writes a comment, once per external id: false when it was there. One that is not the host's is counted as a fact that may
    /// end a wait, in the same transaction.
    fn put_comment(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        actor: &Actor,
        external_id: Option<&str>,
        text: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Comments of a card, newest first.
    fn comments(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        limit: u32,
    ) -> Result<Vec<BoardComment>, StoreError>;

    /// Takes in what the log of a tracker says and no delivery has told: each such row becomes a delivery, counted as a fact that
    /// may end a wait, in one transaction with where the next poll goes on (none: that stays). How many there were.
    fn take_rows(
        &self,
        project: &ProjectName,
        source: &str,
        rows: &[ToldRow],
        cursor: Option<&str>,
        now: Timestamp,
    ) -> Result<u32, StoreError>;
    /// Where the next poll of a project's tracker goes on.
    fn poll_cursor(&self, project: &ProjectName, source: &str) -> Result<Option<String>, StoreError>;

    /// Deliveries to expand: of each work item the one whose row is the oldest. One that does not read stands before no other.
    fn pending_deliveries(&self, limit: u32) -> Result<Vec<Delivery>, StoreError>;
    /// Closes a delivery with what it leads to: events unique on `(delivery, ordinal, task)` and by key, in one transaction.
    fn expand(
        &self,
        delivery: DeliveryId,
        expansions: &[Expansion],
        now: Timestamp,
    ) -> Result<Vec<Applied>, StoreError>;

    /// Deliveries of trackers and forges outside that nobody has read, the oldest first; fewer than `limit` where they are large. One
    /// that does not read is left out.
    fn hints(&self, limit: u32) -> Result<Vec<Hint>, StoreError>;
    /// Closes hints with the facts that they told, all in one transaction. What is closed already tells nothing more.
    fn take_hints(&self, taken: &[Taken], now: Timestamp) -> Result<(), StoreError>;
    /// Deliveries for people, newest first.
    fn deliveries(&self, filter: &DeliveryFilter, limit: u32) -> Result<Vec<DeliveryRow>, StoreError>;
    /// A delivery with all that was kept of it.
    fn delivery(&self, id: DeliveryId) -> Result<WholeDelivery, StoreError>;

    /// A parked delivery is read once more, as if it had just come. Refused of one that is not parked.
    fn retry_delivery(&self, id: DeliveryId, actor: &Actor, now: Timestamp) -> Result<(), StoreError>;

    /// A delivery could not be expanded yet: one more attempt is counted.
    fn expand_later(&self, delivery: DeliveryId, why: &str) -> Result<(), StoreError>;

    /// Writes down what would have been done: true if it stands there now and did not before.
    fn put_would(&self, would: &NewWould) -> Result<bool, StoreError>;
    /// Is it written down already?
    fn has_would(&self, project: &ProjectName, key: &str) -> Result<bool, StoreError>;
    /// What would have been done at or after `since`, oldest first, after the row with this id; of one project or of all.
    fn woulds(
        &self,
        project: Option<&ProjectName>,
        since: Timestamp,
        after: u64,
        limit: u32,
    ) -> Result<Vec<WouldRow>, StoreError>;

    /// The number of commits so far: whoever waits for news compares it.
    fn sequence(&self) -> u64;
}

/// A lease: whose project's, which, who holds it, and its token.
pub type LeaseRow = (ProjectName, LeaseName, Option<TaskId>, FenceToken);

/// A card that shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewItem {
    /// Whose.
    pub project: ProjectName,
    /// What it says.
    pub title: String,
    /// Plain text.
    pub description: String,
    /// In which column it is made.
    pub status: String,
    /// All of them.
    pub labels: Vec<String>,
    /// Who.
    pub actor: Actor,
    /// Tasks of the project that the card's task shall need when it begins.
    pub after: Vec<TaskId>,
}

/// How a claimed job ends.
#[derive(Clone, Debug)]
pub struct Completion<'a> {
    /// Which.
    pub job: JobId,
    /// The fence of the claim.
    pub token: FenceToken,
    /// What came of it.
    pub event: Event,
    /// What the claim saw of facts that wake.
    pub wakes: u64,
    /// The evaluation that judged; its id goes into the event.
    pub evaluation: Option<&'a NewEvaluation>,
    /// The run that ended.
    pub run: Option<&'a RunRow>,
}
