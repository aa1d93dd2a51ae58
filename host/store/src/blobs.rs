//! Blobs: bytes under the name of their hash, `blobs/<aa>/<sha256>`, on the disk before the commit that names them.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use conductor::ports::store::{StoreError, Thing};
use domain::ids::Digest;
use kill_points::kill_point;
use rusqlite::{Connection, params};
use rustix::io::Errno;

use crate::failure::{Failure, Result, not_found};
use crate::row::{execute, int};

/// The few things that keeping blobs asks of a file system. Names are relative, with `/`; each call is one thing that may fail,
/// or be the last before a crash.
pub trait BlobDisk: Send + Sync {
    /// Removes what was left unfinished and brings all that looks durable onto the disk.
    fn prepare(&self) -> io::Result<()>;
    /// The size of a file; none: it is not there.
    fn size(&self, name: &str) -> Option<u64>;
    /// A file's bytes.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// Makes a file of these bytes and syncs it.
    fn write_synced(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Gives a file another name, in a folder that is made where it is not there.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Brings the names in the folder of this file, and the folder's own, onto the disk.
    fn sync_name(&self, name: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// A folder of this machine's.
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) const fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

impl BlobDisk for Folder {
    fn prepare(&self) -> io::Result<()> {
        let unfinished = self.root.join(UNFINISHED);
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        make_private(&unfinished)?;
        // A process that died between a rename and its sync left a file that only looks durable.
        rustix::fs::syncfs(File::open(&self.root)?)?;
        Ok(())
    }

    fn size(&self, name: &str) -> Option<u64> {
        fs::metadata(self.root.join(name)).ok().map(|metadata| metadata.len())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.root.join(name))
    }

    fn write_synced(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut private = OpenOptions::new();
        let mut file = private.write(true).create(true).truncate(true).mode(0o600).open(self.root.join(name))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let to = self.root.join(to);
        if let Some(folder) = to.parent().filter(|folder| !folder.exists()) {
            make_private(folder)?;
            File::open(&self.root)?.sync_all()?;
        }
        fs::rename(self.root.join(from), to)
    }

    fn sync_name(&self, name: &str) -> io::Result<()> {
        let path = self.root.join(name);
        File::open(path.parent().unwrap_or(&self.root))?.sync_all()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.root.join(name))
    }
}

/// Tickets, briefs and transcripts are in blobs: nobody else gets in, whatever the umask says.
fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Where a blob is written before it has its name.
const UNFINISHED: &str = "tmp";

pub(crate) struct Blobs {
    disk: Arc<dyn BlobDisk>,
    /// Names that are being written: who finds a file here must not take it for synced yet.
    writing: Mutex<HashSet<Digest>>,
    written: Condvar,
    counter: AtomicU64,
}

impl Blobs {
    pub(crate) fn open(disk: Arc<dyn BlobDisk>) -> Result<Self> {
        disk.prepare().map_err(|error| failed("blobs", &error))?;
        Ok(Self { disk, writing: Mutex::default(), written: Condvar::new(), counter: AtomicU64::new(0) })
    }

    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        while writing.contains(&digest) {
            writing = self.written.wait(writing).unwrap_or_else(PoisonError::into_inner);
        }
        if self.size(&digest) == Some(bytes.len() as u64) {
            return Ok(digest);
        }
        writing.insert(digest.clone());
        drop(writing);
        let name = name_of(&digest);
        let outcome = self.write(&name, bytes);
        self.writing.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest);
        self.written.notify_all();
        outcome.map(|()| digest).map_err(|error| failed(&name, &error))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let unfinished = format!("{UNFINISHED}/{number}");
        let written = || {
            kill_point!("before-blob-is-written");
            self.disk.write_synced(&unfinished, bytes)?;
            kill_point!("blob-has-no-name-yet");
            self.disk.rename(&unfinished, name)?;
            kill_point!("after-blob-has-its-name");
            self.disk.sync_name(name)
        };
        written().inspect_err(|_| {
            // It is swept at the next start if it cannot be removed now.
            let _ = self.disk.remove(&unfinished);
            // What bears its name and may lose it again must not be taken for kept.
            let _ = self.disk.remove(name);
        })
    }

    pub(crate) fn get(&self, digest: &Digest) -> Result<Vec<u8>> {
        let name = name_of(digest);
        let bytes = match self.disk.read(&name) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_found(Thing::Blob, digest)),
            Err(error) => return Err(failed(&name, &error)),
        };
        if Digest::of(&bytes) != *digest {
            let why = format!("the bytes in blobs/{name} are not the ones that were written there");
            return Err(Failure::Told(StoreError::inside(why)));
        }
        Ok(bytes)
    }

    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        self.disk.size(&name_of(digest))
    }

    /// Counts one more naming. What must be readable later is refused where its bytes are not there.
    pub(crate) fn name(&self, sql: &Connection, digest: &Digest, host: &str, needed: bool) -> Result<()> {
        let size = self.size(digest);
        if needed && size.is_none() {
            return Err(not_found(Thing::Blob, digest));
        }
        let statement = "INSERT INTO blob (digest, size, named, host) VALUES (?1, ?2, 1, ?3)
            ON CONFLICT (digest) DO UPDATE SET named = named + 1, size = COALESCE(excluded.size, size)";
        execute(sql, statement, params![digest.as_str(), size.map(int), host])?;
        Ok(())
    }
}

pub(crate) fn name_of(digest: &Digest) -> String {
    let name = digest.as_str();
    format!("{}/{name}", name.get(..2).unwrap_or(name))
}

fn failed(name: &str, error: &io::Error) -> Failure {
    let text = format!("blobs/{name}: {error}");
    let full = [Errno::NOSPC, Errno::DQUOT].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    Failure::Told(if full { StoreError::Full(text) } else { StoreError::inside(text) })
}
