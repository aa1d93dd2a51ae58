//! Files that were removed and closed, and that a process still sees in its memory: no folder has them, and no descriptor. Only the
//! list of what it has mapped says so. That list names device and number; how large the file is, the kernel says to root alone
//! (`map_files`). To others its length in memory is what is known, and that there may be more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;

use super::descriptors::{Removed, is_in_memory};
use super::mounts;
use crate::processes::Process;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mapped {
    /// Bytes of removed files on disks: those that are open and those that are mapped, each once.
    pub(super) bytes: u64,
    /// One of them may be larger than what of it is mapped.
    pub(super) may_be_more: bool,
}

/// Adds up what is `open` and what is mapped.
pub(super) fn with(open: &Removed, tree: &[Process]) -> Mapped {
    let disks = mounts::disks();
    let mut known = open.clone();
    let mut unknown: BTreeMap<Named, u64> = BTreeMap::new();
    for process in tree {
        // A process that ends meanwhile has none.
        let Ok(maps) = std::fs::File::open(format!("/proc/{}/maps", process.pid)) else { continue };
        let mut seen = BTreeSet::new();
        // A path is bytes.
        for line in BufReader::new(maps).split(b'\n').map_while(Result::ok) {
            let Some(mapping) = parse(&line).filter(|mapping| disks.contains(&mapping.file.device)) else { continue };
            // One that the kernel tells about needs no second question.
            if seen.contains(&mapping.file) {
                continue;
            }
            if let Some(found) = told(process.pid, &mapping) {
                seen.insert(mapping.file);
                // A name may end like that of a removed file.
                if found.nlink() == 0 && !is_in_memory(mapping.link(process.pid)) {
                    known.insert((found.dev(), found.ino()), found.blocks().saturating_mul(512));
                }
            } else {
                let most = unknown.entry(mapping.file).or_default();
                *most = (*most).max(mapping.bytes());
            }
        }
    }
    // A device has another number here than in a list on some file systems: the file's own must do.
    unknown.retain(|file, _| !known.keys().any(|(_, inode)| *inode == file.inode));
    let bytes = known.values().chain(unknown.values()).copied().fold(0, u64::saturating_add);
    Mapped { bytes, may_be_more: !unknown.is_empty() }
}

/// How a list of mappings calls a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    device: (u32, u32),
    inode: u64,
}

/// A part of a removed file.
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    from: u64,
    to: u64,
    file: Named,
}

impl Mapping {
    fn bytes(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    /// What leads to the file itself.
    fn link(&self, pid: u32) -> String {
        format!("/proc/{pid}/map_files/{:x}-{:x}", self.from, self.to)
    }
}

/// The file itself, where the kernel leads there: root everywhere, others where it is the program that runs.
fn told(pid: u32, mapping: &Mapping) -> Option<Metadata> {
    let itself = std::fs::metadata(mapping.link(pid));
    let program = || std::fs::metadata(format!("/proc/{pid}/exe")).ok().filter(|file| file.ino() == mapping.file.inode);
    itself.ok().or_else(program)
}

/// `7f00-7f10 rw-p 00000000 fe:00 1234  /clone/file (deleted)`: addresses, rights, place in the file, device, number, path.
fn parse(line: &[u8]) -> Option<Mapping> {
    let line = line.strip_suffix(b" (deleted)")?;
    let line = String::from_utf8_lossy(line);
    let mut fields = line.split_ascii_whitespace();
    let hexadecimal = |text: &str| u64::from_str_radix(text, 16).ok();
    let (from, to) = fields.next()?.split_once('-')?;
    let (major, minor) = fields.nth(2)?.split_once(':')?;
    let number = |text: &str| u32::from_str_radix(text, 16).ok();
    let file = Named { device: (number(major)?, number(minor)?), inode: fields.next()?.parse().ok()? };
    Some(Mapping { from: hexadecimal(from)?, to: hexadecimal(to)?, file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_removed_is_parsed() {
        let line = b"7f00-9f00 rw-s 00001000 fe:1a 1234                       /clone/a \xff b (deleted)";
        let mapping = parse(line).unwrap();
        assert_eq!(mapping.file, Named { device: (0xfe, 0x1a), inode: 1234 });
        assert_eq!((mapping.bytes(), mapping.link(7)), (0x2000, "/proc/7/map_files/7f00-9f00".to_owned()));
        assert_eq!(parse(b"7f00-9f00 rw-s 00001000 fe:1a 1234   /clone/a"), None);
        assert_eq!(parse(b"garbage (deleted)"), None);
    }
}
