//! What a tree keeps open: how many, and files that were removed, whose bytes no walk through a folder finds.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use rustix::fs::statfs;

use crate::processes::Process;

/// File systems whose files lie in memory: tmpfs (and what `memfd_create` makes), and that of large pages.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x9584_58f6];

/// Removed files: device and number of each, and its bytes.
pub(super) type Removed = BTreeMap<(u64, u64), u64>;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Open {
    /// Removed files on disks.
    pub(super) unlinked_on_disk: Removed,
    /// Bytes of removed files in memory, and of those that never had a name.
    pub(super) unlinked_in_memory: u64,
}

/// Looks through all descriptors; `None`: there are more than `most`.
pub(super) fn of(tree: &[Process], most: u64) -> Option<Open> {
    let mut seen = 0_u64;
    let (mut on_disk, mut in_memory) = (Removed::new(), Removed::new());
    for process in tree {
        // A process that ends meanwhile has none.
        let Ok(listed) = std::fs::read_dir(format!("/proc/{}/fd", process.pid)) else { continue };
        for entry in listed.flatten() {
            seen += 1;
            if seen > most {
                return None;
            }
            // Through the link, which leads to the file itself and not to a name of it.
            let path = entry.path();
            let Ok(found) = std::fs::metadata(&path) else { continue };
            let file = (found.dev(), found.ino());
            if found.is_file() && found.nlink() == 0 && !on_disk.contains_key(&file) && !in_memory.contains_key(&file) {
                let there = if is_in_memory(&path) { &mut in_memory } else { &mut on_disk };
                there.insert(file, found.blocks().saturating_mul(512));
            }
        }
    }
    Some(Open { unlinked_on_disk: on_disk, unlinked_in_memory: sum(&in_memory) })
}

/// What such files take together.
pub(super) fn sum(removed: &Removed) -> u64 {
    removed.values().copied().fold(0, u64::saturating_add)
}

/// Whether a file's bytes are memory.
pub(super) fn is_in_memory(path: impl rustix::path::Arg) -> bool {
    statfs(path).is_ok_and(|system| IN_MEMORY.contains(&system.f_type))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::processes::process;

    #[test]
    fn removed_files_are_found_where_they_lie() {
        let me = [process(std::process::id()).unwrap()];
        let Open { unlinked_on_disk: disk, unlinked_in_memory: memory } = of(&me, u64::MAX).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![1; 1 << 20]).unwrap();
        file.sync_all().unwrap();
        let nameless = rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        std::fs::File::from(nameless.try_clone().unwrap()).write_all(&vec![1; 2 << 20]).unwrap();
        let found = of(&me, u64::MAX).unwrap();
        let (disk, found_on_disk) = (sum(&disk), sum(&found.unlinked_on_disk));
        // Other tests of this process may hold such files too.
        assert!(found_on_disk + found.unlinked_in_memory >= disk + memory + (3 << 20), "{found:?}");
        assert!(found.unlinked_in_memory >= 2 << 20, "{found:?}");
        assert_eq!(of(&me, 2), None);
    }
}
