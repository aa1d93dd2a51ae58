//! What a suite needs before it can run in a clone that nobody has worked in yet: packages, and where they come from. A file that
//! `init` writes works there, or says what is missing.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use domain::network::Destination;
use serde_json::Value;

use super::listing::{RootListing, TestCommand};

/// Lock files are read up to this size. In bytes: 32 MiB.
const LOCK_BYTES: u64 = 32 << 20;
/// So many hosts of one lock file are no registries any more.
const MOST_HOSTS: usize = 20;
/// Lock files of JavaScript's package managers.
const JAVASCRIPT_LOCKS: [&str; 6] =
    ["package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb"];
/// A repository's own settings of those, and the key of each under which the registry of every package stands.
const JAVASCRIPT_SETTINGS: [(&str, &str); 4] = [
    (".npmrc", "registry"),
    (".yarnrc", "registry"),
    (".yarnrc.yml", "npmRegistryServer"),
    ("bunfig.toml", "registry"),
];

/// A package manager's own word of where packages come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// Its URL.
    pub url: String,
    /// Only this machine's user says so: the repository does not, and in a run nobody would.
    pub is_of_user: bool,
}

/// What a home's caches lack of what the repository's lock files name: a run has no other place for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uncached {
    /// Crates of `Cargo.lock`.
    pub crates: usize,
    /// Modules of `go.mod`.
    pub modules: usize,
    /// `~/.cargo/config.toml` holds a token, so no run is shown it.
    pub withheld: bool,
}

/// A program that installs what `package.json` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageTool {
    /// npm.
    Npm,
    /// pnpm.
    Pnpm,
    /// yarn 1.
    Yarn,
    /// yarn since 2.
    YarnBerry,
    /// bun.
    Bun,
}

impl PackageTool {
    /// The one whose lock file lies in a root.
    pub fn of(root: &RootListing) -> Self {
        if root.has("pnpm-lock.yaml") {
            Self::Pnpm
        } else if root.has("yarn.lock") {
            if root.has(".yarnrc.yml") { Self::YarnBerry } else { Self::Yarn }
        } else if root.has("bun.lock") || root.has("bun.lockb") {
            Self::Bun
        } else {
            Self::Npm
        }
    }

    /// Its program.
    pub const fn program(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pnpm => "pnpm",
            Self::Yarn | Self::YarnBerry => "yarn",
            Self::Bun => "bun",
        }
    }

    /// How it is asked where packages come from; none: it does not say.
    pub const fn asks_registry(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Npm | Self::Pnpm | Self::Yarn => Some(&["config", "get", "registry"]),
            Self::YarnBerry => Some(&["config", "get", "npmRegistryServer"]),
            Self::Bun => None,
        }
    }

    const fn test(self) -> &'static [&'static str] {
        match self {
            Self::Npm => &["npm", "test"],
            Self::Pnpm => &["pnpm", "test"],
            Self::Yarn | Self::YarnBerry => &["yarn", "test"],
            Self::Bun => &["bun", "run", "test"],
        }
    }

    /// Installs, then tests. `registry` is one that must be named, for nobody in a clone does.
    fn install_and_test(self, is_locked: bool, registry: Option<&str>) -> Vec<String> {
        let named = |words: &[&str]| -> Vec<String> {
            let words = words.iter().map(|word| (*word).to_owned());
            words.chain(registry.map(|url| format!("--registry={url}"))).collect()
        };
        let then = |words: &[&str]| {
            let line = format!("{} && {}", named(words).join(" "), self.test().join(" "));
            vec!["sh".to_owned(), "-c".to_owned(), line]
        };
        match (self, is_locked) {
            (Self::Npm, true) => named(&["npm", "install-ci-test", "--no-audit", "--no-fund"]),
            // A lock file that nobody asked for would stand in the clone as a change.
            (Self::Npm, false) => named(&["npm", "install-test", "--no-package-lock", "--no-audit", "--no-fund"]),
            (Self::Pnpm, _) => named(&["pnpm", "install-test", "--frozen-lockfile"]),
            (Self::Yarn, _) => then(&["yarn", "install", "--frozen-lockfile", "--non-interactive"]),
            // It takes no registry as an argument.
            (Self::YarnBerry, _) => {
                let line = format!("yarn install --immutable && {}", self.test().join(" "));
                vec!["sh".to_owned(), "-c".to_owned(), line]
            }
            (Self::Bun, _) => then(&["bun", "install", "--frozen-lockfile"]),
        }
    }
}

