//! Which folders of runs may go.

use conductor::ports::store::{Keeping, StoreError};
use domain::ids::RunId;
use domain::time::Timestamp;
use rusqlite::params;

use crate::row::{all, execute, get_u64, int, number, time};
use crate::sqlite::SqliteStore;

type Told<T> = std::result::Result<T, StoreError>;

/// Of this machine: another one's folders lie elsewhere. What a run left was taken over once its job is closed.
const OLD: &str = "SELECT r.id FROM run r JOIN job j ON j.id = r.id JOIN task t ON t.id = r.task
    WHERE r.collected_at IS NULL AND r.ended_at IS NOT NULL AND r.ended_at < ?1 AND r.id > ?2 AND r.host = ?3
        AND j.state IN ('done', 'cancelled') AND j.winding = 0 AND t.terminal = 1
    ORDER BY r.id LIMIT ?4";

impl Keeping for SqliteStore {
    fn old_runs(&self, until: Timestamp, after: RunId, limit: u32) -> Told<Vec<RunId>> {
        let row = |sql: &rusqlite::Connection| {
            let wanted = params![time(until), int(after.0), self.core.host, limit];
            all(sql, OLD, wanted, |row| Ok(RunId(get_u64(row, "id")?)))
        };
        self.read(row)
    }

    fn run_collected(&self, run: RunId, now: Timestamp) -> Told<()> {
        let statement =
            "UPDATE run SET collected_at = ?2 WHERE id = ?1 AND collected_at IS NULL AND ended_at IS NOT NULL";
        self.write(move |tx| execute(tx.sql, statement, params![int(run.0), time(now)]).map(|_| ()))
    }

    fn when_collected(&self, run: RunId) -> Told<Option<Timestamp>> {
        let query = "SELECT collected_at FROM run WHERE id = ?1";
        self.read(|sql| Ok(number(sql, query, [int(run.0)])?.map(Timestamp)))
    }
}
