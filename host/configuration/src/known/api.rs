//! The service of an agent that the host knows: where it is, and which key opens it without the agent's ever seeing it.

use std::net::SocketAddr;

use conductor::dialect::{HeldKey, KeyHeader, Place, Service, Transport, claude_code};
use domain::network::Destination;
use domain::time::Milliseconds;

use super::Kind;
use crate::diagnostic::{Problem, quoted};
use crate::environment::hosts_own;
use crate::network;
use crate::reader::Section;

/// A service.
pub(super) struct Api {
    /// Its URL, where the role names one.
    pub(super) url: Option<String>,
    service: Service,
}

impl Api {
    /// As a network names it.
    pub(super) fn destination(&self) -> Destination {
        match &self.service.place {
            Place::Name { name, port } => Destination::Name { name: name.clone(), port: Some(*port) },
            Place::Address(address) => Destination::Address(*address),
        }
    }
}

/// The maker's own.
fn usual(kind: Kind) -> Service {
    let (name, base) = match kind {
        Kind::ClaudeCode => ("api.anthropic.com", ""),
        Kind::Codex => ("api.openai.com", "/v1"),
    };
    let place = Place::Name { name: name.to_owned(), port: 443 };
    Service { place, transport: Transport::Tls, base: base.to_owned() }
}

/// The service that a role names, or the usual one.
pub(super) fn read(section: &Section<'_>, kind: Kind, listener: Option<SocketAddr>) -> Option<Api> {
    let usual = usual(kind);
    let Some(text) = section.text("api") else {
        return section.get("api").is_none().then_some(Api { url: None, service: usual });
    };
    let refuse = |why: String| {
        let problem =
            Problem::at(text.span.clone(), format!("`api` of {} cannot be {}", section.name, quoted(&text.value)))
                .of_value();
        section.report.add(problem.help(why));
        None
    };
    let (transport, rest) = match (text.value.strip_prefix("https://"), text.value.strip_prefix("http://")) {
        (Some(rest), _) => (Transport::Tls, rest),
        (_, Some(rest)) => (Transport::Plain, rest),
        _ => {
            let Place::Name { name, .. } = &usual.place else { return None };
            return refuse(format!("a URL, e.g. \"https://{name}\""));
        }
    };
    let formed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/[]".contains(&byte);
    if !rest.bytes().all(formed) {
        return refuse("a URL without a user, a query or anything that would have to be escaped".to_owned());
    }
    let (place, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let has_port = place.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    let port = if transport == Transport::Tls { 443 } else { 80 };
    let place = if has_port { place.to_owned() } else { format!("{place}:{port}") };
    match place.parse::<Destination>() {
        Ok(destination) if listener.is_some_and(|listener| network::leads_to(&destination, listener)) => {
            refuse("that is where the operator is listened to; no worker is led there".to_owned())
        }
        Ok(Destination::Below { .. } | Destination::Any) => refuse("one name, without a star".to_owned()),
        Ok(destination) if transport == Transport::Plain && !is_own(&destination) => refuse(
            "the key would cross the network unencrypted: http:// is only for this machine's own loopback".to_owned(),
        ),
        Ok(Destination::Name { name, port: named }) => {
            let place = Place::Name { name, port: named.unwrap_or(port) };
            Some(named_api(&text.value, place, transport, base))
        }
        Ok(Destination::Address(address)) => Some(named_api(&text.value, Place::Address(address), transport, base)),
        Err(why) => refuse(why.to_string()),
    }
}

fn named_api(url: &str, place: Place, transport: Transport, base: &str) -> Api {
    let whole = |text: &str| text.trim_end_matches('/').to_owned();
    Api { url: Some(whole(url)), service: Service { place, transport, base: whole(base) } }
}

fn is_own(destination: &Destination) -> bool {
    match destination {
        Destination::Address(address) => address.ip().is_loopback(),
        Destination::Name { name, .. } => name == "localhost",
        Destination::Below { .. } | Destination::Any => false,
    }
}

/// `api-key`: the key that the agent uses and never sees.
pub(super) fn held_key(section: &Section<'_>, kind: Kind, api: &Api, patience: Milliseconds) -> Option<HeldKey> {
    let name = section.text("api-key")?;
    let usual = match kind {
        Kind::ClaudeCode => claude_code::KEYS[0].0,
        Kind::Codex => super::CODEX_KEY,
    };
    let formed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let is_name = name.value.bytes().all(formed) && !name.value.starts_with(|first: char| first.is_ascii_digit());
    if !is_name {
        // It may be the key itself, which no message repeats.
        let problem =
            Problem::at(name.span.clone(), format!("`api-key` of {} is no name of the environment", section.name))
                .of_value();
        section.report.add(problem.help(format!("the name, never the key itself: api-key = \"{usual}\"")));
        return None;
    }
    if let Some(why) = hosts_own(&name.value) {
        let problem = Problem::at(name.span, format!("{} is no key of an agent's", quoted(&name.value))).of_value();
        section.report.add(problem.label(why));
        return None;
    }
    let header = match kind {
        Kind::ClaudeCode => claude_code::key(&name.value).1,
        Kind::Codex => KeyHeader::Bearer,
    };
    Some(HeldKey { variable: name.value, header, service: api.service.clone(), patience })
}
