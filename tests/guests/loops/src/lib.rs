//! A gate that never answers.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

struct Loops;

impl Gate for Loops {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        loop {
            std::hint::spin_loop();
        }
    }
}

export_gate!(Loops);
