//! A world of one task: it folds what the engine decides, keeps the jobs as a store would, and checks after each step what
//! must never be so.

use std::collections::BTreeSet;

use domain::document::Role;
use domain::effect::{Change, Effect, JobClass, Notice, Wanted};
use domain::entry::Entry;
use domain::event::{Answer, Event, Intent, RunOutcome, Spent, StepFacts};
use domain::ids::{
    Actor, BranchName, CommitId, Digest, Epoch, FenceToken, ProjectName, RunId, StageName, TaskId, Version, WorkItemId,
};
use domain::pipeline::{Action, Consent, Pipeline, StageKind};
use domain::task::{Activity, HoldKind, Task, Track};
use domain::time::{Milliseconds, Timestamp};
use engine::{Rejected, Seed, Step, begin, step};

use crate::invariants::{self, Transition};

pub(crate) struct World {
    pub(crate) pipeline: Pipeline,
    /// The task before its first entry.
    pub(crate) first: Task,
    pub(crate) task: Task,
    pub(crate) now: Timestamp,
    /// The drive jobs that a store would hold live, each with the epoch that it carries.
    pub(crate) jobs: Vec<(Epoch, Wanted)>,
    /// Everything that was wanted besides: notices, comments, statuses.
    pub(crate) told: Vec<Effect>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) frozen: Vec<String>,
    /// Stages that the task left forwards, over a whole edge, and did not enter again since.
    crossed: BTreeSet<StageName>,
    commits: u32,
    tokens: u64,
    runs: u64,
}

pub(crate) fn commit(number: u32) -> CommitId {
    CommitId::new(format!("{number:040x}")).unwrap()
}

pub(crate) fn person() -> Actor {
    Actor::Person("ann".to_owned())
}

pub(crate) fn seed(track: Track, labels: &[&str]) -> Seed {
    Seed {
        id: TaskId(7),
        project: ProjectName::new("shop").unwrap(),
        work_item: WorkItemId::new("SHOP-7").unwrap(),
        title: "Carts forget their items".to_owned(),
        description: Digest::of(b"the ticket"),
        labels: labels.iter().map(|&label| label.to_owned()).collect(),
        track,
        base_branch: BranchName::new("main").unwrap(),
        actor: person(),
        observed: false,
    }
}

impl World {
    pub(crate) fn new(pipeline: Pipeline) -> Self {
        Self::with(pipeline, Track::Full, &[])
    }

    pub(crate) fn with(pipeline: Pipeline, track: Track, labels: &[&str]) -> Self {
        Self::begun(pipeline, seed(track, labels))
    }

    /// Of a project that is only observed.
    pub(crate) fn observed(pipeline: Pipeline) -> Self {
        Self::begun(pipeline, Seed { observed: true, ..seed(Track::Full, &[]) })
    }

    fn begun(pipeline: Pipeline, seed: Seed) -> Self {
        let now = Timestamp(1_000_000);
        let (task, first) = begin(&pipeline, seed, now);
        let mut world = Self {
            pipeline,
            first: task.clone(),
            task,
            now,
            jobs: Vec::new(),
            told: Vec::new(),
            entries: Vec::new(),
            frozen: Vec::new(),
            crossed: BTreeSet::new(),
            commits: 100,
            tokens: 0,
            runs: 0,
        };
        world.apply(&first);
        world
    }

    /// Tells the engine of an event, folds the answer, and checks every invariant.
    pub(crate) fn tell(&mut self, event: &Event) -> Result<Step, Rejected> {
        self.tell_under(event, &invariants::ALL)
    }

