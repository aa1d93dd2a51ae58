//! TLS to the service behind the keyed door. The shim lies outside of the sandbox, so the machine's own authorities are there:
//! whoever has added one of his own is obeyed.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::relay::{BUFFER_BYTES, LAST_WORDS};
use super::request::Host;

/// How long each step of the greeting may take.
const GREETING: Duration = Duration::from_secs(10);

/// Who is believed.
pub(super) struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Those that a file names, or the system's. The error is a sentence.
    pub(super) fn load(authorities: Option<&Path>) -> Result<Self, String> {
        let found = match authorities {
            Some(file) => rustls_native_certs::load_certs_from_paths(Some(file), None),
            None => rustls_native_certs::load_native_certs(),
        };
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let place = authorities.map_or_else(|| "this machine".to_owned(), |file| file.display().to_string());
            return Err(format!(
                "{place} has no certificates of authorities, so no service is believed; install `ca-certificates`"
            ));
        }
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| format!("TLS cannot be had: {error}"))?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// A connection whose other side has shown who it is.
pub(super) struct Opened {
    connection: ClientConnection,
    stream: TcpStream,
}

/// Greets a server that must be `host`.
pub(super) fn open(Trust(config): &Trust, host: &Host, mut stream: TcpStream) -> io::Result<Opened> {
    let name = match host {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(io::Error::other)?,
        Host::Address(address) => ServerName::from(*address),
    };
    let mut connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    connection.set_buffer_limit(Some(BUFFER_BYTES));
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(GREETING))?;
    stream.set_write_timeout(Some(GREETING))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(|error| match error.kind() {
            ErrorKind::WouldBlock => io::Error::other("it did not answer the greeting in time"),
            _ => error,
        })?;
    }
    Ok(Opened { connection, stream })
}

impl Opened {
    /// Says the first bytes, then hands on both ways until the server has said all. `TimedOut`: it did not begin its answer within
    /// `patience`, and the client can still be told so.
    pub(super) fn pass(self, client: &TcpStream, first: &[u8], patience: Duration) -> io::Result<()> {
        client.set_nodelay(true)?;
        for stream in [client, &self.stream] {
            stream.set_nonblocking(true)?;
        }
        let Self { connection, stream } = self;
        let (out, back, heard) = (Pending::of(first), Pending::of(&[]), Heard::default());
        let begins_by = Some(Instant::now() + patience);
        let mut pump = Pump { connection, server: stream, client, out, back, heard, begins_by, is_deaf: false };
        let done = pump.run();
        client.set_nonblocking(false)?;
        done?;
        client.shutdown(Shutdown::Write)
    }
}

/// Bytes on their way that could not be handed on yet.
struct Pending {
    bytes: Vec<u8>,
    done: usize,
}

impl Pending {
    fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), done: 0 }
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.done..]
    }

    fn is_empty(&self) -> bool {
        self.done == self.bytes.len()
    }
}

/// Who has said all that he will say.
#[derive(Default)]
struct Heard {
    client: bool,
    server: bool,
}

/// Both directions on one thread: TLS has one state for both.
struct Pump<'a> {
    connection: ClientConnection,
    server: TcpStream,
    client: &'a TcpStream,
    /// From the client to the server.
    out: Pending,
    /// And back.
    back: Pending,
    heard: Heard,
    /// By when the server must begin its answer; none: it has.
    begins_by: Option<Instant>,
    /// The server takes nothing more.
    is_deaf: bool,
}

