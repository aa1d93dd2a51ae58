//! What the documents say about the code is so.

use std::collections::BTreeSet;

use house::{Found, SourceFile, alone, files, function, read, source_tests};

fn document(path: &str) -> String {
    let found = files().into_iter().find(|file| file.path == path);
    found.unwrap_or_else(|| panic!("{path} is missing")).text
}

/// The words between single backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn only_a_test_counts_as_one() {
    let text = "#[test]\n#[should_panic]\nfn a() {}\nfn b() {}\n#[test]\nstruct C;\nfn c() {}\nlet d = 1;\n#[tokio::test]\nasync fn e() {}";
    assert_eq!(read(text), Found { tests: BTreeSet::from(["a", "e"]), lists: false });
    assert!(read("$(#[test]\nfn $case() {\n}").lists);
    let away = concat!("#[test]\n#[", "ignore]\nfn a() {}\n#[cfg(windows)]\n#[test]\nfn b() {}\n");
    assert_eq!(read(away), Found::default());
    assert_eq!(read(&format!("#![cfg(windows)]\n{text}")), Found::default());
    assert_eq!((alone("a_case,"), alone("a case"), alone("a.case")), (Some("a_case"), None, None));
    assert_eq!((function("pub fn a(b: &C)"), function("// no fn a()")), (Some("a"), None));
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let page = document("docs/ARCHITECTURE.md");
    let section = page.split("## What is never so").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let known = source_tests(&files()).into_iter().map(|test| test.name).collect::<BTreeSet<_>>();
    // The name of a test is a sentence; what has fewer words is a crate, a stage or a type.
    let named = quoted(section).filter(|word| word.matches('_').count() > 2).collect::<Vec<_>>();
    assert!(named.len() > 30, "{named:?}");
    let missing = named.into_iter().filter(|name| !known.contains(*name)).collect::<Vec<_>>();
    assert!(missing.is_empty(), "no such test: {missing:?}");
}

#[test]
fn the_architecture_numbers_its_invariants_without_a_gap() {
    let page = document("docs/ARCHITECTURE.md");
    for number in 1..=13 {
        assert!(page.contains(&format!("\n| {number} | ")), "invariant {number}");
    }
}

#[test]
fn the_map_names_every_part() {
    let page = document("docs/ARCHITECTURE.md");
    let named = quoted(&page).collect::<BTreeSet<_>>();
    let folders = std::fs::read_dir(house::root().join("host")).unwrap();
    for folder in folders.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()) {
        assert!(named.contains(format!("host/{folder}").as_str()), "host/{folder}");
    }
    for part in [
        "wit/",
        "sdk",
        "plugins/",
        "tests/guests",
        "tests/artifacts",
        "tests/databases",
        "tests/house",
        "tests/simulate",
    ] {
        assert!(named.contains(part), "{part}");
    }
}

/// Links within the repository lead somewhere.
#[test]
fn links_between_documents_lead_to_files() {
    let mut dead = Vec::new();
    for file in files().into_iter().filter(|file| file.path == "README.md" || file.path.starts_with("docs/")) {
        let folder = house::root().join(&file.path).parent().unwrap().to_owned();
        for target in file.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") && !folder.join(path).exists() {
                dead.push(format!("{}: {target}", file.path));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:?}");
}

/// Nothing in a test reaches a tracker, forge or chat of somebody's: addresses are loopback, or of a domain that is nobody's.
#[test]
fn tests_name_no_host_of_the_outside() {
    let nobodys = [".example", ".test", ".invalid", ".localhost", "example.org", "example.com", "example.net"];
    let mut found = Vec::new();
    for file in files().into_iter().filter(SourceFile::is_rust) {
        let is_test = ["/tests/", "/tests.rs", "/benches/", "/demo"].iter().any(|part| file.path.contains(part));
        let is_guest = file.path.starts_with("tests/guests/");
        if !(is_test || is_guest) || file.path.starts_with("tests/house/") {
            continue;
        }
        for (number, line) in file.code_lines() {
            for rest in line.split("://").skip(1) {
                let host =
                    rest.split(|one: char| !one.is_alphanumeric() && !".-".contains(one)).next().unwrap_or_default();
                let is_address = host.contains('.') && !host.starts_with("127.") && host != "0.0.0.0";
                if is_address && !nobodys.iter().any(|end| host.to_lowercase().ends_with(end)) {
                    found.push(format!("{}:{number}: {host}", file.path));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
