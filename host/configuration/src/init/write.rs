//! Writing a plan: never over a file that is there, each file whole or not at all, the project's file last.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::init::{IfThere, InitPlan, PlannedFile};

/// What became of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files that are new.
    pub written: Vec<PathBuf>,
    /// Files that were there and stayed as they were.
    pub kept: Vec<PathBuf>,
}

/// Why a plan was not written. What was written of it before is gone again.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A file is there that nobody may write over.
    #[error("{} is there already; nothing was written (remove it, or choose another name)", path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// The machine refused.
    #[error("{} cannot be written: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Writes a plan into a state folder, which is made if it is not there.
pub fn write_plan(dir: &Path, plan: &InitPlan) -> Result<Written, WriteError> {
    for file in plan.files.iter().filter(|file| file.if_there == IfThere::Refuse) {
        let path = dir.join(&file.path);
        if path.symlink_metadata().is_ok() {
            return Err(WriteError::Exists { path });
        }
    }
    let mut done = Written::default();
    for file in &plan.files {
        match write_file(dir, file) {
            Ok(true) => done.written.push(dir.join(&file.path)),
            Ok(false) => done.kept.push(dir.join(&file.path)),
            Err(error) => {
                for path in &done.written {
                    // The error that stopped us is the one to tell.
                    let _ = fs::remove_file(path);
                }
                return Err(error);
            }
        }
    }
    Ok(done)
}

/// False: another one was there and stays.
fn write_file(dir: &Path, file: &PlannedFile) -> Result<bool, WriteError> {
    let path = dir.join(&file.path);
    let folder = path.parent().unwrap_or(dir).to_path_buf();
    let failed = |source: std::io::Error| WriteError::Io { path: path.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let draft = folder.join(format!(".{name}.{}.new", std::process::id()));
    let outcome = write_draft(&draft, file).and_then(|()| fs::hard_link(&draft, &path));
    // A link is made only where there is nothing: two that write at once cannot both win.
    let _ = fs::remove_file(&draft);
    match outcome {
        Ok(()) => {
            File::open(&folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.symlink_metadata().is_ok() => {
            match file.if_there {
                IfThere::Keep => Ok(false),
                IfThere::Refuse => Err(WriteError::Exists { path }),
            }
        }
        Err(error) => Err(failed(error)),
    }
}

fn write_draft(draft: &Path, file: &PlannedFile) -> std::io::Result<()> {
    let mut handle = OpenOptions::new().write(true).create(true).truncate(true).mode(file.mode).open(draft)?;
    handle.write_all(file.content.as_bytes())?;
    handle.sync_all()
}