    /// Tells the engine of an event, and checks these invariants alone.
    pub(crate) fn tell_under(&mut self, event: &Event, checks: &[fn(&Transition<'_>)]) -> Result<Step, Rejected> {
        let before = self.task.clone();
        let decided = step(&self.pipeline, &before, event, self.now)?;
        self.apply(&decided);
        let transition = Transition {
            pipeline: &self.pipeline,
            before: &before,
            event,
            step: &decided,
            after: &self.task,
            jobs: &self.jobs,
            crossed: &self.crossed,
        };
        for check in checks {
            check(&transition);
        }
        self.crossed = invariants::crossed_after(&transition);
        Ok(decided)
    }

    fn apply(&mut self, decided: &Step) {
        for entry in &decided.entries {
            self.task.fold(entry);
        }
        self.task.version = Version(self.task.version.0 + 1);
        for change in &decided.changes {
            match change {
                Change::CancelDriveJobs => self.jobs.clear(),
                Change::Freeze { reason } => self.frozen.push(reason.clone()),
                Change::RequestLease { .. }
                | Change::ReleaseLease { .. }
                | Change::AddDependency { .. }
                | Change::RemoveDependency { .. } => {}
            }
        }
        for wanted in &decided.effects {
            match wanted.effect.class() {
                JobClass::Drive => self.jobs.push((self.task.epoch, wanted.clone())),
                JobClass::Aftermath => self.told.push(wanted.effect.clone()),
            }
        }
        self.entries.extend(decided.entries.iter().cloned());
    }

    pub(crate) fn next_commit(&mut self) -> CommitId {
        self.commits += 1;
        commit(self.commits)
    }

    pub(crate) fn pass_time(&mut self, span: Milliseconds) {
        self.now = self.now.plus(span);
    }

    pub(crate) fn stands(&self) -> String {
        let position = &self.task.position;
        match position.activity.step() {
            Some(step) => format!("{} {} {step}", position.stage, position.activity.name()),
            None => format!("{} {}", position.stage, position.activity.name()),
        }
    }

    /// Who works where the task stands.
    fn role(&self) -> Option<Role> {
        match self.pipeline.stage(&self.task.position.stage)?.kind {
            StageKind::Work { role } => Some(role),
            _ => None,
        }
    }

    pub(crate) fn run_ended(&mut self, outcome: RunOutcome) -> Event {
        self.runs += 1;
        let wall = Milliseconds(60_000);
        let spent = Spent { input_tokens: 10, output_tokens: 2, cost_microusd: 500, wall, ..Spent::default() };
        Event::RunEnded {
            epoch: self.task.epoch,
            run: RunId(self.runs),
            outcome,
            spent: Some(spent),
            role: self.role(),
        }
    }

    /// A run that delivers; a developer's moves the branch.
    pub(crate) fn delivered(&mut self) -> Event {
        let develops = self.task.position.stage.as_str() == "development";
        let head = develops.then(|| self.next_commit());
        self.run_ended(RunOutcome::Delivered { head, documents: Vec::new(), validated: None })
    }

    pub(crate) fn answered(&self, answer: Answer, facts: StepFacts) -> Event {
        let step = self.task.position.activity.step().cloned().expect("a step that is asked");
        Event::StepAnswered { epoch: self.task.epoch, step, answer, facts, woken: false }
    }

    /// What the step that is asked finds true when it passes.
    pub(crate) fn facts_of_pass(&mut self) -> StepFacts {
        let head = self.task.head.clone();
        match self.jobs.first().map(|(_, wanted)| wanted.effect.clone()) {
            Some(Effect::Act { action: Action::Rebase, .. }) => {
                StepFacts { head: Some(self.next_commit()), base: Some(self.next_commit()), ..StepFacts::default() }
            }
            Some(Effect::Act { action: Action::Retest, .. }) => StepFacts { validated: head, ..StepFacts::default() },
            Some(Effect::Act { action: Action::Deploy, .. }) => StepFacts { deployed: head, ..StepFacts::default() },
            Some(Effect::Act { action: Action::Merge, .. }) => StepFacts { merged: head, ..StepFacts::default() },
            _ => StepFacts::default(),
        }
    }

    /// The live drive job was performed, and it went well; where a person is asked, the consent. None: nothing is under way.
    pub(crate) fn good_event(&mut self) -> Option<Event> {
        if let Activity::AwaitingPerson { consent, .. } = &self.task.position.activity {
            let intent = match consent {
                Consent::Approve => Intent::Approve,
                Consent::Confirm => Intent::ConfirmDeploy,
            };
            return Some(Event::Intent { intent, actor: person(), note: String::new() });
        }
        let epoch = self.task.epoch;
        let wanted = self.jobs.first().map(|(_, wanted)| wanted.clone())?;
        if let Some(name) = wanted.lease.filter(|lease| self.task.requested.contains(lease)) {
            self.tokens += 1;
            return Some(Event::LeaseGranted { name, token: FenceToken(self.tokens) });
        }
        Some(match wanted.effect {
            Effect::Launch { .. } if self.task.branch.is_none() => Event::BranchCut {
                epoch,
                branch: BranchName::new("gatewright/SHOP-7").unwrap(),
                base: commit(1),
                documents: Vec::new(),
            },
            Effect::Launch { .. } => self.delivered(),
            Effect::Timer => {
                self.now = self.now.max(wanted.available_at);
                Event::TimerFired { epoch }
            }
            Effect::CleanUp => Event::CleanedUp { epoch },
            _ => {
                let facts = self.facts_of_pass();
                self.answered(Answer::Pass { note: "good".to_owned() }, facts)
            }
        })
    }

    /// The next good thing happens.
    pub(crate) fn go_on(&mut self) -> Step {
        let event = self.good_event().unwrap_or_else(|| panic!("nothing is under way: {}", self.stands()));
        self.tell(&event).unwrap()
    }

    /// All goes well, until the task stands as said.
    pub(crate) fn walk_to(&mut self, wanted: &str) {
        for _ in 0..100 {
            if self.stands() == wanted {
                return;
            }
            self.go_on();
        }
        panic!("`{wanted}` was not reached; the task stands {}", self.stands());
    }

    pub(crate) fn intent(&mut self, intent: Intent, note: &str) -> Result<Step, Rejected> {
        self.tell(&Event::Intent { intent, actor: person(), note: note.to_owned() })
    }

    pub(crate) fn answer(&mut self, answer: Answer) -> Step {
        let event = self.answered(answer, StepFacts::default());
        self.tell(&event).unwrap()
    }

    pub(crate) fn fail(&mut self, title: &str) -> Step {
        self.answer(Answer::Fail { findings: Digest::of(title.as_bytes()), count: 1, title: title.to_owned() })
    }

    pub(crate) fn notices(&self, wanted: Notice) -> usize {
        let wanted = |effect: &&Effect| matches!(effect, Effect::Notify { notice, .. } if *notice == wanted);
        self.told.iter().filter(wanted).count()
    }

    /// Why it is held, as people read it.
    pub(crate) fn hold_reason(&self) -> &str {
        match &self.task.position.activity {
            Activity::Held { hold } => &hold.reason,
            _ => panic!("not held: {}", self.stands()),
        }
    }

    pub(crate) fn hold_kind(&self) -> Option<HoldKind> {
        match &self.task.position.activity {
            Activity::Held { hold } => Some(hold.kind),
            _ => None,
        }
    }
}
