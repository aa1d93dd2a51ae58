//! A gate that grows its memory until that fails, copes with the failure, and passes: the limit that it hit must count.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

/// Until a growth is refused.
#[cfg(target_arch = "wasm32")]
fn grown() -> usize {
    let mut pages = 0;
    while core::arch::wasm32::memory_grow::<0>(16) != usize::MAX {
        pages += 16;
    }
    pages
}

#[cfg(not(target_arch = "wasm32"))]
fn grown() -> usize {
    0
}

struct EatsMemoryQuietly;

impl Gate for EatsMemoryQuietly {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::pass(format!("grew by {} pages, and carries on", grown())))
    }
}

export_gate!(EatsMemoryQuietly);
