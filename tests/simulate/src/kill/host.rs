//! The host as a process: started, heard, killed.

use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use kill_points::FOLDER;

use super::http::Client;
use super::stage::Stage;

/// What one hears of it.
enum News {
    Listening(String),
    Changed,
    Ended,
}

/// One life.
pub(super) struct Host {
    child: Child,
    news: Receiver<News>,
    sender: Sender<News>,
}

/// What became of a start.
pub(super) enum Started {
    /// It listens.
    Listening(Host, Client),
    /// It died before it did.
    Died(ExitStatus),
}

/// What a wait brought.
pub(super) enum Heard {
    /// Something changed, or the time is over.
    Look,
    /// It is gone.
    Ended(ExitStatus),
}

impl Host {
    pub(super) fn start(binary: &Path, stage: &Stage, longest: Duration) -> Result<Started, String> {
        let failed = |error: std::io::Error| format!("the host cannot be started: {error}");
        let log = OpenOptions::new().create(true).append(true).open(stage.host_log()).map_err(failed)?;
        let mut command = Command::new(binary);
        command.arg("--dir").arg(stage.state()).arg("serve").env(FOLDER, stage.places());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().map_err(failed)?;
        let (sender, news) = channel();
        let heard = sender.clone();
        let stdout = child.stdout.take().ok_or("the host has no standard output")?;
        let listen = move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some(base) = line.strip_prefix("listening ") {
                    let _ = heard.send(News::Listening(base.to_owned()));
                }
            }
            let _ = heard.send(News::Ended);
        };
        thread::Builder::new().name("output".into()).spawn(listen).map_err(failed)?;
        let mut host = Self { child, news, sender };
        match host.news.recv_timeout(longest) {
            Ok(News::Listening(base)) => {
                let token = std::fs::read_to_string(stage.state().join("operator-token")).map_err(failed)?;
                let client = Client::new(&base, &token);
                let changed = host.sender.clone();
                // It may be gone already: then the next look says so.
                let _ = client.follow(move || changed.send(News::Changed).is_ok());
                Ok(Started::Listening(host, client))
            }
            Ok(News::Ended | News::Changed) => host.wait().map(Started::Died),
            Err(_) => Err(format!("the host does not listen after {} s", longest.as_secs())),
        }
    }

    /// Waits for a change, its end, or the time. One look is enough for all changes that were told by then.
    pub(super) fn listen(&mut self, longest: Duration) -> Result<Heard, String> {
        let mut heard = self.news.recv_timeout(longest);
        while let Ok(News::Changed) = heard {
            match self.news.try_recv() {
                Ok(news) => heard = Ok(news),
                Err(_) => break,
            }
        }
        match heard {
            Ok(News::Ended) => self.wait().map(Heard::Ended),
            Ok(News::Changed | News::Listening(_)) | Err(RecvTimeoutError::Timeout) => Ok(Heard::Look),
            Err(RecvTimeoutError::Disconnected) => Err("nobody tells of the host any more".to_owned()),
        }
    }

    pub(super) fn kill(&mut self) -> Result<ExitStatus, String> {
        self.child.kill().map_err(|error| error.to_string())?;
        self.wait()
    }

    /// SIGTERM, and its end.
    pub(super) fn end(mut self) -> Result<ExitStatus, String> {
        signal("TERM", self.child.id());
        self.wait()
    }

    fn wait(&mut self) -> Result<ExitStatus, String> {
        self.child.wait().map_err(|error| error.to_string())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A round that failed leaves no host behind; one that ended already is no error.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether it ended as one does who is killed.
pub(super) fn was_killed(status: ExitStatus) -> bool {
    status.signal() == Some(9)
}

/// Sends a signal to a process that this round started; one that is gone needs none.
pub(super) fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).stderr(Stdio::null()).status();
}
