//! The auditor: after each step it reads what is committed, over a connection of its own that no fault touches, folds each new
//! entry into its own copy of the task, and compares that, and the records of those outside, with what must never be otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use conductor::breaker::Breaker;
use domain::entry::Entry;
use domain::event::{Event, Intent, Spent};
use domain::ids::{Actor, Digest, FenceToken, LeaseName, RunId, StepName, TaskId, Version};
use domain::pipeline::Pipeline;
use domain::task::{Activity, Task, Terminality};
use rusqlite::{Connection, OpenFlags, params};

use self::accounts::{Accounts, alarms, is_hook};
use self::clock::Waited;
use self::rules::{
    cost_an_attempt, cost_the_developer, cut, cut_short, is_in_main, left_its_end, moved_by_the_late, passed_over,
    sleeps_over, tally, told_out_of_turn,
};
use crate::fate::Fate;
use crate::host::{DATABASE, RUNS, RUNS_OF_DRIVER};
use crate::shims::{CRITIC, WRITER};
use crate::vfs::{self, Device};
use crate::world::{Shared, World, look};

mod accounts;
mod clock;
mod jobs;
mod questions;
mod rules;
mod turns;

/// A task as its entries make it.
struct Shadow {
    task: Task,
    ended_runs: Vec<RunId>,
    passes: BTreeMap<StepName, u64>,
    taken: BTreeMap<(Intent, Actor), u32>,
    /// Runs whose end says what counted.
    counted: BTreeSet<RunId>,
}

/// A job as it was last seen.
#[derive(Clone, Copy, Default)]
struct Claimed {
    token: u64,
    attempts: u64,
    /// A dead host began it: its run may live, and taking it up lets nobody through.
    begun: bool,
}

/// What the auditor remembers.
pub struct Auditor {
    device: Arc<Device>,
    number: u64,
    reader: Option<(Connection, Arc<Fate>)>,
    /// The project's pipeline, with its digest.
    pipeline: Option<(String, Pipeline)>,
    shadows: BTreeMap<TaskId, Shadow>,
    jobs: BTreeMap<u64, Claimed>,
    /// How each driver's breaker stood at the last look, and whether its probe lived.
    breakers: BTreeMap<String, (Breaker, bool)>,
    /// By project and name: the token, and who has it.
    leases: BTreeMap<(String, String), (u64, Option<TaskId>)>,
    marks: [u64; 4],
    merges: usize,
    accounts: Accounts,
    /// What waited for a time at the last whole look of a host.
    waited: Option<Waited>,
    /// The version of the data that was looked at last, by the reader's own count, and who lived.
    seen: Option<(i64, Vec<u64>)>,
}

type Found = Result<(), rusqlite::Error>;

fn number(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, Option<i64>>(column).map(|number| number.map_or(0, i64::unsigned_abs))
}

fn json<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("what the store keeps cannot be read: {error}: {text}"))
}

/// What stands in the rows of a task since it was last looked at.
struct News {
    entries: BTreeMap<u64, Vec<Entry>>,
    events: BTreeMap<u64, Event>,
}

impl Auditor {
    /// One that has seen nothing.
    pub fn new(device: Arc<Device>, number: u64) -> Self {
        Self {
            device,
            number,
            reader: None,
            pipeline: None,
            shadows: BTreeMap::new(),
            jobs: BTreeMap::new(),
            breakers: BTreeMap::new(),
            leases: BTreeMap::new(),
            marks: [0; 4],
            merges: 0,
            accounts: Accounts::default(),
            waited: None,
            seen: None,
        }
    }

    /// Lets go of the disk: somebody died, and who starts next must find it alone.
    pub fn close(&mut self) {
        self.seen = None;
        if let Some((connection, fate)) = self.reader.take() {
            fate.end();
            drop(connection);
        }
    }

    /// Looks at everything that changed. What is wrong, as sentences.
    pub fn audit(&mut self, world: &Shared, living: &[u64]) -> Vec<String> {
        let mut wrongs = std::mem::take(&mut look(world).wrongs);
        let is_first_look = self.reader.is_none();
        let reader = match self.reader.take() {
            Some(reader) => Ok(reader),
            None => self.open(),
        };
        let done = reader.and_then(|(sql, fate)| {
            if is_first_look {
                self.blobs_are_there(&sql, &mut wrongs)?;
            }
            let done = self.examine(&sql, world, living, &mut wrongs);
            self.reader = Some((sql, fate));
            done
        });
        if let Err(error) = done {
            wrongs.push(format!("the database cannot be read: {error}"));
        }
        wrongs
    }

