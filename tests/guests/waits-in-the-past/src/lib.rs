//! A gate that wants to be asked again at once, for ever.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, Wake};
use gatewright_sdk::{NoSettings, export_gate};

struct WaitsInThePast;

impl Gate for WaitsInThePast {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::wait(0, Wake::empty(), "for yesterday"))
    }
}

export_gate!(WaitsInThePast);
