//! Launching: everything that can be refused is refused before a folder is made; then the lock decides who starts.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use kill_points::kill_point;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use shim::protocol::{self, MARKER, Sandbox, Spec};

use super::{Launch, PATIENCE, Plan, Runner, absolute_folder, invalid, pause};
use crate::config::{Confinement, LaunchSpec, SandboxMode};
use crate::environment;
use crate::error::{LaunchError, RunError, SandboxError};
use crate::folder::{Folder, Lock, RunState};
use crate::limits;
use crate::preflight;
use crate::sandbox::{self, View};

/// How long a shim may take to say that the command has begun.
const WORD: Duration = Duration::from_secs(30);

impl Runner {
    /// Launches the run of a job, or adopts the one that is there. However often this is called for one job, whatever
    /// died in between, its command is started at most once.
    pub fn launch(&self, job: u64, spec: &LaunchSpec) -> Result<Launch, LaunchError> {
        let folder = self.folder(job);
        for _ in 0..PATIENCE {
            match self.inspect(job)? {
                RunState::Absent | RunState::Prepared => {}
                RunState::Starting => {
                    pause();
                    continue;
                }
                state => {
                    return Ok(Launch { job, state, adopted: true });
                }
            }
            let plan = self.plan(job, spec)?;
            kill_point!("before-run-folder-is-made");
            folder.make()?;
            let lock = {
                let _gate = self.gate();
                folder.lock()?
            };
            match lock {
                Lock::Held => pause(),
                Lock::Taken(lock) => match folder.settled()? {
                    RunState::Prepared => return self.start(job, &folder, lock, &plan),
                    state => {
                        return Ok(Launch { job, state, adopted: true });
                    }
                },
            }
        }
        Err(LaunchError::Busy { job })
    }

    /// Whether a launch would be possible, without making anything.
    pub fn preflight(&self, job: u64, spec: &LaunchSpec) -> Result<(), LaunchError> {
        self.plan(job, spec).map(drop)
    }

    /// All that keeps such a launch from beginning, whatever its job and its clone will be; nothing: it could begin. Looked up on the
    /// same `PATH`, with the same view, as a launch does it. `has_key`: it has one that it never sees.
    pub fn obstacles(&self, spec: &LaunchSpec, has_key: bool) -> Vec<LaunchError> {
        let (command, bubblewrap) =
            match command_of(spec).and_then(|command| Ok((command, self.confined(spec.confinement)?))) {
                Ok(found) => found,
                Err(error) => return vec![error],
            };
        let mut found = Vec::new();
        if has_key && bubblewrap.is_none() {
            found.push(SandboxError::Keyless.into());
        }
        let view = match bubblewrap.map(|_| self.view_from_nowhere(spec)).transpose() {
            Ok(view) => view,
            Err(errors) => {
                found.extend(errors);
                None
            }
        };
        // What lies in the clone is not there yet.
        if command.contains('/') && !command.starts_with('/') {
            return found;
        }
        let outside = &self.config.path;
        let inside = view.as_ref().map_or_else(|| outside.clone(), |view| view.path(outside));
        found.extend(preflight::check(command, &spec.cwd, &inside, outside, view.as_ref()).err());
        found
    }

