//! What waits, by why it waits; what is performed; who holds which lease; how the services behind the agents stand.

use std::collections::{BTreeMap, HashMap};

use askama::Template;
use conductor::ports::store::{JobRow, Load, WaitReason};
use domain::ids::TaskId;
use domain::time::Timestamp;

use super::frame::Frame;
use crate::again::{self, Again};
use crate::api::{DriverView, State};
use crate::app::GatewayState;
use crate::find;
use crate::problem::Problem;
use crate::routes::queue::drivers;
use crate::show::{Age, Moment, line, sentence};
use crate::standing::{note_words, wait_words};
use crate::tongue::{Part, Tongue, say};

/// Jobs that are looked at.
const JOBS: u32 = 1000;
/// Of each reason.
const SHOWN: usize = 40;

#[derive(Template)]
#[template(path = "queue.html")]
pub(crate) struct QueuePage {
    pub(crate) frame: Frame,
    pub(crate) queue: Queue,
}

/// All that the page says.
pub(crate) struct Queue {
    /// How many wait, and how many are performed.
    wait: String,
    performed: String,
    /// Of the places for runs.
    placed: u64,
    limit: u32,
    groups: Vec<Group>,
    leases: Vec<Lease>,
    freezes: Vec<(String, String)>,
    drivers: Vec<Driver>,
    /// There are more jobs than were looked at.
    more: bool,
}

/// Jobs that wait for the same reason, or are performed.
struct Group {
    state: State,
    title: String,
    meaning: &'static str,
    count: usize,
    jobs: Vec<Job>,
}

struct Job {
    key: String,
    effect: String,
    why: Vec<Part>,
    attempts: u32,
    since: Option<Age>,
    until: Option<Moment>,
}

struct Lease {
    project: String,
    name: String,
    holder: Option<String>,
    token: u64,
}

struct Driver {
    name: String,
    state: State,
    word: String,
    runs: String,
    until: Option<Moment>,
}

pub(crate) fn read(state: &GatewayState, t: Tongue) -> Result<Queue, Problem> {
    let (store, limits, now) = (&*state.store, state.desk.limits(), state.now());
    let (mut jobs, load) = (store.jobs(&limits, now, JOBS)?, store.load()?);
    jobs.retain(|job| matches!(job.state.as_str(), "queued" | "claimed"));
    let more = is_cut(&load, jobs.len());
    let mut leases = store.leases()?;
    leases.retain(|(_, _, holder, token)| holder.is_some() || token.0 > 0);
    let holders = leases.iter().filter_map(|(_, _, holder, _)| *holder);
    let keys = find::keys(store, jobs.iter().map(|job| job.task).chain(holders))?;
    let key = |task: TaskId| keys.get(&task).map_or_else(|| task.to_string(), ToString::to_string);
    let mut freezes = Vec::new();
    for project in store.projects()? {
        freezes.extend(store.freeze(&project.name)?.map(|reason| (project.name.to_string(), line(&reason, 300))));
    }
    let lease = |(project, name, holder, token): conductor::ports::store::LeaseRow| Lease {
        project: project.to_string(),
        name: name.to_string(),
        holder: holder.map(key),
        token: token.0,
    };
    Ok(Queue {
        wait: t.count(load.queued, ["waits", "wait"], ["ждёт", "ждут", "ждут"]),
        performed: t.count(
            load.claimed,
            ["is performed now", "are performed now"],
            ["выполняется", "выполняются", "выполняется"],
        ),
        placed: load.placed,
        limit: limits.runs,
        groups: groups(
            t,
            &jobs,
            &Words { key: &key, again: &|jobs| again::of_jobs(state, &limits, jobs.iter().copied()) },
            now,
        ),
        leases: leases.into_iter().map(lease).collect(),
        freezes,
        drivers: drivers(&limits, store.drivers()?).into_iter().map(|row| driver(t, row)).collect(),
        more,
    })
}

/// Whether jobs that have not ended are left out. Those that ended are listed behind them, and nobody misses those here.
fn is_cut(load: &Load, shown: usize) -> bool {
    load.queued.saturating_add(load.claimed) > shown as u64
}

/// What rows are told by.
struct Words<'a> {
    key: &'a dyn Fn(TaskId) -> String,
    /// Why the runs of these jobs are made again.
    again: &'a dyn Fn(&[&JobRow]) -> HashMap<TaskId, Again>,
}

/// What is performed first, then by reason in the order in which a person can do something about it.
fn groups(t: Tongue, jobs: &[JobRow], words: &Words<'_>, now: Timestamp) -> Vec<Group> {
    let mut groups: BTreeMap<usize, Vec<&JobRow>> = BTreeMap::new();
    for job in jobs {
        groups.entry(place(job)).or_default().push(job);
    }
    let group = |(place, mut jobs): (usize, Vec<&JobRow>)| {
        let (title, meaning) = heading(t, place);
        let count = jobs.len();
        jobs.truncate(SHOWN);
        let again = (words.again)(&jobs);
        let row = |job: &&JobRow| row(t, (words.key)(job.task), job, again.get(&job.task), now);
        Group {
            state: if place == 0 { State::Working } else { State::Queued },
            title: title.to_owned(),
            meaning,
            count,
            jobs: jobs.iter().map(row).collect(),
        }
    };
    groups.into_iter().map(group).collect()
}

