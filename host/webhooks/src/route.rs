//! Whom a request is for: one pass over its JSON, that keeps nothing else.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::headers::Headers;
use crate::payload::{self, PayloadError};
use crate::{Source, gitea, plane};

/// What the listener must know of a request before it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// Which of the sender's projects it is about: the full name of a repository, or the id of a tracker's project, in lower case.
    pub about: Option<String>,
    /// The sender's own word for the event, for people; at most 64 characters.
    pub event: String,
    /// Whether such an event is read. What another one means nobody knows.
    pub is_known: bool,
}

/// Refuses what is no JSON object, and finds out whom the rest is for.
pub fn inspect(source: Source, headers: &Headers, signed: &[u8]) -> Result<Inspected, PayloadError> {
    let text = payload::text(signed)?;
    payload::or_mended(text, |text| inspect_text(source, headers, text))
}

fn inspect_text(source: Source, headers: &Headers, text: &str) -> Result<Inspected, PayloadError> {
    if !text.trim_start().starts_with('{') {
        return match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Err(PayloadError::NoObject),
            Err(error) => Err(payload::not_json(&error)),
        };
    }
    let (about, named) = match source {
        Source::Plane => of_plane(headers, text)?,
        Source::Gitea => (of_gitea(text)?, event(source, headers, None)),
    };
    let named = named.unwrap_or_default();
    let is_known = known(source).contains(&named.as_str());
    let event = named.chars().filter(char::is_ascii_graphic).take(64).collect();
    Ok(Inspected { about: about.map(|about| about.to_lowercase()), event, is_known })
}

/// Whether the headers tell of an event that this sender is known for: what its own deliveries do, and a stranger's noise does not.
pub fn names_event(source: Source, headers: &Headers) -> bool {
    headers.first(names(source)).is_some_and(|named| known(source).contains(&named))
}

const fn known(source: Source) -> &'static [&'static str] {
    match source {
        Source::Plane => &plane::KNOWN,
        Source::Gitea => &gitea::KNOWN,
    }
}

/// The sender's word for an event, as all that asks takes it. The body is signed and the header is not, so the body's own word counts
/// first; Plane says it in both places, and Gitea in its headers alone.
pub(crate) fn event(source: Source, headers: &Headers, of_body: Option<String>) -> Option<String> {
    let of_body = of_body.filter(|word| !word.is_empty());
    of_body.or_else(|| headers.first(names(source)).map(str::to_owned))
}

/// The header that names the event, under each of its names.
pub(crate) const fn names(source: Source) -> &'static [&'static str] {
    match source {
        Source::Plane => &["x-plane-event"],
        Source::Gitea => &[
            "x-gitea-event-type",
            "x-forgejo-event-type",
            "x-github-event-type",
            "x-gogs-event-type",
            "x-gitea-event",
            "x-forgejo-event",
            "x-github-event",
            "x-gogs-event",
        ],
    }
}

fn of_plane(headers: &Headers, text: &str) -> Result<(Option<String>, Option<String>), PayloadError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Envelope {
        event: Loose,
        data: Part,
    }
    let Envelope { event: of_body, data } = read(text)?;
    let event = event(Source::Plane, headers, of_body.0);
    let about = if event.as_deref() == Some("project") {
        data.get("id")
    } else {
        data.get("project").or_else(|| data.get("project_id"))
    };
    Ok((about, event))
}

fn of_gitea(text: &str) -> Result<Option<String>, PayloadError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Envelope {
        repository: Part,
    }
    let Envelope { repository } = read(text)?;
    Ok(repository.get("full_name").or_else(|| {
        let owner = repository.get("owner")?;
        Some(format!("{owner}/{}", repository.get("name")?))
    }))
}

fn read<'a, T: Deserialize<'a> + Default>(text: &'a str) -> Result<T, PayloadError> {
    match serde_json::from_str(text) {
        Ok(found) => Ok(found),
        // A name that comes twice is JSON, and says nothing that could be relied on.
        Err(error) if error.is_data() => Ok(T::default()),
        Err(error) => Err(payload::not_json(&error)),
    }
}

/// The few members of an object that may say whom it is for; of anything else, none.
#[derive(Default)]
struct Part(Vec<(String, String)>);

impl Part {
    fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }
}

/// Names of members that [`Part`] keeps.
const MEMBERS: [&str; 6] = ["id", "project", "project_id", "full_name", "name", "owner"];

