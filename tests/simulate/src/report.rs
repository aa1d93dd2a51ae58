//! What is said to whoever started the simulator.

use std::io::Write as _;

use crate::command::{STEPS, troubles};
use crate::simulation::{Outcome, Plan, play};
use crate::weather::{Trouble, Weather};

/// Lines of a story's end that are printed.
const LINES: usize = 40;

/// A line on the standard output. Whoever does not read it does not get it.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A seed that failed.
pub struct Failure {
    /// How it was played.
    pub plan: Plan,
    /// What went wrong in it.
    pub weather: Weather,
    /// What was found, without its numbers.
    pub kind: String,
    /// What was found.
    pub wrongs: Vec<String>,
}

/// A sentence without its numbers: two seeds that say the same found the same.
pub fn kind(wrong: &str) -> String {
    let cut = wrong.split(": ").take(2).collect::<Vec<_>>().join(": ");
    let mut kind = String::new();
    for word in cut.split(' ').take(14) {
        let is_number = word.chars().any(|character| character.is_ascii_digit());
        kind.push_str(if is_number { "#" } else { word });
        kind.push(' ');
    }
    kind.trim_end().to_owned()
}

/// Takes away what does not matter, and tells what is left.
pub fn shorten(failure: &Failure) {
    let mut weather = failure.weather;
    let fails = |weather, steps| {
        let outcome = play(Plan { weather: Some(weather), steps, ..failure.plan });
        outcome.wrongs.first().is_some_and(|wrong| kind(wrong) == failure.kind).then_some(outcome)
    };
    let mut shortest: Option<Outcome> = fails(weather, failure.plan.steps);
    for trouble in Trouble::ALL.into_iter().filter(|trouble| failure.weather.has(*trouble)) {
        if let Some(outcome) = fails(weather.without(trouble), failure.plan.steps) {
            weather = weather.without(trouble);
            shortest = Some(outcome);
        }
    }
    let mut steps = failure.plan.steps;
    for fewer in [steps / 4, steps / 2, steps * 3 / 4] {
        if let Some(outcome) = fails(weather, fewer) {
            (steps, shortest) = (fewer, Some(outcome));
            break;
        }
    }
    let seed = failure.plan.seed;
    say(&format!("seed {seed} fails:"));
    if let Some(outcome) = &shortest {
        let begin = outcome.story.len().saturating_sub(LINES);
        outcome.story[begin..]
            .iter()
            .for_each(|line| say(&format!("  {}", line.chars().take(200).collect::<String>())));
    }
    let wrongs = shortest.as_ref().map_or(&failure.wrongs, |outcome| &outcome.wrongs);
    for wrong in wrongs {
        say(&format!("WRONG: {wrong}"));
    }
    let count = if steps == STEPS { String::new() } else { format!(" --steps {steps}") };
    let only = if weather == Weather::calm() { "nothing".to_owned() } else { troubles(weather) };
    say(&format!("again: cargo run --release -p simulate -- --seed {seed}{count} --only {only}\n"));
}
