//! What was met: each position of a task with each event, each effect with each point at which its host ended.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use domain::event::{Answer, Event, FailureClass, Intent, Observation, RunOutcome};
use domain::pipeline::Pipeline;
use domain::task::{Activity, Task};
use domain::time::Timestamp;
use engine::{Rejected, Step};

use crate::fate::Point;
use crate::luck::Luck;
use crate::report::say;

/// How often a cell must be hit in a long run.
pub const ENOUGH: u64 = 10;
/// What is a long run.
pub const LONG: u64 = 10_000;

thread_local! {
    static PANICS: RefCell<Option<Luck>> = const { RefCell::new(None) };
    static LOSES: RefCell<Option<Luck>> = const { RefCell::new(None) };
    static DECIDED: RefCell<BTreeMap<(&'static str, &'static str), u64>> = const { RefCell::new(BTreeMap::new()) };
}

/// From now on deciding panics on this thread, once in so many times by this luck; none: never.
pub fn panic_by(luck: Option<Luck>) {
    PANICS.set(luck);
}

/// From now on deliveries of the board are lost on this thread, some of them by this luck; none: no one.
pub fn lose_by(luck: Option<Luck>) {
    LOSES.set(luck);
}

/// Whether the board's delivery comes.
pub fn tells(_: &domain::ids::Actor) -> bool {
    !LOSES.with_borrow_mut(|luck| luck.as_mut().is_some_and(|luck| luck.in_thousand(500)))
}

/// The engine, and a note of what it was asked.
pub fn decide(pipeline: &Pipeline, task: &Task, event: &Event, now: Timestamp) -> Result<Step, Rejected> {
    // Where a task is decided about seldom, it panics more often; and a stopped one nobody would help.
    let often = match task.position.activity {
        Activity::Stopping => 150,
        Activity::Waiting { .. } | Activity::AwaitingPerson { .. } => 40,
        Activity::Settled { .. } => 20,
        Activity::Acting { .. } | Activity::Judging { .. } => 8,
        _ => 4,
    };
    if PANICS.with_borrow_mut(|luck| luck.as_mut().is_some_and(|luck| luck.in_thousand(often))) {
        // Not `panic!`: nobody shall read of it.
        std::panic::resume_unwind(Box::new("a bug that deciding met"));
    }
    let cell = (task.position.activity.name(), label(task, event));
    DECIDED.with_borrow_mut(|decided| *decided.entry(cell).or_default() += 1);
    engine::step(pipeline, task, event, now)
}

/// The positions.
pub const POSITIONS: [&str; 8] =
    ["running", "judging", "acting", "waiting", "awaiting-person", "held", "stopping", "settled"];

/// The events, with what matters of them.
pub const EVENTS: [&str; 49] = [
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
    "run-refused",
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
    "dependency-added",
    "dependency-removed",
    "prerequisite-cancelled",
    "dependency-cycle",
    "withheld",
    "intent-refused",
    LATE_RUN,
    LATE_ANSWER,
    LATE_TIMER,
    LATE_CUT,
    LATE_WITHHELD,
    LATE_CLEAN,
];

/// A run whose activity the task has left.
const LATE_RUN: &str = "late run-ended";
/// The answer of a step that the task has left.
const LATE_ANSWER: &str = "late step-answered";
/// The timer of a wait that is over.
const LATE_TIMER: &str = "late timer-fired";
/// A branch that was cut for an activity that the task has left.
const LATE_CUT: &str = "late branch-cut";

/// A launch that was kept back for an activity that the task has left.
const LATE_WITHHELD: &str = "late withheld";
/// The clean-up of a stop that panicked meanwhile.
const LATE_CLEAN: &str = "late cleaned-up";

fn label(task: &Task, event: &Event) -> &'static str {
    if event.epoch().is_some_and(|epoch| epoch != task.epoch) {
        match event {
            Event::RunEnded { .. } => return LATE_RUN,
            Event::StepAnswered { .. } => return LATE_ANSWER,
            Event::TimerFired { .. } => return LATE_TIMER,
            Event::BranchCut { .. } => return LATE_CUT,
            Event::Withheld { .. } => return LATE_WITHHELD,
            Event::CleanedUp { .. } => return LATE_CLEAN,
            _ => {}
        }
    }
    row(event)
}

