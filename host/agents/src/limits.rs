//! What a run may take of this machine: the operator's words with this machine's figures.

use std::path::PathBuf;
use std::time::Duration;

use domain::limits::{Limit, RunLimits};
use shim::protocol::{self, Limits};

/// One run never takes more than this part of the machine's memory, unless its operator says so.
const PART_OF_MEMORY: u64 = 2;
/// What is taken for the machine's memory where the kernel does not say.
const UNKNOWN_MEMORY: u64 = 4 << 30;

/// All memory of this machine in bytes.
fn machine_memory() -> u64 {
    let said = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kibibytes = |line: &str| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok();
    said.lines().find_map(kibibytes).map_or(UNKNOWN_MEMORY, |kibibytes| kibibytes * 1024)
}

/// The limits of a launch.
pub(crate) fn of(limits: RunLimits, lent: Vec<PathBuf>, first_walk: Duration) -> Limits {
    Limits {
        memory_bytes: limits.memory.unwrap_or_else(|| machine_memory() / PART_OF_MEMORY),
        processes: limits.processes,
        disk_bytes: limits.disk,
        open_files: limits.open_files,
        lent,
        first_walk_ms: u64::try_from(first_walk.as_millis()).unwrap_or(u64::MAX),
    }
}

/// How much each folder in memory holds at most. Half of the run's memory, so that whoever fills one hears that it is full before
/// the run is ended, and never more than its disk.
pub(crate) fn folder_in_memory(limits: &Limits) -> u64 {
    (limits.memory_bytes / 2).min(limits.disk_bytes)
}

/// The shim's word for a limit as the host's.
pub(crate) fn limit(limit: protocol::Limit) -> Limit {
    match limit {
        protocol::Limit::Memory => Limit::Memory,
        protocol::Limit::Processes => Limit::Processes,
        protocol::Limit::Disk => Limit::Disk,
        protocol::Limit::OpenFiles => Limit::OpenFiles,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_half_of_the_machine() {
        let limits = of(RunLimits::default(), Vec::new(), Duration::ZERO);
        assert_eq!(limits.memory_bytes, machine_memory() / 2);
        assert!(limits.memory_bytes > 64 << 20);
        assert!(folder_in_memory(&limits) <= limits.memory_bytes / 2);
        let said = RunLimits { memory: Some(5), ..RunLimits::default() };
        assert_eq!(of(said, Vec::new(), Duration::ZERO).memory_bytes, 5);
    }
}
