//! A short question to a program: bounded in time and in what it says, with nothing of ours in its environment.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A program that does not say its version within this does not answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is shown of an answer.
const SHOWN: usize = 120;

/// The first line that a program prints; an error says why there is none.
pub(super) fn first_line(program: &Path, arguments: &[&str]) -> Result<String, String> {
    first_line_with(program, arguments, &[])
}

/// Likewise, with these names of its environment set beside the usual few, or set otherwise. It stands in `/`: what a program reads
/// of the folder that it stands in would be somebody else's, and some programs run what they read there.
pub(crate) fn first_line_with(program: &Path, arguments: &[&str], more: &[(String, String)]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir("/");
    for name in ["PATH", "HOME", "LANG", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(more.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
    let stdout = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        use std::io::Read as _;
        let mut said = Vec::new();
        if let Some(stdout) = stdout {
            // What cannot be read was not said.
            let _ = stdout.take(1 << 16).read_to_end(&mut said);
        }
        // Whoever asked may have gone.
        let _ = sender.send(said);
    });
    let said = receiver.recv_timeout(PATIENCE);
    if said.is_err() {
        // Dead already, or it dies now.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let said = said.map_err(|_| format!("it did not answer within {} s", PATIENCE.as_secs()))?;
    let text = String::from_utf8_lossy(&said);
    let line: String =
        text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    if status.success() { Ok(line.trim().to_owned()) } else { Err(format!("it ended with {status}")) }
}
