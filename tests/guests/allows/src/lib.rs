//! A guard that allows whatever it is asked.

use gatewright_sdk::guard::{Asked, Decision, Failure, Guard};
use gatewright_sdk::{NoSettings, export_guard};

struct Allows;

impl Guard for Allows {
    type Settings = NoSettings;

    fn decide(_asked: Asked, _settings: NoSettings) -> Result<Decision, Failure> {
        Ok(Decision::Allow)
    }
}

export_guard!(Allows);
