//! A guard that amends as its settings say, whether or not an effect of that kind has such a thing.

use gatewright_sdk::export_guard;
use gatewright_sdk::guard::{Amendment, Asked, Decision, Failure, Guard};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    phase: Option<String>,
    #[serde(default)]
    text: Option<String>,
}

struct Amends;

impl Guard for Amends {
    type Settings = Settings;

    fn decide(_asked: Asked, settings: Settings) -> Result<Decision, Failure> {
        Ok(Decision::Amend(Amendment { phase: settings.phase, text: settings.text, why: "as told".to_owned() }))
    }
}

export_guard!(Amends);
