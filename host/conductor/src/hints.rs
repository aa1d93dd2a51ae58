//! What trackers and forges outside told: read in order, many at a time, believed as far as the sender is known, and followed by a
//! look at whoever sent it.
//!
//! A delivery moves no task by itself. What a person did stands in the tracker's log, and the look that a delivery brings is the same
//! poll that would have come later: so STOP comes through it whatever a status-mapper does, and what was told twice is taken once.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::ids::ProjectName;
use domain::time::{Milliseconds, Timestamp};
use webhooks::{Looks, decode, meaning};

use crate::ports::inbox::{Hint, Taken};
use crate::ports::store::StoreError;
use crate::ports::tally::{Expanded, Fact};
use crate::{Conductor, Tick, Work};

/// Hints that are read at a time.
const HINTS: u32 = 256;

/// When a tracker is looked at after a hint: its log may be written later than its webhook is sent (rule B2).
const LOOKS_AFTER: [Milliseconds; 5] =
    [Milliseconds(0), Milliseconds(1_000), Milliseconds(5_000), Milliseconds(30_000), Milliseconds(120_000)];

/// Looks that somebody asked for, by project.
#[derive(Default)]
pub(crate) struct Asked {
    forges: BTreeSet<ProjectName>,
    /// When the last hint came, and how many of its looks were made.
    trackers: BTreeMap<ProjectName, (Timestamp, usize)>,
}

impl Asked {
    fn ask(&mut self, project: &ProjectName, looks: Looks, now: Timestamp) {
        if looks.forge {
            self.forges.insert(project.clone());
        }
        if looks.tracker {
            self.trackers.insert(project.clone(), (now, 0));
        }
    }

    /// Projects whose forge is to be looked at; each that `free` takes is forgotten, the others are asked for again.
    pub(crate) fn forges(&mut self, mut free: impl FnMut(&ProjectName) -> bool) -> Vec<ProjectName> {
        let (taken, kept) =
            std::mem::take(&mut self.forges).into_iter().partition::<Vec<_>, _>(|project| free(project));
        self.forges = kept.into_iter().collect();
        taken
    }

    /// The same of trackers, of those whose time has come.
    pub(crate) fn trackers(&mut self, now: Timestamp, mut free: impl FnMut(&ProjectName) -> bool) -> Vec<ProjectName> {
        let mut taken = Vec::new();
        self.trackers.retain(|project, (since, made)| {
            if due(*since, *made) <= now && free(project) {
                taken.push(project.clone());
                // What is overdue is made up for by one look.
                while *made < LOOKS_AFTER.len() && due(*since, *made) <= now {
                    *made += 1;
                }
            }
            *made < LOOKS_AFTER.len() && due(*since, *made).since(now) <= LOOKS_AFTER[LOOKS_AFTER.len() - 1]
        });
        taken
    }

    /// When the next of them is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.trackers.values().map(|(since, made)| due(*since, *made)).min()
    }
}

fn due(since: Timestamp, made: usize) -> Timestamp {
    since.plus(LOOKS_AFTER.get(made).copied().unwrap_or_default())
}

impl Conductor {
    /// Looks at the outside of a project soon, because somebody says that there is news.
    pub fn ask_for_looks(&self, project: &ProjectName, looks: Looks) {
        let now = self.now();
        self.state().asked.ask(project, looks, now);
    }

    /// Takes up what nobody has read, unless somebody reads.
    pub(crate) fn find_hints(&self, tick: &mut Tick) -> Result<(), StoreError> {
        if self.state().reading {
            return Ok(());
        }
        let hints = self.outside.store.hints(HINTS)?;
        if !hints.is_empty() {
            self.state().reading = true;
            tick.work.push(Work::Read(hints));
        }
        Ok(())
    }

    /// Reads hints and closes them with what they told.
    pub(crate) fn take_hints(&self, hints: &[Hint]) -> Result<(), StoreError> {
        let read = hints.iter().map(read_or_park).collect::<Vec<_>>();
        let taken = read.iter().map(|(taken, _)| taken.clone()).collect::<Vec<_>>();
        take(taken, &mut |taken| self.outside.store.take_hints(taken, self.now()))?;
        // After the commit: a host that dies here looks when it begins again.
        for (hint, (taken, looks)) in hints.iter().zip(read) {
            let outcome = outcome_of(&taken, looks);
            let (source, delivery) = (hint.source.as_str(), hint.id.0);
            tracing::debug!(delivery, source, outcome = outcome.word(), "a delivery was read");
            self.report(Fact::Expanded { source, outcome, told: None });
            self.ask_for_looks(&hint.project, looks);
        }
        Ok(())
    }
}

/// What of the store passes by itself: all is read again then, and nothing that was told is lost.
const fn passes(error: &StoreError) -> bool {
    matches!(error, StoreError::Full(_) | StoreError::Busy(_) | StoreError::Fatal(_))
}

/// Writes down what hints told: together, or where that is refused one by one, for one that cannot be taken must not keep the others
/// back.
fn take(taken: Vec<Taken>, write: &mut dyn FnMut(&[Taken]) -> Result<(), StoreError>) -> Result<(), StoreError> {
    match write(&taken) {
        Err(error) if !passes(&error) => {}
        told => return told,
    }
    for one in taken {
        match write(std::slice::from_ref(&one)) {
            Err(error) if !passes(&error) => {
                tracing::error!(delivery = %one.id, %error, "a delivery is parked");
                write(&[Taken { id: one.id, facts: Vec::new(), effect: error.to_string(), parked: true }])?;
            }
            told => told?,
        }
    }
    Ok(())
}

