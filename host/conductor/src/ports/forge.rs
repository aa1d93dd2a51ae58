//! The port to git: one value is one project's repository, with the clones in which its tasks are worked on.
//!
//! The cast: the **repository** is bare and the host alone writes it (people may push to it, fast-forward only). A **clone** is
//! where an agent or a command works; from then on all that lies in it is hostile input. **Taking over** brings what was done in
//! a clone into the repository, without executing or believing anything that the clone says of itself.
//!
//! Every write is named by a [`Mark`]. A repeat after a crash finds the write of its own mark and answers as the first one would
//! have, so each method may be called again with the same arguments.

use std::fmt;
use std::path::PathBuf;

use domain::document::Role;
use domain::ids::{BranchName, CommitId, JobId, RunId, TaskId, WorkItemId};
use domain::plugin::{ChangedFile, Check, CommitInfo};
use domain::time::{Milliseconds, Timestamp};

/// Why git did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// There is no such commit, branch, path or clone.
    #[error("there is no {0}")]
    NotFound(String),
    /// Both sides changed the same lines: the developer's business.
    #[error("conflicts in {}", files.join(", "))]
    Conflict {
        /// Relative to the root, sorted.
        files: Vec<String>,
    },
    /// A branch is not where the caller saw it.
    #[error("branch `{branch}` moved: expected {}, found {}", told(expected.as_ref()), told(found.as_ref()))]
    Moved {
        /// Which.
        branch: BranchName,
        /// Where it should be; none: it should not be there.
        expected: Option<CommitId>,
        /// Where it is; none: it is gone.
        found: Option<CommitId>,
    },
    /// More than an answer may hold.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        what: String,
        /// In bytes; of lists: entries.
        limit: u64,
    },
    /// An argument that no repository could answer: `..`, a broken glob, a symlink where a file was asked for.
    #[error("{0}")]
    Invalid(String),
    /// It is possible, and it is not done: what a person can do about it stands in the text.
    #[error("{0}")]
    Refused(String),
    /// Not now: a check runs, an approval is missing, or the forge only says "try again later". Nobody's fault, and no try.
    #[error("{why}")]
    Later {
        /// What it waits for.
        why: String,
        /// How long the forge asked to wait.
        retry_after: Option<Milliseconds>,
    },
    /// The machine, the disk or git itself failed, or took too long. Never the work's fault.
    #[error("{0}")]
    Infra(String),
}

fn told(commit: Option<&CommitId>) -> &str {
    commit.map_or("none", CommitId::as_str)
}

/// Whose hand a write is, and when. The time is an argument, so that a repeat makes the same commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// For whom.
    pub task: TaskId,
    /// Recognises a repeat.
    pub job: JobId,
    /// Stands in the commits that the host makes; whole seconds count.
    pub at: Timestamp,
}

impl fmt::Display for Mark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "task {} job {}", self.task, self.job)
    }
}

/// Which clone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloneKey {
    /// Whose.
    pub task: TaskId,
    /// A throwaway clone of this job: for roles that judge, and for commands. None: the task's own, which stays between runs.
    pub job: Option<JobId>,
}

impl CloneKey {
    /// The task's own clone.
    pub const fn of_task(task: TaskId) -> Self {
        Self { task, job: None }
    }

    /// The clone of a single job.
    pub const fn of_job(task: TaskId, job: JobId) -> Self {
        Self { task, job: Some(job) }
    }
}

impl fmt::Display for CloneKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.job {
            None => write!(formatter, "{}", self.task),
            Some(job) => write!(formatter, "{}-{job}", self.task),
        }
    }
}

/// A clone that shall be ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloneRequest {
    /// Which.
    pub key: CloneKey,
    /// Checked out under this name.
    pub branch: BranchName,
    /// At this commit. Of a task's own clone it must be the branch's head.
    pub head: CommitId,
    /// Shown to the worker as `main` and `origin/main` (or as it is called).
    pub base: BranchName,
    /// Named as the author of what is committed there; a command has none.
    pub role: Option<Role>,
    /// Removed from the work tree, whether committed or not: paths that the role owns and shall write anew.
    pub empty: Vec<String>,
    /// Made if it is not there: the folder for the worker's documents.
    pub folder: Option<String>,
}

