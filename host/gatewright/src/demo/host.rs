//! The host as the demonstration runs it: a process of its own, killed and started again.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use anyhow::Context as _;
use serde::Deserialize;

use crate::client::Client;

/// What the driver hears.
#[derive(Debug)]
pub(crate) enum News {
    /// The host listens.
    Listening,
    /// It stands at the point that was drawn, and waits to be killed.
    Halted(Halted),
    /// It took up files that were edited.
    Reloaded,
    /// Something changed in the store.
    Changed,
    /// The process ended.
    Ended,
}

/// What was under way where the host stands still.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Halted {
    /// The effect's kind.
    pub(crate) effect: String,
    /// `claimed` or `done`.
    pub(crate) point: String,
}

/// A point at which the host shall stand still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HaltAt {
    /// Which claimed job since the start: a number, or the first one with this effect.
    pub(crate) place: String,
    /// Where in it.
    pub(crate) point: &'static str,
}

/// A living host.
pub(crate) struct Host {
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Host {
    /// Starts it. Its log goes to a file beside the state.
    pub(crate) fn start(
        state: &Path,
        log: &PathBuf,
        halt: Option<&HaltAt>,
        news: Sender<News>,
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program's own path is not known")?;
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(program);
        command.arg("--dir").arg(state).arg("serve");
        if let Some(halt) = halt {
            command.arg("--halt-at").arg(format!("{}:{}", halt.place, halt.point));
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("the host could not be started")?;
        let stdout = child.stdout.take().context("the host has no standard output")?;
        let reader = std::thread::Builder::new().name("host-output".into()).spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let heard = if let Some(halted) = line.strip_prefix("halted ") {
                    serde_json::from_str(halted).ok().map(News::Halted)
                } else if line == "reloaded" {
                    Some(News::Reloaded)
                } else {
                    line.starts_with("listening ").then_some(News::Listening)
                };
                if let Some(heard) = heard
                    && news.send(heard).is_err()
                {
                    return;
                }
            }
            // Nobody hears it when the demonstration is over.
            let _ = news.send(News::Ended);
        })?;
        Ok(Self { child, reader: Some(reader) })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, as a power cut would do it to this process.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.join();
        Ok(())
    }

    /// SIGTERM, and its end.
    pub(crate) fn stop(mut self) -> anyhow::Result<bool> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        self.join();
        Ok(status.success())
    }

    fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A demonstration that failed leaves no host behind; one that ended already is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Tells of each change of the store, until the host is gone.
pub(crate) fn follow(client: &Client, news: Sender<News>) -> anyhow::Result<()> {
    let stream = client.stream("/api/v1/events")?;
    std::thread::Builder::new().name("host-events".into()).spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if line.starts_with("data:") && news.send(News::Changed).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
