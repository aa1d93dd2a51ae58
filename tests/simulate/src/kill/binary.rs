//! The program that is killed: built with its places, and taken out of the way of whoever wants it without them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use serde_json::Value;

use crate::mutants::root;

/// Where it stands, below the target folder.
const PLACE: &str = "kill/gatewright";

/// Builds it in the target folder of everybody, so that only the crates with places in them are built a second time. In release
/// where this program is.
pub(super) fn build() -> Result<PathBuf, String> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).env("CARGO_TARGET_DIR", &target);
    cargo.args(["build", "--workspace", "--bin", "gatewright", "--features", "gatewright/kill-points"]);
    // With a test among what is built, cargo chooses the features of all dependencies as `cargo test` does: nothing large is built
    // a second time after that.
    cargo.args(["--test", "dies"]);
    cargo.arg("--message-format=json-render-diagnostics");
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let done =
        cargo.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(|error| format!("cargo: {error}"))?;
    if !done.status.success() {
        return Err("the program does not build with its places".to_owned());
    }
    let built = String::from_utf8_lossy(&done.stdout).lines().filter_map(executable).next_back();
    let built = built.ok_or("cargo names no program")?;
    let place = target.join(PLACE);
    take_away(&built, &place).map_err(|error| format!("{}: {error}", place.display()))?;
    Ok(place)
}

/// Who runs the target folder's program by hand shall not meet one that was built for tests.
fn take_away(built: &Path, place: &Path) -> std::io::Result<()> {
    fs::create_dir_all(place.parent().unwrap_or(place))?;
    let _ = fs::remove_file(place);
    fs::copy(built, place)?;
    fs::remove_file(built)
}

fn executable(line: &str) -> Option<PathBuf> {
    let message = serde_json::from_str::<Value>(line).ok()?;
    let is_program = message["target"]["name"] == "gatewright" && message["reason"] == "compiler-artifact";
    message["executable"].as_str().filter(|_| is_program).map(PathBuf::from)
}
