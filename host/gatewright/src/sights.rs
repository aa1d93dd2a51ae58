//! Where each base branch stands in its repository, for whoever asks often: a page asks for all of them at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::ids::{CommitId, ProjectName};

/// For so long an answer is told again.
const KEPT: Duration = Duration::from_secs(5);
/// So much of that time is spent on looking, over all projects; beyond it the older answer stands.
const MOST: Duration = Duration::from_millis(500);

/// What was seen, or why nothing was.
pub(crate) type Sight = Result<CommitId, String>;

/// What was seen last.
#[derive(Default)]
pub(crate) struct Sights(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    by_project: HashMap<ProjectName, (Instant, Sight)>,
    /// When the present span began, and what looking took in it.
    spent: Option<(Instant, Duration)>,
}

impl Sights {
    /// The sight of a project; none: it was never looked at, and there is no time for it now.
    pub(crate) fn of(&self, project: &ProjectName, look: impl FnOnce() -> Sight) -> Option<Sight> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let known = seen.by_project.get(project);
        if let Some((_, sight)) = known.filter(|(at, _)| now.duration_since(*at) < KEPT) {
            return Some(sight.clone());
        }
        let (began, spent) =
            seen.spent.filter(|(began, _)| now.duration_since(*began) < KEPT).unwrap_or((now, Duration::ZERO));
        if spent > MOST {
            return known.map(|(_, sight)| sight.clone());
        }
        let sight = look();
        seen.spent = Some((began, spent + now.elapsed()));
        seen.by_project.insert(project.clone(), (now, sight.clone()));
        Some(sight)
    }
}
