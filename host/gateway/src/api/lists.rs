//! Lists that are read on.

use serde::{Deserialize, Serialize};

use super::TaskView;

/// `GET /api/v1/tasks`: tasks, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskListing {
    /// Those of this page.
    pub items: Vec<TaskView>,
    /// There are older ones.
    pub more: bool,
    /// How many there are in all.
    pub total: u64,
    /// What `before` is for those that follow; none: there are no more.
    pub next: Option<u64>,
}
