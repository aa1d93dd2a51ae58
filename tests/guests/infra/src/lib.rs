//! A gate that could not judge, and says how long to wait.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

struct Infra;

impl Gate for Infra {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Err(Infrastructure { cause: "this guest is never ready".to_owned(), retry_after_ms: Some(5_000) })
    }
}

export_gate!(Infra);
