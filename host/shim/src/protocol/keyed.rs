//! The keyed door, as `spec.json` says it: where it stands inside, what lies behind it, and the key that only the shim knows.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A service that a run reaches through a door of its own. The shim adds the key to what passes, and speaks TLS to the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyed {
    /// Where the door stands, on the loopback of the sandbox.
    pub door: SocketAddr,
    /// What lies behind it.
    pub upstream: Upstream,
    /// In which header the key goes.
    pub header: KeyHeader,
    /// How long the service may take to the first byte of its answer. In milliseconds.
    pub patience_ms: u64,
    /// The key.
    pub value: Secret,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Where it is.
    pub place: Place,
    /// How it is spoken to.
    pub transport: Transport,
    /// The path below which everything is asked, as `/v1`; empty: all of it.
    pub base: String,
}

/// One place on the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Place {
    /// A name in lower case, as long as it leads to the public network.
    Name {
        /// Which.
        name: String,
        /// On this port.
        port: u16,
    },
    /// An address, whatever network it belongs to.
    Address {
        /// Which.
        address: SocketAddr,
    },
}

/// How a service is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Transport {
    /// HTTP: on this machine's own loopback.
    Plain,
    /// HTTPS.
    Tls {
        /// The authorities that are believed; none: the system's.
        authorities: Option<PathBuf>,
    },
}

/// The header in which a service wants its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyHeader {
    /// `x-api-key: …`
    XApiKey,
    /// `Authorization: Bearer …`
    Bearer,
}

/// A value that nobody prints: it can stand in one header line, and is at least one visible character long.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(String);

/// The value of a secret could not stand in a header. What it was is not said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is empty, or holds what cannot stand in a header: a space, a line's end, another character than ASCII's visible ones"
)]
pub struct NoSecret;

impl Secret {
    /// As it stands in the header.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Secret {
    type Error = NoSecret;

    fn try_from(value: String) -> Result<Self, NoSecret> {
        let is_one = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
        if is_one { Ok(Self(value)) } else { Err(NoSecret) }
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        secret.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_no_more_than_a_word_and_is_never_printed() {
        for wrong in ["", "a b", "a\nb", "a\r\nx: y", "\u{e9}", "key\n"] {
            let refused = Secret::try_from(wrong.to_owned());
            assert_eq!(refused, Err(NoSecret), "{wrong:?}");
            assert!(wrong.len() < 2 || !NoSecret.to_string().contains(wrong), "{wrong:?}");
        }
        let secret = Secret::try_from("sk-abc".to_owned()).unwrap();
        assert_eq!(format!("{secret:?}"), "(secret)");
        let written = serde_json::to_string(&secret).unwrap();
        assert_eq!(serde_json::from_str::<Secret>(&written).unwrap(), secret);
        assert!(serde_json::from_str::<Secret>("\"a b\"").is_err());
    }
}
