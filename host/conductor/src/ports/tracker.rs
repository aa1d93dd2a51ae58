//! The tracker's port: where work items live and people move them.

use domain::ids::{Actor, ProjectName, WorkItemId};
use domain::plugin::{Comment, WorkItemView};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What the tracker can answer instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrackerError {
    /// The item is not there (any more).
    #[error("the work item is gone")]
    Gone,
    /// It does not answer, or not now.
    #[error("the tracker does not answer: {0}")]
    Unavailable(String),
    /// It refuses.
    #[error("the tracker refuses: {0}")]
    Refused(String),
}

/// A row of the tracker's own log: what somebody did to an item. A delivery is only a hint at one; what counts is the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// The tracker's own id of it: what it says is taken once.
    pub key: String,
    /// Its place among the rows of its item, by the tracker's own order.
    pub order: u64,
    /// Which item.
    pub work_item: WorkItemId,
    /// What was done.
    pub kind: RowKind,
    /// From which status; none: the creation.
    pub from: Option<String>,
    /// To which.
    pub to: String,
    /// Who, by the row alone. All users of ours are [`Actor::Host`].
    pub actor: Actor,
}

/// What a row says was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowKind {
    /// The item was made.
    Created,
    /// Its status changed.
    Moved,
    /// It was deleted or archived.
    Removed,
}

/// Where a poll goes on: the driver's own word, which nobody else reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// One page of what changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The rows, those of one item in their order. Some of them may have been told before.
    pub rows: Vec<LogRow>,
    /// Where the next page begins, or the next poll.
    pub cursor: Cursor,
    /// There is another page at once.
    pub more: bool,
}

/// Where work items live.
pub trait Tracker: Send + Sync {
    /// The word under which deliveries and rows of this tracker are kept: `board`, `plane`.
    fn source(&self) -> &'static str;
    /// What changed in a project since a cursor; none: at least the rows that led each item to where it stands.
    ///
    /// It may fail, and tell late. A driver whose log grows behind its end goes back a bit each time: what is told twice costs
    /// nothing, what is passed over is lost.
    fn changes(&self, project: &ProjectName, since: Option<&Cursor>) -> Result<Changes, TrackerError>;
    /// The rows of one item, oldest first, of one that is gone too.
    fn log(&self, project: &ProjectName, work_item: &WorkItemId) -> Result<Vec<LogRow>, TrackerError>;
    /// The statuses of the project's board, in order, with their group.
    fn statuses(&self, project: &ProjectName) -> Result<Vec<domain::plugin::BoardStatus>, TrackerError>;
    /// The item as it is now.
    fn item(&self, project: &ProjectName, work_item: &WorkItemId) -> Result<WorkItemView, TrackerError>;
    /// Who took it from the board, as far as that is known.
    fn gone_by(&self, project: &ProjectName, work_item: &WorkItemId) -> String;
    /// Newest first.
    fn comments(&self, project: &ProjectName, work_item: &WorkItemId, limit: u32)
    -> Result<Vec<Comment>, TrackerError>;
    /// Writes what the host wants shown; the same status again writes nothing.
    fn set_status(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        status: &str,
        now: Timestamp,
    ) -> Result<(), TrackerError>;
    /// Writes a comment, once per external id.
    fn comment(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        external_id: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<(), TrackerError>;
}
