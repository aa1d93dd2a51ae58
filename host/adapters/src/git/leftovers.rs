//! What a run left uncommitted, and what it must not have changed: both become one commit of the host's, made in an index of the
//! host's. The clone's own index is never read.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use conductor::ports::forge::{ForgeError, TakeOver, Trespass, TrespassKind};
use domain::ids::CommitId;
use rustix::fs::{AtFlags, FileType, Mode};
use rustix::io::Errno;

use super::EmbeddedForge;
use super::command::{Call, nul_separated};
use super::folder::{self, infra};
use super::quarantine::{ALL_FILES_BYTES, FILE_BYTES, Quarantine};
use super::refs;
use super::scan::tell;
use super::sight::lossy;
use super::take::Found;

/// More files left uncommitted are no work but a build's output that `.gitignore` does not name.
const FILES: usize = 20_000;

/// The mode of another repository's commit in a tree.
const GITLINK: &str = "160000";

/// Commits upon `found.head` what was left, as far as it may be, and puts back what may not be changed. Answers the new head, or
/// `found.head` if there is nothing to do.
pub(super) fn settle(
    forge: &EmbeddedForge,
    quarantine: &Quarantine,
    root: &OwnedFd,
    tree: &Path,
    request: &TakeOver,
    found: &Found,
    trespasses: &mut Vec<Trespass>,
) -> Result<CommitId, ForgeError> {
    let settling = Settling { forge, quarantine, root, tree, request };
    let head = &found.head;
    let takes_leftovers = request.leftovers && found.is_checked_out;
    if !takes_leftovers && *head == request.expected {
        return Ok(head.clone());
    }
    settling.call().args(["read-tree", head.as_str()]).done()?;
    if takes_leftovers {
        settling.add_leftovers(trespasses)?;
    }
    if *head != request.expected {
        settling.put_back(found, trespasses)?;
    }
    let new_tree = settling.call().args(["write-tree"]).text()?;
    let old_tree = settling.call().args(["rev-parse", &format!("{head}^{{tree}}")]).text()?;
    if new_tree == old_tree {
        return Ok(head.clone());
    }
    let (role, date) = (request.role, refs::date(&request.mark));
    settling
        .call()
        .env("GIT_AUTHOR_NAME", role.as_str())
        .env("GIT_AUTHOR_EMAIL", format!("{role}@gatewright.localhost"))
        .env("GIT_AUTHOR_DATE", &date)
        .env("GIT_COMMITTER_DATE", &date)
        .args(["commit-tree", &new_tree, "-p", head.as_str(), "-F", "-"])
        .input(request.message.as_bytes())
        .id()
}

struct Settling<'a> {
    forge: &'a EmbeddedForge,
    quarantine: &'a Quarantine,
    root: &'a OwnedFd,
    tree: &'a Path,
    request: &'a TakeOver,
}

/// What shall be done with the paths that differ from the index.
#[derive(Default)]
struct Plan {
    add: BTreeSet<Vec<u8>>,
    remove: BTreeSet<Vec<u8>>,
    bytes: u64,
}

impl Plan {
    /// Adds a regular file, unless it is too much.
    fn take_file(&mut self, path: &[u8], at: &At<'_>, trespasses: &mut Vec<Trespass>) -> Result<(), ForgeError> {
        let bytes = u64::try_from(at.stat.st_size).unwrap_or(0);
        let shown = lossy(path);
        if bytes > FILE_BYTES {
            let note = format!("a file of {} MiB, {} are allowed; it was left out", bytes >> 20, FILE_BYTES >> 20);
            tell(trespasses, TrespassKind::TooLarge, &shown, &note);
            return Ok(());
        }
        if self.bytes.saturating_add(bytes) > ALL_FILES_BYTES {
            let note = format!(
                "all files left uncommitted are more than {} MiB; this one was left out",
                ALL_FILES_BYTES >> 20
            );
            tell(trespasses, TrespassKind::TooLarge, &shown, &note);
            return Ok(());
        }
        self.bytes += bytes;
        let mode = Mode::from_raw_mode(at.stat.st_mode);
        if !mode.contains(Mode::RUSR) {
            // Its own owner may not read it; it is a regular file, so nothing is followed.
            let readable = mode | Mode::RUSR;
            rustix::fs::chmodat(&at.folder, at.last, readable, AtFlags::empty())
                .map_err(|error| infra("a file cannot be made readable", error))?;
        }
        self.add.insert(path.to_vec());
        Ok(())
    }
}

