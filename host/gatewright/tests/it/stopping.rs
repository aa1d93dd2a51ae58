//! STOP for the whole house, and a task that says why (catalogue I4).

use crate::fixture::{DEVELOPER, Place, REVIEWER, said};

/// A developer that works until it is ended.
const ENDLESS: &str = "#!/bin/sh\nexec tail -f /dev/null\n";

#[test]
fn i4_1_stop_all_ends_every_task_its_processes_its_clone_and_its_branch() {
    let place = Place::new(ENDLESS, REVIEWER);
    place.init();
    let _host = place.serve();
    let keys = [place.ticket("One thing"), place.ticket("Another thing")];
    for key in &keys {
        place.until(key, "running", |shown| shown["runs"].as_array().is_some_and(|runs| !runs.is_empty()));
    }
    let unasked = place.gatewright(&["stop", "--all"]);
    assert_eq!(unasked.status.code(), Some(2), "{}", said(&unasked));
    let stopped = place.gatewright(&["stop", "--all", "--yes", "--wait", "--note", "the house is closed"]);
    assert!(stopped.status.success(), "{}", said(&stopped));
    assert_eq!(said(&stopped).matches("it has ended").count(), 2, "{}", said(&stopped));
    for key in &keys {
        // By now, not soon.
        let shown = place.json(&["task", "show", key]);
        assert_eq!(shown["task"]["position"]["activity"]["activity"], "settled", "{shown}");
        assert_eq!(shown["phase"], "cancelled");
        let run = &shown["runs"].as_array().unwrap()[0];
        assert_eq!(run["outcome"], "cancelled", "{run}");
        assert!(run["ended_at"].is_u64(), "{run}");
    }
    assert_eq!(place.forge_git(&["for-each-ref", "--format=%(refname)", "refs/heads/feature"]), "");
    let clones = place.state().join("clones/repository");
    let names = |folder: &std::path::Path| {
        std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(names(&clones), [".trash"], "no clone is left");
    assert!(names(&clones.join(".trash")).is_empty(), "no part of a clone is left");
    let wrong = place.gatewright(&["stop", "--all", "--yes", "--project", "repo"]);
    assert!(!wrong.status.success() && said(&wrong).contains("repository"), "{}", said(&wrong));
    let again = place.gatewright(&["stop", "--all", "--project", "repository"]);
    assert!(again.status.success() && said(&again).contains("No task is live"), "{}", said(&again));
    let again = place.gatewright(&["stop", "--all"]);
    assert!(again.status.success() && said(&again).contains("No task is live"), "{}", said(&again));
}

/// A developer that works until somebody lets him go on.
const PATIENT: &str = r#"#!/bin/sh
set -eu
touch "$NOTES/started"
while [ ! -e "$NOTES/go" ]; do sleep 0.1; done
echo more >> greeting.txt
"#;

#[test]
fn a_host_that_drains_says_so_and_ends_after_its_run() {
    let place = Place::new(PATIENT, REVIEWER);
    place.init();
    let mut host = place.serve_with(&["--drain-on-stop"]);
    let key = place.ticket("Greet once more");
    place.until(&key, "at work", |_| place.notes().join("started").exists());
    host.tell_to_end();
    let draining = |_: &serde_json::Value| host.get("/readyz").0 == 503;
    place.until(&key, "drained", draining);
    assert!(host.get("/readyz").1.contains("the host is draining"), "{}", host.get("/readyz").1);
    assert!(host.is_up());
    std::fs::write(place.notes().join("go"), "").unwrap();
    assert!(host.ended_well(), "{}", place.log());
    // The run's end was taken over, and the next job was left to the next host.
    let next = place.serve();
    let shown = place.until_phase(&key, "in-review");
    assert_eq!(shown["task"]["run_retries"], 0);
    assert_eq!(next.get("/readyz").0, 200);
}

#[test]
fn a_second_signal_ends_a_draining_host_at_once_and_its_run_goes_on() {
    let place = Place::new(PATIENT, REVIEWER);
    place.init();
    let mut host = place.serve_with(&["--drain-on-stop"]);
    let key = place.ticket("Greet once more");
    place.until(&key, "at work", |_| place.notes().join("started").exists());
    host.tell_to_end();
    place.until(&key, "drained", |_| host.get("/readyz").0 == 503);
    host.tell_to_end();
    assert!(host.ended_well(), "{}", place.log());
    let _next = place.serve();
    std::fs::write(place.notes().join("go"), "").unwrap();
    let shown = place.until_phase(&key, "in-review");
    assert_eq!(shown["task"]["run_retries"], 0, "it was adopted");
}

#[test]
fn a_task_says_why_it_waits_and_that_its_entries_make_it_so() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let _host = place.serve();
    let key = place.ticket("Greet once more");
    place.until_phase(&key, "in-review");
    let why = place.gatewright(&["task", "why", &key]);
    assert!(why.status.success(), "{}", said(&why));
    let told = said(&why);
    assert!(told.contains("approve the work") && told.contains("task approve REP-001"), "{told}");
    assert!(told.contains("tests-passed: pass") && told.contains("verdict show"), "the evidence is named: {told}");
    let rebuilt = place.gatewright(&["task", "rebuild", &key]);
    assert!(rebuilt.status.success(), "{}", said(&rebuilt));
    let wrong = place.gatewright(&["task", "why", &key, "--at", "yesterday"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(said(&wrong).contains("2026-01-31T12:00:00Z"), "{}", said(&wrong));
}
