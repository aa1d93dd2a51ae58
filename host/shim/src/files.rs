//! Small files: read without following a link, written whole or not at all, and the space for one reserved ahead.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags, fallocate};
use rustix::io::Errno;

/// No file of the protocol is larger.
const MOST: u64 = 4 * 1024 * 1024;

fn no_follow() -> i32 {
    OFlags::NOFOLLOW.bits() as i32
}

/// Reads a file of at most 4 MiB; a symbolic link in its place is an error.
pub fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(no_follow() | OFlags::NONBLOCK.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 4 MiB"));
    }
    Ok(bytes)
}

/// Opens (makes or empties) a file that only its owner reads; a symbolic link in its place is an error.
pub fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).custom_flags(no_follow()).open(path)
}

/// Makes the entries of a folder durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Puts `bytes` under `name`: after a crash the old content stands or the new one, never a part.
pub fn write_atomic(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(format!(".{name}.{}", std::process::id()));
    let written = (|| {
        let mut file = create_private(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, folder.join(name))
    })();
    if written.is_err() {
        // The first error is the one to tell.
        let _ = std::fs::remove_file(&unfinished);
    }
    written?;
    sync_folder(folder)
}

/// A file whose space was taken before it is needed, so that a full disk cannot keep its content from being written.
#[derive(Debug)]
pub struct Reserved {
    file: File,
    path: PathBuf,
    room: u64,
}

impl Reserved {
    /// Takes `room` bytes under the name `unfinished`.
    pub fn take(folder: &Path, unfinished: &str, room: u64) -> io::Result<Self> {
        let path = folder.join(unfinished);
        let file = create_private(&path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, room) {
            Ok(()) => {}
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                file.write_all_at(&vec![b' '; room as usize], 0)?;
            }
            Err(error) => return Err(error.into()),
        }
        file.sync_all()?;
        Ok(Self { file, path, room })
    }

    /// Fills it and gives it its final name; durable when this returns.
    pub fn publish(self, folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() as u64 > self.room {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than the space reserved for it"));
        }
        self.file.write_all_at(bytes, 0)?;
        self.file.set_len(bytes.len() as u64)?;
        self.file.sync_all()?;
        std::fs::rename(&self.path, folder.join(name))?;
        sync_folder(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_file_is_invisible_under_its_name_until_it_is_published() {
        let folder = tempfile::tempdir().unwrap();
        let reserved = Reserved::take(folder.path(), ".x", 64).unwrap();
        assert_eq!(std::fs::metadata(folder.path().join(".x")).unwrap().len(), 64);
        assert!(!folder.path().join("x").exists());
        reserved.publish(folder.path(), "x", b"done").unwrap();
        assert_eq!(std::fs::read(folder.path().join("x")).unwrap(), b"done");
    }

    #[test]
    fn more_than_was_reserved_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let reserved = Reserved::take(folder.path(), ".x", 2).unwrap();
        assert!(reserved.publish(folder.path(), "x", b"done").is_err());
        assert!(!folder.path().join("x").exists());
    }
}
