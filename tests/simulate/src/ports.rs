//! The host's ports onto the world: the forge, the runs, the tracker, the probe. Each asks the [`Outlet`] of its life first, which
//! may lose the question, the answer, or the host.

use std::path::PathBuf;
use std::sync::Arc;

use conductor::board::Board;
use conductor::ports::forge::{
    CloneKey, CloneRequest, CollectLimits, Collected, Forge, ForgeError, Mark, Merged, PreparedClone, Rebased, Sight,
    TakeOver, Taken,
};
use conductor::ports::probe::{Point as ProbePoint, Probe};
use conductor::ports::runs::{Launch, LaunchError, Program, RunState, Runs, Usage};
use conductor::ports::store::Store;
use conductor::ports::tracker::{Changes, Cursor, LogRow, Tracker, TrackerError};
use conductor::project::UsageReader;
use domain::budget::DAY_MS;
use domain::effect::Claim;
use domain::ids::{BranchName, CommitId, ProjectName, RunId, TaskId, WorkItemId};
use domain::plugin::{BoardStatus, ChangedFile, Check, Comment, CommitInfo, WorkItemView};
use domain::time::{Milliseconds, Timestamp};

use crate::cards::{self, Post, Writing};
use crate::fate::Point;
use crate::judges::shown_as;
use crate::outlet::{Outlet, Silence};
use crate::shims::{SHIP, clone_of};
use crate::weather::Trouble;
use crate::world::{World, look};

/// A life's forge.
pub struct WorldForge(pub Arc<Outlet>);

impl WorldForge {
    /// 429 says how long; whatever else says nothing.
    fn unanswered(&self, silence: &Silence) -> ForgeError {
        let why = silence.to_string();
        match silence {
            Silence::Busy { until } => {
                let left = until.saturating_sub(look(&self.0.world).now);
                ForgeError::Later { why, retry_after: Some(Milliseconds(left)) }
            }
            Silence::Dead | Silence::Refused(_) | Silence::Lost(_) => ForgeError::Infra(why),
        }
    }

    fn see<T>(&self, body: impl FnOnce(&mut crate::repository::Repository) -> T) -> Result<T, ForgeError> {
        self.0.ask(|world| body(&mut world.forge)).map_err(|silence| self.unanswered(&silence))
    }

    /// 409: before it is asked, another hand may be quicker.
    fn act<T: Send + 'static>(
        &self,
        what: &str,
        branch: &BranchName,
        body: impl Fn(&mut World) -> Result<T, ForgeError> + Send + 'static,
    ) -> Result<T, ForgeError> {
        {
            let mut world = look(&self.0.world);
            let world = &mut *world;
            let may = world.weather.has(Trouble::Outside) && world.weather.has(Trouble::Pushes);
            if may && !self.0.fate.is_dead() && world.luck.in_thousand(15) {
                let base = world.forge.base.clone();
                let moved = if world.luck.in_thousand(500) { &base } else { branch };
                let file = world.luck.below(24) as u8;
                world.forge.push(moved, file);
                world.tell(|| format!("somebody pushes to {moved} right before {what}"));
            }
            world.forge.settles = world.weather.has(Trouble::Outside);
        }
        self.0.act(what, body).map_err(|silence| self.unanswered(&silence))?
    }

    fn act_here<T>(&self, what: &str, body: impl FnOnce(&mut World) -> Result<T, ForgeError>) -> Result<T, ForgeError> {
        self.0.forbid(what);
        self.0.act_here(what, body).map_err(|silence| self.unanswered(&silence))?
    }
}

