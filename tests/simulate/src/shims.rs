//! The machine's side: runs under their shims, and a record of its own of what they did.
//!
//! A shim outlives its host, not the machine. What an agent does it does at its end: it commits and writes documents. A hook deploys
//! at some moment before. A run that is lost may have done it or not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use conductor::ports::forge::CloneKey;
use conductor::ports::runs::{Ending, ExitRecord, Launch, RunState, Usage};
use domain::document::{DocumentKind, Role, documents_folder};
use domain::frontmatter::Wording;
use domain::ids::{CommitId, JobId, RunId, TaskId, WorkItemId};
use domain::limits::Limit;
use domain::time::Timestamp;

use crate::costs::Rates;
use crate::luck::Luck;
use crate::repository::Repository;

/// The names of the project's commands.
pub const SUITE: &str = "suite";
/// The staging hook.
pub const STAGE: &str = "stage";
/// The deploy hook.
pub const SHIP: &str = "ship";

/// The agent of those who write, and its service.
pub const WRITER: &str = "writer";
/// The agent of those who judge, and its service.
pub const CRITIC: &str = "critic";

/// What an agent prints whose service refuses, and what says how long to wait.
const REFUSALS: [&str; 3] = [
    "API Error: 429 Too Many Requests\nRetry-After: 45\n",
    "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n",
    "error: rate limit reached\n",
];

/// One run.
pub struct Shim {
    /// In which clone it works.
    pub clone: CloneKey,
    /// What was started: an agent, or the name of a command.
    pub program: String,
    role: Role,
    work_item: Option<WorkItemId>,
    commit: Option<CommitId>,
    started_at: u64,
    /// In true time.
    begun: u64,
    ends_at: u64,
    /// When a hook does what it is for; None: it did.
    acts_at: Option<u64>,
    rates: Rates,
    /// What it used, once it is over.
    used: Option<Usage>,
    ending: Ending,
    state: State,
    pid: u32,
    log: &'static str,
    refused: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum State {
    Live,
    Ended(ExitRecord),
    Lost,
}

impl Shim {
    fn is_hook(&self) -> bool {
        [STAGE, SHIP].contains(&self.program.as_str())
    }
}

/// A hook that did what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookRecord {
    /// In which run.
    pub run: RunId,
    /// Whose.
    pub task: TaskId,
    /// `stage` or `ship`.
    pub program: String,
    /// What lay in its checkout.
    pub commit: Option<CommitId>,
    /// What it was told that it is.
    pub told: Option<CommitId>,
}

/// A process tree that began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// As which run.
    pub run: RunId,
    /// For whom.
    pub task: TaskId,
    /// The task's other run that lived then.
    pub beside: Option<RunId>,
}

/// Who wants to hear of a run's end: the list of a host's conductor.
type Listener = (u64, Arc<Mutex<Vec<RunId>>>);

/// All runs of the machine.
#[derive(Default)]
pub struct Shims {
    runs: BTreeMap<RunId, Shim>,
    watched: Vec<(RunId, u64)>,
    listeners: Vec<Listener>,
    /// What the hooks did.
    pub hooks: Vec<HookRecord>,
    /// Each process tree that began. Whoever asks for one that is there has it, and begins none: its folder is its key.
    pub starts: Vec<Start>,
    pids: u32,
    /// Services that refuse, and until when.
    outages: BTreeMap<&'static str, u64>,
    /// Programs that are not there, and until when.
    hidden: BTreeMap<&'static str, u64>,
}

/// The clone that a path names.
pub fn clone_of(path: &std::path::Path) -> CloneKey {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (task, job) = name.split_once('-').map_or((name, None), |(task, job)| (task, Some(job)));
    let task = TaskId(task.parse().unwrap_or(0));
    CloneKey { task, job: job.and_then(|job| job.parse().ok()).map(JobId) }
}

impl Shims {
    /// A host's conductor listens.
    pub fn listen(&mut self, life: u64, list: Arc<Mutex<Vec<RunId>>>) {
        self.listeners.push((life, list));
    }

