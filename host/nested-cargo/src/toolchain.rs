//! Is the standard library of a target there? If not, rustup brings it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::forget_outer_build;

/// Returns only when `target` can be built for.
#[expect(clippy::print_stdout, reason = "this is how a build script talks to cargo")]
pub(crate) fn require_target(target: &str, folder: &Path) {
    if is_installed(target, folder) {
        return;
    }
    println!("cargo::warning=the target {target} is missing; running `rustup target add {target}`");
    let mut rustup = Command::new("rustup");
    forget_outer_build(&mut rustup);
    rustup.current_dir(folder).args(["target", "add", target]);
    if let Some(toolchain) = std::env::var_os("RUSTUP_TOOLCHAIN") {
        rustup.arg("--toolchain").arg(toolchain);
    }
    let help = format!("  help: install the standard library of {target} for this toolchain, then build again");
    match rustup.status() {
        Ok(status) if status.success() && is_installed(target, folder) => {}
        Ok(status) => panic!("`rustup target add {target}` did not bring the target ({status})\n{help}"),
        Err(error) => panic!("the target {target} is missing and rustup cannot be run: {error}\n{help}"),
    }
}

fn is_installed(target: &str, folder: &Path) -> bool {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut rustc = Command::new(program);
    forget_outer_build(&mut rustc);
    let output =
        rustc.current_dir(folder).args(["--print", "target-libdir", "--target", target]).output().unwrap_or_else(
            |error| panic!("cannot start rustc: {error}\n  help: is the toolchain installed and on PATH?"),
        );
    let libraries = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    // rustc prints the path of a target that it knows, whether or not its library was installed.
    output.status.success() && std::fs::read_dir(libraries).is_ok_and(|mut files| files.next().is_some())
}
