//! The database as it stands at one moment, read from beside the host that writes it: for a copy, and for a look at a copy.
//!
//! A moment is a read transaction: in WAL it holds up nobody, and whatever is committed later is not in it. So what is copied is
//! what a power cut at that moment would have left, and a host takes such a thing up by what it does after every crash.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use conductor::ports::store::{EvaluationRow, Page, StoreError, WouldRow};
use domain::ids::{Digest, EvaluationId, ProjectName, TaskId, WorkItemId};
use domain::time::Timestamp;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::failure::{Failure, Result as Inner, inside, of_sql};
use crate::readers::BUSY;
use crate::row::{all, get_name, get_text, number};
use crate::{history, records, schema};

type Result<T> = std::result::Result<T, StoreError>;

/// Of a database that fails its check, so many complaints are told.
const COMPLAINTS: u32 = 10;

/// The database in a folder, opened only to be read, without the host's lock.
pub struct Moment {
    sql: Connection,
    blobs: PathBuf,
}

/// A blob that the database names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedBlob {
    /// Its name.
    pub digest: Digest,
    /// In bytes. None: it was named without being there, which the host allows for what nobody must read.
    pub size: Option<u64>,
}

impl NamedBlob {
    /// Where it lies below the folder of blobs.
    pub fn path(&self) -> String {
        crate::blobs::name_of(&self.digest)
    }
}

