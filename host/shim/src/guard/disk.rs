//! What a folder takes of the disk. Whoever writes in it is hostile: links are not followed, other file systems not entered,
//! nothing is opened but folders, and the way down has an end.

use std::path::{Path, PathBuf};

use rustix::fs::{FileType, statvfs};

use super::folder::{Folder, Without};
use crate::clock::steady_ms;

/// Folders within folders. Each that is open takes a descriptor, and no honest tree is nearly so deep.
pub(super) const DEEPEST: usize = 256;
/// A file counts as this much at least: its own entry and its place in a table take room too, and there are only so many.
const LEAST: u64 = 4096;
/// After so many entries the time is looked at.
const STRIDE: u32 = 1024;

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All of it.
    Bytes(u64),
    /// So much, and then it was more than was asked for, or the time was over.
    AtLeast(u64),
    /// It goes down further than is looked.
    TooDeep,
    /// There is a folder that may hold anything and that cannot be looked into: this one, or one in it.
    Shut(PathBuf),
}

/// What is still free for whoever writes there.
pub(super) fn free(folder: &Path) -> Option<u64> {
    let room = statvfs(folder).ok()?;
    Some(room.f_bfree.saturating_mul(room.f_frsize))
}

/// The kernel's number of names has another width on each kind of machine.
fn whole(number: impl Into<u64>) -> u64 {
    number.into()
}

/// Adds up what a folder takes, until it is more than `most` or the time (`steady_ms`) is over. What goes away meanwhile takes
/// nothing.
pub(super) fn walk(folder: &Path, most: u64, until: u64) -> Found {
    let top = Folder::top(folder).and_then(|top| top.itself().map(|itself| (itself.st_dev, top)));
    let (device, top) = match top {
        Ok(opened) => opened,
        Err(Without::Anything) => return Found::Bytes(0),
        Err(Without::Sight) => return Found::Shut(folder.to_owned()),
    };
    let mut open_folders = vec![top];
    let (mut total, mut seen) = (0_u64, 0_u32);
    loop {
        let depth = open_folders.len();
        let Some(here) = open_folders.last_mut() else { return Found::Bytes(total) };
        // A folder that cannot be read on is left.
        let Some(Ok(entry)) = here.list().read() else {
            open_folders.pop();
            continue;
        };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let found = match here.entry(name) {
            Ok(found) => found,
            Err(Without::Anything) => continue,
            Err(Without::Sight) => return Found::Shut(here.path()),
        };
        if found.st_dev != device {
            continue;
        }
        let is_folder = FileType::from_raw_mode(found.st_mode).is_dir();
        let bytes = (found.st_blocks.cast_unsigned().saturating_mul(512)).max(LEAST);
        // A file with several names is added up in as many parts.
        let names = if is_folder { 1 } else { whole(found.st_nlink).max(1) };
        total = total.saturating_add(bytes / names);
        seen = seen.wrapping_add(1);
        if total > most || (seen.is_multiple_of(STRIDE) && steady_ms() > until) {
            return Found::AtLeast(total);
        }
        if !is_folder {
            continue;
        }
        match here.inner(name) {
            Ok(_) if depth >= DEEPEST => return Found::TooDeep,
            Ok(inner) => open_folders.push(inner),
            Err(Without::Anything) => {}
            Err(Without::Sight) => return Found::Shut(here.path().join(&*name.to_string_lossy())),
        }
    }
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