    /// A host that is dead hears nothing.
    pub fn forget(&mut self, life: u64) {
        self.listeners.retain(|(listening, _)| *listening != life);
        self.watched.retain(|(_, watching)| *watching != life);
    }

    /// How a run stands.
    pub fn state(&self, run: RunId) -> RunState {
        match self.runs.get(&run) {
            None => RunState::Absent,
            Some(shim) => match &shim.state {
                State::Live => RunState::Live { pid: shim.pid },
                State::Ended(record) => RunState::Ended(record.clone()),
                State::Lost => RunState::Lost,
            },
        }
    }

    /// The runs that live.
    pub fn live(&self) -> impl Iterator<Item = (RunId, &Shim)> {
        self.runs.iter().filter(|(_, shim)| shim.state == State::Live).map(|(run, shim)| (*run, shim))
    }

    /// Begins a run, once.
    pub fn launch(&mut self, launch: &Launch, now: u64, seen: Timestamp, luck: &mut Luck, mild: bool) -> RunState {
        if self.runs.contains_key(&launch.run) {
            return self.state(launch.run);
        }
        self.pids += 1;
        let task = clone_of(&launch.workdir).task;
        let beside = self.live().find(|(_, shim)| shim.clone.task == task).map(|(run, _)| run);
        self.starts.push(Start { run: launch.run, task, beside });
        let named = |name: &str| launch.environment.get(name).cloned();
        let role = Role::ALL.into_iter().find(|role| Some(role.to_string()) == named("GATEWRIGHT_ROLE"));
        let program = launch.argv.first().cloned().unwrap_or_default();
        let lasts = if !mild && self.refuses(&program, now) {
            luck.below(60_000)
        } else if mild {
            1000 + luck.below(30_000)
        } else {
            100 + luck.below(2_400_000)
        };
        let ending = match luck.below(if mild { 20 } else { 12 }) {
            0 => Ending::Exited(1),
            1 if !mild => Ending::Exited(2),
            2 if !mild => Ending::Signaled(9),
            3 if !mild && luck.in_thousand(300) => Ending::LogFull,
            3 if !mild && luck.in_thousand(300) => Ending::OverLimit { limit: Limit::Memory, allowed: 1 << 30 },
            4 if !mild && luck.in_thousand(300) => Ending::NotStarted("no memory".to_owned()),
            _ => Ending::Exited(0),
        };
        let shim = Shim {
            clone: clone_of(&launch.workdir),
            program,
            role: role.unwrap_or(Role::Developer),
            work_item: named("GATEWRIGHT_WORK_ITEM").and_then(|id| WorkItemId::new(id).ok()),
            commit: named("GIT_SHA").and_then(|id| CommitId::new(id).ok()),
            started_at: seen.0,
            begun: now,
            ends_at: now + lasts.min(launch.budget.0),
            acts_at: Some(now + luck.below(lasts.min(launch.budget.0) + 1)),
            rates: if launch.brief.is_some() { Rates::of(luck) } else { Rates::default() },
            used: None,
            ending: if lasts > launch.budget.0 { Ending::TimedOut } else { ending },
            state: State::Live,
            pid: self.pids,
            log: "the end of a log\n",
            refused: false,
        };
        self.runs.insert(launch.run, shim);
        self.state(launch.run)
    }

    /// Asks a run to end.
    pub fn cancel(&mut self, run: RunId, now: u64, luck: &mut Luck) {
        if let Some(shim) = self.runs.get_mut(&run).filter(|shim| shim.state == State::Live) {
            shim.ends_at = shim.ends_at.min(now + luck.below(5_000));
            shim.ending = Ending::Cancelled;
        }
    }

    /// Asks a run to end, for a budget was spent.
    pub fn end_over_budget(&mut self, run: RunId, now: u64, luck: &mut Luck) {
        self.cancel(run, now, luck);
        if let Some(shim) = self.runs.get_mut(&run).filter(|shim| shim.state == State::Live) {
            shim.ending = Ending::OverBudget;
        }
    }

    /// What a run used: so far, or at its end.
    pub fn usage(&self, run: RunId, now: u64) -> Usage {
        self.runs
            .get(&run)
            .map_or_else(Usage::default, |shim| shim.used.unwrap_or_else(|| shim.rates.after(now - shim.begun)))
    }

