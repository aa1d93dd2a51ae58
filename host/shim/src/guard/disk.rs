//! What a folder takes of the disk. Whoever writes in it is hostile: links are not followed, other file systems not entered,
//! nothing is opened but folders, and the way down has an end.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat, statvfs};

use crate::clock::steady_ms;

/// Folders within folders. Each that is open takes a descriptor, and no honest tree is nearly so deep.
pub(super) const DEEPEST: usize = 256;
/// A file counts as this much at least: its own entry and its place in a table take room too, and there are only so many.
const LEAST: u64 = 4096;
/// After so many entries the time is looked at.
const STRIDE: u32 = 1024;

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All of it.
    Bytes(u64),
    /// So much, and then it was more than was asked for, or the time was over.
    AtLeast(u64),
    /// It goes down further than is looked.
    TooDeep,
}

/// What is still free for whoever writes there.
pub(super) fn free(folder: &Path) -> Option<u64> {
    let room = statvfs(folder).ok()?;
    Some(room.f_bfree.saturating_mul(room.f_frsize))
}

fn open(at: impl AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&at, name, flags, Mode::empty())
}

/// The kernel's number of names has another width on each kind of machine.
fn whole(number: impl Into<u64>) -> u64 {
    number.into()
}

/// Adds up what a folder takes, until it is more than `most` or the time (`steady_ms`) is over. What goes away meanwhile, or
/// cannot be read, takes nothing.
pub(super) fn walk(folder: &Path, most: u64, until: u64) -> Found {
    let Ok(top) = open(rustix::fs::CWD, folder) else { return Found::Bytes(0) };
    let Ok(device) = rustix::fs::fstat(&top).map(|top| top.st_dev) else { return Found::Bytes(0) };
    let Ok(top) = Dir::new(top) else { return Found::Bytes(0) };
    let mut open_folders = vec![top];
    let (mut total, mut seen) = (0_u64, 0_u32);
    while let Some(here) = open_folders.last_mut() {
        let Some(entry) = here.read() else {
            open_folders.pop();
            continue;
        };
        // A folder that cannot be read on is left.
        let Ok(entry) = entry else {
            open_folders.pop();
            continue;
        };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let Ok(at) = here.fd() else { continue };
        let Ok(found) = statat(at, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT) else { continue };
        if found.st_dev != device {
            continue;
        }
        let bytes = (found.st_blocks.cast_unsigned().saturating_mul(512)).max(LEAST);
        // A file with several names is added up in as many parts.
        let names = if FileType::from_raw_mode(found.st_mode).is_dir() { 1 } else { whole(found.st_nlink).max(1) };
        total = total.saturating_add(bytes / names);
        seen = seen.wrapping_add(1);
        if total > most || (seen.is_multiple_of(STRIDE) && steady_ms() > until) {
            return Found::AtLeast(total);
        }
        if FileType::from_raw_mode(found.st_mode).is_dir()
            && let Ok(inner) = open(at, name)
            && let Ok(inner) = Dir::new(inner)
        {
            if open_folders.len() >= DEEPEST {
                return Found::TooDeep;
            }
            open_folders.push(inner);
        }
    }
    Found::Bytes(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(folder: &Path) -> Found {
        walk(folder, u64::MAX, u64::MAX)
    }

    #[test]
    fn blocks_count_and_links_lead_nowhere() {
        let elsewhere = tempfile::tempdir().unwrap();
        std::fs::write(elsewhere.path().join("large"), vec![1; 1 << 20]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::os::unix::fs::symlink(elsewhere.path(), path.join("link")).unwrap();
        let sparse = std::fs::File::create(path.join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        assert_eq!(all(path), Found::Bytes(2 * LEAST));
        std::fs::create_dir(path.join("below")).unwrap();
        std::fs::write(path.join("below/large"), vec![1; 1 << 20]).unwrap();
        let Found::Bytes(before) = all(path) else { panic!("it can be read") };
        assert!((1 << 20..(1 << 20) + 16 * LEAST).contains(&before), "{before}");
        // Under a second name it is the same file.
        std::fs::hard_link(path.join("below/large"), path.join("again")).unwrap();
        assert_eq!(all(path), Found::Bytes(before));
        assert!(matches!(walk(path, 1 << 19, u64::MAX), Found::AtLeast(bytes) if bytes > 1 << 19));
        assert_eq!(all(&path.join("missing")), Found::Bytes(0));
    }

    #[test]
    fn many_empty_files_take_room_and_a_deep_tree_has_an_end() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..100 {
            std::fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        assert_eq!(all(folder.path()), Found::Bytes(100 * LEAST));
        let deep = "d/".repeat(DEEPEST + 1);
        std::fs::create_dir_all(folder.path().join(deep)).unwrap();
        assert_eq!(all(folder.path()), Found::TooDeep);
    }
}
