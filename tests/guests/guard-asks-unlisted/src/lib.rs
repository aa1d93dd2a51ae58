//! A guard that needs the tracker, is denied it, and allows all the same: the denial must count.

use gatewright_sdk::guard::{Asked, Decision, Failure, Guard, tracker};
use gatewright_sdk::{NoSettings, export_guard, request};

request!(
    r#"version = 1

[[capability]]
name = "tracker"
reason = "wants to know who asked for it"
"#
);

struct GuardAsksUnlisted;

impl Guard for GuardAsksUnlisted {
    type Settings = NoSettings;

    fn decide(_asked: Asked, _settings: NoSettings) -> Result<Decision, Failure> {
        let _ = tracker::current();
        Ok(Decision::Allow)
    }
}

export_guard!(GuardAsksUnlisted);
