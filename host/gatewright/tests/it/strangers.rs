//! Third parties' components: asked, limited, denied, and never a reason to pass.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use crate::fixture::{DEVELOPER, Place, REVIEWER, said};

fn add(place: &Place, guest: &str, more: &[&str]) -> std::process::Output {
    let file = test_artifacts::guest(guest);
    let arguments = [&["plugin", "add", file.to_str().unwrap(), "--gate", "review:testing"], more].concat();
    place.gatewright(&arguments)
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_added() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let before = fs::read_to_string(place.project_file()).unwrap();
    let done = add(&place, "passes", &[]);
    assert_eq!(done.status.code(), Some(2), "{}", said(&done));
    assert_eq!(fs::read_to_string(place.project_file()).unwrap(), before);
}

#[test]
fn what_is_no_component_is_told_by_name_and_changes_nothing() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let before = fs::read_to_string(place.project_file()).unwrap();
    let core = place.path("core.wasm");
    fs::write(&core, b"\0asm\x01\0\0\0").unwrap();
    let text = place.path("text.wasm");
    fs::write(&text, "(component)").unwrap();
    for file in [core, text] {
        let done = place.gatewright(&["plugin", "add", file.to_str().unwrap(), "--gate", "review", "--yes"]);
        assert_eq!(done.status.code(), Some(1), "{}", said(&done));
        assert!(said(&done).contains("component"), "{}", said(&done));
    }
    assert_eq!(fs::read_to_string(place.project_file()).unwrap(), before);
}

