//! `gatewright webhook decode`: what a stored request tells of, without a host.

use std::path::Path;

use anyhow::Context as _;
use conductor::ports::clock::Clock as _;
use serde_json::{Value, json};
use webhooks::{DecodeError, Event, Secret, Signature, Source, StoredRequest};

use crate::clock::SystemClock;
use crate::output::{Output, say};
use crate::task::visible;

/// Whoever calls gave a file that is no stored request, or a secret that is none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(String);

/// False: the request tells of no event that we know, or its signature is not what the secret makes.
pub(crate) fn decode(file: &Path, source: Source, secret: Option<&Path>, out: &Output) -> anyhow::Result<bool> {
    let broken = |why: String| Broken(format!("{}: {why}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| broken(error.to_string()))?;
    let request = StoredRequest::parse(&bytes).map_err(|error| broken(error.to_string()))?;
    let signed =
        webhooks::signed(source, &request.headers, &request.body).map_err(|error| broken(error.to_string()))?;
    let signature = signature(source, &request, &signed, secret)?;
    let event = match webhooks::decode(source, &request.headers, &request.body) {
        Ok(event) => Some(event),
        Err(DecodeError::Payload(error)) => return Err(broken(error.to_string()).into()),
        Err(error @ DecodeError::Unknown(_)) => {
            say(&format!("{}: {}", file.display(), visible(&error.to_string())));
            None
        }
    };
    let inspected = webhooks::inspect(source, &request.headers, &signed).map_err(|error| broken(error.to_string()))?;
    let value = json!({
        "source": source,
        "delivery": webhooks::delivery_id(source, &request.headers),
        "key": crate::clock::hex(&webhooks::key(source, &request.headers, &request.body)),
        "about": inspected.about,
        "signature": signature,
        "event": event,
        "meaning": event.as_ref().map(|event| webhooks::meaning(event, true, SystemClock.now())),
    });
    if event.is_some() || out.json {
        out.value(&value, || event.as_ref().map_or_else(String::new, |event| told(event, &value)))?;
    }
    Ok(event.is_some() && signature != "does-not-fit")
}

fn signature(
    source: Source,
    request: &StoredRequest,
    signed: &[u8],
    secret: Option<&Path>,
) -> anyhow::Result<&'static str> {
    let signature = Signature::of(source, &request.headers);
    let Some(path) = secret else {
        return Ok(match signature {
            Signature::Missing => "none",
            Signature::Malformed(_) => "malformed",
            Signature::Given(_) => "not-checked",
        });
    };
    let bytes = std::fs::read(path).map_err(|error| Broken(format!("{}: {error}", path.display())))?;
    let secret = Secret::new(&bytes).map_err(|error| Broken(format!("{}: {error}", path.display())))?;
    Ok(if signature.fits(&secret, signed) { "fits" } else { "does-not-fit" })
}

/// A line for each field that says something.
fn told(event: &Event, value: &Value) -> String {
    let mut lines = Vec::new();
    let fields = serde_json::to_value(event).context("an event is JSON").unwrap_or_default();
    lines.push(visible(fields["kind"].as_str().unwrap_or_default()));
    for name in ["about", "delivery", "signature"] {
        push(&mut lines, name, &value[name]);
    }
    for (name, field) in fields.as_object().into_iter().flatten().filter(|(name, _)| *name != "kind") {
        push(&mut lines, name, field);
    }
    push(&mut lines, "effect", &value["meaning"]["effect"]);
    lines.join("\n")
}

fn push(lines: &mut Vec<String>, name: &str, value: &Value) {
    match value {
        Value::Null | Value::Bool(false) => {}
        Value::Array(list) if list.is_empty() => {}
        Value::Object(members) => {
            for (member, value) in members {
                push(lines, &format!("{name}.{member}"), value);
            }
        }
        Value::String(text) => lines.push(format!("  {name}: {}", visible(text))),
        other => lines.push(format!("  {name}: {}", visible(&other.to_string()))),
    }
}
