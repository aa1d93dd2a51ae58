//! What the proxy refused, in the run's log: a line for each destination, and not for each attempt.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use super::rules::Refusal;

/// Destinations that are told. A run that tries thousands does not fill its log with them.
const TOLD: usize = 64;

/// The run's log, as long as it may be written.
pub(crate) struct Log {
    state: Mutex<State>,
}

struct State {
    /// None: the run is over, and its record says how long the log is.
    file: Option<File>,
    told: BTreeSet<String>,
}

impl Log {
    pub(crate) fn new(file: File) -> Self {
        Self { state: Mutex::new(State { file: Some(file), told: BTreeSet::new() }) }
    }

    /// Tells a refusal, once for its destination.
    pub(super) fn refused(&self, target: &str, refusal: Refusal) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.told.len() > TOLD || !state.told.insert(target.to_owned()) {
            return;
        }
        let line = if state.told.len() > TOLD {
            "gatewright: the network refused more than these; no further ones are told\n".to_owned()
        } else {
            format!("gatewright: the network refused {}\n", refusal.told(target))
        };
        if let Some(file) = &mut state.file {
            // A full disk ends the run by other means.
            let _ = file.write_all(line.as_bytes());
        }
    }

    /// Tells why the run is ended.
    pub(crate) fn ended(&self, why: &str) {
        if let Some(file) = &mut self.state.lock().unwrap_or_else(PoisonError::into_inner).file {
            // A full disk is no reason to keep the run alive.
            let _ = file.write_all(format!("gatewright: {why}\n").as_bytes());
        }
    }

    /// Nothing is written after this.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).file = None;
    }
}
