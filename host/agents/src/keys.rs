//! Keys that a run never sees: their values are taken from the host's environment for its shim alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use conductor::dialect::{DOOR_PORT, HeldKey, KeyHeader, Place, Transport};
use shim::protocol::{self, Keyed, NoSecret, Secret, Upstream};

use crate::environment::{self, EnvironmentError};
use crate::port::HostEnvironment;

/// By this name the operator tells programs of authorities of his own; it is understood here too.
const AUTHORITIES: &str = "SSL_CERT_FILE";

/// Why there is no key. No value is ever told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The host uses the name for itself.
    #[error(transparent)]
    Refused(#[from] EnvironmentError),
    /// It has no value.
    #[error(
        "`{variable}`, which `api-key` names, is not set in the host's environment; set it there, and start the host again"
    )]
    Missing {
        /// Which.
        variable: String,
    },
    /// It is no key.
    #[error("the value of `{variable}`, which `api-key` names, can be no key: {why}")]
    Malformed {
        /// Which.
        variable: String,
        /// Why.
        why: NoSecret,
    },
}

/// What a run's shim is told of it.
pub(crate) fn keyed(held: &HeldKey, host: &HostEnvironment) -> Result<Keyed, KeyError> {
    let variable = &held.variable;
    let lookup = |name: &str| host.values.get(name).filter(|value| !value.is_empty()).cloned();
    let mut found = environment::passed(std::slice::from_ref(variable), &host.reserved, lookup)?;
    let value = found.remove(variable).ok_or_else(|| KeyError::Missing { variable: variable.clone() })?;
    let value = Secret::try_from(value).map_err(|why| KeyError::Malformed { variable: variable.clone(), why })?;
    let authorities = host.values.get(AUTHORITIES).map(PathBuf::from).filter(|file| file.is_absolute());
    let service = &held.service;
    Ok(Keyed {
        door: SocketAddr::from((Ipv4Addr::LOCALHOST, DOOR_PORT)),
        upstream: Upstream {
            place: match &service.place {
                Place::Name { name, port } => protocol::Place::Name { name: name.clone(), port: *port },
                Place::Address(address) => protocol::Place::Address { address: *address },
            },
            transport: match service.transport {
                Transport::Plain => protocol::Transport::Plain,
                Transport::Tls => protocol::Transport::Tls { authorities },
            },
            base: service.base.clone(),
        },
        header: match held.header {
            KeyHeader::XApiKey => protocol::KeyHeader::XApiKey,
            KeyHeader::Bearer => protocol::KeyHeader::Bearer,
        },
        patience_ms: held.patience.0,
        value,
    })
}

#[cfg(test)]
mod tests {
    use conductor::dialect::Service;
    use domain::time::Milliseconds;

    use super::*;

    #[test]
    fn a_key_that_is_missing_or_is_none_is_told_without_its_value() {
        let held = |variable: &str| HeldKey {
            variable: variable.to_owned(),
            header: KeyHeader::Bearer,
            service: Service {
                place: Place::Name { name: "api.example.com".to_owned(), port: 443 },
                transport: Transport::Tls,
                base: "/v1".to_owned(),
            },
            patience: Milliseconds::from_seconds(60),
        };
        let values =
            [("GOOD", "sk-1"), ("EMPTY", ""), ("BROKEN", "sk 2\n"), ("GATEWRIGHT_X", "sk-3"), ("OURS", "sk-4")];
        let host = HostEnvironment {
            reserved: vec!["OURS".to_owned()],
            values: values.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        let said = |variable: &str| match keyed(&held(variable), &host) {
            Ok(keyed) => format!("{keyed:?}"),
            Err(error) => error.to_string(),
        };
        assert!(
            said("GOOD").contains("api.example.com") && said("GOOD").contains("value: (secret)"),
            "{}",
            said("GOOD")
        );
        for (variable, words) in [
            ("UNSET", "`UNSET`, which `api-key` names, is not set"),
            ("EMPTY", "is not set"),
            ("BROKEN", "the value of `BROKEN`, which `api-key` names, can be no key"),
            ("GATEWRIGHT_X", "which gatewright itself uses"),
            ("OURS", "which gatewright itself uses"),
        ] {
            assert!(said(variable).contains(words), "{}", said(variable));
            assert!(!said(variable).contains("sk"), "{}", said(variable));
        }
    }
}
