//! Which tokens and which browser sessions there are at this moment. What is taken off the ring opens nothing from then on, nor
//! does it keep open what it opened.
//!
//! A secret is kept as its plain SHA-256: it has 256 random bits, so there is nothing that salt or a slow hash would make harder
//! to try. All of them are compared, each in constant time. The store has every row; this process alone writes them while it
//! lives, so what stands here is what stands there.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use conductor::ports::access::{Access, NewToken, SessionRow, TokenRow};
use conductor::ports::store::{Refusal, StoreError};
use domain::access::Right;
use domain::ids::{Actor, Digest, SessionId, TokenName};
use domain::time::{Milliseconds, Timestamp};
use subtle::ConstantTimeEq as _;

use crate::app::Token;
use crate::visitor::Visitor;

/// A session ends when nobody has used it for so long: a meeting and a lunch, not a night.
pub(crate) const IDLE: Milliseconds = Milliseconds::from_seconds(2 * 60 * 60);
/// And in any case after a working day.
pub(crate) const LIFE: Milliseconds = Milliseconds::from_seconds(12 * 60 * 60);
/// More are open only by mistake or by malice; the one that was unused longest makes room.
const SESSIONS: usize = 1000;
/// When something was used is written down so often: a day of requests is no day of writes.
const NOTED: Milliseconds = Milliseconds::from_seconds(60);

/// The tokens and sessions of this host.
pub(crate) struct Keyring {
    access: Arc<dyn Access>,
    ring: RwLock<Ring>,
}

struct Ring {
    tokens: Vec<Key>,
    sessions: Vec<SessionRow>,
    /// From here on, what was last seen is in the store.
    noted: Vec<(SessionId, Timestamp)>,
}

/// A token that opens something.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) name: TokenName,
    pub(crate) right: Right,
    secret: Digest,
    expires_at: Option<Timestamp>,
    used_at: Option<Timestamp>,
    /// The first one lies in a file and not in the store.
    in_store: bool,
}

/// What is to be written down about a use.
#[derive(Clone)]
pub(crate) enum Used {
    Token(TokenName),
    Session(SessionId),
}

impl Key {
    fn of(row: TokenRow) -> Self {
        let TokenRow { name, right, secret, expires_at, used_at, .. } = row;
        Self { name, right, secret, expires_at, used_at, in_store: true }
    }

