//! A gate that asks for the documents while it is instantiated, before any export is entered. The answer then is `unavailable`
//! and counts as no denial; asked again in the evaluation, it is the real one. The verdict's note says both.

use std::sync::Mutex;

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, documents};
use gatewright_sdk::{NoSettings, export_gate, request};

request!(
    r#"version = 1

[[capability]]
name = "documents"
reason = "asks too early"
"#
);

static ANSWERED: Mutex<String> = Mutex::new(String::new());

#[expect(unsafe_code, reason = "only under this name is it called when the component is instantiated")]
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    if let Ok(mut answered) = ANSWERED.lock() {
        *answered = ask();
    }
}

fn ask() -> String {
    documents::list().map_or_else(|error| error.sentence(), |documents| format!("{} documents", documents.len()))
}

struct StartAsks;

impl Gate for StartAsks {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        let early = ANSWERED.lock().map(|answered| answered.clone()).unwrap_or_default();
        Ok(Verdict::pass(format!("early: {early}; now: {}", ask())))
    }
}

export_gate!(StartAsks);
