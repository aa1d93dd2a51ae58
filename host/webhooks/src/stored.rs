//! A request as it is stored in a file: `{"method": …, "headers": [[name, value], …], "raw_body": …}`.

use serde_json::Value;

use crate::headers::Headers;

/// A request in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRequest {
    /// As they were sent; whoever stored it without a content type had JSON.
    pub headers: Headers,
    /// As it was sent; of one that was stored as an object, an object that says the same, which no signature fits.
    pub body: Vec<u8>,
}

/// Why a file holds no request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no JSON.
    #[error("the file is no JSON: {0}")]
    NotJson(String),
    /// It is JSON of another form.
    #[error("{0}; a stored request is an object with `headers` (a list of [name, value]) and `raw_body` (a text)")]
    Form(&'static str),
}

impl StoredRequest {
    /// Reads the bytes of a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Unreadable> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| Unreadable::NotJson(error.to_string()))?;
        let object = value.as_object().ok_or(Unreadable::Form("the file holds no object"))?;
        let headers = object.get("headers").ok_or(Unreadable::Form("the file has no `headers`"))?;
        let body = object.get("raw_body").ok_or(Unreadable::Form("the file has no `raw_body`"))?;
        let body = match body {
            Value::String(text) => text.as_bytes().to_vec(),
            Value::Object(_) => body.to_string().into_bytes(),
            _ => return Err(Unreadable::Form("`raw_body` is no text")),
        };
        Ok(Self { headers: headers_of(headers)?, body })
    }
}

fn headers_of(value: &Value) -> Result<Headers, Unreadable> {
    let mut headers = Vec::new();
    match value {
        Value::Array(pairs) => {
            for pair in pairs {
                match pair.as_array().map(Vec::as_slice) {
                    Some([Value::String(name), value]) => put(&mut headers, name, value),
                    _ => return Err(Unreadable::Form("an entry of `headers` is no pair of a name and a value")),
                }
            }
        }
        Value::Object(map) => map.iter().for_each(|(name, value)| put(&mut headers, name, value)),
        _ => return Err(Unreadable::Form("`headers` is no list")),
    }
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    Ok(Headers::new(headers))
}

/// A text, a number, or several of them; what is none of these says nothing.
fn put(headers: &mut Vec<(String, String)>, name: &str, value: &Value) {
    match value {
        Value::String(text) => headers.push((name.to_owned(), text.clone())),
        Value::Number(number) => headers.push((name.to_owned(), number.to_string())),
        Value::Array(values) => {
            for value in values.iter().filter(|value| !value.is_array()) {
                put(headers, name, value);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_otherwise_is_read_as_far_as_it_says_something() {
        let read = |text: &str| StoredRequest::parse(text.as_bytes()).unwrap();
        let sent =
            read(r#"{"headers": {"X-A": ["1", "2", [3], null], "X-B": null, "X-C": 5}, "raw_body": {"a": [1]}}"#);
        assert_eq!((sent.headers.get("x-a"), sent.headers.count("x-a")), (Some("1"), 2));
        assert_eq!((sent.headers.get("x-b"), sent.headers.get("x-c")), (None, Some("5")));
        assert_eq!((sent.headers.get("content-type"), sent.body), (Some("application/json"), b"{\"a\":[1]}".to_vec()));
        let form =
            read(r#"{"headers": [["Content-Type", "application/x-www-form-urlencoded"]], "raw_body": "payload="}"#);
        assert_eq!(form.headers.count("content-type"), 1);
    }

    #[test]
    fn a_stored_request_has_headers_and_a_body_and_anything_else_is_named() {
        let read = StoredRequest::parse(br#"{"note": "n", "headers": [["X-A", "1"], ["x-a", "2"]], "raw_body": "{}"}"#);
        let read = read.unwrap();
        assert_eq!((read.headers.get("x-a"), read.headers.count("x-a"), read.body), (Some("1"), 2, b"{}".to_vec()));
        for broken in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"headers": [], "raw_body": 5}"#,
            r#"{"headers": 5, "raw_body": ""}"#,
            r#"{"headers": [["a"]], "raw_body": ""}"#,
            r#"{"headers": {"a": "1"}, "raw_body": [1]}"#,
        ] {
            assert!(StoredRequest::parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
