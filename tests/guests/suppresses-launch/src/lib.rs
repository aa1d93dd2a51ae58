//! A guard that suppresses launches, which the pipeline needs in order to go on: that must be read as `hold`.

use gatewright_sdk::guard::{Asked, Decision, Failure, Guard};
use gatewright_sdk::{NoSettings, export_guard};

struct SuppressesLaunch;

impl Guard for SuppressesLaunch {
    type Settings = NoSettings;

    fn decide(asked: Asked, _settings: NoSettings) -> Result<Decision, Failure> {
        Ok(match asked.effect.kind.as_str() {
            "launch-agent" => Decision::Suppress(format!("no {} today", asked.effect.object)),
            _ => Decision::Allow,
        })
    }
}

export_guard!(SuppressesLaunch);
