//! A project beside another system: the host decides, and does nothing.

use std::fs;
use std::time::Instant;

use serde_json::Value;

use crate::fixture::{DEVELOPER, LONGEST, Place, REVIEWER, Serving, said};

const HOOK: &str = "#!/bin/sh\necho \"$0\" >> \"$NOTES/hooks\"\n";

/// `full`, with agents and hooks that leave a trace wherever they run.
fn observed() -> Place {
    let place = Place::new(DEVELOPER, REVIEWER);
    let notes = place.notes().display().to_string();
    let agent = place.script("agents/any.sh", &HOOK.replace("$NOTES", &notes));
    let hook = place.script("agents/hook.sh", &HOOK.replace("$NOTES", &notes));
    let (agent, hook) = (agent.to_str().unwrap(), hook.to_str().unwrap());
    let done = place.gatewright(&[
        "init",
        "--pipeline",
        "full",
        "--agent",
        agent,
        "--test",
        hook,
        "--staging",
        hook,
        "--deploy",
        hook,
    ]);
    assert!(done.status.success(), "{}", said(&done));
    let file = place.project_file();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("serial = false", "serial = false\nmode = \"observe\"")).unwrap();
    let host = place.state().join("gatewright.toml");
    let text = fs::read_to_string(&host).unwrap().replace("127.0.0.1:8500", "127.0.0.1:0");
    let text = if text.contains("[reconcile]") { text } else { format!("{text}\n[reconcile]\n") };
    fs::write(&host, text.replace("[reconcile]", "[reconcile]\nforges = \"5s\"")).unwrap();
    place
}

/// The other system commits a file to its branch.
fn commit(place: &Place, path: &str, text: &str) {
    let file = place.repository().join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    place.git(&["add", "--all"]);
    place.git(&["-c", "user.name=B", "-c", "user.email=b@localhost", "commit", "--quiet", "--message", path]);
}

fn sentence(shown: &Value) -> String {
    shown["standing"]["sentence"].as_str().unwrap_or_default().to_owned()
}

fn report(place: &Place) -> Vec<(String, String)> {
    let rows = place.json(&["observe", "report"]);
    let word = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.as_array().unwrap().iter().map(|row| (word(row, "effect"), word(row, "target"))).collect()
}

#[test]
fn an_observed_project_is_followed_to_its_end_and_nothing_is_done_outside() {
    let place = observed();
    let config = fs::read_to_string(place.repository().join(".git/config")).unwrap();
    let host = place.serve();
    let projects = read(&host, "/api/v1/projects");
    assert_eq!(projects["items"][0]["observed"], true);
    let key = place.ticket("Greet once more");
    let waits = |what: &'static str| place.until(&key, what, move |shown| sentence(shown).contains(what));
    let shown = waits("the analyst would be launched");
    assert!(sentence(&shown).contains("observed"), "{}", sentence(&shown));
    // The other system carries the work item, its own way.
    place.git(&["checkout", "--quiet", "-b", "bot/REP-001"]);
    let folder = format!("docs/work-items/{key}");
    let deliverables = [
        ("01-brd.md", "# What\n\nA line more.\n"),
        ("02-specification.md", "# How\n\nBy a line.\n"),
        ("03-acceptance.md", "# Acceptance\n\n- [ ] There is a line.\n"),
        ("04-test-plan.md", "# Tests\n\nGrep.\n"),
    ];
    for (name, text) in deliverables {
        commit(&place, &format!("{folder}/{name}"), text);
    }
    place.until_phase(&key, "in-review");
    assert!(place.gatewright(&["task", "approve", &key]).status.success());
    waits("the architect would be launched");
    commit(&place, &format!("{folder}/06-adr/ADR-001-a-line.md"), "# A line\n\nBecause.\n");
    waits("the developer would be launched");
    commit(&place, "greeting.txt", "hello\nagain\n");
    waits("the reviewer would be launched");
    commit(&place, &format!("{folder}/12-review.md"), "---\nverdict: APPROVED\n---\n\n## Findings\n\nNone.\n");
    waits("the tester would be launched");
    commit(&place, &format!("{folder}/13-test-report.md"), "---\nresult: PASS\n---\n\nAll of it.\n");
    place.until_phase(&key, "in-review");
    assert!(place.gatewright(&["task", "approve", &key]).status.success());
    waits("retest would be performed; another hand's merge is awaited");
    place.git(&["checkout", "--quiet", "main"]);
    place.git(&["merge", "--quiet", "--ff-only", "bot/REP-001"]);
    let shown = place.until_phase(&key, "done");
    assert_eq!(shown["task"]["merged"].as_str().unwrap(), place.git(&["rev-parse", "main"]));
    assert_eq!(shown["task"]["validated"], Value::Null, "nobody of ours tested it");
    until_told(&place, &host);
    nothing_is_there(&place, &host, &key, &config);
    listed_once(&place);
    drop(host);
    let done = place.gatewright(&["observe", "report", "--since", "2026-01-01T00:00:00Z"]);
    assert!(said(&done).contains("launch-agent analyst"), "without a host too: {}", said(&done));
    let later = place.json(&["observe", "report", "--since", "9999999999999"]);
    assert_eq!(later, Value::Array(Vec::new()));
}

