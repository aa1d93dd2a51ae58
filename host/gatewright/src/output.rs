//! What goes to standard output: text for people, or one JSON value.

use std::io::Write as _;
use std::path::PathBuf;

use domain::time::Timestamp;
pub(crate) use gateway::shell::quoted;
use serde::Serialize;

/// Where answers go.
pub(crate) struct Output {
    /// One JSON value instead of text.
    pub(crate) json: bool,
    /// `--dir`, where it was given: commands that are shown need it too.
    pub(crate) dir: Option<PathBuf>,
}

impl Output {
    /// Prints a value, or what people read of it.
    pub(crate) fn value<V: Serialize>(&self, value: &V, text: impl FnOnce() -> String) -> anyhow::Result<()> {
        let line = if self.json { serde_json::to_string_pretty(value)? } else { text() };
        self.line(&line)
    }

    /// Prints a list, and beneath it what it leaves out: for whoever reads JSON on standard error.
    pub(crate) fn list<V: Serialize>(
        &self,
        rows: &V,
        rest: Option<String>,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        self.value(rows, text)?;
        match rest {
            Some(rest) if self.json => say(&rest),
            Some(rest) => self.line(&rest)?,
            None => {}
        }
        Ok(())
    }

    /// A command as it must be typed here.
    pub(crate) fn command(&self, line: &str) -> String {
        gateway::shell::command(self.dir.as_deref(), line)
    }

    /// Prints a line. A reader that went away is no error of ours.
    #[expect(clippy::unused_self, reason = "all output takes this one way")]
    pub(crate) fn line(&self, line: &str) -> anyhow::Result<()> {
        match writeln!(anstream::stdout(), "{line}") {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }
}

/// Prints a line for people to standard error.
pub(crate) fn say(line: &str) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// A time as a distance from now.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        return format!("in {} s", at.since(now).0.div_ceil(1000));
    }
    let seconds = now.since(at).0 / 1000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// A number with what is counted.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A number of bytes as people read it.
pub(crate) fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} bytes"),
    }
}
