//! A gate that fails with one finding.

use gatewright_sdk::gate::{Finding, Gate, Infrastructure, Severity, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

struct Fails;

impl Gate for Fails {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::fail(vec![
            Finding::new("guest", Severity::Major, "This guest always fails")
                .with_detail("Nothing can be done about it.")
                .at("src/lib.rs")
                .on_line(3)
                .with_help("https://example.org/guest"),
        ]))
    }
}

export_gate!(Fails);
