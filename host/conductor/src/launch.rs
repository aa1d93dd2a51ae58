//! Launching a run: cut the branch if there is none, prepare the clone, write the brief, start the shim.

use std::collections::BTreeMap;

use domain::document::{DocumentKind, NewDocument, Role, documents_folder};
use domain::effect::{Claim, Effect, run_of};
use domain::event::{Event, FailureClass, Observation, RunOutcome, RunResult};
use domain::ids::{BranchName, CommitId};
use domain::task::Task;
use domain::time::Milliseconds;

use crate::brief::{Material, Told, write};
use crate::budget::{Begin, terms};
use crate::failure::bound;
use crate::guard::Guarded;
use crate::halt::Halt;
use crate::ports::forge::{CloneKey, CloneRequest, Forge, ForgeError, Mark};
use crate::ports::runs::{Confinement, Launch, LaunchError, RunState};
use crate::ports::store::{Applied, Conversation, RunRow, StoreError, Terms};
use crate::ports::tracker::TrackerError;
use crate::preflight::PREFLIGHT_INTERVAL;
use crate::project::{AgentSpec, CommandSpec, ProjectSettings, Worker, command_line};
use crate::{Conductor, Work};

/// A title's share of a branch name, in characters (catalogue A5).
const SLUG_LENGTH: usize = 30;

/// A visit has fewer runs.
const LATEST_RUNS: u32 = 20;

impl Conductor {
    pub(crate) fn launch(&self, claim: &Claim, role: Role, attempt: u32) -> Result<(), StoreError> {
        let run = run_of(claim.job.id);
        let found = match self.outside.runs.inspect(run) {
            Ok(found) => found,
            Err(error) => {
                self.look_later(Work::Perform(Box::new(claim.clone())), &error);
                return Ok(());
            }
        };
        match found {
            RunState::Live { pid } => self.adopt(claim, pid),
            RunState::Ended(_) | RunState::Lost => self.finish(claim),
            RunState::Absent | RunState::Prepared => self.launch_anew(claim, role, attempt),
        }
    }

    /// A run that an earlier life of the host launched goes on under its shim.
    pub(crate) fn adopt(&self, claim: &Claim, pid: u32) -> Result<(), StoreError> {
        let mut row = self.outside.store.run(run_of(claim.job.id))?;
        if row.pid.is_none() {
            row.pid = Some(pid);
            self.outside.store.put_run(&row, claim.token)?;
        }
        tracing::info!(run = %row.id, pid, "adopted a run that is under way");
        self.keep_live(claim);
        Ok(())
    }

