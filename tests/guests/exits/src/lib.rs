//! A gate that ends its process with success, as if that were an answer.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

struct Exits;

impl Gate for Exits {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        #[expect(clippy::disallowed_methods, reason = "to see what the host makes of it")]
        std::process::exit(0)
    }
}

export_gate!(Exits);
