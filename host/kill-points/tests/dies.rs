//! A place ends whoever it is ordered to, where places are compiled in, and is nothing where they are not. It is a program of its
//! own, which is its own victim.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use kill_points::{ARMED, FOLDER, HITS, ORDERS, PASSED, pass};

const PLACE: &str = "before-main-is-moved";

/// A process that passes the place three times.
fn passes(folder: &Path) -> ExitStatus {
    let name = "who_is_ordered_to_dies_once_and_says_so";
    let mut victim = Command::new(std::env::current_exe().expect("it has a file"));
    victim.args(["--exact", name]).env(FOLDER, folder).output().expect("it starts").status
}

#[test]
fn who_is_ordered_to_dies_once_and_says_so() {
    if std::env::var_os(FOLDER).is_some() {
        (0..3).for_each(|_| pass(PLACE));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for part in [ORDERS, PASSED] {
        fs::create_dir(folder.path().join(part)).unwrap();
    }
    let order = folder.path().join(ORDERS).join(PLACE);
    fs::write(&order, "2").unwrap();
    let first = passes(folder.path());
    let hits = fs::read_to_string(folder.path().join(HITS)).unwrap_or_default();
    let passed = || fs::read(folder.path().join(PASSED).join(PLACE)).map_or(0, |passed| passed.len());
    if !ARMED {
        assert!(first.success() && hits.is_empty() && passed() == 0 && order.exists());
        return;
    }
    assert_eq!((first.signal(), passed()), (Some(9), 2));
    assert!(hits.starts_with(&format!("{PLACE} ")) && hits.lines().count() == 1, "{hits}");
    assert!(!order.exists());
    assert!(passes(folder.path()).success());
    assert_eq!(passed(), 5);
}
