//! What every handler shares, and the one way from a handler to the store.

use std::fmt::{self, Write as _};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use conductor::ports::access::{Access, Deed, Record};
use conductor::ports::asker::asked_from;
use conductor::ports::store::{Store, StoreError};
use domain::ids::{Actor, Digest, TokenName};
use domain::time::{Milliseconds, Timestamp};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::Instant;

use crate::denials::{Denials, Denied, Told, WINDOW};
use crate::desk::Desk;
use crate::done::Presses;
use crate::door::{PEER, Peer};
use crate::front::{Front, Reach};
use crate::keyring::{Keyring, Used};
use crate::metrics::Meters;
use crate::problem::Problem;
use crate::said::both;
use crate::throttle::Throttle;

/// Store calls at one time. A reader holds a connection of the store's pool; more would only wait there instead.
const STORE_CALLS: usize = 16;
/// Open event streams at one time, over all browsers.
const STREAMS: usize = 64;
/// Whole logs that are fetched at one time: each has a thread.
const DOWNLOADS: usize = 8;
/// Shorter ones can be guessed.
const SHORTEST_SECRET: usize = 16;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where what nobody can guess comes from.
pub type Luck = Arc<dyn Fn() -> io::Result<[u8; 32]> + Send + Sync>;

/// What the gateway stands on.
#[derive(Clone)]
pub struct GatewayState {
    /// The rows.
    pub store: Arc<dyn Store>,
    /// Tokens, sessions, the audit: the same rows.
    pub access: Arc<dyn Access>,
    /// The living host.
    pub desk: Arc<dyn Desk>,
    /// The first token, which the host keeps in a file.
    pub token: Token,
    /// What is in front of the listener.
    pub reach: Reach,
    /// The time.
    pub clock: Clock,
    /// What this life of the host measures.
    pub meters: Arc<Meters>,
    /// What secrets are made of.
    pub luck: Luck,
}

/// A named token. Its secret is compared in constant time and never printed.
#[derive(Clone)]
pub struct Token {
    name: TokenName,
    secret: String,
}

/// Why a token is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It can be guessed.
    #[error("the token is shorter than {SHORTEST_SECRET} characters")]
    Short,
    /// It cannot stand in a header.
    #[error("the token has characters that cannot stand in a header: only visible ASCII can")]
    Characters,
    /// It is recorded with each event, so it must say something.
    #[error("the token's name is none: letters, digits, `-`, `_`, `.`, at most 64")]
    Unnamed,
}

impl Token {
    /// A token by name; the name is what events record.
    pub fn new(name: impl Into<String>, secret: impl Into<String>) -> Result<Self, TokenError> {
        let secret = secret.into();
        let name = TokenName::new(name).map_err(|_| TokenError::Unnamed)?;
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters);
        }
        if secret.len() < SHORTEST_SECRET {
            return Err(TokenError::Short);
        }
        Ok(Self { name, secret })
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.secret.as_bytes())
    }

    pub(crate) fn name(&self) -> &TokenName {
        &self.name
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Token").field("name", &self.name).finish_non_exhaustive()
    }
}

