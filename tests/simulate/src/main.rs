//! The command.

use simulate::report::say;
use simulate::simulation::{Plan, play};

fn main() {
    let seeds: u64 = std::env::args().nth(2).and_then(|text| text.parse().ok()).unwrap_or(1);
    let from: u64 = std::env::args().nth(4).and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut steps = 0;
    for seed in from..from + seeds {
        let outcome = play(Plan { seed, steps: 250, weather: None, aloud: false });
        steps += outcome.steps;
        if !outcome.wrongs.is_empty() {
            for line in outcome.story.iter().rev().take(60).rev() {
                say(line);
            }
            say(&format!("seed {seed} after {} steps: {:#?}", outcome.steps, outcome.wrongs));
            return;
        }
        say(&format!("seed {seed}: {} steps {:?}", outcome.steps, outcome.done));
    }
    say(&format!("{steps} steps"));
}
