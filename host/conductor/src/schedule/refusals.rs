//! Work that the store refuses time and again. A full disk and a lock pass by themselves; a row or a blob that does not read stays as
//! it is, and whoever holds a place for it would hold it for ever. So its tries are counted, and then it is set aside alone: a
//! task is held, with the sentence that says what is damaged.

use std::collections::BTreeMap;

use domain::effect::{Claim, Effect, JobClass, run_of};
use domain::event::Event;
use domain::ids::{DeliveryId, FenceToken, JobId};
use domain::time::Milliseconds;

use super::{Conductor, STORE_PAUSE, Work};
use crate::cleanup::UNREADABLE_PAUSE;
use crate::ports::runs::RunState;
use crate::ports::store::{Expansion, StoreError};

/// So many tries in a row does the store refuse before the work is given up: with [`STORE_PAUSE`] between them half a minute, in which
/// a want of memory or of open files passes, and which a place can be without.
const TRIES: u32 = 15;
/// What cannot even be held (its task does not read either) is looked at again after this: only a person mends it.
const AGAIN_AFTER: Milliseconds = Milliseconds::from_seconds(900);

/// Whose tries are counted. What the clock brings again by itself is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Job(JobId),
    Cancelled(JobId),
    Delivery(DeliveryId),
}

const fn whose(work: &Work) -> Option<Whose> {
    match work {
        Work::Perform(claim) | Work::Finish(claim) => Some(Whose::Job(claim.job.id)),
        Work::Cancel(job, _) => Some(Whose::Cancelled(*job)),
        Work::Expand(delivery) => Some(Whose::Delivery(delivery.id)),
        Work::Look(_) | Work::Weigh(_) | Work::Read(_) => None,
    }
}

/// How often each was refused since it went on last. Another host begins anew.
#[derive(Default)]
pub(super) struct Refusals(BTreeMap<Whose, u32>);

impl Conductor {
    /// It went on, or passed on to somebody else.
    pub(super) fn no_longer_refused(&self, work: &Work) {
        if let Some(whose) = whose(work) {
            self.state().refusals.0.remove(&whose);
        }
    }

    /// The store refused what the work needs, and not for want of room or of a lock.
    pub(super) fn after_a_refusal(&self, work: Work, error: StoreError) -> Result<(), StoreError> {
        let tries = whose(&work).map_or(0, |whose| {
            let mut state = self.state();
            let tries = state.refusals.0.entry(whose).or_default();
            *tries = tries.saturating_add(1);
            *tries
        });
        if tries < TRIES {
            self.later(work, STORE_PAUSE);
            return Err(error);
        }
        if tries == TRIES {
            tracing::error!(?work, %error, "the store refuses what this needs, and it is set aside");
        }
        match self.set_aside(&work, &error) {
            Ok(()) | Err(StoreError::Stale { .. }) => Ok(()),
            Err(failed) => {
                self.later(work, STORE_PAUSE);
                Err(failed)
            }
        }
    }

    /// What it holds is let go, and whoever looks is told why.
    fn set_aside(&self, work: &Work, error: &StoreError) -> Result<(), StoreError> {
        match work {
            Work::Perform(claim) | Work::Finish(claim) => self.set_job_aside(claim, error),
            Work::Cancel(job, token) => self.close_uncounted(*job, *token),
            Work::Expand(delivery) => {
                self.put_off(delivery.id);
                let later = Expansion::Later { why: error.to_string() };
                self.outside.store.expand(delivery.id, &[later], self.now()).map(drop)
            }
            Work::Look(_) | Work::Weigh(_) | Work::Read(_) => Ok(()),
        }
    }

    fn set_job_aside(&self, claim: &Claim, error: &StoreError) -> Result<(), StoreError> {
        let effect = &claim.job.effect;
        let why = format!("`{}` cannot be done: {error}", effect.name());
        let told = match effect {
            Effect::CleanUp => None,
            effect if effect.class() == JobClass::Drive => {
                let event = Event::Panicked { message: why.clone(), unanswered: true };
                Some(self.outside.store.apply(claim.task.id, &event, self.now()).map(drop))
            }
            _ => Some(self.complete(claim, Event::AftermathEnded { note: why.clone() }, None, None).map(drop)),
        };
        match told {
            Some(Ok(())) => Ok(()),
            Some(Err(failed @ (StoreError::Full(_) | StoreError::Busy(_) | StoreError::Fatal(_)))) => Err(failed),
            // Not even this can be written: the job gives up its place, and says why it waits.
            None | Some(Err(_)) => {
                let at = self.now().plus(AGAIN_AFTER);
                self.outside.store.give_back(claim.job.id, claim.token, at, &why)
            }
        }
    }

    /// The run is over, and what it cost cannot be read or written: its place is free all the same.
    fn close_uncounted(&self, job: JobId, token: FenceToken) -> Result<(), StoreError> {
        if matches!(self.outside.runs.inspect(run_of(job)), Ok(RunState::Live { .. }) | Err(_)) {
            self.later(Work::Cancel(job, token), UNREADABLE_PAUSE);
            return Ok(());
        }
        self.outside.store.close_cancelled(job, token, None, self.now())?;
        self.forget_cancelled(job);
        Ok(())
    }
}
