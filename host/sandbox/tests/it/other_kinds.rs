//! Guards, estimators, notifiers and status-mappers: what each may answer, and what its failure is. From hand-written components, so
//! that each answer is exactly the bytes of the test.

use std::sync::Arc;

use conductor::ports::plugins::{
    EstimateCall, Evaluation, GuardCall, InboundCall, NotifyCall, OutboundCall, Plugins as _, ValidateCall,
};
use domain::ids::JobId;
use domain::plugin::{
    Amendable, BoardStatus, EffectView, EstimatorQuestion, Failure, Flaw, Forecast, GuardDecision, GuardQuestion,
    MapperIntent, NotifierNotice, Standing, StatusChange, StatusGroup, Urgency,
};
use domain::task::Terminality;
use domain::time::{Milliseconds, Timestamp};
use domain::verdict::InfraCause;

use crate::build::{NO_CAPABILITY, component, escaped};
use crate::scene::{NOW, Scene, TestWorld, project, shared, task};

/// A status-mapper that answers what lies at 1024.
pub(crate) const MAPPER: &str = r#"(memory (export "memory") 2)
    (data (i32.const 1024) "\00\01")
    (func (export "gatewright:status-mapper/status-mapper@0.1.0#validate") (param i32 i32) (result i32) i32.const 2048)
    (func (export "gatewright:status-mapper/status-mapper@0.1.0#inbound") (param i32) (result i32) i32.const 1024)
    (func (export "gatewright:status-mapper/status-mapper@0.1.0#outbound") (param i32) (result i32) i32.const 1024)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)"#;

/// One that answers each question with the bytes at 1024; `data` puts them there. `extra` is where more functions stand.
fn answering(world: &str, functions: &[(&str, &str)], data: &str) -> Scene {
    let export = |(name, signature): &(&str, &str)| format!("(func (export \"{name}\") {signature} i32.const 1024)");
    let functions = functions.iter().map(export).collect::<Vec<_>>().concat();
    let fields = format!(
        "(memory (export \"memory\") 2) {data} {functions}
         (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) i32.const 65536)"
    );
    Scene::of(component(world, NO_CAPABILITY, &fields))
}

fn mapper(data: &str) -> Scene {
    let name = |function: &str| format!("gatewright:status-mapper/status-mapper@0.1.0#{function}");
    let (validate, inbound, outbound) = (name("validate"), name("inbound"), name("outbound"));
    let asked = "(param i32) (result i32)";
    answering(
        "status-mapper-plugin",
        &[(&validate, "(param i32 i32) (result i32)"), (&inbound, asked), (&outbound, asked)],
        data,
    )
}

fn other(kind: &str, function: &str, data: &str) -> Scene {
    let name = |function: &str| format!("gatewright:{kind}/{kind}@0.1.0#{function}");
    let (validate, asked) = (name("validate"), name(function));
    // A question of up to 16 flat values comes as these, a larger one as the place where it lies.
    let signature = if kind == "estimator" {
        format!("(param {}) (result i32)", "i32 ".repeat(16))
    } else {
        "(param i32) (result i32)".to_owned()
    };
    let functions = [(validate.as_str(), "(param i32 i32) (result i32)"), (asked.as_str(), signature.as_str())];
    answering(&format!("{kind}-plugin"), &functions, data)
}

/// Bytes at an address.
fn bytes(at: u32, bytes: &[u8]) -> String {
    let escaped = escaped(bytes);
    format!("(data (i32.const {at}) \"{escaped}\")")
}

/// A text at 4096, as the pair of numbers that stands for it.
fn text(text: &str) -> (String, Vec<u8>) {
    let mut pair = 4096_u32.to_le_bytes().to_vec();
    pair.extend((text.len() as u32).to_le_bytes());
    (bytes(4096, text.as_bytes()), pair)
}

fn board() -> Vec<BoardStatus> {
    vec![BoardStatus { name: "To Analyse".to_owned(), group: StatusGroup::Unstarted }]
}

pub(crate) fn inbound(scene: &Scene) -> Evaluation<Result<MapperIntent, Failure>> {
    scene.load().unwrap();
    let change = StatusChange {
        project: project(),
        work_item: "ORCH-094".parse().unwrap(),
        from: None,
        to: board()[0].clone(),
        board: board(),
        by_us: false,
        task: Some(task()),
        settings: "{}".to_owned(),
        more: Vec::new(),
    };
    shared().map_inbound(InboundCall { asking: scene.asking(), change })
}

