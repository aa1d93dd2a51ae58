//! What a task changes, as the API tells of it.

use domain::ids::{CommitId, TaskId};
use domain::plugin::ChangedFile;
use serde::{Deserialize, Serialize};

use super::Block;

/// `GET /api/v1/tasks/{task}/change`: what lies between the base branch and the task's head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeView {
    /// Whose.
    pub task: TaskId,
    /// Where the change left its base; none: nothing changed yet.
    pub base: Option<CommitId>,
    /// The commit under judgement.
    pub head: Option<CommitId>,
    /// What a reader types, in the repository that is their own, to see all of it.
    pub command: Option<String>,
    /// How much it is; none: nobody can look here. Broken: git did not answer within the seconds that a page has.
    pub outline: Option<Block<ChangeOutline>>,
}

/// How much a change is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeOutline {
    /// Files that differ.
    pub files: u64,
    /// Lines that are new.
    pub added_lines: u64,
    /// Lines that are gone.
    pub deleted_lines: u64,
    /// The first of the files, by path.
    pub listed: Vec<ChangedFile>,
}
