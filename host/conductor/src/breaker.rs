//! The circuit breaker of an agent driver (catalogue C4): where a service refuses again and again, nobody is sent there for a
//! while, and then one run goes ahead to see. Pure: what happened and when are arguments; the store keeps the state and moves it
//! in the transaction that tells it.

use domain::event::{FailureClass, RunOutcome};
use domain::ids::{JobId, TaskId};
use domain::time::{Milliseconds, Timestamp};
use serde::{Deserialize, Serialize};

/// Transient failures in a row that open it (C4 is silent). Each is a run of its own that was refused at its end, after the
/// agent's own retries: five are no accident of one of them. Where one task alone was refused, it stays closed: that may be
/// the doing of its own agent, and its budget and its pauses hold it back.
pub const FAILURES: u32 = 5;
/// Failures in a row count together only within this span (C4 is silent): five in a day are five accidents.
pub const WINDOW: Milliseconds = Milliseconds::from_seconds(30 * 60);
/// How long it stays open at first (C4 is silent): the shortest windows in which services count are a minute.
pub const COOL_DOWN: Milliseconds = Milliseconds::from_seconds(60);
/// The cool-down doubles with each probe that is refused, up to this (C4 is silent): when the service is well again, all agents
/// stand still no longer than this.
pub const LONGEST_COOL_DOWN: Milliseconds = Milliseconds::from_seconds(15 * 60);
/// A probe may work for an hour before it ends. After so long without an answer another one is let through (C4 is silent).
pub const PROBE_PATIENCE: Milliseconds = Milliseconds::from_seconds(10 * 60);

/// How a driver's breaker stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Breaker {
    /// Everybody is let through.
    Closed {
        /// Transient failures in a row.
        failures: u32,
        /// When the first of them was heard of.
        since: Timestamp,
    },
    /// Nobody is let through.
    Open {
        /// When it opened.
        since: Timestamp,
        /// When one run may go ahead to see.
        until: Timestamp,
        /// How often it opened without a run that was served in between.
        trips: u32,
    },
    /// One run goes ahead to see.
    HalfOpen {
        /// When it was let through.
        since: Timestamp,
        /// The job of that run.
        probe: JobId,
        /// As of the open one.
        trips: u32,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0, since: Timestamp(0) }
    }
}

/// What the end of a run says of the service behind its agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It served.
    Served,
    /// It refused for now.
    Refused,
    /// The run failed by itself, was lost or never began: that says nothing of the service.
    Nothing,
}

impl Heard {
    /// What an outcome says.
    pub const fn of(outcome: &RunOutcome) -> Self {
        match outcome {
            RunOutcome::Delivered { .. } | RunOutcome::Trespassed { .. } => Self::Served,
            RunOutcome::Undelivered { class: FailureClass::Transient, .. } => Self::Refused,
            RunOutcome::Undelivered { class: FailureClass::Permanent, .. }
            | RunOutcome::OverBudget { .. }
            | RunOutcome::Followed { .. } => Self::Nothing,
        }
    }
}

/// Who may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Everybody.
    All,
    /// One, and that one is the probe.
    One,
    /// Nobody.
    Nobody {
        /// When to ask again, if nothing is heard before.
        until: Timestamp,
    },
}

impl Breaker {
    /// As rows, the API and people spell it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half-open",
        }
    }

    /// Who may pass now. `probe_lives`: whether the probe's job is still claimed. A clock that went back keeps nobody waiting for
    /// the time by which it did.
    pub fn passage(&self, now: Timestamp, probe_lives: bool) -> Passage {
        let (since, until) = match self {
            Self::Closed { .. } => return Passage::All,
            Self::HalfOpen { .. } if !probe_lives => return Passage::One,
            Self::Open { since, until, .. } => (*since, *until),
            Self::HalfOpen { since, .. } => (*since, since.plus(PROBE_PATIENCE)),
        };
        if now >= until || now < since { Passage::One } else { Passage::Nobody { until } }
    }

    /// A run was let through.
    #[must_use]
    pub fn after_passing(&self, job: JobId, now: Timestamp) -> Self {
        match self {
            Self::Closed { .. } => self.clone(),
            Self::Open { trips, .. } | Self::HalfOpen { trips, .. } => {
                Self::HalfOpen { since: now, probe: job, trips: *trips }
            }
        }
    }

    fn opened(now: Timestamp, trips: u32) -> Self {
        let span = COOL_DOWN.0.saturating_mul(1 << trips.min(20)).min(LONGEST_COOL_DOWN.0);
        Self::Open { since: now, until: now.plus(Milliseconds(span)), trips }
    }
}

