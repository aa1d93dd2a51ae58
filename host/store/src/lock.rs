//! One host at a time: an exclusive lock on a file, which the kernel lets go of when the process ends, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use conductor::ports::store::StoreError;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// How long the kernel may take to end a process that was killed, with all its memory.
const ENDING: Duration = Duration::from_secs(2);
/// How long a dead host's last child may keep the lock.
const DYING: Duration = Duration::from_secs(10);

/// The lock; held as long as this lives.
#[derive(Debug)]
pub(crate) struct HostLock {
    _file: File,
}

impl HostLock {
    pub(crate) fn take(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("gatewright.lock");
        let refused = |error: &dyn std::fmt::Display| StoreError::inside(format!("{}: {error}", path.display()));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| refused(&error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => file = await_dying(dir, file)?,
            Err(error) => return Err(refused(&error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(|error| refused(&error))?;
        Ok(Self { _file: file })
    }
}

/// A host that was killed keeps the lock until the kernel has taken it apart, and one that was killed while it started a process
/// leaves the lock with that child until its exec closes it: both are moments. A living host is told of after the first.
fn await_dying(dir: &Path, mut file: File) -> Result<File, StoreError> {
    let mut pid = String::new();
    if file.rewind().and_then(|()| file.read_to_string(&mut pid)).is_err() {
        return Err(StoreError::inside("the lock cannot be read"));
    }
    let (sender, receiver) = mpsc::channel();
    let waiting = std::thread::Builder::new().name("host-lock".into()).spawn(move || {
        let locked = flock(&file, FlockOperation::LockExclusive).is_ok();
        // Nobody waits any more when the time was over.
        let _ = sender.send(locked.then_some(file));
    });
    if waiting.is_err() {
        return Err(held(dir, &pid));
    }
    if let Ok(Some(locked)) = receiver.recv_timeout(ENDING) {
        return Ok(locked);
    }
    if Path::new("/proc").join(pid.trim()).exists() {
        return Err(held(dir, &pid));
    }
    receiver.recv_timeout(DYING).ok().flatten().ok_or_else(|| {
        StoreError::inside(format!(
            "a process that the dead host {} left has the store in {} open",
            pid.trim(),
            dir.display()
        ))
    })
}

/// The pid is for the message only: the lock itself is the kernel's word.
fn held(dir: &Path, pid: &str) -> StoreError {
    let named = !pid.trim().is_empty();
    let holder = if named { format!("the process {}", pid.trim()) } else { "another process".to_owned() };
    StoreError::inside(format!(
        "{holder} has the store in {} open; one host at a time: stop it, or ask it through its API",
        dir.display()
    ))
}
