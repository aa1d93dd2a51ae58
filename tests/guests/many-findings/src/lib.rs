//! A gate with 5,000 findings.

use gatewright_sdk::gate::{Finding, Gate, Infrastructure, Severity, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

struct ManyFindings;

impl Gate for ManyFindings {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        let findings = (1..=5_000).map(|number| Finding::new("many", Severity::Minor, format!("Finding {number}")));
        Ok(Verdict::fail(findings.collect()))
    }
}

export_gate!(ManyFindings);
