//! How a repository is tested, guessed from what lies in its root.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::suite::{self, Registry, Uncached};

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
    /// Hosts that lock files and the repository's own settings name as the places of packages.
    pub package_hosts: BTreeSet<String>,
    /// Those settings name the registry of every package, so nobody else need be asked.
    pub names_registry: bool,
    /// What the caches of the home lack.
    pub uncached: Uncached,
    /// Where the user's package manager says that packages come from. Whoever may start a process asks it.
    pub registry: Option<Registry>,
    /// Whether the system's python has pytest; none: nobody asked. Likewise.
    pub has_pytest: Option<bool>,
}

/// The settings of cargo, which may name another registry. Where they hold a token nobody is shown them.
const CARGO_SETTINGS: &str = "~/.cargo/config.toml";
/// What `cargo test` reads of the home.
const OF_CARGO: [&str; 4] = ["~/.rustup", "~/.cargo/registry", "~/.cargo/git", CARGO_SETTINGS];
/// What `go test` reads of the home.
const OF_GO: [&str; 1] = ["~/go/pkg/mod"];

/// A suite, and what it needs outside the clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TestCommand {
    pub(crate) argv: Vec<String>,
    pub(crate) readable: Vec<&'static str>,
    /// Where its packages come from.
    pub(crate) network: Vec<String>,
    /// Why it is taken for the suite.
    pub(crate) because: String,
    /// What the owner must do before it runs in a fresh clone, a sentence each.
    pub(crate) needs: Vec<String>,
}

impl TestCommand {
    pub(crate) fn of(words: &[&str]) -> Self {
        Self { argv: words.iter().map(|word| (*word).to_owned()).collect(), ..Self::default() }
    }
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
        let home = std::env::home_dir();
        let at = |path: &str| home.as_ref().map(|home| home.join(path.trim_start_matches("~/")));
        let settings = at(CARGO_SETTINGS).filter(|path| path.is_file());
        let withheld = settings.as_ref().is_some_and(|path| suite::holds_token(path));
        let is_absent = |path: &&str| match *path {
            CARGO_SETTINGS => withheld || settings.is_none(),
            folder => at(folder).is_none_or(|path| !path.is_dir()),
        };
        let absent = OF_CARGO.into_iter().chain(OF_GO).filter(is_absent).collect();
        let uncached = home.as_ref().map(|home| Uncached {
            crates: suite::absent_crates(root, home),
            modules: suite::absent_modules(root, home),
            withheld,
        });
        Self {
            package_json: text("package.json"),
            makefile: makefile.and_then(text),
            names,
            absent,
            package_hosts: suite::package_hosts(root),
            names_registry: suite::names_registry(root),
            uncached: uncached.unwrap_or_default(),
            registry: None,
            has_pytest: None,
        }
    }

    /// Whether packages of JavaScript's are installed before the suite runs.
    pub fn has_javascript_suite(&self) -> bool {
        !self.has("Cargo.toml") && self.script().is_some()
    }

    /// Whether the suite is python's.
    pub fn has_python_suite(&self) -> bool {
        !self.has("Cargo.toml") && !self.has("go.mod") && self.script().is_none() && self.is_python()
    }

    /// `package.json`, if it has a test script.
    fn script(&self) -> Option<Value> {
        let package = serde_json::from_str(self.package_json.as_deref()?).ok()?;
        has_test_script(&package).then_some(package)
    }

    pub(super) fn has(&self, name: &str) -> bool {
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
    let command = |words: &[&str], because: &str, readable: &[&'static str], needs: Vec<String>| {
        let readable = readable.iter().copied().filter(|path| !root.absent.contains(path)).collect();
        Some(TestCommand { readable, because: because.to_owned(), needs, ..TestCommand::of(words) })
    };
    if root.has("Cargo.toml") {
        return command(&["cargo", "test"], "there is a Cargo.toml", &OF_CARGO, suite::of_cargo(root));
    }
    if let Some(package) = root.script() {
        return Some(suite::javascript(root, &package));
    }
    if root.has("go.mod") {
        return command(&["go", "test", "./..."], "there is a go.mod", &OF_GO, suite::of_go(root));
    }
    if root.is_python() {
        let because = "the files are those of a suite of pytest's";
        return command(&["python3", "-m", "pytest"], because, &[], suite::of_python(root));
    }
    if root.makefile.as_deref().is_some_and(has_test_target) {
        return command(&["make", "test"], "the Makefile has a target `test`", &[], Vec::new());
    }
    None
}

