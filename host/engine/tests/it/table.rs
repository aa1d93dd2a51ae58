//! The whole table in one snapshot: each kind of position × each kind of event, and what it leads to. `step` is total: a row is
//! a transition or a typed rejection; events that lead to the same share a row. A change of the snapshot is a change of what is
//! legal: read it line by line.

use std::fmt::Write as _;

use domain::effect::{Effect, Wanted};
use domain::entry::Entry;
use domain::event::{Answer, Event, FailureClass, Intent, Observation, RunOutcome, Spent, StepFacts, Withholder};
use domain::ids::{BranchName, Digest, Epoch, FenceToken, RunId};
use domain::pipeline::Pipeline;
use domain::task::{Activity, Hold, HoldKind, Task};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::{GateHold, InfraCause, WakeKind, WakeSet};
use engine::{Illegal, Rejected, Step};
use serde::Serialize;

use crate::pipelines::{full, lease, quick, step};
use crate::walks::{Need, need_event};
use crate::world::{World, commit, person};

/// A kind of position: how it is called, and a task that stands there.
struct Position {
    name: &'static str,
    pipeline: Pipeline,
    task: Task,
}

fn at(name: &'static str, pipeline: Pipeline, stands: &str) -> Position {
    let mut world = World::new(pipeline);
    world.walk_to(stands);
    Position { name, pipeline: world.pipeline, task: world.task }
}

fn led_by(name: &'static str, pipeline: Pipeline, stands: &str, event: impl FnOnce(&mut World) -> Event) -> Position {
    let mut world = World::new(pipeline);
    world.walk_to(stands);
    let event = event(&mut world);
    world.tell(&event).unwrap();
    Position { name, pipeline: world.pipeline, task: world.task }
}

/// `acting`, with the leases that the step needs.
fn fenced(name: &'static str, pipeline: Pipeline, stands: &str) -> Position {
    let mut position = at(name, pipeline, stands);
    for name in position.task.requested.clone() {
        position.task.fold(&Entry::LeaseTaken { name, token: FenceToken(1) });
    }
    position
}

/// The same task, held at its step for this reason.
fn held(name: &'static str, stands: &str, kind: HoldKind) -> Position {
    let mut position = at(name, full(), stands);
    let hold = Hold { kind, reason: "look".to_owned(), step: position.task.position.activity.step().cloned() };
    position.task.fold(&Entry::ActivityEntered { activity: Activity::Held { hold }, at: Timestamp(0) });
    position
}

fn positions() -> Vec<Position> {
    let mut all = vec![
        at("running, quick", quick(), "development running"),
        at("running, full", full(), "analysis running"),
        at("judging", quick(), "review judging review-verdict"),
        led_by("waiting after wait", quick(), "development judging checks-green", |world| {
            world.answered(wait(), StepFacts::default())
        }),
        led_by("waiting after infra", full(), "deploy-staging acting retest", |world| {
            world.answered(infra(), StepFacts::default())
        }),
        at("awaiting approve", quick(), "testing awaiting-person approve"),
        at("awaiting confirm", full(), "deploy awaiting-person confirm"),
        at("acting, in line for its lease", quick(), "testing acting rebase"),
        at("acting, retest", quick(), "testing acting retest"),
        fenced("acting, deploy", full(), "deploy acting deploy"),
        fenced("acting, merge", full(), "deploy acting merge"),
        fenced("acting, prove-merged", quick(), "testing acting prove-merged"),
    ];
    all.extend([
        held("held, escalated", "review judging review-verdict", HoldKind::Escalated),
        held("held, needs-input", "analysis judging questions", HoldKind::NeedsInput),
        held("held, blocked", "testing judging tests-passed", HoldKind::Blocked),
        held("held, infra-exhausted", "deploy-staging acting retest", HoldKind::InfraExhausted),
        held("held, undelivered", "development running", HoldKind::Undelivered),
        held("held, dependency-cycle", "development running", HoldKind::DependencyCycle),
        held("held, paused", "deploy-staging awaiting-person approve", HoldKind::Paused),
        held("held, gone-from-board", "development judging checks-green", HoldKind::GoneFromBoard),
        held("held, refused-at-forge", "deploy-staging acting retest", HoldKind::RefusedAtForge),
        held("held, deployed-not-in-main", "deploy acting merge", HoldKind::DeployedNotInMain),
        held("held, merged-untested", "deploy-staging acting retest", HoldKind::MergedUntested),
        held("held, not-proven", "deploy acting prove-merged", HoldKind::NotProven),
        led_by("running, needing another", quick(), "development running", |_| need_event(Need::Added, 3)),
        led_by("stopping", quick(), "development running", |_| intent(Intent::Stop)),
        at("settled, done", quick(), "done settled"),
    ]);
    let mut cancelled = World::new(full());
    cancelled.intent(Intent::Stop, "").unwrap();
    cancelled.walk_to("cancelled settled");
    all.push(Position { name: "settled, cancelled", pipeline: cancelled.pipeline, task: cancelled.task });
    all
}

