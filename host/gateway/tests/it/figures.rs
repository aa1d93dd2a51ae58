//! Figures for machines: Prometheus' page, and the old system's.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::{StatusCode, header};
use conductor::ports::store::{Applied, ClaimLimits, Completion, Incarnation, NewEvaluation, RunRow};
use conductor::ports::tally::{Expanded, Fact, Tally};
use domain::effect::Claim;
use domain::event::{Answer, Event, Intent, RunResult, StepFacts};
use domain::ids::{Actor, Digest, DriverName, PluginId, RunId, StepName, TaskId};
use domain::verdict::InfraCause;
use fake_services::python;
use gateway::api::{Block, OldMetrics, Queue, Status, TaskView};

use crate::world::{NOW, World};

/// A process whose child computes until it is killed, as an agent does below its shim.
struct Busy {
    child: Child,
    inner: String,
}

impl Busy {
    fn start() -> Self {
        let script = "sh -c 'while :; do :; done' & echo $!; wait";
        let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut inner = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut inner).unwrap();
        Self { child, inner }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn end(mut self) -> u32 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        assert!(Command::new("kill").arg(self.inner.trim()).status().unwrap().success());
        self.child.id()
    }
}

fn me() -> Incarnation {
    let uuid = "0123456789abcdef0123456789abcdef".to_owned();
    Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 7, start_time: 11, uuid }
}

fn ended(run: RunId, task: TaskId) -> RunRow {
    let row = serde_json::json!({
        "id": run, "task": task, "role": "developer", "stage": "development", "visit": 1, "attempt": 1,
        "command": "agent", "pid": 4242, "started_at": NOW.0 - 90_000, "ended_at": NOW, "exit_code": 0,
        "timed_out": false, "outcome": "delivered", "result": RunResult::Success, "model": "large", "effort": "high",
    });
    serde_json::from_value(row).unwrap()
}

/// A task whose developer's run lives, and its row.
async fn living(world: &World) -> RunRow {
    let task = world.task("DEMO-001", "a");
    world.post("/api/v1/tasks/DEMO-001/approve", "").await;
    let claim = launch(world, task);
    let run = RunRow { ended_at: None, result: None, outcome: None, ..ended(RunId(claim.job.id.0), task) };
    world.store.put_run(&run, claim.token).unwrap();
    run
}

fn launch(world: &World, task: TaskId) -> Claim {
    loop {
        let claim = world.store.claim(&me(), &ClaimLimits::of(9), NOW).unwrap().unwrap();
        if claim.job.task == task && claim.job.effect.name() == "launch-agent" {
            return claim;
        }
    }
}

/// A task that was stopped, to its end.
fn stopped(world: &World, item: &str) {
    let task = world.task(item, "stopped");
    let stop = Event::Intent { intent: Intent::Stop, actor: Actor::Host, note: String::new() };
    world.store.apply(task, &stop, NOW).unwrap();
    while let Some(claim) = world.store.claim(&me(), &ClaimLimits::of(9), NOW).unwrap() {
        let event = match claim.job.effect.name() {
            "clean-up" => Event::CleanedUp { epoch: claim.job.epoch },
            _ => Event::AftermathEnded { note: String::new() },
        };
        let (job, token) = (claim.job.id, claim.token);
        let completion = Completion { job, token, event, wakes: 0, evaluation: None, run: None };
        world.store.complete(completion, NOW).unwrap();
    }
}

