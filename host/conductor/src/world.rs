//! What an evaluation may look at: one task's repository at three fixed commits, its documents, runs, checks and work item.

use std::sync::Arc;

use domain::ids::{CommitId, DocumentId, RunId};
use domain::plugin::{
    ChangedFile, Check, Comment, CommitInfo, DocumentInfo, Family, HostError, PullRequest, Revision, RunView,
    UpstreamFailure, WorkItemView,
};
use domain::task::Task;

use crate::ports::forge::{Forge, ForgeError};
use crate::ports::plugins::World;
use crate::ports::runs::Runs;
use crate::ports::store::{Store, StoreError};
use crate::ports::tracker::{Tracker, TrackerError};
use crate::view::run_view;

/// The largest document or file that a guest is given, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// One task's world, its commits fixed.
pub(crate) struct TaskWorld {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) forge: Option<Arc<dyn Forge>>,
    pub(crate) tracker: Arc<dyn Tracker>,
    pub(crate) runs: Arc<dyn Runs>,
    pub(crate) task: Task,
    pub(crate) fork_point: Option<CommitId>,
    pub(crate) base_head: Option<CommitId>,
}

impl TaskWorld {
    fn forge(&self) -> Result<&dyn Forge, HostError> {
        self.forge.as_deref().ok_or_else(|| HostError::Unavailable("the project has no forge".to_owned()))
    }

    fn commit(&self, at: Revision) -> Result<&CommitId, HostError> {
        match at {
            Revision::Subject => self.task.head.as_ref(),
            Revision::ForkPoint => self.fork_point.as_ref(),
            Revision::BaseHead => self.base_head.as_ref(),
        }
        .ok_or(HostError::NotFound)
    }

    fn range(&self) -> Result<(&CommitId, &CommitId), HostError> {
        Ok((self.commit(Revision::ForkPoint)?, self.commit(Revision::Subject)?))
    }
}

impl World for TaskWorld {
    fn is_immediate(&self, family: Family) -> bool {
        // What the store answers is local and quick; git and the tracker may hang.
        matches!(family, Family::Documents)
    }

    fn read_file(&self, at: Revision, path: &str) -> Result<Vec<u8>, HostError> {
        self.forge()?.read(self.commit(at)?, path).map_err(of_forge)
    }

    fn list_files(&self, at: Revision) -> Result<Vec<String>, HostError> {
        self.forge()?.list(self.commit(at)?, "**").map_err(of_forge)
    }

    fn changes(&self) -> Result<Vec<ChangedFile>, HostError> {
        let (fork, subject) = self.range()?;
        self.forge()?.changes(fork, subject).map_err(of_forge)
    }

    fn diff(&self, path: &str) -> Result<Vec<u8>, HostError> {
        let (fork, subject) = self.range()?;
        self.forge()?.diff(fork, subject, path).map_err(of_forge)
    }

    fn commits(&self) -> Result<Vec<CommitInfo>, HostError> {
        let (fork, subject) = self.range()?;
        self.forge()?.commits(fork, subject).map_err(of_forge)
    }

    fn last_change(&self, at: Revision, path: &str) -> Result<Option<CommitInfo>, HostError> {
        self.forge()?.last_change(self.commit(at)?, path).map_err(of_forge)
    }

    fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, HostError> {
        let forge = self.forge()?;
        for asked in [ancestor, descendant] {
            let mut reachable = false;
            for at in [Revision::Subject, Revision::ForkPoint, Revision::BaseHead] {
                if let Ok(tip) = self.commit(at) {
                    reachable |= asked == tip || forge.is_ancestor(asked, tip).unwrap_or(false);
                }
            }
            if !reachable {
                return Err(HostError::NotFound);
            }
        }
        forge.is_ancestor(ancestor, descendant).map_err(of_forge)
    }

    fn documents(&self) -> Result<Vec<DocumentInfo>, HostError> {
        let position = &self.task.position;
        let documents = self.store.documents(self.task.id).map_err(of_store)?;
        Ok(documents
            .into_iter()
            .map(|document| DocumentInfo {
                id: document.id,
                kind: document.kind.word().to_owned(),
                current: document.stage == position.stage && document.visit == position.visit,
                name: document.name,
                stage: document.stage,
                visit: document.visit,
                run: document.run,
                written_at: document.written_at,
                size: document.size,
            })
            .collect())
    }

    fn read_document(&self, id: DocumentId) -> Result<Vec<u8>, HostError> {
        let documents = self.store.documents(self.task.id).map_err(of_store)?;
        let document = documents.iter().find(|document| document.id == id).ok_or(HostError::NotFound)?;
        if document.size > LARGEST {
            return Err(HostError::TooLarge(LARGEST));
        }
        self.store.blob(&document.blob).map_err(of_store)
    }

    fn checks(&self) -> Result<Vec<Check>, HostError> {
        let Some(head) = &self.task.head else {
            return Ok(Vec::new());
        };
        self.store.checks(&self.task.project, head).map_err(of_store)
    }

    fn code_pull_request(&self) -> Result<Option<PullRequest>, HostError> {
        // The embedded forge merges branches itself: there are no pull requests on it.
        Ok(None)
    }

    fn work_item(&self) -> Result<WorkItemView, HostError> {
        self.tracker.item(&self.task.project, &self.task.work_item).map_err(of_tracker)
    }

    fn comments(&self, newest: u32) -> Result<Vec<Comment>, HostError> {
        self.tracker.comments(&self.task.project, &self.task.work_item, newest).map_err(of_tracker)
    }

    fn runs(&self, newest: u32) -> Result<Vec<RunView>, HostError> {
        let runs = self.store.runs(self.task.id, newest).map_err(of_store)?;
        Ok(runs.iter().map(run_view).collect())
    }

    fn log_tail(&self, run: RunId, bytes: u32) -> Result<Vec<u8>, HostError> {
        self.own_run(run)?;
        Ok(self.runs.log_tail(run, u64::from(bytes)))
    }

    fn report(&self, run: RunId) -> Result<Option<String>, HostError> {
        self.own_run(run)
    }
}

impl TaskWorld {
    fn own_run(&self, run: RunId) -> Result<Option<String>, HostError> {
        match self.store.run(run) {
            Ok(row) if row.task == self.task.id => Ok(row.report),
            Ok(_) | Err(StoreError::NotFound { .. }) => Err(HostError::NotFound),
            Err(error) => Err(of_store(error)),
        }
    }
}

fn of_store(error: StoreError) -> HostError {
    HostError::Unavailable(error.to_string())
}

fn of_forge(error: ForgeError) -> HostError {
    match error {
        ForgeError::NotFound(_) => HostError::NotFound,
        ForgeError::TooLarge { limit, .. } => HostError::TooLarge(limit),
        ForgeError::Invalid(text) => HostError::Invalid(text),
        other => HostError::Upstream(UpstreamFailure { status: 0, message: other.to_string(), retry_after_ms: None }),
    }
}

fn of_tracker(error: TrackerError) -> HostError {
    match error {
        TrackerError::Gone => HostError::NotFound,
        TrackerError::Unavailable(message) | TrackerError::Refused(message) => {
            HostError::Upstream(UpstreamFailure { status: 0, message, retry_after_ms: None })
        }
    }
}
