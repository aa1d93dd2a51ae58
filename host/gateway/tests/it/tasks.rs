//! Tasks: made by a card, moved on by intents, and refused with the engine's reason.

use axum::http::StatusCode;
use conductor::ports::store::{ClaimLimits, EntryRow, Expansion, Incarnation, NewTask};
use domain::entry::Entry;
use domain::event::{Event, Intent, Observation};
use domain::ids::Actor;
use domain::task::Track;
use domain::time::Timestamp;
use gateway::api::{CardView, Listing, Problem, Rebuilt, State, Taken, TaskView, Why};

use crate::world::{NOW, World, name, project};

#[tokio::test]
async fn an_intent_steps_the_task_and_shows_its_new_standing() {
    let world = World::new();
    let id = world.task("DEMO-001", "Say hello");
    let before: TaskView = world.get("/api/v1/tasks/DEMO-001").await.parse();
    assert_eq!((before.standing.state, before.standing.needs_person), (State::NeedsYou, true));
    assert_eq!(before.standing.commands[0], "gatewright task approve DEMO-001");

    let reply = world.post(&format!("/api/v1/tasks/{id}/approve"), r#"{"note":"fine"}"#).await;
    assert_eq!(reply.status, StatusCode::OK);
    let taken: Taken = reply.parse();
    assert_eq!(taken.intent, Intent::Approve);
    assert_eq!(taken.task.task.position.stage.as_str(), "development");
    assert!(taken.task.task.version > before.task.version);
    let entries: Listing<EntryRow> = world.get(&format!("/api/v1/tasks/{id}/entries")).await.parse();
    let actor = Actor::Token("operator".to_owned());
    let note = "fine".to_owned();
    assert!(entries.items.iter().any(
        |row| row.entry == Entry::IntentTaken { intent: Intent::Approve, actor: actor.clone(), note: note.clone() }
    ));
    assert_eq!(world.wakes(), 1);
}

#[tokio::test]
async fn a_task_says_why_it_stands_where_it_stands_now_and_then() {
    let world = World::new();
    let id = world.task("DEMO-001", "Say hello");
    let made: Why = world.get("/api/v1/tasks/DEMO-001/why").await.parse();
    assert_eq!((made.event, made.waits_for.as_str()), (None, "approve the work, or reject it (`approve`)"));
    assert_eq!(made.moved_by[0], "gatewright task approve DEMO-001");
    world.post(&format!("/api/v1/tasks/{id}/resume"), "").await;
    let refused: Why = world.get("/api/v1/tasks/DEMO-001/why").await.parse();
    assert_eq!(refused.refused.len(), 1, "what did nothing is told too");
    assert_eq!(refused.refused[0].outcome, "illegal");
    world.post(&format!("/api/v1/tasks/{id}/approve"), r#"{"note":"fine"}"#).await;
    let now: Why = world.get("/api/v1/tasks/DEMO-001/why").await.parse();
    assert_eq!(now.event.unwrap().event.name(), "intent");
    assert!(now.decision.iter().any(|line| line.contains("fine")), "{:?}", now.decision);
    assert!(now.stage.starts_with("development"), "{}", now.stage);
    let then: Why = world.get(&format!("/api/v1/tasks/DEMO-001/why?at={}", NOW.0)).await.parse();
    assert_eq!((then.stage, then.waits_for.as_str()), (now.stage, "the developer works, attempt 1"));
    assert_eq!(then.moved_by, now.moved_by);
    assert!(now.said.is_some_and(|row| row.event.name() == "intent" && row.outcome != "illegal"));
    let never = world.get("/api/v1/tasks/DEMO-001/why?at=1").await;
    assert_eq!(never.status, StatusCode::NOT_FOUND);
    let rebuilt: Rebuilt = world.get("/api/v1/tasks/DEMO-001/rebuild").await.parse();
    assert!(rebuilt.differences.is_empty() && rebuilt.entries > 3, "{rebuilt:?}");
}

/// The clock jumped ahead for one step and back: stage, decision and what it waited for are of one cut.
#[tokio::test]
async fn a_task_says_of_one_moment_what_held_then_whatever_the_clock_did() {
    let world = World::new();
    let id = world.task("DEMO-001", "Say hello");
    let path = format!("/api/v1/tasks/{id}/why?at={}", NOW.0 + 60_000);
    let tell = |intent, at: u64| {
        let event = Event::Intent { intent, actor: Actor::Person("ada".to_owned()), note: "fine".to_owned() };
        world.store.apply(id, &event, Timestamp(NOW.0 + at)).unwrap();
    };
    tell(Intent::Approve, 3_600_000);
    let before: Why = world.get(&path).await.parse();
    assert_eq!((before.event, before.waits_for.as_str()), (None, "approve the work, or reject it (`approve`)"));
    assert_eq!(before.said, None, "what was said is of the same moment");
    tell(Intent::Pause, 30_000);
    let then: Why = world.get(&path).await.parse();
    assert!(then.stage.starts_with("development"), "{}", then.stage);
    assert!(then.waits_for.starts_with("the developer works, attempt 1"), "{}", then.waits_for);
    assert!(then.decision.iter().any(|line| line.contains("fine")), "{:?}", then.decision);
    assert_eq!(then.said.unwrap().event.name(), "intent");
}

#[tokio::test]
async fn an_intent_that_the_engine_does_not_take_is_a_conflict_with_its_reason() {
    let world = World::new();
    let id = world.task("DEMO-001", "Say hello");
    let cases = [
        ("confirm-deploy", "illegal", "`confirm-deploy` answers a step that asks for it; the task is awaiting-person"),
        ("resume", "illegal", "only a held task can be let on"),
    ];
    for (intent, word, expected) in cases {
        let reply = world.post(&format!("/api/v1/tasks/{id}/{intent}"), "").await;
        assert_eq!(reply.status, StatusCode::CONFLICT);
        let problem: Problem = reply.parse();
        assert_eq!(problem.rejected.as_deref(), Some(word));
        assert!(problem.detail.contains(expected), "{}", problem.detail);
        assert!(
            problem.detail.ends_with("DEMO-001 now: approve the work, or reject it (`approve`)"),
            "{}",
            problem.detail
        );
        assert_eq!(problem.task.unwrap().phase, "in-review");
    }
}

#[tokio::test]
async fn who_looked_at_another_version_is_told_so() {
    let world = World::new();
    let id = world.task("DEMO-001", "Say hello");
    let seen = world.store.task(id).unwrap().version;
    let reply = world.post("/api/v1/tasks/DEMO-001/approve", &format!(r#"{{"version":{}}}"#, seen.0 + 1)).await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    let problem: Problem = reply.parse();
    assert!(problem.detail.starts_with("changed since you looked: you saw version"), "{}", problem.detail);
    assert_eq!(problem.rejected.as_deref(), Some("late"));
    assert_eq!(world.store.task(id).unwrap().version, seen);
    let reply = world.post("/api/v1/tasks/DEMO-001/approve", &format!(r#"{{"version":{seen}}}"#)).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_ne!(world.store.task(id).unwrap().version, seen);
}

#[tokio::test]
async fn notes_are_looked_at() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    let waived = world.post("/api/v1/tasks/DEMO-001/waive", "").await;
    assert_eq!(waived.status, StatusCode::BAD_REQUEST);
    assert!(waived.detail().starts_with("`note` is empty; a waiver is kept for ever"));
    let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(4001));
    let reply = world.post("/api/v1/tasks/DEMO-001/reject", &long).await;
    assert_eq!(reply.detail(), "`note` has 4001 characters; it may have 4000");
    let unknown = world.post("/api/v1/tasks/DEMO-001/reject", r#"{"reason":"no"}"#).await;
    assert!(unknown.detail().contains("unknown field `reason`, expected one of `note`, `version`, `epoch`"));
    let reply = world.post("/api/v1/tasks/DEMO-007/approve", "").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(reply.detail(), "there is no task `DEMO-007`; there is: 1 (DEMO-001)");
    assert_eq!(
        world.post("/api/v1/tasks/77/approve", "").await.detail(),
        "there is no task `77`; there is: 1 (DEMO-001)"
    );
}

#[tokio::test]
async fn a_task_is_paused_and_stopped() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    let paused: Taken = world.post("/api/v1/tasks/DEMO-001/pause", "").await.parse();
    assert_eq!(paused.task.standing.state, State::Paused);
    assert_eq!(paused.task.standing.commands[0], "gatewright task resume DEMO-001");
    let stopped: Taken = world.post("/api/v1/tasks/DEMO-001/stop", r#"{"note":"not wanted"}"#).await.parse();
    assert_eq!(stopped.task.standing.state, State::Stopped);
    let again = world.post("/api/v1/tasks/DEMO-001/stop", "").await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(again.parse::<Problem>().rejected.as_deref(), Some("duplicate"));
}

#[tokio::test]
async fn a_task_is_made_by_a_card_where_tasks_start() {
    let world = World::new();
    let reply = world.post("/api/v1/tasks", r#"{"title":"Say hello"}"#).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    let made: CardView = reply.parse();
    assert_eq!((made.card.status.as_str(), made.task), ("To Analyse", None));
    let log = world.store.activity(&name("demo"), &made.card.work_item).unwrap();
    assert_eq!(log.iter().map(|row| row.to.as_str()).collect::<Vec<_>>(), ["To Analyse"]);
}

#[tokio::test]
async fn a_creation_that_waits_answers_with_its_task() {
    let world = World::new();
    let store = std::sync::Arc::clone(&world.store);
    // What the conductor does with a delivery, as soon as there is one.
    let conductor = tokio::task::spawn_blocking(move || {
        loop {
            let pending = store.pending_deliveries(1).unwrap();
            let Some(delivery) = pending.first() else {
                std::thread::yield_now();
                continue;
            };
            let body: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
            let is_start = body["to"] == "To Analyse";
            let actor = Actor::Person("ada".to_owned());
            let work_item = delivery.work_item.clone().unwrap();
            let new = NewTask {
                project: delivery.project.clone(),
                work_item,
                title: "Say hello".to_owned(),
                description: String::new(),
                labels: Vec::new(),
                track: Track::Full,
                actor: actor.clone(),
            };
            let event = Event::Intent { intent: Intent::Start, actor, note: String::new() };
            let start = Expansion::Intent { ordinal: 0, key: "start".to_owned(), event, new_task: Some(new) };
            let nothing = Expansion::Nothing { why: "no intent".to_owned() };
            store.expand(delivery.id, &[if is_start { start } else { nothing }], NOW).unwrap();
            if is_start {
                return;
            }
        }
    });
    let made: CardView = world.post("/api/v1/tasks?wait=true", r#"{"title":"Say hello"}"#).await.parse();
    conductor.await.unwrap();
    assert_eq!(made.task.unwrap().task.work_item, made.card.work_item);
}

#[tokio::test]
async fn a_task_needs_its_project_where_there_are_several() {
    let world = World::new();
    world.store.put_project(&project("other", "OTHER"), NOW).unwrap();
    let reply = world.post("/api/v1/tasks", r#"{"title":"a"}"#).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        reply.detail(),
        "`project` is missing, and without it there must be exactly one; there are: demo, other"
    );
    let reply = world.post("/api/v1/tasks", r#"{"title":"a","project":"../x"}"#).await;
    assert!(reply.detail().contains("`project`: `../x` is no project name"), "{}", reply.detail());
    let made: CardView = world.post("/api/v1/tasks", r#"{"title":"a","project":"other"}"#).await.parse();
    assert_eq!(made.card.work_item.as_str(), "OTHER-001");
}

#[tokio::test]
async fn tasks_are_listed_by_life_and_project() {
    let world = World::new();
    world.store.put_project(&project("other", "OTHER"), NOW).unwrap();
    world.task("DEMO-001", "one");
    let two = world.task("DEMO-002", "two");
    let stop = Event::Intent { intent: Intent::Stop, actor: Actor::Host, note: String::new() };
    world.store.apply(two, &stop, NOW).unwrap();
    let epoch = world.store.task(two).unwrap().epoch;
    world.store.apply(two, &Event::CleanedUp { epoch }, NOW).unwrap();
    let keys = |listing: Listing<TaskView>| {
        listing.items.iter().map(|view| view.task.work_item.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(keys(world.get("/api/v1/tasks").await.parse()), ["DEMO-002", "DEMO-001"]);
    assert_eq!(keys(world.get("/api/v1/tasks?live=true").await.parse()), ["DEMO-001"]);
    assert_eq!(keys(world.get("/api/v1/tasks?project=other").await.parse()), [""; 0]);
    let status: gateway::api::Status = world.get("/status").await.parse();
    assert_eq!(status.active_tasks.len(), 1);
    assert_eq!((status.active_tasks[0].repo.as_str(), status.active_tasks[0].phase.as_str()), ("demo", "in-review"));
}

#[tokio::test]
async fn a_task_without_a_slot_says_what_it_waits_for() {
    let world = World::new();
    let owner = Incarnation {
        host: "here".to_owned(),
        boot_id: "boot".to_owned(),
        pid: 1,
        start_time: 1,
        uuid: "0".repeat(32),
    };
    for item in ["DEMO-001", "DEMO-002", "DEMO-003"] {
        world.task(item, "a");
        world.post(&format!("/api/v1/tasks/{item}/approve"), "").await;
    }
    let limits = ClaimLimits::of(2);
    while world.store.claim(&owner, &limits, NOW).unwrap().is_some() {}
    let view: TaskView = world.get("/api/v1/tasks/DEMO-003").await.parse();
    assert_eq!(view.standing.state, State::Queued);
    assert_eq!(view.standing.sentence, "it waits: all slots are taken");
    let paused: Taken = world.post("/api/v1/tasks/DEMO-001/pause", "").await.parse();
    assert_eq!(paused.task.standing.sentence, "the developer works, attempt 1; it pauses after that");
    let page = world.get("/").await;
    for part in ["It is moving.", "2 of 2 places busy", "nothing waits for you", "it waits: "] {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
}

#[tokio::test]
async fn a_held_task_says_why_and_what_leads_out() {
    let world = World::new();
    let id = world.task("DEMO-001", "a");
    let gone = Event::Observed { observation: Observation::GoneFromBoard { by: "bob".to_owned() } };
    world.store.apply(id, &gone, NOW).unwrap();
    let view: TaskView = world.get("/api/v1/tasks/DEMO-001").await.parse();
    assert_eq!((view.standing.state, view.standing.needs_person), (State::NeedsYou, true));
    assert!(view.standing.sentence.ends_with("gone from the board by bob"), "{}", view.standing.sentence);
    let verbs = view.standing.commands.iter().map(|line| line.split(' ').nth(2).unwrap()).collect::<Vec<_>>();
    assert_eq!(verbs, ["resume", "reject", "stop"]);
    let done: Taken = world.post("/api/v1/tasks/DEMO-001/stop", "").await.parse();
    assert!(!done.task.standing.needs_person);
}
