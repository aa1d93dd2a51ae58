//! The kept bugs fit the code as it is. That each is found is what `simulate mutants` shows.

use simulate::mutants::{fits, patches, root};

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
        let text = std::fs::read_to_string(patch).unwrap();
        let first = text.lines().next().unwrap_or_default();
        assert!(first.ends_with('.') && !first.starts_with("diff"), "{name}: {first}");
    }
}
