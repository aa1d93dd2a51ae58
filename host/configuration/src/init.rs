//! `gatewright init`: the files of a new state folder, planned as values. [`init()`] writes nothing; [`write_plan`](crate::write_plan) does,
//! and never over a file that is there.

pub(crate) mod agent;
pub(crate) mod listing;
pub(crate) mod names;
pub(crate) mod suite;
mod text;
pub(crate) mod words;
pub(crate) mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use domain::document::Role;
use domain::ids::{BranchName, ProjectName};

use agent::{AgentChoice, AgentProgram};
use listing::{RootListing, TestCommand};

pub use words::split_words;

/// Which pipeline a new project gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Development, review, testing, merge.
    #[default]
    Quick,
    /// From analysis to the proof that what runs is in the base branch.
    Full,
}

impl Preset {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Quick, Self::Full];

    /// As files and the command line spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }

    /// Who works in it, in the order of its stages.
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::Quick => &[Role::Developer, Role::Reviewer, Role::Tester],
            Self::Full => &[Role::Analyst, Role::Architect, Role::Developer, Role::Reviewer, Role::Tester],
        }
    }
}

/// What a new project is made of.
#[derive(Clone, Debug)]
pub struct InitRequest {
    /// Its name; [`project_name`](crate::project_name) makes one of a folder's.
    pub name: ProjectName,
    /// The letters before the number of a work item; [`prefix_of`](crate::prefix_of) makes them of the name.
    pub prefix: String,
    /// The state folder.
    pub dir: PathBuf,
    /// The operator's repository, absolute.
    pub repository: PathBuf,
    /// Its branch that finished work lands on.
    pub base_branch: BranchName,
    /// What lies in its root.
    pub root: RootListing,
    /// The pipeline.
    pub preset: Preset,
    /// Agents that this machine has, the preferred one first.
    pub detected: Vec<AgentProgram>,
    /// Names of this machine's environment that have a value: of agents whose key is set the first is taken.
    pub set: BTreeSet<String>,
    /// `--agent CMD…`: the agent of every role, instead of a detected one.
    pub agent: Option<AgentChoice>,
    /// `--role ROLE=CMD…`: the agent of one role. A tester named here works in place of the test command.
    pub agents: BTreeMap<Role, AgentChoice>,
    /// `--test CMD…`, instead of what the root shows.
    pub test: Option<Vec<String>>,
    /// `--staging CMD…`; only `full` has use for it.
    pub staging: Option<Vec<String>>,
    /// `--deploy CMD…`; only `full` has use for it.
    pub deploy: Option<Vec<String>>,
}

/// What is missing for a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitError {
    /// There is no agent, and none was named.
    #[error(
        "no agent was found: neither `claude` nor `codex` is on PATH; name one with --agent CMD…, e.g. --agent \"my-agent --brief {{brief}}\""
    )]
    NoAgent,
    /// Nothing shows how the project is tested.
    #[error(
        "nothing in the repository shows how it is tested (looked for Cargo.toml, a test script in package.json, go.mod, pytest, a test target in a Makefile); name the command with --test CMD…, e.g. --test \"make check\""
    )]
    NoTest,
    /// The pipeline has a step that runs a command which nobody named.
    #[error(
        "the pipeline `full` runs a {0} command, and none was named; name it with --{0} CMD…, or take --pipeline quick"
    )]
    NoHook(&'static str),
    /// The state folder and the repository lie one in the other.
    #[error("the state folder {} and the repository {} lie one in the other; choose another folder with --dir", dir.display(), repository.display())]
    Inside {
        /// The state folder.
        dir: PathBuf,
        /// The repository.
        repository: PathBuf,
    },
    /// A path or a word that no file can hold.
    #[error("{what} cannot be written into a file: {why}")]
    Unwritable {
        /// Which.
        what: &'static str,
        /// Why.
        why: String,
    },
}

/// Files that shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitPlan {
    /// The project's file is the last one: with it the project is there.
    pub files: Vec<PlannedFile>,
    /// What it rests on.
    pub found: Found,
}

/// What was found, and why it was taken: for whoever reads over the shoulder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The agent of every role that has none of its own; none: each role has.
    pub agent: Option<FoundAgent>,
    /// Program and arguments of the suite.
    pub suite: Vec<String>,
    /// Why that is the suite.
    pub suite_because: String,
    /// Where its packages come from: what it may reach.
    pub network: Vec<String>,
    /// What the owner must do before it runs in a fresh clone, a sentence each.
    pub needs: Vec<String>,
}

/// An agent that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundAgent {
    /// Its program.
    pub program: String,
    /// Why it.
    pub because: String,
    /// The name that `api-key` has; none: it is a command of the operator's own.
    pub key: Option<&'static str>,
    /// Whether that name has a value.
    pub key_is_set: bool,
    /// Another name under which a key of it may stand.
    pub other_key: Option<&'static str>,
}

