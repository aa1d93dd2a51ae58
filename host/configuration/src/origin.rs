//! What holds, and where it comes from: each value that a file writes with its line, and beside them what holds because no file
//! says otherwise. The latter are taken from what the reader made of the files, so they are what a host goes by.

use std::path::Path;

use conductor::project::{CommandSpec, Worker};
use conductor::shutdown::Manner;
use domain::limits::RunLimits;
use domain::time::Milliseconds;
use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Place, visible};
use crate::host::{HostConfig, SandboxMode};
use crate::load::{HOST_FILE, Loaded, ProjectFile, read_text, shown};
use crate::reader::spelled;

/// A value is cut to this many characters.
const SHOWN: usize = 200;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// The file that it belongs to.
    pub file: String,
    /// With dots; an entry of a list of tables by its number from 0.
    pub key: String,
    /// As a file would spell it.
    pub value: String,
    /// Where it is written; none: it is what holds by default.
    pub line: Option<usize>,
}

/// All values of the files, each file's in its order, and then its defaults. The files were loaded: no secret is in them.
pub fn origins(dir: &Path, loaded: &Loaded) -> Vec<Setting> {
    let mut all = of_file(&dir.join(HOST_FILE), HOST_FILE, host_defaults(&loaded.host));
    for file in &loaded.projects {
        all.extend(of_file(&file.source, &shown(dir, &file.source), project_defaults(file, &loaded.host)));
    }
    all
}

fn of_file(path: &Path, name: &str, defaults: Vec<(String, String)>) -> Vec<Setting> {
    // It was read a moment ago; what became of it since is told by the next `check`.
    let Some(text) = read_text(path, name, &mut Vec::new()) else { return Vec::new() };
    let (table, _) = DeTable::parse_recoverable(&text);
    let mut written = Vec::new();
    leaves(table.get_ref(), &text, &mut Vec::new(), &mut written);
    written.sort_by_key(|(_, _, line)| *line);
    let covers = |key: &str, other: &str| other == key || other.starts_with(&format!("{key}."));
    let unsaid: Vec<_> = defaults
        .into_iter()
        .filter(|(key, _)| !written.iter().any(|(other, _, _)| covers(key, other) || covers(other, key)))
        .collect();
    let setting = |key, value, line| Setting { file: name.to_owned(), key, value, line };
    let own = written.into_iter().map(|(key, value, line)| setting(key, value, Some(line)));
    own.chain(unsaid.into_iter().map(|(key, value)| setting(key, value, None))).collect()
}

fn leaves(table: &DeTable<'_>, text: &str, path: &mut Vec<String>, all: &mut Vec<(String, String, usize)>) {
    for (key, value) in table {
        path.push(visible(key.get_ref()));
        leaf(value, text, path, all);
        path.pop();
    }
}

fn leaf(value: &Spanned<DeValue<'_>>, text: &str, path: &mut Vec<String>, all: &mut Vec<(String, String, usize)>) {
    match value.get_ref() {
        DeValue::Table(table) => leaves(table, text, path, all),
        DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
            for (number, item) in items.iter().enumerate() {
                path.push(number.to_string());
                leaf(item, text, path, all);
                path.pop();
            }
        }
        _ => {
            let words = text.get(value.span()).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
            let cut: String = words.chars().take(SHOWN).collect();
            let value_shown = if cut.len() < words.len() { format!("{cut}…") } else { cut };
            all.push((path.join("."), value_shown, Place::of(text, value.span()).line));
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn time(span: Milliseconds) -> String {
    quoted(&spelled(span.0))
}

fn bytes(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = units.into_iter().find(|(shift, _)| bytes >= 1 << shift && bytes.trailing_zeros() >= *shift);
    whole.map_or_else(|| bytes.to_string(), |(shift, name)| quoted(&format!("{}{name}", bytes >> shift)))
}

fn host_defaults(host: &HostConfig) -> Vec<(String, String)> {
    let mode = match host.sandbox.mode {
        SandboxMode::Auto => "auto",
        SandboxMode::Bubblewrap => "bubblewrap",
        SandboxMode::None => "none",
    };
    let ending = match host.shutdown {
        Manner::Leave => "leave",
        Manner::Drain => "drain",
    };
    // What no file narrows has all the places that there are.
    let most = |runs: u32| runs.min(host.limits.runs).to_string();
    let pairs = [
        ("listen.operator", quoted(&host.operator.to_string())),
        ("limits.runs", host.limits.runs.to_string()),
        ("limits.runs-per-project", most(host.limits.each.project)),
        ("limits.runs-per-repository", most(host.limits.each.repository)),
        ("limits.runs-per-driver", most(host.limits.each.driver)),
        ("limits.free-space-mib", host.free_space_mib.to_string()),
        ("shutdown.mode", quoted(ending)),
        ("reconcile.trackers", time(host.reconcile.trackers)),
        ("reconcile.forges", time(host.reconcile.forges)),
        ("sandbox.mode", quoted(mode)),
        ("sandbox.readable", "[]".to_owned()),
        ("plugins.memory-mib", (host.plugins.limits.memory_bytes >> 20).to_string()),
        ("plugins.time-ms", host.plugins.limits.wasm_time.0.to_string()),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn project_defaults(file: &ProjectFile, host: &HostConfig) -> Vec<(String, String)> {
    let settings = &file.settings;
    let runs = settings.runs.unwrap_or(host.limits.each.project).min(host.limits.runs);
    let mut pairs = vec![
        ("serial".to_owned(), file.project.serial.to_string()),
        ("limits.runs".to_owned(), runs.to_string()),
        ("status-mapper.plugin".to_owned(), quoted(settings.status_mapper.0.as_str())),
    ];
    for (role, worker) in &settings.workers {
        let head = format!("roles.{role}");
        match worker {
            Worker::Agent(agent) => {
                pairs.push((format!("{head}.timeout"), time(agent.budget)));
                pairs.push((format!("{head}.grace"), time(agent.grace)));
                pairs.push((format!("{head}.driver"), quoted(agent.driver.as_str())));
                limits(&head, agent.limits, &mut pairs);
            }
            Worker::Command(command) => of_command(&head, command, &mut pairs),
        }
    }
    for (hook, command) in &settings.hooks {
        of_command(&format!("commands.{}", hook.as_str()), command, &mut pairs);
    }
    pairs
}

fn of_command(head: &str, command: &CommandSpec, pairs: &mut Vec<(String, String)>) {
    pairs.push((format!("{head}.timeout"), time(command.budget)));
    pairs.push((format!("{head}.grace"), time(command.grace)));
    limits(head, command.limits, pairs);
}

fn limits(head: &str, limits: RunLimits, pairs: &mut Vec<(String, String)>) {
    let memory = limits.memory.map_or_else(|| "half of the machine's".to_owned(), bytes);
    pairs.push((format!("{head}.limits.memory"), memory));
    pairs.push((format!("{head}.limits.processes"), limits.processes.to_string()));
    pairs.push((format!("{head}.limits.disk"), bytes(limits.disk)));
    pairs.push((format!("{head}.limits.open-files"), limits.open_files.to_string()));
}
