//! A gate whose findings all have the same 4 MiB as their detail, not copies of them: small here, 4 GiB where it is lifted.

use std::mem::ManuallyDrop;

use gatewright_sdk::gate::{Finding, Gate, Infrastructure, Severity, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

const FINDINGS: usize = 1000;

struct SameBytes;

impl Gate for SameBytes {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        let detail = ManuallyDrop::new("x".repeat(4 << 20));
        let findings = (0..FINDINGS).map(|_| Finding { detail: same(&detail), ..short() });
        Ok(Verdict::fail(findings.collect()))
    }
}

export_gate!(SameBytes);

fn short() -> Finding {
    Finding::new("same", Severity::Minor, "Four mebibytes")
}

#[expect(unsafe_code, reason = "a list of this kind cannot be had in safe Rust, but in other languages")]
fn same(text: &str) -> String {
    // SAFETY: none. The bytes are valid while this instance lives; freed once for each finding, they end it with a trap,
    // after the host had to lift them all.
    unsafe { String::from_raw_parts(text.as_ptr().cast_mut(), text.len(), text.len()) }
}
