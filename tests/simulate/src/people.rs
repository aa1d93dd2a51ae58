//! People: what they do on the board, through the operator's interface, at the forge and to the files, at any time; and a ledger
//! of what they did, against which the host's record is compared.

use std::collections::BTreeMap;

use conductor::board::START;
use conductor::ports::store::{BoardItem, NewItem, Project, Store, Unmet};
use domain::event::{Event, Intent, Observation};
use domain::ids::{Actor, BranchName, ProjectName, TaskId, WorkItemId};
use domain::task::{Activity, HoldKind, Task};
use domain::verdict::WakeKind;
use serde_json::json;
use store::SqliteStore;

use crate::beside;
use crate::pipelines;
use crate::weather::{Trouble, Weather};
use crate::world::{Shared, look};

mod code;
mod late;

pub use code::unheard;
use code::{delete_branch, merge_by_hand, push, report};

/// Who may decide.
pub const DECIDER: &str = "ada";
/// Who may not.
pub const STRANGER: &str = "bob";

/// How many cards there are at most.
const CARDS: usize = 4;

/// How often a person lets a task on before he gives it up.
const PATIENT: u32 = 10;

/// What people did, counted before it is known whether it was heard.
#[derive(Default)]
pub struct Ledger {
    /// How often each wanted what of which work item.
    pub wanted: BTreeMap<(WorkItemId, Intent, Actor), u32>,
    /// How often somebody let a task on at the end, when nothing went wrong any more.
    let_on: BTreeMap<TaskId, u32>,
    /// Why tasks were given up at the end.
    pub given_up: BTreeMap<HoldKind, u64>,
}

/// The one project.
pub fn project() -> ProjectName {
    ProjectName::new("shop").expect("a name")
}

fn person(name: &str) -> Actor {
    Actor::Person(name.to_owned())
}

#[derive(Clone, Copy)]
enum Deed {
    Card,
    Move,
    Operate,
    Remove,
    Push,
    PushToBase,
    DeleteBranch,
    MergeByHand,
    OtherSystem,
    Wake,
    Edit,
    Freeze,
    Again,
    Help,
    Labels,
    Watch,
    Need,
    Late,
}

/// Somebody does something.
pub fn act(world: &Shared, store: &SqliteStore) {
    let deed = {
        let mut world = look(world);
        let met = |trouble| u64::from(world.weather.has(trouble));
        let (people, pushes, edits) = (met(Trouble::People), met(Trouble::Pushes), met(Trouble::Edits));
        let deliveries = met(Trouble::Deliveries);
        let deeds = [
            (60, Deed::Card),
            (60 * people, Deed::Move),
            (50 * people, Deed::Operate),
            (4 * people, Deed::Remove),
            (10 * people, Deed::Labels),
            (3 * people, Deed::Watch),
            (5 * people, Deed::Freeze),
            (25 * people, Deed::Need),
            (25 * pushes, Deed::Push),
            (25 * pushes, Deed::PushToBase),
            (5 * pushes, Deed::DeleteBranch),
            (18 * pushes, Deed::MergeByHand),
            (120 * u64::from(world.observed), Deed::OtherSystem),
            (30, Deed::Wake),
            (8 * edits, Deed::Edit),
            (30 * deliveries, Deed::Again),
            (30 * met(Trouble::Overlap), Deed::Late),
            (150, Deed::Help),
        ];
        world.luck.weighted(&deeds)
    };
    match deed {
        Deed::Card => make_card(world, store),
        Deed::Move => move_card(world, store),
        Deed::Operate => operate(world, store),
        Deed::Remove => remove(world, store),
        Deed::Push => push(world, store),
        Deed::PushToBase => {
            let mut world = look(world);
            let file = world.luck.below(24) as u8;
            let base = world.forge.base.clone();
            world.forge.push(&base, file);
            world.tell(|| "a person pushes to the base".to_owned());
        }
        Deed::DeleteBranch => delete_branch(world, store),
        Deed::MergeByHand => merge_by_hand(world, store),
        Deed::OtherSystem => beside::work(world, store),
        Deed::Wake => {
            let waiting = |task: &Task| matches!(task.position.activity, Activity::Waiting { .. });
            let waits = store.tasks(true, 20).ok().and_then(|tasks| tasks.into_iter().find(waiting));
            if let Some(task) = waits.or_else(|| any_task(world, store)) {
                wake(world, store, task.id);
            }
        }
        Deed::Edit => edit(world, store),
        Deed::Freeze => {
            let now = look(world).clock();
            tell(world, || "a person freezes the project".to_owned());
            let _ = store.set_freeze(&project(), Some("a person said so"), &person(DECIDER), now);
        }
        Deed::Again => deliver_again(world, store),
        Deed::Help => help(world, store),
        Deed::Labels => labels(world, store),
        Deed::Watch => watch(world, store),
        Deed::Need => need(world, store),
        Deed::Late => late::tell(world, store),
    }
}

