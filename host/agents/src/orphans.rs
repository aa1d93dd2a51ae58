//! What a killed shim left behind. Its command died with it; what that command had let go lives on where there was
//! neither a pid namespace nor a control group, and is found again by the mark in its environment.

use std::collections::BTreeMap;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use shim::cgroup::Cgroup;
use shim::processes::{self, Handle, Process};
use shim::protocol::{MARKER, ShimInfo};

/// Rounds of search and kill before we give up.
const ROUNDS: usize = 50;
/// How long one round waits for one process to be gone.
const ROUND: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Kills all of a lost tree. The number of processes that were killed, or of those that would not die.
pub(crate) fn reap(info: &ShimInfo) -> Result<usize, usize> {
    if processes::boot_id().is_ok_and(|boot| boot != info.boot_id) {
        return Ok(0);
    }
    let group = info.cgroup.as_deref().map(Cgroup::at);
    let mut killed = BTreeMap::new();
    for _ in 0..ROUNDS {
        let found = members(info, group.as_ref());
        if found.is_empty() {
            group.iter().for_each(Cgroup::remove);
            return Ok(killed.len());
        }
        let handles: Vec<Handle> =
            found.iter().filter_map(|process| Handle::open(process.pid, process.start_time).ok().flatten()).collect();
        if let Some(group) = &group {
            // Each member is killed by its number below too.
            let _ = group.kill();
        }
        for handle in &handles {
            let _ = handle.signal(Signal::KILL);
        }
        for handle in &handles {
            let _ = poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&ROUND));
        }
        killed.extend(found.iter().map(|process| (process.pid, process.start_time)));
    }
    Err(members(info, group.as_ref()).len())
}

/// Those that carry the mark or stand in the group, with all below them. A zombie harms nobody.
fn members(info: &ShimInfo, group: Option<&Cgroup>) -> Vec<Process> {
    let mark = format!("{MARKER}={}", info.marker);
    let in_group = group.map(Cgroup::members).unwrap_or_default();
    let me = std::process::id();
    let mut found = BTreeMap::new();
    for process in processes::all().unwrap_or_default() {
        if process.pid != me && (in_group.contains(&process.pid) || carries(process.pid, mark.as_bytes())) {
            found.insert(process.pid, process);
            found.extend(
                processes::descendants(process.pid).unwrap_or_default().into_iter().map(|below| (below.pid, below)),
            );
        }
    }
    found.remove(&me);
    found.into_values().filter(|process| process.state != 'Z').collect()
}

fn carries(pid: u32, mark: &[u8]) -> bool {
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|variable| variable == mark))
}
