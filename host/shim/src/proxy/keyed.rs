//! The keyed door: a run asks its service here in plain HTTP and without a key. What it says of keys itself is taken out, the
//! key is put in, and the one service is asked. A connection has one request: what follows in the same stream gets no key.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use super::log::Log;
use super::request::{self, Flaw, Head, Host, Target};
use super::rules::{Refusal, Rules};
use super::tls::{self, Trust};
use super::{connect, linger, refuse, refuse_flaw, relay};
use crate::protocol::{Allowed, KeyHeader, Keyed, Place, Transport, Upstream};

/// Nothing else is asked of such a service. TRACE would send the key back.
const METHODS: [&str; 6] = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];
/// What a run says of keys, whomever they belong to, beside what concerns only its connection.
const CREDENTIALS: [&str; 4] = ["api-key", "authorization", "cookie", "x-api-key"];

/// The door, as the shim serves it.
pub(super) struct KeyedDoor {
    keyed: Keyed,
    target: Target,
    rules: Rules,
    /// Made when the first connection needs it: to read all authorities takes a while.
    trust: OnceLock<Result<Trust, String>>,
}

/// What is answered in place of the service: a status of HTTP and a sentence.
type Answer = (&'static str, String);

impl KeyedDoor {
    /// `rules` are those of the run's proxy.
    pub(super) fn new(keyed: &Keyed, rules: Rules) -> Self {
        let (target, allowed) = match &keyed.upstream.place {
            Place::Name { name, port } => (
                Target { host: Host::Name(name.clone()), port: *port },
                Allowed::Name { name: name.clone(), ports: vec![*port] },
            ),
            Place::Address { address } => (
                Target { host: Host::Address(address.ip()), port: address.port() },
                Allowed::Address { address: *address },
            ),
        };
        Self { keyed: keyed.clone(), target, rules: rules.with(allowed), trust: OnceLock::new() }
    }

    /// Where it stands.
    pub(super) const fn at(&self) -> SocketAddr {
        self.keyed.door
    }

    /// One connection, from its head to its end.
    pub(super) fn attend(&self, client: &TcpStream, log: &Log) {
        let read = request::read_head(client)
            .and_then(|(head, early)| Ok((rewritten(&head, &self.keyed).map_err(Flaw::Malformed)?, early)));
        let (head, early) = match read {
            Ok(read) => read,
            Err(flaw) => return refuse_flaw(client, flaw),
        };
        let server = match self.reach(log) {
            Ok(server) => server,
            Err((status, why)) => return refuse(client, status, &why),
        };
        let first = [head, early].concat();
        let patience = Duration::from_millis(self.keyed.patience_ms);
        let done = match &self.keyed.upstream.transport {
            Transport::Plain => pass(client, &server, &first, patience),
            Transport::Tls { authorities } => {
                let trust = self.trust.get_or_init(|| Trust::load(authorities.as_deref()));
                let opened = trust.as_ref().map_err(String::clone).and_then(|trust| {
                    tls::open(trust, &self.target.host, server)
                        .map_err(|error| format!("{} cannot be spoken to safely: {error}", self.target))
                });
                match opened {
                    Ok(server) => server.pass(client, &first, patience),
                    Err(why) => return refuse(client, "502 Not reached", &why),
                }
            }
        };
        match done {
            Ok(()) => linger(client),
            // Nothing was said yet, so this can be the answer.
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                let why = format!("{} did not answer within {} ms", self.target, self.keyed.patience_ms);
                refuse(client, "504 No answer", &why);
            }
            // Whoever is cut off in the middle sees it at his own end.
            Err(_) => {}
        }
    }

    /// The service, connected to at an address that may be reached.
    fn reach(&self, log: &Log) -> Result<TcpStream, Answer> {
        let target = self.target.to_string();
        let addresses = self.rules.addresses(&self.target).map_err(|refusal| {
            if refusal == Refusal::Unresolved {
                return ("502 Name not found", refusal.told(&target));
            }
            log.refused(&target, refusal);
            ("403 Not to be reached", refusal.told(&target))
        })?;
        connect(&addresses).map_err(|error| ("502 Not reached", format!("{target} does not answer: {error}")))
    }
}

