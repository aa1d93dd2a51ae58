//! The requests and answers as types. Requests refuse fields that they do not know; answers may gain fields.
//!
//! Times are milliseconds since the Unix epoch, ids are what `domain::ids` says. What is not here is answered as the type
//! that the store's port or `domain` gives it: `EntryRow`, `RunRow`, `Document`, `EvaluationRow`, `JobRow`, `Check`,
//! `BoardItem`, `BoardActivity`, `BoardComment`.

use conductor::ports::inbox::DeliveryRow;
use conductor::ports::store::{
    BoardItem, EntryRow, EvaluationRow, EventRow, FreezeRow, JobRow, Load, Predecessor, Prerequisite, RunRow,
};
use domain::event::Intent;
use domain::ids::{
    BranchName, DriverName, Epoch, FenceToken, LeaseName, ProjectName, StageName, TaskId, Version, WorkItemId,
};
use domain::plugin::CheckState;
use domain::task::Task;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use access::{AuditPage, MadeToken, TokenView, WantedToken};
pub use change::{ChangeOutline, ChangeView};
pub use lists::TaskListing;
pub use many::{ForAll, ForHeld, ForParked, Retried};
pub use old::{Agent, Block, Cost, Feature, OldMetrics, Queue, QueueFigures, Tokens};
pub use refused::{Flaw, RefusedDeliveries, RefusedFrom};
pub use system::System;

mod access;
mod change;
mod lists;
mod many;
mod old;
mod refused;
mod system;
mod whole;

pub use crate::desk::{Backups, HeldBy, Holding, LastBackup, LastRestore};
pub use crate::health::{Health, Part, Trouble};
pub use conductor::{Neighbour, Unreachable};

/// `POST /api/v1/projects/{project}/items`: a card that shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCard {
    /// One line, at most 500 characters.
    pub title: String,
    /// Plain text.
    #[serde(default)]
    pub description: String,
    /// At most 50, each one line of at most 100 characters.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The column; left out: `Backlog`.
    #[serde(default)]
    pub status: Option<String>,
    /// Tasks of the project, by number or key, that must be done before the card's task begins; at most 50.
    #[serde(default)]
    pub after: Vec<String>,
}

/// `POST /api/v1/tasks`: a card that is moved to the start status at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTaskCard {
    /// Whose; may be left out where there is one project.
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// One line, at most 500 characters.
    pub title: String,
    /// Plain text.
    #[serde(default)]
    pub description: String,
    /// At most 50, each one line of at most 100 characters.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Tasks of the project, by number or key, that must be done before this one begins; at most 50.
    #[serde(default)]
    pub after: Vec<String>,
}

/// `POST` or `DELETE` `/api/v1/tasks/{task}/dependencies`: that the task needs another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDependency {
    /// The other task's number, or the key of its work item.
    pub on: String,
}

/// `/api/v1/tasks/{task}/dependencies`: what the task needs, and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dependencies {
    /// The task.
    pub task: TaskView,
    /// What it needs, by number.
    pub needs: Vec<Prerequisite>,
}

/// `PUT /api/v1/projects/{project}/items/{item}/status`: a person moves a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// To which column.
    pub status: String,
}

/// `POST /api/v1/projects/{project}/items/{item}/comments`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewComment {
    /// Plain text, at most 64 KiB.
    pub text: String,
}

/// `POST /api/v1/projects/{project}/commits/{commit}/checks`: what another system found about a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCheck {
    /// Its name: a second report under it replaces the first.
    pub name: String,
    /// `pending`, `success`, `neutral`, `failure`, `error`.
    pub state: CheckState,
    /// Where to read more: `http` or `https`.
    #[serde(default)]
    pub url: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// `POST /api/v1/tasks/{task}/approve` and the other intents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntentNote {
    /// Why; at most 4,000 characters. `waive` needs one; of `reject` the next run reads it.
    #[serde(default)]
    pub note: String,
    /// The version of the task that was looked at: another one is answered by 409 instead of acted on.
    #[serde(default, deserialize_with = "whole::read")]
    pub version: Option<Version>,
    /// The epoch that was looked at. With it only another activity counts as changed: a comment that was posted does not.
    #[serde(default, deserialize_with = "whole::read")]
    pub epoch: Option<Epoch>,
}

