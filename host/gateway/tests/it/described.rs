//! The OpenAPI description: it names each route for programs and no other, and schemathesis finds nothing that it does not say.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::Method;
use conductor::ports::store::{BoardItem, NewEvaluation};
use domain::document::{DocumentKind, NewDocument};
use domain::ids::{Digest, PluginId, StageName};
use domain::time::Milliseconds;
use domain::verdict::Verdict;
use fake_services::python;
use gateway::Need;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::figures;
use crate::world::{NOW, SECRET, World};

/// Of what is not a page nor a form, these are for browsers.
const FOR_BROWSERS: [&str; 3] = ["/login", "/language/{code}", "/static/{file}"];
/// Beside all below `/api/`, these are for programs.
const FOR_PROGRAMS: [&str; 6] = ["/healthz", "/readyz", "/health", "/metrics", "/queue", "/status"];

/// What is left out is left out by where it lies: no path of the API is a page's or a form's, whatever it is said to need.
#[test]
fn no_path_of_the_api_is_left_out_as_a_page() {
    for (path, methods) in gateway::needs() {
        let for_browsers = methods.iter().all(|(_, need)| matches!(need, Need::Page | Need::Form(_)));
        let left_out = for_browsers || FOR_BROWSERS.contains(&path);
        let of_programs = path.starts_with("/api/") || FOR_PROGRAMS.contains(&path);
        assert_eq!(left_out, !of_programs, "{path}");
    }
}

/// Whoever adds a route for programs describes it: what it takes and answers, in `gateway/src/openapi/operations.rs`.
#[tokio::test]
async fn each_route_for_programs_is_described_and_nothing_else() {
    let mut routed = BTreeSet::new();
    for (path, methods) in gateway::needs() {
        let methods = methods.into_iter().filter(|(_, need)| !matches!(need, Need::Page | Need::Form(_)));
        for (method, _) in methods.filter(|_| !FOR_BROWSERS.contains(&path)) {
            routed.insert(format!("{method} {path}"));
        }
    }
    let described: Value = World::new().get("/api/v1/openapi.json").await.parse();
    let mut told = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            told.insert(format!("{} {path}", method.to_ascii_uppercase()));
        }
    }
    let missing: Vec<_> = routed.difference(&told).collect();
    let gone: Vec<_> = told.difference(&routed).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not described: {missing:#?}, no routes: {gone:#?}");
}

/// Each shape that is named is there, each that is there is named, and each method has a name of its own.
#[tokio::test]
async fn the_description_holds_together() {
    let page = World::new().get("/api/v1/openapi.json").await;
    let described: Value = page.parse();
    let schemas: BTreeSet<String> = described["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
    let named: BTreeSet<String> = page
        .text()
        .split("#/components/schemas/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(schemas, named);
    let mut ids = BTreeSet::new();
    for methods in described["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{operation}");
        }
    }
}

/// What a method needs is told from the same table by which it is guarded.
#[tokio::test]
async fn the_description_says_which_routes_need_a_token() {
    let described: Value = World::new().get("/api/v1/openapi.json").await.parse();
    for (path, methods) in gateway::needs() {
        for (method, need) in methods {
            let told = &described["paths"][path][method.as_str().to_ascii_lowercase()]["security"];
            match need {
                Need::Token(_) => assert_eq!(*told, serde_json::json!([{"token": []}]), "{method} {path}"),
                Need::Look => assert_eq!(*told, serde_json::json!([{}, {"token": []}]), "{method} {path}"),
                Need::Nothing | Need::Page | Need::Form(_) => {}
            }
        }
    }
}

