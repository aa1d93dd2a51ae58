//! A status mapper that starts on `Go`, and shows each phase under its own name.

use gatewright_sdk::status_mapper::{Change, Failure, Intent, Standing, StatusMapper};
use gatewright_sdk::{NoSettings, export_status_mapper};

struct Maps;

impl StatusMapper for Maps {
    type Settings = NoSettings;

    fn inbound(change: Change, _settings: NoSettings) -> Result<Intent, Failure> {
        Ok(if change.to.name == "Go" { Intent::Start } else { Intent::None })
    }

    fn outbound(standing: Standing, _settings: NoSettings) -> Result<Vec<String>, Failure> {
        Ok(vec![standing.phase])
    }
}

export_status_mapper!(Maps);
