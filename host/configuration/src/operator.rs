//! `[operator]`: what stands in front of the operator's listener.

use std::net::{IpAddr, SocketAddr};

use crate::diagnostic::{Problem, quoted};
use crate::keys;
use crate::reader::{At, Node, Section};

/// How people reach the operator's listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorReach {
    /// Names that a request may ask for, `NAME` or `NAME:PORT`, besides the listener's own address.
    pub hosts: Vec<String>,
    /// Proxies that say truly for whom they ask.
    pub proxies: Vec<IpAddr>,
    /// Browsers come over HTTPS, which a proxy ends.
    pub https: bool,
}

/// Reads the table, and holds it against where the listener is: `listen` is the node that says so.
pub(crate) fn read(file: &Section<'_>, address: SocketAddr, listen: Option<&Node<'_>>) -> OperatorReach {
    let section = file.section("operator", &keys::OPERATOR);
    let texts = |key: &str| section.as_ref().map(|section| section.texts(key)).unwrap_or_default();
    let reach = OperatorReach {
        hosts: texts("hosts").into_iter().filter_map(|text| host(file, text)).collect(),
        proxies: texts("proxies").into_iter().filter_map(|text| proxy(file, &text)).collect(),
        https: section.as_ref().is_some_and(|section| section.flag("https", false)),
    };
    let says_https = section.as_ref().is_some_and(|section| section.get("https").is_some());
    if let Some(listen) = listen
        && !address.ip().is_loopback()
        && (reach.hosts.is_empty() || !says_https)
    {
        let problem = Problem::at(listen.span.clone(), format!("{address} is no loopback address"))
            .label("reachable from outside")
            .help(
                "whoever reaches this listener with a token may approve and merge, so say how it is reached:\n[operator]\n\
                 hosts = [\"gatewright.example\"]\nhttps = true",
            )
            .help(
                "`hosts`: the names in people's browsers; `https = true`: a proxy in front speaks HTTPS; `false`: tokens \
                 cross the network in the clear, and you want that",
            );
        file.report.add(problem);
    }
    reach
}

fn host(file: &Section<'_>, text: At<String>) -> Option<String> {
    let At { value, span } = text;
    let (name, port) = match value.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (value.as_str(), None),
    };
    let is_name = !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|part| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !part.starts_with('-')
        });
    if is_name && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Some(value.to_ascii_lowercase());
    }
    let problem = Problem::at(span, format!("{} is no name of a host", quoted(&value))).of_value();
    file.report
        .add(problem.help("write it as people's browsers do, such as \"gatewright.example\" or \"gate.lan:8443\""));
    None
}

fn proxy(file: &Section<'_>, text: &At<String>) -> Option<IpAddr> {
    if let Ok(address) = text.value.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let problem = Problem::at(text.span.clone(), format!("{} is no address", quoted(&text.value))).of_value();
    file.report.add(problem.help("a proxy is named by the address from which it connects, such as \"10.0.0.1\""));
    None
}
