//! Buttons and routes for many at once, and two presses at one moment: what was seen is compared where it is written.

use axum::http::{StatusCode, header};
use conductor::ports::access::{AuditFilter, Deed};
use conductor::ports::inbox::{DeliveryFilter, Taken};
use conductor::ports::store::Reached;
use domain::event::Event;
use domain::ids::{DeliveryId, TaskId};
use domain::task::Task;
use gateway::api::{MadeToken, Retried};

use crate::buttons::{hidden, press};
use crate::sessions::Browser;
use crate::world::{NOW, SECRET, World, name, project};

/// Deliveries that could not be read.
fn parked(world: &World, numbers: std::ops::Range<u8>) -> Vec<DeliveryId> {
    for number in numbers {
        world.told(number, "push", "{}");
    }
    let hints = world.store.hints(100).unwrap();
    let park = |id| Taken { id, facts: Vec::new(), effect: "<it> does not read".to_owned(), parked: true };
    world.store.take_hints(&hints.iter().map(|hint| park(hint.id)).collect::<Vec<_>>(), NOW).unwrap();
    hints.into_iter().map(|hint| hint.id).collect()
}

fn states(world: &World) -> Vec<String> {
    let rows = world.store.deliveries(&DeliveryFilter::default(), 100).unwrap();
    rows.into_iter().map(|row| row.state).collect()
}

async fn logged_in_as(world: &World, right: &str) -> Browser {
    let body = serde_json::json!({"name": format!("{right}er"), "right": right});
    let made: MadeToken = world.post("/api/v1/tokens", &body.to_string()).await.parse();
    Browser::log_in(world, &made.secret).await
}

#[tokio::test]
async fn a_parked_delivery_is_read_again_by_a_button_and_the_second_press_is_told_that_it_was() {
    let world = World::new();
    let id = parked(&world, 1..2)[0];
    let (row, page) = ("/deliveries".to_owned(), format!("/deliveries/{id}"));
    let path = format!("/deliveries/{id}/retry");
    let command = format!("gatewright delivery retry {id}");
    let reader = logged_in_as(&world, "read").await;
    let browser = Browser::log_in(&world, SECRET).await;
    for place in [&row, &page] {
        let text = reader.get(&world, place).await.text().to_owned();
        assert!(!text.contains("/retry\"") && text.contains(&command), "{text}");
        let text = browser.get(&world, place).await.text().to_owned();
        assert_eq!(hidden(&text, &path, "back"), *place);
        assert!(text.contains("1 parked delivery is read once more") && text.contains(&command), "{text}");
    }
    let refused = press(&world, &reader, &path, &[]).await;
    assert!(
        refused.status == StatusCode::FORBIDDEN && refused.text().contains("this needs `operate`"),
        "{}",
        refused.text()
    );
    assert_eq!(states(&world), ["parked"]);
    let retried = press(&world, &browser, &path, &[("back", &page)]).await;
    assert_eq!(retried.headers[header::LOCATION], format!("{page}?did=delivery-retried"), "{}", retried.text());
    assert_eq!(states(&world), ["pending"]);
    let text = browser.get(&world, &format!("{page}?did=delivery-retried")).await.text().to_owned();
    assert!(text.contains("the delivery is read once more") && !text.contains(&path), "{text}");
    assert!(!browser.get(&world, "/deliveries").await.text().contains(&path));
    let late = press(&world, &browser, &path, &[("back", &page)]).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.text().contains("changed since you looked: delivery 1 is pending"), "{}", late.text());
    let filter = AuditFilter { what: Some(Deed::RetryDelivery), ..AuditFilter::default() };
    let lines = world.access.audit(&filter, 10).unwrap();
    assert_eq!(lines.iter().map(|line| line.who.as_str()).collect::<Vec<_>>(), ["operator"]);
}

