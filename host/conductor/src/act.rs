//! The host's own actions on an edge: rebase, retest, staging, deploy, merge, and the proof of it.

use domain::document::{DocumentKind, NewDocument, Role};
use domain::effect::{Claim, run_of};
use domain::event::{Answer, Event, StepFacts};
use domain::ids::{CommitId, StepName};
use domain::pipeline::Action;
use domain::task::{HoldKind, Task};
use domain::time::Timestamp;
use domain::verdict::{InfraCause, WakeKind, WakeSet};

use crate::finish::{complaint, host_finding, indented};
use crate::guard::Guarded;
use crate::halt::{Halt, pause};
use crate::launch::{Stamp, clone_request, command_launch, mark};
use crate::ports::forge::{Forge, ForgeError};
use crate::ports::runs::{Ending, ExitRecord, RunState};
use crate::ports::store::{NewEvaluation, RunRow, StoreError};
use crate::project::{HookName, command_line};
use crate::{Conductor, Work, conflict};

/// The exit code by which a hook says that it could not try: the system's fault, nobody's work (catalogue G9, the third outcome).
const HOOK_COULD_NOT_TRY: i32 = 2;
/// A code above this tells of a death by the signal that it exceeds this by.
const KILLED: i32 = 128;
/// The newest runs of a task, among which the one that tested a commit is looked for.
const RUNS_LOOKED_AT: u32 = 200;

impl Conductor {
    pub(crate) fn act(&self, claim: &Claim, step: &StepName, action: Action) -> Result<(), StoreError> {
        let run = run_of(claim.job.id);
        match self.outside.runs.inspect(run) {
            Ok(RunState::Live { pid }) => return self.adopt(claim, pid),
            Ok(RunState::Ended(_) | RunState::Lost) => return self.finish(claim),
            Ok(RunState::Absent | RunState::Prepared) => {}
            Err(error) => {
                self.look_later(Work::Perform(Box::new(claim.clone())), &error);
                return Ok(());
            }
        }
        let Some(forge) = self.forge(&claim.task.project) else {
            return self.answer_infra(claim, step, "the project is not configured on this host any more");
        };
        if matches!(action, Action::Deploy | Action::Merge) && self.is_gone(claim)? {
            return Ok(());
        }
        let task = match self.with_branch(claim, forge.as_ref()) {
            Ok(task) => task,
            Err(Halt::Told) => return Ok(()),
            Err(Halt::Store(error)) => return Err(error),
            Err(Halt::Infra(cause)) => return self.answer_infra(claim, step, &cause),
            Err(Halt::Later { why, pause }) => return self.put_off_for(claim, pause, &why),
        };
        if let Some(kind) = guarded_kind(action) {
            let object = task.branch.as_ref().map_or("", |branch| branch.as_str());
            let asked = self.guard(claim, kind, object, |effect| effect.commit.clone_from(&task.head))?;
            if matches!(asked, Guarded::Done) {
                return Ok(());
            }
        }
        self.outside.store.attempted(claim.job.id, claim.token, self.now())?;
        match action {
            Action::Rebase => self.rebase(claim, step, &task, forge.as_ref()),
            Action::Merge => self.merge(claim, step, &task, forge.as_ref()),
            Action::ProveMerged => self.prove_merged(claim, step, &task, forge.as_ref()),
            Action::Retest if self.has_passed_the_suite(&task)? => {
                let note = "the suite already passed on this very commit".to_owned();
                self.answer(claim, step, Answer::Pass { note }, StepFacts::default(), None, None)
            }
            Action::Retest => self.hook(claim, step, &task, HookName::Test, forge.as_ref()),
            Action::Staging => self.hook(claim, step, &task, HookName::Staging, forge.as_ref()),
            Action::Deploy => self.deploy(claim, step, &task, forge.as_ref()),
        }
    }

