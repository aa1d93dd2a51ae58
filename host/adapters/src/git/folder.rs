//! Folders that may be hostile: opened part by part, through no symlink, and removed without recursion.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use conductor::ports::forge::ForgeError;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Read access to a folder, never through a symlink in its last part.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Read access to a file. A named pipe does not make it wait, a terminal does not become ours.
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// An error of the machine, with what was being done.
pub(super) fn infra(what: &str, error: impl Into<io::Error>) -> ForgeError {
    ForgeError::Infra(format!("{what}: {}", error.into()))
}

/// The parts of a path relative to a root; none: it is absolute, leaves the root, or is not in its plain form.
pub(super) fn parts(relative: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = relative.split('/').collect();
    let plain = |part: &&str| !part.is_empty() && *part != "." && *part != ".." && !part.contains('\0');
    parts.iter().all(plain).then_some(parts)
}

/// The same, with the error that the port names.
pub(super) fn checked_parts(relative: &str) -> Result<Vec<&str>, ForgeError> {
    parts(relative).ok_or_else(|| ForgeError::Invalid(format!("`{relative}` is not a plain path relative to the root")))
}

/// Opens a folder of the host's.
pub(super) fn open(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, path, FOLDER, Mode::empty())
}

/// Opens a folder in another one.
pub(super) fn open_in(folder: impl AsFd, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(folder, name, FOLDER, Mode::empty())
}

/// Opens a folder some levels down, through folders only.
pub(super) fn descend<P: rustix::path::Arg + Copy>(root: impl AsFd, parts: &[P]) -> Result<OwnedFd, Errno> {
    let mut folder = open_in(root, c".")?;
    for part in parts {
        folder = open_in(&folder, *part)?;
    }
    Ok(folder)
}

/// Of what type an entry is, itself, not what it points at. None: it is not there.
pub(super) fn type_of(folder: impl AsFd, name: impl rustix::path::Arg) -> Result<Option<FileType>, Errno> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a regular file. None: it is not there, or something else.
pub(super) fn open_file(folder: impl AsFd, name: impl rustix::path::Arg + Copy) -> Result<Option<File>, Errno> {
    // Asked before it is opened: opening a device may do something.
    if type_of(&folder, name)? != Some(FileType::RegularFile) {
        return Ok(None);
    }
    let file = rustix::fs::openat(&folder, name, FILE, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    Ok((FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then(|| file.into()))
}

/// A file's bytes. None: more than the limit.
pub(super) fn read_limited(file: File, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// What lies in a folder, with its type, unsorted. None: more than the limit.
pub(super) fn entries(folder: impl AsFd, limit: usize) -> Result<Option<Vec<(CString, FileType)>>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if found.len() == limit {
            return Ok(None);
        }
        let file_type = match entry.file_type() {
            // Some file systems do not say it in the listing.
            FileType::Unknown => match type_of(&folder, name)? {
                Some(file_type) => file_type,
                None => continue,
            },
            known => known,
        };
        found.push((name.to_owned(), file_type));
    }
    Ok(Some(found))
}

/// Opens a folder whose owner may have forbidden it to himself.
pub(super) fn open_stubborn(folder: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    match open_in(&folder, name) {
        Err(Errno::ACCESS) => {
            // It follows symlinks, so it is asked only of what was a folder just now; whoever could swap it is gone.
            if type_of(&folder, name)? == Some(FileType::Directory) {
                rustix::fs::chmodat(&folder, name, Mode::RWXU, AtFlags::empty())?;
            }
            open_in(&folder, name)
        }
        other => other,
    }
}

/// A folder that can be listed can still forbid to look at what it lists: its owner may do both from here on.
pub(super) fn make_passable(folder: impl AsFd) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(rustix::fs::fstat(&folder)?.st_mode);
    let wanted = mode | Mode::RUSR | Mode::XUSR;
    if mode == wanted { Ok(()) } else { rustix::fs::fchmod(folder, wanted) }
}

/// A folder of the host's into which things are moved to be removed: gone at once for everybody, deleted after, a crash between
/// does no harm. Folders within are moved up before they are emptied, so no depth is too deep.
pub(super) struct Trash {
    path: PathBuf,
    folder: OwnedFd,
}

