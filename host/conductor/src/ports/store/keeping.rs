//! What the store knows of what may go when it is old.

use domain::ids::RunId;
use domain::time::Timestamp;

use super::StoreError;

/// The part of the store that collection asks.
pub trait Keeping {
    /// Runs of this machine that ended before `until`, whose jobs are closed and whose tasks have ended, and whose folders were
    /// not collected; after the run with this id, by their ids.
    fn old_runs(&self, until: Timestamp, after: RunId, limit: u32) -> Result<Vec<RunId>, StoreError>;
    /// The folder of a run is gone. The first time stays.
    fn run_collected(&self, run: RunId, now: Timestamp) -> Result<(), StoreError>;
    /// When it went; none: it did not.
    fn when_collected(&self, run: RunId) -> Result<Option<Timestamp>, StoreError>;
}
