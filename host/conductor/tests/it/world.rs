//! A project with one stage of work, whose edge asks a gate and then a person; a conductor that is driven by hand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use conductor::board::Board;
use conductor::ports::inbox::{Inbox, NewDelivery};
use conductor::ports::probe::NoProbe;
use conductor::ports::runs::Ending;
use conductor::ports::store::{ClaimLimits, EntryRow, JobRow, NewItem, NewTask, Project, Store};
use conductor::project::{AgentSpec, GuardBinding, ProjectSettings, TransientSigns, UsageReader, Worker};
use conductor::{Conductor, Outside, Work};
use domain::budget::{Budgets, Cap};
use domain::cost::Price;
use domain::document::Role;
use domain::entry::Entry;
use domain::event::{Event, Intent};
use domain::ids::{
    Actor, BranchName, DriverName, PluginId, ProjectName, RunId, StageName, StepName, TaskId, WorkItemId,
};
use domain::limits::RunLimits;
use domain::network::Network;
use domain::pipeline::{Consent, Edge, EdgeStep, OnPatience, Pipeline, PipelineDraft, Stage, StageKind, StepKind};
use domain::task::{Activity, Task, Terminality, Track};
use domain::time::{Milliseconds, Timestamp};
use serde_json::json;
use store::{SqliteStore, StoreConfig};
use webhooks::{Headers, Source};

use crate::drivers::{Moody, OneCommit, Scripted, StandingClock};
use crate::limits::incarnation;
use crate::records::Records;

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    inbox: Arc<SqliteStore>,
    pub(crate) plugins: Arc<Scripted>,
    pub(crate) runs: Arc<Records>,
    pub(crate) conductor: Conductor,
    clock: Arc<StandingClock>,
    pub(crate) forge: Arc<OneCommit>,
    pub(crate) tracker: Arc<Moody>,
    ended: Arc<Mutex<Vec<RunId>>>,
    settings: Mutex<ProjectSettings>,
    /// What the operator's file bounds.
    pub(crate) limits: ClaimLimits,
    lives: u32,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) fn plugin(name: &str) -> PluginId {
    PluginId::new(name).unwrap()
}

pub(crate) fn project() -> ProjectName {
    ProjectName::new("shop").unwrap()
}

pub(crate) fn item() -> WorkItemId {
    WorkItemId::new("SHOP-001").unwrap()
}

pub(crate) fn person(name: &str) -> Actor {
    Actor::Person(name.to_owned())
}

/// Whose deeds the board tells of to nobody: the log has them.
pub(crate) const UNHEARD: &str = "mute";

fn is_heard(actor: &Actor) -> bool {
    *actor != person(UNHEARD)
}

/// A guard of these kinds of effects.
pub(crate) fn guard(kinds: &[&str], patience: Milliseconds) -> GuardBinding {
    GuardBinding {
        plugin: plugin("night-watch"),
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        settings: json!({}),
        allow_on_error: false,
        patience,
    }
}

fn pipeline(role: Role, consent: Consent) -> Pipeline {
    let stage = |name: &str| StageName::new(name).unwrap();
    let step = |name: &str, kind| EdgeStep {
        name: StepName::new(name).unwrap(),
        kind,
        lease: None,
        patience: Milliseconds::from_seconds(3600),
        on_patience: OnPatience::Hold,
        binding: None,
    };
    let gate = if role == Role::Reviewer { "review-verdict" } else { "questions" };
    let steps = vec![
        step(gate, StepKind::Gate { plugin: plugin(gate) }),
        step("approve", StepKind::Consent { consent, waived_by: Vec::new() }),
    ];
    let edge = Edge { to: stage("done"), steps, on_fail: stage("development"), on_moved_base: None, bug_to: None };
    let place = |name: &str, kind, edge| Stage { name: stage(name), kind, edge };
    let stages = vec![
        place("development", StageKind::Work { role }, Some(edge)),
        place("done", StageKind::Terminal { end: Terminality::Done }, None),
        place("cancelled", StageKind::Terminal { end: Terminality::Cancelled }, None),
    ];
    Pipeline::new(PipelineDraft { name: "small".to_owned(), stages }).unwrap()
}

