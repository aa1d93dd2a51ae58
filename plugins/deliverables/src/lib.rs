//! Gate `deliverables` (catalogue B6): the documents that a stage owes are there.
//!
//! Settings: `required`, the kinds of documents; `["brd"]` where none is said.

use gatewright_sdk::errors::Flaw;
use gatewright_sdk::gate::documents::Document;
use gatewright_sdk::gate::{Finding, Gate, Infrastructure, Severity, Subject, Verdict, documents};
use gatewright_sdk::{export_gate, request};
use serde::Deserialize;

request!(
    r#"version = 1

[[capability]]
name = "documents"
reason = "looks which documents the stage wrote"
"#
);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    required: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { required: vec!["brd".to_owned()] }
    }
}

struct Deliverables;

impl Gate for Deliverables {
    type Settings = Settings;

    fn flaws(settings: &Settings) -> Vec<Flaw> {
        if settings.required.is_empty() {
            return vec![Flaw::new("/required", "name at least one kind of document, or leave the step out")];
        }
        let blank = settings.required.iter().enumerate().filter(|(_, kind)| kind.trim().is_empty());
        blank.map(|(index, _)| Flaw::new(format!("/required/{index}"), "a kind is a word such as `brd`")).collect()
    }

    fn evaluate(_subject: Subject, settings: Settings) -> Result<Verdict, Infrastructure> {
        Ok(judge(&settings.required, &documents::list()?))
    }
}

export_gate!(Deliverables);

fn judge(required: &[String], documents: &[Document]) -> Verdict {
    let missing = required.iter().filter(|kind| !documents.iter().any(|document| delivers(document, kind)));
    let findings = missing
        .map(|kind| {
            Finding::new("deliverables", Severity::Blocker, format!("The document `{kind}` is missing"))
                .with_detail("This stage owes it, and no run of this visit wrote it with anything in it.")
        })
        .collect();
    Verdict::pass_unless(findings, format!("written: {}", required.join(", ")))
}

/// A document of an earlier visit, or of another hand, delivers nothing.
fn delivers(document: &Document, kind: &str) -> bool {
    document.current && document.kind == kind && document.size > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(kind: &str, current: bool, size: u64) -> Document {
        Document {
            id: 1,
            kind: kind.to_owned(),
            name: format!("01-{kind}.md"),
            stage: "analysis".to_owned(),
            visit: 1,
            current,
            run: Some(1),
            written_at: 0,
            size,
        }
    }

    fn check(required: &[&str], documents: &[Document], missing: &[&str]) {
        let required: Vec<String> = required.iter().map(|kind| (*kind).to_owned()).collect();
        let titles: Vec<String> = match judge(&required, documents) {
            Verdict::Pass(_) => Vec::new(),
            Verdict::Fail(failed) => failed.findings.into_iter().map(|finding| finding.title).collect(),
            other => panic!("{other:?}"),
        };
        let expected: Vec<String> = missing.iter().map(|kind| format!("The document `{kind}` is missing")).collect();
        assert_eq!(titles, expected);
    }

    #[test]
    fn each_missing_document_is_named() {
        check(&["brd"], &[document("brd", true, 10)], &[]);
        check(&["brd", "specification"], &[document("brd", true, 10)], &["specification"]);
        check(&["brd", "acceptance"], &[], &["brd", "acceptance"]);
    }

    #[test]
    fn an_old_or_an_empty_document_delivers_nothing() {
        check(&["brd"], &[document("brd", false, 10)], &["brd"]);
        check(&["brd"], &[document("brd", true, 0)], &["brd"]);
        check(&["brd"], &[document("brd", false, 10), document("brd", true, 10)], &[]);
    }

    #[test]
    fn settings_that_ask_for_nothing_are_flawed() {
        assert_eq!(Settings::default().required, ["brd"]);
        assert_eq!(Deliverables::flaws(&Settings { required: Vec::new() })[0].pointer, "/required");
        assert_eq!(
            Deliverables::flaws(&Settings { required: vec!["brd".into(), " ".into()] })[0].pointer,
            "/required/1"
        );
    }
}