/// In which row an event is counted: what is new among them finds no way past this.
fn row(event: &Event) -> &'static str {
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
            RunOutcome::Undelivered { class: FailureClass::Transient, .. } => "run-refused",
            RunOutcome::Undelivered { .. } => "run-undelivered",
            RunOutcome::OverBudget { .. } => "run-over-budget",
            RunOutcome::Followed { .. } => "run-followed",
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
            Observation::Landed { .. } => "landed",
            Observation::WatchDegraded => "watch-degraded",
            Observation::Labels { .. } => "labels",
        },
        Event::BranchCut { .. }
        | Event::LeaseGranted { .. }
        | Event::TimerFired { .. }
        | Event::Woken { .. }
        | Event::PipelineChanged { .. }
        | Event::CleanedUp { .. }
        | Event::AftermathEnded { .. }
        | Event::Withheld { .. }
        | Event::IntentRefused { .. }
        | Event::DependencyAdded { .. }
        | Event::DependencyRemoved { .. }
        | Event::PrerequisiteCancelled { .. }
        | Event::DependencyCycle { .. }
        | Event::Panicked { .. } => event.name(),
    }
}

/// The effects, with what a host does besides.
pub const EFFECTS: [&str; 21] = [
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
    "observe",
    "reconcile",
    "weigh",
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

/// What a cell is, beside met or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// A long run meets it.
    Wanted,
    /// It can be met, and it needs so much at once that a long run need not.
    Rare,
    /// It is never met: else it is an error.
    Impossible,
}

/// Events that only some kinds of positions are told of in time; what the others are, and why.
const ONLY: [(&str, &[&str], Cell, &str); 28] = [
    ("run-delivered", &["running"], Cell::Impossible, "a run is the answer to a launch"),
    ("run-trespassed", &["running"], Cell::Impossible, "a run is the answer to a launch"),
    ("run-undelivered", &["running"], Cell::Impossible, "a run is the answer to a launch"),
    ("run-refused", &["running"], Cell::Impossible, "a run is the answer to a launch"),
    ("run-over-budget", &["running"], Cell::Impossible, "a run is the answer to a launch"),
    ("withheld", &["running", "acting"], Cell::Impossible, "only what begins is withheld"),
    ("pass", &["judging", "acting"], Cell::Impossible, "an answer is a step's"),
    ("fail", &["judging", "acting"], Cell::Impossible, "an answer is a step's"),
    ("infra", &["judging", "acting"], Cell::Impossible, "an answer is a step's"),
    ("wait", &["judging", "acting"], Cell::Impossible, "an answer is a step's"),
    ("hold", &["judging"], Cell::Impossible, "only a gate says this; an action is stuck"),
    ("not-applicable", &["judging"], Cell::Impossible, "an action always applies"),
    ("stuck", &["acting"], Cell::Impossible, "only the host itself says this, of an action"),
    ("base-moved", &["acting"], Cell::Impossible, "an action reads the base"),
    ("head-moved", &["acting"], Cell::Impossible, "an action reads the head"),
    ("lease-granted", &["acting"], Cell::Impossible, "the claim of an action's job grants it"),
    ("timer-fired", &["waiting"], Cell::Impossible, "a timer belongs to a wait"),
    ("woken", &["waiting"], Cell::Impossible, "the store tells only who waits"),
    ("branch-cut", &["running", "judging"], Cell::Impossible, "no way of ours begins with an action"),
    ("cleaned-up", &["stopping"], Cell::Impossible, "the clean-up is the stop's"),
    ("pipeline-changed", NOT_SETTLED, Cell::Impossible, "only live tasks are told"),
    ("gone-from-board", NOT_SETTLED, Cell::Rare, "the item of a task that ended is looked after by nobody"),
    ("intent-refused", NOT_SETTLED, Cell::Rare, "where no task lives a comment is all; it must end between two words"),
    ("foreign-push", NOT_SETTLED, Cell::Rare, "a forge's news of a branch goes to nobody but whose task lives"),
    (
        "refused-at-forge",
        NOT_STOPPING,
        Cell::Rare,
        "the clean-up takes the branch away, mostly before anybody else can",
    ),
    (
        "merged-elsewhere",
        &["running", "judging", "acting", "waiting", "awaiting-person", "held"],
        Cell::Rare,
        "the branch of a task that ends or ended is taken away; who merges it must come between",
    ),
    (
        "prerequisite-cancelled",
        &["running", "judging", "held"],
        Cell::Rare,
        "a task that has come so far needed nothing unmet: one must give it a need there, and one stop that other task",
    ),
    ("dependency-cycle", &[], Cell::Impossible, "the door refuses what would close one"),
];

