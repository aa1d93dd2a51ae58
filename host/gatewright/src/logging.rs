//! The log: lines for people, or JSON objects for whoever gathers them, on standard error.

use configuration::{LogFormat, Watching};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::JsonFields;

use crate::output::say;

/// Overrules the file's level, and may name crates: `GATEWRIGHT_LOG=conductor=debug,info`.
const FILTER: &str = "GATEWRIGHT_LOG";

/// From here on what happens is told. A second call changes nothing.
pub(crate) fn start(watching: &Watching) {
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| watching.log_level.as_str().into());
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
}

/// What a person who starts a host wants to know: a line of its own, or one of the log where that is for machines.
pub(crate) fn tell(watching: &Watching, text: &str) {
    match watching.log_format {
        LogFormat::Text => say(text),
        LogFormat::Json => tracing::info!("{text}"),
    }
}
