//! The operator's own repository, looked at from outside: its top folder, its branches, its remote. It may be another user's: only the
//! folder that the operator named is entered then, and nothing that its configuration names is run.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Overrules what a repository's configuration could have run.
const SETTINGS: [&str; 4] =
    ["core.fsmonitor=false", "core.hooksPath=/dev/null", "core.sshCommand=/bin/false", "core.pager=cat"];

/// Why there is no top folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// Neither the folder nor one above it is a repository.
    NoRepository,
    /// One without a work tree.
    Bare,
    /// Another user's; git's own words.
    Foreign(String),
    /// Anything else; git's own words.
    Unknown(String),
}

/// The top folder of the work tree that the command was called in.
pub(crate) fn here() -> Result<PathBuf, Closed> {
    top(git(Path::new(".")))
}

/// The top folder of the work tree that holds this folder. Another user's is opened only where it is this very folder.
pub(crate) fn top_of(named: &Path) -> Result<PathBuf, Closed> {
    let top = top(named_git(named))?;
    let lies_in = named.canonicalize().is_ok_and(|named| named.starts_with(&top));
    let told = || format!("its work tree is elsewhere: {}", top.display());
    if lies_in { Ok(top) } else { Err(Closed::Unknown(told())) }
}

fn top(mut git: Command) -> Result<PathBuf, Closed> {
    match answer(git.args(["rev-parse", "--show-toplevel"])) {
        Ok(text) => Ok(PathBuf::from(text.trim_end_matches('\n'))),
        Err(why) if why.contains("not a git repository") => Err(Closed::NoRepository),
        Err(why) if why.contains("must be run in a work tree") => Err(Closed::Bare),
        Err(why) if why.contains("dubious ownership") => Err(Closed::Foreign(why)),
        Err(why) => Err(Closed::Unknown(why)),
    }
}

/// What git says in the repository that the operator named, or that is the host's own; an error: git's first words.
pub(crate) fn ask(named: &Path, arguments: &[&str]) -> Result<String, String> {
    answer(named_git(named).args(arguments))
}

fn answer(git: &mut Command) -> Result<String, String> {
    let answer = git.output().map_err(|error| format!("git cannot be started: {error}"))?;
    if answer.status.success() {
        return Ok(String::from_utf8_lossy(&answer.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&answer.stderr).lines().next().unwrap_or("it failed").to_owned())
}

fn named_git(named: &Path) -> Command {
    let mut git = git(named);
    // A name that git would take for a pattern is no name.
    if let Ok(folder) = named.canonicalize()
        && !folder.ends_with("*")
    {
        let mut setting = std::ffi::OsString::from("safe.directory=");
        setting.push(folder);
        git.arg("-c").arg(setting);
    }
    git
}

/// Nobody's configuration but the repository's own has a say.
fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
    command
}
