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
    let read = |text: &str| serde_json::from_str::<Value>(text).map_err(|error| not_json(&error));
    let value = or_mended(text(signed)?, read)?;
    if value.is_object() { Ok(value) } else { Err(PayloadError::NoObject) }
}

/// Reads it; where that fails, with what some senders' own libraries write and no standard knows put into words that it knows.
pub(crate) fn or_mended<T>(text: &str, read: impl Fn(&str) -> Result<T, PayloadError>) -> Result<T, PayloadError> {
    match read(text) {
        Err(PayloadError::NotJson(why)) => match mended(text) {
            Some(mended) => read(&mended),
            None => Err(PayloadError::NotJson(why)),
        },
        outcome => outcome,
    }
}

/// Half a character (`"\ud83d"`) is the sign of what is none, and `NaN`, `Infinity` and `-Infinity` are null. None: there is nothing of it.
fn mended(text: &str) -> Option<String> {
    const NONE: [&str; 3] = ["NaN", "Infinity", "-Infinity"];
    let (mut mended, mut rest, mut in_text) = (String::with_capacity(text.len()), text, false);
    while let Some(first) = rest.chars().next() {
        let (taken, written) = match (in_text, first) {
            (true, '\\') => escape(rest),
            (false, 'N' | 'I' | '-' | '0'..='9') => match NONE.into_iter().find(|word| rest.starts_with(word)) {
                Some(word) => (word.len(), "null"),
                None => number(rest),
            },
            _ => {
                in_text ^= first == '"';
                (first.len_utf8(), &rest[..first.len_utf8()])
            }
        };
        mended.push_str(written);
        rest = &rest[taken..];
    }
    (mended != text).then_some(mended)
}

/// How long the number is that stands here, if it is one, and what is written for it: JSON has larger ones than anybody reads.
fn number(rest: &str) -> (usize, &str) {
    let end = rest.find(|next: char| !matches!(next, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(rest.len());
    let number = &rest[..end.max(1)];
    let is_endless = number.parse::<f64>().is_ok_and(f64::is_infinite);
    (number.len(), if is_endless { "null" } else { number })
}

/// How long the escape is that stands here, and what is written for it.
fn escape(rest: &str) -> (usize, &str) {
    let unit = |at: usize| {
        let digits = rest.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    match (unit(0), unit(6)) {
        (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => (12, &rest[..12]),
        (Some(0xd800..0xe000), _) => (6, "\\ufffd"),
        // The next byte is a whole character, or the text is broken anyway.
        _ => match rest.get(..2) {
            Some(pair) => (2, pair),
            None => (1, &rest[..1]),
        },
    }
}

pub(crate) fn not_json(error: &serde_json::Error) -> PayloadError {
    PayloadError::NotJson(error.to_string())
}

/// Where the nesting passes the bound. It counts brackets outside of texts, which in JSON is the same.
fn too_deep(bytes: &[u8]) -> Option<usize> {
    // Most have fewer brackets in all, and to count them takes a hundredth of the time: many bytes at once, since the two differ in one
    // bit, and no piece has more of them than a byte counts.
    let in_piece = |piece: &[u8]| piece.iter().map(|byte| u8::from(byte | 0x20 == b'{')).sum::<u8>();
    if bytes.chunks(255).map(|piece| usize::from(in_piece(piece))).sum::<usize>() <= DEEPEST {
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
    fn half_characters_and_numbers_that_are_none_are_read_as_nothing() {
        let read = value(
            r#"{"a": "x\ud83dy", "b": "\ude00", "c": "\ud83d\ude00", "d": [NaN, -Infinity, Infinity, -1]}"#.as_bytes(),
        );
        let expected =
            serde_json::json!({"a": "x\u{fffd}y", "b": "\u{fffd}", "c": "\u{1f600}", "d": [null, null, null, -1]});
        assert_eq!(read.unwrap(), expected);
        let quoted = r#"{"a": "NaN \\ud83d \" Infinity", "b": NaN}"#;
        assert_eq!(value(quoted.as_bytes()).unwrap()["a"], "NaN \\ud83d \" Infinity", "texts stay as they are");
        for broken in [r#"{"a": "\ud83d"#, r#"{"a": "\"#, r#"{"a": "\u12é"}"#, "{\"a\": Nan}", "{\"a\": \"\\é\"}"] {
            assert!(matches!(value(broken.as_bytes()), Err(PayloadError::NotJson(_))), "{broken}");
        }
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
