//! What keeps a worker from beginning on this machine. The host asks before each claim, and `check` and `doctor` before there is
//! anything to claim: all three get their answer here, so that none of them says less than another.

use std::path::{Path, PathBuf};

use conductor::ports::runs::{LaunchError, Program};

use crate::config::LaunchSpec;
use crate::error::{LaunchError as Refused, SandboxError};
use crate::keys::{self, KeyError};
use crate::port::{HostEnvironment, refused};
use crate::preflight::ProgramProblem;
use crate::runner::Runner;

/// One thing without which a launch cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// There is no key.
    #[error(transparent)]
    Key(KeyError),
    /// The program is not there.
    #[error("{0}")]
    Program(ProgramProblem),
    /// The sandbox is not there, or cannot show what it shall.
    #[error(transparent)]
    Sandbox(SandboxError),
    /// It could not be found out, or the command is none.
    #[error(transparent)]
    Unknown(Refused),
}

impl Obstacle {
    fn of(error: Refused) -> Self {
        match error {
            Refused::Program { problem, .. } => Self::Program(problem),
            Refused::Sandbox(problem) => Self::Sandbox(problem),
            error => Self::Unknown(error),
        }
    }

    /// The path of a file that is at fault.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Sandbox(
                SandboxError::NeverShown { path, .. }
                | SandboxError::InsideWritable { path, .. }
                | SandboxError::Unusable { path, .. },
            ) => Some(path),
            _ => None,
        }
    }

    /// In the words of the conductor's port. No launch gets further until somebody has mended it, so nothing is to be spent on trying.
    pub(crate) fn told(self, argv: &[String]) -> LaunchError {
        let program = argv.first().cloned().unwrap_or_default();
        match self {
            Self::Key(error @ KeyError::Refused(_)) => LaunchError::Template(error.to_string()),
            Self::Unknown(error) => refused(error),
            missing => LaunchError::ProgramMissing { program, why: missing.to_string() },
        }
    }
}

/// All that keeps a launch of this from beginning, for a host of this environment; nothing: it could begin.
pub fn obstacles(runner: &Runner, environment: &HostEnvironment, program: &Program) -> Vec<Obstacle> {
    let held = program.held_key.as_ref();
    let key = held.and_then(|held| keys::keyed(held, environment).err());
    let spec = LaunchSpec {
        readable: [program.readable.clone(), whole_paths(&program.argv)].concat(),
        writable: program.writable.clone(),
        confinement: program.confinement,
        ..LaunchSpec::new(program.argv.clone(), runner.nowhere())
    };
    let others = runner.obstacles(&spec, held.is_some()).into_iter().map(Obstacle::of);
    key.map(Obstacle::Key).into_iter().chain(others).collect()
}

/// The program itself, where its whole path names it: a launch shows it.
fn whole_paths(argv: &[String]) -> Vec<PathBuf> {
    let program = argv.first().map(PathBuf::from).filter(|path| path.is_absolute() && path.is_file());
    program.into_iter().collect()
}
