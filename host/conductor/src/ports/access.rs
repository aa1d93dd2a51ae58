//! The part of the store that knows who may do what at the operator's listener, and who did what. Every method that writes is one
//! transaction, with the line of the audit in it.

use std::fmt;
use std::str::FromStr;

use domain::access::Right;
use domain::event::Intent;
use domain::ids::{Actor, Digest, ProjectName, SessionId, TaskId, TokenName};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::store::StoreError;

/// A token that shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Never a name that was a token's before.
    pub name: TokenName,
    /// What it lets its bearer do.
    pub right: Right,
    /// The SHA-256 of its secret.
    pub secret: Digest,
    /// From then on it is none.
    pub expires_at: Option<Timestamp>,
}

/// A token as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its name.
    pub name: TokenName,
    /// What it lets its bearer do.
    pub right: Right,
    /// The SHA-256 of its secret.
    pub secret: Digest,
    /// By whom.
    pub made_by: Actor,
    /// When.
    pub made_at: Timestamp,
    /// From then on it is none.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub used_at: Option<Timestamp>,
    /// When and by whom it was revoked.
    pub revoked: Option<(Timestamp, Actor)>,
}

/// A browser that logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Its number.
    pub id: SessionId,
    /// With which token.
    pub token: TokenName,
    /// The SHA-256 of that token's secret.
    pub opened_with: Digest,
    /// The SHA-256 of the cookie's.
    pub secret: Digest,
    /// When.
    pub opened_at: Timestamp,
    /// When a person used it last, to the minute.
    pub seen_at: Timestamp,
}

/// What somebody wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deed {
    /// Something of a task.
    Intent(Intent),
    /// That a task needs another one.
    Depend,
    /// That it does not.
    Undepend,
    /// A card.
    CreateCard,
    /// A card in another column.
    MoveCard,
    /// A card no more.
    RemoveCard,
    /// To say something at a card.
    Comment,
    /// To tell what another system found about a commit.
    ReportCheck,
    /// No new task.
    Freeze,
    /// New tasks again.
    Thaw,
    /// A token.
    MakeToken,
    /// A token no more.
    RevokeToken,
    /// To log in.
    LogIn,
    /// To log out.
    LogOut,
    /// A parked delivery read once more.
    RetryDelivery,
    /// All tasks stopped.
    StopAll,
    /// The host's files read anew.
    Reload,
    /// A component in a project's file.
    AddPlugin,
    /// It there no more, or another one in its place.
    ChangePlugin,
    /// Something that the token's right is not enough for.
    Denied,
}

impl Deed {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::Intent(Intent::Start),
        Self::Intent(Intent::Approve),
        Self::Intent(Intent::Reject),
        Self::Intent(Intent::ConfirmDeploy),
        Self::Intent(Intent::Stop),
        Self::Intent(Intent::Estimate),
        Self::Intent(Intent::Resume),
        Self::Intent(Intent::Waive),
        Self::Intent(Intent::Pause),
        Self::Depend,
        Self::Undepend,
        Self::CreateCard,
        Self::MoveCard,
        Self::RemoveCard,
        Self::Comment,
        Self::ReportCheck,
        Self::Freeze,
        Self::Thaw,
        Self::MakeToken,
        Self::RevokeToken,
        Self::LogIn,
        Self::LogOut,
        Self::RetryDelivery,
        Self::StopAll,
        Self::Reload,
        Self::AddPlugin,
        Self::ChangePlugin,
        Self::Denied,
    ];

    /// As rows and the API spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intent(Intent::Start) => "start",
            Self::Intent(Intent::Approve) => "approve",
            Self::Intent(Intent::Reject) => "reject",
            Self::Intent(Intent::ConfirmDeploy) => "confirm-deploy",
            Self::Intent(Intent::Stop) => "stop",
            Self::Intent(Intent::Estimate) => "estimate",
            Self::Intent(Intent::Resume) => "resume",
            Self::Intent(Intent::Waive) => "waive",
            Self::Intent(Intent::Pause) => "pause",
            Self::Depend => "depend",
            Self::Undepend => "undepend",
            Self::CreateCard => "create-card",
            Self::MoveCard => "move-card",
            Self::RemoveCard => "remove-card",
            Self::Comment => "comment",
            Self::ReportCheck => "report-check",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::MakeToken => "make-token",
            Self::RevokeToken => "revoke-token",
            Self::LogIn => "log-in",
            Self::LogOut => "log-out",
            Self::RetryDelivery => "retry-delivery",
            Self::StopAll => "stop-all",
            Self::Reload => "reload",
            Self::AddPlugin => "add-plugin",
            Self::ChangePlugin => "change-plugin",
            Self::Denied => "denied",
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A word that is no deed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is nothing that is recorded; there are: {}", Deed::ALL.map(Deed::as_str).join(", "))]
pub struct NoSuchDeed {
    /// What was parsed, cut to 80 characters.
    pub text: String,
}

