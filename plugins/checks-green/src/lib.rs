//! Gate `checks-green` (catalogue F1): the forge's checks of the commit under judgement are green.
//!
//! Settings:
//! - `required`: names of checks that must be there and succeed; others are then no more than a warning. None named: all that
//!   are reported must succeed, and where none is reported the gate has no say.
//! - `poll-interval-seconds` (10): how long to wait before asking again, if the forge says nothing sooner.
//! - `patience-seconds` (120): how long a check may be pending or unreported before that is a failure.

mod judge;

use gatewright_sdk::errors::Flaw;
use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, forge};
use gatewright_sdk::{clock, export_gate, request};
use judge::Waiting;
use serde::Deserialize;

request!(
    r#"version = 1

[[capability]]
name = "forge"
reason = "reads the checks of the commit under judgement"
"#
);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    required: Vec<String>,
    poll_interval_seconds: u32,
    patience_seconds: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { required: Vec::new(), poll_interval_seconds: 10, patience_seconds: 120 }
    }
}

struct ChecksGreen;

impl Gate for ChecksGreen {
    type Settings = Settings;

    fn flaws(settings: &Settings) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        for (index, name) in settings.required.iter().enumerate() {
            if name.trim().is_empty() {
                flaws.push(Flaw::new(format!("/required/{index}"), "a check's name, as the forge shows it"));
            } else if settings.required[..index].contains(name) {
                flaws.push(Flaw::new(format!("/required/{index}"), "this check is named twice"));
            }
        }
        if settings.poll_interval_seconds == 0 {
            flaws.push(Flaw::new("/poll-interval-seconds", "at least 1"));
        }
        flaws
    }

    fn evaluate(subject: Subject, settings: Settings) -> Result<Verdict, Infrastructure> {
        let waiting = Waiting {
            now: clock::now(),
            first_asked_at: subject.first_asked_at,
            poll_interval_ms: u64::from(settings.poll_interval_seconds) * 1000,
            patience_ms: u64::from(settings.patience_seconds) * 1000,
        };
        Ok(judge::judge(&forge::checks()?, &settings.required, &waiting))
    }
}

export_gate!(ChecksGreen);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flawed_settings_are_pointed_at() {
        let of = |json: &str| -> Vec<String> {
            let settings = gatewright_sdk::settings::parse::<Settings>(json);
            let flaws = settings.map_or_else(|flaws| flaws, |settings| ChecksGreen::flaws(&settings));
            flaws.into_iter().map(|flaw| flaw.pointer).collect()
        };
        assert!(of("{}").is_empty());
        assert!(of(r#"{"required": ["ci"], "poll-interval-seconds": 5, "patience-seconds": 0}"#).is_empty());
        assert_eq!(of(r#"{"required": ["ci", "", "ci"]}"#), ["/required/1", "/required/2"]);
        assert_eq!(of(r#"{"poll-interval-seconds": 0}"#), ["/poll-interval-seconds"]);
        assert_eq!(of(r#"{"poll_interval_seconds": 3}"#), ["/poll_interval_seconds"]);
    }
}
