//! Where a backup goes, and the folder beside its place in which it grows.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use domain::time::Timestamp;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use super::manifest::DATABASE;
use crate::private;
use crate::state;

/// Where backups go when nobody says where.
pub(super) const FOLDER: &str = "backups";
/// How the name of a backup ends that is meant to be one file.
const SUFFIXES: [&str; 3] = ["backup", "bak", "tar"];

/// Where a backup gets its name.
#[derive(Debug)]
pub(super) enum Place {
    /// It is this file, which is not there yet.
    File(PathBuf),
    /// A name of its own in this folder, that begins so.
    In {
        /// Which is there.
        folder: PathBuf,
        /// `app-20260131T020000Z`.
        stem: String,
    },
}

impl Place {
    /// What is meant by `--to`. A folder that is not there is made.
    pub(super) fn find(dir: &Path, to: Option<&Path>, at: Timestamp) -> anyhow::Result<Self> {
        let folder = match to {
            None => {
                let folder = dir.join(FOLDER);
                DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
                private::give_to_owner(dir, &File::open(&folder)?)?;
                folder
            }
            Some(to) if to.is_dir() => std::path::absolute(to)?,
            Some(to) => {
                let place = std::path::absolute(to)?;
                if place.symlink_metadata().is_ok() {
                    bail!("{} is there already: a backup writes over nothing", place.display());
                }
                let parent = place.parent().filter(|parent| parent.is_dir()).with_context(|| {
                    format!("{} is in no folder that is there: make that first, or mount its disk", place.display())
                })?;
                if names_file(to) {
                    outside_of_states(parent)?;
                    return Ok(Self::File(place));
                }
                if !is_own(&place) {
                    outside_of_states(parent)?;
                }
                // Only this one: what is above it may be a disk that is not mounted.
                let made = DirBuilder::new().mode(0o700).create(&place).and_then(|()| File::open(parent)?.sync_all());
                made.with_context(|| format!("the folder {} cannot be made", place.display()))?;
                place
            }
        };
        outside_of_states(&folder)?;
        let name = dir.file_name().map_or_else(|| "gatewright".into(), |name| name.to_string_lossy().into_owned());
        let milliseconds = i64::try_from(at.0).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_millisecond(milliseconds)?.strftime("%Y%m%dT%H%M%SZ");
        Ok(Self::In { folder, stem: format!("{name}-{time}") })
    }

    /// The folder that it lies in.
    pub(super) fn folder(&self) -> anyhow::Result<&Path> {
        match self {
            Self::File(file) => file.parent().context("a backup lies in a folder"),
            Self::In { folder, .. } => Ok(folder),
        }
    }

    /// Gives a file that is whole its name. What is there is not written over: in a folder the next free name is taken, for another
    /// backup may have begun in the same second.
    pub(super) fn name(&self, whole: &Path) -> anyhow::Result<PathBuf> {
        let give = |name: &Path| renameat_with(CWD, whole, CWD, name, RenameFlags::NOREPLACE);
        let cannot = |name: &Path| format!("the backup cannot be named {}", name.display());
        let named = match self {
            Self::File(file) => give(file).map(|()| file.clone()).with_context(|| cannot(file))?,
            Self::In { folder, stem } => {
                let mut number = 1_u32;
                loop {
                    let name = folder.join(match number {
                        1 => format!("{stem}.backup"),
                        _ => format!("{stem}-{number}.backup"),
                    });
                    match give(&name) {
                        Ok(()) => break name,
                        Err(rustix::io::Errno::EXIST) => number += 1,
                        Err(error) => return Err(error).with_context(|| cannot(&name)),
                    }
                }
            }
        };
        File::open(self.folder()?)?.sync_all()?;
        Ok(named)
    }
}

