//! Tokens and the audit, as the API tells of them.

use conductor::ports::access::{AuditRow, TokenRow};
use domain::access::Right;
use domain::ids::{Actor, TokenName};
use domain::time::{Milliseconds, Timestamp};
use serde::{Deserialize, Serialize};

/// `POST /api/v1/tokens`: a token that shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedToken {
    /// Letters, digits, `-`, `_`, `.`, at most 64; never one that was a token's before.
    pub name: String,
    /// `read`, `operate` or `admin`.
    pub right: Right,
    /// Milliseconds from now; left out: until it is revoked.
    #[serde(default, deserialize_with = "super::whole::read")]
    pub expires_in: Option<Milliseconds>,
}

/// `/api/v1/tokens`: a token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// Its name.
    pub name: TokenName,
    /// What it lets its bearer do.
    pub right: Right,
    /// By whom.
    pub made_by: Actor,
    /// When.
    pub made_at: Timestamp,
    /// From then on it is none.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// By whom.
    pub revoked_by: Option<Actor>,
    /// Browsers that are logged in with it now.
    pub sessions: usize,
}

impl TokenView {
    /// Of the store's row.
    pub fn of(row: TokenRow, sessions: impl FnOnce(&TokenName) -> usize) -> Self {
        let sessions = if row.revoked.is_some() { 0 } else { sessions(&row.name) };
        let (revoked_at, revoked_by) = row.revoked.unzip();
        let TokenRow { name, right, made_by, made_at, expires_at, used_at, .. } = row;
        Self { name, right, made_by, made_at, expires_at, used_at, revoked_at, revoked_by, sessions }
    }
}

/// `POST /api/v1/tokens` answers this, once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeToken {
    /// The token.
    pub token: TokenView,
    /// What its bearer sends; nobody can read it again.
    pub secret: String,
}

/// `GET /api/v1/audit`: lines, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// The lines.
    pub items: Vec<AuditRow>,
    /// What `before` is for the lines that follow; none: there are no more.
    pub next: Option<u64>,
}
