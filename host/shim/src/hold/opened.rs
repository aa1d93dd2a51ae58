//! What the shim holds open of its run folder: the lock, the log, and the events there.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags, inotify};
use rustix::io::Errno;

use crate::protocol;

/// The host handed the lock over as standard input. It moves out of the command's reach.
pub(super) fn take_lock(folder: &Path) -> io::Result<OwnedFd> {
    let lock = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let handed = File::from(lock.try_clone()?).metadata()?;
    let expected = std::fs::symlink_metadata(folder.join(protocol::LOCK))?;
    if (handed.dev(), handed.ino()) != (expected.dev(), expected.ino()) {
        return Err(io::Error::other("standard input is not the run folder's lock"));
    }
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
    let nothing = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    Ok(lock)
}

pub(super) fn open_log(folder: &Path) -> io::Result<File> {
    let log = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits() as i32)
        .open(folder.join(protocol::LOG))?;
    // A shim before this one may have failed after this point; it started nothing.
    log.set_len(0)?;
    Ok(log)
}

pub(super) fn watch(folder: &Path) -> io::Result<OwnedFd> {
    use inotify::{CreateFlags, WatchFlags, add_watch, init};
    let events = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let asked = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::MODIFY;
    add_watch(&events, folder, asked | WatchFlags::DELETE | WatchFlags::MOVE_SELF)?;
    Ok(events)
}

/// Empties a descriptor that does not block.
pub(super) fn drain(fd: std::os::fd::BorrowedFd<'_>, mut each: impl FnMut(&[u8])) {
    let mut buffer = [0_u8; 4096];
    loop {
        match rustix::io::read(fd, &mut buffer) {
            Ok(0) => return,
            Ok(read) => each(&buffer[..read]),
            Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}
