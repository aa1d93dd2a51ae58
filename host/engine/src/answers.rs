//! What the answer of a gate or an action leads to: the verdict algebra.

use domain::document::Role;
use domain::effect::{Feedback, Notice};
use domain::entry::{Entry, MovedBy};
use domain::event::{Answer, StepFacts};
use domain::ids::{CommitId, Digest, FenceToken, LeaseName, StageName, StepName};
use domain::pipeline::{Action, EdgeStep, INFRA_RETRIES, OnPatience, StepKind};
use domain::task::{Activity, HoldKind};
use domain::time::Timestamp;
use domain::verdict::{GateHold, InfraCause, WakeSet};

use crate::illegal::Illegal;
use crate::plan::{Plan, cut};
use crate::step::Rejected;

pub(crate) fn lease_granted(plan: &mut Plan<'_>, name: &LeaseName, token: FenceToken) -> Result<(), Rejected> {
    if !plan.task.requested.contains(name) {
        return Err(Rejected::Illegal(Illegal::NotInLine));
    }
    plan.note(Entry::LeaseTaken { name: name.clone(), token });
    Ok(())
}

pub(crate) fn decide(plan: &mut Plan<'_>, step: &StepName, answer: &Answer, facts: &StepFacts, woken: bool) {
    plan.note(Entry::StepAnswered {
        step: step.clone(),
        answer: answer.word().to_owned(),
        note: cut(said(answer)),
        evaluation: facts.evaluation,
    });
    take_facts(plan, facts);
    if let Answer::Stuck { kind: HoldKind::DeployedNotInMain | HoldKind::MergedUntested, reason } = answer {
        plan.freeze(reason);
    }
    if plan.task.stop_requested && !plan.only_the_proof_is_left() {
        return plan.stop();
    }
    match answer {
        Answer::Pass { .. } | Answer::NotApplicable { .. } => plan.pass(step),
        Answer::Fail { findings, title, .. } => fail(plan, step, findings, title),
        Answer::Infra { cause, message, retry_after } => {
            infra(plan, step, cause, message, *retry_after);
        }
        Answer::Wait { until, wake, why } => wait(plan, step, *until, wake, why, woken),
        Answer::Hold { kind: GateHold::NeedsInput, reason } => plan.hold(HoldKind::NeedsInput, reason),
        Answer::Hold { kind: GateHold::Blocked, reason } => plan.hold(HoldKind::Blocked, reason),
        Answer::Stuck { kind, reason } => plan.hold(*kind, reason),
        Answer::BaseMoved { base } => base_moved(plan, base),
        Answer::HeadMoved { head } => {
            let asked_in = plan.task.epoch;
            foreign_head(plan, head);
            if plan.task.epoch == asked_in {
                plan.ask_again(Some(step));
            }
        }
    }
}

fn fail(plan: &mut Plan<'_>, step: &StepName, findings: &Digest, title: &str) {
    let kind = plan.pipeline.step(&plan.task.position.stage, step).map(|step| &step.kind);
    let plugin = match kind {
        Some(StepKind::Gate { plugin }) => Some(plugin.clone()),
        _ => None,
    };
    if tells_of_a_deploy(plan, step) {
        let text = format!("the deploy of {} failed: {}", plan.task.work_item, cut(title));
        plan.tell(Notice::DeployFailed, &text);
    }
    plan.fail(Feedback { source: step.to_string(), plugin, findings: Some(findings.clone()), note: cut(title) });
}

/// The deploy itself, or what judges it right after.
fn tells_of_a_deploy(plan: &Plan<'_>, step: &StepName) -> bool {
    let Some(edge) = plan.pipeline.edge(&plan.task.position.stage) else { return false };
    let Some(at) = edge.steps.iter().position(|candidate| candidate.name == *step) else { return false };
    let deploys = |step: &EdgeStep| step.kind == StepKind::Action { action: Action::Deploy };
    edge.steps[at.saturating_sub(1)..=at].iter().any(deploys)
}

fn said(answer: &Answer) -> &str {
    match answer {
        Answer::Pass { note: text }
        | Answer::Fail { title: text, .. }
        | Answer::Infra { message: text, .. }
        | Answer::Wait { why: text, .. }
        | Answer::Hold { reason: text, .. }
        | Answer::NotApplicable { why: text }
        | Answer::Stuck { reason: text, .. } => text,
        Answer::BaseMoved { .. } => "the base moved",
        Answer::HeadMoved { .. } => "the branch moved by another hand",
    }
}

fn take_facts(plan: &mut Plan<'_>, facts: &StepFacts) {
    if let Some(head) = &facts.head
        && plan.task.head.as_ref() != Some(head)
    {
        plan.note(Entry::HeadMoved { head: head.clone(), by: MovedBy::Rebase });
        if plan.task.validated.is_some() {
            plan.note(Entry::ValidationDropped);
        }
    }
    if let Some(base) = &facts.base
        && plan.task.base.as_ref() != Some(base)
    {
        plan.note(Entry::BaseSeen { base: base.clone() });
    }
    if let Some(commit) = &facts.validated {
        plan.note(Entry::Validated { commit: commit.clone() });
    }
    if let Some(commit) = &facts.deployed {
        plan.note(Entry::Deployed { commit: commit.clone() });
    }
    if let Some(commit) = &facts.merged {
        plan.note(Entry::Merged { commit: commit.clone() });
    }
}