fn tell(world: &Shared, line: impl FnOnce() -> String) {
    look(world).tell(line);
}

/// A task, the likelier the seldomer one stands so.
pub(crate) fn any_task(world: &Shared, store: &SqliteStore) -> Option<Task> {
    let mut tasks = store.tasks(false, 20).ok()?;
    let seldom = |task: &Task| match task.position.activity {
        Activity::Stopping => 24,
        Activity::Waiting { .. } => 32,
        Activity::Acting { .. } | Activity::AwaitingPerson { .. } => 8,
        Activity::Judging { .. } => 5,
        Activity::Held { .. } => 2,
        Activity::Running { .. } | Activity::Settled { .. } => 1,
    };
    let weights = tasks.iter().enumerate().map(|(at, task)| (seldom(task), at)).collect::<Vec<_>>();
    let chosen = if weights.is_empty() { None } else { Some(look(world).luck.weighted(&weights)) };
    chosen.map(|chosen| tasks.swap_remove(chosen))
}

fn any_item(world: &Shared, store: &SqliteStore) -> Option<BoardItem> {
    let items = store.items(&project(), 20).ok()?;
    let chosen = look(world).luck.below(items.len() as u64) as usize;
    items.into_iter().nth(chosen)
}

fn want(world: &Shared, item: &WorkItemId, intent: Intent, actor: &Actor) {
    *look(world).people.wanted.entry((item.clone(), intent, actor.clone())).or_default() += 1;
}

fn make_card(world: &Shared, store: &SqliteStore) {
    if store.items(&project(), 20).is_ok_and(|items| items.len() >= CARDS) {
        return;
    }
    let now = look(world).clock();
    let labels = if look(world).luck.in_thousand(200) { vec!["bug".to_owned()] } else { Vec::new() };
    let (title, description) = ("Sell more".to_owned(), "Much more.".to_owned());
    let status = START.to_owned();
    let needs = look(world).weather.has(Trouble::People) && look(world).luck.in_thousand(250);
    let after = any_task(world, store).filter(|_| needs).map(|task| task.id).into_iter().collect::<Vec<_>>();
    tell(world, || format!("a person makes a card; it needs {after:?}"));
    let new = NewItem { project: project(), title, description, status, labels, actor: person(DECIDER), after };
    let _ = store.create_item(&new, now);
}

fn move_card(world: &Shared, store: &SqliteStore) {
    let prefers = look(world).luck.in_thousand(500);
    let of_a_task = any_task(world, store).filter(|_| prefers);
    let of_a_task = of_a_task.and_then(|task| store.item(&project(), &task.work_item).ok().flatten());
    let Some(item) = of_a_task.or_else(|| any_item(world, store)) else { return };
    let (status, actor) = {
        let mut world = look(world);
        let statuses = [
            (40, "Approved"),
            (12, "Rejected"),
            (20, "Confirm Deploy"),
            (8, "STOP"),
            (20, "To Analyse"),
            (4, "Blocked"),
            (2, "Done"),
            (2, "Cancelled"),
            (4, "Backlog"),
        ];
        let is_strange = world.weather.has(Trouble::Strangers) && world.luck.in_thousand(250);
        (world.luck.weighted(&statuses), person(if is_strange { STRANGER } else { DECIDER }))
    };
    set_status(world, store, &item.work_item, status, &actor);
}

fn set_status(world: &Shared, store: &SqliteStore, item: &WorkItemId, status: &str, actor: &Actor) {
    let intent = match status {
        "Approved" => Some(Intent::Approve),
        "Rejected" => Some(Intent::Reject),
        "Confirm Deploy" => Some(Intent::ConfirmDeploy),
        "STOP" => Some(Intent::Stop),
        "To Analyse" => Some(Intent::Start),
        _ => None,
    };
    if let Some(intent) = intent {
        want(world, item, intent, actor);
    }
    let now = look(world).clock();
    tell(world, || format!("{actor} moves {item} to {status}"));
    let _ = store.move_item(&project(), item, status, actor, now);
}