impl FromStr for Deed {
    type Err = NoSuchDeed;

    fn from_str(text: &str) -> Result<Self, NoSuchDeed> {
        let found = Self::ALL.into_iter().find(|deed| deed.as_str() == text);
        found.ok_or_else(|| NoSuchDeed { text: text.chars().take(80).collect() })
    }
}

/// A line of the audit that shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who.
    pub actor: Actor,
    /// What.
    pub what: Deed,
    /// `done`, or why not: the engine's word, or `refused`.
    pub outcome: &'static str,
    /// From which address, where that is known.
    pub peer: Option<String>,
    /// Of which project.
    pub project: Option<ProjectName>,
    /// Of which task.
    pub task: Option<TaskId>,
    /// What it was done to: a work item, a token, a plugin.
    pub subject: Option<String>,
    /// How that stood before, for people.
    pub before: Option<String>,
    /// And after.
    pub after: Option<String>,
    /// The reason that was given, or the one for a no.
    pub why: String,
}

impl Record {
    /// Something that was done.
    pub fn done(actor: Actor, what: Deed) -> Self {
        Self {
            actor,
            what,
            outcome: "done",
            peer: None,
            project: None,
            task: None,
            subject: None,
            before: None,
            after: None,
            why: String::new(),
        }
    }
}

/// A line of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    /// Its number: later lines have greater ones.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// Who, with the log-in.
    pub actor: Actor,
    /// The actor's name.
    pub who: String,
    /// What: `approve`, `make-token`, `log-in`, …
    pub what: String,
    /// `done`, or why not: `late`, `duplicate`, `illegal`, `terminal`, `refused`.
    pub outcome: String,
    /// From which address, where that is known.
    pub peer: Option<String>,
    /// Of which project.
    pub project: Option<String>,
    /// Of which task.
    pub task: Option<TaskId>,
    /// What it was done to: a work item, a token, a plugin.
    pub subject: Option<String>,
    /// How that stood before, for people.
    pub before: Option<String>,
    /// And after.
    pub after: Option<String>,
    /// The reason that was given, or the one for a no.
    pub why: String,
}

/// Which lines of the audit; what is none is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this name.
    pub who: Option<String>,
    /// Of this kind.
    pub what: Option<Deed>,
    /// Of this task.
    pub task: Option<TaskId>,
    /// Of this project.
    pub project: Option<ProjectName>,
    /// Not older.
    pub since: Option<Timestamp>,
    /// Older.
    pub until: Option<Timestamp>,
    /// With a smaller number: where the last answer ended.
    pub before: Option<u64>,
}

/// Tokens, sessions, the audit.
pub trait Access: Send + Sync {
    /// Keeps a token. Refused where its name was one's before.
    fn put_token(&self, token: &NewToken, actor: &Actor, now: Timestamp) -> Result<(), StoreError>;
    /// Revokes it, and ends the sessions that were opened with it. What is revoked already stays as it is: then the answer is no.
    fn revoke_token(&self, name: &TokenName, actor: &Actor, now: Timestamp) -> Result<bool, StoreError>;
    /// All that ever were, by name.
    fn tokens(&self) -> Result<Vec<TokenRow>, StoreError>;
    /// It was used.
    fn token_used(&self, name: &TokenName, now: Timestamp) -> Result<(), StoreError>;

    /// A browser logged in; `session.id` is given by the store.
    fn open_session(&self, session: &SessionRow, peer: &str) -> Result<SessionId, StoreError>;
    /// A person used it.
    fn session_seen(&self, session: SessionId, now: Timestamp) -> Result<(), StoreError>;
    /// It is over: somebody logged out.
    fn end_session(&self, session: SessionId, actor: &Actor, now: Timestamp) -> Result<(), StoreError>;
    /// Those that nobody ended.
    fn sessions(&self) -> Result<Vec<SessionRow>, StoreError>;

    /// Appends a line for what no other write records.
    fn record(&self, record: &Record, now: Timestamp) -> Result<(), StoreError>;
    /// Lines, newest first.
    fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditRow>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::Deed;

    #[test]
    fn every_deed_is_spelled_one_way() {
        for deed in Deed::ALL {
            assert_eq!(deed.as_str().parse(), Ok(deed));
        }
        let refused = "aprove".parse::<Deed>().unwrap_err().to_string();
        assert!(refused.starts_with("`aprove` is nothing that is recorded; there are: start, approve"));
    }
}
