//! What holds because no file says otherwise, taken from what the reader made of the files.

use conductor::dialect::{ClaudeCode, Codex, Dialect, PermissionMode};
use conductor::project::{AgentSpec, CommandSpec, UsageReader, Worker};
use conductor::shutdown::Manner;
use domain::budget::Cap;
use domain::cost::Price;
use domain::document::Role;
use domain::limits::RunLimits;
use domain::network::Network;
use domain::pipeline::OnPatience;
use domain::plugin::Amendable;
use domain::time::Milliseconds;

use crate::binding::{GatePlace, PluginBinding};
use crate::host::{HostConfig, SandboxMode};
use crate::keys;
use crate::known::Kind;
use crate::load::ProjectFile;
use crate::reader::spelled;
use crate::watching::LogFormat;

/// Where nothing is what holds, and no file can spell that.
const NONE: &str = "none";

/// A value that its own key does not write.
pub(super) struct Unsaid {
    pub(super) key: String,
    pub(super) value: String,
    /// The key that says it in its place, where there is one in the same file.
    pub(super) said_by: Option<String>,
}

/// All of a table.
struct Table<'a> {
    head: String,
    all: &'a mut Vec<Unsaid>,
}

impl Table<'_> {
    fn put(&mut self, key: &str, value: impl Into<String>) {
        self.put_by(key, value, None);
    }

    fn put_by(&mut self, key: &str, value: impl Into<String>, said_by: Option<String>) {
        let key = if self.head.is_empty() { key.to_owned() } else { format!("{}.{key}", self.head) };
        self.all.push(Unsaid { key, value: value.into(), said_by });
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list<T: AsRef<str>>(words: impl IntoIterator<Item = T>) -> String {
    format!("[{}]", words.into_iter().map(|word| quoted(word.as_ref())).collect::<Vec<_>>().join(", "))
}

fn paths(paths: &[std::path::PathBuf]) -> String {
    list(paths.iter().map(|path| path.to_string_lossy()))
}

fn time(span: Milliseconds) -> String {
    quoted(&spelled(span.0))
}

fn dollars(micros: u64) -> String {
    format!("{}", micros as f64 / 1e6)
}

fn bytes(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.into_iter().find(|(shift, _)| bytes >= 1 << shift && bytes.trailing_zeros() >= *shift);
    whole.map_or_else(|| bytes.to_string(), |(shift, name)| quoted(&format!("{}{name}", bytes >> shift)))
}

fn optional<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| quoted(&value.to_string()))
}

pub(super) fn of_host(host: &HostConfig) -> Vec<Unsaid> {
    let mode = match host.sandbox.mode {
        SandboxMode::Auto => "auto",
        SandboxMode::Bubblewrap => "bubblewrap",
        SandboxMode::None => "none",
    };
    let ending = match host.shutdown {
        Manner::Leave => "leave",
        Manner::Drain => "drain",
    };
    let format = match host.watching.log_format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    // What no file narrows has all the places that there are.
    let most = |runs: u32| runs.min(host.limits.runs).to_string();
    let mut all = Vec::new();
    let mut table = Table { head: String::new(), all: &mut all };
    table.put("listen.operator", quoted(&host.operator.to_string()));
    table.put("operator.hosts", list(&host.reach.hosts));
    table.put("operator.proxies", list(host.reach.proxies.iter().map(ToString::to_string)));
    table.put("operator.https", host.reach.https.to_string());
    table.put("webhooks.listen", optional(host.webhooks));
    table.put("limits.runs", host.limits.runs.to_string());
    table.put("limits.runs-per-project", most(host.limits.each.project));
    table.put("limits.runs-per-repository", most(host.limits.each.repository));
    table.put("limits.runs-per-driver", most(host.limits.each.driver));
    table.put("limits.free-space-mib", host.free_space_mib.to_string());
    table.put("shutdown.mode", quoted(ending));
    table.put("reconcile.trackers", time(host.reconcile.trackers));
    table.put("reconcile.forges", time(host.reconcile.forges));
    table.put("keep.runs", host.keep_runs.map_or_else(|| quoted("never"), time));
    table.put("log.format", quoted(format));
    table.put("log.level", quoted(host.watching.log_level.as_str()));
    table.put("telemetry.otlp", optional(host.watching.traces.as_ref()));
    table.put("sandbox.mode", quoted(mode));
    table.put("sandbox.readable", paths(&host.sandbox.readable));
    table.put("plugins.memory-mib", (host.plugins.limits.memory_bytes >> 20).to_string());
    table.put("plugins.time-ms", host.plugins.limits.wasm_time.0.to_string());
    all
}