fn outcome_of(taken: &Taken, looks: Looks) -> Expanded {
    if taken.parked {
        Expanded::Parked
    } else if taken.facts.is_empty() && !looks.forge && !looks.tracker {
        Expanded::Nothing
    } else {
        Expanded::Told
    }
}

/// Nothing that is read should panic; where it does, one hint is the price.
fn read_or_park(hint: &Hint) -> (Taken, Looks) {
    catch_unwind(AssertUnwindSafe(|| read(hint))).unwrap_or_else(|_| {
        let effect = "reading it panicked".to_owned();
        (Taken { id: hint.id, facts: Vec::new(), effect, parked: true }, Looks { forge: true, tracker: true })
    })
}

fn read(hint: &Hint) -> (Taken, Looks) {
    match decode(hint.source, &hint.headers, &hint.body) {
        Ok(event) => {
            let meaning = meaning(&event, hint.verified, hint.at);
            (Taken { id: hint.id, facts: meaning.facts, effect: meaning.effect, parked: false }, meaning.looks)
        }
        // Nothing is lost by it: it would only have been a hint. People may want to know all the same.
        Err(error) => {
            let parked = matches!(error, webhooks::DecodeError::Payload(_));
            (Taken { id: hint.id, facts: Vec::new(), effect: error.to_string(), parked }, Looks::default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> ProjectName {
        ProjectName::new("app").unwrap()
    }

    #[test]
    fn rule_b2_a_hint_brings_looks_at_once_and_again_until_two_minutes_later() {
        let mut asked = Asked::default();
        asked.ask(&app(), Looks { forge: false, tracker: true }, Timestamp(1_000_000));
        let mut made = Vec::new();
        for now in (1_000_000..1_200_000).step_by(500) {
            made.extend(asked.trackers(Timestamp(now), |_| true).iter().map(|_| now - 1_000_000));
        }
        assert_eq!(made, [0, 1_000, 5_000, 30_000, 120_000]);
        assert_eq!(asked.next(), None);
    }

    #[test]
    fn a_look_that_is_under_way_is_made_again_for_what_came_meanwhile() {
        let mut asked = Asked::default();
        asked.ask(&app(), Looks { forge: true, tracker: true }, Timestamp(5));
        assert_eq!(asked.forges(|_| false), []);
        assert_eq!(asked.trackers(Timestamp(5), |_| false), []);
        assert_eq!(asked.next(), Some(Timestamp(5)));
        assert_eq!(asked.forges(|_| true), [app()]);
        assert_eq!(asked.forges(|_| true), []);
        // Late: one look makes up for two.
        assert_eq!(asked.trackers(Timestamp(2_000), |_| true), [app()]);
        assert_eq!(asked.next(), Some(Timestamp(5_005)));
    }

    fn told(id: u64) -> Taken {
        let fact = webhooks::Fact::Wake { subject: "feature/x".to_owned(), wake: domain::verdict::WakeKind::Push };
        let id = domain::ids::DeliveryId(id);
        Taken { id, facts: vec![fact], effect: "a push".to_owned(), parked: false }
    }

    /// The lock is let go between two tries: whatever was told by then is told as it is, and never parked for it.
    #[test]
    fn c2_2_a_store_that_is_busy_twice_parks_no_hint() {
        for refused_first in [false, true] {
            let mut answers =
                vec![Ok(()), Err(StoreError::Busy("locked".to_owned())), Err(StoreError::Busy("locked".to_owned()))];
            if refused_first {
                answers.push(Err(StoreError::Broken("one of them is damaged".to_owned())));
            }
            let mut written = Vec::new();
            let mut write = |taken: &[Taken]| {
                let answer = answers.pop().unwrap_or(Ok(()));
                if answer.is_ok() {
                    written.extend_from_slice(taken);
                }
                answer
            };
            while let Err(error) = take(vec![told(1), told(2)], &mut write) {
                assert!(matches!(error, StoreError::Busy(_)), "{error}");
            }
            assert_eq!(written, [told(1), told(2)]);
        }
    }

    /// What is refused for itself is parked, and takes no other with it.
    #[test]
    fn a_hint_that_the_store_refuses_is_parked_alone() {
        let mut written = Vec::new();
        let mut write = |taken: &[Taken]| {
            if taken.iter().any(|one| one.id.0 == 1 && !one.parked) {
                return Err(StoreError::Broken("it is damaged".to_owned()));
            }
            written.extend_from_slice(taken);
            Ok(())
        };
        take(vec![told(1), told(2)], &mut write).unwrap();
        assert_eq!(written.iter().map(|one| (one.id.0, one.parked)).collect::<Vec<_>>(), [(1, true), (2, false)]);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_no_look_for_ever() {
        let mut asked = Asked::default();
        asked.ask(&app(), Looks { forge: false, tracker: true }, Timestamp(90_000_000));
        assert_eq!(asked.trackers(Timestamp(1), |_| true), []);
        assert_eq!(asked.next(), None);
    }
}
