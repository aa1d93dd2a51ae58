//! Gate `deliverables` (catalogue B5, B6): the documents that a stage owes are there, and none of them objects.
//!
//! Whoever finds that what is wanted contradicts itself, or cannot be built, writes `verdict: CONFLICT` into the head of the
//! document that it owes. The task then goes back along its edge, with that document's words.
//!
//! Settings: `required`, the kinds of documents; `["brd"]` where none is said.

use gatewright_sdk::errors::{Flaw, HostError};
use gatewright_sdk::frontmatter::{Frontmatter, Unread};
use gatewright_sdk::gate::documents::{Document, Unreadable};
use gatewright_sdk::gate::{Finding, Gate, Infrastructure, Severity, Subject, Verdict, documents};
use gatewright_sdk::{export_gate, request};
use serde::Deserialize;

request!(
    r#"version = 1

[[capability]]
name = "documents"
reason = "looks which documents the stage wrote, and whether one of them objects"
"#
);

const RULE: &str = "deliverables";
/// What a document says that objects.
const CONFLICT: &str = "CONFLICT";

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
        let documents = documents::list()?;
        let mut findings = missing(&settings.required, &documents);
        for document in documents.iter().filter(|document| is_owed(document, &settings.required)) {
            findings.extend(match documents::text(document) {
                Ok(text) => objection(&document.name, &text),
                Err(Unreadable::NotText) => Some(unread(&document.name, "it is not UTF-8 text")),
                Err(Unreadable::Host(HostError::TooLarge(limit))) => {
                    Some(unread(&document.name, &format!("it is larger than {limit} bytes")))
                }
                Err(Unreadable::Host(error)) => return Err(error.into()),
            });
        }
        Ok(Verdict::pass_unless(findings, format!("written: {}", settings.required.join(", "))))
    }
}

export_gate!(Deliverables);

fn missing(required: &[String], documents: &[Document]) -> Vec<Finding> {
    let missing = required.iter().filter(|kind| !documents.iter().any(|document| delivers(document, kind)));
    missing
        .map(|kind| {
            Finding::new(RULE, Severity::Blocker, format!("The document `{kind}` is missing"))
                .with_detail("This stage owes it, and no run of this visit wrote it with anything in it.")
        })
        .collect()
}

fn is_owed(document: &Document, required: &[String]) -> bool {
    required.iter().any(|kind| delivers(document, kind))
}

/// A document needs no head. One that has a head must have one that can be read: what it says may be an objection.
fn objection(name: &str, text: &str) -> Option<Finding> {
    let read = Frontmatter::read(text).and_then(|head| Ok((head.value("verdict")?.to_owned(), head.body)));
    match read {
        Ok((verdict, body)) if verdict.eq_ignore_ascii_case(CONFLICT) => {
            let title = format!("{name}: what is wanted contradicts itself or cannot be built");
            Some(Finding::new(RULE, Severity::Blocker, title).with_detail(body.trim()))
        }
        Ok((verdict, _)) => {
            Some(unread(name, &format!("`verdict: {verdict}` is not `{CONFLICT}`, and it needs no other")))
        }
        Err(Unread::NoFrontmatter | Unread::MissingKey { .. }) => None,
        Err(why) => Some(unread(name, &why.to_string())),
    }
}

fn unread(name: &str, why: &str) -> Finding {
    Finding::new(RULE, Severity::Blocker, format!("{name} cannot be read"))
        .with_detail(format!("Whether it objects is not known: {why}."))
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
        let titles: Vec<String> =
            super::missing(&required, documents).into_iter().map(|finding| finding.title).collect();
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

    fn said(text: &str) -> Option<(String, String)> {
        objection("ADR-001-cart.md", text).map(|finding| (finding.title, finding.detail))
    }

    /// Catalogue B5.1.
    #[test]
    fn b5_1_a_document_that_objects_sends_back_with_its_words() {
        for word in ["CONFLICT", "conflict"] {
            let (title, detail) =
                said(&format!("---\nverdict: {word}\n---\n## Decision\nLine 3 wants both.\n")).unwrap();
            assert!(title.contains("ADR-001-cart.md") && title.contains("contradicts itself"), "{title}");
            assert_eq!(detail, "## Decision\nLine 3 wants both.");
        }
    }

    /// Catalogue B5.2: prose is never searched for it.
    #[test]
    fn b5_2_a_document_that_does_not_object_lets_on() {
        for text in ["# Decision\n\nverdict: CONFLICT\n", "---\nstatus: accepted\n---\nCONFLICT\n", ""] {
            assert_eq!(said(text), None, "{text}");
        }
    }

    #[test]
    fn a_head_that_cannot_be_read_opens_nothing() {
        for text in
            ["---\nverdict: [CONFLICT]\n---\n", "---\nverdict:\n---\n", "---\nverdict: CONFLCT\n---\n", "---\n: :\n"]
        {
            let (title, _) = said(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(title, "ADR-001-cart.md cannot be read");
        }
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
