//! What lies in a state folder is its owner's alone: files 0600, folders 0700, whatever the umask says and whoever made the state
//! folder. All is made so; here is found, and mended, what an earlier program or another hand left otherwise.

use std::fs::{File, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::backup::RECORD;
use crate::state::{ADDRESS_FILE, CACHE, FORGES, RUNS, TOKEN_FILE, WEBHOOKS_FILE};

/// Bits of the mode for everybody but the owner.
const OTHERS: u32 = 0o077;
/// What a host writes into a state folder, and what is secret there. Of a folder the mode is enough: nobody gets to what is in it.
pub(crate) const OURS: [&str; 19] = [
    "gatewright.db",
    "gatewright.db-wal",
    "gatewright.db-shm",
    "gatewright.lock",
    TOKEN_FILE,
    ADDRESS_FILE,
    WEBHOOKS_FILE,
    RECORD,
    SECRETS,
    "blobs",
    RUNS,
    "briefs",
    "homes",
    "clones",
    FORGES,
    CACHE,
    "components",
    "backups",
    "projects",
];
/// Folders of which each file is looked at too: secrets and backups are copied and moved as files.
const BY_FILE: [&str; 2] = [SECRETS, "backups"];
/// The operator puts these here: one that others may have read is for him to change.
const SECRETS: &str = "secrets";

/// Something that others get at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exposed {
    pub(crate) path: PathBuf,
    /// Its mode now.
    pub(crate) mode: u32,
    /// The mode that it should have.
    pub(crate) wanted: u32,
}

/// All that is ours and that others get at, below the state folder; not the folder itself.
pub(crate) fn exposed(dir: &Path) -> Vec<Exposed> {
    let mut found = Vec::new();
    for name in OURS {
        let path = dir.join(name);
        // A link is somebody's own way to something else.
        let Ok(about) = path.symlink_metadata() else { continue };
        if BY_FILE.contains(&name) && about.is_dir() {
            let inside = std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path());
            // A secret is as open as the file that a link leads to; a backup behind a link is kept by another hand.
            let about = |file: &Path| if name == SECRETS { file.metadata() } else { file.symlink_metadata() };
            found.extend(inside.filter_map(|file| of(&file, &about(&file).ok()?)));
        }
        found.extend(of(&path, &about));
    }
    found
}

fn of(path: &Path, about: &Metadata) -> Option<Exposed> {
    let wanted = if about.is_dir() {
        0o700
    } else if about.is_file() {
        0o600
    } else {
        return None;
    };
    let mode = about.mode() & 0o7777;
    (mode & OTHERS != 0).then(|| Exposed { path: path.to_owned(), mode, wanted })
}

/// A folder that was made by another hand for a state folder, and in which nothing lies yet: it becomes one. Where something lies in
/// it, it stays as it is. What is to be told.
pub(crate) fn close(dir: &Path) -> Option<String> {
    let mode = dir.metadata().ok()?.mode() & 0o7777;
    if mode & OTHERS == 0 {
        return None;
    }
    let is_empty = std::fs::read_dir(dir).ok()?.next().is_none();
    if is_empty && std::fs::set_permissions(dir, Permissions::from_mode(0o700)).is_ok() {
        return Some(format!("{} had the mode {mode:04o} and has 0700 now", dir.display()));
    }
    open_folder(dir)
}

/// What is said of a state folder that others may look into.
fn open_folder(dir: &Path) -> Option<String> {
    let mode = dir.metadata().ok()?.mode() & 0o7777;
    let told = format!(
        "the state folder {0} has the mode {mode:04o}: others see the names in it; `chmod 0700 {0}` keeps them out",
        dir.display()
    );
    (mode & OTHERS != 0).then_some(told)
}

/// Takes from others what they should not get at. A line for each thing: what was done, or why it could not be.
pub(crate) fn mend(dir: &Path) -> Vec<String> {
    let mut lines: Vec<String> = exposed(dir).into_iter().map(|exposed| exposed.mend()).collect();
    lines.extend(open_folder(dir));
    lines
}

impl Exposed {
    fn mend(&self) -> String {
        let Self { path, mode, wanted } = self;
        if path.parent().is_some_and(|folder| folder.ends_with(SECRETS)) {
            let path = path.display();
            return format!(
                "{path} has the mode {mode:04o}: `chmod 0600 {path}`, and another secret if others may have read it"
            );
        }
        match std::fs::set_permissions(path, Permissions::from_mode(*wanted)) {
            Ok(()) => format!("{} had the mode {mode:04o} and has {wanted:04o} now", path.display()),
            Err(error) => format!("{} has the mode {mode:04o}, and that cannot be changed: {error}", path.display()),
        }
    }
}

/// What root writes into a state folder belongs to whoever the folder belongs to: his host must read it.
pub(crate) fn give_to_owner(dir: &Path, file: &File) -> std::io::Result<()> {
    let owner = dir.metadata()?;
    if rustix::process::geteuid().is_root() && file.metadata()?.uid() != owner.uid() {
        std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_others_get_at_is_found_and_mended_and_nothing_else_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let mode = |name: &str| at(name).symlink_metadata().unwrap().mode() & 0o777;
        for folder in ["blobs", "secrets", "backups", "mine"] {
            fs::create_dir(at(folder)).unwrap();
            fs::set_permissions(at(folder), Permissions::from_mode(0o755)).unwrap();
        }
        for file in
            ["gatewright.db", "gatewright.db-wal", "secrets/plane", "backups/a.backup", "mine/note", "blobs/one"]
        {
            fs::write(at(file), "").unwrap();
            fs::set_permissions(at(file), Permissions::from_mode(0o644)).unwrap();
        }
        fs::write(at("operator-token"), "").unwrap();
        fs::set_permissions(at("operator-token"), Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(at("mine"), at("clones")).unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let lines = mend(dir.path());
        assert_eq!(lines.len(), 8, "{lines:#?}");
        assert!(lines[7].contains("chmod 0700"), "{lines:#?}");
        for name in ["gatewright.db", "gatewright.db-wal", "backups/a.backup"] {
            assert_eq!(mode(name), 0o600, "{name}");
        }
        let secret = exposed(dir.path());
        assert!(secret.len() == 1 && secret[0].path == at("secrets/plane") && mode("secrets/plane") == 0o644);
        assert!(lines.iter().any(|line| line.contains("another secret")), "{lines:#?}");
        assert_eq!((mode("blobs"), mode("secrets"), mode("backups")), (0o700, 0o700, 0o700));
        assert_eq!((mode("mine"), mode("mine/note")), (0o755, 0o644), "what is behind a link is another's");
    }
}
