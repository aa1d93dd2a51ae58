//! The living host: its ports, and what keeps it alive.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use conductor::ports::clock::Clock as _;
use configuration::HostConfig;
use domain::access::Right;
use domain::time::{Milliseconds, Timestamp};
use gateway::api::{Listing, RefusedDeliveries, System, TokenView};

use super::{Finding, program};
use crate::client::{self, Client, ClientError};
use crate::clock::SystemClock;
use crate::delivery::because;
use crate::listener;
use crate::output::Output;
use crate::state::{TOKEN_FILE, WEBHOOKS_FILE};
use crate::when::moment;

/// A listener on this machine answers within this time, or not at all.
const PATIENCE: Duration = Duration::from_secs(2);
const DAY: Milliseconds = Milliseconds::from_seconds(24 * 3600);
/// A token that ends within this time is spoken of: somebody has a week to replace it.
const SOON: Milliseconds = Milliseconds::from_seconds(7 * 24 * 3600);
/// A powerful token that nobody used for so long is more danger than help.
const IDLE: Milliseconds = Milliseconds::from_seconds(90 * 24 * 3600);

/// A host that serves the folder.
pub(super) struct Living {
    client: Client,
    base: String,
    /// What it says of itself.
    pub(super) system: Option<System>,
    refused: Option<ClientError>,
    /// The process that holds the folder's lock is the one that listens.
    ours: bool,
}

/// Finds it.
pub(super) fn living(dir: &Path) -> Option<Living> {
    let client = Client::find(dir).ok()?;
    let base = client.base().to_owned();
    let socket = base.strip_prefix("http://").and_then(|socket| socket.parse().ok());
    let ours = match (listener::holder(dir), socket) {
        // Another user's sockets cannot be seen: then its answers must do.
        (Some(holder), Some(socket)) => listener::listens(holder, socket).unwrap_or(true),
        _ => false,
    };
    match client.get::<System>("/api/v1/system") {
        Ok(system) => Some(Living { client, base, system: Some(system), refused: None, ours }),
        Err(error) => Some(Living { client, base, system: None, refused: Some(error), ours }),
    }
}

/// Who listens where the files say.
pub(super) fn ports(dir: &Path, host: &HostConfig, living: Option<&Living>) -> Vec<Finding> {
    if let Some(living) = living {
        return vec![match &living.refused {
            Some(why) if living.ours && why.is_about_rights() => {
                Finding::ok("ports", format!("the host of this folder listens on {}", living.base))
            }
            None if !living.ours => {
                let found = format!(
                    "{} answers, and the process that holds this folder's lock does not listen there",
                    living.base
                );
                Finding::error(
                    "ports",
                    found,
                    format!("remove {}/operator-address and start the host again", dir.display()),
                )
            }
            None => Finding::ok(
                "ports",
                format!("the host of this folder listens on {}, and its token opens it", living.base),
            ),
            Some(why) => {
                let found = format!("{} answers, and not as the host of this folder: {why}", living.base);
                let cure = format!("is another server there? End it, or remove {}/operator-address", dir.display());
                Finding::error("ports", found, cure)
            }
        }];
    }
    let address = host.operator;
    vec![match TcpListener::bind(address) {
        Ok(_) => Finding::ok("ports", format!("no host serves this folder; {address} is free for it")),
        Err(error) => {
            let cure = format!(
                "`ss -ltnp` names it; end it, or name another port under [listen] in {}/gatewright.toml",
                dir.display()
            );
            Finding::error(
                "ports",
                format!("{address} cannot be listened on, and no host of this folder does: {error}"),
                cure,
            )
        }
    }]
}

/// Where the host would listen cannot be read.
pub(super) fn unknown_ports() -> Vec<Finding> {
    let found = "no host serves this folder, and where it would listen is not known while gatewright.toml has errors";
    vec![Finding::warning("ports", found, "`gatewright check` shows each with its line")]
}

/// Where trackers and forges are to reach the host.
pub(super) fn webhooks(dir: &Path, host: &HostConfig, living: Option<&Living>) -> Option<Finding> {
    let wanted = host.webhooks?;
    let cure =
        || format!("name another port under [webhooks] in {}/gatewright.toml, and start the host anew", dir.display());
    if living.is_none() {
        return Some(match TcpListener::bind(wanted) {
            Ok(_) => Finding::ok("webhooks", format!("{wanted} is free for the webhooks")),
            Err(error) => Finding::error("webhooks", format!("{wanted} cannot be listened on: {error}"), cure()),
        });
    }
    let known = std::fs::read_to_string(dir.join(WEBHOOKS_FILE)).unwrap_or_default();
    let socket: Option<SocketAddr> = known.trim().strip_prefix("http://").and_then(|socket| socket.parse().ok());
    Some(match socket.map(|socket| (socket, TcpStream::connect_timeout(&socket, PATIENCE))) {
        Some((socket, Ok(_))) => Finding::ok("webhooks", format!("{socket} is listened on for webhooks")),
        Some((socket, Err(error))) => Finding::error(
            "webhooks",
            format!("nobody answers at {socket}, where webhooks should come: {error}"),
            cure(),
        ),
        None => {
            let found = format!("the files want webhooks at {wanted}, and the living host listens for none");
            Finding::error("webhooks", found, "start the host anew: it reads [webhooks] at its start alone")
        }
    })
}

