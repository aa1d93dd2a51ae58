//! Where the listener is reached, and who is on the other side: this machine, a network, a proxy.

use std::net::{IpAddr, SocketAddr};

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, header};

use crate::tongue::Tongue;

/// What the operator's file says of the world in front of the listener. By default there is none: loopback, plain HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Names that a `Host` header may bear besides the listener's own address, as `NAME` or `NAME:PORT`.
    pub hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpAddr>,
    /// Browsers come over HTTPS, which somebody in front ends: cookies go nowhere else.
    pub https: bool,
}

/// The listener's address, and what is in front of it.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) reach: Reach,
}

/// What a proxy adds, ours or not.
const FORWARDED: [HeaderName; 5] = [
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
    header::FORWARDED,
    header::VIA,
];

impl Front {
    /// A name or address under which somebody who means this listener asks for it.
    pub(crate) fn is_ours(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        if host.contains('@') {
            return false;
        }
        let port = authority.port_u16();
        if self.reach.hosts.iter().any(|named| self.is_named(named, &authority)) {
            return true;
        }
        if port.unwrap_or(80) != self.address.port() {
            return false;
        }
        let bound = self.address.ip();
        match literal(&authority) {
            // A page of another site has a name; an address in `Host` was typed.
            Some(address) => address.is_loopback() || address == bound || bound.is_unspecified(),
            None => authority.host().eq_ignore_ascii_case("localhost"),
        }
    }

    /// A named host without a port stands for the port of its scheme and for ours.
    fn is_named(&self, named: &str, asked: &Authority) -> bool {
        let (name, port) = match named.rsplit_once(':') {
            Some((name, port)) if !name.ends_with(':') => (name, port.parse::<u16>().ok()),
            _ => (named, None),
        };
        let asked_port = asked.port_u16();
        let usual = if self.reach.https { 443 } else { 80 };
        let fits = match port {
            Some(port) => asked_port.unwrap_or(usual) == port,
            None => asked_port.is_none_or(|asked| asked == usual || asked == self.address.port()),
        };
        fits && asked.host().eq_ignore_ascii_case(name)
    }

    /// How a browser that asks for this host comes.
    pub(crate) fn scheme(&self, host: &str) -> &'static str {
        if self.reach.https && !is_loopback_name(host) { "https" } else { "http" }
    }

    /// An `Origin` that is one of our own pages.
    pub(crate) fn is_our_origin(&self, origin: &str) -> bool {
        let (host, secure) = match (origin.strip_prefix("https://"), origin.strip_prefix("http://")) {
            (Some(host), _) => (host, true),
            (None, Some(host)) => (host, false),
            (None, None) => return false,
        };
        self.is_ours(host) && secure == (self.reach.https && !is_loopback_name(host))
    }

    /// Who sends this, behind the proxies that are believed.
    pub(crate) fn peer(&self, socket: IpAddr, headers: &HeaderMap) -> IpAddr {
        behind(&self.reach.proxies, socket, headers)
    }

    /// Somebody on this very machine, who came straight here: what is forwarded may come from anywhere.
    pub(crate) fn is_at_home(&self, socket: IpAddr, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        self.address.ip().is_loopback()
            && socket.to_canonical().is_loopback()
            && is_loopback_name(host)
            && !FORWARDED.iter().any(|name| headers.contains_key(name))
    }

    /// Under which names it answers, for a refusal.
    pub(crate) fn names(&self, t: Tongue) -> String {
        let port = self.address.port();
        let mut names = self.reach.hosts.iter().map(|host| format!("`{host}`")).collect::<Vec<_>>();
        if !self.address.ip().is_loopback() && !self.address.ip().is_unspecified() {
            names.push(format!("`{}`", self.address));
        }
        names.extend([format!("`localhost:{port}`"), format!("`127.0.0.1:{port}`")]);
        format!("{} {} `[::1]:{port}`", names.join(", "), t.of("or", "или"))
    }
}

