//! Where the gates that read a verdict from a document find it: the newest document of a kind that this visit's owner wrote.
//!
//! What the work did wrong is a `fail`; what kept the gate from reading is `infra`. Each has a text of its own.

use gatewright_sdk::documents::{self, Document, Unreadable};
use gatewright_sdk::errors::HostError;
use gatewright_sdk::frontmatter::Unread;
use gatewright_sdk::gate::{Finding, Infrastructure, Severity, Verdict};

/// The rule that every finding about the document itself goes by.
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

/// The document of `kind` that counts, judged by `judge`.
pub fn judged(kind: &str, judge: impl FnOnce(&Written) -> Verdict) -> Result<Verdict, Infrastructure> {
    let Some(document) = documents::current(kind)? else {
        return Err(Infrastructure::new(absent(kind)));
    };
    let text = documents::text(&document);
    into_written(document, text).map_or_else(Ok, |written| Ok(judge(&written)))?
}

fn absent(kind: &str) -> String {
    format!("no run of this visit wrote a document of the kind `{kind}`")
}
