//! The forge's side: commits, branches with their reflog, clones, and a record of its own of what moved the base branch.
//!
//! A commit is what its files hold and on what it rests. It obeys the port's word: branches move by compare-and-swap, nothing
//! forces the base, a repeat is known by its mark.

use std::collections::BTreeMap;

use conductor::ports::forge::{CloneKey, CloneRequest, ForgeError, Mark, Merged, Rebased, TakeOver, Taken, Trespass};
use domain::ids::{BranchName, CommitId, Digest, TaskId};
use domain::plugin::Check;

/// What a commit's files hold: a number for each file.
type Files = BTreeMap<u8, u64>;

struct Commit {
    parent: Option<CommitId>,
    files: Files,
}

/// A move of a branch, as the reflog has it.
struct Moved {
    branch: BranchName,
    from: CommitId,
    to: CommitId,
    mark: Option<Mark>,
}

/// What lies in a clone.
#[derive(Default)]
pub struct Work {
    /// What is checked out, with what was committed upon it.
    pub head: Option<CommitId>,
    /// Documents that lie there.
    pub documents: Vec<(String, Vec<u8>)>,
    /// What is not as it should be.
    pub trespasses: Vec<Trespass>,
}

/// A merge as the forge remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeRecord {
    /// Whose hand; none: a person's.
    pub mark: Option<Mark>,
    /// What landed.
    pub commit: CommitId,
}

/// The repository.
pub struct Repository {
    commits: BTreeMap<CommitId, Commit>,
    branches: BTreeMap<BranchName, CommitId>,
    reflog: Vec<Moved>,
    /// The clones.
    pub clones: BTreeMap<CloneKey, Work>,
    /// What moved the base.
    pub merges: Vec<MergeRecord>,
    /// The checks that were reported of each commit.
    pub checks: BTreeMap<CommitId, Vec<Check>>,
    /// Where code lands.
    pub base: BranchName,
    /// Do rebases conflict at all?
    pub conflicts: bool,
    /// Does a branch that moved merge only after a while?
    pub settles: bool,
    /// True time.
    pub now: u64,
    /// When each branch that moved can be merged.
    settled_at: BTreeMap<BranchName, u64>,
    changes: u64,
}

/// A branch that moved can be merged within this many milliseconds.
const SETTLING: u64 = 45_000;

fn told(commit: &CommitId) -> String {
    format!("commit {commit}")
}

impl Repository {
    /// A repository with one commit.
    pub fn new(base: BranchName) -> Self {
        let mut new = Self {
            commits: BTreeMap::new(),
            branches: BTreeMap::new(),
            reflog: Vec::new(),
            clones: BTreeMap::new(),
            merges: Vec::new(),
            checks: BTreeMap::new(),
            base: base.clone(),
            conflicts: true,
            settles: false,
            now: 0,
            settled_at: BTreeMap::new(),
            changes: 0,
        };
        let root = new.commit(None, Files::from([(0, 0)]));
        new.branches.insert(base, root);
        new
    }

    fn commit(&mut self, parent: Option<CommitId>, files: Files) -> CommitId {
        let text = format!("{parent:?} {files:?}");
        let id = CommitId::new(&Digest::of(text.as_bytes()).as_str()[..40]).expect("a hash is a commit's id");
        self.commits.insert(id.clone(), Commit { parent, files });
        id
    }

    /// A new commit upon another: one file changes.
    pub fn change(&mut self, parent: &CommitId, file: u8) -> CommitId {
        self.changes += 1;
        let mut files = self.commits[parent].files.clone();
        files.insert(file, self.changes);
        self.commit(Some(parent.clone()), files)
    }

    /// A check of a commit, the newest of its name.
    pub fn report(&mut self, commit: &CommitId, check: Check) {
        let checks = self.checks.entry(commit.clone()).or_default();
        checks.retain(|known| known.name != check.name);
        checks.push(check);
    }

    fn require(&self, commit: &CommitId) -> Result<&Commit, ForgeError> {
        self.commits.get(commit).ok_or_else(|| ForgeError::NotFound(told(commit)))
    }

    fn history(&self, from: &CommitId) -> Vec<CommitId> {
        let mut found = vec![from.clone()];
        while let Some(parent) = found.last().and_then(|last| self.commits.get(last)?.parent.clone()) {
            found.push(parent);
        }
        found
    }

    /// Where a branch stands.
    pub fn head(&self, branch: &BranchName) -> Option<CommitId> {
        self.branches.get(branch).cloned()
    }

    /// Where the base stands.
    pub fn base_head(&self) -> CommitId {
        self.branches[&self.base].clone()
    }

