//! The request section: what a component asks for, in the words of its author.

use domain::plugin::{Capability, Request, RequestEntry, Warning};
use toml::{Table, Value};
use wasm_encoder::{ComponentSection as _, CustomSection};

use super::error::{LoadError, RequestError};
use super::imports::Called;
use super::shape::REQUEST_SECTION;
use crate::text::{clean_for_review, is_word};

const BYTES: usize = 64 * 1024;
const ENTRIES: usize = 64;
const REASON: usize = 300;
const DEPTH: usize = 8;

/// The component with one more section, which asks for that. Whether it may stand there is told by [`crate::Sandbox::inspect`].
pub fn with_request(component: &[u8], request: &str) -> Vec<u8> {
    let section = CustomSection { name: REQUEST_SECTION.into(), data: request.as_bytes().into() };
    let mut asking = component.to_vec();
    section.append_to_component(&mut asking);
    asking
}

/// Reads the one section that there may be. Without one a component asks for nothing: if it calls something all the same, that
/// is refused next.
pub(crate) fn read(sections: &[&[u8]]) -> Result<Request, RequestError> {
    let section = match sections {
        [] => return Ok(Request::default()),
        [section] => *section,
        many => return Err(RequestError::Many(many.len())),
    };
    if section.len() > BYTES {
        return Err(RequestError::TooLarge(section.len()));
    }
    let text = std::str::from_utf8(section).map_err(|_| RequestError::Encoding)?;
    if text.contains(['\u{feff}', '\0']) {
        return Err(RequestError::Encoding);
    }
    let table: Table = text.parse().map_err(|error: toml::de::Error| RequestError::Toml(one_line(error.message())))?;
    if depth(&table) > DEPTH {
        return Err(RequestError::TooDeep);
    }
    parse(&table)
}

fn one_line(text: &str) -> String {
    clean_for_review(text, REASON)
}

/// How deep tables and lists nest. The parser's own bound on nesting is what keeps this recursion small.
fn depth(table: &Table) -> usize {
    fn of(value: &Value) -> usize {
        match value {
            Value::Table(table) => depth(table),
            Value::Array(list) => 1 + list.iter().map(of).max().unwrap_or(0),
            _ => 0,
        }
    }
    1 + table.values().map(of).max().unwrap_or(0)
}

fn parse(table: &Table) -> Result<Request, RequestError> {
    match table.get("version") {
        Some(Value::Integer(1)) => {}
        Some(other) => return Err(RequestError::Version(one_line(&other.to_string()))),
        None => {
            return Err(RequestError::Field {
                field: "version",
                place: "the section".to_owned(),
                expected: "there: `version = 1`",
            });
        }
    }
    known_fields(table, "the section", &["version", "capability"], "version, capability")?;
    let entries = match table.get("capability") {
        None => return Ok(Request::default()),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err(field("capability", "the section", "a list of tables: `[[capability]]`")),
    };
    if entries.len() > ENTRIES {
        return Err(RequestError::TooMany(entries.len()));
    }
    let mut request = Request::default();
    for entry in entries {
        let entry = parse_entry(entry)?;
        if request.entries.iter().any(|other| other.capability == entry.capability) {
            return Err(RequestError::Duplicate(entry.capability.to_string()));
        }
        request.entries.push(entry);
    }
    Ok(request)
}

fn known_fields(table: &Table, place: &'static str, known: &[&str], valid: &'static str) -> Result<(), RequestError> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(RequestError::UnknownField { field: one_line(unknown), place, valid }),
        None => Ok(()),
    }
}

fn field(field: &'static str, place: &str, expected: &'static str) -> RequestError {
    RequestError::Field { field, place: place.to_owned(), expected }
}

fn parse_entry(entry: &Value) -> Result<RequestEntry, RequestError> {
    let Value::Table(table) = entry else {
        return Err(field("capability", "the section", "a list of tables: `[[capability]]`"));
    };
    let valid = "name, reason, credential, optional";
    known_fields(table, "a [[capability]]", &["name", "reason", "credential", "optional"], valid)?;
    let Some(Value::String(name)) = table.get("name") else {
        return Err(field("name", "a [[capability]]", "a text"));
    };
    let capability: Capability = name
        .parse()
        .map_err(|error: domain::plugin::CapabilityError| RequestError::UnknownCapability(one_line_error(&error)))?;
    let place = format!("`{capability}`");
    let reason = match table.get("reason") {
        Some(Value::String(reason)) if !reason.trim().is_empty() && reason.chars().count() <= REASON => reason,
        _ => {
            return Err(field(
                "reason",
                &place,
                "a text of 1 to 300 characters: why it is needed, for whoever grants it",
            ));
        }
    };
    let optional = match table.get("optional") {
        None => false,
        Some(Value::Boolean(optional)) => *optional,
        Some(_) => return Err(field("optional", &place, "true or false")),
    };
    let credential = match (table.get("credential"), &capability) {
        (None, _) => None,
        (Some(Value::String(name)), Capability::Http(_)) if is_word(name) => Some(name.clone()),
        (Some(_), Capability::Http(_)) => {
            return Err(field("credential", &place, "a kebab-case word of at most 64 characters"));
        }
        (Some(_), _) => return Err(field("credential", &place, "absent: only `http` has one")),
    };
    Ok(RequestEntry { capability, reason: clean_for_review(reason, REASON), optional, credential })
}

fn one_line_error(error: &domain::plugin::CapabilityError) -> String {
    let shown = domain::plugin::CapabilityError { text: one_line(&error.text), why: error.why.clone() };
    shown.to_string()
}

/// Every function that is called must be asked for; what is asked for and never called is only odd.
pub(crate) fn covers(request: &Request, called: &[Called]) -> Result<Vec<Warning>, LoadError> {
    for call in called {
        let Some(family) = call.family else { continue };
        if request.of(family).next().is_none() {
            return Err(LoadError::NotRequested { function: call.name.clone(), family });
        }
    }
    let unused = request
        .entries
        .iter()
        .filter(|entry| !called.iter().any(|call| call.family == Some(entry.capability.family())));
    Ok(unused.map(|entry| Warning::Unused { capability: entry.capability.clone() }).collect())
}
