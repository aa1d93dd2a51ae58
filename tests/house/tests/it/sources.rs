//! How sources look.

use std::path::Path;

use house::{SourceFile, files};

const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: &str = "too-many-lines-threshold = 70";
/// Names that say nothing about what they name.
const EMPTY_NAMES: [&str; 7] = ["util", "utils", "helper", "helpers", "common", "misc", "manager"];

fn rust() -> Vec<SourceFile> {
    files().into_iter().filter(SourceFile::is_rust).collect()
}

fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// Each line of code that holds one of these.
fn lines_with(files: &[SourceFile], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (number, line) in file.code_lines() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{number}: {}", file.path, line.trim()));
            }
        }
    }
    found
}

#[test]
fn every_rust_file_opens_by_saying_what_it_is() {
    let silent = rust().into_iter().filter(|file| !file.text.starts_with("//!")).map(|file| file.path);
    none(&silent.collect::<Vec<_>>(), "these do not open with `//!`");
}

#[test]
fn no_rust_file_is_longer_than_500_lines() {
    let long = rust().into_iter().filter_map(|file| {
        let lines = file.text.lines().count();
        (lines > LONGEST_FILE).then(|| format!("{}: {lines}", file.path))
    });
    none(&long.collect::<Vec<_>>(), "these are longer");
}

#[test]
fn functions_are_held_to_70_lines_by_clippy() {
    let clippy = files().into_iter().find(|file| file.path == "clippy.toml").unwrap();
    assert!(clippy.text.lines().any(|line| line == LONGEST_FUNCTION), "clippy.toml says `{LONGEST_FUNCTION}`");
}

#[test]
fn modules_are_files_of_their_own_name() {
    let found = rust().into_iter().filter(|file| file.path.ends_with("/mod.rs")).map(|file| file.path);
    none(&found.collect::<Vec<_>>(), "`foo.rs`, not `foo/mod.rs`");
}

#[test]
fn names_say_what_they_name() {
    let mut found = Vec::new();
    for file in rust() {
        let parts = Path::new(&file.path).with_extension("");
        for part in parts.iter().filter_map(|part| part.to_str()).filter(|part| EMPTY_NAMES.contains(part)) {
            found.push(format!("{}: {part}", file.path));
        }
        for (number, line) in file.code_lines() {
            if let Some(name) = defined_name(line).filter(|name| is_empty_name(name)) {
                found.push(format!("{}:{number}: {name}", file.path));
            }
        }
    }
    none(&found, "a noun from the domain instead");
}

/// The name of the module or type that a line defines.
fn defined_name(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(crate) ")).unwrap_or(line);
    let keywords = ["struct ", "enum ", "trait ", "type ", "mod ", "union "];
    let rest = keywords.iter().find_map(|keyword| line.strip_prefix(keyword))?;
    rest.split(|character: char| !character.is_alphanumeric() && character != '_').next()
}

fn is_empty_name(name: &str) -> bool {
    let lower = name.to_lowercase();
    EMPTY_NAMES.contains(&lower.as_str())
        || ["Util", "Utils", "Helper", "Helpers", "Manager"].iter().any(|ending| name.ends_with(ending))
}

#[test]
fn the_rule_of_names_knows_what_it_looks_for() {
    assert_eq!(defined_name("pub(crate) struct TaskManager<'a> {"), Some("TaskManager"));
    assert!(is_empty_name("TaskManager") && is_empty_name("common") && !is_empty_name("Commonwealth"));
    assert_eq!(defined_name("    let manager = 1;"), None);
}

#[test]
fn nothing_is_allowed_ignored_or_left_to_do() {
    let words = [concat!("#[", "allow("), concat!("#![", "allow("), concat!("#[", "ignore"), concat!("todo", "!(")];
    none(&lines_with(&rust(), &words), "`#[expect(.., reason = \"..\")]` for the first two; no place for the others");
}

/// Time, files, processes and the network are arguments or ports. Addresses are only numbers.
#[test]
fn domain_and_engine_know_no_clock_and_no_outside() {
    let words = [
        "SystemTime",
        "Instant",
        "std::fs",
        "std::process",
        "std::env",
        "std::thread",
        "std::io",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "ToSocketAddrs",
        "thread_local!",
        "static mut",
    ];
    let pure = ["host/domain/src/", "host/engine/src/"];
    let files = rust().into_iter().filter(|file| pure.iter().any(|folder| file.path.starts_with(folder)));
    let files = files.filter(|file| !file.path.contains("/tests")).collect::<Vec<_>>();
    assert!(files.len() > 10, "the folders are still there");
    none(&lines_with(&files, &words), "a pure crate");
}

#[test]
fn the_conductor_reads_no_clock_of_its_own() {
    let files = rust().into_iter().filter(|file| file.path.starts_with("host/conductor/src/")).collect::<Vec<_>>();
    none(&lines_with(&files, &["SystemTime::now", "Instant::now", "std::env::", "std::process::"]), "ports tell it");
}

/// A path of the machine on which something was written is of no use on another.
#[test]
fn no_file_names_the_machine_it_was_written_on() {
    let root = house::root();
    let mut words = vec![concat!("/ro", "ot/").to_owned(), concat!("/Us", "ers/").to_owned()];
    if root.components().count() > 2 {
        words.push(format!("{}/", root.display()));
    }
    let mut found = Vec::new();
    for file in files() {
        for (index, line) in file.text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word.as_str())) {
                found.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
            }
        }
    }
    none(&found, "a path of somebody's machine");
}

/// Where packages come from is the business of whoever builds: the lock files name the public registry alone.
#[test]
fn the_lock_files_name_the_public_registry_alone() {
    let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    for file in files() {
        if file.path.ends_with("Cargo.lock") {
            let foreign = file.text.lines().find(|line| line.starts_with("source = ") && *line != public);
            assert_eq!(foreign, None, "{}", file.path);
        }
        assert!(!file.path.ends_with(".cargo/config.toml") || !file.text.contains("[source"), "{}", file.path);
    }
}
