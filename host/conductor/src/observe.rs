//! A look at the forge between two actions: what other hands did to the branches of tasks that wait (reference rules B14, B15),
//! and checks that were reported and never told.
//!
//! A running task's branch is compared when its run ends, an acting one's by the action itself. A task that waits has nobody who
//! looks, and it may wait for days: a push that nobody saw would be approved unread.

use domain::event::{Event, Observation};
use domain::ids::{CommitId, ProjectName};
use domain::plugin::Check;
use domain::task::{Activity, Task};
use domain::time::Milliseconds;
use domain::verdict::WakeKind;

use crate::follow::{landed, only_documents};
use crate::ports::forge::{Forge, ForgeError};
use crate::ports::store::StoreError;
use crate::{Conductor, LookAt};

/// From one look at the forges to the next.
pub(crate) const LOOK_INTERVAL: Milliseconds = Milliseconds::from_seconds(10);
/// Tasks that one look covers, the newest first.
const TASKS_PER_LOOK: u32 = 10_000;

impl Conductor {
    /// Looks after every task of a project that waits, and tells those whose branch was touched.
    pub(crate) fn observe(&self, project: &ProjectName) -> Result<(), StoreError> {
        let Some(forge) = self.forge(project) else { return Ok(()) };
        let mut failure = None;
        if let Err(error) = forge.refresh() {
            tracing::warn!(%project, %error, "what others have in their repository cannot be read");
            failure = Some(error.to_string());
        }
        let tasks = self.outside.store.live_tasks_of(project, TASKS_PER_LOOK)?;
        for task in tasks.iter().filter(|task| waits(task) || is_followed(task)) {
            failure = failure.or(self.look_at_checks(task, forge.as_ref())?);
            match seen(task, forge.as_ref()) {
                Ok(Some(observation)) => self.tell_observed(task, observation)?,
                Ok(None) => {}
                // Nothing follows from a forge that cannot be read: the next action says so, and counts it as infrastructure.
                Err(error) => {
                    tracing::warn!(task = %task.id, %error, "the branch cannot be looked at");
                    // That something is not there is about the task alone.
                    let is_down = matches!(error, ForgeError::Infra(_) | ForgeError::Refused(_));
                    failure = failure.or_else(|| is_down.then(|| error.to_string()));
                }
            }
        }
        self.looked(LookAt::Forge(project.clone()), failure);
        Ok(())
    }

    /// What the forge has of a commit whose checks a gate waits for, and nobody told of. A task that waits for a person, is held or
    /// has ended asked for no check: a green one is no reason to touch it. The answer: why they cannot be looked at.
    fn look_at_checks(&self, task: &Task, forge: &dyn Forge) -> Result<Option<String>, StoreError> {
        let waits =
            matches!(&task.position.activity, Activity::Waiting { wake, .. } if wake.contains(WakeKind::Checks));
        let Some(head) = task.head.as_ref().filter(|_| waits) else { return Ok(None) };
        let found = match forge.checks(head) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(task = %task.id, %error, "the checks cannot be looked at");
                return Ok(Some(error.to_string()));
            }
        };
        let known = self.outside.store.checks(&task.project, head)?;
        for check in found.into_iter().filter(|check| is_news(&known, check)) {
            self.outside.store.put_check(&task.project, head, &check, self.now())?;
        }
        Ok(None)
    }

    /// The task may have gone on meanwhile, and then it was perhaps the host itself that moved the branch.
    fn tell_observed(&self, seen: &Task, observation: Observation) -> Result<(), StoreError> {
        if self.outside.store.task(seen.id)?.version != seen.version {
            return Ok(());
        }
        self.outside.store.apply(seen.id, &Event::Observed { observation }, self.now()).map(|_| ())
    }
}

/// It takes the place of what is known of its name, and is another one. What merely stands wakes nobody again.
fn is_news(known: &[Check], check: &Check) -> bool {
    let known = known.iter().find(|known| known.name == check.name);
    known.is_none_or(|known| check.supersedes(known) && check != known)
}

fn waits(task: &Task) -> bool {
    matches!(task.position.activity, Activity::AwaitingPerson { .. } | Activity::Waiting { step: Some(_), .. })
}

/// Others carry it on, also while a job of it is in the queue.
fn is_followed(task: &Task) -> bool {
    task.observed && !matches!(task.position.activity, Activity::Held { .. } | Activity::Stopping)
}

fn seen(task: &Task, forge: &dyn Forge) -> Result<Option<Observation>, ForgeError> {
    let (Some(branch), Some(head)) = (&task.branch, &task.head) else { return Ok(None) };
    let stands = forge.branch_head(branch)?;
    if let Some(merged) = merged_elsewhere(task, stands.as_ref().unwrap_or(head), forge)? {
        return Ok(Some(if task.observed { landed(merged) } else { merged }));
    }
    // The job that is in the queue looks itself.
    if task.observed && !waits(task) {
        return Ok(None);
    }
    Ok(match stands {
        Some(stands) if stands == *head => None,
        Some(stands) if task.observed && only_documents(task, &stands, forge)? => None,
        Some(stands) => Some(Observation::ForeignPush { head: stands }),
        None => Some(Observation::RefusedAtForge { by: "another hand".to_owned() }),
    })
}

/// The branch holds work of its own, and all of it, up to `tip`, is in the base: a merge that is not ours.
pub(crate) fn merged_elsewhere(
    task: &Task,
    tip: &CommitId,
    forge: &dyn Forge,
) -> Result<Option<Observation>, ForgeError> {
    let (None, Some(cut_from)) = (&task.merged, &task.base) else { return Ok(None) };
    let base = forge.base_head(&task.base_branch)?;
    let Some(head) = &task.head else { return Ok(None) };
    if base == *cut_from
        || !forge.is_ancestor(head, tip)?
        || forge.is_ancestor(tip, cut_from)?
        || !forge.is_ancestor(tip, &base)?
    {
        return Ok(None);
    }
    let tested = match &task.validated {
        Some(validated) => validated == tip || forge.tree_of(validated)? == forge.tree_of(tip)?,
        None => false,
    };
    Ok(Some(Observation::MergedElsewhere { commit: tip.clone(), by: "another hand".to_owned(), tested }))
}
