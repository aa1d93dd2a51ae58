//! A gate that passes whatever it is asked.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

struct Passes;

impl Gate for Passes {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::pass("this guest always passes"))
    }
}

export_gate!(Passes);
