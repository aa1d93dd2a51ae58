//! The head of a request to the proxy: `CONNECT host:port`, or a whole `http://` URL.

use std::fmt;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv6Addr, TcpStream};
use std::time::Duration;

use crate::clock::steady_ms;

/// No head is longer.
const HEAD_BYTES: usize = 16 * 1024;
/// All of it has come after this long.
const HEAD_MS: u64 = 10_000;
/// What concerns only this connection, or says where it should go: the target alone says that.
const NOT_HANDED_ON: [&str; 6] =
    ["host", "connection", "keep-alive", "proxy-connection", "proxy-authorization", "upgrade"];

/// Where somebody wants to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: Host,
    pub(super) port: u16,
}

/// A name in lower case without a final dot, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => write!(formatter, "{name}:{}", self.port),
            Host::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]:{}", self.port),
            Host::Address(address) => write!(formatter, "{address}:{}", self.port),
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes both ways.
    Tunnel,
    /// One request; its head as the server shall get it.
    Forward { head: Vec<u8> },
}

/// A request whose head was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) target: Target,
    pub(super) kind: Kind,
    /// What came behind the head.
    pub(super) early: Vec<u8>,
}

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    Malformed(&'static str),
    TooLong,
    TooSlow,
    /// Nobody is there any more.
    Gone,
}

/// Reads a head from a connection.
pub(super) fn read(client: &TcpStream) -> Result<Request, Flaw> {
    let (head, early) = read_head(client)?;
    let (target, kind) = parse(&head).map_err(Flaw::Malformed)?;
    Ok(Request { target, kind, early })
}

/// The bytes of a head without its final empty line, and what came behind it.
pub(super) fn read_head(mut client: &TcpStream) -> Result<(Vec<u8>, Vec<u8>), Flaw> {
    let until = steady_ms() + HEAD_MS;
    let mut bytes = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let early = bytes.split_off(end + 4);
            bytes.truncate(end);
            return Ok((bytes, early));
        }
        if bytes.len() > HEAD_BYTES {
            return Err(Flaw::TooLong);
        }
        let left = until.saturating_sub(steady_ms());
        if left == 0 {
            return Err(Flaw::TooSlow);
        }
        client.set_read_timeout(Some(Duration::from_millis(left))).map_err(|_| Flaw::Gone)?;
        match client.read(&mut buffer) {
            Ok(0) => return Err(Flaw::Gone),
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(Flaw::TooSlow),
            Err(_) => return Err(Flaw::Gone),
        }
    }
}

/// A head, taken apart and sound in its form.
pub(super) struct Head<'a> {
    pub(super) method: &'a str,
    pub(super) asked: &'a str,
    pub(super) version: &'a str,
    pub(super) headers: Vec<&'a [u8]>,
}

impl<'a> Head<'a> {
    /// `head` is without its final empty line.
    pub(super) fn of(head: &'a [u8]) -> Result<Self, &'static str> {
        let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = lines.next().and_then(|line| std::str::from_utf8(line).ok()).ok_or("the first line is no text")?;
        let words: Vec<&str> = first.split(' ').collect();
        let [method, asked, version] = words[..] else { return Err("the first line is not `METHOD TARGET VERSION`") };
        if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
            return Err("only HTTP/1.1 and HTTP/1.0 are spoken here");
        }
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-') {
            return Err("the method is no word");
        }
        let headers: Vec<&[u8]> = lines.collect();
        if headers.iter().any(|line| !is_header(line)) {
            return Err("a header line is malformed");
        }
        Ok(Self { method, asked, version, headers })
    }
}

