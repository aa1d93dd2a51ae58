//! A plan under construction: each note is folded at once, so that the next decision reads what the last one wrote.

use domain::effect::{Change, Effect, Feedback, JobClass, Notice, Wanted};
use domain::entry::Entry;
use domain::ids::{Actor, LeaseName, StageName, StepName};
use domain::pipeline::{Action, Consent, DEVELOPER_RETRIES, EdgeStep, Pipeline, Stage, StageKind, StepKind};
use domain::task::{Activity, Hold, HoldKind, Task, Terminality, Track};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::WakeSet;

use crate::step::Step;

/// The first pause before a step is tried again after an infrastructure fault; it doubles with each retry.
const INFRA_BACKOFF: Milliseconds = Milliseconds::from_seconds(1);
/// No pause between two tries is longer.
const INFRA_BACKOFF_CEILING: Milliseconds = Milliseconds::from_seconds(3600);

/// Before a clean-up during which something panicked is tried again: what panics each time shall not keep the host busy.
const AFTER_A_PANIC: Milliseconds = Milliseconds::from_seconds(60);

pub(crate) struct Plan<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) task: Task,
    pub(crate) now: Timestamp,
    phase_before: String,
    step: Step,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(pipeline: &'a Pipeline, task: &Task, now: Timestamp) -> Self {
        Self { pipeline, task: task.clone(), now, phase_before: task.phase(), step: Step::default() }
    }

    /// Ends the plan. The board is told where the phase is another one than before.
    pub(crate) fn finish(mut self) -> Step {
        let phase = self.task.phase();
        let is_gone = self.hold_kind() == Some(HoldKind::GoneFromBoard);
        if !is_gone && (phase != self.phase_before || self.task.version.0 == 0) {
            self.want(Effect::SetStatus { phase });
        }
        self.step
    }

    pub(crate) fn note(&mut self, entry: Entry) {
        self.task.fold(&entry);
        self.step.entries.push(entry);
    }

    pub(crate) fn want(&mut self, effect: Effect) {
        self.want_at(effect, self.now, None);
    }

    fn want_at(&mut self, effect: Effect, available_at: Timestamp, lease: Option<LeaseName>) {
        self.step.effects.push(Wanted { effect, available_at, lease });
    }

    pub(crate) fn tell(&mut self, notice: Notice, text: &str) {
        self.want(Effect::Notify { notice, text: text.to_owned() });
    }

    pub(crate) fn comment(&mut self, text: String) {
        self.want(Effect::Comment { text });
    }

    pub(crate) fn freeze(&mut self, reason: &str) {
        self.change(Change::Freeze { reason: reason.to_owned() });
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.step.changes.push(change);
    }

    /// Leaving an activity ends its jobs and timers, also those that this very plan wanted for one that it passed through.
    pub(crate) fn enter_activity(&mut self, activity: Activity) {
        if !self.step.changes.contains(&Change::CancelDriveJobs) {
            self.step.changes.insert(0, Change::CancelDriveJobs);
        }
        self.step.effects.retain(|wanted| wanted.effect.class() == JobClass::Aftermath);
        self.note(Entry::ActivityEntered { activity, at: self.now });
    }

    /// What is held stays; a place in a line would only keep others from a lease that nobody has.
    pub(crate) fn leave_lines(&mut self) {
        for name in self.task.requested.iter().cloned().collect::<Vec<_>>() {
            self.note(Entry::LeaseReleased { name: name.clone() });
            self.step.changes.push(Change::ReleaseLease { name });
        }
    }

    /// While a person looks at what cannot be taken back, nobody else may act on the repository.
    pub(crate) fn release_leases_unless_deployed(&mut self) {
        if self.runs_unmerged() { self.leave_lines() } else { self.release_leases() }
    }

    /// What this visit deployed is not known to be in the base branch.
    pub(crate) fn runs_unmerged(&self) -> bool {
        let deployed_here = || {
            let edge = self.pipeline.edge(&self.task.position.stage);
            let deploys = |step: &&EdgeStep| step.kind == StepKind::Action { action: Action::Deploy };
            edge.is_some_and(|edge| edge.steps.iter().filter(deploys).any(|step| self.task.passed.contains(&step.name)))
        };
        let stands = self.task.deployed.is_some() && (self.task.deployed == self.task.head || deployed_here());
        stands && !self.is_in_main()
    }

    pub(crate) fn release_leases(&mut self) {
        let names = self.task.leases.keys().chain(&self.task.requested).cloned().collect::<Vec<_>>();
        for name in names {
            self.note(Entry::LeaseReleased { name: name.clone() });
            self.step.changes.push(Change::ReleaseLease { name });
        }
    }

    /// A new visit of a stage, from its beginning. A terminal is entered only when the task settles there.
    pub(crate) fn enter_stage(&mut self, name: &StageName) {
        match self.pipeline.stage(name).map(|stage| stage.kind.clone()) {
            Some(StageKind::Work { .. }) => {
                self.visit(name);
                self.run();
            }
            Some(StageKind::Passage) => {
                self.visit(name);
                self.next_step();
            }
            Some(StageKind::Terminal { end: Terminality::Done }) => self.settle_done(name),
            Some(StageKind::Terminal { end: Terminality::Cancelled }) => self.stop(),
            None => self.hold_for_a_lost_stage(name),
        }
    }

    /// A new visit of a stage that goes on at a step of its edge: what was answered before it keeps its answer.
    pub(crate) fn enter_stage_at(&mut self, name: &StageName, step: &StepName) {
        let passed = (self.task.position.stage == *name).then(|| self.task.passed.clone());
        self.visit(name);
        let before = self.pipeline.edge(name).map(|edge| edge.steps.iter().map(|step| step.name.clone())).into_iter();
        for earlier in before.flatten().take_while(|candidate| candidate != step).collect::<Vec<_>>() {
            if passed.as_ref().is_none_or(|passed| passed.contains(&earlier)) {
                self.note(Entry::StepPassed { step: earlier });
            }
        }
        self.next_step();
    }

    fn visit(&mut self, name: &StageName) {
        self.note_visit(name);
        self.tell(Notice::StageEntered, &format!("{} entered {name}", self.task.work_item));
    }

    pub(crate) fn note_visit(&mut self, name: &StageName) {
        let visit = self.task.visits.get(name).copied().unwrap_or(0) + 1;
        self.note(Entry::StageEntered { stage: name.clone(), visit, at: self.now });
    }

    /// Launches the stage's run anew within the visit.
    pub(crate) fn run(&mut self) {
        if self.hold_if_paused(None) {
            return;
        }
        self.run_at(1, self.now);
    }

    pub(crate) fn run_at(&mut self, attempt: u32, at: Timestamp) {
        let Some(StageKind::Work { role }) =
            self.pipeline.stage(&self.task.position.stage).map(|stage| stage.kind.clone())
        else {
            return self.next_step();
        };
        self.enter_activity(Activity::Running { attempt });
        self.want_at(Effect::Launch { role, attempt }, at, None);
    }

    /// The first step of the edge that has not passed in this visit, or over the edge.
    pub(crate) fn next_step(&mut self) {
        let Some(edge) = self.pipeline.edge(&self.task.position.stage) else {
            return self.hold(HoldKind::PipelineChanged, "the pipeline has no way out of this stage any more");
        };
        match edge.steps.iter().find(|step| !self.task.passed.contains(&step.name)) {
            Some(step) => self.begin_step(&step.clone()),
            None => self.cross_edge(),
        }
    }

    fn cross_edge(&mut self) {
        let Some(edge) = self.pipeline.edge(&self.task.position.stage) else {
            return;
        };
        let target = match &edge.bug_to {
            Some(shortcut) if self.task.track == Track::Bug => shortcut.clone(),
            _ => edge.to.clone(),
        };
        self.enter_stage(&target);
    }

    pub(crate) fn begin_step(&mut self, step: &EdgeStep) {
        if self.hold_if_paused(Some(&step.name)) {
            return;
        }
        let name = step.name.clone();
        match &step.kind {
            StepKind::Gate { plugin } => {
                self.note(Entry::StepAsked { step: name.clone(), at: self.now });
                self.enter_activity(Activity::Judging { step: name.clone() });
                self.want(Effect::Judge { step: name, plugin: plugin.clone() });
            }
            StepKind::Action { action } => {
                let lease = self.lease_of(step);
                self.note(Entry::StepAsked { step: name.clone(), at: self.now });
                self.enter_activity(Activity::Acting { step: name.clone() });
                if let Some(lease) = lease.clone().filter(|lease| !self.task.leases.contains_key(lease)) {
                    self.note(Entry::LeaseRequested { name: lease.clone() });
                    self.step.changes.push(Change::RequestLease { name: lease });
                }
                self.want_at(Effect::Act { step: name, action: *action }, self.now, lease);
            }
            StepKind::Consent { consent, waived_by } => {
                let label = waived_by.iter().find(|label| self.task.labels.contains(label)).cloned();
                self.ask_for_consent(name, *consent, label);
            }
        }
    }

    fn ask_for_consent(&mut self, step: StepName, consent: Consent, waived_by: Option<String>) {
        if let Some(label) = waived_by {
            let why = format!("the label `{label}` stands in for the person");
            self.comment(format!("{step}: {why}."));
            self.note(Entry::Waived { step: step.clone(), actor: Actor::Host, why });
            self.note(Entry::StepPassed { step });
            return self.next_step();
        }
        self.release_leases();
        let item = self.task.work_item.clone();
        let (notice, text) = match consent {
            Consent::Approve => (
                Notice::ApproveRequested,
                format!("{item} waits for you: Approved lets it go on, Rejected with a comment sends it back."),
            ),
            Consent::Confirm => (
                Notice::ConfirmRequested,
                format!("{item} is ready to deploy: Confirm Deploy starts it, Rejected sends it back."),
            ),
        };
        self.enter_activity(Activity::AwaitingPerson { step, consent });
        self.tell(notice, &text);
        self.comment(text);
    }

    /// The lease under which an action runs: its own, or the one that the last step before it on the way takes.
    pub(crate) fn lease_of(&self, step: &EdgeStep) -> Option<LeaseName> {
        let mut here = &self.task.position.stage;
        let steps = &self.pipeline.edge(here)?.steps;
        let mut before = &steps[..=steps.iter().position(|candidate| candidate.name == step.name)?];
        for _ in self.pipeline.stages() {
            if let Some(lease) = before.iter().rev().find_map(|candidate| candidate.lease.clone()) {
                return Some(lease);
            }
            let leads_here = |stage: &&Stage| stage.edge.as_ref().is_some_and(|edge| edge.to == *here);
            here = &self.pipeline.stages().iter().find(leads_here)?.name;
            before = &self.pipeline.edge(here)?.steps;
        }
        None
    }

    /// A passed gate whose answer rests on what is not there any more. What was done, and what a person said, stays done and said.
    pub(crate) fn must_be_asked_again(&self, name: &StepName) -> bool {
        let step = self.pipeline.step(&self.task.position.stage, name);
        let judges = step.is_some_and(|step| matches!(step.kind, StepKind::Gate { .. }));
        judges && self.task.passed.contains(name)
    }

    pub(crate) fn pass(&mut self, step: &StepName) {
        self.note(Entry::StepPassed { step: step.clone() });
        self.next_step();
    }

    /// Asks the step of a wait again; without a step it was the stage's run.
    pub(crate) fn ask_again(&mut self, step: Option<&StepName>) {
        let found = step.and_then(|name| self.pipeline.step(&self.task.position.stage, name)).cloned();
        match (step, found) {
            (Some(_), Some(step)) => self.begin_step(&step),
            (Some(_), None) => self.next_step(),
            (None, _) => self.run(),
        }
    }

    pub(crate) fn wait(&mut self, step: StepName, until: Timestamp, wake: WakeSet, why: &str) {
        self.enter_activity(Activity::Waiting { step: Some(step), until, wake, why: why.to_owned() });
        self.want_at(Effect::Timer, until, None);
    }

    /// When a step is tried again after its `retries`-th infrastructure fault.
    pub(crate) fn backoff(&self, retries: u32, at_least: Option<Milliseconds>) -> Timestamp {
        let doubled = INFRA_BACKOFF.0.saturating_mul(1 << retries.min(20));
        let pause = doubled.max(at_least.unwrap_or_default().0).min(INFRA_BACKOFF_CEILING.0);
        self.now.plus(Milliseconds(pause))
    }

    /// Back along `on-fail`, at the cost of a developer's retry; past the cap a person looks.
    pub(crate) fn fail(&mut self, feedback: Feedback) {
        let source = feedback.source.clone();
        let text = if feedback.note.is_empty() { source.clone() } else { format!("{source}: {}", feedback.note) };
        self.note(Entry::FeedbackAdded { feedback });
        if self.task.retries >= DEVELOPER_RETRIES + self.task.granted_retries {
            let reason = format!("sent back {} times; last by {text}", self.task.retries + 1);
            return self.hold_with(HoldKind::Escalated, &reason, Notice::Escalated);
        }
        self.comment(format!("Sent back by {text}"));
        self.back();
    }

    /// Back along `on-fail`.
    pub(crate) fn back(&mut self) {
        let Some(edge) = self.pipeline.edge(&self.task.position.stage) else {
            return self.hold(HoldKind::PipelineChanged, "the pipeline has no way back from this stage any more");
        };
        let target = edge.on_fail.clone();
        self.note(Entry::DeveloperRetrySpent);
        if self.task.validated.is_some() {
            self.note(Entry::ValidationDropped);
        }
        self.release_leases();
        self.enter_stage(&target);
    }

    pub(crate) fn hold_kind(&self) -> Option<HoldKind> {
        match &self.task.position.activity {
            Activity::Held { hold } => Some(hold.kind),
            _ => None,
        }
    }

    /// A held task stays held, for the same reason, in a new visit of another stage: what leads out of the hold begins there.
    pub(crate) fn hold_on_in(&mut self, name: &StageName, step: Option<StepName>) {
        let Activity::Held { hold } = self.task.position.activity.clone() else {
            return;
        };
        self.visit(name);
        self.enter_activity(Activity::Held { hold: Hold { step, ..hold } });
    }

    pub(crate) fn stop(&mut self) {
        self.release_leases();
        self.enter_activity(Activity::Stopping);
        self.want(Effect::CleanUp);
    }

    /// The commit landed, and nothing that acts outside is left on the way: a stop has nothing to stop.
    pub(crate) fn only_the_proof_is_left(&self) -> bool {
        let Some(edge) = self.pipeline.edge(&self.task.position.stage) else { return false };
        let proves =
            |step: &EdgeStep| matches!(step.kind, StepKind::Action { action: Action::Merge | Action::ProveMerged });
        let left = |step: &&EdgeStep| !self.task.passed.contains(&step.name);
        let ends = self.pipeline.terminal(Terminality::Done).is_some_and(|done| done.name == edge.to);
        self.is_in_main() && ends && edge.steps.iter().filter(left).all(proves)
    }

    /// A stopped task has nobody who would resume it.
    pub(crate) fn clean_up_again(&mut self) {
        self.enter_activity(Activity::Stopping);
        self.want_at(Effect::CleanUp, self.now.plus(AFTER_A_PANIC), None);
    }

    pub(crate) fn settle_cancelled(&mut self) {
        let said = match &self.task.merged {
            Some(commit) => format!("was stopped; its commit {commit} is in {} already", self.task.base_branch),
            None => "was stopped".to_owned(),
        };
        if let Some(stage) = self.pipeline.terminal(Terminality::Cancelled).map(|stage| stage.name.clone()) {
            self.note_visit(&stage);
        }
        self.settle(Terminality::Cancelled, Notice::Cancelled, &said);
    }

    /// Is the commit that was tested proven to be in the base branch?
    pub(crate) fn is_in_main(&self) -> bool {
        self.task.merged.is_some() && self.task.merged == self.task.validated
    }

    /// The only way to `done`: where the pipeline merges, the validated commit is proven to be in the base branch.
    fn settle_done(&mut self, stage: &StageName) {
        let merges = self
            .pipeline
            .stages()
            .iter()
            .filter_map(|stage| stage.edge.as_ref())
            .any(|edge| edge.steps.iter().any(|step| step.kind == StepKind::Action { action: Action::Merge }));
        if merges && !self.is_in_main() {
            return self.hold(HoldKind::NotProven, "the validated commit is not known to be in the base branch");
        }
        let said = match &self.task.merged {
            Some(commit) => format!("is done: {commit} is in {}", self.task.base_branch),
            None => "is done".to_owned(),
        };
        self.note_visit(stage);
        self.settle(Terminality::Done, Notice::Done, &said);
        self.want(Effect::Tidy);
    }

    /// Catalogue E7: what it cost, a line for each role.
    fn costs(&self) -> String {
        let lines = self.task.by_role.iter().map(|(role, sum)| {
            let runs = if sum.runs == 1 { "run" } else { "runs" };
            format!("\n- {role}: {} {runs}, {}", sum.runs, sum.spent.words())
        });
        let lines = lines.collect::<String>();
        if lines.is_empty() { lines } else { format!("\n\nWhat it cost: {}{lines}", self.task.spent.words()) }
    }

    pub(crate) fn settle(&mut self, end: Terminality, notice: Notice, said: &str) {
        self.release_leases();
        self.enter_activity(Activity::Settled { end });
        let text = format!("{} {said}", self.task.work_item);
        self.tell(notice, &text);
        self.comment(format!("{text}{}", self.costs()));
    }
}

/// What runs or lies in main cannot be taken back, or nobody knows: nobody else may act on the repository while a person looks.
pub(crate) const fn keeps_leases(kind: HoldKind) -> bool {
    matches!(
        kind,
        HoldKind::DeployedNotInMain
            | HoldKind::NotProven
            | HoldKind::FateUnknown
            | HoldKind::MergedUntested
            | HoldKind::Panicked
    )
}

/// Texts inside a task stay short: a task is under 64 KiB.
pub(crate) fn cut(text: &str) -> String {
    const LIMIT: usize = 2000;
    if text.chars().count() <= LIMIT {
        return text.to_owned();
    }
    let mut short = text.chars().take(LIMIT).collect::<String>();
    short.push('…');
    short
}
