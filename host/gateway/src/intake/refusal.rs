//! Why a request is no delivery: by name, in a sentence, as `application/problem+json`.

use std::fmt;
use std::net::IpAddr;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::ids::ProjectName;
use serde_json::json;
use webhooks::{PayloadError, Signature, Source};

use super::LARGEST_DELIVERY;
use super::body::{BODY_TIME, PATIENCE};
use crate::api::Flaw;

/// A no.
#[derive(Debug)]
pub(super) enum Refusal {
    Path,
    Method,
    /// No project takes anything of this sender.
    Source(Source),
    /// It is not signed as its projects want it. `of`: those that it may be for, where it may be their own sender's; none: it is noise.
    Signature {
        signature: Signature,
        of: Vec<ProjectName>,
    },
    Payload(PayloadError),
    Large,
    Slow,
    /// The connection broke in the middle of the body.
    Broken(String),
    Full,
    /// Another program holds the database, for longer than any sender waits.
    Held,
    Inside,
}

impl Refusal {
    /// The inside stays inside: the log has it.
    pub(super) fn broken(cause: &dyn fmt::Display) -> Self {
        tracing::error!(%cause, "a delivery could not be kept");
        Self::Inside
    }

    /// What is wrong with a signature that may be the own sender's.
    pub(super) fn flaw(&self) -> Option<(Flaw, &[ProjectName])> {
        match self {
            Self::Signature { signature: Signature::Given(_), of } if !of.is_empty() => Some((Flaw::Unfit, of)),
            Self::Signature { signature: Signature::Malformed(_), of } if !of.is_empty() => Some((Flaw::Malformed, of)),
            Self::Signature { signature: Signature::Missing, of } if !of.is_empty() => Some((Flaw::Unsigned, of)),
            _ => None,
        }
    }

    /// What an operator must see to mend it; the rest anybody may cause.
    pub(super) fn tell(&self, source: Source, peer: IpAddr, known: &str) {
        let detail = self.detail();
        match self {
            Self::Signature { .. } | Self::Large | Self::Slow | Self::Full | Self::Held => {
                tracing::warn!(%source, from = %peer, "a delivery is refused: {detail}{known}; more of the kind are counted");
            }
            _ => {
                tracing::debug!(%source, from = %peer, "a delivery is refused: {detail}; more of the kind are counted");
            }
        }
    }

    /// What is counted together; a signature that may be the sender's own is no noise.
    pub(super) fn kind(&self) -> &'static str {
        match self.flaw() {
            Some((Flaw::Unfit, _)) => "misfit",
            Some((Flaw::Malformed, _)) => "malformed",
            Some((Flaw::Unsigned, _)) => "unsigned",
            None => self.word(),
        }
    }

    const fn status(&self) -> StatusCode {
        match self {
            Self::Path | Self::Source(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Signature { .. } => StatusCode::UNAUTHORIZED,
            Self::Payload(PayloadError::Encoding(_) | PayloadError::Type(..)) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Payload(_) | Self::Broken(_) => StatusCode::BAD_REQUEST,
            // Whoever sent it would send it again just as large; the look is the answer.
            Self::Large => StatusCode::ACCEPTED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
            Self::Held => StatusCode::SERVICE_UNAVAILABLE,
            Self::Inside => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Path => "not-found",
            Self::Method => "method",
            Self::Source(_) => "source",
            Self::Signature { .. } => "signature",
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
            Self::Held => "busy",
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
            Self::Signature { signature: Signature::Missing, .. } => {
                "the delivery is not signed: its webhook needs a secret, one of those in the `secret-files` of its project; where that one's \
                 file says `unsigned = \"loopback\"`, it takes also what a program of this machine sends by a name of loopback, by no proxy \
                 and for no page of a browser"
                    .to_owned()
            }
            Self::Signature { signature: Signature::Malformed(why), .. } => format!("the signature is none: {why}"),
            Self::Signature { signature: Signature::Given(_), .. } => {
                "the signature fits no secret of the project that the delivery is for".to_owned()
            }
            Self::Payload(error) => error.to_string(),
            Self::Large => format!(
                "the body is larger than {LARGEST_DELIVERY} bytes, so it is not kept; what it told of is looked for"
            ),
            Self::Slow => format!(
                "the body did not arrive within {} seconds, or less than 1 KiB of it a second after the first {}",
                BODY_TIME.as_secs(),
                PATIENCE.as_secs()
            ),
            Self::Broken(why) => format!("the body did not arrive: {why}"),
            Self::Full => "the disk is full and nothing was written".to_owned(),
            Self::Held => "another program holds the database, and nothing was written".to_owned(),
            Self::Inside => "the host could not keep this; its log says why".to_owned(),
        }
    }
}

/// For whom what was refused may have been news.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// For nobody: it was no delivery.
    Nobody,
    /// For whoever takes anything of this sender: who sent it is not known.
    Anybody,
    /// For these, as their sender proved.
    Proven(Vec<ProjectName>),
}

/// A refusal, and what follows from it.
#[derive(Debug)]
pub(super) struct Turned {
    pub(super) refusal: Refusal,
    pub(super) news: News,
}

impl Turned {
    /// Of a sender who proved to be these projects' own; none of them: he did not.
    pub(super) fn of_proven(refusal: Refusal, projects: Vec<ProjectName>) -> Self {
        let news = if projects.is_empty() { News::Anybody } else { News::Proven(projects) };
        Self { refusal, news }
    }
}

impl From<Refusal> for Turned {
    fn from(refusal: Refusal) -> Self {
        let is_none = matches!(refusal, Refusal::Path | Refusal::Method | Refusal::Source(_));
        Self { refusal, news: if is_none { News::Nobody } else { News::Anybody } }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        if matches!(self, Self::Large) {
            return super::answer(status, &json!({"status": self.word(), "why": self.detail()}));
        }
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
