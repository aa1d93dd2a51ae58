//! A gate that calls a capability and asks for none: it must not load.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, documents};
use gatewright_sdk::{NoSettings, export_gate};

struct NoRequest;

impl Gate for NoRequest {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::pass(format!("{} documents", documents::list()?.len())))
    }
}

export_gate!(NoRequest);
