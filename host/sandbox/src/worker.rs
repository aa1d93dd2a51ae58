//! Timed workers: host calls that may block run on a thread of their own, so that an evaluation goes on when one does not come back.
//!
//! Threads are kept and used again. One that hangs is left behind: it costs a thread until its call returns, and no more than
//! `stuck` of them may hang at the same time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

/// How a timed job did not end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// Its time ran out; it may still be running.
    Timeout,
    /// It panicked: what the panic said.
    Panicked(String),
    /// Too many hang already, or no thread could be made.
    Busy,
}

/// What a waiting worker is sent.
enum Order {
    Do(Job),
    Quit,
}

#[derive(Default)]
struct Idle {
    workers: Vec<SyncSender<Order>>,
    closed: bool,
}

/// The threads that wait for jobs.
pub(crate) struct Workers {
    shared: Arc<Shared>,
}

struct Shared {
    idle: Mutex<Idle>,
    hanging: AtomicUsize,
    stuck: usize,
}

impl Workers {
    pub(crate) fn new(stuck: usize) -> Self {
        Self { shared: Arc::new(Shared { idle: Mutex::default(), hanging: AtomicUsize::new(0), stuck }) }
    }

    /// Runs a job and waits for its answer, but not longer than `time`.
    pub(crate) fn run<A: Send + 'static>(
        &self,
        time: Duration,
        job: impl FnOnce() -> A + Send + 'static,
    ) -> Result<A, Unfinished> {
        if self.shared.hanging.load(Ordering::Relaxed) >= self.shared.stuck {
            return Err(Unfinished::Busy);
        }
        let (answer, answered) = sync_channel(1);
        let hanging = Arc::new(Hanging { shared: Arc::clone(&self.shared), state: AtomicUsize::new(RUNNING) });
        let seen = Arc::clone(&hanging);
        self.hand_over(Box::new(move || {
            let outcome = catch_unwind(AssertUnwindSafe(job)).map_err(|panic| panic_text(&*panic));
            seen.ended();
            // Nobody listens any more when the time ran out.
            let _ = answer.send(outcome);
        }))?;
        match answered.recv_timeout(time) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => Err(Unfinished::Panicked(panic)),
            Err(RecvTimeoutError::Disconnected) => Err(Unfinished::Panicked("the worker is gone".to_owned())),
            Err(RecvTimeoutError::Timeout) => {
                hanging.left_behind();
                Err(Unfinished::Timeout)
            }
        }
    }

    fn hand_over(&self, job: Job) -> Result<(), Unfinished> {
        let idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).workers.pop();
        let mut job = job;
        if let Some(worker) = idle {
            // A worker in the list waits at its channel, which has room for one.
            match worker.send(Order::Do(job)) {
                Ok(()) => return Ok(()),
                Err(SendError(Order::Do(returned))) => job = returned,
                Err(SendError(Order::Quit)) => return Err(Unfinished::Busy),
            }
        }
        let (sender, receiver) = sync_channel(1);
        let shared = Arc::downgrade(&self.shared);
        std::thread::Builder::new()
            .name("gatewright-hostcall".to_owned())
            .spawn(move || work(&receiver, &sender, job, &shared))
            .map(|_| ())
            .map_err(|_| Unfinished::Busy)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.closed = true;
        for worker in idle.workers.drain(..) {
            // One that is gone needs no order.
            let _ = worker.send(Order::Quit);
        }
    }
}

fn work(orders: &Receiver<Order>, own: &SyncSender<Order>, first: Job, shared: &Weak<Shared>) {
    let mut job = first;
    loop {
        job();
        let Some(shared) = shared.upgrade() else { return };
        let mut idle = shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.closed {
            return;
        }
        idle.workers.push(own.clone());
        drop(idle);
        drop(shared);
        match orders.recv() {
            Ok(Order::Do(next)) => job = next,
            Ok(Order::Quit) | Err(_) => return,
        }
    }
}

const RUNNING: usize = 0;
const LEFT: usize = 1;
const ENDED: usize = 2;

/// Counts a job among the hanging from the moment when its time ran out to the moment when it returns.
struct Hanging {
    shared: Arc<Shared>,
    state: AtomicUsize,
}

impl Hanging {
    fn left_behind(&self) {
        self.shared.hanging.fetch_add(1, Ordering::Relaxed);
        if self.state.compare_exchange(RUNNING, LEFT, Ordering::AcqRel, Ordering::Acquire).is_err() {
            self.shared.hanging.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn ended(&self) {
        if self.state.swap(ENDED, Ordering::AcqRel) == LEFT {
            self.shared.hanging.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_thread_is_used_again_and_a_panic_does_not_end_it() {
        let workers = Workers::new(1);
        let is_back = || {
            while workers.shared.idle.lock().unwrap().workers.is_empty() {
                std::thread::yield_now();
            }
        };
        let first = workers.run(LONG, || std::thread::current().id()).unwrap();
        // Else the next job is handed to a second one.
        is_back();
        let panicked = workers.run(LONG, || panic!("no such repository")).map(|(): ()| ());
        assert_eq!(panicked, Err(Unfinished::Panicked("no such repository".to_owned())));
        is_back();
        assert_eq!(workers.run(LONG, || std::thread::current().id()).unwrap(), first);
    }

    #[test]
    fn a_job_that_hangs_is_left_behind_and_only_so_many_may() {
        let workers = Workers::new(1);
        let (release, released) = channel::<()>();
        let hung = workers.run(Duration::from_millis(1), move || released.recv().is_ok());
        assert_eq!(hung, Err(Unfinished::Timeout));
        assert_eq!(workers.run(LONG, || 1), Err(Unfinished::Busy));
        release.send(()).unwrap();
        while workers.shared.hanging.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        assert_eq!(workers.run(LONG, || 1), Ok(1));
    }
}
