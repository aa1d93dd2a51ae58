//! What the operator named, and to which addresses it leads.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use super::address::{is_own, is_public};
use super::request::{Host, Target};
use crate::protocol::{Allowed, Proxy};

/// What may be reached.
pub(super) struct Rules {
    allowed: Vec<Allowed>,
    never: Vec<SocketAddr>,
}

/// Why something is not reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody named it.
    Unnamed,
    /// The name leads to this machine or its neighbours.
    Near,
    /// The operator is listened to there.
    Operator,
    /// The name leads nowhere.
    Unresolved,
}

impl Refusal {
    /// A sentence about `target` that says what to do.
    pub(super) fn told(self, target: &str) -> String {
        match self {
            Self::Unnamed => format!(
                "{target}: it is not among the names that this run may reach; if it should be, add it to `network` of \
                 the worker in the project's file"
            ),
            Self::Near => format!(
                "{target}: the name leads to this machine or a private network; if it should be reached, add the \
                 address itself with its port to `network` of the worker in the project's file"
            ),
            Self::Operator => format!("{target}: Gatewright itself listens there, and no run may reach it"),
            Self::Unresolved => format!("{target}: there is no such name"),
        }
    }
}

impl Rules {
    pub(super) fn new(proxy: &Proxy) -> Self {
        Self { allowed: proxy.allowed.clone(), never: proxy.never.clone() }
    }

    /// The same, and this one beside.
    pub(super) fn with(self, one: Allowed) -> Self {
        Self { allowed: self.allowed.into_iter().chain([one]).collect(), ..self }
    }

    /// The addresses that may be connected to. A name is resolved here, once: what it leads to later is of no account.
    pub(super) fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Refusal> {
        match &target.host {
            Host::Address(address) => {
                let address = SocketAddr::new(address.to_canonical(), target.port);
                self.judge(address, false).map(|()| vec![address])
            }
            Host::Name(name) if !self.names(name, target.port) => Err(Refusal::Unnamed),
            Host::Name(name) => {
                let found = (name.as_str(), target.port).to_socket_addrs().map_err(|_| Refusal::Unresolved)?;
                self.of_a_name(found)
            }
        }
    }

