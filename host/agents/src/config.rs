//! What a [`Runner`](crate::Runner) is made of, and what one launch says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use conductor::ports::runs::Confinement;
use conductor::ports::runs::LOG_BYTES;
use domain::limits::RunLimits;
use domain::network::Network;
use shim::protocol::Keyed;

/// Whether runs are confined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SandboxMode {
    /// bubblewrap where it works, nothing where not; the runner says which.
    #[default]
    Auto,
    /// bubblewrap, or nothing is launched.
    Bubblewrap,
    /// The operator chose none: an agent sees what the host's user sees.
    None,
}

/// What holds for all runs of a host.
#[derive(Clone, Debug)]
pub struct RunnerConfig {
    /// One folder per run stands here. Never shown to a run.
    pub runs_dir: PathBuf,
    /// One folder per run's brief stands here; a run sees its own.
    pub briefs_dir: PathBuf,
    /// One folder per run of an agent that keeps its state somewhere stands here; a run sees its own.
    pub homes_dir: PathBuf,
    /// The shim's program, as [`install_shim`](crate::install_shim) put it.
    pub shim_path: PathBuf,
    /// Whether runs are confined.
    pub sandbox: SandboxMode,
    /// Where `bwrap` stands; `None`: looked for on `path`.
    pub bwrap: Option<PathBuf>,
    /// Paths that no run is shown, wherever they lie: the state folder, the host's own configuration.
    pub hidden: Vec<PathBuf>,
    /// Paths that every run may read beside the system. `~/` is the home.
    pub readable: Vec<PathBuf>,
    /// Paths that every run may write beside its clone. `~/` is the home.
    pub writable: Vec<PathBuf>,
    /// Show, read-only, the folders on `path` that lie outside the system, and what their links point to.
    pub detect_toolchains: bool,
    /// The host's home. A run has an empty folder in its place.
    pub home: PathBuf,
    /// The host's `PATH`; a run gets what of it the sandbox shows.
    pub path: String,
    /// How long a run lives on without a host that prolongs its right.
    pub right: Duration,
    /// How long a launch waits at most until the folders are measured that it may write beside its clone.
    pub first_walk: Duration,
}

impl RunnerConfig {
    /// The usual: a sandbox where it works, toolchains found by `path`, a right of a day.
    pub fn new(
        runs_dir: impl Into<PathBuf>,
        briefs_dir: impl Into<PathBuf>,
        shim_path: impl Into<PathBuf>,
        home: impl Into<PathBuf>,
        path: impl Into<String>,
    ) -> Self {
        let briefs_dir: PathBuf = briefs_dir.into();
        Self {
            runs_dir: runs_dir.into(),
            homes_dir: briefs_dir.with_file_name("homes"),
            briefs_dir,
            shim_path: shim_path.into(),
            sandbox: SandboxMode::Auto,
            bwrap: None,
            hidden: Vec::new(),
            readable: Vec::new(),
            writable: Vec::new(),
            detect_toolchains: true,
            home: home.into(),
            path: path.into(),
            right: Duration::from_millis(conductor::RIGHT.0),
            first_walk: Duration::from_secs(2),
        }
    }
}

/// One launch.
#[derive(Clone, Debug)]
pub struct LaunchSpec {
    /// Program and arguments, templates already filled in; no shell.
    pub argv: Vec<String>,
    /// The clone: absolute, writable inside at the same path.
    pub cwd: PathBuf,
    /// Added to the cleared environment.
    pub env: BTreeMap<String, String>,
    /// More paths that it may read: the borrowed objects, for one.
    pub readable: Vec<PathBuf>,
    /// More paths that it may write.
    pub writable: Vec<PathBuf>,
    /// The brief's text. It stands in a folder of its own, and `GATEWRIGHT_BRIEF` names the file.
    pub brief: Option<String>,
    /// From the start to TERM.
    pub budget: Duration,
    /// From TERM to KILL.
    pub grace: Duration,
    /// A log that grows beyond this ends the run.
    pub log_limit_bytes: u64,
    /// What it may reach; outside the sandbox it reaches all.
    pub network: Network,
    /// The service whose key it never sees. Only the sandbox keeps it from that, so without one nothing is launched.
    pub keyed: Option<Keyed>,
    /// What its whole tree may take of the machine.
    pub limits: RunLimits,
    /// Inside the sandbox or not. `Trusted` is never an agent.
    pub confinement: Confinement,
}

impl LaunchSpec {
    /// A launch with half an hour, twenty seconds of grace, 64 MiB of log, no network, the usual limits.
    pub fn new(argv: Vec<String>, cwd: impl Into<PathBuf>) -> Self {
        Self {
            argv,
            cwd: cwd.into(),
            env: BTreeMap::new(),
            readable: Vec::new(),
            writable: Vec::new(),
            brief: None,
            budget: Duration::from_mins(30),
            grace: Duration::from_secs(20),
            log_limit_bytes: LOG_BYTES,
            network: Network::default(),
            keyed: None,
            limits: RunLimits::default(),
            confinement: Confinement::Sandboxed,
        }
    }
}
