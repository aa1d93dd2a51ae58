//! What a run may reach over the network, as an operator writes it. Parsed once; a value of the type is proof of its form.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// The ports of a destination that names none: those of HTTPS and HTTP.
pub const WEB_PORTS: [u16; 2] = [443, 80];
/// No name of the DNS is longer.
const NAME_LENGTH: usize = 253;
/// No part of one between two dots is longer.
const LABEL_LENGTH: usize = 63;

/// What a run may reach: these destinations, through the host's proxy. With none of them, nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network(pub Vec<Destination>);

/// A destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Whatever the host reaches that is not the host itself, on any port.
    Any,
    /// One name of the DNS, in lower case.
    Name {
        /// The name.
        name: String,
        /// None: [`WEB_PORTS`].
        port: Option<u16>,
    },
    /// Every name below one, at any depth, but not that one.
    Below {
        /// The name above them, in lower case.
        name: String,
        /// None: [`WEB_PORTS`].
        port: Option<u16>,
    },
    /// One address, whatever network it belongs to.
    Address(SocketAddr),
}

/// Why a text is no destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// It is a URL, or the part of one.
    #[error("a name stands here without `https://` before it and without a path behind it")]
    Url,
    /// It holds what no name of the DNS holds.
    #[error("a name has letters, digits, `-`, `_` and dots; one with other letters is written in ASCII (`xn--…`)")]
    Name,
    /// A star in the wrong place, or one that opens too much.
    #[error(
        "a star stands for all names below a domain of at least two parts (`*.example.com`), or by itself for everything"
    )]
    Star,
    /// The port is none.
    #[error("the port behind the colon is a number from 1 to 65535")]
    Port,
    /// An address without a port, or one that means no machine.
    #[error("an address has its port: `192.0.2.7:9000`, `[2001:db8::7]:9000`; 0.0.0.0 and `[::]` are none")]
    Address,
}

impl FromStr for Destination {
    type Err = DestinationError;

    fn from_str(text: &str) -> Result<Self, DestinationError> {
        if text.contains(['/', '@', '?', '#']) {
            return Err(DestinationError::Url);
        }
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            let means_one = !address.ip().is_unspecified() && !address.ip().is_multicast() && address.port() != 0;
            return if means_one { Ok(Self::Address(address)) } else { Err(DestinationError::Address) };
        }
        if text.starts_with('[') || text.parse::<IpAddr>().is_ok() {
            return Err(DestinationError::Address);
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(parse_port(port)?)),
            None => (text, None),
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if let Some(name) = name.strip_prefix("*.") {
            let name = name.to_owned();
            let is_narrow = is_name(&name) && name.contains('.');
            return if is_narrow { Ok(Self::Below { name, port }) } else { Err(DestinationError::Star) };
        }
        if name.contains('*') {
            return Err(DestinationError::Star);
        }
        if is_name(&name) { Ok(Self::Name { name, port }) } else { Err(DestinationError::Name) }
    }
}

/// Digits alone: no sign, no space.
fn parse_port(text: &str) -> Result<u16, DestinationError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| digits && *port != 0);
    port.ok_or(DestinationError::Port)
}

/// A last part that is a number would be read as an address by whoever resolves it (`127.1`, `0x7f000001`).
fn is_name(name: &str) -> bool {
    let formed = |label: &str| {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= LABEL_LENGTH && label.bytes().all(known)
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.starts_with(|first: char| first.is_ascii_digit());
    name.len() <= NAME_LENGTH && name.split('.').all(formed) && !is_number
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (star, name, port) = match self {
            Self::Name { name, port } => ("", name, port),
            Self::Below { name, port } => ("*.", name, port),
            Self::Any => return formatter.write_str("*"),
            Self::Address(address) => return address.fmt(formatter),
        };
        write!(formatter, "{star}{name}")?;
        port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_comes_back_as_it_is_meant() {
        for (text, meant) in [
            ("api.example.com", "api.example.com"),
            ("API.Example.COM.", "api.example.com"),
            ("*.example.org", "*.example.org"),
            ("*", "*"),
            ("registry.example:8443", "registry.example:8443"),
            ("localhost:9000", "localhost:9000"),
            ("127.0.0.1:9000", "127.0.0.1:9000"),
            ("[::ffff:127.0.0.1]:9000", "127.0.0.1:9000"),
            ("[2001:db8::7]:443", "[2001:db8::7]:443"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(text.parse::<Destination>().map(|parsed| parsed.to_string()).as_deref(), Ok(meant), "{text}");
        }
        assert_eq!("a.example:80".parse(), Ok(Destination::Name { name: "a.example".to_owned(), port: Some(80) }));
    }

    #[test]
    fn what_is_no_destination_says_why() {
        for (text, why) in [
            ("https://api.example.com", DestinationError::Url),
            ("api.example.com/v1", DestinationError::Url),
            ("user@api.example.com", DestinationError::Url),
            ("", DestinationError::Name),
            ("a..example", DestinationError::Name),
            ("bücher.example", DestinationError::Name),
            ("a example", DestinationError::Name),
            // What a resolver would read as an address.
            ("127.1", DestinationError::Name),
            ("0x7f000001:80", DestinationError::Name),
            ("2130706433", DestinationError::Name),
            ("*:443", DestinationError::Star),
            ("*.com", DestinationError::Star),
            ("api.*.example", DestinationError::Star),
            ("*example.com", DestinationError::Star),
            ("a.example:", DestinationError::Port),
            ("a.example:0", DestinationError::Port),
            ("a.example:+80", DestinationError::Port),
            ("a.example:65536", DestinationError::Port),
            ("127.0.0.1", DestinationError::Address),
            ("0.0.0.0:80", DestinationError::Address),
            ("[::1]", DestinationError::Address),
            ("::1", DestinationError::Address),
            ("224.0.0.1:80", DestinationError::Address),
        ] {
            assert_eq!(text.parse::<Destination>(), Err(why), "{text}");
        }
    }
}
