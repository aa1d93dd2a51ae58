//! Following: a task whose project is observed is carried on by what others really do. Their pushes are taken for the
//! developer's work, documents that they leave on the branch for the work of whoever writes these, and a merge that git proves
//! ends the task. What nobody shows is not believed: there the task waits, and says for what.

use domain::document::{DocumentKind, NewDocument, Role, documents_folder};
use domain::effect::{Claim, run_of};
use domain::event::{Answer, Event, Observation, RunOutcome, StepFacts};
use domain::ids::{BranchName, CommitId, Digest, PluginId, StepName};
use domain::pipeline::Action;
use domain::task::Task;

use crate::Conductor;
use crate::budget::Begin;
use crate::finish::malformed;
use crate::halt::Halt;
use crate::launch::wanted_branch;
use crate::observe::merged_elsewhere;
use crate::ports::forge::{Forge, ForgeError};
use crate::ports::store::StoreError;
use crate::would::launches;

/// The branch on which others work.
enum Followed {
    /// The task, and where its branch stands: at its head, or beyond by what does not send it back.
    On(Task, CommitId),
    /// None is seen: why.
    Nowhere(Task, String),
    /// The task was told what was seen, and left the activity.
    Told,
}

/// What others left of what was looked for.
enum Left {
    Documents(Vec<NewDocument>),
    /// Nothing that counts: what is missing.
    Nothing(String),
}

impl Conductor {
    pub(crate) fn follow_run(&self, claim: &Claim, role: Role) -> Result<(), StoreError> {
        let (Some(settings), Some(forge)) = (self.settings(&claim.task.project), self.forge(&claim.task.project))
        else {
            return self.undelivered(claim, "the project is not configured on this host any more");
        };
        if !settings.workers.contains_key(&role) {
            return self.undelivered(claim, &format!("nobody is configured for the role {role}"));
        }
        if self.is_gone(claim)? || matches!(self.may_begin(claim, role)?, Begin::Told) {
            return Ok(());
        }
        match self.follow_run_on(claim, role, forge.as_ref()) {
            Ok(()) | Err(Halt::Told) => Ok(()),
            Err(Halt::Store(error)) => Err(error),
            // Whether others did it is not known: the next look will tell. It costs nothing, and nothing follows from it.
            Err(Halt::Infra(cause) | Halt::Later { why: cause, .. }) => {
                self.look_again(claim, &format!("the repository cannot be read: {cause}"))
            }
        }
    }

    fn follow_run_on(&self, claim: &Claim, role: Role, forge: &dyn Forge) -> Result<(), Halt> {
        let (task, stands) = match self.followed(claim, forge, role == Role::Developer)? {
            Followed::On(task, stands) => (task, stands),
            Followed::Nowhere(task, why) => {
                if self.write_down_once(claim, &task, &self.would_of(claim, &task, Some(forge)))? {
                    self.look_again(claim, &format!("{}; {why}", launches(role)))?;
                }
                return Ok(());
            }
            Followed::Told => return Ok(()),
        };
        if !self.write_down_once(claim, &task, &self.would_of(claim, &task, Some(forge)))? {
            return Ok(());
        }
        if role == Role::Developer {
            if task.head.as_ref() == Some(&stands) || only_documents(&task, &stands, forge)? {
                let branch = task.branch.as_ref().map_or("", |branch| branch.as_str());
                let why = format!("{}; another hand's push to {branch} is awaited", launches(role));
                return Ok(self.look_again(claim, &why)?);
            }
            return Ok(self.carried_on(claim, role, Some(stands), Vec::new())?);
        }
        match self.left_behind(&task, role.owned_kinds().collect(), role.required_kinds(), &stands, forge)? {
            Left::Documents(documents) => Ok(self.carried_on(claim, role, None, documents)?),
            Left::Nothing(why) => Ok(self.look_again(claim, &format!("{}; {why}", launches(role)))?),
        }
    }

    fn carried_on(
        &self,
        claim: &Claim,
        role: Role,
        head: Option<CommitId>,
        documents: Vec<NewDocument>,
    ) -> Result<(), StoreError> {
        let outcome = RunOutcome::Followed { head, documents };
        let run = run_of(claim.job.id);
        let event = Event::RunEnded { epoch: claim.job.epoch, run, outcome, spent: None, role: Some(role) };
        self.complete(claim, event, None, None).map(|_| ())
    }

    /// The gate is asked, as always: it judges what others pushed.
    pub(crate) fn follow_gate(&self, claim: &Claim, step: &StepName, plugin: &PluginId) -> Result<(), StoreError> {
        let Some(forge) = self.forge(&claim.task.project) else {
            return self.answer_infra(claim, step, "the project is not configured on this host any more");
        };
        match self.followed(claim, forge.as_ref(), false) {
            Ok(Followed::On(task, _)) => self.judge_it(claim, step, plugin, &task, forge),
            Ok(Followed::Nowhere(task, why)) => {
                self.write_down_once(claim, &task, &self.would_of(claim, &task, Some(forge.as_ref())))?;
                self.look_again(claim, &format!("the gate `{step}` would be asked; {why}"))
            }
            Ok(Followed::Told) | Err(Halt::Told) => Ok(()),
            Err(Halt::Store(error)) => Err(error),
            Err(Halt::Infra(cause)) => self.answer_infra(claim, step, &cause),
            Err(Halt::Later { why, pause }) => self.put_off_for(claim, pause, &why),
        }
    }

