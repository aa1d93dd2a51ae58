//! `gatewright.toml`: what holds for the whole host.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use conductor::Intervals;
use conductor::shutdown::Manner;
use domain::plugin::{Capability, CapabilityError, Ceiling, Family, Limits};
use domain::time::Milliseconds;

use crate::diagnostic::{Problem, quoted};
use crate::hooks;
use crate::keys;
use crate::limits::{self, RunLimits};
use crate::near::nearest;
use crate::operator::{self, OperatorReach};
use crate::paths::Paths;
use crate::reader::{At, Node, Section};
use crate::watching::{self, Watching};

/// The port of the operator's listener, unless the file says another.
const PORT: u16 = 8500;
/// Below this much free space nothing launches, unless the file says another.
const FREE_SPACE_MIB: u64 = 512;
/// What one call of a plugin may be given at most: the sandbox allows no more.
const MEMORY_MIB: u64 = 512;

/// How often the outside may be looked at: not more often than the scheduler looks, nor so seldom that a lost STOP is one for long.
const INTERVAL: std::ops::RangeInclusive<u64> = 5_000..=3_600_000;

/// Unless the file says otherwise: a month of logs to look back at.
const KEEP_RUNS: Milliseconds = Milliseconds::from_seconds(30 * 24 * 3600);
/// Ten years are for ever.
const KEPT: std::ops::RangeInclusive<u64> = 1_000..=3650 * 24 * 3_600_000;

/// The host's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// Where the operator's HTTP listens. Port 0: any that is free.
    pub operator: SocketAddr,
    /// How people reach it there.
    pub reach: OperatorReach,
    /// Where webhooks are listened for; none: nowhere.
    pub webhooks: Option<SocketAddr>,
    /// Agents and commands at one time.
    pub limits: RunLimits,
    /// What the first signal to end means.
    pub shutdown: Manner,
    /// Below this much free space nothing launches.
    pub free_space_mib: u64,
    /// How often the outside is looked at for what it did not tell.
    pub reconcile: Intervals,
    /// How long the folder of a run is kept after its end, once its task has ended too; none: for ever.
    pub keep_runs: Option<Milliseconds>,
    /// What workers are kept in.
    pub sandbox: SandboxPolicy,
    /// What no plugin may exceed.
    pub plugins: PluginPolicy,
    /// What the host says of itself.
    pub watching: Watching,
}

/// What workers are kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxPolicy {
    /// Which sandbox.
    pub mode: SandboxMode,
    /// What every worker may read beside the system.
    pub readable: Vec<PathBuf>,
}

/// Which sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxMode {
    /// bubblewrap where it works, otherwise none; `serve` says which.
    Auto,
    /// bubblewrap; without it nothing is launched.
    Bubblewrap,
    /// None: workers see what the operator sees.
    None,
}

/// What no plugin may exceed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginPolicy {
    /// What no project may grant more than.
    pub ceiling: Ceiling,
    /// Of one call.
    pub limits: Limits,
}

/// Reads the file; what is wrong is in the section's report, and the value then only fills its place.
pub(crate) fn read(file: &Section<'_>, paths: &Paths) -> HostConfig {
    let mut config = HostConfig {
        operator: SocketAddr::from((Ipv4Addr::LOCALHOST, PORT)),
        reach: OperatorReach::default(),
        webhooks: None,
        limits: limits::of_host(file),
        shutdown: limits::shutdown(file),
        free_space_mib: FREE_SPACE_MIB,
        reconcile: Intervals::default(),
        keep_runs: Some(KEEP_RUNS),
        sandbox: SandboxPolicy { mode: SandboxMode::Auto, readable: Vec::new() },
        plugins: PluginPolicy { ceiling: Ceiling::AtMost(Vec::new()), limits: Limits::default() },
        watching: watching::read(file),
    };
    let listen = file.section("listen", &keys::LISTEN);
    let node = listen.as_ref().and_then(|listen| listen.get("operator"));
    if let Some(address) = node.as_ref().and_then(address) {
        config.operator = address;
    }
    config.webhooks = hooks::listen(file, config.operator);
    config.reach = operator::read(file, config.operator, node.as_ref());
    if let Some(limits) = file.section("limits", &keys::LIMITS) {
        config.free_space_mib = limits.whole("free-space-mib", 16..=1_048_576, FREE_SPACE_MIB);
    }
    if let Some(reconcile) = file.section("reconcile", &keys::RECONCILE) {
        let Intervals { forges, trackers } = config.reconcile;
        config.reconcile.forges = reconcile.duration("forges", INTERVAL, forges);
        config.reconcile.trackers = reconcile.duration("trackers", INTERVAL, trackers);
    }
    if let Some(node) = file.section("keep", &keys::KEEP).as_ref().and_then(|keep| keep.get("runs")) {
        config.keep_runs = match node.literal() {
            Some("never") => None,
            Some(word) if word.starts_with(|first: char| first.is_alphabetic()) => {
                let problem = Problem::at(node.span.clone(), format!("{} cannot be {}", node.what, quoted(word)));
                let what = "it is a time such as \"30d\", or the word";
                node.report.add(problem.of_value().choices(what, word, ["never"]));
                Some(KEEP_RUNS)
            }
            _ => Some(node.duration(&KEPT).unwrap_or(KEEP_RUNS)),
        };
    }
    if let Some(sandbox) = file.section("sandbox", &keys::SANDBOX) {
        let modes = [("auto", SandboxMode::Auto), ("bubblewrap", SandboxMode::Bubblewrap), ("none", SandboxMode::None)];
        config.sandbox = SandboxPolicy {
            mode: sandbox.get("mode").and_then(|node| node.word(&modes)).unwrap_or(SandboxMode::Auto),
            readable: paths.readable(&sandbox),
        };
    }
    if let Some(node) = file.need(
        "plugins",
        "[plugins]\nceiling = [\"repo\", \"documents\", \"forge\", \"tracker\", \"runs\", \"history\", \"kv\"]",
    ) && let Some(plugins) = node.table("[plugins]", &keys::PLUGINS)
    {
        config.plugins = policy(&plugins);
    }
    config
}