#[tokio::test]
async fn all_parked_deliveries_are_read_again_if_they_are_still_as_many() {
    let world = World::new();
    parked(&world, 1..3);
    let browser = Browser::log_in(&world, SECRET).await;
    let text = browser.get(&world, "/deliveries").await.text().to_owned();
    assert_eq!(hidden(&text, "/deliveries/retry", "count"), "2");
    assert!(text.contains("gatewright delivery retry --all-parked --count 2"));
    parked(&world, 3..4);
    let late = press(&world, &browser, "/deliveries/retry", &[("count", "2")]).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.text().contains("the button named 2 parked deliveries, and there are 3 now"), "{}", late.text());
    assert_eq!(states(&world), ["parked"; 3]);
    let done = press(&world, &browser, "/deliveries/retry", &[("count", "3")]).await;
    assert_eq!(done.headers[header::LOCATION], "/deliveries?did=deliveries-retried", "{}", done.text());
    assert_eq!(states(&world), ["pending"; 3]);
    assert!(!browser.get(&world, "/deliveries").await.text().contains("action=\"/deliveries/retry\""));
    parked(&world, 4..5);
    let late = world.post("/api/v1/deliveries/retry", r#"{"count":9}"#).await;
    assert!(
        late.status == StatusCode::CONFLICT && late.detail().contains("`count` says 9 parked deliveries"),
        "{}",
        late.text()
    );
    // The two that were parked before are pending, and were parked with the last.
    let told: Retried = world.post("/api/v1/deliveries/retry", "{}").await.parse();
    assert_eq!((told.retried > 0, told.parked), (true, 0));
}

