//! The port to processes: one run is one process tree under a shim, keyed by its job.

use std::collections::BTreeMap;
use std::path::PathBuf;

use domain::ids::RunId;
use domain::limits::{Limit, RunLimits};
use domain::network::Network;
use domain::time::{Milliseconds, Timestamp};

use crate::dialect::{HeldKey, Home, Told};
use crate::project::{AgentSpec, CommandSpec, UsageReader, Worker};

pub use domain::cost::Usage;

/// Bytes that a run may write to its log; above, it is ended and its log is cut. Logs of 200 MB are met in practice.
pub const LOG_BYTES: u64 = 256 << 20;

/// What shall be launched.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// The job's number: the key that refuses a second one.
    pub run: RunId,
    /// Program and arguments, filled in; no shell.
    pub argv: Vec<String>,
    /// The clone.
    pub workdir: PathBuf,
    /// The whole environment, beside `PATH`, `HOME` and the like.
    pub environment: BTreeMap<String, String>,
    /// Names that are taken over from the host's own environment.
    pub pass_environment: Vec<String>,
    /// A key that it uses and never sees.
    pub held_key: Option<HeldKey>,
    /// What the worker reads first; its path is put for `{brief}` and into `GATEWRIGHT_BRIEF`.
    pub brief: Option<String>,
    /// Paths that it may read beside the system.
    pub readable: Vec<PathBuf>,
    /// Paths that it may write beside the clone.
    pub writable: Vec<PathBuf>,
    /// What it may reach. Without a sandbox it reaches all.
    pub network: Network,
    /// From launch to TERM.
    pub budget: Milliseconds,
    /// From TERM to KILL.
    pub grace: Milliseconds,
    /// What its whole tree may take of the machine.
    pub limits: RunLimits,
    /// How it is confined.
    pub confinement: Confinement,
    /// Where it keeps its state, if it is one that does.
    pub home: Option<AgentHome>,
}

/// How a run is confined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confinement {
    /// In the sandbox, where there is one.
    #[default]
    Sandboxed,
    /// In the sandbox, or not at all, unless the operator himself turned it off: it obeys files of the repository.
    Demanded,
    /// An operator's hook that asked for the whole machine.
    Trusted,
}

impl Confinement {
    /// Of a command of the project's.
    pub const fn of_command(sandboxed: bool) -> Self {
        if sandboxed { Self::Sandboxed } else { Self::Trusted }
    }
}

/// The folder in which an agent keeps its state: one for each run, which no other run sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentHome {
    /// Whose.
    pub kind: Home,
    /// A conversation of an earlier run that is carried over, and nothing else of that run's.
    pub carried: Option<(RunId, String)>,
}

/// What a launch would execute: what of it matters before there is a clone to work in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Program {
    /// Program and arguments as the file has them, nothing filled in.
    pub argv: Vec<String>,
    /// Paths that it may read beside the system.
    pub readable: Vec<PathBuf>,
    /// Paths that it may write beside the clone.
    pub writable: Vec<PathBuf>,
    /// How it is confined.
    pub confinement: Confinement,
    /// A key that it uses and never sees.
    pub held_key: Option<HeldKey>,
}

impl Program {
    /// What a launch of this worker would execute.
    pub fn of_worker(worker: &Worker) -> Self {
        match worker {
            Worker::Agent(agent) => Self::of_agent(agent),
            Worker::Command(command) => Self::of_command(command),
        }
    }

    /// Likewise of an agent.
    pub fn of_agent(agent: &AgentSpec) -> Self {
        Self {
            argv: agent.argv.clone(),
            readable: agent.readable.clone(),
            writable: agent.writable.clone(),
            confinement: agent.dialect.confinement(),
            held_key: agent.dialect.held_key().cloned(),
        }
    }

