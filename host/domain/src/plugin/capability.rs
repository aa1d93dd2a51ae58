//! Capabilities as a manifest spells them. Parsed once; a value of the type is proof of its form.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a capability opens, without its narrowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// The task's repository, read-only.
    Repo,
    /// What the runs and the host wrote down.
    Documents,
    /// Checks and the pull request.
    Forge,
    /// The work item and its comments.
    Tracker,
    /// What the agents did and said.
    Runs,
    /// Finished tasks of the project.
    History,
    /// The plugin's own small store.
    Kv,
    /// Requests to one origin.
    Http,
    /// Commands that the operator named.
    Exec,
}

impl Family {
    /// Every family, in the order in which errors list them.
    pub const ALL: [Self; 9] = [
        Self::Repo,
        Self::Documents,
        Self::Forge,
        Self::Tracker,
        Self::Runs,
        Self::History,
        Self::Kv,
        Self::Http,
        Self::Exec,
    ];

    /// The word with which a capability of it begins.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Repo => "repo",
            Self::Documents => "documents",
            Self::Forge => "forge",
            Self::Tracker => "tracker",
            Self::Runs => "runs",
            Self::History => "history",
            Self::Kv => "kv",
            Self::Http => "http",
            Self::Exec => "exec",
        }
    }

    /// How a capability of it is spelled.
    pub const fn spelling(self) -> &'static str {
        match self {
            Self::Repo => "repo, repo:GLOB",
            Self::Http => "http:SCHEME://HOST[:PORT]",
            Self::Exec => "exec:NAME",
            other => other.as_str(),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Something that a plugin may do beyond computing. Its text form is the manifest's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Capability {
    /// Read the repository; only the paths that the glob matches, if there is one.
    Repo(Option<String>),
    /// Read the documents.
    Documents,
    /// Read checks and pull request.
    Forge,
    /// Read the work item.
    Tracker,
    /// Read the runs.
    Runs,
    /// Read finished tasks.
    History,
    /// Keep keys and values.
    Kv,
    /// Send requests to an origin.
    Http(HttpOrigin),
    /// Run a command that the operator named.
    Exec(String),
}

/// Where requests may go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpOrigin {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Any one or more labels may stand before the host.
    pub any_subdomain: bool,
    /// A name in punycode or an address, in lower case.
    pub host: String,
    /// None: the scheme's own.
    pub port: Option<u16>,
}

/// A text that spells no capability.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no capability: {why} (there are: {})", valid_list())]
pub struct CapabilityError {
    /// What was parsed, cut to 120 characters.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

fn valid_list() -> String {
    Family::ALL.map(Family::spelling).join(", ")
}

impl Capability {
    /// What it opens, without its narrowing.
    pub const fn family(&self) -> Family {
        match self {
            Self::Repo(_) => Family::Repo,
            Self::Documents => Family::Documents,
            Self::Forge => Family::Forge,
            Self::Tracker => Family::Tracker,
            Self::Runs => Family::Runs,
            Self::History => Family::History,
            Self::Kv => Family::Kv,
            Self::Http(_) => Family::Http,
            Self::Exec(_) => Family::Exec,
        }
    }

    /// Whether whoever holds this holds the other too. Two globs are only compared as texts.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Repo(None), Self::Repo(_)) => true,
            (Self::Http(mine), Self::Http(theirs)) => mine.covers(theirs),
            (mine, theirs) => mine == theirs,
        }
    }
}

impl HttpOrigin {
    /// Whether each origin that the other matches is matched by this one.
    pub fn covers(&self, other: &Self) -> bool {
        let hosts = if self.any_subdomain {
            other
                .host
                .strip_suffix(&self.host)
                .is_some_and(|rest| rest.ends_with('.') && rest.len() > 1 || rest.is_empty() && other.any_subdomain)
        } else {
            !other.any_subdomain && self.host == other.host
        };
        hosts && self.scheme == other.scheme && self.port == other.port
    }
}

impl fmt::Display for HttpOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let star = if self.any_subdomain { "*." } else { "" };
        write!(formatter, "{}://{star}{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(formatter, ":{port}"))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repo(Some(glob)) => write!(formatter, "repo:{glob}"),
            Self::Http(origin) => write!(formatter, "http:{origin}"),
            Self::Exec(name) => write!(formatter, "exec:{name}"),
            plain => plain.family().fmt(formatter),
        }
    }
}

