//! The end of the host: signals move its phase, and what is left decides when it is over. `conductor::shutdown` says how.

use std::sync::{Arc, Mutex, PoisonError};

use conductor::shutdown::{Left, Manner, Phase};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// How far the end has come.
pub(crate) struct Ending {
    manner: Manner,
    phase: Mutex<Phase>,
    over: Notify,
}

impl Ending {
    /// Nobody told the host to end yet; the first signal means this.
    pub(crate) fn new(manner: Manner) -> Self {
        Self { manner, phase: Mutex::default(), over: Notify::new() }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told(&self, left: Left) -> Phase {
        let phase = {
            let mut phase = self.phase.lock().unwrap_or_else(PoisonError::into_inner);
            *phase = phase.after_signal(self.manner);
            *phase
        };
        if let Some(sentence) = phase.sentence(left) {
            tracing::info!("{sentence}");
        }
        phase
    }

    /// Somebody looked at what is left.
    pub(crate) fn look(&self, left: Left) {
        if self.phase().is_over(left) {
            self.over.notify_one();
        }
    }

    /// Until the process may begin to end.
    pub(crate) async fn over(&self) {
        self.over.notified().await;
    }
}

/// The signals that tell a host to end.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on; within a runtime.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Follows the signals to the end of the process. `left` says what is under way, `at_once` ends the process.
    pub(crate) async fn follow(
        mut self,
        ending: Arc<Ending>,
        left: impl Fn() -> Left + Send,
        at_once: impl Fn() + Send,
    ) {
        loop {
            tokio::select! {
                Some(()) = self.terminate.recv() => {}
                Some(()) = self.interrupt.recv() => {}
                else => return,
            }
            if ending.told(left()) == Phase::AtOnce {
                at_once();
            }
            ending.look(left());
        }
    }
}