pub(crate) fn outbound(scene: &Scene) -> Result<Vec<String>, Failure> {
    scene.load().unwrap();
    let standing = Standing {
        project: project(),
        work_item: "ORCH-094".parse().unwrap(),
        task: None,
        phase: "in-review".to_owned(),
        board: board(),
        settings: "{}".to_owned(),
        more: Vec::new(),
    };
    shared().map_outbound(OutboundCall { asking: scene.asking(), standing }).answer
}

fn effect(kind: &str) -> EffectView {
    EffectView {
        kind: kind.to_owned(),
        object: String::new(),
        phase: None,
        status: None,
        text: Some("as it was".to_owned()),
        commit: None,
        more: Vec::new(),
    }
}

pub(crate) fn decide(scene: &Scene, kind: &str, terminality: Option<Terminality>) -> Result<GuardDecision, Failure> {
    scene.load().unwrap();
    let mut task = task();
    task.terminality = terminality;
    let question = GuardQuestion {
        id: JobId(9),
        first_asked_at: NOW,
        project: project(),
        environment: "test".to_owned(),
        destination: None,
        task: Some(task),
        effect: effect(kind),
        cause: "stage-entered".to_owned(),
        settings: "{}".to_owned(),
        more: Vec::new(),
    };
    let call = GuardCall { asking: scene.asking(), question, patience: Milliseconds::from_seconds(60) };
    shared().decide_guard(call, Arc::new(TestWorld::default())).answer
}

fn invalid<A>(answer: &Result<A, Failure>) -> bool {
    matches!(answer, Err(Failure::Retry { cause: InfraCause::InvalidAnswer, .. }))
}

#[test]
fn a_status_mapper_says_what_a_change_means_and_zero_means_nothing() {
    assert_eq!(inbound(&mapper(&bytes(1024, &[0, 0, 0, 0, 1]))).answer, Ok(MapperIntent::None));
    assert_eq!(inbound(&mapper("")).answer, Ok(MapperIntent::None));
    // result<intent, failure>: the intent lies at the payload, 8 bytes on.
    assert_eq!(inbound(&mapper(&bytes(1032, &[2]))).answer, Ok(MapperIntent::Approve));
    assert!(invalid(&inbound(&mapper(&bytes(1032, &[77]))).answer));
}

#[test]
fn names_are_twenty_at_most() {
    let (data, pair) = text("Done\u{200b}");
    let list: Vec<u8> = pair.iter().copied().cycle().take(25 * 8).collect();
    let mut answer = vec![0; 8];
    answer.extend(8192_u32.to_le_bytes());
    answer.extend(25_u32.to_le_bytes());
    let names = outbound(&mapper(&format!("{data} {} {}", bytes(8192, &list), bytes(1024, &answer)))).unwrap();
    assert_eq!(names, vec!["Done⟨U+200B⟩"; 20]);
}

