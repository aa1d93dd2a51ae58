//! The conductor's port to processes, on top of the runner and the watcher.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use conductor::dialect::{HeldKey, Home, Told};
use conductor::ports::runs::{Ending, ExitRecord, Launch, LaunchError, Program, RunState, Runs, Usage};
use conductor::project::UsageReader;
use domain::ids::RunId;
use domain::time::{Milliseconds, Timestamp};
use shim::protocol::{Exit, Keyed};

use crate::config::LaunchSpec;
use crate::dialect::Reader;
use crate::environment::{self, EFFORT, MODEL, ROLE, WORK_ITEM};
use crate::error::{LaunchError as Refused, RunError};
use crate::homes::Homes;
use crate::keys;
use crate::limits;
use crate::readiness::{self, Obstacle};
use crate::report;
use crate::runner::Runner;
use crate::stream::Stream;
use crate::template;
use crate::watcher::Watcher;

/// A report longer than this is not kept.
const REPORT_BYTES: usize = 256 * 1024;

/// What the host knows of its own environment.
pub struct HostEnvironment {
    /// Names that no run may see: all that the configuration reads a secret from.
    pub reserved: Vec<String>,
    /// The values, read once when the host started.
    pub values: BTreeMap<String, String>,
}

/// Runs under shims.
pub struct ShimRuns {
    runner: Arc<Runner>,
    watcher: Watcher,
    environment: HostEnvironment,
    homes: Homes,
    /// What living runs have said so far. Nothing is lost with it: their logs are read anew.
    streams: Mutex<BTreeMap<RunId, Stream>>,
    /// Likewise of those that are understood.
    readers: Mutex<BTreeMap<RunId, Reader>>,
}

impl ShimRuns {
    /// `on_end` is called once for each watched run, from the watcher's thread.
    pub fn new(
        runner: Arc<Runner>,
        environment: HostEnvironment,
        on_end: impl Fn(RunId) + Send + 'static,
    ) -> Result<Self, RunError> {
        let watcher = Watcher::new(Arc::clone(&runner), Box::new(move |job| on_end(RunId(job))))?;
        let homes = Homes::new(&runner.config().homes_dir);
        Ok(Self { runner, watcher, environment, homes, streams: Mutex::default(), readers: Mutex::default() })
    }

    /// The runner below, for `doctor`, for the folders to clear, for prolonging a right.
    pub fn runner(&self) -> &Arc<Runner> {
        &self.runner
    }

    /// A key that a run never sees. Where it is missing nobody can begin, as if the program itself were.
    fn keyed(&self, held: Option<&HeldKey>, argv: &[String]) -> Result<Option<Keyed>, LaunchError> {
        let found = held.map(|held| keys::keyed(held, &self.environment)).transpose();
        found.map_err(|error| Obstacle::Key(error).told(argv))
    }

    /// Only an agent has a template; a command of the project is taken word by word.
    fn argv(&self, launch: &Launch) -> Result<Vec<String>, template::TemplateError> {
        match &launch.brief {
            Some(_) => fill_in(launch, &self.runner.brief_path(launch.run.0)),
            None => Ok(launch.argv.clone()),
        }
    }

    fn spec(&self, launch: &Launch) -> Result<LaunchSpec, LaunchError> {
        let wrong = |error: &dyn std::fmt::Display| LaunchError::Template(error.to_string());
        let HostEnvironment { reserved, values } = &self.environment;
        let mut env = environment::passed(&launch.pass_environment, reserved, |name| values.get(name).cloned())
            .map_err(|error| wrong(&error))?;
        env.extend(launch.environment.clone());
        let argv = self.argv(launch).map_err(|error| wrong(&error))?;
        let keyed = self.keyed(launch.held_key.as_ref(), &argv)?;
        let mut writable = launch.writable.clone();
        let mut readable = [launch.readable.clone(), named_files(&argv, launch)].concat();
        if let Some(home) = &launch.home {
            let path = self.homes.of(launch.run.0);
            env.insert(home.kind.variable().to_owned(), path.to_string_lossy().into_owned());
            writable.push(path);
            readable.extend(beside(&argv, home.kind));
            if matches!(self.runner.sandbox(), Ok(Some(_))) {
                // Some refuse to work as root unless they are told.
                env.insert("IS_SANDBOX".to_owned(), "1".to_owned());
            }
        }
        let span = |Milliseconds(span): Milliseconds| Duration::from_millis(span);
        Ok(LaunchSpec {
            env,
            brief: launch.brief.clone(),
            readable,
            writable,
            network: launch.network.clone(),
            keyed,
            limits: launch.limits,
            budget: span(launch.budget),
            grace: span(launch.grace),
            confinement: launch.confinement,
            ..LaunchSpec::new(argv, &launch.workdir)
        })
    }

