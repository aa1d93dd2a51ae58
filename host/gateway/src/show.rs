//! How values look to people. Templates escape markup; here what no escaping catches is made visible.

use domain::cost::dollars;
use domain::event::Spent;
use domain::time::{Milliseconds, Timestamp};

use crate::tongue::{Part, Tongue, parts, say};

/// A text in which nothing is invisible: controls, bidirectional marks and zero-width characters are spelled out, so that
/// what is read is what is there. Line breaks and tabs stay.
pub(crate) fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let hidden = rest.find(|other| !is_hidden(other)).unwrap_or(rest.len());
        match rest[..hidden].chars().count() {
            0 => shown.push(character),
            1..=LONGEST_SPELLED => {
                rest[..hidden].chars().for_each(|one| shown.push_str(&format!("⟦U+{:04X}⟧", u32::from(one))));
            }
            count => shown.push_str(&format!("⟦U+{:04X}… ×{count}⟧", u32::from(character))),
        }
        rest = &rest[hidden.max(character.len_utf8())..];
    }
    shown
}

/// So many hidden characters in a row are spelled out; of more their number is told.
const LONGEST_SPELLED: usize = 8;

/// Characters of the longest sequence of a terminal that is left out. Colours need a third of it.
const LONGEST_SEQUENCE: usize = 32;

/// A text of a log as a terminal would leave it: well-formed sequences for colours and for the cursor (`ESC [ … m`, `ESC [ 2 K`)
/// are left out, for they say nothing. Every other escape, such as one that hides an address behind a word, is spelled out by
/// [`plain`] like all that is invisible.
pub(crate) fn logged(text: &str) -> String {
    plain(&without_colours(text))
}

/// As [`logged`], in one line of at most so many characters.
pub(crate) fn one_line_of(text: &str, longest: usize) -> String {
    line(&without_colours(text), longest)
}

fn without_colours(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find('\u{1b}') {
        kept.push_str(&rest[..place]);
        let length = sequence(&rest[place..]);
        // What is no sequence that we know stays, and is seen.
        kept.push_str(&rest[place..place + usize::from(length == 0)]);
        rest = &rest[place + length.max(1)..];
    }
    kept.push_str(rest);
    kept
}

/// The length of the control sequence (ECMA-48, 5.4) at the beginning of a text; zero: there is none, or none for colours or the
/// cursor.
fn sequence(text: &str) -> usize {
    let Some(body) = text.strip_prefix("\u{1b}[") else { return 0 };
    let body = body.as_bytes();
    let is_parameter = |byte: &&u8| (0x30..=0x3f).contains(*byte);
    let parameters = body.iter().take(LONGEST_SEQUENCE).take_while(is_parameter).count();
    match body.get(parameters) {
        Some(b'A'..=b'H' | b'J' | b'K' | b'S' | b'T' | b'f' | b'h' | b'l' | b'm' | b's' | b'u') => parameters + 3,
        _ => 0,
    }
}

/// A sentence of the host for a page: what stands between two backticks, which terminals know, stands between quotes.
pub(crate) fn quoted(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(text.len());
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            shown.push(if place % 2 == 1 { '“' } else { '”' });
        }
        shown.push_str(part);
    }
    shown
}

/// A sentence of the host in one line of at most so many characters, by its languages.
pub(crate) fn sentence(text: &str, longest: usize) -> Vec<Part> {
    marked(&quoted(text), longest)
}

/// Likewise, with its backticks: what they stand around is typed elsewhere.
pub(crate) fn marked(text: &str, longest: usize) -> Vec<Part> {
    let mut said = parts(&cut(text, longest));
    for part in &mut said {
        part.text = plain(&part.text);
    }
    said
}

/// As [`plain`], in one line of at most so many characters.
pub(crate) fn line(text: &str, longest: usize) -> String {
    plain(&cut(text, longest))
}

fn cut(text: &str, longest: usize) -> String {
    let one: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut characters = one.chars();
    let mut cut: String = characters.by_ref().take(longest).collect();
    if characters.next().is_some() {
        cut.push('…');
    }
    cut
}

fn is_hidden(character: char) -> bool {
    let is_layout = matches!(character, '\n' | '\t');
    let is_format = matches!(u32::from(character),
        0x00AD | 0x034F | 0x061C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E
        | 0x2060..=0x206F | 0x3164 | 0xE000..=0xE001 | 0xFE00..=0xFE0D | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0xE0000..=0xE0FFF);
    (character.is_control() && !is_layout) || is_format
}

/// A point in time as a page prints it: with its zone, and for the script that rewrites it to the reader's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// RFC 3339.
    pub(crate) machine: String,
    /// With the zone.
    pub(crate) text: String,
}

impl Moment {
    pub(crate) fn of(at: Timestamp) -> Self {
        let Ok(point) =
            i64::try_from(at.0).map_err(drop).and_then(|at| jiff::Timestamp::from_millisecond(at).map_err(drop))
        else {
            return Self { machine: String::new(), text: "the end of time".to_owned() };
        };
        let text = point.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        Self { machine: point.to_string(), text }
    }
}

