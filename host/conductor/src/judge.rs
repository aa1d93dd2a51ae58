//! Asking a gate, and keeping what it saw and said.

use std::sync::Arc;

use domain::effect::Claim;
use domain::event::{Answer, StepFacts};
use domain::ids::{PluginId, StepName};
use domain::plugin::{Failure, GateSubject};
use domain::task::Task;
use domain::time::Milliseconds;
use domain::verdict::{InfraCause, Verdict};

use crate::Conductor;
use crate::halt::Halt;
use crate::ports::forge::{Forge, ForgeError};
use crate::ports::plugins::{Asking, Evaluation, GateCall};
use crate::ports::store::{NewEvaluation, StoreError, Thing};
use crate::ports::tally::Fact;
use crate::view::{edge_of, run_view, task_view};
use crate::world::TaskWorld;

impl Conductor {
    pub(crate) fn judge(&self, claim: &Claim, step: &StepName, plugin: &PluginId) -> Result<(), StoreError> {
        let Some(forge) = self.forge(&claim.task.project) else {
            return self.answer_infra(claim, step, "the project is not configured on this host any more");
        };
        let task = match self.with_branch(claim, forge.as_ref()) {
            Ok(task) => task,
            Err(Halt::Told) => return Ok(()),
            Err(Halt::Store(error)) => return Err(error),
            Err(Halt::Infra(cause)) => return self.answer_infra(claim, step, &cause),
            Err(Halt::Later { why, pause }) => return self.put_off_for(claim, pause, &why),
        };
        self.judge_it(claim, step, plugin, &task, forge)
    }

    /// Asks about the task as it stands, with its branch.
    pub(crate) fn judge_it(
        &self,
        claim: &Claim,
        step: &StepName,
        plugin: &PluginId,
        task: &Task,
        forge: Arc<dyn Forge>,
    ) -> Result<(), StoreError> {
        let world = match self.world(task, forge) {
            Ok(world) => world,
            Err(error) => return self.answer_forge(claim, step, error),
        };
        let (subject, patience) = self.subject(task, step, &world)?;
        let asking = self.asking(task, plugin);
        let (head, base) = (task.head.clone(), world.base_head.clone());
        let evaluation = self.outside.plugins.evaluate_gate(GateCall { asking, subject, patience }, Arc::new(world));
        let (answer, summary) = self.answer_of(&evaluation.answer)?;
        let verdict = serde_json::to_vec(&evaluation.answer).map_err(|error| StoreError::inside(error.to_string()))?;
        let mut kept =
            self.keep_evaluation(claim, step.as_str(), &evaluation, evaluation.answer.name(), &summary, &verdict)?;
        kept.head = head;
        kept.base.clone_from(&base);
        self.answer(claim, step, answer, StepFacts::default(), Some(&kept), None)
    }

    /// Base head and fork point are read once: they stay the same during the evaluation.
    pub(crate) fn world(&self, task: &Task, forge: Arc<dyn Forge>) -> Result<TaskWorld, ForgeError> {
        let base_head = forge.base_head(&task.base_branch)?;
        let fork_point = match &task.head {
            Some(head) => forge.merge_base(head, &base_head)?,
            None => None,
        };
        Ok(TaskWorld {
            store: self.outside.store.clone(),
            forge: Some(forge),
            tracker: self.outside.tracker.clone(),
            runs: self.outside.runs.clone(),
            task: task.clone(),
            fork_point,
            base_head: Some(base_head),
        })
    }

