//! A run's folder as it stands on disk: what it says of the run, and the lock that makes its word certain.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use shim::protocol::{self, ExitRecord, ShimInfo};

use crate::error::RunError;

/// How a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// There is no folder: it was never asked for.
    Absent,
    /// The folder is there, and it is certain that nothing was ever started in it: it may be launched.
    Prepared,
    /// Somebody is launching it at this moment.
    Starting,
    /// The shim lives.
    Live(ShimInfo),
    /// It is over, and its tree is empty.
    Ended(ExitRecord),
    /// The shim began and is gone without a record: what the command did is not known.
    Lost(ShimInfo),
}

impl RunState {
    /// Whether something may still change by itself.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Starting | Self::Live(_))
    }
}

/// The folder of one run.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// What a try for the lock gave.
pub(crate) enum Lock {
    Taken(File),
    Held,
}

impl Folder {
    /// The folder of a job below the folder of all runs.
    pub fn of(runs_dir: &Path, job: u64) -> Self {
        Self { path: runs_dir.join(job.to_string()) }
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn io(&self, what: &'static str) -> impl Fn(io::Error) -> RunError + '_ {
        move |source| RunError::Io { what, path: self.path.clone(), source }
    }

    /// Makes it; one that stands is left as it is. A link in its place is an error.
    pub(crate) fn make(&self) -> Result<(), RunError> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Ok(()) => {
                let parent = self.path.parent().unwrap_or(Path::new("/"));
                shim::files::sync_folder(parent).map_err(self.io("making the run folder"))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let found = self.path.symlink_metadata().map_err(self.io("reading the run folder"))?;
                if found.is_dir() { Ok(()) } else { Err(self.io("making the run folder")(error)) }
            }
            Err(error) => Err(self.io("making the run folder")(error)),
        }
    }

    fn open_lock(&self, create: bool) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(self.path.join(protocol::LOCK))
    }

    /// Takes the lock for a launch.
    pub(crate) fn lock(&self) -> Result<Lock, RunError> {
        let file = self.open_lock(true).map_err(self.io("opening the lock of"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock::Taken(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(Lock::Held),
            Err(error) => Err(self.io("locking")(error.into())),
        }
    }

    /// Whether somebody holds the lock: the shim, or whoever is about to start it.
    fn is_held(&self) -> Result<bool, RunError> {
        let file = match self.open_lock(false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(self.io("opening the lock of")(error)),
        };
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(self.io("locking")(error.into())),
        }
    }

    fn record(&self) -> Result<Option<ExitRecord>, RunError> {
        Ok(protocol::read(&self.path, protocol::EXIT)?)
    }

    fn shim(&self) -> Result<Option<ShimInfo>, RunError> {
        Ok(protocol::read(&self.path, protocol::SHIM)?)
    }

    /// How the run stands. The order matters: the lock is asked before the record is read the second time, so that a
    /// shim that ends in between is never taken for a lost one.
    pub fn state(&self) -> Result<RunState, RunError> {
        match self.path.symlink_metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                return Err(self.io("reading the run folder")(io::Error::from(io::ErrorKind::NotADirectory)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(RunState::Absent),
            Err(error) => return Err(self.io("reading the run folder")(error)),
        }
        if let Some(record) = self.record()? {
            return Ok(RunState::Ended(record));
        }
        if self.is_held()? {
            return Ok(self.shim()?.map_or(RunState::Starting, RunState::Live));
        }
        self.settled()
    }

    /// How it stands where nobody holds the lock, or where the caller does.
    pub(crate) fn settled(&self) -> Result<RunState, RunError> {
        if let Some(record) = self.record()? {
            return Ok(RunState::Ended(record));
        }
        Ok(self.shim()?.map_or(RunState::Prepared, RunState::Lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> ShimInfo {
        ShimInfo {
            version: protocol::VERSION,
            pid: 1,
            start_time: 1,
            boot_id: "b".into(),
            started_at_ms: 1,
            marker: "m".into(),
            cgroup: None,
            argv: vec!["true".into()],
        }
    }

    #[test]
    fn each_state_is_told_from_the_next() {
        let runs = tempfile::tempdir().unwrap();
        let folder = Folder::of(runs.path(), 7);
        assert_eq!(folder.state().unwrap(), RunState::Absent);
        folder.make().unwrap();
        folder.make().unwrap();
        assert_eq!(folder.state().unwrap(), RunState::Prepared);
        let Lock::Taken(lock) = folder.lock().unwrap() else { panic!("the lock is free") };
        assert_eq!(folder.state().unwrap(), RunState::Starting);
        assert!(matches!(folder.lock().unwrap(), Lock::Held));
        protocol::write(folder.path(), protocol::SHIM, &info()).unwrap();
        assert_eq!(folder.state().unwrap(), RunState::Live(info()));
        drop(lock);
        assert_eq!(folder.state().unwrap(), RunState::Lost(info()));
    }

    #[test]
    fn a_damaged_file_is_an_error_and_no_state() {
        let runs = tempfile::tempdir().unwrap();
        let folder = Folder::of(runs.path(), 7);
        folder.make().unwrap();
        std::fs::write(folder.path().join(protocol::EXIT), b"").unwrap();
        assert!(matches!(folder.state(), Err(RunError::Damaged(_))));
    }

    #[test]
    fn a_link_in_place_of_the_folder_is_refused() {
        let runs = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), runs.path().join("7")).unwrap();
        let folder = Folder::of(runs.path(), 7);
        assert!(folder.state().is_err());
        assert!(folder.make().is_err());
    }
}
