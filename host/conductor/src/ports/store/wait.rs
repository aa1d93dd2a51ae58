//! Why a job that is queued is not claimed: one reason each.

use std::fmt;

use domain::ids::{TaskId, WorkItemId};
use serde::{Deserialize, Serialize};

/// Why a job is not claimed yet. Where several hold it, the first of this order is told: what only a person moves comes before
/// what other tasks move, and that before what passes by itself. What stands between the jobs of one task comes last, and then
/// damage: who is held by nothing else is held by that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum WaitReason {
    /// The repository is frozen and admits no new task.
    Freeze,
    /// The task needs another one, which is not done.
    Dependency {
        /// Which.
        waits_for: Predecessor,
        /// Why that one does not count as done.
        prerequisite: Unmet,
    },
    /// The project is serial, and an earlier task has not ended.
    ActiveTask {
        /// Which.
        waits_for: Predecessor,
    },
    /// Another task holds or awaits the lease before this one.
    Lease,
    /// Too little of the disk is free to launch anything.
    Space,
    /// The program that it would execute is not there.
    Program,
    /// No slot is free.
    Slot,
    /// The service behind its agent refuses, again and again.
    Breaker,
    /// Its time has not come.
    Time,
    /// Another job of the same task comes first.
    Turn,
    /// What it needs cannot be read. It was set aside, and only whoever mends the record brings it back.
    Damaged,
}

/// A task that another one waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    /// Its number.
    pub task: TaskId,
    /// The tracker's key.
    pub work_item: WorkItemId,
}

/// Why a prerequisite does not count as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unmet {
    /// It is on its way.
    Unfinished,
    /// It was stopped: without a person it will never be done.
    Cancelled,
}

/// What a task needs, and how that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prerequisite {
    /// Which, as it was named.
    pub needs: Predecessor,
    /// Why it does not count as done; none: it does.
    pub unmet: Option<Unmet>,
}

impl WaitReason {
    /// As rows, listings and labels of metrics spell it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::Dependency { .. } => "dependency",
            Self::ActiveTask { .. } => "active-task",
            Self::Lease => "lease",
            Self::Space => "space",
            Self::Program => "program",
            Self::Slot => "slot",
            Self::Breaker => "breaker",
            Self::Time => "time",
            Self::Turn => "turn",
            Self::Damaged => "damaged",
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Freeze => formatter.write_str("the repository is frozen"),
            Self::Dependency { waits_for, prerequisite: Unmet::Unfinished } => {
                write!(formatter, "it needs {}, which is not done", waits_for.work_item)
            }
            Self::Dependency { waits_for, prerequisite: Unmet::Cancelled } => {
                write!(formatter, "it needs {}, which was stopped and will not be done", waits_for.work_item)
            }
            Self::ActiveTask { waits_for } => {
                write!(formatter, "the project takes one task at a time, and {} came before", waits_for.work_item)
            }
            Self::Lease => formatter.write_str("another task holds the lease that it needs"),
            Self::Space => formatter.write_str("too little of the disk is free to launch anything"),
            Self::Program => formatter.write_str("its program is not there"),
            Self::Slot => formatter.write_str("all slots are taken"),
            Self::Breaker => formatter.write_str("the service behind its agent refuses"),
            Self::Time => formatter.write_str("its time has not come"),
            Self::Turn => formatter.write_str("another job of this task comes first"),
            Self::Damaged => formatter.write_str("its record is damaged"),
        }
    }
}
