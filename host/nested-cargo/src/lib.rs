//! Runs another cargo from a build script: the plugins' workspaces for `wasm32-wasip2`, and the shim for the host's target.
//!
//! Why not cargo's own artifact dependencies: they are unstable, and a component's crate cannot be a member of the host's
//! workspace. Why a target folder of its own below `OUT_DIR`: the outer cargo holds the lock of its target folder while the
//! build script runs, so a nested one that used the same folder would wait for ever.
//!
//! Whatever goes wrong ends in a panic whose text says what to do: that is all that a build script can show.

mod command;
mod environment;
mod shim;
mod toolchain;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use shim::build_shim;

/// The target that components are built for.
pub const COMPONENT_TARGET: &str = "wasm32-wasip2";

/// What every component is built from, whatever its workspace. The SDK inherits from the root manifest.
const SOURCES_OF_ALL: [&str; 3] = ["wit", "sdk", "Cargo.toml"];

/// A file that a nested cargo made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Artifact {
    /// The package that it was built from.
    pub package: String,
    /// Absolute.
    pub path: PathBuf,
    /// 64 lower-case hexadecimal digits.
    pub sha256: String,
}

impl Artifact {
    fn read(package: String, path: PathBuf) -> Self {
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
        Self { package, path, sha256: hexadecimal(&Sha256::digest(bytes)) }
    }
}

/// Builds the workspace in `folder` of the repository at `root`: its components, sorted by package.
///
/// `out_dir` gets the target folder; two workspaces with the same profile may share it, and then share what they depend on.
pub fn build_components(root: &Path, folder: &str, out_dir: &Path) -> Vec<Artifact> {
    let workspace = root.join(folder);
    toolchain::require_target(COMPONENT_TARGET, &workspace);
    for sources in SOURCES_OF_ALL {
        watch(&root.join(sources));
    }
    watch_workspace(&workspace);

    let mut cargo = command::nested_cargo(&workspace, &out_dir.join("components"));
    cargo.args(["--workspace", "--release", "--target", COMPONENT_TARGET]);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", environment::flags_without_paths(root));
    let mut components: Vec<Artifact> = command::files_of(cargo, &workspace)
        .into_iter()
        .filter(|file| file.path.extension().is_some_and(|extension| extension == "wasm"))
        .map(|file| Artifact::read(file.package, file.path))
        .collect();
    components.sort();
    components
}

/// Asks cargo to run the build script again when something below `folder` changes.
///
/// A folder is looked at as a whole, so nothing may be built into it.
#[expect(clippy::print_stdout, reason = "this is how a build script talks to cargo")]
pub(crate) fn watch(folder: &Path) {
    println!("cargo::rerun-if-changed={}", folder.display());
}

/// The members of a workspace, but not the `target` folder that somebody may have made there by hand.
fn watch_workspace(workspace: &Path) {
    let entries =
        std::fs::read_dir(workspace).unwrap_or_else(|error| panic!("cannot list {}: {error}", workspace.display()));
    for entry in entries.flatten().filter(|entry| entry.file_name() != "target") {
        watch(&entry.path());
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_of_the_bytes() {
        assert_eq!(
            hexadecimal(&Sha256::digest(b"")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