/// `package.json` with a test script.
pub(super) fn javascript(root: &RootListing, package: &Value) -> TestCommand {
    let manager = PackageTool::of(root);
    let is_some = |key: &str| match package.get(key) {
        Some(Value::Object(named)) => !named.is_empty(),
        Some(Value::Array(named)) => !named.is_empty(),
        _ => false,
    };
    let keys = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "workspaces"];
    let because = format!("package.json has a test script, {} installs", manager.program());
    if !keys.iter().any(|key| is_some(key)) {
        let because = "package.json has a test script and no packages to install".to_owned();
        return TestCommand { because, ..TestCommand::of(manager.test()) };
    }
    let registry = root.registry.as_ref().filter(|registry| is_plain(&registry.url));
    let must_be_named = registry.filter(|registry| registry.is_of_user).map(|registry| registry.url.as_str());
    let is_locked = JAVASCRIPT_LOCKS.iter().any(|lock| root.has(lock));
    let mut network: BTreeSet<String> = root.package_hosts.clone();
    network.extend(registry.and_then(|registry| host_of(&registry.url)));
    let (own, network): (Vec<String>, Vec<String>) = network.into_iter().partition(|host| is_loopback(host));
    let mut needs = Vec::new();
    if !own.is_empty() {
        needs.push(format!(
            "packages come from {}, and a run has a loopback of its own: name the registry by another address of this machine",
            own.join(", ")
        ));
    } else if network.is_empty() {
        needs.push(
            "packages are installed in each fresh clone, and nothing here says from which host: name it in `network`"
                .to_owned(),
        );
    }
    if manager == PackageTool::YarnBerry && must_be_named.is_some() {
        needs.push(
            "yarn's registry is one that only your own settings name: write npmRegistryServer into .yarnrc.yml"
                .to_owned(),
        );
    }
    TestCommand {
        argv: manager.install_and_test(is_locked, must_be_named),
        network,
        because,
        needs,
        ..TestCommand::default()
    }
}

/// What a Rust project's home lacks.
pub(super) fn of_cargo(root: &RootListing) -> Vec<String> {
    let mut needs = Vec::new();
    if root.uncached.crates > 0 {
        needs.push(format!(
            "crates of Cargo.lock that ~/.cargo/registry does not have, and a run fetches none: {}; run `cargo fetch` here",
            root.uncached.crates
        ));
    }
    if root.uncached.withheld {
        needs.push(
            "~/.cargo/config.toml holds a token, so no run is shown it: if it names a registry, move the token into credentials.toml and \
             add the file to `readable`"
                .to_owned(),
        );
    }
    needs
}

/// What a Go project's home lacks.
pub(super) fn of_go(root: &RootListing) -> Vec<String> {
    let count = root.uncached.modules;
    let lacks = (count > 0 && !root.has("vendor")).then(|| {
        format!("modules of go.mod that ~/go/pkg/mod does not have, and a run fetches none: {count}; run `go mod download` here")
    });
    lacks.into_iter().collect()
}

/// What a Python project lacks: a run sees no virtual environment of the operator's.
pub(super) fn of_python(root: &RootListing) -> Vec<String> {
    let mut needs = Vec::new();
    if root.has_pytest == Some(false) {
        needs.push(
            "`python3 -m pytest` does not work here outside a virtual environment, and a run sees none of yours"
                .to_owned(),
        );
    }
    let named =
        ["requirements.txt", "poetry.lock", "uv.lock", "Pipfile.lock", "pdm.lock"].iter().find(|name| root.has(name));
    if let Some(named) = named {
        needs.push(format!("a run sees only the packages of the system's python: what of {named} is not among them the suite must install"));
    }
    if !needs.is_empty() {
        needs.push(
            "e.g. run = [\"sh\", \"-c\", \"python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python -m pytest\"], \
             with your index in `network`"
                .to_owned(),
        );
    }
    needs
}

/// Hosts that a root's own files name as the places of JavaScript's packages.
pub(super) fn package_hosts(root: &Path) -> BTreeSet<String> {
    let mut hosts = BTreeSet::new();
    for name in JAVASCRIPT_LOCKS.iter().filter(|name| !has_bytes(name)) {
        each_line(&root.join(name), |line| {
            let names = ["resolved", "tarball"].iter().any(|word| line.contains(word));
            hosts.extend(url_in(line).filter(|_| names).and_then(host_of));
        });
    }
    each_registry(root, |_, url| hosts.extend(host_of(url)));
    if hosts.len() > MOST_HOSTS { BTreeSet::new() } else { hosts }
}

/// Whether a root's own settings name the registry of every package, not only of a scope.
pub(super) fn names_registry(root: &Path) -> bool {
    let mut found = false;
    each_registry(root, |of_all, _| found |= of_all);
    found
}

