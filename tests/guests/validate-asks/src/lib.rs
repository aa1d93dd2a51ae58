//! A gate that asks for the documents while its settings are checked. The answer there is `unavailable`; it is the flaw's text.

use gatewright_sdk::errors::Flaw;
use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, documents};
use gatewright_sdk::{NoSettings, export_gate, request};

request!(
    r#"version = 1

[[capability]]
name = "documents"
reason = "asks in the wrong place"
"#
);

struct ValidateAsks;

impl Gate for ValidateAsks {
    type Settings = NoSettings;

    fn flaws(_settings: &NoSettings) -> Vec<Flaw> {
        match documents::list() {
            Ok(_) => Vec::new(),
            Err(error) => vec![Flaw::new("", error.sentence())],
        }
    }

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::pass("the documents answered while the settings were checked"))
    }
}

export_gate!(ValidateAsks);
