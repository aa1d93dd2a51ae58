//! Ending what was begun: runs of cancelled jobs, and all of a stopped task.

use domain::effect::{Claim, run_of};
use domain::event::Event;
use domain::ids::{FenceToken, JobId};
use domain::time::Milliseconds;

use crate::Conductor;
use crate::ports::forge::ForgeError;
use crate::ports::runs::RunState;
use crate::ports::store::StoreError;
use crate::project::UsageReader;
use crate::schedule::Work;

/// How long a clean-up waits for the task's runs before it looks again.
const LOOK_AGAIN: Milliseconds = Milliseconds(500);

impl Conductor {
    /// The job was cancelled while its run was under way: the tree ends, and the job closes after it.
    pub(crate) fn cancel(&self, job: JobId, token: FenceToken) -> Result<(), StoreError> {
        let run = run_of(job);
        match self.outside.runs.inspect(run) {
            Ok(RunState::Live { .. }) => {
                if let Err(error) = self.outside.runs.cancel(run) {
                    tracing::error!(%error, %job, "the run of a cancelled job could not be ended");
                    // Left alone it would go on to the end of its time, and a stop would wait for it.
                    self.try_later(Work::Cancel(job, token));
                }
                self.outside.runs.watch(run);
                return Ok(());
            }
            Ok(RunState::Ended(record)) => {
                let spent = self.spent(run, &UsageReader::None, Some(&record));
                self.outside.store.close_cancelled(job, token, spent, self.now())?;
            }
            Err(error) => {
                // It may live: the job stays claimed, and the next tick looks again.
                tracing::warn!(%error, %job, "the run of a cancelled job cannot be looked at");
            }
            Ok(RunState::Absent | RunState::Prepared | RunState::Lost) => {
                self.outside.store.close_cancelled(job, token, None, self.now())?;
            }
        }
        self.forget_cancelled(job);
        Ok(())
    }

    /// After a stop: only when no job of the task is claimed any more is its tree empty; then clone and branch go.
    pub(crate) fn clean_up(&self, claim: &Claim) -> Result<(), StoreError> {
        let others =
            self.outside.store.claimed_jobs(claim.task.id)?.into_iter().filter(|job| *job != claim.job.id).count();
        if others > 0 {
            let at = self.now().plus(LOOK_AGAIN);
            return self.outside.store.give_back(claim.job.id, claim.token, at, "its runs are ending");
        }
        let task = self.fresh(claim)?;
        if let Some(forge) = self.forge(&task.project) {
            let gone = forge.remove_clones(task.id).and_then(|()| match (&task.branch, &task.head) {
                (Some(branch), Some(head)) => match forge.delete_branch(branch, head) {
                    // What another hand put there is not ours to remove, and will not go by waiting.
                    Err(error @ ForgeError::Moved { .. }) => {
                        tracing::warn!(%error, task = %task.id, "the branch of a stopped task stays");
                        Ok(())
                    }
                    gone => gone,
                },
                _ => Ok(()),
            });
            if let Err(error) = gone {
                tracing::warn!(%error, task = %task.id, "the clone or branch of a stopped task is still there");
                let at = self.now().plus(Milliseconds::from_seconds(2 << claim.job.attempt.min(8)));
                return self.outside.store.give_back(claim.job.id, claim.token, at, &error.to_string());
            }
        }
        self.complete(claim, Event::CleanedUp { epoch: claim.job.epoch }, None, None).map(|_| ())
    }

    /// A task that is done needs its clone and its branch no more. Its commits are in the base branch.
    pub(crate) fn tidy(&self, claim: &Claim) -> Result<(), StoreError> {
        let task = &claim.task;
        let mut note = "the clone and the branch were removed".to_owned();
        if let Some(forge) = self.forge(&task.project) {
            let gone = forge.remove_clones(task.id).and_then(|()| match (&task.branch, &task.head) {
                (Some(branch), Some(head)) => forge.delete_branch(branch, head),
                _ => Ok(()),
            });
            if let Err(error) = gone {
                note = format!("the clone or the branch could not be removed: {error}");
            }
        }
        self.complete(claim, Event::AftermathEnded { note }, None, None).map(|_| ())
    }
}
