//! From a body to its JSON: content type, form, encoding, depth.

use std::borrow::Cow;

use serde_json::Value;

use crate::Source;
use crate::headers::Headers;

/// How many lists and objects may lie in one another. The senders' own lie in one another eight times; a text with markup in it may
/// go deeper, and the parser's own end is 127.
pub const DEEPEST: usize = 100;

/// Why a body holds no event, whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// It is packed, and we unpack nothing: a small body could become a large one.
    #[error("the body is packed (`Content-Encoding: {0}`); send it as it is")]
    Encoding(String),
    /// Nobody sends this.
    #[error("the body came as {0}; {1}")]
    Type(String, &'static str),
    /// A form must carry it.
    #[error("the form has {0} fields `payload`; it must have one")]
    Form(usize),
    /// It is no text.
    #[error("the body is not UTF-8 from byte {0} on")]
    NotUtf8(usize),
    /// It is no JSON.
    #[error("the body is no JSON: {0}")]
    NotJson(String),
    /// Whoever reads it could run out of stack.
    #[error("the body's lists and objects lie in one another more than {DEEPEST} times at byte {0}")]
    Deep(usize),
    /// An event is an object.
    #[error("the body is JSON, but no object")]
    NoObject,
}

const JSON_ONLY: &str = "send `Content-Type: application/json`";
const JSON_OR_FORM: &str = "send `Content-Type: application/json`, or a form with the field `payload`";

/// The bytes that the sender signed: the body, or the field `payload` of a form.
pub fn signed<'a>(source: Source, headers: &Headers, body: &'a [u8]) -> Result<Cow<'a, [u8]>, PayloadError> {
    if let Some(encoding) =
        headers.get("content-encoding").filter(|encoding| !encoding.eq_ignore_ascii_case("identity"))
    {
        return Err(PayloadError::Encoding(encoding.chars().take(40).collect()));
    }
    let kind = headers.get("content-type").unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(Cow::Borrowed(body));
    }
    let is_form = essence.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    match source {
        Source::Gitea if is_form => form(body),
        _ => {
            let said =
                if essence.is_empty() { "no content type".to_owned() } else { essence.chars().take(80).collect() };
            let right = if source == Source::Gitea { JSON_OR_FORM } else { JSON_ONLY };
            Err(PayloadError::Type(said, right))
        }
    }
}

fn form(body: &[u8]) -> Result<Cow<'_, [u8]>, PayloadError> {
    let mut payloads = form_urlencoded::parse(body).filter(|(name, _)| name == "payload");
    match (payloads.next(), payloads.count()) {
        (Some((_, payload)), 0) => Ok(match payload {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }),
        (None, _) => Err(PayloadError::Form(0)),
        (Some(_), more) => Err(PayloadError::Form(more + 1)),
    }
}

/// The text of an object that is not too deep to be read.
pub(crate) fn text(signed: &[u8]) -> Result<&str, PayloadError> {
    let text = std::str::from_utf8(signed).map_err(|error| PayloadError::NotUtf8(error.valid_up_to()))?;
    if let Some(at) = too_deep(signed) {
        return Err(PayloadError::Deep(at));
    }
    Ok(text)
}

/// The whole of it.
pub(crate) fn value(signed: &[u8]) -> Result<Value, PayloadError> {
    let value: Value = serde_json::from_str(text(signed)?).map_err(|error| not_json(&error))?;
    if value.is_object() { Ok(value) } else { Err(PayloadError::NoObject) }
}

pub(crate) fn not_json(error: &serde_json::Error) -> PayloadError {
    PayloadError::NotJson(error.to_string())
}

/// Where the nesting passes the bound. It counts brackets outside of texts, which in JSON is the same.
fn too_deep(bytes: &[u8]) -> Option<usize> {
    // Most have fewer brackets in all, and to count them takes a tenth of the time.
    if bytes.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() <= DEEPEST {
        return None;
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > DEEPEST {
                    return Some(at);
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str) -> Headers {
        Headers::new([("Content-Type", kind)])
    }

    #[test]
    fn what_was_signed_is_the_body_or_the_payload_of_a_form() {
        let json = of("application/json; charset=utf-8");
        assert_eq!(signed(Source::Plane, &json, b"{}").unwrap().as_ref(), b"{}");
        let form = of("application/x-www-form-urlencoded");
        assert_eq!(signed(Source::Gitea, &form, b"payload=%7B%22a%22%3A+1%7D").unwrap().as_ref(), b"{\"a\": 1}");
        assert_eq!(signed(Source::Gitea, &form, b"other=1"), Err(PayloadError::Form(0)));
        assert_eq!(signed(Source::Gitea, &form, b"payload=1&payload=2"), Err(PayloadError::Form(2)));
        assert!(matches!(signed(Source::Plane, &form, b"payload=1"), Err(PayloadError::Type(..))));
        assert!(matches!(signed(Source::Gitea, &of("text/plain"), b"{}"), Err(PayloadError::Type(..))));
        assert!(matches!(signed(Source::Gitea, &Headers::default(), b"{}"), Err(PayloadError::Type(..))));
        let packed = Headers::new([("content-type", "application/json"), ("content-encoding", "gzip")]);
        assert_eq!(signed(Source::Gitea, &packed, b""), Err(PayloadError::Encoding("gzip".to_owned())));
    }

    #[test]
    fn what_no_parser_should_read_is_refused_by_name() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(value(nested(DEEPEST - 1).as_bytes()).is_ok());
        assert_eq!(value(nested(DEEPEST).as_bytes()), Err(PayloadError::Deep(4 + DEEPEST)));
        assert_eq!(value("[".repeat(5_000_000).as_bytes()), Err(PayloadError::Deep(DEEPEST)));
        assert!(value(br#"{"a": "[[[\"[[[\\", "b": "]"}"#).is_ok());
        assert_eq!(value(b"[1]"), Err(PayloadError::NoObject));
        assert_eq!(value(b"{\"a\": \"\xff\"}"), Err(PayloadError::NotUtf8(7)));
        for broken in ["", "{", "{\"a\":}", "{} {}", "nonsense"] {
            assert!(matches!(value(broken.as_bytes()), Err(PayloadError::NotJson(_))), "{broken}");
        }
    }
}
