//! Who works where, and whether he could begin: asked before anything is claimed, of the program that a launch would really
//! execute, the way the launch looks it up (catalogue C4). What is missing keeps its jobs queued, at no cost, until it is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::ids::ProjectName;
use domain::time::{Milliseconds, Timestamp};

use crate::Conductor;
use crate::ports::runs::{LaunchError, Program};
use crate::ports::store::ClaimLimits;
use crate::project::{ProjectSettings, Worker};
use crate::slots::{Place, Places, Seat, Sitter};

/// How long an answer counts (C4 is silent): a program that comes back waits no longer, and a host with many projects looks at
/// each of its few programs twelve times a minute.
pub const PREFLIGHT_INTERVAL: Milliseconds = Milliseconds::from_seconds(5);

/// Who works where, as it was seen at a time.
#[derive(Clone)]
pub(crate) struct Seen {
    at: Timestamp,
    places: Arc<Places>,
    is_anything_missing: bool,
}

impl Seen {
    fn counts(&self, now: Timestamp) -> bool {
        now >= self.at && now.since(self.at) < PREFLIGHT_INTERVAL
    }

    /// When to look again, where something is missing.
    pub(crate) fn look_again(&self) -> Option<Timestamp> {
        self.is_anything_missing.then(|| self.at.plus(PREFLIGHT_INTERVAL))
    }
}

impl Conductor {
    /// What a claim obeys: the operator's limits, with who works where.
    pub fn limits(&self, of_the_operator: &ClaimLimits) -> ClaimLimits {
        ClaimLimits { places: Some(self.seen().places), ..of_the_operator.clone() }
    }

    pub(crate) fn seen(&self) -> Seen {
        let now = self.now();
        let before = self.seen_places();
        if let Some(seen) = before.as_ref().filter(|seen| seen.counts(now)) {
            return seen.clone();
        }
        let places = self.look_at_places();
        let is_anything_missing =
            places.values().flat_map(|place| place.seats.values()).any(|sitter| sitter.missing.is_some());
        tell_what_changed(before.as_ref().map(|seen| &*seen.places), &places);
        let seen = Seen { at: now, places: Arc::new(places), is_anything_missing };
        self.set_seen_places(seen.clone());
        seen
    }

    fn look_at_places(&self) -> Places {
        let mut asked = BTreeMap::new();
        let mut missing = |program: Program| {
            let answer = asked.entry(program).or_insert_with_key(|program| match self.outside.runs.ready(program) {
                Err(error @ LaunchError::ProgramMissing { .. }) => Some(error.to_string()),
                // A look that fails holds nobody back: the launch itself says what is wrong.
                Err(error) => {
                    tracing::debug!(%error, ?program, "whether a program can be executed is not known");
                    None
                }
                Ok(()) => None,
            });
            answer.clone()
        };
        self.all_settings().iter().map(|settings| place_of(settings, &mut missing)).collect()
    }
}

fn place_of(settings: &ProjectSettings, missing: &mut impl FnMut(Program) -> Option<String>) -> (ProjectName, Place) {
    let mut seats = BTreeMap::new();
    // Nothing is launched there, so nothing is missing.
    let mut missing = |program: Program| if settings.observe { None } else { missing(program) };
    for (role, worker) in &settings.workers {
        let driver = match worker {
            Worker::Agent(agent) => Some(agent.driver.clone()),
            Worker::Command(_) => None,
        };
        seats.insert(Seat::Role(*role), Sitter { driver, missing: missing(Program::of_worker(worker)) });
    }
    for (hook, command) in &settings.hooks {
        seats.insert(Seat::Hook(*hook), Sitter { driver: None, missing: missing(Program::of_command(command)) });
    }
    (settings.name.clone(), Place { runs: settings.runs, repository: settings.repository.clone(), seats })
}

/// Once, not with each look.
fn tell_what_changed(before: Option<&Places>, now: &Places) {
    let missing_before = |project: &ProjectName, seat: &Seat| {
        before.and_then(|places| places.get(project)?.seats.get(seat)?.missing.as_ref())
    };
    for (project, place) in now {
        for (seat, sitter) in &place.seats {
            match (missing_before(project, seat), &sitter.missing) {
                (None, Some(why)) => {
                    tracing::warn!(%project, "{seat} cannot begin, and its jobs wait: {why}");
                }
                (Some(_), None) => tracing::info!(%project, "{seat} can begin again"),
                _ => {}
            }
        }
    }
}
