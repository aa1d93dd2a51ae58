//! Long lists: what a page leaves out is counted, and there is a way to it.

use axum::http::{Method, StatusCode};
use conductor::ports::store::{BoardComment, EvaluationRow, NewEvaluation};
use domain::ids::{PluginId, TaskId};
use gateway::Disk;
use gateway::api::{Listing, TaskListing};

use crate::world::{NOW, World, request};

fn judged(world: &World, task: TaskId, count: u32) {
    let blob = world.store.put_blob(b"{}").unwrap();
    for number in 1..=count {
        let evaluation = NewEvaluation {
            job: None,
            task: Some(task),
            step: "checks".to_owned(),
            plugin: PluginId::new("checks-green").unwrap(),
            digest: None,
            answer: "pass".to_owned(),
            summary: format!("verdict {number}."),
            verdict: blob.clone(),
            transcript: blob.clone(),
            head: None,
            base: None,
            micros: 1500,
            at: NOW,
        };
        world.store.put_evaluation(&evaluation).unwrap();
    }
}

/// Where the link to what is older leads.
fn older(text: &str, list: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("href=\"/t/DEMO-001?{list}="))?;
    Some(format!("/t/DEMO-001?{list}={}", rest.split(['"', '#']).next().unwrap()))
}

#[tokio::test]
async fn a_ticket_says_how_much_of_its_history_it_leaves_out_and_leads_to_it() {
    let world = World::new();
    world.post("/api/v1/projects/demo/items", r#"{"title":"Say hello"}"#).await;
    let task = world.task("DEMO-001", "Say hello");
    judged(&world, task, 120);
    for number in 1..=70 {
        let text = format!(r#"{{"text":"comment {number}."}}"#);
        world.post("/api/v1/projects/demo/items/DEMO-001/comments", &text).await;
    }
    let page = world.get("/t/DEMO-001").await;
    let text = page.text();
    assert!(text.contains("Verdicts <span class=\"count\">120</span>"), "{text}");
    assert!(text.contains("Comments <span class=\"count\">70</span>"), "{text}");
    assert!(text.contains("verdict 120.") && text.contains("verdict 71.") && !text.contains("verdict 70."));
    assert!(text.contains(">Older</a>: 70") || text.contains("Older: 70"), "{text}");
    assert_eq!(older(text, "runs"), None, "nothing was launched");
    let middle = world.get(&older(text, "verdicts").unwrap()).await;
    let text = middle.text();
    assert!(text.contains("verdict 70.") && text.contains("verdict 21.") && !text.contains("verdict 71."), "{text}");
    assert!(text.contains("comment 70.") && text.contains("The newest"), "the other lists are told from their newest");
    let last = world.get(&older(text, "verdicts").unwrap()).await;
    let text = last.text();
    assert!(text.contains("verdict 20.") && text.contains("verdict 1.") && !text.contains("verdict 21."));
    assert_eq!(older(text, "verdicts"), None);
    let comments = world.get(&older(text, "comments").unwrap()).await;
    assert!(comments.text().contains("comment 20.") && comments.text().contains("comment 1."));
    assert!(!comments.text().contains("comment 21."));
    let russian = request(Method::GET, "/t/DEMO-001").header("accept-language", "ru").body(axum::body::Body::empty());
    assert!(world.send(russian.unwrap()).await.text().contains("Более ранние"));
    assert_eq!(world.get("/t/DEMO-001?runs=soon").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn all_that_happened_is_read_page_by_page() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    for _ in 0..120 {
        for intent in ["pause", "resume"] {
            let path = format!("/api/v1/tasks/DEMO-001/{intent}");
            assert_eq!(world.post(&path, "").await.status, StatusCode::OK);
        }
    }
    let mut place = Some("/t/DEMO-001".to_owned());
    let (mut pages, mut paused) = (0, 0);
    while let Some(path) = place {
        let text = world.get(&path).await.text().to_owned();
        let (_, story) = text.split_once("<ol class=\"story\"").unwrap();
        paused += story.matches("paused by operator").count();
        (pages, place) = (pages + 1, older(&text, "entries"));
        assert_eq!(text.contains("created by ada"), place.is_none());
    }
    assert_eq!(paused, 120, "each once");
    assert!(pages > 1);
}

#[tokio::test]
async fn a_listing_is_read_on_from_where_it_was_cut() {
    let world = World::new();
    for number in 1..=130 {
        world.task(&format!("DEMO-{number:03}"), "Say hello");
    }
    let first: TaskListing = world.get("/api/v1/tasks?live=true").await.parse();
    assert_eq!((first.items.len(), first.more, first.total, first.next), (100, true, 130, Some(31)));
    let rest: TaskListing = world.get("/api/v1/tasks?live=true&project=demo&before=31").await.parse();
    assert_eq!((rest.items.len(), rest.more, rest.total, rest.next), (30, false, 130, None));
    assert_eq!(rest.items[0].task.work_item.as_str(), "DEMO-030");
    judged(&world, TaskId(1), 5);
    let cut: Listing<EvaluationRow> = world.get("/api/v1/evaluations?task=DEMO-001&limit=3").await.parse();
    assert_eq!((cut.items.len(), cut.more), (3, true));
    let last = cut.items.last().unwrap().id;
    for path in ["/api/v1/evaluations?", "/api/v1/tasks/1/evaluations?limit=3&"] {
        let rest: Listing<EvaluationRow> = world.get(&format!("{path}before={last}")).await.parse();
        assert_eq!((rest.items.len(), rest.more), (2, false));
    }
    let none: Listing<BoardComment> = world.get("/api/v1/tasks/1/runs?before=9").await.parse();
    assert!(none.items.is_empty() && !none.more);
}

#[tokio::test]
async fn the_first_page_tells_which_try_of_how_many_each_job_is() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    world.post("/api/v1/tasks/DEMO-001/approve", "").await;
    let waits = world.get("/").await;
    world.claimed_launch();
    let runs = world.get("/").await;
    assert!(runs.text().contains("development, attempt 1 of 3"), "{}", runs.text());
    let russian = request(Method::GET, "/").header("accept-language", "ru").body(axum::body::Body::empty());
    assert!(world.send(russian.unwrap()).await.text().contains("разработка, попытка 1 из 3"));
    assert!(waits.text().contains("attempt 1 of 3") || !waits.text().contains(" of 3"));
}

#[tokio::test]
async fn the_system_says_how_much_room_there_is_in_words_and_how_a_backup_is_made() {
    let world = World::new();
    let mib = 1 << 20;
    for (free_bytes, word) in
        [(4096 * mib, "Plenty"), (2047 * mib, "Little is left"), (511 * mib, "Nothing is launched")]
    {
        *world.desk.disk.lock().unwrap() = Some(Disk { free_bytes, size_bytes: 8192 * mib, floor_bytes: 512 * mib });
        let page = world.get("/system").await;
        let text = page.text();
        assert!(text.contains(&format!("</span> {word}</span>")), "{word}: {text}");
        assert!(text.contains("of 8.0 GiB, the floor is 512.0 MiB"), "{text}");
        assert_eq!(text.contains("free-space-mib"), word != "Plenty", "{text}");
        assert!(text.contains("<code>gatewright backup --to FOLDER</code>"), "{text}");
    }
    *world.desk.disk.lock().unwrap() = None;
    assert!(world.get("/system").await.text().contains("it cannot be asked how much is free"));
    assert!(!world.get("/system").await.text().contains("> Old</span>"));
    world.pass(std::time::Duration::from_hours(37));
    assert!(world.get("/system").await.text().contains("> Old</span> last backup:"));
}

#[tokio::test]
async fn a_project_that_is_observed_says_so_wherever_it_stands() {
    let world = World::new();
    for path in ["/", "/repositories", "/p/demo"] {
        assert!(!world.get(path).await.text().contains("observe report"), "{path}");
    }
    let watched = conductor::ports::store::Project { observe: true, ..crate::world::project("demo", "DEMO") };
    world.store.put_project(&watched, NOW).unwrap();
    for path in ["/", "/repositories", "/p/demo"] {
        let page = world.get(path).await;
        let text = page.text();
        assert!(text.contains("Observed</span> every decision is made and recorded"), "{path}: {text}");
        assert!(text.contains("observe report --project demo"), "{path}");
    }
}