impl Pump<'_> {
    fn run(&mut self) -> io::Result<()> {
        loop {
            while self.step()? {}
            if self.heard.server && self.back.is_empty() {
                return Ok(());
            }
            self.wait()?;
        }
    }

    /// Does what can be done without waiting; false: nothing could.
    fn step(&mut self) -> io::Result<bool> {
        Ok(self.take_from_client()? | self.give_to_server()? | self.take_from_server()? | self.give_to_client()?)
    }

    fn take_from_client(&mut self) -> io::Result<bool> {
        if self.heard.client || !self.out.is_empty() {
            return Ok(false);
        }
        let Some(read) = refill(&mut self.out, &mut self.client)? else { return Ok(false) };
        // The service is not told: some take that for a wish to end, and he may wait for his answer.
        self.heard.client = read == 0;
        Ok(true)
    }

    fn give_to_server(&mut self) -> io::Result<bool> {
        let taken = self.connection.writer().write(self.out.rest())?;
        self.out.done += taken;
        let mut moved = taken > 0;
        while self.wants_write() {
            match ready(self.connection.write_tls(&mut self.server)) {
                Ok(Some(1..)) => moved = true,
                Ok(None) => break,
                // It hears no more, and may have answered before it had heard all: then that is the answer.
                Ok(Some(0)) | Err(_) => {
                    (self.is_deaf, self.heard.client) = (true, true);
                    self.out = Pending::of(&[]);
                }
            }
        }
        Ok(moved)
    }

    fn wants_write(&self) -> bool {
        !self.is_deaf && self.connection.wants_write()
    }

    fn take_from_server(&mut self) -> io::Result<bool> {
        if self.heard.server || !self.back.is_empty() {
            return Ok(false);
        }
        match refill(&mut self.back, &mut self.connection.reader()) {
            Ok(None) => {}
            // Some hang up without a word of farewell. What they said has a length of its own.
            Ok(Some(0)) | Err(_) => {
                self.heard.server = true;
                return Ok(true);
            }
            Ok(Some(_)) => {
                self.begins_by = None;
                return Ok(true);
            }
        }
        match ready(self.connection.read_tls(&mut self.server)) {
            Ok(None) => Ok(false),
            // An end is found by the next reading.
            Ok(Some(_)) => self.connection.process_new_packets().map(|_| true).map_err(io::Error::other),
            Err(_) => {
                self.heard.server = true;
                Ok(true)
            }
        }
    }

    fn give_to_client(&mut self) -> io::Result<bool> {
        if self.back.is_empty() {
            return Ok(false);
        }
        match ready(self.client.write(self.back.rest()))? {
            Some(0) => Err(ErrorKind::WriteZero.into()),
            Some(written) => {
                self.back.done += written;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Until something can be done again. Of a side of which nothing is wanted, nothing is heard: it may be gone, and would wake
    /// this for ever.
    fn wait(&self) -> io::Result<()> {
        let when = |flag: PollFlags, is_wanted: bool| if is_wanted { flag } else { PollFlags::empty() };
        let of_client = when(PollFlags::IN, !self.heard.client && self.out.is_empty())
            | when(PollFlags::OUT, !self.back.is_empty());
        let of_server =
            when(PollFlags::IN, !self.heard.server && self.back.is_empty()) | when(PollFlags::OUT, self.wants_write());
        let sides = [(self.client, of_client), (&self.server, of_server)];
        let wanted = sides.into_iter().filter(|(_, flags)| !flags.is_empty());
        let mut polled: Vec<PollFd<'_>> = wanted.map(|(stream, flags)| PollFd::new(stream, flags)).collect();
        let begins_in = self.begins_by.map(|by| by.saturating_duration_since(Instant::now()));
        let waited = begins_in.into_iter().chain(self.heard.client.then_some(LAST_WORDS)).min();
        let left = waited.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() });
        match poll(&mut polled, left.as_ref()) {
            Ok(0) if begins_in.is_some() && begins_in == waited => Err(ErrorKind::TimedOut.into()),
            Ok(0) => Err(ErrorKind::ConnectionAborted.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Reads into what is empty. None: nothing is there yet.
fn refill(pending: &mut Pending, from: &mut impl Read) -> io::Result<Option<usize>> {
    pending.bytes.resize(BUFFER_BYTES, 0);
    let read = ready(from.read(&mut pending.bytes));
    pending.bytes.truncate(read.as_ref().ok().copied().flatten().unwrap_or(0));
    pending.done = 0;
    read
}

/// None: not now.
fn ready(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}
