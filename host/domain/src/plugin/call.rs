//! What plugins are asked and what they answer: twins of the records in `wit/`, since this is a real boundary.
//!
//! Words that the host sends (`role`, `track`, `phase`, effect kinds, …) are open sets and stay text.

use serde::{Deserialize, Serialize};

use crate::ids::{BranchName, CommitId, JobId, ProjectName, RunId, StageName, StepName, TaskId, Version, WorkItemId};
use crate::time::{Milliseconds, Timestamp};
use crate::verdict::Fact;

/// Tokens, money and time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Tokens in.
    pub input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// Millionths of a US dollar.
    pub cost_microusd: u64,
    /// Milliseconds.
    pub wall_ms: u64,
}

/// A group of statuses, as boards have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusGroup {
    /// Not planned.
    Backlog,
    /// Planned.
    Unstarted,
    /// Under way.
    Started,
    /// Done.
    Completed,
    /// Given up.
    Cancelled,
    /// The board has no groups, or one that we do not know.
    Unknown,
}

/// A status as a project's board names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardStatus {
    /// Its name.
    pub name: String,
    /// Where it belongs.
    pub group: StatusGroup,
}

/// A task as plugins see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// Grows with every change.
    pub version: Version,
    /// Its project.
    pub project: ProjectName,
    /// None: a pull request that is only checked.
    pub work_item: Option<WorkItemId>,
    /// Where to read the work item.
    pub url: Option<String>,
    /// One line.
    pub title: String,
    /// As last read by the host.
    pub labels: Vec<String>,
    /// `full`, `bug`.
    pub track: String,
    /// Where it stands.
    pub stage: StageName,
    /// Counts the stays in this stage, from 1.
    pub visit: u32,
    /// How it stands, for people.
    pub phase: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When this visit began.
    pub stage_entered_at: Timestamp,
    /// How it ended; none: it is active.
    pub terminality: Option<crate::task::Terminality>,
    /// None until the branch is cut.
    pub branch: Option<BranchName>,
    /// Into which it merges.
    pub base_branch: BranchName,
    /// Developer retries spent so far.
    pub retries: u32,
    /// The watch after the deploy is open.
    pub watching: bool,
    /// Why it waits for a person, if it does.
    pub held: Option<String>,
    /// Work items that must be done first and are not.
    pub waits_for: Vec<WorkItemId>,
    /// What it was estimated to cost.
    pub forecast: Option<Figures>,
    /// What came later than the record.
    pub more: Vec<Fact>,
}

/// One launch of an agent or of a deterministic runner, as plugins see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunView {
    /// Its id.
    pub id: RunId,
    /// Who worked.
    pub role: String,
    /// In which stage.
    pub stage: StageName,
    /// In which visit of it.
    pub visit: u32,
    /// Counts from 1 within the visit.
    pub attempt: u32,
    /// When it was launched.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// None: ended by a signal, or not yet.
    pub exit_code: Option<i32>,
    /// Its time ran out.
    pub timed_out: bool,
    /// The branch before the run.
    pub head_before: Option<CommitId>,
    /// The branch after the host took over what the run left.
    pub head_after: Option<CommitId>,
    /// None: the agent did not say.
    pub spent: Option<Figures>,
    /// The model, if it said so.
    pub model: Option<String>,
    /// The effort, if it said so.
    pub effort: Option<String>,
    /// What came later than the record.
    pub more: Vec<Fact>,
}

/// From which stage to which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeName {
    /// From.
    pub source: StageName,
    /// To.
    pub target: StageName,
}

/// What a gate is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateSubject {
    /// The task.
    pub task: TaskView,
    /// The edge that it wants to cross.
    pub edge: EdgeName,
    /// This step's name on the edge.
    pub step: StepName,
    /// The commit under judgement; none before the branch is cut.
    pub commit: Option<CommitId>,
    /// The newest commit that branch and base branch share.
    pub fork_point: Option<CommitId>,
    /// The base branch's head, fetched when the evaluation began.
    pub base_head: Option<CommitId>,
    /// How often before this step was asked about this commit in this visit.
    pub asked_before: u32,
    /// Since when.
    pub first_asked_at: Timestamp,
    /// The run that ended this stage, if one did.
    pub run: Option<RunView>,
    /// One JSON object, at most 64 KiB.
    pub settings: String,
    /// What came later than the record.
    pub more: Vec<Fact>,
}

