//! File systems in memory that a tree has for itself: those of its sandbox, and those that it mounts in namespaces of its own. What
//! lies in them is memory that no process shows.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, ResolveFlags, fstat, fstatvfs, major, minor, open, openat2};

use crate::processes::Process;
use crate::procfs::{halves, unescaped};

/// A tree that has mounted more than these is not looked at to the end.
const MOST: usize = 512;
/// What a file takes of the kernel's memory beside its content.
const INODE_BYTES: u64 = 1024;

/// What they hold together; `None`: there are too many.
pub(super) fn held(tree: &[Process]) -> Option<u64> {
    let own = std::fs::read_link("/proc/self/ns/mnt").ok();
    let mut namespaces: BTreeSet<_> = own.into_iter().collect();
    // What lies in memory for the whole machine is nobody's.
    let mut devices: BTreeSet<(u32, u32)> = listed("self").into_iter().map(|mount| mount.device).collect();
    let shared = devices.len();
    let mut total = 0_u64;
    for process in tree {
        let Ok(namespace) = std::fs::read_link(format!("/proc/{}/ns/mnt", process.pid)) else { continue };
        if !namespaces.insert(namespace) {
            continue;
        }
        for mount in listed(&process.pid.to_string()) {
            if devices.contains(&mount.device) {
                continue;
            }
            if let Some(bytes) = used(process.pid, &mount) {
                devices.insert(mount.device);
                total = total.saturating_add(bytes);
            }
            if devices.len() > shared + MOST {
                return None;
            }
        }
    }
    Some(total)
}

struct Mount {
    device: (u32, u32),
    /// Bytes: whoever mounts chooses the name.
    point: Vec<u8>,
    in_memory: bool,
}

/// The mounts in memory that a process sees.
fn listed(process: &str) -> Vec<Mount> {
    let mounts = std::fs::read(format!("/proc/{process}/mountinfo")).unwrap_or_default();
    mounts.split(|byte| *byte == b'\n').filter_map(parse).filter(|mount| mount.in_memory).collect()
}

/// The devices of all file systems that this process sees and whose files take no memory. A run's clone lies in one of them.
pub(super) fn disks() -> BTreeSet<(u32, u32)> {
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    mounts
        .split(|byte| *byte == b'\n')
        .filter_map(parse)
        .filter(|mount| !mount.in_memory)
        .map(|mount| mount.device)
        .collect()
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`: number, parent, device, root, mount point; behind the dash
/// the type.
fn parse(line: &[u8]) -> Option<Mount> {
    let (left, right) = halves(line)?;
    let in_memory = matches!(right.split(|byte| *byte == b' ').next()?, b"tmpfs" | b"ramfs");
    let mut fields = left.split(|byte| *byte == b' ').skip(2);
    let (major, minor) = std::str::from_utf8(fields.next()?).ok()?.split_once(':')?;
    let point = unescaped(fields.nth(1)?);
    Some(Mount { device: (major.parse().ok()?, minor.parse().ok()?), point, in_memory })
}

/// Looked at from outside, where its links mean what they mean inside. One that is covered by another is not found.
fn used(pid: u32, mount: &Mount) -> Option<u64> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root: OwnedFd = open(format!("/proc/{pid}/root"), flags | OFlags::DIRECTORY, Mode::empty()).ok()?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let there = openat2(&root, mount.point.as_slice(), flags, Mode::empty(), resolve).ok()?;
    let found = fstat(&there).ok()?.st_dev;
    if (major(found), minor(found)) != mount.device {
        return None;
    }
    let room = fstatvfs(&there).ok()?;
    let blocks = room.f_blocks.saturating_sub(room.f_bfree).saturating_mul(room.f_frsize);
    Some(blocks.saturating_add(room.f_files.saturating_sub(room.f_ffree).saturating_mul(INODE_BYTES)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_in_memory_is_known_by_its_type() {
        let line = b"78 64 0:44 / /tmp\\040x\xff rw,nosuid shared:3 - tmpfs tmpfs rw,size=2048k";
        let mount = parse(line).unwrap();
        assert_eq!((mount.device, mount.point.as_slice()), ((0, 44), &b"/tmp x\xff"[..]));
        assert!(mount.in_memory);
        assert!(!parse(b"65 64 254:0 /usr /usr ro - ext4 /dev/vda rw").unwrap().in_memory);
        assert!(parse(b"garbage").is_none());
    }

    #[test]
    fn what_the_machine_holds_in_memory_is_nobodys() {
        let me = [crate::processes::process(std::process::id()).unwrap()];
        assert_eq!(held(&me), Some(0));
    }
}