fn infra(
    plan: &mut Plan<'_>,
    step: &StepName,
    cause: &InfraCause,
    message: &str,
    retry_after: Option<domain::time::Milliseconds>,
) {
    let why = format!("{cause}: {message}");
    if plan.task.infra_retries >= INFRA_RETRIES {
        return plan.hold(
            HoldKind::InfraExhausted,
            &format!("{step} failed {} times by infrastructure; last {why}", INFRA_RETRIES + 1),
        );
    }
    let until = plan.backoff(plan.task.infra_retries, retry_after);
    plan.note(Entry::InfraRetrySpent);
    plan.wait(step.clone(), until, WakeSet::default(), &cut(&why));
}

fn wait(plan: &mut Plan<'_>, step: &StepName, until: Timestamp, wake: &WakeSet, why: &str, woken: bool) {
    let Some(edge_step) = plan.pipeline.step(&plan.task.position.stage, step).cloned() else {
        return plan.next_step();
    };
    let first = plan.task.asked.as_ref().filter(|asked| asked.step == *step).map_or(plan.now, |asked| asked.first_at);
    let end = first.plus(edge_step.patience);
    if plan.now >= end {
        let reason = format!("{step} waited longer than its patience: {why}");
        return match edge_step.on_patience {
            OnPatience::Hold => plan.hold(HoldKind::PatienceExhausted, &reason),
            OnPatience::Fail => {
                plan.fail(Feedback { source: step.to_string(), plugin: None, findings: None, note: cut(&reason) });
            }
        };
    }
    if woken {
        return plan.begin_step(&edge_step);
    }
    plan.wait(step.clone(), until.min(end), wake.clone(), &cut(why));
}

/// B13: before the deploy the task goes on from the rebase; after it a person must look, for what runs is not in main.
fn base_moved(plan: &mut Plan<'_>, base: &CommitId) {
    let runs = plan.task.deployed.is_some() && plan.task.deployed == plan.task.head && !plan.is_in_main();
    if runs {
        let reason = format!("what was deployed is not in {}: it moved to {base}", plan.task.base_branch);
        plan.freeze(&reason);
        return plan.hold(HoldKind::DeployedNotInMain, &reason);
    }
    go_on_from_the_rebase(plan);
}

/// Along `on-moved-base`, or from the edge's own rebase: a new visit that spends no retry.
pub(crate) fn go_on_from_the_rebase(plan: &mut Plan<'_>) {
    match rebase_of(plan) {
        Some((stage, step)) => plan.enter_stage_at(&stage, &step),
        None => plan.hold(HoldKind::Blocked, "the base moved, and the pipeline names no rebase to go on from"),
    }
}

/// Where a base that moved leads from here.
pub(crate) fn rebase_of(plan: &Plan<'_>) -> Option<(StageName, StepName)> {
    let stage = &plan.task.position.stage;
    let edge = plan.pipeline.edge(stage)?;
    let own = edge.steps.iter().find(|step| step.kind == StepKind::Action { action: Action::Rebase });
    edge.on_moved_base.clone().or_else(|| own.map(|step| (stage.clone(), step.name.clone())))
}

/// The branch moved by another hand: what was judged is not what stands there. From the review on it is reviewed anew; on the
/// developer's edge all is asked anew; before that nothing was judged by the branch. A held task stays held.
///
/// B13: where the old head is what runs, and it is not in main, a person must look first; the review waits behind the hold.
pub(crate) fn foreign_head(plan: &mut Plan<'_>, head: &CommitId) {
    let held = matches!(plan.task.position.activity, Activity::Held { .. });
    if plan.runs_unmerged() && !held {
        let reason = format!("what was deployed is not in {}: the branch moved to {head}", plan.task.base_branch);
        plan.freeze(&reason);
        plan.hold(HoldKind::DeployedNotInMain, &reason);
    }
    plan.note(Entry::HeadMoved { head: head.clone(), by: MovedBy::Foreign });
    if plan.task.validated.is_some() {
        plan.note(Entry::ValidationDropped);
    }
    let stage = plan.task.position.stage.clone();
    let Some(here) = plan.pipeline.index(&stage) else {
        // What acts there was left to end, on what was judged; this was not.
        if !held {
            plan.hold_for_a_lost_stage(&stage);
        }
        return;
    };
    let before = |role| {
        let stage = plan.pipeline.stage_of_role(role);
        stage.and_then(|stage| plan.pipeline.index(&stage.name)).is_some_and(|of_role| here < of_role)
    };
    if before(Role::Developer) {
        return;
    }
    let review = plan.pipeline.stage_of_role(Role::Reviewer).map(|stage| stage.name.clone());
    let first = plan.pipeline.edge(&stage).and_then(|edge| edge.steps.first()).map(|step| step.name.clone());
    let is_reviewed = !before(Role::Reviewer);
    match (&plan.task.position.activity, review) {
        (Activity::Held { .. }, Some(review)) if is_reviewed => plan.hold_on_in(&review, None),
        (Activity::Held { hold }, _) if hold.step.is_some() => plan.hold_on_in(&stage, first),
        (Activity::Held { .. }, _) => {}
        (_, Some(review)) if is_reviewed => {
            plan.release_leases();
            plan.enter_stage(&review);
        }
        (Activity::Running { .. }, _) if !is_reviewed => {}
        (_, Some(_)) if let Some(first) = first => plan.enter_stage_at(&stage, &first),
        _ => plan.hold(HoldKind::Blocked, "the branch moved by another hand, and the pipeline has no review"),
    }
}
