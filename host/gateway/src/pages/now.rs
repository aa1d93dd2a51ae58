//! The first page: is it moving, what waits for me, what broke and whose fault is it, what is live, what does it cost, which
//! neighbour is down, and how is it stopped?

use std::collections::BTreeMap;

use askama::Template;
use conductor::ports::store::{Group, Live, Load};
use domain::ids::StepName;
use domain::task::{Activity, HoldKind, Task};
use domain::time::Timestamp;

use super::frame::Frame;
use super::living::Living;
use super::places::{Neighbour, Place, neighbours, places};
use super::row::{LONGEST_SENTENCE, Row};
use crate::api::State;
use crate::app::GatewayState;
use crate::health::{self, Condition};
use crate::problem::Problem;
use crate::routes::many::cause_word;
use crate::show::{Age, cost, line, quoted, sentence};
use crate::standing::{Scene, cause};
use crate::tongue::{Part, Tongue, say};
use crate::worded;

/// Rows of each kind that are shown; the rest is counted.
const SHOWN: usize = 40;
/// Live tasks that are looked at for each of the two kinds.
const LOOKED_AT: u32 = 200;
/// What is wrong says of which part it is, and how exactly.
const LONGEST_TROUBLE: usize = LONGEST_SENTENCE + 100;
/// Tickets that a cause names.
const NAMED: usize = 8;

#[derive(Template)]
#[template(path = "now.html")]
pub(crate) struct NowPage {
    pub(crate) frame: Frame,
    pub(crate) now: Now,
}

/// All that the page says.
pub(crate) struct Now {
    state: State,
    sentence: Vec<Part>,
    facts: Vec<Fact>,
    troubles: Vec<Vec<Part>>,
    needs: Vec<Row>,
    all_needs: u64,
    /// What waits for a larger budget, by where.
    spent: Vec<Cause>,
    broken: Vec<Cause>,
    moving: Vec<Row>,
    all_moving: u64,
    places: Vec<Place>,
    neighbours: Vec<Neighbour>,
    live: u64,
    /// Of those that are looked at, how many a person paused.
    paused: u64,
}

/// A short word about all.
struct Fact {
    text: String,
    /// How long ago that was.
    since: Option<Age>,
}

impl From<String> for Fact {
    fn from(text: String) -> Self {
        Self { text, since: None }
    }
}

/// Who is at fault where a task is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// The work.
    Work,
    /// The system.
    System,
    /// Nobody: a budget is spent, and a person says how much more it may be.
    Nobody,
}

/// What several tasks are held by.
struct Cause {
    fault: Fault,
    /// By which a button names it.
    kind: String,
    step: String,
    text: String,
    count: usize,
    /// That with its noun.
    counted: String,
    keys: Vec<String>,
}

pub(crate) fn read(state: &GatewayState, t: Tongue) -> Result<Now, Problem> {
    let (now, store) = (state.now(), &*state.store);
    let (standings, load) = (store.standings()?, store.load()?);
    let waiting = store.live_tasks(Live::Waiting, LOOKED_AT)?;
    let mut moving = store.live_tasks(Live::Moving, LOOKED_AT)?;
    let scene = Scene::among(state, t, waiting.iter().chain(&moving))?;
    // One that needs what was stopped waits for a person, though its own activity does not say so.
    let stuck: Vec<Task> = moving.extract_if(.., |task| scene.standing(task).needs_person).collect();
    let all_needs = standings.asking + standings.held + stuck.len() as u64;
    let mut needs: Vec<&Task> = waiting.iter().chain(&stuck).collect();
    needs.sort_by_key(|task| (scene.standing(task).state == State::Paused, task.activity_entered_at));
    let (spent, broken) = causes(&scene, &waiting).into_iter().partition(|cause| cause.fault == Fault::Nobody);
    let broken: Vec<Cause> = broken;
    let pulse = Pulse { all_needs, broken: &broken, load, limit: state.desk.limits().runs };
    let living = Living::read(state)?;
    let row = |task: &Task| {
        let spent = task.spent.plus(living.for_task(task.id));
        Row { cost: cost(t, &spent), ..Row::of(&scene, task, now) }
    };
    let (headline, headline_words) = pulse.headline(&scene, &moving);
    let health = state.desk.health();
    Ok(Now {
        state: headline,
        sentence: sentence(&headline_words, LONGEST_SENTENCE),
        facts: pulse.facts(t, store.last_step()?, now),
        troubles: troubles(t, &health),
        needs: needs.into_iter().take(SHOWN).map(row).collect(),
        all_needs,
        spent,
        moving: moving.iter().take(SHOWN).map(row).collect(),
        all_moving: (standings.moving + standings.stopping).saturating_sub(stuck.len() as u64),
        places: places(state, t, &scene.projects)?,
        neighbours: neighbours(state, t, &health)?,
        live: standings.live(),
        paused: store.group_size(&Group::Paused(None))?,
        broken,
    })
}

