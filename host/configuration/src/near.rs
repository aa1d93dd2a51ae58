//! Which of several words was probably meant.

/// Parts of keys that say nothing by themselves.
const SMALL: [&str; 4] = ["per", "of", "on", "to"];
/// A part that is shorter is nobody's beginning.
const SHORTEST_PART: usize = 3;

/// The choice of which the word is a slip of the pen.
pub(crate) fn misspelt<'c>(word: &str, choices: &[&'c str]) -> Option<&'c str> {
    let word = plain(word);
    let near = |choice: &&'c str| {
        let distance = strsim::damerau_levenshtein(&word, &choice.to_lowercase());
        (distance <= bound(&word)).then_some((distance, *choice))
    };
    choices.iter().filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, choice)| choice)
}

/// The choice that was probably meant: one that is spelled alike, or says the same with a part more or less (`secret` for
/// `secret-files`, `max-runs` for `runs`).
pub(crate) fn nearest<'c>(word: &str, choices: &[&'c str]) -> Option<&'c str> {
    misspelt(word, choices).or_else(|| akin(word, choices).filter(|(kin, _)| kin.is_whole).map(|(_, choice)| choice))
}

/// The key that was probably meant: likewise, or the only one that has a part in common with the word (`max-usd` for `cost-usd`).
pub(crate) fn nearest_key<'c>(word: &str, keys: &[&'c str]) -> Option<&'c str> {
    misspelt(word, keys).or_else(|| akin(word, keys).map(|(_, key)| key))
}

fn plain(word: &str) -> String {
    word.to_lowercase().replace(['_', ' ', '.'], "-")
}

fn bound(word: &str) -> usize {
    (word.chars().count() / 3).max(1)
}

/// How much two words have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kin {
    /// All of the one stands in the other.
    is_whole: bool,
    /// Parts of either that the other lacks.
    alone: usize,
}

/// The choice that has most in common with the word. Of two that have a part in common and no more, neither is.
fn akin<'c>(word: &str, choices: &[&'c str]) -> Option<(Kin, &'c str)> {
    let word = plain(word);
    let parts = parts(&word);
    let mut found: Vec<(Kin, &'c str)> =
        choices.iter().filter_map(|choice| Some((kin(&parts, choice)?, *choice))).collect();
    found.sort_by_key(|(kin, choice)| (!kin.is_whole, kin.alone, choice.len()));
    match found.as_slice() {
        [first, ..] if first.0.is_whole => Some(*first),
        [only] => Some(*only),
        _ => None,
    }
}

fn parts(word: &str) -> Vec<&str> {
    word.split('-').filter(|part| !part.is_empty()).collect()
}

fn kin(word: &[&str], choice: &str) -> Option<Kin> {
    let choice = choice.to_lowercase();
    let choice = parts(&choice);
    let has = |parts: &[&str], wanted: &str| parts.iter().any(|part| is_like(part, wanted));
    let lacked = |of: &[&str], by: &[&str]| of.iter().filter(|part| !has(by, part)).count();
    let common = word.iter().any(|part| !SMALL.contains(part) && has(&choice, part));
    let (more, less) = (lacked(word, &choice), lacked(&choice, word));
    common.then_some(Kin { is_whole: more == 0 || less == 0, alone: more + less })
}

/// The same, the beginning of the other, or a slip of the pen.
fn is_like(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let count = short.chars().count();
    one == other
        || (count >= SHORTEST_PART && long.starts_with(short))
        || (count > SHORTEST_PART && strsim::damerau_levenshtein(one, other) <= bound(short))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_says_the_same_with_a_part_more_or_less_is_near() {
        let keys = |word, keys: &[&'static str]| nearest_key(word, keys);
        assert_eq!(keys("secret", &["project", "secret-files", "unsigned"]), Some("secret-files"));
        assert_eq!(keys("secrets", &["project", "secret-files", "unsigned"]), Some("secret-files"));
        assert_eq!(keys("webhook_secret", &["project", "secret-files", "unsigned"]), Some("secret-files"));
        for word in ["usd", "cost", "USD", "max-usd", "costs", "usd_limit"] {
            assert_eq!(keys(word, &["cost-usd", "tokens", "wall"]), Some("cost-usd"), "{word}");
        }
        assert_eq!(keys("max-time", &["timeout", "grace", "api-timeout"]), Some("timeout"));
        assert_eq!(keys("mem", &["memory", "processes"]), Some("memory"));
        assert_eq!(
            keys("runs-per-repo", &["runs", "runs-per-project", "runs-per-repository"]),
            Some("runs-per-repository")
        );
        assert_eq!(nearest("claude", &["claude-code", "codex"]), Some("claude-code"));
    }

    #[test]
    fn what_has_little_in_common_is_not_near() {
        assert_eq!(nearest("max-usd", &["cost-usd", "tokens"]), None, "of values only what is whole");
        assert_eq!(nearest_key("max-tokens-usd", &["cost-usd", "tokens-per-hour"]), None, "two might be meant");
        assert_eq!(nearest_key("github", &["plane", "gitea"]), None);
        assert_eq!(nearest_key("per", &["usd-per-hour", "tokens-per-hour"]), None);
        assert_eq!(nearest_key("", &["runs"]), None);
        assert_eq!(misspelt("secret", &["secret-files"]), None);
        assert_eq!(misspelt("levle", &["level", "format"]), Some("level"));
    }
}