    /// The project's suite, as it is written now, passed on this very commit.
    fn has_passed_the_suite(&self, task: &Task) -> Result<bool, StoreError> {
        if task.validated.is_none() || task.validated != task.head {
            return Ok(false);
        }
        let settings = self.settings(&task.project);
        let Some(suite) = settings.as_ref().and_then(|settings| settings.hooks.get(&HookName::Test)) else {
            return Ok(false);
        };
        let runs = self.outside.store.runs(task.id, RUNS_LOOKED_AT)?;
        let command = command_line(&suite.argv);
        Ok(runs.iter().any(|run| run.exit_code == Some(0) && run.head_before == task.head && run.command == command))
    }

    fn rebase(&self, claim: &Claim, step: &StepName, task: &Task, forge: &dyn Forge) -> Result<(), StoreError> {
        let (Some(branch), Some(head)) = (&task.branch, &task.head) else {
            return self.answer_infra(claim, step, "the task has no branch");
        };
        let base = match forge.base_head(&task.base_branch) {
            Ok(base) => base,
            Err(error) => return self.answer_forge(claim, step, error),
        };
        match forge.rebase(&mark(claim), branch, head, &base) {
            Ok(rebased) => {
                let note = if rebased.moved {
                    format!("the branch was put on top of {base}")
                } else {
                    format!("the branch stands on {base} already")
                };
                let facts = StepFacts { head: Some(rebased.head), base: Some(base), ..StepFacts::default() };
                self.answer(claim, step, Answer::Pass { note }, facts, None, None)
            }
            Err(ForgeError::Conflict { files }) => {
                let findings = [conflict::finding(&task.base_branch, &base, &files)];
                let (digest, title) = self.keep_findings(&findings)?;
                self.answer(
                    claim,
                    step,
                    Answer::Fail { findings: digest, count: 1, title },
                    StepFacts::default(),
                    None,
                    None,
                )
            }
            Err(ForgeError::Moved { found, .. }) => self.head_moved(claim, step, found),
            Err(error) => self.answer_forge(claim, step, error),
        }
    }

    fn head_moved(&self, claim: &Claim, step: &StepName, found: Option<CommitId>) -> Result<(), StoreError> {
        match found {
            Some(head) => self.answer(claim, step, Answer::HeadMoved { head }, StepFacts::default(), None, None),
            None => self.answer_infra(claim, step, "the branch is gone"),
        }
    }

    /// B13: just before the deploy base and branch are read again.
    fn deploy(&self, claim: &Claim, step: &StepName, task: &Task, forge: &dyn Forge) -> Result<(), StoreError> {
        let stands = task.branch.as_ref().map(|branch| forge.branch_head(branch)).transpose();
        match stands {
            Ok(stands) if stands.as_ref().and_then(Option::as_ref) == task.head.as_ref() => {}
            Ok(stands) => return self.head_moved(claim, step, stands.flatten()),
            Err(error) => return self.answer_forge(claim, step, error),
        }
        if let Some(head) = task.head.as_ref().filter(|head| task.validated.as_ref() != Some(head)) {
            return self.answer_untested(claim, step, head);
        }
        match forge.base_head(&task.base_branch) {
            Ok(base) if task.base.as_ref() == Some(&base) => self.hook(claim, step, task, HookName::Deploy, forge),
            Ok(base) => self.answer(claim, step, Answer::BaseMoved { base }, StepFacts::default(), None, None),
            Err(error) => self.answer_forge(claim, step, error),
        }
    }