/// A script that does something: `npm init` writes one that only fails.
fn has_test_script(package: &Value) -> bool {
    let script = package.pointer("/scripts/test").and_then(Value::as_str);
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
            ..RootListing::default()
        }
    }

    /// A run that shall be shown what is not there never begins.
    #[test]
    fn what_the_home_does_not_have_is_not_shown() {
        let mut listing = root(&["Cargo.toml"], None, None);
        listing.absent = ["~/.cargo/git", "~/go/pkg/mod"].into();
        assert_eq!(detect(&listing).unwrap().readable, ["~/.rustup", "~/.cargo/registry", "~/.cargo/config.toml"]);
        let mut listing = root(&["go.mod"], None, None);
        assert_eq!(detect(&listing).unwrap().readable, OF_GO);
        listing.absent = OF_GO.into();
        assert_eq!(detect(&listing).unwrap().readable, [""; 0]);
    }

    /// A fresh clone has no `node_modules`.
    #[test]
    fn packages_are_installed_before_the_suite_runs_from_where_the_lock_file_or_the_manager_says() {
        let package = r#"{"scripts": {"test": "vitest run"}, "devDependencies": {"vitest": "^3"}}"#;
        let of = |names: &[&str], hosts: &[&str], registry: Option<(&str, bool)>| {
            let mut listing = root(names, Some(package), None);
            listing.package_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
            listing.registry = registry.map(|(url, is_of_user)| Registry { url: url.to_owned(), is_of_user });
            let found = detect(&listing).unwrap();
            (found.argv.join(" "), found.network.join(" "), found.needs.len())
        };
        let locked = "npm install-ci-test --no-audit --no-fund";
        let said = |argv: &str, network: &str, needs: usize| (argv.to_owned(), network.to_owned(), needs);
        assert_eq!(of(&["package-lock.json"], &["one.example"], None), said(locked, "one.example", 0));
        assert_eq!(of(&["package-lock.json"], &[], None), said(locked, "", 1), "nobody says from where");
        assert_eq!(
            of(&["package-lock.json"], &[], Some(("https://two.example/npm/", false))),
            said(locked, "two.example", 0)
        );
        assert_eq!(
            of(&["package-lock.json"], &["one.example"], Some(("http://two.example:4873/", true))),
            said(&format!("{locked} --registry=http://two.example:4873/"), "one.example two.example:4873", 0),
            "a registry of the user's own is named, for nobody in a clone names it"
        );
        assert_eq!(
            of(&["package-lock.json"], &["127.0.0.1:4873"], None),
            said(locked, "", 1),
            "a run has its own loopback"
        );
        assert_eq!(
            of(&[], &[], Some(("https://ann:secret@two.example/", true))),
            said("npm install-test --no-package-lock --no-audit --no-fund", "", 1),
            "what holds a password is written nowhere"
        );
        for (lock, expected) in [
            ("pnpm-lock.yaml", "pnpm install-test --frozen-lockfile"),
            ("yarn.lock", "sh -c yarn install --frozen-lockfile --non-interactive && yarn test"),
            ("bun.lock", "sh -c bun install --frozen-lockfile && bun run test"),
        ] {
            assert_eq!(of(&[lock], &["one.example"], None), said(expected, "one.example", 0));
        }
        let found = of(&["yarn.lock", ".yarnrc.yml"], &["one.example"], Some(("https://two.example", true)));
        assert_eq!(found, said("sh -c yarn install --immutable && yarn test", "one.example two.example", 1));
    }

    #[test]
    fn what_a_fresh_clone_would_lack_is_said() {
        let needs = |listing: &RootListing| detect(listing).unwrap().needs.join("\n");
        let mut rust = root(&["Cargo.toml"], None, None);
        assert_eq!(needs(&rust), "");
        rust.uncached = Uncached { crates: 3, modules: 0, withheld: true };
        assert!(needs(&rust).contains("cargo fetch") && needs(&rust).contains("credentials.toml"), "{}", needs(&rust));
        let mut go = root(&["go.mod"], None, None);
        go.uncached.modules = 2;
        assert!(needs(&go).contains("go mod download"), "{}", needs(&go));
        go.names.insert("vendor".to_owned());
        assert_eq!(needs(&go), "");
        let mut python = root(&["pyproject.toml"], None, None);
        assert_eq!(needs(&python), "");
        python.has_pytest = Some(false);
        assert!(needs(&python).contains("virtual environment") && needs(&python).contains("run = ["));
        python.has_pytest = Some(true);
        python.names.insert("requirements.txt".to_owned());
        assert!(needs(&python).contains("requirements.txt"), "{}", needs(&python));
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
