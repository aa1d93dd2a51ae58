//! A project's name and prefix, made of its folder's name.

use domain::ids::ProjectName;

/// The longest name that is made; the form itself allows more.
const NAME_LENGTH: usize = 40;
/// Letters of a prefix that is made of one word.
const PREFIX_LETTERS: usize = 5;
/// What a folder is called whose name holds nothing that can be kept.
const NAMELESS: &str = "project";

/// A project's name that is as near to a folder's as its form allows.
pub fn project_name(folder: &str) -> ProjectName {
    let mut name = String::new();
    for character in folder.chars() {
        let kept = if character.is_ascii_alphanumeric() || "_.".contains(character) { character } else { '-' };
        // One of a run is enough, and `..` is not allowed at all.
        if !(name.ends_with(['-', '.']) && "-.".contains(kept)) {
            name.push(kept);
        }
    }
    let bare = name.trim_start_matches(|first: char| !first.is_ascii_alphanumeric());
    let mut bare: &str = &bare[..bare.len().min(NAME_LENGTH)];
    while let Some(shorter) = bare.strip_suffix(['-', '.', '_']).or_else(|| bare.strip_suffix(".lock")) {
        bare = shorter;
    }
    ProjectName::new(bare).or_else(|_| ProjectName::new(NAMELESS)).expect("the constant is a project name")
}

/// The letters before the number of a work item: a short name itself, the first letters of several words, the first
/// letters of a long one.
pub fn prefix_of(name: &ProjectName) -> String {
    let words: Vec<&str> = name
        .as_str()
        .split(['-', '_', '.'])
        .filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic()))
        .collect();
    let letters: String = match words.as_slice() {
        [] => "APP".to_owned(),
        [only] if only.len() <= PREFIX_LETTERS => (*only).to_owned(),
        [only] => only.chars().take(3).collect(),
        [first, second] if words.len() == 2 && first.len() <= 2 => format!("{first}{}", &second[..1]),
        several => several.iter().take(PREFIX_LETTERS).filter_map(|word| word.chars().next()).collect(),
    };
    letters.to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_any_name_gives_a_name_and_a_prefix() {
        for (folder, name, prefix) in [
            ("app", "app", "APP"),
            ("Gatewright", "Gatewright", "GAT"),
            ("my shop (v2)", "my-shop-v2", "MSV"),
            ("order-service", "order-service", "OS"),
            ("..", "project", "PRO"),
            ("", "project", "PRO"),
            ("магазин", "project", "PRO"),
            ("магазин-shop", "shop", "SHOP"),
            ("a..b", "a.b", "AB"),
            ("x.lock", "x", "X"),
            ("42", "42", "APP"),
            ("-rf", "rf", "RF"),
        ] {
            let made = project_name(folder);
            assert_eq!((made.as_str(), prefix_of(&made).as_str()), (name, prefix), "{folder}");
        }
        assert!(project_name(&"long-".repeat(100)).as_str().len() <= NAME_LENGTH);
    }
}