    /// A command of the project's under a shim, in a clean checkout of the commit under judgement.
    fn hook(
        &self,
        claim: &Claim,
        step: &StepName,
        task: &Task,
        name: HookName,
        forge: &dyn Forge,
    ) -> Result<(), StoreError> {
        let settings = self.settings(&task.project);
        let Some(command) = settings.as_ref().and_then(|settings| settings.hooks.get(&name)) else {
            return self.answer_infra(claim, step, "the project's file names no command for this step any more");
        };
        let Some(mut request) = clone_request(task, claim, Role::Tester) else {
            return self.answer_infra(claim, step, "the task has no branch");
        };
        // A hook gets the commit as it is, and nothing else.
        request.empty.clear();
        request.folder = None;
        request.role = None;
        let clone = match forge.prepare_clone(&request) {
            Ok(clone) => clone,
            Err(error) => {
                return self.answer_infra(claim, step, &format!("the checkout could not be prepared: {error}"));
            }
        };
        let mut launch = command_launch(claim, task, Role::Deployer, command, &clone.path, &clone.readable);
        let commit = task.head.as_ref().map(ToString::to_string).unwrap_or_default();
        for key in ["GIT_SHA", "EXPECTED_REVISION"] {
            launch.environment.insert(key.to_owned(), commit.clone());
        }
        launch.environment.insert("BUILD_CONTEXT".to_owned(), clone.path.to_string_lossy().into_owned());
        self.start(claim, task, Role::Deployer, claim.job.attempt, &launch, Stamp::default())
    }

    /// What the end of a hook means for its step.
    pub(crate) fn hook_answer(
        &self,
        claim: &Claim,
        action: Action,
        record: Option<&ExitRecord>,
        row: &RunRow,
    ) -> Result<(Answer, StepFacts), StoreError> {
        let task = self.fresh(claim)?;
        let Some(record) = record else {
            let reason =
                format!("what the {} hook did is not known: its shim is gone and left no record", action.as_str());
            let answer = match action {
                Action::Retest => infra_answer(&reason),
                _ => Answer::Stuck { kind: HoldKind::FateUnknown, reason },
            };
            return Ok((answer, StepFacts::default()));
        };
        let record = ExitRecord { ending: ending_of(action, &record.ending), ..record.clone() };
        let Ending::Exited(code) = record.ending else {
            let cause = complaint(&record).unwrap_or_default();
            let answer = match (&record.ending, action) {
                // It may have been half-way: a second deploy over it is a person's to order.
                (
                    Ending::TimedOut
                    | Ending::Signaled(_)
                    | Ending::Cancelled
                    | Ending::OverBudget
                    | Ending::LogFull
                    | Ending::OverLimit { .. },
                    Action::Deploy,
                ) => {
                    let reason = format!("what the deploy hook did is not known: {cause}");
                    Answer::Stuck { kind: HoldKind::FateUnknown, reason }
                }
                _ => infra_answer(&cause),
            };
            return Ok((answer, StepFacts::default()));
        };
        match action {
            Action::Retest => self.retest_answer(&task, code, row),
            _ if code == HOOK_COULD_NOT_TRY => Ok((
                infra_answer(&format!("the {} hook says that it could not try", action.as_str())),
                StepFacts::default(),
            )),
            _ => self.deploy_answer(&task, action, code, row),
        }
    }

    fn retest_answer(&self, task: &Task, code: i32, row: &RunRow) -> Result<(Answer, StepFacts), StoreError> {
        if code == 0 {
            let facts = StepFacts { validated: task.head.clone(), ..StepFacts::default() };
            return Ok((Answer::Pass { note: "the suite passed on what will land".to_owned() }, facts));
        }
        let title = format!("the suite fails on what would land (exit {code})");
        let detail = format!("`{}` in a clean checkout:\n\n{}", row.command, self.excerpt(row.id));
        let (findings, title) = self.keep_findings(&[host_finding("retest-failed", title, detail)])?;
        Ok((Answer::Fail { findings, count: 1, title }, StepFacts::default()))
    }

    /// The hook ran: the host writes its log, and the gate that follows reads the status in it.
    fn deploy_answer(
        &self,
        task: &Task,
        action: Action,
        code: i32,
        row: &RunRow,
    ) -> Result<(Answer, StepFacts), StoreError> {
        let (kind, key) = match action {
            Action::Staging => (DocumentKind::StagingLog, "staging_status"),
            _ => (DocumentKind::DeployLog, "deploy_status"),
        };
        let word = if code == 0 { "SUCCESS" } else { "FAILED" };
        let commit = task.head.as_ref().map(ToString::to_string).unwrap_or_default();
        let text = format!(
            "---\n{key}: {word}\nexit_code: {code}\ncommit: {commit}\n---\n\n# {} of {}\n\n{}\n",
            kind.word(),
            task.work_item,
            indented(&self.excerpt(row.id)),
        );
        let document = NewDocument {
            kind,
            name: kind.file_name().to_owned(),
            stage: task.position.stage.clone(),
            visit: task.position.visit,
            run: None,
            size: text.len() as u64,
            blob: self.outside.store.put_blob(text.as_bytes())?,
        };
        let deployed = (action == Action::Deploy && code == 0).then(|| task.head.clone()).flatten();
        let facts = StepFacts { documents: vec![document], deployed, ..StepFacts::default() };
        Ok((Answer::Pass { note: format!("the {} hook ended: {word}", action.as_str()) }, facts))
    }