/// A file that shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFile {
    /// Relative to the state folder.
    pub path: PathBuf,
    /// What it holds.
    pub content: String,
    /// Its permissions.
    pub mode: u32,
    /// What happens where it is there already.
    pub if_there: IfThere,
}

/// What happens where a planned file is there already. It is never written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfThere {
    /// The other one stays: another project of the same folder wrote it, or the operator.
    Keep,
    /// Nothing at all is written.
    Refuse,
}

/// Plans the files. All that is missing is told at once.
pub fn init(request: &InitRequest) -> Result<InitPlan, Vec<InitError>> {
    let mut errors = flaws(request);
    let test = match &request.test {
        Some(argv) => {
            Some(TestCommand { argv: argv.clone(), because: "--test says so".to_owned(), ..TestCommand::default() })
        }
        None => listing::detect(&request.root),
    };
    if test.is_none() {
        errors.push(InitError::NoTest);
    }
    let detected = preferred(request);
    let mut agents = BTreeMap::new();
    for role in request.preset.roles() {
        let chosen = request.agents.get(role).or(request.agent.as_ref()).cloned();
        let chosen = chosen.or_else(|| detected.map(AgentChoice::Program));
        // A tester is the test command unless somebody asked for an agent by name.
        let command_does = *role == Role::Tester && !request.agents.contains_key(role);
        match chosen {
            Some(chosen) => {
                agents.insert(*role, chosen);
            }
            None if command_does || errors.contains(&InitError::NoAgent) => {}
            None => errors.push(InitError::NoAgent),
        }
    }
    let (Some(test), true) = (test, errors.is_empty()) else { return Err(errors) };
    let private =
        |path: String, content: String, if_there| PlannedFile { path: path.into(), content, mode: 0o600, if_there };
    let mut files = vec![private("gatewright.toml".to_owned(), text::HOST.to_owned(), IfThere::Keep)];
    for role in request.preset.roles() {
        files.push(private(format!("prompts/{role}.md"), default_prompt(*role).to_owned(), IfThere::Keep));
    }
    let project = text::project(request, &agents, &test).map_err(|error| vec![error])?;
    files.push(private(format!("projects/{}.toml", request.name), project, IfThere::Refuse));
    let needed = request.preset.roles().iter().any(|role| !request.agents.contains_key(role) && *role != Role::Tester);
    let agent = request.agent.clone().or(detected.map(AgentChoice::Program)).filter(|_| needed);
    let found = Found {
        agent: agent.map(|agent| found_agent(request, &agent)),
        suite: test.argv,
        suite_because: test.because,
        network: test.network,
        needs: test.needs,
    };
    Ok(InitPlan { files, found })
}

/// The first agent whose key is set; where none is, the first one.
fn preferred(request: &InitRequest) -> Option<AgentProgram> {
    let with_key = request.detected.iter().find(|program| program.has_key(&request.set));
    with_key.or(request.detected.first()).copied()
}

fn found_agent(request: &InitRequest, agent: &AgentChoice) -> FoundAgent {
    let (key, other_key) = match agent.profile(&request.set).key {
        agent::Key::Held { name, other } => (Some(name), other),
        agent::Key::Seen(_) => (None, None),
    };
    let key_is_set = key.is_some_and(|key| request.set.contains(key));
    let because = match agent {
        _ if request.agent.is_some() => "--agent says so".to_owned(),
        AgentChoice::Program(program) if key_is_set && request.detected.first() != Some(program) => {
            "it is on the PATH, and of those its key is set".to_owned()
        }
        _ => "it is on the PATH".to_owned(),
    };
    FoundAgent { program: agent.program().to_owned(), because, key, key_is_set, other_key }
}

fn flaws(request: &InitRequest) -> Vec<InitError> {
    let mut errors = Vec::new();
    if request.dir.starts_with(&request.repository) || request.repository.starts_with(&request.dir) {
        errors.push(InitError::Inside { dir: request.dir.clone(), repository: request.repository.clone() });
    }
    if request.repository.to_str().is_none() {
        errors.push(InitError::Unwritable { what: "the repository's path", why: "it is not UTF-8".to_owned() });
    } else if request.repository.is_relative() {
        errors.push(InitError::Unwritable { what: "the repository's path", why: "it is relative".to_owned() });
    }
    if request.preset == Preset::Full {
        for (word, given) in [("staging", &request.staging), ("deploy", &request.deploy)] {
            if given.is_none() {
                errors.push(InitError::NoHook(word));
            }
        }
    }
    errors
}

/// The prompt that a role gets unless its operator writes another.
pub const fn default_prompt(role: Role) -> &'static str {
    match role {
        Role::Analyst => include_str!("../prompts/analyst.md"),
        Role::Architect => include_str!("../prompts/architect.md"),
        Role::Developer => include_str!("../prompts/developer.md"),
        Role::Reviewer => include_str!("../prompts/reviewer.md"),
        Role::Tester => include_str!("../prompts/tester.md"),
        Role::Deployer => include_str!("../prompts/deployer.md"),
    }
}
