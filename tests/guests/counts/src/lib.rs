//! A gate that counts in its store how often it was asked.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict, kv};
use gatewright_sdk::tasks::Fact;
use gatewright_sdk::{NoSettings, export_gate, request};

request!(
    r#"version = 1

[[capability]]
name = "kv"
reason = "keeps a counter"
"#
);

struct Counts;

impl Gate for Counts {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        let stored = kv::get("asked")?;
        let asked =
            stored.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok()?.parse::<u64>().ok()).unwrap_or(0) + 1;
        let written = kv::put("asked", asked.to_string().as_bytes(), stored.as_deref())?;
        Ok(Verdict::pass(if written { "counted" } else { "somebody was faster" })
            .with_figure(Fact::new("asked", asked)))
    }
}

export_gate!(Counts);
