//! A key that a run never sees: the host knows where it stands, the run's shim adds it to what the run asks of its service.

use std::net::SocketAddr;

use domain::time::Milliseconds;

/// Where the door to the service stands in a run's own network: its port on the loopback.
pub const DOOR_PORT: u16 = 17081;
/// What an agent's program finds in place of its key, for it begins nothing without one.
pub const PLACEHOLDER: &str = "held-by-gatewright";

/// A key that the shim holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldKey {
    /// The name of the host's environment whose value it is.
    pub variable: String,
    /// How it is shown to the service.
    pub header: KeyHeader,
    /// The one service that gets it.
    pub service: Service,
    /// How long the service may take to the first byte of an answer: whoever asks through the door has no such bound of his own.
    pub patience: Milliseconds,
}

/// In which header a key goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyHeader {
    /// `x-api-key`
    XApiKey,
    /// `Authorization: Bearer`
    Bearer,
}

/// A service that wants a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// Where it is.
    pub place: Place,
    /// How it is spoken to.
    pub transport: Transport,
    /// The path below which everything is asked, without a slash at its end.
    pub base: String,
}

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A name of the DNS, in lower case.
    Name {
        /// Which.
        name: String,
        /// On this port.
        port: u16,
    },
    /// An address.
    Address(SocketAddr),
}

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// `http://`
    Plain,
    /// `https://`
    Tls,
}

impl HeldKey {
    /// Where the run finds its service.
    pub fn door_url(&self) -> String {
        format!("http://127.0.0.1:{DOOR_PORT}{}", self.service.base)
    }
}