    /// Likewise of a command.
    pub fn of_command(command: &CommandSpec) -> Self {
        Self {
            argv: command.argv.clone(),
            readable: command.readable.clone(),
            writable: command.writable.clone(),
            confinement: Confinement::of_command(command.sandboxed),
            held_key: None,
        }
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself.
    Exited(i32),
    /// By a signal that was not ours.
    Signaled(i32),
    /// Its time was up.
    TimedOut,
    /// We ended it.
    Cancelled,
    /// We ended it, for a budget was spent.
    OverBudget,
    /// Its log was full.
    LogFull,
    /// It took more of the machine than it may.
    OverLimit {
        /// Of what.
        limit: Limit,
        /// How much it may have: bytes, or a number.
        allowed: u64,
    },
    /// It never began.
    NotStarted(String),
}

/// The record that stands once the whole tree is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitRecord {
    /// How.
    pub ending: Ending,
    /// When it began.
    pub started_at: Timestamp,
    /// When the tree was empty.
    pub ended_at: Timestamp,
}

/// How a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// There is no folder: it was never asked for.
    Absent,
    /// The folder is there and nothing was ever started in it: it may be launched.
    Prepared,
    /// The shim lives.
    Live {
        /// The shim's.
        pid: u32,
    },
    /// It is over and the tree is empty.
    Ended(ExitRecord),
    /// The shim is gone and left no record: what it did is not known.
    Lost,
}

impl RunState {
    /// Something was started, or may have been.
    pub const fn has_begun(&self) -> bool {
        match self {
            Self::Absent | Self::Prepared => false,
            Self::Live { .. } | Self::Ended(_) | Self::Lost => true,
        }
    }
}

/// Why a launch failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// Something is not there without which it cannot begin: the program itself, its key, a path that it shall see, the sandbox.
    #[error("`{program}` cannot begin: {why}")]
    ProgramMissing {
        /// As the file names it.
        program: String,
        /// What is missing, as a sentence of its own.
        why: String,
    },
    /// The template is wrong.
    #[error("{0}")]
    Template(String),
    /// The machine is at fault.
    #[error("{0}")]
    Infra(String),
}

/// Processes.
pub trait Runs: Send + Sync {
    /// Is all there without which a launch could not begin? Looked up as the launch does it; nothing is made.
    fn ready(&self, program: &Program) -> Result<(), LaunchError>;
    /// The words that a launch executes, with all filled in that its template leaves open; of a template that is wrong, itself.
    fn command(&self, launch: &Launch) -> Vec<String> {
        launch.argv.clone()
    }
    /// How a run stands.
    fn inspect(&self, run: RunId) -> Result<RunState, LaunchError>;
    /// Launches it, or adopts the one that is there. The state afterwards.
    fn launch(&self, launch: &Launch) -> Result<RunState, LaunchError>;
    /// Asks for TERM, grace, KILL of the whole tree.
    fn cancel(&self, run: RunId) -> Result<(), LaunchError>;
    /// Lets a run live until then without a host. One that is over stays as it is.
    fn prolong(&self, run: RunId, until: Timestamp) -> Result<(), LaunchError>;
    /// Calls back once when the run's tree is gone.
    fn watch(&self, run: RunId);
    /// The end of its log.
    fn log_tail(&self, run: RunId, bytes: u64) -> Vec<u8>;
    /// As [`Self::cancel`]; the ending says that a budget was spent.
    fn end_over_budget(&self, run: RunId) -> Result<(), LaunchError>;
    /// What it said that it used, so far where it lives and its reader streams; all unknown where it said nothing or nonsense.
    fn usage(&self, run: RunId, reader: &UsageReader) -> Usage;
    /// What it said of its work, so far where it lives; nothing, where nobody understands it.
    fn told(&self, run: RunId, reader: &UsageReader) -> Told {
        Told { usage: self.usage(run, reader), ..Told::default() }
    }
    /// Is the record of this conversation among what an earlier run left?
    fn has_session(&self, _run: RunId, _home: Home, _session: &str) -> bool {
        false
    }
    /// Removes what a run that is over left of its state, all but the record of this conversation.
    /// Of a run that keeps none there is nothing to do.
    fn keep_session(&self, _run: RunId, _session: Option<(Home, &str)>) {}
    /// The last JSON object that it printed, as text.
    fn report(&self, run: RunId) -> Option<String>;
    /// Removes its folder.
    fn remove(&self, run: RunId);
}