/// Through the operator's interface: the event goes straight to the task.
fn operate(world: &Shared, store: &SqliteStore) {
    let Some(task) = any_task(world, store) else { return };
    let intents = [
        (30, Intent::Resume),
        (12, Intent::Waive),
        (14, Intent::Pause),
        (8, Intent::Stop),
        (14, Intent::Approve),
        (8, Intent::Reject),
        (8, Intent::ConfirmDeploy),
        (4, Intent::Start),
        (10, Intent::Estimate),
    ];
    let intent = look(world).luck.weighted(&intents);
    intend(world, store, &task, intent);
}

fn intend(world: &Shared, store: &SqliteStore, task: &Task, intent: Intent) {
    let actor = Actor::Token("operator".to_owned());
    want(world, &task.work_item, intent, &actor);
    let now = look(world).clock();
    tell(world, || format!("the operator says {intent:?} to task {}", task.id));
    let _ = store.apply(task.id, &Event::Intent { intent, actor, note: "because".to_owned() }, now);
}

/// One task shall need another, or need it no more; what would be a cycle is refused by the store.
fn need(world: &Shared, store: &SqliteStore) {
    let (Some(task), Some(other)) = (any_task(world, store), any_task(world, store)) else { return };
    let (now, actor) = (look(world).clock(), person(DECIDER));
    let is_new = look(world).luck.in_thousand(700);
    let done = if is_new {
        store.depend(task.id, other.id, &actor, now)
    } else {
        store.undepend(task.id, other.id, &actor, now)
    };
    let word = if is_new { "needs" } else { "needs no more" };
    tell(world, || format!("a person says that task {} {word} task {}: {}", task.id, other.id, done.is_ok()));
}

/// Who waits for what was stopped goes on without it.
fn let_go_of_the_stopped(world: &Shared, store: &SqliteStore, task: &Task) {
    let Ok(rows) = store.prerequisites(task.id) else { return };
    for row in rows.iter().filter(|row| row.unmet == Some(Unmet::Cancelled)) {
        let now = look(world).clock();
        tell(world, || format!("task {} goes on without {}", task.id, row.needs.task));
        let _ = store.undepend(task.id, row.needs.task, &person(DECIDER), now);
    }
}

fn remove(world: &Shared, store: &SqliteStore) {
    let Some(item) = any_item(world, store) else { return };
    let now = look(world).clock();
    tell(world, || format!("{} is deleted from the board", item.work_item));
    let _ = store.remove_item(&project(), &item.work_item, &person(DECIDER), now);
}

fn observe(world: &Shared, store: &SqliteStore, task: &Task, observation: Observation) {
    let now = look(world).clock();
    tell(world, || format!("task {} is told: {observation:?}", task.id));
    let _ = store.apply(task.id, &Event::Observed { observation }, now);
}

/// A fact that may end a wait of this task.
pub fn wake(world: &Shared, store: &SqliteStore, task: TaskId) {
    let Ok(task) = store.task(task) else { return };
    let kind = *look(world).luck.one_of(&[WakeKind::Checks, WakeKind::Push, WakeKind::Status, WakeKind::Comment]);
    let Some(subject) = subject(&task, kind) else { return };
    let now = look(world).clock();
    tell(world, || format!("{kind} of {subject}"));
    let heard = match (kind, &task.head) {
        (WakeKind::Checks, Some(head)) => {
            let Some(check) = report(world, head) else { return };
            store.put_check(&project(), head, &check, now).map(|()| 0)
        }
        _ => store.wake(&project(), &subject, kind, now),
    };
    if heard.is_ok() {
        *look(world).cards.wakes.entry((subject, kind)).or_default() += 1;
    }
}

/// What a fact of a kind is about, of a task.
pub fn subject(task: &Task, kind: WakeKind) -> Option<String> {
    match kind {
        WakeKind::Checks => task.head.as_ref().map(ToString::to_string),
        WakeKind::Push | WakeKind::PullRequest => task.branch.as_ref().map(ToString::to_string),
        WakeKind::Status | WakeKind::Labels | WakeKind::Comment => Some(task.work_item.to_string()),
        WakeKind::Exec => None,
    }
}

fn edit(world: &Shared, store: &SqliteStore) {
    let (pipeline, serial) = {
        let mut world = look(world);
        world.serial ^= world.luck.in_thousand(300);
        let serial = world.serial;
        world.tell(|| format!("the pipeline is edited; one task at a time: {serial}"));
        let all = pipelines::all();
        (world.luck.one_of(&all).clone(), serial)
    };
    let now = look(world).clock();
    let observed = look(world).observed;
    let _ = store.put_project(&settled(pipeline, serial, observed), now);
}