/// `4 s`, `12 min`, `3 h 5 min`, `2 d 4 h`.
pub(crate) fn span_in(t: Tongue, span: Milliseconds) -> String {
    let seconds = span.0 / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => say!(t, "{seconds} s", "{seconds} с"),
        (0, 0, minutes) => say!(t, "{minutes} min", "{minutes} мин"),
        (0, hours, minutes) => say!(t, "{hours} h {minutes} min", "{hours} ч {minutes} мин"),
        (days, hours, _) => say!(t, "{days} d {hours} h", "{days} д {hours} ч"),
    }
}

/// A point in time as its distance from now, and as itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Age {
    /// How long ago, when the page was made.
    pub(crate) text: String,
    /// When exactly.
    pub(crate) at: Moment,
}

impl Age {
    pub(crate) fn of(t: Tongue, at: Timestamp, now: Timestamp) -> Self {
        Self { text: span_in(t, now.since(at)), at: Moment::of(at) }
    }
}

/// Bytes as people count them.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut tenths = number.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// What runs cost; empty where nobody said.
pub(crate) fn cost(t: Tongue, spent: &Spent) -> String {
    let tokens = spent.tokens();
    match (spent.cost_microusd, tokens) {
        (0, 0) => String::new(),
        (0, tokens) => counted(t, tokens),
        (micros, tokens) => format!("{}, {}", dollars(micros), counted(t, tokens)),
    }
}

fn counted(t: Tongue, tokens: u64) -> String {
    t.count(tokens, ["token", "tokens"], ["токен", "токена", "токенов"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_stands_between_quotes() {
        assert_eq!(quoted("held at `a`: `b` said no"), "held at “a”: “b” said no");
        assert_eq!(quoted("an odd ` one"), "an odd ` one");
    }

    #[test]
    fn sizes_read_well() {
        let shown = [0, 1023, 1024, 200 << 20, (10 << 30) + (1 << 29)].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "200.0 MiB", "10.5 GiB"]);
    }

    #[test]
    fn hidden_characters_are_spelled_out() {
        assert_eq!(plain("a\u{202E}b\u{200B}c\u{7}\n\u{1b}[0m"), "a⟦U+202E⟧b⟦U+200B⟧c⟦U+0007⟧\n⟦U+001B⟧[0m");
        assert_eq!(plain("Привет, 世界 👍"), "Привет, 世界 👍");
        assert_eq!(plain(&format!("a{}b", "\0".repeat(1500))), "a⟦U+0000… ×1500⟧b");
    }

    #[test]
    fn colours_are_left_out_of_a_log_and_every_other_escape_is_seen() {
        let cases = [
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}[1;38;5;196mx\u{1b}[m", "x"),
            ("\u{1b}[2K\u{1b}[1Gdone\u{1b}[?25h", "done"),
            ("\u{1b}[31", "⟦U+001B⟧[31"),
            ("\u{1b}[31ж", "⟦U+001B⟧[31ж"),
            ("\u{1b}", "⟦U+001B⟧"),
            ("\u{1b}\u{1b}[0m", "⟦U+001B⟧"),
            ("\u{1b}[6n", "⟦U+001B⟧[6n"),
            ("\u{1b}]8;;http://x\u{7}y", "⟦U+001B⟧]8;;http://x⟦U+0007⟧y"),
            ("a\u{9b}31mb", "a⟦U+009B⟧31mb"),
        ];
        for (text, expected) in cases {
            assert_eq!(logged(text), expected);
        }
        assert_eq!(logged(&format!("\u{1b}[{}m", "1".repeat(LONGEST_SEQUENCE))), "");
        assert!(logged(&format!("\u{1b}[{}m", "1".repeat(LONGEST_SEQUENCE + 1))).starts_with('⟦'));
        let endless = format!("\u{1b}[{}", "1".repeat(100_000)).repeat(3);
        assert!(logged(&endless).starts_with("⟦U+001B⟧[1"));
        assert_eq!(one_line_of("\u{1b}[1mone\n two\u{1b}[0m", 100), "one two");
    }

    #[test]
    fn a_line_is_cut_where_people_see_it() {
        assert_eq!(line("one\n  two three", 7), "one two…");
        assert_eq!(line("short", 7), "short");
    }

    #[test]
    fn times_and_sums_read_well() {
        assert_eq!(Moment::of(Timestamp(1_790_000_000_000)).text, "2026-09-21 14:13:20 UTC");
        assert_eq!(Moment::of(Timestamp(u64::MAX)).text, "the end of time");
        let shown: Vec<String> = [3_999, 720_000, 11_100_000, 187_200_000]
            .map(Milliseconds)
            .map(|took| span_in(Tongue::English, took))
            .into();
        assert_eq!(shown, ["3 s", "12 min", "3 h 5 min", "2 d 4 h"]);
        let spent = Spent { input_tokens: 900, output_tokens: 100, cost_microusd: 1_234_567, ..Spent::default() };
        assert_eq!(cost(Tongue::English, &spent), "$1.24, 1000 tokens");
        assert_eq!(cost(Tongue::Russian, &spent), "$1.24, 1000 токенов");
        let one = Spent { output_tokens: 1, ..Spent::default() };
        assert_eq!(cost(Tongue::English, &one), "1 token");
        assert_eq!(cost(Tongue::English, &Spent::default()), "");
    }
}
