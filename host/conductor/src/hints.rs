//! What trackers and forges outside told: read in order, many at a time, believed as far as the sender is known, and followed by a
//! look at whoever sent it.
//!
//! A delivery moves no task by itself. What a person did stands in the tracker's log, and the look that a delivery brings is the same
//! poll that would have come later: so STOP comes through it whatever a status-mapper does, and what was told twice is taken once.
//!
//! Neither sender comes again, so what could not be read brings a look too. Where nobody proved who he is, and where nobody knows
//! what was meant, such looks come no faster than the clock looks anyway: whoever floods the door at most doubles them.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::ids::{DeliveryId, ProjectName};
use domain::time::{Milliseconds, Timestamp};
use webhooks::{DecodeError, Looks, decode, meaning};

use crate::ports::inbox::{Hint, Taken};
use crate::ports::store::StoreError;
use crate::ports::tally::{Expanded, Fact};
use crate::{Conductor, Intervals, Tick, Work};

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
    /// Trackers that are looked at once.
    once: BTreeSet<ProjectName>,
    /// Looks that anybody may cause.
    seldom: BTreeMap<ProjectName, Seldom>,
}

/// Looks of a project that anybody may cause.
#[derive(Default)]
struct Seldom {
    forge: Pace,
    tracker: Pace,
}

/// One look at once, the next no sooner than an interval later, and none forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    last: Option<Timestamp>,
    owed: bool,
}

impl Pace {
    /// Somebody wants a look.
    pub fn owe(&mut self) {
        self.owed = true;
    }

    /// When the look that is owed is due; none: none is.
    pub fn due(&self, interval: Milliseconds, now: Timestamp) -> Option<Timestamp> {
        // A clock that was set back keeps nobody from looking.
        let last = self.last.filter(|last| *last <= now);
        self.owed.then(|| last.map_or(now, |last| last.plus(interval)))
    }

    /// Whether it is due now; then it is owed no more.
    pub fn take(&mut self, interval: Milliseconds, now: Timestamp) -> bool {
        let taken = self.due(interval, now).is_some_and(|due| due <= now);
        if taken {
            *self = Self { last: Some(now), owed: false };
        }
        taken
    }
}

impl Asked {
    /// Of somebody who did not prove who he is, or of whom it is not known what he told.
    fn ask_seldom(&mut self, project: &ProjectName, looks: Looks) {
        let seldom = self.seldom.entry(project.clone()).or_default();
        seldom.forge.owed |= looks.forge;
        seldom.tracker.owed |= looks.tracker;
    }

    /// Lets those through that anybody may cause, as far as their time has come.
    pub(crate) fn let_through(&mut self, intervals: Intervals, now: Timestamp) {
        for (project, seldom) in &mut self.seldom {
            if seldom.forge.take(intervals.forges, now) {
                self.forges.insert(project.clone());
            }
            if seldom.tracker.take(intervals.trackers, now) {
                self.once.insert(project.clone());
            }
        }
    }

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
        self.once.retain(|project| {
            // The look that is just being made is this one too.
            let is_made = taken.contains(project);
            let takes = !is_made && free(project);
            if takes {
                taken.push(project.clone());
            }
            !is_made && !takes
        });
        taken
    }

    /// When the next of them is due.
    pub(crate) fn next(&self, intervals: Intervals, now: Timestamp) -> Option<Timestamp> {
        let often = self.trackers.values().map(|(since, made)| due(*since, *made));
        let seldom = self
            .seldom
            .values()
            .flat_map(|seldom| [seldom.forge.due(intervals.forges, now), seldom.tracker.due(intervals.trackers, now)]);
        often.chain(seldom.flatten()).min()
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

    /// The same at the word of somebody who did not prove who he is: no more of such looks than the clock makes.
    pub fn ask_for_looks_seldom(&self, project: &ProjectName, looks: Looks) {
        self.state().asked.ask_seldom(project, looks);
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
        let taken = read.iter().map(|read| read.taken.clone()).collect::<Vec<_>>();
        let parked = take(taken, &mut |taken| self.outside.store.take_hints(taken, self.now()))?;
        // After the commit: a host that dies here looks when it begins again.
        for (hint, mut read) in hints.iter().zip(read) {
            if parked.contains(&hint.id) {
                (read.taken.parked, read.looks) = (true, Looks::at(hint.source));
            }
            let outcome = outcome_of(&read);
            let (source, delivery) = (hint.source.as_str(), hint.id.0);
            tracing::debug!(delivery, source, outcome = outcome.word(), "a delivery was read");
            self.report(Fact::Expanded { source, outcome, told: None });
            if hint.verified && read.is_understood {
                self.ask_for_looks(&hint.project, read.looks);
            } else {
                self.ask_for_looks_seldom(&hint.project, read.looks);
            }
        }
        Ok(())
    }
}

/// What of the store passes by itself: all is read again then, and nothing that was told is lost.
const fn passes(error: &StoreError) -> bool {
    matches!(error, StoreError::Full(_) | StoreError::Busy(_) | StoreError::Fatal(_))
}

/// Writes down what hints told: together, or where that is refused one by one, for one that cannot be taken must not keep the others
/// back. Those that could not be taken, and are parked.
fn take(
    taken: Vec<Taken>,
    write: &mut dyn FnMut(&[Taken]) -> Result<(), StoreError>,
) -> Result<BTreeSet<DeliveryId>, StoreError> {
    let mut unfit = BTreeSet::new();
    match write(&taken) {
        Err(error) if !passes(&error) => {}
        told => return told.map(|()| unfit),
    }
    for one in taken {
        match write(std::slice::from_ref(&one)) {
            Err(error) if !passes(&error) => {
                tracing::error!(delivery = %one.id, %error, "a delivery is parked");
                write(&[Taken { id: one.id, facts: Vec::new(), effect: error.to_string(), parked: true }])?;
                unfit.insert(one.id);
            }
            told => told?,
        }
    }
    Ok(unfit)
}

