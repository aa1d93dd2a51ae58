//! A gate with a static constructor that never ends. Rust runs it when the first export is entered, be it `validate`.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

#[used]
#[expect(unsafe_code, reason = "the linker's own list of constructors has no other name")]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = construct;

extern "C" fn construct() {
    loop {
        std::hint::spin_loop();
    }
}

struct ConstructorLoops;

impl Gate for ConstructorLoops {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::pass("not reached"))
    }
}

export_gate!(ConstructorLoops);
