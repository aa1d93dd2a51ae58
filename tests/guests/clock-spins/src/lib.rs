//! A gate that asks the clock a million times. The clock is free, and stands still.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, clock, export_gate};

struct ClockSpins;

impl Gate for ClockSpins {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        let first = clock::now();
        let moved = (0..1_000_000).filter(|_| clock::now() != first).count();
        Ok(Verdict::pass(format!("the clock moved {moved} times")))
    }
}

export_gate!(ClockSpins);
