//! What the README tells people to type is what continuous integration runs.

use std::fs;

use house::root;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of the README's shell blocks that call cargo.
fn told() -> Vec<String> {
    let readme = read("README.md");
    let mut inside = false;
    let mut found = Vec::new();
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside && line.starts_with("cargo ") {
            found.push(line.split('#').next().unwrap_or_default().trim().to_owned());
        }
    }
    found
}

#[test]
fn every_cargo_command_of_the_readme_is_run_by_ci() {
    let ci = read(".ci/run");
    let told = told();
    assert!(told.len() >= 2, "{told:?}");
    for command in told {
        let is_run = ci.lines().any(|line| {
            line.split_once("cargo ").is_some_and(|(_, rest)| format!("cargo {rest}").starts_with(&command))
        });
        assert!(is_run, ".ci/run does not run `{command}`");
    }
}

#[test]
fn ci_formats_and_lints_all_three_workspaces() {
    let ci = read(".ci/run");
    for wanted in ["cargo fmt --all --check", "cargo clippy --workspace --all-targets -- -D warnings"] {
        assert!(ci.contains(wanted), "`{wanted}`");
    }
    for workspace in ["plugins", "tests/guests"] {
        assert!(ci.contains(workspace), "{workspace}");
    }
}

#[cfg(unix)]
#[test]
fn ci_can_be_called() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(root().join(".ci/run")).unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111);
}
