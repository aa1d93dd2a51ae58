//! What a plugin is told of a task.
//!
//! Every text that comes from a ticket, a repository, an agent or another system is raw and untrusted.

pub use crate::bindings::shared::gatewright::tasks::tasks::{
    Commit, Fact, Figures, Phase, Run, Status, StatusGroup, Task, Terminality, Timestamp, Word,
};

impl Fact {
    /// A measured value, e.g. `Fact::new("coverage", 82.1)`.
    pub fn new(key: impl Into<Word>, value: impl Into<serde_json::Value>) -> Self {
        Self { key: key.into(), value: value.into().to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_json() {
        assert_eq!(Fact::new("coverage", 82.5).value, "82.5");
        assert_eq!(Fact::new("branch", "a\"b").value, r#""a\"b""#);
    }
}
