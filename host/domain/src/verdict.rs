//! The verdict algebra: what a step of an edge answers, whoever answers it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::{Milliseconds, Timestamp};

/// What a step answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// The task may go on.
    Pass {
        /// For people; at most 4,000 characters.
        note: String,
        /// What was not checked, and why that is let pass. Never more than warnings, whatever their severity.
        warnings: Vec<Finding>,
        /// Measured values.
        figures: Vec<Fact>,
    },
    /// The work is at fault.
    Fail {
        /// Why; never empty.
        findings: Vec<Finding>,
        /// Measured values.
        figures: Vec<Fact>,
    },
    /// The system is at fault.
    Infra {
        /// What kind of fault.
        cause: InfraCause,
        /// A sentence for people.
        message: String,
        /// The step is asked again no sooner than after this.
        retry_after: Option<Milliseconds>,
    },
    /// Not yet.
    Wait {
        /// When to ask again.
        until: Timestamp,
        /// What may end the wait earlier.
        wake: WakeSet,
        /// For people.
        why: String,
    },
    /// A person must act.
    Hold {
        /// Which kind of acting.
        kind: GateHold,
        /// For people.
        reason: String,
        /// What the person should know.
        findings: Vec<Finding>,
    },
    /// The step has no say here: as `pass`, and said so.
    NotApplicable {
        /// For people.
        why: String,
    },
}

impl Verdict {
    /// The word of the case, for tables, metrics and rows.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pass { .. } => "pass",
            Self::Fail { .. } => "fail",
            Self::Infra { .. } => "infra",
            Self::Wait { .. } => "wait",
            Self::Hold { .. } => "hold",
            Self::NotApplicable { .. } => "not-applicable",
        }
    }

    /// Whether this lets the task over the step.
    pub const fn opens(&self) -> bool {
        matches!(self, Self::Pass { .. } | Self::NotApplicable { .. })
    }

    /// An `infra` without a time to wait for.
    pub fn infra(cause: InfraCause, message: impl Into<String>) -> Self {
        Self::Infra { cause, message: message.into(), retry_after: None }
    }
}

/// One reason in a verdict. Text only, no markup: each sink escapes it once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// A stable kebab-case name of the rule; `unnamed` where the plugin gave none of that form.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// One line, at most 200 characters.
    pub title: String,
    /// At most 16,000 characters.
    pub detail: String,
    /// Relative to the repository's root, without `..`.
    pub path: Option<String>,
    /// Counts from 1.
    pub line: Option<u32>,
    /// An `http` or `https` address.
    pub help: Option<String>,
}

/// How bad a finding is; `blocker` and `major` are what the next run must mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Nothing may pass with it.
    Blocker,
    /// Must be mended.
    Major,
    /// Should be mended.
    Minor,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocker => "blocker",
            Self::Major => "major",
            Self::Minor => "minor",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A key with a JSON value: what came after a record was frozen, or a measured figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// A kebab-case word.
    pub key: String,
    /// JSON text, at most 64 KiB.
    pub value: String,
}

/// A kind of fact that may end a wait early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WakeKind {
    /// A check of the commit was reported.
    Checks,
    /// The pull request changed.
    PullRequest,
    /// The branch moved.
    Push,
    /// The work item's status changed.
    Status,
    /// The work item's labels changed.
    Labels,
    /// Somebody commented on the work item.
    Comment,
    /// A command that the gate started ended.
    Exec,
}

impl WakeKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Checks, Self::PullRequest, Self::Push, Self::Status, Self::Labels, Self::Comment, Self::Exec];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Checks => "checks",
            Self::PullRequest => "pull-request",
            Self::Push => "push",
            Self::Status => "status",
            Self::Labels => "labels",
            Self::Comment => "comment",
            Self::Exec => "exec",
        }
    }
}

impl fmt::Display for WakeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The kinds of facts that may end a wait early.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WakeSet(pub BTreeSet<WakeKind>);

impl WakeSet {
    /// A set that only time ends.
    pub const fn empty() -> Self {
        Self(BTreeSet::new())
    }

    /// Whether a fact of this kind ends the wait.
    pub fn contains(&self, kind: WakeKind) -> bool {
        self.0.contains(&kind)
    }

    /// The kinds, in their order.
    pub fn iter(&self) -> impl Iterator<Item = WakeKind> + '_ {
        self.0.iter().copied()
    }

    /// Whether only time ends the wait.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<WakeKind> for WakeSet {
    fn from_iter<I: IntoIterator<Item = WakeKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().collect())
    }
}

/// Who must act when a gate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateHold {
    /// Somebody has questions to answer; the task is parked, the queue goes on.
    NeedsInput,
    /// Somebody has to mend something.
    Blocked,
}

/// Why the system, and not the work, is at fault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InfraCause {
    /// The evaluation's time, or its ticks of wasm time, ran out.
    Time,
    /// Too many calls of the host.
    Calls,
    /// A memory grew, or tried to grow, past the limit over all memories.
    Memory,
    /// A table grew, or tried to grow, past the limit.
    Table,
    /// The guest's stack ran out.
    Stack,
    /// Too many resources, or too much lowered into the guest.
    Resources,
    /// The answer, or the log, was larger than it may be.
    Output,
    /// The answer broke a rule of its type.
    InvalidAnswer,
    /// A capability was denied that the request does not call optional.
    Denied,
    /// A quota of the plugin is used up.
    Exhausted,
    /// The guest called `exit`.
    Exit,
    /// The guest trapped.
    Trap,
    /// A host answer was larger than the guest may be given.
    TooLarge,
    /// What the evaluation needs is not there: the plugin is not loaded, the host has no such function yet.
    Unavailable,
    /// The guest itself answered `infra`; the word that it gave, `unnamed` where it gave a sentence.
    Guest(String),
    /// The host's own fault, outside any guest: which one.
    Host(String),
}

impl InfraCause {
    /// The word of the cause, for metrics and rows.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Time => "time",
            Self::Calls => "calls",
            Self::Memory => "memory",
            Self::Table => "table",
            Self::Stack => "stack",
            Self::Resources => "resources",
            Self::Output => "output",
            Self::InvalidAnswer => "invalid-answer",
            Self::Denied => "denied",
            Self::Exhausted => "exhausted",
            Self::Exit => "exit",
            Self::Trap => "trap",
            Self::TooLarge => "too-large",
            Self::Unavailable => "unavailable",
            Self::Guest(_) => "guest",
            Self::Host(_) => "host",
        }
    }
}

impl fmt::Display for InfraCause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest(word) => write!(formatter, "guest: {word}"),
            Self::Host(text) => write!(formatter, "host: {text}"),
            _ => formatter.write_str(self.as_str()),
        }
    }
}
