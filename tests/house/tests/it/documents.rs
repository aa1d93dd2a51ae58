//! What the documents say about the code is so.

use std::collections::BTreeSet;

use house::{SourceFile, files};

fn document(path: &str) -> String {
    let found = files().into_iter().find(|file| file.path == path);
    found.unwrap_or_else(|| panic!("{path} is missing")).text
}

/// The words between single backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// A line that is one name and nothing else, as a test macro lists its cases.
fn alone(line: &str) -> Option<&str> {
    let line = line.strip_suffix(',').unwrap_or(line);
    (!line.is_empty() && line.chars().all(|one| one.is_alphanumeric() || one == '_')).then_some(line)
}

/// The name that a line defines as a function.
fn function(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let is_item = before.split_whitespace().all(|word| matches!(word, "pub" | "async" | "pub(crate)" | "pub(super)"));
    let name = rest.split(|one: char| !one.is_alphanumeric() && one != '_').next().unwrap_or_default();
    (is_item && !name.is_empty()).then_some(name)
}

/// The functions below a `#[test]` (or a runtime's), and whether one of them is a macro's, which makes a test of each name in
/// its lists.
fn tests(text: &str) -> (BTreeSet<&str>, bool) {
    let (mut found, mut of_a_macro, mut awaited) = (BTreeSet::new(), false, false);
    for line in text.lines().map(str::trim) {
        let line = line.strip_prefix("$(").unwrap_or(line);
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            awaited = true;
        } else if awaited && line.starts_with("fn $") {
            (of_a_macro, awaited) = (true, false);
        } else if let Some(name) = function(line) {
            if std::mem::take(&mut awaited) {
                found.insert(name);
            }
        } else if !line.starts_with('#') && !line.starts_with("//") {
            awaited = false;
        }
    }
    (found, of_a_macro)
}

/// Every test: what stands below `#[test]`, and the functions that a test macro lists, one to a line.
fn every_test() -> BTreeSet<String> {
    let files = files().into_iter().filter(SourceFile::is_rust).collect::<Vec<_>>();
    let functions = files.iter().flat_map(|file| file.text.lines()).filter_map(|line| function(line.trim()));
    let functions = functions.collect::<BTreeSet<_>>();
    let mut found = BTreeSet::new();
    for file in &files {
        let (tests, lists) = tests(&file.text);
        found.extend(tests.into_iter().map(str::to_owned));
        if lists {
            let listed = file.text.lines().filter_map(|line| alone(line.trim()));
            found.extend(listed.filter(|name| functions.contains(name)).map(str::to_owned));
        }
    }
    found
}

#[test]
fn only_a_test_counts_as_one() {
    let text = "#[test]\n#[should_panic]\nfn a() {}\nfn b() {}\n#[test]\nstruct C;\nfn c() {}\nlet d = 1;\n#[tokio::test]\nasync fn e() {}";
    assert_eq!(tests(text), (BTreeSet::from(["a", "e"]), false));
    assert!(tests("$(#[test]\nfn $case() {\n}").1);
    assert_eq!((alone("a_case,"), alone("a case"), alone("a.case")), (Some("a_case"), None, None));
    assert_eq!((function("pub fn a(b: &C)"), function("// no fn a()")), (Some("a"), None));
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let page = document("docs/ARCHITECTURE.md");
    let section = page.split("## What is never so").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let known = every_test();
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
