//! Programs of Python, in the versions that tests are pinned to: `.ci/run` installs them, and says where.

use std::path::PathBuf;

/// One of them.
///
/// # Panics
/// Where it is not there.
pub fn tool(name: &str) -> PathBuf {
    let folder = std::env::var_os("GATEWRIGHT_PYTHON").map_or_else(
        || {
            let home = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
            home.unwrap_or_default().join("gatewright-ci/python/bin")
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(path.exists(), "{} is not there: `.ci/run` installs it (install_python)", path.display());
    path
}
