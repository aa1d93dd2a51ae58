//! Drivers of the ports beside the store: each does the least that its port promises, and keeps a record.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};

use conductor::board::Board;
use conductor::ports::clock::Clock;
use conductor::ports::forge::{
    CloneKey, CloneRequest, CollectLimits, Collected, Forge, ForgeError, Mark, Merged, PreparedClone, Rebased, Sight,
    TakeOver, Taken,
};
use conductor::ports::plugins::{
    Asking, EstimateCall, Evaluation, GateCall, GuardCall, InboundCall, NotifyCall, OutboundCall, Plugins,
    ValidateCall, World,
};
use conductor::ports::tracker::{Changes, Cursor, LogRow, Tracker, TrackerError};
use domain::ids::{BranchName, CommitId, PluginId, ProjectName, TaskId, WorkItemId};
use domain::plugin::{
    BoardStatus, ChangeKind, ChangedFile, Check, Comment, CommitInfo, EntryKind, Failure, Flaw, Forecast,
    GuardDecision, GuardQuestion, MapperIntent, NotifierNotice, PluginInfo, WorkItemView,
};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::{InfraCause, Verdict};

pub(crate) struct StandingClock(pub(crate) AtomicU64);

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
    fn random(&self) -> u64 {
        4
    }
}

pub(crate) fn retry(message: &str, after: Option<Milliseconds>) -> Failure {
    Failure::Retry { cause: InfraCause::Guest("busy".to_owned()), message: message.to_owned(), after }
}

type Script<A> = Mutex<BTreeMap<String, VecDeque<A>>>;
/// A guard's decision, by the time at which it is asked.
type Guard = Box<dyn Fn(Timestamp) -> Result<GuardDecision, Failure> + Send>;

/// Answers what was scripted, then what lets everything go on.
#[derive(Default)]
pub(crate) struct Scripted {
    pub(crate) guard: Mutex<Option<Guard>>,
    pub(crate) notifiers: Script<Result<(), Failure>>,
    pub(crate) inbound: Mutex<VecDeque<Result<MapperIntent, Failure>>>,
    pub(crate) gate: Mutex<VecDeque<Verdict>>,
    pub(crate) asked: Mutex<Vec<(GuardQuestion, Milliseconds)>>,
    pub(crate) told: Mutex<Vec<(PluginId, NotifierNotice)>>,
}

fn answered<A>(asking: &Asking, answer: A) -> Evaluation<A> {
    Evaluation {
        answer,
        transcript: b"{}".to_vec(),
        plugin: asking.plugin.clone(),
        digest: None,
        micros: 1,
        denials: Vec::new(),
        limits_hit: Vec::new(),
    }
}

impl Plugins for Scripted {
    fn info(&self, _: &ProjectName, _: &PluginId) -> Option<PluginInfo> {
        None
    }
    fn validate(&self, call: ValidateCall) -> Evaluation<Result<Vec<Flaw>, Failure>> {
        answered(&call.asking, Ok(Vec::new()))
    }
    fn evaluate_gate(&self, call: GateCall, _: Arc<dyn World>) -> Evaluation<Verdict> {
        let next = self.gate.lock().unwrap().pop_front();
        let pass = Verdict::Pass { note: "fine".to_owned(), warnings: Vec::new(), figures: Vec::new() };
        answered(&call.asking, next.unwrap_or(pass))
    }
    fn decide_guard(&self, call: GuardCall, _: Arc<dyn World>) -> Evaluation<Result<GuardDecision, Failure>> {
        let decided =
            self.guard.lock().unwrap().as_ref().map_or(Ok(GuardDecision::Allow), |guard| guard(call.asking.at));
        self.asked.lock().unwrap().push((call.question, call.patience));
        answered(&call.asking, decided)
    }
    fn estimate(&self, call: EstimateCall, _: Arc<dyn World>) -> Evaluation<Result<Forecast, Failure>> {
        answered(&call.asking, Err(Failure::GiveUp { message: "no estimates".to_owned() }))
    }
    fn notify(&self, call: NotifyCall, _: Arc<dyn World>) -> Evaluation<Result<(), Failure>> {
        let plugin = call.asking.plugin.clone();
        let next = self.notifiers.lock().unwrap().get_mut(plugin.as_str()).and_then(VecDeque::pop_front);
        self.told.lock().unwrap().push((plugin, call.notice));
        answered(&call.asking, next.unwrap_or(Ok(())))
    }
    fn map_inbound(&self, call: InboundCall) -> Evaluation<Result<MapperIntent, Failure>> {
        let next = self.inbound.lock().unwrap().pop_front();
        let meant = match call.change.to.name.as_str() {
            "To Analyse" => MapperIntent::Start,
            "Approved" => MapperIntent::Approve,
            "Rejected" => MapperIntent::Reject,
            "Confirm Deploy" => MapperIntent::ConfirmDeploy,
            _ => MapperIntent::None,
        };
        answered(&call.asking, next.unwrap_or(Ok(meant)))
    }
    fn map_outbound(&self, call: OutboundCall) -> Evaluation<Result<Vec<String>, Failure>> {
        let names = match call.standing.phase.as_str() {
            "in-review" => "In Review",
            "needs-input" => "Needs Input",
            "awaiting-deploy" => "Awaiting Deploy",
            other => other,
        };
        answered(&call.asking, Ok(vec![names.to_owned()]))
    }
}

