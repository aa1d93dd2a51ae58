//! A conflict that a run mended by editing files, without a merge of its own.
//!
//! The branch as it is after the run would conflict with the base for ever: git knows only that both sides changed the same
//! lines. The host knows more: the run was told of this very conflict, and it edited each file that conflicts. So the base's
//! commit is merged here, and where both sides changed the same lines the run's count. Whatever is not of this plain form is
//! left as it is: the next rebase conflicts again and says how to mend it.

use std::fs;

use conductor::ports::forge::{ForgeError, TakeOver};
use domain::ids::CommitId;

use super::EmbeddedForge;
use super::command::{Call, parse_id};
use super::folder::infra;
use super::quarantine::{Quarantine, write_object};
use super::rebase::{attributes, merge_commit, three_way};
use super::refs;

/// A file that both sides edited by hand.
const FILE_BYTES: usize = 4 << 20;

/// A conflict in more files than this is no edit by hand.
const FILES: usize = 200;

/// How git's markers begin a line.
const MARKERS: [&[u8]; 2] = [b"<<<<<<< ", b">>>>>>> "];

/// The merge of `head` and the base's commit that the run was told of; `head`: there is nothing to merge, or it was not mended.
pub(super) fn resolve(
    forge: &EmbeddedForge,
    quarantine: &Quarantine,
    request: &TakeOver,
    head: &CommitId,
) -> Result<CommitId, ForgeError> {
    let Some(onto) = request.conflict.as_ref().filter(|_| *head != request.expected) else { return Ok(head.clone()) };
    let Some(base) = refs::head(forge, &forge.base)? else { return Ok(head.clone()) };
    let resolving = Resolving { forge, quarantine, before: &request.expected, head, onto };
    // Only the base's own commits are merged here, and none that the run brought in by itself.
    if !resolving.is_below(onto, &base)? || resolving.is_below(onto, head)? {
        return Ok(head.clone());
    }
    match resolving.tree()? {
        None => Ok(head.clone()),
        Some(tree) => {
            let commit = merge_commit(&request.mark, &tree, head, onto);
            write_object(resolving.call(), "commit", commit)
        }
    }
}

struct Resolving<'a> {
    forge: &'a EmbeddedForge,
    quarantine: &'a Quarantine,
    /// The branch at the launch.
    before: &'a CommitId,
    head: &'a CommitId,
    onto: &'a CommitId,
}

/// A regular file in a tree.
#[derive(PartialEq, Eq)]
struct Entry {
    mode: String,
    blob: CommitId,
}

impl Resolving<'_> {
    fn call(&self) -> Call {
        self.quarantine.call(self.forge).env("GIT_INDEX_FILE", self.quarantine.path("resolved-index")).long()
    }

    fn is_below(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, ForgeError> {
        let answer =
            self.call().args(["merge-base", "--is-ancestor", ancestor.as_str(), descendant.as_str()]).answer()?;
        Ok(answer.code == 0)
    }

    /// The tree of the merge; none: a file that conflicts was not mended, or not in a way that is known here.
    fn tree(&self) -> Result<Option<String>, ForgeError> {
        let attributes = attributes(self.forge, self.quarantine, self.onto)?;
        let merged = three_way(self.call(), &attributes, self.head, self.onto)?;
        // Without a conflict the rebase itself brings them together.
        if merged.is_clean || merged.conflicts.is_empty() || merged.conflicts.len() > FILES {
            return Ok(None);
        }
        let bases = self.call().args(["merge-base", "--all", self.head.as_str(), self.onto.as_str()]).answer()?;
        let bases = String::from_utf8_lossy(&bases.stdout).into_owned();
        let [parting] = bases.lines().collect::<Vec<_>>()[..] else { return Ok(None) };
        let parting = parse_id(parting.as_bytes())?;
        let mut entries = Vec::new();
        for path in &merged.conflicts {
            let Some(Entry { mode, blob }) = self.file(path, &parting)? else { return Ok(None) };
            entries.extend_from_slice(format!("{mode} {blob}\t").as_bytes());
            entries.extend_from_slice(path);
            entries.push(0);
        }
        self.call().args(["read-tree", &merged.tree]).done()?;
        self.call().args(["update-index", "-z", "--index-info"]).input(entries).done()?;
        self.call().args(["write-tree"]).text().map(Some)
    }

    /// One file: what both sides changed apart from each other, and where they meet, the run's lines.
    fn file(&self, path: &[u8], parting: &CommitId) -> Result<Option<Entry>, ForgeError> {
        let (Some(parted), Some(before)) = (self.entry(parting, path)?, self.entry(self.before, path)?) else {
            return Ok(None);
        };
        let (Some(run), Some(base)) = (self.entry(self.head, path)?, self.entry(self.onto, path)?) else {
            return Ok(None);
        };
        if run.blob == before.blob || (run.mode != base.mode && base.mode != parted.mode) {
            return Ok(None);
        }
        let Some(text) = self.text(&run)? else { return Ok(None) };
        if text.split(|byte| *byte == b'\n').any(|line| MARKERS.iter().any(|marker| line.starts_with(marker))) {
            return Ok(None);
        }
        let (Some(parted), Some(base)) = (self.text(&parted)?, self.text(&base)?) else { return Ok(None) };
        let mut call = self.call().args(["merge-file", "-p", "-q", "--ours"]).output_bytes(3 * FILE_BYTES);
        for (name, bytes) in [("run", &text), ("parting", &parted), ("base", &base)] {
            let place = self.quarantine.path(name);
            fs::write(&place, bytes).map_err(|error| infra("the cache cannot be written", error))?;
            call = call.args([place.as_os_str()]);
        }
        let answer = call.answer()?;
        // Of files that are no text git says that it cannot.
        if answer.code != 0 {
            return Ok(None);
        }
        Ok(Some(Entry { mode: run.mode, blob: write_object(self.call(), "blob", answer.stdout)? }))
    }

    /// None: it is not there, or is no regular file.
    fn entry(&self, at: &CommitId, path: &[u8]) -> Result<Option<Entry>, ForgeError> {
        let Ok(path) = std::str::from_utf8(path) else { return Ok(None) };
        let told = self.call().args(["ls-tree", "-z", "--full-tree", at.as_str(), "--", path]).text()?;
        let Some((about, _)) = told.split_once('\t') else { return Ok(None) };
        let fields: Vec<&str> = about.split(' ').collect();
        let [mode, _, blob] = fields[..] else { return Ok(None) };
        if !mode.starts_with("100") {
            return Ok(None);
        }
        Ok(Some(Entry { mode: mode.to_owned(), blob: parse_id(blob.as_bytes())? }))
    }

    /// None: it is too large to have been edited by hand.
    fn text(&self, entry: &Entry) -> Result<Option<Vec<u8>>, ForgeError> {
        let bytes = self.call().args(["cat-file", "-s", entry.blob.as_str()]).text()?;
        if bytes.trim().parse::<usize>().ok().is_none_or(|bytes| bytes > FILE_BYTES) {
            return Ok(None);
        }
        self.call().args(["cat-file", "blob", entry.blob.as_str()]).output_bytes(FILE_BYTES).bytes().map(Some)
    }
}
