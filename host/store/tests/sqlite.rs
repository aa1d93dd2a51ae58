//! The SQLite driver obeys the contract of the port.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

use conductor::ports::store::Store;
use store::conformance::Site;
use store::{SqliteStore, StoreConfig};
use tempfile::TempDir;

struct Folder(TempDir);

impl Site for Folder {
    fn open(&self) -> Box<dyn Store> {
        Box::new(SqliteStore::open(StoreConfig::new(self.0.path(), "here")).unwrap())
    }
}

fn site() -> Folder {
    Folder(tempfile::tempdir().unwrap())
}

store::conformance!(crate::site);