/// Each kind of fact once, and a row for each figure.
pub(crate) async fn note_all(world: &World) {
    stopped(world, "DEMO-009");
    world.post("/api/v1/projects/demo/items", r#"{"title":"A card","labels":["ui"]}"#).await;
    let breaker = r#"{"state":"closed","failures":2,"since":1}"#;
    by_another_hand(
        world,
        &format!("INSERT INTO breaker (driver, state, body) VALUES ('codex', 'closed', '{breaker}')"),
    );
    let run = living(world).await;
    let task = world.store.task(run.task).unwrap();
    let other = world.task("DEMO-002", "another");
    world.post("/api/v1/tasks/DEMO-002/approve", "").await;
    let claim = launch(world, other);
    let driver = DriverName::new("claude").unwrap();
    let done = RunRow { id: run.id, ..ended(run.id, run.task) };
    let evaluation = NewEvaluation {
        job: None,
        task: Some(run.task),
        step: "checks".to_owned(),
        plugin: PluginId::new("checks-green").unwrap(),
        digest: None,
        answer: "pass".to_owned(),
        summary: String::new(),
        verdict: Digest::of(b"a"),
        transcript: Digest::of(b"b"),
        head: None,
        base: None,
        micros: 1500,
        at: NOW,
    };
    let applied = Applied::Stepped { version: task.version, task: Box::new(task.clone()) };
    let event = Event::AftermathEnded { note: String::new() };
    let meters = &world.meters;
    meters.note(Fact::Began { claim: &claim, at: NOW });
    meters.note(Fact::Completed { claim: &claim, event: &event, applied: &applied, run: None, at: NOW });
    let message = "a hostile word".to_owned();
    let answer = Answer::Infra { cause: InfraCause::Time, message, retry_after: None };
    let (epoch, step) = (claim.job.epoch, StepName::new("checks-green").unwrap());
    let answered = Event::StepAnswered { epoch, step, answer, facts: StepFacts::default(), woken: false };
    meters.note(Fact::Completed { claim: &claim, event: &answered, applied: &applied, run: None, at: NOW });
    meters.note(Fact::RunEnded { task: &task, run: &done, driver: Some(&driver), job: None });
    meters.note(Fact::Evaluated { evaluation: &evaluation });
    meters.note(Fact::Expanded { source: "board", outcome: Expanded::Told, told: None });
    meters.committed(800, 3);
    meters.claimed(300, "claimed");
    meters.received("gitea", "accepted");
}

/// A figure with its labels.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    value: f64,
}

pub(crate) struct Family {
    kind: String,
    pub(crate) samples: Vec<Sample>,
}

/// Read by Prometheus' own Python client, whose parser refuses what is not the format.
pub(crate) fn parsed(text: &str) -> BTreeMap<String, Family> {
    let python = python::tool("python3");
    let script = "import json, sys\n\
        from prometheus_client.parser import text_string_to_metric_families as parse\n\
        print(json.dumps([[f.name, f.type, f.documentation, [[s.name, s.labels, s.value] for s in f.samples]] \
        for f in parse(sys.stdin.read())]))";
    let mut child =
        Command::new(python).args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the parser refuses this:\n{text}");
    type Row = (String, String, String, Vec<(String, BTreeMap<String, String>, f64)>);
    let rows: Vec<Row> = serde_json::from_slice(&output.stdout).unwrap();
    let mut families = BTreeMap::new();
    for (name, kind, help, samples) in rows {
        assert!(help.ends_with('.') && help.len() > 20, "{name} is not explained: {help:?}");
        let samples = samples.into_iter().map(|(name, labels, value)| Sample { name, labels, value }).collect();
        assert!(families.insert(name.clone(), Family { kind, samples }).is_none(), "{name} stands twice");
    }
    families
}