/// The other system's repository is away for a while: the first page and the API say so, and nobody who may ask without a token
/// hears where it lay.
#[test]
fn a_repository_that_cannot_be_polled_is_told_until_it_can() {
    let place = observed();
    let host = place.serve();
    let until = |what: &str, holds: &dyn Fn(&Value) -> bool| {
        let began = Instant::now();
        loop {
            let system = read(&host, "/api/v1/system");
            if holds(&system) {
                return system;
            }
            assert!(began.elapsed() < LONGEST, "{what}: {system}\n{}", place.log());
            place.pause();
        }
    };
    let page = || host.get("/").1;
    assert!(!page().contains("cannot be asked"), "{}", page());
    let away = place.path("away");
    fs::rename(place.repository(), &away).unwrap();
    // Both stand in one answer, and are not of one moment.
    let is_troubled = |system: &Value| system["troubles"].to_string().contains("its repository cannot be asked");
    let system = until("told", &|system| system["unreachable"][0]["neighbour"] == "forge" && is_troubled(system));
    let told = &system["unreachable"][0];
    assert!(told["project"] == "repository" && told["since"].is_u64(), "{told}");
    assert!(page().contains("cannot be asked") && page().contains("repository of repository"), "{}", page());
    let (status, health) = host.get("/readyz");
    assert_eq!(status, 200);
    assert!(health.contains("a tracker or a forge cannot be asked"), "{health}");
    assert!(!health.contains(place.path("").to_str().unwrap()), "{health}");
    fs::rename(&away, place.repository()).unwrap();
    until("over", &|system| system["unreachable"] == Value::Array(Vec::new()) && !is_troubled(system));
    assert!(!page().contains("cannot be asked") && !host.get("/readyz").1.contains("forge"), "{}", page());
}

/// Nothing is left in the queue.
fn until_told(place: &Place, host: &Serving) {
    loop {
        let queue = read(host, "/api/v1/queue");
        let lives = |job: &Value| job["state"] == "queued" || job["state"] == "claimed";
        if !queue["items"].as_array().unwrap().iter().any(lives) {
            return;
        }
        place.pause();
    }
}

fn read(host: &Serving, path: &str) -> Value {
    serde_json::from_str(&host.get(path).1).unwrap()
}

fn nothing_is_there(place: &Place, host: &Serving, key: &str, config: &str) {
    let notes = fs::read_dir(place.notes()).unwrap().count();
    assert_eq!(notes, 0, "no agent and no hook ran");
    for folder in ["runs", "clones", "briefs"] {
        let found = fs::read_dir(place.state().join(folder)).map_or(0, |entries| files(entries).len());
        assert_eq!(found, 0, "{folder}/ is as it was");
    }
    let refs = place.forge_git(&["for-each-ref", "--format=%(refname)", "refs/heads"]);
    assert_eq!(refs, "refs/heads/bot/REP-001\nrefs/heads/main");
    for name in ["main", "bot/REP-001"] {
        let log = fs::read_to_string(place.forge().join("logs/refs/heads").join(name)).unwrap_or_default();
        assert!(!log.contains("\ttask "), "the host moved {name}: {log}");
    }
    assert_eq!(place.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/bot/REP-001\nrefs/heads/main");
    assert_eq!(fs::read_to_string(place.repository().join(".git/config")).unwrap(), config);
    let board = |what: &str| read(host, &format!("/api/v1/projects/repository/items/{key}/{what}"));
    assert_eq!(board("comments")["items"], Value::Array(Vec::new()));
    let moves = board("activity")["items"].as_array().unwrap().clone();
    assert!(moves.iter().all(|row| row["actor"]["kind"] != "host"), "{moves:?}");
}

fn files(entries: fs::ReadDir) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in entries.flatten() {
        match fs::read_dir(entry.path()) {
            Ok(inside) => found.extend(files(inside)),
            Err(_) => found.push(entry.path()),
        }
    }
    found
}

fn listed_once(place: &Place) {
    let rows = report(place);
    let launches = rows.iter().filter(|(effect, _)| effect == "launch-agent").map(|(_, target)| target.as_str());
    assert_eq!(launches.collect::<Vec<_>>(), ["analyst", "architect", "developer", "reviewer", "tester"]);
    let count = |wanted: &str| rows.iter().filter(|(effect, _)| effect == wanted).count();
    assert_eq!((count("retest"), count("merge"), count("deploy")), (1, 0, 0), "{rows:?}");
    // Nobody is notified where the file names no notifier.
    assert!(count("post-comment") > 0 && count("set-status") > 0, "{rows:?}");
}
