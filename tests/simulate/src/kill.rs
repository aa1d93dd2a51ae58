//! Kills of the real program: on the demonstration's world, at named places and at any time. What was lost and what was doubled is
//! counted by the other side's own records, and never by our database.
//!
//! A [`round`] has a [`stage`] of its own, a [`host`] that dies as the [`plan`] says and is started again, and a [`person`] at its
//! board. The [`tally`] compares with a first round in which nobody dies.

mod aside;
mod binary;
mod door;
mod errand;
mod host;
mod http;
mod person;
mod plan;
mod round;
mod stage;
mod tally;

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use kill_points::PLACES;
use serde_json::json;

use crate::luck::Luck;
use crate::report::say;

use plan::Planner;
use round::{Round, Strike, Told, Whom};
use stage::Stage;
use tally::{Effect, Tally};

/// Hits of each place that are enough.
pub const HITS: u64 = 3;

/// What shall be killed, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kills {
    /// Rounds with deaths; one without comes before them.
    pub rounds: u64,
    /// Of which places and times are drawn.
    pub seed: u64,
    /// Hits that each place must have in the end.
    pub hits: u64,
    /// Only these places; none: all.
    pub places: Vec<String>,
    /// The program, built with its places; none: it is built.
    pub binary: Option<PathBuf>,
    /// The report as one JSON object.
    pub json: bool,
    /// The folders of sound rounds stay too.
    pub keep: bool,
}

/// What all rounds told.
#[derive(Default)]
struct Sums {
    rounds: u64,
    deaths: u64,
    random: (u64, u64),
    held: (u64, u64),
    /// Least, most, doubled.
    effects: std::collections::BTreeMap<Effect, (u64, u64, u64)>,
    wrongs: Vec<String>,
}

/// Kills; whether nothing was lost or doubled, and each place hit often enough.
pub fn run(kills: &Kills) -> bool {
    match play(kills) {
        Ok(holds) => holds,
        Err(why) => {
            say(&why);
            false
        }
    }
}

fn play(kills: &Kills) -> Result<bool, String> {
    if let Some(unknown) = kills.places.iter().find(|place| !PLACES.contains(&place.as_str())) {
        return Err(format!("there is no place `{unknown}`; there are: {}", PLACES.join(", ")));
    }
    let all = PLACES.iter().map(|place| (*place).to_owned()).collect::<Vec<_>>();
    let places = if kills.places.is_empty() { &all } else { &kills.places };
    let binary = kills.binary.clone().map_or_else(binary::build, Ok)?;
    let folder = env::temp_dir().join(format!("gatewright-kill-{}", process::id()));
    let cache = folder.join("cache");
    let calm = one(&binary, &folder.join("calm"), None, Vec::new(), 2, None)?;
    fs::rename(folder.join("calm/state/cache"), &cache).map_err(|error| error.to_string())?;
    if !calm.wrongs.is_empty() {
        return Err(format!("without any death already:\n{}\nkept: {}", calm.wrongs.join("\n"), folder.display()));
    }
    let mut sums = Sums::default();
    let mut planner = Planner::new(places, kills.hits, kills.rounds, calm.passed.clone());
    for number in 1..=kills.rounds {
        let mut luck = Luck::new(kills.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number));
        let (strikes, stops_after) = (planner.plan(&mut luck), 1 + luck.below(4));
        let root = folder.join(number.to_string());
        let told = one(&binary, &root, Some(&cache), strikes.clone(), stops_after, Some(&calm.tally))?;
        planner.note(&told);
        sums.add(number, &told, &calm.tally);
        if !kills.json {
            tell(number, &strikes, &told, &root);
        }
        if told.wrongs.is_empty() && !kills.keep {
            fs::remove_dir_all(&root).map_err(|error| format!("{}: {error}", root.display()))?;
        }
    }
    let holds = sums.report(kills, &planner, &calm);
    if sums.wrongs.is_empty() && !kills.keep {
        // What is left of it is a few files in the folder for such.
        let _ = fs::remove_dir_all(&folder);
    }
    Ok(holds)
}

fn one(
    binary: &Path,
    root: &Path,
    cache: Option<&Path>,
    strikes: Vec<Strike>,
    stops_after: u64,
    calm: Option<&Tally>,
) -> Result<Told, String> {
    let stage = Stage::make(binary, root, cache)?;
    let round = Round::new(binary, &stage, strikes, stops_after).map_err(|error| error.to_string())?;
    Ok(round.play(calm))
}

