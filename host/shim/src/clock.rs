//! The two clocks of the shim: one that only goes forward for budgets and rights, and the wall's for what the host reads.

use rustix::time::{ClockId, Timespec, clock_gettime};

fn milliseconds(time: Timespec) -> u64 {
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

/// Milliseconds that only go forward, and not while the machine sleeps.
pub(crate) fn steady_ms() -> u64 {
    milliseconds(clock_gettime(ClockId::Monotonic))
}

/// Milliseconds since the epoch.
pub(crate) fn wall_ms() -> u64 {
    milliseconds(clock_gettime(ClockId::Realtime))
}

/// A span for `poll`.
pub(crate) fn span(milliseconds: u64) -> Timespec {
    Timespec { tv_sec: (milliseconds / 1000) as i64, tv_nsec: ((milliseconds % 1000) * 1_000_000) as i64 }
}