impl Moment {
    /// Opens the database of a state folder. Refused where there is none, and where a newer host wrote it.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join("gatewright.db");
        if !path.is_file() {
            return Err(StoreError::inside(format!("there is no database {}", path.display())));
        }
        let sql = read_only(&path).map_err(|error| of_sql(&error))?;
        schema::check(&sql)?;
        Ok(Self { sql, blobs: dir.join("blobs") })
    }

    /// From now on all that is read is of this moment.
    pub fn pin(&self) -> Result<()> {
        // The transaction begins with the first look.
        let pinned = self.sql.execute_batch("BEGIN; SELECT COUNT(*) FROM sqlite_schema");
        pinned.map_err(|error| of_sql(&error))
    }

    /// Lets the moment go.
    pub fn release(&self) -> Result<()> {
        self.sql.execute_batch("ROLLBACK").map_err(|error| of_sql(&error))
    }

    /// Writes the database of this moment into a new file, and syncs it.
    pub fn copy_to(&self, path: &Path) -> Result<()> {
        self.copy(path).map_err(StoreError::from)
    }

    fn copy(&self, path: &Path) -> Inner<()> {
        let mut copy = Connection::open(path)?;
        // All pages at one go: in WAL that stops nobody, and a copy in parts would begin anew with each commit of the host's.
        match Backup::new(&self.sql, &mut copy)?.step(-1)? {
            StepResult::Done => {}
            other => return Err(inside(format!("the database could not be copied: {other:?}"))),
        }
        // One file, with nothing beside it that could be forgotten.
        copy.pragma_update(None, "journal_mode", "DELETE")?;
        copy.close().map_err(|(_, error)| error)?;
        let synced = std::fs::File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|error| inside(format!("{}: {error}", path.display())))
    }

    /// Which schema it has.
    pub fn schema(&self) -> Result<u32> {
        self.sql.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|error| of_sql(&error))
    }

    /// The rows of each table, by its name.
    pub fn counts(&self) -> Result<BTreeMap<String, u64>> {
        self.count().map_err(StoreError::from)
    }

    fn count(&self) -> Inner<BTreeMap<String, u64>> {
        let query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
        let tables: Vec<String> = all(&self.sql, query, [], |row| get_text(row, "sqlite_schema", "name"))?;
        let mut counts = BTreeMap::new();
        for table in tables {
            let query = format!("SELECT COUNT(*) FROM \"{}\"", table.replace('"', "\"\""));
            let rows: i64 = self.sql.query_row(&query, [], |row| row.get(0))?;
            counts.insert(table, rows.unsigned_abs());
        }
        Ok(counts)
    }

    /// All blobs that it names, in the order of their names.
    pub fn blobs(&self) -> Result<Vec<NamedBlob>> {
        let read = all(&self.sql, "SELECT digest, size FROM blob ORDER BY digest", [], |row| {
            let size: Option<i64> = row.get("size")?;
            Ok(NamedBlob { digest: get_name(row, "blob", "digest")?, size: size.map(i64::unsigned_abs) })
        });
        read.map_err(StoreError::from)
    }

    /// The newest time that it has seen; none: it has seen nothing yet.
    pub fn newest(&self) -> Result<Option<Timestamp>> {
        // The last row, not the greatest time: that would read all of them.
        let query = "SELECT at FROM event WHERE id = (SELECT MAX(id) FROM event)";
        number(&self.sql, query, []).map(|at| at.map(Timestamp)).map_err(StoreError::from)
    }

    /// What observed projects would have done, oldest first: see [`Store::woulds`](conductor::ports::store::Store::woulds).
    pub fn woulds(
        &self,
        project: Option<&ProjectName>,
        since: Timestamp,
        after: u64,
        limit: u32,
    ) -> Result<Vec<WouldRow>> {
        crate::would::list(&self.sql, project, since, after, limit).map_err(StoreError::from)
    }

    /// Evaluations, the newest first: of a task, or of all.
    pub fn evaluations(
        &self,
        task: Option<TaskId>,
        before: Option<EvaluationId>,
        limit: u32,
    ) -> Result<Page<EvaluationRow>> {
        history::evaluations(&self.sql, task, before, limit).map_err(StoreError::from)
    }

    /// One evaluation.
    pub fn evaluation(&self, id: EvaluationId) -> Result<EvaluationRow> {
        records::evaluation(&self.sql, id).map_err(StoreError::from)
    }

    /// The newest task of a work item, whatever its project.
    pub fn task_of(&self, work_item: &WorkItemId) -> Result<Option<TaskId>> {
        let query = "SELECT MAX(id) FROM task WHERE work_item = ?1";
        number(&self.sql, query, [work_item.as_str()]).map(|id| id.map(TaskId)).map_err(StoreError::from)
    }

    /// The bytes of a blob. Refused where they are not those that were written.
    pub fn blob(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = self.blobs.join(crate::blobs::name_of(digest));
        let bytes = std::fs::read(&path).map_err(|error| StoreError::inside(format!("{}: {error}", path.display())))?;
        if Digest::of(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(StoreError::inside(format!("{}: its bytes are not the ones that were written there", path.display())))
        }
    }

    /// Reads every page and every key: what is wrong, a line each.
    pub fn complaints(&self) -> Result<Vec<String>> {
        self.complain().map_err(|failure: Failure| failure.into())
    }

    fn complain(&self) -> Inner<Vec<String>> {
        let query = format!("PRAGMA integrity_check({COMPLAINTS})");
        let mut told: Vec<String> = all(&self.sql, &query, [], |row| Ok(row.get(0)?))?;
        told.retain(|line| line != "ok");
        let loose: Vec<String> = all(&self.sql, "PRAGMA foreign_key_check", [], |row| {
            Ok(format!(
                "a row of `{}` names one of `{}` that is not there",
                row.get::<_, String>(0)?,
                row.get::<_, String>(2)?
            ))
        })?;
        told.extend(loose.into_iter().take(COMPLAINTS as usize));
        Ok(told)
    }
}

/// A folder that may not be written has no place for the index of the log; where there is no log, nobody needs one.
fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let folder = path.parent().unwrap_or(path);
    let log = std::fs::metadata(path.with_extension("db-wal")).map_or(0, |log| log.len());
    let writable = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    let sql = if writable || log > 0 {
        Connection::open_with_flags(path, flags)?
    } else {
        let name = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
        Connection::open_with_flags(format!("file:{name}?immutable=1"), flags | OpenFlags::SQLITE_OPEN_URI)?
    };
    sql.busy_timeout(BUSY)?;
    // A constant of SQLite's own: what a schema from elsewhere calls is not trusted.
    sql.pragma_update(None, "trusted_schema", "OFF")?;
    Ok(sql)
}
