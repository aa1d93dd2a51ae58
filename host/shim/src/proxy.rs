//! The only way out of a sandbox that has a network of its own: an HTTP proxy in the shim, which lies outside of it and
//! outlives the host. It opens what the operator named and nothing else, and says what is missing. A loopback address that
//! was named has a door of its own at the same place inside, for no program asks a proxy for what seems so near. So has the
//! service whose key the run never sees: what passes through that door gets the key here.
//!
//! Everything that comes in counts as hostile: a head has a length and a time, connections have a number, a name is
//! resolved here, and the address that was checked is the one that is connected to.

mod address;
mod keyed;
mod log;
mod relay;
mod request;
mod rules;
mod tls;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::poll;

use crate::clock::{span, steady_ms};
use crate::enter::{self, Handed};
use crate::protocol;

use keyed::KeyedDoor;
pub(crate) use log::Log;
use request::{Flaw, Kind, Request};
use rules::{Refusal, Rules};

/// Connections at one time. One more waits until a place is free: heads have their time, and whoever holds all of them with
/// tunnels keeps nobody waiting but himself.
const CONNECTIONS: usize = 64;
/// Enough for a resolver's modules.
const STACK_BYTES: usize = 512 * 1024;
/// How long one address may take to answer.
const CONNECT: Duration = Duration::from_secs(10);
/// After this many addresses of a name that do not answer the others are not tried.
const ADDRESSES: usize = 4;
/// How long whoever was refused may take to read why.
const LINGER_MS: u64 = 1000;
/// What is thrown away of what a refused one still sends.
const LINGER_BYTES: usize = 64 * 1024;
/// After an accept that failed: there may be no descriptor left for a moment.
const PAUSE_MS: u64 = 100;

/// Serves the sandbox on the other side of `line` until this process ends.
pub(crate) fn serve(line: &OwnedFd, allowed: &protocol::Proxy, log: Arc<Log>) -> io::Result<()> {
    let line = line.try_clone()?;
    let keyed = allowed.keyed.as_ref().map(|keyed| KeyedDoor::new(keyed, Rules::new(allowed)));
    let gate = Gate { rules: Rules::new(allowed), keyed, log, open: Mutex::new(0), freed: Condvar::new() };
    let gate = Arc::new(gate);
    let waits = move || {
        for Handed { listener, door } in enter::receive(line.as_fd()) {
            let gate = Arc::clone(&gate);
            let thread = thread::Builder::new().name("listener".to_owned()).stack_size(STACK_BYTES);
            // Where there is no thread, nobody answers there.
            let _ = thread.spawn(move || accept(&listener, door, &gate));
        }
    };
    thread::Builder::new().name("proxy".to_owned()).stack_size(STACK_BYTES).spawn(waits).map(drop)
}

/// What all connections share.
struct Gate {
    rules: Rules,
    keyed: Option<KeyedDoor>,
    log: Arc<Log>,
    open: Mutex<usize>,
    freed: Condvar,
}

/// One of the places that connections take.
struct Place(Arc<Gate>);

impl Place {
    /// Waits until one is free.
    fn take(gate: &Arc<Gate>) -> Self {
        let open = gate.open.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |open: &mut usize| *open >= CONNECTIONS;
        *gate.freed.wait_while(open, full).unwrap_or_else(PoisonError::into_inner) += 1;
        Self(Arc::clone(gate))
    }