    /// B12: our own git decides, before and after: what is in main already was merged long ago.
    fn merge(&self, claim: &Claim, step: &StepName, task: &Task, forge: &dyn Forge) -> Result<(), StoreError> {
        let (Some(branch), Some(head), Some(expected)) = (&task.branch, &task.head, &task.base) else {
            return self.answer_infra(claim, step, "the task has no branch");
        };
        if task.validated.as_ref() != Some(head) {
            return self.answer_untested(claim, step, head);
        }
        match forge.merge_fast_forward(&mark(claim), branch, head, &task.base_branch, expected) {
            Ok(merged) => {
                let note = format!("{} is at {}", task.base_branch, merged.base_head);
                let facts = StepFacts { merged: Some(merged.commit), ..StepFacts::default() };
                self.answer(claim, step, Answer::Pass { note }, facts, None, None)
            }
            Err(ForgeError::Moved { branch: moved, found, .. }) if moved == task.base_branch => match found {
                Some(base) => self.answer(claim, step, Answer::BaseMoved { base }, StepFacts::default(), None, None),
                None => self.answer_infra(claim, step, "the base branch is gone"),
            },
            Err(ForgeError::Moved { found, .. }) => self.head_moved(claim, step, found),
            Err(error) => {
                let answer = not_merged(error, self.now());
                self.answer(claim, step, answer, StepFacts::default(), None, None)
            }
        }
    }

    /// The one proof: the validated commit is an ancestor of the base branch.
    pub(crate) fn prove_merged(
        &self,
        claim: &Claim,
        step: &StepName,
        task: &Task,
        forge: &dyn Forge,
    ) -> Result<(), StoreError> {
        let proven = forge.base_head(&task.base_branch).and_then(|base| match &task.validated {
            Some(validated) => forge.is_ancestor(validated, &base).map(|inside| (inside, base)),
            None => Ok((false, base)),
        });
        let (answer, facts) = match proven {
            Ok((true, base)) => {
                let facts = StepFacts { merged: task.validated.clone(), ..StepFacts::default() };
                (Answer::Pass { note: format!("the validated commit is in {} at {base}", task.base_branch) }, facts)
            }
            Ok((false, base)) => {
                let reason = format!("the validated commit is not in {} at {base}", task.base_branch);
                (Answer::Stuck { kind: HoldKind::NotProven, reason }, StepFacts::default())
            }
            Err(error) => return self.answer_forge(claim, step, error),
        };
        self.answer(claim, step, answer, facts, None, None)
    }

    pub(crate) fn answer(
        &self,
        claim: &Claim,
        step: &StepName,
        answer: Answer,
        facts: StepFacts,
        evaluation: Option<&NewEvaluation>,
        run: Option<&RunRow>,
    ) -> Result<(), StoreError> {
        let event = Event::StepAnswered { epoch: claim.job.epoch, step: step.clone(), answer, facts, woken: false };
        self.complete(claim, event, evaluation, run).map(|_| ())
    }

    pub(crate) fn answer_infra(&self, claim: &Claim, step: &StepName, message: &str) -> Result<(), StoreError> {
        self.answer(claim, step, infra_answer(message), StepFacts::default(), None, None)
    }

