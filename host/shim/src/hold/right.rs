//! How long a run may go on without its host, by a clock that nobody sets.
//!
//! The host writes until when by the wall's clock, and the file bears the time of its writing by the same clock: what lies between is
//! what was granted. It is counted here from when the file was seen, by `CLOCK_MONOTONIC`. Were the end compared with the wall's
//! clock, one that is set forward by more than a right would end each run before its host has as much as noticed. That clock and not
//! `CLOCK_BOOTTIME`, which counts a machine's sleep: the host sleeps with the machine, and at its waking a run would be over sooner
//! than the host can prolong it.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::protocol::{self, Right};

/// The right of one run.
#[derive(Debug)]
pub(super) struct Granted {
    /// When it ends, in milliseconds of the steady clock.
    until: u64,
    seen: Option<Seen>,
}

/// Which file was read: each is written under another name first, so none has the number and the time of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    inode: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Granted {
    /// Of a run that begins `now` (the steady clock, as below) and may live so long, in milliseconds, without a word of its host.
    pub(super) fn at_first(now: u64, right_ms: u64) -> Self {
        Self { until: now.saturating_add(right_ms), seen: None }
    }

    /// Looks whether the host has written another one. What is not there, or cannot be read, prolongs nothing and ends nothing.
    pub(super) fn look(&mut self, folder: &Path, now: u64) {
        let Ok(found) = folder.join(protocol::RIGHT).symlink_metadata() else { return };
        let seen = Seen { inode: found.ino(), seconds: found.mtime(), nanoseconds: found.mtime_nsec() };
        if self.seen == Some(seen) {
            return;
        }
        // Where another one came between these two looks, the next look finds it.
        if let Ok(Some(right)) = protocol::read::<Right>(folder, protocol::RIGHT) {
            self.seen = Some(seen);
            self.until = now.saturating_add(right.until_ms.saturating_sub(written_ms(&found)));
        }
    }

    pub(super) fn until(&self) -> u64 {
        self.until
    }

    pub(super) fn is_over(&self, now: u64) -> bool {
        now >= self.until
    }
}

/// Milliseconds since the epoch; a time before it is the epoch.
fn written_ms(file: &Metadata) -> u64 {
    let seconds = u64::try_from(file.mtime()).unwrap_or(0);
    let below = u64::try_from(file.mtime_nsec()).unwrap_or(0) / 1_000_000;
    seconds.saturating_mul(1000).saturating_add(below)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const DAY: u64 = 24 * 3600 * 1000;

    /// Written at a time of the wall's clock, to last until another one.
    fn grant(folder: &Path, written_ms: u64, until_ms: u64) {
        let path = folder.join(protocol::RIGHT);
        protocol::write(folder, protocol::RIGHT, &Right { version: protocol::VERSION, until_ms }).unwrap();
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_millis(written_ms)).unwrap();
    }

    /// The wall's clock is nowhere among what is asked: wherever it jumps, what counts is how long ago the host was heard.
    #[test]
    fn what_was_granted_is_counted_from_when_it_was_seen() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut right = Granted::at_first(1000, DAY);
        right.look(folder, 2000);
        assert_eq!(right.until(), 1000 + DAY, "nobody has written one");
        for (written, seen) in [(50 * DAY, 5000), (90 * DAY, 6000), (10 * DAY, 7000)] {
            grant(folder, written, written + DAY);
            right.look(folder, seen);
            assert_eq!(right.until(), seen + DAY);
            // The same file once more prolongs nothing.
            right.look(folder, seen + 500);
            assert!(!right.is_over(seen + DAY - 1) && right.is_over(seen + DAY), "its host is away");
        }
    }

    #[test]
    fn a_right_is_taken_back_by_a_time_that_has_passed_and_garbage_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut right = Granted::at_first(0, DAY);
        grant(folder, 50 * DAY, u64::MAX);
        right.look(folder, 10);
        assert!(!right.is_over(u64::MAX / 2));
        std::fs::write(folder.join(protocol::RIGHT), "garbage").unwrap();
        right.look(folder, 20);
        assert!(!right.is_over(u64::MAX / 2));
        grant(folder, 50 * DAY, 1);
        right.look(folder, 30);
        assert!(right.is_over(30));
        std::fs::remove_file(folder.join(protocol::RIGHT)).unwrap();
        right.look(folder, 40);
        assert!(right.is_over(40), "what was taken back does not come again");
    }
}