pub(crate) fn base() -> CommitId {
    CommitId::new("b".repeat(40)).unwrap()
}

/// A repository of one commit: branches are cut, and stand where they were cut.
#[derive(Default)]
pub(crate) struct OneCommit {
    /// What each run leaves in the work item's folder.
    pub(crate) documents: Mutex<Vec<(String, Vec<u8>)>>,
    branches: Mutex<BTreeMap<BranchName, CommitId>>,
    /// What was reported of every commit.
    pub(crate) checks: Mutex<Vec<Check>>,
    /// What other hands made: a line of commits after the first one.
    pub(crate) others: Mutex<Others>,
    /// What the host did here.
    pub(crate) deeds: Mutex<Vec<&'static str>>,
    /// Clones stay.
    pub(crate) cannot_remove: AtomicBool,
    /// The next taking over says that it began, and waits for a word.
    pub(crate) holds_up: Mutex<Option<(Sender<()>, Receiver<()>)>>,
    /// What it says as long as it does not serve.
    pub(crate) closed: Mutex<Option<ForgeError>>,
    /// What it says to whoever looks at what others did.
    pub(crate) unread: Mutex<Option<ForgeError>>,
}

/// What other hands made in the repository.
#[derive(Default)]
pub(crate) struct Others {
    line: Vec<CommitId>,
    /// Where they brought the base.
    base: Option<CommitId>,
    /// Files by commit and path.
    files: BTreeMap<(CommitId, String), Vec<u8>>,
    /// Commits that change nothing but these files.
    documents: Vec<CommitId>,
}

impl Others {
    /// The base's commit is the first of the line.
    fn place(&self, commit: &CommitId) -> Option<usize> {
        if *commit == base() { Some(0) } else { Some(self.line.iter().position(|other| other == commit)? + 1) }
    }
}

