//! Why a run failed, as far as its log's end tells: something that passes by itself (a rate limit, an overload), or not.

use std::time::Duration;

/// How the next attempt should be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// It passes by itself: wait, with a budget of its own.
    Transient {
        /// How long the other side asked us to wait.
        retry_after: Option<Duration>,
    },
    /// All else, an empty or missing log too.
    Permanent,
}

/// What is looked at: only the end of this run's own log.
pub const TAIL_BYTES: u64 = 8 * 1024;
/// No longer wait than this is believed.
const LONGEST: Duration = Duration::from_hours(24);
/// Words of the services that agents speak to.
const PASSING: [&str; 8] = [
    "rate limit",
    "rate_limit",
    "ratelimit",
    "too many requests",
    "overloaded",
    "service unavailable",
    "status 529",
    "error 529",
];

/// Reads the end of a failed run's log.
pub fn classify(log: &[u8]) -> FailureClass {
    let end = &log[log.len().saturating_sub(TAIL_BYTES as usize)..];
    let text = String::from_utf8_lossy(end).to_lowercase();
    if PASSING.iter().any(|words| text.contains(words)) || names_status(&text, "429") {
        return FailureClass::Transient { retry_after: retry_after(&text) };
    }
    FailureClass::Permanent
}

/// The number as a word of its own, beside a word that makes it a status: line 429 of a file is none.
fn names_status(text: &str, status: &str) -> bool {
    text.lines().any(|line| {
        let mut words = line.split(|character: char| !character.is_ascii_alphanumeric());
        words.any(|word| word == status) && ["http", "status", "error", "api"].iter().any(|hint| line.contains(hint))
    })
}

fn retry_after(text: &str) -> Option<Duration> {
    let behind = ["retry-after", "retry_after", "retry after"]
        .iter()
        .find_map(|name| Some(&text[text.rfind(name)? + name.len()..]))?;
    let digits = behind.trim_start_matches(|character: char| !character.is_ascii_digit() && character != '\n');
    let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok().map(|seconds| Duration::from_secs(seconds).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c3_1_a_rate_limit_is_transient_and_its_wait_is_read() {
        let log = b"HTTP status 429 Too Many Requests\nRetry-After: 30\n";
        let expected = FailureClass::Transient { retry_after: Some(Duration::from_secs(30)) };
        assert_eq!(classify(log), expected);
        assert_eq!(
            classify(b"{\"error\":{\"type\":\"overloaded_error\"}}"),
            FailureClass::Transient { retry_after: None }
        );
        assert_eq!(classify(b"API Error: 429"), FailureClass::Transient { retry_after: None });
        let endless = classify(b"rate limit, retry_after=99999999999");
        assert_eq!(endless, FailureClass::Transient { retry_after: Some(LONGEST) });
    }

    #[test]
    fn all_else_is_permanent() {
        for log in [&b""[..], b"panicked at src/main.rs:429:1", b"assertion failed: 429", b"\xff\xfe", b"error[E0429]"]
        {
            assert_eq!(classify(log), FailureClass::Permanent, "{}", String::from_utf8_lossy(log));
        }
    }

    #[test]
    fn only_the_end_is_looked_at() {
        let mut log = b"rate limit\n".to_vec();
        log.extend(vec![b'x'; TAIL_BYTES as usize]);
        assert_eq!(classify(&log), FailureClass::Permanent);
    }
}