    fn answer_untested(&self, claim: &Claim, step: &StepName, head: &CommitId) -> Result<(), StoreError> {
        let reason = format!("{head} was not tested: only what the suite passed on may be deployed or land");
        self.answer(claim, step, Answer::Stuck { kind: HoldKind::NotProven, reason }, StepFacts::default(), None, None)
    }

    /// The forge did not answer the step, or not now.
    pub(crate) fn answer_forge(&self, claim: &Claim, step: &StepName, error: ForgeError) -> Result<(), StoreError> {
        match error {
            ForgeError::Later { why, retry_after } => self.put_off_for(claim, pause(retry_after), &why),
            error => self.answer_infra(claim, step, &error.to_string()),
        }
    }
}

/// B12: what a forge says to a merge that our own git finds possible. Only what is nobody's word costs infrastructure retries.
fn not_merged(error: ForgeError, now: Timestamp) -> Answer {
    match error {
        ForgeError::Later { why, retry_after } => {
            let wake = WakeSet::from_iter([WakeKind::Checks, WakeKind::PullRequest]);
            Answer::Wait { until: now.plus(pause(retry_after)), wake, why }
        }
        ForgeError::Refused(reason) => Answer::Stuck { kind: HoldKind::Blocked, reason },
        error => infra_answer(&error.to_string()),
    }
}

pub(crate) fn infra_answer(message: &str) -> Answer {
    Answer::Infra { cause: InfraCause::Host("action".to_owned()), message: message.to_owned(), retry_after: None }
}

/// How a hook ended. Bubblewrap, and the shell within, tell of a death by a signal as a code: then the hook did not say that it
/// failed, it said nothing. A suite may say so of a test that crashed, and that is its verdict.
fn ending_of(action: Action, ending: &Ending) -> Ending {
    match ending {
        Ending::Exited(code) if action != Action::Retest && *code > KILLED => Ending::Signaled(code - KILLED),
        other => other.clone(),
    }
}

/// Guards are asked about these actions, as the WIT names them.
pub(crate) fn guarded_kind(action: Action) -> Option<&'static str> {
    match action {
        Action::Merge => Some("merge"),
        Action::Deploy => Some("deploy"),
        Action::Staging | Action::Retest => Some("run-command"),
        Action::Rebase | Action::ProveMerged => None,
    }
}

#[cfg(test)]
mod tests {
    use domain::time::Milliseconds;

    use super::*;

    #[test]
    fn rule_b12_a_merge_that_is_put_off_waits_and_one_that_is_refused_is_a_persons() {
        let now = Timestamp(1_000_000);
        let later = |retry_after| ForgeError::Later { why: "try again later".to_owned(), retry_after };
        let until = |seconds| now.plus(Milliseconds::from_seconds(seconds));
        for (told, expected) in [(None, 10), (Some(1), 10), (Some(60), 60), (Some(86_400), 300)] {
            let Answer::Wait { until: at, wake, why } = not_merged(later(told.map(Milliseconds::from_seconds)), now)
            else {
                panic!("it waits")
            };
            assert_eq!((at, why.as_str()), (until(expected), "try again later"));
            assert!(wake.contains(WakeKind::Checks) && !wake.contains(WakeKind::Comment));
        }
        let refused = not_merged(ForgeError::Refused("the title begins with WIP".to_owned()), now);
        assert!(matches!(refused, Answer::Stuck { kind: HoldKind::Blocked, reason } if reason.contains("WIP")));
        assert!(matches!(not_merged(ForgeError::Infra("502".to_owned()), now), Answer::Infra { .. }));
    }

    #[test]
    fn a_hook_that_a_signal_ended_said_nothing() {
        for action in [Action::Deploy, Action::Staging] {
            assert_eq!(ending_of(action, &Ending::Exited(137)), Ending::Signaled(9));
            for said in
                [Ending::Exited(0), Ending::Exited(1), Ending::Exited(128), Ending::Signaled(9), Ending::TimedOut]
            {
                assert_eq!(ending_of(action, &said), said);
            }
        }
        assert_eq!(ending_of(Action::Retest, &Ending::Exited(139)), Ending::Exited(139));
    }
}