fn tell(number: u64, strikes: &[Strike], told: &Told, root: &Path) {
    let died = told.hits.join(", ");
    let (hosts, shims) = told.random;
    say(&format!(
        "round {number}: {:.1} s; died at {died}; at random {hosts} host, {shims} shim; held {} times",
        told.took.as_secs_f64(),
        told.held.0
    ));
    for wrong in &told.wrongs {
        say(&format!("  WRONG: {wrong}"));
    }
    if !told.wrongs.is_empty() {
        let planned = strikes.iter().map(|strike| match strike {
            Strike::At { place, count } => format!("{place}:{count}"),
            Strike::Later { after, whom: Whom::Host } => format!("the host after {} ms", after.as_millis()),
            Strike::Later { after, whom: Whom::Shim } => format!("a shim after {} ms", after.as_millis()),
        });
        say(&format!("  planned: {}; kept: {}", planned.collect::<Vec<_>>().join(", "), root.display()));
    }
}

impl Sums {
    fn add(&mut self, number: u64, told: &Told, calm: &Tally) {
        self.rounds += 1;
        self.deaths += told.hits.len() as u64 + told.random.0 + told.random.1;
        self.random = (self.random.0 + told.random.0, self.random.1 + told.random.1);
        self.held = (self.held.0 + told.held.0, self.held.1 + told.held.1);
        for effect in Effect::ALL {
            let (count, doubled) = (told.tally.all(effect), told.tally.doubled(effect, calm));
            let row = self.effects.entry(effect).or_insert((count, count, 0));
            *row = (row.0.min(count), row.1.max(count), row.2 + doubled);
        }
        self.wrongs.extend(told.wrongs.iter().map(|wrong| format!("round {number}: {wrong}")));
    }

    fn report(&self, kills: &Kills, planner: &Planner, calm: &Told) -> bool {
        let few = planner.too_few();
        let holds = self.wrongs.is_empty() && few.is_empty();
        if kills.json {
            self.print_json(kills, planner, calm, holds);
            return holds;
        }
        say(&format!("\n{:<40} {:>4} {:>12}", "place", "hits", "not reached"));
        for (place, hits, missed) in planner.table() {
            say(&format!("{place:<40} {hits:>4} {missed:>12}"));
        }
        say(&format!(
            "\n{:<20} {:>5} {:>5} {:>5} {:>8}  counted by",
            "effect, each round", "calm", "least", "most", "doubled"
        ));
        for (effect, (least, most, doubled)) in &self.effects {
            let (name, record) = (effect.name(), effect.record());
            say(&format!("{name:<20} {:>5} {least:>5} {most:>5} {doubled:>8}  {record}", calm.tally.all(*effect)));
        }
        let (hosts, shims) = self.random;
        say(&format!(
            "\n{} rounds, {} deaths, {hosts} of a host and {shims} of a shim at random",
            self.rounds, self.deaths
        ));
        let (held, again) = self.held;
        say(&format!(
            "held {held} times after the death of a shim; {again} times a person so ordered a hook that had done its work"
        ));
        for wrong in self.wrongs.iter().chain(&few) {
            say(&format!("WRONG: {wrong}"));
        }
        holds
    }

    fn print_json(&self, kills: &Kills, planner: &Planner, calm: &Told, holds: bool) {
        let places =
            planner.table().map(|(place, hits, missed)| json!({"place": place, "hits": hits, "not_reached": missed}));
        let effects = self.effects.iter().map(|(effect, (least, most, doubled))| {
            json!({
                "effect": effect.name(), "keyed": effect.is_keyed(), "counted_by": effect.record(),
                "calm": calm.tally.all(*effect), "least": least, "most": most, "doubled": doubled,
            })
        });
        let report = json!({
            "holds": holds, "rounds": self.rounds, "seed": kills.seed, "deaths": self.deaths,
            "random": {"host": self.random.0, "shim": self.random.1},
            "held": self.held.0, "hooks_ordered_again": self.held.1,
            "places": places.collect::<Vec<_>>(), "effects": effects.collect::<Vec<_>>(),
            "wrongs": self.wrongs.iter().chain(&planner.too_few()).collect::<Vec<_>>(),
        });
        say(&report.to_string());
    }
}
