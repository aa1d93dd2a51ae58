//! The log: lines for people, or JSON objects for whoever gathers them, on standard error.

use configuration::{LogFormat, Watching};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::JsonFields;

use crate::output::say;

/// Overrules the file's level, and may name crates: `GATEWRIGHT_LOG=conductor=debug,info`.
pub(crate) const FILTER: &str = "GATEWRIGHT_LOG";

/// What the environment says in the place of the file's level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Overruled {
    /// Nothing.
    No,
    /// This holds.
    By(String),
    /// This, which is no filter: the file's level holds all the same.
    InVain(String),
}

impl Overruled {
    /// As this process has it.
    pub(crate) fn here() -> Self {
        let Some(said) = std::env::var_os(FILTER) else { return Self::No };
        match said.into_string() {
            Ok(said) if EnvFilter::try_new(&said).is_ok() => Self::By(said),
            Ok(said) => Self::InVain(said),
            Err(said) => Self::InVain(said.to_string_lossy().into_owned()),
        }
    }
}

/// From here on what happens is told. A second call changes nothing.
pub(crate) fn start(watching: &Watching) {
    let level = watching.log_level.as_str();
    let (filter, in_vain) = match Overruled::here() {
        Overruled::By(said) => (EnvFilter::try_new(said).unwrap_or_else(|_| level.into()), None),
        Overruled::No => (level.into(), None),
        Overruled::InVain(said) => (level.into(), Some(said)),
    };
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    // Where somebody has begun already, his lines go on.
    let _ = match watching.log_format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        // Which task, job and run a line is of stands in `span`.
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .fmt_fields(JsonFields::new())
            .try_init(),
    };
    if let Some(said) = in_vain {
        tracing::warn!(said, level, "{FILTER} is no filter of a log; the file's level holds");
    }
}

/// What a person who starts a host wants to know: a line of its own, or one of the log where that is for machines.
pub(crate) fn tell(watching: &Watching, text: &str) {
    match watching.log_format {
        LogFormat::Text => say(text),
        LogFormat::Json => tracing::info!("{text}"),
    }
}
