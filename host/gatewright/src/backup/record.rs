//! What is remembered of backups, in a file of the state folder: when the last one was made, and which was proven to restore.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use domain::ids::Digest;
use domain::time::Timestamp;
use gateway::{Backups, LastBackup, LastRestore};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::serve::write_private;

/// The file.
pub(crate) const FILE: &str = "backups.json";
/// What it means that this could not be written.
pub(super) const UNKNOWN: &str = "doctor, the board and the metrics do not know of it";
/// So many backups are known by their seal.
const KNOWN: usize = 50;

/// What is remembered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    /// The newest first.
    pub(crate) backups: Vec<BackupMade>,
    /// The last one that was restored and rebuilt.
    pub(crate) verified: Option<Verified>,
}

/// A backup that was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BackupMade {
    /// The moment that it holds.
    pub(crate) at: Timestamp,
    /// Where it was written.
    pub(crate) path: PathBuf,
    /// Its size.
    pub(crate) bytes: u64,
    /// By which it is known.
    pub(crate) seal: Digest,
    /// How many tasks are in it.
    pub(crate) tasks: u64,
}

/// A backup that was restored, rebuilt and counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Verified {
    /// When.
    pub(crate) at: Timestamp,
    /// The moment that the backup holds.
    pub(crate) backup_at: Timestamp,
    /// By which it is known.
    pub(crate) seal: Digest,
    /// How many tasks were rebuilt.
    pub(crate) tasks: u64,
}

impl Record {
    /// In the API's words.
    pub(crate) fn told(&self) -> Backups {
        let last = self.backups.first().map(|made| LastBackup {
            at: made.at,
            path: made.path.display().to_string(),
            bytes: made.bytes,
            tasks: made.tasks,
        });
        let verified = self.verified.as_ref();
        let verified =
            verified.map(|proof| LastRestore { at: proof.at, backup_at: proof.backup_at, tasks: proof.tasks });
        Backups { last, verified }
    }
}

/// What is remembered in a folder.
pub(crate) fn read(dir: &Path) -> anyhow::Result<Record> {
    let path = dir.join(FILE);
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).with_context(|| format!("{} does not read", path.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Record::default()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// A backup of this folder was made.
pub(super) fn made(dir: &Path, backup: &BackupMade) -> anyhow::Result<()> {
    let _lock = lock(dir)?;
    let mut record = read(dir)?;
    record.backups.insert(0, backup.clone());
    record.backups.sort_by_key(|known| std::cmp::Reverse(known.at));
    record.backups.truncate(KNOWN);
    write_private(&dir.join(FILE), &serde_json::to_string_pretty(&record)?)
}

/// A backup was proven. Whether it is one of this folder's, and so was noted there.
pub(super) fn proven(dir: &Path, verified: &Verified) -> anyhow::Result<bool> {
    // Another folder than that of the backup may not be there at all.
    if !dir.join(FILE).exists() {
        return Ok(false);
    }
    let _lock = lock(dir)?;
    let mut record = read(dir)?;
    if !record.backups.iter().any(|backup| backup.seal == verified.seal) {
        return Ok(false);
    }
    record.verified = Some(verified.clone());
    write_private(&dir.join(FILE), &serde_json::to_string_pretty(&record)?)?;
    Ok(true)
}

/// Two backups at one time each leave their line. It is the folder that is locked: the file is another one after each change.
fn lock(dir: &Path) -> anyhow::Result<File> {
    let folder = File::open(dir)?;
    flock(&folder, FlockOperation::LockExclusive)?;
    Ok(folder)
}