    fn launch_anew(&self, claim: &Claim, role: Role, attempt: u32) -> Result<(), StoreError> {
        let (Some(settings), Some(forge)) = (self.settings(&claim.task.project), self.forge(&claim.task.project))
        else {
            return self.undelivered(claim, "the project is not configured on this host any more");
        };
        let Some(worker) = settings.workers.get(&role) else {
            return self.undelivered(claim, &format!("nobody is configured for the role {role}"));
        };
        if worker.driver() != claim.driver.as_ref() {
            let at = self.now().plus(PREFLIGHT_INTERVAL);
            let why = "another agent is configured than the one that it was claimed for";
            return self.outside.store.give_back(claim.job.id, claim.token, at, why);
        }
        if self.is_gone(claim)? {
            return Ok(());
        }
        if matches!(self.may_begin(claim, role)?, Begin::Told) {
            return Ok(());
        }
        let task = match self.with_branch(claim, forge.as_ref()) {
            Ok(task) => task,
            Err(Halt::Store(error)) => return Err(error),
            Err(Halt::Told) => return Ok(()),
            Err(Halt::Infra(cause)) => return self.unlaunched(claim, &cause),
            Err(Halt::Later { why, pause }) => return self.put_off_for(claim, pause, &why),
        };
        match self.guard(claim, "launch-agent", role.as_str(), |_| {})? {
            Guarded::Go(_) => {}
            Guarded::Done => return Ok(()),
        }
        self.outside.store.attempted(claim.job.id, claim.token, self.now())?;
        let Some(request) = clone_request(&task, claim, role) else {
            return self.undelivered(claim, "the task has no branch");
        };
        let clone = match forge.prepare_clone(&request) {
            Ok(clone) => clone,
            Err(error) => {
                return self.unlaunched(claim, &format!("the clone could not be prepared: {error}"));
            }
        };
        // Again, for all that took its time, and others' runs ended meanwhile.
        let left = match self.may_begin(claim, role)? {
            Begin::Within(left) => left,
            Begin::Told => return Ok(()),
        };
        let mut stamp = Stamp::of(&settings, worker);
        let mut launch = match worker {
            Worker::Agent(agent) => {
                let brief = self.brief(&task, role, &agent.prompt, attempt)?;
                // Of its own budget and of all others that it counts against: only the agent knows at each call what it costs.
                let mut agent = agent.clone();
                agent.cap.cost_microusd = left.cost_microusd;
                let (launch, conversation) = self.agent_launch(claim, &task, role, &agent, brief, &clone)?;
                stamp.conversation = conversation;
                launch
            }
            Worker::Command(command) => command_launch(claim, &task, role, command, &clone.path, &clone.readable),
        };
        if let Some(wall) = left.wall {
            launch.budget = launch.budget.min(wall);
        }
        self.start(claim, &task, role, attempt, &launch, stamp)
    }

    /// Writes the run's row, starts the shim, and leaves the job to the run's end.
    pub(crate) fn start(
        &self,
        claim: &Claim,
        task: &Task,
        role: Role,
        attempt: u32,
        launch: &Launch,
        stamp: Stamp,
    ) -> Result<(), StoreError> {
        let Stamp { model, effort, terms, conversation } = stamp;
        let brief = match &launch.brief {
            Some(text) => Some(self.outside.store.put_blob(text.as_bytes())?),
            None => None,
        };
        let mut row = RunRow {
            head_before: task.head.clone(),
            model,
            effort,
            terms,
            brief,
            conversation,
            ..RunRow::begun(
                launch.run,
                task,
                role,
                attempt,
                command_line(&self.outside.runs.command(launch)),
                self.now(),
            )
        };
        self.outside.store.put_run(&row, claim.token)?;
        match self.outside.runs.launch(launch) {
            Ok(RunState::Live { pid }) => {
                row.pid = Some(pid);
                self.outside.store.put_run(&row, claim.token)?;
                tracing::info!(role = role.as_str(), pid, attempt, "a run began");
                self.keep_live(claim);
                Ok(())
            }
            Ok(_) => self.finish(claim),
            Err(error @ LaunchError::ProgramMissing { .. }) => self.wait_for_the_program(claim, &mut row, &error),
            Err(error @ LaunchError::Template(_)) => self.run_failed_to_start(claim, &mut row, &error.to_string()),
            Err(error @ LaunchError::Infra(_)) => self.after_a_failed_launch(claim, &mut row, &error),
        }
    }

    /// The program went between the look and the launch: the job waits for it, as if it had not been claimed.
    fn wait_for_the_program(&self, claim: &Claim, row: &mut RunRow, missing: &LaunchError) -> Result<(), StoreError> {
        row.ended_at = Some(self.now());
        row.outcome = Some(format!("not started: {missing}"));
        row.result = Some(RunResult::Error);
        self.outside.store.put_run(row, claim.token)?;
        self.report_run(claim, row);
        self.forget_places();
        self.outside.store.unattempted(claim.job.id, claim.token)?;
        let at = self.now().plus(PREFLIGHT_INTERVAL);
        self.outside.store.give_back(claim.job.id, claim.token, at, &missing.to_string())
    }

