//! The second life: the shim proper. It blocks on events (a child's end, a signal, a file of the run folder, a deadline)
//! and looks at everything anew after each, so that no event can be missed for another's sake.

mod opened;
mod right;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use kill_points::kill_point;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, set_child_subreaper, setsid, wait};

use crate::cgroup::Cgroup;
use crate::clock::{span, steady_ms, wall_ms};
use crate::files::{self, Reserved};
use crate::guard::{self, Guard};
use crate::launch::{Started, say, spawn};
use crate::protocol::{self, Exit, ExitRecord, Sandbox, ShimInfo, Spec};
use crate::proxy::{self, Log};
use crate::{enter, processes, record, sys, tree};
use opened::{drain, open_log, take_lock, watch};
use right::Granted;

/// Everything is looked at at least this often, should an event have been missed all the same.
const LOOK_MS: u64 = 60_000;
/// The same where the kernel grants no inotify.
const LOOK_BLIND_MS: u64 = 500;
/// After an event in the folder the next is heard no sooner: a chatty log must not keep the shim busy.
const CALM_MS: u64 = 20;
/// Between two blows against a tree that is not empty yet.
const AGAIN_MS: u64 = 100;

/// Holds one run from its start to its record. The host hears `ok` or `error: …` on standard output, once.
pub fn hold(folder: &Path) -> ExitCode {
    let ready = match prepare(folder) {
        Ok(ready) => ready,
        Err(problem) => {
            say(&format!("error: {problem}\n"));
            return ExitCode::FAILURE;
        }
    };
    match ready.run() {
        Ok(()) => ExitCode::SUCCESS,
        // No record: the host finds the run lost, which is the truth.
        Err(_) => ExitCode::FAILURE,
    }
}

/// All that can fail has not failed; nothing was started.
struct Ready {
    folder: PathBuf,
    spec: Spec,
    info: ShimInfo,
    log: File,
    exit: Reserved,
    signals: OwnedFd,
    folder_events: Option<OwnedFd>,
    cgroup: Option<Cgroup>,
    /// Held for life; the command does not inherit it.
    _lock: OwnedFd,
}

fn prepare(folder: &Path) -> Result<Ready, String> {
    let at = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| format!("{what}: {error}")
    };
    sys::close_inherited_on_exec().map_err(at("close_range"))?;
    // Refused only to the leader of a group, who has left its session's signals behind already.
    let _ = setsid();
    let lock = take_lock(folder).map_err(at("the lock of the run folder"))?;
    kill_point!("shim-took-the-lock");
    set_child_subreaper(Pid::from_raw(1)).map_err(io::Error::from).map_err(at("PR_SET_CHILD_SUBREAPER"))?;
    std::env::set_current_dir("/").map_err(at("/"))?;
    let spec: Spec = match protocol::read(folder, protocol::SPEC) {
        Ok(Some(spec)) => spec,
        Ok(None) => return Err("there is no spec.json in the run folder".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    kill_point!("shim-read-its-spec");
    let exit = Reserved::take(folder, protocol::EXIT_RESERVED, protocol::EXIT_BYTES).map_err(at("the exit record"))?;
    let log = open_log(folder).map_err(at("the log"))?;
    kill_point!("shim-opened-the-log");
    let signals = sys::catch_signals().map_err(at("signals"))?;
    let folder_events = watch(folder).ok();
    let me = std::process::id();
    let myself = processes::process(me).ok_or("/proc does not show this process")?;
    let mut cgroup = Cgroup::create(&format!("gatewright-run-{}", spec.marker));
    if let Some(group) = &mut cgroup {
        group.limit(&spec.limits);
    }
    let info = ShimInfo {
        version: protocol::VERSION,
        pid: me,
        start_time: myself.start_time,
        boot_id: processes::boot_id().map_err(at("boot_id"))?,
        started_at_ms: wall_ms(),
        marker: spec.marker.clone(),
        cgroup: cgroup.as_ref().map(|group| group.path().to_owned()),
        argv: spec.argv.clone(),
    };
    // From here on the run counts as begun.
    if let Err(error) = protocol::write(folder, protocol::SHIM, &info) {
        cgroup.inspect(Cgroup::remove);
        return Err(error.to_string());
    }
    kill_point!("shim-says-that-it-lives");
    // It may hold secrets and has done its work.
    let _ = std::fs::remove_file(folder.join(protocol::SPEC));
    Ok(Ready { folder: folder.to_owned(), spec, info, log, exit, signals, folder_events, cgroup, _lock: lock })
}

impl Ready {
    fn run(self) -> io::Result<()> {
        let guard = Guard::start(&self.spec.limits, self.spec.cwd.clone(), self.cgroup.as_ref());
        let begun = |guard: Guard| {
            let started = spawn(&self.spec, &self.log, self.cgroup.as_ref());
            started.map(|started| (started, guard)).map_err(|error| Exit::NotStarted { error: record::cut(&error) })
        };
        let started = if let Some(exit) = asked_to_end(&self.folder) {
            Err(exit)
        } else {
            // Nobody would see what it takes.
            guard.map_err(|error| Exit::NotStarted { error: format!("its limits: {error}") }).and_then(begun)
        };
        kill_point!("shim-started-the-command");
        let mut holder = Holder::new(self, started);
        holder.open_proxy();
        // From here on nothing is born of this thread.
        guard::come_first();
        // The host need not wait for the end. Where nothing began it gets the record with the word.
        let began = holder.command.is_some();
        if began {
            tell_ready();
            kill_point!("shim-gave-its-word");
        }
        if let Err(error) = holder.hold() {
            // Blind, but not without a blow: the command itself is bound to this process's life.
            holder.strike(true);
            return Err(error);
        }
        kill_point!("shim-sees-the-tree-empty");
        holder.publish()?;
        kill_point!("shim-wrote-its-record");
        if !began {
            tell_ready();
        }
        Ok(())
    }
}

/// What the host's word to end means for the record; none: it has not spoken. A word that cannot be read is one all the same.
fn asked_to_end(folder: &Path) -> Option<Exit> {
    let word = folder.join(protocol::CANCEL);
    word.symlink_metadata().ok()?;
    let is_over_budget = files::read_small(&word).is_ok_and(|word| word == protocol::OVER_BUDGET);
    Some(if is_over_budget { Exit::OverBudget } else { Exit::Cancelled })
}

fn tell_ready() {
    say("ok\n");
    if let Ok(nothing) = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdout(&nothing);
    }
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The command works.
    Running,
    /// TERM was sent; KILL follows at this time.
    Stopping { kill_at: u64 },
    /// Whatever is left is killed until nothing is.
    Killing,
}

