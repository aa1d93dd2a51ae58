//! Toolchains that live outside the system: found by the host's `PATH`, so that `cargo`, `node` or `claude` work inside
//! the sandbox as they do outside. Only what a program needs is shown, read-only; never the home itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Folders of a home that hold one toolchain and nothing private: they are shown whole.
const WHOLE: [&str; 24] = [
    ".asdf",
    ".bun",
    ".deno",
    ".fnm",
    ".ghcup",
    ".goenv",
    ".jenv",
    ".juliaup",
    ".nodenv",
    ".npm-global",
    ".nvm",
    ".opam",
    ".pixi",
    ".proto",
    ".pyenv",
    ".rbenv",
    ".rustup",
    ".sdkman",
    ".swiftly",
    ".volta",
    "anaconda3",
    "mambaforge",
    "miniconda3",
    "miniforge3",
];
/// Folders of a home below which each folder holds one program.
const PER_PROGRAM: [&str; 5] = [".local/share", ".local/pipx/venvs", ".local/lib", ".local/opt", "opt"];
/// No folder on a `PATH` is searched further than this.
const MOST_ENTRIES: usize = 4096;

/// What lies in the system, and so is shown anyway.
pub(crate) fn is_system(path: &Path) -> bool {
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"]
        .iter()
        .any(|system| path.starts_with(system))
}

/// The folders to show for a `PATH`.
pub(crate) fn detect(path: &str, home: &Path) -> BTreeSet<PathBuf> {
    let mut shown = BTreeSet::new();
    for entry in path.split(':').map(Path::new).filter(|entry| entry.is_absolute()) {
        let Ok(real) = entry.canonicalize() else {
            continue;
        };
        if !is_system(&real) && real.is_dir() {
            shown.insert(entry.to_owned());
            shown.insert(root_of(&real, home).unwrap_or_else(|| real.clone()));
            if real == home.join(".cargo/bin") {
                // The programs there are links to rustup, which looks for the toolchains here.
                shown.extend(Some(home.join(".rustup")).filter(|rustup| rustup.is_dir()));
            }
        }
        shown.extend(targets(&real, home));
    }
    shown
}

/// Where the links in a folder lead, if not into the system.
fn targets(folder: &Path, home: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().take(MOST_ENTRIES).flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()))
        .filter_map(|entry| entry.path().canonicalize().ok())
        .filter(|target| !is_system(target) && target.parent() != Some(folder) && target.is_file())
        .map(|target| install_of(&target, home))
        .collect()
}

/// What a program needs beside its own file.
fn install_of(target: &Path, home: &Path) -> PathBuf {
    if let Some(root) = root_of(target, home) {
        return root;
    }
    let modules = target.ancestors().filter(|ancestor| ancestor.ends_with("node_modules")).last();
    match (modules, target.parent()) {
        (Some(modules), _) => modules.to_owned(),
        (None, Some(parent)) if !home.starts_with(parent) && parent.components().count() > 2 => parent.to_owned(),
        // Never a whole home, nor a whole `/etc`.
        _ => target.to_owned(),
    }
}

/// The known toolchain that a path belongs to: a folder of the home, or one below `/opt`.
fn root_of(path: &Path, home: &Path) -> Option<PathBuf> {
    if let Ok(inside) = path.strip_prefix("/opt") {
        return Some(Path::new("/opt").join(inside.components().next()?));
    }
    let inside = path.strip_prefix(home).ok()?;
    let first = inside.components().next()?;
    if WHOLE.iter().any(|name| first.as_os_str() == *name) {
        return Some(home.join(first));
    }
    PER_PROGRAM.iter().find_map(|shelf| {
        let program = inside.strip_prefix(shelf).ok()?.components().next()?;
        Some(home.join(shelf).join(program))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn make(home: &Path, folders: &[&str]) {
        for folder in folders {
            std::fs::create_dir_all(home.join(folder)).unwrap();
        }
    }

    #[test]
    fn cargo_shows_its_programs_and_rustup_but_not_its_credentials() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        make(&home, &[".cargo/bin", ".rustup"]);
        let path = format!("{}:/usr/bin:relative", home.join(".cargo/bin").display());
        assert_eq!(detect(&path, &home), BTreeSet::from([home.join(".cargo/bin"), home.join(".rustup")]));
    }

    #[test]
    fn a_link_shows_the_program_that_it_leads_to() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        make(
            &home,
            &[".local/bin", ".local/share/claude/versions", "tools/lib/node_modules/x/node_modules/y/bin", "mine"],
        );
        let programs = [
            ("claude", ".local/share/claude/versions/1"),
            ("y", "tools/lib/node_modules/x/node_modules/y/bin/y.js"),
            ("own", "mine/own"),
            ("loose", "loose"),
        ];
        for (name, target) in programs {
            std::fs::write(home.join(target), "").unwrap();
            symlink(home.join(target), home.join(".local/bin").join(name)).unwrap();
        }
        symlink("/usr/bin/env", home.join(".local/bin/system")).unwrap();
        symlink("/nowhere", home.join(".local/bin/broken")).unwrap();
        let shown = detect(&home.join(".local/bin").display().to_string(), &home);
        let expected = [".local/bin", ".local/share/claude", "tools/lib/node_modules", "mine", "loose"];
        assert_eq!(shown, expected.iter().map(|shown| home.join(shown)).collect());
    }

    #[test]
    fn a_version_manager_is_shown_whole() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        make(&home, &[".pyenv/shims"]);
        let shown = detect(&home.join(".pyenv/shims").display().to_string(), &home);
        assert!(shown.contains(&home.join(".pyenv")));
        assert!(!shown.contains(&home));
    }
}
