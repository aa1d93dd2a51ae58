//! A fixed pool of connections that read. In WAL a reader never waits for the writer, nor the writer for it.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::failure::Result;
use crate::open::Place;

/// A stranger's checkpoint may hold a reader for a moment, never for long.
pub(crate) const BUSY: Duration = Duration::from_secs(5);
/// Every statement of the store fits, so that none is parsed twice.
pub(crate) const STATEMENTS: usize = 256;

pub(crate) struct Readers {
    idle: Mutex<Vec<Connection>>,
    returned: Condvar,
}

impl Readers {
    pub(crate) fn open(place: &Place, count: u32) -> rusqlite::Result<Self> {
        let mut idle = Vec::new();
        for _ in 0..count.max(1) {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let sql = place.connect(flags)?;
            sql.busy_timeout(BUSY)?;
            sql.set_prepared_statement_cache_capacity(STATEMENTS);
            idle.push(sql);
        }
        Ok(Self { idle: Mutex::new(idle), returned: Condvar::new() })
    }

    /// Reads within one transaction: all that `work` sees is of one moment.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let lent = Lent { readers: self, sql: Some(self.take()) };
        let Some(sql) = &lent.sql else { return Err(rusqlite::Error::InvalidQuery.into()) };
        let moment = sql.unchecked_transaction()?;
        let found = work(&moment)?;
        moment.finish()?;
        Ok(found)
    }

    fn take(&self) -> Connection {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match idle.pop() {
                Some(sql) => return sql,
                None => idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// A connection that goes back also when the reading panics.
struct Lent<'a> {
    readers: &'a Readers,
    sql: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.sql.take());
        self.readers.returned.notify_one();
    }
}
