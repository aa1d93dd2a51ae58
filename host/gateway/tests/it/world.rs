//! A store in a folder of its own, a desk that counts, and a router that is asked without a socket.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::{Router, body};
use conductor::ports::access::Access;
use conductor::ports::inbox::{Inbox, NewDelivery};
use conductor::ports::store::{ClaimLimits, Incarnation, NewTask, Project, Store};
use conductor::{Intervals, Unreachable};
use domain::budget::{Budgets, Cap};
use domain::cost::{Spent, Usage};
use domain::document::Role;
use domain::effect::Claim;
use domain::ids::{Actor, BranchName, ProjectName, RunId, StageName, StepName, TaskId, WorkItemId};
use domain::pipeline::{Consent, Edge, EdgeStep, OnPatience, Pipeline, PipelineDraft, Stage, StageKind, StepKind};
use domain::task::{Task, Terminality, Track};
use domain::time::{Milliseconds, Timestamp};
use gateway::api::Block;
use gateway::{
    Backups, Condition, Desk, Disk, GatewayState, HeldBy, Holding, LastBackup, LoadedPlugin, Meters, Outline, Part,
    Reach, Readings, Token, Trouble, tree_ticks,
};
use serde::de::DeserializeOwned;
use store::{SqliteStore, StoreConfig};
use tokio::sync::watch;
use tower::ServiceExt as _;

pub(crate) const PORT: u16 = 8500;
pub(crate) const SECRET: &str = "a-secret-of-the-tests-only";
/// 2026-09-21 14:13:20 UTC.
pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000);

pub(crate) struct FakeDesk {
    pub(crate) wakes: AtomicU32,
    pub(crate) ok: bool,
    pub(crate) limits: Mutex<ClaimLimits>,
    /// The processes of runs.
    pub(crate) pids: Mutex<BTreeMap<RunId, u32>>,
    /// What stands in the log of every run.
    pub(crate) log: Mutex<Option<Vec<u8>>>,
    /// Whoever asks after budgets ends in a panic.
    pub(crate) falls: AtomicBool,
    /// Of whom the last look failed.
    pub(crate) unreachable: Mutex<Vec<Unreachable>>,
    /// What is remembered of backups.
    pub(crate) backups: Mutex<Block<Backups>>,
    /// The disk of the state folder.
    pub(crate) disk: Mutex<Option<Disk>>,
    /// What is loaded.
    pub(crate) plugins: Mutex<Vec<LoadedPlugin>>,
    /// What git tells of every change.
    pub(crate) outline: Mutex<Option<Result<Outline, String>>>,
}

impl Desk for FakeDesk {
    fn wake(&self) {
        self.wakes.fetch_add(1, Ordering::SeqCst);
    }
    fn pull_command(&self, _: &ProjectName) -> Option<String> {
        Some("git pull /srv/demo.git main".to_owned())
    }
    fn outline(&self, _: &Task) -> Option<Result<Outline, String>> {
        self.outline.lock().unwrap().clone()
    }
    fn run_log_tail(&self, run: RunId, bytes: u64) -> Vec<u8> {
        format!("the last {bytes} bytes of {run}").into_bytes()
    }
    fn run_log(&self, _: RunId) -> Option<File> {
        let log = self.log.lock().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(log.as_ref()?).unwrap();
        file.rewind().unwrap();
        Some(file)
    }
    fn plugins(&self) -> Vec<LoadedPlugin> {
        self.plugins.lock().unwrap().clone()
    }

    fn budgets(&self, _: &ProjectName) -> Budgets {
        assert!(!self.falls.load(Ordering::SeqCst), "whoever asks after budgets falls");
        let day = Cap { cost_microusd: Some(5_000_000), ..Cap::default() };
        Budgets { day, ..Budgets::default() }
    }
    fn live_usage(&self, _: RunId) -> Option<(Usage, Spent)> {
        let usage = Usage { cache_read_tokens: Some(40), output_tokens: Some(2), ..Usage::default() };
        let spent = Spent { cache_read_tokens: 40, output_tokens: 2, cost_microusd: 1_500_000, ..Spent::default() };
        Some((usage, spent))
    }
    fn health(&self) -> Condition {
        let ill = || Trouble::of(Part::Disk, "the disk is <nearly> full: /srv/state");
        let troubles = if self.ok { Vec::new() } else { vec![ill(), ill()] };
        Condition { ok: self.ok, troubles }
    }
    fn holdings(&self) -> Vec<Holding> {
        let how = "a run sees what <you> see".to_owned();
        vec![Holding { name: "sandbox".to_owned(), held_by: HeldBy::Nobody, how }]
    }
    fn backups(&self) -> Block<Backups> {
        self.backups.lock().unwrap().clone()
    }
    fn limits(&self) -> ClaimLimits {
        self.limits.lock().unwrap().clone()
    }
    fn statuses(&self, _: &ProjectName) -> Vec<String> {
        ["Backlog", "To Analyse", "Approved", "STOP"].map(str::to_owned).into()
    }
    fn is_configured(&self, project: &ProjectName) -> bool {
        project.as_str() != "gone"
    }
    fn readings(&self) -> Readings {
        Readings {
            disk: *self.disk.lock().unwrap(),
            intervals: Intervals::default(),
            unreachable: self.unreachable.lock().unwrap().clone(),
        }
    }
    fn cpu_ticks(&self, run: RunId) -> Option<u64> {
        tree_ticks(*self.pids.lock().unwrap().get(&run)?)
    }
    fn start_status(&self, _: &ProjectName) -> String {
        "To Analyse".to_owned()
    }
}

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) access: Arc<dyn Access>,
    pub(crate) inbox: Arc<dyn Inbox>,
    pub(crate) desk: Arc<FakeDesk>,
    pub(crate) router: Router,
    pub(crate) meters: Arc<Meters>,
    pub(crate) close: watch::Sender<bool>,
    /// Milliseconds since [`NOW`].
    passed: Arc<AtomicU64>,
    pub(crate) dir: tempfile::TempDir,
}

