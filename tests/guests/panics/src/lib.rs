//! A gate that panics with a text.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

struct Panics;

impl Gate for Panics {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        panic!("this guest always panics")
    }
}

export_gate!(Panics);