    /// The launch failed, and yet the run may have begun: another one must not meet it in its clone.
    fn after_a_failed_launch(&self, claim: &Claim, row: &mut RunRow, failure: &LaunchError) -> Result<(), StoreError> {
        match self.outside.runs.inspect(run_of(claim.job.id)) {
            Ok(RunState::Absent | RunState::Prepared) => self.run_failed_to_start(claim, row, &failure.to_string()),
            Ok(RunState::Live { pid }) => self.adopt(claim, pid),
            Ok(RunState::Ended(_) | RunState::Lost) => self.finish(claim),
            Err(error) => {
                self.look_later(Work::Perform(Box::new(claim.clone())), &error);
                Ok(())
            }
        }
    }

    /// B8: nothing is launched for an item that is gone. True: the task was told.
    pub(crate) fn is_gone(&self, claim: &Claim) -> Result<bool, StoreError> {
        let seen = self.outside.tracker.item(&claim.task.project, &claim.task.work_item);
        if !matches!(seen, Err(TrackerError::Gone)) {
            return Ok(false);
        }
        let by = self.outside.tracker.gone_by(&claim.task.project, &claim.task.work_item);
        let event = Event::Observed { observation: Observation::GoneFromBoard { by } };
        self.outside.store.apply(claim.task.id, &event, self.now())?;
        let after = self.fresh(claim)?;
        // What has landed, or may have, is looked at all the same.
        if after.epoch == claim.job.epoch { self.withhold(claim, &after) } else { Ok(true) }
    }

    /// The task with its branch: cut now if there is none (A10), refused if another hand moved or deleted it (B15).
    pub(crate) fn with_branch(&self, claim: &Claim, forge: &dyn Forge) -> Result<Task, Halt> {
        let task = self.fresh(claim)?;
        let Some(branch) = &task.branch else {
            return self.cut_branch(claim, &task, forge);
        };
        let stands = forge.branch_head(branch)?;
        let observation = match stands {
            Some(head) if task.head.as_ref() == Some(&head) => return Ok(task),
            // An earlier attempt of this very job moved it and died before it could say so.
            Some(head) if Self::is_own_move(claim, &task, branch, &head, forge)? => return Ok(task),
            Some(head) => Observation::ForeignPush { head },
            None => Observation::RefusedAtForge { by: "another hand".to_owned() },
        };
        self.outside.store.apply(task.id, &Event::Observed { observation }, self.now())?;
        let after = self.fresh(claim)?;
        // A developer's run goes on from a foreign push; any other activity has been left.
        if after.epoch != claim.job.epoch || self.withhold(claim, &after)? { Err(Halt::Told) } else { Ok(after) }
    }

    fn is_own_move(
        claim: &Claim,
        task: &Task,
        branch: &BranchName,
        head: &CommitId,
        forge: &dyn Forge,
    ) -> Result<bool, Halt> {
        let Some(from) = &task.head else { return Ok(false) };
        let moved = forge.moved_by(&mark(claim), branch, from)?;
        Ok(moved.as_ref() == Some(head))
    }

    fn cut_branch(&self, claim: &Claim, task: &Task, forge: &dyn Forge) -> Result<Task, Halt> {
        let base = forge.base_head(&task.base_branch)?;
        let (branch, from) = free_branch(task, forge, &mark(claim), &base)?;
        let documents = vec![self.business_request(task)?];
        let event = Event::BranchCut { epoch: claim.job.epoch, branch, base: from, documents };
        match self.outside.store.apply(task.id, &event, self.now())? {
            Applied::Stepped { task, .. } => Ok(*task),
            Applied::Rejected(_) => Err(Halt::Told),
        }
    }

    /// A11: what the ticket says, as the document that the host itself writes.
    pub(crate) fn business_request(&self, task: &Task) -> Result<NewDocument, StoreError> {
        let description = self.outside.store.blob(&task.description)?;
        let said = String::from_utf8_lossy(&description);
        let said = if said.trim().is_empty() { "(the ticket has no description)" } else { said.trim_end() };
        let text = format!("# {}: {}\n\n## Description\n\n{said}\n", task.work_item, task.title);
        Ok(NewDocument {
            kind: DocumentKind::BusinessRequest,
            name: DocumentKind::BusinessRequest.file_name().to_owned(),
            stage: task.position.stage.clone(),
            visit: task.position.visit,
            run: None,
            size: text.len() as u64,
            blob: self.outside.store.put_blob(text.as_bytes())?,
        })
    }

