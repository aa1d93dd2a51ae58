//! Permits: one budget of guest memory for the host. A full pool makes a call wait in line; it is never a verdict.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The budget. First come, first served: a heavy call is not overtaken for ever by light ones.
pub(crate) struct Pool {
    state: Mutex<State>,
    changed: Condvar,
    total_bytes: u64,
}

struct State {
    free_bytes: u64,
    free_slots: u32,
    next_ticket: u64,
    line: VecDeque<u64>,
}

/// The right to one call with its weight; given back on drop.
pub(crate) struct Permit {
    pool: Arc<Pool>,
    bytes: u64,
}

impl Pool {
    pub(crate) fn new(total_bytes: u64, slots: u32) -> Arc<Self> {
        let state = State { free_bytes: total_bytes, free_slots: slots, next_ticket: 0, line: VecDeque::new() };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), total_bytes })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until this much is free. A weight above the whole budget counts as the whole: it waits until it is alone.
    pub(crate) fn acquire(self: &Arc<Self>, bytes: u64) -> Permit {
        let bytes = bytes.min(self.total_bytes);
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.line.push_back(ticket);
        while state.line.front() != Some(&ticket) || state.free_bytes < bytes || state.free_slots == 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.line.pop_front();
        state.free_bytes -= bytes;
        state.free_slots -= 1;
        drop(state);
        // The next in line may fit beside this one.
        self.changed.notify_all();
        Permit { pool: Arc::clone(self), bytes }
    }

    #[cfg(test)]
    pub(crate) fn free_bytes(&self) -> u64 {
        self.lock().free_bytes
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        state.free_bytes += self.bytes;
        state.free_slots += 1;
        drop(state);
        self.pool.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn what_is_out_never_exceeds_the_budget_and_all_come_through() {
        let pool = Pool::new(100, 3);
        let out = AtomicU64::new(0);
        let done = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for number in 0..24_u64 {
                let (pool, out, done) = (&pool, &out, &done);
                scope.spawn(move || {
                    let weight = 10 + number * 4;
                    let permit = pool.acquire(weight);
                    assert!(out.fetch_add(weight.min(100), Ordering::SeqCst) + weight.min(100) <= 100);
                    std::thread::yield_now();
                    out.fetch_sub(weight.min(100), Ordering::SeqCst);
                    drop(permit);
                    done.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(done.load(Ordering::SeqCst), 24);
        assert_eq!(pool.free_bytes(), 100);
    }

    #[test]
    fn a_heavy_call_is_not_overtaken_by_light_ones() {
        let pool = Pool::new(10, 10);
        let first = pool.acquire(5);
        let order = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let _heavy = pool.acquire(10);
                order.lock().unwrap().push("heavy");
            });
            while pool.lock().line.is_empty() {
                std::thread::yield_now();
            }
            scope.spawn(|| {
                let _light = pool.acquire(1);
                order.lock().unwrap().push("light");
            });
            while pool.lock().line.len() < 2 {
                std::thread::yield_now();
            }
            assert!(order.lock().unwrap().is_empty());
            drop(first);
        });
        assert_eq!(*order.lock().unwrap(), ["heavy", "light"]);
    }
}