/// A clone that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedClone {
    /// Which.
    pub key: CloneKey,
    /// The work tree: a sandbox lets it be written.
    pub path: PathBuf,
    /// The base branch's objects, which the clone borrows: a sandbox lets them be read at this same path.
    pub readable: PathBuf,
    /// What is checked out.
    pub head: CommitId,
}

/// Which paths a run may change in the branch. A rule is a path: it covers that file, or that folder and all below.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// Only these; none: all.
    pub allowed: Option<Vec<String>>,
    /// And of them, not these.
    pub excluded: Vec<String>,
}

impl PathRules {
    /// May this path be changed? Compared by whole parts of the path, in bytes.
    pub fn admit(&self, path: &[u8]) -> bool {
        let covers = |rules: &[String]| rules.iter().any(|rule| covers(rule.as_bytes(), path));
        self.allowed.as_deref().is_none_or(covers) && !covers(&self.excluded)
    }
}

fn covers(rule: &[u8], path: &[u8]) -> bool {
    let rule = rule.strip_suffix(b"/").unwrap_or(rule);
    path.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// What shall be taken over from a clone, after the run's whole process tree is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeOver {
    /// Whose hand. `at` should be the run's end: then a repeat makes the same commit.
    pub mark: Mark,
    /// From where.
    pub clone: CloneKey,
    /// To where.
    pub branch: BranchName,
    /// The branch's head at the launch.
    pub expected: CommitId,
    /// The author of the commit of what was left uncommitted.
    pub role: Role,
    /// Its message: [`auto_commit_message`].
    pub message: String,
    /// What may be changed. All else is put back as it was at `expected` (or in the base, if only the base changed it since and
    /// the run brought that in), in a commit, and reported.
    pub paths: PathRules,
    /// Commit what was left uncommitted, as far as `paths` admits it; else it is left where it is.
    pub leftovers: bool,
    /// A commit of the base that the branch conflicted with, and that this run was told to bring in. Where the run edited every
    /// file of the conflict and left no conflict marker, that commit is merged: where both sides changed the same lines, the
    /// run's count.
    pub conflict: Option<CommitId>,
}

/// The message of the commit that the host makes of a run's leftovers (catalogue E9).
pub fn auto_commit_message(role: Role, work_item: &WorkItemId, run: RunId) -> String {
    format!("{role}({work_item}): auto-commit from {role} run_id={run}")
}

/// What was taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The branch now.
    pub head: CommitId,
    /// Paths that differ from before, sorted, 10,000 at most.
    pub changed: Vec<String>,
    /// What was not as it should be, 200 at most; none of it is in the branch.
    pub trespasses: Vec<Trespass>,
}

/// Something in a clone that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trespass {
    /// Of what kind.
    pub kind: TrespassKind,
    /// Where, if it has a place.
    pub path: String,
    /// For people and for the next run's brief.
    pub note: String,
}

/// Kinds of trespass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrespassKind {
    /// A commit changed a path that is not this role's; the path was put back.
    OutsideOwned,
    /// The commits do not rest on the branch: amended, reset, or a rebase that is not at its end. None of them was taken. (A
    /// developer's branch that rests on a newer commit of the base instead is no trespass.)
    HistoryRewritten,
    /// The clone stands on another branch or an older commit; what lay uncommitted there was not taken.
    HeadElsewhere,
    /// The clone's `.git` is gone, or no folder, or has no readable head. Only files were taken.
    GitFolderBroken,
    /// Objects are missing, broken or refused by git's checks. No commit was taken; the files were, as they lay there.
    ObjectsRefused,
    /// A file, or all files together, are larger than they may be. In a commit: no commit was taken, the other files were.
    TooLarge,
    /// A named pipe, socket or device; it was removed.
    SpecialFile,
    /// A file that its owner may not read.
    Unreadable,
    /// A symbolic link where the host reads only files.
    SymbolicLink,
    /// A repository within the repository.
    NestedRepository,
    /// A name that is not UTF-8, or that git refuses.
    BadName,
    /// Folders within folders without end; it was removed.
    TooDeep,
}

