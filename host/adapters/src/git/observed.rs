//! The repository of an observed project: it is looked at, what others have in their own is taken in, and nothing is done in it.
//! Whoever would write is refused here too, whatever he thinks of the project's mode.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use conductor::ports::forge::{
    CloneKey, CloneRequest, CollectLimits, Collected, Forge, ForgeError, Mark, Merged, PreparedClone, Rebased, Sight,
    TakeOver, Taken,
};
use domain::ids::{BranchName, CommitId, TaskId};
use domain::plugin::{ChangedFile, Check, CommitInfo};

use super::EmbeddedForge;
use super::setup::Synced;

/// An [`EmbeddedForge`] that refuses every write, beside the repository in which others work.
#[derive(Debug)]
pub struct ObservedForge {
    inner: Arc<EmbeddedForge>,
    /// The user's own repository.
    from: PathBuf,
    /// Its branches as they were last taken in.
    seen: Mutex<String>,
}

impl ObservedForge {
    /// Looks at this repository, and follows what lies in the user's own.
    pub const fn new(inner: Arc<EmbeddedForge>, from: PathBuf) -> Self {
        Self { inner, from, seen: Mutex::new(String::new()) }
    }
}

fn refused<T>() -> Result<T, ForgeError> {
    Err(ForgeError::Refused("the project is observed: nothing is done in its repository".to_owned()))
}

impl Sight for ObservedForge {
    fn branch_head(&self, branch: &BranchName) -> Result<Option<CommitId>, ForgeError> {
        self.inner.branch_head(branch)
    }

    fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, ForgeError> {
        self.inner.is_ancestor(ancestor, descendant)
    }

    fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<Option<CommitId>, ForgeError> {
        self.inner.merge_base(one, other)
    }

    fn tree_of(&self, commit: &CommitId) -> Result<String, ForgeError> {
        self.inner.tree_of(commit)
    }

    fn read(&self, at: &CommitId, path: &str) -> Result<Vec<u8>, ForgeError> {
        self.inner.read(at, path)
    }

    fn list(&self, at: &CommitId, glob: &str) -> Result<Vec<String>, ForgeError> {
        self.inner.list(at, glob)
    }

    fn changes(&self, from: &CommitId, to: &CommitId) -> Result<Vec<ChangedFile>, ForgeError> {
        self.inner.changes(from, to)
    }

    fn diff(&self, from: &CommitId, to: &CommitId, path: &str) -> Result<Vec<u8>, ForgeError> {
        self.inner.diff(from, to, path)
    }

    fn commits(&self, from: &CommitId, to: &CommitId) -> Result<Vec<CommitInfo>, ForgeError> {
        self.inner.commits(from, to)
    }

    fn last_change(&self, at: &CommitId, path: &str) -> Result<Option<CommitInfo>, ForgeError> {
        self.inner.last_change(at, path)
    }
}

impl Forge for ObservedForge {
    fn base_head(&self, branch: &BranchName) -> Result<CommitId, ForgeError> {
        self.inner.base_head(branch)
    }

    fn cut_branch(&self, _: &Mark, _: &BranchName, _: &CommitId) -> Result<CommitId, ForgeError> {
        refused()
    }

    fn moved_by(&self, mark: &Mark, branch: &BranchName, from: &CommitId) -> Result<Option<CommitId>, ForgeError> {
        self.inner.moved_by(mark, branch, from)
    }

    fn refresh(&self) -> Result<(), ForgeError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = self.inner.branches_of(&self.from)?;
        if *seen == stands {
            return Ok(());
        }
        if let Synced::Diverged { ours, theirs } = self.inner.follow(&self.from)? {
            tracing::warn!(%ours, %theirs, "the base branch of the observed repository is another one than ours");
        }
        *seen = stands;
        Ok(())
    }

    fn checks(&self, commit: &CommitId) -> Result<Vec<Check>, ForgeError> {
        self.inner.checks(commit)
    }

    fn task_branches(&self) -> Result<Vec<(BranchName, CommitId)>, ForgeError> {
        self.inner.task_branches()
    }

    fn discard_branch(&self, _: TaskId, _: &BranchName, _: &CommitId) -> Result<Option<CommitId>, ForgeError> {
        refused()
    }

    fn prepare_clone(&self, _: &CloneRequest) -> Result<PreparedClone, ForgeError> {
        refused()
    }

    fn clones(&self) -> Result<Vec<CloneKey>, ForgeError> {
        self.inner.clones()
    }

    fn remove_clone(&self, _: CloneKey) -> Result<(), ForgeError> {
        refused()
    }

    fn remove_clones(&self, _: TaskId) -> Result<(), ForgeError> {
        refused()
    }

    fn take_over(&self, _: &TakeOver) -> Result<Taken, ForgeError> {
        refused()
    }

    fn collect_documents(&self, clone: CloneKey, folder: &str, limits: CollectLimits) -> Result<Collected, ForgeError> {
        self.inner.collect_documents(clone, folder, limits)
    }

    fn rebase(&self, _: &Mark, _: &BranchName, _: &CommitId, _: &CommitId) -> Result<Rebased, ForgeError> {
        refused()
    }

    fn merge_fast_forward(
        &self,
        _: &Mark,
        _: &BranchName,
        _: &CommitId,
        _: &BranchName,
        _: &CommitId,
    ) -> Result<Merged, ForgeError> {
        refused()
    }
}
