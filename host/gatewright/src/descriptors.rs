//! How many files and connections the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the host has a use for: a burst of ten thousand connections, and all the rest. What it launches inherits it, so it is not
/// as many as there may be: some programs close each descriptor that they could have.
const WANTED: u64 = 20_480;

/// Takes as many as there is a use for, where the limit that an administrator set allows it.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(WANTED);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }) {
        tracing::warn!(%error, "no more files and connections can be open than before");
    }
}
