//! A task, as people name it on the command line. Parsed once, at the edge: inside there is nothing that could lead elsewhere.

use std::fmt;
use std::str::FromStr;

use domain::ids::{TaskId, WorkItemId};

/// Which task is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// By its own number.
    Number(TaskId),
    /// By the key of its work item: the newest of them.
    Key(WorkItemId),
}

/// It names no task.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{0}` names no task: write its number (7), or the key of its work item (R-001: letters, digits, `-`, `_`, `.`)"
)]
pub(crate) struct NoReference(String);

impl FromStr for Reference {
    type Err = NoReference;

    fn from_str(text: &str) -> Result<Self, NoReference> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        WorkItemId::new(text).map(Self::Key).map_err(|wrong| NoReference(wrong.text))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Key(key) => key.fmt(formatter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_number_or_a_key_and_nothing_that_leads_elsewhere() {
        for text in ["7", "R-001", "ORCH_94.b"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        for text in ["", "R-001/stop?x=", "R-001/stop", "..", "7?x", "7#", "R 1", "%2e%2e", "-1"] {
            let said = text.parse::<Reference>().unwrap_err().to_string();
            assert!(said.contains("its number (7), or the key of its work item"), "{said}");
        }
    }
}
