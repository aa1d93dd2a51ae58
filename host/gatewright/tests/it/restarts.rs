//! The host dies at any moment and comes back: nothing is lost, nothing is done twice.

use std::fs;

use crate::fixture::{DEVELOPER, Place, REVIEWER, said};

const PATIENT_DEVELOPER: &str = r#"#!/bin/sh
set -eu
echo "$$" >> "$NOTES/started"
touch "$NOTES/brief-x"
read -r _ < "$NOTES/go"
echo more >> greeting.txt
"#;

#[test]
fn a_running_agent_keeps_its_process_over_a_restart() {
    let place = Place::new(PATIENT_DEVELOPER, REVIEWER);
    let go = place.notes().join("go");
    rustix::fs::mknodat(rustix::fs::CWD, &go, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .unwrap();
    place.init();
    let host = place.serve();
    let key = place.ticket("Greet once more");
    let pid = |shown: &serde_json::Value| shown["runs"][0]["pid"].as_u64();
    let before = place.until(&key, "at work", |shown| pid(shown).is_some() && place.notes().join("started").exists());
    host.kill();
    let shim = format!("/proc/{}", pid(&before).unwrap());
    assert!(std::path::Path::new(&shim).exists(), "the run ended with its host");
    let _host = place.serve();
    let after = place.until(&key, "at work", |shown| pid(shown).is_some());
    assert_eq!(pid(&after), pid(&before));
    fs::write(&go, "go\n").unwrap();
    place.until_phase(&key, "in-review");
    let started = fs::read_to_string(place.notes().join("started")).unwrap();
    assert_eq!(started.lines().count(), 1, "the agent was started once");
}

#[test]
fn c1_2_kills_at_any_moment_lose_nothing_and_double_nothing() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let mut host = place.serve();
    let key = place.ticket("Greet once more");
    // Each life is cut after another number of changes of the task.
    for lives in 1..8_u64 {
        let seen = std::cell::Cell::new(0);
        place.until(&key, "further", |shown| {
            seen.set(seen.get() + 1);
            shown["phase"] == "in-review" || seen.get() >= lives
        });
        host.kill();
        host = place.serve();
    }
    place.until_phase(&key, "in-review");
    let approved = place.gatewright(&["task", "approve", &key]);
    assert!(approved.status.success(), "{}", said(&approved));
    host.kill();
    host = place.serve();
    let shown = place.until_phase(&key, "done");
    assert!(host.is_up());
    let log = fs::read_to_string(place.forge().join("logs/refs/heads/main")).unwrap();
    let merges = log.lines().filter(|line| !line.starts_with(&"0".repeat(40))).count();
    assert_eq!(merges, 1, "{log}");
    assert_eq!(place.forge_git(&["rev-parse", "main"]), shown["task"]["validated"].as_str().unwrap());
    assert_eq!(shown["task"]["retries"], 0);
    let (_, comments) = host.get(&format!("/api/v1/projects/repository/items/{key}/comments?limit=200"));
    let comments: serde_json::Value = serde_json::from_str(&comments).unwrap();
    let mut texts =
        comments["items"].as_array().unwrap().iter().map(|comment| comment["text"].to_string()).collect::<Vec<_>>();
    let all = texts.len();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), all, "a comment stands twice: {comments}");
}

/// A process and all below it, each with its start: a pid alone comes again.
fn tree_of(root: u64) -> Vec<(u64, u64)> {
    let mut tree: Vec<(u64, u64)> = born_at(root).map(|born| (root, born)).into_iter().collect();
    let mut at = 0;
    while let Some((above, _)) = tree.get(at).copied() {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u64>() else { continue };
            if stat(pid, 1) == Some(above)
                && let Some(born) = born_at(pid)
            {
                tree.push((pid, born));
            }
        }
        at += 1;
    }
    tree
}

/// None: it is not there, or only its parent has not asked after it yet.
fn born_at(pid: u64) -> Option<u64> {
    let text = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?).into_owned();
    let is_gone = text.rsplit_once(") ")?.1.starts_with(['Z', 'X']);
    if is_gone { None } else { stat(pid, 19) }
}

