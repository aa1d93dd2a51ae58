//! What is live in each repository and what its day cost, and which neighbours were heard of when.

use std::cmp::Reverse;

use conductor::Neighbour as Looked;
use conductor::breaker::Breaker;
use conductor::ports::store::Project;
use domain::budget::{Cap, DAY_MS};
use domain::cost::{Spent, dollars};
use domain::entry::Entry;
use domain::ids::{CommitId, ProjectName};
use domain::time::{Milliseconds, Timestamp};

use super::living::Living;
use super::row::LONGEST_SENTENCE;
use crate::api::{Flaw, State};
use crate::app::GatewayState;
use crate::health::Condition;
use crate::misfits::Misfit;
use crate::problem::Problem;
use crate::show::{Age, bytes, line, span_in};
use crate::tongue::{Tongue, say};
use crate::words;

/// Tasks that landed a commit, newest first, of which the last one to do so is told.
const LANDED: u32 = 8;
/// Entries of such a task, newest first, among which that one is.
const ENTRIES: u32 = 300;
/// Intervals after which a tracker that was not polled is silent.
const SILENT_AFTER: u64 = 3;

/// What stands in a repository.
pub(crate) struct Place {
    pub(crate) project: String,
    pub(crate) branch: String,
    /// Where the base branch stands; none: that is not known.
    pub(crate) head: Option<String>,
    pub(crate) landed: Option<Landed>,
    pub(crate) deployed: Option<Landed>,
    pub(crate) frozen: Option<String>,
    /// What is decided of it is recorded, and nothing is done outside.
    pub(crate) observed: bool,
    pub(crate) spent: String,
    /// What is bounded, and how much of it is spent.
    pub(crate) caps: Vec<Bar>,
}

impl Place {
    /// The base branch stands where another hand moved it, since we brought something there.
    pub(crate) fn is_foreign(&self) -> bool {
        let ours = self.landed.as_ref().map(|landed| &landed.commit);
        self.head.as_ref().zip(ours).is_some_and(|(head, ours)| head != ours)
    }
}

/// A commit and who brought it.
pub(crate) struct Landed {
    pub(crate) commit: String,
    pub(crate) key: String,
    pub(crate) since: Age,
}

/// How much of a budget is spent.
pub(crate) struct Bar {
    /// In the reader's language: today, or in all.
    pub(crate) when: &'static str,
    pub(crate) spent: String,
    pub(crate) of: String,
    pub(crate) percent: u64,
}

/// Something outside, and how it was last.
pub(crate) struct Neighbour {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) word: String,
    pub(crate) since: Option<Age>,
}

pub(crate) fn places(state: &GatewayState, t: Tongue, projects: &[Project]) -> Result<Vec<Place>, Problem> {
    let living = Living::read(state)?;
    projects.iter().map(|project| place(state, t, project, &living)).collect()
}

fn place(state: &GatewayState, t: Tongue, project: &Project, living: &Living) -> Result<Place, Problem> {
    let (now, store) = (state.now(), &*state.store);
    let (mut merged, mut deployed): (Option<Landing>, Option<Landing>) = (None, None);
    for task in store.landed_tasks_of(&project.name, LANDED)? {
        for row in store.entry_page(task.id, None, ENTRIES)?.rows {
            let (newest, commit) = match &row.entry {
                Entry::Merged { commit } => (&mut merged, commit),
                Entry::Deployed { commit } => (&mut deployed, commit),
                _ => continue,
            };
            if newest.as_ref().is_none_or(|(at, ..)| row.at > *at) {
                *newest = Some((row.at, short(commit), task.work_item.to_string()));
            }
        }
    }
    let landed =
        |newest: Option<Landing>| newest.map(|(at, commit, key)| Landed { commit, key, since: Age::of(t, at, now) });
    let ended = store.spending(&project.name, now.0 / DAY_MS)?;
    let (budgets, under_way) = (state.desk.budgets(&project.name), living.of(&project.name));
    let (day, total) = (ended.day.plus(under_way), ended.total.plus(under_way));
    let mut caps = bars(t, t.of("today", "сегодня"), budgets.day, day);
    caps.extend(bars(t, t.of("in all", "за всё время"), budgets.total, total));
    let head = state.desk.base_head(&project.name, &project.base_branch);
    Ok(Place {
        project: project.name.to_string(),
        branch: line(project.base_branch.as_str(), 100),
        head: head.and_then(Result::ok).map(|head| short(&head)),
        landed: landed(merged),
        deployed: landed(deployed),
        frozen: store.freeze(&project.name)?.map(|reason| line(&reason, LONGEST_SENTENCE)),
        observed: project.observe,
        spent: dollars(day.cost_microusd),
        caps,
    })
}

