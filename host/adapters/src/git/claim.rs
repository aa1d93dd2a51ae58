//! What a clone says of itself: where its `HEAD` and its task's branch stand. Read here rather than by git, since git would read
//! the clone's configuration first. It is a claim: only the objects prove it.

use std::os::fd::{AsFd, OwnedFd};

use conductor::ports::forge::{ForgeError, Trespass, TrespassKind};
use domain::ids::{BranchName, CommitId};
use rustix::io::Errno;

use super::folder::{self, infra, open_file, read_limited};

/// A ref's file holds an id or another ref's name.
const REF_BYTES: u64 = 4 << 10;

/// Some hundred thousand refs.
const PACKED_REFS_BYTES: u64 = 16 << 20;

/// As git has it.
const SYMBOLIC_DEPTH: u32 = 5;

/// A clone's `.git`, opened as a folder.
pub(super) struct GitFolder(OwnedFd);

/// Where a clone says it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claim {
    /// What is checked out. None: `HEAD` is missing, broken, or names a branch without a commit.
    pub(super) head: Option<CommitId>,
    /// The task's branch, in the clone.
    pub(super) branch: Option<CommitId>,
}

impl GitFolder {
    /// Opens `.git` if it is a folder; else what it is, for people.
    pub(super) fn open(clone: impl AsFd) -> Result<Result<Self, Trespass>, ForgeError> {
        match folder::open_in(clone, ".git") {
            Ok(folder) => Ok(Ok(Self(folder))),
            Err(Errno::NOENT) => Ok(Err(broken("the clone's `.git` is gone"))),
            Err(Errno::LOOP | Errno::NOTDIR) => Ok(Err(broken("the clone's `.git` is no folder of its own any more"))),
            Err(Errno::ACCESS) => Ok(Err(broken("the clone's `.git` cannot be read"))),
            Err(error) => Err(infra("a clone cannot be read", error)),
        }
    }

    /// The objects' folder, under the same rule.
    pub(super) fn objects(&self) -> Result<OwnedFd, Trespass> {
        folder::open_in(&self.0, "objects").map_err(|_| broken("the clone's `.git/objects` is no folder of its own"))
    }

    /// Where it says it stands.
    pub(super) fn claim(&self, branch: &BranchName) -> Result<Claim, ForgeError> {
        let head = match self.read_ref(&[], "HEAD")? {
            Some(Named::Id(id)) => Some(id),
            Some(Named::Ref(name)) => self.resolve(name)?,
            None => None,
        };
        Ok(Claim { head, branch: self.resolve(format!("refs/heads/{branch}"))? })
    }

    fn resolve(&self, mut name: String) -> Result<Option<CommitId>, ForgeError> {
        for _ in 0..SYMBOLIC_DEPTH {
            let Some(parts) = ref_parts(&name) else { return Ok(None) };
            let Some((last, folders)) = parts.split_last() else { return Ok(None) };
            match self.read_ref(folders, last)? {
                Some(Named::Id(id)) => return Ok(Some(id)),
                Some(Named::Ref(next)) => name = next,
                None => return self.packed(&name),
            }
        }
        Ok(None)
    }

    fn read_ref(&self, folders: &[&str], name: &str) -> Result<Option<Named>, ForgeError> {
        let Ok(folder) = folder::descend(&self.0, folders) else { return Ok(None) };
        Ok(text(&folder, name, REF_BYTES)?.and_then(|text| parse_ref(&text)))
    }

    fn packed(&self, name: &str) -> Result<Option<CommitId>, ForgeError> {
        let Some(text) = text(&self.0, "packed-refs", PACKED_REFS_BYTES)? else { return Ok(None) };
        let line = text.lines().find_map(|line| line.split_once(' ').filter(|(_, ref_name)| *ref_name == name));
        Ok(line.and_then(|(id, _)| CommitId::new(id).ok()))
    }
}

