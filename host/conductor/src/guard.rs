//! Asking the guards before an effect is performed, in order; each sees what the last one made of it.

use std::sync::Arc;

use domain::effect::Claim;
use domain::effect::{Effect, JobClass, run_of};
use domain::event::{Answer, Event, RunOutcome, StepFacts};
use domain::plugin::{EffectView, Failure, GuardDecision, GuardQuestion};
use domain::task::HoldKind;
use domain::time::{Milliseconds, Timestamp};

use crate::Conductor;
use crate::ports::plugins::GuardCall;
use crate::ports::store::StoreError;
use crate::project::GuardBinding;
use crate::view::task_view;

/// Tries of an effect whose guard failed itself, before it is held or dropped.
const GUARD_TRIES: u32 = 5;
/// Between two of them.
const GUARD_PAUSE: Milliseconds = Milliseconds::from_seconds(2);

/// What the guards made of an effect.
pub(crate) enum Guarded {
    /// It may be performed, as it stands here.
    Go(EffectView),
    /// The job was answered, dropped or put off: nothing more is to be done with this claim.
    Done,
}

enum One {
    Allow,
    Amend { phase: Option<String>, text: Option<String> },
    Drop(String),
    Later(Timestamp, String),
    Hold(String),
}

impl Conductor {
    pub(crate) fn guard(
        &self,
        claim: &Claim,
        kind: &str,
        object: &str,
        fill: impl FnOnce(&mut EffectView),
    ) -> Result<Guarded, StoreError> {
        let mut effect = EffectView {
            kind: kind.to_owned(),
            object: object.to_owned(),
            phase: None,
            status: None,
            text: None,
            commit: None,
            more: Vec::new(),
        };
        fill(&mut effect);
        let Some(settings) = self.settings(&claim.task.project) else {
            return Ok(Guarded::Go(effect));
        };
        for binding in settings.guards.iter().filter(|binding| binding.kinds.iter().any(|listed| listed == kind)) {
            match self.ask_guard(claim, binding, &effect)? {
                One::Allow => {}
                One::Amend { phase, text } => {
                    effect.phase = phase.or(effect.phase);
                    effect.text =
                        text.map(|text| format!("{text}\n(as amended by {})", binding.plugin)).or(effect.text);
                }
                One::Drop(why) => return self.dropped(claim, &why).map(|()| Guarded::Done),
                One::Later(until, why) => {
                    self.outside.store.give_back(claim.job.id, claim.token, until, &why)?;
                    return Ok(Guarded::Done);
                }
                One::Hold(why) => return self.held_by_guard(claim, &why).map(|()| Guarded::Done),
            }
        }
        Ok(Guarded::Go(effect))
    }

    fn ask_guard(&self, claim: &Claim, binding: &GuardBinding, effect: &EffectView) -> Result<One, StoreError> {
        let task = self.fresh(claim)?;
        let Some(forge) = self.forge(&task.project) else {
            return Ok(One::Later(self.now().plus(GUARD_PAUSE), "the project has no forge".to_owned()));
        };
        let Ok(world) = self.world(&task, forge) else {
            return Ok(self.guard_failed(claim, binding, "the repository cannot be read"));
        };
        let question = GuardQuestion {
            id: claim.job.id,
            first_asked_at: self.now(),
            project: task.project.clone(),
            environment: "live".to_owned(),
            destination: None,
            task: Some(task_view(&task)),
            effect: effect.clone(),
            cause: task.position.activity.name().to_owned(),
            settings: binding.settings.to_string(),
            more: Vec::new(),
        };
        let asking = self.asking(&task, &binding.plugin);
        let call = GuardCall { asking, question, patience: binding.patience };
        let evaluation = self.outside.plugins.decide_guard(call, Arc::new(world));
        let decided = decide(&evaluation.answer);
        let verdict = serde_json::to_vec(&evaluation.answer).map_err(|error| StoreError::Refused(error.to_string()))?;
        let kept = self.keep_evaluation(
            claim,
            &format!("guard {}", effect.kind),
            &evaluation,
            decided.0,
            decided.1,
            &verdict,
        )?;
        self.outside.store.put_evaluation(&kept)?;
        Ok(match evaluation.answer {
            Ok(GuardDecision::Allow) => One::Allow,
            Ok(GuardDecision::Amend { phase, text, .. }) => One::Amend { phase, text },
            Ok(GuardDecision::Suppress { reason }) if claim.job.effect.class() == JobClass::Aftermath => {
                One::Drop(reason)
            }
            Ok(GuardDecision::Suppress { reason } | GuardDecision::Hold { reason }) => One::Hold(reason),
            Ok(GuardDecision::Delay { until, why }) => One::Later(until, why),
            Err(Failure::Retry { message, .. } | Failure::GiveUp { message }) => {
                self.guard_failed(claim, binding, &message)
            }
        })
    }

    /// A guard that fails itself allows nothing, unless the operator wrote so.
    fn guard_failed(&self, claim: &Claim, binding: &GuardBinding, why: &str) -> One {
        let said = format!("the guard {} failed: {why}", binding.plugin);
        if binding.allow_on_error {
            return One::Allow;
        }
        if claim.job.attempt < GUARD_TRIES {
            return One::Later(self.now().plus(GUARD_PAUSE), said);
        }
        match claim.job.effect.class() {
            JobClass::Aftermath => One::Drop(said),
            JobClass::Drive => One::Hold(said),
        }
    }

    fn dropped(&self, claim: &Claim, why: &str) -> Result<(), StoreError> {
        let note = format!("{} was not performed: {why}", claim.job.effect.name());
        self.complete(claim, Event::AftermathEnded { note }, None, None).map(|_| ())
    }

    fn held_by_guard(&self, claim: &Claim, why: &str) -> Result<(), StoreError> {
        let reason = format!("a guard holds {}: {why}", claim.job.effect.name());
        match &claim.job.effect {
            Effect::Act { step, .. } => {
                let answer = Answer::Stuck { kind: HoldKind::Blocked, reason };
                self.answer(claim, step, answer, StepFacts::default(), None, None)
            }
            Effect::Launch { .. } => {
                let event = Event::RunEnded {
                    epoch: claim.job.epoch,
                    run: run_of(claim.job.id),
                    outcome: RunOutcome::OverBudget { cause: reason },
                    spent: None,
                };
                self.complete(claim, event, None, None).map(|_| ())
            }
            _ => self.dropped(claim, why),
        }
    }
}

fn decide(answer: &Result<GuardDecision, Failure>) -> (&'static str, &str) {
    match answer {
        Ok(GuardDecision::Allow) => ("allow", ""),
        Ok(GuardDecision::Hold { reason }) => ("hold", reason),
        Ok(GuardDecision::Suppress { reason }) => ("suppress", reason),
        Ok(GuardDecision::Amend { why, .. }) => ("amend", why),
        Ok(GuardDecision::Delay { why, .. }) => ("delay", why),
        Err(Failure::Retry { message, .. } | Failure::GiveUp { message }) => ("failure", message),
    }
}
