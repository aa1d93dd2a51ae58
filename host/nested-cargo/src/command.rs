//! One `cargo build` in another workspace, and the files that it says it made.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::environment;

/// A file that cargo reported as made for a package.
pub(crate) struct BuiltFile {
    pub(crate) package: String,
    pub(crate) path: PathBuf,
}

/// `cargo build --locked` in `manifest_dir`, into a target folder of its own, free of the outer build's environment.
pub(crate) fn nested_cargo(manifest_dir: &Path, target_dir: &Path) -> Command {
    // The outer cargo names itself: a rustup proxy found by PATH could be one of another toolchain.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(program);
    forget_outer_build(&mut cargo);
    cargo.current_dir(manifest_dir);
    cargo.args(["build", "--locked", "--message-format=json-render-diagnostics", "--target-dir"]).arg(target_dir);
    if let Ok(jobs) = std::env::var("NUM_JOBS") {
        // The job server's descriptors are not ours to use, so the number is handed on instead.
        cargo.args(["--jobs", &jobs]);
    }
    cargo
}

pub(crate) fn forget_outer_build(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(environment::is_dropped) {
            command.env_remove(name);
        }
    }
}

/// Runs it to the end. Every file of every package in the workspace, as cargo's messages name them.
pub(crate) fn files_of(mut cargo: Command, manifest_dir: &Path) -> Vec<BuiltFile> {
    let shown = format!("{cargo:?}");
    let output =
        cargo.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).output().unwrap_or_else(|error| {
            panic!("cannot start cargo in {}: {error}\n  help: is cargo installed and on PATH?", manifest_dir.display())
        });
    assert!(
        output.status.success(),
        "a nested build failed ({}): its errors stand above\n  in:   {}\n  ran:  {shown}\n  help: if it says that the \
         lock file needs to be updated, run `cargo update --workspace` in that folder and commit its Cargo.lock",
        output.status,
        manifest_dir.display(),
    );
    String::from_utf8_lossy(&output.stdout).lines().flat_map(files_of_message).collect()
}

fn files_of_message(line: &str) -> Vec<BuiltFile> {
    let Ok(message) = serde_json::from_str::<Value>(line) else { return Vec::new() };
    if message["reason"] != "compiler-artifact" {
        return Vec::new();
    }
    let Some(package) = message["package_id"].as_str().and_then(package_name) else { return Vec::new() };
    let files = message["filenames"].as_array().cloned().unwrap_or_default();
    files
        .iter()
        .filter_map(Value::as_str)
        .map(|file| BuiltFile { package: package.to_owned(), path: PathBuf::from(file) })
        .collect()
}

/// A package id is `URL#VERSION` where the URL ends in the name, else `URL#NAME@VERSION`.
fn package_name(id: &str) -> Option<&str> {
    let (url, fragment) = id.rsplit_once('#')?;
    match fragment.split_once('@') {
        Some((name, _)) => Some(name),
        None => url.rsplit('/').next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_is_read_from_both_forms_of_its_id() {
        assert_eq!(package_name("path+file:///w/plugins/review-verdict#0.1.0"), Some("review-verdict"));
        assert_eq!(package_name("path+file:///w/plugins/review#review-verdict@0.1.0"), Some("review-verdict"));
        assert_eq!(package_name("review-verdict 0.1.0"), None);
    }

    #[test]
    fn files_come_from_artifact_messages_only() {
        let artifact = r#"{"reason":"compiler-artifact","package_id":"path+file:///w/plugins/log#0.1.0","filenames":["/t/log.wasm","/t/liblog.rlib"]}"#;
        let files = files_of_message(artifact);
        assert_eq!(files.len(), 2);
        assert!(files.iter().all(|file| file.package == "log"));
        assert!(files_of_message(r#"{"reason":"build-finished","success":true}"#).is_empty());
        assert!(files_of_message("warning: something").is_empty());
    }
}