/// A file's text. None: not there, no regular file, too long, not UTF-8, not readable.
fn text(folder: &OwnedFd, name: &str, limit: u64) -> Result<Option<String>, ForgeError> {
    let Ok(Some(file)) = open_file(folder, name) else { return Ok(None) };
    let bytes = read_limited(file, limit).map_err(|error| infra("a clone cannot be read", error))?;
    Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
}

enum Named {
    Id(CommitId),
    Ref(String),
}

fn parse_ref(text: &str) -> Option<Named> {
    match text.strip_prefix("ref:") {
        Some(name) => Some(Named::Ref(name.trim().to_owned())),
        None => CommitId::new(text.trim()).ok().map(Named::Id),
    }
}

/// The parts of a ref's name below `refs/`; no other file of `.git` is read as a ref.
fn ref_parts(name: &str) -> Option<Vec<&str>> {
    folder::parts(name).filter(|parts| parts.len() > 1 && parts.first() == Some(&"refs"))
}

fn broken(note: &str) -> Trespass {
    Trespass { kind: TrespassKind::GitFolderBroken, path: ".git".into(), note: note.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    fn claim(files: &[(&str, &str)], extra: impl FnOnce(&Path)) -> Claim {
        let clone = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = clone.path().join(".git").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        extra(clone.path());
        let git_folder = GitFolder::open(folder::open(clone.path()).unwrap()).unwrap().unwrap();
        git_folder.claim(&BranchName::new("feature/x").unwrap()).unwrap()
    }

    fn of(head: Option<&str>, branch: Option<&str>) -> Claim {
        let id = |text: &str| CommitId::new(text).unwrap();
        Claim { head: head.map(id), branch: branch.map(id) }
    }

    #[test]
    fn loose_packed_detached_and_unborn() {
        let on_branch = ("HEAD", "ref: refs/heads/feature/x\n");
        let packed = format!("# pack-refs with: peeled\n{TWO} refs/heads/feature/x\n^{ONE}\n");
        assert_eq!(claim(&[on_branch, ("refs/heads/feature/x", ONE)], |_| ()), of(Some(ONE), Some(ONE)));
        assert_eq!(claim(&[on_branch, ("packed-refs", &packed)], |_| ()), of(Some(TWO), Some(TWO)));
        let both = [on_branch, ("packed-refs", &packed), ("refs/heads/feature/x", ONE)];
        assert_eq!(claim(&both, |_| ()), of(Some(ONE), Some(ONE)));
        assert_eq!(claim(&[("HEAD", TWO), ("refs/heads/feature/x", ONE)], |_| ()), of(Some(TWO), Some(ONE)));
        assert_eq!(claim(&[on_branch], |_| ()), of(None, None));
    }

    #[test]
    fn loops_strange_names_and_links_lead_nowhere() {
        let around = [("HEAD", "ref: refs/heads/a"), ("refs/heads/a", "ref: refs/heads/a")];
        assert_eq!(claim(&around, |_| ()), of(None, None));
        for name in ["../../secret", "/etc/passwd", "config", "refs/../HEAD", "refs"] {
            assert_eq!(claim(&[("HEAD", &format!("ref: {name}"))], |_| ()), of(None, None), "{name}");
        }
        let secret = tempfile::NamedTempFile::new().unwrap();
        fs::write(secret.path(), ONE).unwrap();
        let linked = claim(&[("HEAD", "ref: refs/heads/a"), ("refs/heads/b", TWO)], |clone| {
            std::os::unix::fs::symlink(secret.path(), clone.join(".git/refs/heads/a")).unwrap();
        });
        assert_eq!(linked, of(None, None));
    }

    #[test]
    fn a_git_folder_that_is_a_link_or_a_file_is_not_opened() {
        let clone = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let open = || GitFolder::open(folder::open(clone.path()).unwrap()).unwrap();
        assert!(open().is_err_and(|trespass| trespass.note.contains("gone")));
        std::os::unix::fs::symlink(elsewhere.path(), clone.path().join(".git")).unwrap();
        assert!(open().is_err());
        fs::remove_file(clone.path().join(".git")).unwrap();
        fs::write(clone.path().join(".git"), "gitdir: /elsewhere").unwrap();
        assert!(open().is_err());
    }
}