fn pass(client: &TcpStream, mut server: &TcpStream, first: &[u8], patience: Duration) -> io::Result<()> {
    for stream in [client, server] {
        stream.set_nodelay(true)?;
    }
    server.write_all(first)?;
    relay::answered(client, server, patience)
}

/// The head as the service gets it, of one that can be read in one way only.
fn rewritten(head: &[u8], keyed: &Keyed) -> Result<Vec<u8>, &'static str> {
    let is_bare = |(at, byte): (usize, &u8)| *byte == b'\n' && !head[..at].ends_with(b"\r");
    if head.iter().enumerate().any(is_bare) {
        return Err("a line ends with a line feed alone");
    }
    let Head { method, asked, version, headers } = Head::of(head)?;
    if version != "HTTP/1.1" {
        return Err("only HTTP/1.1 is spoken here");
    }
    if !METHODS.contains(&method) {
        return Err("this method is not handed on to the service");
    }
    if !asked.starts_with('/') || !request::is_visible(asked) {
        return Err("this is the service itself: it takes a path, and neither a URL nor CONNECT");
    }
    let Upstream { place, transport, base } = &keyed.upstream;
    if !is_below(asked, base) {
        return Err("this path does not lie below that of `api` in the project's file");
    }
    if !has_one_length(&headers) {
        return Err("how long the body is can be read in more than one way");
    }
    let mut handed =
        format!("{method} {asked} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", host(place, transport)).into_bytes();
    for line in headers.into_iter().filter(|line| request::is_handed_on(line) && !is_credential(line)) {
        handed.extend_from_slice(line);
        handed.extend_from_slice(b"\r\n");
    }
    let name = match keyed.header {
        KeyHeader::XApiKey => "x-api-key: ",
        KeyHeader::Bearer => "Authorization: Bearer ",
    };
    handed.extend_from_slice(format!("{name}{}\r\n\r\n", keyed.value.expose()).as_bytes());
    Ok(handed)
}

/// Some servers take an underline for a hyphen.
fn is_credential(line: &[u8]) -> bool {
    let name = String::from_utf8_lossy(request::name_of(line)).to_ascii_lowercase().replace('_', "-");
    CREDENTIALS.contains(&name.as_str()) || name.starts_with("proxy-")
}

/// Whether a body ends where everybody thinks it does: what one server takes for the body, another must not take for a request.
fn has_one_length(headers: &[&[u8]]) -> bool {
    let values = |wanted: &str| -> Vec<&[u8]> {
        let named = headers.iter().filter(|line| request::name_of(line).eq_ignore_ascii_case(wanted.as_bytes()));
        named.map(|line| line[wanted.len() + 1..].trim_ascii()).collect()
    };
    let is_number = |value: &[u8]| !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
    match (values("content-length").as_slice(), values("transfer-encoding").as_slice()) {
        ([], []) => true,
        ([length], []) => is_number(length),
        ([], [coding]) => coding.eq_ignore_ascii_case(b"chunked"),
        _ => false,
    }
}

