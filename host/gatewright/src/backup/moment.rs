//! One moment at which the database and all repositories stand still.

use adapters::git::{KeptRefs, Repository};
use anyhow::{Context as _, bail};
use domain::ids::ProjectName;
use store::Moment;

/// How often the moment is tried. A try takes milliseconds, and a repository that moved is looked at last before the next one and
/// first after it, so that it must rest for less than a millisecond; the others must rest for as long as it takes to read all.
const TRIES: u32 = 500;

/// A repository, and what was seen of it.
struct Seen<'r> {
    project: &'r ProjectName,
    repository: &'r Repository,
    refs: KeptRefs,
    /// At so many tries it had moved.
    moves: u32,
}

impl Seen<'_> {
    /// Looks again; whether it has moved since.
    fn has_moved(&mut self) -> anyhow::Result<bool> {
        let refs = look(self.project, self.repository)?;
        let moved = refs != self.refs;
        self.refs = refs;
        Ok(moved)
    }
}

fn look(project: &ProjectName, repository: &Repository) -> anyhow::Result<KeptRefs> {
    repository.refs().with_context(|| format!("the repository of {project} cannot be read"))
}

/// Pins a moment at which no ref was moving, and says what the refs were, in the order of the repositories.
pub(super) fn pin(moment: &Moment, repositories: &[(ProjectName, Repository)]) -> anyhow::Result<Vec<KeptRefs>> {
    let mut seen = Vec::new();
    for (project, repository) in repositories {
        seen.push(Seen { project, repository, refs: look(project, repository)?, moves: 0 });
    }
    for _ in 0..TRIES {
        let mut order: Vec<usize> = (0..seen.len()).collect();
        order.sort_by_key(|index| seen[*index].moves);
        for index in &order {
            if seen[*index].moves > 0 {
                seen[*index].has_moved()?;
            }
        }
        moment.pin()?;
        let mut is_still = true;
        for index in order.into_iter().rev() {
            if seen[index].has_moved()? {
                seen[index].moves += 1;
                is_still = false;
            }
        }
        if is_still {
            return Ok(seen.into_iter().map(|seen| seen.refs).collect());
        }
        moment.release()?;
    }
    let most = seen.iter().max_by_key(|seen| seen.moves).map(|seen| seen.project.as_str()).unwrap_or_default();
    bail!(
        "the repositories moved at each of {TRIES} looks, that of {most} most often: try again when fewer pushes arrive"
    )
}
