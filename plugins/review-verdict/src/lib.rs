//! Gate `review-verdict` (catalogue F2): the reviewer's `verdict: APPROVED` passes; `REQUEST_CHANGES` sends the task back with
//! the findings word for word; anything else is no approval.

mod findings;

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate, request};
use verdict_document::{Written, judge_document};

request!(
    r#"version = 1

[[capability]]
name = "documents"
reason = "reads the verdict and the findings that the reviewer wrote"
"#
);

struct ReviewVerdict;

impl Gate for ReviewVerdict {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        judge_document("review", judge)
    }
}

export_gate!(ReviewVerdict);

fn judge(review: &Written) -> Verdict {
    review.judge_head(|head| {
        Ok(match head.value("verdict")? {
            "APPROVED" => Verdict::pass(format!("{} approves", review.name)),
            "REQUEST_CHANGES" => Verdict::fail(findings::of_review(&review.name, head.body)),
            other => review.unknown_value("verdict", other, "APPROVED, REQUEST_CHANGES"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Verdict {
        judge(&Written { name: "12-review.md".to_owned(), text: text.to_owned() })
    }

    fn titles(verdict: Verdict) -> Vec<String> {
        let Verdict::Fail(failed) = verdict else { panic!("{verdict:?}") };
        failed.findings.into_iter().map(|finding| finding.title).collect()
    }

    /// Catalogue F2.1.
    #[test]
    fn f2_1_the_field_wins_over_an_approving_body() {
        let verdict = judged("---\nverdict: REQUEST_CHANGES\n---\n# APPROVED\n\n## Findings\n- P0: drops the table\n");
        assert_eq!(titles(verdict), ["P0: drops the table"]);
    }

    /// Catalogue F2.2.
    #[test]
    fn f2_2_the_field_wins_over_a_body_that_quotes_the_other() {
        let verdict = judged("---\nverdict: APPROVED\n---\nLast time: verdict: REQUEST_CHANGES\n");
        assert_eq!(verdict, Verdict::pass("12-review.md approves"));
    }

    #[test]
    fn any_other_value_is_named_and_does_not_pass() {
        for value in ["approved", "APPROVED_WITH_COMMENTS", "REJECTED", "PASS"] {
            let titles = titles(judged(&format!("---\nverdict: {value}\n---\n")));
            assert!(titles[0].contains(value), "{titles:?}");
        }
    }
}
