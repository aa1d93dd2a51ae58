//! What this host can rely on: how it feels, by what its runs are held, how large its state is, and when it was last saved.

use askama::Template;

use super::frame::Frame;
use super::tokens;
use crate::api::{Block, HeldBy, Holding, State};
use crate::app::GatewayState;
use crate::desk::Backups;
use crate::keyring::Keyring;
use crate::problem::Problem;
use crate::show::{Age, bytes, line, quoted};
use crate::tongue::Tongue;
use crate::words;

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
    reasons: Vec<String>,
    facts: Vec<(&'static str, String)>,
    holdings: Vec<Held>,
    saved: Saved,
    /// None: whoever reads this may not see them.
    tokens: Option<Vec<tokens::Row>>,
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
        reasons: health.troubles.iter().map(|trouble| line(&quoted(&trouble.why), LONGEST_HOW)).collect(),
        facts,
        holdings: state.desk.holdings().into_iter().map(|holding| held(t, holding)).collect(),
        tokens: keyring.map(|keyring| tokens::read(state, keyring, t)).transpose()?,
        saved: saved(t, state),
    })
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
