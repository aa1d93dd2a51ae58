//! What is live in each repository and what its day cost, and which neighbours were heard of when.

use conductor::breaker::Breaker;
use conductor::ports::store::Project;
use domain::budget::DAY_MS;
use domain::cost::dollars;
use domain::ids::CommitId;
use domain::task::Task;

use super::row::LONGEST_SENTENCE;
use crate::api::State;
use crate::app::GatewayState;
use crate::misfits::Misfit;
use crate::problem::Problem;
use crate::show::{Age, line};
use crate::tongue::{Tongue, say};
use crate::words;

/// Ended tasks of a project among which the last one that landed is looked for.
const ENDED: u32 = 20;
/// Live ones, for a deploy may stand before the merge.
const LIVE: u32 = 50;

/// What stands in a repository.
pub(crate) struct Place {
    pub(crate) project: String,
    pub(crate) branch: String,
    pub(crate) landed: Option<Landed>,
    pub(crate) deployed: Option<Landed>,
    pub(crate) frozen: Option<String>,
    pub(crate) spent: String,
    pub(crate) cap: Option<Bar>,
}

/// A commit and who brought it.
pub(crate) struct Landed {
    pub(crate) commit: String,
    pub(crate) key: String,
    pub(crate) since: Age,
}

/// How much of a budget is spent.
pub(crate) struct Bar {
    pub(crate) percent: u64,
    pub(crate) of: String,
}

/// Something outside, and how it was last.
pub(crate) struct Neighbour {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) word: String,
    pub(crate) since: Option<Age>,
}

pub(crate) fn places(state: &GatewayState, t: Tongue, projects: &[Project]) -> Result<Vec<Place>, Problem> {
    projects.iter().map(|project| place(state, t, project)).collect()
}

fn place(state: &GatewayState, t: Tongue, project: &Project) -> Result<Place, Problem> {
    let (now, store) = (state.now(), &*state.store);
    let mut tasks = store.live_tasks_of(&project.name, LIVE)?;
    tasks.extend(store.ended_tasks_of(&project.name, ENDED)?);
    let newest = |of: fn(&Task) -> &Option<CommitId>| {
        let landed = tasks.iter().filter_map(|task| Some((task, of(task).as_ref()?)));
        let newest = landed.max_by_key(|(task, _)| task.activity_entered_at);
        newest.map(|(task, commit)| Landed {
            commit: commit.as_str()[..12].to_owned(),
            key: task.work_item.to_string(),
            since: Age::of(t, task.activity_entered_at, now),
        })
    };
    let spent = store.spending(&project.name, now.0 / DAY_MS)?.day;
    let cap = state.desk.budgets(&project.name).day.cost_microusd;
    Ok(Place {
        project: project.name.to_string(),
        branch: line(project.base_branch.as_str(), 100),
        landed: newest(|task| &task.merged),
        deployed: newest(|task| &task.deployed),
        frozen: store.freeze(&project.name)?.map(|reason| line(&reason, LONGEST_SENTENCE)),
        spent: dollars(spent.cost_microusd),
        cap: cap.map(|cap| Bar {
            percent: spent.cost_microusd.saturating_mul(100).checked_div(cap).unwrap_or(100).min(100),
            of: dollars(cap),
        }),
    })
}

pub(crate) fn neighbours(state: &GatewayState, t: Tongue) -> Result<Vec<Neighbour>, Problem> {
    let now = state.now();
    let health = state.desk.health();
    let mut neighbours = vec![Neighbour {
        name: t.of("database and disk", "база и диск").to_owned(),
        state: if health.ok { State::Done } else { State::Held },
        word: if health.ok { t.of("well", "в порядке") } else { t.of("not well", "не в порядке") }.to_owned(),
        since: None,
    }];
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

/// Trackers and forges; of one whose own deliveries are refused, that is said until one is taken again. What strangers may have sent
/// alarms nobody here: the page of deliveries has a line of it.
fn senders(state: &GatewayState, t: Tongue) -> Result<Vec<Neighbour>, Problem> {
    let (now, contacts) = (state.now(), state.store.contacts()?);
    let misfits = state.meters.misfits.all().into_iter().filter(Misfit::is_proven).collect::<Vec<_>>();
    let refused = |name: &str, misfit: &Misfit| Neighbour {
        name: line(name, 100),
        state: State::Held,
        word: t.of("refused for its signature", "отклонён из-за подписи").to_owned(),
        since: Some(Age::of(t, misfit.last, now)),
    };
    let mut senders = Vec::new();
    for contact in &contacts {
        let (source, project) = (&contact.source, &contact.project);
        let shown = words::source(t, source);
        let name = say!(t, "{shown} of {project}", "{shown} проекта {project}");
        let misfit = misfits.iter().find(|misfit| misfit.source == source);
        if let Some(misfit) = misfit.filter(|misfit| contact.delivered.is_none_or(|at| at <= misfit.last)) {
            senders.push(refused(&name, misfit));
            continue;
        }
        let newest = contact.delivered.max(contact.polled);
        senders.push(Neighbour {
            name: line(&name, 100),
            state: if newest.is_some() { State::Done } else { State::Skipped },
            word: t.of("last heard of", "последняя весть").to_owned(),
            since: newest.map(|at| Age::of(t, at, now)),
        });
    }
    // Of whom nothing was ever taken, no project has heard.
    let unheard = misfits.iter().filter(|misfit| contacts.iter().all(|contact| contact.source != misfit.source));
    senders.extend(unheard.map(|misfit| refused(misfit.source, misfit)));
    Ok(senders)
}
