//! The files of a run folder. Both sides read and write them only through these types; every file says its version.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::files;

mod keyed;

pub use keyed::{KeyHeader, Keyed, NoSecret, Place, Secret, Transport, Upstream};

/// The version of every file that a host reads, whichever shim wrote it.
pub const VERSION: u32 = 1;
/// The version of [`SPEC`], which only the shim reads that its writer starts: runs that live are not touched by a change.
pub const SPEC_VERSION: u32 = 5;

/// What is to be run. Written by the host, 0600; removed by the shim once it has read it, for it may hold secrets.
pub const SPEC: &str = "spec.json";
/// Held (`flock`) by whoever launches and then by the shim for its whole life.
pub const LOCK: &str = "lock";
/// Standard output and error of the command, written by the kernel.
pub const LOG: &str = "log";
/// Who the shim is. Durable before the command starts: without it nothing ever ran here.
pub const SHIM: &str = "shim.json";
/// Its appearance asks for TERM, grace, KILL; what stands in it says why.
pub const CANCEL: &str = "cancel";
/// In [`CANCEL`]: the host wants it. So does whatever else stands there.
pub const CANCELLED: &[u8] = b"";
/// In [`CANCEL`]: a budget was spent.
pub const OVER_BUDGET: &[u8] = b"over-budget\n";
/// Until when the host lets the run live; rewritten, as a new file, to prolong it. The shim counts from when it sees it what lies
/// between the time of its writing and the one that it names.
pub const RIGHT: &str = "right.json";
/// How it ended. Where it stands, the whole tree is gone.
pub const EXIT: &str = "exit.json";
/// Space for the exit record, reserved before the start.
pub const EXIT_RESERVED: &str = ".exit.json.reserved";
/// The bytes reserved for it.
pub const EXIT_BYTES: u64 = 4096;
/// An error in the exit record is cut to this many bytes, so that the record always fits.
pub const ERROR_BYTES: usize = 500;
/// Set in the command's environment: by it a tree is found again whose shim was killed.
pub const MARKER: &str = "GATEWRIGHT_RUN";
/// Where the proxy of a sandboxed run listens, on the loopback of the sandbox. No system takes this port by itself.
pub const PROXY_PORT: u16 = 17080;

/// The version that a file of the protocol has.
fn version_of(name: &str) -> u32 {
    if name == SPEC { SPEC_VERSION } else { VERSION }
}

/// What shall be run (`spec.json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// [`SPEC_VERSION`].
    pub version: u32,
    /// Program and arguments; no shell.
    pub argv: Vec<String>,
    /// Where it starts; absolute.
    pub cwd: PathBuf,
    /// The whole environment; nothing is inherited.
    pub env: BTreeMap<String, String>,
    /// Above this the run is ended and the log cut.
    pub log_limit_bytes: u64,
    /// From the start to TERM.
    pub budget_ms: u64,
    /// From TERM to KILL.
    pub grace_ms: u64,
    /// How long the run may live without `right.json`.
    pub right_ms: u64,
    /// What the whole tree may take of the machine.
    pub limits: Limits,
    /// The value of [`MARKER`]: no other run has it.
    pub marker: String,
    /// What surrounds the command.
    pub sandbox: Sandbox,
}

/// What a run's whole tree may take of the machine. Past one of these it gets KILL and [`Exit::OverLimit`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Of all processes together, and of the files that they keep in memory.
    pub memory_bytes: u64,
    /// Processes and threads at one time.
    pub processes: u64,
    /// What the working directory holds, what `lent` grew by, and files that were removed and are still open or mapped.
    pub disk_bytes: u64,
    /// Descriptors that one process may have open; the tree may have [`OPEN_FILES_OF_ALL`] times as many.
    pub open_files: u64,
    /// Folders beside the working directory that the run may write.
    pub lent: Vec<PathBuf>,
    /// How long the command waits until these are measured. One that takes longer is measured while it runs.
    pub first_walk_ms: u64,
}