    /// What a launch would see that has no clone yet.
    fn view_from_nowhere(&self, spec: &LaunchSpec) -> Result<View, Vec<LaunchError>> {
        let nowhere = self.nowhere();
        let io = |source| vec![LaunchError::from(RunError::Io { what: "making", path: nowhere.clone(), source })];
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&nowhere).map_err(io)?;
        View::checked(&self.config, spec, None).map_err(|flaws| flaws.into_iter().map(LaunchError::from).collect())
    }

    fn bubblewrap_for(&self, spec: &LaunchSpec) -> Result<Option<&sandbox::Bubblewrap>, LaunchError> {
        let found = self.confined(spec.confinement)?;
        if spec.keyed.is_some() && found.is_none() {
            return Err(SandboxError::Keyless.into());
        }
        Ok(found)
    }

    fn confined(&self, confinement: Confinement) -> Result<Option<&sandbox::Bubblewrap>, LaunchError> {
        match confinement {
            Confinement::Sandboxed => Ok(self.sandbox()?),
            Confinement::Demanded => match self.sandbox()? {
                // That an agent runs without is the operator's word to give, and no fallback's.
                None if self.config.sandbox != SandboxMode::None => {
                    let reason = self.sandbox_problem().unwrap_or_default();
                    Err(SandboxError::Demanded { reason }.into())
                }
                found => Ok(found),
            },
            Confinement::Trusted => Ok(None),
        }
    }

    fn plan(&self, job: u64, spec: &LaunchSpec) -> Result<Plan, LaunchError> {
        let command = command_of(spec)?;
        if spec.argv.iter().any(|word| word.contains('\0')) {
            return Err(invalid("the command holds a NUL"));
        }
        if spec.budget.is_zero() || spec.log_limit_bytes == 0 {
            return Err(invalid("a run needs some time and some room for its log"));
        }
        absolute_folder(&spec.cwd)?;
        let bubblewrap = self.bubblewrap_for(spec)?;
        environment::check(&spec.env, bubblewrap.is_some()).map_err(|error| invalid(error.to_string()))?;
        let brief_folder = self.brief_folder(job);
        let view = match bubblewrap {
            Some(_) => Some(View::of(&self.config, spec, spec.brief.as_ref().map(|_| brief_folder.as_path()))?),
            None => None,
        };
        let outside = &self.config.path;
        let path = view.as_ref().map_or_else(|| outside.clone(), |view| view.path(outside));
        let home = view.as_ref().map_or(self.config.home.as_path(), View::home);
        let marker = marker(job).map_err(self.folder(job).io("drawing a mark for"))?;
        let mut env = environment::base(&path, home);
        env.extend(spec.env.clone());
        if spec.brief.is_some() {
            env.insert(environment::BRIEF.to_owned(), self.brief_path(job).to_string_lossy().into_owned());
        }
        env.insert(MARKER.to_owned(), marker.clone());
        let searched = env.get("PATH").map_or("", String::as_str);
        preflight::check(command, &spec.cwd, searched, outside, view.as_ref())?;
        let lent = view.as_ref().map(View::lent).unwrap_or_default();
        let limits = limits::of(spec.limits, lent, self.config.first_walk);
        let sandbox = match (bubblewrap, &view) {
            (Some(bubblewrap), Some(view)) => {
                let proxy = sandbox::proxy(&spec.network, self.never_reached(), spec.keyed.clone());
                env.extend(environment::proxied());
                Sandbox::Bubblewrap {
                    program: bubblewrap.program.clone(),
                    args: view.arguments(bubblewrap, limits::folder_in_memory(&limits))?,
                    proxy: Some(proxy),
                    counted_alone: bubblewrap.counted_alone,
                }
            }
            _ => Sandbox::None,
        };
        let milliseconds = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let spec_file = Spec {
            version: protocol::SPEC_VERSION,
            argv: spec.argv.clone(),
            cwd: spec.cwd.clone(),
            env,
            log_limit_bytes: spec.log_limit_bytes,
            budget_ms: milliseconds(spec.budget),
            grace_ms: milliseconds(spec.grace),
            right_ms: milliseconds(self.config.right),
            limits,
            marker,
            sandbox,
        };
        Ok(Plan { spec: spec_file, brief: spec.brief.clone() })
    }

    fn make_brief_folder(&self, job: u64) -> Result<(), RunError> {
        let folder = self.brief_folder(job);
        let io = |source| RunError::Io { what: "making the brief's folder", path: folder.clone(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(io)
    }

    /// With the lock taken and nothing started yet.
    fn start(&self, job: u64, folder: &Folder, lock: File, plan: &Plan) -> Result<Launch, LaunchError> {
        if let Some(brief) = &plan.brief {
            self.make_brief_folder(job)?;
            let path = self.brief_path(job);
            shim::files::write_atomic(&self.brief_folder(job), "brief.md", brief.as_bytes())
                .map_err(|source| RunError::Io { what: "writing the brief", path, source })?;
        }
        protocol::write(folder.path(), protocol::SPEC, &plan.spec).map_err(RunError::from)?;
        kill_point!("after-spec-is-written");
        let (mut child, out) = self.spawn(folder, lock)?;
        kill_point!("after-shim-was-started");
        let word = hear(out);
        kill_point!("after-shim-gave-its-word");
        // It only starts the shim proper and ends.
        let _ = child.wait();
        if let Some(problem) = word.strip_prefix("error: ") {
            return Err(LaunchError::Shim(problem.trim().to_owned()));
        }
        match self.inspect(job)? {
            RunState::Absent | RunState::Prepared => Err(LaunchError::Shim("it ended without a word".to_owned())),
            state => Ok(Launch { job, state, adopted: false }),
        }
    }

    /// Starts the shim. It inherits the lock and nothing else: no environment, no other file.
    fn spawn(&self, folder: &Folder, lock: File) -> Result<(Child, ChildStdout), LaunchError> {
        let shim = &self.config.shim_path;
        let mut command = Command::new(shim);
        command.arg("start").arg(folder.path()).env_clear().current_dir("/");
        kill_points::hand_on(&mut command);
        command.stdin(Stdio::from(lock)).stdout(Stdio::piped()).stderr(Stdio::null());
        for _ in 0..PATIENCE {
            match command.spawn() {
                Ok(mut child) => match child.stdout.take() {
                    Some(out) => return Ok((child, out)),
                    None => return Err(LaunchError::Shim("its output is missing".to_owned())),
                },
                // Another thread's child was born while the program was being written, and has not become itself yet.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => pause(),
                Err(error) => {
                    return Err(LaunchError::Shim(format!("{}: {error}", shim.display())));
                }
            }
        }
        Err(LaunchError::Shim(format!("{} is being written", shim.display())))
    }
}

fn command_of(spec: &LaunchSpec) -> Result<&String, LaunchError> {
    spec.argv.first().filter(|command| !command.is_empty()).ok_or_else(|| invalid("the command is empty"))
}

/// The shim's word: it closes its end once the command has begun, or cannot begin.
fn hear(mut out: ChildStdout) -> String {
    let deadline = Instant::now() + WORD;
    let mut said = Vec::new();
    let mut buffer = [0_u8; 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let span = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let ready = poll(&mut [PollFd::new(&out, PollFlags::IN)], Some(&span));
        match ready {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        match out.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(read) => said.extend_from_slice(&buffer[..read]),
        }
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// No other run has it, not one of the same job on another machine either.
fn marker(job: u64) -> std::io::Result<String> {
    let mut random = [0_u8; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    Ok(random.iter().fold(format!("{job}-"), |text, byte| format!("{text}{byte:02x}")))
}
