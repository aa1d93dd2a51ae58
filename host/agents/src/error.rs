//! What can go wrong, so that a caller can branch on it.

use std::io;
use std::path::PathBuf;

use shim::protocol::ProtocolError;

use crate::preflight::ProgramProblem;

/// Why a run could not be asked about, ended or removed.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The file system said no.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// A file of the run folder is not what it should be.
    #[error("the run folder is damaged: {0}")]
    Damaged(#[from] ProtocolError),
    /// It must end first.
    #[error("run {job} still lives")]
    StillLive {
        /// Which.
        job: u64,
    },
    /// There is no such run.
    #[error("there is no run {job}")]
    Absent {
        /// Which.
        job: u64,
    },
    /// The shim lives but its process cannot be seen from here.
    #[error("the shim of run {job} lives in another process namespace; its end cannot be awaited from here")]
    Unwatchable {
        /// Which.
        job: u64,
    },
    /// Some processes of a lost run did not die.
    #[error("{left} processes of run {job} could not be ended")]
    OrphansRemain {
        /// Which.
        job: u64,
        /// How many.
        left: usize,
    },
}

/// Why nothing was launched. Where this comes back, the command never ran.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The program is not there, is none, or is not there inside the sandbox.
    #[error("`{command}` cannot be executed: {problem}")]
    Program {
        /// As the template names it.
        command: String,
        /// What is wrong with it.
        problem: ProgramProblem,
    },
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The sandbox cannot be had or may not show what was asked.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The shim said no before it started anything. The run may be launched again.
    #[error("the shim could not begin: {0}")]
    Shim(String),
    /// Somebody else is launching the same run and does not come to an end.
    #[error("run {job} is being launched by another process")]
    Busy {
        /// Which.
        job: u64,
    },
    /// The run folder could not be made, read or written.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// What a sandbox cannot do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// It is demanded and does not work.
    #[error("the bubblewrap sandbox does not work here: {reason}")]
    Unavailable {
        /// What the probe said.
        reason: String,
    },
    /// It does not work, and this agent obeys what lies in a repository.
    #[error(
        "it runs in the sandbox alone, and bubblewrap does not work here: {reason}. \
         mode = \"none\" under [sandbox] is your word that it may see all that you see"
    )]
    Demanded {
        /// What the probe said.
        reason: String,
    },
    /// Its key would be in its sight.
    #[error(
        "its key is kept from it (`api-key`), which only the sandbox can do, and there is none: \
         turn it on under [sandbox], or let the agent see the key: `pass-environment` in place of `api-key`"
    )]
    Keyless,
    /// A path that may never be shown, or that contains one.
    #[error("`{}` may not be shown to a run: it is, or contains, `{}`", path.display(), hidden.display())]
    NeverShown {
        /// What was asked for.
        path: PathBuf,
        /// What must stay hidden.
        hidden: PathBuf,
    },
    /// A path inside one that the run may write: the run could put a link in its place.
    #[error("`{}` lies inside `{}`, which the run may write", path.display(), writable.display())]
    InsideWritable {
        /// What was asked for.
        path: PathBuf,
        /// What surrounds it.
        writable: PathBuf,
    },
    /// A path that is not there.
    #[error("`{}` shall be shown to a run and cannot be: {reason}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
