//! The agents that the host knows by name: how it asks them, and what their own words at the end mean. Pure: what a run
//! printed is read by whoever keeps its log, and comes here as [`Told`].

pub mod claude_code;
pub mod codex;
pub mod held_key;

use std::collections::BTreeMap;

use domain::cost::Usage;
use domain::event::FailureClass;

use crate::failure::Failure;
use crate::ports::runs::{Confinement, Ending};

pub use claude_code::{ClaudeCode, PermissionMode};
pub use codex::Codex;
pub use held_key::{DOOR_PORT, HeldKey, KeyHeader, PLACEHOLDER, Place, Service, Transport};

/// A conversation that is longer than this is not gone on with: what is left of a model's window would not do for the work,
/// and each further call pays for all of it.
pub const LONGEST_CONTEXT: u64 = 120_000;

/// How the host speaks with an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Not at all: the operator wrote its command.
    #[default]
    Command,
    /// Claude Code.
    ClaudeCode(ClaudeCode),
    /// Codex.
    Codex(Codex),
}

/// What one launch asks for beside the settings of its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask<'a> {
    /// The program, as the file names it.
    pub program: &'a str,
    /// Whether a model is named: its name is filled in for `{model}`.
    pub names_model: bool,
    /// Likewise the effort.
    pub names_effort: bool,
    /// Which conversation.
    pub session: Session<'a>,
    /// Millionths of a US dollar that the run may cost at most.
    pub cap_microusd: Option<u64>,
}

/// Which conversation a run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session<'a> {
    /// A new one, which has this name where the agent lets itself be told one.
    New(&'a str),
    /// It goes on with an earlier one, of a run that ended well.
    Resumed(&'a str),
    /// It goes on with one in the midst of which its run was lost.
    CutOff(&'a str),
}

/// What is said to who goes on after his run was lost: else he believes that what he wrote is there.
pub(crate) const CUT_OFF: &str = "You were cut off in the midst of your work, and all that you had done in the clone is gone. \
     Read the new brief {brief} and do what it says.";

/// What a run's own words say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The name of its conversation.
    pub session: Option<String>,
    /// The model that works, where it says so.
    pub model: Option<String>,
    /// Tokens of its last call: how long the conversation is.
    pub context: Option<u64>,
    /// Tools that it has used.
    pub steps: u32,
    /// What it did last, in a line.
    pub doing: Option<String>,
    /// What it used.
    pub usage: Usage,
    /// Its last word, once it has spoken it.
    pub end: Option<End>,
}

/// A run's last word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It finished.
    Good {
        /// What it says of it.
        words: String,
        /// Tools that it asked for and was refused.
        denied: Vec<String>,
    },
    /// It did not.
    Bad(Complaint),
}

/// Why a run did not finish, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complaint {
    /// For people.
    pub words: String,
    /// The service's answer, where there was one: a status of HTTP.
    pub status: Option<u16>,
    /// The agent's own name for it.
    pub reason: Option<String>,
}

/// What the end of a run means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It finished: what it left is taken.
    Well,
    /// It failed.
    Failed {
        /// Why, for people.
        cause: String,
        /// Which budget the next attempt is of.
        failure: Failure,
    },
    /// The conversation that it should go on with is not there.
    Forgotten,
    /// It ended itself, for it was told what it may cost.
    OverBudget {
        /// As it says it.
        cause: String,
    },
}

impl Dialect {
    /// Program and arguments; `{brief}`, `{model}` and `{effort}` are filled in by whoever launches.
    pub fn compose(&self, ask: &Ask<'_>) -> Option<Vec<String>> {
        match self {
            Self::Command => None,
            Self::ClaudeCode(claude) => Some(claude.compose(ask)),
            Self::Codex(codex) => Some(codex.compose(ask)),
        }
    }

    /// What is set in the environment of its runs.
    pub fn environment(&self) -> BTreeMap<String, String> {
        match self {
            Self::Command => BTreeMap::new(),
            Self::ClaudeCode(claude) => claude.environment(),
            Self::Codex(codex) => codex.environment(),
        }
    }

    /// The key that its runs never see.
    pub const fn held_key(&self) -> Option<&HeldKey> {
        match self {
            Self::Command => None,
            Self::ClaudeCode(claude) => claude.held.as_ref(),
            Self::Codex(codex) => codex.held.as_ref(),
        }
    }

    /// By which name it is told where it keeps its state.
    pub const fn home(&self) -> Option<Home> {
        match self {
            Self::Command => None,
            Self::ClaudeCode(_) => Some(Home::ClaudeCode),
            Self::Codex(_) => Some(Home::Codex),
        }
    }

    /// How its runs are confined. Those that are known by name are known to read what lies in a repository.
    pub const fn confinement(&self) -> Confinement {
        match self {
            Self::Command => Confinement::Sandboxed,
            Self::ClaudeCode(_) | Self::Codex(_) => Confinement::Demanded,
        }
    }

