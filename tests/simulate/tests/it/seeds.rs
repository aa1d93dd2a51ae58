//! Few seeds; many are for `cargo run --release -p simulate -- --seeds N`.

use simulate::command::STEPS;
use simulate::simulation::{Plan, play};
use simulate::weather::{Trouble, Weather};

/// So many that this test takes a few seconds without optimisation.
const SEEDS: u64 = 15;

fn plan(seed: u64) -> Plan {
    Plan { seed, steps: STEPS, weather: None, aloud: false, observed: None }
}

#[test]
fn whatever_goes_wrong_nothing_is_lost_and_nothing_is_done_twice() {
    for seed in 1..=SEEDS {
        let outcome = play(plan(seed));
        let story = || outcome.story.join("\n");
        assert!(outcome.wrongs.is_empty(), "seed {seed}: {:#?}\n{}", outcome.wrongs, story());
    }
}

#[test]
fn without_faults_every_task_is_done() {
    let outcome = play(Plan { weather: Some(Weather::calm()), ..plan(1) });
    assert_eq!(outcome.wrongs, Vec::<String>::new());
    let (done, all) = outcome.done;
    assert_eq!(done, all);
    assert!(all > 1, "{all}");
}

#[test]
fn a_seed_tells_the_same_story_each_time() {
    let weather = Some(Weather::all().without(Trouble::Power));
    let plan = Plan { weather, steps: 120, ..plan(77) };
    let (once, again) = (play(plan), play(plan));
    assert!(once.story.len() > 100, "{}", once.story.len());
    assert_eq!(once.story, again.story);
    assert_eq!(once.steps, again.steps);
}

#[test]
fn nothing_is_done_outside_for_an_observed_project() {
    let mut met = (0, 0);
    for seed in 1..=3 * SEEDS {
        // From the beginning, or from the middle of whatever is under way; a host that was taken over from reads no file any more.
        let observed = Some(if seed % 2 == 0 { 0 } else { seed * 7 });
        let weather = Weather::all().without(Trouble::Overlap);
        let outcome = play(Plan { observed, weather: Some(weather), ..plan(seed) });
        let story = || outcome.story.join("\n");
        assert!(outcome.wrongs.is_empty(), "seed {seed}: {:#?}\n{}", outcome.wrongs, story());
        met = (met.0 + outcome.done.0, met.1 + outcome.done.1);
    }
    let (done, all) = met;
    assert!(done > 0 && all > done, "{done} of {all} tasks were brought to their end by others");
}
