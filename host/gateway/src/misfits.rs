//! Deliveries that were refused for their signature in this life of the host: they left nothing in the store, for anybody may send
//! them, and whoever changed a secret on one side alone must hear of them all the same.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use domain::time::Timestamp;

/// By their source, of which there are few.
#[derive(Default)]
pub(crate) struct Misfits(Mutex<BTreeMap<&'static str, Misfit>>);

/// Those of one source.
#[derive(Clone, Copy)]
pub(crate) struct Misfit {
    pub(crate) source: &'static str,
    pub(crate) count: u64,
    pub(crate) last: Timestamp,
}

impl Misfits {
    pub(crate) fn note(&self, source: &'static str, at: Timestamp) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let misfit = seen.entry(source).or_insert(Misfit { source, count: 0, last: at });
        misfit.count += 1;
        misfit.last = at;
    }

    pub(crate) fn all(&self) -> Vec<Misfit> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect()
    }
}
