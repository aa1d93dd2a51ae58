//! What one run may take of the machine.

use std::fmt;

/// Processes and threads, unless something else is said: twice what a wide build with many compilers has, and a small part of the
/// 32768 that many kernels allow altogether.
pub const PROCESSES: u64 = 2048;
/// Disk in bytes, unless something else is said: a large build with all that it leaves behind.
pub const DISK: u64 = 20 << 30;
/// Open files of one process, unless something else is said: eight times what programs begin with.
pub const OPEN_FILES: u64 = 8192;

/// What one run's whole tree may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// Bytes of memory; `None`: half of the machine's, so that one run never takes all of it.
    pub memory: Option<u64>,
    /// Processes and threads at one time.
    pub processes: u64,
    /// Bytes in its clone and in the folders that it may write.
    pub disk: u64,
    /// Open files of one process.
    pub open_files: u64,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self { memory: None, processes: PROCESSES, disk: DISK, open_files: OPEN_FILES }
    }
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// In bytes.
    Memory,
    /// Processes and threads.
    Processes,
    /// In bytes.
    Disk,
    /// Of all its processes together.
    OpenFiles,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Processes, Self::Disk, Self::OpenFiles];

    /// The key by which an operator sets it.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::Disk => "disk",
            Self::OpenFiles => "open-files",
        }
    }

    /// Why a run was ended that passed it; `allowed` is bytes or a number.
    pub fn passed(self, allowed: u64) -> String {
        let key = self.key();
        let what = match self {
            Self::Memory => format!("it took more than {} of memory", Bytes(allowed)),
            Self::Processes => format!("it had more than {allowed} processes and threads at one time"),
            Self::Disk => format!("it took more than {} of the disk", Bytes(allowed)),
            Self::OpenFiles => format!("its processes had more than {allowed} files open together"),
        };
        format!("{what} and was ended; if it needs more, set `{key}` in `limits` of the worker in the project's file")
    }
}

/// Bytes as files spell them, in the largest unit that leaves no rest, or in mebibytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

/// A number of units from here on is no easier to read than the next larger unit with its rest cut off.
const LONG: u64 = 8192;

/// The units, the largest first.
pub const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |(_, unit): &&(&str, u64)| (*unit..unit * LONG).contains(&self.0) && self.0.is_multiple_of(*unit);
        let whole = UNITS.iter().find(exact);
        match whole {
            Some((name, unit)) => write!(formatter, "{}{name}", self.0 / unit),
            // Half of a machine's memory is no round number.
            None if self.0 >= 1 << 20 => write!(formatter, "{}MiB", self.0 >> 20),
            None => write!(formatter, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_spelled_in_the_largest_whole_unit() {
        for (bytes, text) in [
            (512 << 20, "512MiB"),
            (20 << 30, "20GiB"),
            (1 << 40, "1TiB"),
            ((12 << 30) + 4096, "12288MiB"),
            (1536 << 10, "1536KiB"),
            (17, "17 bytes"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }

    #[test]
    fn whoever_passed_a_limit_reads_which_how_much_and_what_to_set() {
        for limit in Limit::ALL {
            let said = limit.passed(4 << 30);
            assert!(said.contains("4GiB") || said.contains("4294967296"), "{said}");
            assert!(said.contains(&format!("set `{}` in `limits`", limit.key())), "{said}");
        }
    }
}
