//! What tasks change, for whoever asks often: a page is read anew at each step, and git is asked once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::ids::{CommitId, ProjectName, TaskId};
use gateway::Outline;

/// For so long an answer is told again: the base branch may move meanwhile.
const KEPT: Duration = Duration::from_secs(5);
/// And for so long that there was none: it took git all the time that there is.
const KEPT_FAILURE: Duration = Duration::from_mins(1);
/// Answers that are remembered.
const MOST: usize = 256;

/// What was seen, or why nothing was.
type Looked = Result<Outline, String>;

/// What was seen last.
#[derive(Default)]
pub(crate) struct Changes {
    seen: Mutex<HashMap<(TaskId, CommitId), (Instant, Looked)>>,
    /// Held while git is asked: however many read, of a project one of them waits for it at a time; and one that hangs keeps no other.
    looking: Mutex<HashMap<ProjectName, Arc<Mutex<()>>>>,
}

impl Changes {
    /// What was seen a moment ago, or is seen now.
    pub(crate) fn of(
        &self,
        (project, task): (&ProjectName, TaskId),
        head: &CommitId,
        look: impl FnOnce() -> Looked,
    ) -> Looked {
        let key = (task, head.clone());
        if let Some(known) = self.known(&key) {
            return known;
        }
        let own = {
            let mut looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
            looking.entry(project.clone()).or_default().clone()
        };
        let looking = own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.known(&key) {
            return known;
        }
        let looked = look();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, (at, looked)| is_fresh(*at, looked));
        if seen.len() >= MOST {
            seen.clear();
        }
        seen.insert(key, (Instant::now(), looked.clone()));
        drop((seen, looking));
        looked
    }

    fn known(&self, key: &(TaskId, CommitId)) -> Option<Looked> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(key).filter(|(at, looked)| is_fresh(*at, looked)).map(|(_, looked)| looked.clone())
    }
}

fn is_fresh(at: Instant, looked: &Looked) -> bool {
    at.elapsed() < if looked.is_ok() { KEPT } else { KEPT_FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> CommitId {
        CommitId::new("a".repeat(40)).unwrap()
    }

    fn outline() -> Outline {
        Outline { base: head(), files: Vec::new() }
    }

    #[test]
    fn git_is_asked_once_for_all_who_read_and_a_failure_is_remembered() {
        let (changes, project) = (Changes::default(), ProjectName::new("demo").unwrap());
        let of = |task: u64, looked: Looked| changes.of((&project, TaskId(task)), &head(), || looked);
        assert_eq!(of(1, Ok(outline())), Ok(outline()));
        assert_eq!(of(1, Err("asked again".to_owned())), Ok(outline()));
        assert_eq!(of(2, Err("too slow".to_owned())), Err("too slow".to_owned()));
        assert_eq!(of(2, Ok(outline())), Err("too slow".to_owned()));
    }

    #[test]
    fn a_repository_that_hangs_keeps_no_other_waiting() {
        let changes = Changes::default();
        let [hangs, other] = ["hangs", "other"].map(|name| ProjectName::new(name).unwrap());
        let told = changes.of((&hangs, TaskId(1)), &head(), || {
            std::thread::scope(|scope| {
                let asks = || changes.of((&other, TaskId(2)), &head(), || Ok(outline()));
                scope.spawn(asks).join().unwrap()
            })
        });
        assert_eq!(told, Ok(outline()));
    }
}
