//! Tells when a file of the configuration changed: an edit is taken up without a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

use crate::edits::HOST_FILE;

/// An editor writes in several steps: what follows within this time is one edit.
const SETTLE: Duration = Duration::from_millis(150);

/// What an edit is, by whatever editor; and who may read a file, for that may be what was wrong with it.
const EDITS: WatchFlags = WatchFlags::CLOSE_WRITE
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::ATTRIB);

/// The watching thread.
pub(crate) struct Watch {
    stop: rustix::fd::OwnedFd,
    thread: Option<JoinHandle<()>>,
}

/// What is watched: of some folders all that is in them, of others only these names.
struct Watched {
    inotify: rustix::fd::OwnedFd,
    whole: BTreeSet<i32>,
    named: BTreeMap<i32, BTreeSet<OsString>>,
}

impl Watch {
    /// Watches the host's file, the projects' folder, and the secrets' files wherever they stand.
    pub(crate) fn start(
        dir: &Path,
        secret_files: impl Fn() -> BTreeSet<PathBuf> + Send + 'static,
        changed: impl Fn() + Send + 'static,
    ) -> anyhow::Result<Self> {
        let mut watched = Watched::of(dir)?;
        watched.add(&secret_files());
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let stopped = stop.try_clone()?;
        let thread = std::thread::Builder::new().name("config-watch".into()).spawn(move || {
            while wait(&watched.inotify, &stopped, None) {
                if !watched.drain() {
                    continue;
                }
                while wait(&watched.inotify, &stopped, Some(SETTLE)) && watched.drain() {}
                changed();
                // What changed before it was watched is read now.
                if watched.add(&secret_files()) {
                    changed();
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Watched {
    fn of(dir: &Path) -> anyhow::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        // Of the folder itself only the host's file: the database lies there too.
        let folder = inotify::add_watch(&inotify, dir, EDITS)?;
        let named = BTreeMap::from([(folder, BTreeSet::from([OsString::from(HOST_FILE)]))]);
        // Whoever rotates a secret writes its file; also the first, in a folder that nobody needed yet.
        let secrets = dir.join("secrets");
        if let Err(error) = std::fs::DirBuilder::new().mode(0o700).create(&secrets)
            && error.kind() != std::io::ErrorKind::AlreadyExists
        {
            tracing::warn!(%error, "{} cannot be made", secrets.display());
        }
        let mut whole = BTreeSet::new();
        for name in ["projects", "prompts"] {
            whole.insert(inotify::add_watch(&inotify, dir.join(name), EDITS)?);
        }
        if secrets.is_dir() {
            whole.insert(inotify::add_watch(&inotify, secrets, EDITS)?);
        }
        Ok(Self { inotify, whole, named })
    }

    /// From now on these too. True: one of them was not watched before.
    fn add(&mut self, files: &BTreeSet<PathBuf>) -> bool {
        let mut any = false;
        for file in files {
            let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { continue };
            match inotify::add_watch(&self.inotify, folder, EDITS) {
                Ok(watch) if self.whole.contains(&watch) => {}
                Ok(watch) => any |= self.named.entry(watch).or_default().insert(name.to_owned()),
                Err(error) => {
                    tracing::warn!(%error, "{} cannot be watched: restart the host when it changes", file.display());
                }
            }
        }
        any
    }

    /// True: there was something that matters.
    fn drain(&self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut any = false;
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            any |= match (self.named.get(&event.wd()), name) {
                // A mounted secret is changed by a link beside it, whose name begins so.
                (Some(names), Some(name)) => names.contains(name) || name.as_bytes().starts_with(b".."),
                (Some(_), None) => false,
                (None, _) => true,
            };
        }
        any
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
