//! The tracker's port: where work items live and people move them.

use domain::ids::{ProjectName, WorkItemId};
use domain::plugin::{Comment, WorkItemView};
use domain::time::Timestamp;

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

/// Where work items live.
pub trait Tracker: Send + Sync {
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
