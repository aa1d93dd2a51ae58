//! The kept bugs fit the code as it is. That each is found is what `simulate mutants` shows.

use std::fs::read_to_string;

use simulate::mutants::{COPIED, fits, patches, root};

/// What the issue of this part asks for, and what the simulator found itself.
const AT_LEAST: usize = 20;

#[test]
fn every_kept_bug_fits_the_code() {
    let patches = patches().unwrap();
    assert!(patches.len() >= AT_LEAST, "{}", patches.len());
    let broken = patches.iter().filter_map(|(name, patch)| Some(format!("{name}: {}", fits(patch, &root()).err()?)));
    assert_eq!(broken.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn every_kept_bug_says_what_it_is() {
    for (name, patch) in patches().unwrap() {
        let text = read_to_string(patch).unwrap();
        let first = text.lines().next().unwrap_or_default();
        assert!(first.ends_with('.') && !first.starts_with("diff"), "{name}: {first}");
    }
}

/// A package that comes to be needed is copied too, or no kept bug is looked for any more.
#[test]
fn what_is_copied_needs_nothing_of_ours_that_is_not() {
    let workspace = read_to_string(root().join("Cargo.toml")).unwrap();
    let ours = workspace.lines().filter_map(|line| {
        let (name, path) = line.split_once(" = { path = \"")?;
        Some((name, path.split('"').next()?))
    });
    let ours: Vec<(&str, &str)> = ours.collect();
    assert!(ours.contains(&("domain", "host/domain")), "{ours:?}");
    for package in COPIED {
        let manifest = read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        for (name, path) in &ours {
            let is_needed = manifest.lines().any(|line| {
                line == format!("{name}.workspace = true") || line.starts_with(&format!("{name} = {{ workspace = true"))
            });
            assert!(!is_needed || COPIED.contains(path), "{package} needs {path}, which is not copied");
        }
    }
}
