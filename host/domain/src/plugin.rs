//! What the host knows of a plugin: its kind, what it asks for, what it was granted, its limits.

pub mod call;
pub mod capability;
pub mod world;

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, PluginId};
use crate::time::Milliseconds;

pub use call::{
    BoardStatus, EdgeName, EffectView, EstimatorQuestion, Failure, Figures, Flaw, Forecast, GateSubject, GuardDecision,
    GuardDestination, GuardQuestion, MapperIntent, NoticeLink, NoticeRow, NoticeView, NotifierNotice, RunView,
    Standing, StatusChange, StatusGroup, TaskView, Urgency,
};
pub use capability::{Capability, CapabilityError, Family, HttpOrigin};
pub use world::{
    ChangeKind, ChangedFile, Check, CheckState, Comment, CommitInfo, Denial, DocumentInfo, EntryKind, HostError,
    PullRequest, Refusal, Revision, UpstreamFailure, WorkItemView,
};

/// The five kinds of plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginKind {
    /// May this task pass here?
    Gate,
    /// May the host perform this effect now?
    Guard,
    /// What will this work item cost?
    Estimator,
    /// This happened.
    Notifier,
    /// What does this change mean, and how does this standing look?
    StatusMapper,
}

impl PluginKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Gate, Self::Guard, Self::Estimator, Self::Notifier, Self::StatusMapper];

    /// The word for it; its package and interface in the WIT are called the same.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Guard => "guard",
            Self::Estimator => "estimator",
            Self::Notifier => "notifier",
            Self::StatusMapper => "status-mapper",
        }
    }
}

impl std::fmt::Display for PluginKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What is odd about a component but no reason to refuse it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// It asks for what it does not use.
    #[error("it asks for `{capability}` and imports no function of it")]
    Unused {
        /// Which one.
        capability: Capability,
    },
    /// Nobody wrote down what it needs.
    #[error("it has no section gatewright:request, and so asks for nothing")]
    NoRequest,
}

/// As its text.
impl Serialize for Warning {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a component says of itself, as read from its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginInfo {
    /// Under which name it was loaded; none: it was only inspected.
    pub id: Option<PluginId>,
    /// The sha256 of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// What it is.
    pub kind: PluginKind,
    /// What it asks for.
    pub request: Request,
    /// The functions of `gatewright:*` that it imports, e.g. `gatewright:repo/repo@0.1.0#read`.
    pub functions: Vec<String>,
    /// What is odd about it but no reason to refuse it.
    pub warnings: Vec<Warning>,
}

/// What a component asks for: its section `gatewright:request`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// In the order of the section; each capability once.
    pub entries: Vec<RequestEntry>,
}

impl Request {
    /// The entries of one family.
    pub fn of(&self, family: Family) -> impl Iterator<Item = &RequestEntry> {
        self.entries.iter().filter(move |entry| entry.capability.family() == family)
    }
}

/// One thing that a component asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestEntry {
    /// What.
    pub capability: Capability,
    /// Why, in the author's words, made visible; at most 300 characters.
    pub reason: String,
    /// It copes with a denial.
    pub optional: bool,
    /// `http` only: the name by which the guest calls a credential.
    pub credential: Option<String>,
}

/// What an operator gave a plugin, in one project, for one digest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// What it may do.
    pub capabilities: Vec<Capability>,
    /// What it asked for and shall not have; it loads all the same, and is denied when it tries.
    #[serde(default)]
    pub refused: Vec<Capability>,
    /// Guards: what they may amend of an effect.
    #[serde(default)]
    pub amend: Vec<Amendable>,
}

/// What a guard may amend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amendable {
    /// The phase that a `set-status` shows.
    Phase,
    /// The text of a comment or notice.
    Text,
}

/// What no plugin of this host may do more than, whatever projects grant. There is no default: the host's file says which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ceiling {
    /// The host sets none: the projects' grants are the bound.
    Open,
    /// These at most.
    AtMost(Vec<Capability>),
}

/// What one call of a plugin may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Bytes over all memories and tables of the call; what the permit weighs.
    pub memory_bytes: u64,
    /// Elements over all tables.
    pub table_elements: u64,
    /// Time spent in wasm, in ticks of 10 ms: time in host calls does not count.
    pub wasm_time: Milliseconds,
    /// Time of the whole call, from instantiation to the end of post-return.
    pub evaluation_time: Milliseconds,
    /// Time of one host call; past it the guest gets `timeout`. Always cut to what is left of the evaluation.
    pub host_call_time: Milliseconds,
    /// Calls of capability functions.
    pub calls: u64,
    /// Calls of everything else that the host links: log, clock and WASI.
    pub idle_calls: u64,
    /// Bytes of all host answers together.
    pub answer_bytes: u64,
    /// Bytes of one host call's arguments.
    pub argument_bytes: u64,
    /// Handles that live at the same time.
    pub resources: u32,
    /// Bytes of log, stdout and stderr together.
    pub output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            memory_bytes: 64 * MIB,
            table_elements: 100_000,
            wasm_time: Milliseconds::from_seconds(2),
            evaluation_time: Milliseconds::from_seconds(30),
            host_call_time: Milliseconds::from_seconds(10),
            calls: 10_000,
            idle_calls: 2_000_000,
            answer_bytes: 16 * MIB,
            argument_bytes: 2 * MIB,
            resources: 1_000,
            output_bytes: 256 * 1024,
        }
    }
}
