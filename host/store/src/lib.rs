//! The store: SQLite in WAL, every write durable when its call returns.
//!
//! **Cast.** One *writer* thread owns the only connection that writes; it groups what waits into one commit and answers only
//! after that commit's fsync. Each request of a group has a SAVEPOINT of its own, so that one's failure is not the others'.
//! A *checkpointer* copies the log into the database meanwhile. A pool of *readers* answers questions. *Blobs* are files named by their hash, synced before the commit that names them.
//!
//! **Story.** An event arrives; `transact` reads the task, lets the engine decide, folds the entries, writes the task where
//! its version is still the one that was read, and appends entries, jobs and the event itself, all in the request's savepoint.
//! `claim` hands a job to a host, `complete` closes it and steps its task in the same transaction.
//!
//! **Guarantees.** What was acknowledged is there after a crash at any instant; what was not is there wholly or not at all.
//! The invariants stand as SQL constraints too (`schema/001.sql`), so that a bug is refused instead of committed. After an I/O
//! error of the database every call answers `Fatal`: the process must end.
//!
//! **Simulated.** [`SqliteStore::open_on`] opens the same store on a disk of somebody's making ([`Foundation`]: a SQLite VFS and
//! a [`BlobDisk`]) and without any thread: one request, one commit, on the caller's own thread.
//!
//! **Not guaranteed.** One host at a time: a file lock refuses a second one. The folder must lie on a local file system.

mod access;
mod blobs;
mod board;
mod checkpoint;
mod claim;
mod clock;
mod complete;
pub mod conformance;
mod copy;
mod counts;
mod delivery;
mod failure;
mod find;
mod hints;
mod history;
mod jobs;
mod keep;
mod late;
mod leases;
mod lock;
mod open;
mod overview;
mod ownership;
mod pressed;
mod queue;
mod readers;
mod records;
mod row;
mod schema;
mod seen;
mod slots;
mod spending;
mod sqlite;
mod tasks;
mod transact;
mod wakes;
mod would;
mod writer;

pub use blobs::BlobDisk;
pub use copy::{Moment, NamedBlob};
pub use open::{Decide, Foundation, StoreConfig, Tells};
pub use sqlite::SqliteStore;
pub use writer::Stopwatch;
