//! What the end of a run leads to, and what a changed pipeline does to a task.

use domain::document::Role;
use domain::effect::Feedback;
use domain::entry::{Entry, MovedBy};
use domain::event::{FailureClass, RunOutcome, Spent, Withholder};
use domain::ids::{BranchName, CommitId, Digest, RunId, StageName, StepName};
use domain::pipeline::{Consent, RUN_RETRIES, StepKind, TRANSIENT_RETRIES};
use domain::task::{Activity, HoldKind};
use domain::time::Milliseconds;

use crate::illegal::Illegal;
use crate::plan::{Plan, cut};
use crate::step::Rejected;

pub(crate) fn branch_cut(plan: &mut Plan<'_>, branch: &BranchName, base: &CommitId) -> Result<(), Rejected> {
    if plan.task.branch.is_some() {
        return Err(Rejected::Duplicate);
    }
    plan.note(Entry::BranchCut { branch: branch.clone(), base: base.clone() });
    Ok(())
}

/// A run that ended, beside how.
#[derive(Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) run: RunId,
    pub(crate) spent: Option<Spent>,
    pub(crate) role: Option<Role>,
}

pub(crate) fn ended(plan: &mut Plan<'_>, attempt: u32, ended: Ended, outcome: &RunOutcome) {
    let Ended { run, spent, role } = ended;
    plan.note(Entry::RunEnded { run, outcome: words(outcome), spent, role });
    match outcome {
        RunOutcome::Delivered { head, validated, .. } => {
            take_head(plan, head.as_ref(), MovedBy::Run);
            if let Some(commit) = validated {
                plan.note(Entry::Validated { commit: commit.clone() });
            }
            if !plan.task.feedback.is_empty() {
                plan.note(Entry::FeedbackCleared);
            }
            plan.next_step();
        }
        RunOutcome::Followed { head, .. } => {
            take_head(plan, head.as_ref(), MovedBy::Foreign);
            if !plan.task.feedback.is_empty() {
                plan.note(Entry::FeedbackCleared);
            }
            plan.next_step();
        }
        RunOutcome::Trespassed { head, findings, title, .. } => {
            take_head(plan, head.as_ref(), MovedBy::Run);
            let source = format!("the host, about the run in {}", plan.task.position.stage);
            plan.fail(Feedback { source, plugin: None, findings: Some(findings.clone()), note: cut(title) });
        }
        RunOutcome::Undelivered { cause, retry_after, class: FailureClass::Transient } => {
            try_later(plan, attempt, cause, retry_after.unwrap_or_default());
        }
        RunOutcome::Undelivered { cause, retry_after, class: FailureClass::Permanent } => {
            if plan.task.run_retries >= RUN_RETRIES {
                let reason = format!("the run did not deliver {} times: {cause}", RUN_RETRIES + 1);
                return plan.hold(HoldKind::Undelivered, &reason);
            }
            plan.note(Entry::RunRetrySpent);
            let at = plan.now.plus(retry_after.unwrap_or_default());
            if !plan.hold_if_paused(None) {
                plan.run_at(attempt + 1, at);
            }
        }
        RunOutcome::OverBudget { cause } => plan.hold(HoldKind::OverBudget, cause),
    }
}

/// What passes by itself costs no attempt: the same one is made again, on a budget of its own. Past it a person looks.
fn try_later(plan: &mut Plan<'_>, attempt: u32, cause: &str, pause: Milliseconds) {
    if plan.task.transient_retries >= TRANSIENT_RETRIES {
        let times = TRANSIENT_RETRIES + 1;
        let reason = format!("the run failed {times} times by what should have passed by itself; last: {cause}");
        return plan.hold(HoldKind::InfraExhausted, &reason);
    }
    plan.note(Entry::TransientRetrySpent);
    if !plan.hold_if_paused(None) {
        plan.run_at(attempt, plan.now.plus(pause));
    }
}

