//! Every answer that is a no: `application/problem+json` with a sentence that says what to do.

use std::fmt;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use conductor::ports::store::{EntryRow, StoreError};
use domain::ids::InvalidId;
use domain::time::Milliseconds;

use crate::api;
use crate::said::{Said, both};
use crate::tongue::Tongue;
use crate::worded;

/// The word of a body that is packed.
const ENCODING: &str = "encoding";

/// A no. Boxed: it is the rare end of every `Result` here. Its answer carries it along, so that the door can make a page of it.
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Told>);

#[derive(Clone, Debug)]
struct Told {
    api: api::Problem,
    said: Said,
}

impl Problem {
    fn new(status: StatusCode, kind: &str, said: Said) -> Self {
        let api = api::Problem {
            kind: format!("urn:gatewright:{kind}"),
            title: status.canonical_reason().unwrap_or("Refused").to_owned(),
            status: status.as_u16(),
            detail: said.english().to_owned(),
            rejected: None,
            task: None,
            since: Vec::new(),
            retry_after: None,
        };
        Self(Box::new(Told { api, said }))
    }

    pub(crate) fn invalid(said: Said) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", said)
    }

    pub(crate) fn not_found(said: Said) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", said)
    }

    pub(crate) fn gone(said: Said) -> Self {
        Self::new(StatusCode::GONE, "gone", said)
    }

    pub(crate) fn conflict(said: Said) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", said)
    }

    /// What a person wanted is not possible as the task stands: with the engine's word for it, and how the task stands.
    pub(crate) fn rejected(said: Said, word: String, task: Option<api::TaskView>) -> Self {
        let mut problem = Self::new(StatusCode::CONFLICT, "rejected", said);
        problem.0.api.rejected = Some(word);
        problem.0.api.task = task;
        problem
    }

    /// What happened meanwhile goes along.
    pub(crate) fn since(mut self, rows: Vec<EntryRow>) -> Self {
        self.0.api.since = rows;
        self
    }

    pub(crate) fn unauthorized(said: Said) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "token", said)
    }

    pub(crate) fn no_token() -> Self {
        Self::unauthorized(both!(
            "the header `Authorization: Bearer <token>` is missing; `gatewright serve` keeps the operator's token in a 0600 \
             file of its folder, and a browser logs in at /login",
            "нет заголовка `Authorization: Bearer <token>`; `gatewright serve` хранит токен оператора в файле 0600 своей папки, \
             а браузер входит на /login"
        ))
    }

    /// A right that is not there; `detail` names it.
    pub(crate) fn right(said: Said) -> Self {
        Self::new(StatusCode::FORBIDDEN, "right", said)
    }

    pub(crate) fn csrf(said: Said) -> Self {
        Self::new(StatusCode::FORBIDDEN, "csrf", said)
    }

    pub(crate) fn too_many(wait: Milliseconds) -> Self {
        let seconds = wait.0.div_ceil(1000).max(1);
        let said = both!(
            "too many wrong tokens came from there; try again in {seconds} seconds",
            "оттуда пришло слишком много неверных токенов; повторите через {seconds} с"
        );
        let mut problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many", said);
        problem.0.api.retry_after = Some(seconds);
        problem
    }

    /// After how many seconds to come again.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.0.api.retry_after
    }

    pub(crate) fn forbidden(said: Said) -> Self {
        Self::new(StatusCode::FORBIDDEN, "cross-site", said)
    }

    pub(crate) fn misdirected(said: Said) -> Self {
        Self::new(StatusCode::MISDIRECTED_REQUEST, "host", said)
    }

    pub(crate) fn method(said: Said) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", said)
    }

    pub(crate) fn media_type(said: Said) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", said)
    }

    /// A body that is packed.
    pub(crate) fn encoding(said: Said) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ENCODING, said)
    }

    pub(crate) fn too_large(said: Said) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", said)
    }

    pub(crate) fn slow(said: Said) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow", said)
    }

    pub(crate) fn busy(said: Said) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", said)
    }

    pub(crate) fn closing() -> Self {
        Self::busy(both!(
            "the host is shutting down; ask again when it is back",
            "хост завершается; спросите снова, когда он вернётся"
        ))
    }

    /// The inside stays inside: the log has it.
    pub(crate) fn broken(cause: &dyn fmt::Display) -> Self {
        tracing::error!(%cause, "a request broke");
        let said = both!(
            "the host could not answer this; its log says why",
            "хост не смог на это ответить; почему — скажет его журнал"
        );
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "broken", said)
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.api.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn detail(&self) -> &str {
        &self.0.api.detail
    }

    /// The same in a reader's language, with what stands in another one marked.
    pub(crate) fn detail_in(&self, t: Tongue) -> String {
        self.0.said.in_tongue(t)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NotFound { what, id } => Self::not_found(worded::absent(*what, id)),
            StoreError::Stale { job } => {
                Self::conflict(both!("the right to job {job} has passed on", "право на работу {job} перешло дальше"))
            }
            StoreError::Refused(refusal) => Self::conflict(worded::refusal(refusal)),
            StoreError::Full(_) => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "disk-full",
                both!(
                    "the disk is full and nothing was written; free some space and ask again",
                    "диск полон, и ничего не записано; освободите место и спросите снова"
                ),
            ),
            StoreError::Busy(_) => {
                tracing::warn!(cause = %error, "a request found the database held");
                Self::busy(both!(
                    "another program holds the database, and nothing was written; ask again in a moment",
                    "базу данных держит другая программа, и ничего не записано; спросите снова чуть позже"
                ))
            }
            StoreError::Damaged(row) => {
                tracing::error!(%row, "a request met a damaged row");
                let ours = Tongue::Russian.inner(row);
                let said = both!(
                    "{row}; `gatewright restore` has it from a backup",
                    "{ours}; `gatewright restore` достанет её из резервной копии"
                );
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "broken", said)
            }
            StoreError::Fatal(_) | StoreError::Broken(_) => Self::broken(&error),
        }
    }
}

impl From<InvalidId> for Problem {
    fn from(error: InvalidId) -> Self {
        Self::invalid(worded::invalid_id(&error))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let text = serde_json::to_vec(&self.0.api).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], text).into_response();
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"gatewright\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        // RFC 9110, 12.5.3: so a client knows that another media type would not help.
        if self.0.api.kind.ends_with(ENCODING) {
            response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
