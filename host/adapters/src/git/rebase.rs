//! Putting a branch upon another base, without a work tree.
//!
//! Each commit is replayed by a three-way merge of trees. Git 2.39's `merge-tree` takes its merge base from history only, so
//! history is made for it: to replay C with parent P upon H, a commit with H's tree and parent P is merged with C; their merge
//! base is P. These commits live in a quarantine and are never named by anything else.
//!
//! Where a single commit conflicts, the branch as a whole may not: a later commit of it may have taken the base's lines over.
//! Then it is merged, once, and so it is if it holds merges already.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use conductor::ports::forge::{ForgeError, Mark, Rebased};
use domain::ids::{BranchName, CommitId};
use kill_points::kill_point;

use super::EmbeddedForge;
use super::command::{Call, nul_separated, parse_id};
use super::folder::{self, infra};
use super::quarantine::{Quarantine, write_object};
use super::refs::{self, Standing};
use super::sight::{is_ancestor, lossy, require};

/// A branch of more commits than this is not rebased.
const COMMITS: usize = 1000;

/// A commit object: a message is not a file.
const COMMIT_BYTES: usize = 1 << 20;

/// All `.gitattributes` of a base together.
const ATTRIBUTES_BYTES: usize = 1 << 20;

/// See the port.
pub(super) fn rebase(
    forge: &EmbeddedForge,
    mark: &Mark,
    branch: &BranchName,
    expected: &CommitId,
    onto: &CommitId,
) -> Result<Rebased, ForgeError> {
    require(forge, onto)?;
    // A repeat goes on from what the first call made: the base may have moved in between.
    let (start, moved) = match refs::standing(forge, mark, branch, expected)? {
        Standing::Ready => (expected.clone(), false),
        Standing::Written(head) => (head, true),
    };
    if is_ancestor(forge, onto, &start)? {
        return Ok(Rebased { head: start, base: onto.clone(), moved });
    }
    let quarantine = Quarantine::new(forge)?;
    let replay = Replay { forge, mark, onto, attributes: attributes(forge, &quarantine, onto)?, quarantine };
    let head = replay.run(&start)?;
    if head != *onto
        && let Some(trespass) = replay.quarantine.import(forge, &head, None)?
    {
        return Err(ForgeError::Infra(format!("the rebased commits were not accepted: {}", trespass.note)));
    }
    kill_point!("before-branch-is-rebased");
    let head = refs::advance(forge, mark, branch, &start, &head, "rebase")?;
    kill_point!("after-branch-is-rebased");
    Ok(Rebased { head, base: onto.clone(), moved: true })
}

struct Replay<'a> {
    forge: &'a EmbeddedForge,
    mark: &'a Mark,
    onto: &'a CommitId,
    /// A folder that holds the base's `.gitattributes` files, and nothing else.
    attributes: PathBuf,
    quarantine: Quarantine,
}

impl Replay<'_> {
    fn call(&self) -> Call {
        self.quarantine.call(self.forge).long()
    }

    /// The branch's commits upon the base; of a branch with merges, one more merge.
    fn run(&self, branch: &CommitId) -> Result<CommitId, ForgeError> {
        let range = format!("{}...{branch}", self.onto);
        let merges =
            self.call().args(["rev-list", "--max-count=1", "--merges", branch.as_str(), &format!("^{}", self.onto)]);
        if !merges.text()?.is_empty() {
            return self.merge(branch);
        }
        // As `git rebase` does: oldest first, without those whose patch the base has already.
        let walk = ["rev-list", "--reverse", "--topo-order", "--right-only", "--cherry-pick", &range];
        let listed = self.call().args(walk).text()?;
        let commits: Vec<&str> = listed.lines().collect();
        if commits.len() > COMMITS {
            let told = format!("the branch has {} commits, more than {COMMITS}: squash it", commits.len());
            return Err(ForgeError::Refused(told));
        }
        match self.replay(&commits) {
            // What conflicts as a whole is what whoever mends it will meet.
            Err(ForgeError::Conflict { .. }) => self.merge(branch),
            other => other,
        }
    }

    fn replay(&self, commits: &[&str]) -> Result<CommitId, ForgeError> {
        let mut head = self.onto.clone();
        for commit in commits {
            head = self.pick(&head, &parse_id(commit.as_bytes())?)?;
        }
        Ok(head)
    }

    /// To replay a branch commit by commit would lose how its merges were resolved. One more merge rests on the base as well.
    fn merge(&self, branch: &CommitId) -> Result<CommitId, ForgeError> {
        let tree = self.merge_trees(self.onto, branch)?;
        write_object(self.call(), "commit", merge_commit(self.mark, &tree, branch, self.onto))
    }

    fn pick(&self, head: &CommitId, commit: &CommitId) -> Result<CommitId, ForgeError> {
        let original = self.call().args(["cat-file", "commit", commit.as_str()]).output_bytes(COMMIT_BYTES).bytes()?;
        let parent = self.resolve(&format!("{commit}^1"))?;
        let parent_tree = self.resolve(&format!("{parent}^{{tree}}"))?;
        let tree_of_head = self.resolve(&format!("{head}^{{tree}}"))?;
        let who = committer(self.mark);
        let stand_in = format!("tree {tree_of_head}\nparent {parent}\nauthor {who}\ncommitter {who}\n\nstand-in\n");
        let stand_in = write_object(self.call(), "commit", stand_in.into_bytes())?;
        let tree = self.merge_trees(&stand_in, commit)?;
        // It changes nothing any more; unless it never did, it goes.
        let was_empty = self.resolve(&format!("{commit}^{{tree}}"))? == parent_tree;
        if tree == tree_of_head.as_str() && !was_empty {
            return Ok(head.clone());
        }
        write_object(self.call(), "commit", replayed(&original, &tree, head, &who))
    }

    fn resolve(&self, name: &str) -> Result<CommitId, ForgeError> {
        self.call().args(["rev-parse", "--verify", "--end-of-options", name]).id()
    }

    /// The tree of both, or their conflicts.
    fn merge_trees(&self, ours: &CommitId, theirs: &CommitId) -> Result<String, ForgeError> {
        let merged = three_way(self.call(), &self.attributes, ours, theirs)?;
        if merged.is_clean {
            return Ok(merged.tree);
        }
        let mut files: Vec<String> = merged.conflicts.iter().map(|path| lossy(path)).collect();
        files.sort();
        Err(ForgeError::Conflict { files })
    }
}

