//! A gate that asks for the documents until it is refused, and passes: the limit that it hit must count.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, documents};
use gatewright_sdk::{NoSettings, export_gate, request};

request!(
    r#"version = 1

[[capability]]
name = "documents"
reason = "asks again and again"
"#
);

struct ManyCalls;

impl Gate for ManyCalls {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        let calls = (0..1_000_000).take_while(|_| documents::list().is_ok()).count();
        Ok(Verdict::pass(format!("{calls} calls were answered")))
    }
}

export_gate!(ManyCalls);