    /// Is the first in the second's history?
    pub fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, ForgeError> {
        self.require(ancestor)?;
        self.require(descendant)?;
        let mut at = Some(descendant);
        while let Some(commit) = at {
            if commit == ancestor {
                return Ok(true);
            }
            at = self.commits.get(commit).and_then(|commit| commit.parent.as_ref());
        }
        Ok(false)
    }

    /// The newest commit that both share.
    pub fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<Option<CommitId>, ForgeError> {
        self.require(one)?;
        let others = self.history(other);
        Ok(self.history(one).into_iter().find(|commit| others.contains(commit)))
    }

    /// Branches but the base.
    pub fn task_branches(&self) -> Vec<(BranchName, CommitId)> {
        let all = self.branches.iter().filter(|(branch, _)| **branch != self.base);
        all.map(|(branch, head)| (branch.clone(), head.clone())).collect()
    }

    fn advance(&mut self, branch: &BranchName, to: &CommitId, mark: Option<Mark>) {
        let from = self.branches.insert(branch.clone(), to.clone()).unwrap_or_else(|| to.clone());
        self.reflog.push(Moved { branch: branch.clone(), from, to: to.clone(), mark });
        self.settled_at.insert(branch.clone(), self.now + self.reflog.len() as u64 * 7_919 % SETTLING);
    }

    /// 405: the forge still looks whether the branch can be merged.
    fn is_settling(&self, branch: &BranchName) -> bool {
        self.settles && self.settled_at.get(branch).is_some_and(|at| self.now < *at)
    }

    /// See the port.
    pub fn moved_by(&self, mark: &Mark, branch: &BranchName, from: &CommitId) -> Option<CommitId> {
        self.moved_from(branch, from, |signed| signed.task == mark.task && signed.job == mark.job)
    }

    /// Where the moves that are signed so brought a branch.
    fn moved_from(&self, branch: &BranchName, from: &CommitId, ours: impl Fn(&Mark) -> bool) -> Option<CommitId> {
        let mut at = from;
        for moved in self.reflog.iter().filter(|moved| moved.branch == *branch && moved.from != moved.to) {
            if moved.mark.as_ref().is_some_and(&ours) && moved.from == *at {
                at = &moved.to;
            }
        }
        (at != from).then(|| at.clone())
    }

    /// Ok: where the branch stands, and whether this mark brought it there.
    fn standing(&self, mark: &Mark, branch: &BranchName, expected: &CommitId) -> Result<(CommitId, bool), ForgeError> {
        let found = self.head(branch);
        if found.as_ref() == Some(expected) {
            return Ok((expected.clone(), false));
        }
        let ours = self.moved_by(mark, branch, expected);
        if ours.is_some() && ours == found {
            return Ok((ours.unwrap_or_else(|| expected.clone()), true));
        }
        let expected = Some(ours.unwrap_or_else(|| expected.clone()));
        Err(ForgeError::Moved { branch: branch.clone(), expected, found })
    }

    /// See the port.
    pub fn cut(&mut self, mark: &Mark, branch: &BranchName, from: &CommitId) -> Result<CommitId, ForgeError> {
        self.require(from)?;
        match self.head(branch) {
            None => {
                self.advance(branch, from, Some(*mark));
                Ok(from.clone())
            }
            Some(found) if self.is_ancestor(&found, from)? => Ok(found),
            Some(_) => Err(ForgeError::Refused(format!("the branch `{branch}` holds work"))),
        }
    }

    /// A task's branch goes, unless another hand moved it: then its head is the answer.
    pub fn discard(
        &mut self,
        task: TaskId,
        branch: &BranchName,
        from: &CommitId,
    ) -> Result<Option<CommitId>, ForgeError> {
        let Some(found) = self.head(branch) else { return Ok(None) };
        if *branch == self.base {
            return Err(ForgeError::Refused("the base is never deleted".to_owned()));
        }
        let ours = self.moved_from(branch, from, |signed| signed.task == task);
        if found != *from && ours.as_ref() != Some(&found) {
            return Ok(Some(found));
        }
        self.forget(branch);
        Ok(None)
    }

    /// A branch goes, with its reflog.
    pub fn forget(&mut self, branch: &BranchName) {
        self.branches.remove(branch);
        self.reflog.retain(|moved| moved.branch != *branch);
    }

    /// A person pushes a new commit.
    pub fn push(&mut self, branch: &BranchName, file: u8) -> Option<CommitId> {
        let head = self.head(branch)?;
        let new = self.change(&head, file);
        self.advance(branch, &new, None);
        if *branch == self.base {
            self.merges.push(MergeRecord { mark: None, commit: new.clone() });
        }
        Some(new)
    }

    /// A person cuts a branch.
    pub fn cut_by_hand(&mut self, branch: &BranchName) {
        let base = self.base_head();
        self.advance(branch, &base, None);
    }