/// A branch after a rebase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebased {
    /// The branch now.
    pub head: CommitId,
    /// What it rests on: `onto`.
    pub base: CommitId,
    /// False: the branch contained the base already, and nothing was ever written by this mark.
    pub moved: bool,
}

/// A base branch after a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The commit that was merged: it is in the base branch.
    pub commit: CommitId,
    /// The base branch now; others may have merged since.
    pub base_head: CommitId,
    /// It was there already.
    pub already: bool,
}

/// Files read from a folder of a clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Name relative to the folder, and bytes; sorted by name.
    pub files: Vec<(String, Vec<u8>)>,
    /// What lay there and was not read.
    pub trespasses: Vec<Trespass>,
}

/// Bounds of [`Forge::collect_documents`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CollectLimits {
    /// At most so many files.
    pub files: usize,
    /// Each at most so many bytes.
    pub file_bytes: u64,
}

impl Default for CollectLimits {
    fn default() -> Self {
        Self { files: 100, file_bytes: 1 << 20 }
    }
}

/// Read-only sight of the repository, from git objects alone: no work tree, no attribute and no configuration has a say in it.
pub trait Sight: Send + Sync {
    /// A branch's head.
    fn branch_head(&self, branch: &BranchName) -> Result<Option<CommitId>, ForgeError>;
    /// Is the first contained in the second's history, or the same?
    fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, ForgeError>;
    /// The newest commit that both share; none: nothing is shared.
    fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<Option<CommitId>, ForgeError>;
    /// The id of a commit's tree: two commits with one tree hold the same files.
    fn tree_of(&self, commit: &CommitId) -> Result<String, ForgeError>;
    /// A file's bytes, 1 MiB at most. A symlink, `..` or an absolute path is `Invalid`.
    fn read(&self, at: &CommitId, path: &str) -> Result<Vec<u8>, ForgeError>;
    /// Paths that match a glob, sorted by bytes, 10,000 at most, else `TooLarge`.
    fn list(&self, at: &CommitId, glob: &str) -> Result<Vec<String>, ForgeError>;
    /// What lies between two commits, with renames, sorted by path, 10,000 at most.
    fn changes(&self, from: &CommitId, to: &CommitId) -> Result<Vec<ChangedFile>, ForgeError>;
    /// One file of it as a unified diff with three lines of context, 1 MiB at most.
    fn diff(&self, from: &CommitId, to: &CommitId, path: &str) -> Result<Vec<u8>, ForgeError>;
    /// The commits of `to` that are not in `from`, newest first, the newest 1,000. `run` is left open.
    fn commits(&self, from: &CommitId, to: &CommitId) -> Result<Vec<CommitInfo>, ForgeError>;
    /// The newest commit, as seen from `at`, that changed this path; none: the path is not there.
    fn last_change(&self, at: &CommitId, path: &str) -> Result<Option<CommitInfo>, ForgeError>;
}

