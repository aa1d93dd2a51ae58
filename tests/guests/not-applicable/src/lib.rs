//! A gate that has no say.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

struct NotApplicable;

impl Gate for NotApplicable {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::not_applicable("this guest looks at nothing"))
    }
}

export_gate!(NotApplicable);
