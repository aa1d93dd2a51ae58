//! A living host as machines watch it: its log, its metrics, its traces, and the old system's pages.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::fixture::{DEVELOPER, Place, REVIEWER};

fn configure(place: &Place, tables: &str) {
    let file = place.state().join("gatewright.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\n{tables}\n")).unwrap();
}

/// Each line is an object; those about a run say which, and of which task and job. Nothing of the token is in any.
#[test]
fn each_line_of_the_log_is_json_and_says_what_it_is_about() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    configure(&place, "[log]\nformat = \"json\"\nlevel = \"trace\"");
    let host = place.serve();
    let key = place.ticket("Greet once more");
    place.until(&key, "reviewed", |shown| shown["runs"].as_array().is_some_and(|runs| runs.len() > 1));
    host.tell_to_end();
    let token = host.token.clone();
    let mut host = host;
    assert!(host.ended_well(), "{}", place.log());
    let log = place.log();
    assert!(!log.contains(&token), "the operator's token is in the log");
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()), "{log}");
    let of_run = |message: &str| {
        let found = lines.iter().find(|line| line["message"] == message);
        let span = &found.unwrap_or_else(|| panic!("no line says `{message}`:\n{log}"))["span"];
        assert!(["task", "job", "run"].iter().all(|id| span[id].is_u64()), "{span}");
        assert_eq!(span["work_item"], Value::from(key.as_str()));
        span["run"].clone()
    };
    assert_eq!(of_run("a run began"), of_run("a run ended"));
    let expanded = lines.iter().find(|line| line["message"] == "a delivery was expanded");
    assert!(expanded.is_some_and(|line| line["span"]["delivery"].is_u64() && line["source"] == "board"), "{log}");
}

/// Paths of requests as they arrive.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (told, requests) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            loop {
                let mut head = Vec::new();
                let mut line = String::new();
                while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                    head.push(std::mem::take(&mut line).trim().to_ascii_lowercase());
                }
                let Some(path) = head.first().cloned() else { break };
                let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                stream.read_exact(&mut body).unwrap();
                stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
                if told.send((path, body)).is_err() {
                    return;
                }
            }
        }
    });
    (address, requests)
}

#[test]
fn a_host_sends_what_its_runs_did_to_the_collector_that_its_file_names() {
    let (address, requests) = collector();
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    configure(&place, &format!("[telemetry]\notlp = \"{address}\""));
    // The environment names a proxy, as a company's machine does; nobody may ask it.
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = format!("http://{}", proxy.local_addr().unwrap());
    let mut serve = place.command(&["serve"]);
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        serve.env(name, &elsewhere);
    }
    let _host = place.start(serve.env_remove("NO_PROXY").env_remove("no_proxy"));
    let key = place.ticket("Greet once more");
    // The texts of a protobuf message stand in it as they are.
    let words = ["delivery board", "set-status", "developer", "cicd.pipeline.task.run.result", "success", key.as_str()];
    let mut text = String::new();
    while !words.iter().all(|word| text.contains(word)) {
        let (path, body) = requests.recv_timeout(Duration::from_secs(90)).unwrap_or_else(|_| panic!("only {text}"));
        assert_eq!(path, "post /v1/traces http/1.1");
        text.push_str(&String::from_utf8_lossy(&body));
    }
    proxy.set_nonblocking(true).unwrap();
    assert!(proxy.accept().is_err(), "the proxy was asked");
}

/// L3.2: neither page asks the forge, the tracker or the network.
#[test]
fn l3_2_with_the_forge_gone_health_and_status_answer() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    fs::rename(place.forge(), place.path("elsewhere")).unwrap();
    let key = place.ticket("Greet once more");
    place.until(&key, "there", |shown| shown["task"]["id"].is_u64());
    assert_eq!(host.get("/health"), (200, r#"{"status":"ok"}"#.to_owned()));
    let (status, page) = host.get("/status");
    assert!(status == 200 && page.contains(&key), "{status}: {page}");
}

/// What the real host measures: commits, claims, runs, its disk; and the ticks of a living agent's tree.
#[test]
fn a_living_host_measures_its_store_its_runs_and_its_machine() {
    const BUSY: &str = "#!/bin/sh\nwhile [ ! -e \"$NOTES/go\" ]; do :; done\necho more >> greeting.txt\n";
    let place = Place::new(BUSY, REVIEWER);
    place.init();
    let host = place.serve();
    let key = place.ticket("Greet once more");
    let agents =
        || -> Value { serde_json::from_str::<Value>(&host.get("/api/v1/metrics").1).unwrap()["agents"].clone() };
    place.until(&key, "computing", |_| agents()[0]["cpu_ticks"].as_u64().is_some_and(|ticks| ticks > 5));
    let before = agents()[0]["cpu_ticks"].as_u64().unwrap();
    place.until(&key, "computing on", |_| agents()[0]["cpu_ticks"].as_u64().is_some_and(|ticks| ticks > before));
    fs::write(place.notes().join("go"), "").unwrap();
    place.until(&key, "reviewed", |shown| shown["runs"].as_array().is_some_and(|runs| runs.len() > 1));
    let figure = |name: &str| {
        let page = host.get("/metrics").1;
        let line =
            page.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().last()?.parse::<f64>().ok());
        line.unwrap_or_else(|| panic!("no {name}:\n{page}"))
    };
    assert!(figure("gatewright_store_commit_duration_seconds_count") > 5.0);
    assert!(figure("gatewright_claim_duration_seconds_count{outcome=\"claimed\"}") > 0.0);
    assert!(figure("gatewright_disk_free_bytes") > 0.0);
    let run =
        "gatewright_runs_total{driver=\"developer.sh\",project=\"repository\",result=\"success\",role=\"developer\"}";
    assert!(figure(run) > 0.0);
    assert!(figure("gatewright_evaluation_duration_seconds_count") > 0.0);
}
