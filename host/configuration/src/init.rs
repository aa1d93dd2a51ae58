//! `gatewright init`: the files of a new state folder, planned as values. [`init()`] writes nothing; [`write_plan`](crate::write_plan) does,
//! and never over a file that is there.

pub(crate) mod agent;
pub(crate) mod listing;
pub(crate) mod names;
mod text;
pub(crate) mod words;
pub(crate) mod write;

use std::collections::BTreeMap;
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
        Some(argv) => Some(TestCommand { argv: argv.clone(), readable: Vec::new() }),
        None => listing::detect(&request.root),
    };
    if test.is_none() {
        errors.push(InitError::NoTest);
    }
    let mut agents = BTreeMap::new();
    for role in request.preset.roles() {
        let chosen = request.agents.get(role).or(request.agent.as_ref()).cloned();
        let chosen = chosen.or_else(|| request.detected.first().map(|program| AgentChoice::Program(*program)));
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
    Ok(InitPlan { files })
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
