//! One folder as a walk looks into it. Whoever writes there may take the bits away that let it be listed: what was written before
//! is there all the same, and more can be written by name. So a folder of our own that is shut is opened for as long as it is
//! looked at, through a descriptor of the folder itself: no link is followed, and no folder of another user is touched.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    Access, AtFlags, CWD, Dir, Mode, OFlags, Stat, accessat, chmod, fchmod, fstat, openat, readlinkat, statat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

/// Whoever shuts a folder as often as it is opened is given so many tries.
const TRIES: u32 = 16;
/// A folder as it is found, whatever its bits.
const FOUND: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// The same to be listed.
const LISTED: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Why nothing was found in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// It went away, is no folder, or is one that a run cannot write in either (a medium that is read only, too): nothing of the run's is there.
    Anything,
    /// It may hold something, and cannot be looked at.
    Sight,
}

impl From<Errno> for Without {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::STALE | Errno::ROFS => Self::Anything,
            _ => Self::Sight,
        }
    }
}

/// A folder that is open.
pub(super) struct Folder {
    dir: Dir,
    shut: Option<Shut>,
}

/// How a folder was shut before it was opened.
struct Shut {
    before: Mode,
    opened: Stat,
}

impl Folder {
    /// Where a walk begins.
    pub(super) fn top(path: &Path) -> Result<Self, Without> {
        match openat(CWD, path, LISTED, Mode::empty()) {
            Err(Errno::ACCESS) => Self::unlocked(&openat(CWD, path, FOUND, Mode::empty())?),
            opened => Self::of(opened?, None),
        }
    }

    /// A folder in this one.
    pub(super) fn inner(&mut self, name: &CStr) -> Result<Self, Without> {
        match openat(self.dir.fd()?, name, LISTED, Mode::empty()) {
            Err(Errno::ACCESS) => {}
            opened => return Self::of(opened?, None),
        }
        let found = self.reached(|at| openat(at, name, FOUND, Mode::empty()))?;
        Self::unlocked(&found)
    }

    /// What a name in this folder stands for.
    pub(super) fn entry(&mut self, name: &CStr) -> Result<Stat, Without> {
        self.reached(|at| statat(at, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT))
    }

    /// This folder itself.
    pub(super) fn itself(&self) -> Result<Stat, Without> {
        Ok(fstat(self.dir.fd()?)?)
    }

    pub(super) fn list(&mut self) -> &mut Dir {
        &mut self.dir
    }

    /// Where it lies, for people.
    pub(super) fn path(&self) -> PathBuf {
        let path = self.dir.fd().and_then(|fd| readlinkat(CWD, by_number(fd), Vec::new()));
        path.map(|path| PathBuf::from(path.to_string_lossy().into_owned())).unwrap_or_default()
    }

    fn of(fd: OwnedFd, shut: Option<Shut>) -> Result<Self, Without> {
        Ok(Self { dir: Dir::new(fd)?, shut })
    }

