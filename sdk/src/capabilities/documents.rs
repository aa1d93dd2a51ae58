//! What the runs of this task, or the host, wrote down: found by kind, whatever the path.

pub use crate::bindings::shared::gatewright::documents::documents::{Document, list, read};

use crate::errors::HostError;

/// Why a document's text could not be had. The document is there, or the host did not answer: never "there is none".
#[derive(Debug, Clone, PartialEq)]
pub enum Unreadable {
    /// The host refused or failed.
    Host(HostError),
    /// Its bytes are no UTF-8.
    NotText,
}

/// The newest document of this kind that was written in the visit under judgement, by the hand that owns the kind.
///
/// A gate takes a verdict from no other one.
pub fn current(kind: &str) -> Result<Option<Document>, HostError> {
    Ok(list()?.into_iter().find(|document| document.current && document.kind == kind))
}

/// A document's text.
pub fn text(document: &Document) -> Result<String, Unreadable> {
    let bytes = read(document.id).map_err(Unreadable::Host)?;
    String::from_utf8(bytes).map_err(|_| Unreadable::NotText)
}
