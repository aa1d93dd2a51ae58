//! Taking over what an ended run left: its documents, its commits, its cost.

use domain::document::{DocumentKind, NewDocument, Role, documents_folder};
use domain::effect::{Claim, Effect, run_of};
use domain::event::{Event, FailureClass, RunOutcome, RunResult};
use domain::frontmatter::Wording;
use domain::ids::{CommitId, RunId};
use domain::pipeline::{Action, StepKind};
use domain::task::Task;
use domain::verdict::{Finding, Severity};

use crate::cleanup::UNREADABLE_PAUSE;
use crate::converse::Ear;
use crate::launch::{clone_key, mark};
use crate::ports::forge::{
    CollectLimits, Forge, ForgeError, PathRules, TakeOver, Trespass, TrespassKind, auto_commit_message,
};
use crate::ports::runs::{Ending, ExitRecord, LOG_BYTES, LaunchError, RunState};
use crate::ports::store::{RunRow, StoreError};
use crate::project::{HookName, TransientSigns, Worker, command_line};
use crate::tally::{result_of_hook, result_of_work};
use crate::would::Mode;
use crate::{Conductor, Work, failure};

/// Of a run whose shim died with it, or with the machine.
pub(crate) const LOST: &str = "the run was lost: its shim is gone and left no record";

impl Conductor {
    /// A run under a shim ended, or was found ended or lost after a restart.
    pub(crate) fn finish(&self, claim: &Claim) -> Result<(), StoreError> {
        if self.mode(&claim.task) == Mode::PutOff {
            return self.put_off_its_end(claim);
        }
        let run = run_of(claim.job.id);
        let record = match self.outside.runs.inspect(run) {
            Ok(RunState::Ended(record)) => Some(record),
            Ok(RunState::Live { .. }) => {
                self.keep_live(claim);
                return Ok(());
            }
            Ok(RunState::Lost | RunState::Absent | RunState::Prepared) => None,
            Err(error) => {
                self.look_later(Work::Finish(Box::new(claim.clone())), &error);
                return Ok(());
            }
        };
        // In the clone the next run may live already, if another host took this job over: the branch has its fence, the clone has
        // none.
        self.outside.store.held(claim.job.id, claim.token)?;
        let mut row = self.outside.store.run(run)?;
        if let Some(record) = &record {
            fill(&mut row, record);
        } else {
            row.ended_at = Some(self.now());
            row.outcome = Some("lost: its shim is gone and left no record".to_owned());
        }
        match &claim.job.effect {
            Effect::Launch { role, .. } => self.finish_work(claim, *role, record.as_ref(), row),
            Effect::Act { step, action } => self.finish_hook(claim, step, *action, record.as_ref(), row),
            _ => Ok(()),
        }
    }

    /// Whether the run lives is not known, and a second one beside it would be the worst answer: the claim stays, and the same
    /// folder is looked at again.
    pub(crate) fn look_later(&self, work: Work, error: &LaunchError) {
        tracing::error!(%error, ?work, "a run cannot be looked at");
        self.later(work, UNREADABLE_PAUSE);
    }

    /// The run never began: an agent's is launched again, an action's step answers `infra`.
    pub(crate) fn run_failed_to_start(&self, claim: &Claim, row: &mut RunRow, cause: &str) -> Result<(), StoreError> {
        row.ended_at = Some(self.now());
        row.outcome = Some(format!("not started: {cause}"));
        row.result = Some(RunResult::Error);
        self.outside.store.put_run(row, claim.token)?;
        self.report_run(claim, row);
        match &claim.job.effect {
            Effect::Act { step, .. } => self.answer_infra(claim, step, cause),
            _ => self.undelivered(claim, cause),
        }
    }

    fn finish_work(
        &self,
        claim: &Claim,
        role: Role,
        record: Option<&ExitRecord>,
        mut row: RunRow,
    ) -> Result<(), StoreError> {
        let task = self.fresh(claim)?;
        let settings = self.settings(&task.project);
        let worker = settings.as_ref().and_then(|settings| settings.workers.get(&role));
        let ear = Ear::of(worker);
        let told = self.settle_cost(&mut row, &ear, record);
        row.report = self.outside.runs.report(row.id);
        let outcome = match (worker, record) {
            (_, None) => undelivered(LOST),
            (Some(Worker::Command(_)), Some(record)) => {
                let hooks = settings.as_ref().map(|settings| &settings.hooks);
                let suite = hooks.and_then(|hooks| hooks.get(&HookName::Test));
                // A stage may run anything; only the project's own suite says that a commit was tested.
                let is_suite = suite.is_some_and(|suite| command_line(&suite.argv) == row.command);
                self.command_outcome(&task, role, record, &row, is_suite)?
            }
            (_, Some(record)) => self.agent_outcome(claim, &task, role, worker, &ear, &told, record, &mut row)?,
        };
        let outcome = self.within_budget(&task, &row, record, outcome)?;
        row.outcome = Some(said(&outcome));
        let exit = row.exit_code.filter(|_| matches!(worker, Some(Worker::Command(_))));
        row.result = Some(result_of_work(&outcome, record, exit));
        let kept = outcome.clone();
        let event =
            Event::RunEnded { epoch: claim.job.epoch, run: row.id, outcome, spent: row.spent, role: Some(role) };
        self.complete(claim, event, None, Some(&row))?;
        self.meters().remove(&claim.job.id);
        match record {
            Some(_) => self.keep_conversation(role, &ear, &kept, &row),
            None => self.keep_lost_conversation(role, &ear, &row),
        }
        self.discard_clone(claim, &task, role);
        Ok(())
    }