/// The project with this pipeline.
pub fn settled(pipeline: domain::pipeline::Pipeline, serial: bool, observe: bool) -> Project {
    let base_branch = BranchName::new("main").expect("a branch");
    Project { name: project(), prefix: "SHOP".to_owned(), base_branch, pipeline, serial, observe }
}

/// The tracker tells once more of what was told already.
fn deliver_again(world: &Shared, store: &SqliteStore) {
    let Some(item) = any_item(world, store) else { return };
    let Ok(rows) = store.activity(&project(), &item.work_item) else { return };
    let rows = rows.into_iter().filter(|row| row.actor != Actor::Host).collect::<Vec<_>>();
    if rows.is_empty() {
        return;
    }
    let now = look(world).clock();
    let row = look(world).luck.one_of(&rows).clone();
    let kind = if row.from.is_some() { "moved" } else { "created" };
    let key = row.id.to_string();
    let body = json!({
        "kind": kind,
        "activity": key,
        "work_item": row.work_item,
        "from": row.from,
        "to": row.to,
        "actor": row.actor,
    });
    tell(world, || format!("it is delivered again that {} was moved to {}", row.work_item, row.to));
    let tells = Some((key.as_str(), row.id));
    let _ = store.receive("board", &project(), Some(&row.work_item), tells, body.to_string().as_bytes(), now);
}

fn labels(world: &Shared, store: &SqliteStore) {
    let Some(task) = any_task(world, store) else { return };
    let all = [vec![], vec!["bug".to_owned()], vec!["autoApprove".to_owned()], vec!["autoDeploy".to_owned()]];
    let labels = look(world).luck.one_of(&all).clone();
    observe(world, store, &task, Observation::Labels { labels });
}

fn watch(world: &Shared, store: &SqliteStore) {
    if let Some(task) = any_task(world, store) {
        observe(world, store, &task, Observation::WatchDegraded);
    }
}

/// Somebody does what the host asks for: answers, looks after what is held, thaws.
pub fn help(world: &Shared, store: &SqliteStore) {
    let now = look(world).clock();
    let calm = look(world).weather == Weather::calm();
    if store.freeze(&project()).is_ok_and(|freeze| freeze.is_some()) && (calm || look(world).luck.in_thousand(300)) {
        tell(world, || "a person thaws the project".to_owned());
        let _ = store.set_freeze(&project(), None, &person(DECIDER), now);
    }
    let Ok(tasks) = store.tasks(true, 20) else { return };
    for task in tasks {
        if !calm && look(world).luck.in_thousand(400) {
            continue;
        }
        let_go_of_the_stopped(world, store, &task);
        match &task.position.activity {
            Activity::AwaitingPerson { consent, .. } => {
                let (status, intent) = match consent {
                    domain::pipeline::Consent::Approve => ("Approved", Intent::Approve),
                    domain::pipeline::Consent::Confirm => ("Confirm Deploy", Intent::ConfirmDeploy),
                };
                let stands = store.item(&project(), &task.work_item).ok().flatten();
                let on_board = stands.is_some_and(|item| item.gone.is_none() && item.status != status);
                if on_board && look(world).luck.in_thousand(600) {
                    set_status(world, store, &task.work_item, status, &person(DECIDER));
                } else {
                    intend(world, store, &task, intent);
                }
            }
            Activity::Held { hold } => look_after(world, store, &task, hold.kind, calm),
            _ => {}
        }
    }
}

/// A person lets it on, and gives it up where that led nowhere again and again.
fn look_after(world: &Shared, store: &SqliteStore, task: &Task, kind: HoldKind, calm: bool) {
    let gives_up = {
        let mut world = look(world);
        let is_lost = matches!(kind, HoldKind::GoneFromBoard | HoldKind::RefusedAtForge | HoldKind::PipelineChanged);
        let tries = world.people.let_on.entry(task.id).or_default();
        *tries += u32::from(calm);
        let gives_up = *tries > PATIENT || is_lost && (calm || world.luck.in_thousand(300));
        if gives_up && calm && !is_lost {
            world.wrongs.push(format!("task {} was let on {PATIENT} times and is held again: {kind:?}", task.id));
        }
        if gives_up && calm {
            *world.people.given_up.entry(kind).or_default() += 1;
        }
        gives_up
    };
    intend(world, store, task, if gives_up { Intent::Stop } else { Intent::Resume });
}