/// `POST /api/v1/projects/{project}/freeze`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeReason {
    /// Why no new task is admitted.
    pub reason: String,
}

/// `GET /api/v1/projects/{project}/freeze`, and the answer to a write there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// Whose.
    pub project: ProjectName,
    /// Why it is frozen; none: it is not.
    pub frozen: Option<String>,
    /// Who froze and thawed it, the newest 20 first.
    #[serde(default)]
    pub log: Vec<FreezeRow>,
}

/// `GET /api/v1/tasks/{task}/why`: why it stands where it stands, now or at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// Which task.
    pub task: TaskId,
    /// Of which ticket.
    pub work_item: WorkItemId,
    /// The stage and the visit.
    pub stage: String,
    /// Since when the activity goes on.
    pub since: Timestamp,
    /// What arrived; none: the task was made.
    pub event: Option<EventRow>,
    /// What was decided about it, a line each.
    pub decision: Vec<String>,
    /// The evaluation that judged, where it was a judgement.
    pub evidence: Option<EvaluationRow>,
    /// The run that ended, where that was it.
    pub run: Option<RunRow>,
    /// What a person last said that counted.
    pub said: Option<EventRow>,
    /// What has arrived since and did nothing, the newest 20.
    pub refused: Vec<EventRow>,
    /// What it waits for. Of a time that is over: how it stood, without what else stood in the queue.
    pub waits_for: String,
    /// What it waits behind, and since when: a freeze, tasks that it needs, and now also the lease that another has.
    pub behind: Vec<Behind>,
    /// Commands that would move it, or would have.
    pub moved_by: Vec<String>,
}

/// What a task waits behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// Since when.
    pub at: Timestamp,
    /// What it is, and who brought it about.
    pub what: String,
}

/// `GET /api/v1/tasks/{task}/rebuild`: its entries, folded anew and compared with its row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebuilt {
    /// Which task.
    pub task: TaskId,
    /// Entries that the row counts.
    pub entries: u64,
    /// Where the two differ; empty: nowhere.
    pub differences: Vec<String>,
}

/// A part of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing<T> {
    /// In the order that the route's line in the documentation says.
    pub items: Vec<T>,
    /// There are more; ask with a larger `limit`.
    pub more: bool,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectView {
    /// Its name.
    pub name: ProjectName,
    /// The letters before the number of a work item.
    pub prefix: String,
    /// Where its code goes.
    pub base_branch: BranchName,
    /// The name of its pipeline.
    pub pipeline: String,
    /// Its stages in order.
    pub stages: Vec<StageName>,
    /// The statuses of its board in order; empty: any word is taken.
    pub statuses: Vec<String>,
    /// One task at a time.
    pub serial: bool,
    /// Decisions are made, and nothing is done outside.
    #[serde(default)]
    pub observed: bool,
    /// Why it is frozen, if it is.
    pub frozen: Option<String>,
    /// How a person fetches what was merged.
    pub pull: Option<String>,
}

/// A card and the newest task that came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CardView {
    /// As the board has it.
    pub card: BoardItem,
    /// None: nobody started it yet.
    pub task: Option<TaskView>,
}

/// A task and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// The row.
    pub task: Task,
    /// The word for boards: a stage's name, or `in-review`, `blocked`, `done`, …
    pub phase: String,
    /// The same for people.
    pub standing: Standing,
}

/// How a task stands, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The word.
    pub state: State,
    /// What goes on, or what happens next.
    pub sentence: String,
    /// Nothing happens before a person acts.
    pub needs_person: bool,
    /// The lines by which a person can act, the likeliest first.
    pub commands: Vec<String>,
}