    fn brief(&self, task: &Task, role: Role, prompt: &str, attempt: u32) -> Result<String, StoreError> {
        let description = self.outside.store.blob(&task.description)?;
        let documents = self.outside.store.documents(task.id)?;
        let mut told = Vec::new();
        for feedback in &task.feedback {
            told.push(Told { feedback, findings: self.findings_of(feedback)? });
        }
        Ok(write(&Material {
            task,
            role,
            prompt,
            description: &String::from_utf8_lossy(&description),
            told,
            documents: &documents,
            attempt,
            before: self.failed_before(task, role)?.as_deref(),
        }))
    }

    /// Why the newest run of this visit delivered nothing; none: it did, or there was none.
    fn failed_before(&self, task: &Task, role: Role) -> Result<Option<String>, StoreError> {
        let runs = self.outside.store.runs(task.id, LATEST_RUNS)?;
        let here = |run: &&RunRow| {
            run.role == role
                && run.stage == task.position.stage
                && run.visit == task.position.visit
                && run.ended_at.is_some()
        };
        let outcome = runs.iter().find(here).and_then(|run| run.outcome.as_deref());
        Ok(outcome.and_then(|outcome| outcome.strip_prefix("undelivered: ")).map(str::to_owned))
    }

    /// Nothing was launched, and the machine or the forge is at fault: what passes within a minute shall not spend all tries.
    fn unlaunched(&self, claim: &Claim, cause: &str) -> Result<(), StoreError> {
        let half = bound(claim.task.run_retries).0 / 2;
        let pause = Milliseconds(half + self.outside.clock.random() % (half + 1));
        self.not_delivered(claim, cause, Some(pause))
    }

    pub(crate) fn undelivered(&self, claim: &Claim, cause: &str) -> Result<(), StoreError> {
        self.not_delivered(claim, cause, None)
    }

    fn not_delivered(&self, claim: &Claim, cause: &str, retry_after: Option<Milliseconds>) -> Result<(), StoreError> {
        let event = Event::RunEnded {
            epoch: claim.job.epoch,
            run: run_of(claim.job.id),
            outcome: RunOutcome::Undelivered { cause: cause.to_owned(), retry_after, class: FailureClass::Permanent },
            spent: None,
            role: match &claim.job.effect {
                Effect::Launch { role, .. } => Some(*role),
                _ => None,
            },
        };
        self.complete(claim, event, None, None).map(|_| ())
    }
}

/// What a run's row says from its beginning on.
#[derive(Default)]
pub(crate) struct Stamp {
    model: Option<String>,
    effort: Option<String>,
    terms: Option<Terms>,
    conversation: Option<Conversation>,
}

impl Stamp {
    fn of(settings: &ProjectSettings, worker: &Worker) -> Self {
        let (model, effort) = match worker {
            Worker::Agent(agent) => (agent.model.clone(), agent.effort.clone()),
            Worker::Command(_) => (None, None),
        };
        Self { model, effort, terms: Some(terms(settings, worker)), conversation: None }
    }
}

/// The name that a task's branch gets where nobody else has it.
pub(crate) fn wanted_branch(task: &Task) -> String {
    format!("feature/{}-{}", task.work_item, slug(&task.title))
}

