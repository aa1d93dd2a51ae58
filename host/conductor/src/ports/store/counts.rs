//! What is counted of the rows, for pages and metrics: each count is read from an index.

use domain::ids::{ProjectName, StageName};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RunRow, StoreError};

/// So many tasks stand alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCount {
    /// Whose.
    pub project: ProjectName,
    /// Where.
    pub stage: StageName,
    /// What goes on there: `running`, `held`, `settled`, …
    pub activity: String,
    /// They have ended.
    pub ended: bool,
    /// How many.
    pub count: u64,
}

/// The jobs, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobCounts {
    /// They wait.
    pub queued: u64,
    /// Somebody has them.
    pub claimed: u64,
    /// They came to an end, ever.
    pub done: u64,
    /// They were cancelled, ever.
    pub cancelled: u64,
    /// Of these the ones whose run has not ended yet.
    pub winding: u64,
    /// Of those that wait: an earlier attempt did not end them.
    pub retrying: u64,
    /// The most attempts that one of those took that wait or are claimed.
    pub attempts_max: u64,
    /// Since when the one waits that could have gone on for longest; none: nothing is due. What a freeze, a lease, another task or an
    /// earlier job holds could not have gone on.
    pub due_since: Option<Timestamp>,
}

/// Jobs that wait and do the same, of tasks that stand in the same stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueCount {
    /// Where their tasks stand.
    pub stage: StageName,
    /// `launch-agent`, `judge`, …
    pub effect: String,
    /// How many.
    pub queued: u64,
    /// Since when the one waits that could have gone on for longest; none: nothing is due. What a freeze, a lease, another task or an
    /// earlier job holds could not have gone on.
    pub due_since: Option<Timestamp>,
}

/// Deliveries of one source that nobody is through with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryCount {
    /// `board`, `plane`, `gitea`.
    pub source: String,
    /// They wait to be looked at.
    pub pending: u64,
    /// A person must look at them.
    pub parked: u64,
}

/// How far the poll of a tracker has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollRow {
    /// Whose.
    pub project: ProjectName,
    /// `board`, `plane`.
    pub source: String,
    /// When it last brought something new.
    pub at: Timestamp,
}

/// What is counted.
pub trait Counts {
    /// How many tasks stand where.
    fn count_tasks(&self) -> Result<Vec<TaskCount>, StoreError>;
    /// How many jobs stand how.
    fn count_jobs(&self, now: Timestamp) -> Result<JobCounts, StoreError>;
    /// Jobs that wait, by the stage of their task and by what they do.
    fn count_queue(&self, now: Timestamp) -> Result<Vec<QueueCount>, StoreError>;
    /// Deliveries that nobody is through with, by source.
    fn count_deliveries(&self) -> Result<Vec<DeliveryCount>, StoreError>;
    /// Needs that are not met: of how many tasks how many.
    fn count_needs(&self) -> Result<u64, StoreError>;
    /// How far the polls of the trackers have come.
    fn polls(&self) -> Result<Vec<PollRow>, StoreError>;
    /// Runs that have not ended, newest first.
    fn living_runs(&self, limit: u32) -> Result<Vec<RunRow>, StoreError>;
}