/// Who sends this, behind the proxies that are believed.
pub(crate) fn behind(proxies: &[IpAddr], socket: IpAddr, headers: &HeaderMap) -> IpAddr {
    let is_proxy = |address: &IpAddr| proxies.contains(&address.to_canonical());
    if !is_proxy(&socket) {
        return socket;
    }
    let lines = headers.get_all(&FORWARDED[0]).iter().filter_map(|line| line.to_str().ok());
    let hops = lines.flat_map(|line| line.split(',')).map(|hop| hop.trim().parse::<IpAddr>());
    // From the nearest on: what stands further left the client may have written itself.
    let mut hops = hops.collect::<Vec<_>>();
    while let Some(hop) = hops.pop() {
        match hop {
            Ok(address) if is_proxy(&address) => {}
            Ok(address) => return address.to_canonical(),
            Err(_) => break,
        }
    }
    socket
}

fn literal(authority: &Authority) -> Option<IpAddr> {
    let name = authority.host();
    name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name).parse().ok()
}

/// A `Host` by which nobody but this machine means this machine.
pub(crate) fn is_loopback_name(host: &str) -> bool {
    host.parse::<Authority>().is_ok_and(|authority| match literal(&authority) {
        Some(address) => address.is_loopback(),
        None => authority.host().eq_ignore_ascii_case("localhost"),
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn front(address: &str, hosts: &[&str], https: bool) -> Front {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let reach = Reach { hosts, proxies: vec!["10.0.0.1".parse().unwrap()], https };
        Front { address: address.parse().unwrap(), reach }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn names_are_ours_or_they_are_not() {
        let behind = front("127.0.0.1:8500", &["gate.lan", "gate.example:8443"], true);
        for ours in ["gate.lan", "GATE.lan:443", "gate.lan:8500", "gate.example:8443", "localhost:8500"] {
            assert!(behind.is_ours(ours), "{ours}");
        }
        for other in ["gate.lan:80", "gate.example", "gate.lan.evil.example", "x@gate.lan", "10.0.0.9:8500", ""] {
            assert!(!behind.is_ours(other), "{other}");
        }
        let open = front("10.0.0.5:8500", &["gate.lan"], false);
        assert!(open.is_ours("10.0.0.5:8500") && open.is_ours("gate.lan:80") && !open.is_ours("10.0.0.6:8500"));
        assert!(front("0.0.0.0:8500", &["gate.lan"], false).is_ours("10.0.0.6:8500"));
        assert!(behind.is_our_origin("https://gate.lan") && !behind.is_our_origin("http://gate.lan"));
        assert!(behind.is_our_origin("http://localhost:8500") && !behind.is_our_origin("null"));
    }

    #[test]
    fn only_a_proxy_that_is_named_says_who_comes() {
        let front = front("10.0.0.5:8500", &["gate.lan"], true);
        let (proxy, other) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let chain = headers(&[("x-forwarded-for", "198.51.100.7, 203.0.113.9, 10.0.0.1")]);
        assert_eq!(front.peer(proxy, &chain).to_string(), "203.0.113.9", "what stands left of it, the client wrote");
        assert_eq!(front.peer(other, &chain), other);
        assert_eq!(front.peer(proxy, &headers(&[("x-forwarded-for", "unknown")])), proxy);
        assert_eq!(front.peer(proxy, &headers(&[])), proxy);
    }

    #[test]
    fn only_who_comes_straight_from_this_machine_is_at_home() {
        let home = front("127.0.0.1:8500", &["gate.lan"], true);
        let local = "127.0.0.1".parse().unwrap();
        assert!(home.is_at_home(local, &headers(&[("host", "localhost:8500")])));
        assert!(!home.is_at_home(local, &headers(&[("host", "gate.lan")])));
        assert!(!home.is_at_home(local, &headers(&[("host", "localhost:8500"), ("x-forwarded-for", "203.0.113.9")])));
        assert!(!home.is_at_home("10.0.0.2".parse().unwrap(), &headers(&[("host", "localhost:8500")])));
        let abroad = front("0.0.0.0:8500", &["gate.lan"], true);
        assert!(!abroad.is_at_home(local, &headers(&[("host", "localhost:8500")])));
    }
}
