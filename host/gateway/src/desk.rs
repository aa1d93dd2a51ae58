//! What the API needs beyond the store, from the host that lives in the same process.

use std::fs::File;
use std::path::Path;

use conductor::ports::store::{ClaimLimits, RunRow};
use conductor::{Intervals, LiveRun, Unreachable};
use domain::budget::Budgets;
use domain::cost::{Spent, Usage};
use domain::ids::{BranchName, CommitId, ProjectName, RunId};
use domain::plugin::{Grant, PluginInfo};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::api::Block;
use crate::health::Condition;

/// Who sees to it that a run takes or reaches no more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeldBy {
    /// The kernel refuses what goes beyond.
    Kernel,
    /// The run's shim looks, and ends what goes beyond.
    Shim,
    /// Nobody.
    Nobody,
}

/// One thing that runs are held by on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// `sandbox`, `network`, `memory`, `processes`, `disk`.
    pub name: String,
    /// Who sees to it.
    pub held_by: HeldBy,
    /// How, or why not and what helps.
    pub how: String,
}

/// The disk on which the state folder lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Free for us.
    pub free_bytes: u64,
    /// Its size.
    pub size_bytes: u64,
    /// Below this much free space nothing is launched.
    pub floor_bytes: u64,
}

/// What the host reads off its machine and its files, for whoever watches it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// None: it cannot be looked at.
    pub disk: Option<Disk>,
    /// How often the outside is looked at.
    pub intervals: Intervals,
    /// Trackers and forges of which the last look failed.
    pub unreachable: Vec<Unreachable>,
}

/// What is remembered of backups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backups {
    /// The newest one; none: none was made.
    pub last: Option<LastBackup>,
    /// The newest proof that one restores; none: nobody tried.
    pub verified: Option<LastRestore>,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBackup {
    /// The moment that it holds.
    pub at: Timestamp,
    /// Where it was written.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// How many tasks are in it.
    pub tasks: u64,
}

/// A backup that was restored, and of which each task was rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRestore {
    /// When that was proven.
    pub at: Timestamp,
    /// The moment that the backup holds.
    pub backup_at: Timestamp,
    /// How many tasks were rebuilt.
    pub tasks: u64,
}

/// A component that is loaded for a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedPlugin {
    /// For which.
    pub project: ProjectName,
    /// What it is, and what it asks for.
    pub info: PluginInfo,
    /// What the project gave it.
    pub grant: Grant,
}

/// The living host behind the API. Every method is called on a thread that may block.
pub trait Desk: Send + Sync {
    /// Something was written: the conductor looks at once instead of at its next tick.
    fn wake(&self);
    /// The state folder, where commands do not find it by themselves: the lines that pages show name it.
    fn named_folder(&self) -> Option<&Path> {
        None
    }
    /// The line by which a person fetches what was merged into their own repository.
    fn pull_command(&self, project: &ProjectName) -> Option<String>;
    /// Where a project's base branch stands in its repository, as it was seen a moment ago, or why it cannot be seen; none: nobody
    /// looked yet.
    fn base_head(&self, _project: &ProjectName, _branch: &BranchName) -> Option<Result<CommitId, String>> {
        None
    }
    /// The end of a run's log; empty where there is none.
    fn run_log_tail(&self, run: RunId, bytes: u64) -> Vec<u8>;
    /// A run's log, to be read anywhere in it; none: there is none yet, or none any more.
    fn run_log(&self, run: RunId) -> Option<File>;
    /// The components that are loaded, by project and name.
    fn plugins(&self) -> Vec<LoadedPlugin>;
    /// What may be spent in a project.
    fn budgets(&self, project: &ProjectName) -> Budgets;
    /// What a living run has used so far, and what counts of it; none: it is not under way here.
    fn live_usage(&self, run: RunId) -> Option<(Usage, Spent)>;
    /// As that, with what it does, where it says so.
    fn live_run(&self, run: RunId) -> Option<LiveRun> {
        let (usage, spent) = self.live_usage(run)?;
        Some(LiveRun { usage, spent, ..LiveRun::default() })
    }
    /// How the host feels.
    fn health(&self) -> Condition;
    /// By what runs are held, as it was found when the host started.
    fn holdings(&self) -> Vec<Holding>;
    /// What is remembered of backups, read anew each time: they are made beside the host. Broken: it cannot be read.
    fn backups(&self) -> Block<Backups>;
    /// What a claim obeys at present: the queue's reasons are told by it.
    fn limits(&self) -> ClaimLimits;
    /// The statuses of a project's board in order; empty: any word is taken.
    fn statuses(&self, project: &ProjectName) -> Vec<String>;
    /// Whether a file speaks of the project: of one that does not, nobody would take up a new task.
    fn is_configured(&self, project: &ProjectName) -> bool;
    /// What is read off the machine and the files, at this moment.
    fn readings(&self) -> Readings;
    /// Processor time that a living run's tree has taken, in clock ticks; none: it is not under way here.
    fn cpu_ticks(&self, run: RunId) -> Option<u64>;
    /// The status that starts a task.
    fn start_status(&self, project: &ProjectName) -> String;
}

/// A run as it stands at this moment: of a living one the figures are those so far.
pub(crate) fn with_live_usage(desk: &dyn Desk, mut row: RunRow) -> RunRow {
    if row.ended_at.is_none()
        && let Some(live) = desk.live_run(row.id)
    {
        row.usage = live.usage;
        row.spent = Some(live.spent);
        row.steps = live.steps;
        row.doing = live.doing;
        row.model = row.model.or(live.model);
    }
    row
}