const NOT_SETTLED: &[&str] = &["running", "judging", "acting", "waiting", "awaiting-person", "held", "stopping"];
const NOT_STOPPING: &[&str] = &["running", "judging", "acting", "waiting", "awaiting-person", "held", "settled"];

/// What the cell of a position and an event is.
fn of_decision(position: &str, event: &str) -> Cell {
    match ONLY.iter().find(|(listed, ..)| *listed == event) {
        Some((_, positions, other, _)) if !positions.contains(&position) => *other,
        _ => Cell::Wanted,
    }
}

/// Points that an effect does not have, and why.
const WITHOUT: [(&str, &[Point], &str); 9] = [
    ("timer", OUTSIDE, "it touches nothing outside"),
    ("prove-merged", OUTSIDE, "it only looks"),
    ("expand", PROBED, "it is no job"),
    (
        "reconcile",
        &[Point::Claimed, Point::Done, Point::BeforeOutside, Point::AfterOutside],
        "it is no job, and only looks",
    ),
    (
        "observe",
        &[Point::Claimed, Point::Done, Point::BeforeOutside, Point::AfterOutside],
        "it is no job, and only looks",
    ),
    ("weigh", PROBED, "it is no job's performing"),
    ("cancel", PROBED, "it is no job's performing"),
    ("look", &[Point::Claimed, Point::Done, Point::BeforeOutside, Point::AfterOutside], "it asks only the store"),
    ("start", &[Point::Claimed, Point::Done, Point::BeforeOutside, Point::AfterOutside], "it asks only the store"),
];

const OUTSIDE: &[Point] = &[Point::BeforeOutside, Point::AfterOutside];
const PROBED: &[Point] = &[Point::Claimed, Point::Done];

fn of_death(effect: &str, point: Point) -> Cell {
    let is_without = WITHOUT.iter().any(|(listed, points, _)| *listed == effect && points.contains(&point));
    if is_without { Cell::Impossible } else { Cell::Wanted }
}

/// Has the effect this point at all?
pub fn can_die(effect: &str, point: Point) -> bool {
    of_death(effect, point) == Cell::Wanted
}

/// Says what was met. False: a long run met something too seldom, or any run what cannot be.
pub fn report(coverage: &Coverage, seeds: u64) -> bool {
    let decided =
        |row: usize, column: usize| coverage.decided.get(&(POSITIONS[column], EVENTS[row])).copied().unwrap_or(0);
    let deaths =
        |row: usize, column: usize| coverage.deaths.get(&(EFFECTS[row], Point::ALL[column])).copied().unwrap_or(0);
    let points = Point::ALL.map(Point::as_str);
    let decisions = |row: usize, column: usize| of_decision(POSITIONS[column], EVENTS[row]);
    let ends = |row: usize, column: usize| of_death(EFFECTS[row], Point::ALL[column]);
    say(&table("event", &EVENTS, &POSITIONS, |row, column| shown(decided(row, column), decisions(row, column))));
    say(&table("death in", &EFFECTS, &points, |row, column| shown(deaths(row, column), ends(row, column))));
    let mut holes = Vec::new();
    let listed =
        |(position, event): &&(&'static str, &'static str)| !(POSITIONS.contains(position) && EVENTS.contains(event));
    holes.extend(coverage.decided.keys().filter(listed).map(|cell| format!("MET, AND IN NO TABLE: {cell:?}")));
    for (row, event) in EVENTS.iter().enumerate() {
        for (column, position) in POSITIONS.iter().enumerate() {
            let name = || format!("{event} while {position}");
            holes.extend(hole(decided(row, column), decisions(row, column), seeds, name));
        }
    }
    for (row, effect) in EFFECTS.iter().enumerate() {
        for (column, point) in points.iter().enumerate() {
            let name = || format!("death at {point} of {effect}");
            holes.extend(hole(deaths(row, column), ends(row, column), seeds, name));
        }
    }
    for hole in &holes {
        say(hole);
    }
    holes.is_empty()
}

/// `-` is impossible, brackets are rare.
fn shown(count: u64, cell: Cell) -> String {
    match (cell, count) {
        (Cell::Impossible, 0) => "-".to_owned(),
        (Cell::Rare, count) => format!("({count})"),
        _ => count.to_string(),
    }
}

fn hole(count: u64, cell: Cell, seeds: u64, name: impl Fn() -> String) -> Option<String> {
    match cell {
        Cell::Wanted if seeds >= LONG && count < ENOUGH => Some(format!("NOT MET: {}: {count} times", name())),
        Cell::Impossible if count > 0 => Some(format!("MET, AND IMPOSSIBLE: {}: {count} times", name())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