/// An answer, read whole.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The sentence of a no.
    pub(crate) fn detail(&self) -> String {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{:?}", self.bytes);
        let problem: gateway::api::Problem = self.parse();
        assert_eq!(problem.status, self.status.as_u16());
        problem.detail
    }
}

impl World {
    /// With the project `demo`.
    pub(crate) fn new() -> Self {
        let world = Self::empty(true);
        world.store.put_project(&project("demo", "DEMO"), NOW).unwrap();
        world
    }

    /// Without any project.
    pub(crate) fn empty(ok: bool) -> Self {
        Self::open(tempfile::tempdir().unwrap(), Arc::default(), ok)
    }

    fn open(dir: tempfile::TempDir, passed: Arc<AtomicU64>, ok: bool) -> Self {
        let both = Arc::new(SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap());
        let (store, access): (Arc<dyn Store>, Arc<dyn Access>) = (both.clone(), both.clone());
        let last = LastBackup { at: NOW, path: "/kept/<one>".to_owned(), bytes: 7, tasks: 3 };
        let desk = Arc::new(FakeDesk {
            wakes: AtomicU32::new(0),
            ok,
            limits: Mutex::new(ClaimLimits::of(2)),
            pids: Mutex::default(),
            log: Mutex::default(),
            falls: AtomicBool::new(false),
            unreachable: Mutex::default(),
            backups: Mutex::new(Block::Fine(Backups { last: Some(last), verified: None })),
            disk: Mutex::new(Some(Disk { free_bytes: 40 << 30, size_bytes: 100 << 30, floor_bytes: 512 << 20 })),
            plugins: Mutex::default(),
            outline: Mutex::default(),
        });
        let (close, closing) = watch::channel(false);
        let meters = Arc::new(Meters::new(NOW).unwrap());
        let state =
            state(Arc::clone(&store), Arc::clone(&access), Arc::clone(&desk), Arc::clone(&passed), Arc::clone(&meters));
        let router = gateway::router(state, address(), closing).unwrap();
        Self { store, access, inbox: both, desk, router, meters, close, passed, dir }
    }

    pub(crate) fn state(&self) -> GatewayState {
        state(
            Arc::clone(&self.store),
            Arc::clone(&self.access),
            Arc::clone(&self.desk),
            Arc::clone(&self.passed),
            Arc::clone(&self.meters),
        )
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, span: Duration) {
        self.passed.fetch_add(span.as_millis() as u64, Ordering::SeqCst);
    }

    /// The next life of the host, on the same folder, once all that the one before had begun is done.
    pub(crate) async fn restarted(self) -> Self {
        let Self { dir, passed, router, store, access, inbox, .. } = self;
        let before = Arc::downgrade(&store);
        drop((router, store, access, inbox));
        while before.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
        Self::open(dir, passed, true)
    }