/// When a commit landed, which, and of which ticket.
type Landing = (Timestamp, String, String);

fn short(commit: &CommitId) -> String {
    commit.as_str()[..12].to_owned()
}

/// What a budget bounds, measure by measure.
fn bars(t: Tongue, when: &'static str, cap: Cap, spent: Spent) -> Vec<Bar> {
    let bar = |spent: u64, of: u64, shown: &dyn Fn(u64) -> String| {
        let percent = spent.saturating_mul(100).checked_div(of).unwrap_or(100);
        Bar { when, spent: shown(spent), of: shown(of), percent }
    };
    let tokens = |number| t.count(number, ["token", "tokens"], ["токен", "токена", "токенов"]);
    let mut bars = Vec::new();
    bars.extend(cap.cost_microusd.map(|of| bar(spent.cost_microusd, of, &dollars)));
    bars.extend(cap.tokens.map(|of| bar(spent.tokens(), of, &tokens)));
    bars.extend(cap.wall.map(|of| bar(spent.wall.0, of.0, &|time| span_in(t, Milliseconds(time)))));
    bars
}

pub(crate) fn neighbours(state: &GatewayState, t: Tongue, health: &Condition) -> Result<Vec<Neighbour>, Problem> {
    let now = state.now();
    let well = |is_well: bool| {
        let word = if is_well { t.of("well", "в порядке") } else { t.of("not well", "не в порядке") };
        (if is_well { State::Done } else { State::Held }, word.to_owned())
    };
    let (is, word) = well(health.ok);
    let database = Neighbour { name: t.of("database", "база").to_owned(), state: is, word, since: None };
    let mut neighbours = vec![database];
    neighbours.extend(state.desk.readings().disk.map(|disk| {
        let (is, word) = well(disk.free_bytes >= disk.floor_bytes);
        let (free, floor) = (bytes(disk.free_bytes), bytes(disk.floor_bytes));
        let name = say!(t, "disk: {free} free, needed: {floor}", "диск: свободно {free}, нужно {floor}");
        Neighbour { name, state: is, word, since: None }
    }));
    neighbours.extend(forges(state, t)?);
    neighbours.extend(unreachable(state, t)?);
    for row in state.store.drivers()? {
        let (is, word, since) = match &row.breaker {
            Breaker::Closed { failures: 0, .. } => (State::Done, t.of("answers", "отвечает").to_owned(), None),
            Breaker::Closed { failures, since } => {
                let word = t.count(
                    u64::from(*failures),
                    ["failure in a row", "failures in a row"],
                    ["отказ подряд", "отказа подряд", "отказов подряд"],
                );
                (State::Retrying, word, Some(*since))
            }
            Breaker::Open { since, .. } => (State::Held, t.of("refuses", "отказывает").to_owned(), Some(*since)),
            Breaker::HalfOpen { since, .. } => {
                (State::Retrying, t.of("is tried", "проверяется").to_owned(), Some(*since))
            }
        };
        let driver = &row.driver;
        let name = say!(t, "agent {driver}", "агент {driver}");
        neighbours.push(Neighbour { name, state: is, word, since: since.map(|at| Age::of(t, at, now)) });
    }
    neighbours.extend(senders(state, t)?);
    Ok(neighbours)
}

