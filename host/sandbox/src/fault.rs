//! From how a call ended to the one word of its cause. Nothing here ever ends in a pass.

use std::collections::HashSet;

use domain::ids::{PluginId, ProjectName};
use domain::plugin::{Denial, Failure, Refusal};
use domain::verdict::{InfraCause, Verdict};
use wasmtime::{FrameInfo, Trap, WasmBacktrace};

use crate::meter::Stop;
use crate::transcript::{Answer, Question};

/// Addresses at the far end of a 32-bit memory: where a stack that lies first in memory ends up when it runs over.
const STACK_WRAPS_ABOVE: u64 = 0xf000_0000;
/// As many frames as a backtrace shows: recursion that ran a stack over has more.
const DEEP: usize = 20;
/// How often the functions of such a backtrace stand in it, at least.
const FRAMES_PER_FUNCTION: usize = 4;

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) cause: InfraCause,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(cause: InfraCause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(InfraCause::InvalidAnswer, message)
    }

    /// Reads the cause from what the engine says. A limit that was hit before explains the trap that it led to.
    pub(crate) fn of(error: &wasmtime::Error, hit: &[InfraCause], last_words: Option<&str>) -> Self {
        if let Some(stop) = error.downcast_ref::<Stop>() {
            return Self::new(stop.cause.clone(), stop.message.clone());
        }
        let root = error.root_cause().to_string();
        let in_guest = error.downcast_ref::<WasmBacktrace>().is_some();
        if root.contains("fuel allocated for hostcalls") {
            return if in_guest {
                Self::new(InfraCause::Resources, "a host call's arguments were larger than they may be")
            } else {
                Self::new(InfraCause::Output, "its answer was larger than an answer may be")
            };
        }
        if root.contains("handle limit exceeded") {
            return Self::new(InfraCause::Resources, "it holds more handles than it may");
        }
        let said = last_words.map_or_else(String::new, |words| format!("; its last words: {words}"));
        if let Some(limit) = hit.first() {
            return Self::new(limit.clone(), format!("it hit its limit of {limit} and ended: {root}{said}"));
        }
        match error.downcast_ref::<Trap>() {
            Some(trap) => Self::of_trap(*trap, error, &root, &said),
            // Without a trap and without a guest's frame it is the answer that could not be read.
            None if in_guest => Self::new(InfraCause::Trap, format!("it ended in a host call: {root}{said}")),
            None => Self::invalid(format!("its answer cannot be read: {root}")),
        }
    }

    fn of_trap(trap: Trap, error: &wasmtime::Error, root: &str, said: &str) -> Self {
        match trap {
            Trap::StackOverflow => Self::new(InfraCause::Stack, "its calls nest more deeply than its stack holds"),
            Trap::MemoryOutOfBounds if ran_its_stack_over(error) => {
                Self::new(InfraCause::Stack, "it ran over the end of its own stack")
            }
            Trap::Interrupt => Self::new(InfraCause::Time, "it was interrupted"),
            Trap::AllocationTooLarge => Self::new(InfraCause::Memory, "it asked for more memory than there can be"),
            _ => Self::new(InfraCause::Trap, format!("it trapped: {root}{said}")),
        }
    }

    /// The answer of the right kind that says so.
    pub(crate) fn answer(self, question: &Question) -> Answer {
        let Self { cause, message } = self;
        if let Question::Evaluate { .. } = question {
            return Answer::Verdict(Verdict::infra(cause, message));
        }
        let failure = Failure::Retry { cause, message, after: None };
        match question {
            Question::Decide { .. } => Answer::Decision(Err(failure)),
            Question::Estimate { .. } => Answer::Forecast(Err(failure)),
            Question::Notify { .. } => Answer::Notified(Err(failure)),
            Question::Inbound { .. } => Answer::Intent(Err(failure)),
            Question::Outbound { .. } => Answer::Names(Err(failure)),
            Question::Validate { .. } | Question::Evaluate { .. } => Answer::Flaws(Err(failure)),
        }
    }
}

/// Rust's stack lies first in memory: running over it wraps to the far end, many calls deep. Where the access was a copy of many
/// bytes, the engine does not say at which address; then it is the same few functions, over and over, that tell.
fn ran_its_stack_over(error: &wasmtime::Error) -> bool {
    let Some(trace) = error.downcast_ref::<WasmBacktrace>() else { return false };
    let functions: HashSet<u32> = trace.frames().iter().map(FrameInfo::func_index).collect();
    let recurses = functions.len() * FRAMES_PER_FUNCTION <= trace.frames().len();
    let address = error.chain().find_map(|cause| {
        let text = cause.to_string();
        let hex = text.strip_prefix("memory fault at wasm address 0x")?.split(' ').next()?.to_owned();
        u64::from_str_radix(&hex, 16).ok()
    });
    let wraps = address.is_some_and(|address| address >= STACK_WRAPS_ABOVE);
    trace.frames().len() >= DEEP && (wraps || address.is_none() && recurses)
}

/// What a denial that the plugin did not cope with makes of its answer: with the line that would allow it.
pub(crate) fn denied(denial: &Denial, project: &ProjectName, plugin: &PluginId) -> Fault {
    let capability = &denial.capability;
    let cure = match denial.refused_by {
        Refusal::NotRequested => {
            format!(
                "its author must add to its section gatewright:request: [[capability]] name = \"{capability}\" reason = \"…\""
            )
        }
        Refusal::NotGranted => {
            format!("to allow it, add \"{capability}\" to the grant of `{plugin}` in projects/{project}.toml")
        }
        Refusal::AboveCeiling => format!("to allow it, add \"{capability}\" to the ceiling in gatewright.toml"),
    };
    Fault::new(InfraCause::Denied, format!("{denial}; {cure}"))
}

/// What a limit that was hit and swallowed makes of an answer.
pub(crate) fn limited(limit: &InfraCause) -> Fault {
    let message = format!("it hit its limit of {limit} and answered all the same: such an answer does not count");
    Fault::new(limit.clone(), message)
}
