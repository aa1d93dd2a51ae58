//! A gate whose instantiation never ends: it loops before any export can be entered.

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

#[expect(unsafe_code, reason = "only under this name is it called when the component is instantiated")]
#[unsafe(no_mangle)]
extern "C" fn _initialize() {
    loop {
        std::hint::spin_loop();
    }
}

struct StartLoop;

impl Gate for StartLoop {
    type Settings = NoSettings;

    fn evaluate(_subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        Ok(Verdict::pass("not reached"))
    }
}

export_gate!(StartLoop);
