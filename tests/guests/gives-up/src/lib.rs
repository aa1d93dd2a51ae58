//! A notifier that fails: it gives up on alarms, and wants everything else again.

use gatewright_sdk::notifier::{Failure, Notice, Notifier, Urgency};
use gatewright_sdk::{NoSettings, export_notifier};

struct GivesUp;

impl Notifier for GivesUp {
    type Settings = NoSettings;

    fn notify(notice: Notice, _settings: NoSettings) -> Result<(), Failure> {
        Err(match notice.urgency {
            Urgency::Alarm => Failure::give_up("this guest cannot stand alarms"),
            Urgency::Quiet | Urgency::Ping => Failure::retry_after("this guest is never ready", 5_000),
        })
    }
}

export_notifier!(GivesUp);
