//! A gate that wants to be asked again at the end of time.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, Wake};
use gatewright_sdk::{NoSettings, export_gate};

struct WaitsForever;

impl Gate for WaitsForever {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::wait(u64::MAX, Wake::CHECKS | Wake::PUSH, "for the end of time"))
    }
}

export_gate!(WaitsForever);
