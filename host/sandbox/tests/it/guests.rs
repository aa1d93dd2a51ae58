//! The guests of `tests/guests`, each with what the host makes of it.

use domain::ids::Digest;
use domain::plugin::{Failure, Limits};
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::{GateHold, InfraCause, Verdict, WakeKind};
use sandbox::{LoadError, LogLevel, read_transcript};

use crate::build::{Gate, escaped};
use crate::scene::{NOW, Scene, TestWorld, sentence, word};

/// A guest in a language runs its start-up code too: it gets the limits that plugins have by default.
fn answer(name: &str) -> Verdict {
    Scene::guest(name).evaluate().answer
}

#[test]
fn those_that_answer_are_heard() {
    assert!(matches!(answer("passes"), Verdict::Pass { note, .. } if note == "this guest always passes"));
    assert!(matches!(answer("fails"), Verdict::Fail { findings, .. } if !findings.is_empty()));
    assert!(matches!(answer("not-applicable"), Verdict::NotApplicable { .. }));
    assert!(matches!(answer("holds-for-input"), Verdict::Hold { kind: GateHold::NeedsInput, .. }));
    let infra = answer("infra");
    assert_eq!(sentence(&infra), "this guest is never ready");
    assert!(matches!(
        infra,
        Verdict::Infra { cause: InfraCause::Guest(_), retry_after: Some(Milliseconds(5_000)), .. }
    ));
}

#[test]
fn a_panic_is_told_in_its_own_words() {
    assert!(sentence(&answer("panics")).contains("this guest always panics"));
}

#[test]
fn what_a_guest_asks_before_it_is_entered_is_unavailable_and_no_denial() {
    let note = |scene: Scene| {
        let evaluation = scene.evaluate();
        (evaluation.answer, evaluation.denials.len())
    };
    let (granted, _) = note(Scene::guest("start-asks").granting(&["documents"]));
    assert!(
        matches!(&granted, Verdict::Pass { note, .. } if note.starts_with("early: ") && note.contains("no export was entered yet") && note.ends_with("now: 0 documents")),
        "{granted:?}"
    );
    let (refused, denials) = note(Scene::guest("start-asks").refusing(&["documents"]));
    assert_eq!((word(&refused).as_str(), denials), ("denied", 1));
}

#[test]
fn settings_are_checked_without_a_world_and_within_the_limits() {
    use conductor::ports::plugins::{Plugins as _, ValidateCall};
    let validate = |scene: Scene, settings: &str| {
        scene.load().unwrap();
        let call = ValidateCall { asking: scene.asking(), settings: settings.to_owned() };
        crate::scene::shared().validate(call).answer
    };
    let flaws = validate(Scene::guest("validate-flaws"), "{\"limits\":[1]}").unwrap();
    assert_eq!((flaws[0].pointer.as_str(), flaws[0].message.as_str()), ("/limits/0", "1 limits are never right"));
    for name in ["validate-loops", "constructor-loops", "start-loop"] {
        let brief = Scene::guest(name).limited(|limits| limits.wasm_time = Milliseconds(50));
        let failed = validate(brief, "{}");
        assert!(matches!(failed, Err(Failure::Retry { cause: InfraCause::Time, .. })), "{name}: {failed:?}");
    }
}

#[test]
fn a_clock_that_stands_still_is_no_reason_to_fail() {
    let note = |verdict: Verdict| match verdict {
        Verdict::Pass { note, .. } => note,
        other => panic!("{other:?}"),
    };
    let patient = Scene::guest("clock-spins").limited(|limits| limits.wasm_time = Milliseconds(60_000));
    assert_eq!(note(patient.evaluate().answer), "the clock moved 0 times");
    let scene = Scene::guest("clock-spins").limited(|limits| limits.idle_calls = 1000);
    assert_eq!(scene.word(), "calls");
}

#[test]
fn a_full_log_swallows_the_rest_and_the_verdict_stands() {
    let evaluation = Scene::guest("floods-output").evaluate();
    assert_eq!(word(&evaluation.answer), "<pass>", "{:?}", evaluation.answer);
    let transcript = read_transcript(&evaluation.transcript).unwrap();
    let bytes: usize = transcript.log.iter().map(|line| line.text.len()).sum();
    assert!(bytes <= Limits::default().output_bytes as usize + 200, "{bytes}");
    let last = transcript.log.last().unwrap();
    assert_eq!(last.level, LogLevel::Warn);
    assert!(last.text.starts_with("the log is full"), "{}", last.text);
}

#[test]
fn dirty_text_comes_out_visible_and_what_has_not_the_right_form_is_left_out() {
    let Verdict::Fail { findings, .. } = answer("dirty-text") else { panic!("no fail") };
    let first = &findings[0];
    assert_eq!(first.rule, "unnamed");
    assert_eq!(first.title, "␛[31mred␛[0m␀ ⟨U+202E⟩txet⟨U+202C⟩ zero⟨U+200B⟩width");
    assert!(first.detail.contains("closes #1␍\n```\n␇"), "{}", first.detail);
    assert_eq!((&first.path, first.line, &first.help), (&None, None, &None));
    assert_eq!((&findings[1].path, &findings[1].help), (&None, &None));
    assert_eq!(findings[1].rule, "absolute");
}