/// Deliveries that the living host refused for their signature, as they may be a tracker's or forge's own: a webhook without a secret, or
/// with another one, is seen nowhere else but on its page of deliveries. Whether it may be asked is said of the tokens.
pub(super) fn refused(living: &Living, out: &Output) -> Vec<Finding> {
    let Ok(listing) = living.client.get::<Listing<RefusedDeliveries>>("/api/v1/deliveries/refused") else {
        return Vec::new();
    };
    let finding = |refused: RefusedDeliveries| {
        let RefusedDeliveries { source, flaw, count, last_at, advice, .. } = refused;
        let found = format!(
            "{count} of {source} were refused {} since the host started, the last at {}",
            because(flaw),
            moment(last_at)
        );
        let whence = out.command("gatewright delivery list");
        Finding::warning("webhooks", found, format!("{advice}. {whence} says from where they came"))
    };
    listing.items.into_iter().map(finding).collect()
}

/// Who else may do what here: tokens that end soon, and powerful ones that nobody uses.
pub(super) fn tokens(dir: &Path, living: Option<&Living>) -> Vec<Finding> {
    let Some(living) = living else {
        return vec![Finding::ok(
            "tokens",
            "no host is alive to be asked about them; `gatewright token list` reads the database",
        )];
    };
    if let Some(why) = &living.refused {
        return if living.ours && why.is_about_rights() { vec![refusal(dir, why)] } else { Vec::new() };
    }
    let listing = match living.client.get::<Listing<TokenView>>("/api/v1/tokens") {
        Ok(listing) => listing.items,
        Err(error) if error.is_about_rights() => return vec![refusal(dir, &error)],
        Err(error) => {
            let found = format!("the host does not tell of its tokens: {error}");
            return vec![Finding::warning("tokens", found, "gatewright token list")];
        }
    };
    let now = SystemClock.now();
    let is_open = |token: &&TokenView| token.revoked_at.is_none() && token.expires_at.is_none_or(|at| at > now);
    let open: Vec<&TokenView> = listing.iter().filter(is_open).collect();
    let mut findings: Vec<Finding> = open.iter().filter_map(|token| stale(token, now)).collect();
    if findings.is_empty() {
        let each: Vec<String> = open.iter().map(|token| format!("{} ({})", token.name, token.right)).collect();
        let named = if each.is_empty() { "none but the one of this folder".to_owned() } else { each.join(", ") };
        findings.push(Finding::ok("tokens", format!("{named}; each is used, and none ends soon")));
    }
    findings
}

/// The host of this folder does not take the token that it was asked with, or the token may not do this.
fn refusal(dir: &Path, why: &ClientError) -> Finding {
    let (token, cure) = if client::brings_own_token() {
        let cure = format!("`unset {0}`, or put a token of this host's into {0}", client::TOKEN_VARIABLE);
        (format!("the token in {}", client::TOKEN_VARIABLE), cure)
    } else {
        let path = dir.join(TOKEN_FILE);
        let cure = format!("remove {} and start the host again: it writes one that opens everything", path.display());
        (format!("the token in {}", path.display()), cure)
    };
    if why.is_unknown_token() {
        return Finding::error("tokens", format!("the host of this folder does not know {token}: {why}"), cure);
    }
    let found = format!("{token} may not do this, so who else may do what was not looked at: {why}");
    Finding::warning("tokens", found, cure)
}

fn stale(token: &TokenView, now: Timestamp) -> Option<Finding> {
    let name = &token.name;
    if let Some(at) = token.expires_at.filter(|at| at.since(now) < SOON) {
        let days = at.since(now).0 / DAY.0;
        let cure = format!("gatewright token new {name}-2 --right {}, and put it where {name} is used", token.right);
        return Some(Finding::warning("tokens", format!("{name} ends in {days} days"), cure));
    }
    let last = token.used_at.unwrap_or(token.made_at);
    (token.right == Right::Admin && now.since(last) > IDLE).then(|| {
        let found = format!("{name} may do everything, and nobody used it for {} days", now.since(last).0 / DAY.0);
        Finding::warning("tokens", found, format!("gatewright token revoke {name}"))
    })
}