    fn opens(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

fn same(one: &Digest, other: &Digest) -> bool {
    one.as_str().as_bytes().ct_eq(other.as_str().as_bytes()).into()
}

fn lives(session: &SessionRow, now: Timestamp) -> bool {
    now.since(session.seen_at).0 < IDLE.0 && now.since(session.opened_at).0 < LIFE.0
}

impl Ring {
    /// The token that a session was opened with, if it still opens anything.
    fn key_of(&self, session: &SessionRow, now: Timestamp) -> Option<&Key> {
        let key =
            self.tokens.iter().find(|key| key.name == session.token && same(&key.secret, &session.opened_with))?;
        (key.opens(now) && lives(session, now)).then_some(key)
    }
}

impl Keyring {
    /// Reads what the store has; `first` is the token of the file.
    pub(crate) fn open(access: Arc<dyn Access>, first: &Token) -> Result<Self, StoreError> {
        let mut tokens: Vec<Key> =
            access.tokens()?.into_iter().filter(|row| row.revoked.is_none()).map(Key::of).collect();
        tokens.push(Key {
            name: first.name().clone(),
            right: Right::Admin,
            secret: first.digest(),
            expires_at: None,
            used_at: None,
            in_store: false,
        });
        let ring = Ring { tokens, sessions: access.sessions()?, noted: Vec::new() };
        Ok(Self { access, ring: RwLock::new(ring) })
    }

    fn read(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose secret this is. All are looked at, so that the time tells nothing.
    pub(crate) fn token(&self, offered: &str, now: Timestamp) -> Option<Key> {
        let offered = Digest::of(offered.as_bytes());
        let ring = self.read();
        ring.tokens.iter().fold(None, |found, key| {
            if same(&key.secret, &offered) && key.opens(now) { Some(key.clone()) } else { found }
        })
    }

    /// Says that a token is used; the answer: what to write down, which is seldom anything.
    pub(crate) fn token_used(&self, name: &TokenName, now: Timestamp) -> Option<Used> {
        let is_old = |key: &Key| {
            key.name == *name && key.in_store && key.used_at.is_none_or(|used| now.since(used).0 >= NOTED.0)
        };
        if !self.read().tokens.iter().any(is_old) {
            return None;
        }
        let mut ring = self.write();
        let key = ring.tokens.iter_mut().find(|key| is_old(key))?;
        key.used_at = Some(now);
        Some(Used::Token(name.clone()))
    }

    /// Whose session this secret opens; `used`: by a person, not by a page that refreshes itself.
    pub(crate) fn session(&self, offered: &str, used: bool, now: Timestamp) -> Option<(Visitor, Option<Used>)> {
        let digest = Digest::of(offered.as_bytes());
        let mut ring = self.write();
        let found = ring
            .sessions
            .iter()
            .fold(None, |found, session| if same(&session.secret, &digest) { Some(session.clone()) } else { found })?;
        let key = ring.key_of(&found, now)?;
        let visitor = Visitor::session(key.name.clone(), key.right, found.id, form_key(offered));
        if !used {
            return Some((visitor, None));
        }
        if let Some(session) = ring.sessions.iter_mut().find(|session| session.id == found.id) {
            session.seen_at = now;
        }
        let noted = ring.noted.iter().find(|(id, _)| *id == found.id).map_or(found.opened_at, |(_, at)| *at);
        if now.since(noted).0 < NOTED.0 {
            return Some((visitor, None));
        }
        ring.noted.retain(|(id, _)| *id != found.id);
        ring.noted.push((found.id, now));
        Some((visitor, Some(Used::Session(found.id))))
    }

    /// Writes down what was used. It may block.
    pub(crate) fn note(&self, used: &Used, now: Timestamp) -> Result<(), StoreError> {
        match used {
            Used::Token(name) => self.access.token_used(name, now),
            Used::Session(session) => self.access.session_seen(*session, now),
        }
    }

    /// Opens a session for the bearer of a token. It may block.
    pub(crate) fn log_in(&self, key: &Key, secret: &str, peer: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut session = SessionRow {
            id: SessionId(0),
            token: key.name.clone(),
            opened_with: key.secret.clone(),
            secret: Digest::of(secret.as_bytes()),
            opened_at: now,
            seen_at: now,
        };
        session.id = self.access.open_session(&session, peer)?;
        let mut ring = self.write();
        ring.sessions.retain(|session| lives(session, now));
        if ring.sessions.len() >= SESSIONS
            && let Some(idle) = (0..ring.sessions.len()).min_by_key(|place| ring.sessions[*place].seen_at)
        {
            ring.sessions.remove(idle);
        }
        // Where the token was revoked meanwhile, the session is on the ring and opens nothing.
        ring.sessions.push(session);
        Ok(())
    }

    /// Ends a session. It may block.
    pub(crate) fn log_out(&self, session: SessionId, actor: &Actor, now: Timestamp) -> Result<(), StoreError> {
        {
            let mut ring = self.write();
            ring.sessions.retain(|known| known.id != session);
            ring.noted.retain(|(known, _)| *known != session);
        }
        self.access.end_session(session, actor, now)
    }

    /// Makes a token. It may block.
    pub(crate) fn make(&self, token: &NewToken, actor: &Actor, now: Timestamp) -> Result<(), StoreError> {
        let is_like = |key: &Key| key.name.as_str().eq_ignore_ascii_case(token.name.as_str());
        if let Some(own) = self.read().tokens.iter().find(|key| !key.in_store && is_like(key)) {
            return Err(StoreError::Refused(Refusal::OwnToken { name: own.name.clone() }));
        }
        self.access.put_token(token, actor, now)?;
        let NewToken { name, right, secret, expires_at } = token.clone();
        self.write().tokens.push(Key { name, right, secret, expires_at, used_at: None, in_store: true });
        Ok(())
    }

    /// Takes a token off the ring, and with it all that was opened with it; then the store hears of it. It may block. No: another
    /// hand did so before.
    pub(crate) fn revoke(&self, name: &TokenName, actor: &Actor, now: Timestamp) -> Result<bool, StoreError> {
        if self.read().tokens.iter().any(|key| !key.in_store && key.name == *name) {
            return Err(StoreError::Refused(Refusal::OwnTokenStays { name: name.clone() }));
        }
        let is_done = self.access.revoke_token(name, actor, now)?;
        let mut ring = self.write();
        ring.tokens.retain(|key| key.name != *name);
        ring.sessions.retain(|session| session.token != *name);
        Ok(is_done)
    }

    /// Open sessions of a token.
    pub(crate) fn sessions_of(&self, name: &TokenName, now: Timestamp) -> usize {
        let ring = self.read();
        ring.sessions.iter().filter(|session| session.token == *name && ring.key_of(session, now).is_some()).count()
    }

    /// Whether what this visitor came with still opens anything: asked of whoever stays.
    pub(crate) fn still_opens(&self, visitor: &Visitor, now: Timestamp) -> bool {
        let ring = self.read();
        match (visitor.name(), visitor.session_id()) {
            (None, _) => true,
            (Some(name), None) => ring.tokens.iter().any(|key| key.name == *name && key.opens(now)),
            (Some(_), Some(id)) => {
                ring.sessions.iter().any(|session| session.id == id && ring.key_of(session, now).is_some())
            }
        }
    }
}

/// What a form of this session says: whoever reads it in a page cannot make the cookie of it.
fn form_key(secret: &str) -> String {
    Digest::of(format!("gatewright form {secret}").as_bytes()).to_string()
}
