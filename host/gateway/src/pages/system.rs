//! What this host can rely on: how it feels, by what its runs are held, how large its state is.

use askama::Template;

use super::frame::Frame;
use crate::api::{HeldBy, Holding, State};
use crate::app::GatewayState;
use crate::problem::Problem;
use crate::show::{bytes, line};
use crate::tongue::Tongue;

/// What helps against a sandbox that does not work is a long sentence.
const LONGEST_HOW: usize = 1000;

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
}

/// One thing that runs are held by.
struct Held {
    name: String,
    state: State,
    by: &'static str,
    how: String,
}

pub(crate) fn read(state: &GatewayState, t: Tongue) -> Result<System, Problem> {
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
        reasons: health.reasons.iter().map(|reason| line(reason, LONGEST_HOW)).collect(),
        facts,
        holdings: state.desk.holdings().into_iter().map(|holding| held(t, holding)).collect(),
    })
}

fn held(t: Tongue, holding: Holding) -> Held {
    let (state, by) = match holding.held_by {
        HeldBy::Kernel => (State::Done, t.of("by the kernel", "ядром")),
        HeldBy::Shim => (State::Done, t.of("by the run's shim", "надзирателем запуска")),
        HeldBy::Nobody => (State::Held, t.of("by nobody", "никем")),
    };
    Held { name: holding.name, state, by, how: line(&holding.how, LONGEST_HOW) }
}
