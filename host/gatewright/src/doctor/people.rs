//! What others could read, and what would be lost.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use conductor::ports::clock::Clock as _;
use domain::time::Timestamp;
use gateway::LastBackup;

use super::Finding;
use crate::backup;
use crate::clock::SystemClock;
use crate::output::{Output, ago, quoted};
use crate::private::{Exposed, exposed};
use crate::state::TOKEN_FILE;

/// Bits of the mode for everybody but the owner.
const OTHERS: u32 = 0o077;
/// A restore was proven within this, or nobody knows. In milliseconds: 31 days.
const PROVEN: u64 = 31 * 24 * 3_600_000;

/// Modes and owners of what must be one user's alone.
pub(super) fn modes(dir: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let me = rustix::process::geteuid().as_raw();
    let mut secrets = vec![dir.to_owned(), dir.join("gatewright.db"), dir.join(TOKEN_FILE)];
    secrets.extend(std::fs::read_dir(dir.join("secrets")).into_iter().flatten().flatten().map(|entry| entry.path()));
    for path in secrets {
        let Ok(about) = std::fs::metadata(&path) else { continue };
        if about.uid() != me && me != 0 {
            let found = format!("{} belongs to the user {}, and this is {me}", path.display(), about.uid());
            findings.push(Finding::error("secrets", found, "run the host and this command as one user"));
        }
    }
    let folder = std::fs::metadata(dir).ok().map(|about| about.mode() & 0o7777).filter(|mode| mode & OTHERS != 0);
    let folder = folder.map(|mode| Exposed { path: dir.to_owned(), mode, wanted: 0o700 });
    for Exposed { path, mode, wanted } in folder.into_iter().chain(exposed(dir)) {
        let found = format!("{} has the mode {mode:04o}: other users get at it", path.display());
        let cure = format!("chmod {wanted:04o} {}", path.display());
        findings.push(Finding::error("secrets", found, cure));
    }
    if findings.is_empty() {
        findings.push(Finding::ok("secrets", "the state folder and what is secret in it are one user's alone"));
    }
    findings
}

/// When the last backup was made, and whether one was ever proven.
pub(super) fn backups(dir: &Path, out: &Output) -> Vec<Finding> {
    let record = match backup::read_record(dir) {
        Ok(record) => record,
        Err(error) => {
            let cure = "give that file to the user of the host, mode 0600; one that is damaged can be removed";
            return vec![Finding::error("backup", format!("nobody knows of backups: {error:#}"), cure)];
        }
    };
    let now = SystemClock.now();
    let age = |at: Timestamp| now.0.saturating_sub(at.0);
    let make = format!("{}, each night", out.command("gatewright backup --to DIR"));
    let Some(last) = record.backups.first() else {
        return vec![Finding::warning("backup", "no backup was made yet", make)];
    };
    let shown = format!("the last backup is {} old: {}", ago(last.at, now), last.path.display());
    let made = if LastBackup::is_old(last.at, now) {
        Finding::warning("backup", shown, make)
    } else {
        Finding::ok("backup", shown)
    };
    let cure = out.command(&format!("gatewright restore --verify {}", quoted(&last.path.to_string_lossy())));
    let proven = match &record.verified {
        None => Finding::warning("backup", "no backup was ever proven to restore", cure),
        Some(verified) if age(verified.at) > PROVEN => {
            Finding::warning("backup", format!("the last proof of a restore is {} old", ago(verified.at, now)), cure)
        }
        Some(verified) => Finding::ok(
            "backup",
            format!("{} tasks were restored and rebuilt {} ago", verified.tasks, ago(verified.at, now)),
        ),
    };
    vec![made, proven]
}
