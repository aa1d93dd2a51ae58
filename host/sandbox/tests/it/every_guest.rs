//! Every guest of `tests/guests` in one table: what the host makes of it. A guest that is not in the table fails the test.

use domain::plugin::{Failure, PluginKind};
use domain::time::Milliseconds;

use crate::other_kinds::{decide, estimate, inbound, notify};
use crate::scene::{Scene, shared};

/// The guest, and the word of its answer: of an `infra` or a failure the cause, of anything else its name in angle brackets.
const ANSWERS: &[(&str, &str)] = &[
    ("allows", "<allow>"),
    ("amends", "invalid-answer"),
    ("asks-optional", "<pass>"),
    ("asks-unlisted", "denied"),
    ("big-answer", "output"),
    ("clock-spins", "<pass>"),
    ("constructor-loops", "time"),
    ("counts", "guest"),
    ("dirty-text", "<fail>"),
    ("eats-memory", "memory"),
    ("eats-memory-quietly", "memory"),
    ("exits", "exit"),
    ("fails", "<fail>"),
    ("fails-without-findings", "invalid-answer"),
    ("floods-output", "<pass>"),
    ("gives-up", "guest"),
    ("guard-asks-unlisted", "denied"),
    ("guesses", "guest"),
    ("guesses-wildly", "invalid-answer"),
    ("holds", "<hold>"),
    ("holds-for-input", "<hold>"),
    ("infra", "guest"),
    ("loops", "time"),
    ("many-calls", "calls"),
    ("many-findings", "<fail>"),
    ("maps", "<none>"),
    ("no-request", "does not load"),
    ("not-applicable", "<not-applicable>"),
    ("notes", "guest"),
    ("panics", "trap"),
    ("passes", "<pass>"),
    ("post-return-loops", "time"),
    ("reads-everything", "guest"),
    ("recurses", "stack"),
    ("runs-command", "guest"),
    ("same-bytes", "output"),
    ("sends", "guest"),
    ("start-asks", "denied"),
    ("start-loop", "time"),
    ("suppresses-launch", "<hold>"),
    ("traps", "trap"),
    ("validate-asks", "<pass>"),
    ("validate-flaws", "guest"),
    ("validate-loops", "time"),
    ("waits-forever", "<wait>"),
    ("waits-in-the-past", "<wait>"),
];

/// Those that are denied what they ask for; all others get everything.
const REFUSED: [&str; 4] = ["asks-optional", "asks-unlisted", "guard-asks-unlisted", "start-asks"];

fn scene(name: &str) -> Scene {
    // A million calls are more than a second where the host is built for debugging and the machine has other work.
    let wasm_time = Milliseconds(if name == "clock-spins" { 60_000 } else { 1_000 });
    let mut scene = Scene::guest(name).limited(|limits| limits.wasm_time = wasm_time);
    if let Ok(info) = shared().inspect(&scene.bytes) {
        let asked = info.request.entries.into_iter().map(|entry| entry.capability).collect();
        if REFUSED.contains(&name) {
            scene.grant.refused = asked;
        } else {
            scene.grant.capabilities = asked;
        }
    }
    scene
}

fn told<A>(answer: Result<A, Failure>, name: impl FnOnce(A) -> String) -> String {
    match answer {
        Ok(answer) => format!("<{}>", name(answer)),
        Err(Failure::Retry { cause, .. }) => cause.as_str().to_owned(),
        Err(Failure::GiveUp { .. }) => "gave up".to_owned(),
    }
}

fn word_of(name: &str) -> String {
    let scene = scene(name);
    let Ok(info) = shared().inspect(&scene.bytes) else { return "does not load".to_owned() };
    let tag = |value: serde_json::Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    match info.kind {
        PluginKind::Gate => scene.word(),
        PluginKind::Guard => told(decide(&scene, "launch-agent", None), |decision| {
            tag(serde_json::to_value(decision).unwrap(), "decision")
        }),
        PluginKind::Estimator => told(estimate(&scene), |_| "forecast".to_owned()),
        PluginKind::Notifier => told(notify(&scene), |()| "told".to_owned()),
        PluginKind::StatusMapper => {
            told(inbound(&scene).answer, |intent| serde_json::to_value(intent).unwrap().as_str().unwrap().to_owned())
        }
    }
}

#[test]
fn every_guest_gets_the_word_that_it_deserves() {
    let mut wrong = Vec::new();
    for (name, _) in test_artifacts::GUESTS {
        let expected = ANSWERS.iter().find(|(known, _)| known == name).map_or("(not in the table)", |(_, word)| word);
        let word = word_of(name);
        if word != expected {
            wrong.push(format!("{name}: {word}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(ANSWERS.len(), test_artifacts::GUESTS.len(), "the table names guests that are gone");
}
