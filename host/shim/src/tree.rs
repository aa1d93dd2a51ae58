//! Signals for a whole tree: every descendant of the subreaper, whatever session, group or parent it chose for itself.

use std::collections::BTreeSet;

use rustix::process::Signal;

use crate::processes::{self, Handle, Process, descendants};

/// How often new members are looked for before the blow falls.
const STOP_ROUNDS: usize = 10;

fn send(process: Process, signal: Signal) {
    // One that cannot be reached (it ended, it changed its user) must not keep the others alive.
    if let Ok(Some(handle)) = Handle::open(process.pid, process.start_time) {
        let _ = handle.signal(signal);
    }
}

/// Asks every descendant of `root` to end, but not `spared`; one that was stopped is let go on, so that it hears it.
pub(crate) fn terminate(root: u32, spared: Option<u32>) {
    for process in descendants(root).unwrap_or_default() {
        if Some(process.pid) != spared {
            send(process, Signal::TERM);
            send(process, Signal::CONT);
        }
    }
}

/// Kills a child of this process that was not waited for yet: its number cannot mean another one.
pub(crate) fn kill_one(child: u32) -> bool {
    let mine = processes::process(child).filter(|process| process.parent == std::process::id());
    mine.inspect(|process| send(*process, Signal::KILL)).is_some()
}

/// Kills every descendant of `root`: first all are stopped, until no new one turns up, so that none can be born behind
/// our back. Whoever slips through is found by the next call.
pub(crate) fn kill(root: u32) {
    let mut stopped = BTreeSet::new();
    for _ in 0..STOP_ROUNDS {
        let mut fresh = false;
        for process in descendants(root).unwrap_or_default() {
            if stopped.insert((process.pid, process.start_time)) {
                fresh = true;
                send(process, Signal::STOP);
            }
        }
        if !fresh {
            break;
        }
    }
    for process in descendants(root).unwrap_or_default() {
        send(process, Signal::KILL);
    }
}
