//! Why a task does not go on: the same sentence on every page and in every answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor::ports::store::{JobRow, RunRow};
use conductor::slots::{Place, Seat, Sitter};
use domain::document::Role;
use domain::effect::run_of;
use domain::event::{Event, FailureClass, RunOutcome};
use domain::ids::DriverName;
use domain::time::Milliseconds;
use gateway::api::{LiveQueue, Queue, State, TaskView, Why};

use crate::spent::{complete, in_russian, launched};
use crate::world::{NOW, World, name};

/// Its run was refused for now, with these words, and is made again in a minute.
async fn refused(world: &World, key: &str, said: &str) {
    let claim = launched(world, key).await;
    let mut row = RunRow::begun(run_of(claim.job.id), &claim.task, Role::Developer, 1, "agent".to_owned(), NOW);
    world.store.put_run(&row, claim.token).unwrap();
    row.ended_at = Some(NOW);
    row.outcome = Some(format!("undelivered, and tried again later: {said}"));
    let outcome = RunOutcome::Undelivered {
        cause: said.to_owned(),
        retry_after: Some(Milliseconds::from_seconds(60)),
        class: FailureClass::Transient,
    };
    let event =
        Event::RunEnded { epoch: claim.job.epoch, run: row.id, outcome, spent: None, role: Some(Role::Developer) };
    complete(world, &claim, event, Some(&row));
}

#[tokio::test]
async fn a_task_that_its_service_refused_says_which_and_what_and_until_when_and_how_often() {
    let world = World::new();
    let sitter = Sitter { driver: Some(DriverName::new("claude").unwrap()), missing: None };
    let place = Place { seats: BTreeMap::from([(Seat::Role(Role::Developer), sitter)]), ..Place::default() };
    world.desk.limits.lock().unwrap().places = Some(Arc::new(BTreeMap::from([(name("demo"), place)])));
    let said = format!("429 <b>rate</b> \u{202E}limit\u{E000} {}", "overloaded ".repeat(10_000));
    refused(&world, "DEMO-001", &said).await;
    let cause = "the service behind `claude` refused for now, retry 1 of 10: 429 <b>rate</b> ";
    let view: TaskView = world.get("/api/v1/tasks/DEMO-001").await.parse();
    assert_eq!((view.standing.state, view.standing.needs_person), (State::Retrying, false));
    let why: Why = world.get("/api/v1/tasks/DEMO-001/why").await.parse();
    let live: LiveQueue = world.get("/api/v1/queue").await.parse();
    let Queue { jobs, .. } = world.get("/queue").await.parse();
    let note = |jobs: &[JobRow]| {
        jobs.iter().find(|job| job.state == "queued" && job.effect == "launch-agent").unwrap().note.clone().unwrap()
    };
    for sentence in [view.standing.sentence.clone(), why.waits_for, note(&live.items), note(&jobs.fine().unwrap())] {
        assert!(sentence.contains(cause), "{sentence}");
        assert!(sentence.len() < 700 && sentence.ends_with('…'), "{} characters: {sentence}", sentence.len());
    }
    assert!(view.standing.sentence.starts_with("it is tried again at 2026-09-21 14:14:20 UTC: "));
    for path in ["/", "/q", "/t/DEMO-001", "/p/demo", "/find?q=hello"] {
        let english = world.get(path).await.text().to_owned();
        let shown =
            "the service behind “claude” refused for now, retry 1 of 10: 429 &#60;b&#62;rate&#60;/b&#62; ⟦U+202E⟧limit";
        assert!(english.contains(shown), "{path}: {english}");
        assert!(!english.contains("its time has not come") && !english.contains(&"overloaded ".repeat(60)), "{path}");
        let russian = in_russian(&world, path).await.text().to_owned();
        let shown = "служба за “claude” пока отказала, повтор 1 из 10: <span lang=\"en\">429 &#60;b&#62;rate";
        assert!(russian.contains(shown), "{path}: {russian}");
    }
    for (page, until) in [(world.get("/").await, "14:14:20 UTC"), (world.get("/q").await, "T14:14:20Z")] {
        assert!(page.text().contains(until), "{}", page.text());
    }
}

#[tokio::test]
async fn what_was_put_off_says_by_what_and_how_often_it_was_tried() {
    let world = World::new();
    let claim = launched(&world, "DEMO-001").await;
    let later = NOW.plus(Milliseconds::from_seconds(60));
    world.store.give_back(claim.job.id, claim.token, later, "the forge answers 503: <i>busy</i>").unwrap();
    let view: TaskView = world.get("/api/v1/tasks/DEMO-001").await.parse();
    let why = "it waits until 2026-09-21 14:14:20 UTC: the forge answers 503: <i>busy</i>; tries so far: 1";
    assert_eq!(view.standing.sentence, why);
    for path in ["/", "/q", "/t/DEMO-001", "/p/demo"] {
        let page = world.get(path).await;
        assert!(page.text().contains("the forge answers 503: &#60;i&#62;busy&#60;/i&#62;"), "{path}: {}", page.text());
        let russian = in_russian(&world, path).await;
        assert!(russian.text().contains("<span lang=\"en\">the forge answers 503: "), "{path}: {}", russian.text());
    }
}
