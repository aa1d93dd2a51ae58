//! Disk, clocks, git, and by what runs are held.

use std::io::ErrorKind;
use std::path::Path;
use std::time::UNIX_EPOCH;

use conductor::ports::clock::Clock as _;
use configuration::{HostConfig, Loaded, SandboxMode};
use gateway::{Disk, HeldBy, Holding, Room};
use store::Moment;

use super::Finding;
use crate::clock::SystemClock;
use crate::output::size;

/// A clock may be so far behind what the database has seen: writes of one moment are grouped. In milliseconds.
const SET_BACK: u64 = 2_000;
/// Two clocks that differ by more than this are not one. In milliseconds.
const SKEW: u64 = 2_000;
/// So few free inodes are none.
const INODES: u64 = 10_000;

/// Free space against the floor.
pub(super) fn disk(dir: &Path, host: &HostConfig) -> Finding {
    let floor = host.free_space_mib << 20;
    let space = match rustix::fs::statvfs(dir) {
        Ok(space) => space,
        Err(error) => return Finding::error("disk", format!("it cannot be asked: {error}"), "look at the mount"),
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let size_bytes = space.f_blocks.saturating_mul(space.f_frsize);
    let room = Disk { free_bytes: free, size_bytes, floor_bytes: floor }.room();
    let told = format!("{} free, the floor is {}", size(free), size(floor));
    let cure = "make room, or lower `free-space-mib` of [limits] in gatewright.toml";
    if room == Room::None {
        return Finding::error("disk", format!("{told}: nothing is launched"), cure);
    }
    if space.f_files > 0 && space.f_favail < INODES {
        return Finding::error("disk", format!("{} files may still be made", space.f_favail), "remove small files");
    }
    if room == Room::Little { Finding::warning("disk", told, cure) } else { Finding::ok("disk", told) }
}

/// This machine's clock against the times that the database has, and against the disk's.
pub(super) fn clocks(dir: &Path) -> Vec<Finding> {
    let cure = "set the clock (`timedatectl`, chrony); a host waits with what lies in its future";
    let mut findings = Vec::new();
    let newest = Moment::open(dir).ok().and_then(|moment| moment.newest().ok().flatten());
    let now = SystemClock.now();
    findings.push(match newest {
        Some(newest) if newest.0 > now.0 + SET_BACK => {
            let ahead = (newest.0 - now.0) / 1000;
            Finding::error("clocks", format!("the database has seen a time {ahead} s ahead of this clock"), cure)
        }
        Some(_) => Finding::ok("clocks", "the database has seen no time ahead of this clock"),
        None => Finding::ok("clocks", "the database has seen no time yet"),
    });
    let before = SystemClock.now().0;
    let dated = tempfile::tempfile_in(dir).and_then(|file| file.metadata()?.modified());
    let dated = dated.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map(|at| at.as_millis() as u64);
    if let Some(skew) = dated.map(|dated| dated.abs_diff(before)).filter(|skew| *skew > SKEW) {
        let found = format!("the disk dates files {} s away from this clock", skew / 1000);
        findings.push(Finding::warning(
            "clocks",
            found,
            "is the state folder on a network disk? It must be a local one",
        ));
    }
    findings
}

/// Whether git is there and new enough.
pub(super) fn git(dir: &Path) -> Finding {
    match adapters::git::version(Path::new("git"), dir) {
        Ok(version) => Finding::ok("git", version),
        Err(error) => Finding::error("git", error.to_string(), "install git, or put a newer one first on the PATH"),
    }
}

/// What a host says of its own runs. Where the files demand the sandbox, none is worse than one that is not there: nothing is launched.
pub(super) fn held(holdings: &[Holding], mode: SandboxMode) -> Vec<Finding> {
    let is_demanded = mode == SandboxMode::Bubblewrap;
    let line = |holding: &Holding| {
        let name = match holding.name.as_str() {
            "sandbox" => "bubblewrap",
            "network" => "network",
            "memory" => "memory",
            "processes" => "processes",
            _ => "run disk",
        };
        match holding.held_by {
            HeldBy::Kernel => Finding::ok(name, format!("held by the kernel: {}", holding.how)),
            HeldBy::Shim => Finding::ok(name, format!("held by the shim: {}", holding.how)),
            HeldBy::Nobody if is_demanded => Finding::error(name, holding.how.clone(), SANDBOX),
            HeldBy::Nobody => Finding::warning(name, holding.how.clone(), SANDBOX),
        }
    };
    holdings.iter().map(line).collect()
}

/// What helps where there is no sandbox.
const SANDBOX: &str = "install bubblewrap and allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, \
                       kernel.apparmor_restrict_unprivileged_userns=0); compare the unit of the host with the one in packaging/";

/// Launches nothing of an agent's: bubblewrap is tried with an empty command, a control group is made and removed.
pub(super) fn try_holding(dir: &Path, loaded: &Loaded) -> Vec<Finding> {
    match crate::wiring::open_runner(dir, loaded) {
        Ok(runner) => held(&crate::serve::holdings(runner.means()), loaded.host.sandbox.mode),
        Err(error) => vec![Finding::error("bubblewrap", format!("it cannot be tried: {error:#}"), untried(&error))],
    }
}

/// What helps where nothing could be tried.
fn untried(error: &anyhow::Error) -> &'static str {
    let kind = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>()).map(std::io::Error::kind);
    match kind {
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => "make room on the disk of the state folder",
        Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            "the state folder must be writable for the user of the host"
        }
        _ => "look at the state folder and its disk",
    }
}