/// Fifty kilobytes whose loops and variables take the compiler gigabytes: the child is given so much and no more.
#[test]
fn what_would_fill_the_memory_when_it_is_compiled_is_given_up() {
    let loops = |count: usize| {
        (0..count).fold(String::new(), |mut loops, at| {
        let variable = at % 1000;
        let _ = write!(
            loops,
            "(loop (local.set {variable} (i32.add (local.get {variable}) (i32.const 1))) (br_if 0 (local.get {variable})))"
        );
        loops
    })
    };
    let place = Place::new(DEVELOPER, REVIEWER);
    let compile = |count: usize| {
        let variables = "i32 ".repeat(1000);
        let text = format!("(component (core module (func (local {variables}) {})))", loops(count));
        let file = place.path("hungry.wasm");
        fs::write(&file, wat::parse_str(text).unwrap()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_gatewright"));
        child.arg("compile-component").stdin(fs::File::open(file).unwrap()).output().unwrap()
    };
    let small = compile(10);
    assert!(small.status.success() && !small.stdout.is_empty(), "{}", said(&small));
    let hungry = compile(3000);
    assert_eq!(hungry.status.signal(), Some(rustix::process::Signal::ABORT.as_raw()), "{}", said(&hungry));
    assert!(said(&hungry).contains("memory allocation of"), "{}", said(&hungry));
}

/// What refuses its own settings would keep the next host from starting.
#[test]
fn a_gate_that_refuses_its_settings_is_added_only_with_others() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let before = fs::read_to_string(place.project_file()).unwrap();
    let file = test_artifacts::plugin("checks-green");
    let arguments = ["plugin", "add", file.to_str().unwrap(), "--gate", "review:testing", "--step", "mine", "--yes"];
    let wrong = place.gatewright(&[&arguments[..], &["--settings", "{ requird = [\"build\"] }"]].concat());
    assert_eq!(wrong.status.code(), Some(1), "{}", said(&wrong));
    assert!(said(&wrong).contains("requird") && said(&wrong).contains("--settings"), "{}", said(&wrong));
    let none = place.gatewright(&[&arguments[..], &["--settings", "7"]].concat());
    assert!(said(&none).contains("inline table"), "{}", said(&none));
    assert_eq!(fs::read_to_string(place.project_file()).unwrap(), before);
    let right = place.gatewright(&[&arguments[..], &["--settings", "{ required = [\"build\"] }"]].concat());
    assert!(right.status.success(), "{}", said(&right));
    let text = fs::read_to_string(place.project_file()).unwrap();
    assert!(text.contains("[gates.mine]") && text.contains("settings = { required = [\"build\"] }"), "{text}");
    let checked = place.gatewright(&["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
}

/// Each is `infra` with its cause, the host lives and answers, and another task's verdict comes meanwhile.
#[test]
fn hostile_gates_are_infra_and_hold_nobody_else() {
    for (guest, cause) in [("loops", "time"), ("eats-memory", "memory"), ("traps", "trap"), ("asks-unlisted", "denied")]
    {
        let place = Place::new(DEVELOPER, REVIEWER);
        place.init();
        let added = add(&place, guest, &["--deny", "--yes"]);
        assert!(added.status.success(), "{}", said(&added));
        let mut host = place.serve();
        let key = place.ticket("Greet once more");
        let shown = place.until(&key, "judged by the stranger", |shown| {
            shown["entries"].as_array().is_some_and(|entries| {
                entries.iter().any(|row| row["entry"]["step"] == guest && row["entry"]["answer"] == "infra")
            })
        });
        let said = shown["entries"].to_string();
        assert!(said.contains(cause), "{guest}: {said}");
        assert_ne!(shown["phase"], "done");
        assert_eq!(shown["task"]["retries"], 0, "{guest} costs the developer nothing");
        assert_eq!(host.get("/healthz").0, 200);
        assert!(host.is_up());
        let other = place.ticket("Another one");
        place.until(&other, "judged too", |shown| shown["entries"].to_string().contains("review-verdict"));
    }
}

#[test]
fn what_the_hosts_ceiling_does_not_allow_is_refused_and_the_rest_granted() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let file = test_artifacts::plugin("demo-hostile");
    let added = place.gatewright(&["plugin", "add", file.to_str().unwrap(), "--gate", "review:testing", "--yes"]);
    assert!(added.status.success(), "{}", said(&added));
    assert!(said(&added).contains("ceiling"), "{}", said(&added));
    let text = fs::read_to_string(place.project_file()).unwrap();
    let line = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
    assert!(line("grants").contains("documents") && !line("grants").contains("http"), "{text}");
    assert!(line("refused").contains("http:https://api.example.org"), "{text}");
}

#[test]
fn a_strangers_gate_that_passes_lets_the_task_on_and_its_verdict_is_kept() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let added = add(&place, "passes", &["--yes", "--before", "review-verdict"]);
    assert!(added.status.success(), "{}", said(&added));
    let text = fs::read_to_string(place.project_file()).unwrap();
    assert!(text.contains("sha256") && text.contains("passes"), "{text}");
    let checked = place.gatewright(&["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
    let _host = place.serve();
    let key = place.ticket("Greet once more");
    place.until_phase(&key, "in-review");
    let rows = place.json(&["verdict", "list", "--task", &key]);
    let rows = rows.as_array().unwrap();
    let row = rows.iter().find(|row| row["evaluation"]["step"] == "passes").expect("the stranger's verdict is kept");
    assert_eq!(row["evaluation"]["answer"], "pass");
}

#[test]
fn a_verdict_is_replayed_after_its_repository_is_gone_and_another_answer_gives_another_verdict() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    let key = place.ticket("Greet once more");
    place.until_phase(&key, "in-review");
    let rows = place.json(&["verdict", "list", "--task", &key]);
    let judged = rows.as_array().unwrap().iter().find(|row| row["evaluation"]["step"] == "review-verdict").unwrap();
    let id = judged["id"].to_string();
    let transcript = place.gatewright(&["verdict", "show", &id, "--transcript"]);
    assert!(transcript.status.success(), "{}", said(&transcript));
    host.kill();
    fs::remove_dir_all(place.repository().join(".git")).unwrap();
    fs::remove_dir_all(place.forge()).unwrap();
    let same = place.gatewright(&["verdict", "replay", &id]);
    assert_eq!(same.status.code(), Some(0), "{}", said(&same));
    // The document's bytes stand in the transcript; another review there is another verdict.
    let text = String::from_utf8(transcript.stdout).unwrap();
    let changed = other_review(&text);
    assert_ne!(changed, text, "the transcript holds the review that was read");
    let file = place.path("changed.json");
    fs::write(&file, changed).unwrap();
    let other = place.gatewright(&["verdict", "replay", "--file", file.to_str().unwrap()]);
    assert_eq!(other.status.code(), Some(1), "{}", said(&other));
    assert!(said(&other).contains("fail"), "{}", said(&other));
}

/// The review's bytes are kept as base64 or as text: both are changed.
fn other_review(transcript: &str) -> String {
    use base64::Engine as _;
    let approved = b"---\nverdict: APPROVED\n---\n\n# Review\n\n## Findings\n\nNone.\n";
    let refused = b"---\nverdict: REQUEST_CHANGES\n---\n\n# Review\n\n## Findings\n\n- P1 no\n";
    let engine = base64::engine::general_purpose::STANDARD;
    let changed = transcript.replace(&engine.encode(approved), &engine.encode(refused));
    changed.replace("verdict: APPROVED", "verdict: REQUEST_CHANGES")
}
