//! The port to the plugins: what they are asked, what they may see, what comes back.
//!
//! Everything here is synchronous: a call runs on the caller's thread. Grants are per project, so a call names both the plugin
//! and the project; what was loaded under that pair is the driver's to know.

use std::sync::Arc;

use domain::ids::{CommitId, Digest, DocumentId, PluginId, ProjectName, RunId};
use domain::plugin::{
    ChangedFile, Check, Comment, CommitInfo, Denial, DocumentInfo, EstimatorQuestion, Failure, Family, Flaw, Forecast,
    GateSubject, GuardDecision, GuardQuestion, HostError, MapperIntent, NotifierNotice, PluginInfo, PullRequest,
    Revision, RunView, Standing, StatusChange, WorkItemView,
};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::{InfraCause, Verdict};

/// What one evaluation may look at: the task's repository, documents, runs, its pull request and its work item.
///
/// The broker above has already checked capability, path and arguments. Texts of errors are for people and hold no secret. Each
/// function may block; the caller gives each its own time and goes on without it when that is over, so a function that never
/// returns costs a thread and nothing else. All errors are answers for the guest.
pub trait World: Send + Sync {
    /// Whether the functions of this family answer from memory. Those are called on the evaluation's own thread and are not
    /// timed; the others go to a worker.
    fn is_immediate(&self, family: Family) -> bool {
        let _ = family;
        false
    }

    /// A file's bytes, 1 MiB at most (`TooLarge`); a symlink is `Invalid`.
    fn read_file(&self, at: Revision, path: &str) -> Result<Vec<u8>, HostError>;
    /// All paths of a tree, sorted by bytes; the broker matches globs and counts. At most as many as the host can hold (`TooLarge`).
    fn list_files(&self, at: Revision) -> Result<Vec<String>, HostError>;
    /// What `fork-point..subject` changes, sorted by path.
    fn changes(&self) -> Result<Vec<ChangedFile>, HostError>;
    /// One file of it as a unified diff with three lines of context, 1 MiB at most.
    fn diff(&self, path: &str) -> Result<Vec<u8>, HostError>;
    /// The commits of `fork-point..subject`, newest first, 1,000 at most.
    fn commits(&self) -> Result<Vec<CommitInfo>, HostError>;
    /// The newest commit, as seen from there, that changed this path; none: the path is not there.
    fn last_change(&self, at: Revision, path: &str) -> Result<Option<CommitInfo>, HostError>;
    /// Whether the first is contained in the second's history; both reachable from the three revisions, else `NotFound`.
    fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, HostError>;

    /// The task's documents, newest first, each name once.
    fn documents(&self) -> Result<Vec<DocumentInfo>, HostError>;
    /// A document's bytes, 1 MiB at most; one of another task is `NotFound`.
    fn read_document(&self, id: DocumentId) -> Result<Vec<u8>, HostError>;

    /// The checks of the commit under judgement (a guard's: of the effect), the newest of each name.
    fn checks(&self) -> Result<Vec<Check>, HostError>;
    /// The pull request of the task's branch into its base branch.
    fn code_pull_request(&self) -> Result<Option<PullRequest>, HostError>;

    /// The work item as the tracker has it now.
    fn work_item(&self) -> Result<WorkItemView, HostError>;
    /// Its comments, newest first, at most this many (never over 100).
    fn comments(&self, newest: u32) -> Result<Vec<Comment>, HostError>;

    /// The task's runs, newest first, at most this many (never over 100).
    fn runs(&self, newest: u32) -> Result<Vec<RunView>, HostError>;
    /// The end of a run's log, at most this many bytes (never over 256 KiB); a run of another task is `NotFound`.
    fn log_tail(&self, run: RunId, bytes: u32) -> Result<Vec<u8>, HostError>;
    /// What the agent reported at the end, as JSON; none: it was killed, or said nothing.
    fn report(&self, run: RunId) -> Result<Option<String>, HostError>;
}

