//! What a store carries: the counters, the broker, the log, the time that stands still and the seed of its luck. One per call.

use domain::plugin::HostError;
use domain::time::Timestamp;

use crate::broker::Broker;
use crate::exchange::{HostAnswer, HostCall};
use crate::meter::{Meter, Stop};
use crate::output::{LogLevel, Output};

pub(crate) struct State {
    pub(crate) meter: Meter,
    pub(crate) broker: Broker,
    pub(crate) output: Output,
    pub(crate) now: Timestamp,
    pub(crate) random: Random,
}

impl State {
    /// A call of a capability function.
    pub(crate) fn ask(&mut self, call: HostCall) -> Result<Result<HostAnswer, HostError>, Stop> {
        self.broker.ask(call, &mut self.meter)
    }

    /// A call of log, clock or WASI.
    pub(crate) fn idle(&mut self, argument_bytes: usize) -> Result<(), Stop> {
        self.meter.idle_call(argument_bytes)
    }

    pub(crate) fn log(&mut self, level: LogLevel, bytes: &[u8]) -> Result<(), Stop> {
        self.idle(bytes.len())?;
        self.output.write(level, bytes);
        Ok(())
    }
}

/// Numbers from a seed (SplitMix64): the same in a replay, and no secret.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}