/// What a hint told, and what is to be looked at.
struct Read {
    taken: Taken,
    looks: Looks,
    /// It is known what was meant.
    is_understood: bool,
}

fn outcome_of(read: &Read) -> Expanded {
    if read.taken.parked {
        Expanded::Parked
    } else if read.taken.facts.is_empty() && !read.looks.forge && !read.looks.tracker {
        Expanded::Nothing
    } else {
        Expanded::Told
    }
}

/// Nothing that is read should panic; where it does, one hint is the price.
fn read_or_park(hint: &Hint) -> Read {
    catch_unwind(AssertUnwindSafe(|| read(hint)))
        .unwrap_or_else(|_| unread(hint, "reading it panicked".to_owned(), true))
}

fn read(hint: &Hint) -> Read {
    match decode(hint.source, &hint.headers, &hint.body) {
        Ok(event) => {
            let meaning = meaning(&event, hint.verified, hint.at);
            let taken = Taken { id: hint.id, facts: meaning.facts, effect: meaning.effect, parked: false };
            Read { taken, looks: meaning.looks, is_understood: true }
        }
        // Nothing is lost by it: it would only have been a hint. People may want to know all the same.
        Err(DecodeError::Unknown(what)) => {
            let whom = if Looks::at(hint.source).forge { "forge" } else { "tracker" };
            unread(hint, format!("not understood: {what}; a look at the {whom}"), false)
        }
        Err(DecodeError::Payload(error)) => unread(hint, error.to_string(), true),
    }
}

/// What it told stands where it came from.
fn unread(hint: &Hint, effect: String, parked: bool) -> Read {
    let taken = Taken { id: hint.id, facts: Vec::new(), effect, parked };
    Read { taken, looks: Looks::at(hint.source), is_understood: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Intervals = Intervals { forges: Milliseconds(10_000), trackers: Milliseconds(120_000) };

    fn app() -> ProjectName {
        ProjectName::new("app").unwrap()
    }

    fn next(asked: &Asked, now: u64) -> Option<Timestamp> {
        asked.next(EVERY, Timestamp(now))
    }

    /// A flood of what anybody may send: one look at once, then as many as the clock makes, and one for the last of it.
    #[test]
    fn what_nobody_proved_brings_no_more_looks_than_the_clock() {
        let mut asked = Asked::default();
        let (mut forges, mut trackers) = (Vec::new(), Vec::new());
        for second in 1_000..1_400 {
            let now = Timestamp(second * 1_000);
            if second < 1_242 {
                asked.ask_seldom(&app(), Looks { forge: true, tracker: true });
            }
            asked.let_through(EVERY, now);
            forges.extend(asked.forges(|_| true).iter().map(|_| second - 1_000));
            trackers.extend(asked.trackers(now, |_| true).iter().map(|_| second - 1_000));
        }
        assert_eq!(forges, (0..26).map(|look| look * 10).collect::<Vec<_>>());
        assert_eq!(trackers, [0, 120, 240, 360]);
        assert_eq!(next(&asked, 1_400_000), None);
    }

    #[test]
    fn a_look_that_is_owed_is_waited_for_and_what_is_looked_at_already_is_not_looked_at_twice() {
        let mut asked = Asked::default();
        let tracker = Looks { forge: false, tracker: true };
        asked.ask_seldom(&app(), tracker);
        assert_eq!(next(&asked, 5), Some(Timestamp(5)));
        asked.let_through(EVERY, Timestamp(5));
        assert_eq!(asked.trackers(Timestamp(5), |_| false), [], "it is looked at just now");
        asked.ask(&app(), tracker, Timestamp(5));
        assert_eq!(asked.trackers(Timestamp(5), |_| true), [app()]);
        assert!(asked.once.is_empty());
        asked.ask_seldom(&app(), tracker);
        asked.let_through(EVERY, Timestamp(6));
        assert!(asked.once.is_empty());
        asked.trackers.clear();
        assert_eq!(next(&asked, 6), Some(Timestamp(120_005)));
        // A clock that was set back.
        assert_eq!(next(&asked, 2), Some(Timestamp(2)));
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
        assert_eq!(next(&asked, 1_200_000), None);
    }

    #[test]
    fn a_look_that_is_under_way_is_made_again_for_what_came_meanwhile() {
        let mut asked = Asked::default();
        asked.ask(&app(), Looks { forge: true, tracker: true }, Timestamp(5));
        assert_eq!(asked.forges(|_| false), []);
        assert_eq!(asked.trackers(Timestamp(5), |_| false), []);
        assert_eq!(next(&asked, 5), Some(Timestamp(5)));
        assert_eq!(asked.forges(|_| true), [app()]);
        assert_eq!(asked.forges(|_| true), []);
        // Late: one look makes up for two.
        assert_eq!(asked.trackers(Timestamp(2_000), |_| true), [app()]);
        assert_eq!(next(&asked, 2_000), Some(Timestamp(5_005)));
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
        let parked = take(vec![told(1), told(2)], &mut write).unwrap();
        assert_eq!(parked, BTreeSet::from([DeliveryId(1)]));
        assert_eq!(written.iter().map(|one| (one.id.0, one.parked)).collect::<Vec<_>>(), [(1, true), (2, false)]);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_no_look_for_ever() {
        let mut asked = Asked::default();
        asked.ask(&app(), Looks { forge: false, tracker: true }, Timestamp(90_000_000));
        assert_eq!(asked.trackers(Timestamp(1), |_| true), []);
        assert_eq!(next(&asked, 1), None);
    }
}
