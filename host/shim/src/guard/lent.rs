//! Folders that a run is lent. What lay there before is not the run's, so each is measured before the command begins; but nobody
//! waits long for a cache of a million files, and whoever filled it in an earlier run must not have made it free of the limit.
//!
//! A folder that takes longer is walked through beside the run, again and again. What its first walk found, was there before. What is
//! written where no walk has come by yet, its file system tells: it has less room. Once that is more than the run may take at all,
//! the run ends, though others may have written it. A run that keeps its limit never comes so far by itself, and each walk begins
//! that account anew; so the operator of a large cache pays with an error only where others fill his whole limit during one walk.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::disk::{self, Found};
use super::spelled;

/// One folder.
pub(super) struct Lent {
    pub(super) folder: PathBuf,
    before: Before,
}

/// What it held before the command began.
enum Before {
    Measured(u64),
    /// It takes too long to say.
    Slow(Mutex<Account>),
}

/// What is known of a slow folder.
#[derive(Clone, Copy, Debug)]
struct Account {
    /// What the first walk found.
    before: Option<u64>,
    /// By how much more the last walk found.
    grown: u64,
    /// The room of its file system when that walk began.
    room: Option<u64>,
}

/// What is too much, in words.
pub(super) type TooMuch = String;

impl Lent {
    /// Measures it, as far as the time (`steady_ms`) goes.
    pub(super) fn measure(folder: PathBuf, until: u64) -> Self {
        let room = disk::free(&folder);
        let before = match disk::walk(&folder, u64::MAX, until) {
            Found::Bytes(bytes) => Before::Measured(bytes),
            Found::AtLeast(_) => Before::Slow(Mutex::new(Account { before: None, grown: 0, room })),
            // The first look finds the same, and says so.
            Found::TooDeep | Found::Shut(_) => Before::Measured(0),
        };
        Self { folder, before }
    }

    pub(super) fn is_slow(&self) -> bool {
        matches!(self.before, Before::Slow(_))
    }

    /// By how much it grew; looked at no further than `most`, and until this time.
    pub(super) fn grown(&self, most: u64, allowed: u64, until: u64) -> Result<u64, TooMuch> {
        match &self.before {
            Before::Measured(before) => {
                Ok(bytes(&self.folder, most.saturating_add(*before), until)?.saturating_sub(*before))
            }
            Before::Slow(account) => {
                let account = *account.lock().unwrap_or_else(PoisonError::into_inner);
                let lost = lost(account.room, disk::free(&self.folder));
                if account.grown.saturating_add(lost) > allowed {
                    let (folder, lost) = (quoted(&self.folder), spelled(lost));
                    return Err(format!(
                        "{folder}, which is slow to look through, had grown by {}, and its file system lost {lost} since",
                        spelled(account.grown)
                    ));
                }
                Ok(account.grown)
            }
        }
    }

    /// Whether a slow one calls for an end now.
    pub(super) fn calls(&self, allowed: u64) -> bool {
        self.is_slow() && self.grown(0, allowed, 0).is_err()
    }

    /// Walks through a slow one to its end, however long it takes.
    pub(super) fn walk(&self, allowed: u64) -> Result<(), TooMuch> {
        let Before::Slow(account) = &self.before else { return Ok(()) };
        let room = disk::free(&self.folder);
        let before = account.lock().unwrap_or_else(PoisonError::into_inner).before;
        let most = before.map_or(u64::MAX, |before| before.saturating_add(allowed));
        let found = bytes(&self.folder, most, u64::MAX)?;
        let before = before.unwrap_or(found);
        let grown = found.saturating_sub(before);
        *account.lock().unwrap_or_else(PoisonError::into_inner) = Account { before: Some(before), grown, room };
        Ok(())
    }
}

/// A path as a log may show it: whoever named its folders may have put line feeds and worse into them.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}

/// How much less it is.
pub(super) fn lost(before: Option<u64>, after: Option<u64>) -> u64 {
    before.zip(after).map_or(0, |(before, after)| before.saturating_sub(after))
}

/// What a folder takes, as far as it was looked at.
pub(super) fn bytes(folder: &Path, most: u64, until: u64) -> Result<u64, TooMuch> {
    match disk::walk(folder, most, until) {
        Found::Bytes(bytes) | Found::AtLeast(bytes) => Ok(bytes),
        Found::TooDeep => Err(format!("in {} folders lie more than {} deep", quoted(folder), disk::DEEPEST)),
        Found::Shut(shut) => Err(format!("{} cannot be looked into", quoted(&shut))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: u64 = 1 << 50;

    /// Files enough that a walk looks at the time.
    fn slow() -> (tempfile::TempDir, Lent) {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..2000 {
            std::fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        let lent = Lent::measure(folder.path().to_owned(), 0);
        assert!(lent.is_slow());
        (folder, lent)
    }

    #[test]
    fn a_slow_folder_is_charged_for_what_was_added_since_its_first_walk() {
        let (folder, lent) = slow();
        assert_eq!(lent.grown(0, ALL, 0), Ok(0));
        lent.walk(ALL).unwrap();
        std::fs::write(folder.path().join("large"), vec![1; 3 << 20]).unwrap();
        lent.walk(ALL).unwrap();
        let grown = lent.grown(0, ALL, 0).unwrap();
        assert!((3 << 20..4 << 20).contains(&grown), "{grown}");
        assert!(lent.grown(0, 1 << 20, 0).unwrap_err().contains("is slow to look through"));
        assert!(lent.calls(1 << 20));
        assert!(!lent.calls(ALL));
    }

    #[test]
    fn what_its_file_system_lost_counts_until_a_walk_came_by() {
        let account = Account { before: None, grown: 1, room: Some(u64::MAX) };
        let lent = Lent { folder: "/".into(), before: Before::Slow(Mutex::new(account)) };
        assert!(lent.calls(ALL));
    }

    #[test]
    fn one_that_is_too_deep_from_the_first_is_not_free() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("d/".repeat(disk::DEEPEST + 1))).unwrap();
        let lent = Lent::measure(folder.path().to_owned(), u64::MAX);
        assert!(!lent.is_slow());
        assert!(lent.grown(ALL, ALL, u64::MAX).unwrap_err().contains("deep"));
    }
}