/// A breaker and whose refusals it heard, as the store keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// How it stands.
    #[serde(flatten)]
    pub breaker: Breaker,
    /// Whose run was refused last, where none was served since: the next probe is of another task, where one waits. None also
    /// where an earlier version wrote this.
    #[serde(default)]
    pub last: Option<TaskId>,
    /// Of the failures in a row some are of other tasks.
    #[serde(default)]
    pub several: bool,
}

impl Kept {
    /// A run was let through.
    #[must_use]
    pub fn after_passing(&self, job: JobId, now: Timestamp) -> Self {
        Self { breaker: self.breaker.after_passing(job, now), ..self.clone() }
    }

    /// A run of this task ended.
    #[must_use]
    pub fn after_hearing(&self, heard: Heard, task: TaskId, now: Timestamp) -> Self {
        match (&self.breaker, heard) {
            (_, Heard::Nothing) => self.clone(),
            (_, Heard::Served) => Self::default(),
            // Runs that were under way when it opened: nothing new.
            (Breaker::Open { .. }, Heard::Refused) => self.clone(),
            (Breaker::HalfOpen { trips, .. }, Heard::Refused) => {
                let breaker = Breaker::opened(now, trips.saturating_add(1));
                Self { breaker, last: Some(task), several: self.several }
            }
            (Breaker::Closed { failures, since }, Heard::Refused) => {
                let goes_on = *failures > 0 && now >= *since && now.since(*since) <= WINDOW;
                let several = goes_on && (self.several || self.last.is_some_and(|last| last != task));
                let (failures, since) = if goes_on { (failures.saturating_add(1), *since) } else { (1, now) };
                // The last that is missing must be another task's.
                let failures = if several { failures } else { failures.min(FAILURES - 1) };
                let breaker =
                    if failures >= FAILURES { Breaker::opened(now, 0) } else { Breaker::Closed { failures, since } };
                Self { breaker, last: Some(task), several }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn later(minutes: u64) -> Timestamp {
        NOW.plus(Milliseconds::from_seconds(60 * minutes))
    }

    fn closed(failures: u32) -> Breaker {
        Breaker::Closed { failures, since: NOW }
    }

    fn open(trips: u32) -> Breaker {
        Breaker::opened(NOW, trips)
    }

    fn half_open(trips: u32) -> Breaker {
        Breaker::HalfOpen { since: NOW, probe: JobId(7), trips }
    }

    #[test]
    fn c4_2_every_state_times_everything_that_is_heard() {
        use Heard::{Nothing, Refused, Served};
        let table = [
            (closed(0), Served, later(1), Breaker::default()),
            (closed(0), Refused, later(1), Breaker::Closed { failures: 1, since: later(1) }),
            (closed(3), Refused, later(1), closed(4)),
            (closed(3), Nothing, later(1), closed(3)),
            (closed(3), Served, later(1), Breaker::default()),
            (closed(4), Refused, NOW, open(0)),
            (closed(4), Refused, later(31), Breaker::Closed { failures: 1, since: later(31) }),
            (closed(4), Refused, Timestamp(5), Breaker::Closed { failures: 1, since: Timestamp(5) }),
            (open(2), Refused, later(1), open(2)),
            (open(2), Nothing, later(1), open(2)),
            (open(2), Served, later(1), Breaker::default()),
            (half_open(0), Refused, NOW, open(1)),
            (half_open(9), Refused, NOW, open(10)),
            (half_open(0), Nothing, later(1), half_open(0)),
            (half_open(3), Served, later(1), Breaker::default()),
        ];
        for (breaker, heard, at, expected) in table {
            let before = Kept { breaker, last: Some(TaskId(1)), several: false };
            assert_eq!(before.after_hearing(heard, TaskId(2), at).breaker, expected, "{before:?} hears {heard:?}");
        }
    }

    #[test]
    fn c4_2_what_one_task_alone_is_refused_opens_nothing() {
        let hears = |tasks: &[u64]| {
            let kept = Kept::default();
            tasks.iter().fold(kept, |kept, task| kept.after_hearing(Heard::Refused, TaskId(*task), NOW))
        };
        assert_eq!(hears(&[1; 40]), Kept { breaker: closed(FAILURES - 1), last: Some(TaskId(1)), several: false });
        assert_eq!(hears(&[1, 1, 1, 2]), Kept { breaker: closed(4), last: Some(TaskId(2)), several: true });
        for tasks in [[1, 1, 1, 1, 2], [1, 2, 2, 2, 2], [1, 2, 1, 2, 1], [1, 2, 3, 4, 5]] {
            let last = Some(TaskId(tasks[4]));
            assert_eq!(hears(&tasks), Kept { breaker: open(0), last, several: true }, "{tasks:?}");
        }
        // Another task's refusal of yesterday is none of this row.
        let two = Kept { breaker: closed(3), last: Some(TaskId(2)), several: true };
        let later = two.after_hearing(Heard::Refused, TaskId(1), later(31));
        assert!(!later.several, "{later:?}");
    }

    /// What an earlier version wrote names no task: it reads, and another task has to be refused before it opens.
    #[test]
    fn c4_2_what_an_earlier_version_wrote_reads() {
        let read = |text: &str| serde_json::from_str::<Kept>(text).unwrap();
        let before = read(r#"{"state":"closed","failures":4,"since":1000000}"#);
        assert_eq!(before, Kept { breaker: closed(4), last: None, several: false });
        let first = before.after_hearing(Heard::Refused, TaskId(1), NOW);
        assert_eq!(first, Kept { breaker: closed(4), last: Some(TaskId(1)), several: false });
        assert_eq!(first.after_hearing(Heard::Refused, TaskId(2), NOW).breaker, open(0));
        let half = read(r#"{"state":"half-open","since":1000000,"probe":7,"trips":3}"#);
        assert_eq!(half, Kept { breaker: half_open(3), last: None, several: false });
        for kept in [before, first, half] {
            assert_eq!(read(&serde_json::to_string(&kept).unwrap()), kept);
        }
        // And the other way round: who knows only how it stands reads what is written now.
        let text = serde_json::to_string(&Kept { breaker: open(2), last: Some(TaskId(9)), several: true }).unwrap();
        assert_eq!(serde_json::from_str::<Breaker>(&text).unwrap(), open(2));
    }

    #[test]
    fn c4_2_who_may_pass() {
        let nobody = |until| Passage::Nobody { until };
        let table = [
            (closed(4), later(0), false, Passage::All),
            (open(0), later(0), false, nobody(later(1))),
            (open(0), later(1), false, Passage::One),
            (open(3), later(7), false, nobody(later(8))),
            (open(9), later(14), false, nobody(later(15))),
            (open(9), later(15), false, Passage::One),
            (open(9), Timestamp(5), false, Passage::One),
            (half_open(0), later(0), true, nobody(later(10))),
            (half_open(0), later(0), false, Passage::One),
            (half_open(0), later(10), true, Passage::One),
        ];
        for (breaker, now, probe_lives, expected) in table {
            assert_eq!(breaker.passage(now, probe_lives), expected, "{breaker:?} at {now:?}");
        }
        assert_eq!(open(3).after_passing(JobId(7), NOW), half_open(3));
        assert_eq!(half_open(3).after_passing(JobId(8), later(10)), {
            Breaker::HalfOpen { since: later(10), probe: JobId(8), trips: 3 }
        });
        assert_eq!(closed(3).after_passing(JobId(7), later(1)), closed(3));
    }

    /// Whatever is heard and whenever: it never opens for longer than its ceiling, it lets somebody through in the end, and a run
    /// that is served closes it.
    #[test]
    fn c4_2_no_walk_leads_to_a_breaker_that_stays_open() {
        let mut seed = 1_u64;
        let mut luck = |bound: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % bound
        };
        for _ in 0..200 {
            let (mut kept, mut now) = (Kept::default(), NOW);
            for job in 0..100 {
                now = now.plus(Milliseconds(luck(600_000)));
                let task = TaskId(luck(3));
                kept = match luck(4) {
                    0 => kept.after_hearing(Heard::Nothing, task, now),
                    1 if luck(4) == 0 => kept.after_hearing(Heard::Served, task, now),
                    2 if kept.breaker.passage(now, true) != Passage::All => kept.after_passing(JobId(job), now),
                    _ => kept.after_hearing(Heard::Refused, task, now),
                };
                let breaker = &kept.breaker;
                if let Passage::Nobody { until } = breaker.passage(now, true) {
                    assert!(until.since(now) <= LONGEST_COOL_DOWN, "{breaker:?}");
                    assert_eq!(breaker.passage(until, true), Passage::One);
                }
                assert_eq!(kept.after_hearing(Heard::Served, task, now), Kept::default());
                if let Breaker::Closed { failures, .. } = breaker {
                    assert!(*failures < FAILURES);
                }
            }
        }
    }
}
