//! Long lists a page at a time, newest first. What a page leaves out is counted, and there is a way to it.

use domain::ids::{EvaluationId, ProjectName, RunId, TaskId, WorkItemId};
use domain::task::Task;

use super::{BoardComment, EntryRow, EvaluationRow, RunRow, StoreError};

/// A part of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// Newest first; what does not read is left out.
    pub rows: Vec<T>,
    /// How many the whole list has.
    pub all: u64,
    /// How many lie behind this page.
    pub older: u64,
    /// Where the next page begins; none: nothing lies behind this one.
    pub next: Option<u64>,
}

/// Which tasks are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskList {
    /// Only those that have not ended.
    pub live: bool,
    /// Only of this project.
    pub project: Option<ProjectName>,
}

/// Lists that grow for ever.
pub trait History {
    /// Tasks that are older than `before`.
    fn task_page(&self, of: &TaskList, before: Option<TaskId>, limit: u32) -> Result<Page<Task>, StoreError>;
    /// Runs of a task.
    fn run_page(&self, task: TaskId, before: Option<RunId>, limit: u32) -> Result<Page<RunRow>, StoreError>;
    /// Evaluations of a task, or of all.
    fn evaluation_page(
        &self,
        task: Option<TaskId>,
        before: Option<EvaluationId>,
        limit: u32,
    ) -> Result<Page<EvaluationRow>, StoreError>;
    /// Comments of a card.
    fn comment_page(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<BoardComment>, StoreError>;
    /// Entries of a task: of those that came first so many as `first` says, which is what [`Page::next`] said of the page before.
    fn entry_page(&self, task: TaskId, first: Option<u64>, limit: u32) -> Result<Page<EntryRow>, StoreError>;
}