/// What the headline is told from.
struct Pulse<'a> {
    all_needs: u64,
    broken: &'a [Cause],
    load: Load,
    limit: u32,
}

impl Pulse<'_> {
    fn headline(&self, scene: &Scene, moving: &[Task]) -> (State, String) {
        let t = scene.tongue;
        if self.load.claimed > 0 || moving.iter().any(|task| scene.wait(task).is_none()) {
            return (State::Working, t.of("It is moving.", "Работа идёт.").to_owned());
        }
        if let Some(why) = moving.iter().find_map(|task| scene.why_waits(task)) {
            return (State::Queued, say!(t, "Nothing runs: {why}.", "Ничего не выполняется: {why}."));
        }
        match self.all_needs {
            0 => (State::Done, t.of("Nothing is to be done.", "Дел нет.").to_owned()),
            _ => (State::NeedsYou, t.of("Everything waits for you.", "Всё ждёт вас.").to_owned()),
        }
    }

    fn facts(&self, t: Tongue, last: Option<Timestamp>, now: Timestamp) -> Vec<Fact> {
        let (busy, limit) = (self.load.placed, self.limit);
        let mut facts = vec![say!(t, "{busy} of {limit} places busy", "занято мест: {busy} из {limit}").into()];
        facts.extend(last.map(|last| {
            let text = t.of("the last step was", "последний шаг был").to_owned();
            Fact { text, since: Some(Age::of(t, last, now)) }
        }));
        let needs = match self.all_needs {
            0 => t.of("nothing waits for you", "ничто не ждёт вас").to_owned(),
            needs => t.count(needs, ["waits for you", "wait for you"], ["ждёт вас", "ждут вас", "ждут вас"]),
        };
        facts.push(needs.into());
        let count = |fault: Fault| -> usize {
            self.broken.iter().filter(|cause| cause.fault == fault).map(|cause| cause.count).sum()
        };
        let (work, system) = (count(Fault::Work), count(Fault::System));
        let broken = match (work, system) {
            (0, 0) => t.of("nothing is broken", "ничего не сломано").to_owned(),
            _ => say!(
                t,
                "broken: {work} by the work, {system} by the system",
                "сломано: {work} — работа, {system} — система"
            ),
        };
        facts.push(broken.into());
        facts
    }
}

/// Held tasks by their cause: who is at fault, and at which step. Of what asks a person something only budgets are among them.
fn causes(scene: &Scene, waiting: &[Task]) -> Vec<Cause> {
    let mut causes: BTreeMap<(Fault, String, String), (HoldKind, Vec<&Task>)> = BTreeMap::new();
    for task in waiting {
        let Activity::Held { hold } = &task.position.activity else { continue };
        let fault = match (scene.standing(task).state, hold.kind) {
            (State::Failed, _) => Fault::Work,
            (State::Held, _) => Fault::System,
            (_, HoldKind::OverBudget) => Fault::Nobody,
            _ => continue,
        };
        let step = hold.step.as_ref().map_or("", StepName::as_str).to_owned();
        let known = causes.entry((fault, cause_word(hold.kind), step)).or_insert_with(|| (hold.kind, Vec::new()));
        known.1.push(task);
    }
    let words = |kind: HoldKind, step: &str| {
        let cause = cause(scene.tongue, kind);
        if step.is_empty() {
            cause.to_owned()
        } else {
            say!(scene.tongue, "{cause}, at `{step}`", "{cause}, на шаге `{step}`")
        }
    };
    let cause = |((fault, kind, step), (hold, tasks)): ((Fault, String, String), (HoldKind, Vec<&Task>))| Cause {
        fault,
        kind,
        text: line(&quoted(&words(hold, &step)), LONGEST_SENTENCE),
        step,
        count: tasks.len(),
        counted: scene.tongue.count(tasks.len() as u64, ["ticket", "tickets"], ["задача", "задачи", "задач"]),
        keys: tasks.iter().take(NAMED).map(|task| task.work_item.to_string()).collect(),
    };
    let mut causes: Vec<Cause> = causes.into_iter().map(cause).collect();
    causes.sort_by_key(|cause| (cause.fault, std::cmp::Reverse(cause.count)));
    causes
}

/// What is wrong with the host itself: how its neighbours are stands in their own list.
fn troubles(t: Tongue, health: &Condition) -> Vec<Vec<Part>> {
    let own = health.troubles.iter().filter(|trouble| trouble.part != health::Part::Neighbours);
    own.map(|trouble| sentence(&worded::trouble(t, trouble), LONGEST_TROUBLE)).collect()
}