/// `feature/<work item>-<slug>`; where another task has that name, the task's number makes it unlike (A6).
fn free_branch(task: &Task, forge: &dyn Forge, mark: &Mark, base: &CommitId) -> Result<(BranchName, CommitId), Halt> {
    let plain = wanted_branch(task);
    for name in [plain.clone(), format!("{plain}-{}", task.id)] {
        let branch = BranchName::new(name).map_err(|error| Halt::Infra(error.to_string()))?;
        match forge.cut_branch(mark, &branch, base) {
            Ok(from) => return Ok((branch, from)),
            Err(ForgeError::Refused(_) | ForgeError::Moved { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Halt::Infra(format!("the branch `{plain}` exists already and is not this task's")))
}

/// Lower-case words of a title, joined by hyphens.
fn slug(title: &str) -> String {
    let mut slug = String::new();
    for character in title.chars().take(200) {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(SLUG_LENGTH);
    let slug = slug.trim_matches('-');
    if slug.is_empty() { "untitled".to_owned() } else { slug.to_owned() }
}

/// Whose hand a write of this claim is. The time is the activity's beginning: the same over all attempts.
pub(crate) fn mark(claim: &Claim) -> Mark {
    Mark { task: claim.task.id, job: claim.job.id, at: claim.task.activity_entered_at }
}

/// Roles that judge, and commands, work on a throwaway clone.
pub(crate) fn clone_key(claim: &Claim, role: Role) -> CloneKey {
    if role.judges() { CloneKey::of_job(claim.task.id, claim.job.id) } else { CloneKey::of_task(claim.task.id) }
}

/// Which clone a role works on, and which paths are emptied in it before. None: there is no branch yet.
pub(crate) fn clone_request(task: &Task, claim: &Claim, role: Role) -> Option<CloneRequest> {
    let folder = documents_folder(&task.work_item);
    let path = |kind: DocumentKind| format!("{folder}/{}", kind.file_name());
    // What the branch brings along in the judges' names opens nothing, must not mislead anybody, and must not be taken for this
    // run's work either.
    let emptied =
        DocumentKind::ALL.into_iter().filter(|kind| kind.owner().is_some_and(|owner| owner == role || owner.judges()));
    let empty = emptied.map(path).collect();
    Some(CloneRequest {
        key: clone_key(claim, role),
        branch: task.branch.clone()?,
        head: task.head.clone()?,
        base: task.base_branch.clone(),
        role: Some(role),
        empty,
        folder: Some(folder),
    })
}

/// What a worker sees in its environment.
pub(crate) fn environment(task: &Task, role: Role, workdir: &std::path::Path) -> BTreeMap<String, String> {
    let documents = workdir.join(documents_folder(&task.work_item));
    let mut environment = BTreeMap::from([
        ("GATEWRIGHT_ROLE".to_owned(), role.to_string()),
        ("GATEWRIGHT_WORK_ITEM".to_owned(), task.work_item.to_string()),
        ("GATEWRIGHT_DOCUMENTS".to_owned(), documents.to_string_lossy().into_owned()),
    ]);
    if let Some(head) = &task.head {
        environment.insert("GATEWRIGHT_COMMIT".to_owned(), head.to_string());
    }
    environment
}

/// What an agent sees beside that.
pub(crate) fn agent_environment(
    task: &Task,
    role: Role,
    workdir: &std::path::Path,
    agent: &AgentSpec,
) -> BTreeMap<String, String> {
    let mut environment = environment(task, role, workdir);
    let stamped = [("GATEWRIGHT_MODEL", &agent.model), ("GATEWRIGHT_EFFORT", &agent.effort)];
    environment.extend(stamped.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))));
    environment
}

/// A command of the project's, on the same road as an agent.
pub(crate) fn command_launch(
    claim: &Claim,
    task: &Task,
    role: Role,
    command: &CommandSpec,
    workdir: &std::path::Path,
    readable: &std::path::Path,
) -> Launch {
    Launch {
        run: run_of(claim.job.id),
        argv: command.argv.clone(),
        workdir: workdir.to_owned(),
        environment: environment(task, role, workdir),
        pass_environment: command.pass_environment.clone(),
        held_key: None,
        brief: None,
        readable: [command.readable.clone(), vec![readable.to_owned()]].concat(),
        writable: command.writable.clone(),
        network: command.network.clone(),
        budget: command.budget,
        grace: command.grace,
        limits: command.limits,
        confinement: Confinement::of_command(command.sandboxed),
        home: None,
    }
}
