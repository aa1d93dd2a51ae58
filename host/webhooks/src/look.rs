//! Looking for a field in somebody else's JSON: missing, null and of another type are the same, and each name may have others.

use domain::ids::{BranchName, CommitId};
use domain::time::Timestamp;
use serde_json::Value;

use crate::event::{Label, Person};

/// Characters of a short text: a name, a word.
pub(crate) const WORD: usize = 200;
/// Characters of a title.
pub(crate) const TITLE: usize = 500;
/// Characters of a text that people wrote.
pub(crate) const TEXT: usize = 2_000;
/// Entries of a list.
const ENTRIES: usize = 100;

static NULL: Value = Value::Null;

/// The first of these members that is there and not null; `a.b` is the member `b` of the member `a`.
pub(crate) fn at<'a>(value: &'a Value, names: &[&str]) -> &'a Value {
    let found = names.iter().map(|path| path.split('.').fold(value, |value, name| value.get(name).unwrap_or(&NULL)));
    found.into_iter().find(|found| !found.is_null()).unwrap_or(&NULL)
}

/// The first of these members that is a text and says something, or a number, cut after so many characters.
pub(crate) fn text(value: &Value, names: &[&str], longest: usize) -> Option<String> {
    names.iter().find_map(|name| plain(at(value, &[name]), longest))
}

fn plain(value: &Value, longest: usize) -> Option<String> {
    match value {
        Value::String(text) => Some(cut(text, longest)).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// At most so many characters.
pub(crate) fn cut(text: &str, longest: usize) -> String {
    let mut characters = text.chars();
    let mut cut: String = characters.by_ref().take(longest).collect();
    if characters.next().is_some() {
        cut.push('…');
    }
    cut
}

/// A short text.
pub(crate) fn word(value: &Value, names: &[&str]) -> Option<String> {
    text(value, names, WORD)
}

/// An id: a text or a number, or an object that has one.
pub(crate) fn id(value: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| {
        let found = at(value, &[name]);
        plain(found, WORD).or_else(|| plain(at(found, &["id"]), WORD))
    })
}

/// A whole number, also one in a text.
pub(crate) fn number(value: &Value, names: &[&str]) -> Option<u64> {
    names.iter().find_map(|name| {
        let found = at(value, &[name]);
        found.as_u64().or_else(|| found.as_str()?.trim().parse().ok())
    })
}

pub(crate) fn flag(value: &Value, names: &[&str]) -> Option<bool> {
    names.iter().find_map(|name| at(value, &[name]).as_bool())
}

/// A commit; the id of zeros by which git says "none" is none.
pub(crate) fn commit(value: &Value, names: &[&str]) -> Option<CommitId> {
    let found = names.iter().find_map(|name| at(value, &[name]).as_str()?.trim().to_ascii_lowercase().parse().ok());
    found.filter(|commit: &CommitId| commit.as_str().bytes().any(|byte| byte != b'0'))
}

/// The name of a ref, whole: one that is cut is another's.
pub(crate) fn reference<'a>(value: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| at(value, &[name]).as_str().filter(|found| !found.is_empty()))
}

pub(crate) fn branch(name: &str) -> Option<BranchName> {
    name.strip_prefix("refs/heads/").unwrap_or(name).parse().ok().filter(|_| {
        // `refs/pull/7/head` is a pull request whose branch is gone.
        name.starts_with("refs/heads/") || !name.starts_with("refs/")
    })
}

/// A time with its zone.
pub(crate) fn time(value: &Value, names: &[&str]) -> Option<Timestamp> {
    names.iter().find_map(|name| {
        let at: jiff::Timestamp = at(value, &[name]).as_str()?.trim().parse().ok()?;
        // Servers write the year 1 for "never".
        u64::try_from(at.as_millisecond()).ok().map(Timestamp)
    })
}

/// A person: an object, or a bare id.
pub(crate) fn person(value: &Value, names: &[&str]) -> Option<Person> {
    names.iter().find_map(|name| {
        let found = at(value, &[name]);
        let id = plain(found, WORD).or_else(|| plain(at(found, &["id"]), WORD));
        let name = word(found, &["display_name", "login", "username", "full_name", "name"]);
        (id.is_some() || name.is_some()).then_some(Person { id, name })
    })
}

/// The first of these members that is a list.
fn list<'a>(value: &'a Value, names: &[&str]) -> &'a [Value] {
    names.iter().find_map(|name| at(value, &[name]).as_array()).map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn people(value: &Value, names: &[&str]) -> Vec<Person> {
    let people = list(value, names).iter().take(ENTRIES).filter_map(|entry| match entry {
        Value::Object(_) => person(&serde_json::json!({ "entry": entry }), &["entry"]),
        bare => Some(Person { id: Some(plain(bare, WORD)?), name: None }),
    });
    people.collect()
}

pub(crate) fn labels(value: &Value, names: &[&str]) -> Vec<Label> {
    let labels = list(value, names).iter().take(ENTRIES).filter_map(|entry| match entry {
        Value::Object(_) => {
            let (id, name) = (word(entry, &["id"]), word(entry, &["name"]));
            (id.is_some() || name.is_some()).then_some(Label { id, name })
        }
        bare => Some(Label { id: Some(plain(bare, WORD)?), name: None }),
    });
    labels.collect()
}

/// A value that may be one or several, as texts.
pub(crate) fn values(value: &Value, names: &[&str]) -> Vec<String> {
    let one = |value: &Value| match value {
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Object(_) => word(value, &["id", "name"]),
        other => plain(other, WORD),
    };
    match at(value, names) {
        Value::Array(list) => list.iter().take(ENTRIES).filter_map(one).collect(),
        other => one(other).into_iter().collect(),
    }
}

/// An address that a browser may be sent to.
pub(crate) fn url(value: &Value, names: &[&str]) -> Option<String> {
    let found = names.iter().find_map(|name| at(value, &[name]).as_str());
    let is_web = |url: &&str| (url.starts_with("https://") || url.starts_with("http://")) && url.len() <= 2_000;
    found.filter(is_web).filter(|url| !url.chars().any(char::is_control)).map(str::to_owned)
}
