//! Contract sections 5 and 8: who may what, and what a denial does to an answer.

use domain::plugin::{Family, Refusal};

use crate::build::{Gate, PASS, asking_for, escaped};
use crate::scene::{Scene, TestWorld, sentence, word};

const LIST: &str = r#"(import "gatewright:documents/documents@0.1.0" "list" (func $list (param i32)))"#;
const READ: &str = r#"(import "gatewright:repo/repo@0.1.0" "read" (func $read (param i32 i32 i32 i32)))"#;
const FILES: &str = r#"(import "gatewright:repo/repo@0.1.0" "list" (func $files (param i32 i32 i32 i32)))"#;

/// Reads one path of the subject, and traps unless the answer is the error of that number (-1: no error).
fn reads(path: &str, error: i32) -> Vec<u8> {
    let check = if error < 0 {
        "(if (i32.load8_u (i32.const 4096)) (then unreachable))".to_owned()
    } else {
        format!(
            "(if (i32.eqz (i32.load8_u (i32.const 4096))) (then unreachable))
             (if (i32.ne (i32.load8_u (i32.const 4104)) (i32.const {error})) (then unreachable))"
        )
    };
    let escaped = escaped(path.as_bytes());
    let length = path.len();
    Gate {
        request: &asking_for("repo"),
        imports: READ,
        fields: &format!("(data (i32.const 512) \"{escaped}\")"),
        body: &format!(
            "(call $read (i32.const 0) (i32.const 512) (i32.const {length}) (i32.const 4096)) {check} {PASS}"
        ),
        ..Gate::default()
    }
    .build()
}

fn world() -> TestWorld {
    TestWorld { files: vec![("docs/a.md", b"a".to_vec()), ("src/lib.rs", b"b".to_vec())], ..TestWorld::default() }
}

#[test]
fn a_denial_takes_the_word_of_whoever_opens_and_names_the_line_that_would_allow_it() {
    let body = format!("(call $list (i32.const 4096)) {PASS}");
    let gate = Gate { request: &asking_for("documents"), imports: LIST, body: &body, ..Gate::default() }.build();

    let refused = Scene::of(gate.clone()).refusing(&["documents"]).evaluate();
    assert_eq!(word(&refused.answer), "denied");
    assert!(
        sentence(&refused.answer).contains("add \"documents\" to the grant of `under-test`"),
        "{:?}",
        refused.answer
    );
    assert_eq!(refused.denials.len(), 1);
    assert_eq!(refused.denials[0].refused_by, Refusal::NotGranted);

    let above = Scene::of(gate.clone()).granting(&["documents"]).under(&["repo"]).evaluate();
    assert_eq!(word(&above.answer), "denied");
    assert!(sentence(&above.answer).contains("to the ceiling in gatewright.toml"), "{:?}", above.answer);

    assert_eq!(word(&Scene::of(gate).granting(&["documents"]).evaluate().answer), "<pass>");
}

#[test]
fn after_a_denial_only_answers_that_open_nothing_stand() {
    // The answer's case; a fail needs a finding, which lies at 8192 as zeroes.
    let answers = [
        (
            "<fail>",
            "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1032) (i32.const 8192)) (i32.store (i32.const 1036) (i32.const 1))",
        ),
        ("<hold>", "(i32.store8 (i32.const 1024) (i32.const 3))"),
        ("guest", ""),
        ("denied", "(i32.store8 (i32.const 1024) (i32.const 2))"),
        ("denied", "(i32.store8 (i32.const 1024) (i32.const 4))"),
        ("denied", "(i32.store8 (i32.const 1024) (i32.const 5))"),
    ];
    for (expected, answer) in answers {
        let body = format!("(call $list (i32.const 4096)) {answer}");
        let gate = Gate { request: &asking_for("documents"), imports: LIST, body: &body, ..Gate::default() }.build();
        assert_eq!(Scene::of(gate).refusing(&["documents"]).word(), expected, "{answer}");
    }
}

#[test]
fn a_denial_that_the_request_calls_optional_is_the_guests_to_cope_with() {
    let request = format!("{}\noptional = true", asking_for("documents"));
    let body = format!("(call $list (i32.const 4096)) {PASS}");
    let gate = Gate { request: &request, imports: LIST, body: &body, ..Gate::default() }.build();
    let evaluation = Scene::of(gate).evaluate();
    assert_eq!(word(&evaluation.answer), "<pass>");
    assert_eq!(evaluation.denials.len(), 1, "it is recorded all the same");
}

