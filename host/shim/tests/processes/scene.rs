//! What the process tests share: a runner over folders of its own, and waits for facts instead of for time.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agents::{Launch, LaunchSpec, RunState, Runner, RunnerConfig, SandboxMode};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::process::{Pid, Signal, kill_process};
use shim::processes::{self, Handle, Process};
use shim::protocol::{Exit, ExitRecord, MARKER, ShimInfo};

/// Longer than anything takes on a loaded machine.
pub(crate) const LONG: Duration = Duration::from_mins(1);
/// The two ways in which a run can be held.
pub(crate) const BOTH: [SandboxMode; 2] = [SandboxMode::None, SandboxMode::Bubblewrap];

/// For [`as_nobody`]: where the shim stands that nobody may run.
const OTHER_SHIM: &str = "TEST_SHIM";
/// A user whom file modes hold back.
const NOBODY: u32 = 65534;

/// Runs one test of this program again as a user without rights, if we are root, whom no mode of a file holds back. False: we are
/// such a user ourselves.
pub(crate) fn as_nobody(test: &str) -> bool {
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    // Where the programs lie nobody else may come by.
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let place = |program: &Path, name: &str| {
        let copy = folder.path().join(name);
        std::fs::copy(program, &copy).unwrap();
        copy
    };
    let shim = place(Path::new(env!("CARGO_BIN_EXE_gatewright-shim")), "shim");
    let mut again = Command::new(place(&std::env::current_exe().unwrap(), "tests"));
    again.args(["--exact", test, "--nocapture"]).env(OTHER_SHIM, shim).current_dir("/");
    let said = again.uid(NOBODY).gid(NOBODY).output().unwrap();
    let words = [said.stdout, said.stderr].concat();
    let words = String::from_utf8_lossy(&words);
    assert!(said.status.success() && words.contains("1 passed"), "as nobody: {words}");
    true
}

/// A host's folders, gone with the test.
pub(crate) struct World {
    root: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { root: tempfile::tempdir().unwrap() };
        for folder in ["state", "clone", "home"] {
            std::fs::create_dir(world.path(folder)).unwrap();
        }
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn config(&self, sandbox: SandboxMode) -> RunnerConfig {
        config_at(&self.path(""), sandbox)
    }

    pub(crate) fn runner(&self, sandbox: SandboxMode) -> Arc<Runner> {
        Arc::new(Runner::new(self.config(sandbox)).unwrap())
    }

    /// A shell script in the clone.
    pub(crate) fn script(&self, script: &str) -> LaunchSpec {
        script_at(&self.path(""), script)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

pub(crate) fn config_at(root: &Path, sandbox: SandboxMode) -> RunnerConfig {
    let state = root.join("state");
    let shim = std::env::var(OTHER_SHIM).unwrap_or_else(|_| env!("CARGO_BIN_EXE_gatewright-shim").to_owned());
    let mut config =
        RunnerConfig::new(state.join("runs"), state.join("briefs"), shim, root.join("home"), "/usr/bin:/bin");
    config.sandbox = sandbox;
    config.hidden = vec![state];
    config
}

pub(crate) fn script_at(root: &Path, script: &str) -> LaunchSpec {
    LaunchSpec::new(vec!["/bin/sh".into(), "-c".into(), script.into()], root.join("clone"))
}

pub(crate) fn live(launch: &Launch) -> ShimInfo {
    match &launch.state {
        RunState::Live(info) => info.clone(),
        state => panic!("the run should live: {state:?}"),
    }
}

/// Waits for the record.
pub(crate) fn record(runner: &Runner, job: u64) -> ExitRecord {
    match runner.wait(job, Some(LONG)).unwrap() {
        RunState::Ended(record) => record,
        state => panic!("the run should have ended: {state:?}; log: {}", log(runner, job)),
    }
}

pub(crate) fn exit(runner: &Runner, job: u64) -> Exit {
    record(runner, job).exit
}

pub(crate) fn log(runner: &Runner, job: u64) -> String {
    String::from_utf8_lossy(&runner.log_tail(job, 1 << 20).unwrap()).into_owned()
}

/// Blocks until a file in a folder that exists is there and ends with a line feed.
pub(crate) fn await_file(path: &Path) -> String {
    let events = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).unwrap();
    inotify::add_watch(&events, path.parent().unwrap(), inotify::WatchFlags::ALL_EVENTS).unwrap();
    let deadline = Instant::now() + LONG;
    loop {
        if let Ok(content) = std::fs::read_to_string(path)
            && content.ends_with('\n')
        {
            return content;
        }
        await_readable(&events, deadline, &format!("{} never came", path.display()));
        let mut buffer = [0_u8; 4096];
        while rustix::io::read(&events, &mut buffer).is_ok_and(|read| read > 0) {}
    }
}

fn await_readable(fd: &impl AsFd, deadline: Instant, otherwise: &str) {
    let left = deadline.saturating_duration_since(Instant::now());
    let span = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
    assert_ne!(poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&span)).unwrap(), 0, "{otherwise}");
}

/// Blocks until a process is gone.
pub(crate) fn await_death(process: Process) {
    if let Some(handle) = Handle::open(process.pid, process.start_time).unwrap() {
        await_readable(&handle, Instant::now() + LONG, "the process does not die");
    }
}

/// All living processes that carry a run's mark, seen from the host.
pub(crate) fn members(marker: &str) -> Vec<Process> {
    let mark = format!("{MARKER}={marker}");
    let carries = |process: &Process| {
        std::fs::read(format!("/proc/{}/environ", process.pid))
            .is_ok_and(|all| all.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes()))
    };
    processes::all().unwrap().into_iter().filter(|process| process.state != 'Z' && carries(process)).collect()
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

pub(crate) fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