    /// A person merges a branch as it stands, where that is a fast-forward.
    pub fn merge_by_hand(&mut self, branch: &BranchName) -> Option<CommitId> {
        let head = self.head(branch)?;
        let base = self.base_head();
        if head == base || !self.is_ancestor(&base, &head).ok()? {
            return None;
        }
        let name = self.base.clone();
        self.advance(&name, &head, None);
        self.merges.push(MergeRecord { mark: None, commit: head.clone() });
        Some(head)
    }

    /// See the port.
    pub fn prepare_clone(&mut self, request: &CloneRequest) -> Result<(), ForgeError> {
        self.require(&request.head)?;
        let head = Some(request.head.clone());
        self.clones.insert(request.key, Work { head, ..Work::default() });
        Ok(())
    }

    /// Removes a task's clones.
    pub fn remove_clones(&mut self, task: TaskId) {
        self.clones.retain(|key, _| key.task != task);
    }

    /// See the port.
    pub fn take_over(&mut self, request: &TakeOver) -> Result<Taken, ForgeError> {
        let (head, is_written) = self.standing(&request.mark, &request.branch, &request.expected)?;
        let work = self.clones.get(&request.clone).ok_or_else(|| ForgeError::NotFound("clone".to_owned()))?;
        let trespasses = work.trespasses.clone();
        if is_written {
            return Ok(Taken { head, changed: Vec::new(), trespasses });
        }
        let offered = work.head.clone().unwrap_or_else(|| head.clone());
        if offered != head {
            self.advance(&request.branch, &offered, Some(request.mark));
        }
        Ok(Taken { head: offered, changed: Vec::new(), trespasses })
    }

    /// See the port.
    pub fn rebase(
        &mut self,
        mark: &Mark,
        branch: &BranchName,
        expected: &CommitId,
        onto: &CommitId,
    ) -> Result<Rebased, ForgeError> {
        self.require(onto)?;
        let (start, moved) = self.standing(mark, branch, expected)?;
        if self.is_ancestor(onto, &start)? {
            return Ok(Rebased { head: start, base: onto.clone(), moved });
        }
        // One pair in twelve conflicts, the same one each time: a new commit of the developer's is another pair.
        if Digest::of(format!("{start} {onto}").as_bytes()).as_str().starts_with(['0', '7']) && self.conflicts {
            return Err(ForgeError::Conflict { files: vec!["a-file".to_owned()] });
        }
        let fork = self.merge_base(&start, onto)?;
        let ours = self.history(&start).into_iter().take_while(|commit| Some(commit) != fork.as_ref());
        let mut head = onto.clone();
        for commit in ours.collect::<Vec<_>>().iter().rev() {
            head = self.pick(&head, commit);
        }
        self.advance(branch, &head, Some(*mark));
        Ok(Rebased { head, base: onto.clone(), moved: true })
    }

    /// One commit again, upon another.
    fn pick(&mut self, head: &CommitId, commit: &CommitId) -> CommitId {
        let mut files = self.commits[head].files.clone();
        let changed = &self.commits[commit];
        let before = changed.parent.as_ref().map(|parent| &self.commits[parent].files);
        let new =
            changed.files.iter().filter(|(file, value)| before.is_none_or(|before| before.get(file) != Some(value)));
        files.extend(new.map(|(file, value)| (*file, *value)));
        self.commit(Some(head.clone()), files)
    }

    /// See the port.
    pub fn merge(
        &mut self,
        mark: &Mark,
        branch: &BranchName,
        head: &CommitId,
        expected_base: &CommitId,
    ) -> Result<Merged, ForgeError> {
        let base = self.base_head();
        if self.is_ancestor(head, &base)? {
            return Ok(Merged { commit: head.clone(), base_head: base, already: true });
        }
        let found = self.head(branch);
        if found.as_ref() != Some(head) {
            return Err(ForgeError::Moved { branch: branch.clone(), expected: Some(head.clone()), found });
        }
        let name = self.base.clone();
        if base != *expected_base {
            return Err(ForgeError::Moved { branch: name, expected: Some(expected_base.clone()), found: Some(base) });
        }
        if !self.is_ancestor(&base, head)? {
            return Err(ForgeError::Refused(format!("{head} does not rest on {base}")));
        }
        if self.is_settling(branch) || self.is_settling(&name) {
            return Err(ForgeError::Later { why: "405 Please try again later".to_owned(), retry_after: None });
        }
        self.advance(&name, head, Some(*mark));
        self.merges.push(MergeRecord { mark: Some(*mark), commit: head.clone() });
        Ok(Merged { commit: head.clone(), base_head: head.clone(), already: false })
    }
}
