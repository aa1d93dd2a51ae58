//! Blobs: bytes under the name of their hash, `blobs/<aa>/<sha256>`, on the disk before the commit that names them.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use conductor::ports::store::StoreError;
use domain::ids::Digest;
use rusqlite::{Connection, params};
use rustix::io::Errno;

use crate::failure::{Failure, Result, not_found};
use crate::row::{execute, int};

pub(crate) struct Blobs {
    root: PathBuf,
    /// Names that are being written: who finds a file here must not take it for synced yet.
    writing: Mutex<HashSet<Digest>>,
    written: Condvar,
    counter: AtomicU64,
}

impl Blobs {
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let root = dir.join("blobs");
        let unfinished = root.join("tmp");
        let ready = || {
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished)?;
            }
            fs::create_dir_all(&unfinished)?;
            // A process that died between a rename and its sync left a file that only looks durable.
            rustix::fs::syncfs(File::open(&root)?)?;
            Ok(())
        };
        ready().map_err(|error| failed(&root, &error))?;
        Ok(Self { root, writing: Mutex::default(), written: Condvar::new(), counter: AtomicU64::new(0) })
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
        let path = self.path(&digest);
        let outcome = self.write(&path, bytes);
        self.writing.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest);
        self.written.notify_all();
        outcome.map(|()| digest).map_err(|error| failed(&path, &error))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.root.join("tmp").join(number.to_string());
        let folder = path.parent().unwrap_or(&self.root);
        let written = || {
            let mut file = File::create(&unfinished)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            if !folder.exists() {
                fs::create_dir_all(folder)?;
                File::open(&self.root)?.sync_all()?;
            }
            fs::rename(&unfinished, path)?;
            File::open(folder)?.sync_all()
        };
        written().inspect_err(|_| {
            // It is swept at the next start if it cannot be removed now.
            let _ = fs::remove_file(&unfinished);
        })
    }

    pub(crate) fn get(&self, digest: &Digest) -> Result<Vec<u8>> {
        let path = self.path(digest);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(not_found("blob", digest)),
            Err(error) => return Err(failed(&path, &error)),
        };
        if Digest::of(&bytes) != *digest {
            let why = format!("the bytes in {} are not the ones that were written there", path.display());
            return Err(Failure::Told(StoreError::Refused(why)));
        }
        Ok(bytes)
    }

    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        fs::metadata(self.path(digest)).ok().map(|metadata| metadata.len())
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.as_str();
        self.root.join(name.get(..2).unwrap_or(name)).join(name)
    }

    /// Counts one more naming. What must be readable later is refused where its bytes are not there.
    pub(crate) fn name(&self, sql: &Connection, digest: &Digest, host: &str, needed: bool) -> Result<()> {
        let size = self.size(digest);
        if needed && size.is_none() {
            return Err(not_found("blob", digest));
        }
        let statement = "INSERT INTO blob (digest, size, named, host) VALUES (?1, ?2, 1, ?3)
            ON CONFLICT (digest) DO UPDATE SET named = named + 1, size = COALESCE(excluded.size, size)";
        execute(sql, statement, params![digest.as_str(), size.map(int), host])?;
        Ok(())
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let text = format!("{}: {error}", path.display());
    let full = [Errno::NOSPC, Errno::DQUOT].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
    Failure::Told(if full { StoreError::Full(text) } else { StoreError::Refused(text) })
}
