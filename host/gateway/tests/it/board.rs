//! The built-in board: what a person does there becomes a delivery, and a comment drives nothing.

use axum::http::{Method, StatusCode};
use conductor::ports::store::{BoardActivity, BoardComment, BoardItem, Expansion, NewTask};
use domain::ids::{Actor, WorkItemId};
use domain::task::Track;
use gateway::api::{CardView, Freeze, Listing, ProjectView};

use crate::world::{NOW, World, name, project};

const ITEMS: &str = "/api/v1/projects/demo/items";

/// What waits to be expanded, and nothing waits afterwards.
fn drain(world: &World) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let pending = world.store.pending_deliveries(100).unwrap();
        let Some(delivery) = pending.first() else { return bodies };
        let body: serde_json::Value = serde_json::from_slice(&delivery.body).unwrap();
        bodies.push(body["to"].as_str().unwrap().to_owned());
        let nothing = Expansion::Nothing { why: "only counted".to_owned() };
        world.store.expand(delivery.id, &[nothing], NOW).unwrap();
    }
}

#[tokio::test]
async fn a_card_is_made_read_moved_and_removed() {
    let world = World::new();
    let body = r#"{"title":" Mend it ","description":"two\nlines","labels":["Bug"]}"#;
    let made = world.post(ITEMS, body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let card: BoardItem = made.parse();
    assert_eq!((card.title.as_str(), card.status.as_str()), ("Mend it", "Backlog"));
    assert_eq!((card.labels, card.created_by), (vec!["Bug".to_owned()], Actor::Token("operator".to_owned())));
    assert_eq!(card.created_at, NOW);
    let place = format!("{ITEMS}/{}", card.work_item);

    let moved = world.write(Method::PUT, &format!("{place}/status"), r#"{"status":"To Analyse"}"#).await;
    assert_eq!(moved.parse::<BoardItem>().status, "To Analyse");
    let view: CardView = world.get(&place).await.parse();
    assert_eq!((view.card.status.as_str(), view.task), ("To Analyse", None));
    let log: Listing<BoardActivity> = world.get(&format!("{place}/activity")).await.parse();
    assert_eq!(
        log.items.last().map(|row| (row.from.as_deref(), row.to.as_str())),
        Some((Some("Backlog"), "To Analyse"))
    );

    assert_eq!(world.write(Method::DELETE, &place, "").await.status, StatusCode::NO_CONTENT);
    let gone = world.get(&place).await;
    assert_eq!(gone.status, StatusCode::GONE);
    assert_eq!(gone.detail(), format!("the work item `{}` was removed from the board by operator", card.work_item));
    assert_eq!(world.wakes(), 3);
}

#[tokio::test]
async fn a_move_becomes_a_delivery_and_a_comment_does_not() {
    let world = World::new();
    let card: BoardItem = world.post(ITEMS, r#"{"title":"a"}"#).await.parse();
    let place = format!("{ITEMS}/{}", card.work_item);
    assert_eq!(drain(&world), ["Backlog"]);
    let said = world.post(&format!("{place}/comments"), r#"{"text":"Approved! STOP! To Analyse"}"#).await;
    assert_eq!(said.status, StatusCode::CREATED);
    assert_eq!(said.parse::<Listing<BoardComment>>().items[0].text, "Approved! STOP! To Analyse");
    assert_eq!(drain(&world), [""; 0]);
    let read: Listing<BoardComment> = world.get(&format!("{place}/comments")).await.parse();
    assert_eq!((read.items.len(), read.more), (1, false));
    assert_eq!(world.post(&format!("{place}/comments"), r#"{"text":" "}"#).await.detail(), "`text` is empty");

    assert_eq!(world.post(&format!("{place}/status"), r#"{"status":"STOP"}"#).await.status, StatusCode::OK);
    assert_eq!(world.post(&format!("{place}/status"), r#"{"status":"STOP"}"#).await.status, StatusCode::OK);
    assert_eq!(drain(&world), ["STOP"], "the same status again writes nothing");
}

#[tokio::test]
async fn what_is_not_there_is_answered_by_what_is() {
    let world = World::new();
    assert_eq!(world.get("/api/v1/projects/dmeo/items").await.detail(), "there is no project `dmeo`; there is: demo");
    let none = world.get(&format!("{ITEMS}/DEMO-001")).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    assert_eq!(none.detail(), "there is no work item `DEMO-001` on the board of `demo`; there is none");
    for title in ["a", "b"] {
        world.post(ITEMS, &format!(r#"{{"title":"{title}"}}"#)).await;
    }
    let other = world.post(&format!("{ITEMS}/DEMO-999/status"), r#"{"status":"STOP"}"#).await;
    assert_eq!(
        other.detail(),
        "there is no work item `DEMO-999` on the board of `demo`; there are: DEMO-002, DEMO-001"
    );
}

#[tokio::test]
async fn a_listing_says_when_there_is_more() {
    let world = World::new();
    for number in 0..3 {
        world.post(ITEMS, &format!(r#"{{"title":"{number}"}}"#)).await;
    }
    let page: Listing<BoardItem> = world.get(&format!("{ITEMS}?limit=2")).await.parse();
    assert_eq!((page.items.len(), page.more), (2, true));
    let all: Listing<BoardItem> = world.get(ITEMS).await.parse();
    assert_eq!((all.items.len(), all.more), (3, false));
    assert_eq!(all.items[0].title, "2");
}

#[tokio::test]
async fn a_card_shows_its_task() {
    let world = World::new();
    let card: BoardItem = world.post(ITEMS, r#"{"title":"a"}"#).await.parse();
    world.task(card.work_item.as_str(), "a");
    let view: CardView = world.get(&format!("{ITEMS}/{}", card.work_item)).await.parse();
    assert_eq!(view.task.unwrap().phase, "in-review");
}

#[tokio::test]
async fn no_card_is_made_for_a_project_whose_file_is_gone() {
    let world = World::new();
    world.store.put_project(&project("gone", "GONE"), NOW).unwrap();
    let refused = world.post("/api/v1/projects/gone/items", r#"{"title":"a"}"#).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.detail().contains("`projects/gone.toml` is gone"), "{}", refused.detail());
}

#[tokio::test]
async fn projects_are_listed_frozen_and_thawed() {
    let world = World::new();
    let place = "/api/v1/projects/demo/freeze";
    let frozen: Freeze = world.post(place, r#"{"reason":"the deploy smells"}"#).await.parse();
    assert_eq!(frozen.frozen.as_deref(), Some("the deploy smells"));
    let listed: Listing<ProjectView> = world.get("/api/v1/projects").await.parse();
    let demo = &listed.items[0];
    assert_eq!((demo.name.as_str(), demo.prefix.as_str(), demo.pipeline.as_str()), ("demo", "DEMO", "small"));
    assert_eq!(demo.frozen.as_deref(), Some("the deploy smells"));
    assert_eq!(demo.stages.len(), 4);
    let thawed: Freeze = world.write(Method::DELETE, place, "").await.parse();
    assert_eq!(thawed.frozen, None);
    assert_eq!(world.get(place).await.parse::<Freeze>().frozen, None);
    assert_eq!(world.post(place, r#"{"reason":""}"#).await.detail(), "`reason` is empty");
}

#[tokio::test]
async fn a_key_that_two_projects_have_must_be_said_by_number() {
    let world = World::new();
    world.store.put_project(&project("other", "OTHER"), NOW).unwrap();
    let first = world.task("SAME-1", "a");
    let twin = NewTask {
        project: name("other"),
        work_item: WorkItemId::new("SAME-1").unwrap(),
        title: "b".to_owned(),
        description: String::new(),
        labels: Vec::new(),
        track: Track::Full,
        actor: Actor::Host,
    };
    let second = world.store.create_task(&twin, NOW).unwrap().0;
    let reply = world.post("/api/v1/tasks/SAME-1/approve", "").await;
    assert_eq!(reply.status, StatusCode::CONFLICT);
    assert_eq!(
        reply.detail(),
        format!("several projects have a task of `SAME-1`; name one by its number: {first} (demo), {second} (other)")
    );
    assert_eq!(world.post(&format!("/api/v1/tasks/{first}/approve"), "").await.status, StatusCode::OK);
    assert_eq!(world.store.task(second).unwrap().phase(), "in-review");
}