fn intent(intent: Intent) -> Event {
    Event::Intent { intent, actor: person(), note: "because".to_owned() }
}

fn infra() -> Answer {
    Answer::Infra { cause: InfraCause::Time, message: "slow".to_owned(), retry_after: None }
}

fn wait() -> Answer {
    Answer::Wait {
        until: Timestamp(1_060_000),
        wake: WakeSet::from_iter([WakeKind::Checks]),
        why: "not yet".to_owned(),
    }
}

/// Each kind of event, as it would arrive at this task; `late` comes from the activity before.
fn events(task: &Task, pipeline: &Pipeline) -> Vec<(String, Event)> {
    let epoch = task.epoch;
    let mut events = Vec::new();
    let intents = [
        Intent::Start,
        Intent::Approve,
        Intent::Reject,
        Intent::ConfirmDeploy,
        Intent::Stop,
        Intent::Estimate,
        Intent::Resume,
        Intent::Waive,
        Intent::Pause,
    ];
    events.extend(intents.map(|wanted| (format!("intent {}", word(&wanted)), intent(wanted))));
    let branch = BranchName::new("gatewright/SHOP-7").unwrap();
    events.push(("branch-cut".to_owned(), Event::BranchCut { epoch, branch, base: commit(1), documents: Vec::new() }));
    events.extend(run_ends(epoch));
    events.extend(step_answers(task));
    events.push(("lease-granted".to_owned(), Event::LeaseGranted { name: lease("merge"), token: FenceToken(2) }));
    events.push(("timer-fired".to_owned(), Event::TimerFired { epoch }));
    events.push(("timer-fired, late".to_owned(), Event::TimerFired { epoch: Epoch(epoch.0 - 1) }));
    events.push(("woken checks".to_owned(), Event::Woken { kind: WakeKind::Checks }));
    events.push(("woken push".to_owned(), Event::Woken { kind: WakeKind::Push }));
    events.extend(observations());
    events.push((
        "pipeline-changed".to_owned(),
        Event::PipelineChanged { digest: pipeline.digest().clone(), changed: Vec::new() },
    ));
    events.push(("cleaned-up".to_owned(), Event::CleanedUp { epoch }));
    events.push(("aftermath-ended".to_owned(), Event::AftermathEnded { note: "posted".to_owned() }));
    for (word, by) in [
        ("withheld", Withholder::Guard),
        ("withheld, over budget", Withholder::Budget),
        ("withheld, paused", Withholder::Pause),
    ] {
        events.push((word.to_owned(), Event::Withheld { epoch, by, reason: "not tonight".to_owned() }));
    }
    let (actor, why) = (person(), "they may not decide it".to_owned());
    events.push(("intent-refused".to_owned(), Event::IntentRefused { intent: Intent::Approve, actor, why }));
    events.extend(
        [
            ("dependency-added", Need::Added),
            ("dependency-removed", Need::Removed),
            ("prerequisite-cancelled", Need::Cancelled),
            ("dependency-cycle", Need::Cycle),
        ]
        .map(|(name, need)| (name.to_owned(), need_event(need, 3))),
    );
    events.push((
        "panicked".to_owned(),
        Event::Panicked { message: "index out of bounds".to_owned(), unanswered: false },
    ));
    events
}

