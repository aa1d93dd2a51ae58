//! Requests to other systems. The host adds the credential that a request names, below all that the plugin sees.

pub use crate::bindings::shared::gatewright::http::client::{Header, Method, Request, Response, send};

use crate::errors::HostError;

impl Request {
    /// `url` is absolute and carries no secret.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), headers: Vec::new(), body: None, timeout_ms: None, credential: None }
    }

    /// A `GET`.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::Get, url)
    }

    /// A `POST` of these bytes, 1 MiB at most.
    pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Some(body.into()), ..Self::new(Method::Post, url) }
    }

    /// What frames a message or names its way is the host's to say; `authorization` too where a credential is named.
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push(Header { name: name.into(), value: value.into() });
        self
    }

    /// The name of a credential, as in the component's request. Its value never comes here.
    pub fn with_credential(mut self, name: impl Into<String>) -> Self {
        self.credential = Some(name.into());
        self
    }

    /// Sends it. Any status is an answer, and no redirect is followed. After [`HostError::Timeout`] it may have arrived.
    pub fn send(&self) -> Result<Response, HostError> {
        send(self)
    }
}