/// Names with a dot, an epoch without a version, and whole numbers as any JSON writes them.
#[tokio::test]
async fn what_the_description_names_is_taken() {
    let world = World::new();
    world.task("DEMO-001", "a");
    let moved = world.post("/api/v1/tasks/DEMO-001/pause", r#"{"note":"x","epoch":99.0}"#).await;
    assert_eq!(moved.status.as_u16(), 409);
    assert!(moved.detail().contains("you saw epoch 99 of task 1"), "{}", moved.text());
    assert_eq!(world.post("/api/v1/tasks/DEMO-001/pause", r#"{"epoch":1.5}"#).await.status.as_u16(), 400);
    let wanted = r#"{"name":"ci.1","right":"read","expires_in":86400000.0}"#;
    assert_eq!(world.post("/api/v1/tokens", wanted).await.status.as_u16(), 201);
    assert_eq!(world.write(Method::DELETE, "/api/v1/tokens/ci.1", "").await.status.as_u16(), 200);
    let described: Value = world.get("/api/v1/openapi.json").await.parse();
    let schemas = &described["components"]["schemas"];
    assert!(schemas["IntentNote"]["properties"]["epoch"].is_object());
    assert_eq!(schemas["WaiverNote"]["required"], serde_json::json!(["note"]));
    let named = &described["paths"]["/api/v1/tokens/{name}"]["delete"]["parameters"][0]["schema"];
    assert_eq!(*named, serde_json::json!({"$ref": "#/components/schemas/Name"}));
    assert!(schemas["Name"]["pattern"].as_str().unwrap().contains("\\."), "{}", schemas["Name"]);
}

/// A store in which each route finds something, and the names by which it is found.
async fn filled(world: &World) -> Vec<(&'static str, String)> {
    figures::note_all(world).await;
    let commit = "a".repeat(40);
    let card: BoardItem = world.post("/api/v1/projects/demo/items", r#"{"title":"Another"}"#).await.parse();
    let item = format!("/api/v1/projects/demo/items/{}", card.work_item);
    let checks = format!("/api/v1/projects/demo/commits/{commit}/checks");
    world.post(&checks, r#"{"name":"ci","state":"success"}"#).await;
    world.post(&format!("{item}/comments"), r#"{"text":"Well?"}"#).await;
    world.write(Method::PUT, &format!("{item}/status"), r#"{"status":"Approved"}"#).await;
    let task = world.task("DEMO-007", "waits for a person");
    let blob = world.store.put_blob(b"# A review").unwrap();
    let document = NewDocument {
        kind: DocumentKind::Review,
        name: "12-review.md".to_owned(),
        stage: StageName::new("development").unwrap(),
        visit: 1,
        run: None,
        size: 10,
        blob: blob.clone(),
    };
    world.store.put_document(task, &document, NOW).unwrap();
    let verdict = Verdict::Pass { note: "good".to_owned(), warnings: Vec::new(), figures: Vec::new() };
    let evaluation = NewEvaluation {
        job: None,
        task: Some(task),
        step: "checks-green".to_owned(),
        plugin: PluginId::new("checks-green").unwrap(),
        digest: Some(Digest::of(b"component")),
        answer: "pass".to_owned(),
        summary: "good".to_owned(),
        verdict: world.store.put_blob(&serde_json::to_vec(&verdict).unwrap()).unwrap(),
        transcript: world.store.put_blob(br#"{"calls":[]}"#).unwrap(),
        head: None,
        base: None,
        micros: 1234,
        at: NOW,
    };
    let evaluation = world.store.put_evaluation(&evaluation).unwrap();
    let run = world.store.living_runs(1).unwrap()[0].id;
    vec![
        ("project", "\"demo\"".to_owned()),
        ("item", format!("\"{}\"", card.work_item)),
        ("task", "\"DEMO-007\"".to_owned()),
        ("commit", format!("\"{commit}\"")),
        ("run", run.to_string()),
        ("delivery", "1".to_owned()),
        ("name", "\"ci\"".to_owned()),
        ("evaluation", evaluation.to_string()),
        ("document", "\"12-review.md\"".to_owned()),
        ("digest", format!("\"{blob}\"")),
    ]
}

/// What schemathesis is told: no stream, which does not end, and no waiting for a task that no host begins here. `names`: what is
/// there; without them it makes names up.
fn plan(names: &[(&str, String)]) -> String {
    let names: Vec<_> = names.iter().map(|(name, value)| format!("\"path.{name}\" = {value}")).collect();
    let names = names.join("\n");
    format!("request-timeout = 20\nmax-failures = 20\n\n[parameters]\n\"query.wait\" = \"false\"\n{names}\n{EXPECTED}")
}

/// What is well formed may still be gone, taken or no longer what it was, and which columns a board has only the board says.
const EXPECTED: &str = r#"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "409", "410"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "404", "405", "409", "410", "413", "415"]
[[operations]]
include-path = ["/api/v1/projects/{project}/items", "/api/v1/projects/{project}/items/{item}/status"]
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "400", "404", "409", "410"]
"#;

/// No 5xx; no status, content type or shape that the description does not name; what fits it is taken, what does not is refused,
/// and nothing is told without the token that it says is needed.
const CHECKS: [&str; 7] = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "positive_data_acceptance",
    "negative_data_rejection",
    "ignored_auth",
];

/// Schemathesis over a real listener.
async fn asked(with_names: bool) {
    let world = World::new();
    let names = filled(&world).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (close, closed) = oneshot::channel::<()>();
    let mut state = world.state();
    // Each look at the clock is half a minute later: how many wrong tokens a peer may send is another test's.
    let looks = AtomicU64::new(0);
    state.clock = Arc::new(move || NOW.plus(Milliseconds::from_seconds(31 * looks.fetch_add(1, Ordering::SeqCst))));
    let served = tokio::spawn(gateway::serve(listener, state, async { drop(closed.await) }));
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("schemathesis.toml");
    std::fs::write(&config, plan(if with_names { &names } else { &[] })).unwrap();
    let program = python::tool("schemathesis");
    let there = folder.path().to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(program);
        command.current_dir(there).arg("--config-file").arg(config).arg("run");
        command
            .arg(format!("{address}/api/v1/openapi.json"))
            .args(["--header", &format!("Authorization: Bearer {SECRET}")]);
        command.args([
            "--checks",
            &CHECKS.join(","),
            "--phases",
            "examples,coverage,fuzzing",
            "--exclude-path",
            "/api/v1/events",
        ]);
        command.args(["--max-examples", "12", "--seed", "5", "--generation-database", "none", "--no-color"]);
        command.args(["--workers", "1", "--warnings", "off"]).output().unwrap()
    });
    let output = output.await.unwrap();
    drop(close);
    served.await.unwrap().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("No issues found") || told.contains("passed"), "{told}");
    // It asked: a run that met no operation would find nothing either.
    assert!(Arc::strong_count(&world.meters) > 0);
    let scraped = world.get("/metrics").await;
    let asked = scraped.text().lines().filter(|line| line.starts_with("gatewright_http_requests_total{")).count();
    assert!(asked > 100, "only {asked} kinds of answers were met:\n{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing_undescribed_where_all_is_there() {
    asked(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_nothing_undescribed_where_nothing_is() {
    asked(false).await;
}
