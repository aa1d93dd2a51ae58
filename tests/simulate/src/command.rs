//! What the command line asks for, and the running of it.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::coverage::{self, Coverage};
use crate::kill::{self, Kills};
use crate::mutants;
use crate::report::{Failure, say, shorten};
use crate::simulation::{Plan, play};
use crate::weather::{Trouble, Weather};

/// How it is used.
pub const USAGE: &str = "\
simulate --seeds N [--from SEED] [--steps N] [--only TROUBLE,…] [--go-on] [--brief]   plays seeds
simulate --seed SEED [--steps N] [--only TROUBLE,…]                         plays one and tells its whole story
simulate mutants [--seeds N] [NAME…]                                        applies each kept bug, and looks for it
simulate kill --rounds N [--seed S] [--hits N] [--places NAME,…] [--bin PATH] [--json] [--keep]
                                                                            kills the real program, and counts";

/// What the line begins with that says which seed failed.
pub const FOUND: &str = "first failing seed: ";

/// Steps of a seed before its faults end.
pub const STEPS: u64 = 250;

/// How seeds are played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// Past a failing seed.
    pub goes_on: bool,
    /// A failing seed is only named.
    pub is_brief: bool,
}

/// What shall be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// Play seeds.
    Seeds {
        /// How many.
        seeds: u64,
        /// The first.
        from: u64,
        /// Steps of each before its faults end.
        steps: u64,
        /// What may go wrong; none: as each seed says.
        only: Option<u32>,
        /// What is said.
        manner: Manner,
    },
    /// Play one, aloud.
    One {
        /// Which.
        seed: u64,
        /// Steps before its faults end.
        steps: u64,
        /// What may go wrong; none: as it says.
        only: Option<u32>,
    },
    /// Kill the real program.
    Kill(Kills),
    /// Look for bugs that are there.
    Mutants {
        /// At most so many seeds for each.
        seeds: u64,
        /// Only these; none: all.
        names: Vec<String>,
    },
}

impl Command {
    /// Reads the words of the command line.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut words = words.peekable();
        if words.next_if(|word| word == "kill").is_some() {
            return parse_kills(words).map(Self::Kill);
        }
        let is_mutants = words.next_if(|word| word == "mutants").is_some();
        let (mut seeds, mut from, mut seed, mut steps, mut only) = (None, 1, None, STEPS, None);
        let mut manner = Manner::default();
        let mut names = Vec::new();
        while let Some(word) = words.next() {
            let mut number = || {
                let text = words.next().ok_or(format!("{word} wants a number"))?;
                text.parse::<u64>().map_err(|_| format!("{word} wants a number, not `{text}`"))
            };
            match word.as_str() {
                "--seeds" => seeds = Some(number()?),
                "--from" => from = number()?,
                "--seed" => seed = Some(number()?),
                "--steps" => steps = number()?,
                "--only" => only = Some(Weather::parse(&words.next().unwrap_or_default())?.bits()),
                "--go-on" => manner.goes_on = true,
                "--brief" => manner.is_brief = true,
                name if is_mutants && !name.starts_with('-') => names.push(name.to_owned()),
                other => return Err(format!("`{other}` is not known")),
            }
        }
        Ok(match (is_mutants, seed) {
            (true, _) => Self::Mutants { seeds: seeds.unwrap_or(mutants::SEEDS), names },
            (false, Some(seed)) => Self::One { seed, steps, only },
            (false, None) => Self::Seeds { seeds: seeds.ok_or("how many seeds?")?, from, steps, only, manner },
        })
    }

    /// Does it; whether all was well.
    pub fn run(self) -> bool {
        match self {
            Self::Seeds { seeds, from, steps, only, manner } => {
                let plan =
                    Plan { seed: from, steps, weather: only.map(Weather::of_bits), aloud: false, observed: None };
                many(plan, seeds, manner)
            }
            Self::One { seed, steps, only } => {
                let plan = Plan { seed, steps, weather: only.map(Weather::of_bits), aloud: true, observed: None };
                let outcome = play(plan.of(seed));
                for wrong in &outcome.wrongs {
                    say(&format!("WRONG: {wrong}"));
                }
                outcome.wrongs.is_empty()
            }
            Self::Kill(kills) => kill::run(&kills),
            Self::Mutants { seeds, names } => mutants::run(seeds, &names),
        }
    }
}

