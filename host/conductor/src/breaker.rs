//! The circuit breaker of an agent driver (catalogue C4): where a service refuses again and again, nobody is sent there for a
//! while, and then one run goes ahead to see. Pure: what happened and when are arguments; the store keeps the state and moves it
//! in the transaction that tells it.

use domain::event::{FailureClass, RunOutcome};
use domain::ids::JobId;
use domain::time::{Milliseconds, Timestamp};
use serde::{Deserialize, Serialize};

/// Transient failures in a row that open it (C4 is silent). Each is a run of its own that was refused at its end, after the
/// agent's own retries: five are no accident of one of them.
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

    /// A run ended.
    #[must_use]
    pub fn after_hearing(&self, heard: Heard, now: Timestamp) -> Self {
        match (self, heard) {
            (_, Heard::Nothing) => self.clone(),
            (_, Heard::Served) => Self::default(),
            // Runs that were under way when it opened: nothing new.
            (Self::Open { .. }, Heard::Refused) => self.clone(),
            (Self::HalfOpen { trips, .. }, Heard::Refused) => Self::opened(now, trips.saturating_add(1)),
            (Self::Closed { failures, since }, Heard::Refused) => {
                let goes_on = *failures > 0 && now >= *since && now.since(*since) <= WINDOW;
                let (failures, since) = if goes_on { (failures + 1, *since) } else { (1, now) };
                if failures >= FAILURES { Self::opened(now, 0) } else { Self::Closed { failures, since } }
            }
        }
    }

    fn opened(now: Timestamp, trips: u32) -> Self {
        let span = COOL_DOWN.0.saturating_mul(1 << trips.min(20)).min(LONGEST_COOL_DOWN.0);
        Self::Open { since: now, until: now.plus(Milliseconds(span)), trips }
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
        for (before, heard, at, expected) in table {
            assert_eq!(before.after_hearing(heard, at), expected, "{before:?} hears {heard:?}");
        }
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
            let (mut breaker, mut now) = (Breaker::default(), NOW);
            for job in 0..100 {
                now = now.plus(Milliseconds(luck(600_000)));
                breaker = match luck(4) {
                    0 => breaker.after_hearing(Heard::Nothing, now),
                    1 if luck(4) == 0 => breaker.after_hearing(Heard::Served, now),
                    2 if breaker.passage(now, true) != Passage::All => breaker.after_passing(JobId(job), now),
                    _ => breaker.after_hearing(Heard::Refused, now),
                };
                if let Passage::Nobody { until } = breaker.passage(now, true) {
                    assert!(until.since(now) <= LONGEST_COOL_DOWN, "{breaker:?}");
                    assert_eq!(breaker.passage(until, true), Passage::One);
                }
                assert_eq!(breaker.after_hearing(Heard::Served, now), Breaker::default());
                if let Breaker::Closed { failures, .. } = breaker {
                    assert!(failures < FAILURES);
                }
            }
        }
    }
}
