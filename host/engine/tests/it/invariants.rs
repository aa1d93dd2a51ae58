//! What must never be so, each as a function over one transition. Every test of this binary checks all of them after each
//! event; `walks.rs` names a random walk after each.

use std::collections::BTreeSet;

use domain::effect::{Change, Effect, JobClass, Wanted};
use domain::entry::Entry;
use domain::event::{Answer, Event, FailureClass, Intent, Observation, RunOutcome};
use domain::ids::{Epoch, StageName, StepName};
use domain::pipeline::{Action, DEVELOPER_RETRIES, Pipeline, StepKind};
use domain::task::{Activity, Task, Terminality};
use engine::Step;

/// An event that was taken, and what it led to.
pub(crate) struct Transition<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) before: &'a Task,
    pub(crate) event: &'a Event,
    pub(crate) step: &'a Step,
    pub(crate) after: &'a Task,
    /// The drive jobs that a store would hold live after it.
    pub(crate) jobs: &'a [(Epoch, Wanted)],
    /// Stages that the task had left forwards, over a whole edge, and not entered again since.
    pub(crate) crossed: &'a BTreeSet<StageName>,
}

pub(crate) const ALL: [fn(&Transition<'_>); 22] = [
    what_is_wanted_is_what_the_entries_fold_to,
    the_epoch_grows_exactly_when_the_activity_changes,
    leaving_an_activity_and_only_that_cancels_its_jobs_first,
    a_live_task_has_exactly_one_drive_job_or_a_person_to_wait_for,
    the_answer_to_a_drive_job_brings_the_next_activity,
    nothing_leaves_a_terminal,
    a_task_stands_in_a_terminal_stage_exactly_when_it_is_settled,
    never_done_while_the_validated_commit_is_not_in_main,
    an_event_of_another_epoch_records_at_most_a_cost,
    infrastructure_never_costs_a_developers_retry,
    a_transient_failure_costs_no_attempt,
    retries_never_exceed_what_is_granted,
    only_a_person_ends_a_hold,
    who_awaits_a_person_or_has_ended_holds_no_lease,
    who_is_held_stands_in_no_line,
    what_runs_unmerged_keeps_its_leases_through_a_hold,
    what_cannot_be_taken_back_runs_under_a_lease,
    lease_changes_are_what_the_entries_say,
    a_waive_never_goes_over_a_proof_a_consent_or_security,
    no_step_passes_that_nobody_answered,
    a_stage_is_left_forwards_only_over_its_whole_edge,
    needs_change_by_a_persons_word_and_move_nothing,
];

pub(crate) fn needs_change_by_a_persons_word_and_move_nothing(it: &Transition<'_>) {
    let changes = |change: &&Change| matches!(change, Change::AddDependency { .. } | Change::RemoveDependency { .. });
    let changes = it.step.changes.iter().filter(changes).cloned().collect::<Vec<_>>();
    let expected = match it.event {
        Event::DependencyAdded { needs, .. } => {
            assert!(it.before.leases.is_empty(), "who it needs may need that lease");
            vec![Change::AddDependency { needs: *needs }]
        }
        Event::DependencyRemoved { needs, .. } => vec![Change::RemoveDependency { needs: *needs }],
        _ => Vec::new(),
    };
    assert_eq!(changes, expected);
    assert_eq!(it.before.needs == it.after.needs, expected.is_empty());
    if !expected.is_empty() || matches!(it.event, Event::PrerequisiteCancelled { .. }) {
        assert_eq!(it.before.position, it.after.position);
    }
}

pub(crate) fn what_is_wanted_is_what_the_entries_fold_to(it: &Transition<'_>) {
    for wanted in &it.step.effects {
        match (&wanted.effect, &it.after.position.activity) {
            (Effect::Launch { attempt, .. }, Activity::Running { attempt: folded }) => {
                assert_eq!(attempt, folded);
            }
            (Effect::Judge { step, .. }, Activity::Judging { step: folded })
            | (Effect::Act { step, .. }, Activity::Acting { step: folded }) => {
                assert_eq!(step, folded);
            }
            (Effect::Timer, Activity::Waiting { until, .. }) => {
                assert_eq!(wanted.available_at, *until);
            }
            (Effect::CleanUp, Activity::Stopping) => {}
            (Effect::SetStatus { phase }, _) => assert_eq!(*phase, it.after.phase()),
            (effect, _) => assert_eq!(effect.class(), JobClass::Aftermath, "{effect:?} fits not where the task stands"),
        }
    }
}

fn activities_entered(step: &Step) -> usize {
    step.entries.iter().filter(|entry| matches!(entry, Entry::ActivityEntered { .. })).count()
}

pub(crate) fn the_epoch_grows_exactly_when_the_activity_changes(it: &Transition<'_>) {
    assert_eq!(it.after.epoch.0, it.before.epoch.0 + activities_entered(it.step) as u64);
    if it.after.epoch == it.before.epoch {
        assert_eq!(it.after.position, it.before.position);
    }
}

pub(crate) fn leaving_an_activity_and_only_that_cancels_its_jobs_first(it: &Transition<'_>) {
    let cancels = it.step.changes.iter().filter(|change| **change == Change::CancelDriveJobs).count();
    let left = activities_entered(it.step) > 0;
    assert_eq!(cancels, usize::from(left));
    assert_eq!(it.step.changes.first() == Some(&Change::CancelDriveJobs), left);
    let drives = it.step.effects.iter().any(|wanted| wanted.effect.class() == JobClass::Drive);
    assert!(left || !drives, "a drive job without a new activity");
}

pub(crate) fn a_live_task_has_exactly_one_drive_job_or_a_person_to_wait_for(it: &Transition<'_>) {
    for (epoch, wanted) in it.jobs {
        assert_eq!(*epoch, it.after.epoch, "a live drive job belongs to the activity: {wanted:?}");
    }
    let jobs = it.jobs.iter().map(|(_, wanted)| &wanted.effect).collect::<Vec<_>>();
    match (&it.after.position.activity, jobs.as_slice()) {
        (Activity::Running { .. }, [Effect::Launch { .. }])
        | (Activity::Judging { .. }, [Effect::Judge { .. }])
        | (Activity::Acting { .. }, [Effect::Act { .. }])
        | (Activity::Waiting { .. }, [Effect::Timer])
        | (Activity::Stopping, [Effect::CleanUp])
        | (Activity::AwaitingPerson { .. } | Activity::Held { .. } | Activity::Settled { .. }, []) => {}
        (activity, jobs) => panic!("{} has the drive jobs {jobs:?}", activity.name()),
    }
}

/// So completing a job, whatever it answers, never leaves the task with none.
pub(crate) fn the_answer_to_a_drive_job_brings_the_next_activity(it: &Transition<'_>) {
    let answers = matches!(
        it.event,
        Event::RunEnded { .. }
            | Event::StepAnswered { .. }
            | Event::TimerFired { .. }
            | Event::CleanedUp { .. }
            | Event::Withheld { .. }
    );
    if answers && it.event.epoch() == Some(it.before.epoch) && it.before.end().is_none() {
        assert_ne!(it.after.epoch, it.before.epoch);
    }
}

pub(crate) fn nothing_leaves_a_terminal(it: &Transition<'_>) {
    if it.before.end().is_some() {
        assert_eq!(it.after.position, it.before.position);
        assert!(it.step.effects.is_empty(), "nothing makes it look as if it had left");
    }
}

pub(crate) fn a_task_stands_in_a_terminal_stage_exactly_when_it_is_settled(it: &Transition<'_>) {
    if let Some(stage) = it.pipeline.stage(&it.after.position.stage) {
        assert_eq!(stage.edge.is_none(), it.after.end().is_some());
    }
}

pub(crate) fn never_done_while_the_validated_commit_is_not_in_main(it: &Transition<'_>) {
    if it.after.end() == Some(Terminality::Done) {
        assert_eq!(it.after.merged.is_some(), it.after.observed || merges(it.pipeline));
        // Of an observed task others tested it: git shows that it is in the base branch.
        assert!(it.after.observed || it.after.merged == it.after.validated);
    }
}

fn merges(pipeline: &Pipeline) -> bool {
    let mut steps = pipeline.stages().iter().filter_map(|stage| stage.edge.as_ref()).flat_map(|edge| &edge.steps);
    steps.any(|step| step.kind == StepKind::Action { action: Action::Merge })
}

pub(crate) fn an_event_of_another_epoch_records_at_most_a_cost(it: &Transition<'_>) {
    if it.event.epoch().is_some_and(|epoch| epoch != it.before.epoch) {
        let mut expected = it.before.clone();
        expected.version = it.after.version;
        expected.spent = it.after.spent;
        expected.by_role.clone_from(&it.after.by_role);
        expected.runs = it.after.runs;
        expected.entries = it.after.entries;
        assert_eq!(*it.after, expected);
        assert!(it.step.effects.is_empty() && it.step.changes.is_empty());
    }
}

pub(crate) fn infrastructure_never_costs_a_developers_retry(it: &Transition<'_>) {
    let infrastructure = match it.event {
        Event::StepAnswered { answer, .. } => matches!(answer, Answer::Infra { .. }),
        Event::RunEnded { outcome, .. } => {
            matches!(outcome, RunOutcome::Undelivered { .. } | RunOutcome::OverBudget { .. })
        }
        _ => false,
    };
    if infrastructure {
        assert_eq!(it.after.retries, it.before.retries);
        assert_eq!(it.after.granted_retries, it.before.granted_retries);
    }
}

/// And an attempt that is spent is counted once.
pub(crate) fn a_transient_failure_costs_no_attempt(it: &Transition<'_>) {
    let Event::RunEnded { outcome: RunOutcome::Undelivered { class, .. }, epoch, .. } = it.event else { return };
    if *epoch != it.before.epoch {
        return;
    }
    let spent = |before: u32, after: u32| after - before;
    let attempts = spent(it.before.run_retries, it.after.run_retries);
    let transient = spent(it.before.transient_retries, it.after.transient_retries);
    match class {
        FailureClass::Transient => assert!(attempts == 0 && transient <= 1),
        FailureClass::Permanent => assert!(attempts <= 1 && transient == 0),
    }
}

pub(crate) fn retries_never_exceed_what_is_granted(it: &Transition<'_>) {
    assert!(it.after.retries <= DEVELOPER_RETRIES + it.after.granted_retries);
    if it.after.granted_retries > it.before.granted_retries {
        assert!(matches!(it.event, Event::Intent { intent: Intent::Resume | Intent::Reject, .. }), "a person grants");
    }
}

pub(crate) fn only_a_person_ends_a_hold(it: &Transition<'_>) {
    if matches!(it.before.position.activity, Activity::Held { .. }) && !matches!(it.event, Event::Intent { .. }) {
        assert!(matches!(it.after.position.activity, Activity::Held { .. }), "{} ended a hold", it.event.name());
    }
}

pub(crate) fn who_awaits_a_person_or_has_ended_holds_no_lease(it: &Transition<'_>) {
    let idle = matches!(
        it.after.position.activity,
        Activity::AwaitingPerson { .. } | Activity::Stopping | Activity::Settled { .. }
    );
    if idle {
        assert!(it.after.leases.is_empty() && it.after.requested.is_empty());
    }
}

/// It would only keep others from a lease that nobody has.
pub(crate) fn who_is_held_stands_in_no_line(it: &Transition<'_>) {
    if matches!(it.after.position.activity, Activity::Held { .. }) {
        assert!(it.after.requested.is_empty());
    }
}

pub(crate) fn what_cannot_be_taken_back_runs_under_a_lease(it: &Transition<'_>) {
    for (_, wanted) in it.jobs {
        let Effect::Act { action: action @ (Action::Rebase | Action::Merge | Action::Deploy), .. } = wanted.effect
        else {
            continue;
        };
        let lease = wanted.lease.as_ref().unwrap_or_else(|| panic!("{action:?} runs under no lease"));
        let (held, asked) = (it.after.leases.contains_key(lease), it.after.requested.contains(lease));
        assert!(held != asked, "{action:?} neither holds its lease nor stands in line for it");
    }
}

pub(crate) fn lease_changes_are_what_the_entries_say(it: &Transition<'_>) {
    let said = it.step.entries.iter().filter_map(|entry| match entry {
        Entry::LeaseRequested { name } => Some(Change::RequestLease { name: name.clone() }),
        Entry::LeaseReleased { name } => Some(Change::ReleaseLease { name: name.clone() }),
        _ => None,
    });
    let made = it
        .step
        .changes
        .iter()
        .filter(|change| matches!(change, Change::RequestLease { .. } | Change::ReleaseLease { .. }));
    assert!(said.eq(made.cloned()));
}

pub(crate) fn a_waive_never_goes_over_a_proof_a_consent_or_security(it: &Transition<'_>) {
    each_entry(it, |task, entry| {
        let Entry::Waived { step: name, .. } = entry else {
            return;
        };
        let step = it.pipeline.step(&task.position.stage, name).unwrap();
        let by_label = match &step.kind {
            StepKind::Consent { waived_by, .. } => waived_by.iter().any(|label| task.labels.contains(label)),
            _ => false,
        };
        let fixed = matches!(
            step.kind,
            StepKind::Consent { .. }
                | StepKind::Action { action: Action::Rebase | Action::Merge | Action::ProveMerged | Action::Deploy }
        );
        assert!(by_label || !(fixed || name.as_str() == "security"), "`{name}` was waived");
    });
}

/// An answer counts for the visit in which it was given, and for one that goes on from a later step of the same edge.
pub(crate) fn no_step_passes_that_nobody_answered(it: &Transition<'_>) {
    let mut kept = BTreeSet::new();
    let mut waived = None;
    each_entry(it, |task, entry| match entry {
        Entry::StageEntered { stage, .. } if *stage == task.position.stage => {
            kept = task.passed.iter().cloned().collect();
        }
        Entry::StageEntered { stage, .. } if it.crossed.contains(stage) => {
            let edge = it.pipeline.edge(stage).unwrap();
            kept = edge.steps.iter().map(|step| step.name.clone()).collect();
        }
        Entry::StageEntered { .. } | Entry::ActivityEntered { .. } => kept.clear(),
        Entry::Waived { step, .. } => waived = Some(step.clone()),
        Entry::StepPassed { step } => {
            let answered = waived.as_ref() == Some(step) || opens(it, step);
            assert!(answered || kept.contains(step), "`{step}` passed, and nobody said so");
        }
        _ => {}
    });
}

/// Where other hands do the work, they may bring it to its end from wherever it stands.
pub(crate) fn a_stage_is_left_forwards_only_over_its_whole_edge(it: &Transition<'_>) {
    if it.before.observed && matches!(it.event, Event::Observed { observation: Observation::Landed { .. } }) {
        return;
    }
    each_entry(it, |task, entry| {
        let Entry::StageEntered { stage: entered, .. } = entry else {
            return;
        };
        let left = &task.position.stage;
        if task.visits.is_empty() || !leads_forwards(it.pipeline, left, entered) {
            return;
        }
        let edge = it.pipeline.edge(left).unwrap();
        assert!(edge.to == *entered || edge.bug_to.as_ref() == Some(entered), "{left} does not lead to {entered}");
        let open = edge.steps.iter().find(|step| !task.passed.contains(&step.name));
        assert_eq!(open, None, "{left} was left for {entered}");
    });
}

/// The stages that count as crossed after this transition.
pub(crate) fn crossed_after(it: &Transition<'_>) -> BTreeSet<StageName> {
    let mut crossed = it.crossed.clone();
    each_entry(it, |task, entry| {
        let Entry::StageEntered { stage: entered, .. } = entry else {
            return;
        };
        if leads_forwards(it.pipeline, &task.position.stage, entered) {
            crossed.insert(task.position.stage.clone());
        }
        crossed.retain(|stage| it.pipeline.index(stage) < it.pipeline.index(entered));
    });
    crossed
}

fn leads_forwards(pipeline: &Pipeline, left: &StageName, entered: &StageName) -> bool {
    let cancelled = pipeline.terminal(Terminality::Cancelled).is_some_and(|stage| stage.name == *entered);
    !cancelled && pipeline.index(left).is_some() && pipeline.index(left) < pipeline.index(entered)
}

/// Shows each entry with the task as it stood before it.
fn each_entry(it: &Transition<'_>, mut look: impl FnMut(&Task, &Entry)) {
    let mut task = it.before.clone();
    for entry in &it.step.entries {
        look(&task, entry);
        task.fold(entry);
    }
}

/// Deployed, and not in main: nobody else may act on the repository because a person looks.
pub(crate) fn what_runs_unmerged_keeps_its_leases_through_a_hold(it: &Transition<'_>) {
    let (before, after) = (it.before, it.after);
    let unmerged = after.deployed.is_some() && after.deployed == before.head && after.merged != after.validated;
    let keeps = matches!(after.position.activity, Activity::Held { .. }) && before.head.is_some();
    if unmerged && keeps && before.position.stage == after.position.stage {
        for name in before.leases.keys() {
            assert!(after.leases.contains_key(name), "{name} was given away while what was deployed is not in main");
        }
    }
}

/// Somebody who may say so let the task over this step.
fn opens(it: &Transition<'_>, passed: &StepName) -> bool {
    match it.event {
        Event::StepAnswered { step, answer, .. } => {
            step == passed && matches!(answer, Answer::Pass { .. } | Answer::NotApplicable { .. })
        }
        Event::Intent { intent: Intent::Approve | Intent::ConfirmDeploy, .. } => {
            matches!(&it.before.position.activity, Activity::AwaitingPerson { step, .. } if step == passed)
        }
        _ => false,
    }
}