impl Trash {
    /// Opens it; makes it if need be.
    pub(super) fn open(path: PathBuf) -> Result<Self, ForgeError> {
        std::fs::create_dir_all(&path).map_err(|error| infra("the trash cannot be made", error))?;
        let folder = open(&path).map_err(|error| infra("the trash cannot be opened", error))?;
        Ok(Self { path, folder })
    }

    /// Moves an entry of any type here. Not there: done.
    pub(super) fn discard(&self, folder: impl AsFd, name: impl rustix::path::Arg + Copy) -> Result<(), Errno> {
        loop {
            let fresh = fresh_name();
            match rustix::fs::renameat(&folder, name, &self.folder, &fresh) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                // A name that an earlier life left here.
                Err(Errno::EXIST | Errno::NOTEMPTY) => {}
                // To move a folder is to write its `..`: it must be ours to write.
                Err(Errno::ACCESS) if type_of(&folder, name)? == Some(FileType::Directory) => {
                    rustix::fs::chmodat(&folder, name, Mode::RWXU, AtFlags::empty())?;
                    return rustix::fs::renameat(&folder, name, &self.folder, fresh_name());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Deletes all that lies here.
    pub(super) fn empty(&self) -> Result<(), ForgeError> {
        self.try_empty().map_err(|error| infra(&format!("{} cannot be emptied", self.name()), error))
    }

    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn try_empty(&self) -> Result<(), Errno> {
        loop {
            let mut nothing = true;
            for entry in Dir::read_from(&self.folder)? {
                let entry = entry?;
                let name = entry.file_name();
                if name != c"." && name != c".." {
                    nothing = false;
                    self.delete(name)?;
                }
            }
            if nothing {
                return Ok(());
            }
        }
    }

    fn delete(&self, name: &CStr) -> Result<(), Errno> {
        if type_of(&self.folder, name)? != Some(FileType::Directory) {
            return gone(rustix::fs::unlinkat(&self.folder, name, AtFlags::empty()));
        }
        let folder = match open_stubborn(&self.folder, name) {
            // Another thread empties it, too.
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
        rustix::fs::fchmod(&folder, Mode::RWXU)?;
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let inner = entry.file_name();
            if inner == c"." || inner == c".." {
                continue;
            }
            match rustix::fs::unlinkat(&folder, inner, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR | Errno::PERM) => self.discard(&folder, inner)?,
                Err(error) => return Err(error),
            }
        }
        match rustix::fs::unlinkat(&self.folder, name, AtFlags::REMOVEDIR) {
            // Listing a folder while it shrinks may skip entries: the next round finds them.
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            other => gone(other),
        }
    }
}

fn gone(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

fn fresh_name() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_have_parts() {
        assert_eq!(parts("a/b"), Some(vec!["a", "b"]));
        for broken in ["", "/a", "a//b", "a/", "../a", "a/../b", "./a", "a\0b"] {
            assert_eq!(parts(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_folder_is_not_reached_through_a_symlink() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("real/inner")).unwrap();
        std::os::unix::fs::symlink("real", root.path().join("link")).unwrap();
        let folder = open(root.path()).unwrap();
        assert!(descend(&folder, &["real", "inner"]).is_ok());
        assert!(descend(&folder, &["link", "inner"]).is_err());
        assert!(open(&root.path().join("link")).is_err());
    }

    #[test]
    fn a_tree_deeper_than_any_path_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let mut folder = open(root.path()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&folder, "deep", Mode::RWXU).unwrap();
            folder = open_in(&folder, "deep").unwrap();
        }
        std::fs::write(root.path().join("deep/file"), "x").unwrap();
        let trash = Trash::open(root.path().join(".trash")).unwrap();
        trash.discard(open(root.path()).unwrap(), "deep").unwrap();
        trash.empty().unwrap();
        assert!(!root.path().join("deep").exists());
        assert_eq!(std::fs::read_dir(root.path().join(".trash")).unwrap().count(), 0);
    }

    #[test]
    fn what_a_symlink_points_at_survives_its_removal() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("kept")).unwrap();
        std::fs::write(root.path().join("kept/file"), "x").unwrap();
        std::os::unix::fs::symlink(root.path().join("kept"), root.path().join("link")).unwrap();
        let trash = Trash::open(root.path().join(".trash")).unwrap();
        trash.discard(open(root.path()).unwrap(), "link").unwrap();
        trash.empty().unwrap();
        assert!(root.path().join("kept/file").exists() && !root.path().join("link").exists());
    }
}
