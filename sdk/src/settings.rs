//! A plugin's settings: one JSON object, read into the plugin's own type, with every flaw under its RFC 6901 pointer.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::errors::Flaw;

/// The settings of a plugin that has none: any key is a flaw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct NoSettings {}

/// Reads settings as the host gives them. A key that `S` does not have is a flaw, whatever `S` says about unknown fields;
/// with `#[serde(deny_unknown_fields)]` the message also lists the keys that it has.
///
/// ```
/// use gatewright_sdk::settings;
///
/// #[derive(Debug, Default, serde::Deserialize)]
/// #[serde(default)]
/// struct Settings {
///     required: Vec<String>,
/// }
///
/// let settings: Settings = settings::parse(r#"{ "required": ["ci"] }"#).unwrap();
/// assert_eq!(settings.required, ["ci"]);
///
/// let flaws = settings::parse::<Settings>(r#"{ "requierd": ["ci"] }"#).unwrap_err();
/// assert_eq!(flaws[0].pointer, "/requierd");
/// ```
pub fn parse<S: DeserializeOwned>(text: &str) -> Result<S, Vec<Flaw>> {
    if !text.trim_start().starts_with('{') {
        // serde would read a struct from an array as well.
        return Err(vec![Flaw::new("", "settings are one JSON object")]);
    }
    let mut flaws = Vec::new();
    let mut json = serde_json::Deserializer::from_str(text);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let read = serde_ignored::deserialize(tracked, |path| {
        flaws.push(Flaw::new(ignored_pointer(&path), "this key is not known"));
    });
    match read.and_then(|settings| json.end().map(|()| settings)) {
        Ok(settings) if flaws.is_empty() => Ok(settings),
        Ok(_) => Err(flaws),
        Err(error) => {
            flaws.push(Flaw::new(failed_pointer(&track.path()), error.to_string()));
            Err(flaws)
        }
    }
}

/// All flaws in one line, for a plugin that is asked in spite of them.
pub(crate) fn in_one_line(flaws: &[Flaw]) -> String {
    let each: Vec<String> = flaws.iter().map(|flaw| format!("{}: {}", shown(&flaw.pointer), flaw.message)).collect();
    format!("the settings have flaws: {}", each.join("; "))
}

fn shown(pointer: &str) -> &str {
    if pointer.is_empty() { "the whole" } else { pointer }
}

fn ignored_pointer(path: &serde_ignored::Path<'_>) -> String {
    use serde_ignored::Path;
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}/{index}", ignored_pointer(parent)),
        Path::Map { parent, key } => format!("{}/{}", ignored_pointer(parent), escaped(key)),
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            ignored_pointer(parent)
        }
    }
}

fn failed_pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Map { key } => Some(format!("/{}", escaped(key))),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Settings {
        #[serde(default)]
        limits: Vec<Limit>,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Limit {
        name: String,
        #[serde(default)]
        most: u32,
    }

    fn check(text: &str, expected: &[(&str, &str)]) {
        let flaws = parse::<Settings>(text).map_or_else(|flaws| flaws, |_| Vec::new());
        let pointers: Vec<&str> = flaws.iter().map(|flaw| flaw.pointer.as_str()).collect();
        assert_eq!(pointers, expected.iter().map(|(pointer, _)| *pointer).collect::<Vec<_>>(), "{flaws:?}");
        for (flaw, (_, message)) in flaws.iter().zip(expected) {
            assert!(flaw.message.contains(message), "{flaw:?}");
        }
    }

    #[test]
    fn good_settings_have_no_flaw() {
        check("{}", &[]);
        check(r#" {"limits": [{"name": "lines", "most": 3}]} "#, &[]);
    }

    #[test]
    fn unknown_keys_are_named_at_any_depth() {
        check(r#"{"a/b~c": 1, "limits": []}"#, &[("/a~1b~0c", "not known")]);
        check(
            r#"{"limits": [{"name": "x"}, {"name": "y", "mots": 1}], "other": {}}"#,
            &[("/limits/1/mots", "not known"), ("/other", "not known")],
        );
    }

    #[test]
    fn wrong_types_are_named_by_their_place() {
        check(r#"{"limits": [{"name": 3}]}"#, &[("/limits/0/name", "expected a string")]);
        check(r#"{"limits": [{"most": 3}]}"#, &[("/limits/0", "missing field `name`")]);
    }

    #[test]
    fn anything_but_one_object_is_a_flaw_of_the_whole() {
        for text in ["", "[]", "null", "3", "\"x\""] {
            check(text, &[("", "one JSON object")]);
        }
        check("{} {}", &[("", "trailing characters")]);
        check("{", &[("", "EOF")]);
    }

    #[test]
    fn no_settings_takes_no_key() {
        assert_eq!(parse::<NoSettings>("{}"), Ok(NoSettings {}));
        assert_eq!(parse::<NoSettings>(r#"{"x": 1}"#).map_err(|flaws| flaws[0].pointer.clone()), Err("/x".to_owned()));
    }
}
