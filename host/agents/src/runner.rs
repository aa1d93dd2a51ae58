//! The runner: launches, inspects, awaits, cancels and removes runs. It keeps nothing in memory that counts: a new one
//! over the same folders knows as much, so a restart adopts what lives.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use kill_points::kill_point;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use shim::processes::{self, Handle};
use shim::protocol::{self, Right, ShimInfo};

use crate::config::{RunnerConfig, SandboxMode};
use crate::error::{LaunchError, RunError, SandboxError};
use crate::folder::{Folder, RunState};
use crate::means::Means;
use crate::orphans;
use crate::sandbox::Bubblewrap;

mod launch;

/// How often something is asked again that can only change by another process's hand.
const BRIEFLY: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// No run's folder has this name.
const NOWHERE: &str = ".nowhere";
/// How many times: ten seconds in all.
const PATIENCE: usize = 500;

/// What a launch gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Which run.
    pub job: u64,
    /// How it stands now.
    pub state: RunState,
    /// True: it was there already, and nothing was started by this call.
    pub adopted: bool,
}

/// A run that has a folder, and how it stands.
pub type Listed = (u64, Result<RunState, RunError>);

/// Launches runs and knows how they stand.
#[derive(Debug)]
pub struct Runner {
    config: RunnerConfig,
    bubblewrap: OnceLock<Result<Bubblewrap, String>>,
    means: OnceLock<Means>,
    /// Within this process only one asks for a lock at a time: asking holds it for a moment.
    gate: Mutex<()>,
    /// What no run's proxy connects to.
    never_reached: Mutex<Vec<SocketAddr>>,
}

impl Runner {
    /// One that only looks, beside a living host or none: it makes no folders and clears nothing.
    pub fn looking(config: RunnerConfig) -> Self {
        Self {
            config,
            bubblewrap: OnceLock::new(),
            means: OnceLock::new(),
            gate: Mutex::default(),
            never_reached: Mutex::default(),
        }
    }

    /// Makes the folders where they are missing (0700) and clears what a removal left half done.
    pub fn new(config: RunnerConfig) -> Result<Self, RunError> {
        for folder in [&config.runs_dir, &config.briefs_dir, &config.homes_dir] {
            let io = |source| RunError::Io { what: "making", path: folder.clone(), source };
            let mut builder = std::fs::DirBuilder::new();
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.recursive(true).create(folder).map_err(io)?;
        }
        let runner = Self::looking(config);
        for name in runner.names()?.iter().filter(|name| name.starts_with(REMOVED)) {
            // It is out of sight already; the next start tries again.
            let _ = std::fs::remove_dir_all(runner.config.runs_dir.join(name));
        }
        Ok(runner)
    }

    /// What it was made of.
    pub fn config(&self) -> &RunnerConfig {
        &self.config
    }

    /// The sandbox that runs get: `None` where there is none and none is demanded. Probed once.
    pub fn sandbox(&self) -> Result<Option<&Bubblewrap>, SandboxError> {
        if self.config.sandbox == SandboxMode::None {
            return Ok(None);
        }
        let probed = self.bubblewrap.get_or_init(|| {
            let probed = Bubblewrap::probe(&self.config);
            if let Err(reason) = &probed {
                tracing::warn!(%reason, "bubblewrap does not work here");
            }
            probed
        });
        match (probed, self.config.sandbox) {
            (Ok(bubblewrap), _) => Ok(Some(bubblewrap)),
            (Err(reason), SandboxMode::Bubblewrap) => Err(SandboxError::Unavailable { reason: reason.clone() }),
            (Err(_), _) => Ok(None),
        }
    }

    /// Why there is no sandbox, for `doctor`.
    pub fn sandbox_problem(&self) -> Option<String> {
        match self.sandbox() {
            Ok(Some(_)) => None,
            Ok(None) if self.config.sandbox == SandboxMode::None => {
                Some("it is turned off by the configuration".to_owned())
            }
            _ => self.bubblewrap.get().and_then(|probed| probed.clone().err()),
        }
    }

    /// By what runs are held on this machine, looked at once.
    pub fn means(&self) -> &Means {
        self.means.get_or_init(|| Means::of(&self.sandbox().map(Option::<&Bubblewrap>::cloned), self.sandbox_problem()))
    }

    /// From now on no run in the sandbox is led there, whatever its network names: where the operator is listened to.
    pub fn never_reach(&self, address: SocketAddr) {
        self.never_reached.lock().unwrap_or_else(PoisonError::into_inner).push(address);
    }

