//! The embedded forge: a bare repository on disk that the host alone writes, and a clone for each task.
//!
//! **The rule.** What lies in a clone is hostile once an agent was there: its configuration, hooks, attributes, refs, alternates,
//! index and files. So no git that the host starts ever has a clone as its repository: `GIT_DIR` is always a folder of the
//! host's, and what a clone's `.git` says is read here, by a few lines that follow no symlink. Its objects are copied, as data,
//! into a quarantine that has no configuration, and only what git's own checks accept goes from there into the repository.
//! Its files are read as the work tree of a repository of ours, after named pipes and devices were removed.
//!
//! **What a run sees** is the base branch, and its own task's: a clone borrows from a store that holds the base branch's objects
//! alone, and has a copy of what its branch holds beyond. What it brings back rests on these and on itself; a commit that names
//! anything else of the repository is not taken, or a run that was told an id could read through its own branch.
//!
//! **Guaranteed.** A branch moves by compare-and-swap and leaves its mark in the reflog; a repeat with the same mark answers as
//! the first call. The base branch moves forward only. A failed call leaves no ref moved; it may leave objects that nothing names.
//!
//! **Not guaranteed.** Two hosts on one folder (the host's file lock forbids it). An agent outside a sandbox that shares the
//! host's user can write anything, this repository too.

mod base;
mod claim;
mod clones;
mod command;
mod documents;
mod folder;
mod keep;
mod leftovers;
mod names;
mod observed;
mod process;
mod quarantine;
mod rebase;
mod refs;
mod resolve;
mod scan;
mod setup;
mod sight;
mod take;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use conductor::ports::forge::{
    CloneKey, CloneRequest, CollectLimits, Collected, Forge, ForgeError, Mark, Merged, PreparedClone, Rebased, Sight,
    TakeOver, Taken,
};
use domain::ids::{BranchName, CommitId, TaskId};
use domain::plugin::{ChangedFile, CommitInfo};

pub use keep::Repository;
pub use names::{KeptRefs, Reflog};
pub use observed::ObservedForge;
pub use setup::{Layout, Remote, Synced, version};
pub use sight::Glance;

/// One project's repository and its clones.
#[derive(Debug)]
pub struct EmbeddedForge {
    git: command::Git,
    layout: Layout,
    /// The branch that `HEAD` names: it is never deleted.
    base: BranchName,
    /// Held from reading a ref to writing it.
    refs: Mutex<()>,
    /// Held while the store of the base's objects is written.
    base_store: Mutex<()>,
}

impl EmbeddedForge {
    /// What `head` has beyond where it left `base`: within seconds and bounds, or an error that says which of them were too narrow.
    pub fn glance(&self, base: &CommitId, head: &CommitId) -> Result<Glance, ForgeError> {
        sight::glance(self, base, head)
    }

    fn call(&self) -> command::Call {
        self.git.call(&self.layout.repository)
    }

    /// A call whose write must outlast a power cut.
    fn durable(&self) -> command::Call {
        self.durable_on(&self.layout.repository)
    }

    fn durable_on(&self, repository: &Path) -> command::Call {
        self.git.call(repository).set("core.fsync=all").set("core.fsyncMethod=fsync")
    }

    fn objects(&self) -> PathBuf {
        self.layout.repository.join("objects")
    }

    fn refs_guard(&self) -> MutexGuard<'_, ()> {
        // It guards no data, so a panic under it broke nothing.
        self.refs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn base_guard(&self) -> MutexGuard<'_, ()> {
        self.base_store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sight for EmbeddedForge {
    fn branch_head(&self, branch: &BranchName) -> Result<Option<CommitId>, ForgeError> {
        refs::head(self, branch)
    }

    fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, ForgeError> {
        sight::is_ancestor(self, ancestor, descendant)
    }

    fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<Option<CommitId>, ForgeError> {
        sight::merge_base(self, one, other)
    }

    fn tree_of(&self, commit: &CommitId) -> Result<String, ForgeError> {
        sight::tree_of(self, commit)
    }

    fn read(&self, at: &CommitId, path: &str) -> Result<Vec<u8>, ForgeError> {
        sight::read(self, at, path)
    }

    fn list(&self, at: &CommitId, glob: &str) -> Result<Vec<String>, ForgeError> {
        sight::list(self, at, glob)
    }

    fn changes(&self, from: &CommitId, to: &CommitId) -> Result<Vec<ChangedFile>, ForgeError> {
        sight::changes(self, from, to)
    }

    fn diff(&self, from: &CommitId, to: &CommitId, path: &str) -> Result<Vec<u8>, ForgeError> {
        sight::diff(self, from, to, path)
    }

    fn commits(&self, from: &CommitId, to: &CommitId) -> Result<Vec<CommitInfo>, ForgeError> {
        sight::commits(self, from, to)
    }

    fn last_change(&self, at: &CommitId, path: &str) -> Result<Option<CommitInfo>, ForgeError> {
        sight::last_change(self, at, path)
    }
}

impl Forge for EmbeddedForge {
    fn upkeep(&self) -> Result<(), ForgeError> {
        self.tidy()
    }

    fn base_head(&self, branch: &BranchName) -> Result<CommitId, ForgeError> {
        refs::head(self, branch)?.ok_or_else(|| ForgeError::NotFound(format!("branch `{branch}`")))
    }

    fn cut_branch(&self, mark: &Mark, branch: &BranchName, from: &CommitId) -> Result<CommitId, ForgeError> {
        refs::cut(self, mark, branch, from)
    }

    fn moved_by(&self, mark: &Mark, branch: &BranchName, from: &CommitId) -> Result<Option<CommitId>, ForgeError> {
        refs::moved_by(self, mark, branch, from)
    }

    fn task_branches(&self) -> Result<Vec<(BranchName, CommitId)>, ForgeError> {
        refs::task_branches(self)
    }

    fn discard_branch(
        &self,
        task: TaskId,
        branch: &BranchName,
        from: &CommitId,
    ) -> Result<Option<CommitId>, ForgeError> {
        refs::discard(self, task, branch, from)
    }

    fn prepare_clone(&self, request: &CloneRequest) -> Result<PreparedClone, ForgeError> {
        clones::prepare(self, request)
    }

    fn clones(&self) -> Result<Vec<CloneKey>, ForgeError> {
        clones::list(self)
    }

    fn remove_clone(&self, key: CloneKey) -> Result<(), ForgeError> {
        clones::remove(self, key)
    }

    fn remove_clones(&self, task: TaskId) -> Result<(), ForgeError> {
        clones::list(self)?.into_iter().filter(|key| key.task == task).try_for_each(|key| clones::remove(self, key))
    }

    fn take_over(&self, request: &TakeOver) -> Result<Taken, ForgeError> {
        take::take_over(self, request)
    }

    fn collect_documents(&self, clone: CloneKey, folder: &str, limits: CollectLimits) -> Result<Collected, ForgeError> {
        documents::collect(self, clone, folder, limits)
    }

    fn rebase(
        &self,
        mark: &Mark,
        branch: &BranchName,
        expected: &CommitId,
        onto: &CommitId,
    ) -> Result<Rebased, ForgeError> {
        rebase::rebase(self, mark, branch, expected, onto)
    }

    fn merge_fast_forward(
        &self,
        mark: &Mark,
        branch: &BranchName,
        head: &CommitId,
        base: &BranchName,
        expected_base: &CommitId,
    ) -> Result<Merged, ForgeError> {
        refs::merge(self, mark, branch, head, base, expected_base)
    }
}
