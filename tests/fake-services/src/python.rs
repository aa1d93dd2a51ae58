//! Programs of Python, in the versions that tests are pinned to: `.ci/run` installs them, and says where.

use std::path::PathBuf;

/// One of them.
///
/// # Panics
/// Where it is not there.
pub fn tool(name: &str) -> PathBuf {
    let said = std::env::var_os("GATEWRIGHT_PYTHON").map(PathBuf::from);
    let folder = said.unwrap_or_else(|| crate::cache().join("python/bin"));
    let path = folder.join(name);
    assert!(path.exists(), "{} is not there: `.ci/run` installs it (install_python)", path.display());
    path
}
