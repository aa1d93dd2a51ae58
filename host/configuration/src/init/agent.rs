//! Agents that `init` knows: by which driver each works; and what a command of the operator's own needs that starts one.

use std::collections::BTreeSet;
use std::path::Path;

/// An agent's program that `init` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentProgram {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
}

/// Who shall work in a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentChoice {
    /// A program that `init` knows, by its driver.
    Program(AgentProgram),
    /// The operator's own command.
    Command(Vec<String>),
}

/// What a role's table says of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) who: Who,
    pub(crate) usage: Option<&'static str>,
    pub(crate) key: Key,
    pub(crate) writable: &'static [&'static str],
    pub(crate) network: &'static [&'static str],
}

/// How it comes by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Its shim holds the one under this name, and it never sees it.
    Held {
        /// Which.
        name: &'static str,
        /// Another name under which it may stand.
        other: Option<&'static str>,
    },
    /// It sees what stands under these names.
    Seen(&'static [&'static str]),
}

/// How it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// By a command that the host composes.
    Driver(&'static str),
    /// By this one.
    Command(Vec<String>),
}

/// Where the last object of `--output-format json` says what Claude Code used.
const CLAUDE_USAGE: &str = "{ format = \"json\", cost-usd = \"/total_cost_usd\", input-tokens = \"/usage/input_tokens\", \
     output-tokens = \"/usage/output_tokens\", cache-read-tokens = \"/usage/cache_read_input_tokens\", \
     cache-creation-tokens = \"/usage/cache_creation_input_tokens\" }";
/// Likewise of `codex exec --json`.
const CODEX_USAGE: &str =
    "{ format = \"json\", input-tokens = \"/usage/input_tokens\", output-tokens = \"/usage/output_tokens\" }";

impl AgentProgram {
    /// All of them, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Claude, Self::Codex];

    /// As it is called on PATH.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
        }
    }

    /// The driver by which the host knows it.
    const fn driver(self) -> &'static str {
        match self {
            Self::Claude => "claude-code",
            Self::Codex => "codex",
        }
    }

    /// Where its service stands, for a command of the operator's own: of a driver the host knows it.
    const fn network(self) -> &'static [&'static str] {
        match self {
            Self::Claude => &["api.anthropic.com", "claude.ai", "platform.claude.com"],
            Self::Codex => &["api.openai.com", "chatgpt.com", "auth.openai.com"],
        }
    }

    /// Where it keeps its state, likewise.
    const fn writable(self) -> &'static [&'static str] {
        match self {
            Self::Claude => &["~/.claude"],
            Self::Codex => &["~/.codex"],
        }
    }

    /// The folder of a home that holds its state, where nobody names another.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Claude => ".claude",
            Self::Codex => ".codex",
        }
    }

    /// What holds its key, where the host composes its command: the first name that has a value, else the usual one.
    fn key(self, set: &BTreeSet<String>) -> Key {
        let names = self.key_names();
        let usual = names.first().copied().unwrap_or_default();
        let name = names.iter().copied().find(|name| set.contains(*name)).unwrap_or(usual);
        Key::Held { name, other: names.iter().copied().find(|other| *other != name) }
    }

    /// Whether a key of its own has a value.
    pub(crate) fn has_key(self, set: &BTreeSet<String>) -> bool {
        self.key_names().iter().any(|name| set.contains(*name))
    }

    /// The names under which a key or a subscription of it may stand, the usual one first.
    pub const fn key_names(self) -> &'static [&'static str] {
        match self {
            Self::Claude => &["ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"],
            Self::Codex => &["OPENAI_API_KEY"],
        }
    }
}

impl AgentChoice {
    /// What was typed: a known program by its name alone, or a whole command.
    pub fn of_words(words: Vec<String>) -> Self {
        let known = match words.as_slice() {
            [only] => AgentProgram::ALL.into_iter().find(|program| program.program() == only),
            _ => None,
        };
        known.map_or(Self::Command(words), Self::Program)
    }

    /// Its program, for people.
    pub fn program(&self) -> &str {
        match self {
            Self::Program(program) => program.program(),
            Self::Command(words) => words.first().map_or("", String::as_str),
        }
    }

    pub(crate) fn profile(&self, set: &BTreeSet<String>) -> Profile {
        match self {
            Self::Program(program) => Profile {
                who: Who::Driver(program.driver()),
                usage: None,
                key: program.key(set),
                writable: &[],
                network: &[],
            },
            Self::Command(argv) => self.of_command(argv),
        }
    }

    /// The operator's own command: its arguments are kept, and what its program is known to need is added.
    fn of_command(&self, argv: &[String]) -> Profile {
        let name = Path::new(self.program()).file_name().map(|name| name.to_string_lossy().into_owned());
        let known = AgentProgram::ALL.into_iter().find(|program| name.as_deref() == Some(program.program()));
        let says_json = argv.iter().any(|word| word.contains("json"));
        Profile {
            who: Who::Command(argv.to_vec()),
            usage: known.filter(|_| says_json).map(|program| match program {
                AgentProgram::Claude => CLAUDE_USAGE,
                AgentProgram::Codex => CODEX_USAGE,
            }),
            key: Key::Seen(known.map_or(&[], AgentProgram::key_names)),
            writable: known.map_or(&[], AgentProgram::writable),
            network: known.map_or(&[], AgentProgram::network),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_name_alone_stands_for_its_driver() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(AgentChoice::of_words(words(&["claude"])), AgentChoice::Program(AgentProgram::Claude));
        let own = AgentChoice::of_words(words(&["/opt/bin/claude", "-p", "{brief}"]));
        let profile = own.profile(&BTreeSet::new());
        assert_eq!(profile.who, Who::Command(words(&["/opt/bin/claude", "-p", "{brief}"])));
        assert_eq!((profile.usage, profile.writable), (None, &["~/.claude"][..]));
        assert!(profile.network.contains(&"api.anthropic.com"));
        let known = AgentChoice::Program(AgentProgram::Claude).profile(&BTreeSet::new());
        assert_eq!(
            (known.who, known.network.len()),
            (Who::Driver("claude-code"), 0),
            "the host knows where its service is"
        );
        let script = AgentChoice::of_words(words(&["./agent.sh"])).profile(&BTreeSet::new());
        assert_eq!((script.usage, script.writable.len(), script.key), (None, 0, Key::Seen(&[])));
    }

    #[test]
    fn the_key_is_the_one_that_is_set_and_else_the_usual_one() {
        let key = |program: AgentProgram, set: &[&str]| {
            let set = set.iter().map(|name| (*name).to_owned()).collect();
            match AgentChoice::Program(program).profile(&set).key {
                Key::Held { name, other } => (name, other),
                Key::Seen(names) => panic!("{names:?}"),
            }
        };
        let (api, token) = ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN");
        assert_eq!(key(AgentProgram::Claude, &[]), (api, Some(token)));
        assert_eq!(key(AgentProgram::Claude, &[token]), (token, Some(api)));
        assert_eq!(key(AgentProgram::Claude, &[token, api]), (api, Some(token)));
        assert_eq!(key(AgentProgram::Codex, &[token]), ("OPENAI_API_KEY", None));
    }
}
