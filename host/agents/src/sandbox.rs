//! The sandbox: bubblewrap with namespaces of its own, and a file system in which only what a run needs is there at all.
//! What is shown is listed; all else (the home, the state folder, other clones, `/var`, the host's `/tmp`) is absent.

mod view;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use domain::network::{Destination, Network, WEB_PORTS};
use shim::protocol::{Allowed, Proxy};

pub use view::View;

use crate::config::RunnerConfig;

/// A bubblewrap that was seen to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bubblewrap {
    /// Absolute path of `bwrap`.
    pub program: PathBuf,
    /// Whether it may make a user namespace; root can do without.
    pub user_namespace: bool,
}

impl Bubblewrap {
    /// Runs `true` inside, with all that a run gets; the error says in bubblewrap's words why it does not work.
    pub fn probe(config: &RunnerConfig) -> Result<Self, String> {
        let program = match &config.bwrap {
            Some(program) => program.clone(),
            None => crate::preflight::find("bwrap", Path::new("/"), &config.path)
                .map_err(|problem| format!("`bwrap`: {problem}; install bubblewrap"))?,
        };
        let mut reason = String::new();
        for user_namespace in [true, false] {
            let tried = Self { program: program.clone(), user_namespace };
            match tried.try_once() {
                Ok(()) => return Ok(tried),
                // The first refusal tells more: without a user namespace only root gets further.
                Err(error) if reason.is_empty() => reason = error,
                Err(_) => {}
            }
        }
        Err(reason)
    }

    fn try_once(&self) -> Result<(), String> {
        // With a network of its own: whoever may not make one would run every agent without any.
        let mut arguments = self.namespaces(false);
        arguments.extend(view::system());
        let tried = Command::new(&self.program)
            .args(arguments)
            .args(["--chdir", "/", "--", "true"])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        if tried.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&tried.stderr);
        Err(said
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty())
            .unwrap_or("it failed and said nothing")
            .to_owned())
    }

    /// The options before the file system's.
    pub(crate) fn namespaces(&self, shares_network: bool) -> Vec<String> {
        let mut options = Vec::new();
        if self.user_namespace {
            options.push("--unshare-user");
        }
        options.extend(["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]);
        if !shares_network {
            options.push("--unshare-net");
        }
        options.extend(["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "localhost"]);
        options.into_iter().map(str::to_owned).collect()
    }
}

/// The way out of a sandbox, which never leads to `never`; `None` where it shares the host's network.
pub(crate) fn proxy(network: &Network, never: Vec<SocketAddr>) -> Option<Proxy> {
    let Network::Only(destinations) = network else { return None };
    let ports = |port: &Option<u16>| port.map_or_else(|| WEB_PORTS.to_vec(), |port| vec![port]);
    let allowed = destinations.iter().map(|destination| match destination {
        Destination::Name { name, port } => Allowed::Name { name: name.clone(), ports: ports(port) },
        Destination::Below { name, port } => Allowed::Below { name: name.clone(), ports: ports(port) },
        Destination::Address(address) => Allowed::Address { address: *address },
    });
    Some(Proxy { allowed: allowed.collect(), never })
}

/// `~` and `~/…` are the home.
pub(crate) fn expand_home(path: &Path, home: &Path) -> PathBuf {
    path.strip_prefix("~").map_or_else(|_| path.to_owned(), |inside| home.join(inside))
}
