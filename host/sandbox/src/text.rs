//! Guest text at the sandbox's door: cut in length, and what would hide or turn around made visible. Each sink escapes it once more
//! for itself; this is only about what no sink should ever see.

use std::fmt::Write as _;

/// Whether a text may have more than one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    One,
    Many,
}

/// The text with at most `max` characters, everything in it visible; over it, the rest is cut and counted.
pub(crate) fn clean(text: &str, max: usize, lines: Lines) -> String {
    let plain = |byte: &u8| matches!(byte, 0x20..0x7f) || lines == Lines::Many && matches!(byte, b'\n' | b'\t');
    if text.len() <= max && text.as_bytes().iter().all(plain) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len().min(max.saturating_mul(4)));
    let mut length = 0;
    for (index, (position, character)) in text.char_indices().enumerate() {
        let shown_from = out.len();
        push_visible(&mut out, character, lines);
        let added = out[shown_from..].chars().count();
        if length + added > max {
            out.truncate(shown_from);
            let total = index + text[position..].chars().count();
            // A text of which nothing could be kept still says that there was one.
            let _ = write!(out, "… (cut, {} characters)", total - index);
            return out;
        }
        length += added;
    }
    out
}

fn push_visible(out: &mut String, character: char, lines: Lines) {
    match character {
        '\n' | '\t' if lines == Lines::Many => out.push(character),
        // U+2400 and up are the pictures of the control characters.
        '\0'..='\u{1f}' => out.push(char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}')),
        '\u{7f}' => out.push('\u{2421}'),
        _ if is_hidden(character) => {
            let _ = write!(out, "⟨U+{:04X}⟩", u32::from(character));
        }
        _ => out.push(character),
    }
}

/// Control, direction, zero-width and tag characters, and those that separate lines unasked.
pub(crate) fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{80}'..='\u{9f}'
            | '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0e}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// As [`clean`], and letters that pose as ASCII are shown too: for what an operator reads before granting something. A letter
/// of another script is suspicious only beside ASCII letters in the same word; a form that exists only to look like ASCII always.
pub(crate) fn clean_for_review(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(|character: char| !character.is_alphanumeric()) {
        let mixed = word.chars().any(|character| character.is_ascii_alphabetic());
        for character in word.chars() {
            if poses_as_ascii(character) || mixed && is_look_alike(character) {
                let _ = write!(out, "⟨U+{:04X}⟩", u32::from(character));
            } else {
                out.push(character);
            }
        }
    }
    clean(&out, max, Lines::One)
}

/// Full-width and mathematical forms of ASCII.
fn poses_as_ascii(character: char) -> bool {
    matches!(character, '\u{ff01}'..='\u{ff5e}' | '\u{1d400}'..='\u{1d7ff}' | '\u{2024}' | '\u{2044}' | '\u{2215}' | '\u{a789}')
}

/// Letters of the scripts that hold twins of Latin letters.
fn is_look_alike(character: char) -> bool {
    matches!(character, '\u{370}'..='\u{3ff}' | '\u{400}'..='\u{52f}' | '\u{531}'..='\u{587}' | '\u{13a0}'..='\u{13ff}')
}

/// A kebab-case word of at most 64 characters.
pub(crate) fn is_word(text: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.len() <= 64 && text.split('-').all(part)
}

/// An `http` or `https` address that a sink may make a link of: no user before the host, nothing hidden, no blanks.
pub(crate) fn is_web_address(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = |character: char| {
        !character.is_control()
            && !character.is_whitespace()
            && !is_hidden(character)
            && !"\"'<>\\`{|}^".contains(character)
    };
    text.len() <= 2048 && !authority.is_empty() && !authority.contains('@') && text.chars().all(plain)
}

/// A path relative to the root, without `..`, that stays inside.
pub(crate) fn is_tree_path(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    text.len() <= 4096
        && !text.contains('\\')
        && text.split('/').all(part)
        && !text.chars().any(|character| character.is_control() || is_hidden(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_is_shown_and_what_is_too_long_is_cut_with_its_count() {
        assert_eq!(clean("a\u{202e}b\u{0}c\u{1b}[31m\u{200b}", 100, Lines::One), "a⟨U+202E⟩b␀c␛[31m⟨U+200B⟩");
        assert_eq!(clean("one\ntwo\r\n", 100, Lines::Many), "one\ntwo␍\n");
        assert_eq!(clean("one\ntwo", 100, Lines::One), "one␊two");
        assert_eq!(clean(&"ä".repeat(250), 200, Lines::One), format!("{}… (cut, 50 characters)", "ä".repeat(200)));
        assert_eq!(clean("exact", 5, Lines::One), "exact");
        assert_eq!(clean("tag \u{e0041}", 100, Lines::One), "tag ⟨U+E0041⟩");
    }

    #[test]
    fn a_made_visible_character_never_lifts_a_text_over_its_limit() {
        let shown = clean(&"\u{202e}".repeat(100), 200, Lines::One);
        assert_eq!(shown, format!("{}… (cut, 75 characters)", "⟨U+202E⟩".repeat(25)));
    }

    #[test]
    fn letters_that_pose_as_others_are_shown_and_whole_words_of_a_script_are_not() {
        assert_eq!(clean_for_review("p\u{430}ypal", 100), "p⟨U+0430⟩ypal");
        assert_eq!(clean_for_review("читает лицензии", 100), "читает лицензии");
        assert_eq!(clean_for_review("\u{ff41}", 100), "⟨U+FF41⟩");
    }

    #[test]
    fn only_web_addresses_are_addresses() {
        for good in ["https://example.org", "http://example.org/a?b=c#d", "https://[::1]:80/"] {
            assert!(is_web_address(good), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "https://",
            "https://user@host/",
            "https://a b",
            "HTTPS://x",
            "//x",
            "https://a\u{202e}b",
        ] {
            assert!(!is_web_address(bad), "{bad}");
        }
    }

    #[test]
    fn only_paths_inside_the_tree_are_paths() {
        for good in ["a", "src/lib.rs", "a/.b", "..a/b"] {
            assert!(is_tree_path(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "a/../b", "..", "a//b", "a/", "./a", "a\\b", "a\nb", "a\u{200b}"] {
            assert!(!is_tree_path(bad), "{bad}");
        }
    }
}
