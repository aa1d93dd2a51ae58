//! A sentence of a no, in each language that pages speak: programs get the English one, people theirs.

use crate::tongue::Tongue;

/// What is said. Whatever this crate words stands in both languages ([`both`]); what somebody else worded stands as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    english: String,
    /// None: nobody worded it here.
    russian: Option<String>,
}

/// A sentence with values in it, as `format!` makes it, in both languages.
macro_rules! both {
    ($english:literal, $russian:literal $(,)?) => {
        $crate::said::Said::of(format!($english), format!($russian))
    };
}
pub(crate) use both;

impl Said {
    /// The same in both languages. What the second one quotes of somebody else is marked by [`Tongue::inner`].
    pub(crate) fn of(english: String, russian: String) -> Self {
        Self { english, russian: Some(russian) }
    }

    /// What the host's inside, a library or a neighbour worded.
    pub(crate) fn inner(text: impl Into<String>) -> Self {
        Self { english: text.into(), russian: None }
    }

    /// What only programs read: no form and no link of a page leads to it.
    pub(crate) fn to_programs(text: impl Into<String>) -> Self {
        Self::inner(text)
    }

    pub(crate) fn english(&self) -> &str {
        &self.english
    }

    /// In a reader's language, with what stands in another one marked.
    pub(crate) fn in_tongue(&self, t: Tongue) -> String {
        match (t, &self.russian) {
            (Tongue::Russian, Some(russian)) => russian.clone(),
            (t, _) => t.inner(&self.english),
        }
    }

    /// A sentence that ends in what this says.
    pub(crate) fn after(self, before: &Self) -> Self {
        let english = format!("{}{}", before.english, self.english);
        let russian = format!("{}{}", before.in_tongue(Tongue::Russian), self.in_tongue(Tongue::Russian));
        Self::of(english, russian)
    }
}
