//! The real agents with a key that their shim holds: they work with it, and what they run does not find it.

use conductor::dialect::claude_code::{self, TOOLS};
use conductor::dialect::{
    ClaudeCode, Codex, Dialect, HeldKey, Judged, KeyHeader, PLACEHOLDER, PermissionMode, Place, Service, Session,
    Transport,
};
use conductor::ports::runs::{LaunchError, Program, Runs};
use conductor::project::UsageReader;
use domain::event::FailureClass;
use domain::time::Milliseconds;
use fake_services::{Call, Reply, messages, npm, responses};

use crate::known::{Bench, KEY, SESSION, the_key_is_kept};

/// Whatever a command may look at.
const LOOKS: &str =
    "{ env; cat /proc/self/environ /proc/*/environ /proc/*/cmdline; cat ~/.* ~/*; } > seen.txt 2>/dev/null; echo";

fn held(variable: &str, header: KeyHeader, service: &fake_services::Service, base: &str) -> HeldKey {
    let service =
        Service { place: Place::Address(service.address()), transport: Transport::Plain, base: base.to_owned() };
    HeldKey { variable: variable.to_owned(), header, service, patience: Milliseconds::from_seconds(60) }
}

fn script(call: &Call) -> Reply {
    if call.number == 0 { Reply::run(LOOKS) } else { Reply::say("It is done.") }
}

fn claude(variable: &str) -> Bench {
    let service = messages::start(script);
    let settings = ClaudeCode {
        permission_mode: PermissionMode::AcceptEdits,
        tools: TOOLS.map(str::to_owned).to_vec(),
        fallback_model: None,
        api: Some(service.url()),
        held: Some(held(variable, claude_code::key(variable).1, &service, "")),
        retries: 0,
        patience: Milliseconds::from_seconds(60),
        resume: true,
    };
    Bench::new(service, npm::claude_code(), Dialect::ClaudeCode(settings), UsageReader::ClaudeCode)
}

/// Its run is well, its calls had the key, and nothing inside shows it.
fn works_without_seeing_it(bench: &Bench, header: &str, shown: &str, other: &str) {
    let launch = bench.launch(1, Session::New(SESSION), None);
    let ended = bench.work(&launch, false);
    assert_eq!(ended.judged, Some(Judged::Well), "{}", ended.log);
    let calls = bench.service.calls();
    assert_eq!(calls.len(), 2, "{:?}", bench.service.records());
    for call in &bench.service.records() {
        assert_eq!((call.header(header), call.header(other)), (Some(shown), None), "{call:?}");
    }
    assert!(
        bench
            .service
            .records()
            .iter()
            .all(|record| { record.headers.iter().all(|(_, value)| !value.contains(PLACEHOLDER)) })
    );
    let seen = std::fs::read(bench.world.path("clone/seen.txt")).unwrap();
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("PATH=") && !seen.contains(KEY), "{seen}");
    assert!(!launch.environment.values().any(|value| value.contains(KEY)));
    the_key_is_kept(&launch, &ended);
    let held = std::process::Command::new("grep").args(["-rl", KEY]).arg(bench.world.path("")).output().unwrap();
    assert!(held.stdout.is_empty(), "{held:?}");
    assert!(!ended.log.contains("the network refused"), "{}", ended.log);
}

#[test]
fn claude_code_works_with_a_key_that_it_does_not_see() {
    works_without_seeing_it(&claude("ANTHROPIC_API_KEY"), "x-api-key", KEY, "authorization");
}

#[test]
fn a_key_may_have_another_name_outside() {
    works_without_seeing_it(&claude("THE_KEY"), "x-api-key", KEY, "authorization");
}

#[test]
fn claude_code_works_with_a_subscription_whose_token_it_does_not_see() {
    let bench = claude("CLAUDE_CODE_OAUTH_TOKEN");
    works_without_seeing_it(&bench, "authorization", &format!("Bearer {KEY}"), "x-api-key");
    let beta = |call: &fake_services::Record| call.header("anthropic-beta").unwrap_or_default().to_owned();
    assert!(bench.service.calls().iter().all(|call| beta(call).contains("oauth-")), "it asks as a subscriber does");
}

#[test]
fn codex_works_with_a_key_that_it_does_not_see() {
    let service = responses::start(script);
    let codex = Codex {
        api: format!("{}/v1", service.url()),
        key: "OPENAI_API_KEY".to_owned(),
        held: Some(held("THE_KEY", KeyHeader::Bearer, &service, "/v1")),
        retries: 0,
        patience: Milliseconds::from_seconds(60),
        resume: true,
    };
    let bench = Bench::new(service, npm::codex(), Dialect::Codex(codex), UsageReader::Codex);
    works_without_seeing_it(&bench, "authorization", &format!("Bearer {KEY}"), "x-api-key");
}

/// It has no bound of its own for an answer that does not begin.
#[test]
fn c3_1_a_service_that_takes_codexs_call_and_says_nothing_is_tried_again_later() {
    let service = responses::start(|_| Reply::Hang);
    let key = held("THE_KEY", KeyHeader::Bearer, &service, "/v1");
    let patience = Milliseconds::from_seconds(3);
    let codex = Codex {
        api: format!("{}/v1", service.url()),
        key: "OPENAI_API_KEY".to_owned(),
        held: Some(HeldKey { patience, ..key }),
        retries: 0,
        patience,
        resume: true,
    };
    let bench = Bench::new(service, npm::codex(), Dialect::Codex(codex), UsageReader::Codex);
    let ended = bench.work(&bench.launch(1, Session::New(SESSION), None), false);
    let Some(Judged::Failed { failure, .. }) = &ended.judged else { panic!("{:?}: {}", ended.judged, ended.log) };
    assert_eq!(failure.class, FailureClass::Transient, "{}", ended.log);
    assert!(!bench.service.calls().is_empty(), "it never asked");
}

#[test]
fn whose_key_is_not_there_or_cannot_be_held_waits_with_that_as_the_reason() {
    let bench = claude("UNSET");
    let program = |bench: &Bench| {
        let launch = bench.launch(1, Session::New(SESSION), None);
        Program {
            argv: launch.argv,
            readable: Vec::new(),
            writable: Vec::new(),
            confinement: launch.confinement,
            held_key: launch.held_key,
        }
    };
    let waits = |ready: Result<(), LaunchError>, words: &str| match ready {
        Err(LaunchError::ProgramMissing { why, .. }) => assert!(why.contains(words), "{why}"),
        other => panic!("{other:?}"),
    };
    waits(bench.runs.ready(&program(&bench)), "`UNSET`, which `api-key` names, is not set");
    let launched = bench.runs.launch(&bench.launch(1, Session::New(SESSION), None));
    waits(launched.map(drop), "`UNSET`, which `api-key` names, is not set");
    // The operator turned the sandbox off.
    let bench = claude("ANTHROPIC_API_KEY");
    assert_eq!(bench.runs.ready(&program(&bench)), Ok(()));
    let values = [("ANTHROPIC_API_KEY".to_owned(), KEY.to_owned())].into();
    let host = agents::port::HostEnvironment { reserved: Vec::new(), values };
    let runner = bench.world.runner(agents::SandboxMode::None);
    let runs = agents::ShimRuns::new(runner, host, |_| {}).unwrap();
    waits(runs.ready(&program(&bench)), "`pass-environment` in place of `api-key`");
    assert!(bench.service.records().is_empty());
}