pub(super) fn of_project(file: &ProjectFile, host: &HostConfig) -> Vec<Unsaid> {
    let settings = &file.settings;
    let runs = settings.runs.unwrap_or(host.limits.each.project).min(host.limits.runs);
    let mut all = Vec::new();
    let mut table = Table { head: String::new(), all: &mut all };
    table.put("mode", quoted(if settings.observe { "observe" } else { "act" }));
    table.put("serial", file.project.serial.to_string());
    table.put("limits.runs", runs.to_string());
    for intent in keys::DECIDERS.keys {
        table.put(&format!("deciders.{intent}"), "everybody");
    }
    let budgets = settings.budgets;
    for (key, cap) in [("task", budgets.task), ("day", budgets.day), ("total", budgets.total)] {
        caps(&format!("budget.{key}"), cap, &mut all);
    }
    price(settings.price, &mut all);
    for (role, worker) in &settings.workers {
        let head = format!("roles.{role}");
        match worker {
            Worker::Agent(spec) => agent(head, *role, spec, &mut all),
            Worker::Command(spec) => command(head, spec, &mut all),
        }
    }
    for (hook, spec) in &settings.hooks {
        command(format!("commands.{}", hook.as_str()), spec, &mut all);
    }
    for (step, value) in &settings.gate_settings {
        Table { head: format!("gates.{step}"), all: &mut all }.put("settings", value.to_string());
    }
    plugins(file, &mut all);
    let (mapper, value) = &settings.status_mapper;
    let mut table = Table { head: "status-mapper".to_owned(), all: &mut all };
    table.put("plugin", quoted(mapper.as_str()));
    table.put("settings", value.to_string());
    all
}

/// Where a table bounds one thing, the rest of it is unbounded too; where it is not there, it as a whole is.
fn caps(head: &str, cap: Cap, all: &mut Vec<Unsaid>) {
    let mut table = Table { head: head.to_owned(), all };
    table.put("cost-usd", cap.cost_microusd.map_or_else(|| NONE.to_owned(), dollars));
    table.put("tokens", cap.tokens.map_or_else(|| NONE.to_owned(), |tokens| tokens.to_string()));
    table.put("wall", cap.wall.map_or_else(|| NONE.to_owned(), time));
}

fn price(price: Price, all: &mut Vec<Unsaid>) {
    let mut table = Table { head: "price".to_owned(), all };
    // No file spells a price of nothing: it is the one that was not said.
    let said = |amount: u64, text: String| if amount == 0 { NONE.to_owned() } else { text };
    table.put("usd-per-hour", said(price.microusd_per_hour, dollars(price.microusd_per_hour)));
    table.put("tokens-per-hour", said(price.tokens_per_hour, price.tokens_per_hour.to_string()));
    for (kind, micros) in
        ["input", "output", "cache-read", "cache-creation"].into_iter().zip(price.microusd_per_million)
    {
        table.put(&format!("usd-per-million-{kind}-tokens"), said(micros, dollars(micros)));
    }
}

fn agent(head: String, role: Role, spec: &AgentSpec, all: &mut Vec<Unsaid>) {
    let ladder = |key: &str| {
        let kind = match spec.dialect {
            Dialect::Command => return None,
            Dialect::ClaudeCode(_) => Kind::ClaudeCode,
            Dialect::Codex(_) => Kind::Codex,
        };
        Some(format!("ladder.{}.{key}", kind.word()))
    };
    caps(&format!("{head}.budget"), spec.cap, all);
    let mut table = Table { head: head.clone(), all };
    table.put("prompt", quoted(&format!("prompts/{role}.md")));
    table.put("timeout", time(spec.budget));
    table.put("grace", time(spec.grace));
    table.put("driver", quoted(spec.driver.as_str()));
    table.put_by("model", optional(spec.model.as_ref()), ladder("model"));
    table.put_by("effort", optional(spec.effort.as_ref()), ladder("effort"));
    table.put("pass-environment", list(&spec.pass_environment));
    table.put("readable", paths(&spec.readable));
    table.put("writable", paths(&spec.writable));
    table.put("network", network(&spec.network));
    match &spec.dialect {
        Dialect::Command => {
            // What it says of its usage stands in the file, key by key.
            if matches!(spec.usage, UsageReader::None) {
                table.put("usage", NONE);
            }
            table.put("transient.exit-codes", "[]");
            table.put("transient.words", "[]");
        }
        Dialect::ClaudeCode(known) => claude(known, spec, &mut table),
        Dialect::Codex(known) => codex(known, spec, &mut table),
    }
    limits(head, spec.limits, all);
}