/// A number of `/proc/PID/stat`, counted from the state behind the name.
fn stat(pid: u64, field: usize) -> Option<u64> {
    let text = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat")).ok()?).into_owned();
    text.rsplit_once(") ")?.1.split(' ').nth(field)?.parse().ok()
}

#[test]
fn i4_1_a_stop_ends_the_tree_the_jobs_the_clone_and_the_branch() {
    let place = Place::new("#!/bin/sh\ntouch \"$NOTES/started\"\nwhile :; do sleep 1; done\n", REVIEWER);
    place.init();
    let host = place.serve();
    let key = place.ticket("Greet once more");
    let shown = place
        .until(&key, "at work", |shown| shown["runs"][0]["pid"].is_u64() && place.notes().join("started").exists());
    let clone = place.state().join("clones/repository").join(shown["task"]["id"].to_string());
    let tree = tree_of(shown["runs"][0]["pid"].as_u64().unwrap());
    assert!(clone.is_dir() && tree.len() >= 3, "the shim, its sandbox and the agent: {tree:?}");
    let stopped = place.gatewright(&["task", "stop", &key]);
    assert!(stopped.status.success(), "{}", said(&stopped));
    let shown = place.until(&key, "settled", |shown| shown["task"]["position"]["activity"]["activity"] == "settled");
    assert_eq!(shown["phase"], "cancelled");
    // The shim itself goes right after its last word.
    let left: Vec<_> = tree.into_iter().skip(1).filter(|(pid, born)| born_at(*pid) == Some(*born)).collect();
    assert_eq!(left, [], "processes of the stopped task");
    assert!(!clone.exists());
    assert_eq!(place.forge_git(&["branch", "--list", "feature/*"]), "");
    let (_, queue) = host.get("/api/v1/queue");
    let queue: serde_json::Value = serde_json::from_str(&queue).unwrap();
    let drive = queue["items"].as_array().unwrap().iter().filter(|job| job["class"] == "drive");
    assert!(drive.clone().all(|job| job["state"] == "done" || job["state"] == "cancelled"), "{queue}");
    let again = place.gatewright(&["task", "approve", &key]);
    assert_eq!(again.status.code(), Some(1));
}

/// The kernel takes a moment to take a killed host apart, and its parent may not have asked after it yet.
#[test]
fn a_host_begins_right_after_another_was_killed() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    for _ in 0..5 {
        let mut killed = place.serve();
        killed.kill_and_leave();
        let next = place.serve();
        assert_eq!(next.get("/healthz").0, 200);
    }
}

/// What is old goes by itself: the log is gone, and says when; what the run was and cost stays.
#[test]
fn the_folder_of_an_old_run_goes_and_its_row_stays() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    let key = place.ticket("Greet once more");
    let shown = place.until_phase(&key, "in-review");
    let run = shown["runs"].as_array().unwrap().iter().find(|run| run["role"] == "developer").unwrap()["id"].clone();
    let folder = place.state().join("runs").join(run.to_string());
    assert!(folder.join("log").is_file(), "{}", folder.display());
    place.gatewright(&["stop", "--all", "--yes", "--wait"]);
    host.kill();
    let file = place.state().join("gatewright.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\n[keep]\nruns = \"1s\"\n")).unwrap();
    let host = place.serve();
    let log = format!("/api/v1/runs/{run}/log");
    let gone = |_: &serde_json::Value| host.get(&log).0 == 404;
    place.until(&key, "without its old runs", gone);
    assert!(host.get(&log).1.contains("was removed"), "{}", host.get(&log).1);
    assert!(!folder.exists() && host.get(&format!("/r/{run}")).1.contains("The log was removed"));
    let row: serde_json::Value = serde_json::from_str(&host.get(&format!("/api/v1/runs/{run}")).1).unwrap();
    assert!(row["ended_at"].is_u64() && row["outcome"].is_string(), "{row}");
}
