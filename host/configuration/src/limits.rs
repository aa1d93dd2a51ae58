//! How many runs there are at one time, of whom, by which signs an agent's failure passes by itself, and how the host ends.

use std::collections::{BTreeMap, BTreeSet};

use conductor::ports::store::Each;
use conductor::project::{ProjectSettings, TransientSigns, Worker};
use conductor::shutdown::Manner;
use domain::ids::DriverName;

use crate::diagnostic::{Problem, Report, quoted};
use crate::keys;
use crate::reader::{At, Section};

/// Runs at one time, unless the file says another number.
const RUNS: u64 = 2;
/// More runs than this at one time are none of one machine's.
const MOST_RUNS: u64 = 64;
/// A shorter word would stand in every log.
const WORD_LENGTH: usize = 4;

/// Runs at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// In all.
    pub runs: u32,
    /// Of each project, repository, driver.
    pub each: Each,
    /// Of these drivers.
    pub drivers: BTreeMap<DriverName, u32>,
}

impl Default for RunLimits {
    fn default() -> Self {
        let each = Each { project: u32::MAX, repository: u32::MAX, driver: u32::MAX };
        Self { runs: RUNS as u32, each, drivers: BTreeMap::new() }
    }
}

/// `[limits]` and `[drivers]` of the host's file.
pub(crate) fn of_host(file: &Section<'_>) -> RunLimits {
    let mut found = RunLimits::default();
    if let Some(limits) = file.section("limits", &keys::LIMITS) {
        found.runs = limits.whole("runs", 1..=MOST_RUNS, RUNS) as u32;
        let of = |key| narrower(&limits, key, found.runs).unwrap_or(u32::MAX);
        found.each = Each {
            project: of("runs-per-project"),
            repository: of("runs-per-repository"),
            driver: of("runs-per-driver"),
        };
    }
    for (name, section) in drivers(file) {
        let runs = section.need("runs", "runs = 1").and_then(|_| narrower(&section, "runs", found.runs));
        found.drivers.extend(runs.map(|runs| (name.value, runs)));
    }
    found
}

fn drivers<'f>(file: &Section<'f>) -> Vec<(At<DriverName>, Section<'f>)> {
    let Some(tables) = file.get("drivers").and_then(|node| node.free_table("[drivers]")) else { return Vec::new() };
    let mut found = Vec::new();
    for (key, node) in tables.entries() {
        let section = node.table(&format!("[drivers.{}]", quoted(&key.value).trim_matches('`')), &keys::DRIVER);
        match (DriverName::new(key.value), section) {
            (Ok(value), Some(section)) => found.push((At { value, span: key.span }, section)),
            (Err(error), _) => file.report.add(Problem::at(key.span, error.to_string())),
            (Ok(_), None) => {}
        }
    }
    found
}

/// A limit within the one in all: a wider one would never be reached, and whoever wrote it believes otherwise.
fn narrower(section: &Section<'_>, key: &str, in_all: u32) -> Option<u32> {
    let node = section.get(key)?;
    let runs = node.whole(1..=MOST_RUNS)? as u32;
    if runs > in_all {
        let problem = Problem::at(node.span, format!("{} is more than the {in_all} runs in all", node.what));
        section.report.add(
            problem
                .label("never reached")
                .help(format!("at most {in_all}, or raise `runs` of [limits] in gatewright.toml")),
        );
        return None;
    }
    Some(runs)
}

/// `[limits]` of a project's file.
pub(crate) fn of_project(file: &Section<'_>, host: Option<&RunLimits>) -> Option<u32> {
    let limits = file.section("limits", &keys::PROJECT_LIMITS)?;
    narrower(&limits, "runs", host.map_or(MOST_RUNS as u32, |host| host.runs))
}

/// `[shutdown]`.
pub(crate) fn shutdown(file: &Section<'_>) -> Manner {
    let section = file.section("shutdown", &keys::SHUTDOWN);
    let mode = section.and_then(|section| section.get("mode"));
    mode.and_then(|node| node.word(&[("leave", Manner::Leave), ("drain", Manner::Drain)])).unwrap_or_default()
}

/// `driver` of a role; without it the program's own name: whoever is launched by one program mostly speaks to one service.
pub(crate) fn driver(section: &Section<'_>, program: &str) -> Option<DriverName> {
    match section.get("driver") {
        Some(node) => node.parsed::<DriverName>().map(|at| at.value),
        None => Some(driver_of(program)),
    }
}

/// A program's name as a driver's.
fn driver_of(program: &str) -> DriverName {
    let file = program.rsplit('/').next().unwrap_or_default();
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    let name: String = file.chars().take(64).map(|character| if plain(character) { character } else { '-' }).collect();
    let parsed = DriverName::new(name.trim_matches(['-', '_', '.']));
    parsed.unwrap_or_else(|_| DriverName::new("agent").unwrap_or_else(|_| unreachable!("a sound name")))
}

/// `transient` of a role.
pub(crate) fn transient(section: &Section<'_>) -> TransientSigns {
    let table = section.get("transient").and_then(|node| node.table("transient", &keys::TRANSIENT));
    let Some(table) = table else { return TransientSigns::default() };
    let codes = table.get("exit-codes").and_then(|node| node.items()).unwrap_or_default();
    let exit_codes = codes.iter().filter_map(|node| node.whole(1..=255)).map(|code| code as i32).collect();
    let mut words = Vec::new();
    for text in table.texts("words") {
        if text.value.trim().chars().count() < WORD_LENGTH {
            let problem = Problem::at(text.span, format!("{} is too short a sign", quoted(&text.value))).of_value();
            table.report.add(problem.help(format!(
                "at least {WORD_LENGTH} characters: it is looked for in the end of every failed run's log"
            )));
            continue;
        }
        words.push(text.value);
    }
    TransientSigns { exit_codes, words }
}

/// A limit of a driver that nobody has is a slip, and the limit that was meant holds nobody back.
pub(crate) fn tell_unused_drivers(report: &Report, file: &Section<'_>, projects: &[&ProjectSettings]) {
    let workers = projects.iter().flat_map(|settings| settings.workers.values());
    let used: BTreeSet<&DriverName> = workers.filter_map(Worker::driver).collect();
    for (name, _) in drivers(file) {
        if !used.contains(&name.value) {
            let problem = Problem::at(name.span, format!("no role of any project has the driver `{}`", name.value));
            let names = used.iter().map(|name| name.as_str());
            report.add(problem.label("it limits nobody").choices("these are used", name.value.as_str(), names));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_names_its_driver() {
        for (program, expected) in [
            ("claude", "claude"),
            ("/opt/agents/codex", "codex"),
            ("/srv/my agent.sh", "my-agent.sh"),
            ("/srv/_x_", "x"),
            ("/srv/żółć", "agent"),
            ("/srv/a.lock", "agent"),
        ] {
            assert_eq!(driver_of(program).as_str(), expected, "{program}");
        }
        assert_eq!(driver_of(&"x".repeat(300)).as_str().len(), 64);
    }
}
