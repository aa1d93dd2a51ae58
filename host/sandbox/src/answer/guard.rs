//! A guard's decision.

use domain::plugin::{Amendable, EffectView, GuardDecision, GuardQuestion};
use domain::task::Terminality;

use super::{DETAIL, Reading};
use crate::bindings::exports::gatewright::guard::guard;
use crate::fault::Fault;
use crate::text::Lines;
use crate::transcript::Question;

/// Effects that the pipeline can go on without.
const SUPPRESSIBLE: [&str; 5] = ["set-status", "set-estimate", "set-labels", "post-comment", "notify"];
/// Phases that are not stages.
const PHASES: [&str; 10] = [
    "backlog",
    "in-review",
    "needs-input",
    "blocked",
    "awaiting-deploy",
    "deploying",
    "monitoring",
    "stopping",
    "done",
    "cancelled",
];

pub(super) fn read(decision: guard::Decision, reading: &mut Reading<'_>) -> Result<GuardDecision, Fault> {
    let Question::Decide { question, patience } = reading.question else {
        return Err(Fault::invalid("it answered a question that was not asked"));
    };
    Ok(match decision {
        guard::Decision::Hold(reason) => GuardDecision::Hold { reason: reading.reason(&reason)? },
        guard::Decision::Allow => GuardDecision::Allow,
        guard::Decision::Suppress(reason) => {
            let reason = reading.reason(&reason)?;
            let kind = question.effect.kind.as_str();
            if SUPPRESSIBLE.contains(&kind) {
                GuardDecision::Suppress { reason }
            } else {
                reading.note(format!("`suppress` was read as `hold`: the pipeline does not go on without `{kind}`"));
                GuardDecision::Hold { reason }
            }
        }
        guard::Decision::Amend(amendment) => amend(amendment, question, reading)?,
        guard::Decision::Delay(delayed) => {
            let until = reading.until(delayed.until, *patience);
            GuardDecision::Delay { until, why: reading.reason(&delayed.why)? }
        }
    })
}

fn amend(
    amendment: guard::Amendment,
    question: &GuardQuestion,
    reading: &mut Reading<'_>,
) -> Result<GuardDecision, Fault> {
    let why = reading.reason(&amendment.why)?;
    let phase = match amendment.phase {
        Some(phase) => {
            reading.count(&phase)?;
            allowed(reading.amend, Amendable::Phase)?;
            Some(known_phase(phase, question)?)
        }
        None => None,
    };
    let text = match amendment.text {
        Some(text) => {
            allowed(reading.amend, Amendable::Text)?;
            has_text(&question.effect)?;
            let text = reading.text(&text, DETAIL, Lines::Many)?;
            // Whoever reads it must see that it is not the host who speaks.
            Some(format!("{text}\n\n(amended by the plugin {})", reading.plugin))
        }
        None => None,
    };
    if phase.is_none() && text.is_none() {
        return Err(Fault::invalid("it answered `amend` and amended nothing"));
    }
    Ok(GuardDecision::Amend { phase, text, why })
}

fn allowed(amend: &[Amendable], what: Amendable) -> Result<(), Fault> {
    if amend.contains(&what) {
        return Ok(());
    }
    let word = match what {
        Amendable::Phase => "phase",
        Amendable::Text => "text",
    };
    Err(Fault::invalid(format!("it amended the {word}, which its entry does not grant: `amend = [\"{word}\"]` would")))
}

fn has_text(effect: &EffectView) -> Result<(), Fault> {
    if matches!(effect.kind.as_str(), "post-comment" | "notify") {
        return Ok(());
    }
    Err(Fault::invalid(format!("it amended the text of `{}`, which has none", effect.kind)))
}

fn known_phase(phase: String, question: &GuardQuestion) -> Result<String, Fault> {
    let effect = &question.effect;
    if effect.kind != "set-status" {
        return Err(Fault::invalid(format!("it amended the phase of `{}`, which has none", effect.kind)));
    }
    let task = question.task.as_ref();
    let own = task.is_some_and(|task| task.stage.as_str() == phase || task.phase == phase);
    if !PHASES.contains(&phase.as_str()) && !own && effect.phase.as_deref() != Some(&phase) {
        return Err(Fault::invalid("it amended the phase to one that this task does not have"));
    }
    let ended = |end| task.is_some_and(|task| task.terminality == Some(end));
    let told_early =
        phase == "done" && !ended(Terminality::Done) || phase == "cancelled" && !ended(Terminality::Cancelled);
    if told_early {
        return Err(Fault::invalid(format!("it amended the phase to `{phase}`, and the task is not")));
    }
    Ok(phase)
}
