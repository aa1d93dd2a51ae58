//! What the end of the command's own process means.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use rustix::process::WaitStatus;

use crate::protocol::{ERROR_BYTES, Exit};

/// Cuts an error so that the record holds it.
pub(crate) fn cut(error: &str) -> String {
    let mut end = error.len().min(ERROR_BYTES);
    while !error.is_char_boundary(end) {
        end -= 1;
    }
    error[..end].to_owned()
}

/// How it ended by itself. `sandbox` is what bubblewrap said about the command, where it stood between.
pub(crate) fn of(status: Option<WaitStatus>, sandbox: Option<&[u8]>, log: &Path) -> Exit {
    let Some(status) = status else {
        return Exit::NotStarted { error: "the command's process was never seen to end".to_owned() };
    };
    if let Some(signal) = status.terminating_signal() {
        return Exit::Signaled { signal };
    }
    let code = status.exit_status().unwrap_or(-1);
    // bubblewrap reports the code of a command only if that command really began.
    if sandbox.is_some_and(|said| !began(said)) {
        let end = last_line(log).unwrap_or_else(|| "it said nothing".to_owned());
        return Exit::NotStarted { error: cut(&format!("the sandbox could not start the command: {end}")) };
    }
    Exit::Exited { code }
}

fn began(said: &[u8]) -> bool {
    said.split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .any(|line| line.get("exit-code").is_some())
}

fn last_line(log: &Path) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let size = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(1024))).ok()?;
    let mut end = Vec::new();
    file.take(1024).read_to_end(&mut end).ok()?;
    let end = String::from_utf8_lossy(&end);
    end.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_bubblewrap_never_reached_did_not_start() {
        assert!(began(b"{ \"child-pid\": 2 }\n{ \"exit-code\": 1 }\n"));
        assert!(!began(b"{ \"child-pid\": 2 }\n"));
        assert!(!began(b""));
    }

    #[test]
    fn a_cut_falls_between_characters() {
        let long = "ä".repeat(ERROR_BYTES);
        assert!(cut(&long).len() <= ERROR_BYTES);
        assert_eq!(cut("short"), "short");
    }
}