    fn subject(
        &self,
        task: &Task,
        step: &StepName,
        world: &TaskWorld,
    ) -> Result<(GateSubject, Milliseconds), StoreError> {
        let pipeline = self
            .outside
            .store
            .project(&task.project)?
            .map(|project| project.pipeline)
            .ok_or_else(|| StoreError::NotFound { what: Thing::Project, id: task.project.to_string() })?;
        let settings = self.settings(&task.project);
        let settings = settings.as_ref().and_then(|settings| settings.gate_settings.get(step));
        let runs = self.outside.store.runs(task.id, 20)?;
        let run = runs.iter().find(|run| run.stage == task.position.stage && run.visit == task.position.visit);
        let edge = edge_of(&pipeline, task).ok_or_else(|| StoreError::inside("the stage has no edge".to_owned()))?;
        let (asked_before, first_asked_at) =
            task.asked.as_ref().map_or((0, self.now()), |asked| (asked.times, asked.first_at));
        let whole = pipeline.step(&task.position.stage, step).map_or(Milliseconds(0), |step| step.patience);
        let patience = Milliseconds(whole.0.saturating_sub(self.now().since(first_asked_at).0).max(1000));
        let subject = GateSubject {
            task: task_view(task),
            edge,
            step: step.clone(),
            commit: task.head.clone(),
            fork_point: world.fork_point.clone(),
            base_head: world.base_head.clone(),
            asked_before,
            first_asked_at,
            run: run.map(run_view),
            settings: settings.map_or_else(|| "{}".to_owned(), ToString::to_string),
            more: Vec::new(),
        };
        Ok((subject, patience))
    }

    pub(crate) fn asking(&self, task: &Task, plugin: &PluginId) -> Asking {
        Asking {
            project: task.project.clone(),
            plugin: plugin.clone(),
            at: self.now(),
            seed: self.outside.clock.random(),
        }
    }

    /// The engine's form of a verdict; texts that are long become blobs.
    fn answer_of(&self, verdict: &Verdict) -> Result<(Answer, String), StoreError> {
        Ok(match verdict {
            Verdict::Pass { note, .. } => (Answer::Pass { note: note.clone() }, note.clone()),
            Verdict::Fail { findings, .. } => {
                let (digest, title) = self.keep_findings(findings)?;
                (Answer::Fail { findings: digest, count: findings.len() as u32, title: title.clone() }, title)
            }
            Verdict::Infra { cause, message, retry_after } => {
                let answer =
                    Answer::Infra { cause: cause.clone(), message: message.clone(), retry_after: *retry_after };
                (answer, format!("{cause}: {message}"))
            }
            Verdict::Wait { until, wake, why } => {
                (Answer::Wait { until: *until, wake: wake.clone(), why: why.clone() }, why.clone())
            }
            Verdict::Hold { kind, reason, .. } => {
                (Answer::Hold { kind: *kind, reason: reason.clone() }, reason.clone())
            }
            Verdict::NotApplicable { why } => (Answer::NotApplicable { why: why.clone() }, why.clone()),
        })
    }

    /// Transcript and verdict become blobs before the commit that names them.
    pub(crate) fn keep_evaluation<A>(
        &self,
        claim: &Claim,
        step: &str,
        evaluation: &Evaluation<A>,
        answer: &str,
        summary: &str,
        verdict: &[u8],
    ) -> Result<NewEvaluation, StoreError> {
        let kept = NewEvaluation {
            job: Some(claim.job.id),
            task: Some(claim.task.id),
            step: step.to_owned(),
            plugin: evaluation.plugin.clone(),
            digest: evaluation.digest.clone(),
            answer: answer.to_owned(),
            summary: summary.chars().take(1000).collect(),
            verdict: self.outside.store.put_blob(verdict)?,
            transcript: self.outside.store.put_blob(&evaluation.transcript)?,
            head: None,
            base: None,
            micros: evaluation.micros,
            at: self.now(),
        };
        self.report(Fact::Evaluated { evaluation: &kept });
        Ok(kept)
    }
}

/// Nothing could be shown to the plugin, so it was not asked: kept like a failure of its own.
pub(crate) fn not_asked<A>(plugin: &PluginId, why: &str) -> Evaluation<Result<A, Failure>> {
    let cause = InfraCause::Host("world".to_owned());
    Evaluation {
        answer: Err(Failure::Retry { cause, message: why.to_owned(), after: None }),
        transcript: b"{}".to_vec(),
        plugin: plugin.clone(),
        digest: None,
        micros: 0,
        denials: Vec::new(),
        limits_hit: Vec::new(),
    }
}
