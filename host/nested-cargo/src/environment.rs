//! Which of the outer cargo's environment a nested one may see.
//!
//! A build script inherits what cargo, clippy or a coverage tool set for *this* build: its flags, its wrappers, its target
//! folder, its job server. None of it is meant for a second target. What says how to reach registries stays.

use std::path::{Path, PathBuf};

/// Settings of cargo that are about the machine, not about the build.
const KEPT: &[&str] = &[
    "CARGO_HOME",
    "CARGO_NET_",
    "CARGO_HTTP_",
    "CARGO_REGISTRY_",
    "CARGO_REGISTRIES_",
    "CARGO_SOURCE_",
    "CARGO_CACHE_",
    "CARGO_TERM_",
];

const DROPPED: &[&str] = &[
    "CARGO",
    "CLIPPY_",
    "DEP_",
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUSTDOC",
    "RUSTC",
    "RUSTC_",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    "OUT_DIR",
    "TARGET",
    "HOST",
    "PROFILE",
    "OPT_LEVEL",
    "DEBUG",
    "NUM_JOBS",
    "SYSROOT",
    "LLVM_PROFILE_FILE",
];

/// Shall a nested cargo not see this variable?
pub(crate) fn is_dropped(name: &str) -> bool {
    !matches(KEPT, name) && (name.starts_with("CARGO_") || matches(DROPPED, name))
}

/// Flags for a component, in the form of `CARGO_ENCODED_RUSTFLAGS`: no folder of this machine gets into its panic messages,
/// and so into what it says and into its digest.
pub(crate) fn flags_without_paths(root: &Path) -> String {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let remapped = [(Some(root.to_owned()), "gatewright"), (cargo_home, "cargo")];
    let flags: Vec<String> = remapped
        .into_iter()
        .filter_map(|(folder, name)| Some(format!("--remap-path-prefix={}={name}", folder?.display())))
        .collect();
    flags.join("\u{1f}")
}

/// A pattern that ends in `_` is a prefix.
fn matches(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| if pattern.ends_with('_') { name.starts_with(pattern) } else { name == *pattern })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_wrappers_and_folders_of_the_outer_build_are_dropped() {
        for name in [
            "CARGO",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET",
            "CARGO_BUILD_RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_MANIFEST_DIR",
            "CARGO_MAKEFLAGS",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
            "CLIPPY_ARGS",
            "MAKEFLAGS",
            "OUT_DIR",
            "RUSTC",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTC_BOOTSTRAP",
            "RUSTDOC",
            "RUSTFLAGS",
            "TARGET",
        ] {
            assert!(is_dropped(name), "{name}");
        }
    }

    #[test]
    fn what_reaches_registries_and_toolchains_stays() {
        for name in [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "CARGO_HTTP_PROXY",
            "CARGO_REGISTRIES_CRATES_IO_PROTOCOL",
            "CARGO_SOURCE_CRATES_IO_REPLACE_WITH",
            "RUSTUP_HOME",
            "RUSTUP_TOOLCHAIN",
            "PATH",
            "HOME",
            "HOSTNAME",
            "HTTPS_PROXY",
            "SSL_CERT_FILE",
        ] {
            assert!(!is_dropped(name), "{name}");
        }
    }
}
