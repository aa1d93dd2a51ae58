//! A gate that writes 8 MiB to its standard output and to the log, and passes: what does not fit must not matter.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate, log};

struct FloodsOutput;

impl Gate for FloodsOutput {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        let line = "x".repeat(1023);
        for _ in 0..4096 {
            println!("{line}");
            log::info(&line);
        }
        Ok(Verdict::pass("wrote 8 MiB"))
    }
}

export_gate!(FloodsOutput);
