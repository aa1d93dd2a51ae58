//! A gate that needs the documents, is denied them, and passes all the same: the denial must count.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, documents};
use gatewright_sdk::{NoSettings, export_gate, request};

request!(
    r#"version = 1

[[capability]]
name = "documents"
reason = "wants to know which documents there are"
"#
);

struct AsksUnlisted;

impl Gate for AsksUnlisted {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        let seen = documents::list().map_or_else(|error| error.sentence(), |documents| documents.len().to_string());
        Ok(Verdict::pass(format!("documents: {seen}")))
    }
}

export_gate!(AsksUnlisted);
