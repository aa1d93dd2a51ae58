//! Requests that were damaged, cut, renamed or made up: nothing panics, and what was not touched is still told.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use webhooks::{DecodeError, Headers, Source, StoredRequest, decode, inspect, key, meaning, signed};

use crate::requests::files;

fn all() -> Vec<(Source, StoredRequest)> {
    Source::ALL
        .into_iter()
        .flat_map(|source| files(source).into_values().map(move |request| (source, request)))
        .collect()
}

/// All that is done with a request, whatever comes of it.
fn walk(source: Source, headers: &Headers, body: &[u8]) {
    let _ = key(source, headers, body);
    let _ = headers.kept();
    if let Ok(bytes) = signed(source, headers, body) {
        let _ = inspect(source, headers, &bytes);
    }
    if let Ok(event) = decode(source, headers, body) {
        let told = meaning(&event, true, domain::time::Timestamp(1));
        assert!(told.facts.len() <= 1);
        assert!(serde_json::to_vec(&event).unwrap().len() < 1 << 20, "an event is never large");
    }
}

/// What stands at one of the places of a value is replaced.
fn replace_nth(value: &mut Value, nth: &mut usize, with: &Value) {
    if *nth == 0 {
        *value = with.clone();
    }
    *nth = nth.wrapping_sub(1);
    match value {
        Value::Array(list) => list.iter_mut().for_each(|entry| replace_nth(entry, nth, with)),
        Value::Object(members) => members.values_mut().for_each(|member| replace_nth(member, nth, with)),
        _ => {}
    }
}