/// What came of merging two commits.
pub(super) struct Merge {
    /// The tree of both. Where they conflict, it holds git's conflict markers.
    pub(super) tree: String,
    /// Nothing conflicts.
    pub(super) is_clean: bool,
    /// Paths that conflict; of some conflicts git names none.
    pub(super) conflicts: BTreeSet<Vec<u8>>,
}

/// Merges without a work tree. `attributes`: a folder with the only `.gitattributes` that have a say.
pub(super) fn three_way(
    call: Call,
    attributes: &Path,
    ours: &CommitId,
    theirs: &CommitId,
) -> Result<Merge, ForgeError> {
    // Git reads `.gitattributes` of a work tree, so the base's stand in one that holds nothing else.
    let answer = call
        .env("GIT_WORK_TREE", attributes)
        .at(attributes)
        .args(["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"])
        .args([ours.as_str(), theirs.as_str()])
        .answer()?;
    if answer.code > 1 || answer.code < 0 {
        return Err(answer.failure());
    }
    let mut parts = nul_separated(&answer.stdout);
    let tree = lossy(parts.next().unwrap_or_default());
    let conflicts: BTreeSet<Vec<u8>> = parts.map(<[u8]>::to_vec).collect();
    Ok(Merge { tree, is_clean: answer.code == 0, conflicts })
}

/// A commit that rests on the branch and on the base.
pub(super) fn merge_commit(mark: &Mark, tree: &str, branch: &CommitId, onto: &CommitId) -> Vec<u8> {
    let who = committer(mark);
    format!(
        "tree {tree}\nparent {branch}\nparent {onto}\nauthor {who}\ncommitter {who}\n\nMerge {onto} into the branch\n"
    )
    .into_bytes()
}

fn committer(mark: &Mark) -> String {
    format!("Gatewright <gatewright@localhost> {} +0000", mark.at.0 / 1000)
}

/// The commit with another tree, parent and committer. Author, encoding and message stay byte for byte; a signature would be
/// false now.
fn replayed(original: &[u8], tree: &str, parent: &CommitId, committer: &str) -> Vec<u8> {
    let end = original.windows(2).position(|pair| pair == b"\n\n").unwrap_or(original.len());
    let (header, message) = original.split_at(end);
    let kept = |word: &[u8]| {
        let line = header.split(|byte| *byte == b'\n').find(|line| line.starts_with(word));
        line.map(|line| [line, b"\n"].concat()).unwrap_or_default()
    };
    let mut commit = format!("tree {tree}\nparent {parent}\n").into_bytes();
    commit.extend(kept(b"author "));
    commit.extend_from_slice(format!("committer {committer}\n").as_bytes());
    commit.extend(kept(b"encoding "));
    commit.extend_from_slice(message.strip_prefix(b"\n").unwrap_or(b"\n"));
    commit
}

/// Writes the base's `.gitattributes` files into a folder of ours. They name drivers; ours has none but git's own, like `union`.
pub(super) fn attributes(forge: &EmbeddedForge, quarantine: &Quarantine, at: &CommitId) -> Result<PathBuf, ForgeError> {
    let failed = |error| infra("the cache cannot be written", error);
    let folder = quarantine.path("attributes");
    fs::create_dir(&folder).map_err(failed)?;
    let listed = forge.call().args(["ls-tree", "--full-tree", "-r", "-z", at.as_str()]).long().bytes()?;
    let mut room = ATTRIBUTES_BYTES;
    for line in nul_separated(&listed) {
        let Some(tab) = line.iter().position(|byte| *byte == b'\t') else { continue };
        let fields = lossy(&line[..tab]);
        let Some(path) = std::str::from_utf8(&line[tab + 1..]).ok() else { continue };
        // A tree can be written that holds `..`.
        let is_one = folder::parts(path).is_some_and(|parts| parts.last() == Some(&".gitattributes"));
        let Some(object) = fields.split(' ').nth(2).filter(|_| is_one && fields.starts_with("100")) else { continue };
        let call = forge.call().args(["cat-file", "blob", object]).output_bytes(room);
        let bytes = call.bytes()?;
        room -= bytes.len();
        let place = folder.join(path);
        fs::create_dir_all(place.parent().unwrap_or(&folder)).map_err(failed)?;
        fs::write(place, bytes).map_err(failed)?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replayed_commit_keeps_author_encoding_and_message() {
        let original = b"tree 1\nparent 2\nparent 3\nauthor J\xf6rg <j@x> 5 +0200\ncommitter X <x@x> 6 +0000\n\
            gpgsig -----BEGIN\n two\nencoding ISO-8859-1\n\nSubject\n\nauthor of nothing\n";
        let parent = CommitId::new("4".repeat(40)).unwrap();
        let expected = [
            format!("tree 9\nparent {parent}\n").as_bytes(),
            b"author J\xf6rg <j@x> 5 +0200\ncommitter C\nencoding ISO-8859-1\n\nSubject\n\nauthor of nothing\n",
        ]
        .concat();
        assert_eq!(replayed(original, "9", &parent, "C"), expected);
    }
}
