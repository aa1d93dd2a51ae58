//! What the tally is told, and how a run ended in one word.

use std::sync::Arc;

use domain::effect::{Claim, Effect, run_of};
use domain::event::{Answer, Event, RunOutcome, RunResult};
use domain::ids::DriverName;
use domain::task::Task;

use crate::ports::probe::Point;
use crate::ports::runs::{Ending, ExitRecord};
use crate::ports::store::{Applied, Completion, NewEvaluation, RunRow, StoreError};
use crate::ports::tally::{Fact, Tally};
use crate::{Conductor, LookAt, Work};

impl Conductor {
    /// Who is told of what happens from now on. The first one stays.
    pub fn report_to(&self, tally: Arc<dyn Tally>) {
        let _ = self.tally.set(tally);
    }

    /// Closes a claimed job with what came of it.
    pub(crate) fn complete(
        &self,
        claim: &Claim,
        event: Event,
        evaluation: Option<&NewEvaluation>,
        run: Option<&RunRow>,
    ) -> Result<Applied, StoreError> {
        self.outside.probe.at(Point::Done, claim);
        let (job, token, at) = (claim.job.id, claim.token, self.now());
        let told = event.clone();
        let applied =
            self.outside.store.complete(Completion { job, token, event, wakes: claim.wakes, evaluation, run }, at)?;
        if let Some(run) = run {
            self.report_run(claim, run);
        }
        self.report(Fact::Completed { claim, event: &told, applied: &applied, run, at });
        Ok(applied)
    }

    pub(crate) fn report(&self, fact: Fact<'_>) {
        if let Some(tally) = self.tally.get() {
            tally.note(fact);
        }
    }

    /// A run of this job ended, and the store has it.
    pub(crate) fn report_run(&self, claim: &Claim, run: &RunRow) {
        let result = run.result.map_or("unknown", RunResult::as_str);
        tracing::info!(role = run.role.as_str(), result, exit_code = run.exit_code, "a run ended");
        let (task, driver, job) = (&claim.task, claim.driver.as_ref(), Some(&claim.job));
        self.report(Fact::RunEnded { task, run, driver, job });
    }

    /// A run ended whose job was cancelled.
    pub(crate) fn report_cancelled(&self, task: &Task, run: &RunRow, driver: Option<&DriverName>) {
        self.report(Fact::RunEnded { task, run, driver, job: None });
    }
}

/// What a piece of work is about, for the log: its task, its job, and its run where it has one. It weighs as much as an error, so that
/// no level of the log leaves it out.
pub(crate) fn about_work(work: &Work) -> tracing::Span {
    match work {
        Work::Perform(claim) | Work::Finish(claim) | Work::Weigh(claim) => {
            let (task, job) = (claim.task.id.0, claim.job.id.0);
            let (work_item, effect) = (claim.task.work_item.as_str(), claim.job.effect.name());
            match &claim.job.effect {
                Effect::Launch { .. } | Effect::Act { .. } => {
                    tracing::error_span!("work", task, job, run = run_of(claim.job.id).0, work_item, effect)
                }
                _ => tracing::error_span!("work", task, job, work_item, effect),
            }
        }
        Work::Cancel(job, _) => tracing::error_span!("cancel", job = job.0, run = run_of(*job).0),
        Work::Expand(delivery) => tracing::error_span!("expand", delivery = delivery.id.0),
        Work::Look(LookAt::Forge(project)) => tracing::error_span!("observe", %project),
        Work::Look(LookAt::Tracker(project)) => tracing::error_span!("reconcile", %project),
        Work::Read(_) => tracing::error_span!("read"),
    }
}

/// How a role's run ended. `exit`: of a command, whose code is its verdict.
pub(crate) fn result_of_work(outcome: &RunOutcome, record: Option<&ExitRecord>, exit: Option<i32>) -> RunResult {
    match outcome {
        RunOutcome::Delivered { .. } if exit.is_some_and(|code| code != 0) => RunResult::Failure,
        // Of an observed task: what another hand did.
        RunOutcome::Delivered { .. } | RunOutcome::Followed { .. } => RunResult::Success,
        RunOutcome::Trespassed { .. } => RunResult::Failure,
        // The host ended it: neither the work nor the system is at fault.
        RunOutcome::OverBudget { .. } => RunResult::Cancellation,
        RunOutcome::Undelivered { .. } => of_ending(record),
    }
}

/// How a hook ended: its code is the work's word, all else is the system's.
pub(crate) fn result_of_hook(answer: &Answer, record: Option<&ExitRecord>) -> RunResult {
    match (answer, record.map(|record| &record.ending)) {
        (Answer::Infra { .. } | Answer::Stuck { .. }, _) => of_ending(record),
        (Answer::Fail { .. }, _) => RunResult::Failure,
        (_, Some(Ending::Exited(0))) => RunResult::Success,
        (_, Some(Ending::Exited(_))) => RunResult::Failure,
        _ => RunResult::Error,
    }
}

fn of_ending(record: Option<&ExitRecord>) -> RunResult {
    match record.map(|record| &record.ending) {
        Some(Ending::TimedOut) => RunResult::Timeout,
        Some(Ending::Cancelled | Ending::OverBudget) => RunResult::Cancellation,
        _ => RunResult::Error,
    }
}

#[cfg(test)]
mod tests {
    use domain::event::FailureClass;
    use domain::time::Timestamp;

    use super::*;

    fn record(ending: Ending) -> ExitRecord {
        ExitRecord { ending, started_at: Timestamp(1), ended_at: Timestamp(2) }
    }

    fn delivered() -> RunOutcome {
        RunOutcome::Delivered { head: None, documents: Vec::new(), validated: None }
    }

    fn undelivered() -> RunOutcome {
        RunOutcome::Undelivered { cause: String::new(), retry_after: None, class: FailureClass::Permanent }
    }

    #[test]
    fn failure_is_the_works_and_error_the_systems() {
        let table = [
            (delivered(), Ending::Exited(0), None, RunResult::Success),
            (delivered(), Ending::Exited(0), Some(0), RunResult::Success),
            (delivered(), Ending::Exited(1), Some(1), RunResult::Failure),
            (undelivered(), Ending::Exited(1), None, RunResult::Error),
            (undelivered(), Ending::TimedOut, None, RunResult::Timeout),
            (undelivered(), Ending::Cancelled, None, RunResult::Cancellation),
            (undelivered(), Ending::LogFull, None, RunResult::Error),
            (RunOutcome::OverBudget { cause: String::new() }, Ending::OverBudget, None, RunResult::Cancellation),
        ];
        for (outcome, ending, exit, result) in table {
            assert_eq!(result_of_work(&outcome, Some(&record(ending.clone())), exit), result, "{outcome:?} {ending:?}");
        }
        assert_eq!(result_of_work(&undelivered(), None, None), RunResult::Error, "a lost run is the system's");
    }

    #[test]
    fn a_hook_that_says_no_is_a_failure_and_one_that_was_killed_an_error() {
        let pass = Answer::Pass { note: String::new() };
        assert_eq!(result_of_hook(&pass, Some(&record(Ending::Exited(0)))), RunResult::Success);
        assert_eq!(result_of_hook(&pass, Some(&record(Ending::Exited(3)))), RunResult::Failure);
        let infra = crate::act::infra_answer("it was killed");
        assert_eq!(result_of_hook(&infra, Some(&record(Ending::Signaled(9)))), RunResult::Error);
        assert_eq!(result_of_hook(&infra, Some(&record(Ending::TimedOut))), RunResult::Timeout);
        assert_eq!(result_of_hook(&infra, None), RunResult::Error);
    }
}