impl FromStr for Capability {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        parse(text).map_err(|why| CapabilityError { text: text.chars().take(120).collect(), why })
    }
}

impl TryFrom<String> for Capability {
    type Error = CapabilityError;

    fn try_from(text: String) -> Result<Self, CapabilityError> {
        text.parse()
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> Self {
        capability.to_string()
    }
}

impl FromStr for HttpOrigin {
    type Err = CapabilityError;

    /// Parses `SCHEME://HOST[:PORT]`.
    fn from_str(text: &str) -> Result<Self, CapabilityError> {
        parse_origin(text).map_err(|why| CapabilityError { text: text.chars().take(120).collect(), why })
    }
}

fn parse(text: &str) -> Result<Capability, String> {
    let (word, rest) = text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest)));
    let family = Family::ALL.into_iter().find(|family| family.as_str() == word).ok_or("no such word")?;
    match (family, rest) {
        (Family::Repo, None) => Ok(Capability::Repo(None)),
        (Family::Repo, Some(glob)) => check_glob(glob).map(|()| Capability::Repo(Some(glob.to_owned()))),
        (Family::Http, Some(origin)) => parse_origin(origin).map(Capability::Http),
        (Family::Http, None) => Err("an origin must follow, e.g. `http:https://api.example.org`".to_owned()),
        (Family::Exec, Some(name)) => parse_command(name).map(Capability::Exec),
        (Family::Exec, None) => Err("a command's name must follow, e.g. `exec:unit-tests`".to_owned()),
        (_, Some(_)) => Err(format!("nothing may follow `{word}`")),
        (Family::Documents, None) => Ok(Capability::Documents),
        (Family::Forge, None) => Ok(Capability::Forge),
        (Family::Tracker, None) => Ok(Capability::Tracker),
        (Family::Runs, None) => Ok(Capability::Runs),
        (Family::History, None) => Ok(Capability::History),
        (Family::Kv, None) => Ok(Capability::Kv),
    }
}

fn check_glob(glob: &str) -> Result<(), String> {
    let hidden = |part: &str| part == ".." || part.eq_ignore_ascii_case(".git");
    if glob.is_empty() || glob.len() > 256 {
        Err("a glob has 1 to 256 bytes".to_owned())
    } else if glob.starts_with('/') || glob.split('/').any(hidden) {
        Err("a glob is relative to the repository's root, without `..` and `.git`".to_owned())
    } else if glob.chars().any(char::is_control) {
        Err("a glob holds no control character".to_owned())
    } else {
        Ok(())
    }
}

fn parse_command(name: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.contains('/') || name.contains('\\') {
        return Err("a path is no command's name: the operator's manifest names commands".to_owned());
    }
    let formed = (1..=64).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with(['-', '.']);
    if formed {
        Ok(name.to_owned())
    } else {
        Err("a command's name has letters, digits, `-`, `_`, `.`, at most 64".to_owned())
    }
}

fn parse_origin(text: &str) -> Result<HttpOrigin, String> {
    let (scheme, rest) = text.split_once("://").ok_or("the scheme is missing: `https://HOST`")?;
    let scheme = match scheme {
        "https" => "https",
        "http" => "http",
        _ => return Err("the scheme is `http` or `https`".to_owned()),
    };
    if !rest.is_ascii() {
        return Err("a host outside ASCII is written in punycode".to_owned());
    }
    if let Some(bad) = rest.chars().find(|character| "/?#@%\\, \t".contains(*character)) {
        return Err(format!("an origin has no path, user, list or percent spelling (`{bad}` stands in it)"));
    }
    let (host, port) = split_port(rest)?;
    let own = if scheme == "https" { 443 } else { 80 };
    let port = port.filter(|port| *port != own);
    let (any_subdomain, host) = host.strip_prefix("*.").map_or((false, host), |host| (true, host));
    let host = host.to_ascii_lowercase();
    if host.contains('*') {
        return Err("a star stands only at the front, as in `*.example.org`".to_owned());
    }
    if any_subdomain && (!host.contains('.') || is_address(&host)) {
        return Err("a star covers the names under a domain, not a top-level domain or an address".to_owned());
    }
    Ok(HttpOrigin { scheme, any_subdomain, host: check_host(host)?, port })
}

