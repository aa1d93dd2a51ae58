//! What one call has used of its limits. It begins before instantiation and ends after post-return, and a limit once hit is
//! remembered: a guest that handles a failed growth and answers `pass` has not passed.

use std::fmt;
use std::time::{Duration, Instant};

use domain::plugin::Limits;
use domain::verdict::InfraCause;
use wasmtime::{ResourceLimiter, UpdateDeadline};

use crate::engine::TICK;

/// Bytes that one table element takes in the host.
const ELEMENT_BYTES: u64 = 8;

/// Ends a call from within a host function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) cause: InfraCause,
    pub(crate) message: String,
}

impl Stop {
    pub(crate) fn new(cause: InfraCause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into() }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Stop {}

/// The counters of one call.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    deadline: Instant,
    ticks_left: u64,
    memory_bytes: u64,
    table_elements: u64,
    calls: u64,
    idle_calls: u64,
    answer_bytes: u64,
    argument_bytes: u64,
    hit: Vec<InfraCause>,
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        let tick_ms = TICK.as_millis() as u64;
        Self {
            limits,
            deadline: Instant::now() + Duration::from_millis(limits.evaluation_time.0),
            ticks_left: limits.wasm_time.0.div_ceil(tick_ms),
            memory_bytes: 0,
            table_elements: 0,
            calls: 0,
            idle_calls: 0,
            answer_bytes: 0,
            argument_bytes: 0,
            hit: Vec::new(),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The limits that were hit, each once, in order.
    pub(crate) fn hit(&self) -> &[InfraCause] {
        &self.hit
    }

    pub(crate) fn remember(&mut self, cause: InfraCause) {
        if !self.hit.contains(&cause) {
            self.hit.push(cause);
        }
    }

    /// One tick of wasm time has passed. Called at an epoch check of the guest, so neither time in host calls nor time in which
    /// the thread was not scheduled counts more than one tick.
    pub(crate) fn tick(&mut self) -> Result<UpdateDeadline, Stop> {
        if self.ticks_left == 0 {
            let message = format!("it computed longer than {} ms", self.limits.wasm_time.0);
            return Err(self.stop(InfraCause::Time, message));
        }
        self.ticks_left -= 1;
        self.in_time()?;
        Ok(UpdateDeadline::Continue(1))
    }

    fn in_time(&mut self) -> Result<Duration, Stop> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let message = format!("the evaluation took longer than {} ms", self.limits.evaluation_time.0);
            return Err(self.stop(InfraCause::Time, message));
        }
        Ok(left)
    }

    /// The time that a host call may take: its own, or what is left of the evaluation.
    pub(crate) fn host_call_time(&mut self) -> Result<Duration, Stop> {
        Ok(self.in_time()?.min(Duration::from_millis(self.limits.host_call_time.0)))
    }

    /// Counts a call of a capability function with that many bytes of arguments.
    pub(crate) fn call(&mut self, argument_bytes: usize) -> Result<(), Stop> {
        self.calls += 1;
        if self.calls > self.limits.calls {
            let message = format!("it called the host more than {} times", self.limits.calls);
            return Err(self.stop(InfraCause::Calls, message));
        }
        // The transcript keeps the arguments of every call, so all of them together have the bound that all answers have.
        self.argument_bytes = self.argument_bytes.saturating_add(argument_bytes as u64);
        if self.argument_bytes > self.limits.answer_bytes {
            let message =
                format!("the arguments of its host calls held more than {} bytes in all", self.limits.answer_bytes);
            return Err(self.stop(InfraCause::Resources, message));
        }
        self.arguments(argument_bytes)
    }

    /// Counts a call of anything else: log, clock, WASI.
    pub(crate) fn idle_call(&mut self, argument_bytes: usize) -> Result<(), Stop> {
        self.idle_calls += 1;
        if self.idle_calls > self.limits.idle_calls {
            let message = format!("it called log, clock or WASI more than {} times", self.limits.idle_calls);
            return Err(self.stop(InfraCause::Calls, message));
        }
        self.arguments(argument_bytes)
    }

    /// Checks the size of one host call's arguments.
    pub(crate) fn arguments(&mut self, bytes: usize) -> Result<(), Stop> {
        if bytes as u64 > self.limits.argument_bytes {
            let message = format!("a host call's arguments held more than {} bytes", self.limits.argument_bytes);
            return Err(self.stop(InfraCause::Resources, message));
        }
        Ok(())
    }

    /// Counts an answer before it is lowered; false: all answers together would be more than the guest may get.
    pub(crate) fn answer(&mut self, bytes: u64) -> bool {
        let total = self.answer_bytes.saturating_add(bytes);
        if total > self.limits.answer_bytes {
            self.remember(InfraCause::TooLarge);
            return false;
        }
        self.answer_bytes = total;
        true
    }

    fn stop(&mut self, cause: InfraCause, message: String) -> Stop {
        self.remember(cause.clone());
        Stop { cause, message }
    }

    fn grow(&mut self, bytes: u64) -> bool {
        let total = self.memory_bytes.saturating_add(bytes);
        if total > self.limits.memory_bytes {
            return false;
        }
        self.memory_bytes = total;
        true
    }
}

/// Every failed growth is remembered, also one past the guest's own maximum: what a guest does without the memory that it wanted
/// is no judgement. Where the growth fails later, what it would have added stays counted: the call cannot pass any more.
impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let fits =
            maximum.is_none_or(|maximum| desired <= maximum) && self.grow(desired.saturating_sub(current) as u64);
        if !fits {
            self.remember(InfraCause::Memory);
        }
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.remember(InfraCause::Memory);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let added = desired.saturating_sub(current) as u64;
        let elements = self.table_elements.saturating_add(added);
        if elements > self.limits.table_elements || maximum.is_some_and(|maximum| desired > maximum) {
            self.remember(InfraCause::Table);
            return Ok(false);
        }
        let fits = self.grow(added.saturating_mul(ELEMENT_BYTES));
        if fits {
            self.table_elements = elements;
        } else {
            self.remember(InfraCause::Memory);
        }
        Ok(fits)
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.remember(InfraCause::Table);
        Ok(())
    }
}