/// Whether a path that is not there yet is a file's: it ends like one, and with no `/`. Any other is a folder's, into which a
/// nightly backup goes again and again.
fn names_file(to: &Path) -> bool {
    let has_suffix = to.extension().is_some_and(|suffix| SUFFIXES.iter().any(|known| suffix == *known));
    has_suffix && !to.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// Whether it is the folder of a state folder that is for backups.
fn is_own(folder: &Path) -> bool {
    let parent = folder.parent().and_then(|parent| fs::canonicalize(parent).ok());
    let state = state::around(folder);
    state.is_some() && state == parent && folder.file_name().is_some_and(|name| name == FOLDER)
}

/// Among what a host works with a backup would be taken for damage, or swept away.
fn outside_of_states(folder: &Path) -> anyhow::Result<()> {
    let folder = fs::canonicalize(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    let Some(state) = state::around(&folder).filter(|state| !folder.starts_with(state.join(FOLDER))) else {
        return Ok(());
    };
    bail!(
        "{} is in the state folder {}: of it only {FOLDER}/ is for backups, and another disk is better",
        folder.display(),
        state.display()
    )
}

/// What is written while a backup grows. There is nothing else: by these names alone it is removed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// The copy of the database, in a folder of its own.
    Database,
    /// The objects of one repository.
    Pack,
    /// All of it.
    Whole,
}

impl Part {
    const ALL: [Self; 3] = [Self::Database, Self::Pack, Self::Whole];
    /// What SQLite writes beside a database.
    const BESIDE: [&str; 4] = ["", "-journal", "-wal", "-shm"];

    fn below(self, folder: &Path) -> PathBuf {
        match self {
            Self::Database => folder.join(LOOK).join(DATABASE),
            Self::Pack => folder.join("pack"),
            Self::Whole => folder.join("whole"),
        }
    }

    /// The new file, for its owner alone.
    pub(super) fn create(self, growing: &Growing) -> anyhow::Result<File> {
        let path = growing.at(self);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        file.with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// The folder of the database, as a state folder has one.
const LOOK: &str = "look";
/// How the name of a growing folder begins; then come random letters, then its end.
const BEGIN: &str = ".gatewright-backup-";
const RANDOM: usize = 16;
const END: &str = ".partial";

/// The folder in which a backup grows. While its writer lives it is locked; what a dead one left is swept.
#[derive(Debug)]
pub(super) struct Growing {
    folder: PathBuf,
    _lock: File,
}

impl Growing {
    pub(super) fn within(parent: &Path) -> anyhow::Result<Self> {
        sweep(parent);
        loop {
            let mut making = tempfile::Builder::new();
            let making = making.prefix(BEGIN).rand_bytes(RANDOM).suffix(END).permissions(Permissions::from_mode(0o700));
            let made = making.tempdir_in(parent);
            let made = made.with_context(|| format!("{} cannot be written", parent.display()))?;
            // A sweep may have met it before it was locked.
            let Ok(lock) = File::open(made.path()) else { continue };
            flock(&lock, FlockOperation::LockExclusive)?;
            let still = fs::symlink_metadata(made.path()).is_ok_and(|about| is_same(&about, &lock));
            if still {
                let folder = made.keep();
                DirBuilder::new().mode(0o700).create(folder.join(LOOK))?;
                return Ok(Self { folder, _lock: lock });
            }
        }
    }

    /// Where a part is written.
    pub(super) fn at(&self, part: Part) -> PathBuf {
        part.below(&self.folder)
    }

    /// The folder in which the copy of the database lies as in a state folder.
    pub(super) fn look(&self) -> PathBuf {
        self.folder.join(LOOK)
    }
}

fn is_same(about: &fs::Metadata, file: &File) -> bool {
    file.metadata().is_ok_and(|opened| (opened.dev(), opened.ino()) == (about.dev(), about.ino()))
}

impl Drop for Growing {
    fn drop(&mut self) {
        // What cannot be removed now, the next backup sweeps.
        remove(&self.folder);
    }
}

/// Removes what a backup writes, by its names, and nothing else: a folder with more in it stays.
fn remove(folder: &Path) {
    for part in Part::ALL {
        let path = part.below(folder).into_os_string();
        for end in Part::BESIDE {
            let mut path = path.clone();
            path.push(end);
            // Most of them are not there.
            let _ = fs::remove_file(path);
        }
    }
    let _ = fs::remove_dir(folder.join(LOOK));
    let _ = fs::remove_dir(folder);
}

/// Whether a backup gave a folder this name.
fn is_growing(name: &str) -> bool {
    let letters = name.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    letters.is_some_and(|letters| letters.len() == RANDOM && letters.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Removes what backups left whose process is gone. It only takes space: what stays is for the next one.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_folder || !is_growing(&entry.file_name().to_string_lossy()) {
            continue;
        }
        match File::open(entry.path()) {
            Ok(folder) if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() => remove(&entry.path()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(%error, "what a dead backup left cannot be opened"),
        }
    }
}