fn settings(role: Role) -> ProjectSettings {
    let agent = AgentSpec {
        argv: vec!["agent".to_owned()],
        prompt: "Work.".to_owned(),
        budget: Milliseconds::from_seconds(600),
        grace: Milliseconds::from_seconds(5),
        usage: UsageReader::None,
        model: None,
        effort: None,
        cap: Cap::default(),
        pass_environment: Vec::new(),
        readable: Vec::new(),
        writable: Vec::new(),
        network: Network::default(),
        driver: DriverName::new("agent").unwrap(),
        transient: TransientSigns::default(),
        limits: RunLimits::default(),
        dialect: conductor::dialect::Dialect::default(),
    };
    ProjectSettings {
        name: project(),
        workers: BTreeMap::from([(role, Worker::Agent(agent))]),
        hooks: BTreeMap::new(),
        gate_settings: BTreeMap::new(),
        guards: Vec::new(),
        notifiers: Vec::new(),
        status_mapper: (plugin("mapper"), json!({})),
        deciders: BTreeMap::new(),
        observe: false,
        repository: "/src/shop".to_owned(),
        runs: None,
        budgets: Budgets::default(),
        price: Price::default(),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A project whose file says something more.
    pub(crate) fn with(more: impl FnOnce(&mut ProjectSettings)) -> Self {
        Self::of(Role::Developer, more)
    }

    /// The same with another role at work.
    pub(crate) fn of(role: Role, more: impl FnOnce(&mut ProjectSettings)) -> Self {
        Self::whose(role, Consent::Approve, more)
    }

    /// And whose last step asks a person for this.
    pub(crate) fn asking(consent: Consent, more: impl FnOnce(&mut ProjectSettings)) -> Self {
        Self::whose(Role::Developer, consent, more)
    }

    fn whose(role: Role, consent: Consent, more: impl FnOnce(&mut ProjectSettings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig { tells: is_heard, ..StoreConfig::new(dir.path(), "here") };
        let inbox = Arc::new(SqliteStore::open(config).unwrap());
        let store: Arc<dyn Store> = inbox.clone();
        let base_branch = BranchName::new("main").unwrap();
        let pipeline = pipeline(role, consent);
        let mut settings = settings(role);
        more(&mut settings);
        let observe = settings.observe;
        let row = Project { name: project(), prefix: "SHOP".to_owned(), base_branch, pipeline, serial: false, observe };
        store.put_project(&row, Timestamp(1)).unwrap();
        let plugins = Arc::new(Scripted::default());
        let (runs, forge) = (Arc::new(Records::default()), Arc::new(OneCommit::default()));
        let clock = Arc::new(StandingClock(AtomicU64::new(1_790_000_000_000)));
        let ended = Arc::new(Mutex::new(Vec::new()));
        let board = Board::new(store.clone());
        let tracker = Arc::new(Moody {
            board,
            is_down: AtomicBool::new(false),
            polls: AtomicU64::new(0),
            unshown: AtomicU64::new(0),
            lags: AtomicBool::new(false),
        });
        let outside = outside(&store, &plugins, &runs, &tracker, &clock, &ended);
        let conductor = Conductor::new(outside, incarnation(1));
        conductor.put_project(settings.clone(), forge.clone());
        let (settings, limits) = (Mutex::new(settings), ClaimLimits::of(4));
        let lives = 1;
        Self { store, inbox, plugins, runs, conductor, clock, forge, tracker, ended, settings, limits, lives, dir }
    }

    /// The host dies and begins anew: what it had claimed is queued again.
    pub(crate) fn restart(&mut self) {
        self.lives += 1;
        self.store.reap(&|_| false, self.now()).unwrap();
        let outside = outside(&self.store, &self.plugins, &self.runs, &self.tracker, &self.clock, &self.ended);
        self.conductor = Conductor::new(outside, incarnation(self.lives));
        self.conductor.put_project(self.settings.lock().unwrap().clone(), self.forge.clone());
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.clock.0.load(Ordering::SeqCst))
    }

    /// Time passes, and what is due is done.
    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
        self.go();
    }

    fn look(&self) -> Vec<Work> {
        self.conductor.tick(&self.limits, 8).unwrap().work
    }

    /// Does what there is to do now, in order.
    pub(crate) fn go(&self) {
        for _ in 0..200 {
            let work = self.look();
            if work.is_empty() {
                return;
            }
            for piece in work {
                self.conductor.perform(piece).unwrap();
            }
        }
        panic!("there is always more to do");
    }

    /// As [`Self::go`], but deliveries stay where they are, and so does the aftermath with this name.
    pub(crate) fn go_without(&self, effect: &str) -> Vec<Work> {
        let mut left = Vec::new();
        for _ in 0..200 {
            let work = self.look();
            if work.is_empty() {
                return left;
            }
            for piece in work {
                match &piece {
                    Work::Expand(_) => left.push(piece),
                    Work::Perform(claim) if claim.job.effect.name() == effect => left.push(piece),
                    _ => self.conductor.perform(piece).unwrap(),
                }
            }
        }
        panic!("there is always more to do");
    }

    pub(crate) fn perform(&self, work: Vec<Work>) {
        for piece in work {
            self.conductor.perform(piece).unwrap();
        }
        self.go();
    }

    /// A card that ada makes.
    pub(crate) fn card(&self, status: &str) {
        let item = NewItem {
            project: project(),
            title: "Sell more".to_owned(),
            description: "Much more.".to_owned(),
            status: status.to_owned(),
            labels: Vec::new(),
            actor: person("ada"),
            after: Vec::new(),
        };
        self.store.create_item(&item, self.now()).unwrap();
    }

    pub(crate) fn move_to(&self, status: &str, actor: &Actor) {
        self.store.move_item(&project(), &item(), status, actor, self.now()).unwrap();
    }

    /// A comment of a person's.
    pub(crate) fn say(&self, text: &str, actor: &Actor) {
        self.store.put_comment(&project(), &item(), actor, None, text, self.now()).unwrap();
    }

    /// Somebody tells of a row of the log.
    pub(crate) fn deliver(&self, key: &str, order: u64, body: &serde_json::Value) {
        let body = body.to_string().into_bytes();
        self.inbox.receive("board", &project(), Some(&item()), Some((key, order)), &body, self.now()).unwrap();
    }

    /// Somebody outside tells of something.
    pub(crate) fn tell(&self, source: Source, word: &str, body: &serde_json::Value, verified: bool) {
        self.tell_raw(source, word, body.to_string().as_bytes(), verified);
    }

    pub(crate) fn tell_raw(&self, source: Source, word: &str, body: &[u8], verified: bool) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut key = [0; 32];
        key[..8].copy_from_slice(&COUNT.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        let event = if source == Source::Gitea { "x-gitea-event-type" } else { "x-plane-event" };
        let delivery = NewDelivery {
            source,
            projects: vec![(project(), verified)],
            key,
            sent_as: None,
            word: word.to_owned(),
            headers: Headers::new([("content-type", "application/json"), (event, word)]),
            body: body.to_vec(),
            at: self.now(),
        };
        let (tell, told) = std::sync::mpsc::channel();
        let inbox: &dyn Inbox = &*self.inbox;
        inbox.receive(delivery, Box::new(move |outcome| tell.send(outcome).unwrap()));
        told.recv().unwrap().unwrap();
    }

    pub(crate) fn status(&self) -> String {
        self.store.item(&project(), &item()).unwrap().unwrap().status
    }

    /// A card that was started, with its run under way.
    pub(crate) fn started(&self) {
        self.card("To Analyse");
        self.go();
    }

    /// So many cards that were started, with as many runs under way as may be.
    pub(crate) fn started_many(&self, cards: u32) {
        for _ in 0..cards {
            self.card("To Analyse");
        }
        self.go();
    }

    /// The run ends so, having printed this.
    pub(crate) fn end_run(&self, run: RunId, ending: Ending, log: &str) {
        self.runs.logs.lock().unwrap().insert(run, log.to_owned());
        self.runs.end(run, ending);
        self.ended.lock().unwrap().push(run);
        self.go();
    }

    /// Somebody stops a task.
    pub(crate) fn stop(&self, task: TaskId) {
        let stop = Event::Intent { intent: Intent::Stop, actor: person("ada"), note: String::new() };
        let before = self.runs.live();
        self.store.apply(task, &stop, self.now()).unwrap();
        self.go();
        let live = self.runs.live();
        self.ended.lock().unwrap().extend(before.into_iter().filter(|run| !live.contains(run)));
        self.go();
    }

    /// The end of a run, as a host took it up that did not come to it yet.
    pub(crate) fn finish_later(&self, run: RunId) -> Work {
        self.ended.lock().unwrap().push(run);
        let finishes = |work: &Work| matches!(work, Work::Finish(claim) if claim.job.id.0 == run.0);
        self.look().into_iter().find(finishes).unwrap()
    }

    /// What a host that drains does about the end of a run.
    pub(crate) fn drain(&self, run: RunId) -> Vec<Work> {
        self.ended.lock().unwrap().push(run);
        self.conductor.tick(&self.limits, 0).unwrap().work
    }

    /// The launches that wait, with their reasons.
    pub(crate) fn waiting(&self) -> Vec<JobRow> {
        let limits = self.conductor.limits(&self.limits);
        let jobs = self.store.jobs(&limits, self.now(), 100).unwrap();
        jobs.into_iter().filter(|job| job.state == "queued" && job.effect == "launch-agent").collect()
    }

    /// The project's file says something else from here on.
    pub(crate) fn edit(&self, more: impl FnOnce(&mut ProjectSettings)) {
        let mut settings = self.settings.lock().unwrap();
        more(&mut settings);
        self.conductor.put_project(settings.clone(), self.forge.clone());
    }

    /// Time passes, and nobody looks.
    pub(crate) fn clock_only(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub(crate) fn set_back(&self, seconds: u64) {
        self.clock.0.fetch_sub(seconds * 1000, Ordering::SeqCst);
    }

    /// Whoever watches a run says that it is over.
    pub(crate) fn tell_end(&self, run: RunId) {
        self.ended.lock().unwrap().push(run);
    }

    /// A person approves what waits for it.
    pub(crate) fn approve(&self) {
        let event = Event::Intent { intent: Intent::Approve, actor: person("ada"), note: String::new() };
        self.store.apply(self.task().id, &event, self.now()).unwrap();
        self.go();
    }

    /// A second task beside the first; its newest run is the one that this finds.
    pub(crate) fn another(&self) -> (impl Fn(&Self) -> RunId, TaskId) {
        let new = NewTask {
            project: project(),
            work_item: WorkItemId::new("SHOP-002").unwrap(),
            title: "Buy less".to_owned(),
            description: String::new(),
            labels: Vec::new(),
            track: Track::Full,
            actor: person("ada"),
        };
        self.card("Backlog");
        let (task, _) = self.store.create_task(&new, self.now()).unwrap();
        (move |world: &Self| world.store.runs(task, 1).unwrap()[0].id, task)
    }

    /// All runs end well.
    pub(crate) fn end_runs(&self) {
        self.end_runs_as(&Ending::Exited(0));
    }

    /// All runs end so.
    pub(crate) fn end_runs_as(&self, ending: &Ending) {
        for run in self.runs.live() {
            self.runs.end(run, ending.clone());
            self.ended.lock().unwrap().push(run);
        }
    }

    pub(crate) fn task(&self) -> Task {
        self.store.task_of(&project(), &item()).unwrap().unwrap()
    }

    pub(crate) fn stands(&self) -> &'static str {
        self.task().position.activity.name()
    }

    /// Why it is held.
    pub(crate) fn hold(&self) -> String {
        match self.task().position.activity {
            Activity::Held { hold } => format!("{:?}: {}", hold.kind, hold.reason),
            other => panic!("it is {}", other.name()),
        }
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let rows: Vec<EntryRow> = self.store.entries(self.task().id).unwrap();
        assert_eq!(self.store.rebuild(self.task().id).unwrap(), Vec::<String>::new());
        rows.into_iter().map(|row| row.entry).collect()
    }

    /// What the entries say of the aftermath.
    pub(crate) fn notes(&self) -> Vec<String> {
        let note = |entry| if let Entry::AftermathEnded { note } = entry { Some(note) } else { None };
        self.entries().into_iter().filter_map(note).collect()
    }

    /// The comments on the card, oldest first.
    pub(crate) fn comments(&self) -> Vec<String> {
        let comments = self.store.comments(&project(), &item(), 100).unwrap();
        comments.into_iter().rev().map(|comment| comment.text).collect()
    }

    pub(crate) fn has_taken(&self, wanted: Intent) -> bool {
        self.entries().iter().any(|entry| matches!(entry, Entry::IntentTaken { intent, .. } if *intent == wanted))
    }
}

fn outside(
    store: &Arc<dyn Store>,
    plugins: &Arc<Scripted>,
    runs: &Arc<Records>,
    tracker: &Arc<Moody>,
    clock: &Arc<StandingClock>,
    ended: &Arc<Mutex<Vec<RunId>>>,
) -> Outside {
    Outside {
        store: store.clone(),
        plugins: plugins.clone(),
        runs: runs.clone(),
        tracker: tracker.clone(),
        clock: clock.clone(),
        probe: Arc::new(NoProbe),
        ended: ended.clone(),
    }
}
