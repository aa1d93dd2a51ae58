//! Whose turn it is, as people read and change it: needs, pauses, freezes, serial projects (catalogue D4 to D7).

use std::time::Duration;

use axum::http::{Method, StatusCode};
use conductor::ports::store::{BoardItem, ClaimLimits, Incarnation, JobRow, Project, Unmet, WaitReason};
use domain::entry::Entry;
use domain::event::Intent;
use domain::ids::{Actor, TaskId};
use gateway::api::{Dependencies, Freeze, Listing, Problem, Queue, State, TaskView, Why};

use crate::world::{NOW, World, project};

fn serial(world: &World) {
    world.store.put_project(&Project { serial: true, ..project("demo", "DEMO") }, NOW).unwrap();
}

/// A task whose run is wanted.
async fn wanted(world: &World, item: &str) -> TaskId {
    let id = world.task(item, "Say hello");
    assert_eq!(world.post(&format!("/api/v1/tasks/{id}/approve"), "").await.status, StatusCode::OK);
    id
}

async fn view(world: &World, item: &str) -> TaskView {
    world.get(&format!("/api/v1/tasks/{item}")).await.parse()
}

async fn row(world: &World, task: TaskId) -> JobRow {
    let queue: Listing<JobRow> = world.get("/api/v1/queue").await.parse();
    queue.items.into_iter().find(|job| job.task == task && job.effect == "launch-agent").unwrap()
}