fn split_port(rest: &str) -> Result<(&str, Option<u16>), String> {
    let after_address = rest.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = rest[after_address..].find(':') else {
        return Ok((rest, None));
    };
    let (host, port) = (&rest[..after_address + colon], &rest[after_address + colon + 1..]);
    let plain = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    let number = port.parse::<u16>().ok().filter(|_| plain).ok_or("a port is one number from 1 to 65535")?;
    Ok((host, Some(number)))
}

fn is_address(host: &str) -> bool {
    host.parse::<Ipv4Addr>().is_ok() || host.starts_with('[')
}

/// Gives the host back in the one form that it has: an IPv6 address can be written in many.
fn check_host(host: String) -> Result<String, String> {
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or("an IPv6 address ends with `]`")?;
        let address = inner.parse::<Ipv6Addr>().map_err(|_| "no IPv6 address stands in the brackets".to_owned())?;
        return Ok(format!("[{address}]"));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Err("a host is a name of letters, digits, `-` and dots, or an address".to_owned());
    }
    // What ends in a number is an address to resolvers (`127.1`, `0x7f.1`): only the plain form may stand for one.
    let last = host.rsplit('.').next().unwrap_or(&host);
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    if numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err("an IPv4 address is written as four decimal numbers".to_owned());
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> HttpOrigin {
        text.parse().unwrap()
    }

    #[test]
    fn every_spelling_survives_the_way_there_and_back() {
        for text in [
            "repo",
            "repo:docs/**",
            "documents",
            "forge",
            "tracker",
            "runs",
            "history",
            "kv",
            "http:https://api.example.org",
            "http:http://*.example.org:8080",
            "http:https://[::1]:8443",
            "http:https://192.0.2.7",
            "exec:unit-tests",
        ] {
            assert_eq!(text.parse::<Capability>().unwrap().to_string(), text);
        }
        assert_eq!(
            "http:https://API.example.org:443".parse::<Capability>().unwrap().to_string(),
            "http:https://api.example.org"
        );
    }

    #[test]
    fn what_is_no_capability_is_refused_with_the_list_of_those_that_are() {
        for text in [
            "",
            "Repo",
            "secrets",
            "repo:",
            "repo:/etc/passwd",
            "repo:a/../b",
            "repo:.git/config",
            "documents:all",
            "http",
            "http:api.example.org",
            "http:ftp://example.org",
            "http:https://*",
            "http:https://*.org",
            "http:https://a.*.org",
            "http:https://*.192.0.2.7",
            "http:https://example.org/path",
            "http:https://user@example.org",
            "http:https://example.org:80,443",
            "http:https://example.org:0",
            "http:https://example.org:080",
            "http:https://example.org:65536",
            "http:https://ex%61mple.org",
            "http:https://ｅxample.org",
            "http:https://example.org.",
            "http:https://127.1",
            "http:https://0x7f.0.0.0x1",
            "http:https://[::1",
            "exec",
            "exec:/bin/sh",
            "exec:../x",
            "exec:-rf",
        ] {
            let refused = text.parse::<Capability>().expect_err(text).to_string();
            assert!(refused.contains("documents, forge, tracker"), "{text}: {refused}");
        }
    }

    #[test]
    fn a_wider_capability_covers_a_narrower_one_and_never_the_other_way() {
        assert!(Capability::Repo(None).covers(&Capability::Repo(Some("a".to_owned()))));
        assert!(!Capability::Repo(Some("a".to_owned())).covers(&Capability::Repo(None)));
        let star = origin("https://*.example.org");
        assert!(star.covers(&origin("https://a.example.org")));
        assert!(star.covers(&origin("https://*.example.org")));
        assert!(star.covers(&origin("https://*.b.example.org")));
        assert!(!star.covers(&origin("https://example.org")));
        assert!(!star.covers(&origin("https://evilexample.org")));
        assert!(!star.covers(&origin("http://a.example.org")));
        assert!(!star.covers(&origin("https://a.example.org:8443")));
        assert!(!origin("https://a.example.org").covers(&origin("https://*.a.example.org")));
    }
}