/// The place of a job's group on the page.
fn place(job: &JobRow) -> usize {
    match &job.reason {
        _ if job.state == "claimed" => 0,
        None => 1,
        Some(WaitReason::Freeze) => 2,
        Some(WaitReason::Dependency { .. }) => 3,
        Some(WaitReason::ActiveTask { .. }) => 4,
        Some(WaitReason::Lease) => 5,
        Some(WaitReason::Space) => 6,
        Some(WaitReason::Program) => 7,
        Some(WaitReason::Damaged) => 8,
        Some(WaitReason::Breaker) => 9,
        Some(WaitReason::Slot) => 10,
        Some(WaitReason::Turn) => 11,
        Some(WaitReason::Time) => 12,
    }
}

fn heading(t: Tongue, place: usize) -> (&'static str, &'static str) {
    match place {
        0 => (t.of("Performed now", "Выполняется"), t.of("somebody is at it", "этим заняты")),
        1 => (t.of("Next", "Следующие"), t.of("nothing holds them back", "их ничто не держит")),
        2 => (
            t.of("Frozen", "Заморожено"),
            t.of("the repository admits no new task", "репозиторий не берёт новых задач"),
        ),
        3 => (
            t.of("Dependency", "Зависимость"),
            t.of("another task must be done first", "сначала должна быть готова другая задача"),
        ),
        4 => (
            t.of("One at a time", "По одной"),
            t.of("an earlier task of the project has not ended", "более ранняя задача проекта не окончена"),
        ),
        5 => (t.of("Lease", "Аренда"), t.of("another task holds it", "её держит другая задача")),
        6 => (t.of("Disk", "Диск"), t.of("too little is free to launch anything", "слишком мало места для запуска")),
        7 => (
            t.of("Program missing", "Нет программы"),
            t.of("what it would execute is not there", "того, что надо запустить, здесь нет"),
        ),
        8 => (t.of("Damaged", "Повреждено"), t.of("what they need does not read", "то, что им нужно, не читается")),
        9 => (
            t.of("Service refuses", "Служба отказывает"),
            t.of("the breaker of its driver is open", "предохранитель её драйвера открыт"),
        ),
        10 => (t.of("Slot", "Место"), t.of("all places of runs are taken", "все места для запусков заняты")),
        11 => (
            t.of("In turn", "По очереди"),
            t.of("another job of the same task comes first", "сначала другая работа той же задачи"),
        ),
        _ => (t.of("Later", "Позже"), t.of("their time has not come", "их время ещё не пришло")),
    }
}

fn row(t: Tongue, key: String, job: &JobRow, again: Option<&Again>, now: Timestamp) -> Job {
    let again = again.filter(|_| job.effect == "launch-agent").map(|again| again.words(t));
    let note = job.note.as_ref().zip(job.reason.as_ref());
    let note = note.map(|(note, reason)| note_words(t, reason, job.refusal.as_ref(), note));
    let why = [note, again].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let plain = || job.reason.as_ref().map(|reason| wait_words(t, reason)).unwrap_or_default();
    Job {
        key,
        effect: job.effect.clone(),
        why: sentence(&if why.is_empty() { plain() } else { why }, 500),
        attempts: job.attempts,
        since: job.claimed_at.map(|at| Age::of(t, at, now)),
        until: Some(job.available_at).filter(|at| *at > now).map(Moment::of),
    }
}

fn driver(t: Tongue, row: DriverView) -> Driver {
    let (state, word) = match row.state.as_str() {
        "closed" if row.failures == 0 => (State::Done, t.of("answers", "отвечает").to_owned()),
        "closed" => (
            State::Retrying,
            t.count(
                u64::from(row.failures),
                ["failure in a row", "failures in a row"],
                ["отказ подряд", "отказа подряд", "отказов подряд"],
            ),
        ),
        "open" => (State::Held, t.of("refuses; nothing is launched", "отказывает; ничего не запускается").to_owned()),
        _ => (State::Retrying, t.of("one run tries it", "её пробует один запуск").to_owned()),
    };
    let runs = row.runs;
    let runs = match row.limit {
        Some(limit) => {
            let most = t.count(u64::from(limit), ["run", "runs"], ["запуска", "запусков", "запусков"]);
            say!(t, "{runs} of {most}", "{runs} из {most}")
        }
        None => t.count(u64::from(runs), ["run", "runs"], ["запуск", "запуска", "запусков"]),
    };
    Driver { name: row.driver.to_string(), state, word, runs, until: row.until.map(Moment::of) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_cut_where_jobs_are_left_out_that_have_not_ended() {
        let load = Load { queued: 2, claimed: 1, placed: 0 };
        assert!(!is_cut(&load, 3) && is_cut(&load, 2));
    }
}
