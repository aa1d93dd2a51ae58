//! What this host can rely on: how it feels, by what its runs are held, how large its state is, and when it was last saved.

use askama::Template;

use super::frame::Frame;
use super::tokens;
use crate::api::{Block, HeldBy, Holding, State};
use crate::app::GatewayState;
use crate::desk::{Backups, Disk, LastBackup, Room};
use crate::keyring::Keyring;
use crate::problem::Problem;
use crate::show::{Age, bytes, line, quoted, sentence};
use crate::tongue::{Part, Tongue, say};
use crate::{worded, words};

/// What helps against a sandbox that does not work is a long sentence.
const LONGEST_HOW: usize = 1000;
const LONGEST_PATH: usize = 300;

#[derive(Template)]
#[template(path = "system.html")]
pub(crate) struct SystemPage {
    pub(crate) frame: Frame,
    pub(crate) system: System,
}

/// All that the page says.
pub(crate) struct System {
    ok: bool,
    reasons: Vec<Vec<Part>>,
    facts: Vec<(&'static str, String)>,
    disk: Space,
    holdings: Vec<Held>,
    saved: Saved,
    /// None: whoever reads this may not see them.
    tokens: Option<Vec<tokens::Row>>,
}

/// The disk on which the state folder lies.
struct Space {
    state: State,
    word: &'static str,
    /// How much is free.
    free: String,
    /// What helps.
    cure: &'static str,
}

/// What is known of backups.
enum Saved {
    /// It cannot be read, and why.
    Unknown(String),
    /// None was made.
    Never,
    /// The newest one, and the newest proof that one restores.
    Last(Backup, Option<Restore>),
}

/// The newest backup.
struct Backup {
    since: Age,
    /// One was missed since.
    is_old: bool,
    path: String,
    what: String,
}

/// The newest proof that one restores.
struct Restore {
    since: Age,
    what: String,
}

/// One thing that runs are held by.
struct Held {
    name: String,
    state: State,
    by: &'static str,
    how: String,
}

/// `keyring`: of who may see the tokens.
pub(crate) fn read(state: &GatewayState, t: Tongue, keyring: Option<&Keyring>) -> Result<System, Problem> {
    let health = state.desk.health();
    let extent = state.store.extent()?;
    let facts = vec![
        (t.of("version", "версия"), env!("CARGO_PKG_VERSION").to_owned()),
        (t.of("schema of the database", "схема базы"), extent.schema.to_string()),
        (t.of("size of the database", "размер базы"), bytes(extent.bytes)),
        (t.of("tasks", "задачи"), extent.tasks.to_string()),
        (t.of("events", "события"), extent.events.to_string()),
        (t.of("places for runs", "места для запусков"), state.desk.limits().runs.to_string()),
    ];
    Ok(System {
        ok: health.ok,
        reasons: health.troubles.iter().map(|trouble| sentence(&worded::trouble(t, trouble), LONGEST_HOW)).collect(),
        facts,
        disk: space(t, state.desk.readings().disk),
        holdings: state.desk.holdings().into_iter().map(|holding| held(t, holding)).collect(),
        tokens: keyring.map(|keyring| tokens::read(state, keyring, t)).transpose()?,
        saved: saved(t, state),
    })
}

fn space(t: Tongue, disk: Option<Disk>) -> Space {
    let cure = t.of(
        "make room, or lower “free-space-mib” of [limits] in gatewright.toml",
        "освободите место или уменьшите «free-space-mib» в [limits] файла gatewright.toml",
    );
    let Some(disk) = disk else {
        let cure = t.of("look at the mount", "посмотрите на точку монтирования");
        let free = t.of("it cannot be asked how much is free", "сколько свободно, узнать нельзя").to_owned();
        return Space { state: State::Failed, word: t.of("Not known", "Неизвестно"), free, cure };
    };
    let [free, size, floor] = [disk.free_bytes, disk.size_bytes, disk.floor_bytes].map(bytes);
    let free = say!(t, "{free} free of {size}, the floor is {floor}", "свободно {free} из {size}, порог {floor}");
    let (state, word, cure) = match disk.room() {
        Room::Plenty => (State::Done, t.of("Plenty", "Достаточно"), ""),
        Room::Little => (State::Held, t.of("Little is left", "Осталось мало"), cure),
        Room::None => (State::Failed, t.of("Nothing is launched", "Ничего не запускается"), cure),
    };
    Space { state, word, free, cure }
}

fn tasks(t: Tongue, number: u64) -> String {
    t.count(number, ["task", "tasks"], ["задача", "задачи", "задач"])
}

fn saved(t: Tongue, state: &GatewayState) -> Saved {
    let now = state.now();
    let Backups { last, verified } = match state.desk.backups() {
        Block::Fine(backups) => backups,
        Block::Broken { error } => return Saved::Unknown(line(&error, LONGEST_HOW)),
    };
    let Some(last) = last else { return Saved::Never };
    let backup = Backup {
        since: Age::of(t, last.at, now),
        is_old: LastBackup::is_old(last.at, now),
        path: line(&last.path, LONGEST_PATH),
        what: format!("{}, {}", tasks(t, last.tasks), bytes(last.bytes)),
    };
    let restore =
        verified.map(|verified| Restore { since: Age::of(t, verified.at, now), what: tasks(t, verified.tasks) });
    Saved::Last(backup, restore)
}

fn held(t: Tongue, holding: Holding) -> Held {
    let (state, by) = match holding.held_by {
        HeldBy::Kernel => (State::Done, t.of("by the kernel", "ядром")),
        HeldBy::Shim => (State::Done, t.of("by the run's shim", "надзирателем запуска")),
        HeldBy::Nobody => (State::Held, t.of("by nobody", "никем")),
    };
    Held { name: words::holding(t, &holding.name).to_owned(), state, by, how: line(&quoted(&holding.how), LONGEST_HOW) }
}
