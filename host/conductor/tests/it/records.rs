//! The runs of a test's host: each lives until somebody ends it, and what was done with it is kept.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use conductor::dialect::{Home, Told};
use conductor::ports::runs::{Ending, ExitRecord, Launch, LaunchError, Program, RunState, Runs, Usage};
use conductor::project::UsageReader;
use domain::ids::RunId;
use domain::time::{Milliseconds, Timestamp};

/// Runs that live until somebody ends them.
#[derive(Default)]
pub(crate) struct Records {
    pub(crate) runs: Mutex<BTreeMap<RunId, RunState>>,
    /// What each run printed.
    pub(crate) logs: Mutex<BTreeMap<RunId, String>>,
    /// Why a program cannot be executed, by its name.
    pub(crate) missing: Mutex<BTreeMap<String, LaunchError>>,
    /// Programs that go between the look and the launch.
    pub(crate) vanishing: Mutex<Vec<String>>,
    /// What each says that it used.
    pub(crate) usage: Mutex<BTreeMap<RunId, Usage>>,
    /// What each says of its work, beside that.
    pub(crate) said: Mutex<BTreeMap<RunId, Told>>,
    /// The conversations whose records are kept.
    pub(crate) sessions: Mutex<BTreeMap<RunId, String>>,
    /// It cannot be told to end.
    pub(crate) is_deaf: AtomicBool,
    /// Runs whose folders cannot be removed.
    pub(crate) stuck: Mutex<Vec<RunId>>,
    /// Until when each may live on, as it was told.
    pub(crate) rights: Mutex<Vec<(RunId, Timestamp)>>,
    /// What was launched, in order.
    pub(crate) launches: Mutex<Vec<Launch>>,
}

/// What a look at a program that is not there says.
pub(crate) fn missing(program: &str) -> LaunchError {
    LaunchError::ProgramMissing { program: program.to_owned(), why: "there is no such file".to_owned() }
}

impl Runs for Records {
    fn ready(&self, program: &Program) -> Result<(), LaunchError> {
        self.missing.lock().unwrap().get(&program.argv[0]).map_or(Ok(()), |why| Err(why.clone()))
    }
    fn inspect(&self, run: RunId) -> Result<RunState, LaunchError> {
        Ok(self.runs.lock().unwrap().get(&run).cloned().unwrap_or(RunState::Absent))
    }
    fn launch(&self, launch: &Launch) -> Result<RunState, LaunchError> {
        if self.vanishing.lock().unwrap().contains(&launch.argv[0]) {
            return Err(missing(&launch.argv[0]));
        }
        let mut runs = self.runs.lock().unwrap();
        self.launches.lock().unwrap().push(launch.clone());
        Ok(runs.entry(launch.run).or_insert(RunState::Live { pid: 7 }).clone())
    }
    fn cancel(&self, run: RunId) -> Result<(), LaunchError> {
        self.end(run, Ending::Cancelled);
        Ok(())
    }
    fn end_over_budget(&self, run: RunId) -> Result<(), LaunchError> {
        if self.is_deaf.load(Ordering::SeqCst) {
            return Err(LaunchError::Infra("nobody hears".to_owned()));
        }
        self.end(run, Ending::OverBudget);
        Ok(())
    }
    fn prolong(&self, run: RunId, until: Timestamp) -> Result<(), LaunchError> {
        self.rights.lock().unwrap().push((run, until));
        Ok(())
    }
    fn watch(&self, _: RunId) {}
    fn log_tail(&self, run: RunId, bytes: u64) -> Vec<u8> {
        let logs = self.logs.lock().unwrap();
        let log = logs.get(&run).map(String::as_bytes).unwrap_or_default();
        log[log.len().saturating_sub(bytes as usize)..].to_vec()
    }
    fn usage(&self, run: RunId, reader: &UsageReader) -> Usage {
        let said = self.usage.lock().unwrap().get(&run).copied();
        reader.pointers().and(said).unwrap_or_default()
    }
    fn told(&self, run: RunId, reader: &UsageReader) -> Told {
        let said = self.said.lock().unwrap().get(&run).cloned();
        said.unwrap_or_else(|| Told { usage: self.usage(run, reader), ..Told::default() })
    }
    fn has_session(&self, run: RunId, _: Home, session: &str) -> bool {
        self.sessions.lock().unwrap().get(&run).is_some_and(|kept| kept == session)
    }
    fn keep_session(&self, run: RunId, session: Option<(Home, &str)>) {
        let mut sessions = self.sessions.lock().unwrap();
        match session {
            Some((_, session)) => sessions.insert(run, session.to_owned()),
            None => sessions.remove(&run),
        };
    }
    fn report(&self, _: RunId) -> Option<String> {
        None
    }
    fn remove(&self, run: RunId) {
        let mut runs = self.runs.lock().unwrap();
        assert!(!matches!(runs.get(&run), Some(RunState::Live { .. })), "the folder of a run that lives");
        if !self.stuck.lock().unwrap().contains(&run) {
            runs.remove(&run);
        }
    }
}

impl Records {
    pub(crate) fn end(&self, run: RunId, ending: Ending) {
        self.end_after(run, ending, Milliseconds(1));
    }

    pub(crate) fn end_after(&self, run: RunId, ending: Ending, wall: Milliseconds) {
        let started_at = Timestamp(1);
        let record = ExitRecord { ending, started_at, ended_at: started_at.plus(wall) };
        self.runs.lock().unwrap().insert(run, RunState::Ended(record));
    }

    pub(crate) fn lose(&self, run: RunId) {
        self.runs.lock().unwrap().insert(run, RunState::Lost);
    }

    pub(crate) fn live(&self) -> Vec<RunId> {
        let runs = self.runs.lock().unwrap();
        runs.iter().filter(|(_, state)| matches!(state, RunState::Live { .. })).map(|(run, _)| *run).collect()
    }
}
