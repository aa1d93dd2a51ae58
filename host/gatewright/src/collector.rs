//! The thread that lets go of what is old, a bite at a time, beside all else.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use conductor::Conductor;

/// After a failure: it can wait.
const PAUSE: Duration = Duration::from_mins(1);

/// It ends when this is dropped, between two bites.
pub(crate) struct Collector {
    over: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    pub(crate) fn start(conductor: Arc<Conductor>) -> std::io::Result<Self> {
        let (over, is_over) = sync_channel::<()>(0);
        let thread = std::thread::Builder::new().name("collector".to_owned()).spawn(move || {
            loop {
                let pause = match conductor.collect() {
                    Ok(pause) => Duration::from_millis(pause.0),
                    Err(error) => {
                        tracing::warn!(%error, "what is old could not be collected");
                        PAUSE
                    }
                };
                if !matches!(is_over.recv_timeout(pause), Err(RecvTimeoutError::Timeout)) {
                    return;
                }
            }
        })?;
        Ok(Self { over: Some(over), thread: Some(thread) })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.over.take());
        if let Some(thread) = self.thread.take() {
            // What it panicked of concerns nobody any more.
            let _ = thread.join();
        }
    }
}
