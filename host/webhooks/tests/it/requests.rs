//! Each event of the senders, in the form in which their servers send it. The files were made for these tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use domain::time::Timestamp;
use serde_json::{Value, json};
use webhooks::{Secret, Signature, Source, StoredRequest, decode, inspect, meaning, signed};

/// What the files are signed with.
const SECRET: &[u8] = b"a-secret-for-fixtures-only";
/// 2026-04-01, after all that the files tell of.
const NOW: Timestamp = Timestamp(1_775_000_000_000);

/// All files of a source, by name.
pub(crate) fn files(source: Source) -> BTreeMap<String, StoredRequest> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(source.as_str());
    let read = |path: &Path| StoredRequest::parse(&fs::read(path).unwrap()).unwrap();
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), read(&path))).collect()
}

fn told(source: Source) -> Value {
    let mut all = serde_json::Map::new();
    for (name, request) in files(source) {
        let event = decode(source, &request.headers, &request.body).unwrap();
        let bytes = signed(source, &request.headers, &request.body).unwrap();
        let inspected = inspect(source, &request.headers, &bytes).unwrap();
        let shown = json!({"about": inspected.about, "word": inspected.event, "event": event, "meaning": meaning(&event, true, NOW)});
        all.insert(name, shown);
    }
    Value::Object(all)
}

#[test]
fn every_event_of_plane_is_decoded() {
    assert_eq!(files(Source::Plane).len(), 18);
    insta::assert_json_snapshot!("plane", told(Source::Plane));
}

#[test]
fn every_event_of_gitea_is_decoded() {
    assert_eq!(files(Source::Gitea).len(), 46);
    insta::assert_json_snapshot!("gitea", told(Source::Gitea));
}

#[test]
fn every_request_is_signed_and_one_byte_more_less_or_other_is_not() {
    let (right, wrong) = (Secret::new(SECRET).unwrap(), Secret::new(b"some other secret").unwrap());
    for (source, (name, request)) in
        Source::ALL.into_iter().flat_map(|source| files(source).into_iter().map(move |file| (source, file)))
    {
        let bytes = signed(source, &request.headers, &request.body).unwrap().into_owned();
        let signature = Signature::of(source, &request.headers);
        assert!(signature.fits(&right, &bytes), "{name}");
        assert!(!signature.fits(&wrong, &bytes), "{name}");
        let mut changed = bytes.clone();
        changed[bytes.len() / 2] ^= 1;
        assert!(!signature.fits(&right, &changed), "{name}");
        assert!(
            !signature.fits(&right, &bytes[1..]) && !signature.fits(&right, &[&bytes, b" ".as_slice()].concat()),
            "{name}"
        );
    }
}

#[test]
fn nothing_that_is_not_signed_is_a_fact() {
    for (source, (name, request)) in
        Source::ALL.into_iter().flat_map(|source| files(source).into_iter().map(move |file| (source, file)))
    {
        let event = decode(source, &request.headers, &request.body).unwrap();
        assert_eq!(meaning(&event, false, NOW).facts, Vec::new(), "{name}");
    }
}

#[test]
fn every_event_has_its_table_in_the_document() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/events.md")).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for source in Source::ALL {
        for request in files(source).into_values() {
            let event = serde_json::to_value(decode(source, &request.headers, &request.body).unwrap()).unwrap();
            let kind = event["kind"].as_str().unwrap().to_owned();
            let section = document.split(&format!("\n### `{kind}`\n")).nth(1);
            let section = section.unwrap_or_else(|| panic!("docs/events.md has no section `{kind}`"));
            let section = section.split("\n## ").next().unwrap().split("\n### ").next().unwrap();
            for field in event.as_object().unwrap().keys().filter(|field| *field != "kind") {
                assert!(section.contains(&format!("`{field}`")), "docs/events.md, `{kind}`: no `{field}`");
            }
            kinds.insert(kind);
        }
    }
    assert_eq!(kinds.len(), 17, "a file for each kind of event: {kinds:?}");
}
