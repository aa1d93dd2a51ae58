//! How the store is opened: lock, schema, writer, readers, in this order.

use std::collections::HashMap;
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use conductor::ports::store::{StoreError, Thing};
use domain::event::Event;
use domain::ids::{Actor, ProjectName};
use domain::pipeline::Pipeline;
use domain::task::Task;
use domain::time::Timestamp;
use engine::{Rejected, Step};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};

use crate::blobs::{BlobDisk, Blobs, Folder};
use crate::checkpoint::{self, Checkpointer};
use crate::failure::{Failure, Result, not_found, of_sql};
use crate::lock::HostLock;
use crate::readers::{BUSY, Readers, STATEMENTS};
use crate::row::{get_json, get_text, one};
use crate::schema;
use crate::seen::Seen;
use crate::sqlite::SqliteStore;
use crate::writer::{News, Writer};

/// Of the connection that writes, in KiB, and negative as SQLite wants it: the live rows of a queue of 100,000 jobs.
const CACHE: i64 = -16_384;

/// Who decides what an event means: [`engine::step`], or in a test somebody who panics.
pub type Decide = fn(&Pipeline, &Task, &Event, Timestamp) -> std::result::Result<Step, Rejected>;

/// Where the store lies and how it is run.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The state folder: `gatewright.db`, `gatewright.lock`, `blobs/`.
    pub dir: PathBuf,
    /// This machine's name: it stands beside what needs this machine's files.
    pub host: String,
    /// Connections that read.
    pub readers: u32,
    /// Who decides.
    pub decide: Decide,
    /// Whether the board tells.
    pub tells: Tells,
}

/// Whether the board tells of what this actor just did: always, or in a test now and then not, as a tracker whose delivery is
/// lost.
pub type Tells = fn(&Actor) -> bool;

/// It never fails to.
pub(crate) const fn always(_: &Actor) -> bool {
    true
}

impl StoreConfig {
    /// A store in `dir` with four readers, decided by the engine.
    pub fn new(dir: impl Into<PathBuf>, host: impl Into<String>) -> Self {
        Self { dir: dir.into(), host: host.into(), readers: 4, decide: engine::step, tells: always }
    }
}

/// A disk that is not this machine's, and no thread at all: how the simulator opens the store.
pub struct Foundation {
    /// The database's path, as the VFS understands it.
    pub path: PathBuf,
    /// The name of a registered SQLite VFS.
    pub vfs: String,
    /// Where the blobs lie.
    pub blobs: Arc<dyn BlobDisk>,
    /// This machine's name.
    pub host: String,
    /// Who decides.
    pub decide: Decide,
    /// Whether the board tells.
    pub tells: Tells,
}

/// Where the database lies.
pub(crate) struct Place {
    path: PathBuf,
    /// None: SQLite's own.
    vfs: Option<String>,
}

impl Place {
    pub(crate) fn connect(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        let sql = match &self.vfs {
            None => Connection::open_with_flags(&self.path, flags)?,
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs.as_str())?,
        };
        // Plans do not depend on what is bound: else every `LIMIT ?` is parsed anew each time it is asked.
        sql.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(sql)
    }
}

/// What a transaction needs beside its connection.
pub(crate) struct Core {
    pub(crate) decide: Decide,
    pub(crate) tells: Tells,
    pub(crate) host: String,
    pub(crate) blobs: Blobs,
    /// By digest, so that a rolled back change of a project leaves nothing wrong behind.
    pipelines: Mutex<HashMap<String, Arc<Pipeline>>>,
}

impl Core {
    /// The pipeline of a project, parsed once per content.
    pub(crate) fn pipeline(&self, sql: &Connection, project: &ProjectName) -> Result<Arc<Pipeline>> {
        let query = "SELECT digest FROM project WHERE name = ?1";
        let digest: String = one(sql, query, params![project.as_str()], |row| get_text(row, "project", "digest"))?
            .ok_or_else(|| not_found(Thing::Project, project))?;
        let mut known = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = known.get(&digest) {
            return Ok(Arc::clone(pipeline));
        }
        let query = "SELECT pipeline FROM project WHERE name = ?1";
        let read: Option<Pipeline> =
            one(sql, query, params![project.as_str()], |row| get_json(row, "project", "pipeline"))?;
        let pipeline = Arc::new(read.ok_or_else(|| not_found(Thing::Project, project))?);
        known.insert(digest, Arc::clone(&pipeline));
        Ok(pipeline)
    }
}

