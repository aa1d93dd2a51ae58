//! `[log]` and `[telemetry]`: what the host says of itself, in which form, and to whom.

use crate::diagnostic::{Problem, quoted};
use crate::keys;
use crate::reader::{Node, Section};

/// What the host says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watching {
    /// In which form lines of the log are written.
    pub log_format: LogFormat,
    /// From which weight on.
    pub log_level: LogLevel,
    /// Where traces are sent: `http://HOST:PORT`; none: nowhere.
    pub traces: Option<String>,
}

/// In which form lines of the log are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object each.
    Json,
}

/// From which weight on lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what went wrong and stays so.
    Error,
    /// What went wrong too.
    Warn,
    /// What happened too.
    #[default]
    Info,
    /// Why it happened too.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// As the file spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

pub(crate) fn read(file: &Section<'_>) -> Watching {
    let mut watching = Watching::default();
    if let Some(log) = file.section("log", &keys::LOG) {
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let levels = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
        let levels = levels.map(|level| (level.as_str(), level));
        watching.log_format = log.get("format").and_then(|node| node.word(&formats)).unwrap_or_default();
        watching.log_level = log.get("level").and_then(|node| node.word(&levels)).unwrap_or_default();
    }
    if let Some(telemetry) = file.section("telemetry", &keys::TELEMETRY) {
        watching.traces = telemetry.get("otlp").and_then(|node| collector(&node));
    }
    watching
}

/// `http://HOST:PORT`, and nothing behind it: the path is OTLP's own.
fn collector(node: &Node<'_>) -> Option<String> {
    const FORM: &str = "it is the address of a collector that takes OTLP over HTTP, such as \"http://127.0.0.1:4318\"";
    let text = node.text()?;
    let refuse = |label: &str, help: &str| {
        let problem =
            Problem::at(text.span.clone(), format!("{} cannot be {}", node.what, quoted(&text.value))).of_value();
        node.report.add(problem.label(label).help(help));
        None
    };
    let Some(rest) = text.value.strip_prefix("http://") else {
        let is_https = text.value.starts_with("https://");
        return if is_https {
            refuse("only `http` is spoken here", "send to a collector on this machine, and let that one encrypt")
        } else {
            refuse("no address that begins with `http://`", FORM)
        };
    };
    let place = rest.strip_suffix('/').unwrap_or(rest);
    if place.contains('@') {
        return refuse("a name or password stands in it", "no secret is ever written into a file");
    }
    let is_host = |host: &str| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_[]:".contains(&byte))
    };
    match place.rsplit_once(':') {
        Some((host, port)) if is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0) => {
            Some(format!("http://{place}"))
        }
        _ => refuse("no host with a port, and nothing behind it", FORM),
    }
}
