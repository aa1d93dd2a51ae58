//! One thread that waits for the ends of many runs. It sleeps until a shim's process ends; it asks nobody.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use shim::processes::Handle;

use crate::error::RunError;
use crate::runner::{Runner, collect};

/// Marks the event that only wakes the thread. No job has this number.
const WAKE: u64 = u64::MAX;

/// Called with the number of a run that is over, from the watcher's thread.
pub type OnEnd = Box<dyn Fn(u64) + Send>;

/// Watches runs. Dropping it ends its thread, not the runs.
pub struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    runner: Arc<Runner>,
    epoll: OwnedFd,
    wake: OwnedFd,
    stop: AtomicBool,
    /// `None`: it was over when it was added.
    watched: Mutex<BTreeMap<u64, Option<Handle>>>,
}

fn failed(what: &'static str) -> impl Fn(Errno) -> RunError {
    move |error| RunError::Io { what, path: "/proc".into(), source: error.into() }
}

impl Watcher {
    /// Starts the thread. `on_end` is called once for each run that was added, when its state is no longer live.
    pub fn new(runner: Arc<Runner>, on_end: OnEnd) -> Result<Self, RunError> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(failed("making an epoll for"))?;
        let wake =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed("making an eventfd for"))?;
        epoll::add(&epoll, &wake, EventData::new_u64(WAKE), EventFlags::IN).map_err(failed("watching"))?;
        let watched = Mutex::new(BTreeMap::new());
        let shared = Arc::new(Shared { runner, epoll, wake, stop: AtomicBool::new(false), watched });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("run-watcher".to_owned())
            .spawn(move || theirs.watch(&on_end))
            .map_err(|source| RunError::Io { what: "starting a thread for", path: "/proc".into(), source })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Watches a run. One that is over already is reported at once, one that is watched already stays watched once.
    pub fn add(&self, job: u64) -> Result<(), RunError> {
        if self.shared.watched().contains_key(&job) {
            return Ok(());
        }
        let handle = self.shared.runner.shim_handle(job)?;
        self.shared.insert(job, handle)
    }
}

impl Watcher {
    /// Reports a run without watching it: for one that cannot be watched and must not be forgotten.
    pub fn tell(&self, job: u64) {
        self.shared.watched().entry(job).or_insert(None);
        self.shared.wake();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic in it was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, BTreeMap<u64, Option<Handle>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // Full means that it is awake already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    fn watch(&self, on_end: &OnEnd) {
        let mut events = Vec::with_capacity(64);
        loop {
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "the watcher of runs cannot wait any more");
                    return;
                }
            }
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            let fired: Vec<u64> = events.drain(..).map(|event: epoll::Event| event.data.u64()).collect();
            let mut over: Vec<u64> = fired.iter().copied().filter(|job| *job != WAKE).collect();
            if fired.contains(&WAKE) {
                let _ = rustix::io::read(&self.wake, &mut [0_u8; 8]);
                over.extend(self.watched().iter().filter(|(_, handle)| handle.is_none()).map(|(job, _)| *job));
            }
            for job in over {
                self.finish(job, on_end);
            }
        }
    }

    fn insert(&self, job: u64, handle: Option<Handle>) -> Result<(), RunError> {
        let mut watched = self.watched();
        if watched.contains_key(&job) {
            return Ok(());
        }
        if let Some(handle) = &handle {
            epoll::add(&self.epoll, handle, EventData::new_u64(job), EventFlags::IN).map_err(failed("watching"))?;
        }
        let over = handle.is_none();
        watched.insert(job, handle);
        if over {
            self.wake();
        }
        Ok(())
    }

    /// Reports one run. Its entry goes first, so that the callback may add it again.
    fn finish(&self, job: u64, on_end: &OnEnd) {
        let handle = self.watched().remove(&job);
        if let Some(Some(handle)) = &handle {
            let _ = epoll::delete(&self.epoll, handle);
            collect(handle);
        }
        match self.runner.shim_handle(job) {
            // Its process ended and its lock is not seen to be free yet, or it was launched anew.
            Ok(Some(alive)) => match self.insert(job, Some(alive)) {
                Ok(()) => return,
                Err(error) => tracing::warn!(job, %error, "a living run cannot be watched"),
            },
            Ok(None) => {}
            Err(error) => tracing::warn!(job, %error, "a run that ended cannot be read"),
        }
        // One callback's panic must not leave all other runs unwatched.
        if catch_unwind(AssertUnwindSafe(|| on_end(job))).is_err() {
            tracing::error!(job, "the callback for the end of a run panicked");
        }
    }
}
