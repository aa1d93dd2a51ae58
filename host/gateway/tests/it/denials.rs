//! What was wanted and might not be: in the audit, a line at once and one for the rest of its minute; and all of the audit at once.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use conductor::ports::access::{AuditRow, Deed, Record};
use domain::ids::Actor;
use gateway::api::{AuditPage, MadeToken};

use crate::buttons::press;
use crate::sessions::{Browser, form};
use crate::world::{NOW, SECRET, World, request};

async fn denied(world: &World, what: &str) -> Vec<AuditRow> {
    world.get(&format!("/api/v1/audit?what={what}")).await.parse::<AuditPage>().items
}

/// Lines are written beside the answers.
async fn until(world: &World, what: &str, count: usize) -> Vec<AuditRow> {
    for _ in 0..500 {
        let lines = denied(world, what).await;
        if lines.len() == count {
            return lines;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not {count} lines of `{what}`: {:#?}", denied(world, what).await);
}

#[tokio::test]
async fn a_token_without_the_right_leaves_a_line_at_once_and_one_for_the_rest_of_its_minute() {
    let world = World::new();
    let body = r#"{"name":"reader","right":"read"}"#;
    let made: MadeToken = world.post("/api/v1/tokens", body).await.parse();
    let wants = |path: &'static str| {
        let request = request(Method::POST, path).header(header::AUTHORIZATION, format!("Bearer {}", made.secret));
        let request = request.header(header::CONTENT_TYPE, "application/json");
        world.send(request.body(Body::from(r#"{"reason":"a-word-of-the-body"}"#)).unwrap())
    };
    assert_eq!(wants("/api/v1/projects/demo/freeze?key=a-word-of-the-query").await.status, StatusCode::FORBIDDEN);
    let lines = until(&world, "denied", 1).await;
    assert_eq!((lines[0].who.as_str(), lines[0].outcome.as_str()), ("reader", "refused"));
    assert_eq!(lines[0].subject.as_deref(), Some("POST /api/v1/projects/demo/freeze"));
    assert_eq!(lines[0].why, "it has `read`, and this needs `operate`");
    assert_eq!(lines[0].peer.as_deref(), Some("127.0.0.1"));
    for _ in 0..40 {
        assert_eq!(wants("/api/v1/tokens").await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(denied(&world, "denied").await.len(), 1, "it is counted, and not written down again and again");
    world.pass(Duration::from_secs(61));
    let lines = denied(&world, "denied").await;
    assert_eq!((lines.len(), lines[0].subject.as_deref()), (2, Some("POST /api/v1/tokens")), "{lines:#?}");
    assert!(lines[0].why.starts_with("40 more since 2026-09-21 14:13:20"), "{}", lines[0].why);
    wants("/api/v1/tokens").await;
    until(&world, "denied", 3).await;
    let all = world.get("/api/v1/audit").await.text().to_owned();
    for secret in [made.secret.as_str(), "a-word-of-the-query", "a-word-of-the-body"] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
    let page = world.get("/audit?what=denied").await;
    assert!(page.text().contains("<code>denied</code>") && page.text().contains("40 more since"), "{}", page.text());
}

#[tokio::test]
async fn a_browser_without_the_right_leaves_a_line_too() {
    let world = World::new();
    let made: MadeToken = world.post("/api/v1/tokens", r#"{"name":"reader","right":"read"}"#).await.parse();
    let reader = Browser::log_in(&world, &made.secret).await;
    assert_eq!(press(&world, &reader, "/stop-all", &[("count", "0")]).await.status, StatusCode::FORBIDDEN);
    let lines = until(&world, "denied", 1).await;
    assert_eq!(lines[0].subject.as_deref(), Some("POST /stop-all"));
    assert_eq!(serde_json::to_value(&lines[0].actor).unwrap()["kind"], "session");
}

#[tokio::test]
async fn wrong_tokens_that_were_too_many_to_be_looked_at_are_counted() {
    let world = World::new();
    for _ in 0..30 {
        world.send(form("/login", &[("token", "wrong")])).await;
    }
    until(&world, "log-in", 5).await;
    world.pass(Duration::from_secs(61));
    let lines = denied(&world, "log-in").await;
    assert_eq!((lines.len(), lines[0].who.as_str(), lines[0].outcome.as_str()), (6, "nobody", "refused"));
    assert!(lines[0].why.starts_with("too many: 25 more were not looked at since"), "{}", lines[0].why);
}

#[tokio::test]
async fn all_of_the_audit_is_told_at_once_a_line_of_json_each() {
    let world = World::new();
    for number in 0..2_500 {
        let why = format!("number {number}\nand <more>");
        let actor = Actor::Token(if number % 2 == 0 { "ada".to_owned() } else { "bob".to_owned() });
        world.access.record(&Record { why, ..Record::done(actor, Deed::Comment) }, NOW).unwrap();
    }
    let told = world.get("/api/v1/audit.jsonl").await;
    assert_eq!(told.headers[header::CONTENT_TYPE], "application/jsonl; charset=utf-8");
    let rows: Vec<AuditRow> = told.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = rows.iter().map(|row| row.id).collect();
    assert_eq!(numbers, (1..=2_500).rev().collect::<Vec<_>>());
    assert_eq!(rows[0].why, "number 2499\nand <more>");
    let some = world.get("/api/v1/audit.jsonl?who=bob&what=comment").await;
    assert_eq!(some.text().lines().count(), 1_250);
    assert_eq!(world.get("/api/v1/audit.jsonl?what=dance").await.status, StatusCode::BAD_REQUEST);
    let browser = Browser::log_in(&world, SECRET).await;
    assert!(browser.get(&world, "/audit?who=bob").await.text().contains("href=\"/api/v1/audit.jsonl?who=bob\""));
}
