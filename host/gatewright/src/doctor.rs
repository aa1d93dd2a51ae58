//! `gatewright doctor`: what a host relies on, looked at and tried, each thing with what helps where it fails.
//!
//! A look changes nothing of the state but what the host itself would make again (its shim in `cache/`). What is asked of a program
//! is its version alone, and that only of programs that are known to answer and do nothing else.

mod files;
mod host;
mod machine;
mod people;
pub(crate) mod program;
mod workers;

use std::path::Path;

use configuration::Loaded;
use serde::Serialize;

use crate::output::{Output, counted};

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Level {
    /// It works.
    Ok,
    /// It works, and somebody should know.
    Warning,
    /// Something that the host needs does not work.
    Error,
}

/// One line.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) name: &'static str,
    /// How it stands.
    pub(crate) level: Level,
    /// What was found, a sentence without a full stop.
    pub(crate) found: String,
    /// What helps; none: nothing is needed.
    pub(crate) cure: Option<String>,
}

impl Finding {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, level: Level::Ok, found: found.into(), cure: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { name, level: Level::Warning, found: found.into(), cure: Some(cure.into()) }
    }

    fn error(name: &'static str, found: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { name, level: Level::Error, found: found.into(), cure: Some(cure.into()) }
    }
}

/// Runs the command. No: something that the host needs does not work.
pub(crate) fn run(dir: &Path, out: &Output) -> anyhow::Result<bool> {
    anyhow::ensure!(dir.is_dir(), "there is no state folder {}: run `gatewright init` first", dir.display());
    let findings = examine(dir, out);
    let sound = findings.iter().all(|finding| finding.level != Level::Error);
    out.value(&serde_json::json!({"ok": sound, "dir": dir, "findings": findings}), || text(&findings))?;
    Ok(sound)
}

/// Looks at everything, whatever is wrong with the files: what could not be read of them has its default.
fn examine(dir: &Path, out: &Output) -> Vec<Finding> {
    let looked = configuration::look(dir, &crate::wiring::surroundings());
    let mut findings = vec![files::sound(&looked)];
    let loaded = &looked.readable;
    findings.extend(files::repositories(dir, &looked));
    let living = host::living(dir);
    findings.extend(files::database(dir));
    findings.push(machine::disk(dir, &loaded.host));
    findings.extend(machine::clocks(dir));
    findings.push(machine::git(dir));
    findings.extend(held(dir, loaded, living.as_ref()));
    findings.extend(workers::programs(loaded));
    findings.extend(workers::readiness(dir, loaded));
    findings.extend(workers::plugins(dir, loaded));
    if looked.is_host_sound() || living.is_some() {
        findings.extend(host::ports(dir, &loaded.host, living.as_ref()));
        findings.extend(host::webhooks(dir, &loaded.host, living.as_ref()));
        findings.extend(living.as_ref().map(|living| host::refused(living, out)).unwrap_or_default());
    } else {
        findings.extend(host::unknown_ports());
    }
    findings.extend(host::tokens(dir, living.as_ref()));
    findings.push(host::unit(dir, living.is_some()));
    findings.extend(people::modes(dir));
    findings.extend(people::backups(dir, out));
    findings
}

/// By what runs are held: the living host says what holds its own; else this very process tries.
fn held(dir: &Path, loaded: &Loaded, living: Option<&host::Living>) -> Vec<Finding> {
    match living.and_then(|living| living.system.as_ref()) {
        Some(system) => machine::held(&system.runs_held, loaded.host.sandbox.mode),
        None => machine::try_holding(dir, loaded),
    }
}

fn text(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        let level = match finding.level {
            Level::Ok => "ok     ",
            Level::Warning => "warning",
            Level::Error => "error  ",
        };
        lines.push(format!("{level}  {:<12} {}", finding.name, finding.found));
        if let Some(cure) = &finding.cure {
            lines.push(format!("{:24}{cure}", "→ "));
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count() as u64;
    let errors = counted(count(Level::Error), "error", "errors");
    let warnings = counted(count(Level::Warning), "warning", "warnings");
    lines.push(format!("{errors}, {warnings}, {} ok", count(Level::Ok)));
    lines.join("\n")
}
