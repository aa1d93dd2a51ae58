//! The headers of a request, as far as they say something about it.

use serde::{Deserialize, Serialize};

/// Those that are kept with a delivery. What authorises the sender, and the signature, is not among them.
const KEPT: [&str; 14] = [
    "content-type",
    "user-agent",
    "x-plane-event",
    "x-plane-delivery",
    "x-gitea-event",
    "x-gitea-event-type",
    "x-gitea-delivery",
    "x-forgejo-event",
    "x-forgejo-event-type",
    "x-forgejo-delivery",
    "x-github-event",
    "x-github-event-type",
    "x-gogs-event",
    "x-gogs-event-type",
];

/// Characters of a value that are kept.
const VALUE: usize = 200;

/// Headers by name, in lower case. A name may come more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Of pairs, whatever the case of their names.
    pub fn new<N: AsRef<str>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.as_ref().to_ascii_lowercase(), value.into())).collect())
    }

    /// The first value of a name, without spaces around it.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// How often a name comes.
    pub fn count(&self, name: &str) -> usize {
        self.0.iter().filter(|(known, _)| known == name).count()
    }

    /// The first of these names that says something.
    pub(crate) fn first(&self, names: &[&str]) -> Option<&str> {
        names.iter().filter_map(|name| self.get(name)).find(|value| !value.is_empty())
    }

    /// What is kept with a delivery: names that say what it is, each once, none of them a secret.
    pub fn kept(&self) -> Self {
        // A character has one byte at least.
        let short =
            |value: &str| if value.len() <= VALUE { value.to_owned() } else { value.chars().take(VALUE).collect() };
        let kept = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), short(self.get(name)?))));
        Self(kept.collect())
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_value_two_hundred_characters_are_kept_whatever_their_bytes() {
        for letter in ["a", "\u{e9}", "\u{1f600}"] {
            for (said, kept) in [(199, 199), (200, 200), (201, 200), (5000, 200)] {
                let headers =
                    Headers::new([("User-Agent", letter.repeat(said)), ("X-Gitea-Signature", "no".to_owned())]);
                assert_eq!(headers.kept(), Headers::new([("user-agent", letter.repeat(kept))]), "{letter} {said}");
            }
        }
    }
}