fn run_ends(epoch: Epoch) -> Vec<(String, Event)> {
    let delivered = RunOutcome::Delivered { head: Some(commit(2)), documents: Vec::new(), validated: None };
    let findings = Digest::of(b"findings");
    let spent = Some(Spent { cost_microusd: 5, ..Spent::default() });
    let outcomes = [
        delivered.clone(),
        RunOutcome::Trespassed { head: None, findings, count: 1, title: "another's document".to_owned() },
        RunOutcome::Undelivered { cause: "no document".to_owned(), retry_after: None, class: FailureClass::Permanent },
        RunOutcome::OverBudget { cause: "all is spent".to_owned() },
    ];
    let (cause, retry_after) = ("429".to_owned(), Some(Milliseconds(9000)));
    let transient = RunOutcome::Undelivered { cause, retry_after, class: FailureClass::Transient };
    let ended = |epoch, outcome| Event::RunEnded { epoch, run: RunId(1), outcome, spent, role: None };
    let mut events =
        outcomes.map(|outcome| (format!("run-ended {}", tag(&outcome, "outcome")), ended(epoch, outcome))).to_vec();
    events.push(("run-ended undelivered, transient".to_owned(), ended(epoch, transient)));
    events.push(("run-ended, late".to_owned(), ended(Epoch(epoch.0 - 1), delivered)));
    events
}

fn step_answers(task: &Task) -> Vec<(String, Event)> {
    let findings = Digest::of(b"findings");
    let answers = [
        Answer::Pass { note: "good".to_owned() },
        Answer::Fail { findings, count: 1, title: "red".to_owned() },
        infra(),
        wait(),
        Answer::Hold { kind: GateHold::NeedsInput, reason: "what?".to_owned() },
        Answer::Hold { kind: GateHold::Blocked, reason: "mend it".to_owned() },
        Answer::NotApplicable { why: "nothing to see".to_owned() },
        Answer::Stuck { kind: HoldKind::FateUnknown, reason: "lost".to_owned() },
        Answer::BaseMoved { base: commit(3) },
        Answer::HeadMoved { head: commit(4) },
    ];
    let asked = task.position.activity.step().cloned().unwrap_or_else(|| step("merge"));
    answers
        .map(|answer| {
            let name = match &answer {
                Answer::Hold { kind, .. } => format!("step-answered hold {}", word(kind)),
                other => format!("step-answered {}", tag(other, "answer")),
            };
            let facts = StepFacts::default();
            (name, Event::StepAnswered { epoch: task.epoch, step: asked.clone(), answer, facts, woken: false })
        })
        .to_vec()
}

fn observations() -> Vec<(String, Event)> {
    let by = || "bob".to_owned();
    let seen = [
        ("gone-from-board", Observation::GoneFromBoard { by: by() }),
        ("foreign-push", Observation::ForeignPush { head: commit(4) }),
        ("refused-at-forge", Observation::RefusedAtForge { by: by() }),
        ("merged-elsewhere, tested", Observation::MergedElsewhere { commit: commit(5), by: by(), tested: true }),
        ("landed", Observation::Landed { commit: commit(5), by: by() }),
        ("merged-elsewhere, untested", Observation::MergedElsewhere { commit: commit(5), by: by(), tested: false }),
        ("watch-degraded", Observation::WatchDegraded),
        ("labels", Observation::Labels { labels: vec!["bug".to_owned(), "autoDeploy".to_owned()] }),
    ];
    seen.map(|(name, observation)| (format!("observed {name}"), Event::Observed { observation })).to_vec()
}

