//! The services that agents speak to, on this machine's loopback: they refuse what the real ones refuse, answer by a script, and
//! keep records of their own, by which tests count. And the agents themselves: the real programs, by npm, pinned with their hashes.

mod http;
pub mod messages;
pub mod npm;
pub mod python;
pub mod responses;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing that a test awaits takes longer on a loaded machine.
const LONG: Duration = Duration::from_secs(90);

/// The folder in which programs are kept that tests run.
fn cache() -> PathBuf {
    let from = |name: &str, below: &str| std::env::var_os(name).map(|folder| Path::new(&folder).join(below));
    let found = from("GATEWRIGHT_CI_CACHE", "")
        .or_else(|| from("XDG_CACHE_HOME", "gatewright-ci"))
        .or_else(|| from("HOME", ".cache/gatewright-ci"));
    found.expect("GATEWRIGHT_CI_CACHE or HOME says where programs are kept")
}

/// What the service does with a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// It answers with words and the end of the turn.
    Say(String),
    /// It asks for a command to be run.
    Run(String),
    /// It refuses with a status of HTTP.
    Refuse(u16),
    /// It takes the call and never answers.
    Hang,
    /// It begins its answer and never goes on.
    Stall,
    /// It answers with a page, as a proxy does that stands before it.
    Page,
    /// It drops the connection.
    Drop,
}

impl Reply {
    /// Words.
    pub fn say(words: &str) -> Self {
        Self::Say(words.to_owned())
    }

    /// A command.
    pub fn run(command: &str) -> Self {
        Self::Run(command.to_owned())
    }
}

/// Tokens of a call, as the service counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// In, without those of the cache.
    pub input: u64,
    /// Out.
    pub output: u64,
    /// Read from the cache.
    pub cache_read: u64,
    /// Written to it.
    pub cache_creation: u64,
}

/// What each call of these services uses.
pub const EACH: Tokens = Tokens { input: 1000, output: 25, cache_read: 300, cache_creation: 200 };

/// A call for a model's answer.
#[derive(Clone, Debug)]
pub struct Call {
    /// Counts from 0.
    pub number: usize,
    /// What was asked.
    pub body: Value,
}

/// One request as the service saw it.
#[derive(Clone, Debug)]
pub struct Record {
    /// The method and the path.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// What was sent; null: nothing, or no JSON.
    pub body: Value,
    /// What was answered; none: not yet, or never.
    pub status: Option<u16>,
    /// It was a call for a model's answer, and sound.
    pub is_call: bool,
}

impl Record {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// The records of a service, and whether it has closed.
#[derive(Default)]
pub(crate) struct Books {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    records: Vec<Record>,
    calls: usize,
    is_closed: bool,
}

impl Books {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a request down; the number that it has.
    pub(crate) fn enter(&self, record: Record) -> usize {
        let mut state = self.state();
        state.records.push(record);
        self.changed.notify_all();
        state.records.len() - 1
    }

    /// A sound call: its number among those.
    pub(crate) fn call(&self, record: usize) -> usize {
        let mut state = self.state();
        state.records[record].is_call = true;
        state.calls += 1;
        self.changed.notify_all();
        state.calls - 1
    }

    pub(crate) fn answered(&self, record: usize, status: u16) {
        self.state().records[record].status = Some(status);
        self.changed.notify_all();
    }

    /// Blocks until the service closes.
    pub(crate) fn hang(&self) {
        let mut state = self.state();
        while !state.is_closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().is_closed
    }
}

/// A service that runs until it is dropped.
pub struct Service {
    address: SocketAddr,
    books: Arc<Books>,
}

impl Service {
    pub(crate) fn new(address: SocketAddr, books: Arc<Books>) -> Self {
        Self { address, books }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests, in their order.
    pub fn records(&self) -> Vec<Record> {
        self.books.state().records.clone()
    }

    /// The sound calls among them.
    pub fn calls(&self) -> Vec<Record> {
        self.records().into_iter().filter(|record| record.is_call).collect()
    }

    /// Blocks until so many sound calls have come in.
    ///
    /// # Panics
    /// Where they do not come.
    pub fn await_calls(&self, number: usize) {
        let deadline = Instant::now() + LONG;
        let mut state = self.books.state();
        while state.calls < number {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {number} calls came", state.calls);
            state = self.books.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.books.close();
        // Whoever waits for a connection looks up.
        drop(std::net::TcpStream::connect(self.address));
    }
}
