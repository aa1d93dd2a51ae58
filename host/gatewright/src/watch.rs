//! Tells when a file of the configuration changed: an edit is taken up without a restart.

use std::mem::MaybeUninit;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

use crate::edits::HOST_FILE;

/// An editor writes in several steps: what follows within this time is one edit.
const SETTLE: Duration = Duration::from_millis(150);

/// The watching thread.
pub(crate) struct Watch {
    stop: rustix::fd::OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Watches the host's file and the projects' folder.
    pub(crate) fn start(dir: &Path, changed: impl Fn() + Send + 'static) -> anyhow::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let flags = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM | WatchFlags::DELETE;
        // Of the folder itself only the host's file: the database lies there too.
        let folder = inotify::add_watch(&inotify, dir, flags)?;
        inotify::add_watch(&inotify, dir.join("projects"), flags)?;
        inotify::add_watch(&inotify, dir.join("prompts"), flags)?;
        // Whoever rotates a secret writes its file.
        if dir.join("secrets").is_dir() {
            inotify::add_watch(&inotify, dir.join("secrets"), flags)?;
        }
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let stopped = stop.try_clone()?;
        let thread = std::thread::Builder::new().name("config-watch".into()).spawn(move || {
            while wait(&inotify, &stopped, None) {
                if !drain(&inotify, folder) {
                    continue;
                }
                while wait(&inotify, &stopped, Some(SETTLE)) && drain(&inotify, folder) {}
                changed();
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The thread ends with the process at the latest.
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// True: something changed. False: the time is over, or it is the end.
fn wait(inotify: &rustix::fd::OwnedFd, stop: &rustix::fd::OwnedFd, longest: Option<Duration>) -> bool {
    let mut fds = [PollFd::new(inotify, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
    let timeout = longest
        .map(|longest| Timespec { tv_sec: longest.as_secs() as i64, tv_nsec: i64::from(longest.subsec_nanos()) });
    loop {
        match poll(&mut fds, timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return fds[1].revents().is_empty() && !fds[0].revents().is_empty(),
        }
    }
}

/// True: there was something that matters.
fn drain(inotify: &rustix::fd::OwnedFd, folder: i32) -> bool {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(inotify, &mut buffer);
    let mut any = false;
    while let Ok(event) = reader.next() {
        let name = event.file_name().map(std::ffi::CStr::to_bytes);
        any |= event.wd() != folder || name == Some(HOST_FILE.as_bytes());
    }
    any
}