    pub(crate) fn follow_action(&self, claim: &Claim, step: &StepName, action: Action) -> Result<(), StoreError> {
        let Some(forge) = self.forge(&claim.task.project) else {
            return self.answer_infra(claim, step, "the project is not configured on this host any more");
        };
        if matches!(action, Action::Deploy | Action::Merge) && self.is_gone(claim)? {
            return Ok(());
        }
        match self.follow_action_on(claim, step, action, forge.as_ref()) {
            Ok(()) | Err(Halt::Told) => Ok(()),
            Err(Halt::Store(error)) => Err(error),
            Err(Halt::Infra(cause) | Halt::Later { why: cause, .. }) => {
                self.look_again(claim, &format!("the repository cannot be read: {cause}"))
            }
        }
    }

    fn follow_action_on(&self, claim: &Claim, step: &StepName, action: Action, forge: &dyn Forge) -> Result<(), Halt> {
        let (task, stands) = match self.followed(claim, forge, false)? {
            Followed::On(task, stands) => (task, stands),
            Followed::Nowhere(task, why) => {
                self.write_down_once(claim, &task, &self.would_of(claim, &task, Some(forge)))?;
                return Ok(self.look_again(claim, &why)?);
            }
            Followed::Told => return Ok(()),
        };
        match action {
            Action::ProveMerged => return Ok(self.prove_merged(claim, step, &task, forge)?),
            Action::Rebase => {
                let base = forge.base_head(&task.base_branch)?;
                if forge.is_ancestor(&base, &stands)? {
                    let answer = Answer::Pass { note: format!("the branch stands on {base} already") };
                    let facts = StepFacts { base: Some(base), ..StepFacts::default() };
                    return Ok(self.answer(claim, step, answer, facts, None, None)?);
                }
            }
            Action::Retest | Action::Staging | Action::Deploy | Action::Merge => {}
        }
        if !self.write_down_once(claim, &task, &self.would_of(claim, &task, Some(forge)))? {
            return Ok(());
        }
        let kind = match action {
            Action::Staging => DocumentKind::StagingLog,
            Action::Deploy => DocumentKind::DeployLog,
            // What others tested, nobody shows; what they merged, git does.
            _ => {
                let why = format!("{} would be performed; another hand's merge is awaited", action.as_str());
                return Ok(self.look_again(claim, &why)?);
            }
        };
        match self.left_behind(&task, vec![kind], &[kind], &stands, forge)? {
            Left::Documents(documents) => {
                let answer = Answer::Pass { note: format!("another hand left {}", kind.file_name()) };
                let facts = StepFacts { documents, ..StepFacts::default() };
                Ok(self.answer(claim, step, answer, facts, None, None)?)
            }
            Left::Nothing(why) => {
                Ok(self.look_again(claim, &format!("{} would be performed; {why}", action.as_str()))?)
            }
        }
    }

    /// Where others stand with this work item. What sends the task elsewhere is told to it.
    fn followed(&self, claim: &Claim, forge: &dyn Forge, takes_pushes: bool) -> Result<Followed, Halt> {
        let task = self.fresh(claim)?;
        if task.epoch != claim.job.epoch {
            return Ok(Followed::Told);
        }
        let (Some(branch), Some(head)) = (&task.branch, &task.head) else {
            return self.find_branch(claim, task, forge);
        };
        let stands = forge.branch_head(branch)?;
        let merged = merged_elsewhere(&task, stands.as_ref().unwrap_or(head), forge)?;
        let observation = match (merged, stands) {
            (Some(merged), _) => landed(merged),
            (None, None) => Observation::RefusedAtForge { by: "another hand".to_owned() },
            (None, Some(stands)) => {
                if takes_pushes || stands == *head || only_documents(&task, &stands, forge)? {
                    return Ok(Followed::On(task, stands));
                }
                Observation::ForeignPush { head: stands }
            }
        };
        self.outside.store.apply(task.id, &Event::Observed { observation }, self.now())?;
        let after = self.fresh(claim)?;
        match (after.epoch == claim.job.epoch, after.head.clone()) {
            (true, Some(head)) => Ok(Followed::On(after, head)),
            _ => Ok(Followed::Told),
        }
    }