#[test]
fn findings_over_the_thousandth_are_dropped_and_counted() {
    let evaluation = Scene::guest("many-findings").evaluate();
    let Verdict::Fail { findings, .. } = evaluation.answer else { panic!("no fail") };
    assert_eq!(findings.len(), 1_000);
    assert_eq!(findings[999].title, "Finding 1000");
    let notes = read_transcript(&evaluation.transcript).unwrap().notes;
    assert_eq!(notes, ["4000 findings over the first 1000 were dropped"]);
}

#[test]
fn figures_are_a_hundred_json_values_under_words() {
    // A pass with 120 figures, all the same but for the two that break a rule: a fact is a key and a value, 16 bytes.
    let pair = |at: u32, length: u32| [at.to_le_bytes(), length.to_le_bytes()].concat();
    let (good, no_json, no_word) = (pair(4096, 2), pair(4098, 1), pair(4100, 3));
    let mut facts: Vec<u8> = [[good.clone(), no_json], [no_word, good.clone()]].concat().concat();
    for _ in 0..118 {
        facts.extend([pair(4101, 2), pair(4099, 1)].concat());
    }
    let escaped = escaped(&facts);
    let fields = format!("(data (i32.const 4096) \"ab{{1 cd\") (data (i32.const 8192) \"{escaped}\")");
    let body = "(i32.store8 (i32.const 1024) (i32.const 4)) (i32.store (i32.const 1048) (i32.const 8192)) (i32.store (i32.const 1052) (i32.const 120))";
    let evaluation = Scene::of(Gate { fields: &fields, body, ..Gate::default() }.build()).evaluate();
    let Verdict::Pass { figures, .. } = &evaluation.answer else { panic!("{:?}", evaluation.answer) };
    assert_eq!(figures.len(), 100);
    assert!(figures.iter().all(|fact| fact.key == "cd" && fact.value == "1"));
    let notes = read_transcript(&evaluation.transcript).unwrap().notes;
    assert!(notes[0].contains("`ab` was left out: its value is no JSON"), "{notes:?}");
    assert!(notes[1].contains("its key is no kebab-case word"), "{notes:?}");
    assert!(notes[2].contains("18 figures over the first 100 were dropped"), "{notes:?}");
}

#[test]
fn a_wait_ends_within_the_steps_patience_and_never_at_once() {
    let mut scene = Scene::guest("waits-forever");
    scene.patience = Milliseconds::from_seconds(90);
    let Verdict::Wait { until, wake, .. } = scene.evaluate().answer else { panic!("no wait") };
    assert_eq!(until, Timestamp(NOW.0 + 90_000));
    assert_eq!(wake.iter().collect::<Vec<_>>(), [WakeKind::Checks, WakeKind::Push]);
    let Verdict::Wait { until, wake, .. } = answer("waits-in-the-past") else { panic!("no wait") };
    assert_eq!(until, Timestamp(NOW.0 + 1_000));
    assert!(wake.is_empty());
}

#[test]
fn too_many_calls_count_although_the_guest_goes_on() {
    let scene = Scene::guest("many-calls").granting(&["documents"]);
    assert_eq!(scene.word(), "calls");
}

#[test]
fn a_denied_guest_that_passes_has_not_passed_unless_it_said_that_it_copes() {
    assert_eq!(Scene::guest("asks-unlisted").refusing(&["documents"]).word(), "denied");
    assert_eq!(Scene::guest("asks-unlisted").granting(&["documents"]).word(), "<pass>");
    assert_eq!(Scene::guest("asks-optional").word(), "<pass>");
}

#[test]
fn one_that_asks_for_nothing_and_calls_something_does_not_load() {
    let error = Scene::guest("no-request").load().unwrap_err();
    assert!(matches!(error, LoadError::NotRequested { .. }), "{error}");
    assert!(error.to_string().contains("name = \"documents\""), "{error}");
}

#[test]
fn functions_that_come_later_are_the_guests_infra() {
    let reads = ["repo", "documents", "forge", "tracker", "runs", "history"];
    let verdict = Scene::guest("reads-everything").granting(&reads).evaluate().answer;
    assert_eq!(word(&verdict), "guest");
    assert!(sentence(&verdict).contains("comes later"), "{verdict:?}");
    assert_eq!(Scene::guest("counts").granting(&["kv"]).word(), "guest");
}

#[test]
fn the_review_plugin_reads_the_review_that_the_reviewer_wrote() {
    let scene = || Scene::file(&test_artifacts::plugin("review-verdict")).granting(&["documents"]);
    let approved = TestWorld::with_review("---\nverdict: APPROVED\n---\n\n## Findings\n\nNone.\n");
    assert_eq!(word(&scene().evaluate_in(approved).answer), "<pass>");
    let asks = TestWorld::with_review(
        "---\nverdict: REQUEST_CHANGES\n---\n\n## Findings\n\n- P1: the lock is never released\n",
    );
    let Verdict::Fail { findings, .. } = scene().evaluate_in(asks).answer else { panic!("no fail") };
    assert!(
        findings[0].title.contains("the lock is never released")
            || findings[0].detail.contains("the lock is never released")
    );
}

#[test]
fn the_same_bytes_are_compiled_once() {
    let scene = Scene::guest("passes");
    let other = Scene::of(scene.bytes.to_vec());
    scene.load().unwrap();
    let started = std::time::Instant::now();
    other.load().unwrap();
    let second = started.elapsed();
    assert_eq!(Digest::of(&scene.bytes), Digest::of(&other.bytes));
    crate::scene::shared().unload(&scene.project, &crate::scene::plugin());
    assert_eq!(word(&other.evaluate().answer), "<pass>");
    assert!(second < std::time::Duration::from_secs(20), "{second:?}");
}