    /// The agents' runs that are over, and began: each must count.
    pub fn agents_over(&self) -> impl Iterator<Item = (RunId, TaskId, Usage)> {
        let over = self.runs.iter().filter(|(_, shim)| match &shim.state {
            State::Live => false,
            State::Ended(record) => !matches!(record.ending, Ending::NotStarted(_)),
            State::Lost => true,
        });
        let agents = over.filter(|(_, shim)| ![SUITE, STAGE, SHIP].contains(&shim.program.as_str()));
        agents.filter_map(|(run, shim)| Some((*run, shim.clone.task, shim.used?)))
    }

    /// Tells the life once the run is over; at once where it is.
    pub fn watch(&mut self, run: RunId, life: u64) {
        self.watched.push((run, life));
        if !matches!(self.state(run), RunState::Live { .. }) {
            self.tell(run);
        }
    }

    fn tell(&mut self, run: RunId) {
        let (told, rest) = std::mem::take(&mut self.watched).into_iter().partition(|(watched, _)| *watched == run);
        self.watched = rest;
        let told: Vec<(RunId, u64)> = told;
        for (_, life) in told {
            if let Some((_, list)) = self.listeners.iter().find(|(listening, _)| *listening == life) {
                list.lock().unwrap_or_else(PoisonError::into_inner).push(run);
            }
        }
    }

    /// When the next run ends, or a hook acts.
    pub fn next_end(&self) -> Option<u64> {
        let acts = self.live().filter(|(_, shim)| shim.is_hook()).filter_map(|(_, shim)| shim.acts_at);
        self.live().map(|(_, shim)| shim.ends_at).chain(acts).min()
    }

    /// Ends what is due. The runs that ended.
    pub fn pass_time(&mut self, now: u64, repository: &mut Repository, luck: &mut Luck, mild: bool) -> Vec<RunId> {
        let acts = |shim: &Shim| shim.is_hook() && shim.acts_at.is_some_and(|at| at <= now.min(shim.ends_at));
        let acting: Vec<RunId> = self.live().filter(|(_, shim)| acts(shim)).map(|(run, _)| run).collect();
        for run in acting {
            self.act(run, repository);
        }
        let due: Vec<RunId> = self.live().filter(|(_, shim)| shim.ends_at <= now).map(|(run, _)| run).collect();
        for run in &due {
            if !mild {
                self.refuse(*run, now, luck);
            }
            self.deeds(*run, repository, luck, mild);
            let Some(shim) = self.runs.get_mut(run) else { continue };
            let lasted = shim.ends_at.saturating_sub(shim.begun);
            shim.used = Some(shim.rates.after(lasted));
            let started_at = Timestamp(shim.started_at);
            let ended_at = Timestamp(shim.started_at + lasted);
            shim.state = State::Ended(ExitRecord { ending: shim.ending.clone(), started_at, ended_at });
            self.tell(*run);
        }
        due
    }

    /// A service refuses for a while, or a program is not there for a while.
    pub fn trouble(&mut self, now: u64, luck: &mut Luck) -> String {
        let driver = *luck.one_of(&[WRITER, CRITIC]);
        if luck.in_thousand(600) {
            self.outages.insert(driver, now + luck.below(7_200_000));
            format!("the service of {driver} refuses for a while")
        } else {
            self.hidden.insert(driver, now + luck.below(900_000));
            format!("the program {driver} is gone for a while")
        }
    }

    /// Is the program there?
    pub fn has(&self, program: &str, now: u64) -> bool {
        self.hidden.get(program).is_none_or(|until| *until <= now)
    }

    /// Did the service refuse the run at its end, by its own record?
    pub fn refused(&self, run: RunId) -> bool {
        self.runs.get(&run).is_some_and(|shim| shim.refused && matches!(shim.state, State::Ended(_)))
    }

