//! Asking the living host: the command line writes through its API, never into its database.

use std::path::Path;
use std::time::Duration;

use gateway::api::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::listener;
use crate::output::quoted;
use crate::state::{ADDRESS_FILE, TOKEN_FILE};

/// Whose token commands are given with, where it is not the one of the folder.
pub(crate) const TOKEN_VARIABLE: &str = "GATEWRIGHT_TOKEN";

/// Why the host did not answer as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No host serves this folder.
    #[error("no host serves {dir}: start one with `gatewright serve --dir {}`", quoted(dir))]
    NotServing {
        /// The folder.
        dir: String,
    },
    /// One does, and what opens it cannot be read.
    #[error(
        "a host serves {dir}, and the operator's token {path} cannot be read: {why}; a host that starts writes it where it is missing"
    )]
    NoToken {
        /// The folder.
        dir: String,
        /// The token's file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another program listens where the host did: it is told nothing, least of all the token.
    #[error(
        "{address} belongs to another program, not to the host of {dir}: start one with `gatewright serve --dir {}`",
        quoted(dir)
    )]
    Stranger {
        /// The folder.
        dir: String,
        /// Where the host listened.
        address: String,
    },
    /// It said no.
    #[error("{}", crate::task::visible(&.0.detail))]
    No(Box<Problem>),
    /// It could not be asked.
    #[error("the host did not answer: {0}")]
    Unreachable(String),
}

impl ClientError {
    /// Whoever asks may not: nothing else of the kind will be answered otherwise.
    pub(crate) fn is_about_rights(&self) -> bool {
        matches!(self, Self::No(problem) if matches!(problem.status, 401 | 403))
    }

    /// The token opens nothing there.
    pub(crate) fn is_unknown_token(&self) -> bool {
        matches!(self, Self::No(problem) if problem.status == 401)
    }

    /// Nothing was decided: asked again it may be.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::No(problem) => problem.status >= 500 || matches!(problem.status, 408 | 429),
            Self::Unreachable(_) => true,
            Self::NotServing { .. } | Self::NoToken { .. } | Self::Stranger { .. } => false,
        }
    }
}

/// Commands are given with another token than the folder's own.
pub(crate) fn brings_own_token() -> bool {
    std::env::var(TOKEN_VARIABLE).is_ok_and(|token| !token.trim().is_empty())
}

/// One segment of a path, or one value of a query: nothing of it is read as anything else.
pub(crate) fn segment(text: &impl ToString) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let shown = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.to_string().bytes().map(shown).collect()
}

/// The living host's API.
pub(crate) struct Client {
    http: reqwest::blocking::Client,
    base: String,
    token: String,
}

impl Client {
    /// Finds the host that serves a folder.
    pub(crate) fn find(dir: &Path) -> Result<Self, ClientError> {
        let not_serving = || ClientError::NotServing { dir: dir.display().to_string() };
        let address = std::fs::read_to_string(dir.join(ADDRESS_FILE)).map_err(|_| not_serving())?;
        let http = reqwest::blocking::Client::builder()
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .build()
            .map_err(|error| ClientError::Unreachable(error.to_string()))?;
        let base = address.trim().to_owned();
        http.get(format!("{base}/healthz")).send().map_err(|_| not_serving())?;
        let socket = base.strip_prefix("http://").and_then(|socket| socket.parse().ok());
        if let (Some(holder), Some(socket)) = (listener::holder(dir), socket)
            // Another user's sockets cannot be seen: then its answers must do.
            && !listener::listens(holder, socket).unwrap_or(true)
        {
            return Err(ClientError::Stranger { dir: dir.display().to_string(), address: base });
        }
        let path = dir.join(TOKEN_FILE);
        // Whoever has a token of their own is recorded by its name, not as the owner of the folder.
        let token = match std::env::var(TOKEN_VARIABLE) {
            Ok(token) if !token.trim().is_empty() => token,
            _ => std::fs::read_to_string(&path).map_err(|error| ClientError::NoToken {
                dir: dir.display().to_string(),
                path: path.display().to_string(),
                why: error.to_string(),
            })?,
        };
        Ok(Self { http, base, token: token.trim().to_owned() })
    }

    /// Where it listens.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// `GET path`.
    pub(crate) fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, ClientError> {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token);
        read(request.send())
    }

    /// `GET path`, as bytes.
    pub(crate) fn bytes(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token);
        let response = request.send().map_err(|error| unreachable(&error))?;
        if response.status().is_success() {
            return response.bytes().map(|bytes| bytes.to_vec()).map_err(|error| unreachable(&error));
        }
        Err(problem(response))
    }

    /// `PUT path`.
    pub(crate) fn put<B: Serialize, A: DeserializeOwned>(&self, path: &str, body: &B) -> Result<A, ClientError> {
        let request = self.http.put(format!("{}{path}", self.base)).bearer_auth(&self.token).json(body);
        read(request.send())
    }

    /// `GET path`, as it comes: no end is expected.
    pub(crate) fn stream(&self, path: &str) -> Result<impl std::io::Read + Send + use<>, ClientError> {
        let http = reqwest::blocking::Client::builder()
            .timeout(None)
            .no_proxy()
            .build()
            .map_err(|error| unreachable(&error))?;
        let request = http.get(format!("{}{path}", self.base)).bearer_auth(&self.token);
        let response = request.send().map_err(|error| unreachable(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(problem(response)) }
    }

    /// `DELETE path`.
    pub(crate) fn delete<B: Serialize, A: DeserializeOwned>(&self, path: &str, body: &B) -> Result<A, ClientError> {
        let request = self.http.delete(format!("{}{path}", self.base)).bearer_auth(&self.token).json(body);
        read(request.send())
    }

    /// `POST path`.
    pub(crate) fn post<B: Serialize, A: DeserializeOwned>(&self, path: &str, body: &B) -> Result<A, ClientError> {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.token).json(body);
        read(request.send())
    }
}

fn read<A: DeserializeOwned>(sent: reqwest::Result<reqwest::blocking::Response>) -> Result<A, ClientError> {
    let response = sent.map_err(|error| unreachable(&error))?;
    if !response.status().is_success() {
        return Err(problem(response));
    }
    response.json().map_err(|error| unreachable(&error))
}

fn problem(response: reqwest::blocking::Response) -> ClientError {
    let status = response.status();
    match response.json::<Problem>() {
        Ok(problem) => ClientError::No(Box::new(problem)),
        Err(_) => ClientError::Unreachable(format!("it answered {status}")),
    }
}

fn unreachable(error: &reqwest::Error) -> ClientError {
    // The address stands in the error; the host's own token never does.
    ClientError::Unreachable(error.to_string())
}
