//! The agent's command is a list of words in which a few names in braces are filled in. No shell ever sees it.

use std::path::Path;

/// The names that may stand in braces.
pub const PLACEHOLDERS: [&str; 6] = ["brief", "workdir", "role", "work_item", "model", "effort"];

/// What they stand for.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The brief's file.
    pub brief: &'a Path,
    /// The clone.
    pub workdir: &'a Path,
    /// Who works.
    pub role: &'a str,
    /// The work item's key.
    pub work_item: &'a str,
    /// The model; empty: the project's file names none.
    pub model: &'a str,
    /// The effort, likewise.
    pub effort: &'a str,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no program.
    #[error("the command is empty: its first word names the program")]
    Empty,
    /// A name that we do not know.
    #[error(
        "unknown placeholder `{{{name}}}` in `{word}`; valid are {{brief}}, {{workdir}}, {{role}}, {{work_item}}, \
             {{model}}, {{effort}} (`{{{{` stands for a plain brace)"
    )]
    Unknown {
        /// The name in braces.
        name: String,
        /// The word that it stands in.
        word: String,
    },
    /// The role names no value for it.
    #[error("`{{{name}}}` stands in the command, and the role has no `{name}`")]
    Unset {
        /// Which.
        name: &'static str,
    },
    /// A value that could be read as an option or hides characters.
    #[error("the value of `{{{name}}}` may not stand in a command line: {value:?}")]
    Unsafe {
        /// Which.
        name: &'static str,
        /// Its value.
        value: String,
    },
}

/// Fills in all words. Braces around anything but a lower-case name (JSON, for one) are left as they are, and a name in
/// doubled braces is the name in braces itself.
pub fn expand(words: &[String], values: &Values<'_>) -> Result<Vec<String>, TemplateError> {
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(TemplateError::Empty);
    }
    words.iter().map(|word| expand_word(word, values)).collect()
}

/// Says what is wrong with a template before there is anything to fill in.
pub fn check(words: &[String]) -> Result<(), TemplateError> {
    let nothing =
        Values { brief: Path::new("/b"), workdir: Path::new("/w"), role: "r", work_item: "i", model: "m", effort: "e" };
    expand(words, &nothing).map(drop)
}

fn expand_word(word: &str, values: &Values<'_>) -> Result<String, TemplateError> {
    let mut filled = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(start) = rest.find('{') {
        filled.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        if let Some(name) = rest.strip_prefix('{').and_then(name_in_braces)
            && rest[name.len() + 2..].starts_with('}')
        {
            filled.push_str(&rest[..name.len() + 2]);
            rest = &rest[name.len() + 3..];
        } else if let Some(name) = name_in_braces(rest) {
            filled.push_str(&value(name, word, values)?);
            rest = &rest[name.len() + 1..];
        } else {
            filled.push('{');
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

fn name_in_braces(rest: &str) -> Option<&str> {
    let name = &rest[..rest.find('}')?];
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'-');
    plain.then_some(name)
}

fn value(name: &str, word: &str, values: &Values<'_>) -> Result<String, TemplateError> {
    let (name, value) = match name {
        "brief" => ("brief", values.brief.to_string_lossy()),
        "workdir" => ("workdir", values.workdir.to_string_lossy()),
        "role" => ("role", values.role.into()),
        "work_item" => ("work_item", values.work_item.into()),
        "model" if values.model.is_empty() => return Err(TemplateError::Unset { name: "model" }),
        "model" => ("model", values.model.into()),
        "effort" if values.effort.is_empty() => return Err(TemplateError::Unset { name: "effort" }),
        "effort" => ("effort", values.effort.into()),
        _ => {
            return Err(TemplateError::Unknown { name: name.to_owned(), word: word.to_owned() });
        }
    };
    if value.starts_with('-') || value.chars().any(char::is_control) {
        return Err(TemplateError::Unsafe { name, value: value.into_owned() });
    }
    Ok(value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values<'static> {
        Values {
            brief: Path::new("/briefs/7/brief.md"),
            workdir: Path::new("/clones/1"),
            role: "developer",
            work_item: "ET-7",
            model: "opus",
            effort: "",
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_value_stays_one_word_whatever_it_holds() {
        let given = Values { work_item: "ET-7; rm -rf $(HOME) {role}", ..values() };
        let filled = expand(&words(&["agent", "--on={work_item}", "{brief}{workdir}"]), &given).unwrap();
        assert_eq!(filled, ["agent", "--on=ET-7; rm -rf $(HOME) {role}", "/briefs/7/brief.md/clones/1"]);
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_valid_ones() {
        let error = expand(&words(&["agent", "{breif}"]), &values()).unwrap_err();
        let said = error.to_string();
        for name in PLACEHOLDERS {
            assert!(said.contains(&format!("{{{name}}}")), "{said}");
        }
        assert!(said.contains("{breif}"), "{said}");
        assert_eq!(check(&words(&["agent", "{breif}"])).unwrap_err(), error);
    }

    #[test]
    fn json_and_doubled_braces_are_left_alone() {
        let given = words(&["agent", r#"{"role":"{role}","n":{}}"#, "{{brief}}", "{ x }", "a}b", "{"]);
        let filled = expand(&given, &values()).unwrap();
        assert_eq!(filled, ["agent", r#"{"role":"developer","n":{}}"#, "{brief}", "{ x }", "a}b", "{"]);
    }

    #[test]
    fn a_model_is_filled_in_and_an_effort_that_nobody_named_is_refused() {
        let filled = expand(&words(&["agent", "--model={model}"]), &values()).unwrap();
        assert_eq!(filled, ["agent", "--model=opus"]);
        let error = expand(&words(&["agent", "{effort}"]), &values()).unwrap_err();
        assert_eq!(error, TemplateError::Unset { name: "effort" });
    }

    #[test]
    fn a_value_that_looks_like_an_option_is_refused() {
        let given = Values { work_item: "--help", ..values() };
        assert!(matches!(expand(&words(&["agent", "{work_item}"]), &given), Err(TemplateError::Unsafe { .. })));
        assert_eq!(expand(&[], &values()), Err(TemplateError::Empty));
        assert_eq!(expand(&words(&[" "]), &values()), Err(TemplateError::Empty));
    }
}
