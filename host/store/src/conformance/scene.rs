//! The props of the cases: a project with a small pipeline, a clock that ticks by itself, a host that performs jobs.

use std::cell::Cell;

use conductor::ports::store::{
    Applied, ClaimLimits, Completion, Incarnation, JobRow, NewEvaluation, NewItem, NewTask, Project, Store,
};
use domain::document::Role;
use domain::effect::{Claim, Effect, JobClass, run_of};
use domain::event::{Answer, Event, Intent, RunOutcome, Spent, StepFacts};
use domain::ids::{
    Actor, BranchName, CommitId, Digest, PluginId, ProjectName, StageName, StepName, TaskId, WorkItemId,
};
use domain::pipeline::{Action, Edge, EdgeStep, OnPatience, Pipeline, PipelineDraft, Stage, StageKind, StepKind};
use domain::task::{Task, Terminality, Track};
use domain::time::{Milliseconds, Timestamp};

use super::Site;

pub(super) const EVERYTHING: ClaimLimits = ClaimLimits::of(8);

pub(super) struct Scene {
    pub(super) store: Box<dyn Store>,
    pub(super) me: Incarnation,
    clock: Cell<u64>,
}

pub(super) fn project() -> ProjectName {
    ProjectName::new("shop").expect("a name")
}

pub(super) fn item(number: u32) -> WorkItemId {
    WorkItemId::new(format!("SHOP-{number:03}")).expect("an id")
}

pub(super) fn commit(digit: char) -> CommitId {
    CommitId::new(digit.to_string().repeat(40)).expect("a commit")
}

pub(super) fn person() -> Actor {
    Actor::Person("ada".to_owned())
}

pub(super) fn host(name: &str) -> Incarnation {
    let uuid = Digest::of(name.as_bytes()).as_str()[..32].to_owned();
    Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 7, start_time: 11, uuid }
}

fn stage(name: &str) -> StageName {
    StageName::new(name).expect("a stage")
}

fn step(name: &str, kind: StepKind, lease: Option<&str>) -> EdgeStep {
    EdgeStep {
        name: StepName::new(name).expect("a step"),
        kind,
        lease: lease.map(|name| name.parse().expect("a lease")),
        patience: Milliseconds::from_seconds(86_400),
        on_patience: OnPatience::Hold,
        binding: None,
    }
}

fn act(action: Action, lease: Option<&str>) -> EdgeStep {
    step(action.as_str(), StepKind::Action { action }, lease)
}

/// Development under one gate, then the landing under the merge lease.
fn pipeline(name: &str) -> Pipeline {
    let gate = step("checks", StepKind::Gate { plugin: PluginId::new("checks-green").expect("an id") }, None);
    let landing = vec![
        act(Action::Rebase, Some("merge")),
        act(Action::Retest, None),
        act(Action::Merge, None),
        act(Action::ProveMerged, None),
    ];
    let edge = |to: &str, steps| Edge {
        to: stage(to),
        steps,
        on_fail: stage("development"),
        on_moved_base: None,
        bug_to: None,
    };
    let place = |name: &str, kind, edge| Stage { name: stage(name), kind, edge };
    let draft = PipelineDraft {
        name: name.to_owned(),
        stages: vec![
            place("development", StageKind::Work { role: Role::Developer }, Some(edge("landing", vec![gate]))),
            place("landing", StageKind::Passage, Some(edge("done", landing))),
            place("done", StageKind::Terminal { end: Terminality::Done }, None),
            place("cancelled", StageKind::Terminal { end: Terminality::Cancelled }, None),
        ],
    };
    Pipeline::new(draft).expect("a sound pipeline")
}

pub(super) fn project_of(pipeline_name: &str) -> Project {
    Project {
        name: project(),
        prefix: "SHOP".to_owned(),
        base_branch: BranchName::new("main").expect("a branch"),
        pipeline: pipeline(pipeline_name),
        serial: false,
        observe: false,
    }
}

pub(super) fn new_task(number: u32) -> NewTask {
    NewTask {
        project: project(),
        work_item: item(number),
        title: format!("Item {number}"),
        description: format!("What item {number} asks for."),
        labels: vec!["shop".to_owned()],
        track: Track::Full,
        actor: person(),
    }
}

pub(super) fn new_item(status: &str) -> NewItem {
    NewItem {
        project: project(),
        title: "Sell more".to_owned(),
        description: "Much more.".to_owned(),
        status: status.to_owned(),
        labels: Vec::new(),
        actor: person(),
        after: Vec::new(),
    }
}

pub(super) fn intent(intent: Intent) -> Event {
    Event::Intent { intent, actor: person(), note: String::new() }
}

pub(super) fn spent() -> Spent {
    Spent { input_tokens: 10, output_tokens: 5, cost_microusd: 700, wall: Milliseconds(1000), ..Spent::default() }
}

pub(super) fn pass() -> Answer {
    Answer::Pass { note: "fine".to_owned() }
}

/// What a completed claim says about its step.
pub(super) fn answered(claim: &Claim, answer: Answer, facts: StepFacts) -> Event {
    let step = claim.task.position.activity.step().expect("a step is asked").clone();
    Event::StepAnswered { epoch: claim.job.epoch, step, answer, facts, woken: false }
}

pub(super) fn delivered(claim: &Claim, head: char) -> Event {
    let outcome = RunOutcome::Delivered { head: Some(commit(head)), documents: Vec::new(), validated: None };
    Event::RunEnded {
        epoch: claim.job.epoch,
        run: run_of(claim.job.id),
        outcome,
        spent: Some(spent()),
        role: Some(Role::Developer),
    }
}

