//! A gate whose only finding is 5 MiB long.

use gatewright_sdk::gate::{Finding, Gate, Infrastructure, Severity, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

struct BigAnswer;

impl Gate for BigAnswer {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        let detail = "0123456789abcde\n".repeat(5 * 1024 * 64);
        Ok(Verdict::fail(vec![Finding::new("big", Severity::Major, "Five mebibytes").with_detail(detail)]))
    }
}

export_gate!(BigAnswer);
