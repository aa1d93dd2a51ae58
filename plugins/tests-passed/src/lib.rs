//! Gate `tests-passed` (catalogue F3): the test report's `result`, `verdict` or `status` is positive and none is negative.

mod words;

use gatewright_sdk::frontmatter::{Frontmatter, Unread};
use gatewright_sdk::gate::{Finding, Gate, Infrastructure, Severity, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate, request};
use verdict_document::{Written, failing_fragment, judge_document, title};
use words::Leaning;

request!(
    r#"version = 1

[[capability]]
name = "documents"
reason = "reads the result that the tester wrote"
"#
);

const RULE: &str = "tests";
/// Equal in rank: producers have used each of them.
const KEYS: [&str; 3] = ["result", "verdict", "status"];

struct TestsPassed;

impl Gate for TestsPassed {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        judge_document("test-report", judge)
    }
}

export_gate!(TestsPassed);

fn judge(report: &Written) -> Verdict {
    report.judge_head(|head| {
        let filled = filled(head)?;
        let leaning = |wanted: fn(&Leaning) -> bool| filled.iter().find(|(_, value)| wanted(&Leaning::of(value)));
        if let Some((key, value)) = leaning(|leaning| matches!(leaning, Leaning::Negative(_))) {
            return Ok(failed(report, key, value, head.body));
        }
        Ok(match leaning(|leaning| *leaning == Leaning::Positive) {
            Some((key, value)) => Verdict::pass(title(&format!("{}: `{key}: {value}`", report.name))),
            None => report.unknown_value(filled[0].0, filled[0].1, words::POSITIVE_SHOWN),
        })
    })
}

/// The keys that hold something, at least one. A key with a list in it is no value and no absence either.
fn filled<'head>(head: &'head Frontmatter<'_>) -> Result<Vec<(&'static str, &'head str)>, Unread> {
    let mut filled = Vec::new();
    let mut nothing = None;
    for key in KEYS {
        match head.value(key) {
            Ok(value) => filled.push((key, value)),
            Err(unread @ Unread::NotPlain { .. }) => return Err(unread),
            // The reason of the canonical key is shown, unless a later one is there and empty.
            Err(unread @ Unread::EmptyKey { .. }) => nothing = Some(unread),
            Err(unread) => nothing = nothing.or(Some(unread)),
        }
    }
    match nothing {
        Some(unread) if filled.is_empty() => Err(unread),
        _ => Ok(filled),
    }
}

fn failed(report: &Written, key: &str, value: &str, body: &str) -> Verdict {
    let word = match Leaning::of(value) {
        Leaning::Negative(word) => word,
        Leaning::Positive | Leaning::Neither => String::new(),
    };
    let finding = Finding::new(RULE, Severity::Blocker, title(&format!("{}: `{key}: {value}`", report.name)))
        .with_detail(format!("The word {word} counts against it.\n\n{}", failing_fragment(body)));
    Verdict::fail(vec![finding])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(head: &str) -> Verdict {
        let text = format!("---\n{head}\n---\n# Report\n23 passed\ntest lock ... FAILED\n");
        judge(&Written { name: "13-test-report.md".to_owned(), text })
    }

    fn failing(head: &str) -> Finding {
        let Verdict::Fail(failed) = judged(head) else { panic!("{head}: {:?}", judged(head)) };
        failed.findings.into_iter().next().unwrap()
    }

    /// Catalogue F3.1.
    #[test]
    fn f3_1_one_positive_field_is_enough() {
        for head in [
            "result: PASS",
            "verdict: approved",
            "status: Green",
            "result: PASS — ready-to-deploy",
            "result: PASS\nstatus: final",
            "result:\nverdict: PASSED",
        ] {
            assert!(matches!(judged(head), Verdict::Pass(_)), "{head}: {:?}", judged(head));
        }
    }

    /// Catalogue F3.2.
    #[test]
    fn f3_2_a_negative_word_wins_whatever_field_it_is_in() {
        for head in ["result: PASS\nstatus: blocked", "status: PASSED\nresult: FAILED", "verdict: PASS, 1 failed"] {
            let finding = failing(head);
            assert!(finding.detail.contains("test lock ... FAILED"), "{}", finding.detail);
            assert!(finding.title.starts_with("13-test-report.md: `"), "{}", finding.title);
        }
    }

    /// Catalogue F3.3.
    #[test]
    fn f3_3_none_of_the_fields_is_no_pass() {
        assert!(failing("author: tester").title.contains("no key `result`"));
        assert!(failing("author: tester\nstatus:").title.contains("`status` in its frontmatter is empty"));
        assert!(failing("result: final").title.contains("`result: final` is none of"));
        assert!(failing("result: PASS\nstatus: [FAILED]").title.contains("no plain value"));
    }
}
