//! Why a piece of work does not go on, before anything was done.

use domain::effect::{Claim, Effect, run_of};
use domain::event::{Event, RunResult, Withholder};
use domain::pipeline::Action;
use domain::task::Task;
use domain::time::Milliseconds;

use crate::Conductor;
use crate::ports::forge::ForgeError;
use crate::ports::store::{RunRow, StoreError};

/// From one try of what the forge put off to the next, where the forge names no time: after a push it is some seconds.
const LATER_PAUSE: Milliseconds = Milliseconds::from_seconds(10);
/// A forge that asks for more is asked sooner: the step's patience is minutes.
const LONGEST_LATER: Milliseconds = Milliseconds::from_seconds(300);

/// Why there is no branch to work on.
pub(crate) enum Halt {
    /// The store failed.
    Store(StoreError),
    /// The task was told what was seen, and left the activity.
    Told,
    /// The forge is at fault.
    Infra(String),
    /// The forge says "not now": nobody's fault, and no try.
    Later {
        /// What it waits for.
        why: String,
        /// From now on.
        pause: Milliseconds,
    },
}

impl From<ForgeError> for Halt {
    fn from(error: ForgeError) -> Self {
        match error {
            ForgeError::Later { why, retry_after } => Self::Later { why, pause: pause(retry_after) },
            error => Self::Infra(error.to_string()),
        }
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// When a forge that says "not now" is asked again.
pub(crate) fn pause(retry_after: Option<Milliseconds>) -> Milliseconds {
    retry_after.unwrap_or(LATER_PAUSE).clamp(LATER_PAUSE, LONGEST_LATER)
}

impl Conductor {
    /// Nothing is begun for a task that somebody paused, stopped or held while it waited; what had begun goes on.
    pub(crate) fn is_withheld_by_a_wish(&self, claim: &Claim) -> Result<bool, StoreError> {
        let begins = matches!(claim.job.effect, Effect::Launch { .. } | Effect::Act { .. });
        if !begins || self.may_have_begun(claim) {
            return Ok(false);
        }
        let task = self.fresh(claim)?;
        self.withhold(claim, &task)
    }

    /// An earlier claim of the job tried it. What runs under a shim has begun where there is a run of it: a host that died before the
    /// shim was started began nothing, and a guard may have put the job off since. Of all else no more is known than the try.
    fn may_have_begun(&self, claim: &Claim) -> bool {
        let runs = match claim.job.effect {
            Effect::Launch { .. } => true,
            Effect::Act { action, .. } => matches!(action, Action::Retest | Action::Staging | Action::Deploy),
            _ => false,
        };
        let is_unbegun = || matches!(self.outside.runs.inspect(run_of(claim.job.id)), Ok(state) if !state.has_begun());
        claim.job.attempted_before && !(runs && is_unbegun())
    }

    /// The run that was written down and did not begin, if there is one, as it ends.
    fn unbegun(&self, claim: &Claim, reason: &str) -> Result<Option<RunRow>, StoreError> {
        if !claim.job.attempted_before {
            return Ok(None);
        }
        let mut row = match self.outside.store.run(run_of(claim.job.id)) {
            Ok(row) if row.ended_at.is_none() => row,
            Ok(_) | Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        row.ended_at = Some(self.now());
        row.outcome = Some(format!("not started: {reason}"));
        row.result = Some(RunResult::Error);
        Ok(Some(row))
    }

    /// Whoever performs the job does nothing at this moment, so what waits for its end need not. A deploy has not begun where there is
    /// no run of it; a merge that was tried may have landed, and its answer says so. What only proves that the commit has landed ends
    /// nothing, and is what a stop itself waits for. What only judges is not withheld: a pause takes hold at its answer.
    pub(crate) fn withhold(&self, claim: &Claim, task: &Task) -> Result<bool, StoreError> {
        let is_in_main = task.merged.is_some() && task.merged == task.validated;
        let begins = match claim.job.effect {
            Effect::Act { action: Action::Deploy, .. } => true,
            Effect::Act { action: Action::Merge, .. } => !is_in_main && !claim.job.attempted_before,
            _ => false,
        };
        let (by, reason) = if begins && (task.stop_requested || task.put_off.is_some()) {
            (Withholder::Wish, "it was stopped or held before it began")
        } else if task.paused && matches!(claim.job.effect, Effect::Launch { .. } | Effect::Act { .. }) {
            (Withholder::Pause, "a person paused it before it began")
        } else {
            return Ok(false);
        };
        let row = self.unbegun(claim, reason)?;
        let (epoch, reason) = (claim.job.epoch, reason.to_owned());
        self.complete(claim, Event::Withheld { epoch, by, reason }, None, row.as_ref())?;
        Ok(true)
    }

    /// The job waits and keeps its place: nobody was asked, and no wake-up that it was claimed with is lost.
    pub(crate) fn put_off_for(&self, claim: &Claim, pause: Milliseconds, why: &str) -> Result<(), StoreError> {
        self.outside.store.give_back(claim.job.id, claim.token, self.now().plus(pause), why)
    }
}
