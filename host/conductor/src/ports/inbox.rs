//! The inbox's port: where the deliveries of trackers and forges outside are kept, and what becomes of them.

use domain::ids::{DeliveryId, ProjectName, TaskId, WorkItemId};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use webhooks::{Fact, Headers, Source};

use super::store::StoreError;

/// A delivery as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Who sent it.
    pub source: Source,
    /// Whose it is, and whether its sender proved to know a secret of theirs. More than one where several bind one repository.
    pub projects: Vec<(ProjectName, bool)>,
    /// Sha256: a second delivery of a project under the same key is a repeat.
    pub key: [u8; 32],
    /// The sender's id of it.
    pub sent_as: Option<String>,
    /// The sender's word for the event.
    pub word: String,
    /// Those that are kept.
    pub headers: Headers,
    /// Raw.
    pub body: Vec<u8>,
    /// When.
    pub at: Timestamp,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is kept.
    New,
    /// It was kept before, for each project that it is for.
    Repeat,
}

/// Called once, when it is certain what became of a delivery, on the thread that writes: it must not wait for anything.
pub type Answer = Box<dyn FnOnce(Result<Received, StoreError>) + Send>;

/// Keeps deliveries.
pub trait Inbox: Send + Sync {
    /// Puts a delivery in line for the next commit. The call itself waits only where more than 1,000 others stand in line; the answer
    /// comes when the delivery is on the disk.
    fn receive(&self, delivery: NewDelivery, answer: Answer);
}

/// A delivery of somebody outside that nobody has read yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Its id.
    pub id: DeliveryId,
    /// Who sent it.
    pub source: Source,
    /// Whose.
    pub project: ProjectName,
    /// Who sent it proved it.
    pub verified: bool,
    /// Those that are kept.
    pub headers: Headers,
    /// Raw.
    pub body: Vec<u8>,
    /// When it came.
    pub at: Timestamp,
}

/// A hint that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub id: DeliveryId,
    /// What is so, by its word.
    pub facts: Vec<Fact>,
    /// What it is good for, for people.
    pub effect: String,
    /// It could not be read, and people may look why.
    pub parked: bool,
}

/// Which deliveries are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this sender: `board`, `plane`, `gitea`.
    pub source: Option<String>,
    /// Of this project.
    pub project: Option<ProjectName>,
    /// In this state: `pending`, `expanded`, `parked`.
    pub state: Option<String>,
    /// Older than this one.
    pub before: Option<DeliveryId>,
}

/// A delivery, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// Its id here.
    pub id: DeliveryId,
    /// `board`, `plane`, `gitea`.
    pub source: String,
    /// Whose.
    pub project: ProjectName,
    /// The work item, where it is known.
    pub work_item: Option<WorkItemId>,
    /// The sender's id of it.
    pub sent_as: Option<String>,
    /// The sender's word for the event.
    pub word: Option<String>,
    /// Whether its sender proved who it is; none: it came from this host's own board.
    pub verified: Option<bool>,
    /// How often it came again.
    pub repeats: u64,
    /// Nobody told of it: the host found it in the tracker's log.
    pub polled: bool,
    /// When it came first.
    pub received_at: Timestamp,
    /// `pending`, `expanded`, `parked`.
    pub state: String,
    /// What it was good for, or why it is parked.
    pub effect: Option<String>,
    /// The task that it was an intent for.
    pub task: Option<TaskId>,
    /// When that was decided.
    pub closed_at: Option<Timestamp>,
    /// Failed tries so far.
    pub attempts: u32,
    /// Bytes of its body.
    pub size: u64,
}

/// A delivery with all that was kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeDelivery {
    /// What listings show.
    pub row: DeliveryRow,
    /// Those that were kept.
    pub headers: Headers,
    /// Raw.
    pub body: Vec<u8>,
}