    /// What a run used of what it says: of a conversation that it went on with, some figures are those of its whole life, and
    /// `before` is what stood there when the run began.
    pub fn own(&self, said: &Usage, before: &Usage) -> Usage {
        let minus = |said: Option<u64>, before: Option<u64>| said.map(|said| said.saturating_sub(before.unwrap_or(0)));
        match self {
            Self::Command => *said,
            Self::ClaudeCode(_) => Usage { cost_microusd: minus(said.cost_microusd, before.cost_microusd), ..*said },
            Self::Codex(_) => Usage {
                input_tokens: minus(said.input_tokens, before.input_tokens),
                output_tokens: minus(said.output_tokens, before.output_tokens),
                cache_read_tokens: minus(said.cache_read_tokens, before.cache_read_tokens),
                cache_creation_tokens: minus(said.cache_creation_tokens, before.cache_creation_tokens),
                cost_microusd: said.cost_microusd,
            },
        }
    }

    /// Whether its runs may go on with an earlier conversation.
    pub const fn resumes(&self) -> bool {
        match self {
            Self::Command => false,
            Self::ClaudeCode(claude) => claude.resume,
            Self::Codex(codex) => codex.resume,
        }
    }

    /// What the end of a run by itself means; `tail` is the end of its log. None: it is for the exit code and the log alone to say.
    /// `is_resumed`: it was to go on with an earlier conversation.
    pub fn judge(&self, ending: &Ending, told: &Told, tail: &str, is_resumed: bool) -> Option<Judged> {
        let Ending::Exited(code) = *ending else { return None };
        let (forgotten, class): (&[&str], fn(&Complaint) -> FailureClass) = match self {
            Self::Command => return None,
            Self::ClaudeCode(_) => (&claude_code::FORGOTTEN, claude_code::class),
            Self::Codex(_) => (&codex::FORGOTTEN, codex::class),
        };
        let failed = |cause: String, class| Judged::Failed { cause, failure: Failure { class, told: None } };
        // Before anything was done, or it is the agent's own word for something else.
        let is_forgotten =
            is_resumed && code != 0 && told.steps == 0 && forgotten.iter().any(|words| tail.contains(words));
        Some(match &told.end {
            _ if is_forgotten => Judged::Forgotten,
            Some(End::Bad(complaint)) if complaint.reason.as_deref() == Some(claude_code::OVER_BUDGET) => {
                Judged::OverBudget { cause: complaint.words.clone() }
            }
            Some(End::Bad(complaint)) => failed(complaint.said(), class(complaint)),
            Some(End::Good { .. }) if code == 0 => Judged::Well,
            Some(End::Good { .. }) => {
                failed(format!("it said that it had finished, and exited with {code}"), FailureClass::Permanent)
            }
            // Whoever ends by itself says how: a run without a last word was ended, whatever its code.
            None => failed(format!("it exited with {code} and never said how it ended"), FailureClass::Permanent),
        })
    }
}

impl Complaint {
    fn said(&self) -> String {
        match (&self.reason, self.words.trim()) {
            (Some(reason), "") => format!("it gave up ({reason})"),
            (None, "") => "it gave up and did not say why".to_owned(),
            (_, words) => format!("it gave up: {words}"),
        }
    }
}

/// Where an agent keeps its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// As Claude Code is told it.
    ClaudeCode,
    /// As Codex is told it.
    Codex,
}

impl Home {
    /// The name in the environment.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::ClaudeCode => "CLAUDE_CONFIG_DIR",
            Self::Codex => "CODEX_HOME",
        }
    }
}

/// A status of HTTP that passes by itself: too early, too often, or the service's own fault.
pub(crate) const fn passes(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429 | 500..=599)
}

/// What may be the name of a conversation: it stands in a command line, and in the name of a file.
pub fn is_session(name: &str) -> bool {
    let formed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(formed) && !name.starts_with('-')
}

/// Whether going on with a conversation is cheaper than beginning anew: whoever begins anew reads again what the earlier run
/// read, so its calls together must have been worth more than the conversation that each further call carries along.
pub fn is_worth_resuming(context: u64, usage: &Usage) -> bool {
    let read = [usage.input_tokens, usage.cache_read_tokens, usage.cache_creation_tokens];
    let read = read.into_iter().flatten().fold(0, u64::saturating_add);
    context > 0 && context <= LONGEST_CONTEXT && context.saturating_mul(2) <= read
}

/// What a model or an effort shall be: what the role says, else what the project says for the driver, else the floor. An empty
/// word says nothing (catalogue E3, E4).
pub fn rung<'a>(role: Option<&'a str>, project: Option<&'a str>, floor: Option<&'a str>) -> Option<&'a str> {
    [role, project, floor].into_iter().flatten().find(|word| !word.is_empty())
}
