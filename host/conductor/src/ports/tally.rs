//! The tally's port: told of what happened once the store has it, to count it or to draw it. It answers nothing, and nothing waits
//! for it: whoever stands behind it must neither block nor fail.

use domain::effect::{Claim, Job};
use domain::event::Event;
use domain::ids::{DeliveryId, DriverName};
use domain::task::Task;
use domain::time::Timestamp;

use super::store::{Applied, NewEvaluation, RunRow};

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum Fact<'a> {
    /// A claimed job is taken in hand.
    Began {
        /// Which.
        claim: &'a Claim,
        /// When.
        at: Timestamp,
    },
    /// A job was closed with what came of it.
    Completed {
        /// Which.
        claim: &'a Claim,
        /// What came of it.
        event: &'a Event,
        /// What that did to its task.
        applied: &'a Applied,
        /// The run that ended with it.
        run: Option<&'a RunRow>,
        /// When.
        at: Timestamp,
    },
    /// A run ended, or never began.
    RunEnded {
        /// Whose.
        task: &'a Task,
        /// As it stands in the store.
        run: &'a RunRow,
        /// The agent driver; none: a command.
        driver: Option<&'a DriverName>,
        /// What it was launched for; none: its job was cancelled, and nobody looks any more.
        job: Option<&'a Job>,
    },
    /// A plugin was asked.
    Evaluated {
        /// What it answered, and how long it took.
        evaluation: &'a NewEvaluation,
    },
    /// A delivery was looked at.
    Expanded {
        /// `board`, `plane`, `gitea`.
        source: &'a str,
        /// What came of it.
        outcome: Expanded,
        /// What it told; none: no task.
        told: Option<Told<'a>>,
    },
}

/// A delivery that was told to tasks.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Which.
    pub delivery: DeliveryId,
    /// When it came.
    pub received_at: Timestamp,
    /// When tasks were told.
    pub at: Timestamp,
    /// What that did to each.
    pub applied: &'a [Applied],
}

/// What came of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expanded {
    /// A task was told of it.
    Told,
    /// It means nothing.
    Nothing,
    /// A person must look at it.
    Parked,
    /// It is looked at again later.
    Later,
}

impl Expanded {
    /// As labels of metrics spell it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Nothing => "nothing",
            Self::Parked => "parked",
            Self::Later => "later",
        }
    }
}

/// Told of facts.
pub trait Tally: Send + Sync {
    /// Something happened.
    fn note(&self, fact: Fact<'_>);
}
