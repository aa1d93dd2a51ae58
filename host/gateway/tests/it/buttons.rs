//! Buttons: what a press sends does what the API does, and a second press is told what happened meanwhile.

use std::time::Duration;

use axum::http::{StatusCode, header};
use domain::ids::TaskId;

use crate::sessions::{Browser, form};
use crate::world::{Reply, SECRET, World};

pub(crate) async fn press(world: &World, browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Reply {
    let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf", browser.csrf.as_str())]).collect();
    browser.send(world, form(path, &fields)).await
}

/// What the form of a page says in its hidden field.
pub(crate) fn hidden(page: &str, form: &str, name: &str) -> String {
    let (_, form) = page.split_once(&format!("action=\"{form}\"")).unwrap_or_else(|| panic!("no form {form}: {page}"));
    let (_, value) = form.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
    value.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_press_decides_and_the_second_one_is_told_what_happened_meanwhile() {
    let world = World::new();
    let task = world.task("DEMO-001", "Say hello");
    assert!(
        !world.get("/").await.text().contains("<form method=\"post\" action=\"/t/"),
        "who is nobody has no buttons"
    );
    let browser = Browser::log_in(&world, SECRET).await;
    let page = browser.get(&world, "/").await;
    let text = page.text();
    assert!(text.contains("1 ticket goes on with its next step.") && text.contains("gatewright task approve DEMO-001"));
    let version = hidden(text, "/t/DEMO-001/approve", "version");
    let fields = [("task", "1"), ("version", version.as_str()), ("note", "well done"), ("back", "/")];
    assert_eq!(task, TaskId(1));
    // A form and its address are of one ticket, or nothing is done.
    let astray = press(&world, &browser, "/t/DEMO-002/approve", &fields).await;
    assert_eq!(astray.status, StatusCode::CONFLICT);
    assert!(astray.text().contains("is of the ticket DEMO-001, and not of "), "{}", astray.text());
    let pressed = press(&world, &browser, "/t/DEMO-001/approve", &fields).await;
    assert_eq!(
        (pressed.status, pressed.headers[header::LOCATION].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/?did=approve&item=DEMO-001"),
        "{}",
        pressed.text()
    );
    assert!(browser.get(&world, "/?did=approve&item=DEMO-001").await.text().contains("approved: DEMO-001"));
    assert!(browser.get(&world, "/t/DEMO-001").await.text().contains("approved by operator"));
    let second = press(&world, &browser, "/t/DEMO-001/reject", &fields).await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert!(second.text().contains("changed since you looked: you saw version"), "{}", second.text());
    assert!(second.text().contains("DEMO-001 now:"));
    assert_eq!(world.store.task(task).unwrap().position.stage.as_str(), "development");
}

#[tokio::test]
async fn stopping_all_counts_again_first() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    let browser = Browser::log_in(&world, SECRET).await;
    let text = browser.get(&world, "/").await.text().to_owned();
    assert_eq!(hidden(&text, "/stop-all", "count"), "1");
    world.task("DEMO-002", "Came after the page was loaded");
    let refused = press(&world, &browser, "/stop-all", &[("count", "1")]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text().contains("the button named 1 live ticket, and there are 2 now"), "{}", refused.text());
    assert_eq!(world.store.standings().unwrap().live(), 2);
    assert_eq!(press(&world, &browser, "/pause-all", &[("count", "2")]).await.status, StatusCode::SEE_OTHER);
    assert!(world.store.tasks(true, 9).unwrap().iter().all(domain::task::Task::is_paused));
    let stopped = press(&world, &browser, "/stop-all", &[("count", "2"), ("note", "enough")]).await;
    assert_eq!(stopped.headers[header::LOCATION], "/?did=stopped-all");
    let standings = world.store.standings().unwrap();
    assert_eq!((standings.stopping, standings.live()), (2, 2));
    let second = press(&world, &browser, "/stop-all", &[("count", "2")]).await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert!(second.text().contains("nobody was left to be told; the last `stop` was by "), "{}", second.text());
    // The same by a button that names another count than there is now.
    world.pass(Duration::from_secs(20));
    let third = press(&world, &browser, "/stop-all", &[("count", "9")]).await;
    assert_eq!(third.status, StatusCode::CONFLICT);
    for part in ["and there are 2 now; look again; the last `stop` was by ", ", 20 s ago"] {
        assert!(third.text().contains(part), "{part}: {}", third.text());
    }
}

/// The store takes so many in one transaction.
#[tokio::test]
async fn all_are_stopped_however_many_they_are() {
    let world = World::new();
    for number in 1..=1003 {
        world.task(&format!("DEMO-{number:04}"), "Say hello");
    }
    let browser = Browser::log_in(&world, SECRET).await;
    let stopped = press(&world, &browser, "/stop-all", &[("count", "1003")]).await;
    assert_eq!(stopped.status, StatusCode::SEE_OTHER, "{}", stopped.text());
    assert_eq!(world.store.standings().unwrap().stopping, 1003);
}

#[tokio::test]
async fn a_project_is_frozen_thawed_and_given_tickets_from_its_page() {
    let world = World::new();
    let browser = Browser::log_in(&world, SECRET).await;
    let refused = press(&world, &browser, "/p/demo/freeze", &[("reason", " ")]).await;
    assert!(refused.status == StatusCode::BAD_REQUEST && refused.text().contains("`reason` is empty"));
    let frozen =
        press(&world, &browser, "/p/demo/freeze", &[("reason", "the <deploy> smells"), ("back", "/p/demo")]).await;
    assert_eq!(frozen.headers[header::LOCATION], "/p/demo?did=freeze");
    assert!(browser.get(&world, "/p/demo").await.text().contains("the &#60;deploy&#62; smells"));
    press(&world, &browser, "/p/demo/thaw", &[("back", "//evil.example")]).await;
    assert_eq!(world.store.freeze(&crate::world::name("demo")).unwrap(), None);
    let made = press(&world, &browser, "/p/demo/new", &[("title", "Say hello"), ("labels", "ui, bug")]).await;
    let place = made.headers[header::LOCATION].to_str().unwrap().to_owned();
    assert_eq!(place, "/t/DEMO-001?did=created&item=DEMO-001");
    assert!(browser.get(&world, &place).await.text().contains("ui, bug"));
    assert_eq!(press(&world, &browser, "/p/none/new", &[("title", "x")]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_broke_together_is_tried_again_together_and_paused_tickets_go_on_together() {
    let world = World::new();
    for key in ["DEMO-001", "DEMO-002"] {
        let task = world.task(key, "Say hello");
        let panicked = domain::event::Event::Panicked { message: "out of ink".to_owned(), unanswered: false };
        world.store.apply(task, &panicked, crate::world::NOW).unwrap();
    }
    let browser = Browser::log_in(&world, SECRET).await;
    let text = browser.get(&world, "/").await.text().to_owned();
    let fields = ["cause", "step", "count"].map(|name| (name, hidden(&text, "/retry", name)));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(fields[2], ("count", "2"));
    let more = [("cause", fields[0].1), ("step", fields[1].1), ("count", "3")];
    let refused = press(&world, &browser, "/retry", &more).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text().contains("and there are 2 now"), "{}", refused.text());
    let retried = press(&world, &browser, "/retry", &fields).await;
    assert_eq!(retried.headers[header::LOCATION], "/?did=retried", "{}", retried.text());
    assert_eq!(world.store.standings().unwrap().held, 0);
    // The second press meets none of them.
    assert_eq!(press(&world, &browser, "/retry", &fields).await.status, StatusCode::CONFLICT);
    assert_eq!(press(&world, &browser, "/pause-all", &[("count", "2")]).await.status, StatusCode::SEE_OTHER);
    let text = browser.get(&world, "/").await.text().to_owned();
    assert_eq!(hidden(&text, "/resume-all", "count"), "2");
    let resumed = press(&world, &browser, "/resume-all", &[("count", "2"), ("note", "go on")]).await;
    assert_eq!(resumed.headers[header::LOCATION], "/?did=resumed-all");
    assert!(!world.store.tasks(true, 9).unwrap().iter().any(domain::task::Task::is_paused));
}

#[tokio::test]
async fn a_ticket_is_made_to_wait_for_another_and_a_late_press_does_nothing() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    world.task("DEMO-002", "Say goodbye");
    let browser = Browser::log_in(&world, SECRET).await;
    let text = browser.get(&world, "/t/DEMO-002").await.text().to_owned();
    assert!(text.contains("gatewright task depend DEMO-002 --on KEY"));
    let version = hidden(&text, "/t/DEMO-002/depend", "version");
    let fields = [("task", "2"), ("version", version.as_str()), ("on", "DEMO-001"), ("back", "/t/DEMO-002")];
    let set = press(&world, &browser, "/t/DEMO-002/depend", &fields).await;
    assert_eq!(set.headers[header::LOCATION], "/t/DEMO-002?did=depend&item=DEMO-002", "{}", set.text());
    let late = press(&world, &browser, "/t/DEMO-002/depend", &fields).await;
    assert!(late.status == StatusCode::CONFLICT && late.text().contains("changed since you looked"), "{}", late.text());
    let text = browser.get(&world, "/t/DEMO-002").await.text().to_owned();
    assert!(text.contains("What it needs first") && text.contains("not done yet"), "{text}");
    let version = hidden(&text, "/t/DEMO-002/undepend", "version");
    let cycle = [("task", "1"), ("version", "1"), ("on", "DEMO-002")];
    assert_eq!(press(&world, &browser, "/t/DEMO-001/depend", &cycle).await.status, StatusCode::CONFLICT);
    let fields = [("task", "2"), ("version", version.as_str()), ("on", "DEMO-001"), ("back", "/t/DEMO-002")];
    let gone = press(&world, &browser, "/t/DEMO-002/undepend", &fields).await;
    assert_eq!(gone.headers[header::LOCATION], "/t/DEMO-002?did=undepend&item=DEMO-002", "{}", gone.text());
    assert!(!browser.get(&world, "/t/DEMO-002").await.text().contains("What it needs first"));
}

#[tokio::test]
async fn a_card_is_started_and_commented_from_its_page() {
    let world = World::new();
    let card = r#"{"title":"An idea","status":"Backlog"}"#;
    world.post("/api/v1/projects/demo/items", card).await;
    let browser = Browser::log_in(&world, SECRET).await;
    let text = browser.get(&world, "/t/DEMO-001").await.text().to_owned();
    assert_eq!(hidden(&text, "/t/DEMO-001/start", "status"), "Backlog");
    let comment = [("project", "demo"), ("text", "mind the <totals>")];
    let written = press(&world, &browser, "/t/DEMO-001/comment", &comment).await;
    assert_eq!(written.headers[header::LOCATION], "/t/DEMO-001?did=comment", "{}", written.text());
    assert!(browser.get(&world, "/t/DEMO-001").await.text().contains("mind the &#60;totals&#62;"));
    let started = press(&world, &browser, "/t/DEMO-001/start", &[("project", "demo"), ("status", "Backlog")]).await;
    assert_eq!(started.headers[header::LOCATION], "/t/DEMO-001?did=started&item=DEMO-001", "{}", started.text());
    let late = press(&world, &browser, "/t/DEMO-001/start", &[("project", "demo"), ("status", "Backlog")]).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.text().contains("stands at “To Analyse” now"), "{}", late.text());
    assert!(!browser.get(&world, "/t/DEMO-001").await.text().contains("/t/DEMO-001/start"));
}

#[tokio::test]
async fn who_freezes_what_is_frozen_meanwhile_is_told_by_whom_and_why() {
    let world = World::new();
    let browser = Browser::log_in(&world, SECRET).await;
    for page in ["/p/demo", "/repositories"] {
        assert_eq!(hidden(browser.get(&world, page).await.text(), "/p/demo/freeze", "seen"), "open");
    }
    world.post("/api/v1/projects/demo/freeze", r#"{"reason":"it smells"}"#).await;
    let late = press(&world, &browser, "/p/demo/freeze", &[("seen", "open"), ("reason", "mine")]).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert!(late.text().contains("was frozen meanwhile by operator: it smells"), "{}", late.text());
    assert_eq!(world.store.freeze(&crate::world::name("demo")).unwrap().as_deref(), Some("it smells"));
    assert_eq!(hidden(browser.get(&world, "/q").await.text(), "/p/demo/thaw", "seen"), "frozen");
    assert_eq!(press(&world, &browser, "/p/demo/thaw", &[("seen", "frozen")]).await.status, StatusCode::SEE_OTHER);
    let late = press(&world, &browser, "/p/demo/thaw", &[("seen", "frozen")]).await;
    assert!(late.status == StatusCode::CONFLICT && late.text().contains("is frozen no more"), "{}", late.text());
}
