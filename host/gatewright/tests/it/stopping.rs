//! STOP for the whole house, and a task that says why (catalogue I4).

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::fixture::{DEVELOPER, Place, REVIEWER, Serving, said};

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

/// What a command must end within here; a stuck one is ended.
fn in_time(mut command: Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let (tell, told) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let is_stuck = told.recv_timeout(Duration::from_mins(1)) == Err(mpsc::RecvTimeoutError::Timeout);
        if is_stuck {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        is_stuck
    });
    let done = child.wait_with_output().unwrap();
    drop(tell);
    assert!(!watch.join().unwrap(), "it waits for ever: {}", said(&done));
    done
}

/// One developer at work.
fn at_work(developer: &str) -> (Place, Serving, String) {
    let place = Place::new(developer, REVIEWER);
    place.init();
    let host = place.serve();
    let key = place.ticket("One thing");
    place.until(&key, "running", |shown| shown["runs"].as_array().is_some_and(|runs| !runs.is_empty()));
    (place, host, key)
}

#[test]
fn i4_1_whoever_may_not_stop_is_told_so_at_once() {
    let (place, _host, key) = at_work(ENDLESS);
    let reader = place.json(&["token", "new", "reader", "--right", "read"])["secret"].as_str().unwrap().to_owned();
    let mut command = place.command(&["stop", "--all", "--yes", "--wait"]);
    command.env("GATEWRIGHT_TOKEN", reader);
    let done = in_time(command);
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    let missing = "the token `reader` has the right `read`, and this needs `operate`";
    assert!(said(&done).contains(missing), "{}", said(&done));
    assert_eq!(place.json(&["task", "show", &key])["task"]["stop_requested"], false);
}

/// A developer that does not end when told to: his end takes as long as he is given.
const STUBBORN: &str = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n";

#[test]
fn i4_1_what_is_stopping_already_is_no_refusal() {
    let (place, _host, key) = at_work(STUBBORN);
    for (told, other) in [("stopped", "already"), ("already", "stopped")] {
        let done = in_time(place.command(&["stop", "--all", "--yes", "--json"]));
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        let value: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        let count = |list: &str| value[list].as_array().unwrap().len();
        assert_eq!((count(told), count(other), count("refused")), (1, 0, 0), "{value}");
    }
    place.until_phase(&key, "cancelled");
}

/// A door before the host, at which the first so many stops find nobody; the folder by which it is found.
fn door(place: &Place, host: &Serving, fails: usize) -> PathBuf {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = place.path("door");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("operator-address"), format!("http://{}", listener.local_addr().unwrap())).unwrap();
    std::fs::copy(place.state().join("operator-token"), folder.join("operator-token")).unwrap();
    let behind = host.address.strip_prefix("http://").unwrap().to_owned();
    let left = Arc::new(AtomicUsize::new(fails));
    std::thread::spawn(move || {
        for guest in listener.incoming() {
            let (behind, left) = (behind.clone(), Arc::clone(&left));
            std::thread::spawn(move || pass_on(&mut guest.unwrap(), &behind, &left));
        }
    });
    folder
}

/// `stop --all --wait` for the host that is found by a folder.
fn stop_at(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewright"));
    command.arg("--dir").arg(folder).args(["stop", "--all", "--yes", "--wait"]).stdin(Stdio::null());
    command
}

/// One request, with what belongs to it; the connection ends with its answer.
fn pass_on(guest: &mut TcpStream, behind: &str, left: &AtomicUsize) {
    let mut lines = BufReader::new(guest.try_clone().unwrap());
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap(),
                "connection" => continue,
                "host" => line = format!("host: {behind}\r\n"),
                _ => {}
            }
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).unwrap();
    let is_stop = head.lines().next().is_some_and(|line| line.starts_with("POST") && line.contains("/stop "));
    if is_stop && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        let _ = guest.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        return;
    }
    let mut host = TcpStream::connect(behind).unwrap();
    host.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).unwrap();
    host.write_all(&body).unwrap();
    let _ = std::io::copy(&mut host, guest);
}

#[test]
fn i4_1_a_host_that_gives_no_answer_once_is_asked_again() {
    let (place, host, key) = at_work(ENDLESS);
    let folder = door(&place, &host, 1);
    let done = in_time(stop_at(&folder));
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert!(said(&done).contains(&format!("{key}: it has ended")), "{}", said(&done));
    assert_eq!(place.json(&["task", "show", &key])["phase"], "cancelled");
}

#[test]
fn i4_1_who_cannot_be_told_is_listed_and_not_waited_for() {
    let (place, host, key) = at_work(ENDLESS);
    let folder = door(&place, &host, usize::MAX);
    let done = in_time(stop_at(&folder));
    assert_eq!(done.status.code(), Some(1), "{}", said(&done));
    assert!(said(&done).contains(&format!("{key}: the host did not answer: it answered 503")), "{}", said(&done));
    assert_eq!(place.json(&["task", "show", &key])["task"]["stop_requested"], false);
}

/// What stands in a path is a task or nothing: no word leads to another place of the API.
#[test]
fn a_word_that_names_no_task_does_nothing_and_says_what_one_looks_like() {
    let (place, _host, key) = at_work(ENDLESS);
    let crafted = format!("{key}/stop?x=");
    for arguments in [
        vec!["task", "approve", &crafted],
        vec!["task", "show", &crafted],
        vec!["task", "why", &crafted],
        vec!["task", "rebuild", &crafted],
        vec!["task", "depend", &crafted, "--on", &key],
        vec!["task", "depend", &key, "--on", &crafted],
        vec!["task", "create", "More", "--after", &crafted],
        vec!["verdict", "list", "--task", &crafted],
        vec!["audit", "--task", &crafted],
    ] {
        let done = place.gatewright(&arguments);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", said(&done));
        let form = "write its number (7), or the key of its work item";
        assert!(said(&done).contains(form), "{arguments:?}: {}", said(&done));
    }
    for arguments in [["project", "freeze", "a/b"], ["token", "revoke", "a/b"], ["stop", "--all", "--project=a/b"]] {
        let done = place.gatewright(&arguments);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", said(&done));
    }
    assert_eq!(place.json(&["task", "show", &key])["phase"], "development");
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
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("2026-01-31T12:00:00Z"), "{}", said(&wrong));
}
