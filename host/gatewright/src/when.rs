//! Times and spans, as people write and read them on the command line.

use anyhow::{Context as _, bail};
use conductor::ports::clock::Clock as _;
use domain::time::{Milliseconds, Timestamp};

use crate::clock::SystemClock;

/// A time, as RFC 3339 writes it.
pub(crate) fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0 as i64).map_or_else(|_| at.0.to_string(), |time| time.to_string())
}

/// A time, or how long before `now` it was.
fn moment_of(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    if let Ok(milliseconds) = text.parse() {
        return Ok(Timestamp(milliseconds));
    }
    if let Ok(span) = span(text) {
        return Ok(Timestamp(now.0.saturating_sub(span.0)));
    }
    let form = "write 2026-01-31T12:00:00Z, how long ago it was (7d, 12h, 90m), or milliseconds since 1970";
    let time: jiff::Timestamp = text.parse().with_context(|| format!("`{text}` is no time: {form}"))?;
    let milliseconds = u64::try_from(time.as_millisecond()).ok().with_context(|| format!("`{text}` is before 1970"))?;
    Ok(Timestamp(milliseconds))
}

/// The same of now: whoever gives it on the command line means that.
pub(crate) fn given(text: &str) -> anyhow::Result<Timestamp> {
    moment_of(text, SystemClock.now())
}

/// `30d`, `12h`, `90m`: one number with its unit.
pub(crate) fn span(text: &str) -> anyhow::Result<Milliseconds> {
    const FORM: &str = "write a whole number and a unit: 30d, 12h, 90m";
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => bail!("`{text}` is no span of time: {FORM}"),
    };
    let number = digits.parse::<u64>().map_err(|_| anyhow::anyhow!("`{text}` is no span of time: {FORM}"))?;
    Ok(Milliseconds(number.saturating_mul(seconds * 1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_with_a_unit() {
        for (text, seconds) in [("30d", 2_592_000), ("12h", 43_200), ("90m", 5400), ("2w", 1_209_600), ("5s", 5)] {
            assert_eq!(span(text).unwrap(), Milliseconds::from_seconds(seconds));
        }
        for text in ["", "30", "d", "-1d", "1.5h", "3y", "ä"] {
            assert!(span(text).unwrap_err().to_string().contains("30d, 12h, 90m"), "{text}");
        }
    }

    #[test]
    fn a_time_is_written_in_full_or_as_how_long_ago() {
        let now = Timestamp(1_769_860_800_000);
        let cases = [("2026-01-31T12:00:00Z", now), ("1769860800000", now), ("5m", Timestamp(now.0 - 300_000))];
        for (text, expected) in cases {
            assert_eq!(moment_of(text, now).unwrap(), expected, "{text}");
        }
        for text in ["yesterday", "", "-5", "1969-01-31T12:00:00Z"] {
            assert!(moment_of(text, now).is_err(), "{text}");
        }
        assert_eq!(moment(now), "2026-01-31T12:00:00Z");
    }
}