#[tokio::test]
async fn programs_pause_resume_and_stop_all_or_a_projects_and_are_told_when_they_are_not_as_many() {
    let world = World::new();
    world.store.put_project(&project("other", "OTHER"), NOW).unwrap();
    world.task("DEMO-001", "Say hello");
    world.task("DEMO-002", "Say goodbye");
    let keys = |reached: Reached| reached.tasks.into_iter().map(|one| one.work_item.to_string()).collect::<Vec<_>>();
    let paused = || world.store.tasks(true, 9).unwrap().iter().filter(|task| task.is_paused()).count();
    let late = world.post("/api/v1/all/pause", r#"{"count":1}"#).await;
    assert!(late.status == StatusCode::CONFLICT, "{}", late.text());
    assert_eq!(late.detail(), "changed since you looked: `count` says 1 live ticket, and there are 2 now; look again");
    assert_eq!(paused(), 0);
    let reached: Reached = world.post("/api/v1/all/pause", r#"{"count":2,"note":"lunch"}"#).await.parse();
    assert_eq!((keys(reached), paused()), (vec!["DEMO-001".to_owned(), "DEMO-002".to_owned()], 2));
    let again: Reached = world.post("/api/v1/all/pause", "{}").await.parse();
    assert_eq!(again, Reached::default(), "they are paused");
    for nobodys in ["resume", "stop"] {
        let none: Reached = world.post(&format!("/api/v1/all/{nobodys}"), r#"{"project":"other"}"#).await.parse();
        assert_eq!(none, Reached::default());
    }
    let wrong = world.post("/api/v1/all/stop", r#"{"project":"nowhere"}"#).await;
    assert!(wrong.status == StatusCode::NOT_FOUND && wrong.detail().contains("demo"), "{}", wrong.text());
    let reached: Reached = world.post("/api/v1/all/resume", r#"{"count":2}"#).await.parse();
    assert_eq!((reached.tasks.len(), paused()), (2, 0));
    let reached: Reached = world.post("/api/v1/all/stop", r#"{"project":"demo","count":2}"#).await.parse();
    assert_eq!(reached.tasks.len(), 2);
    assert_eq!(world.store.standings().unwrap().stopping, 2);
    let filter = AuditFilter { what: Some(Deed::StopAll), ..AuditFilter::default() };
    let lines = world.access.audit(&filter, 10).unwrap();
    assert_eq!((lines[0].subject.as_deref(), lines[0].project.as_deref()), (Some("2 live tickets"), Some("demo")));
}

#[tokio::test]
async fn programs_try_again_what_broke_together_and_not_what_asks_a_person() {
    let world = World::new();
    for key in ["DEMO-001", "DEMO-002"] {
        let task = world.task(key, "Say hello");
        let panicked = Event::Panicked { message: "out of ink".to_owned(), unanswered: false };
        world.store.apply(task, &panicked, NOW).unwrap();
    }
    let browser = Browser::log_in(&world, SECRET).await;
    let text = browser.get(&world, "/").await.text().to_owned();
    let step = hidden(&text, "/retry", "step");
    let named = if step.is_empty() { String::new() } else { format!(" --step {step}") };
    assert!(text.contains(&format!("gatewright retry --cause panicked{named} --count 2")), "{text}");
    let body = |count: u64| {
        let step = (!step.is_empty()).then_some(step.as_str());
        serde_json::json!({"cause": "panicked", "step": step, "count": count}).to_string()
    };
    let late = world.post("/api/v1/all/retry", &body(3)).await;
    assert!(late.status == StatusCode::CONFLICT && late.detail().contains("there are 2 now"), "{}", late.text());
    let reached: Reached = world.post("/api/v1/all/retry", &body(2)).await.parse();
    assert_eq!((reached.tasks.len(), world.store.standings().unwrap().held), (2, 0));
    let asked = world.post("/api/v1/all/retry", r#"{"cause":"needs-input"}"#).await;
    assert!(
        asked.status == StatusCode::CONFLICT && asked.detail().contains("`needs-input` did not break"),
        "{}",
        asked.text()
    );
}

#[tokio::test]
async fn the_live_tickets_of_one_project_are_stopped_from_its_page() {
    let world = World::new();
    world.store.put_project(&project("other", "OTHER"), NOW).unwrap();
    world.task("DEMO-001", "Say hello");
    let browser = Browser::log_in(&world, SECRET).await;
    assert!(!browser.get(&world, "/p/other").await.text().contains("action=\"/p/other/stop\""));
    let text = browser.get(&world, "/p/demo").await.text().to_owned();
    assert_eq!(hidden(&text, "/p/demo/stop", "count"), "1");
    assert!(text.contains("gatewright stop --project demo"));
    world.task("DEMO-002", "Came after the page was loaded");
    let late = press(&world, &browser, "/p/demo/stop", &[("count", "1")]).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.text().contains("the button named 1 live ticket, and there are 2 now"), "{}", late.text());
    let none = press(&world, &browser, "/p/nowhere/stop", &[("count", "0")]).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let stopped = press(&world, &browser, "/p/demo/stop", &[("count", "2"), ("note", "enough")]).await;
    assert_eq!(stopped.headers[header::LOCATION], "/p/demo?did=stopped-project", "{}", stopped.text());
    assert_eq!(world.store.standings().unwrap().stopping, 2);
}

/// Of as many answers as there were presses one was a yes.
fn one_of(statuses: [StatusCode; 4]) {
    let yes = statuses.iter().filter(|status| **status == StatusCode::SEE_OTHER).count();
    let late = statuses.iter().filter(|status| **status == StatusCode::CONFLICT).count();
    assert_eq!((yes, late), (1, 3), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_those_who_freeze_or_thaw_at_one_moment_one_does_and_the_others_are_told() {
    let world = World::new();
    let browser = Browser::log_in(&world, SECRET).await;
    for round in 1..=20_usize {
        for (path, seen) in [("/p/demo/freeze", "open"), ("/p/demo/thaw", "frozen")] {
            let fields = [("seen", seen), ("reason", "mine")];
            let (a, b, c, d) = tokio::join!(
                press(&world, &browser, path, &fields),
                press(&world, &browser, path, &fields),
                press(&world, &browser, path, &fields),
                press(&world, &browser, path, &fields),
            );
            one_of([a.status, b.status, c.status, d.status]);
        }
        assert_eq!(world.store.freeze_log(&name("demo"), 100).unwrap().len(), 2 * round);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_those_who_say_at_one_moment_what_a_task_needs_one_does_and_the_others_are_told() {
    let world = World::new();
    let others = ["DEMO-001", "DEMO-002", "DEMO-003", "DEMO-004"];
    for key in others {
        world.task(key, "Say hello");
    }
    let browser = Browser::log_in(&world, SECRET).await;
    for number in 5..15 {
        let key = format!("DEMO-{number:03}");
        let task: TaskId = world.task(&key, "Needs another");
        let needs = || world.store.task(task).unwrap().needs.len();
        for (word, expected) in [("depend", 1), ("undepend", 0)] {
            let Task { version, needs: now, .. } = world.store.task(task).unwrap();
            let (id, version, path) = (task.to_string(), version.to_string(), format!("/t/{key}/{word}"));
            let meant = now.iter().next().map(ToString::to_string);
            let on = |number: usize| meant.as_deref().unwrap_or(others[number]);
            let fields = |number| [("task", id.as_str()), ("version", version.as_str()), ("on", on(number))];
            let fields: [[(&str, &str); 3]; 4] = std::array::from_fn(fields);
            let (a, b, c, d) = tokio::join!(
                press(&world, &browser, &path, &fields[0]),
                press(&world, &browser, &path, &fields[1]),
                press(&world, &browser, &path, &fields[2]),
                press(&world, &browser, &path, &fields[3]),
            );
            let late = [&a, &b, &c, &d].into_iter().find(|reply| reply.status == StatusCode::CONFLICT).unwrap();
            assert!(late.text().contains("changed since you looked: you saw version"), "{}", late.text());
            one_of([a.status, b.status, c.status, d.status]);
            assert_eq!(needs(), expected);
        }
    }
}

#[tokio::test]
async fn a_form_that_is_sent_twice_makes_one_ticket_and_the_second_press_is_told_which() {
    let world = World::new();
    let browser = Browser::log_in(&world, SECRET).await;
    let made = || world.store.items(&name("demo"), 9).unwrap().len();
    for (round, text) in ["", "more of it"].into_iter().enumerate() {
        let page = browser.get(&world, "/p/demo").await.text().to_owned();
        let last = hidden(&page, "/p/demo/new", "last");
        let fields = [("last", last.as_str()), ("title", "Say hello"), ("description", text), ("labels", "ui")];
        let key = format!("DEMO-{:03}", round + 1);
        let first = press(&world, &browser, "/p/demo/new", &fields).await;
        assert_eq!(first.headers[header::LOCATION], format!("/t/{key}?did=created&item={key}"), "{}", first.text());
        let second = press(&world, &browser, "/p/demo/new", &fields).await;
        assert_eq!(second.status, StatusCode::CONFLICT);
        assert!(second.text().contains(&format!("this form was sent before, and made {key}")), "{}", second.text());
        assert_eq!(made(), round + 1);
    }
    let page = browser.get(&world, "/p/demo").await.text().to_owned();
    let last = hidden(&page, "/p/demo/new", "last");
    let fields = [("last", last.as_str()), ("title", "Say hello"), ("labels", "ui")];
    let again = press(&world, &browser, "/p/demo/new", &fields).await;
    assert_eq!(again.status, StatusCode::SEE_OTHER, "who loads the page anew means another one: {}", again.text());
    let other = [("last", last.as_str()), ("title", "Say goodbye"), ("labels", "ui")];
    assert_eq!(press(&world, &browser, "/p/demo/new", &other).await.status, StatusCode::SEE_OTHER);
    let reader = logged_in_as(&world, "operate").await;
    assert_eq!(press(&world, &reader, "/p/demo/new", &fields).await.status, StatusCode::SEE_OTHER, "another hand");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_those_who_make_or_start_a_ticket_at_one_moment_one_does_and_the_others_are_told() {
    let world = World::new();
    let browser = Browser::log_in(&world, SECRET).await;
    for round in 1..=20_usize {
        let last = if round == 1 { String::new() } else { format!("DEMO-{:03}", round - 1) };
        let fields = [("last", last.as_str()), ("title", "Say hello")];
        let (a, b, c, d) = tokio::join!(
            press(&world, &browser, "/p/demo/new", &fields),
            press(&world, &browser, "/p/demo/new", &fields),
            press(&world, &browser, "/p/demo/new", &fields),
            press(&world, &browser, "/p/demo/new", &fields),
        );
        one_of([a.status, b.status, c.status, d.status]);
        assert_eq!(world.store.items(&name("demo"), 99).unwrap().len(), round);
    }
    for number in 21..=40 {
        let card = world.post("/api/v1/projects/demo/items", r#"{"title":"A card"}"#).await;
        assert_eq!(card.status, StatusCode::CREATED);
        let path = format!("/t/DEMO-{number:03}/start");
        let fields = [("project", "demo"), ("status", "Backlog")];
        let (a, b, c, d) = tokio::join!(
            press(&world, &browser, &path, &fields),
            press(&world, &browser, &path, &fields),
            press(&world, &browser, &path, &fields),
            press(&world, &browser, &path, &fields),
        );
        let late = [&a, &b, &c, &d].into_iter().find(|reply| reply.status == StatusCode::CONFLICT).unwrap();
        assert!(late.text().contains("stood at “Backlog” on the board, and stands at “To Analyse” now"));
        one_of([a.status, b.status, c.status, d.status]);
    }
}