    /// A run that ended badly is salvaged by nothing that it printed. What passes by itself is tried again later, at the cost of
    /// no attempt.
    pub(crate) fn failed(
        &self,
        task: &Task,
        worker: Option<&Worker>,
        record: &ExitRecord,
        cause: &str,
        run: RunId,
    ) -> RunOutcome {
        let own = match worker {
            Some(Worker::Agent(agent)) => agent.transient.clone(),
            _ => TransientSigns::default(),
        };
        let log = self.outside.runs.log_tail(run, failure::TAIL_BYTES);
        let found = failure::classify(&record.ending, &log, &own);
        let cause = self.with_excerpt(cause, run);
        let retry_after = match found.class {
            FailureClass::Transient => {
                Some(failure::pause(task.transient_retries, found.told, self.outside.clock.random()))
            }
            FailureClass::Permanent => None,
        };
        RunOutcome::Undelivered { cause, retry_after, class: found.class }
    }

    /// A throwaway clone goes; a task's own stays for its next run.
    fn discard_clone(&self, claim: &Claim, task: &Task, role: Role) {
        let key = clone_key(claim, role);
        if let Some(forge) = self.forge(&task.project)
            && key.job.is_some()
            && let Err(error) = forge.remove_clone(key)
        {
            tracing::warn!(%error, task = %task.id, "a throwaway clone could not be removed");
        }
    }

    pub(crate) fn take_over(
        &self,
        claim: &Claim,
        task: &Task,
        role: Role,
        row: &mut RunRow,
    ) -> Result<RunOutcome, StoreError> {
        let Some(forge) = self.forge(&task.project) else {
            return Ok(undelivered("the project is not configured on this host any more"));
        };
        let folder = documents_folder(&task.work_item);
        let found = match forge.collect_documents(clone_key(claim, role), &folder, CollectLimits::default()) {
            Ok(found) => found,
            Err(error) => {
                return Ok(undelivered(&format!("its documents could not be read: {error}")));
            }
        };
        let mut trespasses = Vec::new();
        let mut documents = Vec::new();
        for (name, bytes) in found.files {
            let Some(kind) = DocumentKind::of_file(&name) else {
                continue;
            };
            if kind.owner() == Some(role) {
                if let Some(flaw) = malformed(kind, &bytes, self.is_judged_by_its_gate(task, kind)?) {
                    return Ok(undelivered(&format!("it wrote a malformed `{name}`: {flaw}")));
                }
                documents.push(self.keep_document(task, kind, name, &bytes, row)?);
            } else if kind.owner().is_some_and(Role::judges) {
                // Its place was emptied before the launch: this run wrote it.
                if role.judges() {
                    // No work of a developer's is at fault.
                    let cause = format!("the {role}'s run wrote `{folder}/{name}`, which is another role's document");
                    return Ok(undelivered(&cause));
                }
                let title = format!("the {role}'s run wrote `{folder}/{name}`, which is another role's document");
                let detail = "Remove it: only the role that owns a document may write it. It was not taken.".to_owned();
                let mut finding = host_finding("document-of-another-role", title, detail);
                finding.path = Some(format!("{folder}/{name}"));
                trespasses.push(finding);
            }
        }
        let required = role.required_kinds();
        if !required.is_empty() && !documents.iter().any(|document| required.contains(&document.kind)) {
            let names = required.iter().map(|kind| format!("`{}`", kind.file_name())).collect::<Vec<_>>().join(" or ");
            let unread = found.trespasses.iter().map(|trespass| format!("; `{}`: {}", trespass.path, trespass.note));
            let cause = format!("it ended well and wrote no {names}{}", unread.take(5).collect::<String>());
            return Ok(undelivered(&self.with_excerpt(&cause, row.id)));
        }
        let mut head = task.head.clone();
        if !role.judges() {
            let conflict = if role == Role::Developer { self.told_conflict(task)? } else { None };
            match Self::take_commits(claim, task, role, conflict, forge.as_ref(), &mut trespasses) {
                Ok(taken) => head = Some(taken),
                Err(cause) => return Ok(undelivered(&cause)),
            }
        }
        row.head_after.clone_from(&head);
        if trespasses.is_empty() && role == Role::Developer && head == task.base {
            let cause = "it ended well and changed nothing: the branch holds no work";
            return Ok(undelivered(&self.with_excerpt(cause, row.id)));
        }
        if trespasses.is_empty() {
            return Ok(RunOutcome::Delivered { head, documents, validated: None });
        }
        let (findings, title) = self.keep_findings(&trespasses)?;
        Ok(RunOutcome::Trespassed { head, findings, count: trespasses.len() as u32, title })
    }

