//! The state folder: where it is, and what lies in it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::repository;

/// What the token in that file is called.
pub(crate) const OPERATOR: &str = "operator";
/// The operator's token, mode 0600.
pub(crate) const TOKEN_FILE: &str = "operator-token";
/// Where the living host listens.
pub(crate) const ADDRESS_FILE: &str = "operator-address";
/// Where the living host listens for webhooks.
pub(crate) const WEBHOOKS_FILE: &str = "webhooks-address";
/// Runs, each in a folder of its own.
pub(crate) const RUNS: &str = "runs";
/// What can be made again.
pub(crate) const CACHE: &str = "cache";
/// Bare repositories, one per project.
pub(crate) const FORGES: &str = "repositories";

/// The folder that the command means.
pub(crate) fn find(given: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(dir) = given {
        return std::path::absolute(dir).with_context(|| format!("{} is no path", dir.display()));
    }
    let home = state_home()?.join("gatewright");
    if let Ok(repository) = repository::here() {
        let name = repository.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let dir = home.join(configuration::project_name(&name).as_str());
        if dir.is_dir() {
            return Ok(dir);
        }
    }
    let entries = std::fs::read_dir(&home).into_iter().flatten().filter_map(Result::ok);
    let mut there = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect::<Vec<_>>();
    match there.len() {
        1 => Ok(there.remove(0)),
        0 => bail!("there is no state folder yet: run `gatewright init` in a git repository, or name one with --dir"),
        _ => {
            there.sort();
            let names = there.iter().map(|path| format!("  --dir {}", path.display())).collect::<Vec<_>>().join("\n");
            bail!("which state folder is meant? Stand in its repository, or name one:\n{names}")
        }
    }
}

/// The state folder that a path lies in, or would lie in if it were there. One is known by its database, or by its host's lock.
pub(crate) fn around(path: &Path) -> Option<PathBuf> {
    let there = path.ancestors().find_map(|folder| std::fs::canonicalize(folder).ok())?;
    let is_state = |folder: &&Path| ["gatewright.db", "gatewright.lock"].iter().any(|file| folder.join(file).is_file());
    there.ancestors().find(is_state).map(Path::to_owned)
}

/// The folder that a new project gets.
pub(crate) fn for_project(given: Option<&Path>, name: &str) -> anyhow::Result<PathBuf> {
    match given {
        Some(dir) => std::path::absolute(dir).with_context(|| format!("{} is no path", dir.display())),
        None => Ok(state_home()?.join("gatewright").join(name)),
    }
}

fn state_home() -> anyhow::Result<PathBuf> {
    if let Some(home) = std::env::var_os("XDG_STATE_HOME").filter(|home| !home.is_empty()) {
        return Ok(PathBuf::from(home));
    }
    let home =
        std::env::var_os("HOME").context("neither XDG_STATE_HOME nor HOME is set: name the folder with --dir")?;
    Ok(PathBuf::from(home).join(".local/state"))
}