impl WorldForge {
    /// What the forge says of a merge alone: it takes no more requests until then; or a person must do something first.
    fn at_the_merge(&self) -> Result<(), ForgeError> {
        let mut world = look(&self.0.world);
        if self.0.fate.is_dead() || !world.weather.has(Trouble::Outside) {
            return Ok(());
        }
        if world.busy_until > world.now {
            let busy = Silence::Busy { until: world.busy_until };
            drop(world);
            return Err(self.unanswered(&busy));
        }
        let says = world.luck.weighted(&[(960, 0), (25, 1), (15, 2)]);
        match says {
            1 => {
                let why = "405 Not all required status checks successful".to_owned();
                world.tell(|| why.clone());
                Err(ForgeError::Later { why, retry_after: None })
            }
            2 => {
                let why = "405 the title begins with WIP".to_owned();
                world.tell(|| why.clone());
                Err(ForgeError::Refused(why))
            }
            _ => Ok(()),
        }
    }
}

impl Sight for WorldForge {
    fn branch_head(&self, branch: &BranchName) -> Result<Option<CommitId>, ForgeError> {
        self.see(|forge| forge.head(branch))
    }

    fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, ForgeError> {
        self.see(|forge| forge.is_ancestor(ancestor, descendant))?
    }

    fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<Option<CommitId>, ForgeError> {
        self.see(|forge| forge.merge_base(one, other))?
    }

    fn tree_of(&self, commit: &CommitId) -> Result<String, ForgeError> {
        Ok(commit.to_string())
    }

    fn read(&self, _at: &CommitId, path: &str) -> Result<Vec<u8>, ForgeError> {
        Err(ForgeError::NotFound(path.to_owned()))
    }

    fn list(&self, _at: &CommitId, _glob: &str) -> Result<Vec<String>, ForgeError> {
        Ok(Vec::new())
    }

    fn changes(&self, _from: &CommitId, _to: &CommitId) -> Result<Vec<ChangedFile>, ForgeError> {
        Ok(Vec::new())
    }

    fn diff(&self, _from: &CommitId, _to: &CommitId, _path: &str) -> Result<Vec<u8>, ForgeError> {
        Ok(Vec::new())
    }

    fn commits(&self, _from: &CommitId, _to: &CommitId) -> Result<Vec<CommitInfo>, ForgeError> {
        Ok(Vec::new())
    }

    fn last_change(&self, _at: &CommitId, _path: &str) -> Result<Option<CommitInfo>, ForgeError> {
        Ok(None)
    }
}

impl Forge for WorldForge {
    fn base_head(&self, _branch: &BranchName) -> Result<CommitId, ForgeError> {
        self.see(|forge| forge.base_head())
    }

    fn checks(&self, commit: &CommitId) -> Result<Vec<Check>, ForgeError> {
        self.see(|forge| forge.checks.get(commit).cloned().unwrap_or_default())
    }

    fn cut_branch(&self, mark: &Mark, branch: &BranchName, from: &CommitId) -> Result<CommitId, ForgeError> {
        let (mark, name, from) = (*mark, branch.clone(), from.clone());
        self.act(&format!("{mark} cuts {branch}"), branch, move |world| world.forge.cut(&mark, &name, &from))
    }

    fn moved_by(&self, mark: &Mark, branch: &BranchName, from: &CommitId) -> Result<Option<CommitId>, ForgeError> {
        self.see(|forge| forge.moved_by(mark, branch, from))
    }

    fn task_branches(&self) -> Result<Vec<(BranchName, CommitId)>, ForgeError> {
        self.see(|forge| forge.task_branches())
    }

    fn discard_branch(
        &self,
        task: TaskId,
        branch: &BranchName,
        from: &CommitId,
    ) -> Result<Option<CommitId>, ForgeError> {
        let (name, from) = (branch.clone(), from.clone());
        self.act(&format!("the host discards {branch}"), branch, move |world| world.forge.discard(task, &name, &from))
    }