/// How many times one process's open files all processes of a run may have open together: a build has many processes, each with
/// few files. It bounds what the kernel keeps for the run, and how long it takes to look at it.
pub const OPEN_FILES_OF_ALL: u64 = 16;

/// One of the [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// In bytes.
    Memory,
    /// Processes and threads.
    Processes,
    /// In bytes.
    Disk,
    /// Of all processes together.
    OpenFiles,
}

/// What surrounds the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Sandbox {
    /// Nothing.
    None,
    /// bubblewrap, with a pid namespace and `--die-with-parent` among the arguments.
    Bubblewrap {
        /// Absolute path of `bwrap`.
        program: PathBuf,
        /// All its options, without the final `--`.
        args: Vec<String>,
        /// Its network is one of its own, and this is the only way out of it. None: the network is the host's.
        proxy: Option<Proxy>,
        /// The kernel counts the processes of its user namespace by themselves, so it is told their limit too.
        counted_alone: bool,
    },
}

/// The way out of a sandbox that has a network of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// What may be reached.
    pub allowed: Vec<Allowed>,
    /// What is refused whatever `allowed` says: where the operator is listened to.
    pub never: Vec<SocketAddr>,
    /// The service whose key the run never sees.
    pub keyed: Option<Keyed>,
}

/// A destination that may be reached. Names are in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Allowed {
    /// Whatever is not this machine, on any port.
    Any,
    /// A name, as long as it leads to the public network.
    Name {
        /// Which.
        name: String,
        /// On these ports.
        ports: Vec<u16>,
    },
    /// All names below one, likewise.
    Below {
        /// Which.
        name: String,
        /// On these ports.
        ports: Vec<u16>,
    },
    /// An address, whatever network it belongs to.
    Address {
        /// Which.
        address: SocketAddr,
    },
}

/// Who the shim is (`shim.json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShimInfo {
    /// [`VERSION`].
    pub version: u32,
    /// The shim's pid.
    pub pid: u32,
    /// Its start in clock ticks since boot: a pid alone comes again.
    pub start_time: u64,
    /// The kernel's id of this boot.
    pub boot_id: String,
    /// Milliseconds since the epoch.
    pub started_at_ms: u64,
    /// The value of [`MARKER`] in the tree's environment.
    pub marker: String,
    /// The control group of the tree, where there is one.
    pub cgroup: Option<PathBuf>,
    /// What was run, for people.
    pub argv: Vec<String>,
}

/// Until when the run may live (`right.json`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Right {
    /// [`VERSION`].
    pub version: u32,
    /// Milliseconds since the epoch.
    pub until_ms: u64,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Exit {
    /// By itself. Inside bubblewrap a signal shows as 128 + its number.
    Exited {
        /// The command's code.
        code: i32,
    },
    /// By a signal that the shim did not send.
    Signaled {
        /// Its number.
        signal: i32,
    },
    /// Its time was up.
    TimedOut,
    /// The host asked for its end.
    Cancelled,
    /// The host asked for its end, for a budget was spent.
    OverBudget,
    /// It wrote more than its log may hold.
    LogLimit,
    /// It took more of the machine than it may.
    OverLimit {
        /// Of what.
        limit: Limit,
        /// How much it may have: bytes, or a number.
        allowed: u64,
    },
    /// No host prolonged its right.
    RightExpired,
    /// The shim got TERM, INT or HUP: the machine goes down.
    Interrupted,
    /// The command never ran.
    NotStarted {
        /// Why.
        error: String,
    },
}

