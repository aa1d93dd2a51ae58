//! One host at a time: an exclusive lock on a file, which the kernel lets go of when the process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use conductor::ports::store::StoreError;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The lock; held as long as this lives.
#[derive(Debug)]
pub(crate) struct HostLock {
    _file: File,
}

impl HostLock {
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("gatewright.lock");
        let refused = |error: &dyn std::fmt::Display| StoreError::Refused(format!("{}: {error}", path.display()));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| refused(&error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(held(dir, &mut file)),
            Err(error) => return Err(refused(&error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| refused(&error))?;
        Ok(Self { _file: file })
    }
}

/// The pid is for the message only: the lock itself is the kernel's word.
fn held(dir: &Path, file: &mut File) -> StoreError {
    let mut pid = String::new();
    let named = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
    let holder = if named { format!("the process {}", pid.trim()) } else { "another process".to_owned() };
    StoreError::Refused(format!(
        "{holder} has the store in {} open; one host at a time: stop it, or ask it through its API",
        dir.display()
    ))
}