    fn prepare_clone(&self, request: &CloneRequest) -> Result<PreparedClone, ForgeError> {
        let (key, asked) = (request.key, request.clone());
        self.act_here(&format!("the clone {key} is made ready"), move |world| {
            if let Some((run, _)) = world.shims.live().find(|(_, shim)| shim.clone == key) {
                world.wrongs.push(format!("the clone {key} is made ready while run {run} lives in it"));
            }
            world.forge.prepare_clone(&asked)
        })?;
        let path = PathBuf::from(format!("/clones/{key}"));
        Ok(PreparedClone { key, path, readable: PathBuf::from("/objects"), head: request.head.clone() })
    }

    fn clones(&self) -> Result<Vec<CloneKey>, ForgeError> {
        self.see(|forge| forge.clones.keys().copied().collect())
    }

    fn remove_clone(&self, key: CloneKey) -> Result<(), ForgeError> {
        self.act_here(&format!("the clone {key} is removed"), move |world| {
            world.forge.clones.remove(&key);
            Ok(())
        })
    }

    fn remove_clones(&self, task: TaskId) -> Result<(), ForgeError> {
        self.act_here(&format!("the clones of task {task} are removed"), move |world| {
            if let Some((run, _)) = world.shims.live().find(|(_, shim)| shim.clone.task == task) {
                world.wrongs.push(format!("the clones of task {task} are removed while its run {run} lives"));
            }
            world.forge.remove_clones(task);
            Ok(())
        })
    }

    fn take_over(&self, request: &TakeOver) -> Result<Taken, ForgeError> {
        let asked = request.clone();
        let what = format!("{} takes over the clone {}", request.mark, request.clone);
        self.act_here(&what, move |world| {
            if let Some((run, _)) = world.shims.live().find(|(_, shim)| shim.clone == asked.clone) {
                world.wrongs.push(format!("the clone {} is taken over while run {run} lives in it", asked.clone));
            }
            world.forge.take_over(&asked)
        })
    }

    fn collect_documents(
        &self,
        clone: CloneKey,
        _folder: &str,
        _limits: CollectLimits,
    ) -> Result<Collected, ForgeError> {
        self.see(|forge| {
            let files = forge.clones.get(&clone).map(|work| work.documents.clone()).unwrap_or_default();
            Collected { files, trespasses: Vec::new() }
        })
    }

    fn rebase(
        &self,
        mark: &Mark,
        branch: &BranchName,
        expected: &CommitId,
        onto: &CommitId,
    ) -> Result<Rebased, ForgeError> {
        let (mark, name, expected, onto) = (*mark, branch.clone(), expected.clone(), onto.clone());
        let what = format!("{mark} rebases {branch}");
        self.act(&what, branch, move |world| world.forge.rebase(&mark, &name, &expected, &onto))
    }

    fn merge_fast_forward(
        &self,
        mark: &Mark,
        branch: &BranchName,
        head: &CommitId,
        _base: &BranchName,
        expected_base: &CommitId,
    ) -> Result<Merged, ForgeError> {
        let (mark, name, head, expected) = (*mark, branch.clone(), head.clone(), expected_base.clone());
        let what = format!("{mark} merges {branch}");
        self.at_the_merge()?;
        self.act(&what, branch, move |world| world.forge.merge(&mark, &name, &head, &expected))
    }
}

/// A life's runs.
pub struct WorldRuns(pub Arc<Outlet>);

fn missing(program: String) -> LaunchError {
    LaunchError::ProgramMissing { program, why: "there is no such file".to_owned() }
}

fn machine(silence: Silence) -> LaunchError {
    LaunchError::Infra(silence.to_string())
}

impl WorldRuns {
    /// What forbids this launch, by what is committed at this moment.
    fn forbidden(&self, launch: &Launch) -> Option<String> {
        let store = self.0.store.get()?;
        let (bounds, now) = {
            let world = look(&self.0.world);
            (world.bounds, world.clock())
        };
        let task = store.task(clone_of(&launch.workdir).task).ok()?;
        bounds.forbid(task.spent, store.spending(&task.project, now.0 / DAY_MS).ok()?)
    }
}