/// The repository, to be written.
pub trait Forge: Sight {
    /// The base branch's head. `NotFound`: there is no such branch.
    fn base_head(&self, branch: &BranchName) -> Result<CommitId, ForgeError>;
    /// Makes a branch. If it is there and holds no work beyond `from`, that is it; if it holds work, `Refused`.
    /// Answers the branch's head.
    fn cut_branch(&self, mark: &Mark, branch: &BranchName, from: &CommitId) -> Result<CommitId, ForgeError>;
    /// Where this mark's own writes brought the branch from `from`; none: it made none. After a crash, a head that is found here
    /// is no other hand's.
    fn moved_by(&self, mark: &Mark, branch: &BranchName, from: &CommitId) -> Result<Option<CommitId>, ForgeError>;
    /// Upkeep, now and then: nothing that anybody needs is touched.
    fn upkeep(&self) -> Result<(), ForgeError> {
        Ok(())
    }
    /// Of an observed project: takes in what others have in their own repository, where that is another one. It is only read.
    fn refresh(&self) -> Result<(), ForgeError> {
        Ok(())
    }
    /// The checks that the forge itself keeps of a commit: of each name the newest, all pages of them, none that our own user wrote.
    /// A bare repository keeps none.
    fn checks(&self, _commit: &CommitId) -> Result<Vec<Check>, ForgeError> {
        Ok(Vec::new())
    }
    /// All branches but the base with their heads, sorted: people may have pushed or deleted some.
    fn task_branches(&self) -> Result<Vec<(BranchName, CommitId)>, ForgeError>;
    /// Removes a task's branch, wherever this task's own writes brought it from `from`. Another hand's work stays: its head is
    /// the answer. Gone already is done. Never the base branch.
    fn discard_branch(
        &self,
        task: TaskId,
        branch: &BranchName,
        from: &CommitId,
    ) -> Result<Option<CommitId>, ForgeError>;

    /// Makes a clone ready, whatever lay there: commit checked out, changed and untracked files gone, ignored files kept,
    /// configuration, hooks and refs new. A throwaway clone is made anew. Not to be called while a run is alive in it.
    fn prepare_clone(&self, request: &CloneRequest) -> Result<PreparedClone, ForgeError>;
    /// The clones that are there, half-made ones not among them.
    fn clones(&self) -> Result<Vec<CloneKey>, ForgeError>;
    /// Removes a clone; gone already is done.
    fn remove_clone(&self, key: CloneKey) -> Result<(), ForgeError>;
    /// Removes a task's own clone and those of its jobs.
    fn remove_clones(&self, task: TaskId) -> Result<(), ForgeError>;

    /// Brings a run's commits and leftovers into its branch, which must still be at `expected` (or at what this mark made of it).
    fn take_over(&self, request: &TakeOver) -> Result<Taken, ForgeError>;
    /// Reads files from a folder of a clone: regular files only, through no symlink. No such folder: nothing.
    fn collect_documents(&self, clone: CloneKey, folder: &str, limits: CollectLimits) -> Result<Collected, ForgeError>;

    /// Puts a branch upon `onto`, without a work tree. Authors are kept. Attributes (`merge=union`) are those of `onto`.
    /// Where a single commit conflicts and the branch as a whole does not, the branch is merged with `onto` instead.
    /// `Conflict`: nothing was written. A repeat with another `onto` goes on from what the first call made.
    fn rebase(
        &self,
        mark: &Mark,
        branch: &BranchName,
        expected: &CommitId,
        onto: &CommitId,
    ) -> Result<Rebased, ForgeError>;
    /// Moves the base branch to `head`, if `head` rests on `expected_base` and both branches are where they were seen.
    /// `head` in the base already is done. Nothing forces.
    fn merge_fast_forward(
        &self,
        mark: &Mark,
        branch: &BranchName,
        head: &CommitId,
        base: &BranchName,
        expected_base: &CommitId,
    ) -> Result<Merged, ForgeError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_cover_whole_parts_of_a_path() {
        let rules = PathRules { allowed: Some(vec!["docs/".into()]), excluded: vec!["docs/work-items".into()] };
        assert!(rules.admit(b"docs/a.md"));
        assert!(!rules.admit(b"docs/work-items/A-1/12-review.md"));
        assert!(!rules.admit(b"docs2/a.md"));
        assert!(rules.admit(b"docs/work-items.md"));
        assert!(PathRules::default().admit(b"anything\xff"));
    }

    #[test]
    fn the_message_of_leftovers_is_the_catalogues() {
        let work_item = WorkItemId::new("ORCH-094").unwrap();
        assert_eq!(
            auto_commit_message(Role::Developer, &work_item, RunId(7)),
            "developer(ORCH-094): auto-commit from developer run_id=7"
        );
    }
}
