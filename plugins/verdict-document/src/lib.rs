//! Where the gates that read a verdict from a document find it: the newest document of a kind that this visit's owner wrote.
//!
//! What the work did wrong is a `fail`; what kept the gate from reading is `infra`. Each has a text of its own.

mod fragment;

use gatewright_sdk::errors::HostError;
use gatewright_sdk::frontmatter::{Frontmatter, Unread};
use gatewright_sdk::gate::documents::Unreadable;
use gatewright_sdk::gate::{Finding, Infrastructure, Severity, Verdict, documents};

pub use fragment::failing_fragment;

/// The rule that a finding about the document itself goes by.
pub const RULE: &str = "verdict-document";

/// The longest title that the host shows.
const TITLE_CHARACTERS_MAX: usize = 200;

/// A document that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The file's name, for findings.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// Judges the document of `kind` that counts. None of this visit: `infra`, since then there was no run to judge.
pub fn judge_document(kind: &str, judge: impl FnOnce(&Written) -> Verdict) -> Result<Verdict, Infrastructure> {
    let Some(document) = documents::current(kind)? else {
        return Err(absent(kind));
    };
    match documents::text(&document) {
        Ok(text) => Ok(judge(&Written { name: document.name, text })),
        Err(unreadable) => judge_unreadable(&document.name, unreadable),
    }
}

impl Written {
    /// Judges by the head; a head that cannot be read is the fault of whoever wrote it.
    pub fn judge_head(&self, judge: impl FnOnce(&Frontmatter<'_>) -> Result<Verdict, Unread>) -> Verdict {
        Frontmatter::read(&self.text).and_then(|head| judge(&head)).unwrap_or_else(|unread| self.unread(&unread))
    }

    fn unread(&self, unread: &Unread) -> Verdict {
        failed(&self.name, format!("{} gives no verdict: {unread}", self.name))
    }

    /// A finding whose value is none that the gate knows. `expected` is for people.
    pub fn unknown_value(&self, key: &str, value: &str, expected: &str) -> Verdict {
        failed(&self.name, format!("{}: `{key}: {value}` is none of {expected}", self.name))
    }
}

/// Judges a log whose `key` is `SUCCESS` or `FAILED`; what failed is quoted under `rule`.
pub fn judge_outcome(log: &Written, key: &str, rule: &str) -> Verdict {
    log.judge_head(|head| {
        let value = head.value(key)?;
        let shown = title(&format!("{}: `{key}: {value}`", log.name));
        Ok(match value {
            "SUCCESS" => Verdict::pass(shown),
            "FAILED" => Verdict::fail(vec![
                Finding::new(rule, Severity::Blocker, shown).with_detail(failing_fragment(head.body)),
            ]),
            other => log.unknown_value(key, other, "SUCCESS, FAILED"),
        })
    })
}

fn absent(kind: &str) -> Infrastructure {
    Infrastructure::new(format!("no run of this visit wrote a document of the kind `{kind}`"))
}

fn judge_unreadable(name: &str, unreadable: Unreadable) -> Result<Verdict, Infrastructure> {
    match unreadable {
        Unreadable::NotText => Ok(failed(name, format!("{name} is not UTF-8 text"))),
        Unreadable::Host(HostError::TooLarge(limit)) => {
            Ok(failed(name, format!("{name} is larger than {limit} bytes")))
        }
        Unreadable::Host(error) => Err(error.into()),
    }
}

fn failed(name: &str, sentence: String) -> Verdict {
    let finding = Finding::new(RULE, Severity::Blocker, title(&sentence)).with_detail(format!(
        "{sentence}\n\nThe verdict is read from the frontmatter of {name} and from nowhere else."
    ));
    Verdict::fail(vec![finding])
}

/// The first line of a text, as long as a title may be.
pub fn title(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default().trim();
    if line.chars().count() <= TITLE_CHARACTERS_MAX {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(TITLE_CHARACTERS_MAX - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Written {
        Written { name: "12-review.md".to_owned(), text: text.to_owned() }
    }

    /// The title of the only finding.
    fn titled(verdict: Verdict) -> String {
        let Verdict::Fail(failed) = verdict else { panic!("{verdict:?}") };
        assert_eq!(failed.findings.len(), 1);
        failed.findings[0].title.clone()
    }

    /// Catalogue F0.2.
    #[test]
    fn f0_2_reasons_can_be_told_apart() {
        let of = |text: &str| {
            titled(written(text).judge_head(|head| head.value("verdict").map(|value| Verdict::pass(value.to_owned()))))
        };
        assert!(absent("review").cause.contains("no run of this visit wrote"));
        assert!(of("verdict: APPROVED").contains("no frontmatter"));
        assert!(of("---\nverdict: [\n---\n").contains("no YAML mapping"));
        assert!(of("---\nother: x\n---\n").contains("no key `verdict`"));
        assert!(of("---\nverdict:\n---\n").contains("`verdict` in its frontmatter is empty"));
    }

    #[test]
    fn the_work_answers_for_its_bytes_and_the_host_for_its_own() {
        let of = |unreadable| judge_unreadable("12-review.md", unreadable);
        assert!(of(Unreadable::NotText).is_ok_and(|verdict| titled(verdict).contains("not UTF-8")));
        assert!(of(Unreadable::Host(HostError::TooLarge(7))).is_ok_and(|verdict| titled(verdict).contains("7 bytes")));
        assert_eq!(of(Unreadable::Host(HostError::Timeout)), Err(Infrastructure::new("it took too long")));
    }

    /// Catalogue F4, F5.
    #[test]
    fn an_outcome_is_one_of_two_words() {
        let of =
            |value: &str| judge_outcome(&written(&format!("---\nkey: {value}\n---\nhealth: ERROR 502\n")), "key", "x");
        assert!(matches!(of("SUCCESS"), Verdict::Pass(_)));
        let Verdict::Fail(failed) = of("FAILED") else { panic!("{:?}", of("FAILED")) };
        assert_eq!(failed.findings[0].rule, "x");
        assert_eq!(failed.findings[0].detail, "health: ERROR 502");
        for other in ["success", "PASS", "SUCCESS?", "ROLLED_BACK"] {
            assert!(titled(of(other)).contains("is none of SUCCESS, FAILED"), "{other}");
        }
    }

    #[test]
    fn a_title_is_one_line_and_not_longer_than_shown() {
        assert_eq!(title("\n one \n two"), "one");
        assert_eq!(title(&"é".repeat(200)), "é".repeat(200));
        assert_eq!(title(&"é".repeat(201)), format!("{}…", "é".repeat(199)));
    }
}
