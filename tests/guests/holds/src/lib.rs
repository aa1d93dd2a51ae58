//! A guard that holds whatever it is asked.

use gatewright_sdk::guard::{Asked, Decision, Failure, Guard};
use gatewright_sdk::{NoSettings, export_guard};

struct Holds;

impl Guard for Holds {
    type Settings = NoSettings;

    fn decide(asked: Asked, _settings: NoSettings) -> Result<Decision, Failure> {
        Ok(Decision::Hold(format!("no `{}` today", asked.effect.kind)))
    }
}

export_guard!(Holds);