/// The repositories that cannot be looked at.
fn forges(state: &GatewayState, t: Tongue) -> Result<Vec<Neighbour>, Problem> {
    let mut silent = Vec::new();
    for project in state.store.projects()? {
        let Some(Err(why)) = state.desk.base_head(&project.name, &project.base_branch) else { continue };
        let (project, why) = (project.name, t.inner(&why));
        let name = say!(t, "repository of {project}: {why}", "хранилище проекта {project}: {why}");
        let word = t.of("does not answer", "не отвечает").to_owned();
        silent.push(Neighbour { name: line(&name, LONGEST_SENTENCE), state: State::Held, word, since: None });
    }
    Ok(silent)
}

/// Trackers and forges of which the last look failed. Of a repository that does not answer at all, that is said.
fn unreachable(state: &GatewayState, t: Tongue) -> Result<Vec<Neighbour>, Problem> {
    let (now, projects) = (state.now(), state.store.projects()?);
    let answers = |name: &ProjectName| {
        let project = projects.iter().find(|project| project.name == *name);
        project.is_none_or(|project| !matches!(state.desk.base_head(name, &project.base_branch), Some(Err(_))))
    };
    let mut found = Vec::new();
    for look in state.desk.readings().unreachable {
        let (project, why) = (&look.project, t.inner(&look.why));
        let name = match look.neighbour {
            Looked::Forge if !answers(project) => continue,
            Looked::Forge => say!(t, "repository of {project}: {why}", "хранилище проекта {project}: {why}"),
            Looked::Tracker => say!(t, "tracker of {project}: {why}", "трекер проекта {project}: {why}"),
        };
        found.push(Neighbour {
            name: line(&name, LONGEST_SENTENCE),
            state: State::Held,
            word: t.of("cannot be asked", "не удаётся спросить").to_owned(),
            since: Some(Age::of(t, look.since, now)),
        });
    }
    Ok(found)
}

/// Trackers and forges; of one whose own deliveries are refused, that is said until one is taken again. What strangers may have sent
/// alarms nobody here: the page of deliveries has a line of it.
fn senders(state: &GatewayState, t: Tongue) -> Result<Vec<Neighbour>, Problem> {
    let (now, contacts) = (state.now(), state.store.contacts()?);
    let mut misfits = state.meters.misfits.all().into_iter().filter(|misfit| misfit.is_proven).collect::<Vec<_>>();
    // Whatever is wrong with them, the last of a sender counts.
    misfits.sort_by_key(|misfit| Reverse(misfit.last));
    let refused = |name: &str, misfit: &Misfit| Neighbour {
        name: line(name, 100),
        state: State::Held,
        word: match misfit.flaw {
            Flaw::Unfit | Flaw::Malformed => t.of("refused for its signature", "отклонён из-за подписи").to_owned(),
            Flaw::Unsigned => t.of("refused, not signed", "отклонён: без подписи").to_owned(),
        },
        since: Some(Age::of(t, misfit.last, now)),
    };
    let patience = state.desk.readings().intervals.trackers.0.saturating_mul(SILENT_AFTER);
    let mut senders = Vec::new();
    for contact in &contacts {
        let (source, project) = (&contact.source, &contact.project);
        let shown = words::source(t, source);
        let name = say!(t, "{shown} of {project}", "{shown} проекта {project}");
        let misfit = misfits.iter().find(|misfit| misfit.source == source && misfit.projects.contains(project));
        if let Some(misfit) = misfit.filter(|misfit| contact.delivered.is_none_or(|at| at <= misfit.last)) {
            senders.push(refused(&name, misfit));
            continue;
        }
        let newest = contact.delivered.max(contact.polled);
        let silent = contact.polled.is_some_and(|at| now.since(at).0 > patience);
        senders.push(Neighbour {
            name: line(&name, 100),
            state: match newest {
                Some(_) if silent => State::Held,
                Some(_) => State::Done,
                None => State::Skipped,
            },
            word: if silent {
                t.of("cannot be asked; last heard of", "не удаётся спросить; последняя весть").to_owned()
            } else {
                t.of("last heard of", "последняя весть").to_owned()
            },
            since: newest.map(|at| Age::of(t, at, now)),
        });
    }
    Ok(senders)
}
