//! What those outside remember of runs, hooks, notices and cards, against what the tasks wanted of them: each thing once, for the
//! activity that wanted it, on the commit that was tested, under the lease.

use std::collections::BTreeMap;

use domain::event::Intent;
use domain::ids::{Actor, CommitId, Epoch, RunId, StageName, TaskId};
use domain::task::{Activity, HoldKind, Task};
use rusqlite::{Connection, params};

use super::{Auditor, Found, Shadow, number};
use crate::judges::{NoticeRecord, shown_as};
use crate::people::DECIDER;
use crate::shims::{HookRecord, SHIP, STAGE, Start};
use crate::world::World;

/// The lease of each pipeline that is simulated.
const LEASE: &str = "merge";

/// Notices that want somebody to come and look.
const ALARMS: &str = "'held', 'questions', 'escalated', 'infra-exhausted', 'agent-failed'";

/// How a task stood when an activity of it was left, or as it stands in the one that lasts.
struct Stay {
    stage: StageName,
    visit: u32,
    validated: Option<CommitId>,
    has_lease: bool,
}

type Hook = (TaskId, StageName, u32, String);

/// What was counted so far.
#[derive(Default)]
pub(super) struct Accounts {
    stays: BTreeMap<(TaskId, Epoch), Stay>,
    started: BTreeMap<(TaskId, Epoch), RunId>,
    /// Of each run, what was tested when it began: a push that comes later undoes the test, and not what has begun.
    tested: BTreeMap<RunId, Option<CommitId>>,
    let_on: BTreeMap<(TaskId, StageName, u32), u32>,
    done: BTreeMap<Hook, u32>,
    seen: Seen,
}

#[derive(Clone, Copy, Default)]
struct Seen {
    starts: usize,
    hooks: usize,
    notices: usize,
}

fn has_lease(task: &Task) -> bool {
    task.leases.keys().any(|name| name.as_str() == LEASE)
}

impl Accounts {
    /// A task as one of its steps left it.
    pub(super) fn note(&mut self, task: &Task) {
        let place = &task.position;
        let (stage, validated) = (place.stage.clone(), task.validated.clone());
        let stay = Stay { stage, visit: place.visit, validated, has_lease: has_lease(task) };
        self.stays.insert((task.id, task.epoch), stay);
    }

    /// A person took a held task's step up again: what the step does outside may be done again.
    pub(super) fn let_on(&mut self, before: &Task, intent: Intent) {
        if matches!(intent, Intent::Resume | Intent::Waive | Intent::Start) {
            let place = &before.position;
            *self.let_on.entry((before.id, place.stage.clone(), place.visit)).or_default() += 1;
        }
    }

    fn start(&mut self, start: Start, epoch: Epoch) -> Option<String> {
        let Start { run, task, beside } = start;
        if let Some(other) = beside {
            return Some(format!("run {run} of task {task} began while its run {other} lived"));
        }
        let stay = self.stays.get(&(task, epoch));
        self.tested.insert(run, stay.and_then(|stay| stay.validated.clone()));
        let before = self.started.insert((task, epoch), run)?;
        Some(format!("one activity of task {task} was begun twice, as run {before} and as run {run}"))
    }

    fn hook(&mut self, hook: &HookRecord, epoch: Epoch) -> Option<String> {
        let HookRecord { run, task, program, commit, told } = hook;
        let Some(stay) = self.stays.get(&(*task, epoch)) else {
            return Some(format!("run {run} did {program} for an activity that task {task} never had"));
        };
        let tested = self.tested.get(run).and_then(Option::as_ref);
        if commit.is_none() || commit.as_ref() != tested || commit != told {
            return Some(format!("{program} of task {task} did {commit:?}, told {told:?}, and tested was {tested:?}"));
        }
        if !stay.has_lease {
            return Some(format!("{program} of task {task} ran in an activity that had no lease"));
        }
        let visit = (*task, stay.stage.clone(), stay.visit);
        let may = 1 + self.let_on.get(&visit).copied().unwrap_or(0);
        let times = self.done.entry((visit.0, visit.1, visit.2, program.clone())).or_default();
        *times += 1;
        (*times > may).then(|| format!("{program} of task {task} was done {times} times in one visit, and might {may}"))
    }
}

/// One life tells a notice once; a task's are told in their order.
fn notice(known: &[NoticeRecord], new: &NoticeRecord) -> Option<String> {
    let NoticeRecord { task, sequence, life, disturbed } = new;
    let mut is_repeat = false;
    for before in known.iter().filter(|before| before.task == *task) {
        if before.sequence == *sequence {
            is_repeat = true;
            if (before.life, before.disturbed) == (*life, *disturbed) {
                return Some(format!("notice {sequence} of task {task} was told twice, and nobody had died between"));
            }
        }
    }
    let later = known.iter().filter(|before| before.task == *task).map(|before| before.sequence).max();
    (!is_repeat && later.is_some_and(|later| later > *sequence))
        .then(|| format!("notice {sequence} of task {task} was told after {later:?}"))
}

