//! Reviews as agents write them.

use super::*;

fn check(body: &str, expected: &[(Severity, &str)]) -> Vec<Finding> {
    let findings = of_review("12-review.md", body);
    let shown: Vec<(Severity, &str)> =
        findings.iter().map(|finding| (finding.severity, finding.title.as_str())).collect();
    assert_eq!(shown, expected, "{body}");
    findings
}

const WHOLE: (Severity, &str) = (Severity::Major, "12-review.md asks for changes");

#[test]
fn points_become_findings_with_all_their_lines() {
    let findings = check(
        "# Review\nP0 above does not count\n\n## Findings\n\n- **P0** — drops the table\n  at `src/a.rs:12`\n\n  ```\n  \
         - P1 in code\n  ```\n- P1: no test\n1. [P2] a typo\n* (P3) a thought\n\n## Praise\n- P0: not a finding\n",
        &[
            (Severity::Blocker, "**P0** — drops the table"),
            (Severity::Major, "P1: no test"),
            (Severity::Minor, "[P2] a typo"),
            (Severity::Note, "(P3) a thought"),
        ],
    );
    assert_eq!(findings[0].detail, "- **P0** — drops the table\n  at `src/a.rs:12`\n\n  ```\n  - P1 in code\n  ```");
}

#[test]
fn headings_and_rows_become_findings() {
    check(
        "## Findings\n### F-1 (P1): unbounded queue\nIt grows.\n- and grows\n### P0\nThe lock is never freed.\n### Notes\nnone\n",
        &[(Severity::Major, "F-1 (P1): unbounded queue"), (Severity::Blocker, "P0 The lock is never freed.")],
    );
    let findings = check(
        "## Findings (2)\n\n| # | severity | what |\n|---|---|---|\n| 1 | P0 | leaks |\n| 2 | P2 | wording |\n",
        &[(Severity::Blocker, "1 | P0 | leaks |"), (Severity::Minor, "2 | P2 | wording |")],
    );
    assert_eq!(findings[0].detail, "| 1 | P0 | leaks |");
}

#[test]
fn a_sentence_that_mentions_a_mark_is_none() {
    check("## Findings\nThere is no P0 here, but rename it.\n", &[WHOLE]);
    check("## Findings\nP1: rename it.\n", &[(Severity::Major, "P1: rename it.")]);
}

#[test]
fn what_bears_no_mark_is_carried_beside_what_does() {
    let findings = check(
        "## Findings\n- P0: leaks\n  a lot\n- the name lies\n  and how\n### Style\nTabs here.\n- and there\n### Praise\nNone.\n- P2: a typo\n",
        &[
            (Severity::Blocker, "P0: leaks"),
            (Severity::Minor, "the name lies"),
            (Severity::Minor, "Style"),
            (Severity::Minor, "P2: a typo"),
        ],
    );
    assert_eq!(findings[0].detail, "- P0: leaks\n  a lot");
    assert_eq!(findings[1].detail, "- the name lies\n  and how");
    assert_eq!(findings[2].detail, "### Style\nTabs here.\n- and there");
}

#[test]
fn an_empty_rubric_is_no_finding() {
    check("## Findings\n### P0\nNone.\n### P1\n- no test\n", &[(Severity::Major, "P1 no test")]);
    check("## Findings\n- P0: none\n- P1: n/a\n", &[WHOLE]);
}

#[test]
fn without_anything_to_mend_the_whole_section_is() {
    let findings = check("## Findings\n- rename it\n\n## Next\n", &[WHOLE]);
    assert_eq!(findings[0].detail, "- rename it");
    check("## Findings\n- P2: rename it\n", &[WHOLE, (Severity::Minor, "P2: rename it")]);
}

#[test]
fn without_a_section_the_whole_review_is() {
    let findings = check("# Review\nBad.\n", &[WHOLE]);
    assert!(findings[0].detail.ends_with("# Review\nBad."), "{}", findings[0].detail);
}