    fn never_reached(&self) -> Vec<SocketAddr> {
        self.never_reached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn folder(&self, job: u64) -> Folder {
        Folder::of(&self.config.runs_dir, job)
    }

    fn gate(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An empty folder that stands in for a clone where there is none yet. [`Self::obstacles`] makes it.
    pub fn nowhere(&self) -> PathBuf {
        self.config.runs_dir.join(NOWHERE)
    }

    /// The folder of a run. No run may see it.
    pub fn run_folder(&self, job: u64) -> PathBuf {
        self.folder(job).path().to_owned()
    }

    /// Where the brief of a run stands, launched or not.
    pub fn brief_path(&self, job: u64) -> PathBuf {
        self.brief_folder(job).join("brief.md")
    }

    fn brief_folder(&self, job: u64) -> PathBuf {
        self.config.briefs_dir.join(job.to_string())
    }

    /// How a run stands.
    pub fn inspect(&self, job: u64) -> Result<RunState, RunError> {
        let _gate = self.gate();
        self.folder(job).state()
    }

    /// How a run stands, once it is not being launched at this very moment any more.
    pub fn settled(&self, job: u64) -> Result<RunState, RunError> {
        for _ in 0..PATIENCE {
            match self.inspect(job)? {
                RunState::Starting => pause(),
                state => return Ok(state),
            }
        }
        Err(RunError::Unwatchable { job })
    }

    /// All runs that have a folder, by number: what a host adopts when it starts.
    pub fn list(&self) -> Result<Vec<Listed>, RunError> {
        let mut jobs: Vec<u64> = self.names()?.iter().filter_map(|name| name.parse().ok()).collect();
        jobs.sort_unstable();
        Ok(jobs.into_iter().map(|job| (job, self.inspect(job))).collect())
    }

    fn names(&self) -> Result<Vec<String>, RunError> {
        let io = |source| RunError::Io { what: "listing", path: self.config.runs_dir.clone(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.config.runs_dir).map_err(io)? {
            names.extend(entry.map_err(io)?.file_name().into_string());
        }
        Ok(names)
    }

    /// Waits until the run is over; gives up after `timeout` and says how it stands then. [`RunState::Live`] and
    /// [`RunState::Starting`] come back only after the timeout.
    pub fn wait(&self, job: u64, timeout: Option<Duration>) -> Result<RunState, RunError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut unseen = 0;
        loop {
            let state = self.inspect(job)?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if !state.is_live() || left.is_some_and(|left| left.is_zero()) {
                return Ok(state);
            }
            match &state {
                RunState::Live(info) => match handle(info) {
                    Some(handle) => await_end(&handle, left),
                    // It ends at this moment, or it was never to be seen from here.
                    None if unseen < PATIENCE => {
                        unseen += 1;
                        pause();
                    }
                    None => return Err(RunError::Unwatchable { job }),
                },
                _ => pause(),
            }
        }
    }

    /// A handle on the living shim that becomes readable at its end; `None` where the run does not live.
    pub(crate) fn shim_handle(&self, job: u64) -> Result<Option<Handle>, RunError> {
        for _ in 0..PATIENCE {
            match self.inspect(job)? {
                RunState::Live(info) => match handle(&info) {
                    Some(handle) => return Ok(Some(handle)),
                    None => pause(),
                },
                RunState::Starting => pause(),
                _ => return Ok(None),
            }
        }
        Err(RunError::Unwatchable { job })
    }

    /// Asks for TERM, grace, KILL of the whole tree. A run that was prepared and never started will not start. The state
    /// that comes back is the one before; one that has ended stays as it is.
    pub fn cancel(&self, job: u64) -> Result<RunState, RunError> {
        self.ask_to_end(job, protocol::CANCELLED)
    }

    /// As [`Self::cancel`], and the record says that a budget was spent.
    pub fn end_over_budget(&self, job: u64) -> Result<RunState, RunError> {
        self.ask_to_end(job, protocol::OVER_BUDGET)
    }

    fn ask_to_end(&self, job: u64, why: &[u8]) -> Result<RunState, RunError> {
        let state = self.inspect(job)?;
        match state {
            RunState::Absent => Err(RunError::Absent { job }),
            RunState::Ended(_) | RunState::Lost(_) => Ok(state),
            RunState::Prepared | RunState::Starting | RunState::Live(_) => {
                let folder = self.folder(job);
                kill_point!("before-run-is-cancelled");
                shim::files::write_atomic(folder.path(), protocol::CANCEL, why)
                    .map_err(folder.io("cancelling the run in"))?;
                kill_point!("after-run-is-cancelled");
                Ok(state)
            }
        }
    }

    /// Lets the run live until then (milliseconds since the epoch), host or no host. An earlier time shortens its right.
    pub fn renew_right(&self, job: u64, until_ms: u64) -> Result<(), RunError> {
        if self.inspect(job)? == RunState::Absent {
            return Err(RunError::Absent { job });
        }
        Ok(protocol::write(self.folder(job).path(), protocol::RIGHT, &Right { version: protocol::VERSION, until_ms })?)
    }

    /// The run's log, complete or still growing.
    pub fn log_path(&self, job: u64) -> PathBuf {
        self.folder(job).path().join(protocol::LOG)
    }

    /// The run's log, to be read anywhere in it; none: there is none yet, or none any more.
    pub fn open_log(&self, job: u64) -> Option<File> {
        OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).open(self.log_path(job)).ok()
    }

    /// The end of the run's log, empty where there is none yet.
    pub fn log_tail(&self, job: u64, bytes: u64) -> Result<Vec<u8>, RunError> {
        let path = self.log_path(job);
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits() as i32).open(&path)?;
            let size = file.metadata()?.len();
            file.seek(SeekFrom::Start(size.saturating_sub(bytes)))?;
            let mut tail = Vec::new();
            file.take(bytes).read_to_end(&mut tail)?;
            Ok(tail)
        };
        match read() {
            Ok(tail) => Ok(tail),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(RunError::Io { what: "reading", path: path.clone(), source }),
        }
    }

    /// Kills what a lost run left behind and waits until it is gone; how many there were. For any other state there is
    /// nothing to do.
    pub fn reap_orphans(&self, job: u64) -> Result<usize, RunError> {
        match self.inspect(job)? {
            RunState::Lost(info) => orphans::reap(&info).map_err(|left| RunError::OrphansRemain { job, left }),
            _ => Ok(0),
        }
    }

    /// Removes all that a run left on disk. After it the same job could be launched again: call it only when the job is
    /// closed. One that lives is refused; what a lost one left behind is killed first.
    pub fn remove(&self, job: u64) -> Result<(), RunError> {
        let state = self.inspect(job)?;
        if state.is_live() {
            return Err(RunError::StillLive { job });
        }
        self.reap_orphans(job)?;
        let brief = self.brief_folder(job);
        let gone = |done: std::io::Result<()>| match done {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            done => done,
        };
        gone(std::fs::remove_dir_all(&brief)).map_err(|source| RunError::Io {
            what: "removing",
            path: brief,
            source,
        })?;
        if state == RunState::Absent {
            return Ok(());
        }
        let folder = self.folder(job);
        // First out of sight as a whole: half a folder would look like a run that was lost or never started.
        let away = self.config.runs_dir.join(format!("{REMOVED}{job}"));
        gone(std::fs::remove_dir_all(&away)).map_err(folder.io("removing"))?;
        std::fs::rename(folder.path(), &away).map_err(folder.io("removing"))?;
        std::fs::remove_dir_all(&away).map_err(folder.io("removing"))
    }
}

