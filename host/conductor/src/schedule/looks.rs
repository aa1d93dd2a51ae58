//! Looks at the outside, in line: a house of a thousand projects has a thousand of them due at a time, and they are not what its
//! threads are for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use domain::ids::ProjectName;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Conductor;

/// Looks that are under way at a time: while one waits for its git or its tracker another goes on, and of the threads that perform
/// most are left to claims.
const LOOKS_AT_ONCE: usize = 2;

/// A look at the outside of one project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LookAt {
    /// At what other hands did at its forge.
    Forge(ProjectName),
    /// At its tracker, for what no delivery told.
    Tracker(ProjectName),
}

/// What a look is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Neighbour {
    /// The repository.
    Forge,
    /// The board.
    Tracker,
}

/// A neighbour of which the last look failed, until one passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreachable {
    /// Whose.
    pub project: ProjectName,
    /// Which.
    pub neighbour: Neighbour,
    /// When the first of these looks failed.
    pub since: Timestamp,
    /// Why the last of them did.
    pub why: String,
}

/// Who is looked at, and who next.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    line: VecDeque<LookAt>,
    /// The same as a set.
    waiting: BTreeSet<LookAt>,
    under_way: BTreeSet<LookAt>,
    /// Those of which the last one failed: since when they do, and why.
    failing: BTreeMap<LookAt, (Timestamp, String)>,
}

impl Looks {
    /// These are due. Who stands in line or is being looked at gets no second place.
    pub(crate) fn wait(&mut self, due: impl Iterator<Item = LookAt>) {
        for look in due {
            if !self.under_way.contains(&look) && self.waiting.insert(look.clone()) {
                self.line.push_back(look);
            }
        }
    }

    /// A look that is under way may have gone past what there is news of: it comes again after that.
    pub(crate) fn may_hurry(&self, look: &LookAt) -> bool {
        !self.under_way.contains(look)
    }

    /// Somebody says that there is news: before all that are due by the clock alone.
    pub(crate) fn hurry(&mut self, look: LookAt) {
        if !self.waiting.insert(look.clone()) {
            self.line.retain(|other| *other != look);
        }
        self.line.push_front(look);
    }

    /// Who is looked at now.
    pub(crate) fn take(&mut self) -> Vec<LookAt> {
        let free = LOOKS_AT_ONCE.saturating_sub(self.under_way.len()).min(self.line.len());
        let taken = self.line.drain(..free).collect::<Vec<_>>();
        for look in &taken {
            self.waiting.remove(look);
            self.under_way.insert(look.clone());
        }
        taken
    }

    /// That one was made, whatever came of it.
    pub(crate) fn made(&mut self, look: &LookAt) {
        self.under_way.remove(look);
    }

    fn ended(&mut self, look: LookAt, failure: Option<String>, now: Timestamp) {
        match failure {
            None => drop(self.failing.remove(&look)),
            Some(why) => {
                let since = self.failing.get(&look).map_or(now, |(since, _)| *since);
                self.failing.insert(look, (since, why));
            }
        }
    }

    fn unreachable(&self) -> Vec<Unreachable> {
        let told = |(look, (since, why)): (&LookAt, &(Timestamp, String))| {
            let (neighbour, project) = match look {
                LookAt::Forge(project) => (Neighbour::Forge, project),
                LookAt::Tracker(project) => (Neighbour::Tracker, project),
            };
            Unreachable { project: project.clone(), neighbour, since: *since, why: why.clone() }
        };
        self.failing.iter().map(told).collect()
    }
}

impl Conductor {
    /// Trackers and forges of which the last look failed.
    pub fn unreachable(&self) -> Vec<Unreachable> {
        self.state().looks.unreachable()
    }

    /// What came of a look; none: it saw what it wanted.
    pub(crate) fn looked(&self, look: LookAt, failure: Option<String>) {
        let now = self.now();
        self.state().looks.ended(look, failure, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forge(name: &str) -> LookAt {
        LookAt::Forge(ProjectName::new(name).unwrap())
    }

    #[test]
    fn a_thousand_projects_are_looked_at_two_at_a_time_and_each_once() {
        let mut looks = Looks::default();
        let all = (0..1_000).map(|number| forge(&format!("p{number}"))).collect::<Vec<_>>();
        looks.wait(all.iter().cloned());
        looks.wait(all.iter().cloned());
        let mut seen = Vec::new();
        loop {
            let taken = looks.take();
            if taken.is_empty() {
                break;
            }
            assert!(taken.len() <= LOOKS_AT_ONCE && looks.take().is_empty());
            // Whoever is being looked at gets no second look by the clock.
            looks.wait(taken.iter().cloned());
            for look in taken {
                looks.made(&look);
                seen.push(look);
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn who_has_news_comes_first_and_once_and_again_if_a_look_was_under_way() {
        let mut looks = Looks::default();
        looks.wait(["a", "b", "c", "d"].map(forge).into_iter());
        assert_eq!(looks.take(), ["a", "b"].map(forge));
        assert!(!looks.may_hurry(&forge("a")) && looks.may_hurry(&forge("d")));
        looks.hurry(forge("d"));
        looks.made(&forge("a"));
        assert!(looks.may_hurry(&forge("a")));
        looks.hurry(forge("a"));
        looks.made(&forge("b"));
        assert_eq!(looks.take(), ["a", "d"].map(forge));
        for name in ["a", "d"] {
            looks.made(&forge(name));
        }
        assert_eq!(looks.take(), [forge("c")]);
        assert!(looks.take().is_empty());
    }
}