    /// A lost run's leavings are ended before anybody hears of it. As long as they will not end, nobody does: another run must not
    /// meet them in its clone, nor a stop count as done.
    fn reaped(&self, run: RunId, state: crate::RunState) -> Result<RunState, LaunchError> {
        let told = convert(state);
        if told == RunState::Lost {
            self.runner.reap_orphans(run.0).map_err(infra)?;
        }
        Ok(told)
    }

    /// What a run has said so far. While it lives its count is kept; of one that is over, the last word is read too.
    fn streamed(&self, run: RunId, new: impl FnOnce() -> Stream) -> Usage {
        let taken = self.streams.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        let lives = self.runner.inspect(run.0).is_ok_and(|state| state.is_live());
        let mut stream = taken.unwrap_or_else(new);
        let log = self.runner.log_path(run.0);
        if let Err(error) = stream.read(&log, !lives) {
            tracing::warn!(%run, %error, "a log cannot be read");
        }
        let usage = stream.usage();
        if lives {
            self.streams.lock().unwrap_or_else(PoisonError::into_inner).insert(run, stream);
        }
        usage
    }

    /// As [`Self::streamed`], of a run that is understood.
    fn heard(&self, run: RunId, new: impl FnOnce() -> Reader) -> Told {
        let taken = self.readers.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        let lives = self.runner.inspect(run.0).is_ok_and(|state| state.is_live());
        let mut reader = taken.unwrap_or_else(new);
        let record = |session: &str| self.homes.record(run.0, Home::Codex, session);
        if let Err(error) = reader.read(&self.runner.log_path(run.0), !lives, record) {
            tracing::warn!(%run, %error, "a log cannot be read");
        }
        let told = reader.told();
        if lives {
            self.readers.lock().unwrap_or_else(PoisonError::into_inner).insert(run, reader);
        }
        told
    }

    /// Where a run that was not launched yet will keep its state.
    fn make_home(&self, launch: &Launch) -> Result<(), LaunchError> {
        let Some(home) = &launch.home else { return Ok(()) };
        let state = self.runner.inspect(launch.run.0).map_err(infra)?;
        if !matches!(state, crate::RunState::Absent | crate::RunState::Prepared) {
            return Ok(());
        }
        let carried = home.carried.as_ref().map(|(run, session)| (run.0, session.as_str()));
        let made = self.homes.make(launch.run.0, home.kind, carried).map(drop);
        made.map_err(|error| LaunchError::Infra(format!("making the agent's home: {error}")))
    }

    fn tail(&self, run: RunId) -> Vec<u8> {
        self.log_tail(run, report::TAIL_BYTES)
    }
}

fn fill_in(launch: &Launch, brief: &Path) -> Result<Vec<String>, template::TemplateError> {
    let named = |name: &str| launch.environment.get(name).map_or("", String::as_str);
    let values = template::Values {
        brief,
        workdir: &launch.workdir,
        role: named(ROLE),
        work_item: named(WORK_ITEM),
        model: named(MODEL),
        effort: named(EFFORT),
    };
    template::expand(&launch.argv, &values)
}

fn convert(state: crate::RunState) -> RunState {
    match state {
        crate::RunState::Absent => RunState::Absent,
        crate::RunState::Prepared => RunState::Prepared,
        // Nobody has a number for it yet.
        crate::RunState::Starting => RunState::Live { pid: 0 },
        crate::RunState::Live(info) => RunState::Live { pid: info.pid },
        crate::RunState::Lost(_) => RunState::Lost,
        crate::RunState::Ended(record) => match ending(&record.exit) {
            Some(ending) => RunState::Ended(ExitRecord {
                ending,
                started_at: Timestamp(record.started_at_ms),
                ended_at: Timestamp(record.ended_at_ms),
            }),
            None => RunState::Lost,
        },
    }
}

/// `None`: it was ended half-way by nobody's wish (the machine went down, no host prolonged its right), so what it did
/// is as little known as with a lost one.
fn ending(exit: &Exit) -> Option<Ending> {
    match exit {
        Exit::Exited { code } => Some(Ending::Exited(*code)),
        Exit::Signaled { signal } => Some(Ending::Signaled(*signal)),
        Exit::TimedOut => Some(Ending::TimedOut),
        Exit::Cancelled => Some(Ending::Cancelled),
        Exit::OverBudget => Some(Ending::OverBudget),
        Exit::LogLimit => Some(Ending::LogFull),
        Exit::OverLimit { limit, allowed } => {
            Some(Ending::OverLimit { limit: limits::limit(*limit), allowed: *allowed })
        }
        Exit::NotStarted { error } => Some(Ending::NotStarted(error.clone())),
        Exit::RightExpired | Exit::Interrupted => None,
    }
}

fn infra(error: RunError) -> LaunchError {
    LaunchError::Infra(error.to_string())
}

pub(crate) fn refused(error: Refused) -> LaunchError {
    match error {
        Refused::Program { command, problem } => {
            LaunchError::ProgramMissing { program: command, why: problem.to_string() }
        }
        Refused::Invalid(_) => LaunchError::Template(error.to_string()),
        Refused::Sandbox(_) | Refused::Shim(_) | Refused::Busy { .. } | Refused::Run(_) => {
            LaunchError::Infra(error.to_string())
        }
    }
}

