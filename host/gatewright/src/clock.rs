//! The one place that reads the machine's clock and its random numbers, and this process's identity.

use std::io::Read as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use conductor::ports::clock::Clock;
use conductor::ports::store::Incarnation;
use domain::time::Timestamp;

/// The machine's clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the wiring: everybody else is given the time")]
        let now = SystemTime::now();
        Timestamp(now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64))
    }

    fn random(&self) -> u64 {
        random_bytes().map_or(0, u64::from_le_bytes)
    }
}

/// Bytes that nobody can guess.
pub(crate) fn random_bytes<const LENGTH: usize>() -> std::io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// This life of the host.
pub(crate) fn incarnation() -> anyhow::Result<Incarnation> {
    let pid = std::process::id();
    Ok(Incarnation {
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        boot_id: boot_id()?,
        pid,
        start_time: start_time(pid).context("this process is not to be found in /proc")?,
        uuid: hex(&random_bytes::<16>()?),
    })
}

fn boot_id() -> anyhow::Result<String> {
    let text =
        std::fs::read_to_string("/proc/sys/kernel/random/boot_id").context("the kernel does not tell its boot id")?;
    Ok(text.trim().to_owned())
}

/// Field 22 of `/proc/PID/stat`; the name in field 2 may hold any bytes, so the fields count from its last parenthesis.
fn start_time(pid: u32) -> Option<u64> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let rest = stat.get(stat.iter().rposition(|byte| *byte == b')')? + 1..)?;
    std::str::from_utf8(rest).ok()?.split_ascii_whitespace().nth(19)?.parse().ok()
}
