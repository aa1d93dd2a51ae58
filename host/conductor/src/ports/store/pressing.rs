//! What a person wants who saw how things stood. That is compared in the transaction that acts: of two who press at once the second
//! hears what happened meanwhile, and does nothing.

use domain::event::Intent;
use domain::ids::{Actor, ProjectName, StepName, TaskId, WorkItemId};
use domain::task::{Activity, HoldKind, Task};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AppliedSeen, BoardItem, FreezeRow, NewItem, Predecessor, Seen, StoreError};

/// Several live tasks that somebody means together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// All, or those of a project.
    Live(Option<ProjectName>),
    /// Those that a person paused.
    Paused(Option<ProjectName>),
    /// Those that are held by this cause at this step.
    Held {
        /// The cause.
        cause: HoldKind,
        /// None: at no step.
        step: Option<StepName>,
    },
}

impl Group {
    /// Whether a live task is one of them.
    pub fn has(&self, task: &Task) -> bool {
        let is_of = |project: &Option<ProjectName>| project.as_ref().is_none_or(|name| task.project == *name);
        match (self, &task.position.activity) {
            (Self::Live(project), _) => is_of(project),
            (Self::Paused(_), Activity::Stopping | Activity::Settled { .. }) => false,
            (Self::Paused(project), _) => task.is_paused() && is_of(project),
            (Self::Held { cause, step }, Activity::Held { hold }) => hold.kind == *cause && hold.step == *step,
            (Self::Held { .. }, _) => false,
        }
    }
}

/// What became of a wish that names how things were seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pressed<Done, Now> {
    /// They stood so still.
    Done(Done),
    /// They stand otherwise, and nothing was done.
    Changed(Now),
}

/// Whom an intent for many reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Those that it moved, by their numbers.
    pub tasks: Vec<Predecessor>,
    /// There may be others behind those that are taken at one time.
    pub more: bool,
}

/// How a repository's freeze was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeenFreeze {
    /// There was none.
    Open,
    /// There was one.
    Frozen,
}

/// What the buttons of pages ask, and the command line for many at once.
pub trait Pressing {
    /// How many are of a group. Of those that are held only the first that wait for a person are looked at, as the pages do.
    fn group_size(&self, group: &Group) -> Result<u64, StoreError>;
    /// Gives an intent to all of a group, a thousand at a time, if it is still as large as `seen`. To whom it means nothing, stays as
    /// it is. [`Pressed::Changed`] says how large the group is.
    fn apply_to_all(
        &self,
        group: &Group,
        intent: Intent,
        actor: &Actor,
        note: &str,
        seen: Option<u64>,
        now: Timestamp,
    ) -> Result<Pressed<Reached, u64>, StoreError>;
    /// Freezes or thaws what stands as it was seen; else the newest line of its log.
    fn set_freeze_seen(
        &self,
        project: &ProjectName,
        reason: Option<&str>,
        actor: &Actor,
        seen: SeenFreeze,
        now: Timestamp,
    ) -> Result<Pressed<(), Option<FreezeRow>>, StoreError>;
    /// A person wants that a task, as it was seen, needs another one.
    fn depend_seen(
        &self,
        task: TaskId,
        needs: TaskId,
        actor: &Actor,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<AppliedSeen, StoreError>;
    /// That it goes on without.
    fn undepend_seen(
        &self,
        task: TaskId,
        needs: TaskId,
        actor: &Actor,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<AppliedSeen, StoreError>;
    /// Makes a card, unless the same hand made the very same one since `seen`, the newest card that it was shown (none: there was
    /// none): then that one.
    fn create_item_once(
        &self,
        item: &NewItem,
        seen: Option<&WorkItemId>,
        now: Timestamp,
    ) -> Result<Pressed<BoardItem, BoardItem>, StoreError>;
    /// Moves a card that stands where it was seen; else how it stands.
    fn move_item_seen(
        &self,
        card: &BoardItem,
        status: &str,
        actor: &Actor,
        now: Timestamp,
    ) -> Result<Pressed<(), BoardItem>, StoreError>;
    /// How many deliveries are parked.
    fn parked_deliveries(&self) -> Result<u64, StoreError>;
    /// All that are parked are read once more, a thousand at a time, if they are still as many as `seen`; the answer: how many those
    /// are, or how many there are now.
    fn retry_parked(&self, actor: &Actor, seen: Option<u64>, now: Timestamp) -> Result<Pressed<u64, u64>, StoreError>;
}