/// Its card, which the comments and the board are about.
async fn card(world: &World, body: &str) -> BoardItem {
    let made = world.post("/api/v1/projects/demo/items", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    made.parse()
}

#[tokio::test]
async fn d4_1_a_task_behind_another_says_behind_which_and_what_would_move_it() {
    let world = World::new();
    serial(&world);
    wanted(&world, "DEMO-001").await;
    let second = wanted(&world, "DEMO-002").await;
    let job = row(&world, second).await;
    let Some(WaitReason::ActiveTask { waits_for }) = job.reason else { panic!("{job:?}") };
    assert_eq!(waits_for.work_item.as_str(), "DEMO-001");
    let text = world.get("/api/v1/queue").await.text().to_owned();
    assert!(text.contains(r#""reason":"active-task","waits_for":{"task":1,"work_item":"DEMO-001"}"#), "{text}");
    let why: Why = world.get("/api/v1/tasks/DEMO-002/why").await.parse();
    let sentence = "it waits: the project takes one task at a time, and DEMO-001 came before";
    assert_eq!(why.waits_for, sentence);
    assert_eq!(why.moved_by[0], "gatewright task pause DEMO-001");
    assert!(world.get("/").await.text().contains(sentence), "on the board too");
}

#[tokio::test]
async fn d4_3_a_project_that_is_not_serial_queues_nobody_behind_another() {
    let world = World::new();
    wanted(&world, "DEMO-001").await;
    let second = wanted(&world, "DEMO-002").await;
    assert_eq!(row(&world, second).await.reason, None);
}

#[tokio::test]
async fn d5_2_a_freeze_is_lifted_by_name_and_both_are_kept() {
    let world = World::new();
    let task = wanted(&world, "DEMO-001").await;
    let place = "/api/v1/projects/demo/freeze";
    world.post(place, r#"{"reason":"the deploy smells"}"#).await;
    assert_eq!(row(&world, task).await.reason, Some(WaitReason::Freeze));
    let standing = view(&world, "DEMO-001").await.standing;
    assert_eq!((standing.state, standing.sentence.as_str()), (State::Queued, "it waits: the repository is frozen"));
    assert_eq!(standing.commands[0], "gatewright project unfreeze demo");
    let why: Why = world.get("/api/v1/tasks/DEMO-001/why").await.parse();
    assert_eq!(why.behind.len(), 1, "{:?}", why.behind);
    assert!(why.behind[0].what.ends_with("operator froze `demo`: the deploy smells"), "{:?}", why.behind);
    let frozen_at = why.behind[0].at.0;
    world.pass(Duration::from_mins(1));
    let thawed: Freeze = world.write(Method::DELETE, place, "").await.parse();
    assert_eq!(thawed.frozen, None);
    let operator = Actor::Token("operator".to_owned());
    let log = thawed.log.iter().map(|row| (row.reason.as_deref(), row.actor == operator)).collect::<Vec<_>>();
    assert_eq!(log, [(None, true), (Some("the deploy smells"), true)]);
    assert_eq!(row(&world, task).await.reason, None);
    let why: Why = world.get("/api/v1/tasks/DEMO-001/why").await.parse();
    assert_eq!(why.behind, []);
    let then: Why = world.get(&format!("/api/v1/tasks/DEMO-001/why?at={}", frozen_at + 1000)).await.parse();
    assert!(then.behind[0].what.ends_with("the deploy smells"), "what held it then: {:?}", then.behind);
}

#[tokio::test]
async fn d6_2_who_was_paused_is_listed_and_lets_others_by() {
    let world = World::new();
    serial(&world);
    wanted(&world, "DEMO-001").await;
    let second = wanted(&world, "DEMO-002").await;
    assert_eq!(world.post("/api/v1/tasks/DEMO-001/pause", "").await.status, StatusCode::OK);
    assert_eq!(row(&world, second).await.reason, None);
    let queue: Queue = world.get("/queue").await.parse();
    let gates = queue.gates.fine().unwrap();
    let gate = &gates[0];
    assert_eq!((gate.project.as_str(), gate.serial, gate.frozen.as_deref()), ("demo", true, None));
    assert_eq!(gate.paused.iter().map(|task| task.work_item.as_str()).collect::<Vec<_>>(), ["DEMO-001"]);
    assert_eq!(gate.active, [], "nobody has begun");
}

/// Held, it holds up the others, and the lines by which a person can act say so.
#[tokio::test]
async fn d6_1_a_held_task_of_a_serial_project_offers_to_be_paused() {
    let world = World::new();
    serial(&world);
    let first = wanted(&world, "DEMO-001").await;
    let gone = domain::event::Observation::RefusedAtForge { by: "bob".to_owned() };
    world.store.apply(first, &domain::event::Event::Observed { observation: gone }, NOW).unwrap();
    let commands = view(&world, "DEMO-001").await.standing.commands;
    assert!(commands.contains(&"gatewright task pause DEMO-001".to_owned()), "{commands:?}");
    let second = wanted(&world, "DEMO-002").await;
    assert!(matches!(row(&world, second).await.reason, Some(WaitReason::ActiveTask { .. })));
    world.post("/api/v1/tasks/DEMO-001/pause", "").await;
    assert_eq!(row(&world, second).await.reason, None);
    let commands = view(&world, "DEMO-001").await.standing.commands;
    assert!(!commands.contains(&"gatewright task pause DEMO-001".to_owned()), "it is paused");
}

#[tokio::test]
async fn d7_1_a_need_is_written_read_and_taken_away() {
    let world = World::new();
    wanted(&world, "DEMO-001").await;
    let second = wanted(&world, "DEMO-002").await;
    let place = "/api/v1/tasks/DEMO-002/dependencies";
    let told: Dependencies = world.post(place, r#"{"on":"DEMO-001"}"#).await.parse();
    assert_eq!(told.needs.len(), 1);
    assert_eq!((told.needs[0].needs.work_item.as_str(), told.needs[0].unmet), ("DEMO-001", Some(Unmet::Unfinished)));
    assert_eq!(told.task.standing.sentence, "it waits: it needs DEMO-001, which is not done");
    assert_eq!(told.task.standing.commands[0], "gatewright task undepend DEMO-002 --on DEMO-001");
    assert_eq!(world.get(place).await.parse::<Dependencies>(), told);
    let why: Why = world.get("/api/v1/tasks/DEMO-002/why").await.parse();
    assert_eq!(why.behind.len(), 1);
    assert!(why.behind[0].what.ends_with("operator said that it needs DEMO-001, which was not done"), "{why:?}");
    let entries = world.store.entries(second).unwrap();
    let operator = Actor::Token("operator".to_owned());
    let told = |entry: &Entry| matches!(entry, Entry::DependencyAdded { actor, .. } if *actor == operator);
    assert!(entries.iter().any(|row| told(&row.entry)));
    let again: Problem = world.post(place, r#"{"on":"1"}"#).await.parse();
    assert_eq!(again.rejected.as_deref(), Some("duplicate"));
    let removed: Dependencies = world.write(Method::DELETE, place, r#"{"on":"DEMO-001"}"#).await.parse();
    assert_eq!(removed.needs, []);
    let never: Problem = world.write(Method::DELETE, place, r#"{"on":"DEMO-001"}"#).await.parse();
    assert!(never.detail.contains("the task does not need DEMO-001"), "{}", never.detail);
    assert_eq!(row(&world, second).await.reason, None);
}

#[tokio::test]
async fn d7_2_a_cycle_is_refused_with_its_name() {
    let world = World::new();
    wanted(&world, "DEMO-001").await;
    wanted(&world, "DEMO-002").await;
    world.post("/api/v1/tasks/DEMO-002/dependencies", r#"{"on":"DEMO-001"}"#).await;
    let reply = world.post("/api/v1/tasks/DEMO-001/dependencies", r#"{"on":"DEMO-002"}"#).await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    assert_eq!(reply.detail(), "that would be a cycle: DEMO-001 needs DEMO-002, DEMO-002 needs DEMO-001");
    let unknown = world.post("/api/v1/tasks/DEMO-001/dependencies", r#"{"on":"DEMO-009"}"#).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.detail().contains("there is no task `DEMO-009`"));
}

/// A card that names what must be done before keeps it until its task begins.
#[tokio::test]
async fn d7_1_a_new_card_may_come_after_others() {
    let world = World::new();
    wanted(&world, "DEMO-077").await;
    let made = card(&world, r#"{"title":"second","after":["DEMO-077"]}"#).await;
    let task = world.task(made.work_item.as_str(), "second");
    let told: Dependencies = world.get(&format!("/api/v1/tasks/{task}/dependencies")).await.parse();
    assert_eq!(told.needs[0].needs.work_item.as_str(), "DEMO-077");
    let unknown = world.post("/api/v1/tasks", r#"{"title":"third","after":["DEMO-999"]}"#).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

/// Nothing but a person moves a task whose prerequisite was stopped: it stands among what waits for one.
#[tokio::test]
async fn d7_a_stopped_prerequisite_asks_for_a_person() {
    let world = World::new();
    let first = wanted(&world, "DEMO-001").await;
    wanted(&world, "DEMO-002").await;
    world.post("/api/v1/tasks/DEMO-002/dependencies", r#"{"on":"DEMO-001"}"#).await;
    stop(&world, first);
    let standing = view(&world, "DEMO-002").await.standing;
    assert_eq!((standing.state, standing.needs_person), (State::NeedsYou, true));
    assert_eq!(standing.sentence, "it waits: it needs DEMO-001, which was stopped and will not be done");
    assert_eq!(standing.commands[0], "gatewright task undepend DEMO-002 --on DEMO-001");
    let board = world.get("/").await;
    let needs = board.text().split("<h1>demo</h1>").next().unwrap();
    assert!(needs.contains("DEMO-002"), "it stands in the part that needs somebody");
}

fn stop(world: &World, task: TaskId) {
    let stop = domain::event::Event::Intent { intent: Intent::Stop, actor: Actor::Host, note: String::new() };
    world.store.apply(task, &stop, NOW).unwrap();
    let uuid = "0123456789abcdef0123456789abcdef".to_owned();
    let owner = Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 7, start_time: 11, uuid };
    let limits = ClaimLimits::of(2);
    let claims = std::iter::from_fn(|| world.store.claim(&owner, &limits, NOW).unwrap());
    let clean_up = claims.into_iter().find(|claim| claim.job.effect.name() == "clean-up").unwrap();
    let event = domain::event::Event::CleanedUp { epoch: clean_up.job.epoch };
    let (job, token) = (clean_up.job.id, clean_up.token);
    let ending = conductor::ports::store::Completion { job, token, event, wakes: 0, evaluation: None, run: None };
    world.store.complete(ending, NOW).unwrap();
}