/// The ten words for how something stands. Each has a shape, so that none depends on its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A person is asked.
    NeedsYou,
    /// The work is at fault and its retries are spent.
    Failed,
    /// The system is at fault, or what is true is not known.
    Held,
    /// A person paused it.
    Paused,
    /// It goes on at a time, or by a fact.
    Retrying,
    /// It goes on now.
    Working,
    /// It could go on, and something else is first.
    Queued,
    /// It is in the base branch.
    Done,
    /// A person ended it.
    Stopped,
    /// It was not started.
    Skipped,
}

/// What came of an intent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Taken {
    /// What was wanted.
    pub intent: Intent,
    /// The task as it stands now.
    pub task: TaskView,
}

/// `GET /api/v1/evaluations/{evaluation}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationView {
    /// The row.
    #[serde(flatten)]
    pub row: EvaluationRow,
    /// The whole answer, with its findings.
    pub answered: Option<serde_json::Value>,
}

/// `GET /api/v1/deliveries/{delivery}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryView {
    /// The row.
    #[serde(flatten)]
    pub row: DeliveryRow,
    /// Those of its headers that were kept, by name.
    pub headers: std::collections::BTreeMap<String, String>,
    /// What it tells of, as `docs/events.md` has it; of the built-in board, as the board wrote it.
    pub event: Option<serde_json::Value>,
    /// Why it tells of nothing.
    pub unreadable: Option<String>,
}

/// A lease for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseView {
    /// Of which project.
    pub project: ProjectName,
    /// `merge`, `deploy`.
    pub name: LeaseName,
    /// Who has it.
    pub holder: Option<TaskId>,
    /// Its fence.
    pub token: FenceToken,
}

/// `GET /api/v1/queue`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveQueue {
    /// Jobs, the live ones first.
    pub items: Vec<JobRow>,
    /// A larger limit would show more.
    pub more: bool,
    /// How many there are, shown or not.
    pub counts: Load,
    /// The work items of the tasks of these jobs.
    pub tasks: Vec<Predecessor>,
    /// How the agent drivers stand, by name.
    #[serde(default)]
    pub drivers: Vec<DriverView>,
}

/// An agent driver: what counts the runs of one service and account together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverView {
    /// Its name.
    pub driver: DriverName,
    /// Of its breaker: `closed`, `open`, `half-open`.
    pub state: String,
    /// Since when it is open or half-open.
    pub since: Option<Timestamp>,
    /// When one run may go ahead to see; only of an open one.
    pub until: Option<Timestamp>,
    /// Transient failures in a row, while it is closed.
    pub failures: u32,
    /// Its runs that live.
    pub runs: u32,
    /// How many it may have; none: as many as there are places.
    pub limit: Option<u32>,
}

/// What lets a project's new tasks in, or does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Of which project.
    pub project: ProjectName,
    /// One task at a time.
    pub serial: bool,
    /// Why the project is frozen, if it is.
    pub frozen: Option<String>,
    /// Tasks that stand in nobody's way, because they were paused.
    pub paused: Vec<Predecessor>,
    /// Tasks that have begun and not ended, and are not paused.
    pub active: Vec<Predecessor>,
}

/// `GET /status`, in the old system's words: what has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Newest first.
    pub active_tasks: Vec<ActiveTask>,
}

/// A task that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveTask {
    /// Its id.
    pub id: TaskId,
    /// The tracker's key.
    pub work_item_id: WorkItemId,
    /// The project.
    pub repo: ProjectName,
    /// What it says.
    pub title: String,
    /// Where it stands.
    pub stage: StageName,
    /// The word for boards.
    pub phase: String,
    /// Its branch, once it is cut.
    pub branch: Option<BranchName>,
}

/// The data of an event of `GET /api/v1/events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The number of the store's commits in this life of the host.
    pub sequence: u64,
}

/// `application/problem+json` (RFC 9457): every answer that is a no.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// A stable name, e.g. `urn:gatewright:not-found`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// A sentence that says what is wrong and what would be right.
    pub detail: String,
    /// The engine's word for an intent that it did not take: `late`, `duplicate`, `illegal`, `terminal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<String>,
    /// How the task stands instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskView>,
    /// What happened since the version that was looked at, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub since: Vec<EntryRow>,
    /// After how many seconds the same request may be tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}