/// Whether a path lies below another one, however it is read.
fn is_below(asked: &str, base: &str) -> bool {
    let path = asked.split('?').next().unwrap_or_default();
    let Some(plain) = decoded(path) else { return false };
    let climbs = plain.split(['/', '\\']).any(|part| matches!(part, "." | ".."));
    let rest = path.strip_prefix(base);
    !climbs && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path without its escapes, however often they were escaped; none: one of them is none.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = path.as_bytes().to_vec();
    while let Some(at) = bytes.iter().position(|byte| *byte == b'%') {
        let digits = std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()?;
        let is_pair = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let byte = u8::from_str_radix(digits, 16).ok().filter(|byte| is_pair && !byte.is_ascii_control())?;
        bytes.splice(at..at + 3, [byte]);
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// As the service's own clients say it.
fn host(place: &Place, transport: &Transport) -> String {
    let usual = match transport {
        Transport::Plain => 80,
        Transport::Tls { .. } => 443,
    };
    match place {
        Place::Name { name, port } if *port == usual => name.clone(),
        Place::Name { name, port } => format!("{name}:{port}"),
        Place::Address { address } => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Secret;

    fn keyed(base: &str, header: KeyHeader) -> Keyed {
        Keyed {
            door: "127.0.0.1:17081".parse().unwrap(),
            upstream: Upstream {
                place: Place::Name { name: "api.example.com".to_owned(), port: 443 },
                transport: Transport::Tls { authorities: None },
                base: base.to_owned(),
            },
            header,
            patience_ms: 60_000,
            value: Secret::try_from("the-key".to_owned()).unwrap(),
        }
    }

    #[test]
    fn a_request_gets_the_key_and_loses_every_other_one() {
        let head = "POST /v1/messages?beta=true HTTP/1.1\r\nHost: 127.0.0.1:17081\r\nX-Api-Key: mine\r\nx_api_key: mine\r\n\
                    Authorization: Bearer mine\r\nProxy-Authorization: Basic x\r\nProxy-Anything: x\r\nConnection: keep-alive\r\n\
                    Keep-Alive: 5\r\nUpgrade: x\r\nanthropic-version: 2023-06-01\r\nContent-Length: 2";
        let of = |header| String::from_utf8(rewritten(head.as_bytes(), &keyed("", header)).unwrap()).unwrap();
        let expected = "POST /v1/messages?beta=true HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\
                        anthropic-version: 2023-06-01\r\nContent-Length: 2\r\n";
        assert_eq!(of(KeyHeader::XApiKey), format!("{expected}x-api-key: the-key\r\n\r\n"));
        assert_eq!(of(KeyHeader::Bearer), format!("{expected}Authorization: Bearer the-key\r\n\r\n"));
    }

    #[test]
    fn what_could_be_read_in_two_ways_or_leads_elsewhere_gets_no_key() {
        let refused = |head: &str| rewritten(head.as_bytes(), &keyed("/v1", KeyHeader::Bearer)).is_err();
        assert!(!refused("GET /v1/models HTTP/1.1\r\nHost: x"));
        for head in [
            "CONNECT api.example.com:443 HTTP/1.1",
            "CONNECT /v1/x HTTP/1.1",
            "TRACE /v1/messages HTTP/1.1",
            "OPTIONS * HTTP/1.1",
            "GET http://api.example.com/v1/models HTTP/1.1",
            "GET api.example.com:443 HTTP/1.1",
            "GET /v1/models HTTP/1.0",
            "GET /v1/models#x HTTP/1.1",
            "GET /v1/models HTTP/1.1\nx: y",
            "GET /v1/models HTTP/1.1\r\nx: y\nz: a",
            "GET /v1/models HTTP/1.1\r\nx: y\rz: a",
            "GET /v1/models HTTP/1.1\r\n folded: x",
            "GET /v1/models HTTP/1.1\r\nname : x",
            "POST /v1/x HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked",
            "POST /v1/x HTTP/1.1\r\nContent-Length: 2\r\ncontent-length: 3",
            "POST /v1/x HTTP/1.1\r\nContent-Length: +2",
            "POST /v1/x HTTP/1.1\r\nContent-Length: 2, 3",
            "POST /v1/x HTTP/1.1\r\nTransfer-Encoding: gzip, chunked",
            "POST /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ] {
            assert!(refused(head), "{head:?}");
        }
    }

    #[test]
    fn only_what_lies_below_the_path_of_the_service_is_asked() {
        for (asked, base, is_one) in [
            ("/v1/messages", "", true),
            ("/", "", true),
            ("/v1", "/v1", true),
            ("/v1/a%20b?x=/../..", "/v1", true),
            ("/v10", "/v1", false),
            ("/", "/v1", false),
            ("/v1/../admin", "/v1", false),
            ("/v1/%2e%2e/admin", "/v1", false),
            ("/v1/%252E./admin", "/v1", false),
            ("/v1/..%2fadmin", "/v1", false),
            ("/v1/..\\admin", "/v1", false),
            ("/v1/%", "/v1", false),
            ("/v1/%0d%0a", "/v1", false),
            ("/v1/%+1", "/v1", false),
        ] {
            assert_eq!(is_below(asked, base), is_one, "{asked} below {base}");
        }
    }
}