/// Of a path and a query: nothing that would end the line or begin another word.
pub(super) fn is_visible(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// A head without its final empty line.
fn parse(head: &[u8]) -> Result<(Target, Kind), &'static str> {
    let Head { method, asked, headers, .. } = Head::of(head)?;
    if method == "CONNECT" {
        let target = authority(asked, None).ok_or("CONNECT asks for `host:port`")?;
        return Ok((target, Kind::Tunnel));
    }
    let Some((scheme, rest)) = asked.split_once("://") else {
        return Err("this is a proxy: it takes CONNECT, or a whole URL");
    };
    if !scheme.eq_ignore_ascii_case("http") {
        return Err("of whole URLs only `http://` is taken; use CONNECT for `https://`");
    }
    let (place, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let target = authority(place, Some(80)).ok_or("the URL names no host")?;
    if !is_visible(path) {
        return Err("the URL's path is malformed");
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut handed = format!("{method} {slash}{path} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n").into_bytes();
    for line in headers.into_iter().filter(|line| is_handed_on(line)) {
        handed.extend_from_slice(line);
        handed.extend_from_slice(b"\r\n");
    }
    handed.extend_from_slice(b"\r\n");
    Ok((target, Kind::Forward { head: handed }))
}

pub(super) fn name_of(line: &[u8]) -> &[u8] {
    &line[..line.iter().position(|byte| *byte == b':').unwrap_or(0)]
}

/// A name, a colon, a value without control characters; never the continuation of another line.
fn is_header(line: &[u8]) -> bool {
    let name = name_of(line);
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_clean = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    !name.is_empty() && name.iter().all(is_token) && line.iter().all(is_clean)
}

pub(super) fn is_handed_on(line: &[u8]) -> bool {
    !NOT_HANDED_ON.iter().any(|name| name_of(line).eq_ignore_ascii_case(name.as_bytes()))
}

/// `host:port`, or `host` where there is a usual port.
fn authority(text: &str, usual: Option<u16>) -> Option<Target> {
    let parse_port = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|port| is_number && *port != 0)
    };
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let port = if rest.is_empty() { usual? } else { parse_port(rest.strip_prefix(':')?)? };
        return Some(Target { host: Host::Address(address.parse::<Ipv6Addr>().ok()?.into()), port });
    }
    let (host, port) = match text.split_once(':') {
        Some((host, digits)) => (host, parse_port(digits)?),
        None => (text, usual?),
    };
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(Target { host: Host::Address(address), port });
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_label = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(is_known);
    (name.len() <= 253 && name.split('.').all(is_label)).then_some(Target { host: Host::Name(name), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(head: &str) -> Result<String, &'static str> {
        parse(head.as_bytes()).map(|(target, _)| target.to_string())
    }

    #[test]
    fn what_is_asked_for_is_read() {
        for (head, meant) in [
            ("CONNECT api.example.com:443 HTTP/1.1\r\nHost: other.example", "api.example.com:443"),
            ("CONNECT API.Example.COM.:443 HTTP/1.1", "api.example.com:443"),
            ("CONNECT [::1]:443 HTTP/1.1", "[::1]:443"),
            ("CONNECT 127.0.0.1:80 HTTP/1.0", "127.0.0.1:80"),
            ("GET http://a.example HTTP/1.1", "a.example:80"),
            ("GET HTTP://a.example:8080?x=1 HTTP/1.1", "a.example:8080"),
        ] {
            assert_eq!(target(head).as_deref(), Ok(meant), "{head}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for head in [
            "",
            "CONNECT api.example.com HTTP/1.1",
            "CONNECT api.example.com:443:80 HTTP/1.1",
            "CONNECT user@api.example.com:443 HTTP/1.1",
            "CONNECT api.example.com\0.evil.example:443 HTTP/1.1",
            "CONNECT api..example.com:443 HTTP/1.1",
            "CONNECT \u{430}pi.example.com:443 HTTP/1.1",
            "CONNECT api.example.com:+443 HTTP/1.1",
            "CONNECT api.example.com:0 HTTP/1.1",
            "CONNECT  api.example.com:443 HTTP/1.1",
            "CONNECT api.example.com:443 HTTP/2.0",
            "CONNECT api.example.com:443",
            "GET / HTTP/1.1\r\nHost: a.example",
            "GET https://a.example/ HTTP/1.1",
            "GET http://user@a.example/ HTTP/1.1",
            "GET http:///x HTTP/1.1",
            "GET http://a.example/a#b HTTP/1.1",
            "GET http://a.example/ HTTP/1.1\r\n folded: x",
            "GET http://a.example/ HTTP/1.1\r\nname : x",
            "GET http://a.example/ HTTP/1.1\r\nname: x\ry: z",
        ] {
            assert!(target(head).is_err(), "{head:?}");
        }
    }

    #[test]
    fn a_request_is_handed_on_with_the_host_that_it_goes_to() {
        let head = "POST http://a.example:81/x?y HTTP/1.1\r\nHost: other.example\r\nProxy-Authorization: Basic x\r\n\
                    Connection: keep-alive\r\nContent-Length: 2";
        let Ok((_, Kind::Forward { head })) = parse(head.as_bytes()) else { panic!("it is sound") };
        let expected = "POST /x?y HTTP/1.1\r\nHost: a.example:81\r\nConnection: close\r\nContent-Length: 2\r\n\r\n";
        assert_eq!(String::from_utf8(head).unwrap(), expected);
    }
}