impl Runs for WorldRuns {
    fn ready(&self, program: &Program) -> Result<(), LaunchError> {
        let name = program.argv.first().cloned().unwrap_or_default();
        let is_there = self.0.see(|world| !world.weather.has(Trouble::Runs) || world.shims.has(&name, world.now));
        if is_there.map_err(machine)? { Ok(()) } else { Err(missing(name)) }
    }

    fn inspect(&self, run: RunId) -> Result<RunState, LaunchError> {
        self.0.see(|world| world.shims.state(run)).map_err(machine)
    }

    fn launch(&self, launch: &Launch) -> Result<RunState, LaunchError> {
        let asked = launch.clone();
        self.0.forbid(&format!("run {} is launched", launch.run));
        // Only an agent gets a brief, and only an agent costs more than time.
        let forbidden = asked.brief.as_ref().and_then(|_| self.forbidden(launch));
        self.0
            .act_here(&format!("run {} is launched in {}", launch.run, launch.workdir.display()), move |world| {
                let mild = !world.weather.has(Trouble::Runs);
                let program = asked.argv.first().cloned().unwrap_or_default();
                if !mild && (!world.shims.has(&program, world.now) || world.luck.in_thousand(15)) {
                    return Err(missing(program));
                }
                if let Some(why) = forbidden {
                    world.wrongs.push(format!("run {} is launched over budget: {why}", asked.run));
                }
                if world.cards.stood.as_ref().is_some_and(|stood| stood.may_begin_nothing) {
                    world.wrongs.push(format!("run {} is launched for a task that was paused before", asked.run));
                }
                let seen = world.clock();
                Ok(world.shims.launch(&asked, world.now, seen, &mut world.luck, mild))
            })
            .map_err(machine)?
    }

    fn cancel(&self, run: RunId) -> Result<(), LaunchError> {
        let what = format!("run {run} is told to end");
        let cancel = move |world: &mut World| {
            // Half a deploy is what nobody can take back.
            if let Some((_, shim)) = world.shims.live().find(|(id, shim)| *id == run && shim.program == SHIP) {
                let task = shim.clone.task;
                world.wrongs.push(format!("the deploy of task {task} was told to end half-way (run {run})"));
            }
            world.shims.cancel(run, world.now, &mut world.luck);
        };
        self.0.act_here(&what, cancel).map_err(machine)
    }

    fn end_over_budget(&self, run: RunId) -> Result<(), LaunchError> {
        let what = format!("run {run} is told to end, for a budget is spent");
        self.0
            .act_here(&what, move |world| world.shims.end_over_budget(run, world.now, &mut world.luck))
            .map_err(machine)
    }

    fn prolong(&self, run: RunId, _until: Timestamp) -> Result<(), LaunchError> {
        self.0.see(|world| drop(world.shims.state(run))).map_err(machine)
    }

    fn watch(&self, run: RunId) {
        if !self.0.fate.is_dead() {
            look(&self.0.world).shims.watch(run, self.0.life);
        }
    }

    fn log_tail(&self, run: RunId, _bytes: u64) -> Vec<u8> {
        look(&self.0.world).shims.log(run).as_bytes().to_vec()
    }

    fn usage(&self, run: RunId, reader: &UsageReader) -> Usage {
        let world = look(&self.0.world);
        if reader.streams() { world.shims.usage(run, world.now) } else { Usage::default() }
    }

    fn report(&self, _run: RunId) -> Option<String> {
        None
    }

    fn remove(&self, _run: RunId) {}
}

/// A life's tracker: the built-in board, with a record of its own of what was written on it.
pub struct WorldTracker {
    /// What answers.
    pub outlet: Arc<Outlet>,
    /// The board in the store.
    pub board: Board,
    /// That store.
    pub store: Arc<dyn Store>,
}

