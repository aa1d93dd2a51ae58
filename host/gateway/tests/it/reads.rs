//! What the command line reads: runs, logs, documents, evaluations, blobs, checks, the queue, the probes.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use conductor::breaker::{COOL_DOWN, FAILURES};
use conductor::ports::store::{
    ClaimLimits, Completion, EvaluationRow, Incarnation, JobRow, NewEvaluation, RunRow, WaitReason,
};
use conductor::slots::{Place, Seat, Sitter};
use domain::cost::{Spent, Usage};
use domain::document::{Document, DocumentKind, NewDocument, Role};
use domain::effect::run_of;
use domain::event::{Event, FailureClass, RunOutcome};
use domain::ids::{Digest, DriverName, Epoch, FenceToken, PluginId, ProjectName, RunId, StageName, TaskId};
use domain::plugin::{Check, CheckState};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::Verdict;
use gateway::api::{
    EvaluationView, Health, HeldBy, LeaseView, Listing, LiveQueue, Neighbour, Part, Queue, Status, System, TaskView,
    Trouble, Unreachable,
};
use serde_json::Value;

use crate::figures::by_another_hand;
use crate::holder::Holder;
use crate::world::{NOW, World, name, request};

fn judged(world: &World, task: TaskId) -> u64 {
    let verdict = Verdict::Pass { note: "good".to_owned(), warnings: Vec::new(), figures: Vec::new() };
    let verdict = world.store.put_blob(&serde_json::to_vec(&verdict).unwrap()).unwrap();
    let transcript = world.store.put_blob(br#"{"calls":[]}"#).unwrap();
    let evaluation = NewEvaluation {
        job: None,
        task: Some(task),
        step: "checks-green".to_owned(),
        plugin: PluginId::new("checks-green").unwrap(),
        digest: Some(Digest::of(b"component")),
        answer: "pass".to_owned(),
        summary: "good".to_owned(),
        verdict,
        transcript,
        head: None,
        base: None,
        micros: 1234,
        at: NOW,
    };
    world.store.put_evaluation(&evaluation).unwrap().0
}

/// The run of the task's launch: the two share one number.
async fn run(world: &World, task: TaskId) -> (RunId, FenceToken) {
    world.post(&format!("/api/v1/tasks/{task}/approve"), "").await;
    let claim = world.claimed_launch();
    let id = RunId(claim.job.id.0);
    let row = RunRow::begun(id, &claim.task, Role::Developer, 1, "agent".to_owned(), NOW);
    world.store.put_run(&row, claim.token).unwrap();
    (id, claim.token)
}

#[tokio::test]
async fn runs_and_the_ends_of_their_logs() {
    let world = World::new();
    let task = world.task("DEMO-001", "a");
    let (id, _) = run(&world, task).await;
    let runs: Listing<RunRow> = world.get("/api/v1/tasks/DEMO-001/runs").await.parse();
    assert_eq!(runs.items[0].id, id);
    assert_eq!(world.get(&format!("/api/v1/runs/{id}")).await.parse::<RunRow>().command, "agent");
    let log = world.get(&format!("/api/v1/runs/{id}/log?tail=20")).await;
    assert_eq!(log.text(), format!("the last 20 bytes of {id}"));
    assert_eq!(log.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    let none = world.get("/api/v1/runs/999/log").await;
    assert_eq!((none.status, none.detail().as_str()), (StatusCode::NOT_FOUND, "there is no run `999`"));
    assert!(world.get("/t/DEMO-001").await.text().contains("developer in development, visit 1, attempt 1"));
}

#[tokio::test]
async fn a_living_run_shows_what_it_has_used_so_far() {
    let world = World::new();
    let task = world.task("DEMO-001", "a");
    let (id, token) = run(&world, task).await;
    let row: RunRow = world.get(&format!("/api/v1/runs/{id}")).await.parse();
    assert_eq!((row.usage.cache_read_tokens, row.spent.map(|spent| spent.cost_microusd)), (Some(40), Some(1_500_000)));
    let rows: Listing<RunRow> = world.get("/api/v1/tasks/DEMO-001/runs").await.parse();
    assert_eq!(rows.items[0].usage, row.usage);
    assert!(world.get("/t/DEMO-001").await.text().contains("$1.50, 42 tokens"));
    let ended = RunRow { ended_at: Some(NOW), model: Some("opus<b>".to_owned()), ..world.store.run(id).unwrap() };
    world.store.put_run(&ended, token).unwrap();
    let row: RunRow = world.get(&format!("/api/v1/runs/{id}")).await.parse();
    assert_eq!((row.usage, row.spent), (Usage::default(), None), "what ended has what was recorded");
    assert!(!world.get("/t/DEMO-001").await.text().contains("opus<b>"));
}

/// E7.3: a task shows what each role cost, input with what the cache held.
#[tokio::test]
async fn e7_3_a_task_shows_what_each_role_cost() {
    let world = World::new();
    let task = world.task("DEMO-001", "a");
    for run in 901..=903 {
        let spent = Spent { input_tokens: 1, cache_creation_tokens: 10, cost_microusd: 500_000, ..Spent::default() };
        let event = Event::RunEnded {
            epoch: Epoch(0),
            run: RunId(run),
            outcome: RunOutcome::OverBudget { cause: "late".to_owned() },
            spent: Some(spent),
            role: Some(Role::Developer),
        };
        world.store.apply(task, &event, NOW).unwrap();
    }
    let shown: TaskView = world.get("/api/v1/tasks/DEMO-001").await.parse();
    let sum = shown.task.by_role[&Role::Developer];
    assert_eq!((sum.runs, sum.spent, sum.spent.shown_input()), (3, shown.task.spent, 33));
    let page = world.get("/t/DEMO-001").await;
    assert!(page.text().contains("3 runs, $1.50, 33 tokens in (30 by the cache), 0 out"), "{}", page.text());
}

#[tokio::test]
async fn documents_are_plain_text_by_number_or_name() {
    let world = World::new();
    let task = world.task("DEMO-001", "a");
    let text = b"<script>alert(1)</script>";
    let document = NewDocument {
        kind: DocumentKind::Review,
        name: "12-review.md".to_owned(),
        stage: StageName::new("development").unwrap(),
        visit: 1,
        run: None,
        size: text.len() as u64,
        blob: world.store.put_blob(text).unwrap(),
    };
    let id = world.store.put_document(task, &document, NOW).unwrap();
    let listed: Listing<Document> = world.get("/api/v1/tasks/DEMO-001/documents").await.parse();
    assert_eq!(listed.items[0].id, id);
    for name in [id.to_string(), "12-review.md".to_owned()] {
        let reply = world.get(&format!("/api/v1/tasks/DEMO-001/documents/{name}")).await;
        assert_eq!(&reply.bytes[..], text);
        assert_eq!(reply.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    }
    let none = world.get("/api/v1/tasks/1/documents/nine").await;
    assert_eq!(none.detail(), format!("task 1 has no document `nine`; there are: {id} (12-review.md)"));
}

#[tokio::test]
async fn evaluations_their_answers_and_transcripts() {
    let world = World::new();
    let task = world.task("DEMO-001", "a");
    let id = judged(&world, task);
    for path in ["/api/v1/evaluations", "/api/v1/evaluations?task=DEMO-001", "/api/v1/tasks/DEMO-001/evaluations"] {
        let listed: Listing<EvaluationRow> = world.get(path).await.parse();
        assert_eq!(listed.items.len(), 1, "{path}");
    }
    let view: EvaluationView = world.get(&format!("/api/v1/evaluations/{id}")).await.parse();
    assert_eq!(view.row.evaluation.step, "checks-green");
    assert_eq!(view.answered.unwrap()["note"], "good");
    assert_eq!(world.get(&format!("/api/v1/evaluations/{id}/transcript")).await.text(), r#"{"calls":[]}"#);
    assert_eq!(world.get("/api/v1/evaluations/99").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_blob_needs_the_token() {
    let world = World::new();
    let digest = world.store.put_blob(b"a brief").unwrap();
    let path = format!("/api/v1/blobs/{digest}");
    assert_eq!(world.get(&path).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(&world.get_as_operator(&path).await.bytes[..], b"a brief");
    let none = world.get_as_operator(&format!("/api/v1/blobs/{}", "0".repeat(64))).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let bad = world.get_as_operator("/api/v1/blobs/..%2F..%2Fgatewright.db").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn checks_are_reported_and_replaced_by_name() {
    let world = World::new();
    let path = format!("/api/v1/projects/demo/commits/{}/checks", "a".repeat(40));
    for state in ["pending", "success"] {
        let body = format!(r#"{{"name":"ci","state":"{state}","url":"https://ci.example/1"}}"#);
        let reply = world.post(&path, &body).await;
        assert_eq!((reply.status, reply.parse::<Check>().raw), (StatusCode::CREATED, state.to_owned()));
    }
    let listed: Listing<Check> = world.get(&path).await.parse();
    assert_eq!(listed.items.len(), 1);
    assert_eq!((listed.items[0].state, listed.items[0].at), (CheckState::Success, NOW));
    let bad = world.post(&path, r#"{"name":"ci","state":"green"}"#).await;
    assert!(
        bad.detail().contains("expected one of `pending`, `success`, `neutral`, `failure`, `error`"),
        "{}",
        bad.detail()
    );
    let bad = world.post(&path, r#"{"name":"ci","state":"error","url":"javascript:alert(1)"}"#).await;
    assert_eq!(bad.detail(), "`url` is no `http` or `https` address");
}

#[tokio::test]
async fn the_queue_says_why_a_job_waits() {
    let world = World::new();
    world.task("DEMO-001", "a");
    world.post("/api/v1/tasks/DEMO-001/approve", "").await;
    let jobs: Listing<JobRow> = world.get("/api/v1/queue").await.parse();
    let launch = jobs.items.iter().find(|job| job.effect == "launch-agent").unwrap();
    assert_eq!((launch.state.as_str(), launch.reason.clone()), ("queued", None));
    let queue: Queue = world.get("/queue").await.parse();
    assert_eq!(queue.max_concurrency.fine(), Some(2));
    assert_eq!(queue.counts.fine().unwrap()["queued"], jobs.items.len() as u64);
    let leases: Listing<LeaseView> = world.get("/api/v1/leases").await.parse();
    assert!(leases.items.is_empty());
}

/// Five refused runs of one driver: its breaker is open, whoever waits for it says so, and so does the driver.
#[tokio::test]
async fn c4_2_an_open_breaker_is_seen_in_the_queue_and_on_the_task() {
    let world = World::new();
    let agent = DriverName::new("claude").unwrap();
    let sitter = Sitter { driver: Some(agent.clone()), missing: None };
    let place = Place {
        runs: None,
        repository: "/src/demo".to_owned(),
        seats: BTreeMap::from([(Seat::Role(Role::Developer), sitter)]),
    };
    let places = BTreeMap::from([(ProjectName::new("demo").unwrap(), place)]);
    let limits =
        ClaimLimits { drivers: BTreeMap::from([(agent, 8)]), places: Some(Arc::new(places)), ..ClaimLimits::of(9) };
    *world.desk.limits.lock().unwrap() = limits.clone();
    let idle: LiveQueue = world.get("/api/v1/queue").await.parse();
    assert_eq!((idle.drivers[0].state.as_str(), idle.drivers[0].limit, idle.drivers[0].runs), ("closed", Some(8), 0));
    let uuid = "0123456789abcdef0123456789abcdef".to_owned();
    let me = Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 7, start_time: 11, uuid };
    for number in 1..=FAILURES {
        world.task(&format!("DEMO-00{number}"), "a");
        world.post(&format!("/api/v1/tasks/DEMO-00{number}/approve"), "").await;
    }
    while let Some(claim) = world.store.claim(&me, &limits, NOW).unwrap() {
        let refused = RunOutcome::Undelivered {
            cause: "429".to_owned(),
            retry_after: Some(Milliseconds(60_000)),
            class: FailureClass::Transient,
        };
        let event = match claim.job.effect.name() {
            "launch-agent" => Event::RunEnded {
                epoch: claim.job.epoch,
                run: run_of(claim.job.id),
                outcome: refused,
                spent: None,
                role: None,
            },
            _ => Event::AftermathEnded { note: String::new() },
        };
        let (job, token) = (claim.job.id, claim.token);
        world.store.complete(Completion { job, token, event, wakes: 0, evaluation: None, run: None }, NOW).unwrap();
    }
    let queue: LiveQueue = world.get("/api/v1/queue").await.parse();
    let driver = &queue.drivers[0];
    assert_eq!((driver.driver.as_str(), driver.state.as_str(), driver.since), ("claude", "open", Some(NOW)));
    assert_eq!(driver.until, Some(NOW.plus(COOL_DOWN)));
    let launch = queue.items.iter().find(|job| job.effect == "launch-agent" && job.state == "queued").unwrap();
    assert_eq!(launch.reason, Some(WaitReason::Breaker));
    assert!(launch.note.as_deref().is_some_and(|note| note.contains("`claude`")), "{launch:?}");
    let shown: TaskView = world.get("/api/v1/tasks/DEMO-001").await.parse();
    assert!(shown.standing.sentence.contains("its breaker is open"), "{}", shown.standing.sentence);
    let old: Queue = world.get("/queue").await.parse();
    assert_eq!(old.drivers.fine(), Some(queue.drivers));
}

#[tokio::test]
async fn probes_tell_life_from_service() {
    let well = World::new();
    assert_eq!(well.get("/healthz").await.text(), "ok");
    let ready = well.get("/readyz").await;
    assert_eq!((ready.status, ready.parse::<Health>().ok), (StatusCode::OK, true));
    let system: System = well.get("/api/v1/system").await.parse();
    assert_eq!((system.runs_held[0].name.as_str(), system.runs_held[0].held_by), ("sandbox", HeldBy::Nobody));
    let backups = system.backups.fine().unwrap();
    assert_eq!(backups.last.map(|last| (last.at, last.tasks)), Some((NOW, 3)));
    assert_eq!(backups.verified, None);
    let ill = World::empty(false);
    assert_eq!(ill.get("/healthz").await.status, StatusCode::OK);
    let ready = ill.get("/readyz").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    // Anybody may ask: of which part something is wrong, once, and nothing of where the host keeps what.
    let told = ready.parse::<Health>().reasons;
    assert_eq!(told, ["too little of the disk is free: nothing is launched, the rest goes on"]);
    let system: System = ill.get("/api/v1/system").await.parse();
    assert_eq!(system.troubles.len(), 2);
    assert_eq!(system.troubles[0], Trouble::of(Part::Disk, "the disk is <nearly> full: /srv/state"));
}

/// Which neighbour is down stands where people and programs look for it, as long as it is.
#[tokio::test]
async fn a_neighbour_that_cannot_be_asked_is_told_until_it_can() {
    let world = World::new();
    let page = async || world.get("/").await.text().to_owned();
    assert!(!page().await.contains("cannot be asked"));
    let why = "the tracker refuses: the <token> has no right".to_owned();
    let since = Timestamp(NOW.0 - 300_000);
    let silent = Unreachable { project: name("demo"), neighbour: Neighbour::Tracker, since, why };
    world.desk.unreachable.lock().unwrap().push(silent.clone());
    let told = page().await;
    let shown = "tracker of demo: the tracker refuses: the &#60;token&#62; has no right";
    assert!(told.contains("cannot be asked") && told.contains(shown) && told.contains("5 min"), "{told}");
    let russian = request(Method::GET, "/").header(header::ACCEPT_LANGUAGE, "ru").body(Body::empty()).unwrap();
    let russian = world.send(russian).await;
    assert!(russian.text().contains("трекер проекта demo") && russian.text().contains("не удаётся спросить"));
    let system: System = world.get("/api/v1/system").await.parse();
    assert_eq!(system.unreachable.iter().collect::<Vec<_>>(), [&silent]);
    let old: Value = world.get("/queue").await.parse();
    assert_eq!(old["reconcile"]["unreachable"], serde_json::to_value([silent]).unwrap());
    world.desk.unreachable.lock().unwrap().clear();
    assert!(!page().await.contains("cannot be asked"));
}

/// However many others are in the line: what is said of one task is said of its own work.
#[tokio::test]
async fn a_task_far_back_in_a_long_line_says_that_it_waits() {
    let world = World::new();
    let first = world.task("DEMO-001", "Say hello");
    for number in 2..=1_010 {
        world.task(&format!("DEMO-{number:03}"), "Wait as well");
    }
    assert!(world.get("/api/v1/queue?limit=1000").await.parse::<LiveQueue>().more);
    let approved = world.post(&format!("/api/v1/tasks/{first}/approve"), "").await;
    assert_eq!(approved.status, StatusCode::OK, "{}", approved.text());
    world.post("/api/v1/projects/demo/freeze", r#"{"reason":"a holiday"}"#).await;
    for path in [format!("/api/v1/tasks/{first}"), format!("/api/v1/tasks/{first}/why"), "/t/DEMO-001".to_owned()] {
        let text = world.get(&path).await.text().to_owned();
        assert!(text.contains("it waits"), "{path}: {text}");
    }
}

/// What the database says of its own tables is for the log and for nobody who asks.
#[tokio::test]
async fn a_broken_database_is_no_conflict_and_its_words_stay_inside() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    let refused = world.post("/api/v1/tasks/DEMO-001/resume", "").await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "what we refuse ourselves stays a refusal");
    by_another_hand(&world, "ALTER TABLE evaluation RENAME TO gone");
    let page = world.get("/api/v1/evaluations").await;
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR, "{}", page.text());
    assert!(page.text().contains("urn:gatewright:broken"), "{}", page.text());
    assert!(!page.text().contains("evaluation") && !page.text().contains("table"), "{}", page.text());
    by_another_hand(&world, "ALTER TABLE breaker RENAME TO gone_too");
    let page = world.get("/").await;
    assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!page.text().contains("breaker"), "{}", page.text());
}

#[tokio::test]
async fn a_database_that_another_program_holds_is_busy() {
    let world = World::new();
    let holder = Holder::of(world.dir.path());
    let page = world.post("/api/v1/projects/demo/freeze", r#"{"reason":"later"}"#).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{}", page.text());
    assert!(page.detail().contains("ask again") && !page.text().contains("locked"), "{}", page.text());
    holder.let_go();
    let page = world.post("/api/v1/projects/demo/freeze", r#"{"reason":"later"}"#).await;
    assert!(page.status.is_success(), "{}", page.text());
}

/// Whoever asks about a task whose own record does not read hears which row that is and what is wrong with it.
#[tokio::test]
async fn a_task_whose_record_does_not_read_is_named_to_whoever_asks_why() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    world.task("DEMO-002", "Say goodbye");
    by_another_hand(&world, "UPDATE task SET body = '{', version = version + 1 WHERE work_item = 'DEMO-002'");
    for path in ["/api/v1/tasks/DEMO-002/why", "/api/v1/tasks/2/why", "/api/v1/tasks/DEMO-002"] {
        let reply = world.get(path).await;
        assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
        let told = reply.detail();
        assert!(told.starts_with("a row of `task` does not read: number 2: EOF"), "{path}: {told}");
        assert!(told.ends_with("; `gatewright restore` has it from a backup"), "{path}: {told}");
    }
    let page = request(Method::GET, "/t/DEMO-002").header(header::ACCEPT, "text/html").body(Body::empty()).unwrap();
    let page = world.send(page).await;
    assert!(page.text().contains("does not read: number 2"), "{}", page.text());
    assert_eq!(world.get("/api/v1/tasks/DEMO-001/why").await.status, StatusCode::OK);
}

/// Pages of old that nobody reads on tell of all, the oldest too.
#[tokio::test]
async fn the_old_pages_leave_no_task_out_however_many_there_are() {
    let world = World::new();
    let first = world.task("DEMO-0001", "the oldest");
    world.post("/api/v1/tasks/DEMO-0001/pause", "").await;
    for number in 2..=1004 {
        world.task(&format!("DEMO-{number:04}"), "another");
    }
    let status: Status = world.get("/status").await.parse();
    assert_eq!(status.active_tasks.len(), 1004);
    let queue: Queue = world.get("/queue").await.parse();
    let gate = queue.gates.fine().unwrap().remove(0);
    assert_eq!(gate.paused.iter().map(|named| named.task).collect::<Vec<_>>(), [first]);
}