fn claude(known: &ClaudeCode, spec: &AgentSpec, table: &mut Table<'_>) {
    let mode = PermissionMode::ALL.into_iter().find(|(_, mode)| *mode == known.permission_mode);
    table.put("program", optional(spec.argv.first()));
    table.put("api", known.api.as_ref().map_or_else(|| "the maker's".to_owned(), |api| quoted(api)));
    table.put("api-key", optional(known.held.as_ref().map(|held| &held.variable)));
    table.put("api-retries", known.retries.to_string());
    table.put("api-timeout", time(known.patience));
    table.put("permission-mode", optional(mode.map(|(word, _)| word)));
    table.put("tools", list(&known.tools));
    table.put("fallback-model", optional(known.fallback_model.as_ref()));
    table.put("resume", known.resume.to_string());
}

fn codex(known: &Codex, spec: &AgentSpec, table: &mut Table<'_>) {
    table.put("program", optional(spec.argv.first()));
    table.put("api", quoted(&known.api));
    table.put("api-key", optional(known.held.as_ref().map(|held| &held.variable)));
    table.put("api-retries", known.retries.to_string());
    table.put("api-timeout", time(known.patience));
    table.put("resume", known.resume.to_string());
}

fn network(network: &Network) -> String {
    list(network.0.iter().map(ToString::to_string))
}

fn command(head: String, spec: &CommandSpec, all: &mut Vec<Unsaid>) {
    let mut table = Table { head: head.clone(), all };
    table.put("timeout", time(spec.budget));
    table.put("grace", time(spec.grace));
    table.put("pass-environment", list(&spec.pass_environment));
    table.put("readable", paths(&spec.readable));
    table.put("writable", paths(&spec.writable));
    table.put("network", network(&spec.network));
    table.put("sandboxed", spec.sandboxed.to_string());
    limits(head, spec.limits, all);
}

fn limits(head: String, limits: RunLimits, all: &mut Vec<Unsaid>) {
    let mut table = Table { head: format!("{head}.limits"), all };
    table.put("memory", limits.memory.map_or_else(|| "half of the machine's".to_owned(), bytes));
    table.put("processes", limits.processes.to_string());
    table.put("disk", bytes(limits.disk));
    table.put("open-files", limits.open_files.to_string());
}

/// The reader left none of them out: the files are sound. So each stands at its number.
fn plugins(file: &ProjectFile, all: &mut Vec<Unsaid>) {
    for (number, plugin) in file.plugins.iter().enumerate() {
        component(file, plugin, Table { head: format!("plugin.{number}"), all });
    }
    for (number, guard) in file.settings.guards.iter().enumerate() {
        let mut table = Table { head: format!("guard.{number}"), all };
        table.put("settings", guard.settings.to_string());
        table.put("on-error", quoted(if guard.allow_on_error { "allow" } else { "hold" }));
        table.put("patience", time(guard.patience));
    }
    for (number, (_, settings)) in file.settings.notifiers.iter().enumerate() {
        Table { head: format!("notifier.{number}"), all }.put("settings", settings.to_string());
    }
}

fn component(file: &ProjectFile, plugin: &PluginBinding, mut table: Table<'_>) {
    let amendable = |one: &Amendable| match one {
        Amendable::Phase => "phase",
        Amendable::Text => "text",
    };
    table.put("kind", quoted(plugin.kind.as_str()));
    table.put("grants", list(plugin.grant.capabilities.iter().map(ToString::to_string)));
    table.put("refused", list(plugin.grant.refused.iter().map(ToString::to_string)));
    table.put("amend", list(plugin.grant.amend.iter().map(amendable)));
    let Some(GatePlace { stage, step }) = &plugin.gate else { return };
    table.put("step", quoted(step.as_str()));
    if let Some(step) = file.project.pipeline.step(stage, step) {
        table.put("patience", time(step.patience));
        table.put("on-patience", quoted(if step.on_patience == OnPatience::Hold { "hold" } else { "fail" }));
    }
}
