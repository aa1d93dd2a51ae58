//! A small collector takes what is sent, and decodes it; another one hangs.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use conductor::ports::store::{Applied, ClaimLimits, Incarnation, NewTask, RunRow, Store};
use conductor::ports::tally::{Expanded, Fact, Tally as _, Told};
use domain::cost::Spent;
use domain::effect::{Claim, Effect, Job};
use domain::event::{Answer, Event, Intent, RunResult, StepFacts};
use domain::ids::{Actor, DeliveryId, DriverName, JobId, RunId, StepName, Version, WorkItemId};
use domain::task::{Task, Track};
use domain::time::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::Message as _;
use store::{SqliteStore, StoreConfig};
use telemetry::{Sender, Traces};

const NOW: Timestamp = Timestamp(1_790_000_000_000);
/// Nothing here takes as long unless it hangs.
const LONG: Duration = Duration::from_mins(1);

/// Requests as they arrive; each is answered well.
fn collector() -> (String, Receiver<(String, ExportTraceServiceRequest)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (told, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            while let Some((path, body)) = request(&mut stream) {
                let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
                stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
                if told.send((path, request)).is_err() {
                    return;
                }
            }
        }
    });
    (address, requests)
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_ascii_lowercase());
    }
    assert!(lines.contains(&"content-type: application/x-protobuf".to_owned()), "{lines:?}");
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    Some((lines[0].clone(), body))
}

fn client() -> reqwest::blocking::Client {
    reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap()
}

fn sender(collector: &str) -> Sender {
    Sender {
        collector: collector.to_owned(),
        version: "0.1.0".to_owned(),
        instance: "one-life".to_owned(),
        host: "here".to_owned(),
        pages: "http://127.0.0.1:8500".to_owned(),
    }
}

/// A task whose first job is claimed.
fn scene() -> (tempfile::TempDir, SqliteStore, Claim) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap();
    let project = store::conformance::small_project();
    store.put_project(&project, NOW).unwrap();
    let new = NewTask {
        project: project.name,
        work_item: WorkItemId::new("SHOP-001").unwrap(),
        title: "a secret title".to_owned(),
        description: "a secret text".to_owned(),
        labels: Vec::new(),
        track: Track::Full,
        actor: Actor::Person("ada".to_owned()),
    };
    store.create_task(&new, NOW).unwrap();
    let uuid = "0123456789abcdef0123456789abcdef".to_owned();
    let me = Incarnation { host: "here".to_owned(), boot_id: "boot".to_owned(), pid: 7, start_time: 11, uuid };
    let claim = store.claim(&me, &ClaimLimits::of(9), NOW).unwrap().unwrap();
    (dir, store, claim)
}

fn ended(claim: &Claim, result: RunResult) -> RunRow {
    let row = serde_json::json!({
        "id": claim.job.id, "task": claim.task.id, "role": "developer", "stage": claim.task.position.stage, "visit": 1,
        "attempt": 2, "command": "agent --key of-nobody", "started_at": NOW, "ended_at": NOW.0 + 90_000, "exit_code": 1,
        "timed_out": false, "outcome": "undelivered: a secret log", "result": result.as_str(), "model": "large",
        "spent": Spent { cost_microusd: 1_250_000, ..Spent::default() },
    });
    serde_json::from_value(row).unwrap()
}

/// The task as its stop leaves it.
fn stopped(store: &SqliteStore, task: &Task) -> Applied {
    let stop = Event::Intent { intent: Intent::Stop, actor: Actor::Host, note: String::new() };
    let Applied::Stepped { task, .. } = store.apply(task.id, &stop, NOW).unwrap() else { panic!("no stop") };
    let over = Event::CleanedUp { epoch: task.epoch };
    store.apply(task.id, &over, NOW).unwrap()
}

