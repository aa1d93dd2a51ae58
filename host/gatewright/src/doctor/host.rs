//! The living host: its ports, and what keeps it alive.

use std::net::TcpListener;
use std::path::Path;

use configuration::Loaded;
use gateway::api::System;

use super::{Finding, program};
use crate::client::Client;
use crate::listener;

/// A host that serves the folder.
pub(super) struct Living {
    base: String,
    /// What it says of itself; an error is told as one of the token.
    pub(super) system: Option<System>,
    refused: Option<String>,
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
        Ok(system) => Some(Living { base, system: Some(system), refused: None, ours }),
        Err(error) => Some(Living { base, system: None, refused: Some(error.to_string()), ours }),
    }
}

/// Who listens where the files say.
pub(super) fn ports(dir: &Path, loaded: Option<&Loaded>, living: Option<&Living>) -> Vec<Finding> {
    if let Some(living) = living {
        return vec![match &living.refused {
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
    let Some(loaded) = loaded else { return Vec::new() };
    let address = loaded.host.operator;
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

/// Under systemd: whether a restart of the unit kills the runs.
pub(super) fn unit(dir: &Path, is_living: bool) -> Finding {
    let pid = std::fs::read_to_string(dir.join("gatewright.lock")).ok().filter(|_| is_living);
    let group = match pid.as_deref().map(str::trim).filter(|pid| !pid.is_empty()) {
        Some(pid) => std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default(),
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
    fn a_unit_that_kills_the_whole_group_is_an_error() {
        for (mode, level) in
            [("control-group", Level::Error), ("mixed", Level::Error), ("process", Level::Ok), ("none", Level::Ok)]
        {
            assert_eq!(kill_mode("gatewright.service", mode).level, level, "{mode}");
        }
    }
}
