//! Which tokens and which browser sessions there are at this moment. What is taken off the ring opens nothing from then on, nor
//! does it keep open what it opened.
//!
//! A secret is kept as its plain SHA-256: it has 256 random bits, so there is nothing that salt or a slow hash would make harder
//! to try. All of them are compared, each in constant time.

use std::sync::{PoisonError, RwLock};

use domain::access::Right;
use domain::ids::{Digest, SessionId, TokenName};
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

struct Session {
    id: SessionId,
    token: TokenName,
    right: Right,
    secret: Digest,
    opened: Timestamp,
    seen: Timestamp,
}

impl Session {
    fn lives(&self, now: Timestamp) -> bool {
        now.since(self.seen).0 < IDLE.0 && now.since(self.opened).0 < LIFE.0
    }
}

/// The tokens and sessions of this host.
pub(crate) struct Keyring {
    first: Token,
    ring: RwLock<Ring>,
}

#[derive(Default)]
struct Ring {
    sessions: Vec<Session>,
    last: u64,
}

impl Keyring {
    pub(crate) fn new(first: Token) -> Self {
        Self { first, ring: RwLock::default() }
    }

    /// Whose secret this is.
    pub(crate) fn token(&self, offered: &str) -> Option<(TokenName, Right)> {
        self.first.is(offered).then(|| (self.first.name().clone(), Right::Admin))
    }

    /// Whose session this secret opens; `used`: by a person, not by a page that refreshes itself.
    pub(crate) fn session(&self, offered: &str, used: bool, now: Timestamp) -> Option<Visitor> {
        let offered_digest = Digest::of(offered.as_bytes());
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for session in &mut ring.sessions {
            let same = bool::from(session.secret.as_str().as_bytes().ct_eq(offered_digest.as_str().as_bytes()));
            if same && session.lives(now) {
                if used {
                    session.seen = now;
                }
                found = Some(Visitor::session(session.token.clone(), session.right, session.id, form_key(offered)));
            }
        }
        found
    }

    /// Opens a session for the bearer of a token.
    pub(crate) fn log_in(&self, name: TokenName, right: Right, secret: &str, now: Timestamp) -> SessionId {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        ring.sessions.retain(|session| session.lives(now));
        if ring.sessions.len() >= SESSIONS
            && let Some(idle) = (0..ring.sessions.len()).min_by_key(|place| ring.sessions[*place].seen)
        {
            ring.sessions.remove(idle);
        }
        ring.last += 1;
        let id = SessionId(ring.last);
        let secret = Digest::of(secret.as_bytes());
        ring.sessions.push(Session { id, token: name, right, secret, opened: now, seen: now });
        id
    }

    pub(crate) fn log_out(&self, session: SessionId) {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        ring.sessions.retain(|known| known.id != session);
    }

    /// Whether what this visitor came with still opens anything: asked of whoever stays.
    pub(crate) fn still_opens(&self, visitor: &Visitor, now: Timestamp) -> bool {
        let ring = self.ring.read().unwrap_or_else(PoisonError::into_inner);
        visitor.session_id().is_none_or(|id| ring.sessions.iter().any(|session| session.id == id && session.lives(now)))
    }
}

/// What a form of this session says: whoever reads it in a page cannot make the cookie of it.
fn form_key(secret: &str) -> String {
    Digest::of(format!("gatewright form {secret}").as_bytes()).to_string()
}