fn spans(requests: &Receiver<(String, ExportTraceServiceRequest)>, wanted: usize) -> Vec<Span> {
    let mut spans = Vec::new();
    while spans.len() < wanted {
        let (path, request) = requests.recv_timeout(LONG).unwrap();
        assert_eq!(path, "post /v1/traces http/1.1");
        for resource in request.resource_spans {
            let of = attributes(&resource.resource.unwrap().attributes);
            assert_eq!(of["service.name"], "gatewright");
            assert_eq!(of["service.instance.id"], "one-life");
            spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    spans
}

fn attributes(of: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    let pair = |pair: &KeyValue| (pair.key.clone(), text(pair.value.as_ref().unwrap().value.as_ref().unwrap()));
    of.iter().map(pair).collect()
}

#[test]
fn a_task_is_a_trace_and_its_runs_and_steps_are_spans_in_the_conventions_words() {
    let (address, requests) = collector();
    let traces = Traces::start_every(&sender(&address), Duration::from_millis(20), client()).unwrap();
    let (_dir, store, claim) = scene();
    let driver = DriverName::new("claude").unwrap();
    let run = ended(&claim, RunResult::Error);
    traces.note(Fact::Began { claim: &claim, at: NOW });
    traces.note(Fact::RunEnded { task: &claim.task, run: &run, driver: Some(&driver), job: Some(&claim.job) });
    let answer = Answer::Fail { findings: domain::ids::Digest::of(b"x"), count: 1, title: "a secret title".to_owned() };
    let step = StepName::new("checks-green").unwrap();
    let event = Event::StepAnswered { epoch: claim.job.epoch, step, answer, facts: StepFacts::default(), woken: false };
    let applied = stopped(&store, &claim.task);
    let at = Timestamp(NOW.0 + 5_000);
    traces.note(Fact::Completed { claim: &claim, event: &event, applied: &applied, run: None, at });
    let spans = spans(&requests, 3);
    traces.stop();

    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}"));
    let (run, step, task) = (named("developer"), named("checks-green"), named("RUN shop"));
    assert!(spans.iter().all(|span| span.trace_id == task.trace_id && span.trace_id.len() == 16));
    assert!([run, step].iter().all(|span| span.parent_span_id == task.span_id), "{spans:?}");
    assert!(task.parent_span_id.is_empty() && run.span_id != step.span_id);
    assert_eq!((task.kind(), run.kind(), step.kind()), (SpanKind::Server, SpanKind::Internal, SpanKind::Internal));
    assert_eq!(run.end_time_unix_nano - run.start_time_unix_nano, 90_000_000_000);
    assert_eq!(step.end_time_unix_nano - step.start_time_unix_nano, 5_000_000_000);

    let (of_run, of_step, of_task) =
        (attributes(&run.attributes), attributes(&step.attributes), attributes(&task.attributes));
    assert_eq!(of_task["cicd.pipeline.result"], "cancellation");
    assert_eq!(of_task["cicd.pipeline.action.name"], "RUN");
    assert_eq!(of_run["cicd.pipeline.name"], "shop");
    assert_eq!(of_run["cicd.pipeline.task.run.result"], "error");
    assert_eq!(of_run["error.type"], "error");
    assert_eq!((of_run["gatewright.driver"].as_str(), of_run["gatewright.cost.usd"].as_str()), ("claude", "1.25"));
    assert_eq!(of_run["cicd.pipeline.run.url.full"], "http://127.0.0.1:8500/t/SHOP-001");
    assert_eq!(of_step["cicd.pipeline.task.run.result"], "failure");
    assert_eq!(run.status.as_ref().unwrap().code(), StatusCode::Error);
    assert_eq!(task.status.clone().unwrap_or_default().code(), StatusCode::Unset);
    let all = format!("{spans:?}");
    assert!(!all.contains("secret") && !all.contains("of-nobody"), "what agents and tickets say goes nowhere: {all}");
}

/// What runs cost is told the same way in each life of the host: the second one's spans are of the first one's trace.
#[test]
fn two_lives_of_the_host_draw_one_trace() {
    let (_dir, _store, claim) = scene();
    let run = ended(&claim, RunResult::Success);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (address, requests) = collector();
        let traces = Traces::start_every(&sender(&address), Duration::from_millis(20), client()).unwrap();
        traces.note(Fact::RunEnded { task: &claim.task, run: &run, driver: None, job: None });
        let span = spans(&requests, 1).remove(0);
        traces.stop();
        ids.push((span.trace_id, span.span_id));
    }
    assert_eq!(ids[0], ids[1]);
}