fn policy(plugins: &Section<'_>) -> PluginPolicy {
    let mut limits = Limits::default();
    let mebibyte = 1024 * 1024;
    limits.memory_bytes = plugins.whole("memory-mib", 1..=MEMORY_MIB, limits.memory_bytes / mebibyte) * mebibyte;
    limits.wasm_time = Milliseconds(plugins.whole("time-ms", 10..=600_000, limits.wasm_time.0));
    limits.evaluation_time = Milliseconds(limits.evaluation_time.0.max(limits.wasm_time.0));
    // There is no silent ceiling: whoever runs a host says what plugins may do at most.
    let ceiling = match plugins.need("ceiling", "ceiling = [\"repo\", \"documents\"], or ceiling = \"open\"") {
        Some(node) if node.is_text() => open(&node),
        Some(node) => Some(Ceiling::AtMost(capabilities(&node))),
        None => None,
    };
    PluginPolicy { ceiling: ceiling.unwrap_or(Ceiling::AtMost(Vec::new())), limits }
}

fn open(node: &Node<'_>) -> Option<Ceiling> {
    let text = node.text()?;
    if text.value == "open" {
        return Some(Ceiling::Open);
    }
    let problem =
        Problem::at(text.span, format!("`ceiling` of [plugins] cannot be {}", quoted(&text.value))).of_value();
    let problem = problem.choices("it is a list of capabilities, or the word", &text.value, ["open"]);
    node.report.add(problem.help("with \"open\" what projects grant is the bound"));
    None
}

/// A list of capabilities as manifests spell them.
pub(crate) fn capabilities(node: &Node<'_>) -> Vec<Capability> {
    node.items().unwrap_or_default().iter().filter_map(capability).map(|at| at.value).collect()
}

/// One capability as manifests spell it.
pub(crate) fn capability(node: &Node<'_>) -> Option<At<Capability>> {
    let text = node.text()?;
    match text.value.parse() {
        Ok(value) => Some(At { value, span: text.span }),
        Err(error) => {
            let error: CapabilityError = error;
            let mut problem =
                Problem::at(text.span, format!("{} is no capability", quoted(&text.value))).of_value().label(error.why);
            let word = text.value.split(':').next().unwrap_or_default();
            let families = Family::ALL.map(Family::as_str);
            if let Some(near) = nearest(word, &families).filter(|_| !families.contains(&word)) {
                problem = problem.help(format!("did you mean `{near}`?"));
            }
            let list = Family::ALL.map(|family| format!("`{}`", family.spelling())).join(", ");
            node.report.add(problem.help(format!("they are spelled: {list}")));
            None
        }
    }
}

fn address(node: &Node<'_>) -> Option<SocketAddr> {
    let text = node.text()?;
    if let Ok(address) = text.value.parse::<SocketAddr>() {
        return Some(address);
    }
    let problem = Problem::at(text.span, format!("{} cannot be {}", node.what, quoted(&text.value)))
        .of_value()
        .label("no address with a port")
        .help("write an address and a port, such as \"127.0.0.1:8500\"; port 0 takes any that is free");
    node.report.add(problem);
    None
}
