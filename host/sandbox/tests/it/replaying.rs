//! The transcript, and asking again offline.

use domain::verdict::{InfraCause, Verdict};
use sandbox::{Answer, Bytes, HostAnswer, ReplayError, Transcript, read_transcript};

use crate::build::{Gate, PASS};
use crate::scene::{Scene, TestWorld, shared, word};

const APPROVED: &str = "---\nverdict: APPROVED\n---\n\n## Findings\n\nNone.\n";
const CHANGES: &str = "---\nverdict: REQUEST_CHANGES\n---\n\n## Findings\n\n- P1: the lock is never released\n";

fn review() -> Scene {
    Scene::file(&test_artifacts::plugin("review-verdict")).granting(&["documents"])
}

#[test]
fn a_replay_gives_the_same_verdict_without_a_world() {
    let scene = review();
    let evaluation = scene.evaluate_in(TestWorld::with_review(CHANGES));
    assert_eq!(word(&evaluation.answer), "<fail>");
    let replayed = shared().replay(&scene.bytes, &evaluation.transcript).unwrap();
    assert!(replayed.same && replayed.replayable, "{replayed:?}");
    assert_eq!(replayed.answer, Answer::Verdict(evaluation.answer));
    assert_eq!(replayed.transcript, read_transcript(&evaluation.transcript).unwrap(), "equal but for its duration");
}

#[test]
fn with_another_answer_in_the_transcript_it_comes_to_its_other_verdict() {
    let scene = review();
    let evaluation = scene.evaluate_in(TestWorld::with_review(CHANGES));
    let mut transcript: Transcript = read_transcript(&evaluation.transcript).unwrap();
    let mut changed = 0;
    for exchange in &mut transcript.calls {
        if let Ok(HostAnswer::Bytes(bytes)) = &mut exchange.answer {
            *bytes = Bytes(APPROVED.as_bytes().to_vec());
            changed += 1;
        }
    }
    assert_eq!(changed, 1, "{:?}", transcript.calls);
    let replayed = shared().replay(&scene.bytes, &serde_json::to_vec(&transcript).unwrap()).unwrap();
    assert!(!replayed.same);
    assert!(matches!(&replayed.answer, Answer::Verdict(Verdict::Pass { .. })), "{:?}", replayed.answer);
    assert!(matches!(&replayed.recorded, Answer::Verdict(Verdict::Fail { .. })));
}

#[test]
fn a_call_that_is_not_the_recorded_one_is_told() {
    let scene = review();
    let evaluation = scene.evaluate_in(TestWorld::with_review(APPROVED));
    let mut transcript: Transcript = read_transcript(&evaluation.transcript).unwrap();
    transcript.calls.reverse();
    let replayed = shared().replay(&scene.bytes, &serde_json::to_vec(&transcript).unwrap()).unwrap();
    assert!(!replayed.same);
    assert!(replayed.diverged.unwrap().contains("DocumentsRead"));
    assert!(!matches!(&replayed.answer, Answer::Verdict(verdict) if verdict.opens()));
}

#[test]
fn a_denial_is_replayed_as_one() {
    let scene = Scene::guest("asks-unlisted").refusing(&["documents"]);
    let evaluation = scene.evaluate();
    let replayed = shared().replay(&scene.bytes, &evaluation.transcript).unwrap();
    assert!(replayed.same, "{replayed:?}");
    assert!(matches!(&replayed.answer, Answer::Verdict(Verdict::Infra { cause: InfraCause::Denied, .. })));
    let scene = Scene::guest("asks-optional");
    let replayed = shared().replay(&scene.bytes, &scene.evaluate().transcript).unwrap();
    assert!(replayed.same && matches!(&replayed.answer, Answer::Verdict(Verdict::Pass { .. })), "{replayed:?}");
}

#[test]
fn a_verdict_that_a_limit_made_is_not_replayable() {
    let scene = Scene::guest("loops").limited(|limits| limits.wasm_time = domain::time::Milliseconds(50));
    let evaluation = scene.evaluate();
    assert_eq!(evaluation.limits_hit, [InfraCause::Time]);
    assert!(!shared().replay(&scene.bytes, &evaluation.transcript).unwrap().replayable);
}

#[test]
fn time_and_luck_are_recorded() {
    // Passes with a note of eight random-looking bytes only if two calls see the same; here: the clock's low byte is the answer's case.
    let clock = r#"(import "gatewright:clock/clock@0.1.0" "now" (func $now (result i64)))"#;
    let body = format!("(if (i64.ne (call $now) (i64.const 1700000000000)) (then unreachable)) {PASS}");
    let scene = Scene::of(Gate { imports: clock, body: &body, ..Gate::default() }.build());
    let evaluation = scene.evaluate();
    assert_eq!(word(&evaluation.answer), "<pass>", "{:?}", evaluation.answer);
    assert!(shared().replay(&scene.bytes, &evaluation.transcript).unwrap().same);
}

#[test]
fn only_the_component_that_answered_is_asked_again() {
    let scene = review();
    let evaluation = scene.evaluate_in(TestWorld::with_review(APPROVED));
    let other = Gate::default().build();
    assert!(matches!(shared().replay(&other, &evaluation.transcript), Err(ReplayError::OtherComponent { .. })));
    assert!(matches!(shared().replay(&scene.bytes, b"{}"), Err(ReplayError::NoTranscript(_))));
    assert!(matches!(shared().replay(&scene.bytes, b"{\"version\":2}"), Err(ReplayError::OtherForm { found: 2 })));
    assert!(matches!(shared().replay(b"text", &evaluation.transcript), Err(ReplayError::Load(_))));
}

#[test]
fn bytes_that_are_no_text_survive_the_transcript() {
    for bytes in [b"text \xf0\x9f\xa6\x80".to_vec(), vec![0xff, 0, 0x80]] {
        let encoded = serde_json::to_string(&Bytes(bytes.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Bytes>(&encoded).unwrap(), Bytes(bytes), "{encoded}");
    }
}
