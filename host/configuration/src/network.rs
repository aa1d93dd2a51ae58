//! `network`: what a worker may reach.

use std::net::SocketAddr;

use domain::network::{Destination, Network};

use crate::diagnostic::{Problem, quoted};
use crate::reader::{At, Node, Section};

/// The words that stand in place of a list.
const WORDS: [&str; 2] = ["none", "open"];

/// The key's value; without the key there is no network. `listener` is where the operator is listened to.
pub(crate) fn read(section: &Section<'_>, listener: Option<SocketAddr>) -> Network {
    match section.get("network") {
        None => Network::default(),
        Some(node) if node.is_text() => word(&node),
        Some(node) => {
            let named = node.items().unwrap_or_default();
            Network(named.iter().filter_map(|item| destination(item, listener)).collect())
        }
    }
}

fn word(node: &Node<'_>) -> Network {
    let Some(text) = node.text() else { return Network::default() };
    match text.value.as_str() {
        "none" => {}
        "open" => return Network(vec![Destination::Any]),
        other => {
            let problem =
                Problem::at(text.span.clone(), format!("{} cannot be {}", node.what, quoted(other))).of_value();
            let problem = problem.choices("it is a list of names, or one of", other, WORDS);
            let is_one = other.parse::<Destination>().is_ok_and(|_| other.contains('.'));
            node.report.add(if is_one { problem.first_help(format!("write [\"{other}\"]")) } else { problem });
        }
    }
    Network::default()
}

fn destination(node: &Node<'_>, listener: Option<SocketAddr>) -> Option<Destination> {
    let At { value: text, span } = node.text()?;
    let refuse = |message: String| Problem::at(span.clone(), message).of_value();
    match text.parse::<Destination>() {
        Ok(destination) if listener.is_some_and(|listener| leads_to(&destination, listener)) => {
            let problem = refuse(format!("{} is where the operator is listened to", quoted(&text)));
            node.report
                .add(problem.help("whoever reaches that listener may approve and merge; no worker is led there"));
            None
        }
        Ok(destination) => Some(destination),
        Err(why) => {
            let problem = refuse(format!("{} cannot be {}", node.what, quoted(&text))).help(why.to_string());
            let example = "names are \"api.example.com\" (ports 443 and 80), \"registry.example:8443\", \"*.example.org\", \"*\"; \
                           in place of the list: \"none\", \"open\"";
            node.report.add(problem.help(example));
            None
        }
    }
}

/// The proxy refuses it whatever is written; said here, it is understood sooner.
pub(crate) fn leads_to(destination: &Destination, listener: SocketAddr) -> bool {
    match destination {
        Destination::Address(address) => {
            let (to, at) = (address.ip().to_canonical(), listener.ip());
            // Which addresses are this machine's, the run's proxy knows; here only what can be read off them.
            address.port() == listener.port() && (to == at || to.is_loopback() || to.is_unspecified())
        }
        Destination::Name { name, port } => name == "localhost" && *port == Some(listener.port()),
        Destination::Below { .. } | Destination::Any => false,
    }
}
