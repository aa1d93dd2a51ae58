//! Documents out of a clone: regular files of one folder, reached through folders only.

use std::os::fd::OwnedFd;

use conductor::ports::forge::{CloneKey, CollectLimits, Collected, ForgeError, TrespassKind};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::EmbeddedForge;
use super::clones;
use super::folder::{self, checked_parts, infra, read_limited};
use super::scan::tell;

/// Folders below the documents' own: `06-adr` is one.
const DEPTH: usize = 3;

/// Entries of one folder that are looked at.
const ENTRIES: usize = 1000;

/// See the port.
pub(super) fn collect(
    forge: &EmbeddedForge,
    key: CloneKey,
    path: &str,
    limits: CollectLimits,
) -> Result<Collected, ForgeError> {
    let parts = checked_parts(path)?;
    let root = clones::open(forge, key)?;
    let mut collecting = Collecting { limits, collected: Collected::default() };
    match folder::descend(&root, &parts) {
        Ok(folder) => collecting.folder(&folder, "", 0)?,
        Err(Errno::NOENT) => {}
        Err(Errno::LOOP | Errno::NOTDIR | Errno::ACCESS) => {
            collecting.tell(TrespassKind::SymbolicLink, path, "this must be a folder of its own, not a link");
        }
        Err(error) => return Err(infra("documents cannot be read", error)),
    }
    collecting.collected.files.sort();
    Ok(collecting.collected)
}

struct Collecting {
    limits: CollectLimits,
    collected: Collected,
}

impl Collecting {
    fn tell(&mut self, kind: TrespassKind, path: &str, note: &str) {
        tell(&mut self.collected.trespasses, kind, path, note);
    }

    /// `prefix`: the folder's path below the documents' own, with a `/` at its end.
    fn folder(&mut self, folder: &OwnedFd, prefix: &str, depth: usize) -> Result<(), ForgeError> {
        let failed = |error| infra("documents cannot be read", error);
        let Some(mut listed) = folder::entries(folder, ENTRIES).map_err(failed)? else {
            self.tell(TrespassKind::TooLarge, prefix, &format!("a folder of more than {ENTRIES} files; none was read"));
            return Ok(());
        };
        listed.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (name, file_type) in listed {
            let shown = format!("{prefix}{}", name.to_string_lossy());
            let Ok(name) = name.into_string() else {
                self.tell(TrespassKind::BadName, &shown, "its name is not UTF-8");
                continue;
            };
            match file_type {
                FileType::Directory if depth == DEPTH => {
                    self.tell(TrespassKind::TooDeep, &shown, "folders lie too deep here; it was not read");
                }
                FileType::Directory => match folder::open_in(folder, name.as_str()) {
                    Ok(inner) => self.folder(&inner, &format!("{shown}/"), depth + 1)?,
                    Err(error) => self.unread(&shown, error),
                },
                FileType::RegularFile => self.file(folder, &name, &shown)?,
                FileType::Symlink => {
                    self.tell(TrespassKind::SymbolicLink, &shown, "a symbolic link is not read: write a file");
                }
                _ => self.tell(TrespassKind::SpecialFile, &shown, "a named pipe, socket or device is not read"),
            }
        }
        Ok(())
    }

    fn file(&mut self, folder: &OwnedFd, name: &str, shown: &str) -> Result<(), ForgeError> {
        let limits = self.limits;
        if self.collected.files.len() == limits.files {
            let note = format!("more than {} files; this one and those after it were not read", limits.files);
            // Once is enough.
            if self.collected.trespasses.last().is_none_or(|last| last.kind != TrespassKind::TooLarge) {
                self.tell(TrespassKind::TooLarge, shown, &note);
            }
            return Ok(());
        }
        let file = match folder::open_file(folder, name) {
            Ok(Some(file)) => file,
            // It was replaced since it was listed.
            Ok(None) => return Ok(()),
            Err(error) => {
                self.unread(shown, error);
                return Ok(());
            }
        };
        let bytes = read_limited(file, limits.file_bytes).map_err(|error| infra("a document cannot be read", error))?;
        if let Some(bytes) = bytes {
            self.collected.files.push((shown.to_owned(), bytes));
        } else {
            self.tell(TrespassKind::TooLarge, shown, &format!("larger than {} bytes", limits.file_bytes));
        }
        Ok(())
    }

    fn unread(&mut self, shown: &str, error: Errno) {
        self.tell(TrespassKind::Unreadable, shown, &format!("it cannot be read: {error}"));
    }
}
