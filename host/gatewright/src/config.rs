//! `gatewright config show`: what holds, and where it comes from.

use std::path::Path;

use configuration::{Origin, Setting, origins};

use crate::cli::Config;
use crate::client::TOKEN_VARIABLE;
use crate::logging::{FILTER, Overruled};
use crate::output::Output;
use crate::wiring::load;

/// Where a value stands that is in no file.
const ENVIRONMENT: &str = "environment";
/// A value is cut to this many characters.
const SHOWN: usize = 200;
/// Names that say where the state folder is, and what `~` stands for.
const FOLDERS: [&str; 2] = ["XDG_STATE_HOME", "HOME"];

/// Runs the command.
pub(crate) fn run(dir: &Path, command: &Config, out: &Output) -> anyhow::Result<()> {
    let Config::Show { origin } = command;
    let mut settings = origins(dir, &load(dir)?);
    add_environment(&mut settings);
    out.value(&settings, || settings.iter().map(|setting| line(setting, *origin)).collect::<Vec<_>>().join("\n"))
}

/// What the environment of whoever asks says. A host that a service manager started has another one.
fn add_environment(settings: &mut Vec<Setting>) {
    let said = |key: &str, value: Option<String>| Setting {
        file: ENVIRONMENT.to_owned(),
        key: key.to_owned(),
        from: if value.is_some() { Origin::Environment } else { Origin::Default },
        value: value.unwrap_or_else(|| "none".to_owned()),
        line: None,
    };
    match Overruled::here() {
        Overruled::No => settings.push(said(FILTER, None)),
        Overruled::By(filter) => {
            // What the file says of it does not hold.
            settings.retain(|setting| setting.key != "log.level");
            settings.push(said("log.level", Some(quoted(&filter))));
            settings.push(said(FILTER, Some(quoted(&filter))));
        }
        Overruled::InVain(words) => {
            let words = format!("{} (no filter of a log: `log.level` holds)", quoted(&words));
            settings.push(said(FILTER, Some(words)));
        }
    }
    let token = std::env::var_os(TOKEN_VARIABLE).map(|_| "set, and never shown".to_owned());
    settings.push(said(TOKEN_VARIABLE, token));
    for name in FOLDERS {
        let folder = std::env::var_os(name).filter(|folder| !folder.is_empty());
        settings.push(said(name, folder.map(|folder| quoted(&folder.to_string_lossy()))));
    }
}

fn quoted(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    serde_json::Value::from(cut).to_string()
}

fn line(setting: &Setting, origin: bool) -> String {
    let Setting { file, key, value, line, from } = setting;
    let place = match (origin, from, line) {
        (false, ..) => return format!("{file}: {key} = {value}"),
        (true, _, Some(line)) => format!("{file}:{line}"),
        (true, Origin::Environment, None) => file.clone(),
        (true, Origin::File | Origin::Default, None) => format!("{file} (default)"),
    };
    format!("{place:<34} {key} = {value}")
}
