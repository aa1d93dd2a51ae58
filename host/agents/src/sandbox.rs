//! The sandbox: bubblewrap with namespaces of its own, and a file system in which only what a run needs is there at all.
//! What is shown is listed; all else (the home, the state folder, other clones, `/var`, the host's `/tmp`) is absent.

mod view;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use domain::network::{Destination, Network, WEB_PORTS};
use shim::protocol::{Allowed, Keyed, Proxy};

pub use view::View;

use crate::config::RunnerConfig;

/// What a folder in memory is given in the probe.
const PROBED_BYTES: u64 = 1 << 20;
/// The first Linux that counts the processes of a user namespace by themselves.
const COUNTS_SINCE: (u32, u32) = (5, 14);
/// How a system says that there is no such program.
const MISSING: &str = "No such file";
/// ENOSYS of a call that this kernel has: systemd answers so for one that its filter cannot look into.
const FILTERED: &str = "Function not implemented";

/// A bubblewrap that was seen to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bubblewrap {
    /// Absolute path of `bwrap`.
    pub program: PathBuf,
    /// Whether it may make a user namespace; root can do without.
    pub user_namespace: bool,
    /// Whether it can bound its folders in memory: since version 0.7.
    pub sizes: bool,
    /// Whether the kernel counts the processes of its user namespace by themselves: since Linux 5.14, and never root's.
    pub counted_alone: bool,
}

impl Bubblewrap {
    /// Runs `true` inside, with all that a run gets; the error says in bubblewrap's words why it does not work.
    pub fn probe(config: &RunnerConfig) -> Result<Self, String> {
        let found = || crate::preflight::find("bwrap", Path::new("/"), &config.path).ok();
        let program = config.bwrap.clone().or_else(found);
        let program = program.ok_or_else(|| format!("`bwrap` is not on the PATH; {}", cure(MISSING)))?;
        let mut reason = String::new();
        for (user_namespace, sizes) in [(true, true), (true, false), (false, true), (false, false)] {
            let counted_alone = user_namespace && counts_alone();
            let tried = Self { program: program.clone(), user_namespace, sizes, counted_alone };
            match tried.try_once() {
                Ok(()) => return Ok(tried),
                // The first refusal tells more: without a user namespace only root gets further.
                Err(error) if reason.is_empty() => reason = error,
                Err(_) => {}
            }
        }
        Err(format!("{reason}; {}", cure(&reason)))
    }

    fn try_once(&self) -> Result<(), String> {
        // With a network of its own: whoever may not make one would run every agent without any.
        let mut arguments = self.namespaces();
        arguments.extend(view::system(self.sizes.then_some(PROBED_BYTES)));
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
    pub(crate) fn namespaces(&self) -> Vec<String> {
        let mut options = Vec::new();
        if self.user_namespace {
            options.push("--unshare-user");
        }
        options.extend(["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--unshare-net"]);
        options.extend(["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "localhost"]);
        options.into_iter().map(str::to_owned).collect()
    }
}

/// Whether this kernel counts the processes of a user namespace by themselves.
fn counts_alone() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers =
        release.split(|character: char| !character.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= COUNTS_SINCE && !rustix::process::getuid().is_root()
}

/// What an operator can do about a sandbox that does not work.
fn cure(reason: &str) -> &'static str {
    let refused = ["not permitted", "Permission denied", "No permissions", "namespace", "RTM_NEWADDR", "No space left"];
    if reason.contains(MISSING) {
        return "install it (`apt install bubblewrap`, `dnf install bubblewrap`)";
    }
    if reason.contains(FILTERED) {
        return "a filter of system calls forbids what it needs (`openat2`): under systemd write `RestrictSUIDSGID=no`, and no \
                `DynamicUser=yes`, under [Service] (`systemctl edit gatewright`); in a container allow it in the seccomp profile";
    }
    if refused.iter().any(|words| reason.contains(words)) {
        return "let this user make namespaces: `sysctl kernel.unprivileged_userns_clone=1` on older Debian; an AppArmor profile \
                for bwrap, or `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, on Ubuntu; `sysctl \
                user.max_user_namespaces=10000` where it is 0; in a container, one whose seccomp and AppArmor profiles allow it";
    }
    "`bwrap --unshare-all --ro-bind / / true`, run as the host's user, says more"
}

/// The way out of a sandbox, which never leads to `never`.
pub(crate) fn proxy(Network(destinations): &Network, never: Vec<SocketAddr>, keyed: Option<Keyed>) -> Proxy {
    let ports = |port: &Option<u16>| port.map_or_else(|| WEB_PORTS.to_vec(), |port| vec![port]);
    let allowed = destinations.iter().map(|destination| match destination {
        Destination::Any => Allowed::Any,
        Destination::Name { name, port } => Allowed::Name { name: name.clone(), ports: ports(port) },
        Destination::Below { name, port } => Allowed::Below { name: name.clone(), ports: ports(port) },
        Destination::Address(address) => Allowed::Address { address: *address },
    });
    Proxy { allowed: allowed.collect(), never, keyed }
}

/// `~` and `~/…` are the home.
pub(crate) fn expand_home(path: &Path, home: &Path) -> PathBuf {
    path.strip_prefix("~").map_or_else(|_| path.to_owned(), |inside| home.join(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_work_has_a_cure() {
        for (reason, words) in [
            ("/no/bwrap: No such file or directory (os error 2)", "apt install bubblewrap"),
            ("bwrap: setting up uid map: Permission denied", "apparmor_restrict_unprivileged_userns"),
            ("bwrap: No permissions to create new namespace, likely because …", "unprivileged_userns_clone"),
            ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "seccomp"),
            ("bwrap: Can't open source /usr: Function not implemented", "RestrictSUIDSGID"),
            ("bwrap: something else", "says more"),
        ] {
            assert!(cure(reason).contains(words), "{reason}");
        }
    }
}
