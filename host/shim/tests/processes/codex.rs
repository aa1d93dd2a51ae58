//! The real Codex, in the sandbox, against a Responses API of the test's own.

use conductor::dialect::{Codex, Dialect, End, Home, Judged, Session};
use conductor::failure::Failure;
use conductor::ports::runs::{Ending, Runs};
use conductor::project::UsageReader;
use domain::cost::Usage;
use domain::event::FailureClass;
use domain::ids::RunId;
use domain::time::Milliseconds;
use fake_services::{Call, EACH, Reply, npm, responses};

use crate::known::{Bench, KEY, SESSION, the_key_is_kept};

fn bench(patience_s: u64, script: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Bench {
    let service = responses::start(script);
    let codex = Codex {
        api: format!("{}/v1", service.url()),
        key: "THE_KEY".to_owned(),
        held: None,
        retries: 0,
        patience: Milliseconds::from_seconds(patience_s),
        resume: true,
    };
    Bench::new(service, npm::codex(), Dialect::Codex(codex), UsageReader::Codex)
}

fn new() -> Session<'static> {
    Session::New(SESSION)
}

fn calls(number: u64) -> Usage {
    Usage {
        input_tokens: Some(number * EACH.input),
        output_tokens: Some(number * EACH.output),
        cache_read_tokens: Some(number * EACH.cache_read),
        cache_creation_tokens: Some(0),
        cost_microusd: None,
    }
}

fn class(judged: Option<&Judged>) -> FailureClass {
    match judged {
        Some(Judged::Failed { failure: Failure { class, .. }, .. }) => *class,
        judged => panic!("{judged:?}"),
    }
}

#[test]
fn codex_works_in_the_sandbox_reaches_its_service_alone_and_shows_its_key_to_no_command() {
    let bench = bench(60, |call| {
        if call.number == 0 { Reply::run("echo more > made.txt; env > seen.txt") } else { Reply::say("It is done.") }
    });
    // Codex asks git about the clone when it starts, and git obeys the clone: that is inside.
    let clone = bench.world.path("clone");
    let outside = bench.world.path("outside");
    let git = |words: &[&str]| {
        let done = std::process::Command::new("git").arg("-C").arg(&clone).args(words).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    git(&["init", "--quiet"]);
    std::fs::write(clone.join("a"), "a").unwrap();
    git(&["add", "a"]);
    std::fs::write(clone.join(".gitattributes"), "* filter=x\n").unwrap();
    std::fs::write(clone.join("a"), "b").unwrap();
    let filter = format!("echo ran | tee {} > ran.txt; cat", outside.display());
    git(&["config", "filter.x.clean", &filter]);
    let launch = bench.launch(1, new(), None);
    let ended = bench.work(&launch, false);
    assert_eq!(ended.judged, Some(Judged::Well), "{}", ended.log);
    assert_eq!(bench.world.read("clone/made.txt"), "more\n");
    assert!(!outside.exists(), "what the clone's configuration names runs inside alone");
    let seen = bench.world.read("clone/seen.txt");
    assert!(seen.contains("PATH=") && !seen.contains(KEY), "{seen}");
    assert_eq!((ended.told.usage, ended.told.steps), (calls(2), 1), "{}", ended.log);
    assert_eq!(ended.told.context, Some(EACH.input + EACH.cache_read));
    assert_eq!(ended.told.end, Some(End::Good { words: "It is done.".to_owned(), denied: Vec::new() }));
    assert!(ended.told.model.is_some(), "its own record says which model worked");
    let records = bench.service.records();
    assert_eq!((bench.service.calls().len(), records.len()), (2, 2), "it asks for nothing else: {records:?}");
    assert!(records.iter().all(|record| record.header("authorization") == Some(&format!("Bearer {KEY}"))));
    assert_eq!(records[0].body["reasoning"]["effort"], "low");
    the_key_is_kept(&launch, &ended);
    let refusals: Vec<&str> = ended.log.lines().filter(|line| line.contains("the network refused")).collect();
    assert_eq!(refusals, Vec::<&str>::new(), "it calls nobody else");
}

#[test]
fn c3_1_what_codex_says_of_its_service_decides_whether_it_is_tried_again_and_no_error_delivers() {
    let table = [
        (Reply::Refuse(400), FailureClass::Permanent),
        (Reply::Refuse(401), FailureClass::Permanent),
        (Reply::Refuse(403), FailureClass::Permanent),
        (Reply::Refuse(404), FailureClass::Permanent),
        (Reply::Refuse(413), FailureClass::Permanent),
        (Reply::Refuse(429), FailureClass::Transient),
        (Reply::Refuse(500), FailureClass::Transient),
        (Reply::Refuse(503), FailureClass::Transient),
        (Reply::Drop, FailureClass::Transient),
        (Reply::Stall, FailureClass::Transient),
    ];
    for (reply, expected) in table {
        let asked = reply.clone();
        let bench = bench(5, move |_| asked.clone());
        let ended = bench.work(&bench.launch(1, new(), None), false);
        assert_eq!(ended.ending, Ending::Exited(1), "{reply:?}: {}", ended.log);
        assert_eq!(class(ended.judged.as_ref()), expected, "{reply:?}: {:?}", ended.judged);
    }
}

#[test]
fn a_codex_that_waits_for_ever_is_ended_by_its_runs_own_deadline_and_what_it_used_is_known() {
    let bench = bench(60, |call| if call.number == 0 { Reply::run("echo more > made.txt") } else { Reply::Hang });
    let mut launch = bench.launch(1, new(), None);
    launch.budget = Milliseconds::from_seconds(20);
    bench.runs.launch(&launch).unwrap();
    bench.service.await_calls(2);
    let told = bench.runs.told(RunId(1), &bench.reader);
    assert_eq!(told.usage, calls(1), "its log says nothing of it yet: its own record does");
    let ended = bench.end(RunId(1), false);
    assert_eq!((ended.ending, ended.judged), (Ending::TimedOut, None));
    assert_eq!((ended.told.usage, ended.told.end), (calls(1), None));
}

#[test]
fn a_codex_that_goes_on_with_a_conversation_counts_what_was_used_before_once() {
    let bench = bench(60, |_| Reply::say("done"));
    let first = bench.work(&bench.launch(1, new(), None), false);
    let id = first.told.session.clone().unwrap();
    bench.runs.keep_session(RunId(1), Some((Home::Codex, &id)));
    let second = bench.work(&bench.launch(2, Session::Resumed(&id), Some(1)), true);
    assert_eq!(second.judged, Some(Judged::Well), "{}", second.log);
    assert_eq!(second.told.usage, calls(2), "it says what the whole conversation used");
    assert_eq!(bench.dialect.own(&second.told.usage, &first.told.usage), calls(1));
    let lost = bench.work(&bench.launch(3, Session::Resumed(SESSION), None), true);
    assert_eq!(lost.judged, Some(Judged::Forgotten), "{}", lost.log);
}
