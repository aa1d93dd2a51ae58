//! Whether each worker of the files could begin on this machine: asked of the very function that the host asks before each claim, in
//! the environment of the host that lives, or in this one where none does.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use agents::port::HostEnvironment;
use agents::readiness::{Obstacle, obstacles};
use agents::{KeyError, Runner, SandboxError};
use conductor::dialect::Dialect;
use conductor::ports::runs::Program;
use conductor::project::{AgentSpec, Worker};
use conductor::slots::Seat;
use configuration::{AgentProgram, Code, Complaint, HOST_FILE, Loaded, ProjectFile, Severity};

use crate::listener;
use crate::state::CACHE;
use crate::wiring::runner_config;

/// What runs here would find.
pub(crate) struct Look {
    runner: Runner,
    environment: HostEnvironment,
    /// The environment is the one of the host that serves the folder.
    lives: bool,
    /// What every run may read, whoever works.
    shown_to_all: Vec<PathBuf>,
}

/// Why somebody could not begin, or would not get far.
pub(crate) enum Trouble {
    /// The host would not launch it.
    Blocked(Obstacle),
    /// It is launched, and none of these names, which it is to see, has a value.
    Unset(Vec<String>),
}

/// Who could not begin.
pub(crate) struct Blocked<'a> {
    pub(crate) file: &'a ProjectFile,
    pub(crate) seat: Seat,
    worker: Option<&'a Worker>,
    program: Program,
    pub(crate) trouble: Trouble,
}

impl Look {
    /// Looks around. An error: whoever asks is not the host's user, and would get another answer.
    pub(crate) fn around(dir: &Path, loaded: &Loaded) -> anyhow::Result<Self> {
        let (owner, me) = (std::fs::metadata(dir)?.uid(), rustix::process::geteuid().as_raw());
        anyhow::ensure!(
            owner == me,
            "the state folder is the user {owner}'s, and this is {me}: ask as the host's user"
        );
        let of_host = environment_of_host(dir);
        let lives = of_host.is_some();
        let values = of_host.unwrap_or_else(own_environment);
        let config = runner_config(dir, loaded, dir.join(CACHE).join("shim"), &values)?;
        let environment = HostEnvironment { reserved: Vec::new(), values };
        Ok(Self {
            runner: Runner::looking(config),
            environment,
            lives,
            shown_to_all: loaded.host.sandbox.readable.clone(),
        })
    }

