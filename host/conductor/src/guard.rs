//! Asking the guards before an effect is performed, in order; each sees what the last one made of it.

use std::sync::Arc;

use domain::effect::Claim;
use domain::effect::{Effect, JobClass};
use domain::event::{Answer, Event, StepFacts, Withholder};
use domain::ids::PluginId;
use domain::plugin::{EffectView, Failure, GuardDecision, GuardQuestion};
use domain::task::{HoldKind, Task};
use domain::time::{Milliseconds, Timestamp};

use crate::Conductor;
use crate::aftermath::pause;
use crate::judge::not_asked;
use crate::ports::plugins::{Evaluation, GuardCall};
use crate::ports::store::StoreError;
use crate::project::GuardBinding;
use crate::view::task_view;

/// Tries of an effect whose guard failed itself, before it is held or dropped.
const GUARD_TRIES: u32 = 5;
/// Between two of them.
const GUARD_PAUSE: Milliseconds = Milliseconds::from_seconds(2);
/// A plugin that asks for a longer pause does not get it.
pub(crate) const LONGEST_PAUSE: Milliseconds = Milliseconds::from_seconds(3600);

/// What the guards made of an effect.
pub(crate) enum Guarded {
    /// It may be performed, as it stands here.
    Go(EffectView),
    /// The job was answered, dropped or put off: nothing more is to be done with this claim.
    Done,
}

/// What one guard was asked about this job before, over all attempts and restarts.
struct Asked {
    /// When first.
    first_at: Timestamp,
    /// How often it failed itself.
    failures: u32,
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
            // Who guards it is not known.
            let at = self.now().plus(pause(claim.job.attempt, Milliseconds::default()));
            self.outside.store.give_back(
                claim.job.id,
                claim.token,
                at,
                "the project is not configured on this host",
            )?;
            return Ok(Guarded::Done);
        };
        for binding in settings.guards.iter().filter(|binding| binding.kinds.iter().any(|listed| listed == kind)) {
            match self.ask_guard(claim, binding, &effect)? {
                One::Allow => {}
                One::Amend { phase, text } => {
                    effect.phase = phase.or(effect.phase);
                    effect.text = text.or(effect.text);
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
        let asked_at = self.now();
        let asked = self.asked_before(claim, &binding.plugin, asked_at)?;
        let evaluation = self.decision(claim, &task, binding, effect, asked.first_at);
        let decided = decide(&evaluation.answer);
        let verdict = serde_json::to_vec(&evaluation.answer).map_err(|error| StoreError::inside(error.to_string()))?;
        let step = format!("guard {}", effect.kind);
        let mut kept = self.keep_evaluation(claim, &step, &evaluation, decided.0, decided.1, &verdict)?;
        kept.at = asked_at;
        self.outside.store.put_evaluation(&kept)?;
        Ok(match evaluation.answer {
            Ok(GuardDecision::Allow) => One::Allow,
            Ok(GuardDecision::Amend { phase, text, .. }) => One::Amend { phase, text },
            Ok(GuardDecision::Suppress { reason }) if claim.job.effect.class() == JobClass::Aftermath => {
                One::Drop(reason)
            }
            Ok(GuardDecision::Suppress { reason } | GuardDecision::Hold { reason }) => One::Hold(reason),
            Ok(GuardDecision::Delay { until, why }) => self.delayed(claim, binding, &asked, until, why),
            Err(failure) => self.guard_failed(claim, binding, &asked, &failure),
        })
    }

    fn asked_before(&self, claim: &Claim, plugin: &PluginId, now: Timestamp) -> Result<Asked, StoreError> {
        let mut asked = Asked { first_at: now, failures: 0 };
        for row in self.outside.store.evaluations_of(claim.job.id)? {
            let kept = row.evaluation;
            if kept.plugin == *plugin && kept.step.starts_with("guard ") {
                asked.first_at = asked.first_at.min(kept.at);
                asked.failures += u32::from(kept.answer == FAILURE);
            }
        }
        Ok(asked)
    }

    fn decision(
        &self,
        claim: &Claim,
        task: &Task,
        binding: &GuardBinding,
        effect: &EffectView,
        first_asked_at: Timestamp,
    ) -> Evaluation<Result<GuardDecision, Failure>> {
        let Some(forge) = self.forge(&task.project) else {
            return not_asked(&binding.plugin, "the project has no forge");
        };
        let world = match self.world(task, forge) {
            Ok(world) => world,
            Err(error) => return not_asked(&binding.plugin, &format!("the repository cannot be read: {error}")),
        };
        let question = GuardQuestion {
            id: claim.job.id,
            first_asked_at,
            project: task.project.clone(),
            environment: "live".to_owned(),
            destination: None,
            task: Some(task_view(task)),
            effect: effect.clone(),
            cause: task.position.activity.name().to_owned(),
            settings: binding.settings.to_string(),
            more: Vec::new(),
        };
        let asking = self.asking(task, &binding.plugin);
        let spent = self.now().since(first_asked_at);
        let patience = Milliseconds(binding.patience.0.saturating_sub(spent.0));
        self.outside.plugins.decide_guard(GuardCall { asking, question, patience }, Arc::new(world))
    }

    /// All its delays together are bounded by its patience; past it a person looks, or the aftermath is dropped.
    fn delayed(&self, claim: &Claim, binding: &GuardBinding, asked: &Asked, until: Timestamp, why: String) -> One {
        let end = asked.first_at.plus(binding.patience);
        if self.now() < end {
            return One::Later(until.min(end), why);
        }
        hold_or_drop(claim, format!("the guard {} delayed it longer than its patience: {why}", binding.plugin))
    }

    /// A guard that fails itself allows nothing, unless the operator wrote so.
    fn guard_failed(&self, claim: &Claim, binding: &GuardBinding, asked: &Asked, failure: &Failure) -> One {
        if binding.allow_on_error {
            return One::Allow;
        }
        let said = |message: &str| format!("the guard {} failed: {message}", binding.plugin);
        match failure {
            Failure::Retry { message, after, .. } if asked.failures + 1 < GUARD_TRIES => {
                let pause = after.unwrap_or_default().clamp(GUARD_PAUSE, LONGEST_PAUSE);
                One::Later(self.now().plus(pause), said(message))
            }
            Failure::Retry { message, .. } | Failure::GiveUp { message } => hold_or_drop(claim, said(message)),
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
                let event = Event::Withheld { epoch: claim.job.epoch, by: Withholder::Guard, reason };
                self.complete(claim, event, None, None).map(|_| ())
            }
            _ => self.dropped(claim, why),
        }
    }
}

/// A task that cannot go on without the effect waits for a person.
fn hold_or_drop(claim: &Claim, why: String) -> One {
    match claim.job.effect.class() {
        JobClass::Aftermath => One::Drop(why),
        JobClass::Drive => One::Hold(why),
    }
}

/// The word under which a guard's own failure is kept.
const FAILURE: &str = "failure";
/// The word under which its delays are kept.
const DELAY: &str = "delay";

fn decide(answer: &Result<GuardDecision, Failure>) -> (&'static str, &str) {
    match answer {
        Ok(GuardDecision::Allow) => ("allow", ""),
        Ok(GuardDecision::Hold { reason }) => ("hold", reason),
        Ok(GuardDecision::Suppress { reason }) => ("suppress", reason),
        Ok(GuardDecision::Amend { why, .. }) => ("amend", why),
        Ok(GuardDecision::Delay { why, .. }) => (DELAY, why),
        Err(Failure::Retry { message, .. } | Failure::GiveUp { message }) => (FAILURE, message),
    }
}
