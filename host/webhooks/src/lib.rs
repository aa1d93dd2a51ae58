//! Webhook requests of trackers and forges, without any I/O: their signature, their key, whom they are for, the event that they
//! tell of, and what that means here.
//!
//! The order is the listener's: [`signed`] gives the bytes that were signed (of a form the field `payload`), [`Signature`] checks
//! them, [`inspect`] refuses what is no JSON and says which project is meant, and the request is committed. What it tells is found
//! out later by [`decode`], and what that is good for by [`meaning`].
//!
//! A request is somebody else's text. Every field may be missing, null, of another type or under another name; what is not there is
//! none, never an error and never a guess. What is too long is cut. No input makes any of this panic.
//!
//! **Invariant:** no event is an intent. It is a hint at something to look at, or a fact about a commit or branch.

mod event;
mod gitea;
mod headers;
mod key;
mod look;
mod meaning;
mod payload;
mod plane;
mod route;
mod signature;
mod stored;
mod words;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use event::{
    Branch, BranchPushed, CheckReported, Comment, Event, Issue, ItemComment, Label, Lines, Person, ProjectChanged,
    PullRequest, RefChanged, RepositoryChanged, Review, Status, WorkItem, Workflow,
};
pub use headers::Headers;
pub use key::{delivery_id, key};
pub use meaning::{Fact, Looks, Meaning, meaning};
pub use payload::{DEEPEST, PayloadError, signed};
pub use route::{Inspected, inspect, names_event};
pub use signature::{LONGEST_SECRET, SHORTEST_SECRET, Secret, SecretError, Signature};
pub use stored::{StoredRequest, Unreadable};
pub use words::{Change, Field, PullRequestAction, Verdict};

/// Whose webhooks these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The tracker.
    Plane,
    /// The forge, and its kin.
    Gitea,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Plane, Self::Gitea];

    /// The word under which its deliveries are kept; also the last part of the listener's path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plane => "plane",
            Self::Gitea => "gitea",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// There is no such source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no source `{0}`; there are `plane` and `gitea`")]
pub struct UnknownSource(String);

impl FromStr for Source {
    type Err = UnknownSource;

    fn from_str(text: &str) -> Result<Self, UnknownSource> {
        let found = Self::ALL.into_iter().find(|source| source.as_str() == text);
        found.ok_or_else(|| UnknownSource(text.chars().take(40).collect()))
    }
}

/// Why a request tells of no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Its body is not what its headers say.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// It is none of ours.
    #[error("this is no event that we know: {0}")]
    Unknown(String),
}

/// The event that a request tells of.
pub fn decode(source: Source, headers: &Headers, body: &[u8]) -> Result<Event, DecodeError> {
    let signed = signed(source, headers, body)?;
    let value = payload::value(&signed)?;
    match source {
        Source::Plane => plane::decode(headers, &value),
        Source::Gitea => gitea::decode(headers, &value),
    }
}