/// The kebab-case word of a unit value.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
}

/// The word of a tagged value.
fn tag(value: &impl Serialize, key: &str) -> String {
    serde_json::to_value(value).unwrap()[key].as_str().unwrap().to_owned()
}

/// What an event leads to. Why something is illegal is told to people; here only that it is.
fn outcome(before: &Task, answer: &Result<Step, Rejected>) -> String {
    let step = match answer {
        Ok(step) => step,
        Err(Rejected::Illegal(_)) => return "✗ illegal".to_owned(),
        Err(rejected) => return format!("✗ {}", tag(rejected, "rejected")),
    };
    let mut after = before.clone();
    for entry in &step.entries {
        after.fold(entry);
    }
    let parts = [
        ("entries", step.entries.iter().map(|entry| tag(entry, "entry")).collect::<Vec<_>>()),
        ("changes", step.changes.iter().map(|change| tag(change, "change")).collect()),
        ("effects", step.effects.iter().map(effect).collect()),
    ];
    let mut said = format!("→ {}", place(&after));
    for (name, words) in parts.into_iter().filter(|(_, words)| !words.is_empty()) {
        let _ = write!(said, " | {name} {}", words.join(" "));
    }
    said
}

fn place(task: &Task) -> String {
    let position = &task.position;
    let mut place = format!("{}#{} {}", position.stage, position.visit, position.activity.name());
    if let Activity::Held { hold } = &position.activity {
        let _ = write!(place, " {}", word(&hold.kind));
    }
    if let Some(step) = position.activity.step() {
        let _ = write!(place, " at {step}");
    }
    place
}

fn effect(wanted: &Wanted) -> String {
    match &wanted.effect {
        Effect::Notify { notice, .. } => format!("notify:{}", notice.word()),
        Effect::SetStatus { phase } => format!("set-status:{phase}"),
        Effect::Launch { role, attempt } => format!("launch:{role}:{attempt}"),
        Effect::Judge { step, .. } => format!("judge:{step}"),
        other => other.name().to_owned(),
    }
}

#[test]
fn every_position_times_every_event_is_a_transition_or_a_typed_rejection() {
    let mut table = String::new();
    for position in positions() {
        let Position { name, pipeline, task } = position;
        let _ = writeln!(table, "{name}: {}", place(&task));
        let mut rows: Vec<(String, Vec<String>)> = Vec::new();
        for (event_name, event) in events(&task, &pipeline) {
            let said = outcome(&task, &engine::step(&pipeline, &task, &event, Timestamp(1_030_000)));
            match rows.iter_mut().find(|(known, _)| *known == said) {
                Some((_, names)) => names.push(event_name),
                None => rows.push((said, vec![event_name])),
            }
        }
        for (said, names) in rows {
            let _ = writeln!(table, "  {} {said}", names.join(" · "));
        }
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}

/// The table leaves no kind of activity out, and no kind of event.
#[test]
fn the_table_has_every_activity_and_every_event() {
    let positions = positions();
    let activities = positions.iter().map(|position| position.task.position.activity.name());
    assert_eq!(activities.collect::<std::collections::BTreeSet<_>>().len(), 8);
    let Position { pipeline, task, .. } = &positions[0];
    let kinds = events(task, pipeline).iter().map(|(_, event)| event.name()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(kinds.len(), 18);
}

#[test]
fn a_rejection_has_one_word_wherever_it_is_read() {
    let words = [Rejected::Late, Rejected::Duplicate, Rejected::Illegal(Illegal::NoCleanUp), Rejected::Terminal];
    let words = words.map(|rejected| (rejected.word(), tag(&rejected, "rejected")));
    assert_eq!(words.each_ref().map(|(word, _)| *word), ["late", "duplicate", "illegal", "terminal"]);
    assert!(words.iter().all(|(word, written)| word == written), "{words:?}");
}
