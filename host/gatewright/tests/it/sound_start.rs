//! What is wrong is told before any task meets it, and nothing is left half made.

use std::fs;

use crate::fixture::{DEVELOPER, Place, REVIEWER, git, said};

fn edit(place: &Place, change: impl Fn(&str) -> String) {
    let file = place.project_file();
    fs::write(&file, change(&fs::read_to_string(&file).unwrap())).unwrap();
}

/// The component itself says what is wrong with its settings; no host starts with them, and no task pays for them.
#[test]
fn settings_that_a_gate_refuses_are_told_by_check_and_by_serve() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    edit(&place, |text| format!("{text}\n[gates.checks-green]\nsettings = {{ requird = [\"build\"] }}\n"));
    let checked = place.gatewright(&["check"]);
    assert_eq!(checked.status.code(), Some(1), "{}", said(&checked));
    let told = said(&checked);
    assert!(told.contains("repository.toml") && told.contains("checks-green") && told.contains("requird"), "{told}");
    let served = place.gatewright(&["serve"]);
    assert_eq!(served.status.code(), Some(1));
    assert!(said(&served).contains("requird"), "{}", said(&served));
}

/// A component that fails when it is asked about its settings is told of, and stops no host.
#[test]
fn a_gate_that_cannot_even_check_its_settings_stops_no_host() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let file = test_artifacts::guest("validate-loops");
    let added = place.gatewright(&["plugin", "add", file.to_str().unwrap(), "--gate", "review:testing", "--yes"]);
    assert!(added.status.success(), "{}", said(&added));
    let checked = place.gatewright(&["check"]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(said(&checked).contains("validate-loops"), "{}", said(&checked));
    let mut host = place.serve();
    assert!(host.is_up());
    assert_eq!(host.get("/healthz").0, 200);
}

/// Whoever started it may have read enough: the lines that say where it listens are for people, and no reason to end.
#[test]
fn a_host_whose_words_nobody_reads_serves_all_the_same() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let unread = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let log = fs::File::create(place.path("host.log")).unwrap();
    let mut child = place.command(&["serve"]).stdout(unread).stderr(log).spawn().unwrap();
    let known = place.state().join("operator-address");
    while !known.exists() && child.try_wait().unwrap().is_none() {
        place.pause();
    }
    place.ticket("Greet");
    assert!(child.try_wait().unwrap().is_none(), "it ended:\n{}", place.log());
    assert!(place.log().contains("nobody reads where it listens"), "{}", place.log());
    child.kill().unwrap();
    child.wait().unwrap();
}

