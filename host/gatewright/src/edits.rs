//! Edits of the files that a living host has not taken up: whoever made them sees nothing of a log.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The host's own file.
pub(crate) const HOST_FILE: &str = "gatewright.toml";

/// What is not taken up, and why.
pub(crate) struct Edits {
    /// The host's own file as it was at the start: it is read then, and not again.
    began_with: Vec<u8>,
    waiting: Mutex<Vec<String>>,
}

impl Edits {
    /// To be called before the files are read.
    pub(crate) fn since_now(dir: &Path) -> Self {
        Self { began_with: host_file(dir), waiting: Mutex::default() }
    }

    /// The files were read again.
    pub(crate) fn look(&self, dir: &Path, taken_up: &anyhow::Result<()>) {
        let mut found = Vec::new();
        if let Err(error) = taken_up {
            found.push(format!("an edit of the files is not taken up, the last good ones stay: {error:#}"));
        }
        if host_file(dir) != self.began_with {
            found.push(format!("{HOST_FILE} was edited: that takes hold at the next start of the host"));
        }
        for edit in &found {
            tracing::warn!("{edit}");
        }
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// A sentence for each.
    pub(crate) fn waiting(&self) -> Vec<String> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One that cannot be read is as good as none: the next start says more.
fn host_file(dir: &Path) -> Vec<u8> {
    std::fs::read(dir.join(HOST_FILE)).unwrap_or_default()
}