impl WorldTracker {
    /// What is shown is what the task wants when it is shown, whatever it wanted once. A task that moved meanwhile is shown anew.
    fn is_wanted_now(&self, project: &ProjectName, work_item: &WorkItemId, status: &str) {
        let Ok(Some(task)) = self.store.task_of(project, work_item) else { return };
        let mut world = look(&self.outlet.world);
        let Some(stood) = world.cards.stood.clone() else { return };
        let is_as_it_stood = (task.id, task.version) == (stood.task, stood.version);
        if is_as_it_stood && !status.eq_ignore_ascii_case(shown_as(&stood.phase)) {
            let (task, phase) = (task.id, stood.phase);
            world.wrongs.push(format!("{work_item} is made to show {status}, and task {task} is {phase}"));
        }
    }
}

impl Tracker for WorldTracker {
    fn source(&self) -> &'static str {
        self.board.source()
    }

    fn changes(&self, project: &ProjectName, since: Option<&Cursor>) -> Result<Changes, TrackerError> {
        self.outlet.ask_tracker(|_| ())?;
        let page = self.board.changes(project, since)?;
        let (rows, hidden) = cards::shown(&mut look(&self.outlet.world), page.rows);
        Ok(match hidden {
            // Where a row is still to come the next poll goes back to before it.
            Some(order) => Changes { rows, cursor: Cursor((order - 1).to_string()), more: false },
            None => Changes { rows, ..page },
        })
    }

    fn log(&self, project: &ProjectName, work_item: &WorkItemId) -> Result<Vec<LogRow>, TrackerError> {
        self.outlet.ask_tracker(|_| ())?;
        let rows = self.board.log(project, work_item)?;
        Ok(cards::shown(&mut look(&self.outlet.world), rows).0)
    }

    fn statuses(&self, project: &ProjectName) -> Result<Vec<BoardStatus>, TrackerError> {
        self.outlet.ask_tracker(|_| ())?;
        self.board.statuses(project)
    }

    fn item(&self, project: &ProjectName, work_item: &WorkItemId) -> Result<WorkItemView, TrackerError> {
        self.outlet.ask_tracker(|_| ())?;
        self.board.item(project, work_item)
    }

    fn gone_by(&self, project: &ProjectName, work_item: &WorkItemId) -> String {
        self.board.gone_by(project, work_item)
    }

    fn comments(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        limit: u32,
    ) -> Result<Vec<Comment>, TrackerError> {
        self.outlet.ask_tracker(|_| ())?;
        self.board.comments(project, work_item, limit)
    }

    fn set_status(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        status: &str,
        now: Timestamp,
    ) -> Result<(), TrackerError> {
        self.is_wanted_now(project, work_item, status);
        let over = self.board.item(project, work_item)?.status.name;
        let writing = Writing::Status { over, to: status.to_owned() };
        let post = Post { project: project.clone(), item: work_item.clone(), writing, at: now };
        self.outlet.post(self.store.as_ref(), &post)
    }

    fn comment(
        &self,
        project: &ProjectName,
        work_item: &WorkItemId,
        external_id: &str,
        text: &str,
        now: Timestamp,
    ) -> Result<(), TrackerError> {
        let writing = Writing::Comment { key: external_id.to_owned(), text: text.to_owned() };
        let post = Post { project: project.clone(), item: work_item.clone(), writing, at: now };
        self.outlet.post(self.store.as_ref(), &post)
    }
}

/// Tells the fate of a life which effect is performed, and that a point of it is passed.
pub struct FateProbe(pub Arc<Outlet>);

impl Probe for FateProbe {
    fn at(&self, point: ProbePoint, claim: &Claim) {
        let name = claim.job.effect.name();
        self.0.fate.perform(Some(name));
        let point = match point {
            ProbePoint::Claimed => Point::Claimed,
            ProbePoint::Done => Point::Done,
        };
        if self.0.fate.pass(point) {
            look(&self.0.world).tell(|| format!("the host is dead at {} of {name}", point.as_str()));
        }
    }
}