    fn open(&self) -> Result<(Connection, Arc<Fate>), rusqlite::Error> {
        let fate = Arc::new(Fate::default());
        self.device.live(0, &fate);
        // A new look after somebody died: what the database names must have survived with it.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let sql = Connection::open_with_flags_and_vfs(Device::path(self.number, 0, DATABASE), flags, vfs::NAME)?;
        sql.set_prepared_statement_cache_capacity(32);
        Ok((sql, fate))
    }

    fn examine(&mut self, sql: &Connection, world: &Shared, living: &[u64], wrongs: &mut Vec<String>) -> Found {
        let version = sql.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get::<_, i64>(0))?;
        let seen = (version, living.to_vec());
        if self.seen.as_ref() == Some(&seen) {
            // Nobody committed anything since: only what is outside may have changed.
            self.outside_is_fenced(sql, &look(world), wrongs)?;
            self.tasks(&look(world), wrongs);
            return Ok(());
        }
        self.seen = None;
        self.examine_all(sql, world, living, wrongs)?;
        self.seen = Some(seen);
        Ok(())
    }

    fn examine_all(&mut self, sql: &Connection, world: &Shared, living: &[u64], wrongs: &mut Vec<String>) -> Found {
        let moment = sql.unchecked_transaction()?;
        self.nothing_is_lost(&moment, wrongs)?;
        // Before the shadows move on: what was done outside was done as things stood then.
        self.outside_is_fenced(&moment, &look(world), wrongs)?;
        self.read_pipeline(&moment)?;
        let mut changed = Vec::new();
        let mut versions = moment.prepare_cached("SELECT id, version FROM task ORDER BY id")?;
        let mut rows = versions.query([])?;
        while let Some(row) = rows.next()? {
            let (id, version) = (TaskId(number(row, 0)?), Version(number(row, 1)?));
            let seen = self.shadows.get(&id).map(|shadow| shadow.task.version);
            if seen.is_some_and(|seen| seen > version) {
                wrongs.push(format!(
                    "task {id} went back from version {seen:?} to {version}: what was acknowledged is lost"
                ));
            } else if seen != Some(version) {
                changed.push(id);
            }
        }
        let has_changed = !changed.is_empty();
        for id in changed {
            self.follow(&moment, id, world, wrongs)?;
        }
        self.leases(&moment, wrongs)?;
        self.decisions(&moment, wrongs)?;
        let claimed = self.jobs(&moment, living, look(world).clock(), wrongs)?;
        turns::examine(&moment, &self.shadows, &claimed, wrongs)?;
        self.tasks(&look(world), wrongs);
        if has_changed {
            self.sums(&moment, wrongs)?;
        }
        Ok(())
    }

    fn read_pipeline(&mut self, sql: &Connection) -> Found {
        let mut query = sql.prepare_cached("SELECT digest FROM project")?;
        let digest = query.query_map([], |row| row.get::<_, String>(0))?.next().transpose()?;
        if let Some(digest) = digest.filter(|digest| self.pipeline.as_ref().is_none_or(|(known, _)| known != digest)) {
            let text = sql.query_row("SELECT pipeline FROM project", [], |row| row.get::<_, String>(0))?;
            self.pipeline = Some((digest, json(&text)));
        }
        Ok(())
    }

    /// What only grows never shrinks, whatever crashed.
    fn nothing_is_lost(&mut self, sql: &Connection, wrongs: &mut Vec<String>) -> Found {
        let query = "SELECT (SELECT MAX(id) FROM event), (SELECT MAX(id) FROM delivery),
            (SELECT MAX(id) FROM tracker_activity), (SELECT MAX(id) FROM job)";
        let marks = sql
            .prepare_cached(query)?
            .query_row([], |row| Ok([number(row, 0)?, number(row, 1)?, number(row, 2)?, number(row, 3)?]))?;
        for (name, (before, after)) in
            ["events", "deliveries", "activity", "jobs"].iter().zip(self.marks.into_iter().zip(marks))
        {
            if after < before {
                wrongs.push(format!("{name} shrank from {before} to {after}: what was acknowledged is lost"));
            }
        }
        self.marks = marks;
        Ok(())
    }

    /// What the database names is on the disk, as it was written.
    fn blobs_are_there(&self, sql: &Connection, wrongs: &mut Vec<String>) -> Found {
        let mut query = sql.prepare_cached("SELECT digest FROM blob WHERE size IS NOT NULL")?;
        let named = query.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        let disk = self.device.disk();
        for digest in named {
            let bytes = disk.bytes(&format!("blobs/{}/{digest}", &digest[..2]));
            if bytes.is_none_or(|bytes| Digest::of(bytes).as_str() != digest) {
                wrongs.push(format!("the blob {digest} is named and is not on the disk"));
            }
        }
        Ok(())
    }

    fn outside_is_fenced(&mut self, sql: &Connection, world: &World, wrongs: &mut Vec<String>) -> Found {
        for merge in &world.forge.merges[self.merges..] {
            let Some(mark) = merge.mark else { continue };
            let task = self.shadows.get(&mark.task).map(|shadow| &shadow.task);
            if task.is_none_or(|task| task.validated.as_ref() != Some(&merge.commit)) {
                wrongs.push(format!("{mark} merged {}, which was not validated", merge.commit));
            }
            if !self.leases.values().any(|(_, holder)| *holder == Some(mark.task)) {
                wrongs.push(format!("{mark} merged without the lease"));
            }
        }
        self.merges = world.forge.merges.len();
        self.accounts(sql, world, wrongs)
    }

    fn news(sql: &Connection, id: TaskId, since: Version) -> Result<News, rusqlite::Error> {
        let mut entries: BTreeMap<u64, Vec<Entry>> = BTreeMap::new();
        let key = params![id.0.cast_signed(), since.0.cast_signed()];
        let mut query = sql.prepare_cached(
            "SELECT version, body FROM entry WHERE task = ?1 AND version > ?2 ORDER BY version, ordinal",
        )?;
        let mut rows = query.query(key)?;
        while let Some(row) = rows.next()? {
            entries.entry(number(row, 0)?).or_default().push(json(&row.get::<_, String>(1)?));
        }
        let mut events = BTreeMap::new();
        let mut query =
            sql.prepare_cached("SELECT version, body FROM event WHERE task = ?1 AND version > ?2 ORDER BY id")?;
        let mut rows = query.query(key)?;
        while let Some(row) = rows.next()? {
            events.insert(number(row, 0)?, json(&row.get::<_, String>(1)?));
        }
        Ok(News { entries, events })
    }

    /// Folds what is new of a task, step by step.
    fn follow(&mut self, sql: &Connection, id: TaskId, world: &Shared, wrongs: &mut Vec<String>) -> Found {
        let (seed, body) = sql
            .prepare_cached("SELECT seed, body FROM task WHERE id = ?1")?
            .query_row(params![id.0.cast_signed()], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
        let body: Task = json(&body);
        let shadow = self.shadows.entry(id).or_insert_with(|| Shadow {
            task: json(&seed),
            ended_runs: Vec::new(),
            passes: BTreeMap::new(),
            taken: BTreeMap::new(),
            counted: BTreeSet::new(),
        });
        let mut news = Self::news(sql, id, shadow.task.version)?;
        for version in shadow.task.version.0 + 1..=body.version.0 {
            let entries = news.entries.remove(&version).unwrap_or_default();
            let event = news.events.remove(&version);
            let before = shadow.task.clone();
            for entry in &entries {
                shadow.task.fold(entry);
                if let Entry::IntentTaken { intent, .. } = entry {
                    self.accounts.let_on(&before, *intent);
                }
            }
            shadow.task.version = Version(version);
            self.accounts.note(&shadow.task);
            if event.is_none() && version > 1 {
                wrongs.push(format!("version {version} of task {id} has no event"));
            }
            let mut look_at = |wrong: Option<String>| wrongs.extend(wrong.map(|wrong| format!("task {id}: {wrong}")));
            look_at(left_its_end(&before, &shadow.task));
            look_at(alarms(sql, &before, &shadow.task)?);
            if let Some(event) = &event {
                look_at(moved_by_the_late(&before, event, &entries));
                look_at(cost_the_developer(&before, &shadow.task, event, &entries));
                look_at(cut_short(&before, &shadow.task, event));
            }
            let mut world = look(world);
            look_at(event.as_ref().and_then(|event| cost_an_attempt(&before, &shadow.task, event, &world)));
            world.tell(|| {
                let told = event
                    .as_ref()
                    .map_or("begins".to_owned(), |event| serde_json::to_string(event).unwrap_or_default());
                let place = &shadow.task.position;
                format!(
                    "task {id} v{version} {}#{} {}: {}",
                    place.stage,
                    place.visit,
                    place.activity.name(),
                    cut(&told)
                )
            });
            for wrong in tally(shadow, &entries, self.pipeline.as_ref().map(|(_, pipeline)| pipeline), &world) {
                look_at(Some(wrong));
            }
        }
        if shadow.task != body {
            wrongs.push(format!("task {id} is not what its entries make of it"));
        }
        Ok(())
    }

    /// What a project spent is what its tasks' runs cost.
    fn sums(&self, sql: &Connection, wrongs: &mut Vec<String>) -> Found {
        let query = "SELECT SUM(cost_microusd), SUM(priced_microusd), SUM(wall_ms), SUM(input_tokens + output_tokens +
            cache_read_tokens + cache_creation_tokens + priced_tokens) FROM spending";
        let kept = sql
            .prepare_cached(query)?
            .query_row([], |row| Ok([number(row, 0)?, number(row, 1)?, number(row, 2)?, number(row, 3)?]))?;
        let spent = self.shadows.values().fold(Spent::default(), |sum, shadow| sum.plus(shadow.task.spent));
        let made = [spent.cost_microusd, spent.priced_microusd, spent.wall.0, spent.tokens()];
        if kept != made {
            wrongs.push(format!("what the project spent is kept as {kept:?}, and its runs make {made:?} of it"));
        }
        Ok(())
    }

    fn leases(&mut self, sql: &Connection, wrongs: &mut Vec<String>) -> Found {
        let mut query = sql.prepare_cached("SELECT project, name, holder, token FROM lease")?;
        let mut rows = query.query([])?;
        let mut held = Vec::new();
        while let Some(row) = rows.next()? {
            let (project, name): (String, String) = (row.get(0)?, row.get(1)?);
            let holder = row.get::<_, Option<i64>>(2)?.map(|id| TaskId(id.unsigned_abs()));
            let token = number(row, 3)?;
            let key = (project, name.clone());
            let (before, holder_before) = self.leases.get(&key).copied().unwrap_or_default();
            if token < before {
                wrongs.push(format!("the token of the lease {name} went back from {before} to {token}"));
            }
            if holder.is_some() && holder != holder_before && token == before {
                wrongs.push(format!("the lease {name} passed on under the token {token}"));
            }
            if let Some(task) = holder {
                held.push((task, name.clone(), FenceToken(token)));
            }
            self.leases.insert(key, (token, holder));
        }
        for (id, shadow) in &self.shadows {
            for (name, token) in &shadow.task.leases {
                if !held.iter().any(|(task, held, fence)| task == id && held == name.as_str() && fence == token) {
                    wrongs.push(format!("task {id} believes that it has the lease {name} under {token}, and has not"));
                }
            }
        }
        for (task, name, _) in held {
            let lease = LeaseName::new(name.clone()).ok();
            let knows =
                self.shadows.get(&task).zip(lease).is_some_and(|(shadow, name)| shadow.task.leases.contains_key(&name));
            if !knows {
                wrongs.push(format!("task {task} has the lease {name} and does not know it"));
            }
        }
        Ok(())
    }

    fn tasks(&self, world: &World, wrongs: &mut Vec<String>) {
        let mut deploying = 0;
        let mut clones = Vec::new();
        let mut live = 0;
        for (run, shim) in world.shims.live() {
            live += 1;
            deploying += u32::from(is_hook(&shim.program));
            if clones.contains(&shim.clone) {
                wrongs.push(format!("run {run} shares the clone {} with another live run", shim.clone));
            }
            clones.push(shim.clone);
        }
        if live > RUNS {
            wrongs.push(format!("{live} runs live, {RUNS} may"));
        }
        for driver in [WRITER, CRITIC] {
            let of_driver = world.shims.live().filter(|(_, shim)| shim.program == driver).count();
            if of_driver > RUNS_OF_DRIVER as usize {
                wrongs.push(format!("{of_driver} runs of {driver} live, {RUNS_OF_DRIVER} may"));
            }
        }
        if deploying > 1 {
            wrongs.push("two hooks that need the merge lease run at once".to_owned());
        }
        for (id, shadow) in &self.shadows {
            match shadow.task.end() {
                Some(Terminality::Done) => wrongs.extend(is_in_main(&shadow.task, world)),
                Some(Terminality::Cancelled) => {
                    if let Some((run, _)) = world.shims.live().find(|(_, shim)| shim.clone.task == *id) {
                        wrongs.push(format!("task {id} was stopped, and its run {run} lives"));
                    }
                    if world.forge.clones.keys().any(|key| key.task == *id) {
                        wrongs.push(format!("task {id} was stopped, and its clone is there"));
                    }
                    if !shadow.task.leases.is_empty() || !shadow.task.requested.is_empty() {
                        wrongs.push(format!("task {id} was stopped, and has a lease"));
                    }
                }
                None => wrongs.extend(sleeps_over(&shadow.task, world)),
            }
        }
    }

    /// What a person did on the board is heard in its turn, and a decision that was heard in time has its effect.
    fn decisions(&self, sql: &Connection, wrongs: &mut Vec<String>) -> Found {
        wrongs.extend(told_out_of_turn(sql)?);
        for (id, shadow) in &self.shadows {
            if let Activity::AwaitingPerson { consent, .. } = &shadow.task.position.activity {
                wrongs.extend(passed_over(sql, *id, &shadow.task, *consent)?);
            }
        }
        Ok(())
    }

    /// The tasks as they stand.
    pub fn standing(&self) -> impl Iterator<Item = &Task> {
        self.shadows.values().map(|shadow| &shadow.task)
    }
}
