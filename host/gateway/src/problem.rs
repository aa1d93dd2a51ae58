//! Every answer that is a no: `application/problem+json` with a sentence that says what to do.

use std::fmt;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use conductor::ports::store::{EntryRow, StoreError};
use domain::ids::InvalidId;
use domain::time::Milliseconds;

use crate::api;

/// The word of a body that is packed.
const ENCODING: &str = "encoding";

/// A no. Boxed: it is the rare end of every `Result` here. Its answer carries it along, so that the door can make a page of it.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<api::Problem>);

impl Problem {
    fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(api::Problem {
            kind: format!("urn:gatewright:{kind}"),
            title: status.canonical_reason().unwrap_or("Refused").to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            rejected: None,
            task: None,
            since: Vec::new(),
            retry_after: None,
        }))
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(crate) fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "gone", detail)
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// What a person wanted is not possible as the task stands: with the engine's word for it, and how the task stands.
    pub(crate) fn rejected(detail: String, word: String, task: Option<api::TaskView>) -> Self {
        let mut problem = Self::new(StatusCode::CONFLICT, "rejected", detail);
        problem.0.rejected = Some(word);
        problem.0.task = task;
        problem
    }

    /// What happened meanwhile goes along.
    pub(crate) fn since(mut self, rows: Vec<EntryRow>) -> Self {
        self.0.since = rows;
        self
    }

    pub(crate) fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "token", detail)
    }

    pub(crate) fn no_token() -> Self {
        Self::unauthorized(
            "the header `Authorization: Bearer <token>` is missing; `gatewright serve` keeps the operator's token in a 0600 \
             file of its folder, and a browser logs in at /login",
        )
    }

    /// A right that is not there; `detail` names it.
    pub(crate) fn right(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "right", detail)
    }

    pub(crate) fn csrf(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "csrf", detail)
    }

    pub(crate) fn too_many(wait: Milliseconds) -> Self {
        let seconds = wait.0.div_ceil(1000).max(1);
        let detail = format!("too many wrong tokens came from there; try again in {seconds} seconds");
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", detail);
        problem.0.retry_after = Some(seconds);
        problem
    }

    /// After how many seconds to come again.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.0.retry_after
    }

    pub(crate) fn forbidden(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "cross-site", detail)
    }

    pub(crate) fn misdirected(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::MISDIRECTED_REQUEST, "host", detail)
    }

    pub(crate) fn method(detail: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail)
    }

    pub(crate) fn media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail)
    }

    /// A body that is packed.
    pub(crate) fn encoding(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ENCODING, detail)
    }

    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
    }

    pub(crate) fn slow(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow", detail)
    }

    pub(crate) fn busy(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
    }

    pub(crate) fn closing() -> Self {
        Self::busy("the host is shutting down; ask again when it is back")
    }

    /// The inside stays inside: the log has it.
    pub(crate) fn broken(cause: &dyn fmt::Display) -> Self {
        tracing::error!(%cause, "a request broke");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "broken", "the host could not answer this; its log says why")
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { .. } => Self::not_found(error.to_string()),
            StoreError::Stale { .. } | StoreError::Refused(_) => Self::conflict(error.to_string()),
            StoreError::Full(_) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "disk-full",
                "the disk is full and nothing was written; free some space and ask again",
            ),
            StoreError::Busy(_) => {
                tracing::warn!(cause = %error, "a request found the database held");
                Self::busy("another program holds the database, and nothing was written; ask again in a moment")
            }
            StoreError::Damaged(row) => {
                tracing::error!(%row, "a request met a damaged row");
                let cure = "`gatewright restore` has it from a backup";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "broken", format!("{row}; {cure}"))
            }
            StoreError::Fatal(_) | StoreError::Broken(_) => Self::broken(&error),
        }
    }
}

impl From<InvalidId> for Problem {
    fn from(error: InvalidId) -> Self {
        Self::invalid(error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let text = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], text).into_response();
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"gatewright\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        // RFC 9110, 12.5.3: so a client knows that another media type would not help.
        if self.0.kind.ends_with(ENCODING) {
            response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