/// An effect that a guard is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EffectView {
    /// `set-status`, `post-comment`, `merge`, …
    pub kind: String,
    /// Role, command, branch, environment or event; else empty.
    pub object: String,
    /// set-status: what is to be shown.
    pub phase: Option<String>,
    /// set-status: the board's status for it.
    pub status: Option<BoardStatus>,
    /// post-comment, notify: the text; set-estimate: the points.
    pub text: Option<String>,
    /// push-branch, merge, deploy: what exactly.
    pub commit: Option<CommitId>,
    /// What came later than the record.
    pub more: Vec<Fact>,
}

/// Where an effect goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardDestination {
    /// `board`, `plane`, `local-git`, `gitea`, `hook`, `notifier`, `agent`.
    pub system: String,
    /// As the system names it.
    pub address: String,
    /// The operator's file calls it a sandbox.
    pub sandbox: bool,
}

/// What a guard is asked: `asked` in the WIT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardQuestion {
    /// The job, the same over all attempts.
    pub id: JobId,
    /// Since when it is asked.
    pub first_asked_at: Timestamp,
    /// The project.
    pub project: ProjectName,
    /// What this host is: `live`, `staging`, `test`.
    pub environment: String,
    /// None: it could not be resolved.
    pub destination: Option<GuardDestination>,
    /// None: about no task, or about one that is not known.
    pub task: Option<TaskView>,
    /// What is to be done.
    pub effect: EffectView,
    /// Which rule of the engine wants it.
    pub cause: String,
    /// One JSON object, at most 64 KiB.
    pub settings: String,
    /// What came later than the record.
    pub more: Vec<Fact>,
}

/// What a guard answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "decision")]
pub enum GuardDecision {
    /// The task waits for a person.
    Hold {
        /// For people.
        reason: String,
    },
    /// It may be done.
    Allow,
    /// It is dropped and counts as done.
    Suppress {
        /// For people.
        reason: String,
    },
    /// It is done otherwise; at least one of `phase` and `text` is there.
    Amend {
        /// set-status: show this instead.
        phase: Option<String>,
        /// post-comment, notify: say this instead.
        text: Option<String>,
        /// For people.
        why: String,
    },
    /// Not yet.
    Delay {
        /// When to ask again.
        until: Timestamp,
        /// For people.
        why: String,
    },
}

/// What an estimator is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EstimatorQuestion {
    /// The project.
    pub project: ProjectName,
    /// The ticket.
    pub work_item: WorkItemId,
    /// One line.
    pub title: String,
    /// Plain text.
    pub description: String,
    /// All of them.
    pub labels: Vec<String>,
    /// `full`, `bug`.
    pub track: String,
    /// One JSON object, at most 64 KiB.
    pub settings: String,
    /// What came later than the record.
    pub more: Vec<Fact>,
}

/// What an estimator answers: `low` ≤ `expected` ≤ `high` in each figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// What it will cost.
    pub expected: Figures,
    /// One of ten tasks costs less.
    pub low: Option<Figures>,
    /// One of ten tasks costs more.
    pub high: Option<Figures>,
    /// At most 100.
    pub story_points: u8,
    /// Finished tasks that it rests on.
    pub samples: u32,
    /// For people.
    pub explanation: String,
}

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// Nobody is disturbed.
    Quiet,
    /// Somebody should look.
    Ping,
    /// Somebody must look now.
    Alarm,
}

/// A line of the card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRow {
    /// A stage, or `person`.
    pub key: String,
    /// `ahead`, `current`, `done`, `skipped`.
    pub mark: String,
    /// Runs of the stage together.
    pub runs: u32,
    /// Milliseconds.
    pub wall_ms: u64,
    /// Millionths of a US dollar.
    pub cost_microusd: u64,
    /// Tokens in.
    pub input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// Of the last run.
    pub model: Option<String>,
    /// Of the last run.
    pub effort: Option<String>,
    /// What came later than the record.
    pub more: Vec<Fact>,
}