    /// Does the component that comes along, and that reads these words and no others, judge this kind on the way out of the stage?
    pub(crate) fn is_judged_by_its_gate(&self, task: &Task, kind: DocumentKind) -> Result<bool, StoreError> {
        let Some(wording) = Wording::of(kind) else { return Ok(false) };
        let project = self.outside.store.project(&task.project)?;
        let edge = project.as_ref().and_then(|project| project.pipeline.edge(&task.position.stage));
        let mut steps = edge.iter().flat_map(|edge| &edge.steps);
        Ok(steps.any(|step| matches!(&step.kind, StepKind::Gate { plugin } if plugin.as_str() == wording.gate)))
    }

    /// The developer's commits and leftovers, as a new head of the branch.
    fn take_commits(
        claim: &Claim,
        task: &Task,
        role: Role,
        conflict: Option<CommitId>,
        forge: &dyn Forge,
        trespasses: &mut Vec<Finding>,
    ) -> Result<CommitId, String> {
        let (Some(branch), Some(expected)) = (&task.branch, &task.head) else {
            return Err("the task has no branch".to_owned());
        };
        let take = TakeOver {
            mark: mark(claim),
            clone: clone_key(claim, role),
            branch: branch.clone(),
            expected: expected.clone(),
            role,
            message: auto_commit_message(role, &task.work_item, run_of(claim.job.id)),
            paths: path_rules(task, role),
            leftovers: true,
            conflict,
        };
        match forge.take_over(&take) {
            Ok(taken) => {
                // What was only removed or left out, and harms nobody, is no reason to send the work back.
                let grave =
                    taken.trespasses.iter().filter(|trespass| !matches!(trespass.kind, TrespassKind::SpecialFile));
                trespasses.extend(grave.map(|trespass| finding_of(trespass, role)));
                Ok(taken.head)
            }
            Err(ForgeError::Moved { .. }) => Err("the branch moved by another hand meanwhile".to_owned()),
            Err(error) => Err(format!("its commits could not be taken over: {error}")),
        }
    }

    pub(crate) fn keep_findings(&self, findings: &[Finding]) -> Result<(domain::ids::Digest, String), StoreError> {
        let text = serde_json::to_vec(findings).map_err(|error| StoreError::inside(error.to_string()))?;
        let title = findings.first().map_or_else(String::new, |finding| finding.title.clone());
        Ok((self.outside.store.put_blob(&text)?, title))
    }

    fn keep_document(
        &self,
        task: &Task,
        kind: DocumentKind,
        name: String,
        bytes: &[u8],
        row: &RunRow,
    ) -> Result<NewDocument, StoreError> {
        Ok(NewDocument {
            kind,
            name,
            stage: task.position.stage.clone(),
            visit: task.position.visit,
            run: Some(row.id),
            size: bytes.len() as u64,
            blob: self.outside.store.put_blob(bytes)?,
        })
    }

    /// A stage whose worker is a command: the exit code is the verdict, and the host writes the document (catalogue F7).
    fn command_outcome(
        &self,
        task: &Task,
        role: Role,
        record: &ExitRecord,
        row: &RunRow,
        is_suite: bool,
    ) -> Result<RunOutcome, StoreError> {
        let Ending::Exited(code) = record.ending else {
            let cause = complaint(record).unwrap_or_default();
            return Ok(undelivered(&format!("the suite did not run to its end: {cause}")));
        };
        let word = if code == 0 { "PASS" } else { "FAIL" };
        let kind = role.required_kinds().first().copied().unwrap_or(DocumentKind::TestReport);
        let log = self.excerpt(row.id);
        let text = format!(
            "---\nresult: {word}\nstatus: {word}\nexit_code: {code}\n---\n\n# {} of {}\n\n`{}` exited with {code}.\n\n{}\n",
            kind.word(),
            task.work_item,
            row.command,
            indented(&log),
        );
        let document = self.keep_document(task, kind, kind.file_name().to_owned(), text.as_bytes(), row)?;
        let validated = if code == 0 && is_suite { task.head.clone() } else { None };
        Ok(RunOutcome::Delivered { head: task.head.clone(), documents: vec![document], validated })
    }

