//! What a tick does by the clock alone: rights, weighing, looks at the outside, cycles of needs.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use domain::effect::Effect;
use domain::ids::{JobId, ProjectName};
use domain::time::{Milliseconds, Timestamp};

use super::looks::LookAt;
use super::{Conductor, Intervals, RIGHT, State, Tick, Work};
use crate::breaker::Passage;
use crate::budget::{Meter, WEIGH_INTERVAL};
use crate::observe::LOOK_INTERVAL;
use crate::ports::store::StoreError;
use crate::slots::DriverRow;

/// A clock is told as set back from here on: less is what clocks do anyway, and what it delays is delayed by no more.
const SET_BACK: Milliseconds = Milliseconds::from_seconds(2);
/// From one prolonging of a run's right to the next.
const RIGHT_INTERVAL: Milliseconds = Milliseconds::from_seconds(3600);

impl Conductor {
    /// A host that goes on living lets its runs live: their right is prolonged long before it ends.
    pub(super) fn prolong_rights(&self) {
        let now = self.now();
        let mut due = Vec::new();
        for (job, (_, at)) in &mut self.state().live {
            // A clock that was set back must not keep it for as long.
            if *at <= now || *at > now.plus(RIGHT_INTERVAL) {
                *at = now.plus(RIGHT_INTERVAL);
                due.push(domain::effect::run_of(*job));
            }
        }
        for run in due {
            if let Err(error) = self.outside.runs.prolong(run, now.plus(RIGHT)) {
                tracing::warn!(%run, %error, "the run's right was not prolonged");
            }
        }
    }

    pub(super) fn weigh_runs(&self, tick: &mut Tick) {
        let now = self.now();
        let mut state = self.state();
        // A clock that was set back must not keep anybody from looking.
        if state.next_weighing > now && state.next_weighing.since(now) <= WEIGH_INTERVAL {
            return;
        }
        state.next_weighing = now.plus(WEIGH_INTERVAL);
        let State { live, weighing, .. } = &mut *state;
        for (claim, _) in live.values().filter(|(claim, _)| matches!(claim.job.effect, Effect::Launch { .. })) {
            if weighing.insert(claim.job.id) {
                tick.work.push(Work::Weigh(Box::new(claim.clone())));
            }
        }
    }

    pub(crate) fn meters(&self) -> MutexGuard<'_, BTreeMap<JobId, Meter>> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only of a run that is not over: what that used is in the store.
    pub(crate) fn put_meter(&self, job: JobId, meter: Meter) {
        let state = self.state();
        if state.live.contains_key(&job) {
            self.meters().insert(job, meter);
        }
    }

    /// How often the outside is looked at.
    pub fn intervals(&self) -> Intervals {
        *self.intervals.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due of looks at the forges and polls of the trackers, in line.
    pub(super) fn look_outside(&self) {
        let now = self.now();
        let intervals = self.intervals();
        let projects = self.forges.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect::<Vec<_>>();
        let mut state = self.state();
        let State { asked, looks, .. } = &mut *state;
        asked.let_through(intervals, now);
        let is_ours = |project: &ProjectName| projects.contains(project);
        for project in asked.forges(|project| !is_ours(project) || looks.may_hurry(&LookAt::Forge(project.clone()))) {
            looks.hurry(LookAt::Forge(project));
        }
        for project in
            asked.trackers(now, |project| !is_ours(project) || looks.may_hurry(&LookAt::Tracker(project.clone())))
        {
            looks.hurry(LookAt::Tracker(project));
        }
        if is_due(&mut state.next_look, intervals.forges, now) {
            state.looks.wait(projects.iter().cloned().map(LookAt::Forge));
        }
        if is_due(&mut state.next_poll, intervals.trackers, now) {
            state.looks.wait(projects.into_iter().map(LookAt::Tracker));
        }
    }

    /// When the next breaker lets somebody through that lets nobody through now.
    pub(super) fn next_passage(&self) -> Result<Option<Timestamp>, StoreError> {
        let now = self.now();
        let until = |row: DriverRow| match row.breaker.passage(now, row.probe_lives) {
            Passage::Nobody { until } => Some(until),
            Passage::All | Passage::One => None,
        };
        Ok(self.outside.store.drivers()?.into_iter().filter_map(until).min())
    }

    /// A clock that was set back, while this host lived or while none did, must not make anything wait for as long: nothing would
    /// be claimed that was wanted shortly before.
    pub(super) fn mind_the_clock(&self) -> Result<(), StoreError> {
        let (now, before) = (self.now(), self.state().last_look);
        let before = match before {
            Some(before) => Some(before),
            None => self.outside.store.last_seen()?,
        };
        if let Some(before) = before.filter(|before| now.plus(SET_BACK) < *before) {
            let by = before.since(now);
            let jobs = self.outside.store.clock_went_back(by)?;
            tracing::warn!(
                milliseconds = by.0,
                jobs,
                "the clock was set back: what waits for a time waits no longer for it"
            );
        }
        self.state().last_look = Some(now);
        Ok(())
    }

    /// No door of ours lets tasks need each other; where the rows say so all the same, none of them would ever go on.
    /// A look that fails holds nobody else up: the next one comes.
    pub(super) fn look_for_cycles(&self) {
        let now = self.now();
        if !is_due(&mut self.state().next_cycle_look, LOOK_INTERVAL, now) {
            return;
        }
        match self.outside.store.hold_cycles(now) {
            Ok(0) => {}
            Ok(held) => tracing::error!(held, "tasks need each other: they are held"),
            Err(error) => tracing::warn!(%error, "whether tasks need each other cannot be seen"),
        }
    }
}

/// Whether the time has come; then it is moved on.
fn is_due(next: &mut Timestamp, interval: Milliseconds, now: Timestamp) -> bool {
    // A clock that went back far must not silence it for as long.
    let is_due = *next <= now || *next > now.plus(interval);
    if is_due {
        *next = now.plus(interval);
    }
    is_due
}

pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a text".to_owned())
}