pub(super) fn stepped(applied: &Applied) -> &Task {
    match applied {
        Applied::Stepped { task, .. } => task,
        Applied::Rejected(rejected) => panic!("the event was rejected: {rejected}"),
    }
}

pub(super) fn completion<'a>(claim: &Claim, event: Event, evaluation: Option<&'a NewEvaluation>) -> Completion<'a> {
    Completion { job: claim.job.id, token: claim.token, event, wakes: claim.wakes, evaluation, run: None }
}

impl Scene {
    /// A store with one project.
    pub(super) fn begin(site: &dyn Site) -> Self {
        let scene = Self::go_on(site);
        scene.put_project("small");
        scene
    }

    /// The store as it was left.
    pub(super) fn go_on(site: &dyn Site) -> Self {
        Self { store: site.open(), me: host("me"), clock: Cell::new(1_000_000) }
    }

    pub(super) fn put_project(&self, pipeline_name: &str) {
        self.store.put_project(&project_of(pipeline_name), self.now()).expect("the project is written");
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.set(self.clock.get() + 1);
        Timestamp(self.clock.get())
    }

    pub(super) fn pass_time(&self, seconds: u64) {
        self.clock.set(self.clock.get() + seconds * 1000);
    }

    pub(super) fn back_by(&self, seconds: u64) {
        self.clock.set(self.clock.get() - seconds * 1000);
    }

    pub(super) fn begin_task(&self, number: u32) -> TaskId {
        self.store.create_task(&new_task(number), self.now()).expect("the task is made").0
    }

    pub(super) fn claim(&self) -> Option<Claim> {
        self.store.claim(&self.me, &EVERYTHING, self.now()).expect("claiming works")
    }

    /// The next drive job of any task; the aftermath on the way is done.
    pub(super) fn drive(&self) -> Option<Claim> {
        loop {
            let claim = self.claim()?;
            if claim.job.effect.class() == JobClass::Drive {
                return Some(claim);
            }
            self.finish(&claim, Event::AftermathEnded { note: "told".to_owned() });
        }
    }

    /// The next drive job, of that kind.
    pub(super) fn drive_to(&self, effect: &str) -> Claim {
        let claim = self.drive().unwrap_or_else(|| panic!("no job waits, a `{effect}` was expected"));
        assert_eq!(claim.job.effect.name(), effect);
        claim
    }

    pub(super) fn no_drive_job(&self) {
        assert_eq!(self.drive().map(|claim| (claim.job.task, claim.job.effect)), None);
    }

    pub(super) fn finish(&self, claim: &Claim, event: Event) -> Applied {
        self.finish_with(claim, event, None)
    }

    pub(super) fn finish_with(&self, claim: &Claim, event: Event, evaluation: Option<&NewEvaluation>) -> Applied {
        self.store.complete(completion(claim, event, evaluation), self.now()).expect("the job is completed")
    }

    /// Cuts the branch and delivers: the gate is asked next.
    pub(super) fn develop(&self, claim: &Claim, head: char) -> Applied {
        assert!(matches!(claim.job.effect, Effect::Launch { .. }));
        self.cut_branch(claim.job.task);
        self.finish(claim, delivered(claim, head))
    }

    pub(super) fn cut_branch(&self, id: TaskId) {
        let task = self.task(id);
        let branch = BranchName::new(format!("gatewright/{}", task.work_item)).expect("a branch");
        let event = Event::BranchCut { epoch: task.epoch, branch, base: commit('0'), documents: Vec::new() };
        stepped(&self.store.apply(id, &event, self.now()).expect("the branch is cut"));
    }

    pub(super) fn pass(&self, claim: &Claim) -> Applied {
        self.finish(claim, answered(claim, pass(), StepFacts::default()))
    }

    pub(super) fn task(&self, id: TaskId) -> Task {
        self.store.task(id).expect("the task is there")
    }

    /// From the launch to the claim of the gate.
    pub(super) fn to_the_gate(&self, number: u32) -> Claim {
        self.begin_task(number);
        self.develop(&self.drive_to("launch-agent"), 'a');
        self.drive_to("judge")
    }

    pub(super) fn intend(&self, task: TaskId, wanted: Intent) -> Applied {
        self.store.apply(task, &intent(wanted), self.now()).expect("the intent is applied")
    }

    pub(super) fn jobs(&self) -> Vec<JobRow> {
        self.store.jobs(&EVERYTHING, self.now(), 100).expect("the queue is read")
    }

    pub(super) fn is_whole(&self, task: TaskId) {
        assert_eq!(self.store.rebuild(task).expect("the task is rebuilt"), Vec::<String>::new());
    }

    /// An evaluation whose bytes are kept.
    pub(super) fn evaluation(&self, claim: &Claim) -> NewEvaluation {
        let bytes = self.store.put_blob(b"a verdict").expect("bytes are kept");
        NewEvaluation {
            job: Some(claim.job.id),
            task: Some(claim.job.task),
            step: "checks".to_owned(),
            plugin: PluginId::new("checks-green").expect("an id"),
            digest: Some(Digest::of(b"a component")),
            answer: "pass".to_owned(),
            summary: "fine".to_owned(),
            verdict: bytes.clone(),
            transcript: bytes,
            head: claim.task.head.clone(),
            base: claim.task.base.clone(),
            micros: 12,
            at: self.now(),
        }
    }
}