impl Auditor {
    /// What began, was done and was told since the last look.
    pub(super) fn accounts(&mut self, sql: &Connection, world: &World, wrongs: &mut Vec<String>) -> Found {
        let seen = self.accounts.seen;
        let epoch = |run: RunId| {
            let mut query = sql.prepare_cached("SELECT epoch FROM job WHERE id = ?1 AND class = 'drive'")?;
            query.query_map(params![run.0.cast_signed()], |row| number(row, 0).map(Epoch))?.next().transpose()
        };
        for start in &world.shims.starts[seen.starts..] {
            match epoch(start.run)? {
                Some(epoch) => wrongs.extend(self.accounts.start(*start, epoch)),
                None => wrongs.push(format!("run {} began, and no job that drives a task wanted it", start.run)),
            }
        }
        for hook in &world.shims.hooks[seen.hooks..] {
            let Some(epoch) = epoch(hook.run)? else { continue };
            wrongs.extend(self.accounts.hook(hook, epoch));
            let stands = self.shadows.get(&hook.task).is_some_and(|shadow| shadow.task.epoch == epoch);
            let holds = self.leases.iter().any(|((_, name), (_, holder))| name == LEASE && *holder == Some(hook.task));
            // A deploy goes on to its end with its lease, whatever becomes of its task; what is being ended has lost it.
            if (stands || hook.program == SHIP) && !holds {
                wrongs.push(format!("run {} of task {} did {} without the lease", hook.run, hook.task, hook.program));
            }
        }
        for at in seen.notices..world.judges.notices.len() {
            wrongs.extend(notice(&world.judges.notices[..at], &world.judges.notices[at]));
        }
        self.accounts.seen = Seen {
            starts: world.shims.starts.len(),
            hooks: world.shims.hooks.len(),
            notices: world.judges.notices.len(),
        };
        Ok(())
    }
}

/// A hold that began raises one alarm. A pause is what somebody asked for; of a cycle one task speaks for all; a panic says it
/// in its entry.
pub(super) fn alarms(sql: &Connection, before: &Task, after: &Task) -> Result<Option<String>, rusqlite::Error> {
    let Activity::Held { hold } = &after.position.activity else { return Ok(None) };
    if matches!(&before.position.activity, Activity::Held { hold: was } if was.kind == hold.kind) {
        return Ok(None);
    }
    let query = format!(
        "SELECT COUNT(*) FROM job WHERE task = ?1 AND version = ?2 AND effect = 'notify' AND body ->> '$.notice' IN ({ALARMS})"
    );
    let key = params![after.id.0.cast_signed(), after.version.0.cast_signed()];
    let raised = sql.prepare_cached(&query)?.query_row(key, |row| number(row, 0))?;
    let may = match hold.kind {
        HoldKind::Paused => 0..=1,
        HoldKind::DependencyCycle => 0..=1,
        _ => 1..=1,
    };
    let kind = hold.kind;
    Ok((!may.contains(&raised)).then(|| format!("it is held ({kind:?}) under {raised} alarms")))
}

/// What the host says that it deployed lies there.
pub(super) fn is_deployed(shadow: &Shadow, commit: &CommitId, world: &World) -> Option<String> {
    let id = shadow.task.id;
    let did = |hook: &HookRecord| hook.task == id && hook.program == SHIP && hook.commit.as_ref() == Some(commit);
    (!world.shims.hooks.iter().any(did)).then(|| format!("{commit} counts as deployed, and no hook did it"))
}

/// Every notice that the host says it told was taken by somebody.
pub(super) fn notices(sql: &Connection, world: &World) -> Result<Vec<String>, rusqlite::Error> {
    let told = "SELECT e.job, e.task FROM event e JOIN job j ON j.id = e.job WHERE e.kind = 'aftermath-ended'
        AND j.effect = 'notify' AND e.body ->> '$.note' LIKE 'told the notifiers:%' AND e.body NOT LIKE '%given up%'";
    let mut query = sql.prepare(told)?;
    let rows = query.query_map([], |row| Ok((number(row, 0)?, TaskId(number(row, 1)?))))?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let taken = |(job, task): &(u64, TaskId)| {
        world.judges.notices.iter().any(|notice| notice.sequence == *job && notice.task == *task)
    };
    let lost = rows.into_iter().filter(|row| !taken(row));
    Ok(lost.map(|(job, task)| format!("notice {job} of task {task} counts as told, and nobody took it")).collect())
}