struct Holder {
    ready: Ready,
    command: Option<Started>,
    /// As long as there is a command.
    guard: Option<Guard>,
    status: Option<WaitStatus>,
    /// Why we ended it, if we did.
    reason: Option<Exit>,
    phase: Phase,
    empty: bool,
    forced: bool,
    interrupted: bool,
    deadline: u64,
    right: Granted,
    calm_until: u64,
    next_blow: Option<u64>,
    /// The log's size at the last look, and what was cut off it before, in bytes.
    log_seen: u64,
    log_cut: u64,
    /// What the proxy writes of the log, where there is one.
    proxy_log: Option<Arc<Log>>,
}

impl Holder {
    fn new(ready: Ready, started: Result<(Started, Guard), Exit>) -> Self {
        let (command, guard, reason) = match started {
            Ok((started, guard)) => (Some(started), Some(guard), None),
            Err(exit) => (None, None, Some(exit)),
        };
        let phase = if command.is_some() { Phase::Running } else { Phase::Killing };
        let now = steady_ms();
        let deadline = now.saturating_add(ready.spec.budget_ms);
        let right = Granted::at_first(now, ready.spec.right_ms);
        Self {
            ready,
            command,
            guard,
            status: None,
            reason,
            phase,
            empty: false,
            log_seen: 0,
            log_cut: 0,
            forced: false,
            interrupted: false,
            deadline,
            right,
            calm_until: 0,
            next_blow: None,
            proxy_log: None,
        }
    }

    /// Lets the command out to what its host named, where it has a network of its own.
    fn open_proxy(&mut self) {
        let Sandbox::Bubblewrap { proxy: Some(proxy), .. } = &self.ready.spec.sandbox else { return };
        let Some(line) = self.command.as_ref().and_then(|command| command.handover.as_ref()) else { return };
        let served = self.ready.log.try_clone().and_then(|file| {
            let log = Arc::new(Log::new(file));
            proxy::serve(line, proxy, Arc::clone(&log)).map(|()| log)
        });
        // Where it failed there is no way out, and the command finds none.
        self.proxy_log = served.ok();
    }

    /// Until the tree is empty.
    fn hold(&mut self) -> io::Result<()> {
        loop {
            self.reap()?;
            if self.empty {
                return Ok(());
            }
            self.decide();
            self.act();
            self.block()?;
        }
    }

