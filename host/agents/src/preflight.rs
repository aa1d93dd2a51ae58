//! Is the command there at all? Asked of the `PATH` that the run will have, before anything is made: so a missing program
//! is a sentence with its name, costs no attempt, and leaves nothing behind.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use crate::error::LaunchError;
use crate::sandbox::View;

/// What is wrong with a program, as far as a look at the machine tells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramProblem {
    /// No folder of the `PATH` has it.
    #[error("it is not found on the PATH {searched}")]
    NotOnPath {
        /// The `PATH` that a run has.
        searched: String,
    },
    /// There is nothing under the path that names it.
    #[error("there is no file {}", path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A folder, a socket.
    #[error("{} is no file", path.display())]
    NoFile {
        /// Where it was found.
        path: PathBuf,
    },
    /// The x bit is missing, or is another user's.
    #[error("{} may not be executed: `chmod +x` is missing", path.display())]
    NotExecutable {
        /// Where it was found.
        path: PathBuf,
    },
    /// It is there, but not inside.
    #[error("it is {}, which the sandbox does not show; add its folder to `readable`", path.display())]
    Hidden {
        /// Where it stands outside.
        path: PathBuf,
    },
}

/// As `execve` would take it.
fn program_at(path: &Path) -> Result<PathBuf, ProgramProblem> {
    let found = path.metadata().map_err(|_| ProgramProblem::Absent { path: path.to_owned() })?;
    if !found.is_file() {
        return Err(ProgramProblem::NoFile { path: path.to_owned() });
    }
    // The kernel's own answer for this user: a bit of another's is none.
    access(path, Access::EXEC_OK).map_err(|_| ProgramProblem::NotExecutable { path: path.to_owned() })?;
    Ok(path.to_owned())
}

/// Looks a program up as `execvp` does: a name on `PATH`, anything with a slash as a path from `cwd`. What stands on the `PATH` and
/// may not be executed is passed over, and named where nothing else is found.
pub fn find(command: &str, cwd: &Path, path: &str) -> Result<PathBuf, ProgramProblem> {
    if command.contains('/') {
        return program_at(&cwd.join(command));
    }
    let mut passed_over = None;
    for folder in path.split(':').filter(|folder| folder.starts_with('/')) {
        match program_at(&Path::new(folder).join(command)) {
            Ok(found) => return Ok(found),
            Err(problem @ ProgramProblem::NotExecutable { .. }) => passed_over = passed_over.or(Some(problem)),
            Err(_) => {}
        }
    }
    Err(passed_over.unwrap_or_else(|| ProgramProblem::NotOnPath { searched: path.to_owned() }))
}

/// Where the command stands. `outside` is the host's `PATH`, by which a program that is only hidden is told from one
/// that is missing.
pub(crate) fn check(
    command: &str,
    cwd: &Path,
    path: &str,
    outside: &str,
    view: Option<&View>,
) -> Result<PathBuf, LaunchError> {
    let refused = |problem| LaunchError::Program { command: command.to_owned(), problem };
    let hidden = |path: PathBuf| refused(ProgramProblem::Hidden { path });
    let found = match find(command, cwd, path) {
        Ok(found) => found,
        Err(problem @ ProgramProblem::NotOnPath { .. }) => {
            return Err(match find(command, cwd, outside) {
                Ok(found) => hidden(found),
                Err(_) => refused(problem),
            });
        }
        Err(problem) => return Err(refused(problem)),
    };
    let Some(view) = view else { return Ok(found) };
    // A link is no use where its target is not there.
    let real = found.canonicalize().map_err(|_| refused(ProgramProblem::Absent { path: found.clone() }))?;
    if view.shows(&found) && view.shows(&real) { Ok(found) } else { Err(hidden(real)) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn c4_1_what_is_wrong_with_a_program_is_said_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (name, mode) in [("agent", 0o755), ("text", 0o644)] {
            fs::write(at(name), "#!/bin/sh\n").unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::create_dir(at("folder")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("link")).unwrap();
        let path = format!("relative:{}", dir.path().display());
        let said = |command: &str| match find(command, dir.path(), &path) {
            Ok(found) => format!("found {}", found.display()),
            Err(problem) => problem.to_string(),
        };
        let shown = dir.path().display();
        let absolute = |name: &str| at(name).to_string_lossy().into_owned();
        assert_eq!(said("agent"), format!("found {shown}/agent"));
        assert_eq!(said(&absolute("agent")), format!("found {shown}/agent"));
        assert_eq!(said("./agent"), format!("found {shown}/./agent"));
        assert_eq!(said("text"), format!("{shown}/text may not be executed: `chmod +x` is missing"));
        assert_eq!(said(&absolute("text")), format!("{shown}/text may not be executed: `chmod +x` is missing"));
        assert_eq!(said(&absolute("folder")), format!("{shown}/folder is no file"));
        assert_eq!(said(&absolute("link")), format!("there is no file {shown}/link"));
        assert_eq!(said(&absolute("gone")), format!("there is no file {shown}/gone"));
        assert_eq!(said("gone"), format!("it is not found on the PATH {path}"));
    }
}