    /// Keeps it as long as the connection is open.
    fn serve(self, client: &TcpStream, door: Option<SocketAddr>) {
        let keyed = self.0.keyed.as_ref().filter(|keyed| Some(keyed.at()) == door);
        match (door, keyed) {
            (_, Some(keyed)) => keyed.attend(client, &self.0.log),
            (Some(address), None) => self.0.lead(client, address),
            (None, None) => self.0.attend(client),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}

fn accept(listener: &TcpListener, door: Option<SocketAddr>, gate: &Arc<Gate>) {
    loop {
        let client = match listener.accept() {
            Ok((client, _)) => client,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => {
                let _ = poll(&mut [], Some(&span(PAUSE_MS)));
                continue;
            }
        };
        let place = Place::take(gate);
        let connection = thread::Builder::new().name("connection".to_owned()).stack_size(STACK_BYTES);
        // Where there is no thread, the connection is closed and its place is free again.
        let _ = connection.spawn(move || place.serve(&client, door));
    }
}

impl Gate {
    /// One connection through a door.
    fn lead(&self, client: &TcpStream, address: SocketAddr) {
        match self.rules.judge(address, false) {
            Ok(()) => {
                if let Ok(server) = TcpStream::connect_timeout(&address, CONNECT) {
                    let _ = relay::both_ways(client, &server);
                }
            }
            Err(refusal) => self.log.refused(&address.to_string(), refusal),
        }
    }

    /// One connection to the proxy, from its head to its end.
    fn attend(&self, client: &TcpStream) {
        let request = match request::read(client) {
            Ok(request) => request,
            Err(flaw) => return refuse_flaw(client, flaw),
        };
        let target = request.target.to_string();
        let addresses = match self.rules.addresses(&request.target) {
            Ok(addresses) => addresses,
            Err(refusal @ Refusal::Unresolved) => return refuse(client, "502 Name not found", &refusal.told(&target)),
            Err(refusal) => {
                self.log.refused(&target, refusal);
                return refuse(client, "403 Not among the names that this run may reach", &refusal.told(&target));
            }
        };
        match connect(&addresses) {
            // Whoever is cut off in the middle sees it at his own end.
            Ok(server) => drop(pass(client, &server, &request)),
            Err(error) => refuse(client, "502 Not reached", &format!("{target} does not answer: {error}")),
        }
    }
}

fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut last = io::Error::other("it has no address");
    for address in addresses.iter().take(ADDRESSES) {
        match TcpStream::connect_timeout(address, CONNECT) {
            Ok(server) => return Ok(server),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn pass(mut client: &TcpStream, mut server: &TcpStream, request: &Request) -> io::Result<()> {
    for stream in [client, server] {
        stream.set_nodelay(true)?;
    }
    match &request.kind {
        Kind::Tunnel => client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?,
        Kind::Forward { head } => server.write_all(head)?,
    }
    server.write_all(&request.early)?;
    relay::both_ways(client, server)
}

fn refuse_flaw(client: &TcpStream, flaw: Flaw) {
    match flaw {
        Flaw::Gone => {}
        Flaw::TooSlow => refuse(client, "408 Request Timeout", "the head did not come in time"),
        Flaw::TooLong => refuse(client, "431 Head too large", "the head is longer than 16 KiB"),
        Flaw::Malformed(why) => refuse(client, "400 Bad Request", why),
    }
}

fn write_answer(mut client: &TcpStream, status: &str, why: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n");
    let answer = format!("{head}Content-Length: {}\r\n\r\ngatewright: {why}\n", "gatewright: \n".len() + why.len());
    client.write_all(answer.as_bytes())?;
    client.shutdown(Shutdown::Write)
}

/// Says why.
fn refuse(client: &TcpStream, status: &str, why: &str) {
    if client.set_write_timeout(Some(Duration::from_millis(LINGER_MS))).is_ok()
        && write_answer(client, status, why).is_ok()
    {
        linger(client);
    }
}

/// Reads on for a moment where all was said: to close on unread bytes would take the answer away.
fn linger(mut client: &TcpStream) {
    let until = steady_ms() + LINGER_MS;
    let mut rest = [0_u8; 4096];
    let mut seen = 0;
    while seen < LINGER_BYTES && steady_ms() < until {
        let left = until.saturating_sub(steady_ms()).max(1);
        let _ = client.set_read_timeout(Some(Duration::from_millis(left)));
        match client.read(&mut rest) {
            Ok(0) | Err(_) => return,
            Ok(read) => seen += read,
        }
    }
}
