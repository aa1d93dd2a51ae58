//! A command as it is typed, split into the words that a file lists.

/// Splits a line at spaces, as a shell would: quotes keep words together, a backslash keeps the next character. Nothing is
/// expanded; what only a shell can do is left for `sh -c`.
pub fn split_words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => loop {
                match characters.next() {
                    Some('\'') => {
                        word.get_or_insert_default();
                        break;
                    }
                    Some(inner) => word.get_or_insert_default().push(inner),
                    None => return Err("a single quote is not closed".to_owned()),
                }
            },
            '"' => loop {
                match characters.next() {
                    Some('"') => {
                        word.get_or_insert_default();
                        break;
                    }
                    Some('\\') => match characters.next() {
                        Some(escaped @ ('"' | '\\' | '$' | '`')) => word.get_or_insert_default().push(escaped),
                        Some(other) => word.get_or_insert_default().extend(['\\', other]),
                        None => return Err("a double quote is not closed".to_owned()),
                    },
                    Some(inner) => word.get_or_insert_default().push(inner),
                    None => return Err("a double quote is not closed".to_owned()),
                }
            },
            '\\' => match characters.next() {
                Some(escaped) => word.get_or_insert_default().push(escaped),
                None => return Err("nothing follows the last backslash".to_owned()),
            },
            space if space.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    if words.is_empty() { Err("it is empty".to_owned()) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        for (line, words) in [
            ("cargo test", vec!["cargo", "test"]),
            ("  a   b\t", vec!["a", "b"]),
            ("claude -p 'Read {brief}' --x=\"a b\"c", vec!["claude", "-p", "Read {brief}", "--x=a bc"]),
            ("a '' \"\"", vec!["a", "", ""]),
            (r#"a\ b "\"\n""#, vec!["a b", r#""\n"#]),
            ("a && b", vec!["a", "&&", "b"]),
        ] {
            assert_eq!(split_words(line).unwrap(), words, "{line}");
        }
        for line in ["", "  ", "'a", "\"a", "a\\", "\"a\\"] {
            assert!(split_words(line).is_err(), "{line}");
        }
    }
}