    fn of_a_name(&self, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refusal> {
        let mut refused = Refusal::Unresolved;
        let mut kept = Vec::new();
        for address in found {
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            match self.judge(address, true) {
                Ok(()) => kept.push(address),
                Err(refusal) => refused = refusal,
            }
        }
        if kept.is_empty() { Err(refused) } else { Ok(kept) }
    }

    /// Whether an address may be connected to: one to which a name led, or one that was asked for itself.
    pub(super) fn judge(&self, address: SocketAddr, is_named: bool) -> Result<(), Refusal> {
        if self.never.iter().any(|never| leads_to(address, *never)) {
            return Err(Refusal::Operator);
        }
        if self.allowed.contains(&Allowed::Address { address }) {
            return Ok(());
        }
        if self.allowed.contains(&Allowed::Any) {
            let ip = address.ip();
            let is_here = ip.is_loopback() || ip.is_unspecified() || is_link_local(ip) || is_own(ip);
            return if is_here { Err(Refusal::Near) } else { Ok(()) };
        }
        if !is_named {
            return Err(Refusal::Unnamed);
        }
        if is_public(address.ip()) && !is_own(address.ip()) { Ok(()) } else { Err(Refusal::Near) }
    }

    fn names(&self, asked: &str, port: u16) -> bool {
        self.allowed.iter().any(|allowed| match allowed {
            Allowed::Name { name, ports } => asked == name && ports.contains(&port),
            Allowed::Below { name, ports } => {
                let below = asked.strip_suffix(name.as_str()).and_then(|rest| rest.strip_suffix('.'));
                below.is_some_and(|below| !below.is_empty()) && ports.contains(&port)
            }
            Allowed::Any => true,
            Allowed::Address { .. } => false,
        })
    }
}

/// Where clouds answer their own machines what nobody else may know.
const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// A listener on the loopback is found under every address that the kernel takes for it.
fn leads_to(address: SocketAddr, listener: SocketAddr) -> bool {
    let (to, at) = (address.ip(), listener.ip().to_canonical());
    let is_here = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
    address.port() == listener.port() && (to == at || is_here(to) || (at.is_unspecified() && is_own(to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let name = |name: &str| name.to_owned();
        Rules {
            allowed: vec![
                Allowed::Name { name: name("api.example.com"), ports: vec![443, 80] },
                Allowed::Below { name: name("example.org"), ports: vec![443] },
                Allowed::Address { address: "127.0.0.1:9000".parse().unwrap() },
                Allowed::Address { address: "127.0.0.1:8500".parse().unwrap() },
            ],
            never: vec!["127.0.0.1:8500".parse().unwrap()],
        }
    }

    #[test]
    fn a_name_is_the_name_itself_or_below_a_star() {
        let rules = rules();
        for (name, port, named) in [
            ("api.example.com", 443, true),
            ("api.example.com", 80, true),
            ("api.example.com", 22, false),
            ("example.com", 443, false),
            ("x.api.example.com", 443, false),
            ("api.example.com.evil.example", 443, false),
            ("a.example.org", 443, true),
            ("a.b.example.org", 443, true),
            ("example.org", 443, false),
            (".example.org", 443, false),
            ("evilexample.org", 443, false),
        ] {
            assert_eq!(rules.names(name, port), named, "{name}:{port}");
        }
    }

    #[test]
    fn an_address_is_only_what_was_written_and_never_the_operators() {
        let rules = rules();
        let judged = |address: &str, is_named| rules.judge(address.parse().unwrap(), is_named);
        assert_eq!(judged("127.0.0.1:9000", false), Ok(()));
        assert_eq!(judged("127.0.0.1:9000", true), Ok(()), "a name may lead where the operator sent it");
        assert_eq!(judged("127.0.0.1:9001", false), Err(Refusal::Unnamed));
        assert_eq!(judged("192.0.2.1:443", false), Err(Refusal::Unnamed));
        assert_eq!(judged("127.0.0.1:9001", true), Err(Refusal::Near));
        assert_eq!(judged("169.254.169.254:443", true), Err(Refusal::Near));
        for address in ["127.0.0.1:8500", "127.0.0.2:8500", "0.0.0.0:8500", "[::1]:8500"] {
            assert_eq!(judged(address, true), Err(Refusal::Operator), "{address}");
        }
    }

    #[test]
    fn everything_is_everything_but_this_machine() {
        let never = vec!["192.0.2.7:8500".parse().unwrap()];
        let rules = Rules { allowed: vec![Allowed::Any], never };
        let judged = |address: &str| rules.judge(address.parse().unwrap(), false);
        assert!(rules.names("whatever.example", 22));
        for reached in ["203.0.113.9:22", "10.0.0.1:5432", "192.0.2.7:443", "[2001:db8::7]:443"] {
            assert_eq!(judged(reached), Ok(()), "{reached}");
        }
        for near in ["127.0.0.1:5432", "127.9.9.9:80", "[::1]:80", "0.0.0.0:80", "169.254.169.254:80", "[fe80::1]:80"] {
            assert_eq!(judged(near), Err(Refusal::Near), "{near}");
        }
        assert_eq!(judged("192.0.2.7:8500"), Err(Refusal::Operator));
        let with_a_door = Rules { allowed: vec![Allowed::Any, address("127.0.0.1:5432")], ..rules };
        assert_eq!(with_a_door.judge("127.0.0.1:5432".parse().unwrap(), false), Ok(()));
    }

    fn address(text: &str) -> Allowed {
        Allowed::Address { address: text.parse().unwrap() }
    }

    #[test]
    fn of_a_name_with_addresses_of_both_kinds_only_the_public_ones_are_tried() {
        let found = ["10.0.0.1:443", "203.0.113.9:443", "[::ffff:127.0.0.1]:443"].map(|text| text.parse().unwrap());
        assert_eq!(rules().of_a_name(found.into_iter()), Ok(vec![found[1]]));
        assert_eq!(rules().of_a_name([found[0]].into_iter()), Err(Refusal::Near));
        assert_eq!(rules().of_a_name([].into_iter()), Err(Refusal::Unresolved));
    }
}
