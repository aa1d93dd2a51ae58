//! The first life of the shim, which only starts the second, and the third, which becomes the command.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use kill_points::kill_point;
use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit, setsid,
};

use crate::cgroup::Cgroup;
use crate::enter::OUTSIDE;
use crate::protocol::{Allowed, Proxy, Sandbox, Spec};
use crate::sys;

/// So many processes more than its limit the kernel lets a sandbox have: past the limit the shim sees it and says why the run ends;
/// a fork that is refused says nothing.
const BEFORE_THE_KERNEL: u64 = 64;
/// So much more than its disk one file may have, before the kernel ends whoever writes on.
const BEYOND_THE_DISK: u64 = 1 << 20;
/// This program, even where its file was removed meanwhile.
const OURSELVES: &str = "/proc/self/exe";
/// How it is called in a list of processes.
const NAME: &str = "gatewright-shim";
/// How ready the kernel is to end the command, rather than the host, when memory runs out (0 to 1000).
const OOM_SCORE: &str = "500";
/// Loopback addresses that have a door of their own inside; further ones are only behind the proxy.
const DOORS: usize = 16;

/// First life: starts the second and ends, so that the second belongs to nobody. It inherits the lock (standard input)
/// and the pipe on which the host waits for its word (standard output).
pub fn start(folder: &Path) -> ExitCode {
    // Descriptors of the host that are not marked already must not reach the command.
    kill_point!("shim-begins");
    let started = sys::close_inherited_on_exec().and_then(|()| {
        let mut second = Command::new(OURSELVES);
        second.arg0(NAME).arg("hold").arg(folder).env_clear().stderr(Stdio::null());
        kill_points::hand_on(&mut second);
        second.spawn().map(drop)
    });
    match started {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: the shim could not start its second process: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// A word to the host, which may be gone: then nobody needs it.
pub(crate) fn say(word: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(word.as_bytes()).and_then(|()| out.flush());
}

/// The command, just started.
pub(crate) struct Started {
    /// What must be waited for.
    pub(crate) pid: Pid,
    /// Where bubblewrap says what became of the command.
    pub(crate) status: Option<OwnedFd>,
    /// Where the sandbox hands over its proxy's listener, and says why the command could not begin.
    pub(crate) handover: Option<OwnedFd>,
}

/// What the command's processes inherit: our ends of it, and theirs.
#[derive(Default)]
struct Lines {
    status: Option<OwnedFd>,
    handover: Option<OwnedFd>,
    theirs: Vec<OwnedFd>,
}

/// Starts the command through the third life. An error means that the command itself never ran.
pub(crate) fn spawn(spec: &Spec, log: &std::fs::File, cgroup: Option<&Cgroup>) -> Result<Started, String> {
    let before = |error: io::Error| format!("before the command: {error}");
    let (failure, failed) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from).map_err(before)?;
    let mut command = Command::new(OURSELVES);
    command.arg0(NAME).arg("exec").arg(std::process::id().to_string());
    command.arg(cgroup.map_or_else(|| OsString::from("-"), |group| group.members_file().into_os_string()));
    // The log is a file that it writes too.
    let largest = spec.limits.disk_bytes.max(spec.log_limit_bytes).saturating_add(BEYOND_THE_DISK);
    command.arg(spec.limits.open_files.to_string()).arg(largest.to_string());
    let Lines { status, handover, theirs } = compose(&mut command, spec).map_err(before)?;
    command.env_clear().envs(&spec.env).current_dir(&spec.cwd).stdin(Stdio::from(failed));
    command.stdout(log.try_clone().map_err(before)?).stderr(log.try_clone().map_err(before)?);
    let child = command.spawn().map_err(|error| format!("in {}: {error}", spec.cwd.display()))?;
    // Our copies of both pipes' far ends: the command's own must be the last ones.
    drop((command, theirs));
    let mut complaint = Vec::new();
    // A pipe that cannot be read has brought no complaint: then the command counts as begun.
    let _ = std::fs::File::from(failure).take(4096).read_to_end(&mut complaint);
    if !complaint.is_empty() {
        // Its process ends by itself and is collected with the tree.
        return Err(String::from_utf8_lossy(&complaint).into_owned());
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.map(|pid| Started { pid, status, handover }).ok_or_else(|| "its number is none".to_owned())
}

/// Adds the program and its arguments, inside the sandbox where there is one.
fn compose(command: &mut Command, spec: &Spec) -> io::Result<Lines> {
    let Sandbox::Bubblewrap { program, args, proxy, counted_alone } = &spec.sandbox else {
        command.args(&spec.argv);
        return Ok(Lines::default());
    };
    let mut lines = Lines::default();
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // bubblewrap closes this one before the command starts.
    rustix::io::fcntl_setfd(theirs.as_fd(), FdFlags::empty())?;
    command.arg(program).args(args);
    command.arg("--json-status-fd").arg(theirs.as_raw_fd().to_string()).arg("--");
    lines.status = Some(ours);
    lines.theirs.push(theirs);
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    // The sandbox shows no path of ours, so this program goes in as an open file. The fourth life closes both.
    let program = rustix::fs::open(OURSELVES, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    for inherited in [&theirs, &program] {
        rustix::io::fcntl_setfd(inherited, FdFlags::empty())?;
    }
    let number = program.as_raw_fd().to_string();
    command.arg(format!("/proc/self/fd/{number}")).arg("enter").arg(number).arg(theirs.as_raw_fd().to_string());
    command.arg(proxy.as_ref().map_or_else(|| OUTSIDE.to_owned(), doors));
    let processes = counted_alone.then(|| spec.limits.processes.saturating_add(BEFORE_THE_KERNEL).to_string());
    command.arg(processes.as_deref().unwrap_or("-"));
    lines.handover = Some(ours);
    lines.theirs.extend([theirs, program]);
    command.args(&spec.argv);
    Ok(lines)
}

/// The loopback addresses that have a door, as the fourth life is told of them. The keyed one is first: another at the same place
/// is only behind the proxy.
fn doors(proxy: &Proxy) -> String {
    let named = proxy.allowed.iter().filter_map(|allowed| match allowed {
        Allowed::Address { address } if address.ip().is_loopback() => Some(*address),
        _ => None,
    });
    let doors = proxy.keyed.iter().map(|keyed| keyed.door).chain(named.take(DOORS));
    doors.map(|door| door.to_string()).collect::<Vec<_>>().join(",")
}

/// Third life: binds itself to the shim's life, joins the control group, and becomes the command.
pub fn exec(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(parent), Some(group)) = (arguments.next(), arguments.next()) else {
        return ExitCode::from(2);
    };
    let mut number = || arguments.next()?.to_str()?.parse::<u64>().ok();
    let (Some(open_files), Some(largest), Some(program)) = (number(), number(), arguments.next()) else {
        return ExitCode::from(2);
    };
    // Standard input is the pipe on which the shim hears of a failure; the command gets an empty one.
    let Ok(failed) = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3) else {
        return ExitCode::from(2);
    };
    let error = match prepare(&parent, &group).and_then(|()| bound(open_files, largest)) {
        Ok(()) => Command::new(&program).args(arguments).exec(),
        Err(error) => error,
    };
    let complaint = format!("{}: {error}", program.display());
    // The shim is the only reader; if it is gone, so are we in a moment.
    let _ = std::fs::File::from(failed).write_all(complaint.as_bytes());
    ExitCode::from(127)
}

fn prepare(parent: &std::ffi::OsStr, group: &std::ffi::OsStr) -> io::Result<()> {
    let nothing = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the line above took effect.
    let alive = getppid().is_some_and(|pid| pid.as_raw_nonzero().to_string().as_str() == parent);
    if !alive {
        return Err(io::Error::other("the shim is gone"));
    }
    setsid()?;
    if group != "-" {
        std::fs::write(group, "0")?;
    }
    // Raising it is always allowed; where there is no such file there is nothing to say.
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    Ok(())
}

/// What the kernel holds each process to. None of it can be raised again without rights, and root's run has none in its sandbox.
fn bound(open_files: u64, largest: u64) -> io::Result<()> {
    // A core would fill the disk with what nobody looks at, and hold what the command had in memory.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    let before = getrlimit(Resource::Nofile);
    let most = before.maximum.map_or(open_files, |maximum| maximum.min(open_files));
    // What programs begin with stays: some go through all that they may have open.
    let first = before.current.map_or(most, |current| current.min(most));
    setrlimit(Resource::Nofile, Rlimit { current: Some(first), maximum: Some(most) })?;
    let largest = getrlimit(Resource::Fsize).maximum.map_or(largest, |maximum| maximum.min(largest));
    Ok(setrlimit(Resource::Fsize, Rlimit { current: Some(largest), maximum: Some(largest) })?)
}
