//! A request as it is stored in a file: `{"method": …, "headers": [[name, value], …], "raw_body": …}`.

use serde_json::Value;

use crate::headers::Headers;

/// A request in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRequest {
    /// As they were sent.
    pub headers: Headers,
    /// As it was sent.
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
        let body = body.as_str().ok_or(Unreadable::Form("`raw_body` is no text"))?;
        Ok(Self { headers: headers_of(headers)?, body: body.as_bytes().to_vec() })
    }
}

fn headers_of(value: &Value) -> Result<Headers, Unreadable> {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(Unreadable::Form("a header's value is no text"));
    match value {
        Value::Array(pairs) => {
            let mut headers = Vec::new();
            for pair in pairs {
                match pair.as_array().map(Vec::as_slice) {
                    Some([Value::String(name), value]) => headers.push((name.clone(), text(value)?)),
                    _ => return Err(Unreadable::Form("an entry of `headers` is no pair of a name and a value")),
                }
            }
            Ok(Headers::new(headers))
        }
        Value::Object(map) => {
            let pairs = map.iter().map(|(name, value)| Ok((name.clone(), text(value)?)));
            Ok(Headers::new(pairs.collect::<Result<Vec<_>, _>>()?))
        }
        _ => Err(Unreadable::Form("`headers` is no list")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            r#"{"headers": {"a": 1}, "raw_body": ""}"#,
        ] {
            assert!(StoredRequest::parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
