//! What a project's files say about its workers, hooks and plugins, parsed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use domain::budget::{Budgets, Cap};
use domain::cost::Price;
use domain::document::Role;
use domain::ids::{DriverName, PluginId, ProjectName, StepName};
use domain::limits::RunLimits;
use domain::network::Network;
use domain::time::Milliseconds;
use serde_json::Value;

use crate::dialect::Dialect;

/// A project as its file says it, beside its pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectSettings {
    /// Its name.
    pub name: ProjectName,
    /// Who works in each role.
    pub workers: BTreeMap<Role, Worker>,
    /// What the actions of the pipeline run.
    pub hooks: BTreeMap<HookName, CommandSpec>,
    /// Settings of each gate's step.
    pub gate_settings: BTreeMap<StepName, Value>,
    /// Asked in order before an effect is performed.
    pub guards: Vec<GuardBinding>,
    /// Told of notices.
    pub notifiers: Vec<(PluginId, Value)>,
    /// Maps statuses to intents and back.
    pub status_mapper: (PluginId, Value),
    /// Who may give which intent (B1); empty: everybody whom the tracker lets move cards.
    pub deciders: BTreeMap<domain::event::Intent, Vec<String>>,
    /// Decisions are recorded, outside effects are not performed.
    pub observe: bool,
    /// The repository that it binds, as one text: two projects may bind one.
    pub repository: String,
    /// Its runs at one time, where its file bounds them.
    pub runs: Option<u32>,
    /// What a task, a day and the whole project may cost.
    pub budgets: Budgets,
    /// What counts where an agent does not say.
    pub price: Price,
}

/// A command that an action or a deterministic stage runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookName {
    /// The project's own suite: `retest`, and a `testing` stage that is a command.
    Test,
    /// Brings the tested commit to staging (catalogue G9's exit contract).
    Staging,
    /// Brings the tested commit to production (likewise).
    Deploy,
}

impl HookName {
    /// Every hook.
    pub const ALL: [Self; 3] = [Self::Test, Self::Staging, Self::Deploy];

    /// As files spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Staging => "staging",
            Self::Deploy => "deploy",
        }
    }
}

/// Who works in a role.
#[derive(Clone, Debug, PartialEq)]
pub enum Worker {
    /// An agent: it writes the documents that its role owns.
    Agent(AgentSpec),
    /// A command of the project: its exit code is the verdict, and the host writes the document.
    Command(CommandSpec),
}

impl Worker {
    /// What counts its runs together with others'.
    pub const fn driver(&self) -> Option<&DriverName> {
        match self {
            Self::Agent(agent) => Some(&agent.driver),
            Self::Command(_) => None,
        }
    }
}

/// An agent.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentSpec {
    /// The command; `{brief}`, `{workdir}`, `{role}`, `{work_item}`, `{model}`, `{effort}` are filled in, token by token.
    pub argv: Vec<String>,
    /// The role's prompt: the first part of the brief.
    pub prompt: String,
    /// From launch to TERM.
    pub budget: Milliseconds,
    /// From TERM to KILL.
    pub grace: Milliseconds,
    /// How it says what it cost.
    pub usage: UsageReader,
    /// Which model it shall use, as it calls it.
    pub model: Option<String>,
    /// How hard it shall think, likewise.
    pub effort: Option<String>,
    /// What one run may cost.
    pub cap: Cap,
    /// Names of the host's environment that it sees.
    pub pass_environment: Vec<String>,
    /// Paths outside its clone that it may read.
    pub readable: Vec<PathBuf>,
    /// Paths outside its clone that it may write.
    pub writable: Vec<PathBuf>,
    /// What it may reach.
    pub network: Network,
    /// What its runs have in common with those of other roles and projects: one service, one account. They share limits and a
    /// breaker.
    pub driver: DriverName,
    /// By what else than the usual signs its failures are known that pass by themselves.
    pub transient: TransientSigns,
    /// What its run may take of the machine.
    pub limits: RunLimits,
    /// How the host speaks with it.
    pub dialect: Dialect,
}

/// Signs of a failure that passes by itself, beside the usual ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransientSigns {
    /// Exit codes.
    pub exit_codes: Vec<i32>,
    /// Words in the end of its log, in whatever case.
    pub words: Vec<String>,
}

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandSpec {
    /// Program and arguments; no shell.
    pub argv: Vec<String>,
    /// From launch to TERM.
    pub budget: Milliseconds,
    /// From TERM to KILL.
    pub grace: Milliseconds,
    /// Names of the host's environment that it sees.
    pub pass_environment: Vec<String>,
    /// Paths outside its clone that it may read.
    pub readable: Vec<PathBuf>,
    /// Paths outside its clone that it may write: a deploy hook's target.
    pub writable: Vec<PathBuf>,
    /// What it may reach, if it is in the sandbox.
    pub network: Network,
    /// What its run may take of the machine.
    pub limits: RunLimits,
    /// A hook of the operator's may need the whole machine; it is his word.
    pub sandboxed: bool,
}

/// A command as one line that a shell takes apart again: two commands that differ never look alike.
pub fn command_line(argv: &[String]) -> String {
    // A word with a NUL cannot be run either; it is shown without its quotes.
    shlex::try_join(argv.iter().map(String::as_str)).unwrap_or_else(|_| argv.join(" "))
}

/// How an agent says what it cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UsageReader {
    /// It does not.
    #[default]
    None,
    /// In the last JSON object that it printed.
    Json(Pointers),
    /// As Claude Code says it.
    ClaudeCode,
    /// As Codex says it: what the whole conversation used.
    Codex,
    /// In JSON objects, a line each, while it works.
    JsonLines {
        /// Where in each line.
        pointers: Pointers,
        /// What the figures of a line are.
        figures: Figures,
        /// Where a line says what it is about: of lines in a row about the same, the last one counts.
        id: Option<String>,
    },
}

impl UsageReader {
    /// Does it say something while it works?
    pub const fn streams(&self) -> bool {
        matches!(self, Self::JsonLines { .. } | Self::ClaudeCode | Self::Codex)
    }

    /// Where the figures stand; none: nowhere.
    pub const fn pointers(&self) -> Option<&Pointers> {
        match self {
            Self::None | Self::ClaudeCode | Self::Codex => None,
            Self::Json(pointers) | Self::JsonLines { pointers, .. } => Some(pointers),
        }
    }
}

/// RFC 6901 pointers to figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pointers {
    /// Tokens in, without those of the cache where it names these apart.
    pub input_tokens: Option<String>,
    /// Tokens out.
    pub output_tokens: Option<String>,
    /// Tokens read from the cache.
    pub cache_read_tokens: Option<String>,
    /// Tokens written to the cache.
    pub cache_creation_tokens: Option<String>,
    /// US dollars.
    pub cost_usd: Option<String>,
}

/// What the figures of a line are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figures {
    /// All since the run's beginning: the largest counts.
    Cumulative,
    /// Those of one piece of work: they are added up.
    Summed,
}

/// A guard and what it is asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardBinding {
    /// Which component.
    pub plugin: PluginId,
    /// Kinds of effects, e.g. `set-status`.
    pub kinds: Vec<String>,
    /// As it gets them.
    pub settings: Value,
    /// The operator wrote `on-error = "allow"`.
    pub allow_on_error: bool,
    /// How long it may delay.
    pub patience: Milliseconds,
}
