//! Pages: whole without a script, and safe whatever a title says.

use axum::http::{StatusCode, header};

use crate::world::{World, name};

const HOSTILE: &str =
    "</title><script>alert(1)</script><img src=x onerror=alert(2)> \u{202E}drowssap\u{200B} \" onload=\"x";

fn assert_disarmed(text: &str) {
    assert!(!text.contains("<script>"), "{text}");
    assert!(!text.contains("<img"), "{text}");
    assert!(!text.contains("\" onload"), "{text}");
    assert!(text.contains("&#60;script&#62;alert(1)"), "{text}");
    assert!(text.contains("⟦U+202E⟧drowssap⟦U+200B⟧"), "{text}");
    assert!(!text.contains('\u{202E}'));
}

#[tokio::test]
async fn the_empty_board_names_the_next_command() {
    let world = World::empty(true);
    let page = world.get("/").await;
    assert_eq!(
        (page.status, &page.headers[header::CONTENT_TYPE]),
        (StatusCode::OK, &"text/html; charset=utf-8".parse().unwrap())
    );
    assert!(page.text().contains("<code>gatewright init</code>"));
    let world = World::new();
    let page = world.get("/").await;
    assert!(page.text().contains("gatewright task create --project demo"));
    assert!(page.text().contains("Nothing waits for you."));
}

#[tokio::test]
async fn hostile_titles_are_text_and_nothing_in_them_is_invisible() {
    let world = World::new();
    world.task("DEMO-001", HOSTILE);
    let card = serde_json::json!({ "title": HOSTILE, "labels": [HOSTILE.get(..80).unwrap()], "description": HOSTILE });
    world.post("/api/v1/projects/demo/items", &card.to_string()).await;
    let item = world.store.items(&name("demo"), 1).unwrap()[0].work_item.clone();
    world
        .post(
            &format!("/api/v1/projects/demo/items/{item}/comments"),
            &serde_json::json!({ "text": HOSTILE }).to_string(),
        )
        .await;
    for path in ["/", "/fragment/board", "/t/DEMO-001", "/fragment/t/DEMO-001", &format!("/t/{item}")] {
        let page = world.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_disarmed(page.text());
    }
}

#[tokio::test]
async fn what_needs_a_person_stands_first_with_the_line_that_helps() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    let text = world.get("/").await.text().to_owned();
    let need = text.find("gatewright task approve DEMO-001").unwrap();
    let columns = text.find("class=\"columns\"").unwrap();
    assert!(need < columns);
    assert!(text.contains("<span aria-hidden=\"true\">◆</span> Needs you"));
    assert!(text.contains("1 waits for you"));
    assert!(text.contains("<time datetime=\"2026-09-21T14:13:20Z\">2026-09-21 14:13:20 UTC</time>"));
}

#[tokio::test]
async fn pages_work_without_a_script_and_have_none_inline() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    world.post("/api/v1/projects/demo/freeze", r#"{"reason":"a <b> reason"}"#).await;
    for path in ["/", "/t/DEMO-001", "/t/NONE-1"] {
        let page = world.get(path).await;
        let text = page.text();
        assert!(text.contains("href=\"\">Refresh</a>"), "{path}");
        assert!(!text.contains("style=") && !text.contains("onclick"), "{path}");
        assert_eq!(text.matches("<script").count(), 1);
        assert!(text.contains("<script src=\"/static/page.js\" defer></script>"));
    }
    assert!(world.get("/").await.text().contains("a &#60;b&#62; reason"));
}

#[tokio::test]
async fn trouble_is_said_on_the_board() {
    let world = World::empty(false);
    let reply = world.get("/").await;
    let page = reply.text();
    assert!(page.contains("the disk is &#60;nearly&#62; full"));
    assert!(page.contains("sandbox: <strong>by nobody</strong>, a run sees what &#60;you&#62; see"), "{page}");
}

#[tokio::test]
async fn a_ticket_tells_what_happened() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    world.post("/api/v1/tasks/DEMO-001/approve", r#"{"note":"go <on>"}"#).await;
    let page = world.get("/t/DEMO-001").await;
    let text = page.text();
    for part in [
        "created by ada",
        "approved by operator: go &#60;on&#62;",
        "entered development",
        "What is &#60;wanted&#62;",
        "labels: ui",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("data-fragment=\"/fragment/t/DEMO-001\""));
}

#[tokio::test]
async fn a_ticket_that_is_not_there_is_a_page_too() {
    let world = World::new();
    let page = world.get("/t/NONE-1").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.text().contains("there is no work item NONE-1"));
    let page = world.get("/t/%3Cscript%3E").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(!page.text().contains("<script>"));
}

#[tokio::test]
async fn assets_are_served_from_the_binary_only() {
    let world = World::new();
    for (file, kind) in [("page.css", "text/css; charset=utf-8"), ("page.js", "text/javascript; charset=utf-8")] {
        let reply = world.get(&format!("/static/{file}")).await;
        assert_eq!((reply.status, reply.headers[header::CONTENT_TYPE].to_str().unwrap()), (StatusCode::OK, kind));
    }
    assert_eq!(world.get("/static/..%2FCargo.toml").await.status, StatusCode::NOT_FOUND);
}
