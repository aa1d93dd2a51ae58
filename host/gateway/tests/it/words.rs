//! Every text of a page is there in both languages: templates hold none of their own.

use std::fs;
use std::path::Path;

/// Words that are the same in every language: they stand in templates as they are.
const SAME: [&str; 4] = ["Gatewright", "JSON", "KEY", "p95"];

/// What a reader would see of a template if it were shown as it stands: without comments, expressions, tags and code.
fn visible(template: &str) -> String {
    let mut text = template.to_owned();
    for (open, close) in
        [("{%", "%}"), ("{{", "}}"), ("<code>", "</code>"), ("<script", "</script>"), ("<svg", "</svg>")]
    {
        while let Some(start) = text.find(open) {
            let end = text[start..].find(close).map_or(text.len(), |end| start + end + close.len());
            text.replace_range(start..end, " ");
        }
    }
    // Attributes that are read to people are looked at too.
    let mut shown = String::new();
    while let Some(start) = text.find('<') {
        let end = text[start..].find('>').map_or(text.len(), |end| start + end + 1);
        let tag = text[start..end].to_owned();
        for name in ["aria-label=\"", "title=\"", "placeholder=\"", "alt=\""] {
            if let Some(at) = tag.find(name) {
                let value = &tag[at + name.len()..];
                shown.push_str(&value[..value.find('"').unwrap_or(0)]);
                shown.push(' ');
            }
        }
        text.replace_range(start..end, " ");
    }
    shown + &text
}

#[test]
fn no_template_has_a_text_in_one_language_only() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = visible(&fs::read_to_string(&path).unwrap());
        let words = text.split_whitespace().filter(|word| word.chars().any(char::is_alphabetic));
        let words = words.map(|word| word.trim_matches(|character: char| !character.is_alphanumeric()));
        // Character references are no words.
        let alone: Vec<&str> = words.filter(|word| !SAME.contains(word)).collect();
        if !alone.is_empty() {
            found.push(format!("{}: {alone:?}", path.display()));
        }
    }
    assert_eq!(found, [""; 0], "say them by `frame.say(english, russian)`");
}

#[test]
fn both_texts_say_something_and_the_second_is_russian() {
    let mut pairs = 0;
    for folder in ["templates", "src"] {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                // Tests say things that are no texts of pages.
                let text = text.split("#[cfg(test)]").next().unwrap();
                for opening in ["frame.say(", "t.of(", "tongue.of(", "say!(", "both!("] {
                    for (at, _) in text.match_indices(opening) {
                        let Some((english, russian)) = pair(&text[at + opening.len()..]) else { continue };
                        pairs += 1;
                        let is_russian = russian
                            .chars()
                            .any(|character| ('а'..='я').contains(&character.to_lowercase().next().unwrap()));
                        // Only values and signs: what stands around them may be the same.
                        let has_words =
                            russian.split(['{', '}']).step_by(2).any(|part| part.chars().any(char::is_alphabetic));
                        assert!(
                            !english.trim().is_empty() && !russian.trim().is_empty() && (is_russian || !has_words),
                            "{}: {english:?} and {russian:?}",
                            path.display()
                        );
                        assert!(!english.chars().any(|character| ('а'..='я').contains(&character)), "{english}");
                    }
                }
            }
        }
    }
    assert!(pairs > 150, "only {pairs} texts were found: does this test still know how they are said?");
}

/// The first two string literals before the call ends.
fn pair(text: &str) -> Option<(String, String)> {
    let mut literals = text.match_indices('"').map(|(at, _)| at);
    let (start, end, next) = (literals.next()?, literals.next()?, literals.next()?);
    let last = literals.next()?;
    // Between the two stands a comma and nothing else.
    (text[end + 1..next].trim() == ",").then(|| (text[start + 1..end].to_owned(), text[next + 1..last].to_owned()))
}

/// What a button or a link of a page leads to is worded in both languages: a sentence for programs alone has no place there.
#[test]
fn no_page_refuses_in_the_words_for_programs() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pages")];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            looked_at += 1;
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains("to_programs("), "{}", path.display());
            assert!(!text.contains("Said::inner(\"") && !text.contains("Said::inner(format!"), "{}", path.display());
        }
    }
    assert!(looked_at > 10, "{looked_at}");
}
