//! What a place does where places are compiled in.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::process::{Signal, getpid, kill_process};

use crate::{FOLDER, HITS, ORDERS, PASSED};

/// Counts; and ends this process if there is an order.
pub(crate) fn pass(place: &str) {
    static READ: OnceLock<Option<PathBuf>> = OnceLock::new();
    let Some(folder) = READ.get_or_init(|| std::env::var_os(FOLDER).map(PathBuf::from)) else { return };
    // A folder that is gone belongs to a test that is over.
    let Ok(count) = append(&folder.join(PASSED).join(place), ".") else { return };
    let order = folder.join(ORDERS).join(place);
    let is_due = fs::read_to_string(&order).is_ok_and(|wanted| is_due(&wanted, count));
    // Of all who find themselves meant, one takes the order away.
    if is_due && fs::remove_file(&order).is_ok() {
        end(folder, place);
    }
}

/// The file's length with this text at its end.
fn append(path: &Path, text: &str) -> io::Result<u64> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(file.metadata()?.len())
}

fn is_due(wanted: &str, count: u64) -> bool {
    wanted.trim().parse().is_ok_and(|wanted: u64| count >= wanted)
}

fn end(folder: &Path, place: &str) {
    let hit = format!("{place} {}\n", getpid().as_raw_nonzero());
    // Who cannot be counted does not die: a strike that nobody sees proves nothing.
    if append(&folder.join(HITS), &hit).is_err() {
        return;
    }
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_holds_from_its_count_on() {
        assert!(is_due("2\n", 2) && is_due("2", 3));
        assert!(!is_due("2", 1) && !is_due("", 1) && !is_due("soon", 1));
    }
}