    /// All that keeps anybody of a project from beginning. Where nothing is done outside, nothing is launched either.
    pub(crate) fn at<'a>(&self, file: &'a ProjectFile) -> Vec<Blocked<'a>> {
        if file.settings.observe {
            return Vec::new();
        }
        let roles =
            file.settings.workers.iter().map(|(role, worker)| {
                (Seat::Role(*role), Some(worker), Program::of_worker(worker), names_seen(worker))
            });
        let hooks = file.settings.hooks.iter().map(|(hook, command)| {
            (Seat::Hook(*hook), None, Program::of_command(command), one_by_one(&command.pass_environment))
        });
        let mut all = Vec::new();
        for (seat, worker, program, seen) in roles.chain(hooks) {
            let blocked = obstacles(&self.runner, &self.environment, &program).into_iter().map(Trouble::Blocked);
            let unset =
                seen.into_iter().filter(|names| names.iter().all(|name| !self.is_set(name))).map(Trouble::Unset);
            for trouble in blocked.chain(unset) {
                all.push(Blocked { file, seat, worker, program: program.clone(), trouble });
            }
        }
        all
    }

    fn is_set(&self, name: &str) -> bool {
        self.environment.values.get(name).is_some_and(|value| !value.is_empty())
    }

    /// What is wrong, as a sentence without a full stop.
    pub(crate) fn sentence(&self, blocked: &Blocked<'_>) -> String {
        let place = if self.lives { "in the environment of the host that serves this folder" } else { "here" };
        match &blocked.trouble {
            Trouble::Blocked(Obstacle::Key(KeyError::Missing { variable })) => {
                format!("`{variable}`, which `api-key` names, is not set {place}")
            }
            Trouble::Blocked(Obstacle::Program(problem)) => {
                let program = blocked.program.argv.first().map_or("", String::as_str);
                format!("`{program}` cannot be executed: {problem}")
            }
            Trouble::Blocked(other) => other.to_string(),
            Trouble::Unset(names) => {
                let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
                format!(
                    "{}, which `pass-environment` names, {} set {place}",
                    names.join(" or "),
                    if names.len() == 1 { "is not" } else { "are not" }
                )
            }
        }
    }

    /// What helps.
    pub(crate) fn cure(&self, blocked: &Blocked<'_>) -> String {
        let again = if self.lives { " and start it again" } else { "" };
        match &blocked.trouble {
            Trouble::Blocked(Obstacle::Key(KeyError::Missing { variable })) => {
                let subscription = if variable == "ANTHROPIC_API_KEY" {
                    "; with a subscription in place of a key: api-key = \"CLAUDE_CODE_OAUTH_TOKEN\""
                } else {
                    ""
                };
                format!(
                    "`export {variable}=…` where `gatewright serve` is started (systemd: `EnvironmentFile=`){again}{subscription}"
                )
            }
            Trouble::Blocked(Obstacle::Key(_)) => {
                format!("give it a value that is a key, where `gatewright serve` is started{again}")
            }
            Trouble::Blocked(Obstacle::Program(_)) => {
                "install it, or name another command in the project's file".to_owned()
            }
            Trouble::Blocked(Obstacle::Sandbox(problem)) => match problem {
                SandboxError::Unusable { .. } => {
                    "make it (and make it this user's), or take it out of the file".to_owned()
                }
                SandboxError::NeverShown { .. } | SandboxError::InsideWritable { .. } => {
                    "name a narrower path".to_owned()
                }
                SandboxError::Keyless => {
                    "turn the sandbox on, or let the agent see the key: `pass-environment` in place of `api-key`"
                        .to_owned()
                }
                SandboxError::Demanded { .. } | SandboxError::Unavailable { .. } => {
                    "`gatewright doctor` says what helps".to_owned()
                }
            },
            Trouble::Blocked(Obstacle::Unknown(_)) => "look at the state folder and its disk".to_owned(),
            Trouble::Unset(names) => {
                let first = names.first().map_or("", String::as_str);
                format!(
                    "`export {first}=…` where `gatewright serve` is started{again}, or take the name out of the file"
                )
            }
        }
    }

    /// As findings about files: the project's, or the host's own for what it says of all.
    pub(crate) fn complaints(&self, blocked: &Blocked<'_>, dir: &Path) -> (PathBuf, Complaint) {
        let (source, key) = match self.index_for_all(blocked) {
            Some(key) => (dir.join(HOST_FILE), key),
            None => (blocked.file.source.clone(), blocked.key()),
        };
        let ends = match &blocked.trouble {
            Trouble::Blocked(_) => "; its jobs will wait",
            Trouble::Unset(_) => "",
        };
        let whose = if source == blocked.file.source { format!("{}: ", blocked.table()) } else { String::new() };
        let complaint = Complaint {
            key,
            code: blocked.code(),
            severity: Severity::Warning,
            message: format!(
                "{whose}{}{}",
                self.sentence(blocked),
                if whose.is_empty() { "; all jobs will wait" } else { ends }
            ),
            helps: vec![self.cure(blocked)],
            choices: None,
        };
        (source, complaint)
    }

    /// The key of the host's file that is at fault.
    fn index_for_all(&self, blocked: &Blocked<'_>) -> Option<Vec<String>> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let Trouble::Blocked(obstacle) = &blocked.trouble else { return None };
        if matches!(obstacle, Obstacle::Sandbox(SandboxError::Unavailable { .. })) {
            return Some(words(&["sandbox", "mode"]));
        }
        let path = obstacle.path()?;
        let number = self.shown_to_all.iter().position(|shown| shown == path)?;
        Some(words(&["sandbox", "readable", &number.to_string()]))
    }
}

