//! The event stream: something changed, and nothing about what.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Method, StatusCode, header};
use tokio_stream::StreamExt as _;
use tower::ServiceExt as _;

use crate::world::{NOW, SECRET, World, request};

struct Stream(BodyDataStream);

impl Stream {
    async fn open(world: &World, path: &str, resumed: Option<&str>) -> Self {
        let mut builder = request(Method::GET, path);
        if let Some(id) = resumed {
            builder = builder.header("last-event-id", id);
        }
        let response = world.router.clone().oneshot(builder.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self(response.into_body().into_data_stream())
    }

    /// The next event's name and id; none: the stream ended.
    async fn next(&mut self) -> Option<(String, String)> {
        let next = tokio::time::timeout(Duration::from_secs(30), self.0.next()).await.expect("an event or the end");
        let bytes = next?.unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
        let id = field("id:");
        assert_eq!(field("data:"), format!(r#"{{"sequence":{}}}"#, id.rsplit('-').next().unwrap()));
        Some((field("event:"), id))
    }
}

fn cursor(sequence: u64) -> String {
    format!("{}-{sequence}", NOW.0)
}

#[tokio::test]
async fn a_commit_is_told() {
    let world = World::new();
    let mut stream = Stream::open(&world, "/api/v1/events", None).await;
    let start = world.store.sequence();
    assert_eq!(stream.next().await, Some(("hello".to_owned(), cursor(start))));
    world.post("/api/v1/projects/demo/items", r#"{"title":"a"}"#).await;
    let (name, id) = stream.next().await.unwrap();
    assert_eq!(name, "change");
    assert_ne!(id, cursor(start));
}

#[tokio::test]
async fn who_resumes_hears_whether_something_was_missed() {
    let world = World::new();
    world.task("DEMO-001", "a");
    let now = world.store.sequence();
    let cases = [
        (cursor(now), "hello"),
        (cursor(now - 1), "change"),
        (cursor(now + 5), "resync"),
        (format!("7-{now}"), "resync"),
        ("nonsense".to_owned(), "resync"),
    ];
    for (seen, expected) in cases {
        let by_header = Stream::open(&world, "/api/v1/events?since=0", Some(&seen)).await.next().await;
        let by_parameter = Stream::open(&world, &format!("/api/v1/events?since={seen}"), None).await.next().await;
        assert_eq!(by_header, Some((expected.to_owned(), cursor(now))), "{seen}");
        assert_eq!(by_parameter, by_header);
    }
}

#[tokio::test(start_paused = true)]
async fn a_quiet_stream_beats() {
    let world = World::new();
    let mut stream = Stream::open(&world, "/api/v1/events", None).await;
    stream.next().await.unwrap();
    let before = tokio::time::Instant::now();
    assert_eq!(stream.next().await.unwrap().0, "beat");
    assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&before.elapsed()));
}

#[tokio::test]
async fn streams_end_with_the_listener() {
    let world = World::new();
    let mut stream = Stream::open(&world, "/api/v1/events", None).await;
    stream.next().await.unwrap();
    world.close.send_replace(true);
    assert_eq!(stream.next().await, None);
}

#[tokio::test]
async fn streams_are_counted_and_a_closed_one_frees_its_place() {
    let world = World::new();
    let mut open = Vec::new();
    for _ in 0..48 {
        open.push(Stream::open(&world, "/api/v1/events", None).await);
    }
    let full = world.get("/api/v1/events").await;
    assert_eq!(full.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(full.detail().starts_with("too many event streams are open"));
    // Strangers leave room for those who have a token.
    let named = |method| request(method, "/api/v1/events").header(header::AUTHORIZATION, format!("Bearer {SECRET}"));
    let mut answers = Vec::new();
    for _ in 0..17 {
        let asked = named(Method::GET).body(Body::empty()).unwrap();
        answers.push(world.router.clone().oneshot(asked).await.unwrap());
    }
    let statuses: Vec<StatusCode> = answers.iter().map(axum::http::Response::status).collect();
    assert_eq!((&statuses[..16], statuses[16]), (&[StatusCode::OK; 16][..], StatusCode::SERVICE_UNAVAILABLE));
    drop((open, answers));
    let freed = async {
        loop {
            let again = request(Method::GET, "/api/v1/events").body(Body::empty()).unwrap();
            if world.router.clone().oneshot(again).await.unwrap().status() == StatusCode::OK {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), freed).await.unwrap();
}