/// `env` finds the program in the checkout, where a relative path means one of the repository's own files.
#[test]
fn a_suite_that_is_a_script_of_the_repository_may_be_named_as_one_types_it() {
    let place = Place::new(DEVELOPER, REVIEWER);
    let agent = place.path("agents/developer.sh");
    let done = place.gatewright(&["init", "--agent", agent.to_str().unwrap(), "--test", "./check.sh"]);
    assert!(done.status.success(), "{}", said(&done));
    let checked = place.gatewright(&["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
}

#[test]
fn an_init_that_fails_leaves_nothing_and_can_be_repeated() {
    let place = Place::new(DEVELOPER, REVIEWER);
    let wrong = place.gatewright(&["init", "--agent", "./no-such-agent", "--test", "sh check.sh"]);
    assert_eq!(wrong.status.code(), Some(1), "{}", said(&wrong));
    assert!(!place.state().exists(), "{}", said(&wrong));
    assert_eq!(place.git(&["remote"]), "");
    place.init();
    // Another repository whose work items would bear the same names: refused, and the first project goes on.
    let other = place.path("report");
    fs::create_dir(&other).unwrap();
    git(&other, &["init", "--quiet", "--initial-branch=main"]);
    let commit = ["-c", "user.name=U", "-c", "user.email=u@localhost", "commit", "--quiet", "--allow-empty", "-m", "1"];
    git(&other, &commit);
    let arguments = ["init", other.to_str().unwrap(), "--agent", "true", "--test", "true"];
    let clash = place.gatewright(&arguments);
    assert_eq!(clash.status.code(), Some(1), "{}", said(&clash));
    assert!(said(&clash).contains("prefix"), "{}", said(&clash));
    assert_eq!(git(&other, &["remote"]), "");
    let checked = place.gatewright(&["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
    let named = place.gatewright(&[&arguments[..], &["--prefix", "RPT"]].concat());
    assert!(named.status.success(), "{}", said(&named));
}

#[test]
fn a_repository_whose_documents_would_lie_behind_a_link_is_told_at_once() {
    let place = Place::new(DEVELOPER, REVIEWER);
    std::os::unix::fs::symlink("site", place.repository().join("docs")).unwrap();
    place.git(&["add", "--all"]);
    place.git(&["-c", "user.name=U", "-c", "user.email=u@localhost", "commit", "--quiet", "--message", "a link"]);
    let done = place.gatewright(&["init", "--agent", "true", "--test", "true"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(said(&done).contains("`docs` is no folder"), "{}", said(&done));
    assert!(!place.state().exists());
}

/// A stage may run whatever command it likes: only the project's own suite says that a commit was tested.
#[test]
fn another_command_of_the_tester_is_not_the_suite() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    edit(&place, |text| {
        let suite = "run = [\"sh\", \"check.sh\"]";
        assert_eq!(text.matches(suite).count(), 2, "the tester's, and the suite's: {text}");
        text.replacen(suite, "run = [\"true\"]", 1).replacen(suite, "run = [\"false\"]", 1)
    });
    let _host = place.serve();
    let key = place.ticket("Greet once more");
    let before = place.forge_git(&["rev-parse", "main"]);
    place.until_phase(&key, "in-review");
    let approved = place.gatewright(&["task", "approve", &key]);
    assert!(approved.status.success(), "{}", said(&approved));
    let shown = place.until(&key, "sent back by the suite", |shown| {
        let rows = shown["entries"].as_array().cloned().unwrap_or_default();
        rows.iter().any(|row| row["entry"]["step"] == "retest" && row["entry"]["answer"] == "fail")
    });
    assert_ne!(shown["phase"], "done");
    assert_eq!(place.forge_git(&["rev-parse", "main"]), before, "nothing lands that the suite fails on");
}

/// The suite that was edited meanwhile has not passed on anything yet.
#[test]
fn a_suite_that_was_edited_since_runs_again_before_anything_lands() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    let key = place.ticket("Greet once more");
    place.until_phase(&key, "in-review");
    drop(host);
    edit(&place, |text| text.replace("run = [\"sh\", \"check.sh\"]", "run = [\"false\"]"));
    let _host = place.serve();
    let before = place.forge_git(&["rev-parse", "main"]);
    let approved = place.gatewright(&["task", "approve", &key]);
    assert!(approved.status.success(), "{}", said(&approved));
    place.until(&key, "sent back by the suite", |shown| {
        let rows = shown["entries"].as_array().cloned().unwrap_or_default();
        rows.iter().any(|row| row["entry"]["step"] == "retest" && row["entry"]["answer"] == "fail")
    });
    assert_eq!(place.forge_git(&["rev-parse", "main"]), before);
}

#[test]
fn a_developer_that_changes_nothing_has_delivered_nothing() {
    let place = Place::new("#!/bin/sh\nexit 0\n", REVIEWER);
    place.init();
    let _host = place.serve();
    let key = place.ticket("Greet once more");
    let shown = place.until_phase(&key, "blocked");
    assert!(shown["standing"]["sentence"].as_str().unwrap().contains("changed nothing"), "{}", shown["standing"]);
    assert_eq!(shown["task"]["retries"], 0);
}

/// Whether the host has seen the push already or not: the stop ends.
#[test]
fn i4_1_a_stopped_task_ends_though_another_hand_moved_its_branch() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let _host = place.serve();
    let key = place.ticket("Greet once more");
    let shown = place.until_phase(&key, "in-review");
    let branch = shown["task"]["branch"].as_str().unwrap();
    let other = place.path("other");
    git(&place.repository(), &["clone", "--quiet", place.forge().to_str().unwrap(), other.to_str().unwrap()]);
    git(&other, &["checkout", "--quiet", branch]);
    let commit = ["-c", "user.name=O", "-c", "user.email=o@localhost", "commit", "--quiet", "--allow-empty", "-m", "o"];
    git(&other, &commit);
    git(&other, &["push", "--quiet", "origin", branch]);
    let stopped = place.gatewright(&["task", "stop", &key]);
    assert!(stopped.status.success(), "{}", said(&stopped));
    place.until_phase(&key, "cancelled");
}

/// Each waits for a moment.
const LOOKS: u32 = 200;

/// Whoever edits a file while the host lives is told on the board, not in a log, that it has not taken hold.
#[test]
fn an_edit_that_does_not_take_hold_is_told_until_it_does() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    let until = |what: &str, holds: &dyn Fn(&str) -> bool| {
        for _ in 0..LOOKS {
            let (_, health) = host.get("/readyz");
            assert!(!health.contains(".toml"), "what anybody may ask names no file: {health}");
            if holds(&host.get("/api/v1/system").1) {
                return;
            }
            place.pause();
        }
        panic!("{what}: {}\n{}", host.get("/api/v1/system").1, place.log());
    };
    edit(&place, |text| text.replace("serial = ", "seriell = "));
    until("an unsound edit", &|told| told.contains("is not taken up"));
    let (status, health) = host.get("/readyz");
    assert_eq!(status, 200, "it goes on with the last good ones");
    assert!(health.contains("an edit of the configuration has not taken hold"), "{health}");
    edit(&place, |text| text.replace("seriell = ", "serial = "));
    until("a sound one", &|told| !told.contains("is not taken up"));
    let file = place.state().join("gatewright.toml");
    let before = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{before}\n# later\n")).unwrap();
    until("the host's own file", &|told| told.contains("gatewright.toml was edited") && told.contains("next start"));
    fs::write(&file, before).unwrap();
    until("back again", &|told| !told.contains("was edited"));
}
