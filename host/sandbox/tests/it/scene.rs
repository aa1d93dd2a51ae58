//! A project with one plugin, a world that the test sets up, and the shortest way to an answer.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use conductor::ports::plugins::{Asking, Evaluation, GateCall, Plugins, World};
use domain::ids::{CommitId, Digest, DocumentId, PluginId, ProjectName, RunId, TaskId, Version};
use domain::plugin::{
    BoardStatus, Capability, Ceiling, ChangedFile, Check, Comment, CommitInfo, DocumentInfo, EdgeName, Family,
    GateSubject, Grant, HostError, Limits, PullRequest, Revision, RunView, StatusGroup, TaskView, WorkItemView,
};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::Verdict;
use sandbox::{LoadError, PluginSpec, Sandbox, SandboxConfig};

/// The time at which all evaluations of the tests begin.
pub(crate) const NOW: Timestamp = Timestamp(1_700_000_000_000);

pub(crate) fn project() -> ProjectName {
    ProjectName::new("enduro").unwrap()
}

pub(crate) fn plugin() -> PluginId {
    PluginId::new("under-test").unwrap()
}

/// One sandbox for all tests that do not need one of their own: an engine reserves a lot of address space.
pub(crate) fn shared() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| Sandbox::new(SandboxConfig::default()).unwrap())
}

/// A component under test, in a project of its own in the shared sandbox.
pub(crate) struct Scene {
    pub(crate) project: ProjectName,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) grant: Grant,
    pub(crate) ceiling: Ceiling,
    pub(crate) limits: Limits,
    pub(crate) patience: Milliseconds,
    pub(crate) settings: String,
}

impl Scene {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            project: ProjectName::new(format!("project-{number}")).unwrap(),
            bytes: bytes.into(),
            grant: Grant::default(),
            ceiling: Ceiling::Open,
            limits: Limits::default(),
            patience: Milliseconds::from_seconds(600),
            settings: "{}".to_owned(),
        }
    }

    /// A guest of `tests/guests`.
    pub(crate) fn guest(name: &str) -> Self {
        Self::file(&test_artifacts::guest(name))
    }

    pub(crate) fn file(path: &Path) -> Self {
        Self::of(std::fs::read(path).unwrap())
    }

    pub(crate) fn granting(mut self, capabilities: &[&str]) -> Self {
        self.grant.capabilities = parse(capabilities);
        self
    }

    pub(crate) fn refusing(mut self, capabilities: &[&str]) -> Self {
        self.grant.refused = parse(capabilities);
        self
    }

    pub(crate) fn under(mut self, ceiling: &[&str]) -> Self {
        self.ceiling = Ceiling::AtMost(parse(ceiling));
        self
    }

    pub(crate) fn limited(mut self, limit: impl FnOnce(&mut Limits)) -> Self {
        limit(&mut self.limits);
        self
    }

    pub(crate) fn spec(&self) -> PluginSpec {
        PluginSpec {
            id: plugin(),
            bytes: Arc::clone(&self.bytes),
            digest: Digest::of(&self.bytes),
            grant: self.grant.clone(),
            ceiling: self.ceiling.clone(),
            limits: self.limits,
        }
    }

    pub(crate) fn load(&self) -> Result<(), LoadError> {
        shared().load(&self.project, self.spec()).map(|_| ())
    }

    pub(crate) fn asking(&self) -> Asking {
        Asking { project: self.project.clone(), plugin: plugin(), at: NOW, seed: 7 }
    }

    pub(crate) fn call(&self) -> GateCall {
        let subject = GateSubject { settings: self.settings.clone(), ..subject() };
        GateCall { asking: self.asking(), subject, patience: self.patience }
    }

    /// Loads, asks, and forgets.
    pub(crate) fn evaluate_in(&self, world: TestWorld) -> Evaluation<Verdict> {
        self.load().unwrap();
        let evaluation = shared().evaluate_gate(self.call(), Arc::new(world));
        shared().unload(&self.project, &plugin());
        evaluation
    }

    pub(crate) fn evaluate(&self) -> Evaluation<Verdict> {
        self.evaluate_in(TestWorld::default())
    }

    /// The word of the cause of an `infra`, or the name of what came instead.
    pub(crate) fn word(&self) -> String {
        word(&self.evaluate().answer)
    }
}

pub(crate) fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Infra { cause, .. } => cause.as_str().to_owned(),
        other => format!("<{}>", other.name()),
    }
}

/// The sentence of an `infra`.
pub(crate) fn sentence(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Infra { message, .. } => message.clone(),
        other => panic!("not infra but {other:?}"),
    }
}

pub(crate) fn parse(capabilities: &[&str]) -> Vec<Capability> {
    capabilities.iter().map(|text| text.parse().unwrap()).collect()
}

pub(crate) fn commit(digit: char) -> CommitId {
    CommitId::new(digit.to_string().repeat(40)).unwrap()
}

pub(crate) fn task() -> TaskView {
    TaskView {
        id: TaskId(7),
        version: Version(3),
        project: project(),
        work_item: Some("ORCH-094".parse().unwrap()),
        url: None,
        title: "Carry the ticket".to_owned(),
        labels: vec!["bug".to_owned()],
        track: "full".to_owned(),
        stage: "review".parse().unwrap(),
        visit: 1,
        phase: "review".to_owned(),
        created_at: NOW,
        stage_entered_at: NOW,
        terminality: None,
        branch: Some("task/ORCH-094".parse().unwrap()),
        base_branch: "main".parse().unwrap(),
        retries: 0,
        watching: false,
        held: None,
        waits_for: Vec::new(),
        forecast: None,
        more: Vec::new(),
    }
}

