//! What `/proc` says about processes, and a handle on one that cannot mean another.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One process as `/proc/PID/stat` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// `R`, `S`, `Z`, …
    pub state: char,
    /// Its threads, itself among them.
    pub threads: u64,
    /// Its start in clock ticks since boot.
    pub start_time: u64,
}

/// The kernel's id of this boot.
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// One process, if it is there.
pub fn process(pid: u32) -> Option<Process> {
    parse(pid, &std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The name is bytes that the process chooses, brackets, line feeds and what is no UTF-8 among them, and none may hide it or those
/// below it: what counts stands behind the last bracket, and there the kernel writes nothing but digits, signs and a letter.
fn parse(pid: u32, stat: &[u8]) -> Option<Process> {
    let behind = stat.get(stat.iter().rposition(|byte| *byte == b')')? + 1..)?;
    let mut fields = std::str::from_utf8(behind).ok()?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let threads = fields.nth(15)?.parse().ok()?;
    let start_time = fields.nth(1)?.parse().ok()?;
    Some(Process { pid, parent, state, threads, start_time })
}

/// The numbers that there are at this moment. Whoever looks at each of them as he reads the list may never come to its end, for
/// new ones are added there.
fn numbers() -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        found.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(found)
}

/// All processes that can be seen.
pub fn all() -> io::Result<Vec<Process>> {
    Ok(numbers()?.into_iter().filter_map(process).collect())
}

/// Whether `root` has more descendants than `most`, threads counted, as soon as so many were seen. Who was born after his parent has
/// a higher number than it, until numbers begin anew: then some are not seen here, and [`descendants`] sees them.
pub fn are_more_than(root: u32, most: u64) -> io::Result<bool> {
    let mut below = BTreeSet::from([root]);
    let mut threads = 0;
    for process in numbers()?.into_iter().filter_map(process) {
        if below.contains(&process.parent) {
            below.insert(process.pid);
            threads += process.threads;
            if threads > most {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The children of `root`, their children, and so on, zombies too.
pub fn descendants(root: u32) -> io::Result<Vec<Process>> {
    let mut children: BTreeMap<u32, Vec<Process>> = BTreeMap::new();
    for process in all()? {
        children.entry(process.parent).or_default().push(process);
    }
    let mut seen = BTreeSet::from([root]);
    let mut open = vec![root];
    let mut found = Vec::new();
    while let Some(parent) = open.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            if seen.insert(child.pid) {
                open.push(child.pid);
                found.push(child);
            }
        }
    }
    Ok(found)
}

/// A handle on one process. It becomes readable when the process ends, and never means a later one of the same number.
#[derive(Debug)]
pub struct Handle {
    fd: OwnedFd,
}

impl Handle {
    /// Opens it; `None` where the process is gone or its number means another one now.
    pub fn open(pid: u32, start_time: u64) -> io::Result<Option<Self>> {
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        let fd = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The number was read before the handle was made: only now is it known whom it means.
        let same = process(pid).is_some_and(|process| process.start_time == start_time);
        Ok(same.then_some(Self { fd }))
    }

    /// Sends a signal; one that is gone already is no error.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.fd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_hides_a_process_or_shifts_its_fields() {
        let stat = [&b"7 ("[..], b"", b") S 3 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 9 0 4242 1 1\n"];
        for name in [&b"a) b) (c"[..], b") R 1 1", b"\xff", b"\xe2\x82) R 1 1", b"a\n7 (a) R 1", b"(", b")", b""] {
            let found = parse(7, &[stat[0], name, stat[2]].concat());
            let expected = Process { pid: 7, parent: 3, state: 'S', threads: 9, start_time: 4242 };
            assert_eq!(found, Some(expected), "{}", String::from_utf8_lossy(name));
        }
        for broken in [&b"garbage"[..], b"7 (x) S 3", b"7 (x) \xff 3", b""] {
            assert_eq!(parse(7, broken), None);
        }
    }

    #[test]
    fn a_handle_is_refused_for_another_start_time() {
        let me = process(std::process::id()).unwrap();
        assert!(Handle::open(me.pid, me.start_time).unwrap().is_some());
        assert!(Handle::open(me.pid, me.start_time + 1).unwrap().is_none());
        assert!(Handle::open(0, 0).unwrap().is_none());
    }

    #[test]
    fn a_child_is_among_the_descendants() {
        let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(descendants(std::process::id()).unwrap().iter().any(|process| process.pid == child.id()));
        assert!(are_more_than(std::process::id(), 0).unwrap());
        assert!(!are_more_than(std::process::id(), 1 << 20).unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
