//! Who dies where: the places that were hit least come first, so that each gets its share; and one more death at any time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::luck::Luck;

use super::round::{Strike, Told, Whom};

/// Named deaths of one round at most, and of those deaths of shims: each costs a run, and a visit has three.
const MOST: u64 = 8;
const SHIMS: usize = 2;
/// So much more is ordered than would do, for not every order finds somebody.
const RESERVE: f64 = 1.3;
/// A death at random comes within this time of the last one.
const SPAN: Duration = Duration::from_secs(3);
/// Of a place that is passed often, one of the first passes.
const FIRST: u64 = 12;

/// What was hit, and how often is enough.
pub(super) struct Planner {
    hits: BTreeMap<String, u64>,
    missed: BTreeMap<String, u64>,
    /// How often each is passed where nobody dies.
    passed: BTreeMap<String, u64>,
    pub(super) least: u64,
    each_round: u64,
}

impl Planner {
    pub(super) fn new(places: &[String], least: u64, rounds: u64, passed: BTreeMap<String, u64>) -> Self {
        let wanted = places.len() as f64 * least as f64 * RESERVE / rounds.max(1) as f64;
        let each_round = (wanted.ceil() as u64).clamp(1, MOST);
        let hits = places.iter().map(|place| (place.clone(), 0)).collect();
        Self { hits, missed: BTreeMap::new(), passed, least, each_round }
    }

    /// The deaths of the next round.
    pub(super) fn plan(&self, luck: &mut Luck) -> Vec<Strike> {
        let mut order = self.hits.iter().map(|(place, hits)| (*hits, luck.number(), place)).collect::<Vec<_>>();
        order.sort();
        let (mut strikes, mut shims) = (Vec::new(), 0);
        for (_, _, place) in order {
            if strikes.len() as u64 == self.each_round {
                break;
            }
            shims += usize::from(place.starts_with("shim-"));
            if !place.starts_with("shim-") || shims <= SHIMS {
                strikes.push(Strike::At { place: place.clone(), count: self.count(place, luck) });
            }
        }
        let whom = if luck.below(4) == 0 && shims < SHIMS { Whom::Shim } else { Whom::Host };
        strikes.push(Strike::Later { after: Duration::from_millis(luck.below(SPAN.as_millis() as u64)), whom });
        strikes
    }

    /// At which pass. A place at which an order came to nothing is ordered for the first.
    fn count(&self, place: &str, luck: &mut Luck) -> u64 {
        let passes = self.passed.get(place).copied().unwrap_or(1).min(FIRST);
        if self.missed.contains_key(place) { 1 } else { 1 + luck.below(passes) }
    }

    pub(super) fn note(&mut self, told: &Told) {
        for place in &told.hits {
            *self.hits.entry(place.clone()).or_default() += 1;
        }
        for place in &told.missed {
            *self.missed.entry(place.clone()).or_default() += 1;
        }
    }

    /// Each place with its hits, and how often it was ordered in vain.
    pub(super) fn table(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.hits
            .iter()
            .map(|(place, hits)| (place.as_str(), *hits, self.missed.get(place).copied().unwrap_or_default()))
    }

    /// Places that were not hit as often as is enough.
    pub(super) fn too_few(&self) -> Vec<String> {
        let few = self.hits.iter().filter(|(_, hits)| **hits < self.least);
        few.map(|(place, hits)| format!("{place}: {hits} hits, fewer than {}", self.least)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Vec<String> {
        ["before-main-is-moved", "after-main-is-moved", "shim-begins", "shim-gave-its-word", "shim-took-the-lock"]
            .map(str::to_owned)
            .to_vec()
    }

    fn named(strikes: &[Strike]) -> Vec<&str> {
        let named = strikes.iter().filter_map(|strike| match strike {
            Strike::At { place, .. } => Some(place.as_str()),
            Strike::Later { .. } => None,
        });
        named.collect()
    }

    #[test]
    fn every_place_has_its_share_in_the_end() {
        let mut planner = Planner::new(&places(), 3, 10, BTreeMap::new());
        let mut luck = Luck::new(1);
        assert_eq!(planner.too_few().len(), 5);
        for _ in 0..10 {
            let strikes = planner.plan(&mut luck);
            let hits = named(&strikes).into_iter().map(str::to_owned).collect::<Vec<_>>();
            assert!(hits.iter().filter(|place| place.starts_with("shim-")).count() <= SHIMS);
            planner.note(&Told { hits, ..Told::default() });
        }
        assert_eq!(planner.too_few(), Vec::<String>::new());
    }

    #[test]
    fn what_was_missed_is_ordered_for_its_first_pass() {
        let passed = BTreeMap::from([("shim-begins".to_owned(), 9)]);
        let mut planner = Planner::new(&["shim-begins".to_owned()], 3, 1, passed);
        let counts = |planner: &Planner| {
            let mut luck = Luck::new(7);
            (0..50).map(|_| planner.count("shim-begins", &mut luck)).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(counts(&planner), (1..=9).collect());
        planner.note(&Told { missed: vec!["shim-begins".to_owned()], ..Told::default() });
        assert_eq!(counts(&planner), [1].into());
    }
}
