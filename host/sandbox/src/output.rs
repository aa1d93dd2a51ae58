//! What a guest says for people: `log.write`, stdout and stderr, 256 KiB together. When that is full the rest is swallowed and
//! counted: a stream that stopped taking bytes would make every Rust panic spin.

use serde::{Deserialize, Serialize};

use crate::text::{Lines, clean};

/// How a line came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// `log.write` as debug.
    Debug,
    /// `log.write` as info.
    Info,
    /// `log.write` as warn.
    Warn,
    /// `log.write` as error.
    Error,
    /// Written to stdout.
    Stdout,
    /// Written to stderr.
    Stderr,
}

/// One message, or a stretch of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How it came.
    pub level: LogLevel,
    /// What it says, made visible.
    pub text: String,
}

/// What a message takes beside its text, so that empty ones are not free.
const LINE_BYTES: u64 = 16;

/// The log of one call.
#[derive(Debug)]
pub(crate) struct Output {
    lines: Vec<(LogLevel, Vec<u8>)>,
    left: u64,
    dropped: u64,
}

impl Output {
    pub(crate) fn new(limit: u64) -> Self {
        Self { lines: Vec::new(), left: limit, dropped: 0 }
    }

    /// Takes a message as far as there is room.
    pub(crate) fn write(&mut self, level: LogLevel, bytes: &[u8]) {
        let stream = matches!(level, LogLevel::Stdout | LogLevel::Stderr);
        let continues = stream && self.lines.last().is_some_and(|(last, _)| *last == level);
        if !continues {
            if self.left < LINE_BYTES {
                self.dropped += bytes.len() as u64;
                return;
            }
            self.left -= LINE_BYTES;
            self.lines.push((level, Vec::new()));
        }
        let kept = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        if let Some((_, text)) = self.lines.last_mut() {
            text.extend_from_slice(&bytes[..kept]);
        }
        self.left -= kept as u64;
        self.dropped += (bytes.len() - kept) as u64;
    }

    /// The lines, made visible; the last says how much was swallowed, if anything was.
    pub(crate) fn finish(self) -> Vec<LogLine> {
        let show = |(level, bytes): (LogLevel, Vec<u8>)| LogLine {
            level,
            text: clean(&String::from_utf8_lossy(&bytes), usize::MAX, Lines::Many),
        };
        let mut lines: Vec<LogLine> = self.lines.into_iter().map(show).collect();
        if self.dropped > 0 {
            let text = format!("the log is full: {} more bytes were swallowed", self.dropped);
            lines.push(LogLine { level: LogLevel::Warn, text });
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_swallows_the_rest_and_says_so_once() {
        let mut output = Output::new(64);
        for _ in 0..1000 {
            output.write(LogLevel::Stdout, b"0123456789");
            output.write(LogLevel::Info, b"");
        }
        let lines = output.finish();
        assert!(lines.len() <= 6, "{lines:?}");
        let last = lines.last().unwrap();
        assert_eq!(last.level, LogLevel::Warn);
        assert!(last.text.contains("more bytes were swallowed"));
    }

    #[test]
    fn stretches_of_one_stream_are_one_line_and_escapes_are_shown() {
        let mut output = Output::new(1024);
        output.write(LogLevel::Stderr, b"panicked at \x1b[31m");
        output.write(LogLevel::Stderr, b"here\n");
        output.write(LogLevel::Info, b"done");
        let texts: Vec<String> = output.finish().into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["panicked at ␛[31mhere\n", "done"]);
    }
}
