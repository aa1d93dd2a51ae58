//! A gate that recurses until its stack is used up.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

/// Each level keeps a page, and needs it after the call, so that no level can be left out.
#[expect(unconditional_recursion, reason = "that is the point")]
fn deeper(level: u64) -> u64 {
    let page = std::hint::black_box([level; 512]);
    deeper(level + 1) + page[usize::try_from(level % 512).unwrap_or_default()]
}

struct Recurses;

impl Gate for Recurses {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::pass(format!("{}", deeper(1))))
    }
}

export_gate!(Recurses);
