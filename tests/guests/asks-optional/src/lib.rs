//! A gate that passes without the documents, and says in its request that it can do without: here the pass stands.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, documents};
use gatewright_sdk::{NoSettings, export_gate, request};

request!(
    r#"version = 1

[[capability]]
name = "documents"
reason = "wants to know which documents there are"
optional = true
"#
);

struct AsksOptional;

impl Gate for AsksOptional {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        let seen = documents::list().map_or_else(|error| error.sentence(), |documents| documents.len().to_string());
        Ok(Verdict::pass(format!("documents: {seen}")))
    }
}

export_gate!(AsksOptional);
