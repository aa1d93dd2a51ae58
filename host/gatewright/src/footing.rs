//! What a host stands on: a folder that takes what it writes, and the database that it opened.
//!
//! A host that has nothing to do writes nothing, and what it reads it remembers: on a disk that went bad it would feel well until
//! the next ticket came.

use std::fs::Metadata;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use store::Moment;

/// Each is one file for as long as the host has the database open.
const FILES: [&str; 2] = ["gatewright.db", "gatewright.db-wal"];

/// The state folder, as it was when its store was opened.
pub(crate) struct Footing {
    dir: PathBuf,
    files: Vec<(PathBuf, Identity)>,
}

/// A file, whatever its name is by now.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(found: &Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}

impl Footing {
    /// Of a folder whose store this process has opened.
    pub(crate) fn of(dir: &Path) -> Self {
        let known = |path: PathBuf| path.metadata().ok().map(|found| (path, Identity::of(&found)));
        Self { dir: dir.to_owned(), files: FILES.iter().filter_map(|name| known(dir.join(name))).collect() }
    }

    /// Why what the host is told would not last; none: it would. Only [`Moment`] opens the database: SQLite's locks end as soon
    /// as this process closes any other descriptor of it.
    pub(crate) fn trouble(&self) -> Option<String> {
        let moved = |(path, known): &(PathBuf, Identity)| {
            let same = path.metadata().is_ok_and(|found| Identity::of(&found) == *known);
            (!same).then(|| {
                format!("{} is not the file any more that the host opened: what it keeps is lost", path.display())
            })
        };
        let unread = || Moment::open(&self.dir).and_then(|moment| moment.schema()).err();
        writes(&self.dir)
            .map(|error| format!("nothing can be written in {}: {error}", self.dir.display()))
            .or_else(|| self.files.iter().find_map(moved))
            .or_else(|| unread().map(|error| format!("the database cannot be read anew: {error}")))
    }
}

/// Why a file in this folder cannot be written. It never has a name there.
fn writes(dir: &Path) -> Option<std::io::Error> {
    tempfile::tempfile_in(dir).and_then(|mut file| file.write_all(b"well")).err()
}