/// Each registry of a root's own settings: whether it is that of every package, and its URL.
fn each_registry(root: &Path, mut take: impl FnMut(bool, &str)) {
    for (name, wanted) in JAVASCRIPT_SETTINGS {
        each_line(&root.join(name), |line| {
            let line = line.trim_start();
            let key = line.find("http").map(|start| &line[..start]).unwrap_or_default();
            let key = key.trim_matches([' ', '\t', '=', ':', '"', '\'']);
            let is_registry = !line.starts_with(['#', ';', '/']) && key.ends_with(wanted);
            if let Some(url) = url_in(line).filter(|_| is_registry) {
                take(key == wanted, url);
            }
        });
    }
}

/// One that is no text.
fn has_bytes(name: &str) -> bool {
    name == "bun.lockb"
}

/// How many crates of `Cargo.lock` no cache of this home has.
pub(super) fn absent_crates(root: &Path, home: &Path) -> usize {
    let Some(lock) = small_text(&root.join("Cargo.lock")) else { return 0 };
    let Ok(lock) = lock.parse::<toml::Table>() else { return 0 };
    let caches: Vec<_> = std::fs::read_dir(home.join(".cargo/registry/cache"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|one| one.path())
        .collect();
    let packages = lock.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let text = |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let lacks = packages.filter(|package| {
        let (Some(name), Some(version), Some(source)) =
            (text(package, "name"), text(package, "version"), text(package, "source"))
        else {
            return false;
        };
        let file = format!("{name}-{version}.crate");
        !source.starts_with("git+") && !caches.iter().any(|cache| cache.join(&file).is_file())
    });
    lacks.count()
}

/// How many modules that `go.mod` requires no cache of this home has.
pub(super) fn absent_modules(root: &Path, home: &Path) -> usize {
    let cache = home.join("go/pkg/mod/cache/download");
    let mut absent = 0;
    let mut is_required = false;
    each_line(&root.join("go.mod"), |line| {
        let line = line.split("//").next().unwrap_or_default().trim();
        let of_block = is_required;
        match line {
            "require (" => is_required = true,
            ")" => is_required = false,
            _ => {}
        }
        let named = line.strip_prefix("require ").or_else(|| Some(line).filter(|_| of_block));
        let Some((module, version)) = named.and_then(|named| named.trim().split_once(' ')) else { return };
        if version.starts_with('v') {
            let zip = cache.join(escaped(module)).join("@v").join(format!("{}.zip", escaped(version.trim())));
            absent += usize::from(!zip.is_file());
        }
    });
    absent
}

/// As Go's cache spells a name: capitals behind a mark.
fn escaped(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            text.push('!');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}

/// Whether a home's settings of cargo hold what no run may see.
pub(super) fn holds_token(config: &Path) -> bool {
    small_text(config).is_none_or(|text| ["token", "password", "secret"].iter().any(|word| text.contains(word)))
}

fn small_text(path: &Path) -> Option<String> {
    let about = path.metadata().ok()?;
    (about.is_file() && about.len() <= LOCK_BYTES).then(|| std::fs::read_to_string(path).ok())?
}

fn each_line(path: &Path, mut take: impl FnMut(&str)) {
    let small = path.metadata().is_ok_and(|about| about.is_file() && about.len() <= LOCK_BYTES);
    let Some(file) = small.then(|| std::fs::File::open(path).ok()).flatten() else { return };
    // What is no text says nothing.
    for line in BufReader::new(file).lines().map_while(Result::ok) {
        take(&line);
    }
}

/// The first URL of a line.
fn url_in(line: &str) -> Option<&str> {
    let start = [line.find("https://"), line.find("http://")].into_iter().flatten().min()?;
    let rest = &line[start..];
    Some(&rest[..rest.find(['"', '\'', ',', '}', ' ', '#']).unwrap_or(rest.len())])
}

/// The host of a URL, with a port that is not the usual one: as `network` names it.
pub(crate) fn host_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let place = rest.split(['/', '?']).next()?;
    let place = place.rsplit('@').next()?.to_ascii_lowercase();
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let place = place.strip_suffix(usual).unwrap_or(&place);
    let address = place.parse::<std::net::IpAddr>().is_ok().then(|| format!("{place}{usual}"));
    let named = address.unwrap_or_else(|| place.to_owned());
    matches!(named.parse(), Ok(Destination::Name { .. } | Destination::Address(_))).then_some(named)
}

/// A place that means another machine to each run: its own. Programs ask for it past the way out.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    ["localhost", "127.0.0.1", "[::1]"].contains(&name)
}