/// A link of a notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeLink {
    /// `work-item`, `task`, `pull-request`, `document`, `deploy`, `approve`.
    pub rel: String,
    /// What to call it.
    pub label: String,
    /// An `http` or `https` address.
    pub url: String,
}

/// A task as the card shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeView {
    /// The task.
    pub task: TaskView,
    /// The board's status where it is known, else the phase.
    pub status_line: String,
    /// The card's lines.
    pub rows: Vec<NoticeRow>,
    /// The card's links.
    pub links: Vec<NoticeLink>,
    /// Millionths of a US dollar.
    pub total_cost_microusd: u64,
    /// Milliseconds from the first start to now or the end.
    pub total_wall_ms: u64,
    /// Milliseconds in which agents worked.
    pub agents_ms: u64,
    /// Milliseconds in which people were waited for.
    pub people_ms: u64,
    /// What came later than the record.
    pub more: Vec<Fact>,
}

/// What a notifier is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifierNotice {
    /// The same on every try.
    pub id: JobId,
    /// Grows; of two views the higher is the newer.
    pub sequence: u64,
    /// Counts from 1.
    pub attempt: u32,
    /// When it happened.
    pub at: Timestamp,
    /// The project.
    pub project: ProjectName,
    /// What happened: an open set of words.
    pub event: String,
    /// How loud it is.
    pub urgency: Urgency,
    /// For people.
    pub text: String,
    /// Where to read more.
    pub links: Vec<NoticeLink>,
    /// None: about no task.
    pub view: Option<NoticeView>,
    /// One JSON object, at most 64 KiB.
    pub settings: String,
    /// What came later than the record.
    pub more: Vec<Fact>,
}

/// A change of a work item's status, as a status-mapper is asked about it: `change` in the WIT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChange {
    /// The project.
    pub project: ProjectName,
    /// The ticket.
    pub work_item: WorkItemId,
    /// Before.
    pub from: Option<BoardStatus>,
    /// After.
    pub to: BoardStatus,
    /// All statuses of the board.
    pub board: Vec<BoardStatus>,
    /// The host wrote this change itself.
    pub by_us: bool,
    /// Its task, if there is one.
    pub task: Option<TaskView>,
    /// One JSON object, at most 64 KiB.
    pub settings: String,
    /// What came later than the record.
    pub more: Vec<Fact>,
}

/// How an item stands, as a status-mapper is asked to name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The project.
    pub project: ProjectName,
    /// The ticket.
    pub work_item: WorkItemId,
    /// None: an item without a task.
    pub task: Option<TaskView>,
    /// How it stands.
    pub phase: String,
    /// All statuses of the board.
    pub board: Vec<BoardStatus>,
    /// One JSON object, at most 64 KiB.
    pub settings: String,
    /// What came later than the record.
    pub more: Vec<Fact>,
}

/// What a change means, in a status-mapper's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapperIntent {
    /// Nothing.
    None,
    /// Begin, or go on after questions were answered.
    Start,
    /// The work may go on.
    Approve,
    /// It goes back.
    Reject,
    /// The deploy may begin.
    ConfirmDeploy,
    /// Everything ends.
    Stop,
    /// What would it cost?
    Estimate,
}

/// Why a plugin that is no gate did not answer: its own `failure`, or the host's finding about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "failure")]
pub enum Failure {
    /// Ask again.
    Retry {
        /// What kind of fault; `guest` where the plugin itself said so.
        cause: crate::verdict::InfraCause,
        /// For people.
        message: String,
        /// No sooner than after this, at most an hour.
        after: Option<Milliseconds>,
    },
    /// The plugin says that asking again will not help.
    GiveUp {
        /// For people.
        message: String,
    },
}

/// What is wrong with a plugin's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaw {
    /// RFC 6901, e.g. `/limits/0`; empty: the whole.
    pub pointer: String,
    /// For people; at most 1,000 characters.
    pub message: String,
}
