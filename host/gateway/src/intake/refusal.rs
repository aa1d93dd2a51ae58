//! Why a request is no delivery: by name, in a sentence, as `application/problem+json`.

use std::fmt;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use webhooks::{PayloadError, Signature, Source};

use super::LARGEST_DELIVERY;
use super::body::{BODY_TIME, PATIENCE};

/// A no.
#[derive(Debug)]
pub(super) enum Refusal {
    Path,
    Method,
    /// No project takes anything of this sender.
    Source(Source),
    Signature(Signature),
    Payload(PayloadError),
    Large,
    Slow,
    /// The connection broke in the middle of the body.
    Broken(String),
    Full,
    Inside,
}

impl Refusal {
    /// The inside stays inside: the log has it.
    pub(super) fn broken(cause: &dyn fmt::Display) -> Self {
        tracing::error!(%cause, "a delivery could not be kept");
        Self::Inside
    }

    /// What an operator must see to mend it; the rest anybody may cause.
    pub(super) fn tell(&self, source: Source) {
        match self {
            Self::Signature(_) | Self::Large | Self::Full => {
                tracing::warn!(%source, "a delivery is refused: {}", self.detail());
            }
            _ => tracing::debug!(%source, "a delivery is refused: {}", self.detail()),
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Path | Self::Source(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Signature(_) => StatusCode::UNAUTHORIZED,
            Self::Payload(PayloadError::Encoding(_) | PayloadError::Type(..)) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Payload(_) | Self::Broken(_) => StatusCode::BAD_REQUEST,
            Self::Large => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
            Self::Inside => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Path => "not-found",
            Self::Method => "method",
            Self::Source(_) => "source",
            Self::Signature(_) => "signature",
            Self::Payload(PayloadError::Encoding(_)) => "encoding",
            Self::Payload(PayloadError::Type(..)) => "media-type",
            Self::Payload(PayloadError::Form(_)) => "form",
            Self::Payload(PayloadError::NotUtf8(_)) => "utf-8",
            Self::Payload(PayloadError::NotJson(_) | PayloadError::NoObject) => "json",
            Self::Payload(PayloadError::Deep(_)) => "deep",
            Self::Large => "too-large",
            Self::Slow => "slow",
            Self::Broken(_) => "body",
            Self::Full => "disk-full",
            Self::Inside => "broken",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Path => "there is nothing here but `POST /webhook/plane` and `POST /webhook/gitea`".to_owned(),
            Self::Method => "a webhook is sent by POST".to_owned(),
            Self::Source(source) => {
                format!("no project of this host has `[webhooks.{source}]` in its file, so nothing of it is taken")
            }
            Self::Signature(Signature::Missing) => {
                "the delivery is not signed, and its project takes only what is".to_owned()
            }
            Self::Signature(Signature::Malformed(why)) => format!("the signature is none: {why}"),
            Self::Signature(Signature::Given(_)) => {
                "the signature fits no secret of the project that the delivery is for".to_owned()
            }
            Self::Payload(error) => error.to_string(),
            Self::Large => format!("the body is larger than {LARGEST_DELIVERY} bytes"),
            Self::Slow => format!(
                "the body did not arrive within {} seconds, or less than 1 KiB of it a second after the first {}",
                BODY_TIME.as_secs(),
                PATIENCE.as_secs()
            ),
            Self::Broken(why) => format!("the body did not arrive: {why}"),
            Self::Full => "the disk is full and nothing was written".to_owned(),
            Self::Inside => "the host could not keep this; its log says why".to_owned(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = json!({
            "type": format!("urn:gatewright:{}", self.word()),
            "title": status.canonical_reason().unwrap_or("Refused"),
            "status": status.as_u16(),
            "detail": self.detail(),
        });
        let kind = [(header::CONTENT_TYPE, "application/problem+json"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
        (status, kind, body.to_string()).into_response()
    }
}
