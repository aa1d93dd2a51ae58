//! A gate that holds the task for somebody's answer.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

struct HoldsForInput;

impl Gate for HoldsForInput {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::needs_input("Which of the two is meant?"))
    }
}

export_gate!(HoldsForInput);
