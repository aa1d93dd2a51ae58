//! What host calls answer: twins of the records in `wit/`, since this is a real boundary.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{CommitId, DocumentId, RunId, StageName};
use crate::plugin::call::BoardStatus;
use crate::time::Timestamp;
use crate::verdict::Fact;

/// Why a capability did not answer. Texts are for people; no secret and no address with a credential is ever in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum HostError {
    /// The broker refused; it keeps this in mind.
    #[error("{0}")]
    Denied(Denial),
    /// No such path, document, revision, run.
    #[error("not found")]
    NotFound,
    /// Larger than a host answer may be: the limit in bytes.
    #[error("larger than {0} bytes")]
    TooLarge(u64),
    /// The call's own limit in time passed. What it was to do may have been done.
    #[error("the call took too long")]
    Timeout,
    /// The tracker or forge answered with an error.
    #[error("{0}")]
    Upstream(UpstreamFailure),
    /// The plugin's own mistake in the arguments.
    #[error("invalid: {0}")]
    Invalid(String),
    /// A quota of this plugin is used up: which one.
    #[error("used up: {0}")]
    Exhausted(String),
    /// It is not there now.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// A capability that the broker refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Denial {
    /// As a manifest spells it, e.g. `http:https://api.telegram.org`.
    pub capability: String,
    /// Who refused.
    pub refused_by: Refusal,
}

impl fmt::Display for Denial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { capability, refused_by } = self;
        match refused_by {
            Refusal::NotRequested => write!(formatter, "`{capability}` is denied: the component does not request it"),
            Refusal::NotGranted => write!(formatter, "`{capability}` is denied: the project does not grant it"),
            Refusal::AboveCeiling => write!(formatter, "`{capability}` is denied: the host's ceiling is lower"),
        }
    }
}

/// Who refused a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// The component's own request does not hold it.
    NotRequested,
    /// The project's grant does not.
    NotGranted,
    /// The host's ceiling does not.
    AboveCeiling,
}

/// What a tracker or forge answered instead of what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamFailure {
    /// The HTTP status; 0: it answered, but not in a way that could be read.
    pub status: u16,
    /// For people.
    pub message: String,
    /// Milliseconds to wait, if it said so.
    pub retry_after_ms: Option<u64>,
}

impl fmt::Display for UpstreamFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            0 => write!(formatter, "an answer that could not be read: {}", self.message),
            status => write!(formatter, "status {status}: {}", self.message),
        }
    }
}

/// One of the three commits that an evaluation sees; all stay the same during it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Revision {
    /// The commit under judgement.
    Subject,
    /// The newest commit that branch and base branch share.
    ForkPoint,
    /// The base branch's head.
    BaseHead,
}

/// What a path in a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A file.
    File,
    /// A file with the executable bit.
    Executable,
    /// A symbolic link.
    Symlink,
    /// Another repository's commit.
    Submodule,
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// Its content changed.
    Modified,
    /// It is gone.
    Deleted,
    /// It had another path.
    Renamed,
    /// It is a copy.
    Copied,
    /// It is of another kind than before.
    TypeChanged,
}

/// One path of `fork-point..subject`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// Relative to the root.
    pub path: String,
    /// Renamed, copied: from where.
    pub old_path: Option<String>,
    /// What happened.
    pub change: ChangeKind,
    /// After the change; of a deleted one: before.
    pub kind: EntryKind,
    /// It has no lines.
    pub binary: bool,
    /// Lines that are new.
    pub added_lines: u32,
    /// Lines that are gone.
    pub deleted_lines: u32,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitInfo {
    /// Its id.
    pub id: CommitId,
    /// What it rests on.
    pub parents: Vec<CommitId>,
    /// As git has it.
    pub author: String,
    /// As git has it.
    pub committed_at: Timestamp,
    /// The whole message.
    pub message: String,
    /// The run that it came from, if the host knows.
    pub run: Option<RunId>,
}

/// A document, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentInfo {
    /// By which it is read.
    pub id: DocumentId,
    /// What it is: an open set of words.
    pub kind: String,
    /// The file's name.
    pub name: String,
    /// In which stage it was written.
    pub stage: StageName,
    /// In which visit of it.
    pub visit: u32,
    /// Written in the visit under judgement, by the hand that owns the kind.
    pub current: bool,
    /// None: the host wrote it.
    pub run: Option<RunId>,
    /// When.
    pub written_at: Timestamp,
    /// Bytes.
    pub size: u64,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckState {
    /// Not finished.
    Pending,
    /// Good.
    Success,
    /// Skipped, cancelled, a warning.
    Neutral,
    /// The work is at fault.
    Failure,
    /// The check is at fault.
    Error,
}

/// A check of a commit at the forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: CheckState,
    /// The forge's own word.
    pub raw: String,
    /// When it was reported.
    pub at: Timestamp,
    /// Where to read more.
    pub url: Option<String>,
    /// For people.
    pub description: String,
    /// The forge's own number of this report; none: nobody numbered it.
    #[serde(default)]
    pub report: Option<u64>,
}

impl Check {
    /// Whether it takes the place of what stands under its name. A forge counts time by the second and delivers in any order, so of
    /// two that it numbered the later number counts; else the later time, and at one time what comes later.
    pub fn supersedes(&self, stands: &Self) -> bool {
        match (self.report, stands.report) {
            (Some(own), Some(other)) if own != other => own > other,
            _ => self.at >= stands.at,
        }
    }
}

/// The pull request of the task's branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// Its number at the forge.
    pub number: u64,
    /// The branch's head as the forge has it.
    pub head: CommitId,
    /// The base branch's name.
    pub base: String,
    /// It is merged.
    pub merged: bool,
    /// None: the forge has not worked it out yet.
    pub mergeable: Option<bool>,
    /// Where to read it.
    pub url: String,
}

/// A work item as the tracker has it now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkItemView {
    /// One line.
    pub title: String,
    /// Plain text.
    pub description: String,
    /// As the board names it.
    pub status: BoardStatus,
    /// All of them.
    pub labels: Vec<String>,
    /// Where to read it.
    pub url: Option<String>,
    /// What came later than the record.
    pub more: Vec<Fact>,
}

/// A comment on a work item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Who wrote it.
    pub author: String,
    /// The host wrote it.
    pub by_us: bool,
    /// Plain text.
    pub text: String,
    /// When.
    pub at: Timestamp,
}