/// From the delivery over the run to the effect: each span leads back to what brought it about, in the trace of the task.
#[test]
fn what_a_delivery_brought_about_leads_back_to_it() {
    let (address, requests) = collector();
    let traces = Traces::start_every(&sender(&address), Duration::from_millis(20), client()).unwrap();
    let (_dir, _store, claim) = scene();
    let moved = |version| [Applied::Stepped { version: Version(version), task: Box::new(claim.task.clone()) }];
    let applied = moved(7);
    let told = Told { delivery: DeliveryId(41), received_at: NOW, at: Timestamp(NOW.0 + 40), applied: &applied };
    traces.note(Fact::Expanded { source: "board", outcome: Expanded::Told, told: Some(told) });
    let wanted = |id, version, effect| {
        let job = Job { id: JobId(id), version: Version(version), effect, ..claim.job.clone() };
        Claim { job, ..claim.clone() }
    };
    let launch = wanted(50, 7, claim.job.effect.clone());
    let run = RunRow { id: RunId(50), ..ended(&launch, RunResult::Success) };
    traces.note(Fact::RunEnded { task: &launch.task, run: &run, driver: None, job: Some(&launch.job) });
    let event = Event::AftermathEnded { note: "a secret note".to_owned() };
    let applied = moved(8);
    let completed = |claim, applied, run| {
        traces.note(Fact::Completed { claim, event: &event, applied, run, at: Timestamp(NOW.0 + 90_000) });
    };
    completed(&launch, &applied[0], Some(&run));
    completed(&wanted(51, 8, Effect::SetStatus { phase: "a secret phase".to_owned() }), &moved(9)[0], None);
    let spans = spans(&requests, 3);
    traces.stop();

    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}"));
    let (delivery, run, effect) = (named("delivery board"), named("developer"), named("set-status"));
    let cause = |span: &Span| span.links.iter().map(|link| link.span_id.clone()).collect::<Vec<_>>();
    assert_eq!(cause(run), std::slice::from_ref(&delivery.span_id));
    assert_eq!(cause(effect), std::slice::from_ref(&run.span_id));
    assert!(delivery.links.is_empty() && spans.iter().all(|span| span.trace_id == delivery.trace_id));
    assert_eq!(
        (delivery.kind(), attributes(&delivery.attributes)["gatewright.delivery"].as_str()),
        (SpanKind::Consumer, "41")
    );
    assert_eq!(delivery.end_time_unix_nano - delivery.start_time_unix_nano, 40_000_000);
    assert!(!format!("{spans:?}").contains("secret"));
}

/// It takes connections and never answers. All that is noted is noted at once, far more than the line holds, and the host ends.
#[test]
fn a_collector_that_hangs_stops_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    stops_nobody(&address);
    drop(listener);
}

#[test]
fn a_collector_that_is_not_there_stops_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    stops_nobody(&address);
}

fn stops_nobody(address: &str) {
    let (_dir, _store, claim) = scene();
    let run = ended(&claim, RunResult::Success);
    let traces = Traces::start_every(&sender(address), Duration::from_millis(1), client()).unwrap();
    let began = Instant::now();
    for _ in 0..20_000 {
        traces.note(Fact::RunEnded { task: &claim.task, run: &run, driver: None, job: None });
    }
    // One answer that was waited for would take five seconds, and there would be a hundred.
    let noted = began.elapsed();
    traces.stop();
    assert!(noted < LONG, "noting took {noted:?}");
    assert!(began.elapsed() < LONG, "ending took {:?}", began.elapsed());
}
