//! A gate that never ends to check its settings.

use gatewright_sdk::errors::Flaw;
use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

struct ValidateLoops;

impl Gate for ValidateLoops {
    type Settings = NoSettings;

    fn flaws(_settings: &NoSettings) -> Vec<Flaw> {
        loop {
            std::hint::spin_loop();
        }
    }

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::pass("not reached"))
    }
}

export_gate!(ValidateLoops);
