//! The shim, built for the machine that the host will run on.

use std::path::Path;

use crate::{Artifact, command, watch};

const PACKAGE: &str = "shim";
const BINARY: &str = "gatewright-shim";

/// Builds `gatewright-shim` of the workspace in `root` in release profile, below `out_dir`.
///
/// It is a program of its own because it outlives the host that started it. `feature`, in cargo's words, is built in.
pub fn build_shim(root: &Path, out_dir: &Path, feature: Option<&str>) -> Artifact {
    for source in ["Cargo.toml", "Cargo.lock", "host/shim", "host/kill-points"] {
        watch(&root.join(source));
    }
    let mut cargo = command::nested_cargo(root, &out_dir.join("shim"));
    cargo.args(["--release", "--package", PACKAGE, "--bin", BINARY]);
    if let Some(feature) = feature {
        cargo.args(["--features", feature]);
    }
    // It is embedded, and copied once per digest: what a debugger wants would be nine tenths of it.
    cargo.envs([("CARGO_PROFILE_RELEASE_DEBUG", "0"), ("CARGO_PROFILE_RELEASE_STRIP", "symbols")]);
    if let Some(target) = foreign_target() {
        cargo.args(["--target", &target]);
    }
    let built = command::files_of(cargo, root);
    let binary = built
        .into_iter()
        .find(|file| file.package == PACKAGE && file.path.file_stem().is_some_and(|stem| stem == BINARY))
        .unwrap_or_else(|| panic!("package `{PACKAGE}` in {} made no binary `{BINARY}`", root.display()));
    Artifact::read(binary.package, binary.path)
}

/// The outer build's target, where it is not the machine that builds.
fn foreign_target() -> Option<String> {
    let target = std::env::var("TARGET").ok()?;
    (std::env::var("HOST").ok().as_ref() != Some(&target)).then_some(target)
}
