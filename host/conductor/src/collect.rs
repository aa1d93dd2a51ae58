//! Collection: the folders of runs that are old and that nobody needs any more go, a bite at a time, so that nobody waits for it;
//! and repositories are tended to now and then. Entries, events, documents, verdicts and what runs cost are never collected.

use std::sync::{MutexGuard, PoisonError};

use domain::ids::RunId;
use domain::time::{Milliseconds, Timestamp};

use crate::Conductor;
use crate::ports::runs::RunState;
use crate::ports::store::StoreError;

/// Runs whose folders one bite removes: each may hold many megabytes.
const RUNS: u32 = 20;
/// From one bite to the next.
const PAUSE: Milliseconds = Milliseconds::from_seconds(60);
/// The same while there is more to take.
const SHORT_PAUSE: Milliseconds = Milliseconds::from_seconds(1);
/// From one upkeep of the repositories to the next.
const UPKEEP: Milliseconds = Milliseconds::from_seconds(3600);

/// How far collection is.
#[derive(Debug, Default)]
pub(crate) struct Collecting {
    /// How long the folder of a run is kept after its end; none: for ever.
    keep: Option<Milliseconds>,
    /// The last run that was looked at: one that cannot be removed stands in no other's way.
    after: u64,
    next_upkeep: Option<Timestamp>,
}

impl Conductor {
    /// How long the folder of a run is kept after its end, once its task has ended too; none: for ever, as before anybody said so.
    pub fn keep_runs(&self, keep: Option<Milliseconds>) {
        self.collecting().keep = keep;
    }

    fn collecting(&self) -> MutexGuard<'_, Collecting> {
        self.collecting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One bite; when the next one is due: sooner while there is more to take.
    pub fn collect(&self) -> Result<Milliseconds, StoreError> {
        let keep = self.collecting().keep;
        let there_is_more = keep.map_or(Ok(false), |keep| self.collect_runs(keep))?;
        self.upkeep();
        Ok(if there_is_more { SHORT_PAUSE } else { PAUSE })
    }

    /// First a folder goes, then it is written down: whoever dies between the two finds nothing to remove, and writes it down.
    fn collect_runs(&self, keep: Milliseconds) -> Result<bool, StoreError> {
        let (now, after) = (self.now(), self.collecting().after);
        let (store, runs) = (&*self.outside.store, &*self.outside.runs);
        let old = store.old_runs(Timestamp(now.0.saturating_sub(keep.0)), RunId(after), RUNS)?;
        for run in &old {
            if matches!(runs.inspect(*run), Ok(RunState::Live { .. }) | Err(_)) {
                tracing::warn!(%run, "a run that should be over is not, or cannot be looked at: it is kept");
                continue;
            }
            runs.remove(*run);
            if matches!(runs.inspect(*run), Ok(RunState::Absent)) {
                store.run_collected(*run, now)?;
            }
        }
        let there_is_more = old.len() == RUNS as usize;
        self.collecting().after = old.last().filter(|_| there_is_more).map_or(0, |run| run.0);
        Ok(there_is_more)
    }

    /// One repository that cannot be tended to is none of collection's failures.
    fn upkeep(&self) {
        let now = self.now();
        {
            let mut collecting = self.collecting();
            // A clock that was set back does not put it off for ever.
            let is_due = collecting.next_upkeep.is_none_or(|next| next <= now || next.since(now) > UPKEEP);
            if !is_due {
                return;
            }
            collecting.next_upkeep = Some(now.plus(UPKEEP));
        }
        for settings in self.all_settings() {
            let Some(forge) = self.forge(&settings.name) else { continue };
            if let Err(error) = forge.upkeep() {
                tracing::warn!(project = %settings.name, %error, "the repository could not be tended to");
            }
        }
    }
}