    /// Collects whoever ended. As a subreaper this process is the parent of every orphan below it: no children left
    /// means no descendants left.
    fn reap(&mut self) -> io::Result<()> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if self.command.as_ref().is_some_and(|command| command.pid == pid) {
                        self.status = Some(status);
                    }
                }
                Ok(None) => return Ok(()),
                Err(Errno::CHILD) => {
                    self.empty = true;
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The limit that it passed.
    fn over(&self) -> Option<Exit> {
        let over = self.guard.as_ref()?.over()?;
        Some(Exit::OverLimit { limit: over.limit, allowed: over.allowed })
    }

    /// A run may cut its own log, for it holds it: what it then writes anew counts with what was there.
    fn log_is_full(&mut self) -> bool {
        let Ok(log) = self.ready.log.metadata() else { return false };
        if log.len() < self.log_seen {
            self.log_cut = self.log_cut.saturating_add(self.log_seen);
        }
        self.log_seen = log.len();
        self.log_cut.saturating_add(log.len()) > self.ready.spec.log_limit_bytes
    }

    /// What the present state asks for.
    fn decide(&mut self) {
        let now = steady_ms();
        let log_is_full = self.log_is_full();
        match self.phase {
            Phase::Killing => {}
            Phase::Running if self.status.is_some() => self.phase = Phase::Killing,
            // No grace: it would only fill the disk.
            Phase::Running if log_is_full => {
                self.reason = Some(Exit::LogLimit);
                self.phase = Phase::Killing;
            }
            Phase::Running if self.over().is_some() => {
                self.reason = self.over();
                self.phase = Phase::Killing;
            }
            Phase::Running => {
                if let Some(reason) = self.reason_to_stop(now) {
                    self.reason = Some(reason);
                    self.phase = Phase::Stopping { kill_at: now.saturating_add(self.ready.spec.grace_ms) };
                    kill_point!("shim-ends-its-run");
                    tree::terminate(std::process::id(), self.sandbox_itself());
                }
            }
            // With bubblewrap's own end the kernel has ended its namespace already.
            Phase::Stopping { .. } if self.status.is_some() && self.sandboxed() => {
                self.phase = Phase::Killing;
            }
            Phase::Stopping { kill_at } => {
                if now >= kill_at || self.log_is_full() || self.over().is_some() {
                    self.forced = true;
                    self.phase = Phase::Killing;
                }
            }
        }
    }

    fn reason_to_stop(&mut self, now: u64) -> Option<Exit> {
        // Somebody takes its folder away: nobody can adopt the run, nor ever hear of its end.
        let gone = self
            .ready
            .folder
            .join(protocol::LOG)
            .symlink_metadata()
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        if gone {
            return Some(Exit::Cancelled);
        }
        if let Some(exit) = asked_to_end(&self.ready.folder) {
            return Some(exit);
        }
        if self.interrupted {
            return Some(Exit::Interrupted);
        }
        if now >= self.deadline {
            return Some(Exit::TimedOut);
        }
        self.right.look(&self.ready.folder, now);
        self.right.is_over(now).then_some(Exit::RightExpired)
    }

    fn sandboxed(&self) -> bool {
        matches!(self.ready.spec.sandbox, Sandbox::Bubblewrap { .. })
    }

    /// bubblewrap outside its namespace: a TERM to it would end the namespace at once and with it every grace.
    fn sandbox_itself(&self) -> Option<u32> {
        let pid = self.command.as_ref()?.pid;
        self.sandboxed().then(|| pid.as_raw_nonzero().get().unsigned_abs())
    }

    /// In the last phase: kills, and again as long as anything lives.
    fn act(&mut self) {
        let now = steady_ms();
        if self.phase != Phase::Killing || self.next_blow.is_some_and(|next| now < next) {
            return;
        }
        if self.next_blow.is_none() {
            kill_point!("shim-strikes-its-tree");
        }
        self.strike(self.next_blow.is_some());
        // Who dies needs the processor for it: a blow against thousands takes its time, and leaves them as much.
        let struck = steady_ms();
        self.next_blow = Some(struck + AGAIN_MS.max(struck - now));
    }

    /// One by one only where nothing ends all at once, or did not.
    fn strike(&self, each: bool) {
        let group = self.ready.cgroup.as_ref().is_some_and(|group| group.kill().is_ok());
        let namespace = self.status.is_none() && self.sandbox_itself().is_some_and(tree::kill_one);
        if each || !(group || namespace) {
            tree::kill(std::process::id());
        }
    }

    /// Waits for the next event or deadline.
    fn block(&mut self) -> io::Result<()> {
        let now = steady_ms();
        let calm = now >= self.calm_until;
        let heard = self.ready.folder_events.as_ref().filter(|_| calm && self.phase != Phase::Killing);
        let mut fds = vec![PollFd::new(&self.ready.signals, PollFlags::IN)];
        if let Some(events) = heard {
            fds.push(PollFd::new(events, PollFlags::IN));
        }
        let bell = self.guard.as_ref().filter(|_| self.phase != Phase::Killing);
        if let Some(guard) = bell {
            fds.push(PollFd::new(&guard.bell, PollFlags::IN));
        }
        match poll(&mut fds, Some(&span(self.patience(now, calm)))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let folder_changed = heard.is_some() && fds.get(1).is_some_and(|events| !events.revents().is_empty());
        let signalled = fds.first().is_some_and(|signals| !signals.revents().is_empty());
        if folder_changed && let Some(events) = &self.ready.folder_events {
            drain(events.as_fd(), |_| {});
            self.calm_until = steady_ms() + CALM_MS;
        }
        if signalled {
            let mut others = false;
            drain(self.ready.signals.as_fd(), |bytes| {
                others |= bytes.iter().any(|signal| i32::from(*signal) != libc::SIGCHLD);
            });
            self.interrupted |= others;
        }
        Ok(())
    }

    /// How long there is nothing to do by ourselves.
    fn patience(&self, now: u64, calm: bool) -> u64 {
        let mut until = now + if self.ready.folder_events.is_some() { LOOK_MS } else { LOOK_BLIND_MS };
        match self.phase {
            Phase::Running => {
                until = until.min(self.deadline).min(self.right.until());
            }
            Phase::Stopping { kill_at } => until = until.min(kill_at),
            Phase::Killing => until = until.min(self.next_blow.unwrap_or(now)),
        }
        if !calm && self.phase != Phase::Killing {
            until = until.min(self.calm_until);
        }
        until.saturating_sub(now).max(1)
    }

    /// The tree is empty: says how it ended. Nothing is written after this.
    fn publish(self) -> io::Result<()> {
        let Self { ready, command, guard, status, reason, forced, proxy_log, log_cut, .. } = self;
        guard::stand_back();
        // What ended by itself may have taken too much before anybody looked.
        let over = guard
            .as_ref()
            .and_then(Guard::at_the_end)
            .filter(|_| reason.as_ref().is_none_or(|reason| matches!(reason, Exit::OverLimit { .. })));
        let log = proxy_log.map_or_else(|| ready.log.try_clone().map(|file| Arc::new(Log::new(file))), Ok)?;
        if let Some(over) = &over {
            log.ended(&over.words);
        }
        log.close();
        if let Some(group) = &ready.cgroup {
            group.remove();
        }
        let size = ready.log.metadata()?.len();
        let is_long = size > ready.spec.log_limit_bytes;
        let log_truncated = is_long || log_cut > 0;
        // Read before the log is cut: what bubblewrap says of its failure stands at the end.
        let reason = reason.or(over.map(|over| Exit::OverLimit { limit: over.limit, allowed: over.allowed }));
        let exit = reason.unwrap_or_else(|| {
            let line = command.as_ref().and_then(|command| command.handover.as_ref());
            if let Some(error) = line.and_then(|line| enter::complaint(line.as_fd())) {
                return Exit::NotStarted { error: record::cut(&error) };
            }
            let said = command.and_then(|command| command.status).map(|status| {
                let mut said = Vec::new();
                drain(status.as_fd(), |bytes| said.extend_from_slice(bytes));
                said
            });
            record::of(status, said.as_deref(), &ready.folder.join(protocol::LOG))
        });
        if is_long {
            kill_point!("shim-cuts-its-log");
            ready.log.set_len(ready.spec.log_limit_bytes)?;
        }
        ready.log.sync_all()?;
        let record = ExitRecord {
            version: protocol::VERSION,
            exit,
            started_at_ms: ready.info.started_at_ms,
            ended_at_ms: wall_ms(),
            forced,
            peak_rss_bytes: sys::peak_rss_bytes(),
            log_bytes: size.min(ready.spec.log_limit_bytes),
            log_truncated,
        };
        ready.exit.publish(&ready.folder, protocol::EXIT, &serde_json::to_vec(&record)?)
    }
}