async fn scraped(world: &World) -> BTreeMap<String, Family> {
    let page = world.get("/metrics").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.headers[header::CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    parsed(page.text())
}

/// A figure that is a whole number.
fn figure(families: &BTreeMap<String, Family>, name: &str, labels: &[(&str, &str)]) -> u64 {
    let wanted: BTreeMap<String, String> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut samples = families.values().flat_map(|family| &family.samples);
    let found = samples.find(|sample| sample.name == name && sample.labels == wanted);
    let value = found.unwrap_or_else(|| panic!("there is no {name} with {labels:?}")).value;
    value.to_string().parse().unwrap()
}

#[tokio::test]
async fn metrics_parse_are_explained_and_follow_the_rules_of_names() {
    let world = World::new();
    note_all(&world).await;
    let units = ["_seconds", "_bytes", "_usd", "_info", "_total"];
    for (name, family) in scraped(&world).await {
        assert!(name.starts_with("gatewright_") || name.starts_with("process_"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert!(["counter", "gauge", "histogram"].contains(&family.kind.as_str()), "{name} is of kind {}", family.kind);
        assert!(!family.samples.is_empty(), "{name} has no figure");
        let is_counter = family.samples.iter().all(|sample| sample.name.ends_with("_total"));
        assert_eq!(is_counter, family.kind == "counter", "{name}: counters alone end in `_total`");
        let timed = family.kind == "histogram" && !name.ends_with("_requests");
        assert!(!timed || name.ends_with("_seconds"), "{name} has no base unit");
        assert!(!units.iter().any(|unit| name.contains(&format!("{unit}_"))), "{name}: a unit stands at the end");
    }
}

/// A label that grew with the tickets would cost whoever keeps it a series for each.
#[tokio::test]
async fn no_label_of_a_metric_names_a_ticket_a_task_or_a_run() {
    let world = World::new();
    note_all(&world).await;
    let hostile = "hostile\"} 1\ngatewright_ready 7 \u{202e}";
    world.task("DEMO-004", hostile);
    let card = serde_json::json!({"title": hostile, "labels": [hostile], "description": hostile}).to_string();
    world.post("/api/v1/projects/demo/items", &card).await;
    world.post("/api/v1/tasks/DEMO-004/approve", &serde_json::json!({"note": hostile}).to_string()).await;
    world.get("/api/v1/tasks/hostile").await;
    let known = [
        "project", "stage", "activity", "state", "reason", "driver", "role", "result", "plugin", "answer", "effect",
        "outcome", "source", "method", "route", "status", "lease", "section", "kind", "scope", "version", "le", "step",
        "cause",
    ];
    let families = scraped(&world).await;
    let samples = families.values().flat_map(|family| &family.samples);
    let names: BTreeSet<&str> = samples.clone().flat_map(|sample| sample.labels.keys().map(String::as_str)).collect();
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
    for sample in samples {
        let is_strange = |value: &&String| value.contains("DEMO-0") || value.contains("hostile");
        assert_eq!(sample.labels.values().find(is_strange), None, "{sample:?}");
    }
}

#[tokio::test]
async fn metrics_say_what_the_rows_say() {
    let world = World::new();
    note_all(&world).await;
    world.task("DEMO-003", "waits for a person");
    let figures = scraped(&world).await;
    let at = |stage, activity| [("project", "demo"), ("stage", stage), ("activity", activity)];
    assert_eq!(figure(&figures, "gatewright_tasks", &at("created", "awaiting-person")), 1);
    assert_eq!(figure(&figures, "gatewright_tasks", &at("development", "running")), 2);
    let of_queue = [("stage", "created"), ("effect", "set-status")];
    assert!(figure(&figures, "gatewright_queue_jobs", &of_queue) > 0);
    assert_eq!(figure(&figures, "gatewright_queue_oldest_due_seconds", &of_queue), 0);
    let answered = [("step", "checks-green"), ("answer", "infra")];
    assert_eq!(figure(&figures, "gatewright_steps_answered_total", &answered), 1);
    let retried = [("effect", "launch-agent"), ("cause", "infra"), ("outcome", "again")];
    assert_eq!(figure(&figures, "gatewright_retries_total", &retried), 1);
    assert_eq!(figure(&figures, "gatewright_runs_living", &[("role", "developer")]), 1);
    assert_eq!(figure(&figures, "gatewright_disk_free_bytes", &[]), 40 << 30);
    assert_eq!(figure(&figures, "gatewright_cost_cap_usd", &[("project", "demo"), ("scope", "day")]), 5);
    let run = [("project", "demo"), ("role", "developer"), ("driver", "claude"), ("result", "success")];
    assert_eq!(figure(&figures, "gatewright_runs_total", &run), 1);
    assert_eq!(figure(&figures, "gatewright_store_commit_duration_seconds_count", &[]), 1);
    let route = [("method", "POST"), ("route", "/api/v1/tasks/{task}/approve"), ("status", "200")];
    assert_eq!(figure(&figures, "gatewright_http_requests_total", &route), 2);
}

/// Paths that nobody has are a stranger's words, and would each be a series.
#[tokio::test]
async fn requests_that_meet_no_route_are_no_labels() {
    let world = World::new();
    for number in 0..20 {
        world.get(&format!("/api/v1/nothing/{number}")).await;
    }
    world.get("/api/v1/tasks/DEMO-404").await;
    let figures = scraped(&world).await;
    let routes: BTreeSet<&str> =
        figures["gatewright_http_requests"].samples.iter().map(|sample| sample.labels["route"].as_str()).collect();
    assert_eq!(routes, BTreeSet::from(["/api/v1/tasks/{task}"]));
}

/// What another hand writes into the database.
pub(crate) fn by_another_hand(world: &World, statement: &str) {
    let script = "import sqlite3, sys\nsql = sqlite3.connect(sys.argv[1])\n\
        sql.execute('PRAGMA ignore_check_constraints = ON')\nchanged = sql.execute(sys.argv[2]).rowcount\nsql.commit()\nassert changed in (1, -1), changed";
    let mut python = Command::new(python::tool("python3"));
    let python = python.arg("-c").arg(script).arg(world.dir.path().join("gatewright.db")).arg(statement);
    assert!(python.status().unwrap().success());
}

/// A row that does not read is left out; a table that is not there breaks the section that reads it.
fn break_drivers(world: &World) {
    by_another_hand(world, "ALTER TABLE breaker RENAME TO gone");
}

fn break_runs(world: &World) {
    by_another_hand(world, "ALTER TABLE run RENAME COLUMN body TO gone");
}

#[tokio::test]
async fn a_section_that_cannot_be_read_takes_no_other_with_it() {
    let world = World::new();
    note_all(&world).await;
    break_drivers(&world);
    let figures = scraped(&world).await;
    assert_eq!(figure(&figures, "gatewright_section_readable", &[("section", "drivers")]), 0);
    assert_eq!(figure(&figures, "gatewright_section_readable", &[("section", "tasks")]), 1);
    assert!(!figures.contains_key("gatewright_driver_runs"));
    assert!(figures.contains_key("gatewright_tasks"));
}

#[tokio::test]
async fn a_section_that_panics_takes_no_other_with_it() {
    let world = World::new();
    note_all(&world).await;
    world.desk.falls.store(true, Ordering::SeqCst);
    let figures = scraped(&world).await;
    assert_eq!(figure(&figures, "gatewright_section_readable", &[("section", "cost")]), 0);
    assert_eq!(figure(&figures, "gatewright_section_readable", &[("section", "machine")]), 1);
    assert!(!figures.contains_key("gatewright_cost_cap_usd"));
    assert!(figures.contains_key("gatewright_tasks"));
}

/// A freeze that is meant is no queue that stands still.
#[tokio::test]
async fn what_a_freeze_holds_is_not_due() {
    let world = World::new();
    world.task("DEMO-001", "a");
    world.post("/api/v1/tasks/DEMO-001/approve", "").await;
    world.pass(Duration::from_mins(10));
    let launches = [("stage", "development"), ("effect", "launch-agent")];
    let due = |figures: &BTreeMap<String, Family>| figure(figures, "gatewright_queue_oldest_due_seconds", &launches);
    assert!(due(&scraped(&world).await) >= 600);
    world.post("/api/v1/projects/demo/freeze", r#"{"reason":"release"}"#).await;
    // A page is told again for a moment, and by another life of the host anew.
    let world = world.restarted().await;
    world.pass(Duration::from_mins(10));
    let frozen = scraped(&world).await;
    assert_eq!(figure(&frozen, "gatewright_jobs_waiting", &[("reason", "freeze")]), 1);
    assert_eq!(due(&frozen), 0);
}

/// Where a record does not read, its job is told of with the others, and its task waits for a person.
#[tokio::test]
async fn c2_2_a_damaged_job_is_counted_listed_and_shown_as_such() {
    let world = World::new();
    world.task("DEMO-001", "a");
    world.post("/api/v1/tasks/DEMO-001/approve", "").await;
    by_another_hand(&world, "UPDATE job SET body = '{' WHERE slot = 1");
    let figures = scraped(&world).await;
    assert_eq!(figure(&figures, "gatewright_jobs_waiting", &[("reason", "damaged")]), 1);
    let view: TaskView = world.get("/api/v1/tasks/DEMO-001").await.parse();
    assert!(view.standing.sentence.starts_with("it waits: a row of `job` does not read: "), "{:?}", view.standing);
    assert!(view.standing.needs_person);
    for path in ["/q", "/", "/api/v1/queue"] {
        assert_eq!(world.get(path).await.status, StatusCode::OK, "{path}");
    }
    assert!(world.get("/q").await.text().contains("Damaged"));
}

#[tokio::test]
async fn l1_1_a_broken_block_of_the_queue_breaks_no_other() {
    let world = World::new();
    world.task("DEMO-001", "a");
    world.post("/api/v1/tasks/DEMO-001/approve", "").await;
    break_drivers(&world);
    let page = world.get("/queue").await;
    assert_eq!(page.status, StatusCode::OK);
    let queue: Queue = page.parse();
    assert!(matches!(&queue.drivers, Block::Broken { error } if error.contains("breaker")), "{:?}", queue.drivers);
    assert!(queue.counts.fine().unwrap()["queued"] > 1, "the status and the launch wait");
    assert_eq!(queue.gates.fine().unwrap().len(), 1);
    assert!(queue.features.values().all(|block| matches!(block, Block::Fine(_))), "{:?}", queue.features);
}

/// The names of old, each with a word of whether it is there.
#[tokio::test]
async fn l1_2_a_feature_that_is_off_says_so() {
    let world = World::new();
    let queue: Queue = world.get("/queue").await.parse();
    let features: BTreeMap<String, _> =
        queue.features.into_iter().map(|(name, block)| (name, block.fine().unwrap())).collect();
    let old = [
        "reconcile",
        "reaper",
        "serial_gate",
        "auto_labels",
        "stop",
        "disk_monitor",
        "build_cache_prune",
        "fs_ownership",
        "coverage",
        "merge_gate",
        "lessons",
        "transition_lease",
        "staging_runner",
        "estimator",
        "dependencies",
    ];
    assert_eq!(features.keys().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(old));
    let on: BTreeSet<&str> =
        features.iter().filter(|(_, feature)| feature.enabled).map(|(name, _)| name.as_str()).collect();
    assert_eq!(on, BTreeSet::from(["reconcile", "reaper", "stop", "disk_monitor", "dependencies"]));
    for name in ["serial_gate", "coverage", "staging_runner", "merge_gate"] {
        assert_eq!(features[name].figures["projects"], serde_json::json!([]), "{name} is inert");
    }
    for name in ["lessons", "estimator", "transition_lease", "build_cache_prune", "fs_ownership"] {
        assert!(features[name].why.is_some(), "{name} does not say why");
    }
    assert_eq!(features["disk_monitor"].figures["floor_bytes"], 512 << 20);
}

#[tokio::test]
async fn l2_1_the_ticks_of_a_running_agent_grow() {
    let world = World::new();
    let run = living(&world).await;
    let busy = Busy::start();
    world.desk.pids.lock().unwrap().insert(run.id, busy.pid());
    let ticks = async || {
        let figures: OldMetrics = world.get("/api/v1/metrics").await.parse();
        let agents = figures.agents.fine().unwrap();
        assert_eq!((agents.len(), agents[0].pid, agents[0].runtime_seconds), (1, Some(4242), 90));
        assert_eq!((agents[0].model.as_deref(), agents[0].effort.as_deref()), (Some("large"), Some("high")));
        agents[0].cpu_ticks.unwrap()
    };
    let first = ticks().await;
    // A machine may be too busy to let it compute for a while; it is asked until it has.
    let later = tokio::time::timeout(Duration::from_mins(1), async {
        loop {
            let now = ticks().await;
            if now > first {
                return now;
            }
            tokio::task::yield_now().await;
        }
    });
    assert!(later.await.unwrap() > first);
    busy.end();
}

#[tokio::test]
async fn l2_2_the_ticks_of_a_dead_process_are_not_known() {
    let world = World::new();
    let run = living(&world).await;
    let pid = Busy::start().end();
    world.desk.pids.lock().unwrap().insert(run.id, pid);
    let figures: OldMetrics = world.get("/api/v1/metrics").await.parse();
    let agents = figures.agents.fine().unwrap();
    assert_eq!((agents.len(), agents[0].cpu_ticks), (1, None));
    assert!(world.get("/api/v1/metrics").await.text().contains(r#""cpu_ticks":null"#));
}

#[tokio::test]
async fn l2_3_a_section_that_the_database_fails_leaves_the_others() {
    let world = World::new();
    living(&world).await;
    break_runs(&world);
    let page = world.get("/api/v1/metrics").await;
    assert_eq!(page.status, StatusCode::OK);
    let figures: OldMetrics = page.parse();
    assert!(matches!(&figures.agents, Block::Broken { error } if error.contains("body")), "{:?}", figures.agents);
    assert_eq!(figures.stages.fine().unwrap().into_values().sum::<u64>(), 1);
    assert!(figures.queue.fine().unwrap().claimed > 0);
    assert!(figures.cost.fine().is_some());
    assert_eq!((figures.schema_version, figures.generated_at.as_str()), (1, "2026-09-21T14:13:20Z"));
    assert!(figures.clk_tck > 0);
}

#[tokio::test]
async fn l3_1_status_lists_what_has_not_ended() {
    let world = World::new();
    stopped(&world, "DEMO-001");
    world.task("DEMO-002", "active");
    let status: Status = world.get("/status").await.parse();
    let listed: Vec<_> = status.active_tasks.iter().map(|task| task.work_item_id.as_str()).collect();
    assert_eq!(listed, ["DEMO-002"]);
    assert_eq!(world.get("/health").await.text(), r#"{"status":"ok"}"#);
}

/// The page is one read for all who ask within a moment.
#[tokio::test]
async fn whoever_scrapes_too_often_is_told_the_same_again() {
    let world = World::new();
    let first = world.get("/metrics").await;
    world.task("DEMO-001", "a");
    let again = world.get("/metrics").await;
    assert_eq!(first.text(), again.text());
    assert!(Arc::strong_count(&world.meters) > 1);
}