impl OneCommit {
    fn is_open(&self) -> Result<(), ForgeError> {
        self.closed.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    /// Another hand pushes a commit of this digit; its files are those of its folder of documents.
    pub(crate) fn pushed(&self, branch: &str, digit: &str, documents: &[(&str, &str)]) -> CommitId {
        let commit = CommitId::new(digit.repeat(40)).unwrap();
        let mut others = self.others.lock().unwrap();
        others.line.push(commit.clone());
        for (path, text) in documents {
            others.files.insert((commit.clone(), (*path).to_owned()), text.as_bytes().to_vec());
        }
        if !documents.is_empty() {
            others.documents.push(commit.clone());
        }
        self.branches.lock().unwrap().insert(BranchName::new(branch).unwrap(), commit.clone());
        commit
    }

    /// Another hand brings the base there.
    pub(crate) fn merged(&self, commit: &CommitId) {
        self.others.lock().unwrap().base = Some(commit.clone());
    }

    /// Its branches, by name.
    pub(crate) fn task_branches_now(&self) -> Vec<String> {
        self.branches.lock().unwrap().keys().map(ToString::to_string).collect()
    }

    fn did(&self, deed: &'static str) {
        self.deeds.lock().unwrap().push(deed);
    }
}

fn added(path: &str) -> ChangedFile {
    ChangedFile {
        path: path.to_owned(),
        old_path: None,
        change: ChangeKind::Added,
        kind: EntryKind::File,
        binary: false,
        added_lines: 1,
        deleted_lines: 0,
    }
}

fn nothing<A>() -> Result<A, ForgeError> {
    Err(ForgeError::NotFound("such thing in a repository of one commit".to_owned()))
}

impl Sight for OneCommit {
    fn branch_head(&self, branch: &BranchName) -> Result<Option<CommitId>, ForgeError> {
        Ok(self.branches.lock().unwrap().get(branch).cloned())
    }
    fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, ForgeError> {
        let others = self.others.lock().unwrap();
        let places = others.place(ancestor).zip(others.place(descendant));
        Ok(places.map_or(ancestor == descendant, |(one, other)| one <= other))
    }
    fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<Option<CommitId>, ForgeError> {
        Ok(Some(if self.is_ancestor(one, other)? { one } else { other }.clone()))
    }
    fn tree_of(&self, commit: &CommitId) -> Result<String, ForgeError> {
        Ok(commit.to_string())
    }
    fn read(&self, at: &CommitId, path: &str) -> Result<Vec<u8>, ForgeError> {
        let found = self.others.lock().unwrap().files.get(&(at.clone(), path.to_owned())).cloned();
        found.map_or_else(nothing, Ok)
    }
    fn list(&self, at: &CommitId, _: &str) -> Result<Vec<String>, ForgeError> {
        let others = self.others.lock().unwrap();
        Ok(others.files.keys().filter(|(commit, _)| commit == at).map(|(_, path)| path.clone()).collect())
    }
    fn changes(&self, _: &CommitId, to: &CommitId) -> Result<Vec<ChangedFile>, ForgeError> {
        let others = self.others.lock().unwrap();
        let files = others.files.keys().filter(|(commit, _)| commit == to && others.documents.contains(to));
        Ok(files.map(|(_, path)| added(path)).collect())
    }
    fn diff(&self, _: &CommitId, _: &CommitId, _: &str) -> Result<Vec<u8>, ForgeError> {
        nothing()
    }
    fn commits(&self, _: &CommitId, _: &CommitId) -> Result<Vec<CommitInfo>, ForgeError> {
        Ok(Vec::new())
    }
    fn last_change(&self, _: &CommitId, _: &str) -> Result<Option<CommitInfo>, ForgeError> {
        Ok(None)
    }
}

impl Forge for OneCommit {
    fn base_head(&self, _: &BranchName) -> Result<CommitId, ForgeError> {
        self.is_open()?;
        Ok(self.others.lock().unwrap().base.clone().unwrap_or_else(base))
    }
    fn refresh(&self) -> Result<(), ForgeError> {
        self.unread.lock().unwrap().clone().map_or(Ok(()), Err)
    }
    fn checks(&self, _: &CommitId) -> Result<Vec<Check>, ForgeError> {
        Ok(self.checks.lock().unwrap().clone())
    }
    fn cut_branch(&self, _: &Mark, branch: &BranchName, from: &CommitId) -> Result<CommitId, ForgeError> {
        self.did("cut");
        self.branches.lock().unwrap().insert(branch.clone(), from.clone());
        Ok(from.clone())
    }
    fn moved_by(&self, _: &Mark, _: &BranchName, _: &CommitId) -> Result<Option<CommitId>, ForgeError> {
        Ok(None)
    }
    fn task_branches(&self) -> Result<Vec<(BranchName, CommitId)>, ForgeError> {
        Ok(self.branches.lock().unwrap().clone().into_iter().collect())
    }
    fn discard_branch(&self, _: TaskId, branch: &BranchName, _: &CommitId) -> Result<Option<CommitId>, ForgeError> {
        self.did("discard");
        self.branches.lock().unwrap().remove(branch);
        Ok(None)
    }
    fn prepare_clone(&self, request: &CloneRequest) -> Result<PreparedClone, ForgeError> {
        self.is_open()?;
        self.did("clone");
        let path = PathBuf::from(format!("/clones/{}", request.key));
        Ok(PreparedClone { key: request.key, readable: path.clone(), path, head: request.head.clone() })
    }
    fn clones(&self) -> Result<Vec<CloneKey>, ForgeError> {
        Ok(Vec::new())
    }
    fn remove_clone(&self, _: CloneKey) -> Result<(), ForgeError> {
        self.did("remove clone");
        Ok(())
    }
    fn remove_clones(&self, _: TaskId) -> Result<(), ForgeError> {
        if self.cannot_remove.load(Ordering::SeqCst) {
            return Err(ForgeError::Infra("502 Bad Gateway".to_owned()));
        }
        self.did("remove clones");
        Ok(())
    }
    fn take_over(&self, request: &TakeOver) -> Result<Taken, ForgeError> {
        self.did("take over");
        let held_up = self.holds_up.lock().unwrap().take();
        if let Some((began, go_on)) = held_up {
            began.send(()).unwrap();
            go_on.recv().unwrap();
        }
        let work = CommitId::new("c".repeat(40)).unwrap();
        self.branches.lock().unwrap().insert(request.branch.clone(), work.clone());
        Ok(Taken { head: work, changed: Vec::new(), trespasses: Vec::new() })
    }
    fn collect_documents(&self, _: CloneKey, _: &str, _: CollectLimits) -> Result<Collected, ForgeError> {
        Ok(Collected { files: self.documents.lock().unwrap().clone(), ..Collected::default() })
    }
    fn rebase(&self, _: &Mark, _: &BranchName, _: &CommitId, _: &CommitId) -> Result<Rebased, ForgeError> {
        self.did("rebase");
        nothing()
    }
    fn merge_fast_forward(
        &self,
        _: &Mark,
        _: &BranchName,
        _: &CommitId,
        _: &BranchName,
        _: &CommitId,
    ) -> Result<Merged, ForgeError> {
        self.did("merge");
        nothing()
    }
}

/// The built-in board, which does not always answer.
pub(crate) struct Moody {
    pub(crate) board: Board,
    pub(crate) is_down: AtomicBool,
    pub(crate) polls: AtomicU64,
    /// So many looks at the log of a card show nothing.
    pub(crate) unshown: AtomicU64,
    /// The newest row of a card is not shown yet.
    pub(crate) lags: AtomicBool,
}

impl Moody {
    fn ask<A>(&self, answer: impl FnOnce(&Board) -> Result<A, TrackerError>) -> Result<A, TrackerError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(TrackerError::Unavailable("502 Bad Gateway".to_owned()));
        }
        answer(&self.board)
    }
}

