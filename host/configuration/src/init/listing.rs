//! How a repository is tested, guessed from what lies in its root.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// Texts of the root are read up to this size.
const TEXT_BYTES: u64 = 256 * 1024;

/// What lies in a repository's root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootListing {
    /// Names of files and folders.
    pub names: BTreeSet<String>,
    /// The text of `package.json`.
    pub package_json: Option<String>,
    /// The text of the Makefile.
    pub makefile: Option<String>,
    /// Folders of toolchains that the home of this machine's user does not have: a run cannot be shown them.
    pub absent: BTreeSet<&'static str>,
}

/// What `cargo test` reads of the home.
const OF_CARGO: [&str; 3] = ["~/.rustup", "~/.cargo/registry", "~/.cargo/git"];
/// What `go test` reads of the home.
const OF_GO: [&str; 1] = ["~/go/pkg/mod"];

/// A suite and what it needs to see outside the clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestCommand {
    pub(crate) argv: Vec<String>,
    pub(crate) readable: Vec<&'static str>,
}

impl RootListing {
    /// Reads a folder. What cannot be read is as if it were not there: the guess is then another, or none.
    pub fn read(root: &Path) -> Self {
        let names: BTreeSet<String> = std::fs::read_dir(root)
            .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
            .unwrap_or_default();
        let text = |name: &str| {
            let path = root.join(name);
            let small = path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= TEXT_BYTES);
            small.then(|| std::fs::read_to_string(path).ok()).flatten()
        };
        let makefile = ["GNUmakefile", "makefile", "Makefile"].into_iter().find(|name| names.contains(*name));
        let is_absent = |path: &&str| {
            let home = std::env::home_dir();
            home.is_none_or(|home| !home.join(path.trim_start_matches("~/")).is_dir())
        };
        let absent = OF_CARGO.into_iter().chain(OF_GO).filter(is_absent).collect();
        Self { package_json: text("package.json"), makefile: makefile.and_then(text), names, absent }
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// A file that makes `tests/` a suite of pytest's.
    fn is_python(&self) -> bool {
        ["pyproject.toml", "pytest.ini", "tox.ini", "setup.py", "setup.cfg", "conftest.py"]
            .iter()
            .any(|name| self.has(name))
            || (self.has("tests")
                && (self.has("requirements.txt") || self.names.iter().any(|name| has_extension(name, "py"))))
    }
}

fn has_extension(name: &str, wanted: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == wanted)
}

/// How the project is tested, as far as its root shows.
pub fn test_command(root: &RootListing) -> Option<Vec<String>> {
    detect(root).map(|command| command.argv)
}

/// The first that fits: a build tool's own file says more than a Makefile, which often only calls it.
pub(crate) fn detect(root: &RootListing) -> Option<TestCommand> {
    let command = |words: &[&str], readable: &[&'static str]| {
        let readable = readable.iter().copied().filter(|path| !root.absent.contains(path)).collect();
        Some(TestCommand { argv: words.iter().map(|word| (*word).to_owned()).collect(), readable })
    };
    if root.has("Cargo.toml") {
        return command(&["cargo", "test"], &OF_CARGO);
    }
    if root.package_json.as_deref().is_some_and(has_test_script) {
        let manager = [("pnpm-lock.yaml", "pnpm"), ("yarn.lock", "yarn"), ("bun.lock", "bun")]
            .into_iter()
            .find(|(lock, _)| root.has(lock))
            .map_or("npm", |(_, manager)| manager);
        let words: &[&str] = if manager == "bun" { &["bun", "run", "test"] } else { &[manager, "test"] };
        return command(words, &[]);
    }
    if root.has("go.mod") {
        return command(&["go", "test", "./..."], &OF_GO);
    }
    if root.is_python() {
        return command(&["python3", "-m", "pytest"], &[]);
    }
    if root.makefile.as_deref().is_some_and(has_test_target) {
        return command(&["make", "test"], &[]);
    }
    None
}

/// A script that does something: `npm init` writes one that only fails.
fn has_test_script(package: &str) -> bool {
    let script = serde_json::from_str::<Value>(package)
        .ok()
        .and_then(|package| package.pointer("/scripts/test").and_then(Value::as_str).map(str::to_owned));
    script.is_some_and(|script| !script.trim().is_empty() && !script.contains("no test specified"))
}

fn has_test_target(makefile: &str) -> bool {
    makefile.lines().any(|line| {
        let targets = line.split_once(':').filter(|(_, rest)| !rest.starts_with('=')).map(|(targets, _)| targets);
        !line.starts_with(['\t', ' ', '#', '.'])
            && targets.is_some_and(|targets| targets.split_whitespace().any(|target| target == "test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(names: &[&str], package: Option<&str>, makefile: Option<&str>) -> RootListing {
        RootListing {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            package_json: package.map(str::to_owned),
            makefile: makefile.map(str::to_owned),
            absent: BTreeSet::new(),
        }
    }

    /// A run that shall be shown what is not there never begins.
    #[test]
    fn what_the_home_does_not_have_is_not_shown() {
        let mut listing = root(&["Cargo.toml"], None, None);
        listing.absent = ["~/.cargo/git", "~/go/pkg/mod"].into();
        assert_eq!(detect(&listing).unwrap().readable, ["~/.rustup", "~/.cargo/registry"]);
        let mut listing = root(&["go.mod"], None, None);
        assert_eq!(detect(&listing).unwrap().readable, OF_GO);
        listing.absent = OF_GO.into();
        assert_eq!(detect(&listing).unwrap().readable, [""; 0]);
    }

    #[test]
    fn each_kind_of_project_is_known_by_its_root() {
        let script = r#"{"scripts": {"test": "vitest run"}}"#;
        let none = r#"{"scripts": {"test": "echo \"Error: no test specified\" && exit 1"}}"#;
        for (listing, expected) in [
            (root(&["Cargo.toml", "Makefile"], None, Some("test:\n\tcargo test")), Some("cargo test")),
            (root(&["package.json"], Some(script), None), Some("npm test")),
            (root(&["package.json", "pnpm-lock.yaml"], Some(script), None), Some("pnpm test")),
            (root(&["package.json", "bun.lock"], Some(script), None), Some("bun run test")),
            (root(&["package.json"], Some(none), None), None),
            (root(&["package.json", "Makefile"], Some("{"), Some("all: test")), None),
            (root(&["go.mod"], None, None), Some("go test ./...")),
            (root(&["pyproject.toml"], None, None), Some("python3 -m pytest")),
            (root(&["app.py", "tests"], None, None), Some("python3 -m pytest")),
            (root(&["tests", "run.sh"], None, None), None),
            (root(&["Makefile"], None, Some(".PHONY: test\nlint test: build\n\trun")), Some("make test")),
            (root(&["Makefile"], None, Some(".PHONY: test\ntest := x\n")), None),
            (root(&["README.md"], None, None), None),
        ] {
            assert_eq!(test_command(&listing).map(|words| words.join(" ")).as_deref(), expected, "{listing:?}");
        }
    }
}