/// Under systemd: whether a restart of the unit kills the runs.
pub(super) fn unit(dir: &Path, is_living: bool) -> Finding {
    let pid = std::fs::read_to_string(dir.join("gatewright.lock")).ok().filter(|_| is_living);
    let group = match pid.as_deref().map(str::trim).filter(|pid| !pid.is_empty()) {
        Some(pid) => {
            let read = std::fs::read(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            String::from_utf8_lossy(&read).into_owned()
        }
        None => return Finding::ok("systemd", "no host is alive, so nothing is known of its unit"),
    };
    let Some(unit) = unit_of(&group) else {
        return Finding::ok("systemd", "the host runs under no unit of systemd: nobody ends its runs with it");
    };
    let mut arguments = vec!["show", "--property=KillMode", "--value", unit];
    if group.contains("/user@") {
        arguments.insert(0, "--user");
    }
    match program::first_line(Path::new("/usr/bin/systemctl"), &arguments) {
        Ok(mode) => kill_mode(unit, &mode),
        Err(why) => {
            let found = format!("systemd cannot be asked for the KillMode of {unit}: {why}");
            Finding::warning("systemd", found, format!("systemctl show --property=KillMode {unit}"))
        }
    }
}

/// The innermost service in a process's control group.
fn unit_of(group: &str) -> Option<&str> {
    let path = group.lines().find_map(|line| line.strip_prefix("0::"))?;
    path.rsplit('/').find(|part| part.ends_with(".service") && !part.starts_with("user@"))
}

/// `mixed` spares nobody either: what is left when the main process has ended is killed.
fn kill_mode(unit: &str, mode: &str) -> Finding {
    if matches!(mode, "process" | "none") {
        return Finding::ok("systemd", format!("{unit} has KillMode={mode}: runs outlive a restart of the host"));
    }
    Finding::error(
        "systemd",
        format!("{unit} has KillMode={mode}: each restart of the host kills all its runs"),
        format!("systemctl edit {unit}, and write KillMode=process under [Service]; packaging/ has a whole unit"),
    )
}

#[cfg(test)]
mod tests {
    use domain::ids::{Actor, TokenName};

    use super::*;
    use crate::doctor::Level;

    #[test]
    fn the_unit_of_a_host_is_the_innermost_service() {
        assert_eq!(unit_of("0::/system.slice/gatewright.service\n"), Some("gatewright.service"));
        assert_eq!(unit_of("0::/system.slice/gatewright.service/host\n"), Some("gatewright.service"));
        let user = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/gatewright.service\n";
        assert_eq!(unit_of(user), Some("gatewright.service"));
        assert_eq!(unit_of("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope\n"), None);
        assert_eq!(unit_of("0::/user.slice/session-3.scope\n"), None);
        assert_eq!(unit_of("12:cpu:/system.slice/old.service\n"), None);
    }

    #[test]
    fn tokens_that_end_soon_and_powerful_ones_that_nobody_uses_are_spoken_of() {
        let now = Timestamp(400 * DAY.0);
        let days = |days: u64| Timestamp(days * DAY.0);
        let token = |right, made: u64, used: Option<u64>, ends: Option<u64>| TokenView {
            name: TokenName::new("ci").unwrap(),
            right,
            made_by: Actor::Host,
            made_at: days(made),
            expires_at: ends.map(days),
            used_at: used.map(days),
            revoked_at: None,
            revoked_by: None,
            sessions: 0,
        };
        for (token, words) in [
            (token(Right::Read, 10, None, None), None),
            (token(Right::Admin, 10, Some(399), None), None),
            (token(Right::Admin, 399, None, Some(500)), None),
            (token(Right::Admin, 10, Some(300), None), Some("nobody used it for 100 days")),
            (token(Right::Admin, 10, None, None), Some("nobody used it for 390 days")),
            (token(Right::Read, 10, Some(399), Some(404)), Some("ci ends in 4 days")),
        ] {
            let found = stale(&token, now).map(|finding| finding.found);
            assert_eq!(found.is_some(), words.is_some(), "{found:?}");
            assert!(words.is_none_or(|words| found.is_some_and(|found| found.contains(words))), "{words:?}");
        }
    }

    #[test]
    fn a_unit_that_kills_the_whole_group_is_an_error() {
        for (mode, level) in
            [("control-group", Level::Error), ("mixed", Level::Error), ("process", Level::Ok), ("none", Level::Ok)]
        {
            assert_eq!(kill_mode("gatewright.service", mode).level, level, "{mode}");
        }
    }
}