fn parse_kills(mut words: impl Iterator<Item = String>) -> Result<Kills, String> {
    let mut kills =
        Kills { rounds: 0, seed: 1, hits: kill::HITS, places: Vec::new(), binary: None, json: false, keep: false };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{word} wants a number, not `{text}`"));
        match word.as_str() {
            "--rounds" => kills.rounds = number(value()?)?,
            "--seed" => kills.seed = number(value()?)?,
            "--hits" => kills.hits = number(value()?)?,
            "--places" => kills.places = value()?.split(',').map(str::to_owned).collect(),
            "--bin" => kills.binary = Some(value()?.into()),
            "--json" => kills.json = true,
            "--keep" => kills.keep = true,
            other => return Err(format!("`{other}` is not known")),
        }
    }
    if kills.rounds == 0 { Err("how many rounds?".to_owned()) } else { Ok(kills) }
}

fn many(plan: Plan, seeds: u64, manner: Manner) -> bool {
    // The speed of the simulator itself: no seed sees it.
    let begun = Instant::now();
    let (mut steps, mut done, mut tasks) = (0, 0, 0);
    let mut coverage = Coverage::default();
    let mut failures: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let mut given_up: BTreeMap<String, u64> = BTreeMap::new();
    for seed in plan.seed..plan.seed + seeds {
        let outcome = play(plan.of(seed));
        steps += outcome.steps;
        done += outcome.done.0;
        tasks += outcome.done.1;
        // What others do moves the tasks of an observed project: the table is of those that act.
        if plan.of(seed).observed.is_none() {
            coverage.add(outcome.coverage);
        }
        for (why, times) in outcome.given_up {
            *given_up.entry(why).or_default() += times;
        }
        let Some(wrong) = outcome.wrongs.first() else { continue };
        let kind = crate::report::kind(wrong);
        let known = failures.entry(kind.clone()).or_insert((seed, 0));
        known.1 += 1;
        if manner.is_brief {
            say(&format!("{FOUND}{seed} {wrong}"));
        } else if known.1 == 1 {
            let failure = Failure { plan: plan.of(seed), weather: outcome.weather, kind, wrongs: outcome.wrongs };
            shorten(&failure);
        }
        if !manner.goes_on {
            break;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let speed = steps as f64 / seconds;
    say(&format!("{steps} steps in {seconds:.1} s: {speed:.0} a second; {done} of {tasks} tasks done"));
    for (why, times) in &given_up {
        say(&format!("given up at the end, {why}: {times}"));
    }
    for (kind, (first, times)) in &failures {
        say(&format!("FAILED {times} times, first by seed {first}: {kind}"));
    }
    let covered = coverage::report(&coverage, seeds);
    failures.is_empty() && covered
}

/// The names of what may go wrong.
pub fn troubles(weather: Weather) -> String {
    weather.kinds().map(Trouble::as_str).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        Command::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn kills_are_read_with_their_places() {
        let Ok(Command::Kill(kills)) = parse("kill --rounds 6 --hits 1 --places a,b --bin /x --json") else {
            panic!("it is a command")
        };
        assert_eq!((kills.rounds, kills.hits, kills.seed, kills.json), (6, 1, 1, true));
        assert_eq!((kills.places, kills.binary), (vec!["a".to_owned(), "b".to_owned()], Some("/x".into())));
        for wrong in ["kill", "kill --rounds", "kill --rounds many", "kill --rounds 1 --force"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
