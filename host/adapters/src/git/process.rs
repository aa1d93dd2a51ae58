//! One child process with bounds on its time and its output. Whatever it started ends with it: it leads a process group.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// Beyond this, what a process says on stderr is dropped.
const STDERR_BYTES: usize = 16 << 10;

/// What the process reads.
pub(super) enum Source {
    /// Nothing.
    Nothing,
    /// These bytes.
    Bytes(Vec<u8>),
    /// This file, from where it stands.
    File(File),
}

/// Where what it says goes.
pub(super) enum Sink {
    /// Into memory, so many bytes at most.
    Memory(usize),
    /// Into this file.
    File(File),
}

/// A process that came to its end.
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Why a process did not come to its end. It is gone all the same.
pub(super) enum Failure {
    NotStarted(io::Error),
    TimedOut,
    /// It said more than the sink holds.
    TooMuch(usize),
    Broken(io::Error),
}

/// Runs it to its end. Blocks for `time` at most.
pub(super) fn run(mut command: Command, source: Source, sink: Sink, time: Duration) -> Result<Finished, Failure> {
    let (stdin, input) = match source {
        Source::Nothing => (Stdio::null(), Vec::new()),
        Source::Bytes(bytes) => (Stdio::piped(), bytes),
        Source::File(file) => (Stdio::from(file), Vec::new()),
    };
    let (stdout, stdout_bytes) = match sink {
        Sink::Memory(bytes) => (Stdio::piped(), bytes),
        Sink::File(file) => (Stdio::from(file), 0),
    };
    command.stdin(stdin).stdout(stdout).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(Failure::NotStarted)?;
    let pumped = Pump::new(&mut child, input, stdout_bytes).and_then(|mut pump| {
        pump.run(&child, Instant::now() + time)?;
        Ok(pump)
    });
    // Also on the good way: nothing that git left in the background may hold the repository.
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let status = child.wait().map_err(Failure::Broken)?;
    let pump = pumped?;
    Ok(Finished { status, stdout: pump.out, stderr: pump.err })
}

/// The ends of the pipes that are ours.
struct Pump {
    stdin: Option<ChildStdin>,
    input: Vec<u8>,
    written: usize,
    stdout: Option<ChildStdout>,
    out: Vec<u8>,
    out_limit: usize,
    stderr: Option<ChildStderr>,
    err: Vec<u8>,
}

impl Pump {
    fn new(child: &mut Child, input: Vec<u8>, out_limit: usize) -> Result<Self, Failure> {
        let pump = Self {
            stdin: child.stdin.take(),
            input,
            written: 0,
            stdout: child.stdout.take(),
            out: Vec::new(),
            out_limit,
            stderr: child.stderr.take(),
            err: Vec::new(),
        };
        let unblock =
            |end: &dyn AsFd| fcntl_setfl(end, OFlags::NONBLOCK).map_err(|error| Failure::Broken(error.into()));
        pump.stdin.as_ref().map_or(Ok(()), |end| unblock(end))?;
        pump.stdout.as_ref().map_or(Ok(()), |end| unblock(end))?;
        pump.stderr.as_ref().map_or(Ok(()), |end| unblock(end))?;
        Ok(pump)
    }

    /// Until the process is gone and its pipes are dry.
    fn run(&mut self, child: &Child, deadline: Instant) -> Result<(), Failure> {
        let pid = Pid::from_raw(child.id().cast_signed()).ok_or(Failure::Broken(ErrorKind::InvalidInput.into()))?;
        let process = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| Failure::Broken(error.into()))?;
        let mut alive = true;
        while alive || self.stdout.is_some() || self.stderr.is_some() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::TimedOut);
            }
            let mut ends = Vec::with_capacity(4);
            if alive {
                ends.push(PollFd::new(&process, PollFlags::IN));
            }
            ends.extend(self.stdin.as_ref().map(|end| PollFd::new(end, PollFlags::OUT)));
            ends.extend(self.stdout.as_ref().map(|end| PollFd::new(end, PollFlags::IN)));
            ends.extend(self.stderr.as_ref().map(|end| PollFd::new(end, PollFlags::IN)));
            let timeout = Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() };
            match poll(&mut ends, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Failure::Broken(error.into())),
            }
            alive = alive && ends.first().is_some_and(|end| end.revents().is_empty());
            drop(ends);
            self.feed();
            self.drain()?;
        }
        Ok(())
    }

    /// Writes what fits. A process that does not read on has its reasons; its exit code says them.
    fn feed(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        while self.written < self.input.len() {
            match stdin.write(&self.input[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.stdin = None;
    }

    fn drain(&mut self) -> Result<(), Failure> {
        if read_some(&mut self.stdout, &mut self.out, self.out_limit).map_err(Failure::Broken)? {
            return Err(Failure::TooMuch(self.out_limit));
        }
        read_some(&mut self.stderr, &mut self.err, STDERR_BYTES).map_err(Failure::Broken)?;
        Ok(())
    }
}

/// Reads what is there. True: there was more than the limit, and the rest is dropped.
fn read_some<End: Read>(end: &mut Option<End>, into: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
    let Some(reader) = end else { return Ok(false) };
    let mut buffer = [0; 16 << 10];
    let mut over = false;
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => {
                *end = None;
                return Ok(over);
            }
            Ok(count) => {
                let room = limit - into.len();
                into.extend_from_slice(&buffer[..count.min(room)]);
                over |= count > room;
                if over {
                    return Ok(true);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(over),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    fn quick(script: &str, input: &[u8]) -> Result<Finished, Failure> {
        run(shell(script), Source::Bytes(input.to_vec()), Sink::Memory(1 << 20), Duration::from_secs(20))
    }

    #[test]
    fn a_large_input_and_output_cross_without_a_deadlock() {
        let input = vec![b'x'; 900_000];
        let finished = quick("cat; echo done >&2; exit 3", &input).ok().unwrap();
        assert_eq!((finished.status.code(), finished.stdout.len()), (Some(3), 900_000));
        assert_eq!(finished.stderr, b"done\n");
    }

    #[test]
    fn a_flood_on_stderr_neither_fills_memory_nor_blocks() {
        let finished = quick("head -c 3000000 /dev/zero >&2", b"").ok().unwrap();
        assert!(finished.status.success());
        assert_eq!(finished.stderr.len(), STDERR_BYTES);
    }

    #[test]
    fn too_much_output_ends_the_process() {
        assert!(matches!(quick("cat /dev/zero", b""), Err(Failure::TooMuch(_))));
    }

    #[test]
    fn time_is_up_for_the_whole_group() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid_file.display());
        let ended = run(shell(&script), Source::Nothing, Sink::Memory(10), Duration::from_millis(400));
        assert!(matches!(ended, Err(Failure::TimedOut)));
        let grandchild: i32 = std::fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
        if let Ok(process) = pidfd_open(Pid::from_raw(grandchild).unwrap(), PidfdFlags::empty()) {
            let patience = Timespec { tv_sec: 10, tv_nsec: 0 };
            let gone = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&patience)).unwrap();
            assert_eq!(gone, 1, "it lives");
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_said_so() {
        let ended = run(Command::new("/nonexistent/git"), Source::Nothing, Sink::Memory(10), Duration::from_secs(1));
        assert!(matches!(ended, Err(Failure::NotStarted(_))));
    }
}
