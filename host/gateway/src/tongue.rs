//! The languages of the pages. Both texts stand side by side where they are said, so that neither can be left out.
//!
//! Only what the host itself says on pages is said in both; what its inside wrote, such as why something is held, is English, and is
//! marked so ([`Tongue::inner`]). What people, agents and plugins wrote, and what stands in the records, is
//! shown as it was written; ids, commands and words of files are the same everywhere.

use axum::http::{HeaderMap, header};

/// The cookie that keeps a reader's choice.
pub(crate) const COOKIE: &str = "gatewright-language";

/// Around what stands in English within a sentence in another language. Private to Unicode and to this host: [`parts`] takes them away.
const FROM: char = '\u{E000}';
const TO: char = '\u{E001}';

/// A part of a sentence, and whether it stands in English where the rest does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) is_english: bool,
    pub(crate) text: String,
}

/// A sentence by its languages.
pub(crate) fn parts(sentence: &str) -> Vec<Part> {
    let (mut parts, mut is_english, mut rest) = (Vec::new(), false, sentence);
    loop {
        let end = rest.find([FROM, TO]).unwrap_or(rest.len());
        if end > 0 {
            parts.push(Part { is_english, text: rest[..end].to_owned() });
        }
        let Some(mark) = rest[end..].chars().next() else { return parts };
        is_english = mark == FROM;
        rest = &rest[end + mark.len_utf8()..];
    }
}

/// A language that pages speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tongue {
    #[default]
    English,
    Russian,
}

/// One of two texts with values in them, as `format!` makes it.
macro_rules! say {
    ($tongue:expr, $english:literal, $russian:literal) => {
        match $tongue {
            $crate::tongue::Tongue::English => format!($english),
            $crate::tongue::Tongue::Russian => format!($russian),
        }
    };
}
pub(crate) use say;

impl Tongue {
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::Russian];

    /// As HTML and cookies spell it.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Russian => "ru",
        }
    }

    /// Its own name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::English => "English",
            Self::Russian => "Русский",
        }
    }

    pub(crate) fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tongue| tongue.code() == code)
    }

    /// One of two texts.
    pub(crate) const fn of(self, english: &'static str, russian: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::Russian => russian,
        }
    }

    /// A number with what is counted: `one, many` in English, `one, few, many` in Russian.
    pub(crate) fn count(self, number: u64, english: [&str; 2], russian: [&str; 3]) -> String {
        let word = match self {
            Self::English => english[usize::from(number != 1)],
            Self::Russian => russian[russian_form(number)],
        };
        format!("{number} {word}")
    }

    /// A sentence that the host's inside wrote, which knows one language, within one of a page: marked, so that a page can say in which
    /// language it stands.
    pub(crate) fn inner(self, text: &str) -> String {
        match self {
            Self::English => text.to_owned(),
            Self::Russian => format!("{FROM}{}{TO}", text.replace([FROM, TO], "\u{FFFD}")),
        }
    }

    /// What the reader chose, or else what the browser asks for.
    pub(crate) fn of_request(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let chosen = text(header::COOKIE).split(';').filter_map(|pair| pair.trim().split_once('='));
        let chosen = chosen.filter(|(name, _)| *name == COOKIE).find_map(|(_, code)| Self::parse(code));
        chosen.or_else(|| preferred(text(header::ACCEPT_LANGUAGE))).unwrap_or_default()
    }
}

fn russian_form(number: u64) -> usize {
    match (number % 10, number % 100) {
        (1, tens) if tens != 11 => 0,
        (2..=4, tens) if !(12..=14).contains(&tens) => 1,
        _ => 2,
    }
}

/// The one of ours with the highest weight (RFC 9110, 12.5.4); of equals the first.
fn preferred(accepted: &str) -> Option<Tongue> {
    let mut best: Option<(u32, Tongue)> = None;
    for part in accepted.split(',').take(32) {
        let mut words = part.split(';').map(str::trim);
        let code = words.next().unwrap_or_default().split('-').next().unwrap_or_default().to_ascii_lowercase();
        let weight =
            words.find_map(|word| word.strip_prefix("q=")).map_or(Some(1.0), |weight| weight.parse::<f32>().ok());
        let Some(weight) = weight.filter(|weight| (0.001..=1.0).contains(weight)) else { continue };
        // Three digits are all that a weight has.
        let weight = (weight * 1000.0) as u32;
        if let Some(tongue) = Tongue::parse(&code)
            && best.is_none_or(|(before, _)| weight > before)
        {
            best = Some((weight, tongue));
        }
    }
    best.map(|(_, tongue)| tongue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_the_language_that_it_prefers() {
        let cases = [
            ("", None),
            ("de, fr;q=0.9", None),
            ("ru-RU, ru;q=0.9, en;q=0.8", Some(Tongue::Russian)),
            ("en;q=0.5, ru;q=0.7", Some(Tongue::Russian)),
            ("en, ru", Some(Tongue::English)),
            ("ru;q=0, en;q=0.1", Some(Tongue::English)),
            ("ru;q=nonsense", None),
            ("RU", Some(Tongue::Russian)),
        ];
        for (accepted, expected) in cases {
            assert_eq!(preferred(accepted), expected, "{accepted}");
        }
    }

    #[test]
    fn a_choice_outranks_the_browser() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_LANGUAGE, "en".parse().unwrap());
        headers.insert(header::COOKIE, "other=1; gatewright-language=ru".parse().unwrap());
        assert_eq!(Tongue::of_request(&headers), Tongue::Russian);
        headers.insert(header::COOKIE, "gatewright-language=<script>".parse().unwrap());
        assert_eq!(Tongue::of_request(&headers), Tongue::English);
    }

    #[test]
    fn what_stands_in_english_within_another_language_is_marked() {
        let part = |is_english, text: &str| Part { is_english, text: text.to_owned() };
        let why = "it \u{E001}is late";
        let sentence = format!("ждёт: {}; затем встанет", Tongue::Russian.inner(why));
        assert_eq!(
            parts(&sentence),
            [part(false, "ждёт: "), part(true, "it \u{FFFD}is late"), part(false, "; затем встанет")]
        );
        assert_eq!(parts(&Tongue::English.inner("it waits")), [part(false, "it waits")]);
        // Cut in its middle, it is still English to its end.
        assert_eq!(parts("a\u{E000}b"), [part(false, "a"), part(true, "b")]);
        assert_eq!(parts(""), []);
    }

    #[test]
    fn numbers_agree_with_what_is_counted() {
        let shown = |number| Tongue::Russian.count(number, ["task", "tasks"], ["задача", "задачи", "задач"]);
        let all: Vec<String> = [0, 1, 2, 5, 11, 12, 21, 22, 111, 1001].map(shown).into();
        let expected = [
            "0 задач",
            "1 задача",
            "2 задачи",
            "5 задач",
            "11 задач",
            "12 задач",
            "21 задача",
            "22 задачи",
            "111 задач",
            "1001 задача",
        ];
        assert_eq!(all, expected);
        assert_eq!(Tongue::English.count(1, ["task", "tasks"], ["", "", ""]), "1 task");
        assert_eq!(Tongue::English.count(0, ["task", "tasks"], ["", "", ""]), "0 tasks");
    }
}