/// A URL of plain characters, without a user: it may stand in a file and in a line of a shell.
fn is_plain(url: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
    (url.starts_with("https://") || url.starts_with("http://")) && url.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_as_a_network_does() {
        for (url, expected) in [
            ("https://registry.example.com/left/-/left-1.tgz", Some("registry.example.com")),
            ("https://ann:secret@packages.example.com:443/x", Some("packages.example.com")),
            ("http://packages.example.com:8081/npm/", Some("packages.example.com:8081")),
            ("http://127.0.0.1:4873/", Some("127.0.0.1:4873")),
            ("https://10.0.0.1/", Some("10.0.0.1:443")),
            ("file:../x", None),
            ("https://*/", None),
        ] {
            assert_eq!(host_of(url).as_deref(), expected, "{url}");
        }
        for (host, expected) in [
            ("localhost:4873", true),
            ("127.0.0.1:80", true),
            ("[::1]:80", true),
            ("127.0.0.2:80", false),
            ("a.example", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    #[test]
    fn hosts_of_packages_are_read_from_lock_files_and_from_the_repositorys_own_settings() {
        for (name, text, expected) in [
            (
                "package-lock.json",
                "\"a\": {\n \"resolved\": \"https://one.example/a.tgz\",\n \"funding\": \"https://no.example\"",
                "one.example",
            ),
            ("yarn.lock", "a@1:\n  resolved \"https://two.example/a.tgz#00\"\n", "two.example"),
            (
                "pnpm-lock.yaml",
                "    resolution: {integrity: x, tarball: https://three.example/a.tgz}\n",
                "three.example",
            ),
            (".npmrc", "@own:registry=https://four.example/npm/\n//four.example/:_authToken=x\n", "four.example"),
            (".yarnrc", "yarn-path \"./https://no.example\"\nregistry \"https://five.example/\"\n", "five.example"),
            (".yarnrc.yml", "nodeLinker: node-modules\nnpmRegistryServer: \"https://six.example\"\n", "six.example"),
            ("bunfig.toml", "[install]\nregistry = \"https://seven.example/\"\n", "seven.example"),
        ] {
            let root = tempfile::tempdir().unwrap();
            std::fs::write(root.path().join(name), text).unwrap();
            assert_eq!(package_hosts(root.path()), BTreeSet::from([expected.to_owned()]), "{name}");
        }
    }

    #[test]
    fn the_registry_of_a_scope_is_not_that_of_every_package() {
        for (name, text, expected) in [
            (".npmrc", "registry=https://one.example/", true),
            (".npmrc", "  registry = https://one.example/", true),
            (".npmrc", "@own:registry=https://one.example/", false),
            (".npmrc", "; registry=https://one.example/", false),
            (".npmrc", "//one.example/:_authToken=https://x", false),
            (".yarnrc", "registry \"https://one.example/\"", true),
            (".yarnrc", "\"@own:registry\" \"https://one.example/\"", false),
            (".yarnrc.yml", "npmRegistryServer: https://one.example", true),
            (".yarnrc.yml", "npmPublishRegistry: https://one.example", false),
            ("bunfig.toml", "registry = \"https://one.example/\"", true),
            ("bunfig.toml", "# registry = \"https://one.example/\"", false),
        ] {
            let root = tempfile::tempdir().unwrap();
            std::fs::write(root.path().join(name), text).unwrap();
            assert_eq!(names_registry(root.path()), expected, "{name}: {text}");
        }
    }

    #[test]
    fn what_the_caches_of_a_home_lack_is_counted() {
        let (root, home) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let lock = "version = 4\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\
                    source = \"registry+x\"\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\nsource = \"registry+x\"\n";
        std::fs::write(root.path().join("Cargo.lock"), lock).unwrap();
        let cache = home.path().join(".cargo/registry/cache/some-index");
        std::fs::create_dir_all(&cache).unwrap();
        std::fs::write(cache.join("a-1.0.0.crate"), "").unwrap();
        assert_eq!(absent_crates(root.path(), home.path()), 1);
        let module = "module own\n\ngo 1.24\n\nrequire example.com/One v1.0.0\n\nrequire (\n\texample.com/two v1.2.0 // indirect\n)\n";
        std::fs::write(root.path().join("go.mod"), module).unwrap();
        let cache = home.path().join("go/pkg/mod/cache/download/example.com/!one/@v");
        std::fs::create_dir_all(&cache).unwrap();
        std::fs::write(cache.join("v1.0.0.zip"), "").unwrap();
        assert_eq!(absent_modules(root.path(), home.path()), 1);
    }
}
