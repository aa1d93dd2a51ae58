//! Where each base branch stands in its repository, for whoever asks often: a page asks for all of them at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    /// Who is looked at now: a repository that hangs keeps nobody but the one who looks.
    looking: HashSet<ProjectName>,
}

impl Sights {
    /// The sight of a project; none: it was never looked at, and there is no time for it now, or another one looks.
    pub(crate) fn of(&self, project: &ProjectName, look: impl FnOnce() -> Sight) -> Option<Sight> {
        let mut seen = self.seen();
        let now = Instant::now();
        let known = seen.by_project.get(project);
        if let Some((_, sight)) = known.filter(|(at, _)| now.duration_since(*at) < KEPT) {
            return Some(sight.clone());
        }
        let (began, spent) =
            seen.spent.filter(|(began, _)| now.duration_since(*began) < KEPT).unwrap_or((now, Duration::ZERO));
        if spent > MOST || seen.looking.contains(project) {
            return known.map(|(_, sight)| sight.clone());
        }
        seen.looking.insert(project.clone());
        drop(seen);
        let sight = look();
        let mut seen = self.seen();
        seen.looking.remove(project);
        let spent = seen.spent.filter(|(other, _)| *other == began).map_or(spent, |(_, spent)| spent);
        seen.spent = Some((began, spent + now.elapsed()));
        // From the end on: what took long is not asked again at once.
        seen.by_project.insert(project.clone(), (Instant::now(), sight.clone()));
        Some(sight)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_repository_that_hangs_keeps_only_the_one_who_looks() {
        let sights = Sights::default();
        let project = ProjectName::new("demo").unwrap();
        let sight = CommitId::new("a".repeat(40)).unwrap();
        let (begun, begins) = channel();
        let (let_go, waits) = channel();
        std::thread::scope(|scope| {
            let (hung, seen) = (&sights, sight.clone());
            let first = scope.spawn({
                let project = &project;
                move || {
                    hung.of(project, || {
                        begun.send(()).unwrap();
                        waits.recv().unwrap();
                        Ok(seen)
                    })
                }
            });
            begins.recv().unwrap();
            assert_eq!(sights.of(&project, || panic!("it is looked at already")), None);
            let other = ProjectName::new("other").unwrap();
            assert_eq!(sights.of(&other, || Err("gone".to_owned())), Some(Err("gone".to_owned())));
            let_go.send(()).unwrap();
            assert_eq!(first.join().unwrap(), Some(Ok(sight.clone())));
        });
        assert_eq!(sights.of(&project, || panic!("it was seen a moment ago")), Some(Ok(sight)));
    }
}