#[test]
fn any_field_may_be_missing_null_renamed_or_of_another_type() {
    let others =
        [Value::Null, Value::Bool(true), 7.into(), "…".into(), serde_json::json!([]), serde_json::json!({"id": {}})];
    for (source, request) in all() {
        let bytes = signed(source, &request.headers, &request.body).unwrap();
        let headers = Headers::new(
            request
                .headers
                .iter()
                .map(|(name, value)| (name, if name == "content-type" { "application/json" } else { value })),
        );
        let whole: Value = serde_json::from_slice(&bytes).unwrap();
        let kind = serde_json::to_value(decode(source, &headers, &bytes).unwrap()).unwrap()["kind"].clone();
        for (with, nth) in others.iter().flat_map(|with| (1..120).map(move |nth| (with, nth))) {
            let (mut changed, mut place) = (whole.clone(), nth);
            replace_nth(&mut changed, &mut place, with);
            let body = serde_json::to_vec(&changed).unwrap();
            walk(source, &headers, &body);
            match decode(source, &headers, &body) {
                // What is routed on may itself have been changed; nothing else makes an event another one, but for a comment
                // whose pull request is gone.
                Ok(event) if source == Source::Gitea && kind != "issue-commented" => {
                    assert_eq!(serde_json::to_value(&event).unwrap()["kind"], kind);
                }
                Ok(_) | Err(DecodeError::Unknown(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        if let Value::Object(mut members) = whole {
            members.insert("a field that came later".to_owned(), serde_json::json!({"deep": [1, 2]}));
            let body = serde_json::to_vec(&members).unwrap();
            assert_eq!(decode(source, &headers, &body), decode(source, &headers, &bytes));
        }
    }
}

proptest! {
    #[test]
    fn no_body_and_no_headers_make_anything_panic(
        body in vec(any::<u8>(), 0..300),
        headers in vec(("[a-zA-Z-]{1,20}", ".{0,40}"), 0..6),
        kind in prop::sample::select(vec!["push", "status", "pull_request", "issue_comment", "issue", "nonsense", ""]),
        form in any::<bool>(),
    ) {
        let content = if form { "application/x-www-form-urlencoded" } else { "application/json" };
        let given = [("content-type".to_owned(), content.to_owned()), ("x-gitea-event-type".to_owned(), kind.to_owned())];
        let headers = Headers::new(given.into_iter().chain(headers));
        for source in Source::ALL {
            walk(source, &headers, &body);
        }
    }

    #[test]
    fn damaged_requests_make_nothing_panic(
        which in any::<prop::sample::Index>(),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
        truncated in any::<bool>(),
    ) {
        let files = all();
        let (source, request) = &files[which.index(files.len())];
        let mut body = request.body.clone();
        for (at, byte) in flips {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if truncated {
            body.truncate(end.index(body.len()));
        }
        walk(*source, &request.headers, &body);
    }
}

#[test]
fn what_is_no_event_of_ours_says_so() {
    let headers = |kind: &str| Headers::new([("content-type", "application/json"), ("x-gitea-event-type", kind)]);
    let unknown = decode(Source::Gitea, &headers("star"), b"{}").unwrap_err();
    assert_eq!(unknown.to_string(), "this is no event that we know: Gitea's `star`");
    let none = decode(Source::Plane, &headers("push"), b"{}").unwrap_err();
    assert!(none.to_string().contains("names one"), "{none}");
    assert!(matches!(decode(Source::Gitea, &headers("push"), b"[]"), Err(DecodeError::Payload(_))));
}

#[test]
fn an_event_without_a_type_is_still_told_from_its_like() {
    let headers = |event: &str| Headers::new([("content-type", "application/json"), ("x-gitea-event", event)]);
    let kind = |event: &str, body: &str| {
        serde_json::to_value(decode(Source::Gitea, &headers(event), body.as_bytes()).unwrap()).unwrap()["kind"].clone()
    };
    assert_eq!(kind("issue_comment", r#"{"is_pull": true}"#), "pull-request-commented");
    assert_eq!(kind("issue_comment", r#"{"issue": {"pull_request": {}}}"#), "pull-request-commented");
    assert_eq!(kind("issue_comment", r#"{"issue": {"pull_request": null}}"#), "issue-commented");
    assert_eq!(
        kind("pull_request_comment", r#"{"action": "reviewed", "review": {"type": "x"}}"#),
        "pull-request-reviewed"
    );
    assert_eq!(kind("pull_request_comment", r#"{"comment": {}}"#), "pull-request-commented");
    assert_eq!(kind("pull_request_approved", "{}"), "pull-request-reviewed");
}

fn told(kind: &str, body: &Value) -> Value {
    let headers = Headers::new([("content-type", "application/json"), ("x-gitea-event-type", kind)]);
    serde_json::to_value(decode(Source::Gitea, &headers, body.to_string().as_bytes()).unwrap()).unwrap()
}

/// A name that is cut would be another branch's.
#[test]
fn a_branch_is_told_by_its_whole_name_or_not_at_all() {
    let at = "a".repeat(40);
    for (length, is_one) in [(195, true), (242, false), (4000, false)] {
        let name = "y".repeat(length);
        let expected = if is_one { Value::from(name.as_str()) } else { Value::Null };
        let reference = format!("refs/heads/{name}");
        let push = serde_json::json!({"ref": reference, "before": "", "after": at, "repository": {"full_name": "a/b"}});
        assert_eq!(told("push", &push)["branch"], expected, "{length}");
        let made = serde_json::json!({"ref": name, "ref_type": "branch", "sha": at});
        assert_eq!(told("create", &made)["branch"], expected, "{length}");
        let pull = serde_json::json!({"action": "opened", "pull_request": {"head": {"ref": name, "sha": at}}});
        assert_eq!(told("pull_request", &pull)["head"]["name"], expected, "{length}");
        let run = serde_json::json!({"action": "completed", "workflow_run": {"head_branch": name, "head_sha": at}});
        assert_eq!(told("workflow_run", &run)["branch"], expected, "{length}");
    }
}

#[test]
fn what_is_said_under_a_second_name_counts_where_the_first_says_nothing() {
    let merged = serde_json::json!({"action": "closed", "pull_request": {"merged_at": "2026-01-31T12:00:00Z"}});
    let told_of = told("pull_request", &merged);
    assert_eq!((&told_of["merged"], &told_of["action"]), (&Value::from(true), &Value::from("merged")));
    let open = serde_json::json!({"action": "closed", "pull_request": {"merged_at": null}});
    assert_eq!(told("pull_request", &open)["merged"], Value::from(false));
    let headers = Headers::new([("content-type", "application/json"), ("x-plane-event", "issue")]);
    let body = r#"{"event": "issue", "action": "updated", "data": {"id": "i", "labels": "x", "label_ids": ["l"]}}"#;
    let issue = serde_json::to_value(decode(Source::Plane, &headers, body.as_bytes()).unwrap()).unwrap();
    assert_eq!(issue["labels"], serde_json::json!([{"id": "l", "name": null}]));
}

/// JSON has numbers that are larger than any that a computer's are.
#[test]
fn a_number_beyond_all_bounds_is_null_and_the_rest_is_told() {
    let headers = Headers::new([("content-type", "application/json"), ("x-gitea-event-type", "push")]);
    for number in ["1e400", "-1E+999", "[1e400, 2.5, -3]"] {
        let body = format!(
            r#"{{"n": {number}, "ref": "refs/heads/x", "repository": {{"full_name": "a/b"}}, "total_commits": 7}}"#
        );
        let told = serde_json::to_value(decode(Source::Gitea, &headers, body.as_bytes()).unwrap()).unwrap();
        assert_eq!((&told["branch"], &told["commits"]), (&Value::from("x"), &Value::from(7)), "{number}");
        assert_eq!(inspect(Source::Gitea, &headers, body.as_bytes()).unwrap().about.as_deref(), Some("a/b"));
    }
}
