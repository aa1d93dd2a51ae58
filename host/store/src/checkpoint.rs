//! What the log holds is copied into the database beside the thread that writes: nobody's commit waits for it. Where the copying
//! stays behind, the writer does the rest of it, so that the log ends somewhere.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use conductor::ports::store::StoreError;
use rusqlite::{Connection, Error};

use crate::failure::of_sql;
use crate::writer::News;

/// Pages that the log grows by from one copying to the next, 16 MiB: what was written many times meanwhile is copied once.
const STEP: i32 = 4096;
/// Pages of the log from which on the writer copies too, 64 MiB. A log that was copied to its end begins anew.
const MOST: i32 = 4 * STEP;
/// What the file of the log is cut to when the log begins anew: only what a long reader made of it, since cutting costs more than to
/// write over it.
const LEFT_BYTES: i64 = 96 << 20;

thread_local! {
    /// Pages in the log after this thread's last commit.
    static PAGES: Cell<i32> = const { Cell::new(0) };
}

/// The thread that copies, with a connection of its own.
pub(crate) struct Checkpointer {
    line: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Pages in the log when the thread was called last.
    called_at: Cell<i32>,
}

/// The connection that writes copies nothing by itself any more, and knows how long its log is.
pub(crate) fn watch(sql: &Connection) -> rusqlite::Result<()> {
    sql.pragma_update(None, "journal_size_limit", LEFT_BYTES)?;
    sql.wal_hook(Some(|_, pages| {
        PAGES.set(pages);
        Ok(())
    }));
    Ok(())
}

impl Checkpointer {
    pub(crate) fn start(sql: Connection, news: Arc<News>) -> std::io::Result<Self> {
        let (line, waiting) = sync_channel(1);
        let thread = thread::Builder::new().name("store-log".to_owned()).spawn(move || run(&sql, &news, &waiting))?;
        Ok(Self { line: Some(line), thread: Some(thread), called_at: Cell::new(0) })
    }

    /// After a commit on this thread, by the connection that is watched.
    pub(crate) fn note(&self, sql: &Connection) -> rusqlite::Result<()> {
        let pages = PAGES.get();
        let called_at = self.called_at.get();
        // It is shorter than it was: it began anew.
        let grown = if pages < called_at { pages } else { pages - called_at };
        if grown >= STEP {
            self.called_at.set(pages);
            // Where it is called already, it comes.
            let _ = self.line.as_ref().map(|line| line.try_send(()));
        }
        if pages >= MOST { copy(sql) } else { Ok(()) }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.line.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(sql: &Connection, news: &News, waiting: &Receiver<()>) {
    while let Ok(()) = waiting.recv() {
        if let Err(error) = copy(sql) {
            match of_sql(&error) {
                // The log is whole, so nothing is lost; the next call tries again.
                StoreError::Full(text) | StoreError::Busy(text) => tracing::warn!("the log is not copied: {text}"),
                error => drop(news.mark(error)),
            }
        }
    }
}

/// As much as can be without waiting for anybody: who reads keeps what he reads, and another one may be copying.
fn copy(sql: &Connection) -> Result<(), Error> {
    sql.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?.query_row([], |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::params;

    use super::*;
    use crate::failure::Result;
    use crate::writer::Tx;
    use crate::{SqliteStore, StoreConfig};

    /// Some 256 pages.
    const ROW: usize = 1 << 20;

    fn bytes(path: &Path) -> u64 {
        path.metadata().map_or(0, |found| found.len())
    }

    #[test]
    fn the_log_is_copied_while_it_is_written_and_ends_somewhere() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap();
        let (database, log) = (dir.path().join("gatewright.db"), dir.path().join("gatewright.db-wal"));
        let row = |tx: &Tx<'_>| -> Result<()> {
            crate::row::execute(tx.sql, "INSERT INTO note (text) VALUES (zeroblob(?1))", params![ROW as i64])?;
            Ok(())
        };
        store.write(|tx| crate::row::execute(tx.sql, "CREATE TABLE note (text BLOB NOT NULL)", [])).unwrap();
        let before = bytes(&database);
        for _ in 0..20 {
            store.write(row).unwrap();
        }
        // More than a step, far less than what the writer copies itself.
        assert!(bytes(&log) < MOST as u64 * 4096);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while bytes(&database) < before + 16 * ROW as u64 {
            assert!(std::time::Instant::now() < deadline, "nobody copies: {} bytes", bytes(&database));
            std::thread::yield_now();
        }
        for _ in 0..200 {
            store.write(row).unwrap();
        }
        let (kept, most) = (bytes(&log), 2 * MOST as u64 * 4096);
        assert!(kept < most, "a log of {kept} bytes for 220 MiB");
        drop(store);
        assert!(bytes(&database) > 220 * ROW as u64 && !log.exists(), "what closes last leaves no log");
    }
}