    /// Others name their branch as we would, or at least after the work item.
    fn find_branch(&self, claim: &Claim, task: Task, forge: &dyn Forge) -> Result<Followed, Halt> {
        let wanted = wanted_branch(&task);
        let found = forge.task_branches()?.into_iter();
        let mut named = found.filter(|(branch, _)| names(branch, task.work_item.as_str())).collect::<Vec<_>>();
        if let Some(exact) = named.iter().position(|(branch, _)| branch.as_str() == wanted) {
            named = vec![named.swap_remove(exact)];
        }
        let [(branch, head)] = named.as_slice() else {
            let why = if named.is_empty() {
                format!("no branch of another hand bears {}, as {wanted} would", task.work_item)
            } else {
                let all = named.iter().map(|(branch, _)| branch.as_str()).collect::<Vec<_>>().join(", ");
                format!("more than one branch bears {}: {all}", task.work_item)
            };
            return Ok(Followed::Nowhere(task, why));
        };
        let base_head = forge.base_head(&task.base_branch)?;
        let Some(base) = forge.merge_base(head, &base_head)? else {
            let why = format!("{branch} has no commit in common with {}", task.base_branch);
            return Ok(Followed::Nowhere(task, why));
        };
        let documents = vec![self.business_request(&task)?];
        let event = Event::BranchCut { epoch: claim.job.epoch, branch: branch.clone(), base, documents };
        self.outside.store.apply(task.id, &event, self.now())?;
        let task = self.fresh(claim)?;
        if task.epoch == claim.job.epoch && task.branch.as_ref() == Some(branch) {
            return Ok(Followed::On(task, head.clone()));
        }
        Ok(Followed::Told)
    }

    /// Documents of these kinds that lie on the branch and that the task has not seen, neither at its base nor in an earlier visit.
    fn left_behind(
        &self,
        task: &Task,
        kinds: Vec<DocumentKind>,
        required: &[DocumentKind],
        at: &CommitId,
        forge: &dyn Forge,
    ) -> Result<Left, Halt> {
        let folder = documents_folder(&task.work_item);
        let seen = self.outside.store.documents(task.id)?;
        let mut documents = Vec::new();
        let mut flaws = Vec::new();
        for path in forge.list(at, &format!("{folder}/**"))? {
            let Some(name) = path.strip_prefix(&format!("{folder}/")) else { continue };
            let Some(kind) = DocumentKind::of_file(name).filter(|kind| kinds.contains(kind)) else { continue };
            let bytes = match forge.read(at, &path) {
                Ok(bytes) => bytes,
                Err(ForgeError::NotFound(_) | ForgeError::TooLarge { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let digest = Digest::of(&bytes);
            let at_base = task.base.as_ref().and_then(|base| forge.read(base, &path).ok());
            if at_base.as_ref() == Some(&bytes) || seen.iter().any(|old| old.name == name && old.blob == digest) {
                continue;
            }
            if let Some(flaw) = malformed(kind, &bytes, self.is_judged_by_its_gate(task, kind)?) {
                flaws.push(format!("{name} is malformed: {flaw}"));
                continue;
            }
            documents.push(NewDocument {
                kind,
                name: name.to_owned(),
                stage: task.position.stage.clone(),
                visit: task.position.visit,
                run: None,
                size: bytes.len() as u64,
                blob: self.outside.store.put_blob(&bytes)?,
            });
        }
        if documents.iter().any(|document| required.contains(&document.kind)) {
            return Ok(Left::Documents(documents));
        }
        let names = required.iter().map(|kind| kind.file_name()).collect::<Vec<_>>().join(" or ");
        let branch = task.branch.as_ref().map_or("", |branch| branch.as_str());
        let missing = format!("a new {names} on {branch} by another hand is awaited");
        Ok(Left::Nothing([vec![missing], flaws].concat().join("; ")))
    }
}

/// As an observed task is told of it: others test as they do, and it ends there.
pub(crate) fn landed(merged: Observation) -> Observation {
    match merged {
        Observation::MergedElsewhere { commit, by, .. } => Observation::Landed { commit, by },
        other => other,
    }
}

/// What lies between the task's head and this commit is documents of its own folder: nothing that was judged changed.
pub(crate) fn only_documents(task: &Task, stands: &CommitId, forge: &dyn Forge) -> Result<bool, ForgeError> {
    let Some(head) = &task.head else { return Ok(false) };
    let folder = format!("{}/", documents_folder(&task.work_item));
    let changes = forge.changes(head, stands)?;
    let inside = |path: &str| path.starts_with(&folder);
    Ok(!changes.is_empty()
        && changes.iter().all(|file| inside(&file.path) && file.old_path.as_deref().is_none_or(inside)))
}

/// Does the branch bear the key of the work item, as a word of its own?
fn names(branch: &BranchName, key: &str) -> bool {
    let (branch, key) = (branch.as_str().to_ascii_lowercase(), key.to_ascii_lowercase());
    branch.match_indices(&key).any(|(at, _)| {
        let before = branch[..at].chars().next_back();
        let after = branch[at + key.len()..].chars().next();
        let ends = |beside: Option<char>| beside.is_none_or(|character| !character.is_ascii_alphanumeric());
        ends(before) && ends(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_known_by_the_key_as_a_whole_word() {
        let bears = |branch: &str| names(&BranchName::new(branch).unwrap(), "APP-7");
        for branch in ["feature/APP-7-sell-more", "app-7", "bot/APP-7", "fix_app-7_again"] {
            assert!(bears(branch), "{branch}");
        }
        for branch in ["feature/APP-70-more", "feature/WEBAPP-7", "main", "APP-", "feature/app7"] {
            assert!(!bears(branch), "{branch}");
        }
    }
}