impl GatewayState {
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// 64 hexadecimal digits that nobody can guess.
    pub(crate) fn secret(&self) -> Result<String, Problem> {
        let bytes = (self.luck)().map_err(|error| Problem::broken(&error))?;
        Ok(bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }
}

/// The state of the router.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) state: GatewayState,
    /// Where it is reached.
    pub(crate) front: Front,
    /// When this router was made: the store's count of commits begins anew with each life of a host.
    pub(crate) life: Timestamp,
    /// Turns true when the listener closes: streams end.
    pub(crate) closing: watch::Receiver<bool>,
    pub(crate) streams: Arc<Semaphore>,
    /// The metrics as they were told last, for as long as they are kept.
    pub(crate) told: Arc<Mutex<Option<(Instant, String)>>>,
    pub(crate) downloads: Arc<Semaphore>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) throttle: Arc<Throttle>,
    /// What sessions did lately.
    pub(crate) presses: Arc<Presses>,
    denials: Arc<Denials>,
    calls: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(
        state: GatewayState,
        address: SocketAddr,
        closing: watch::Receiver<bool>,
    ) -> Result<Self, StoreError> {
        let (streams, calls) = (Arc::new(Semaphore::new(STREAMS)), Arc::new(Semaphore::new(STORE_CALLS)));
        let downloads = Arc::new(Semaphore::new(DOWNLOADS));
        let life = state.now();
        let keyring = Arc::new(Keyring::open(Arc::clone(&state.access), &state.token)?);
        let front = Front { address, reach: state.reach.clone() };
        Ok(Self {
            state,
            front,
            life,
            closing,
            streams,
            downloads,
            keyring,
            throttle: Arc::default(),
            presses: Arc::default(),
            denials: Arc::default(),
            told: Arc::default(),
            calls,
        })
    }

    /// The name of the session's cookie. Browsers keep the cookies of all ports of a host in one jar.
    pub(crate) fn cookie_name(&self) -> String {
        let prefix = if self.front.reach.https { "__Host-" } else { "" };
        format!("{prefix}gatewright-{}", self.front.address.port())
    }

    /// The session's cookie as a browser is told it.
    pub(crate) fn cookie(&self, secret: &str, life: Milliseconds) -> String {
        let secure = if self.front.reach.https { "; Secure" } else { "" };
        let (name, seconds) = (self.cookie_name(), life.0 / 1000);
        format!("{name}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
    }

    /// Writes a use down, while the request goes on. Where that fails, nothing but a time is missing.
    pub(crate) fn note(&self, used: Option<Used>) {
        let Some(used) = used else { return };
        let (app, now) = (self.clone(), self.state.now());
        tokio::spawn(async move {
            let keyring = Arc::clone(&app.keyring);
            if let Err(problem) = app.ask(move |_| Ok(keyring.note(&used, now)?)).await {
                tracing::warn!(why = problem.detail(), "the use of a token could not be written down");
            }
        });
    }

    /// Appends a line to the audit for what nobody did: a wrong token, from there.
    fn note_wrong(&self, peer: Peer) {
        let app = self.clone();
        tokio::spawn(async move {
            let actor = Actor::Person("nobody".to_owned());
            let why = "the token opens nothing".to_owned();
            let record =
                Record { outcome: "refused", peer: Some(peer.0.to_string()), why, ..Record::done(actor, Deed::LogIn) };
            if let Err(problem) = app.ask(move |state| Ok(state.access.record(&record, state.now())?)).await {
                tracing::warn!(why = problem.detail(), "a wrong token could not be written down");
            }
        });
    }

    /// Counts a token that is none, and says so.
    pub(crate) fn wrong_token(&self, peer: Peer, now: Timestamp) -> Problem {
        if let Some(wait) = self.throttle.wrong(peer.0, now) {
            self.write_denials(self.denials.held_up(peer.0, now));
            return Problem::too_many(wait);
        }
        self.note_wrong(peer);
        Problem::unauthorized(both!(
            "the token is not this host's; was it made for another folder, renewed, or revoked?",
            "токен не этого хоста: может быть, он от другой папки, заменён или отозван?"
        ))
    }

    /// Writes down that a token wanted what it may not.
    pub(crate) fn denied(&self, name: &TokenName, denied: Denied) {
        self.write_denials(self.denials.denied(name, denied, self.state.now()));
    }

    fn write_denials(&self, told: Told) {
        let Told { records, counts } = told;
        if !records.is_empty() {
            let app = self.clone();
            tokio::spawn(async move { app.append(records).await });
        }
        if counts {
            let app = self.clone();
            tokio::spawn(async move { app.settle_later().await });
        }
    }

    /// Writes down what was counted, once its minute is over or the listener closes.
    async fn settle_later(self) {
        let mut closing = self.closing.clone();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(WINDOW.0)) => self.settle().await,
            () = closed(&mut closing) => self.append(self.denials.all()).await,
        }
    }

    /// Writes down what was counted and is over: whoever reads the audit finds it there.
    pub(crate) async fn settle(&self) {
        self.append(self.denials.over(self.state.now())).await;
    }

    async fn append(&self, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        let appended = self
            .ask(move |state| records.iter().try_for_each(|record| Ok(state.access.record(record, state.now())?)));
        if let Err(problem) = appended.await {
            tracing::warn!(why = problem.detail(), "what was denied could not be written down");
        }
    }

    /// Runs what may block on a thread for it. The permit goes along: a client that hangs up frees no slot that is in use.
    pub(crate) async fn ask<T, F>(&self, question: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&GatewayState) -> Result<T, Problem> + Send + 'static,
    {
        let permit = Arc::clone(&self.calls).acquire_owned().await.map_err(|_| Problem::closing())?;
        let state = self.state.clone();
        let asker = PEER.try_with(|peer| peer.0.to_string()).ok();
        let answer = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            asked_from(asker, || question(&state))
        });
        answer.await.unwrap_or_else(|panic| Err(Problem::broken(&panic)))
    }

    /// As [`Self::ask`], for a write: the conductor looks at once.
    pub(crate) async fn write<T, F>(&self, deed: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&GatewayState) -> Result<T, Problem> + Send + 'static,
    {
        self.ask(move |state| {
            let done = deed(state);
            // Even a refused one may have written (a rejected event is recorded), and a needless look costs nothing.
            state.desk.wake();
            done
        })
        .await
    }
}

/// Ends when the listener closes.
pub(crate) async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error is the sender's end: the listener is gone as well. The guard of the value must not outlive this line.
    drop(closing.wait_for(|closing| *closing).await);
}
