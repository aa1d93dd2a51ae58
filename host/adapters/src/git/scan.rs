//! A walk over a work tree before git reads it: what would make git wait, or walk for ever, is taken away.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use conductor::ports::forge::{ForgeError, Trespass, TrespassKind};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::folder::{self, Trash, infra};

/// Deeper folders are removed. Each level holds a file descriptor during the walk.
const DEPTH: usize = 100;

/// More entries than this, ignored ones included, and nothing is read.
pub(super) const ENTRIES: usize = 2_000_000;

/// Trespasses that are told.
pub(super) const TOLD: usize = 200;

/// A folder in the middle of its listing.
struct Level {
    folder: OwnedFd,
    /// Its path with a `/` at the end; of the root: empty.
    path: String,
    inner: Vec<CString>,
}

/// Walks over all but the root's `.git`, through no symlink. `Refused`: it holds more than `most` entries ([`ENTRIES`]).
pub(super) fn scan(root: impl AsFd, trash: &Trash, most: usize) -> Result<Vec<Trespass>, ForgeError> {
    let mut walk = Walk { trash, trespasses: Vec::new(), entries: 0, most };
    let folder = folder::open_in(root, c".").map_err(failed)?;
    let mut levels = vec![walk.enter(folder, String::new())?];
    loop {
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { break };
        let Some(name) = level.inner.pop() else {
            levels.pop();
            continue;
        };
        let path = format!("{}{}/", level.path, name.to_string_lossy());
        if depth == DEPTH {
            walk.tell(TrespassKind::TooDeep, &path, "folders lie too deep here; they were removed");
            walk.discard(&level.folder, &name)?;
            continue;
        }
        match folder::open_stubborn(&level.folder, &name) {
            Ok(folder) => levels.push(walk.enter(folder, path)?),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(walk.trespasses)
}

struct Walk<'a> {
    trash: &'a Trash,
    trespasses: Vec<Trespass>,
    entries: usize,
    most: usize,
}

impl Walk<'_> {
    /// Lists a folder and removes what is neither file, folder nor symlink.
    fn enter(&mut self, folder: OwnedFd, path: String) -> Result<Level, ForgeError> {
        // Nor would git see what lies in one that nobody may pass through, and all of a run's work would wait for it.
        folder::make_passable(&folder).map_err(failed)?;
        let listed = folder::entries(&folder, self.most - self.entries).map_err(failed)?;
        let Some(listed) = listed else {
            let most = self.most;
            return Err(ForgeError::Refused(format!(
                "the work tree holds more than {most} files and folders: none of them is read, and the next clone is made anew \
                 without what was not committed"
            )));
        };
        self.entries += listed.len();
        let mut inner = Vec::new();
        for (name, file_type) in listed {
            match file_type {
                FileType::Directory if path.is_empty() && name.as_c_str() == c".git" => {}
                FileType::Directory => inner.push(name),
                FileType::RegularFile | FileType::Symlink => {}
                _ => {
                    let note = "a named pipe, socket or device; it was removed";
                    self.tell(TrespassKind::SpecialFile, &format!("{path}{}", name.to_string_lossy()), note);
                    self.discard(&folder, &name)?;
                }
            }
        }
        Ok(Level { folder, path, inner })
    }

    fn discard(&self, folder: &OwnedFd, name: &CString) -> Result<(), ForgeError> {
        self.trash.discard(folder, name.as_c_str()).map_err(failed)
    }

    fn tell(&mut self, kind: TrespassKind, path: &str, note: &str) {
        tell(&mut self.trespasses, kind, path, note);
    }
}

/// Adds a trespass, unless enough were told.
pub(super) fn tell(trespasses: &mut Vec<Trespass>, kind: TrespassKind, path: &str, note: &str) {
    if trespasses.len() < TOLD {
        trespasses.push(Trespass { kind, path: path.to_owned(), note: note.to_owned() });
    }
}

fn failed(error: Errno) -> ForgeError {
    infra("a work tree cannot be read", error)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use rustix::fs::{CWD, Mode};

    #[test]
    fn pipes_sockets_and_endless_folders_go_and_the_rest_stays() {
        let state = tempfile::tempdir().unwrap();
        let clone = state.path().join("clone");
        std::fs::create_dir_all(clone.join("a/b")).unwrap();
        std::fs::create_dir(clone.join(".git")).unwrap();
        std::fs::write(clone.join("a/file"), "x").unwrap();
        for pipe in [".gitignore", "a/b/pipe", ".git/left"] {
            rustix::fs::mknodat(CWD, clone.join(pipe), FileType::Fifo, Mode::RWXU, 0).unwrap();
        }
        let _socket = std::os::unix::net::UnixListener::bind(clone.join("a/socket")).unwrap();
        std::fs::create_dir_all(clone.join("d/".repeat(150))).unwrap();
        let mode = |name: &str| std::fs::metadata(clone.join(name)).unwrap().permissions().mode() & 0o777;
        for name in ["a/b", "."] {
            std::fs::set_permissions(clone.join(name), Permissions::from_mode(0o600)).unwrap();
        }
        let trash = Trash::open(state.path().join(".trash")).unwrap();

        let mut trespasses = scan(folder::open(&clone).unwrap(), &trash, ENTRIES).unwrap();
        trespasses.sort();
        let told: Vec<(TrespassKind, &str)> =
            trespasses.iter().map(|trespass| (trespass.kind, trespass.path.as_str())).collect();
        assert_eq!((mode("a/b"), mode(".")), (0o700, 0o700), "nobody but root could look at what lies there");
        let deep = "d/".repeat(DEPTH);
        let special = TrespassKind::SpecialFile;
        let expected =
            [(special, ".gitignore"), (special, "a/b/pipe"), (special, "a/socket"), (TrespassKind::TooDeep, &deep)];
        assert_eq!(told, expected);
        assert!(clone.join("a/file").exists() && clone.join(".git/left").exists());
        assert!(
            scan(folder::open(&clone).unwrap(), &trash, ENTRIES).unwrap().is_empty(),
            "a second walk finds nothing"
        );
        // `a`, `a/b`, `a/file`, `.git`, and the `d`s that were left.
        let all = 4 + DEPTH - 1;
        assert!(scan(folder::open(&clone).unwrap(), &trash, all).is_ok());
        assert!(matches!(scan(folder::open(&clone).unwrap(), &trash, all - 1), Err(ForgeError::Refused(_))));
    }
}