impl Tracker for Moody {
    fn source(&self) -> &'static str {
        self.board.source()
    }
    fn changes(&self, project: &ProjectName, since: Option<&Cursor>) -> Result<Changes, TrackerError> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        self.ask(|board| board.changes(project, since))
    }
    fn log(&self, project: &ProjectName, item: &WorkItemId) -> Result<Vec<LogRow>, TrackerError> {
        let less = |left: u64| left.checked_sub(1);
        if self.unshown.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            return Ok(Vec::new());
        }
        let mut rows = self.ask(|board| board.log(project, item))?;
        if self.lags.load(Ordering::SeqCst) {
            rows.pop();
        }
        Ok(rows)
    }
    fn statuses(&self, project: &ProjectName) -> Result<Vec<BoardStatus>, TrackerError> {
        self.ask(|board| board.statuses(project))
    }
    fn item(&self, project: &ProjectName, item: &WorkItemId) -> Result<WorkItemView, TrackerError> {
        self.ask(|board| board.item(project, item))
    }
    fn gone_by(&self, project: &ProjectName, item: &WorkItemId) -> String {
        self.board.gone_by(project, item)
    }
    fn comments(&self, project: &ProjectName, item: &WorkItemId, limit: u32) -> Result<Vec<Comment>, TrackerError> {
        self.ask(|board| board.comments(project, item, limit))
    }
    fn set_status(
        &self,
        project: &ProjectName,
        item: &WorkItemId,
        status: &str,
        now: Timestamp,
    ) -> Result<(), TrackerError> {
        self.ask(|board| board.set_status(project, item, status, now))
    }
    fn comment(
        &self,
        project: &ProjectName,
        item: &WorkItemId,
        key: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<(), TrackerError> {
        self.ask(|board| board.comment(project, item, key, text, now))
    }
}