    /// Asks something that needs the right to pass through this folder, which it may lack.
    fn reached<T>(&mut self, ask: impl Fn(BorrowedFd<'_>) -> rustix::io::Result<T>) -> Result<T, Without> {
        for _ in 0..TRIES {
            match ask(self.dir.fd()?) {
                Err(Errno::ACCESS) => {
                    // The bits as they were at first are put back.
                    let shut = unlock(self.dir.fd()?)?;
                    self.shut = self.shut.take().or(shut);
                }
                answer => return Ok(answer?),
            }
        }
        Err(Without::Sight)
    }

    fn unlocked(found: &OwnedFd) -> Result<Self, Without> {
        for _ in 0..TRIES {
            let shut = unlock(found)?;
            match openat(found, c".", LISTED, Mode::empty()) {
                Err(Errno::ACCESS) => {}
                opened => return Self::of(opened?, shut),
            }
        }
        Err(Without::Sight)
    }
}

impl Drop for Folder {
    /// An honest run that shut its folder, to see what a program does then, finds it shut again. One that changed it meanwhile keeps
    /// its own word.
    fn drop(&mut self) {
        let (Some(Shut { before, opened }), Ok(fd)) = (&self.shut, self.dir.fd()) else { return };
        let version = |of: &Stat| (of.st_mode, of.st_ctime, of.st_ctime_nsec);
        if fstat(fd).is_ok_and(|now| version(&now) == version(opened)) {
            // Where it stays open nothing is lost.
            let _ = fchmod(fd, *before);
        }
    }
}

/// A descriptor by a name that leads to what it stands for, and to nothing else.
fn by_number(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// Lets its owner, who must be ourselves, do all in a folder. `None`: that was so already.
fn unlock(folder: impl AsFd) -> Result<Option<Shut>, Without> {
    let found = fstat(&folder)?;
    if found.st_uid != geteuid().as_raw() {
        // What the run's user, who is ours, cannot write in either holds nothing of the run's.
        let writes = accessat(CWD, by_number(&folder), Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
        return Err(if writes == Err(Errno::ACCESS) { Without::Anything } else { Without::Sight });
    }
    let before = Mode::from_raw_mode(found.st_mode);
    if before.contains(Mode::RWXU) {
        return Ok(None);
    }
    // A descriptor that only finds (`O_PATH`) cannot be given to `fchmod`.
    chmod(by_number(&folder), before | Mode::RWXU)?;
    Ok(Some(Shut { before, opened: fstat(&folder)? }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::super::disk::{Found, walk};
    use super::*;

    const NOBODY: u32 = 65534;

    /// Does it as a user whom bits hold back: root's thread becomes nobody, and no other thread does.
    fn unprivileged<T: Send>(does: impl FnOnce() -> T + Send) -> T {
        let drop_rights = || {
            if geteuid().is_root() {
                let nobody = rustix::thread::Uid::from_raw(NOBODY);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            }
        };
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                drop_rights();
                does()
            });
            thread.join().unwrap()
        })
    }

    /// A folder of whoever is held back.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        if geteuid().is_root() {
            chown(folder.path(), Some(NOBODY), None).unwrap();
        }
        folder
    }

    fn bits(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn is_large(found: &Found) -> bool {
        matches!(found, Found::Bytes(bytes) if (3 << 20..4 << 20).contains(bytes))
    }

    #[test]
    fn what_lies_in_a_folder_that_was_shut_counts_and_it_is_shut_again() {
        for mode in [0o300, 0o600, 0o200, 0o100, 0] {
            let top = folder();
            let path = top.path();
            unprivileged(|| {
                let shut = path.join("d/e");
                std::fs::create_dir_all(&shut).unwrap();
                std::fs::write(shut.join("large"), vec![1; 3 << 20]).unwrap();
                bits(&shut, mode);
                bits(&path.join("d"), mode);
                bits(path, mode);
                assert!(path.read_dir().is_err() || path.join("d").metadata().is_err(), "{mode:o}");
                let found = walk(path, u64::MAX, u64::MAX);
                assert!(is_large(&found), "{mode:o}: {found:?}");
                for open in [path, &path.join("d"), &shut] {
                    assert_eq!(open.metadata().unwrap().permissions().mode() & 0o777, mode);
                    bits(open, 0o700);
                }
            });
        }
    }

    #[test]
    fn what_its_owner_changes_meanwhile_stays_as_he_wants_it() {
        let top = folder();
        unprivileged(|| {
            bits(top.path(), 0);
            let looked_at = Folder::top(top.path()).unwrap_or_else(|without| panic!("{without:?}"));
            bits(top.path(), 0o750);
            drop(looked_at);
            assert_eq!(top.path().metadata().unwrap().permissions().mode() & 0o777, 0o750);
        });
    }

    #[test]
    fn no_link_is_followed_and_nobody_elses_folder_touched() {
        let elsewhere = folder();
        unprivileged(|| {
            std::fs::write(elsewhere.path().join("large"), vec![1; 3 << 20]).unwrap();
            bits(elsewhere.path(), 0o300);
        });
        let top = folder();
        symlink(elsewhere.path(), top.path().join("link")).unwrap();
        // Only root can make what is not its own.
        let others = geteuid().is_root();
        let (theirs, box_of_theirs) = (top.path().join("theirs"), top.path().join("box"));
        if others {
            std::fs::create_dir(&theirs).unwrap();
            std::fs::write(theirs.join("large"), vec![1; 3 << 20]).unwrap();
            bits(&theirs, 0o700);
        }
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let found = unprivileged(|| walk(top.path(), u64::MAX, u64::MAX));
        assert_eq!(found, Found::Bytes(if others { 2 * 4096 } else { 4096 }));
        assert_eq!(mode(elsewhere.path()), 0o300);
        if others {
            assert_eq!(mode(&theirs), 0o700);
            // One in which everybody may write, and nobody may look.
            std::fs::create_dir(&box_of_theirs).unwrap();
            bits(&box_of_theirs, 0o733);
            let found = unprivileged(|| walk(top.path(), u64::MAX, u64::MAX));
            assert_eq!(found, Found::Shut(box_of_theirs.canonicalize().unwrap()));
            assert_eq!(mode(&box_of_theirs), 0o733);
        }
        bits(elsewhere.path(), 0o700);
    }
}
