//! `gatewright config show`: what holds, and where it comes from.

use std::path::Path;

use configuration::{Setting, origins};

use crate::cli::Config;
use crate::output::Output;
use crate::wiring::load;

/// Runs the command.
pub(crate) fn run(dir: &Path, command: &Config, out: &Output) -> anyhow::Result<()> {
    let Config::Show { origin } = command;
    let settings = origins(dir, &load(dir)?);
    out.value(&settings, || settings.iter().map(|setting| line(setting, *origin)).collect::<Vec<_>>().join("\n"))
}

fn line(setting: &Setting, origin: bool) -> String {
    let Setting { file, key, value, line } = setting;
    match (origin, line) {
        (false, _) => format!("{file}: {key} = {value}"),
        (true, Some(line)) => format!("{:<34} {key} = {value}", format!("{file}:{line}")),
        (true, None) => format!("{:<34} {key} = {value}", format!("{file} (default)")),
    }
}
