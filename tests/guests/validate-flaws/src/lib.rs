//! A gate that finds its settings flawed, whatever they are, and would pass.

use gatewright_sdk::errors::Flaw;
use gatewright_sdk::export_gate;
use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};

#[derive(serde::Deserialize)]
struct Settings {
    #[serde(default)]
    limits: Vec<u32>,
}

struct ValidateFlaws;

impl Gate for ValidateFlaws {
    type Settings = Settings;

    fn flaws(settings: &Settings) -> Vec<Flaw> {
        vec![Flaw::new("/limits/0", format!("{} limits are never right", settings.limits.len()))]
    }

    fn evaluate(_subject: Subject, _settings: Settings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::pass("not reached"))
    }
}

export_gate!(ValidateFlaws);
