//! Agents that `init` knows: how each is started without a terminal, how it says what it cost, what it must reach.

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
    /// A program that `init` knows, with its usual arguments.
    Program(AgentProgram),
    /// The operator's own command.
    Command(Vec<String>),
}

/// What a role's table says of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) argv: Vec<String>,
    pub(crate) cost_usd: Option<&'static str>,
    pub(crate) input_tokens: Option<&'static str>,
    pub(crate) output_tokens: Option<&'static str>,
    pub(crate) cache_read_tokens: Option<&'static str>,
    pub(crate) cache_creation_tokens: Option<&'static str>,
    pub(crate) pass_environment: &'static [&'static str],
    pub(crate) writable: &'static [&'static str],
    pub(crate) network: &'static [&'static str],
}

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

    fn profile(self) -> Profile {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            // Tools are named one by one: skipping all questions is refused to root, and edits alone run no tests.
            Self::Claude => Profile {
                argv: words(&[
                    "claude",
                    "-p",
                    "Read {brief} and do what it says",
                    "--output-format",
                    "json",
                    "--permission-mode",
                    "acceptEdits",
                    "--allowedTools",
                    "Bash,Read,Edit,Write,Glob,Grep",
                ]),
                cost_usd: Some("/total_cost_usd"),
                input_tokens: Some("/usage/input_tokens"),
                output_tokens: Some("/usage/output_tokens"),
                cache_read_tokens: Some("/usage/cache_read_input_tokens"),
                cache_creation_tokens: Some("/usage/cache_creation_input_tokens"),
                pass_environment: &["ANTHROPIC_API_KEY"],
                writable: &["~/.claude"],
                network: &["api.anthropic.com", "claude.ai", "platform.claude.com"],
            },
            // Its own sandbox fails without a word inside ours, so ours alone holds it.
            Self::Codex => Profile {
                argv: words(&[
                    "codex",
                    "exec",
                    "--json",
                    "--skip-git-repo-check",
                    "--dangerously-bypass-approvals-and-sandbox",
                    "Read {brief} and do what it says",
                ]),
                cost_usd: None,
                input_tokens: Some("/usage/input_tokens"),
                output_tokens: Some("/usage/output_tokens"),
                cache_read_tokens: None,
                cache_creation_tokens: None,
                pass_environment: &["CODEX_API_KEY", "OPENAI_API_KEY"],
                writable: &["~/.codex"],
                network: &["api.openai.com", "chatgpt.com", "auth.openai.com"],
            },
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

    pub(crate) fn profile(&self) -> Profile {
        match self {
            Self::Program(program) => program.profile(),
            Self::Command(argv) => self.of_command(argv),
        }
    }

    /// The operator's own command: its arguments are kept, and what its program is known to need is added.
    fn of_command(&self, argv: &[String]) -> Profile {
        let name = Path::new(self.program()).file_name().map(|name| name.to_string_lossy().into_owned());
        let known = AgentProgram::ALL.into_iter().find(|program| name.as_deref() == Some(program.program()));
        let says_json = argv.iter().any(|word| word.contains("json"));
        let mut profile = known.map(AgentProgram::profile).filter(|_| says_json).unwrap_or(Profile {
            argv: Vec::new(),
            cost_usd: None,
            input_tokens: None,
            output_tokens: None,
            cache_read_tokens: None,
            cache_creation_tokens: None,
            pass_environment: known.map_or(&[], |program| program.profile().pass_environment),
            writable: known.map_or(&[], |program| program.profile().writable),
            network: known.map_or(&[], |program| program.profile().network),
        });
        profile.argv = argv.to_vec();
        profile
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_name_alone_stands_for_its_usual_command() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(AgentChoice::of_words(words(&["claude"])), AgentChoice::Program(AgentProgram::Claude));
        let own = AgentChoice::of_words(words(&["/opt/bin/claude", "-p", "{brief}"]));
        let profile = own.profile();
        assert_eq!(profile.argv, ["/opt/bin/claude", "-p", "{brief}"]);
        assert_eq!((profile.cost_usd, profile.writable), (None, &["~/.claude"][..]));
        assert_eq!(profile.network, AgentProgram::Claude.profile().network);
        let script = AgentChoice::of_words(words(&["./agent.sh"])).profile();
        assert_eq!((script.argv.len(), script.writable.len(), script.pass_environment.len()), (1, 0, 0));
    }
}
