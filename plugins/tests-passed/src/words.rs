//! Which words in a result speak for it, and which against it. Real reports combine them: "PASS — ready-to-deploy".

/// For people.
pub(crate) const POSITIVE_SHOWN: &str = "PASS, PASSED, GREEN, APPROVED, SUCCESS, READY-TO-DEPLOY";

const POSITIVE: &[&str] = &["PASS", "PASSED", "GREEN", "APPROVED", "SUCCESS", "SUCCESSFUL"];
/// Each of these is one word of a compound too: `REQUEST_CHANGES`, `TIMED-OUT`, `NOT PASSED`.
const NEGATIVE: &[&str] = &[
    "ABORTED",
    "BLOCKED",
    "BROKEN",
    "CANCELED",
    "CANCELLED",
    "CHANGES",
    "CRASHED",
    "ERROR",
    "ERRORS",
    "FAIL",
    "FAILED",
    "FAILING",
    "FAILS",
    "FAILURE",
    "FAILURES",
    "FLAKY",
    "INCOMPLETE",
    "INCONCLUSIVE",
    "NO",
    "NOK",
    "NOT",
    "PARTIAL",
    "PARTIALLY",
    "PENDING",
    "RED",
    "REJECT",
    "REJECTED",
    "SKIPPED",
    "TIMED",
    "TIMEOUT",
    "UNSTABLE",
];

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Leaning {
    /// The word that counts against it.
    Negative(String),
    Positive,
    Neither,
}

impl Leaning {
    /// Any negative word wins.
    pub(crate) fn of(value: &str) -> Self {
        let words: Vec<String> = value
            .split(|character: char| !character.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_uppercase)
            .collect();
        if let Some(word) = words.iter().find(|word| NEGATIVE.contains(&word.as_str())) {
            return Self::Negative(word.clone());
        }
        let ready = words.windows(3).any(|words| words == ["READY", "TO", "DEPLOY"]);
        if ready || words.iter().any(|word| POSITIVE.contains(&word.as_str())) { Self::Positive } else { Self::Neither }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case_and_in_compounds() {
        for value in
            ["PASS", "pass", "Passed.", "READY-TO-DEPLOY", "ready to deploy", "✅ Green", "PASS — ready-to-deploy"]
        {
            assert_eq!(Leaning::of(value), Leaning::Positive, "{value}");
        }
        for (value, word) in [
            ("BLOCKED", "BLOCKED"),
            ("fail", "FAIL"),
            ("REQUEST_CHANGES", "CHANGES"),
            ("timed-out", "TIMED"),
            ("PASSED with 2 failures", "FAILURES"),
            ("not passed", "NOT"),
            ("PASS/FAIL", "FAIL"),
        ] {
            assert_eq!(Leaning::of(value), Leaning::Negative(word.to_owned()), "{value}");
        }
    }

    #[test]
    fn parts_of_words_say_nothing() {
        for value in ["", "bypass", "password", "final", "passing-grade-unknown", "redirect", "notable"] {
            assert_eq!(Leaning::of(value), Leaning::Neither, "{value}");
        }
    }
}