/// A text, a number, or of an object its `id`, `login`, `username`; of anything else nothing.
#[derive(Default)]
struct Loose(Option<String>);

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Part;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("anything")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
                let mut part = Part::default();
                while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    if MEMBERS.contains(&name.as_ref()) {
                        if let Some(value) = map.next_value::<Loose>()?.0 {
                            part.0.push((name.into_owned(), value));
                        }
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(part)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Part, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Part::default())
            }

            fn visit_bool<E>(self, _: bool) -> Result<Part, E> {
                Ok(Part::default())
            }

            fn visit_i64<E>(self, _: i64) -> Result<Part, E> {
                Ok(Part::default())
            }

            fn visit_u64<E>(self, _: u64) -> Result<Part, E> {
                Ok(Part::default())
            }

            fn visit_f64<E>(self, _: f64) -> Result<Part, E> {
                Ok(Part::default())
            }

            fn visit_str<E>(self, _: &str) -> Result<Part, E> {
                Ok(Part::default())
            }

            fn visit_unit<E>(self) -> Result<Part, E> {
                Ok(Part::default())
            }
        }
        deserializer.deserialize_any(Members)
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;
        impl<'de> Visitor<'de> for Word {
            type Value = Loose;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("anything")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
                let mut found = None;
                while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    let is_name = matches!(name.as_ref(), "id" | "login" | "username");
                    // A repository's owner has a number and a name, and the name is meant.
                    let outranks = name.as_ref() != "id" || found.is_none();
                    if is_name && outranks {
                        found = map.next_value::<Loose>()?.0.or(found);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(Loose(found))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Loose, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Loose(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Loose, E> {
                Ok(Loose(None))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Loose, E> {
                Ok(Loose(Some(number.to_string())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Loose, E> {
                Ok(Loose(Some(number.to_string())))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Loose, E> {
                Ok(Loose(None))
            }

            fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
                Ok(Loose(Some(text.chars().take(500).collect()).filter(|text: &String| !text.is_empty())))
            }

            fn visit_unit<E>(self) -> Result<Loose, E> {
                Ok(Loose(None))
            }
        }
        deserializer.deserialize_any(Word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(source: Source, text: &str) -> Option<String> {
        inspect(source, &Headers::default(), text.as_bytes()).unwrap().about
    }

    #[test]
    fn a_delivery_names_its_project_in_any_of_its_spellings() {
        for (text, expected) in [
            (r#"{"repository": {"full_name": "Acme/App"}}"#, Some("acme/app")),
            (
                r#"{"repository": {"owner": {"id": 7, "login": "acme"}, "name": "app", "full_name": null}}"#,
                Some("acme/app"),
            ),
            (r#"{"repository": {"owner": {"username": "acme", "id": 7}, "name": "app"}}"#, Some("acme/app")),
            (r#"{"repository": null}"#, None),
            (r#"{"repository": [5]}"#, None),
            (r#"{"repository": {"full_name": true}}"#, None),
            (r#"{"repository": {}, "repository": {"full_name": "a/b"}}"#, None),
            ("{}", None),
        ] {
            assert_eq!(about(Source::Gitea, text).as_deref(), expected, "{text}");
        }
        for (text, expected) in [
            (r#"{"event": "issue", "data": {"id": "i", "project": "P"}}"#, Some("p")),
            (r#"{"event": "issue", "data": {"id": "i", "project": {"id": "p"}}}"#, Some("p")),
            (r#"{"data": {"project_id": "p"}}"#, Some("p")),
            (r#"{"event": "project", "data": {"id": "p"}}"#, Some("p")),
            (r#"{"event": 5, "data": "p"}"#, None),
            (r#"{"event": "issue", "data": {"id": "i"}}"#, None),
        ] {
            assert_eq!(about(Source::Plane, text).as_deref(), expected, "{text}");
        }
    }

    /// Plane says the event in its body and in a header; whichever is missing, the same project and the same event come of it.
    #[test]
    fn an_event_that_only_a_header_names_goes_the_same_way() {
        let data = r#""data": {"id": "p", "project": "q"}"#;
        for event in plane::KNOWN {
            let in_body = format!(r#"{{"event": "{event}", {data}}}"#);
            let in_header = format!("{{{data}}}");
            let both = [("content-type", "application/json"), ("x-plane-event", event)];
            let json = Headers::new([both[0]]);
            let cases = [
                (&Headers::new(both), in_body.as_str()),
                (&json, in_body.as_str()),
                (&Headers::new(both), in_header.as_str()),
                (&Headers::new([both[0], ("x-plane-event", "module")]), in_body.as_str()),
            ];
            let first = inspect(Source::Plane, cases[0].0, cases[0].1.as_bytes()).unwrap();
            let told = crate::decode(Source::Plane, cases[0].0, cases[0].1.as_bytes()).unwrap();
            assert_eq!(first.about.as_deref(), Some(if event == "project" { "p" } else { "q" }), "{event}");
            assert!(first.is_known && first.event == event, "{event}");
            for (headers, body) in cases {
                assert_eq!(inspect(Source::Plane, headers, body.as_bytes()).unwrap(), first, "{event}: {body}");
                assert_eq!(crate::decode(Source::Plane, headers, body.as_bytes()).unwrap(), told, "{event}: {body}");
            }
        }
        let empty = inspect(
            Source::Plane,
            &Headers::new([("x-plane-event", "project")]),
            br#"{"event": "", "data": {"id": "p"}}"#,
        );
        assert_eq!(empty.unwrap().about.as_deref(), Some("p"));
    }

    #[test]
    fn an_event_is_known_where_it_is_read() {
        for event in gitea::KNOWN.into_iter().chain(["star", "", "PUSH", "push "]) {
            let headers = Headers::new([("content-type", "application/json"), ("x-gitea-event-type", event)]);
            let is_known = inspect(Source::Gitea, &headers, b"{}").unwrap().is_known;
            assert_eq!(is_known, crate::decode(Source::Gitea, &headers, b"{}").is_ok(), "{event}");
            assert_eq!(is_known, gitea::KNOWN.contains(&event.trim()), "{event}");
        }
    }

    #[test]
    fn what_one_kind_of_parser_writes_and_another_does_not_read_is_read() {
        for (text, expected) in [
            (r#"{"n": NaN, "repository": {"full_name": "a/b"}, "m": [-Infinity, Infinity]}"#, "a/b"),
            (r#"{"repository": {"full_name": "a/\ud83d"}}"#, "a/\u{fffd}"),
        ] {
            assert_eq!(about(Source::Gitea, text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused_by_name() {
        let refused = |text: &str| inspect(Source::Gitea, &Headers::default(), text.as_bytes()).unwrap_err();
        assert_eq!(refused("[]"), PayloadError::NoObject);
        assert!(matches!(refused("{\"repository\": {\"full_name\": \"a"), PayloadError::NotJson(_)));
        assert!(matches!(refused("{} x"), PayloadError::NotJson(_)));
        assert!(matches!(refused(""), PayloadError::NotJson(_)));
    }
}
