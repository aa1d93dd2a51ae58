//! Gate `questions` (catalogue B7): an analyst that has questions gets answers first.
//!
//! The signal is the document `questions` of this visit. It counts until a later run of the visit delivers: what the same run
//! wrote beside its questions was invented without the answers.
//!
//! Settings: `deliverables`, the kinds that supersede questions; `["brd", "specification", "acceptance"]` where none is said.

use gatewright_sdk::frontmatter::Frontmatter;
use gatewright_sdk::gate::documents::{Document, Unreadable};
use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, documents};
use gatewright_sdk::{export_gate, request};
use serde::Deserialize;

request!(
    r#"version = 1

[[capability]]
name = "documents"
reason = "reads the questions that the analyst wrote"
"#
);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    deliverables: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { deliverables: ["brd", "specification", "acceptance"].map(str::to_owned).to_vec() }
    }
}

struct Questions;

impl Gate for Questions {
    type Settings = Settings;

    fn evaluate(_subject: Subject, settings: Settings) -> Result<Verdict, Infrastructure> {
        let documents = documents::list()?;
        let Some(questions) = active(&documents, &settings.deliverables) else {
            return Ok(Verdict::not_applicable("nobody waits for an answer"));
        };
        Ok(match documents::text(questions) {
            Ok(text) => ask(&questions.name, &text),
            // Somebody has to look at it, whatever it is.
            Err(Unreadable::NotText) => {
                Verdict::needs_input(format!("{} holds questions, but no text", questions.name))
            }
            Err(Unreadable::Host(error)) => return Err(error.into()),
        })
    }
}

export_gate!(Questions);

/// The questions of this visit, unless a later run of it has delivered.
fn active<'documents>(documents: &'documents [Document], deliverables: &[String]) -> Option<&'documents Document> {
    let questions = documents.iter().find(|document| document.current && document.kind == "questions")?;
    let superseded = documents.iter().any(|document| {
        document.current
            && deliverables.contains(&document.kind)
            && document.run > questions.run
            && document.written_at >= questions.written_at
    });
    (!superseded).then_some(questions)
}

fn ask(name: &str, text: &str) -> Verdict {
    // A head is for machines; without a readable one, all of it is for people.
    let body = Frontmatter::read(text).map_or(text, |head| head.body).trim();
    if body.is_empty() {
        return Verdict::not_applicable(format!("{name} asks nothing"));
    }
    Verdict::needs_input(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(kind: &str, run: u64, written_at: u64) -> Document {
        Document {
            id: written_at,
            kind: kind.to_owned(),
            name: format!("01-{kind}.md"),
            stage: "analysis".to_owned(),
            visit: 1,
            current: true,
            run: Some(run),
            written_at,
            size: 10,
        }
    }

    fn is_active(documents: &[Document]) -> bool {
        active(documents, &Settings::default().deliverables).is_some()
    }

    /// Catalogue B7.1.
    #[test]
    fn b7_1_questions_beat_what_the_same_run_delivered() {
        assert!(is_active(&[document("brd", 1, 20), document("questions", 1, 10)]));
        assert!(is_active(&[document("questions", 1, 20), document("brd", 1, 10)]));
        assert!(is_active(&[document("questions", 2, 20), document("brd", 1, 10)]));
    }

    /// Catalogue B7.2.
    #[test]
    fn b7_2_a_later_run_that_delivered_supersedes_them() {
        assert!(!is_active(&[document("brd", 2, 20), document("questions", 1, 10)]));
        assert!(is_active(&[document("test-plan", 2, 20), document("questions", 1, 10)]));
    }

    #[test]
    fn questions_of_an_earlier_visit_are_answered_already() {
        let old = Document { current: false, ..document("questions", 1, 10) };
        assert!(!is_active(&[old]));
        let foreign = Document { current: false, ..document("brd", 2, 20) };
        assert!(is_active(&[foreign, document("questions", 1, 10)]));
    }

    #[test]
    fn what_is_asked_is_the_reason() {
        assert_eq!(ask("01-questions.md", "---\na: b\n---\n1. Which one?\n"), Verdict::needs_input("1. Which one?"));
        assert_eq!(ask("01-questions.md", "1. Which one?"), Verdict::needs_input("1. Which one?"));
        assert!(matches!(ask("01-questions.md", "---\na: b\n---\n \n"), Verdict::NotApplicable(_)));
    }
}
