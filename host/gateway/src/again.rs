//! Why a run that waits for its time is made again: whose service refused it for now, with which words, and how often so far. Its job
//! is a new one and knows nothing of that; the run before it does.

use std::collections::HashMap;

use conductor::ports::store::{ClaimLimits, JobRow, RunRow, StoreError, WaitReason};
use conductor::slots::Seat;
use domain::ids::TaskId;
use domain::pipeline::{RUN_RETRIES, TRANSIENT_RETRIES};
use domain::task::{Activity, Task};

use crate::app::GatewayState;
use crate::show::line;
use crate::tongue::{Tongue, say};

/// Characters of what was said; all of it stands on the run's own page.
const LONGEST: usize = 400;
/// The newest runs among which the one is that ended.
const LOOKED_AT: u32 = 4;

/// What keeps a run waiting that was made before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Again {
    /// The driver, or else the command, of the run that ended.
    who: String,
    said: String,
    tries: Tries,
}

/// How often, of the one budget or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tries {
    /// The service refused for now.
    Refused(u32),
    /// The run did not deliver.
    Failed(u32),
}

impl Tries {
    const fn of(task: &Task, is_refused: bool) -> Option<Self> {
        match (task.transient_retries, task.run_retries) {
            (refused, _) if is_refused && refused > 0 => Some(Self::Refused(refused)),
            (_, failed) if !is_refused && failed > 0 => Some(Self::Failed(failed)),
            _ => None,
        }
    }
}

impl Again {
    /// None: nothing was made before, or nothing is known of it.
    fn of(state: &GatewayState, limits: &ClaimLimits, task: &Task) -> Result<Option<Self>, StoreError> {
        let Activity::Running { .. } = task.position.activity else { return Ok(None) };
        if task.transient_retries == 0 && task.run_retries == 0 {
            return Ok(None);
        }
        let runs = state.store.runs(task.id, LOOKED_AT)?;
        let Some(run) = runs.into_iter().find(|run| run.ended_at.is_some()) else { return Ok(None) };
        let refused = run.refused_for_now();
        let Some(tries) = Tries::of(task, refused.is_some()) else { return Ok(None) };
        let said = refused.or(run.outcome.as_deref()).map(|said| line(said, LONGEST)).unwrap_or_default();
        Ok(Some(Self { who: who(limits, task, &run), said, tries }))
    }

    /// In a reader's language, without what was said in its own.
    pub(crate) fn words(&self, t: Tongue) -> String {
        let (who, said) = (&self.who, t.inner(&self.said));
        match self.tries {
            Tries::Refused(tries) => say!(
                t,
                "the service behind `{who}` refused for now, retry {tries} of {TRANSIENT_RETRIES}: {said}",
                "служба за `{who}` пока отказала, повтор {tries} из {TRANSIENT_RETRIES}: {said}"
            ),
            Tries::Failed(tries) => say!(
                t,
                "the last run of `{who}` did not deliver, retry {tries} of {RUN_RETRIES}: {said}",
                "последний запуск `{who}` не сдал результата, повтор {tries} из {RUN_RETRIES}: {said}"
            ),
        }
    }
}

fn who(limits: &ClaimLimits, task: &Task, run: &RunRow) -> String {
    let place = limits.places.as_ref().and_then(|places| places.get(&task.project));
    let sitter = place.and_then(|place| place.seats.get(&Seat::Role(run.role)));
    let driver = sitter.and_then(|sitter| sitter.driver.as_ref());
    driver.map_or_else(|| line(&run.command, 60), ToString::to_string)
}

/// Whether a wait may be explained by what was made before.
const fn is_late(reason: &WaitReason) -> bool {
    matches!(reason, WaitReason::Time | WaitReason::Breaker)
}

/// Of those of these tasks of which the run waits, by the reasons of their jobs.
pub(crate) fn among<'t>(
    state: &GatewayState,
    limits: &ClaimLimits,
    tasks: impl IntoIterator<Item = (&'t Task, &'t WaitReason)>,
) -> HashMap<TaskId, Again> {
    let late = tasks.into_iter().filter(|(_, reason)| is_late(reason));
    late.filter_map(|(task, _)| told(task.id, Again::of(state, limits, task))).collect()
}

/// Of those of these jobs that launch what was launched before.
pub(crate) fn of_jobs<'j>(
    state: &GatewayState,
    limits: &ClaimLimits,
    jobs: impl IntoIterator<Item = &'j JobRow>,
) -> HashMap<TaskId, Again> {
    let launches = |job: &&JobRow| job.effect == "launch-agent" && job.reason.as_ref().is_some_and(is_late);
    let read = |job: &JobRow| {
        let again = state.store.task(job.task).and_then(|task| Again::of(state, limits, &task));
        told(job.task, again)
    };
    jobs.into_iter().filter(launches).filter_map(read).collect()
}

/// A row that does not read keeps no other one from its reader.
fn told(task: TaskId, again: Result<Option<Again>, StoreError>) -> Option<(TaskId, Again)> {
    match again {
        Ok(again) => Some((task, again?)),
        Err(error) => {
            tracing::warn!(%task, %error, "why its run is made again cannot be read");
            None
        }
    }
}

/// The reasons of jobs for programs: beside what holds a launch back stands why it is made again.
pub(crate) fn explained(state: &GatewayState, limits: &ClaimLimits, jobs: Vec<JobRow>) -> Vec<JobRow> {
    let again = of_jobs(state, limits, &jobs);
    let explain = |mut job: JobRow| {
        // A task has other jobs beside the one that launches.
        let again = again.get(&job.task).filter(|_| job.effect == "launch-agent");
        if let Some(words) = again.map(|again| again.words(Tongue::English)) {
            job.note = Some(job.note.map_or_else(|| words.clone(), |note| format!("{note}; {words}")));
        }
        job
    };
    jobs.into_iter().map(explain).collect()
}
