//! A gate that passes and then never ends: when the host has lifted the answer and lets the guest free its memory, freeing
//! loops. The answer must not stand.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering};

use gatewright_sdk::gate::{Gate, Infrastructure, Subject, Verdict};
use gatewright_sdk::{NoSettings, export_gate};

/// The system's allocator, until the answer is given.
struct Stuck;

static ANSWERED: AtomicBool = AtomicBool::new(false);

#[expect(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: both hand over to the system's allocator, or never return.
unsafe impl GlobalAlloc for Stuck {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is the one that the system's allocator wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        while ANSWERED.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Stuck = Stuck;

struct PostReturnLoops;

impl Gate for PostReturnLoops {
    type Settings = NoSettings;

    fn evaluate(subject: Subject, _settings: NoSettings) -> Result<Verdict, Infrastructure> {
        // Everything that was lent to us is freed first, so that only the answer is left.
        drop(subject);
        let verdict = Verdict::pass("this answer is taken back");
        ANSWERED.store(true, Ordering::Relaxed);
        Ok(verdict)
    }
}

export_gate!(PostReturnLoops);
