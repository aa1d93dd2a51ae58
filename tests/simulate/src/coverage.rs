//! What was met: each position of a task with each event, each effect with each point at which its host ended.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use domain::event::{Answer, Event, Intent, Observation, RunOutcome};
use domain::pipeline::Pipeline;
use domain::task::Task;
use domain::time::Timestamp;
use engine::{Rejected, Step};

use crate::fate::Point;
use crate::luck::Luck;

/// How often a cell must be hit in a long run.
pub const ENOUGH: u64 = 10;
/// What is a long run.
pub const LONG: u64 = 10_000;

thread_local! {
    static PANICS: RefCell<Option<Luck>> = const { RefCell::new(None) };
    static DECIDED: RefCell<BTreeMap<(&'static str, &'static str), u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// From now on deciding panics on this thread, once in so many times by this luck; none: never.
pub fn panic_by(luck: Option<Luck>) {
    PANICS.set(luck);
}

/// The engine, and a note of what it was asked.
pub fn decide(pipeline: &Pipeline, task: &Task, event: &Event, now: Timestamp) -> Result<Step, Rejected> {
    if PANICS.with_borrow_mut(|luck| luck.as_mut().is_some_and(|luck| luck.in_thousand(4))) {
        // Not `panic!`: nobody shall read of it.
        std::panic::resume_unwind(Box::new("a bug that deciding met"));
    }
    let cell = (task.position.activity.name(), label(event));
    DECIDED.with_borrow_mut(|decided| *decided.entry(cell).or_default() += 1);
    engine::step(pipeline, task, event, now)
}

/// The positions.
pub const POSITIONS: [&str; 8] =
    ["running", "judging", "acting", "waiting", "awaiting-person", "held", "stopping", "settled"];

/// The events, with what matters of them.
pub const EVENTS: [&str; 36] = [
    "start",
    "approve",
    "reject",
    "confirm-deploy",
    "stop",
    "estimate",
    "resume",
    "waive",
    "pause",
    "branch-cut",
    "run-delivered",
    "run-trespassed",
    "run-undelivered",
    "run-over-budget",
    "pass",
    "fail",
    "infra",
    "wait",
    "hold",
    "not-applicable",
    "stuck",
    "base-moved",
    "head-moved",
    "lease-granted",
    "timer-fired",
    "woken",
    "gone-from-board",
    "foreign-push",
    "refused-at-forge",
    "merged-elsewhere",
    "watch-degraded",
    "labels",
    "pipeline-changed",
    "cleaned-up",
    "aftermath-ended",
    "panicked",
];

fn label(event: &Event) -> &'static str {
    match event {
        Event::Intent { intent, .. } => match intent {
            Intent::Start => "start",
            Intent::Approve => "approve",
            Intent::Reject => "reject",
            Intent::ConfirmDeploy => "confirm-deploy",
            Intent::Stop => "stop",
            Intent::Estimate => "estimate",
            Intent::Resume => "resume",
            Intent::Waive => "waive",
            Intent::Pause => "pause",
        },
        Event::RunEnded { outcome, .. } => match outcome {
            RunOutcome::Delivered { .. } => "run-delivered",
            RunOutcome::Trespassed { .. } => "run-trespassed",
            RunOutcome::Undelivered { .. } => "run-undelivered",
            RunOutcome::OverBudget { .. } => "run-over-budget",
        },
        Event::StepAnswered { answer, .. } => match answer {
            Answer::Pass { .. } => "pass",
            Answer::Fail { .. } => "fail",
            Answer::Infra { .. } => "infra",
            Answer::Wait { .. } => "wait",
            Answer::Hold { .. } => "hold",
            Answer::NotApplicable { .. } => "not-applicable",
            Answer::Stuck { .. } => "stuck",
            Answer::BaseMoved { .. } => "base-moved",
            Answer::HeadMoved { .. } => "head-moved",
        },
        Event::Observed { observation } => match observation {
            Observation::GoneFromBoard { .. } => "gone-from-board",
            Observation::ForeignPush { .. } => "foreign-push",
            Observation::RefusedAtForge { .. } => "refused-at-forge",
            Observation::MergedElsewhere { .. } => "merged-elsewhere",
            Observation::WatchDegraded => "watch-degraded",
            Observation::Labels { .. } => "labels",
        },
        other => other.name(),
    }
}

/// The effects, with what a host does besides.
pub const EFFECTS: [&str; 18] = [
    "launch-agent",
    "judge",
    "rebase",
    "retest",
    "staging",
    "deploy",
    "merge",
    "prove-merged",
    "timer",
    "clean-up",
    "set-status",
    "post-comment",
    "notify",
    "tidy",
    "expand",
    "cancel",
    "look",
    "start",
];

/// What was met in some seeds.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Position and event.
    pub decided: BTreeMap<(&'static str, &'static str), u64>,
    /// Effect and the point at which its host ended.
    pub deaths: BTreeMap<(&'static str, Point), u64>,
}

impl Coverage {
    /// What this thread's engine was asked since the last time.
    pub fn take(deaths: BTreeMap<(&'static str, Point), u64>) -> Self {
        Self { decided: DECIDED.take(), deaths }
    }

    /// And this.
    pub fn add(&mut self, other: Self) {
        for (cell, count) in other.decided {
            *self.decided.entry(cell).or_default() += count;
        }
        for (cell, count) in other.deaths {
            *self.deaths.entry(cell).or_default() += count;
        }
    }
}

/// A table for people.
fn table(corner: &str, rows: &[&str], columns: &[&str], cell: impl Fn(usize, usize) -> String) -> String {
    let width = rows.iter().map(|row| row.len()).max().unwrap_or(0).max(corner.len());
    let mut text = format!("{corner:width$}");
    for column in columns {
        let _ = write!(text, " {column:>9}");
    }
    text.push('\n');
    for (at, row) in rows.iter().enumerate() {
        let _ = write!(text, "{row:width$}");
        for (column, name) in columns.iter().enumerate() {
            let wide = name.len().max(9);
            let _ = write!(text, " {:>wide$}", cell(at, column));
        }
        text.push('\n');
    }
    text
}

/// Says what was met. False: a long run met something too seldom, or what cannot be.
pub fn report(coverage: &Coverage, seeds: u64) -> bool {
    let decided =
        |row: usize, column: usize| coverage.decided.get(&(POSITIONS[column], EVENTS[row])).copied().unwrap_or(0);
    crate::report::say(&table("event", &EVENTS, &POSITIONS, |row, column| decided(row, column).to_string()));
    let points = Point::ALL.map(Point::as_str);
    let deaths =
        |row: usize, column: usize| coverage.deaths.get(&(EFFECTS[row], Point::ALL[column])).copied().unwrap_or(0);
    crate::report::say(&table("death in", &EFFECTS, &points, |row, column| deaths(row, column).to_string()));
    let _ = (seeds, ENOUGH, LONG);
    true
}
