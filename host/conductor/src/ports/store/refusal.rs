//! What the store refuses, and what it does not find: values, so that whoever tells people words them in their language.

use std::fmt;

use domain::ids::{DeliveryId, ProjectName, TaskId, TokenName, WorkItemId};
use engine::dependencies::{MOST_NEEDS, around};

use super::StoreError;

/// Why what was asked for is not possible as things stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A task of a work item would wait for that work item.
    #[error("{item} cannot need itself")]
    NeedsItself {
        /// Which one.
        item: WorkItemId,
    },
    /// Tasks would wait for each other.
    #[error("that would be a cycle: {}", around(.items))]
    Cycle {
        /// Each needs the next one, the last the first.
        items: Vec<WorkItemId>,
    },
    /// A task would wait for one of another project.
    #[error("{item} is of the project `{theirs}`: a task needs only tasks of its own, `{ours}`")]
    OtherProject {
        /// Which one.
        item: WorkItemId,
        /// Its project.
        theirs: ProjectName,
        /// The project of the task that would wait.
        ours: ProjectName,
    },
    /// A task would wait for ever.
    #[error("{item} was stopped and will not be done: start it again first")]
    WillNotBeDone {
        /// Which one.
        item: WorkItemId,
    },
    /// A card names more tasks than its own may need.
    #[error("{named} tasks are named; one task may need {MOST_NEEDS}")]
    NeedsTooMany {
        /// How many.
        named: usize,
    },
    /// Only what could not be read is read again.
    #[error("delivery {delivery} is {state}; only one that is parked is read again")]
    NotParked {
        /// Which one.
        delivery: DeliveryId,
        /// How it stands.
        state: String,
    },
    /// The audit speaks of a token of this name.
    #[error("a token `{name}` {}, and the audit speaks of it; choose another name, `{name}-2` for one", stands(*.revoked))]
    TokenKnown {
        /// Which name.
        name: TokenName,
        /// It is a token no more.
        revoked: bool,
    },
    /// The host has a token of this name in a file of its own.
    #[error("the token of the host's own file is called `{name}`; choose another name")]
    OwnToken {
        /// Which name.
        name: TokenName,
    },
    /// Who has the file has the token, whatever the store says.
    #[error(
        "`{name}` is the token of the host's own file: remove the file `operator-token` and start the host again, and it makes \
         another one"
    )]
    OwnTokenStays {
        /// Which name.
        name: TokenName,
    },
    /// Another hand wrote the task first.
    #[error("task {task} was changed meanwhile")]
    Changed {
        /// Which one.
        task: TaskId,
    },
    /// The task would outgrow the bound of its record.
    #[error("the record of task {task} would be {bytes} bytes, {most} is too many")]
    TooLarge {
        /// Which one.
        task: TaskId,
        /// How large.
        bytes: usize,
        /// What is too many.
        most: usize,
    },
    /// Deciding broke, and so did deciding what follows from that.
    #[error("nothing can be decided about task {task}: {why}")]
    Undecided {
        /// Which one.
        task: TaskId,
        /// What broke.
        why: String,
    },
    /// What a library, the database or the disk says, or what no request of a person leads to.
    #[error("{0}")]
    Inside(String),
}

impl StoreError {
    /// A refusal in the words of a library, of the disk, or of what no request of a person leads to.
    pub fn inside(why: impl Into<String>) -> Self {
        Self::Refused(Refusal::Inside(why.into()))
    }
}

const fn stands(revoked: bool) -> &'static str {
    if revoked { "was revoked" } else { "is there" }
}

/// Of what kind a row is that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A blob.
    Blob,
    /// A branch of a project.
    Branch,
    /// A delivery.
    Delivery,
    /// An evaluation.
    Evaluation,
    /// A job.
    Job,
    /// A project.
    Project,
    /// A run.
    Run,
    /// A task.
    Task,
    /// A task of a work item.
    TaskFor,
    /// A token.
    Token,
    /// A work item.
    WorkItem,
}

impl Thing {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Blob,
        Self::Branch,
        Self::Delivery,
        Self::Evaluation,
        Self::Job,
        Self::Project,
        Self::Run,
        Self::Task,
        Self::TaskFor,
        Self::Token,
        Self::WorkItem,
    ];

    /// As sentences call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Branch => "branch",
            Self::Delivery => "delivery",
            Self::Evaluation => "evaluation",
            Self::Job => "job",
            Self::Project => "project",
            Self::Run => "run",
            Self::Task => "task",
            Self::TaskFor => "task for",
            Self::Token => "token",
            Self::WorkItem => "work item",
        }
    }
}

impl fmt::Display for Thing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