    fn finish_hook(
        &self,
        claim: &Claim,
        step: &domain::ids::StepName,
        action: Action,
        record: Option<&ExitRecord>,
        row: RunRow,
    ) -> Result<(), StoreError> {
        let answered = self.hook_answer(claim, action, record, &row)?;
        let mut row = row;
        row.outcome.get_or_insert_with(|| format!("{action:?}").to_lowercase());
        row.result = Some(result_of_hook(&answered.0, record));
        self.discard_clone(claim, &claim.task, Role::Tester);
        self.answer(claim, step, answered.0, answered.1, None, Some(&row))
    }
}

/// A finding of the host's own.
pub(crate) fn host_finding(rule: &str, title: String, detail: String) -> Finding {
    Finding { rule: rule.to_owned(), severity: Severity::Blocker, title, detail, path: None, line: None, help: None }
}

/// A developer changes the code and no work item's documents; the other roles that commit change their own documents alone.
fn path_rules(task: &Task, role: Role) -> PathRules {
    let folder = documents_folder(&task.work_item);
    let own = role.owned_kinds().map(|kind| format!("{folder}/{}", kind.file_name())).collect::<Vec<_>>();
    if own.is_empty() {
        PathRules { allowed: None, excluded: vec!["docs/work-items".to_owned()] }
    } else {
        PathRules { allowed: Some(own), excluded: Vec::new() }
    }
}

fn finding_of(trespass: &Trespass, role: Role) -> Finding {
    let rule = format!("{:?}", trespass.kind);
    let mut kebab = String::from("trespass");
    for character in rule.chars() {
        if character.is_ascii_uppercase() {
            kebab.push('-');
        }
        kebab.push(character.to_ascii_lowercase());
    }
    let title = if trespass.path.is_empty() {
        format!("the {role}'s run did what it may not: {}", trespass.note)
    } else {
        format!("the {role}'s run may not do this to `{}`: {}", trespass.path, trespass.note)
    };
    let mut finding = host_finding(&kebab, title.chars().take(200).collect(), trespass.note.clone());
    finding.path = Some(trespass.path.clone()).filter(|path| !path.is_empty());
    finding
}

fn undelivered(cause: &str) -> RunOutcome {
    RunOutcome::Undelivered { cause: cause.to_owned(), retry_after: None, class: FailureClass::Permanent }
}

fn said(outcome: &RunOutcome) -> String {
    match outcome {
        RunOutcome::Delivered { .. } => "delivered".to_owned(),
        RunOutcome::Followed { .. } => "done by another hand".to_owned(),
        RunOutcome::Trespassed { title, .. } => format!("trespassed: {title}"),
        RunOutcome::Undelivered { cause, class: FailureClass::Transient, .. } => {
            format!("{}{cause}", RunRow::LATER)
        }
        RunOutcome::Undelivered { cause, .. } => format!("undelivered: {cause}"),
        RunOutcome::OverBudget { cause } => format!("over budget: {cause}"),
    }
}

pub(crate) fn fill(row: &mut RunRow, record: &ExitRecord) {
    row.ended_at = Some(record.ended_at);
    row.timed_out = record.ending == Ending::TimedOut;
    row.exit_code = match record.ending {
        Ending::Exited(code) => Some(code),
        _ => None,
    };
}

/// Why an ending is none that delivers; none: it exited with 0.
pub(crate) fn complaint(record: &ExitRecord) -> Option<String> {
    match &record.ending {
        Ending::Exited(0) => None,
        Ending::Exited(code) => Some(format!("it exited with {code}")),
        Ending::Signaled(signal) => Some(format!("it was killed by signal {signal}")),
        Ending::TimedOut => Some("it ran over its time and was ended".to_owned()),
        Ending::Cancelled => Some("it was cancelled".to_owned()),
        Ending::OverBudget => Some("it was ended, for a budget is spent".to_owned()),
        Ending::LogFull => {
            let most = LOG_BYTES >> 20;
            Some(format!("it wrote more than {most} MiB to its log and was ended: let it say less, or into a file"))
        }
        Ending::OverLimit { limit, allowed } => Some(limit.passed(*allowed)),
        Ending::NotStarted(why) => Some(format!("it could not be started: {why}")),
    }
}

/// What makes a document no document: the gates read only what has the form. `words`: the gate that reads it knows these alone.
pub(crate) fn malformed(kind: DocumentKind, bytes: &[u8], words: bool) -> Option<String> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Some("it is not UTF-8".to_owned());
    };
    if text.trim().is_empty() {
        return Some("it is empty".to_owned());
    }
    Wording::of(kind)?.flaw(text, words)
}

/// A block that cannot be taken for frontmatter or markup.
pub(crate) fn indented(log: &str) -> String {
    log.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