fn take_head(plan: &mut Plan<'_>, head: Option<&CommitId>, by: MovedBy) {
    let Some(head) = head.filter(|head| plan.task.head.as_ref() != Some(*head)) else { return };
    plan.note(Entry::HeadMoved { head: head.clone(), by });
    if plan.task.validated.is_some() {
        plan.note(Entry::ValidationDropped);
    }
}

fn words(outcome: &RunOutcome) -> String {
    match outcome {
        RunOutcome::Delivered { .. } => "delivered".to_owned(),
        RunOutcome::Followed { .. } => "done by another hand".to_owned(),
        RunOutcome::Trespassed { title, .. } => cut(&format!("trespassed: {title}")),
        RunOutcome::Undelivered { cause, .. } => cut(&format!("undelivered: {cause}")),
        RunOutcome::OverBudget { cause } => cut(&format!("over budget: {cause}")),
    }
}

/// What never began: a guard or a budget kept a run from it, or a person had paused the task before.
pub(crate) fn withheld(plan: &mut Plan<'_>, activity: &Activity, by: Withholder, reason: &str) -> Result<(), Rejected> {
    match (by, activity) {
        // A stop or a hold that waits takes hold as the step is left.
        (Withholder::Pause | Withholder::Wish, _) => {
            // Who let it on meanwhile is obeyed too.
            if !plan.hold_if_paused(activity.step()) {
                plan.ask_again(activity.step());
            }
        }
        (Withholder::Guard, Activity::Running { .. }) => plan.hold(HoldKind::Blocked, reason),
        (Withholder::Budget, Activity::Running { .. }) => plan.hold(HoldKind::OverBudget, reason),
        (Withholder::Guard | Withholder::Budget, _) => return Err(Rejected::Illegal(Illegal::LaunchesAlone)),
    }
    Ok(())
}

impl Plan<'_> {
    /// The project's file has no such stage any more: a person says where the task goes on.
    pub(crate) fn hold_for_a_lost_stage(&mut self, stage: &StageName) {
        self.hold(HoldKind::PipelineChanged, &format!("the pipeline has no stage `{stage}` any more"));
    }
}

/// What waits is asked again under the new edges; what acts is left to end; a stage that is gone holds. A held task meets the
/// new pipeline when a person lets it on.
pub(crate) fn pipeline_changed(plan: &mut Plan<'_>, digest: &Digest, changed: &[(StageName, StepName)]) {
    plan.note(Entry::PipelineChanged { digest: digest.clone() });
    let stage = plan.task.position.stage.clone();
    for (_, step) in changed.iter().filter(|(on, _)| *on == stage) {
        if plan.must_be_asked_again(step) {
            plan.note(Entry::PassDropped { step: step.clone() });
        }
    }
    if matches!(plan.task.position.activity, Activity::Held { .. } | Activity::Acting { .. }) {
        return;
    }
    if plan.pipeline.stage(&stage).is_none() {
        return plan.hold_for_a_lost_stage(&stage);
    }
    match &plan.task.position.activity {
        Activity::AwaitingPerson { step, consent } if still_asks(plan, step, *consent) => {}
        Activity::Judging { .. } | Activity::Waiting { step: Some(_), .. } | Activity::AwaitingPerson { .. } => {
            plan.next_step();
        }
        _ => {}
    }
}

/// Nobody is asked twice for the same because a file changed elsewhere.
fn still_asks(plan: &Plan<'_>, asked: &StepName, wanted: Consent) -> bool {
    let Some(edge) = plan.pipeline.edge(&plan.task.position.stage) else { return false };
    let next = edge.steps.iter().find(|step| !plan.task.passed.contains(&step.name));
    next.is_some_and(|step| match &step.kind {
        StepKind::Consent { consent, waived_by } => {
            step.name == *asked && *consent == wanted && !waived_by.iter().any(|label| plan.task.labels.contains(label))
        }
        _ => false,
    })
}
