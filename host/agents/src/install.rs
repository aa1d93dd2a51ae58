//! Puts the embedded shim where it can be started: under its own digest, so that an upgrade of the host leaves the
//! program of the runs that still live as it is.

use std::fs::{DirBuilder, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use shim::files;

use crate::error::RunError;

/// The shim could not be put into its place.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The bytes are not those that were embedded.
    #[error("the embedded shim has the digest {found} and not {expected}")]
    Digest {
        /// As the build said.
        expected: String,
        /// As they are.
        found: String,
    },
    /// The file system said no.
    #[error(transparent)]
    Run(#[from] RunError),
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes the shim as `cache_dir/shim-DIGEST`, 0700, whole or not at all, and gives its path. A file that stands there
/// is used only if it is a plain file with exactly these bytes.
pub fn install_shim(bytes: &[u8], sha256: &str, cache_dir: &Path) -> Result<PathBuf, InstallError> {
    let found = hex(bytes);
    if !found.eq_ignore_ascii_case(sha256) {
        return Err(InstallError::Digest { expected: sha256.to_owned(), found });
    }
    let path = cache_dir.join(format!("shim-{found}"));
    if stands(&path, bytes) {
        return Ok(path);
    }
    let io = |source| RunError::Io { what: "installing the shim as", path: path.clone(), source };
    let unfinished = cache_dir.join(format!(".shim-{found}.{}", std::process::id()));
    (|| {
        // Whoever comes first makes the folders above it too: all of the state folder is its owner's alone.
        DirBuilder::new().recursive(true).mode(0o700).create(cache_dir)?;
        let mut file = files::create_private(&unfinished)?;
        file.write_all(bytes)?;
        file.set_permissions(Permissions::from_mode(0o700))?;
        file.sync_all()?;
        drop(file);
        std::fs::rename(&unfinished, &path)?;
        files::sync_folder(cache_dir)
    })()
    .map_err(io)?;
    Ok(path)
}

fn stands(path: &Path, bytes: &[u8]) -> bool {
    let Ok(found) = path.symlink_metadata() else {
        return false;
    };
    let private = found.is_file() && found.permissions().mode() & 0o777 == 0o700;
    private
        && File::open(path)
            .and_then(|mut file| {
                let mut present = Vec::new();
                std::io::Read::read_to_end(&mut file, &mut present)?;
                Ok(present == bytes)
            })
            .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_under_its_digest_and_a_changed_one_is_replaced() {
        let cache = tempfile::tempdir().unwrap();
        let digest = hex(b"program");
        let path = install_shim(b"program", &digest, cache.path()).unwrap();
        assert!(path.ends_with(format!("shim-{digest}")));
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(&path, b"changed").unwrap();
        assert_eq!(install_shim(b"program", &digest, cache.path()).unwrap(), path);
        assert_eq!(std::fs::read(&path).unwrap(), b"program");
    }

    #[test]
    fn a_link_in_its_place_is_replaced_and_its_target_left_alone() {
        let cache = tempfile::tempdir().unwrap();
        let digest = hex(b"program");
        let victim = cache.path().join("victim");
        std::fs::write(&victim, b"victim").unwrap();
        let place = cache.path().join(format!("shim-{digest}"));
        std::os::unix::fs::symlink(&victim, &place).unwrap();
        install_shim(b"program", &digest, cache.path()).unwrap();
        assert!(place.symlink_metadata().unwrap().is_file());
        assert_eq!(std::fs::read(&victim).unwrap(), b"victim");
    }

    #[test]
    fn bytes_that_are_not_the_embedded_ones_are_refused() {
        let cache = tempfile::tempdir().unwrap();
        assert!(matches!(install_shim(b"other", &hex(b"program"), cache.path()), Err(InstallError::Digest { .. })));
    }
}