/// Beside Codex stands a program of its own that it starts.
fn beside(argv: &[String], home: Home) -> Option<PathBuf> {
    let program = argv.first().map(Path::new).filter(|program| home == Home::Codex && program.is_absolute())?;
    Some(program.with_file_name("codex-code-mode-host")).filter(|helper| helper.is_file())
}

/// The files that the operator's own words name by their whole path: a script, or what an interpreter shall read. A run that
/// could not see them could not begin; of the folders around them it sees nothing.
fn named_files(argv: &[String], launch: &Launch) -> Vec<PathBuf> {
    let shown = |path: &Path| {
        let folders = launch.readable.iter().chain(&launch.writable);
        path.starts_with(&launch.workdir) || folders.into_iter().any(|folder| path.starts_with(folder))
    };
    let paths = argv.iter().map(PathBuf::from).filter(|path| path.is_absolute() && !shown(path));
    paths.filter(|path| path.is_file()).collect()
}

impl Runs for ShimRuns {
    fn ready(&self, program: &Program) -> Result<(), LaunchError> {
        let mut found = readiness::obstacles(&self.runner, &self.environment, program).into_iter();
        found.next().map_or(Ok(()), |obstacle| Err(obstacle.told(&program.argv)))
    }

    fn command(&self, launch: &Launch) -> Vec<String> {
        self.argv(launch).unwrap_or_else(|_| launch.argv.clone())
    }

    fn inspect(&self, run: RunId) -> Result<RunState, LaunchError> {
        let state = self.runner.settled(run.0).map_err(infra)?;
        self.reaped(run, state)
    }

    fn launch(&self, launch: &Launch) -> Result<RunState, LaunchError> {
        let spec = self.spec(launch)?;
        self.make_home(launch)?;
        let launched = self.runner.launch(launch.run.0, &spec).map_err(refused)?;
        self.reaped(launch.run, launched.state)
    }

    fn cancel(&self, run: RunId) -> Result<(), LaunchError> {
        match self.runner.cancel(run.0) {
            // What was never asked for needs no end.
            Ok(_) | Err(RunError::Absent { .. }) => Ok(()),
            Err(error) => Err(infra(error)),
        }
    }

    fn end_over_budget(&self, run: RunId) -> Result<(), LaunchError> {
        match self.runner.end_over_budget(run.0) {
            Ok(_) | Err(RunError::Absent { .. }) => Ok(()),
            Err(error) => Err(infra(error)),
        }
    }

    fn prolong(&self, run: RunId, until: Timestamp) -> Result<(), LaunchError> {
        self.runner.renew_right(run.0, until.0).map_err(infra)
    }

    fn watch(&self, run: RunId) {
        if let Err(error) = self.watcher.add(run.0) {
            tracing::error!(%run, %error, "a run cannot be watched");
            // Whoever is told looks for himself and finds what is wrong.
            self.watcher.tell(run.0);
        }
    }

    fn log_tail(&self, run: RunId, bytes: u64) -> Vec<u8> {
        self.runner.log_tail(run.0, bytes).unwrap_or_else(|error| {
            tracing::warn!(%run, %error, "a log cannot be read");
            Vec::new()
        })
    }

    fn usage(&self, run: RunId, reader: &UsageReader) -> Usage {
        match reader {
            UsageReader::None => Usage::default(),
            UsageReader::ClaudeCode => self.heard(run, Reader::claude_code).usage,
            UsageReader::Codex => self.heard(run, Reader::codex).usage,
            UsageReader::Json(pointers) => report::last_usage(pointers, &self.tail(run)),
            UsageReader::JsonLines { pointers, figures, id } => {
                self.streamed(run, || Stream::new(pointers.clone(), *figures, id.clone()))
            }
        }
    }

    fn told(&self, run: RunId, reader: &UsageReader) -> Told {
        match reader {
            UsageReader::ClaudeCode => self.heard(run, Reader::claude_code),
            UsageReader::Codex => self.heard(run, Reader::codex),
            _ => Told { usage: self.usage(run, reader), ..Told::default() },
        }
    }

    fn has_session(&self, run: RunId, home: Home, session: &str) -> bool {
        self.homes.record(run.0, home, session).is_some()
    }

    fn keep_session(&self, run: RunId, session: Option<(Home, &str)>) {
        if let Err(error) = self.homes.keep(run.0, session) {
            tracing::warn!(%run, %error, "what an agent left of its state cannot be removed");
        }
    }

    fn report(&self, run: RunId) -> Option<String> {
        let report = report::last_object(&self.tail(run))?.to_string();
        (report.len() <= REPORT_BYTES).then_some(report)
    }

    fn remove(&self, run: RunId) {
        if let Err(error) = self.runner.remove(run.0) {
            tracing::warn!(%run, %error, "a run's folder cannot be removed");
        }
    }
}
