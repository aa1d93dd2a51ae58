//! Threads around the conductor: one looks for work, a few do it. Each sleeps until something happens.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use conductor::ports::clock::Clock;
use conductor::ports::store::{ClaimLimits, StoreError};
use conductor::{Conductor, Work};
use configuration::RunLimits;

use crate::ending::Ending;

/// Threads that perform. They wait for git, plugins and the store, seldom for the processor.
const WORKERS: usize = 6;
/// Without news the scheduler looks again after this: a lost wake-up costs at most so much.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

/// Something happened: whoever sleeps looks again.
#[derive(Default)]
pub(crate) struct Signal {
    generation: Mutex<u64>,
    news: Condvar,
}

impl Signal {
    /// Wakes whoever waits.
    pub(crate) fn notify(&self) {
        *self.generation.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.news.notify_all();
    }

    /// What was last heard.
    pub(crate) fn heard(&self) -> u64 {
        *self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sleeps until there is something newer, or the time is over.
    pub(crate) fn wait_beyond(&self, heard: u64, longest: Duration) {
        let generation = self.generation.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.news.wait_timeout_while(generation, longest, |generation| *generation == heard);
    }
}

/// Limits that the operator's file sets.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// Runs at one time, in all and of whom.
    pub(crate) runs: RunLimits,
    /// Below this many free bytes nothing launches.
    pub(crate) free_bytes: u64,
    /// Where the free bytes are counted.
    pub(crate) dir: PathBuf,
}

impl Bounds {
    /// What a claim obeys now.
    pub(crate) fn limits(&self, may_launch: bool) -> ClaimLimits {
        let RunLimits { runs, each, drivers } = &self.runs;
        ClaimLimits { may_launch, each: *each, drivers: drivers.clone(), ..ClaimLimits::of(*runs) }
    }
}

struct Shared {
    conductor: Arc<Conductor>,
    clock: Arc<dyn Clock>,
    signal: Arc<Signal>,
    ending: Arc<Ending>,
    stopping: AtomicBool,
    idle: AtomicIsize,
    fatal: Mutex<Option<StoreError>>,
    on_fatal: Box<dyn Fn() + Send + Sync>,
}

/// The running threads.
pub(crate) struct Scheduler {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Scheduler {
    /// Starts them.
    pub(crate) fn start(
        conductor: Arc<Conductor>,
        clock: Arc<dyn Clock>,
        signal: Arc<Signal>,
        ending: Arc<Ending>,
        bounds: Bounds,
        on_fatal: Box<dyn Fn() + Send + Sync>,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            conductor,
            clock,
            signal,
            ending,
            stopping: AtomicBool::new(false),
            idle: AtomicIsize::new(WORKERS as isize),
            fatal: Mutex::default(),
            on_fatal,
        });
        // Room for what a tick finds besides claims: ended runs, cancellations, deliveries.
        let (sender, receiver) = sync_channel::<Work>(256);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut threads = Vec::new();
        for number in 0..WORKERS {
            let (shared, receiver) = (shared.clone(), receiver.clone());
            let builder = std::thread::Builder::new().name(format!("worker-{number}"));
            threads.push(builder.spawn(move || work(&shared, &receiver))?);
        }
        let looking = shared.clone();
        threads.push(
            std::thread::Builder::new().name("scheduler".into()).spawn(move || look(&looking, &sender, &bounds))?,
        );
        Ok(Self { shared, threads })
    }

    /// Claims nothing more, and waits for what is being performed. Runs go on under their shims.
    pub(crate) fn stop(self) -> Option<StoreError> {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.signal.notify();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the scheduler panicked");
            }
        }
        self.shared.fatal.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn look(shared: &Shared, sender: &SyncSender<Work>, bounds: &Bounds) {
    let mut said_full = false;
    while !shared.stopping.load(Ordering::SeqCst) {
        let heard = shared.signal.heard();
        let may_launch = has_room(bounds);
        if !may_launch && !said_full {
            tracing::warn!(floor = bounds.free_bytes, "too little free space: nothing is launched until there is more");
        }
        said_full = !may_launch;
        let limits = bounds.limits(may_launch);
        // Ended runs and deliveries may queue for a worker too: then nothing more is claimed.
        let idle = usize::try_from(shared.idle.load(Ordering::SeqCst)).unwrap_or(0);
        let capacity = if shared.ending.phase().claims() { idle } else { 0 };
        let tick = match shared.conductor.tick(&limits, capacity) {
            Ok(tick) => tick,
            Err(error) => {
                if fail(shared, error) {
                    return;
                }
                shared.signal.wait_beyond(heard, LONGEST_SLEEP);
                continue;
            }
        };
        for piece in tick.work {
            shared.idle.fetch_sub(1, Ordering::SeqCst);
            if sender.send(piece).is_err() {
                return;
            }
        }
        shared.ending.look(shared.conductor.left());
        let pause = tick.look_again.map_or(LONGEST_SLEEP, |at| Duration::from_millis(at.since(shared.clock.now()).0));
        // A job that is due and was not claimed waits for a slot or a lease: news will come, the clock alone brings none.
        let pause = if pause.is_zero() { LONGEST_SLEEP } else { pause.min(LONGEST_SLEEP) };
        shared.signal.wait_beyond(heard, pause);
    }
}

fn work(shared: &Shared, receiver: &Mutex<Receiver<Work>>) {
    loop {
        let piece = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(piece) = piece else { return };
        let result = shared.conductor.perform(piece);
        shared.idle.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = result
            && fail(shared, error)
        {
            return;
        }
        shared.signal.notify();
    }
}

/// True: the store is not to be trusted any more, and the process ends rather than guess.
fn fail(shared: &Shared, error: StoreError) -> bool {
    tracing::error!(%error, "the store failed");
    let fatal = matches!(error, StoreError::Fatal(_));
    if fatal {
        shared.fatal.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        shared.stopping.store(true, Ordering::SeqCst);
        shared.signal.notify();
        (shared.on_fatal)();
    }
    fatal
}

/// Is there as much free space as the operator's file demands?
pub(crate) fn has_room(bounds: &Bounds) -> bool {
    match rustix::fs::statvfs(&bounds.dir) {
        Ok(space) => space.f_bavail.saturating_mul(space.f_frsize) >= bounds.free_bytes,
        Err(_) => false,
    }
}
