//! `[budget]`, `[price]` and a role's `budget`: what may be spent, and what counts where nobody says what was.

use conductor::project::Worker;
use domain::budget::{Budgets, Cap};
use domain::cost::Price;

use crate::diagnostic::Problem;
use crate::keys;
use crate::reader::{At, Section};
use crate::worker::Crew;

/// Bounds of an amount in millionths of a US dollar: more is a slip of the pen.
const AMOUNTS: std::ops::RangeInclusive<u64> = 1..=1_000_000_000_000;
/// Bounds of a number of tokens.
const TOKENS: std::ops::RangeInclusive<u64> = 1..=1_000_000_000_000;
/// Bounds of added-up time in milliseconds; no span of a file is longer.
const WALLS: std::ops::RangeInclusive<u64> = 1000..=90 * 24 * 3_600_000;

/// A cap with the places of what needs a price.
#[derive(Debug)]
pub(crate) struct Placed {
    /// As messages call it.
    name: String,
    cost: Option<At<u64>>,
    tokens: Option<At<u64>>,
}

/// Reads a table of caps.
pub(crate) fn cap(section: &Section<'_>) -> (Cap, Placed) {
    let cost = section.get("cost-usd").and_then(|node| Some(At { value: node.microusd(&AMOUNTS)?, span: node.span }));
    let tokens = section.get("tokens").and_then(|node| Some(At { value: node.whole(TOKENS)?, span: node.span }));
    let wall = section.get("wall").and_then(|node| node.duration(&WALLS));
    if !["cost-usd", "tokens", "wall"].iter().any(|key| section.get(key).is_some() || section.has_slip_of(key)) {
        let problem = Problem::at(section.span.clone(), format!("{} says no bound", section.name));
        section.report.add(problem.help("cost-usd = 5.0, tokens = 2000000 or wall = \"2h\""));
    }
    let cap = Cap { cost_microusd: cost.as_ref().map(|at| at.value), tokens: tokens.as_ref().map(|at| at.value), wall };
    (cap, Placed { name: section.name.clone(), cost, tokens })
}

/// Reads `[budget]` and `[price]`, and holds that what needs a price has one.
pub(crate) fn read(file: &Section<'_>, crew: &Crew) -> (Budgets, Price) {
    let mut placed = Vec::new();
    let mut budgets = Budgets::default();
    if let Some(section) = file.section("budget", &keys::BUDGET) {
        let mut one = |key: &str| {
            let table = section.get(key)?.table(&format!("[budget.{key}]"), &keys::CAP)?;
            let (cap, places) = cap(&table);
            placed.push(places);
            Some(cap)
        };
        let (task, day, total) = (one("task"), one("day"), one("total"));
        budgets =
            Budgets { task: task.unwrap_or_default(), day: day.unwrap_or_default(), total: total.unwrap_or_default() };
    }
    let section = file.section("price", &keys::PRICE);
    for places in placed.iter().chain(&crew.caps) {
        needs_price(file, section.as_ref(), places, crew);
    }
    (budgets, section.map(|section| price(&section)).unwrap_or_default())
}

fn price(section: &Section<'_>) -> Price {
    let amount = |key: &str| section.get(key).and_then(|node| node.microusd(&AMOUNTS)).unwrap_or(0);
    let input = amount("usd-per-million-input-tokens");
    let cached = |key: &str| if section.get(key).is_some() { amount(key) } else { input };
    Price {
        microusd_per_hour: amount("usd-per-hour"),
        tokens_per_hour: section.whole("tokens-per-hour", TOKENS, 0),
        microusd_per_million: [
            input,
            amount("usd-per-million-output-tokens"),
            cached("usd-per-million-cache-read-tokens"),
            cached("usd-per-million-cache-creation-tokens"),
        ],
    }
}

/// A run that is killed or lost says nothing of its cost, and many agents never do: without a price that would be nothing.
fn needs_price(file: &Section<'_>, price: Option<&Section<'_>>, places: &Placed, crew: &Crew) {
    let silent = |says: fn(&conductor::project::Pointers) -> bool| {
        let agents = crew.workers.iter().filter_map(|(role, worker)| match worker {
            Worker::Agent(agent) => Some((role, agent)),
            Worker::Command(_) => None,
        });
        let silent = agents.filter(|(_, agent)| !agent.usage.pointers().is_some_and(says));
        let of_all = !places.name.contains("[roles.");
        let names = silent.map(|(role, _)| format!("[roles.{role}]"));
        names.filter(|name| of_all || places.name.contains(name)).collect::<Vec<_>>().join(", ")
    };
    let tell = |at: &At<u64>, key: &str, needed: &str, example: &str, silent: String| {
        let missing = price.is_none_or(|price| price.get(needed).is_none() && !price.has_slip_of(needed));
        if !missing || file.has_slip_of("price") {
            return;
        }
        let message = format!("`{key}` of {} needs `{needed}` of [price]", places.name);
        let mut problem = Problem::at(at.span.clone(), message).label("what nobody reports would count as nothing");
        if !silent.is_empty() {
            problem = problem.help(format!("whose `usage` names no such figure: {silent}"));
        }
        file.report.add(
            problem
                .help("a run that is killed or lost reports nothing, whatever its agent is")
                .help(format!("add to [price], for example: {example}")),
        );
    };
    if let Some(at) = &places.cost {
        tell(at, "cost-usd", "usd-per-hour", "usd-per-hour = 10.0", silent(|pointers| pointers.cost_usd.is_some()));
    }
    if let Some(at) = &places.tokens {
        let silent = silent(|pointers| pointers.input_tokens.is_some() || pointers.output_tokens.is_some());
        tell(at, "tokens", "tokens-per-hour", "tokens-per-hour = 5000000", silent);
    }
}