/// The name of a folder that is being removed begins so.
const REMOVED: &str = ".removed-";

fn pause() {
    // Interrupted early is as good.
    let _ = poll(&mut [], Some(&BRIEFLY));
}

/// The shim's process, if it is the very one that was recorded.
fn handle(info: &ShimInfo) -> Option<Handle> {
    let same_boot = processes::boot_id().is_ok_and(|boot| boot == info.boot_id);
    same_boot.then(|| Handle::open(info.pid, info.start_time).ok().flatten())?
}

/// Blocks until the shim has ended or the time is over.
fn await_end(handle: &Handle, left: Option<Duration>) {
    let span = left.map(|left| Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) });
    let _ = poll(&mut [PollFd::new(handle, PollFlags::IN)], span.as_ref());
    collect(handle);
}

/// Where this process is the first of a container, the shim became its child: then nobody else collects it.
pub(crate) fn collect(handle: &Handle) {
    use std::os::fd::AsFd;
    let _ = waitid(WaitId::PidFd(handle.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
}

/// What a launch would need, worked out before anything is made.
pub(crate) struct Plan {
    spec: protocol::Spec,
    brief: Option<String>,
}

fn invalid(what: impl Into<String>) -> LaunchError {
    LaunchError::Invalid(what.into())
}

fn absolute_folder(path: &Path) -> Result<(), LaunchError> {
    if !path.is_absolute() {
        return Err(invalid(format!("the working directory `{}` is not absolute", path.display())));
    }
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(invalid(format!("the working directory `{}` is not a folder", path.display()))),
        Err(error) => Err(invalid(format!("the working directory `{}`: {error}", path.display()))),
    }
}