/// At rest each card looks as its newest task stands, unless a person moved it since, or the host gave up to show it.
pub(super) fn cards(sql: &Connection, shadows: &BTreeMap<TaskId, Shadow>) -> Result<Vec<String>, rusqlite::Error> {
    let newest = "SELECT i.work_item, i.status, MAX(t.id),
            (SELECT actor FROM tracker_activity a WHERE a.project = i.project AND a.work_item = i.work_item
                ORDER BY a.id DESC LIMIT 1)
        FROM tracker_item i JOIN task t ON t.project = i.project AND t.work_item = i.work_item
        WHERE i.gone IS NULL GROUP BY i.project, i.work_item";
    let mut query = sql.prepare(newest)?;
    let rows = query.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, TaskId(number(row, 2)?), row.get::<_, String>(3)?))
    })?;
    let last = "SELECT e.body ->> '$.note' FROM event e JOIN job j ON j.id = e.job
        WHERE e.kind = 'aftermath-ended' AND e.task = ?1 AND j.effect = 'set-status' ORDER BY j.id DESC LIMIT 1";
    let mut last = sql.prepare(last)?;
    let mut wrongs = Vec::new();
    for row in rows {
        let (item, status, id, actor) = row?;
        let Some(task) = shadows.get(&id).map(|shadow| &shadow.task) else { continue };
        let said = last.query_map(params![id.0.cast_signed()], |row| row.get::<_, String>(0))?.next().transpose()?;
        let is_shown = said.is_some_and(|note| note.starts_with("the board shows "));
        if actor != "{\"kind\":\"host\"}" || !is_shown {
            continue;
        }
        let phase = task.phase();
        if !status.eq_ignore_ascii_case(shown_as(&phase)) {
            wrongs.push(format!("{item} shows {status}, and task {id} is {phase}"));
        }
    }
    Ok(wrongs)
}

/// Two hooks that need the lease at once, where only one task has it.
pub(super) fn is_hook(program: &str) -> bool {
    [STAGE, SHIP].contains(&program)
}

/// Starts of who may decide that were heard: each began a task, or reached one that nobody was stopping when it was wanted. Of a stop
/// in the same instant nobody can say which came first.
pub(super) fn starts(sql: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    let actor = serde_json::to_string(&Actor::Person(DECIDER.to_owned())).unwrap_or_default();
    let heard = "tracker_activity a JOIN delivery d ON d.project = a.project AND d.source = 'board'
            AND d.log_row = CAST(a.id AS TEXT) AND d.state = 'expanded'";
    let forgotten = format!(
        "SELECT a.work_item, a.id, d.why FROM {heard} WHERE a.actor = ?1 AND a.after = 'To Analyse'
            AND NOT EXISTS (SELECT 1 FROM intent i WHERE i.project = a.project AND i.key = 'board-' || a.id)
            AND NOT EXISTS (SELECT 1 FROM tracker_item t WHERE t.project = a.project AND t.work_item = a.work_item
                AND t.gone IS NOT NULL)
            AND IFNULL(d.why, '') NOT LIKE 'the item does not stand there%'
            AND IFNULL(d.why, '') NOT LIKE 'nobody told of this start%'
            AND NOT EXISTS (SELECT 1 FROM tracker_activity s WHERE s.project = a.project AND s.work_item = a.work_item
                AND s.id > a.id AND s.after = 'STOP' AND d.why LIKE 'it was stopped again%')"
    );
    let in_vain = format!(
        "SELECT a.work_item, a.id, 'task ' || i.task || ' was being stopped' FROM {heard}
            JOIN intent i ON i.project = a.project AND i.key = 'board-' || a.id
            JOIN event e ON e.delivery = d.id AND e.task = i.task
            WHERE a.actor = ?1 AND a.after = 'To Analyse'
            AND EXISTS (SELECT 1 FROM event s WHERE s.task = i.task AND s.kind = 'intent' AND s.outcome = 'stepped'
                AND s.body ->> '$.intent' = 'stop' AND s.id < e.id AND s.at < a.at)
            AND NOT EXISTS (SELECT 1 FROM task t WHERE t.project = a.project AND t.work_item = a.work_item
                AND t.id > i.task)"
    );
    let mut wrongs = Vec::new();
    for query in [forgotten, in_vain] {
        let mut query = sql.prepare(&query)?;
        let rows = query.query_map(params![actor], |row| {
            Ok((row.get::<_, String>(0)?, number(row, 1)?, row.get::<_, Option<String>>(2)?))
        })?;
        for row in rows {
            let (item, row, why) = row?;
            wrongs.push(format!("the start of {item} in row {row} was heard and began nothing: {why:?}"));
        }
    }
    Ok(wrongs)
}
