//! A gate that fails and names no finding: an invalid answer.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

struct FailsWithoutFindings;

impl Gate for FailsWithoutFindings {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::fail(Vec::new()))
    }
}

export_gate!(FailsWithoutFindings);