pub(crate) fn subject() -> GateSubject {
    GateSubject {
        task: task(),
        edge: EdgeName { source: "review".parse().unwrap(), target: "testing".parse().unwrap() },
        step: "review-verdict".parse().unwrap(),
        commit: Some(commit('a')),
        fork_point: Some(commit('b')),
        base_head: Some(commit('b')),
        asked_before: 0,
        first_asked_at: NOW,
        run: None,
        settings: "{}".to_owned(),
        more: Vec::new(),
    }
}

/// What a call of the world does before it answers.
pub(crate) type Before = Arc<dyn Fn(Family) + Send + Sync>;

/// A world that holds what the test put into it.
#[derive(Clone, Default)]
pub(crate) struct TestWorld {
    pub(crate) files: Vec<(&'static str, Vec<u8>)>,
    pub(crate) documents: Vec<(&'static str, Vec<u8>)>,
    pub(crate) timed: bool,
    pub(crate) before: Option<Before>,
    pub(crate) asked: Arc<Mutex<Vec<Family>>>,
}

impl TestWorld {
    pub(crate) fn with_review(text: &str) -> Self {
        Self { documents: vec![("review", text.as_bytes().to_vec())], ..Self::default() }
    }

    fn see(&self, family: Family) {
        self.asked.lock().unwrap().push(family);
        if let Some(before) = &self.before {
            before(family);
        }
    }
}

impl World for TestWorld {
    fn is_immediate(&self, _family: Family) -> bool {
        !self.timed
    }

    fn read_file(&self, _at: Revision, path: &str) -> Result<Vec<u8>, HostError> {
        self.see(Family::Repo);
        let file = self.files.iter().find(|(name, _)| *name == path);
        file.map(|(_, bytes)| bytes.clone()).ok_or(HostError::NotFound)
    }

    fn list_files(&self, _at: Revision) -> Result<Vec<String>, HostError> {
        self.see(Family::Repo);
        Ok(self.files.iter().map(|(name, _)| (*name).to_owned()).collect())
    }

    fn changes(&self) -> Result<Vec<ChangedFile>, HostError> {
        self.see(Family::Repo);
        Ok(Vec::new())
    }

    fn diff(&self, _path: &str) -> Result<Vec<u8>, HostError> {
        self.see(Family::Repo);
        Err(HostError::NotFound)
    }

    fn commits(&self) -> Result<Vec<CommitInfo>, HostError> {
        self.see(Family::Repo);
        Ok(Vec::new())
    }

    fn last_change(&self, _at: Revision, _path: &str) -> Result<Option<CommitInfo>, HostError> {
        self.see(Family::Repo);
        Ok(None)
    }

    fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, HostError> {
        self.see(Family::Repo);
        Ok(ancestor == descendant)
    }

    fn documents(&self) -> Result<Vec<DocumentInfo>, HostError> {
        self.see(Family::Documents);
        let info = |(id, (kind, bytes)): (usize, &(&'static str, Vec<u8>))| DocumentInfo {
            id: DocumentId(id as u64),
            kind: (*kind).to_owned(),
            name: format!("12-{kind}.md"),
            stage: "review".parse().unwrap(),
            visit: 1,
            current: true,
            run: Some(RunId(5)),
            written_at: NOW,
            size: bytes.len() as u64,
        };
        Ok(self.documents.iter().enumerate().map(info).collect())
    }

    fn read_document(&self, id: DocumentId) -> Result<Vec<u8>, HostError> {
        self.see(Family::Documents);
        self.documents.get(id.0 as usize).map(|(_, bytes)| bytes.clone()).ok_or(HostError::NotFound)
    }

    fn checks(&self) -> Result<Vec<Check>, HostError> {
        self.see(Family::Forge);
        Ok(Vec::new())
    }

    fn code_pull_request(&self) -> Result<Option<PullRequest>, HostError> {
        self.see(Family::Forge);
        Ok(None)
    }

    fn work_item(&self) -> Result<WorkItemView, HostError> {
        self.see(Family::Tracker);
        Ok(WorkItemView {
            title: "Carry the ticket".to_owned(),
            description: "to a deployed change".to_owned(),
            status: BoardStatus { name: "In Review".to_owned(), group: StatusGroup::Started },
            labels: Vec::new(),
            url: None,
            more: Vec::new(),
        })
    }

    fn comments(&self, _newest: u32) -> Result<Vec<Comment>, HostError> {
        self.see(Family::Tracker);
        Ok(Vec::new())
    }

    fn runs(&self, _newest: u32) -> Result<Vec<RunView>, HostError> {
        self.see(Family::Runs);
        Ok(Vec::new())
    }

    fn log_tail(&self, _run: RunId, _bytes: u32) -> Result<Vec<u8>, HostError> {
        self.see(Family::Runs);
        Err(HostError::NotFound)
    }

    fn report(&self, _run: RunId) -> Result<Option<String>, HostError> {
        self.see(Family::Runs);
        Err(HostError::NotFound)
    }
}
