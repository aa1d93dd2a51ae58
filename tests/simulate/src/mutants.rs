//! Bugs that are kept as patches, one each: is every one of them found, and after how many seeds?
//!
//! The crates that are simulated are copied beside the target folder, a patch is applied there, and the simulator that is built
//! from the copy plays seeds until one fails. The copy and its builds stay, so that the next time only what changed is built.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use crate::command::FOUND;
use crate::report::say;

/// Seeds within which each must be found.
pub const SEEDS: u64 = 1_000;
/// Seeds that the code without any patch must pass before. Afterwards it must pass as many as the patch that was found last
/// needed: then what was found is each patch's own work.
const SOUND: u64 = 40;

/// The packages that are copied: the simulator, and what it runs.
pub const COPIED: [&str; 7] = [
    "host/domain",
    "host/engine",
    "host/conductor",
    "host/kill-points",
    "host/store",
    "host/webhooks",
    "tests/simulate",
];

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The patches by their names.
pub fn patches() -> io::Result<Vec<(String, PathBuf)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "patch") {
            let name = path.file_stem().and_then(OsStr::to_str).unwrap_or_default().to_owned();
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a patch fits the tree in this folder; where not, what git says.
pub fn fits(patch: &Path, tree: &Path) -> Result<(), String> {
    git_apply(tree, &[OsStr::new("--check"), patch.as_os_str()])
}

fn git_apply(tree: &Path, arguments: &[&OsStr]) -> Result<(), String> {
    let mut git = Command::new("git");
    git.arg("apply").args(arguments).current_dir(tree);
    // The tree may lie within a repository whose business this is not.
    if let Some(above) = tree.parent() {
        git.env("GIT_CEILING_DIRECTORIES", above);
    }
    let output = git.output().map_err(|error| format!("git: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// The copy, and where it is built.
struct Copy {
    tree: PathBuf,
    target: PathBuf,
    /// Every file as it was at the beginning, so that an edit meanwhile does not mix with a patch.
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Copy {
    fn make() -> io::Result<Self> {
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        let mut files = Vec::new();
        for part in COPIED.into_iter().chain(["Cargo.lock"]) {
            read_all(Path::new(part), &mut files)?;
        }
        files.push((PathBuf::from("Cargo.toml"), manifest()?.into_bytes()));
        let copy = Self { tree: target.join("mutants/tree"), target: target.join("mutants/build"), files };
        copy.restore()?;
        Ok(copy)
    }

    /// Makes the copy what the original was. What is alike is not touched, so that nothing is built twice.
    fn restore(&self) -> io::Result<()> {
        self.files.iter().try_for_each(|(path, bytes)| write_if_new(&self.tree.join(path), bytes))
    }

    fn build(&self) -> Result<(), String> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--quiet", "--package", "simulate"]).current_dir(&self.tree);
        // A bug is found within few seeds as a rule: what counts is how soon it is built.
        for (setting, value) in [("OPT_LEVEL", "1"), ("DEBUG", "0"), ("INCREMENTAL", "true"), ("CODEGEN_UNITS", "64")] {
            cargo.env(format!("CARGO_PROFILE_RELEASE_{setting}"), value);
        }
        let output = cargo.env("CARGO_TARGET_DIR", &self.target).output().map_err(|error| error.to_string())?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    /// The program that was built last.
    fn built(&self) -> PathBuf {
        self.target.join("release/simulate")
    }

    /// Keeps the program that was built last, for later.
    fn keep(&self) -> io::Result<PathBuf> {
        let kept = self.target.join("simulate-without-a-patch");
        fs::copy(self.built(), &kept)?;
        Ok(kept)
    }

    /// The seed that failed, if one did, and what it found.
    fn play(simulate: &Path, seeds: u64) -> Result<Option<(u64, String)>, String> {
        let mut simulate = Command::new(simulate);
        simulate.args(["--seeds", &seeds.to_string(), "--from", "1", "--brief"]);
        let output = simulate.output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let found = text.lines().find_map(|line| line.strip_prefix(FOUND)).and_then(|rest| rest.split_once(' '));
        match found {
            Some((seed, wrong)) => Ok(seed.parse().ok().map(|seed| (seed, wrong.to_owned()))),
            None if output.status.success() => Ok(None),
            None => Err(format!("the simulator ended badly: {}", output.status)),
        }
    }
}

fn read_all(path: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) -> io::Result<()> {
    let place = root().join(path);
    if place.is_file() {
        files.push((path.to_owned(), fs::read(place)?));
        return Ok(());
    }
    for entry in fs::read_dir(place)? {
        let name = entry?.file_name();
        if name != "target" {
            read_all(&path.join(name), files)?;
        }
    }
    Ok(())
}

/// The workspace of what is copied.
fn manifest() -> io::Result<String> {
    let text = fs::read_to_string(root().join("Cargo.toml"))?;
    let members = COPIED.iter().map(|part| format!("\"{part}\"")).collect::<Vec<_>>().join(", ");
    let mut lines = String::new();
    for line in text.lines() {
        if line.starts_with("members = ") {
            lines.push_str(&format!("members = [{members}]\n"));
        } else if !["exclude = ", "default-members = "].iter().any(|begin| line.starts_with(begin)) {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    Ok(lines)
}

fn write_if_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes)
}

/// Applies each patch, and looks for it; whether all were found.
pub fn run(seeds: u64, names: &[String]) -> bool {
    match look_for_all(seeds, names) {
        Ok(missed) => {
            for name in &missed {
                say(&format!("NOT FOUND: {name}"));
            }
            missed.is_empty()
        }
        Err(why) => {
            say(&why);
            false
        }
    }
}

fn look_for_all(seeds: u64, names: &[String]) -> Result<Vec<String>, String> {
    let patches = patches().map_err(|error| error.to_string())?;
    let copy = Copy::make().map_err(|error| error.to_string())?;
    copy.build()?;
    let sound = copy.keep().map_err(|error| error.to_string())?;
    passes(&sound, SOUND)?;
    let (mut missed, mut latest) = (Vec::new(), SOUND);
    for (name, _) in patches.into_iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        copy.restore().map_err(|error| error.to_string())?;
        let patch = Path::new("tests/simulate/mutants").join(format!("{name}.patch"));
        git_apply(&copy.tree, &[patch.as_os_str()]).map_err(|why| format!("{name} does not apply: {why}"))?;
        copy.build().map_err(|why| format!("{name} does not build: {why}"))?;
        match Copy::play(&copy.built(), seeds)? {
            Some((seed, wrong)) => {
                latest = latest.max(seed);
                say(&format!("{name}: found after {seed} seeds: {wrong}"));
            }
            None => missed.push(name),
        }
    }
    copy.restore().map_err(|error| error.to_string())?;
    passes(&sound, latest)?;
    say(&format!("without any patch: nothing after {latest} seeds"));
    Ok(missed)
}

/// The code without any patch.
fn passes(sound: &Path, seeds: u64) -> Result<(), String> {
    match Copy::play(sound, seeds)? {
        None => Ok(()),
        Some((seed, wrong)) => Err(format!("the code without any patch fails already, by seed {seed}: {wrong}")),
    }
}