#[test]
fn a_narrowed_repository_shows_the_paths_that_every_list_matches() {
    const DENIED: i32 = 0;
    let read = |path: &str, error: i32, scene: fn(Scene) -> Scene| {
        word(&scene(Scene::of(reads(path, error))).evaluate_in(world()).answer)
    };
    assert_eq!(read("docs/a.md", -1, |scene| scene.granting(&["repo:docs/**"])), "<pass>");
    assert_eq!(read("src/lib.rs", DENIED, |scene| scene.granting(&["repo:docs/**"])), "denied");
    assert_eq!(read("src/lib.rs", DENIED, |scene| scene.granting(&["repo"]).under(&["repo:docs/**"])), "denied");
    assert_eq!(read("src/lib.rs", -1, |scene| scene.granting(&["repo:docs/**", "repo:src/*"])), "<pass>");
}

#[test]
fn a_narrowed_repository_lists_no_more_than_it_shows() {
    let counts = |number: u32| {
        let body = format!(
            "(call $files (i32.const 0) (i32.const 512) (i32.const 2) (i32.const 4096))
             (if (i32.load8_u (i32.const 4096)) (then unreachable))
             (if (i32.ne (i32.load (i32.const 4108)) (i32.const {number})) (then unreachable)) {PASS}"
        );
        let data = "(data (i32.const 512) \"**\")";
        Gate { request: &asking_for("repo"), imports: FILES, fields: data, body: &body, ..Gate::default() }.build()
    };
    let all = Scene::of(counts(2)).granting(&["repo"]).evaluate_in(world());
    assert_eq!(word(&all.answer), "<pass>", "{:?}", all.answer);
    let few = Scene::of(counts(1)).granting(&["repo:docs/**"]).evaluate_in(world());
    assert_eq!(word(&few.answer), "<pass>", "{:?}", few.answer);
    assert!(few.denials.is_empty(), "what is left out is no denial");
}

#[test]
fn paths_are_checked_before_anything_is_asked() {
    const INVALID: i32 = 5;
    for path in ["", "/etc/passwd", "a/../b", "..", ".git/config", "a/.GIT/x", "a\0b", "a//b", "./a", "a/"] {
        let world = world();
        let asked = world.asked.clone();
        let evaluation = Scene::of(reads(path, INVALID)).granting(&["repo"]).evaluate_in(world);
        assert_eq!(word(&evaluation.answer), "<pass>", "{path:?}: {:?}", evaluation.answer);
        assert!(asked.lock().unwrap().is_empty(), "{path:?}");
    }
}

#[test]
fn functions_that_come_later_are_denied_or_unavailable_and_say_so() {
    const DENIED: u32 = 0;
    const INVALID: u32 = 5;
    const UNAVAILABLE: u32 = 7;
    let send = r#"(import "gatewright:http/client@0.1.0" "send" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#;
    let sends = |url: &str, error: u32| {
        let length = url.len();
        let body = format!(
            "(call $send (i32.const 0) (i32.const 512) (i32.const {length}) {} (i32.const 4096))
             (if (i32.eqz (i32.load8_u (i32.const 4096))) (then unreachable))
             (if (i32.ne (i32.load8_u (i32.const 4104)) (i32.const {error})) (then unreachable)) {PASS}",
            "(i32.const 0) ".repeat(10)
        );
        let data = format!("(data (i32.const 512) \"{url}\")");
        let request = asking_for("http:https://*.example.org");
        let gate = Gate { request: &request, imports: send, fields: &data, body: &body, ..Gate::default() }.build();
        Scene::of(gate).granting(&["http:https://a.example.org"]).word()
    };
    assert_eq!(sends("https://a.example.org/x?y", UNAVAILABLE), "<pass>");
    assert_eq!(sends("https://b.example.org/", DENIED), "denied", "requested, not granted");
    assert_eq!(sends("https://elsewhere.example/", DENIED), "denied", "not requested");
    assert_eq!(sends("http://a.example.org/", DENIED), "denied", "another scheme");
    assert_eq!(sends("https://a.example.org@evil.net/", INVALID), "<pass>", "a user before the host is no origin");
    assert_eq!(sends("no url", INVALID), "<pass>");
}

#[test]
fn a_plugin_sees_what_was_granted_in_its_own_project_only() {
    let body = format!("(call $list (i32.const 4096)) {PASS}");
    let gate = Gate { request: &asking_for("documents"), imports: LIST, body: &body, ..Gate::default() }.build();
    let (open, closed) = (Scene::of(gate.clone()).granting(&["documents"]), Scene::of(gate).refusing(&["documents"]));
    open.load().unwrap();
    closed.load().unwrap();
    use conductor::ports::plugins::Plugins as _;
    let ask = |scene: &Scene| {
        let world = TestWorld::default();
        let asked = world.asked.clone();
        let evaluation = crate::scene::shared().evaluate_gate(scene.call(), std::sync::Arc::new(world));
        (word(&evaluation.answer), asked.lock().unwrap().clone())
    };
    assert_eq!(ask(&open), ("<pass>".to_owned(), vec![Family::Documents]));
    assert_eq!(ask(&closed), ("denied".to_owned(), Vec::new()));
}
