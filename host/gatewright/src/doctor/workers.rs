//! Agents, commands and plugins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agents::Obstacle;
use agents::preflight::ProgramProblem;
use conductor::project::Worker;
use conductor::slots::Seat;
use configuration::{AgentProgram, Loaded};

use super::{Finding, program};
use crate::readiness::{Look, Trouble};

/// What is really executed for each role and command, and its version where it is one of those that are known to say it.
pub(super) fn programs(loaded: &Loaded) -> Vec<Finding> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut seats = BTreeMap::<String, Vec<String>>::new();
    for file in &loaded.projects {
        let project = &file.project.name;
        for (role, worker) in &file.settings.workers {
            let argv = match worker {
                Worker::Agent(agent) => &agent.argv,
                Worker::Command(command) => &command.argv,
            };
            seats.entry(argv.first().cloned().unwrap_or_default()).or_default().push(format!("{project}/{role}"));
        }
        for (hook, command) in &file.settings.hooks {
            let seat = format!("{project}/{}", Seat::Hook(*hook));
            seats.entry(command.argv.first().cloned().unwrap_or_default()).or_default().push(seat);
        }
    }
    seats.into_iter().map(|(command, seats)| one(&command, &seats.join(", "), &path)).collect()
}

/// Whether each of them could begin, by the host's own look.
pub(super) fn readiness(dir: &Path, loaded: &Loaded) -> Vec<Finding> {
    let look = match Look::around(dir, loaded) {
        Ok(look) => look,
        Err(error) => {
            let found = format!("whether they could begin was not looked at: {error:#}");
            return vec![Finding::warning("workers", found, "run this command as the user of the host")];
        }
    };
    let mut seats = BTreeMap::<(String, String, bool), Vec<String>>::new();
    for blocked in loaded.projects.iter().flat_map(|file| look.at(file)) {
        // What is on no PATH is told with the programs.
        if matches!(&blocked.trouble, Trouble::Blocked(Obstacle::Program(problem)) if !matches!(problem, ProgramProblem::Hidden { .. }))
        {
            continue;
        }
        let waits = matches!(blocked.trouble, Trouble::Blocked(_));
        let seat = format!("{}/{}", blocked.file.project.name, blocked.seat);
        seats.entry((look.sentence(&blocked), look.cure(&blocked), waits)).or_default().push(seat);
    }
    if seats.is_empty() {
        return vec![Finding::ok("workers", "each has its key, if it needs one, and the paths that it shall see")];
    }
    let told = seats.into_iter().map(|((sentence, cure, waits), seats)| {
        let seats = seats.join(", ");
        if waits {
            Finding::error("workers", format!("{seats}: {sentence}; its jobs wait"), cure)
        } else {
            Finding::warning("workers", format!("{seats}: {sentence}"), cure)
        }
    });
    told.collect()
}

fn one(command: &str, seats: &str, path: &str) -> Finding {
    let found = match agents::preflight::find(command, Path::new("/"), path) {
        Ok(found) => found,
        Err(problem) => {
            let told = format!("`{command}` of {seats} cannot be executed: {problem}; its jobs wait");
            return Finding::error("programs", told, "install it, or name another command in the project's file");
        }
    };
    let real = found.canonicalize().unwrap_or_else(|_| found.clone());
    let shown =
        if real == found { found.display().to_string() } else { format!("{} → {}", found.display(), real.display()) };
    match version(&found) {
        None => Finding::ok("programs", format!("`{command}` of {seats} is {shown}")),
        Some(Ok(version)) => Finding::ok("programs", format!("`{command}` of {seats} is {shown}: {version}")),
        Some(Err(why)) => {
            let told = format!("`{command}` of {seats} is {shown}, and does not say its version: {why}");
            Finding::error("programs", told, format!("try `{command} --version` as the user of the host"))
        }
    }
}

/// Only of a program that is known to print its version and do nothing else: an operator's own script may do anything.
fn version(found: &Path) -> Option<Result<String, String>> {
    let name = found.file_name()?.to_str()?;
    AgentProgram::ALL.iter().find(|known| known.program() == name)?;
    Some(program::first_line(&PathBuf::from(found), &["--version"]))
}

/// Whether every component that the files name loads, and takes its settings.
pub(super) fn plugins(dir: &Path, loaded: &Loaded) -> Vec<Finding> {
    let flaws = crate::wiring::check_plugins(dir, loaded);
    if flaws.told.is_empty() && flaws.failed.is_empty() {
        let count: usize = loaded.projects.iter().map(|file| file.plugins.len()).sum();
        return vec![Finding::ok(
            "plugins",
            format!("all compile and take their settings, {count} added ones among them"),
        )];
    }
    let told =
        flaws.told.into_iter().map(|told| Finding::error("plugins", told, "`gatewright check` says what is meant"));
    let failed = flaws.failed.into_iter().map(|failed| {
        Finding::warning("plugins", failed, "the component fails when it is asked: see `gatewright plugin inspect`")
    });
    told.chain(failed).collect()
}