impl Blocked<'_> {
    /// As messages call its table.
    pub(crate) fn table(&self) -> String {
        match self.seat {
            Seat::Role(role) => format!("[roles.{role}]"),
            Seat::Hook(hook) => format!("[commands.{}]", hook.as_str()),
        }
    }

    fn agent(&self) -> Option<&AgentSpec> {
        match self.worker {
            Some(Worker::Agent(agent)) => Some(agent),
            _ => None,
        }
    }

    fn key(&self) -> Vec<String> {
        let mut key = match self.seat {
            Seat::Role(role) => vec!["roles".to_owned(), role.to_string()],
            Seat::Hook(hook) => vec!["commands".to_owned(), hook.as_str().to_owned()],
        };
        let word = |word: &str| vec![word.to_owned()];
        key.extend(match &self.trouble {
            Trouble::Unset(_) => word("pass-environment"),
            Trouble::Blocked(Obstacle::Key(_) | Obstacle::Sandbox(SandboxError::Keyless)) => word("api-key"),
            Trouble::Blocked(obstacle) => match obstacle.path() {
                Some(path) => self.index_of(path),
                None => word(match self.agent() {
                    None => "run",
                    Some(agent) if agent.dialect == Dialect::Command => "command",
                    Some(agent) if AgentProgram::ALL.iter().any(|known| agent.argv == [known.program()]) => "driver",
                    Some(_) => "program",
                }),
            },
        });
        key
    }

    fn index_of(&self, path: &Path) -> Vec<String> {
        let lists = [("writable", &self.program.writable), ("readable", &self.program.readable)];
        let found = lists.iter().find_map(|(word, paths)| Some((*word, paths.iter().position(|one| one == path)?)));
        found.map_or_else(Vec::new, |(word, number)| vec![word.to_owned(), number.to_string()])
    }

    fn code(&self) -> Code {
        match &self.trouble {
            Trouble::Unset(_) | Trouble::Blocked(Obstacle::Key(KeyError::Missing { .. })) => Code::UnsetVariable,
            Trouble::Blocked(Obstacle::Program(_)) => Code::MissingProgram,
            Trouble::Blocked(obstacle) if obstacle.path().is_some() => Code::UnusablePath,
            Trouble::Blocked(_) => Code::Invalid,
        }
    }
}

/// Names that a worker is to see, in groups of which one name must have a value: an agent that is known by name has several ways to
/// a key of its own.
fn names_seen(worker: &Worker) -> Vec<Vec<String>> {
    let agent = match worker {
        Worker::Command(command) => return one_by_one(&command.pass_environment),
        Worker::Agent(agent) => agent,
    };
    let (mut groups, mut rest) = (Vec::new(), agent.pass_environment.clone());
    for known in AgentProgram::ALL {
        let (keys, others): (Vec<String>, Vec<String>) =
            rest.into_iter().partition(|name| known.key_names().contains(&name.as_str()));
        rest = others;
        // A command of the operator's own may be logged in by what lies in the agent's own folder.
        let logged_in = agent.writable.iter().any(|path| path.is_dir() && path.ends_with(known.folder()));
        if !keys.is_empty() && !logged_in {
            groups.push(keys);
        }
    }
    groups.extend(one_by_one(&rest));
    groups
}

fn one_by_one(names: &[String]) -> Vec<Vec<String>> {
    names.iter().map(|name| vec![name.clone()]).collect()
}

/// What of this process's environment is text.
pub(crate) fn own_environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The environment of the host that serves a folder, as it was when that host started; none: no host does, or it may not be seen.
fn environment_of_host(dir: &Path) -> Option<BTreeMap<String, String>> {
    let pid = listener::holder(dir)?;
    let lock = dir.canonicalize().ok()?.join("gatewright.lock");
    let mut open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    // The number in the file may be another process's by now.
    open.find(|entry| std::fs::read_link(entry.path()).is_ok_and(|file| file == lock))?;
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let pairs = bytes.split(|byte| *byte == 0).filter_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    Some(pairs.collect())
}
