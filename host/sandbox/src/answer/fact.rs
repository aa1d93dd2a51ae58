//! Facts that a guest measured: a word with a JSON value.

use domain::verdict::Fact;
use serde::de::IgnoredAny;

use super::Reading;
use crate::bindings::gatewright::tasks::tasks;
use crate::fault::Fault;
use crate::text::is_word;

const FIGURES: usize = 100;
const VALUE_BYTES: usize = 64 * 1024;
const DEPTH: usize = 32;

impl Reading<'_> {
    pub(super) fn figures(&mut self, figures: Vec<tasks::Fact>) -> Result<Vec<Fact>, Fault> {
        let mut dropped = 0;
        let mut kept = Vec::new();
        for figure in figures {
            self.count(&figure.key)?;
            self.count(&figure.value)?;
            if kept.len() == FIGURES {
                dropped += 1;
            } else if !is_word(&figure.key) {
                self.note("a figure was left out: its key is no kebab-case word of at most 64 characters");
            } else if let Err(why) = check_json(&figure.value) {
                self.note(format!("the figure `{}` was left out: {why}", figure.key));
            } else {
                kept.push(figure.into());
            }
        }
        if dropped > 0 {
            self.note(format!("{dropped} figures over the first {FIGURES} were dropped"));
        }
        Ok(kept)
    }
}

/// The depth is counted over the bytes before any parser sees them, so no parser's recursion depends on the guest.
fn check_json(text: &str) -> Result<(), String> {
    if text.len() > VALUE_BYTES {
        return Err(format!("its value has more than {VALUE_BYTES} bytes"));
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            return Err(format!("its value is nested more than {DEPTH} deep"));
        }
    }
    serde_json::from_str::<IgnoredAny>(text).map(|_| ()).map_err(|error| format!("its value is no JSON ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_json_of_bounded_size_and_depth() {
        for good in ["82.1", "\"a [[[[ string\"", "{\"a\":[1,2]}", &format!("{}{}", "[".repeat(32), "]".repeat(32))] {
            assert_eq!(check_json(good), Ok(()), "{good}");
        }
        for bad in ["", "82,1", "{", "NaN", &"[".repeat(60_000), &format!("\"{}\"", "a".repeat(VALUE_BYTES))] {
            assert!(check_json(bad).is_err(), "{}", &bad[..bad.len().min(20)]);
        }
    }
}