/// Who is asked, where, when and with which luck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// In whose name: grants are per project.
    pub project: ProjectName,
    /// Who.
    pub plugin: PluginId,
    /// The time that the guest sees; it does not move during the call.
    pub at: Timestamp,
    /// What the guest's random numbers come from.
    pub seed: u64,
}

/// A question to a gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateCall {
    /// Who is asked.
    pub asking: Asking,
    /// About what.
    pub subject: GateSubject,
    /// How long from now the step may wait at most: `until` is never later.
    pub patience: Milliseconds,
}

/// A question to a guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardCall {
    /// Who is asked.
    pub asking: Asking,
    /// What.
    pub question: GuardQuestion,
    /// How long from now it may delay at most: `until` is never later.
    pub patience: Milliseconds,
}

/// A question to an estimator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EstimateCall {
    /// Who is asked.
    pub asking: Asking,
    /// What.
    pub question: EstimatorQuestion,
}

/// A notice for a notifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifyCall {
    /// Who is told.
    pub asking: Asking,
    /// What.
    pub notice: NotifierNotice,
}

/// A question to a status-mapper: what does this change mean?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboundCall {
    /// Who is asked.
    pub asking: Asking,
    /// About what.
    pub change: StatusChange,
}

/// A question to a status-mapper: how does this standing look?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboundCall {
    /// Who is asked.
    pub asking: Asking,
    /// About what.
    pub standing: Standing,
}

/// A question to any plugin: will these settings do?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidateCall {
    /// Who is asked.
    pub asking: Asking,
    /// One JSON object, at most 64 KiB.
    pub settings: String,
}

/// What came of one call of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation<A> {
    /// The answer, after all rules about answers. Never one that opens when anything about the plugin failed.
    pub answer: A,
    /// Everything that the guest saw and said, as JSON: replayable with the component's bytes.
    pub transcript: Vec<u8>,
    /// Who was asked.
    pub plugin: PluginId,
    /// The sha256 of the component that answered; none: no plugin is loaded under that name.
    pub digest: Option<Digest>,
    /// Microseconds from instantiation to the end of post-return, without the wait for a permit.
    pub micros: u64,
    /// What the broker refused during the call, each once.
    pub denials: Vec<Denial>,
    /// The limits that were hit, each once. Where this is not empty the verdict is not replayable.
    pub limits_hit: Vec<InfraCause>,
}

/// The plugins of all projects. No function panics or passes on a guest's failure: what goes wrong with a plugin is `infra`,
/// or `Err` for kinds other than a gate.
pub trait Plugins: Send + Sync {
    /// What is loaded under this name.
    fn info(&self, project: &ProjectName, plugin: &PluginId) -> Option<PluginInfo>;
    /// Asks whether settings will do; no flaws: they will. `Err`: the plugin itself failed, which is a fault of the settings too.
    fn validate(&self, call: ValidateCall) -> Evaluation<Result<Vec<Flaw>, Failure>>;
    /// Asks a gate.
    fn evaluate_gate(&self, call: GateCall, world: Arc<dyn World>) -> Evaluation<Verdict>;
    /// Asks a guard.
    fn decide_guard(&self, call: GuardCall, world: Arc<dyn World>) -> Evaluation<Result<GuardDecision, Failure>>;
    /// Asks an estimator.
    fn estimate(&self, call: EstimateCall, world: Arc<dyn World>) -> Evaluation<Result<Forecast, Failure>>;
    /// Tells a notifier.
    fn notify(&self, call: NotifyCall, world: Arc<dyn World>) -> Evaluation<Result<(), Failure>>;
    /// Asks a status-mapper what a change means.
    fn map_inbound(&self, call: InboundCall) -> Evaluation<Result<MapperIntent, Failure>>;
    /// Asks a status-mapper how a standing looks: names in order of preference, at most 20.
    fn map_outbound(&self, call: OutboundCall) -> Evaluation<Result<Vec<String>, Failure>>;
}