/// The exit record (`exit.json`). It is written when the tree is empty, never before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// [`VERSION`].
    pub version: u32,
    /// How.
    pub exit: Exit,
    /// When the shim began, in milliseconds since the epoch.
    pub started_at_ms: u64,
    /// When the tree was empty.
    pub ended_at_ms: u64,
    /// True: something outlived the grace and got KILL.
    pub forced: bool,
    /// The largest single process of the tree.
    pub peak_rss_bytes: Option<u64>,
    /// The log's size now.
    pub log_bytes: u64,
    /// True: the log was cut to its limit.
    pub log_truncated: bool,
}

/// What can be wrong with a file of the protocol.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The file system said no.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The file is not what this version writes.
    #[error("{}: {detail}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Another version of gatewright wrote it.
    #[error("{}: its version is {found}; this program reads version {expected}", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// What it says.
        found: u64,
        /// What this program reads.
        expected: u32,
    },
}

/// Reads a file of a run folder; `None` where it does not stand.
pub fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Option<T>, ProtocolError> {
    let path = folder.join(name);
    let bytes = match files::read_small(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ProtocolError::Io { path, source }),
    };
    let malformed =
        |error: serde_json::Error| ProtocolError::Malformed { path: path.clone(), detail: error.to_string() };
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(malformed)?;
    let expected = version_of(name);
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(found) if found == u64::from(expected) => serde_json::from_value(value).map(Some).map_err(malformed),
        Some(found) => Err(ProtocolError::Version { path, found, expected }),
        None => Err(ProtocolError::Malformed { path, detail: "it names no version".to_owned() }),
    }
}

/// Writes a file of a run folder: whole or not at all, durable when this returns.
pub fn write<T: Serialize>(folder: &Path, name: &str, value: &T) -> Result<(), ProtocolError> {
    let path = folder.join(name);
    let bytes = serde_json::to_vec(value)
        .map_err(|error| ProtocolError::Malformed { path: path.clone(), detail: error.to_string() })?;
    files::write_atomic(folder, name, &bytes).map_err(|source| ProtocolError::Io { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(until_ms: u64) -> Right {
        Right { version: VERSION, until_ms }
    }

    #[test]
    fn a_file_comes_back_as_written_and_an_absent_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read::<Right>(folder.path(), RIGHT).unwrap().is_none());
        write(folder.path(), RIGHT, &right(5)).unwrap();
        write(folder.path(), RIGHT, &right(6)).unwrap();
        assert_eq!(read::<Right>(folder.path(), RIGHT).unwrap(), Some(right(6)));
    }

    #[test]
    fn another_version_and_garbage_are_errors_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(RIGHT), br#"{"version":2,"until_ms":1}"#).unwrap();
        assert!(matches!(read::<Right>(folder.path(), RIGHT), Err(ProtocolError::Version { found: 2, .. })));
        std::fs::write(folder.path().join(RIGHT), br#"{"until_ms":1}"#).unwrap();
        assert!(matches!(read::<Right>(folder.path(), RIGHT), Err(ProtocolError::Malformed { .. })));
        std::fs::write(folder.path().join(RIGHT), b"{").unwrap();
        assert!(matches!(read::<Right>(folder.path(), RIGHT), Err(ProtocolError::Malformed { .. })));
    }

    #[test]
    fn a_symlink_in_place_of_a_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::fs::write(&elsewhere, br#"{"version":1,"until_ms":1}"#).unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.path().join(RIGHT)).unwrap();
        assert!(matches!(read::<Right>(folder.path(), RIGHT), Err(ProtocolError::Io { .. })));
    }

    #[test]
    fn the_exit_record_fits_into_its_reserved_space_whatever_the_error_says() {
        let record = ExitRecord {
            version: VERSION,
            exit: Exit::NotStarted { error: "\u{1}".repeat(ERROR_BYTES) },
            started_at_ms: u64::MAX,
            ended_at_ms: u64::MAX,
            forced: true,
            peak_rss_bytes: Some(u64::MAX),
            log_bytes: u64::MAX,
            log_truncated: true,
        };
        assert!(serde_json::to_vec(&record).unwrap().len() as u64 <= EXIT_BYTES);
    }
}
