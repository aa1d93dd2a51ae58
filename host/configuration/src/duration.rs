//! Spans of time as files spell them: `90s`, `10m`, `1h30m`.

use domain::time::Milliseconds;

/// No span in a file is longer: what is longer is a slip of the pen.
const LONGEST: u64 = 90 * 24 * 60 * 60 * 1000;

/// How a span is spelled, for messages.
pub(crate) const SPELLING: &str = "a time such as \"90s\", \"10m\" or \"1h30m\"";

/// Parses a span; the error says what is wrong.
pub(crate) fn parse(text: &str) -> Result<Milliseconds, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut before = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|character: char| character.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().map_err(|_| "a number is missing or too large".to_owned())?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|character: char| character.is_ascii_alphabetic()).len();
        let unit = match &rest[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" if rest.trim_start() != rest => {
                return Err("no space stands in it, and the units are ms, s, m, h and d: 90s, 1h30m".to_owned());
            }
            "" => return Err("the unit is missing: ms, s, m, h or d".to_owned()),
            _ => return Err("the units are ms, s, m, h and d".to_owned()),
        };
        if unit >= before {
            return Err("the larger unit stands first, each once".to_owned());
        }
        before = unit;
        rest = &rest[letters..];
        total = number.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or("it is too long")?;
    }
    if total > LONGEST { Err("it is longer than 90 days".to_owned()) } else { Ok(Milliseconds(total)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_everything_else_is_refused() {
        for (text, milliseconds) in
            [("250ms", 250), ("90s", 90_000), ("10m", 600_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("0s", 0)]
        {
            assert_eq!(parse(text), Ok(Milliseconds(milliseconds)), "{text}");
        }
        for text in
            ["", "10", "m", "10 m", "10min", "30m1h", "1m1m", "-5s", "1.5h", "99999999999999999999s", "91d", "１m"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