#[test]
fn a_failure_is_its_own_and_waits_an_hour_at_most() {
    // failure.retry { cause, after-ms }: Err, then the variant at 8, its cause at 16, the option at 24.
    let (data, pair) = text("tracker-down");
    let mut answer = vec![1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    answer.extend(&pair);
    answer.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    answer.extend(u64::MAX.to_le_bytes());
    let failed = inbound(&mapper(&format!("{data} {}", bytes(1024, &answer)))).answer;
    let expected = Failure::Retry {
        cause: InfraCause::Guest("tracker-down".to_owned()),
        message: "tracker-down".to_owned(),
        after: Some(Milliseconds::from_seconds(3600)),
    };
    assert_eq!(failed, Err(expected));
    answer[8] = 1;
    let gave_up = inbound(&mapper(&format!("{data} {}", bytes(1024, &answer)))).answer;
    assert_eq!(gave_up, Err(Failure::GiveUp { message: "tracker-down".to_owned() }));
}

/// result<decision, failure>: the decision at 8, its payload at 16.
fn guard(case: u8, payload: &[u8], more: &str) -> Scene {
    let mut answer = vec![0; 8];
    answer.extend([case, 0, 0, 0, 0, 0, 0, 0]);
    answer.extend(payload);
    other("guard", "decide", &format!("{more} {}", bytes(1024, &answer)))
}

#[test]
fn a_guard_that_says_nothing_holds() {
    assert_eq!(
        decide(&other("guard", "decide", ""), "merge", None),
        Ok(GuardDecision::Hold { reason: "no reason given".to_owned() })
    );
    assert_eq!(decide(&guard(1, &[], ""), "merge", None), Ok(GuardDecision::Allow));
}

#[test]
fn only_what_the_pipeline_can_go_on_without_is_suppressed() {
    let (data, pair) = text("not on weekends");
    let scene = guard(2, &pair, &data);
    let reason = "not on weekends".to_owned();
    for kind in ["set-status", "set-estimate", "set-labels", "post-comment", "notify"] {
        assert_eq!(decide(&scene, kind, None), Ok(GuardDecision::Suppress { reason: reason.clone() }), "{kind}");
    }
    for kind in ["merge", "deploy", "launch-agent", "push-branch", "a-kind-that-comes-later"] {
        assert_eq!(decide(&scene, kind, None), Ok(GuardDecision::Hold { reason: reason.clone() }), "{kind}");
    }
}

#[test]
fn a_delay_ends_within_patience() {
    let mut payload = 1_u64.to_le_bytes().to_vec();
    payload.extend([0; 8]);
    let delayed = decide(&guard(4, &payload, ""), "merge", None);
    assert!(matches!(delayed, Ok(GuardDecision::Delay { until, .. }) if until == Timestamp(NOW.0 + 1_000)));
    payload[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let delayed = decide(&guard(4, &payload, ""), "merge", None);
    assert!(matches!(delayed, Ok(GuardDecision::Delay { until, .. }) if until == Timestamp(NOW.0 + 60_000)));
}

/// amendment { phase: option<string>, text: option<string>, why: string }
fn amending(phase: Option<&str>, new_text: Option<&str>) -> Scene {
    let mut payload = Vec::new();
    let mut data = String::new();
    for (field, at) in [(phase, 4096_u32), (new_text, 5000)] {
        let field = field.map(str::as_bytes);
        payload.extend(u32::from(field.is_some()).to_le_bytes());
        payload.extend(at.to_le_bytes());
        payload.extend((field.map_or(0, <[u8]>::len) as u32).to_le_bytes());
        data += &bytes(at, field.unwrap_or_default());
    }
    payload.extend([0; 8]);
    guard(3, &payload, &data)
}

#[test]
fn a_guard_amends_what_its_entry_grants_and_what_the_effect_has() {
    let granted = |mut scene: Scene, amend: &[Amendable]| {
        scene.grant.amend = amend.to_vec();
        scene
    };
    let both = [Amendable::Phase, Amendable::Text];
    let phase = |word: &str| granted(amending(Some(word), None), &both);
    let amended = decide(&phase("blocked"), "set-status", None).unwrap();
    assert!(matches!(amended, GuardDecision::Amend { phase: Some(word), text: None, .. } if word == "blocked"));
    assert!(decide(&phase("review"), "set-status", None).is_ok(), "the task's own stage");
    assert!(invalid(&decide(&phase("gone-fishing"), "set-status", None)));
    assert!(invalid(&decide(&phase("done"), "set-status", None)));
    assert!(decide(&phase("done"), "set-status", Some(Terminality::Done)).is_ok());
    assert!(invalid(&decide(&phase("blocked"), "post-comment", None)), "a comment has no phase");
    assert!(invalid(&decide(&granted(amending(Some("blocked"), None), &[Amendable::Text]), "set-status", None)));

    let new_text = || amending(None, Some("said otherwise"));
    let amended = decide(&granted(new_text(), &both), "post-comment", None).unwrap();
    let GuardDecision::Amend { text: Some(text), .. } = amended else { panic!("{amended:?}") };
    assert!(text.starts_with("said otherwise") && text.contains("under-test"), "{text}");
    assert!(invalid(&decide(&granted(new_text(), &[]), "post-comment", None)));
    assert!(invalid(&decide(&granted(new_text(), &both), "merge", None)));
    assert!(invalid(&decide(&granted(amending(None, None), &both), "post-comment", None)), "nothing amended");
}

fn forecast_of(figures: [(u64, u64, u64); 1], points: u8) -> Result<Forecast, Failure> {
    // result<forecast, failure>: figures of 32 bytes each at 8; the options' cases 8 bytes before theirs.
    let (low, expected, high) = figures[0];
    let figure = |value: u64| value.to_le_bytes().repeat(4);
    let mut answer = vec![0; 8];
    answer.extend(figure(expected));
    for bound in [low, high] {
        answer.extend([1, 0, 0, 0, 0, 0, 0, 0]);
        answer.extend(figure(bound));
    }
    answer.push(points);
    estimate(&other("estimator", "estimate", &bytes(1024, &answer)))
}

pub(crate) fn estimate(scene: &Scene) -> Result<Forecast, Failure> {
    scene.load().unwrap();
    let question = EstimatorQuestion {
        project: project(),
        work_item: "ORCH-094".parse().unwrap(),
        title: String::new(),
        description: String::new(),
        labels: Vec::new(),
        track: "full".to_owned(),
        settings: "{}".to_owned(),
        more: Vec::new(),
    };
    shared().estimate(EstimateCall { asking: scene.asking(), question }, Arc::new(TestWorld::default())).answer
}

#[test]
fn a_forecast_lies_between_its_bounds() {
    let forecast = forecast_of([(1, 2, 3)], 8).unwrap();
    assert_eq!((forecast.expected.wall_ms, forecast.story_points), (2, 8));
    assert!(invalid(&forecast_of([(3, 2, 4)], 8)));
    assert!(invalid(&forecast_of([(1, 5, 4)], 8)));
    assert!(invalid(&forecast_of([(1, 2, 3)], 101)));
    assert!(invalid(&forecast_of([(1, 2, 1 << 53)], 8)));
}

pub(crate) fn notify(scene: &Scene) -> Result<(), Failure> {
    scene.load().unwrap();
    let notice = NotifierNotice {
        id: JobId(1),
        sequence: 1,
        attempt: 1,
        at: NOW,
        project: project(),
        event: "done".to_owned(),
        urgency: Urgency::Quiet,
        text: "done".to_owned(),
        links: Vec::new(),
        view: None,
        settings: "{}".to_owned(),
        more: Vec::new(),
    };
    shared().notify(NotifyCall { asking: scene.asking(), notice }, Arc::new(TestWorld::default())).answer
}

#[test]
fn a_notifier_that_does_nothing_was_told() {
    assert_eq!(notify(&other("notifier", "notify", "")), Ok(()));
}

#[test]
fn one_of_another_kind_or_of_no_name_answers_nothing() {
    let scene = other("notifier", "notify", "");
    let asked = inbound(&scene).answer;
    assert!(matches!(asked, Err(Failure::Retry { cause: InfraCause::Unavailable, .. })), "{asked:?}");
    shared().unload(&scene.project, &crate::scene::plugin());
    let call = ValidateCall { asking: scene.asking(), settings: "{}".to_owned() };
    let evaluation = shared().validate(call);
    assert_eq!(evaluation.digest, None);
    assert!(matches!(evaluation.answer, Err(Failure::Retry { cause: InfraCause::Unavailable, .. })));
}

#[test]
fn settings_are_one_json_object_and_the_rest_is_the_plugins_to_judge() {
    let (data, pair) = text("no such key");
    // list<flaw>: 150 times the same, without a pointer.
    let mut flaw = vec![0; 8];
    flaw.extend(&pair);
    let list: Vec<u8> = flaw.iter().copied().cycle().take(150 * 16).collect();
    let mut answer = 8192_u32.to_le_bytes().to_vec();
    answer.extend(150_u32.to_le_bytes());
    let scene = mapper(&format!("{data} {} {}", bytes(8192, &list), bytes(1024, &answer)));
    scene.load().unwrap();
    let validate = |settings: &str| {
        shared().validate(ValidateCall { asking: scene.asking(), settings: settings.to_owned() }).answer
    };
    let flaws = validate("{\"a\":1}").unwrap();
    assert_eq!(flaws.len(), 100);
    assert_eq!(flaws[0], Flaw { pointer: String::new(), message: "no such key".to_owned() });
    for settings in ["", "[]", "1", "{", &format!("{{\"a\":\"{}\"}}", "x".repeat(64 * 1024))] {
        assert_eq!(validate(settings).unwrap().len(), 1, "{}", &settings[..settings.len().min(10)]);
    }
}

#[test]
fn validate_sees_the_settings_and_nothing_else() {
    let fields = r#"(import "gatewright:tracker/tracker@0.1.0" "current" (func $current (param i32)))
        (memory (export "memory") 2)
        (func (export "gatewright:guard/guard@0.1.0#validate") (param i32 i32) (result i32)
            (call $current (i32.const 4096))
            (if (i32.ne (i32.load8_u (i32.const 4104)) (i32.const 7)) (then unreachable))
            i32.const 2048)
        (func (export "gatewright:guard/guard@0.1.0#decide") (param i32) (result i32) i32.const 1024)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)"#;
    let request = crate::build::asking_for("tracker");
    let scene = Scene::of(component("guard-plugin", &request, fields)).refusing(&["tracker"]);
    scene.load().unwrap();
    let evaluation = shared().validate(ValidateCall { asking: scene.asking(), settings: "{}".to_owned() });
    assert_eq!(evaluation.answer, Ok(Vec::new()));
    assert!(evaluation.denials.is_empty());
}