impl SqliteStore {
    /// Opens the store, and makes or migrates it where that is needed. Refused while another process has it open, and where a
    /// newer host wrote it.
    pub fn open(config: StoreConfig) -> std::result::Result<Self, StoreError> {
        let dir = config.dir.clone();
        let io = |error: std::io::Error| StoreError::inside(format!("{}: {error}", dir.display()));
        // What tickets and agents say is nobody else's business.
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(io)?;
        let lock = HostLock::take(&dir)?;
        let place = Place { path: dir.join("gatewright.db"), vfs: None };
        // SQLite would make it as the umask says, and its log with the same rights. An empty file is a new database.
        let mut private = OpenOptions::new();
        private.append(true).create(true).mode(0o600).open(&place.path).map_err(io)?;
        let sql = connect(&place).map_err(StoreError::from)?;
        let blobs = Blobs::open(Arc::new(Folder::new(dir.join("blobs")))).map_err(StoreError::from)?;
        let readers = Readers::open(&place, config.readers).map_err(|error| of_sql(&error))?;
        let core = Arc::new(Core {
            decide: config.decide,
            tells: config.tells,
            host: config.host,
            blobs,
            pipelines: Mutex::default(),
        });
        let news = Arc::new(News::default());
        let seen = Seen::load(&sql).map_err(StoreError::from)?;
        checkpoint::watch(&sql).map_err(|error| of_sql(&error))?;
        let copies = copier(&place).map_err(|error| of_sql(&error))?;
        let checkpointer = Checkpointer::start(copies, Arc::clone(&news)).map_err(io)?;
        let writer = Writer::start(sql, seen, checkpointer, Arc::clone(&core), Arc::clone(&news)).map_err(io)?;
        Ok(Self { writer, readers, core, news, _lock: Some(lock) })
    }

    /// Opens the store on another disk. Every call runs on its caller's thread, each write in a commit of its own. Nobody keeps
    /// a second one out: that is the caller's business.
    pub fn open_on(foundation: Foundation) -> std::result::Result<Self, StoreError> {
        let Foundation { path, vfs, blobs, host, decide, tells } = foundation;
        let place = Place { path, vfs: Some(vfs) };
        let sql = connect(&place).map_err(StoreError::from)?;
        let blobs = Blobs::open(blobs).map_err(StoreError::from)?;
        let readers = Readers::open(&place, 1).map_err(|error| of_sql(&error))?;
        let core = Arc::new(Core { decide, tells, host, blobs, pipelines: Mutex::default() });
        let news = Arc::new(News::default());
        let seen = Seen::load(&sql).map_err(StoreError::from)?;
        let writer = Writer::here(sql, seen, Arc::clone(&core), Arc::clone(&news));
        Ok(Self { writer, readers, core, news, _lock: None })
    }
}

/// Beside the connection that writes, which opened the database before.
fn copier(place: &Place) -> rusqlite::Result<Connection> {
    let sql = place.connect(OpenFlags::default())?;
    sql.pragma_update(None, "synchronous", "FULL")?;
    sql.pragma_update(None, "trusted_schema", "OFF")?;
    Ok(sql)
}

fn connect(place: &Place) -> Result<Connection> {
    let mut sql = place.connect(OpenFlags::default())?;
    sql.busy_timeout(BUSY)?;
    schema::check(&sql)?;
    let mode: String = sql.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        let path = place.path.display();
        let why = format!("{path} cannot be kept in WAL mode (it says `{mode}`): is it on a local disk?");
        return Err(Failure::Told(StoreError::inside(why)));
    }
    sql.pragma_update(None, "synchronous", "FULL")?;
    sql.pragma_update(None, "foreign_keys", "ON")?;
    sql.pragma_update(None, "cache_size", CACHE)?;
    sql.pragma_update(None, "trusted_schema", "OFF")?;
    sql.set_prepared_statement_cache_capacity(STATEMENTS);
    schema::migrate(&mut sql)?;
    Ok(sql)
}
