//! The tests of the repository, as their sources say: what stands below `#[test]`, and what a test macro lists.

use std::collections::BTreeSet;

use crate::files::SourceFile;

/// A test that cargo runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceTest {
    /// The package that it belongs to.
    pub package: String,
    /// The modules of its file, without a `tests` at the end.
    pub modules: Vec<String>,
    /// Its function.
    pub name: String,
    /// A macro makes it of a function: where the test stands is the macro's business, perhaps under fewer modules.
    pub is_listed: bool,
}

/// What is read from one file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found<'a> {
    /// The functions below a `#[test]` or a runtime's.
    pub tests: BTreeSet<&'a str>,
    /// One of them is a macro's, which makes a test of each name in its lists.
    pub lists: bool,
}

/// Conditions under which the repository is always built.
const ALWAYS: [&str; 3] = ["#[cfg(test)]", "#[cfg(unix)]", "#[cfg(target_os = \"linux\")]"];

/// Every test, but for what is ignored or depends on how it is built.
pub fn source_tests(files: &[SourceFile]) -> Vec<SourceTest> {
    let packages = packages(files);
    let rust = || files.iter().filter(|file| file.is_rust());
    let mut found = Vec::new();
    for file in rust() {
        let Some((package, folder)) = package_of(&packages, &file.path) else { continue };
        let test = |name: &str, path: &str, is_listed| SourceTest {
            package: package.clone(),
            modules: modules(path.strip_prefix(folder.as_str()).unwrap_or(path)),
            name: name.to_owned(),
            is_listed,
        };
        let read = read(&file.text);
        found.extend(read.tests.iter().map(|name| test(name, &file.path, false)));
        if read.lists {
            let listed = file.text.lines().filter_map(|line| alone(line.trim())).collect::<BTreeSet<_>>();
            for other in rust().filter(|other| other.path.starts_with(folder.as_str())) {
                let functions = other.text.lines().filter_map(|line| function(line.trim()));
                let functions = functions.filter(|name| listed.contains(name));
                found.extend(functions.flat_map(|name| [&file.path, &other.path].map(|path| test(name, path, true))));
            }
        }
    }
    found
}

/// The name and folder of each package, the folder with its `/`.
fn packages(files: &[SourceFile]) -> Vec<(String, String)> {
    let manifests = files.iter().filter_map(|file| Some((file, file.path.strip_suffix("Cargo.toml")?)));
    let named = manifests.filter_map(|(file, folder)| {
        let manifest = file.text.parse::<toml::Table>().ok()?;
        Some((manifest.get("package")?.get("name")?.as_str()?.to_owned(), folder.to_owned()))
    });
    named.collect()
}

fn package_of<'a>(packages: &'a [(String, String)], path: &str) -> Option<&'a (String, String)> {
    let within = packages.iter().filter(|(_, folder)| path.starts_with(folder.as_str()));
    within.max_by_key(|(_, folder)| folder.len())
}

/// The modules of a file, by its path within its package.
fn modules(path: &str) -> Vec<String> {
    let mut parts = path.strip_suffix(".rs").unwrap_or(path).split('/').collect::<Vec<_>>();
    let skipped = match parts.as_slice() {
        ["src", "bin", ..] | ["tests", _, ..] => 2,
        _ => 1,
    };
    parts.drain(..skipped.min(parts.len()));
    if matches!(parts.last(), Some(&("lib" | "main"))) {
        parts.pop();
    }
    // `#[path = "findings_tests.rs"] mod tests;`
    let mut modules = parts.iter().map(|part| part.trim_end_matches("_tests").to_owned()).collect::<Vec<_>>();
    if modules.last().is_some_and(|last| last == "tests") {
        modules.pop();
    }
    modules
}

/// The tests that a file's text defines.
pub fn read(text: &str) -> Found<'_> {
    let mut found = Found::default();
    if text.lines().any(|line| line.starts_with("#![cfg(")) {
        return found;
    }
    let (mut is_test, mut may_not_run, mut in_attribute) = (false, false, false);
    for line in text.lines().map(str::trim) {
        let line = line.strip_prefix("$(").unwrap_or(line);
        if in_attribute || line.starts_with("#[") {
            in_attribute = !line.ends_with(']');
            is_test |= line == "#[test]" || line.starts_with("#[tokio::test");
            let is_conditional = line.starts_with("#[cfg") && !ALWAYS.contains(&line);
            may_not_run |= is_conditional || line.starts_with(concat!("#[", "ignore"));
            continue;
        }
        if line.starts_with("//") {
            continue;
        }
        if is_test && line.starts_with("fn $") {
            found.lists = true;
        } else if let (true, false, Some(name)) = (is_test, may_not_run, function(line)) {
            found.tests.insert(name);
        }
        (is_test, may_not_run) = (false, false);
    }
    found
}

/// A line that is one name and nothing else, as a test macro lists its cases.
pub fn alone(line: &str) -> Option<&str> {
    let line = line.strip_suffix(',').unwrap_or(line);
    (!line.is_empty() && line.chars().all(|one| one.is_alphanumeric() || one == '_')).then_some(line)
}

/// The name that a line defines as a function.
pub fn function(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("fn ")?;
    let is_item = before.split_whitespace().all(|word| matches!(word, "pub" | "async" | "pub(crate)" | "pub(super)"));
    let name = rest.split(|one: char| !one.is_alphanumeric() && one != '_').next().unwrap_or_default();
    (is_item && !name.is_empty()).then_some(name)
}