/// Where a file lies: the folder was reached through folders only.
struct At<'a> {
    folder: OwnedFd,
    last: &'a OsStr,
    stat: rustix::fs::Stat,
}

impl Settling<'_> {
    fn call(&self) -> Call {
        self.quarantine.call(self.forge).env("GIT_INDEX_FILE", self.quarantine.path("index")).long()
    }

    /// A call that reads the clone's files: as the work tree of our repository, with our index.
    fn on_files(&self) -> Call {
        self.call().env("GIT_WORK_TREE", self.tree).at(self.tree)
    }

    fn add_leftovers(&self, trespasses: &mut Vec<Trespass>) -> Result<(), ForgeError> {
        let refreshed = self.on_files().args(["update-index", "-q", "--refresh"]).answer()?;
        if refreshed.code > 1 {
            return Err(refreshed.failure());
        }
        let mut plan = Plan::default();
        let differ = ["diff-files", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--ignore-submodules=all"];
        for path in nul_separated(&self.on_files().args(differ).bytes()?) {
            self.weigh(path, true, &mut plan, trespasses)?;
        }
        for path in nul_separated(&self.untracked()?) {
            self.weigh(path, false, &mut plan, trespasses)?;
        }
        if plan.add.len() + plan.remove.len() > FILES {
            let count = plan.add.len() + plan.remove.len();
            let note =
                format!("{count} files were left uncommitted, {FILES} are allowed: name build output in `.gitignore`");
            tell(trespasses, TrespassKind::TooLarge, "", &note);
            return Ok(());
        }
        self.on_files().args(["update-index", "-z", "--force-remove", "--stdin"]).input(joined(&plan.remove)).done()?;
        let add = ["update-index", "-z", "--add", "--replace", "--stdin"];
        let added = self.on_files().args(add).input(joined(&plan.add)).answer()?;
        if added.code != 0 {
            return Err(added.failure());
        }
        // It says so of names like `.GIT`, and goes on.
        if added.stderr.contains("Ignoring path") {
            for path in nul_separated(&self.untracked()?).filter(|path| plan.add.contains(*path)) {
                tell(trespasses, TrespassKind::BadName, &lossy(path), "git refuses this name");
            }
        }
        Ok(())
    }

    fn untracked(&self) -> Result<Vec<u8>, ForgeError> {
        self.on_files().args(["ls-files", "-z", "--others", "--exclude-standard"]).bytes()
    }

    /// Looks at one path: is it ours to take, and what lies there now?
    fn weigh(
        &self,
        path: &[u8],
        is_tracked: bool,
        plan: &mut Plan,
        trespasses: &mut Vec<Trespass>,
    ) -> Result<(), ForgeError> {
        if !self.request.paths.admit(path) {
            return Ok(());
        }
        let shown = lossy(path);
        // So git lists a repository within the repository.
        if path.ends_with(b"/") {
            tell(trespasses, TrespassKind::NestedRepository, &shown, "a repository within the repository was left out");
            return Ok(());
        }
        if std::str::from_utf8(path).is_err() {
            tell(trespasses, TrespassKind::BadName, &shown, "a name that is not UTF-8; the file was left out");
            return Ok(());
        }
        let (folders, last) = split(path);
        // Part by part: where a link stands on the way, what lies behind it is not at this path, nor perhaps in this clone.
        let found = folder::descend(self.root, &folders)
            .and_then(|folder| Ok((rustix::fs::statat(&folder, last, AtFlags::SYMLINK_NOFOLLOW)?, folder)));
        let (stat, folder) = match found {
            Ok(found) => found,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                plan.remove.insert(path.to_vec());
                return Ok(());
            }
            Err(Errno::NAMETOOLONG) => {
                tell(trespasses, TrespassKind::BadName, &shown, "a path that is too long; the file was left out");
                return Ok(());
            }
            Err(error) => return Err(infra("a work tree cannot be read", error)),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => plan.take_file(path, &At { folder, last, stat }, trespasses)?,
            FileType::Symlink => drop(plan.add.insert(path.to_vec())),
            // A folder where a file was: its files are listed for themselves, unless it is a repository.
            FileType::Directory if is_tracked => drop(plan.remove.insert(path.to_vec())),
            _ => {}
        }
        Ok(())
    }

    /// Paths that the run's own commits changed and must not have: as they were. Of what the run brought in from the base, a path
    /// that the branch never changed was as it is there.
    fn put_back(&self, found: &Found, trespasses: &mut Vec<Trespass>) -> Result<(), ForgeError> {
        let (head, expected) = (&found.head, &self.request.expected);
        let mut entries = Vec::new();
        match &found.base {
            None => self.compare(head, expected, |_| true, &mut entries, trespasses)?,
            Some(base) => {
                let own = self.changed_by_the_branch(base)?;
                self.compare(head, expected, |path| own.contains(path), &mut entries, trespasses)?;
                self.compare(head, base, |path| !own.contains(path), &mut entries, trespasses)?;
            }
        }
        if entries.is_empty() {
            return Ok(());
        }
        self.call().args(["update-index", "-z", "--index-info"]).input(entries).done()
    }

    /// What the branch, as it was at the launch, had changed since it left the base.
    fn changed_by_the_branch(&self, base: &CommitId) -> Result<BTreeSet<Vec<u8>>, ForgeError> {
        let expected = self.request.expected.as_str();
        let parting = self.call().args(["merge-base", expected, base.as_str()]).id()?;
        let differ = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff"];
        let told = self.call().args(differ).args([parting.as_str(), expected]).bytes()?;
        Ok(nul_separated(&told).map(<[u8]>::to_vec).collect())
    }

    /// Adds to `entries` how those paths were `before` that `head` must not have changed.
    fn compare(
        &self,
        head: &CommitId,
        before: &CommitId,
        counts: impl Fn(&[u8]) -> bool,
        entries: &mut Vec<u8>,
        trespasses: &mut Vec<Trespass>,
    ) -> Result<(), ForgeError> {
        let differ = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--no-ext-diff"];
        let told = self.call().args(differ).args([head.as_str(), before.as_str()]).bytes()?;
        let mut parts = told.split(|byte| *byte == 0);
        while let (Some(header), Some(path)) = (parts.next().filter(|part| part.starts_with(b":")), parts.next()) {
            // `:MODE-THERE MODE-BEFORE ID-THERE ID-BEFORE STATUS`; of what was not there before, mode and id are zeros, which
            // is how an index is told to drop it.
            if !counts(path) {
                continue;
            }
            let header = lossy(header);
            let fields: Vec<&str> = header.trim_start_matches(':').split(' ').collect();
            let [there, mode, _, id, _] = fields[..] else {
                return Err(ForgeError::Infra("git's list of changes is not of the form that is known".into()));
            };
            let (kind, note) = if std::str::from_utf8(path).is_err() {
                (TrespassKind::BadName, "a name that is not UTF-8; it was put back")
            } else if !self.request.paths.admit(path) {
                (TrespassKind::OutsideOwned, "a commit changed it, and it is not this role's; it was put back")
            } else if there == GITLINK && mode != GITLINK {
                (TrespassKind::NestedRepository, "a repository within the repository was committed; it was put back")
            } else {
                continue;
            };
            tell(trespasses, kind, &lossy(path), note);
            entries.extend_from_slice(format!("{mode} {id}\t").as_bytes());
            entries.extend_from_slice(path);
            entries.push(0);
        }
        Ok(())
    }
}

/// The folders on the way to a path, and its last part.
fn split(path: &[u8]) -> (Vec<&OsStr>, &OsStr) {
    let mut parts: Vec<&OsStr> = path.split(|byte| *byte == b'/').map(OsStr::from_bytes).collect();
    let last = parts.pop().unwrap_or_default();
    (parts, last)
}

fn joined(paths: &BTreeSet<Vec<u8>>) -> Vec<u8> {
    paths.iter().flat_map(|path| path.iter().copied().chain([0])).collect()
}
