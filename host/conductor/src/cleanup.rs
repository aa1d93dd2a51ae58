//! Ending what was begun: runs of cancelled jobs, and all of a stopped task.

use domain::effect::{Claim, run_of};
use domain::event::{Event, RunResult, Spent};
use domain::ids::{FenceToken, JobId, ProjectName, RunId};
use domain::task::Task;
use domain::time::Milliseconds;

use crate::aftermath::pause;
use crate::converse::Ear;
use crate::finish::fill;
use crate::ports::forge::ForgeError;
use crate::ports::runs::{ExitRecord, RunState};
use crate::ports::store::StoreError;
use crate::project::Worker;
use crate::{Conductor, Work};

/// How long a clean-up waits for the task's runs before it looks again.
const LOOK_AGAIN: Milliseconds = Milliseconds(500);
/// No pause before what a stopped task left is removed at another try is longer: a person waits for the end of the stop.
const LONGEST_PAUSE: Milliseconds = Milliseconds::from_seconds(30);
/// How long a run that cannot be looked at is left alone before the next try.
pub(crate) const UNREADABLE_PAUSE: Milliseconds = Milliseconds::from_seconds(10);

impl Conductor {
    /// The job was cancelled while its run was under way: the tree ends, and the job closes after it.
    pub(crate) fn cancel(&self, job: JobId, token: FenceToken) -> Result<(), StoreError> {
        let run = run_of(job);
        match self.outside.runs.inspect(run) {
            Ok(RunState::Live { .. }) => {
                if let Err(error) = self.outside.runs.cancel(run) {
                    tracing::error!(%error, %job, "the run of a cancelled job could not be ended");
                    self.later(Work::Cancel(job, token), UNREADABLE_PAUSE);
                }
                self.outside.runs.watch(run);
                return Ok(());
            }
            Ok(RunState::Ended(record)) => {
                let spent = self.close_run(run, token, Some(&record))?;
                self.outside.store.close_cancelled(job, token, spent, self.now())?;
            }
            Err(error) => {
                // It may live: the job stays claimed until that is known.
                tracing::warn!(%error, %job, "the run of a cancelled job cannot be looked at");
                self.later(Work::Cancel(job, token), UNREADABLE_PAUSE);
                return Ok(());
            }
            Ok(RunState::Lost) => {
                let spent = self.close_run(run, token, None)?;
                self.outside.store.close_cancelled(job, token, spent, self.now())?;
            }
            Ok(RunState::Absent | RunState::Prepared) => {
                self.outside.store.close_cancelled(job, token, None, self.now())?;
            }
        }
        self.forget_cancelled(job);
        Ok(())
    }

    /// The run's row says how it ended, and what it cost is read as of any other run.
    fn close_run(
        &self,
        run: RunId,
        token: FenceToken,
        record: Option<&ExitRecord>,
    ) -> Result<Option<Spent>, StoreError> {
        let mut row = match self.outside.store.run(run) {
            Ok(row) => row,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let task = self.outside.store.task(row.task)?;
        // Only an agent gets a brief, and only an agent says what it used.
        let ear = row.brief.as_ref().map_or_else(Ear::default, |_| self.ear(&task, row.role));
        self.settle_cost(&mut row, &ear, record);
        self.outside.runs.keep_session(row.id, None);
        if let Some(record) = record {
            fill(&mut row, record);
        }
        row.ended_at.get_or_insert(self.now());
        row.outcome = Some("cancelled".to_owned());
        row.result = Some(RunResult::Cancellation);
        self.outside.store.put_run(&row, token)?;
        let settings = self.settings(&task.project);
        let worker = settings.as_ref().and_then(|settings| settings.workers.get(&row.role));
        self.report_cancelled(&task, &row, worker.filter(|_| row.brief.is_some()).and_then(Worker::driver));
        Ok(row.spent)
    }

    /// True: a run of the task may live still, or another piece of work is in its clone, and the clean-up was given back.
    pub(crate) fn waits_for_its_runs(&self, claim: &Claim) -> Result<bool, StoreError> {
        let others =
            self.outside.store.claimed_jobs(claim.task.id)?.into_iter().filter(|job| *job != claim.job.id).count();
        if others > 0 {
            let at = self.now().plus(LOOK_AGAIN);
            self.outside.store.give_back(claim.job.id, claim.token, at, "its runs are ending")?;
        }
        Ok(others > 0)
    }

    /// After a stop: only when nobody drives the task any more and no run of it winds up is its tree empty; then clone and branch go.
    pub(crate) fn clean_up(&self, claim: &Claim) -> Result<(), StoreError> {
        if self.waits_for_its_runs(claim)? {
            return Ok(());
        }
        let task = self.fresh(claim)?;
        if let Err(error) = self.remove_all(&task) {
            tracing::warn!(%error, task = %task.id, "the clone or branch of a stopped task is still there");
            let at = self.now().plus(self.clean_up_pause(claim.job.id));
            return self.outside.store.give_back(claim.job.id, claim.token, at, &error.to_string());
        }
        self.forget_failures(claim.job.id);
        self.complete(claim, Event::CleanedUp { epoch: claim.job.epoch }, None, None).map(|_| ())
    }

    /// Before the next try of a clean-up that failed. Claims do not count, for it is claimed each time that it waits for its runs.
    pub(crate) fn clean_up_pause(&self, job: JobId) -> Milliseconds {
        pause(self.failed_again(job), Milliseconds::default()).min(LONGEST_PAUSE)
    }

    /// Removes clones and branch of a task that ended. Work that another hand pushed to the branch is nobody's to throw away: then
    /// the branch stays, and the task's timeline says so.
    fn remove_all(&self, task: &Task) -> Result<(), CleanUpError> {
        self.forget_conversations(task)?;
        let Some(forge) = self.forge(&task.project) else {
            return Err(CleanUpError::Unconfigured(task.project.clone()));
        };
        forge.remove_clones(task.id)?;
        let (Some(branch), Some(head)) = (&task.branch, &task.head) else { return Ok(()) };
        if let Some(kept) = forge.discard_branch(task.id, branch, head)? {
            let note = format!("the branch {branch} was kept: another hand moved it to {kept}");
            self.outside.store.apply(task.id, &Event::AftermathEnded { note }, self.now())?;
        }
        Ok(())
    }

    /// A task that is done needs its clone and its branch no more. Its commits are in the base branch.
    pub(crate) fn tidy(&self, claim: &Claim) -> Result<(), StoreError> {
        let note = match self.remove_all(&claim.task) {
            Ok(()) => "the clone and the branch were removed".to_owned(),
            Err(CleanUpError::Store(error)) => return Err(error),
            Err(CleanUpError::Forge(error)) => {
                let why = format!("the clone or the branch could not be removed: {error}");
                return self.try_again(claim, &why, Milliseconds(0));
            }
            // Nothing was tried, and no number of tries brings the file back.
            Err(error @ CleanUpError::Unconfigured(_)) => {
                let at = self.now().plus(pause(claim.job.attempt, Milliseconds(0)));
                return self.outside.store.give_back(claim.job.id, claim.token, at, &error.to_string());
            }
        };
        self.told(claim, note)
    }
}

#[derive(Debug, thiserror::Error)]
enum CleanUpError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// Where its clones and its branch are is not known.
    #[error(
        "the project `{0}` is not configured on this host, so the task's clone and branch are still there: put its file \
        `projects/{0}.toml` back, and they are removed"
    )]
    Unconfigured(ProjectName),
}
