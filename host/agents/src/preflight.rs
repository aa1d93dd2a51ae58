//! Is the command there at all? Asked of the `PATH` that the run will have, before anything is made: so a missing program
//! is a sentence with its name, costs no attempt, and leaves nothing behind.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::LaunchError;
use crate::sandbox::View;

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Looks a program up as `execvp` does.
pub(crate) fn find(command: &str, path: &str) -> Option<PathBuf> {
    let folders = path.split(':').filter(|folder| folder.starts_with('/'));
    folders.map(|folder| Path::new(folder).join(command)).find(|candidate| is_program(candidate))
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
    let missing = || LaunchError::CommandNotFound { command: command.to_owned(), searched: path.to_owned() };
    let hidden = |path: PathBuf| LaunchError::CommandHidden { command: command.to_owned(), path };
    let found = if command.contains('/') {
        Some(cwd.join(command)).filter(|path| is_program(path)).ok_or_else(missing)?
    } else {
        match (find(command, path), find(command, outside)) {
            (Some(found), _) => found,
            (None, Some(found)) => return Err(hidden(found)),
            (None, None) => return Err(missing()),
        }
    };
    let Some(view) = view else { return Ok(found) };
    // A link is no use where its target is not there.
    let real = found.canonicalize().map_err(|_| missing())?;
    if view.shows(&found) && view.shows(&real) { Ok(found) } else { Err(hidden(real)) }
}