    /// The end of what a run printed.
    pub fn log(&self, run: RunId) -> &'static str {
        self.runs.get(&run).map_or("", |shim| shim.log)
    }

    fn refuses(&self, program: &str, now: u64) -> bool {
        self.outages.get(program).is_some_and(|until| now < *until)
    }

    /// An agent that would end by itself while its service refuses gets no further.
    fn refuse(&mut self, run: RunId, now: u64, luck: &mut Luck) {
        let is_out = self.runs.get(&run).is_some_and(|shim| self.refuses(&shim.program, now));
        let Some(shim) = self.runs.get_mut(&run) else { return };
        if is_out && matches!(shim.ending, Ending::Exited(_)) {
            shim.ending = Ending::Exited(1);
            let said: &&str = luck.one_of(&REFUSALS);
            shim.log = said;
            shim.refused = true;
        }
    }

    /// The shim of a run is killed, its tree with it.
    pub fn lose(&mut self, run: RunId, now: u64, repository: &mut Repository, luck: &mut Luck) {
        if luck.in_thousand(400) {
            self.deeds(run, repository, luck, false);
        }
        if let Some(shim) = self.runs.get_mut(&run) {
            shim.used = Some(shim.rates.after(now - shim.begun));
            shim.state = State::Lost;
        }
        self.tell(run);
    }

    /// The machine goes down, and every run with it.
    pub fn reboot(&mut self, now: u64, repository: &mut Repository, luck: &mut Luck) {
        let live: Vec<RunId> = self.live().map(|(run, _)| run).collect();
        for run in live {
            self.lose(run, now, repository, luck);
        }
    }

    /// A hook that is going to succeed does what it is for, once.
    fn act(&mut self, run: RunId, repository: &Repository) {
        let Some(shim) = self.runs.get_mut(&run) else { return };
        if !shim.is_hook() || shim.acts_at.take().is_none() || !matches!(shim.ending, Ending::Exited(0)) {
            return;
        }
        let commit = repository.clones.get(&shim.clone).and_then(|clone| clone.head.clone());
        let (task, program, told) = (shim.clone.task, shim.program.clone(), shim.commit.clone());
        self.hooks.push(HookRecord { run, task, program, commit, told });
    }

    fn deeds(&mut self, run: RunId, repository: &mut Repository, luck: &mut Luck, mild: bool) {
        let Some(shim) = self.runs.get(&run) else { return };
        match shim.program.as_str() {
            SUITE => {}
            STAGE | SHIP => self.act(run, repository),
            _ => work(shim, repository, luck, mild),
        }
    }
}

/// What an agent leaves in its clone, half of it where it was ended before its time.
fn work(shim: &Shim, repository: &mut Repository, luck: &mut Luck, mild: bool) {
    let Some(clone) = repository.clones.get(&shim.clone) else { return };
    let Some(head) = clone.head.clone() else { return };
    let mut head = head;
    if !shim.role.judges() {
        for _ in 0..luck.below(3) {
            head = repository.change(&head, luck.below(24) as u8);
        }
    }
    let folder_of_another = !mild && luck.in_thousand(60);
    let mut documents = Vec::new();
    if let Some(kind) = shim.role.required_kinds().first().filter(|_| mild || luck.in_thousand(900)) {
        let name = match kind {
            DocumentKind::Adr => "06-adr/ADR-1.md".to_owned(),
            other => other.file_name().to_owned(),
        };
        let is_malformed = !mild && luck.in_thousand(60);
        // Some are empty, some say nothing that a gate reads.
        let text = match Wording::of(*kind) {
            _ if is_malformed => ["", "---\nmood: good\n---\n"][(shim.clone.task.0 % 2) as usize].to_owned(),
            Some(wording) => format!("---\n{}: {}\n---\nIt is so.\n", wording.keys[0], wording.words[0]),
            None => "It is so.\n".to_owned(),
        };
        documents.push((name, text.into_bytes()));
    }
    if folder_of_another && !shim.role.judges() {
        documents.push((DocumentKind::Review.file_name().to_owned(), b"---\nresult: PASS\n---\n".to_vec()));
    }
    debug_assert!(shim.work_item.as_ref().is_none_or(|item| !documents_folder(item).is_empty()));
    if let Some(clone) = repository.clones.get_mut(&shim.clone) {
        clone.head = Some(head);
        clone.documents = documents;
    }
}
