//! The host behind the pages, as far as they ask it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use conductor::ports::store::ClaimLimits;
use domain::budget::{Budgets, Cap};
use domain::cost::{Spent, Usage};
use domain::ids::{Digest, PluginId, ProjectName, RunId};
use domain::plugin::{Capability, Grant, PluginInfo, PluginKind, Request, RequestEntry};
use gateway::api::Block;
use gateway::{Backups, Condition, Desk, HeldBy, Holding, LoadedPlugin, Part, Readings, Trouble};

pub(crate) struct SceneDesk {
    logs: BTreeMap<RunId, PathBuf>,
}

impl SceneDesk {
    pub(crate) fn new(logs: impl IntoIterator<Item = (RunId, PathBuf)>) -> Self {
        Self { logs: logs.into_iter().collect() }
    }
}

impl Desk for SceneDesk {
    fn backups(&self) -> Block<Backups> {
        Block::Fine(Backups::default())
    }

    fn readings(&self) -> Readings {
        Readings::default()
    }

    fn cpu_ticks(&self, _: RunId) -> Option<u64> {
        None
    }

    fn wake(&self) {}

    fn pull_command(&self, _: &ProjectName) -> Option<String> {
        Some("git pull gatewright main".to_owned())
    }

    fn run_log_tail(&self, _: RunId, _: u64) -> Vec<u8> {
        Vec::new()
    }

    fn run_log(&self, run: RunId) -> Option<File> {
        File::open(self.logs.get(&run)?).ok()
    }

    fn plugins(&self) -> Vec<LoadedPlugin> {
        let plugin = |id: &str, entries: Vec<RequestEntry>, capabilities: Vec<Capability>| LoadedPlugin {
            project: ProjectName::new("demo").expect("a name"),
            info: PluginInfo {
                id: PluginId::new(id).ok(),
                digest: Digest::of(id.as_bytes()),
                size: 143_360,
                kind: PluginKind::Gate,
                request: Request { entries },
                functions: Vec::new(),
                warnings: Vec::new(),
            },
            grant: Grant { capabilities, ..Grant::default() },
        };
        let entry = |capability: Capability, reason: &str| RequestEntry {
            capability,
            reason: reason.to_owned(),
            optional: false,
            credential: None,
        };
        let asks = vec![
            entry(Capability::Documents, "reads the reviewer's word <b>"),
            entry(Capability::Runs, "says what it did not find"),
        ];
        vec![
            plugin("checks-green", Vec::new(), Vec::new()),
            plugin("review-verdict", asks, vec![Capability::Documents]),
        ]
    }

    fn budgets(&self, project: &ProjectName) -> Budgets {
        let cost_microusd = (project.as_str() == "demo").then_some(20_000_000);
        Budgets { day: Cap { cost_microusd, ..Cap::default() }, ..Budgets::default() }
    }

    fn live_usage(&self, _: RunId) -> Option<(Usage, Spent)> {
        let spent = Spent { input_tokens: 9000, output_tokens: 700, cost_microusd: 120_000, ..Spent::default() };
        Some((Usage::default(), spent))
    }

    fn health(&self) -> Condition {
        let why = "less than 5 GiB are free on the disk: nothing is launched, the rest goes on";
        Condition { ok: true, troubles: vec![Trouble::of(Part::Disk, why)] }
    }

    fn holdings(&self) -> Vec<Holding> {
        let holding = |name: &str, held_by, how: &str| Holding { name: name.to_owned(), held_by, how: how.to_owned() };
        vec![
            holding("sandbox", HeldBy::Kernel, "bubblewrap shows a run its clone and nothing else"),
            holding("memory", HeldBy::Shim, "looked at each second, for there is no control group here"),
            holding("network", HeldBy::Nobody, "a run reaches what this machine reaches; `[network]` bounds it"),
        ]
    }

    fn limits(&self) -> ClaimLimits {
        ClaimLimits::of(2)
    }

    fn statuses(&self, _: &ProjectName) -> Vec<String> {
        ["Backlog", "To Analyse", "Approved", "STOP"].map(str::to_owned).into()
    }

    fn is_configured(&self, _: &ProjectName) -> bool {
        true
    }

    fn start_status(&self, _: &ProjectName) -> String {
        "To Analyse".to_owned()
    }
}
