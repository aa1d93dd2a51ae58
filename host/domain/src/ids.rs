//! Identifiers. Each is parsed once, at the edge; inside, a value of the type is proof of its form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod kinds;

pub use kinds::{Form, Kind};

/// A text that is not of the form its type asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind}: {expected}")]
pub struct InvalidId {
    /// What was parsed, cut to 80 characters.
    pub text: String,
    /// What it should have been.
    pub kind: Kind,
    /// The rule that it breaks.
    pub expected: Form,
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $kind:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.parse().map(Self).map_err(|_| invalid(text, Kind::$kind, Form::Number))
            }
        }
    };
}

number!(/** Our durable record of one work item's way. */ TaskId, Task);
number!(/** A persisted effect; the same over all attempts. */ JobId, Job);
number!(/** One launch of an agent or of a command under a shim: the id of the job that launched it. */ RunId, Run);
number!(/** One asking of a plugin. */ EvaluationId, Evaluation);
number!(/** One raw request that arrived. */ DeliveryId, Delivery);
number!(/** A document kept in the store. */ DocumentId, Document);
number!(/** Grows with each change of a task. */ Version, Version);
number!(/** Grows whenever a task's activity changes; what carries an older one is late. */ Epoch, Epoch);
number!(/** Fences a lease: of a name it only grows. */ FenceToken, FenceToken);
number!(/** One log-in of a browser. */ SessionId, Session);

fn invalid(text: &str, kind: Kind, expected: Form) -> InvalidId {
    InvalidId { text: text.chars().take(80).collect(), kind, expected }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $kind:ident, $expected:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses one.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) { Ok(Self(text)) } else { Err(invalid(&text, Kind::$kind, Form::$expected)) }
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

fn is_word(text: &str) -> bool {
    text.len() <= 64
        && !text.is_empty()
        && text
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
}

fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !text.contains("..")
        && !ends_in_lock(text)
        && !text.ends_with('.')
}

/// Git locks a name by a file of this ending.
fn ends_in_lock(text: &str) -> bool {
    text.rsplit_once('.').is_some_and(|(_, ending)| ending.eq_ignore_ascii_case("lock"))
}

fn is_branch(text: &str) -> bool {
    text.len() <= 200
        && text.split('/').all(is_branch_part)
        && !text.starts_with('-')
        && !text.contains("..")
        && !text.contains("@{")
        && text != "HEAD"
}

fn is_branch_part(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('.')
        && !part.ends_with('.')
        && !ends_in_lock(part)
        && part.chars().all(|character| !character.is_control() && !" ~^:?*[\\\u{7f}".contains(character))
}

fn is_hex(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

text!(/** A project of the operator's files. */ ProjectName, Project, Name, is_name);
text!(/** The tracker's human key, e.g. `ORCH-094`; it names a folder, so its form is narrow. */ WorkItemId, WorkItem, Name, is_name);
text!(/** A stage of a pipeline. */ StageName, Stage, Word, is_word);
text!(/** A step of an edge. */ StepName, Step, Word, is_word);
text!(/** A plugin, as a manifest names it. */ PluginId, Plugin, Word, is_word);
text!(/** The right to do something: `merge` or `deploy` of a project. */ LeaseName, Lease, Word, is_word);
text!(/** What an agent's runs have in common whoever works by them: one service, one account. The program's name unless the file says otherwise. */ DriverName, Driver, Name, is_name);
text!(/** A token of the operator's API, as people call it. */ TokenName, Token, Name, is_name);
text!(/** A git branch, without `refs/heads/`. */ BranchName, Branch, Branch, is_branch);
text!(/** A git object id. */ CommitId, Commit, Commit, |text| is_hex(text, &[40, 64]));
text!(/** The sha256 of a blob, a component or a pipeline. */ Digest, Digest, Sha256, |text| is_hex(text, &[64]));

impl Digest {
    /// The sha256 of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use fmt::Write as _;
        use sha2::Digest as _;
        let mut text = String::with_capacity(64);
        for byte in sha2::Sha256::digest(bytes) {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }
}

/// Who did something: a person's or a token's name, or the host itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Actor {
    /// The host by itself.
    Host,
    /// A named token of the operator's API.
    Token(String),
    /// A browser that logged in with a named token.
    Session {
        /// The token's name.
        token: String,
        /// Which of its log-ins.
        session: SessionId,
    },
    /// A person whom the tracker names.
    Person(String),
}

impl fmt::Display for Actor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => formatter.write_str("host"),
            Self::Token(name) | Self::Session { token: name, .. } | Self::Person(name) => formatter.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests;
