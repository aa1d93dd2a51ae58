//! `/queue` and `/api/v1/metrics`, in the words of the system that came before: whoever watched that one goes on.

use std::collections::BTreeMap;

use conductor::ports::store::JobRow;
use domain::ids::{ProjectName, RunId, StageName, TaskId, WorkItemId};
use serde::{Deserialize, Serialize};

use super::{DriverView, Gate};

/// A part of an answer that stands or falls alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Block<T> {
    /// What there is.
    Fine(T),
    /// Its source is broken; the rest of the answer is not.
    Broken {
        /// For people.
        error: String,
    },
}

impl<T> Block<T> {
    /// What there is; none: its source is broken.
    pub fn fine(self) -> Option<T> {
        match self {
            Self::Fine(block) => Some(block),
            Self::Broken { .. } => None,
        }
    }
}

/// `GET /queue`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    /// Jobs per status, the ended ones too.
    pub counts: Block<BTreeMap<String, u64>>,
    /// Runs at one time.
    pub max_concurrency: Block<u32>,
    /// What lets new tasks of each project in.
    pub gates: Block<Vec<Gate>>,
    /// The ten newest jobs.
    pub jobs: Block<Vec<JobRow>>,
    /// How the agent drivers stand.
    pub drivers: Block<Vec<DriverView>>,
    /// What the host does beside the tasks, by the names of old.
    #[serde(flatten)]
    pub features: BTreeMap<String, Block<Feature>>,
}

/// What the host does beside the tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// Some project has it, or all have.
    pub enabled: bool,
    /// Why it is not there, or is always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What there is to say of it.
    #[serde(flatten)]
    pub figures: serde_json::Map<String, serde_json::Value>,
}

/// `GET /api/v1/metrics`: raw signals; thresholds, history and alerts are the reader's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OldMetrics {
    /// Grows when a field changes its meaning.
    pub schema_version: u32,
    /// RFC 3339, UTC.
    pub generated_at: String,
    /// Clock ticks in a second: the unit of `cpu_ticks`.
    pub clk_tck: u64,
    /// Live tasks by the stage that they stand in.
    pub stages: Block<BTreeMap<StageName, u64>>,
    /// Jobs, counted.
    pub queue: Block<QueueFigures>,
    /// Runs that live, newest first.
    pub agents: Block<Vec<Agent>>,
    /// What runs that ended cost.
    pub cost: Block<Cost>,
}

/// Jobs, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueFigures {
    /// They wait.
    pub queued: u64,
    /// They are performed.
    pub claimed: u64,
    /// They were cancelled, ever.
    pub cancelled: u64,
    /// Of those that wait: an attempt did not end them.
    pub retrying: u64,
    /// The most attempts that a live one took.
    pub attempts_max: u64,
    /// For how long the oldest has waited that is due, in seconds; none: nothing is due.
    pub oldest_due_seconds: Option<u64>,
    /// Runs at one time.
    pub max_concurrency: u32,
}

/// A run that lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Which.
    pub run: RunId,
    /// Whose.
    pub task: TaskId,
    /// Of which work item; none: its task cannot be read.
    pub work_item_id: Option<WorkItemId>,
    /// Who works.
    pub role: String,
    /// In which stage.
    pub stage: StageName,
    /// The process that holds its tree.
    pub pid: Option<u32>,
    /// Since its launch.
    pub runtime_seconds: u64,
    /// The model that it was launched with.
    pub model: Option<String>,
    /// The effort likewise.
    pub effort: Option<String>,
    /// Processor time of its tree, user's and system's, in clock ticks; none: it is not known.
    pub cpu_ticks: Option<u64>,
}

/// What runs cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// In all.
    pub tokens: Tokens,
    /// In all, in US dollars.
    pub usd: f64,
    /// Those that ended today (UTC), in US dollars.
    pub today_usd: f64,
    /// By project, in US dollars.
    pub projects: BTreeMap<ProjectName, f64>,
}

/// Tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// In, without the cache's.
    pub input: u64,
    /// Out.
    pub output: u64,
    /// In, from the cache.
    pub cache_read: u64,
    /// In, to the cache.
    pub cache_creation: u64,
    /// Of runs that did not say how many, by the price.
    pub priced: u64,
}