    /// Every file of the host's folder.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let (mut folders, mut files) = (vec![self.dir.path().to_owned()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push((path.clone(), std::fs::read(&path).unwrap()));
                }
            }
        }
        assert!(files.len() > 1);
        files
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let endless = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        let bytes = if endless { Bytes::new() } else { body::to_bytes(body, 1 << 24).await.unwrap() };
        Reply { status: parts.status, headers: parts.headers, bytes }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    /// A read with the token.
    pub(crate) async fn get_as_operator(&self, path: &str) -> Reply {
        let request = request(Method::GET, path).header(header::AUTHORIZATION, format!("Bearer {SECRET}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn write(&self, method: Method, path: &str, body: &str) -> Reply {
        let request = operator(method, path).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        self.write(Method::POST, path, body).await
    }

    /// The launch that is wanted, claimed by a host of this machine; what else comes first is claimed too.
    pub(crate) fn claimed_launch(&self) -> Claim {
        let uuid = "a".repeat(32);
        let owner = Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 7, start_time: 1, uuid };
        loop {
            let claim = self.store.claim(&owner, &ClaimLimits::of(2), NOW).unwrap().expect("a job to launch");
            if claim.job.effect.name() == "launch-agent" {
                return claim;
            }
        }
    }

    /// A task that waits at the first edge for a person.
    pub(crate) fn task(&self, item: &str, title: &str) -> TaskId {
        let new = NewTask {
            project: name("demo"),
            work_item: WorkItemId::new(item).unwrap(),
            title: title.to_owned(),
            description: "What is <wanted>".to_owned(),
            labels: vec!["ui".to_owned()],
            track: Track::Full,
            actor: Actor::Person("ada".to_owned()),
        };
        self.store.create_task(&new, NOW).unwrap().0
    }

    /// A delivery for `demo` from a forge is on the disk.
    pub(crate) fn told(&self, number: u8, word: &str, body: &str) {
        let (tell, told) = std::sync::mpsc::channel();
        let delivery = NewDelivery {
            source: webhooks::Source::Gitea,
            projects: vec![(name("demo"), true)],
            key: [number; 32],
            sent_as: Some(format!("sent-{number}")),
            word: word.to_owned(),
            headers: webhooks::Headers::new([("content-type", "application/json"), ("x-gitea-event-type", word)]),
            body: body.as_bytes().to_vec(),
            at: NOW,
        };
        self.inbox.receive(delivery, Box::new(move |outcome| drop(tell.send(outcome))));
        told.recv().unwrap().unwrap();
    }

    pub(crate) fn wakes(&self) -> u32 {
        self.desk.wakes.load(Ordering::SeqCst)
    }
}

fn state(
    store: Arc<dyn Store>,
    access: Arc<dyn Access>,
    desk: Arc<FakeDesk>,
    passed: Arc<AtomicU64>,
    meters: Arc<Meters>,
) -> GatewayState {
    let token = Token::new("operator", SECRET).unwrap();
    let reach = Reach::default();
    GatewayState {
        store,
        access,
        desk,
        token,
        reach,
        clock: Arc::new(move || Timestamp(NOW.0 + passed.load(Ordering::SeqCst))),
        luck: Arc::new(luck),
        meters,
    }
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], PORT))
}

/// Other bytes at each call.
#[expect(clippy::unnecessary_wraps, reason = "the state wants luck that may fail")]
fn luck() -> std::io::Result<[u8; 32]> {
    static CALLS: AtomicU32 = AtomicU32::new(1);
    let call = CALLS.fetch_add(1, Ordering::SeqCst).to_le_bytes();
    Ok(std::array::from_fn(|place| call[place % 4] ^ (place as u8)))
}

/// As a well-behaved client on this machine would send it.
pub(crate) fn request(method: Method, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::HOST, format!("127.0.0.1:{PORT}"))
}

/// With the token.
pub(crate) fn operator(method: Method, path: &str) -> axum::http::request::Builder {
    request(method, path).header(header::AUTHORIZATION, format!("Bearer {SECRET}"))
}

pub(crate) fn name(text: &str) -> ProjectName {
    ProjectName::new(text).unwrap()
}

pub(crate) fn project(text: &str, prefix: &str) -> Project {
    let base_branch = BranchName::new("main").unwrap();
    Project {
        name: name(text),
        prefix: prefix.to_owned(),
        base_branch,
        pipeline: pipeline(),
        serial: false,
        observe: false,
    }
}

/// `created` asks a person, `development` works, then it is done.
fn pipeline() -> Pipeline {
    let stage = |text: &str| StageName::new(text).unwrap();
    let approve = EdgeStep {
        name: StepName::new("approve").unwrap(),
        kind: StepKind::Consent { consent: Consent::Approve, waived_by: Vec::new() },
        lease: None,
        patience: Milliseconds::from_seconds(60),
        on_patience: OnPatience::Hold,
        binding: None,
    };
    let edge = |to: &str, steps: Vec<EdgeStep>| {
        Some(Edge { to: stage(to), steps, on_fail: stage("created"), on_moved_base: None, bug_to: None })
    };
    let end = |end| StageKind::Terminal { end };
    let stages = vec![
        Stage { name: stage("created"), kind: StageKind::Passage, edge: edge("development", vec![approve]) },
        Stage {
            name: stage("development"),
            kind: StageKind::Work { role: Role::Developer },
            edge: edge("done", Vec::new()),
        },
        Stage { name: stage("done"), kind: end(Terminality::Done), edge: None },
        Stage { name: stage("cancelled"), kind: end(Terminality::Cancelled), edge: None },
    ];
    Pipeline::new(PipelineDraft { name: "small".to_owned(), stages }).unwrap()
}
