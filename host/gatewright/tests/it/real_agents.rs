//! The real Claude Code as the developer of `quick`, in a repository of a user's own, against a service of the test's own.

use std::fs;

use fake_services::{Call, EACH, Reply, Service, messages, npm};
use serde_json::Value;

use crate::fixture::{DEVELOPER, Place, REVIEWER, Serving, said};

const KEY: &str = "key-0f-the-test-c0ffee";

/// A place whose developer is such a one.
pub(crate) fn placed(reviewer: &str, developer: &str, more: &str) -> Place {
    let place = Place::new(DEVELOPER, reviewer);
    place.init();
    let file = place.project_file();
    let text = fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once("[roles.developer]\n").unwrap();
    let after = &rest[rest.find("\n[").unwrap()..];
    fs::write(&file, format!("{before}[roles.developer]\n{developer}{after}\n{more}")).unwrap();
    let checked = place.gatewright(&["check"]);
    assert!(checked.status.success(), "{}", said(&checked));
    place
}

/// A place whose developer is Claude Code, and a host that has its key.
fn served(service: &Service, reviewer: &str, role: &str, more: &str) -> (Place, Serving) {
    let developer = format!(
        "driver = \"claude-code\"\nprogram = '{}'\napi = \"{}\"\napi-retries = 0\n{role}\n",
        npm::claude_code().display(),
        service.url()
    );
    let place = placed(reviewer, &developer, more);
    let host = place.start(place.command(&["serve"]).env("ANTHROPIC_API_KEY", KEY));
    (place, host)
}

/// The developer's runs, oldest first.
pub(crate) fn runs(host: &Serving, shown: &Value) -> Vec<Value> {
    let (status, text) = host.get(&format!("/api/v1/tasks/{}/runs", shown["task"]["id"]));
    assert_eq!(status, 200, "{text}");
    let runs: Value = serde_json::from_str(&text).unwrap();
    runs["items"].as_array().unwrap().iter().cloned().rev().filter(|run| run["role"] == "developer").collect()
}

/// A reviewer that is content the second time.
pub(crate) const ASKS_ONCE: &str = r#"#!/bin/sh
set -eu
if [ -e "$NOTES/asked" ]; then
  printf -- '---\nverdict: APPROVED\n---\n\n## Findings\n\nNone.\n' > "$GATEWRIGHT_DOCUMENTS/12-review.md"
else
  touch "$NOTES/asked"
  printf -- '---\nverdict: REQUEST_CHANGES\n---\n\n## Findings\n\n- P1 `greeting.txt`: say it twice\n' > "$GATEWRIGHT_DOCUMENTS/12-review.md"
fi
"#;

fn writes(call: &Call) -> Reply {
    match call.number {
        0 => Reply::run("echo once >> greeting.txt"),
        2 => Reply::run("echo twice >> greeting.txt"),
        _ => Reply::say("It is done."),
    }
}

#[test]
fn claude_code_develops_is_bounced_goes_on_with_its_conversation_and_its_work_lands_with_its_cost() {
    let service = messages::start(writes);
    let (place, host) =
        served(&service, ASKS_ONCE, "effort = \"low\"", "[ladder.claude-code]\nmodel = \"claude-opus-5-5\"\n");
    let key = place.ticket("Greet twice");
    place.until_phase(&key, "in-review");
    let approved = place.gatewright(&["task", "approve", &key]);
    assert!(approved.status.success(), "{}", said(&approved));
    let shown = place.until_phase(&key, "done");
    let merged = shown["task"]["merged"].as_str().unwrap();
    let text = place.forge_git(&["show", &format!("{merged}:greeting.txt")]);
    assert_eq!(text, "hello\nonce\ntwice");

    let calls = service.calls();
    assert_eq!(calls.len(), 4, "{:?}", service.records());
    assert!(calls.iter().all(|call| call.header("x-api-key") == Some(KEY) && call.body["model"] == "claude-opus-5-5"));
    let runs = runs(&host, &shown);
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[1]["conversation"]["resumed"], runs[0]["id"], "what it knew is not paid for again");
    let messages = |number: usize| calls[number].body["messages"].as_array().unwrap().len();
    assert!(messages(2) > messages(1), "it goes on where it was");
    for run in &runs {
        assert_eq!(
            (&run["model"], &run["effort"], &run["steps"]),
            (&"claude-opus-5-5".into(), &"low".into(), &1.into())
        );
        assert_eq!(run["usage"]["input_tokens"], 2 * EACH.input);
        assert_eq!(run["usage"]["output_tokens"], 2 * EACH.output);
        assert!(!run.to_string().contains(KEY));
    }
    let cost = |of: &Value| of["cost_microusd"].as_u64().unwrap();
    let both = cost(&runs[0]["usage"]) + cost(&runs[1]["usage"]);
    assert!(cost(&runs[0]["usage"]) > 0 && cost(&runs[0]["usage"]).abs_diff(cost(&runs[1]["usage"])) <= 2, "{runs:?}");
    assert_eq!(cost(&shown["task"]["spent"]), both, "the reviewer says nothing of its cost");
    let (_, page) = host.get(&format!("/r/{}", runs[1]["id"]));
    assert!(page.contains("claude-opus-5-5") && page.contains("It is done."), "{page}");
    assert!(!place.log().contains(KEY));
    let homes = place.state().join("homes");
    place.until(&key, "without what its agent knew", |_| fs::read_dir(&homes).unwrap().count() == 0);
}

#[test]
fn a_claude_code_that_spends_its_budget_is_ended_in_the_midst_of_its_run_and_its_task_is_held() {
    // Three calls are more than four thousand tokens; then the service is silent, and the run would wait for ever.
    let service =
        messages::start(|call| if call.number < 3 { Reply::run("echo more >> greeting.txt") } else { Reply::Hang });
    let budget = "budget = { tokens = 4000 }";
    let (place, host) = served(&service, REVIEWER, budget, "[price]\ntokens-per-hour = 1000\n");
    let key = place.ticket("Greet twice");
    let shown = place.until_phase(&key, "blocked");
    let sentence = shown["standing"]["sentence"].as_str().unwrap();
    assert!(sentence.contains("budget") && sentence.contains("tokens"), "{sentence}");
    assert_eq!(shown["task"]["retries"], 0, "it costs no attempt");
    let runs = runs(&host, &shown);
    assert_eq!((runs.len(), service.calls().len()), (1, 4), "nothing is launched again behind a person's back");
    let outcome = runs[0]["outcome"].as_str().unwrap();
    assert!(outcome.starts_with("over budget: "), "{outcome}");
    assert_eq!(
        runs[0]["usage"]["input_tokens"],
        3 * EACH.input,
        "what it used is known though it never said its last word"
    );
    assert_eq!(runs[0]["doing"], "Bash: echo more >> greeting.txt");
    let (_, page) = host.get(&format!("/r/{}", runs[0]["id"]));
    assert!(page.contains("over budget: ") && page.contains("Bash: echo more"), "{page}");
}

#[test]
fn claude_code_develops_with_a_key_that_it_never_sees() {
    let looks = "{ env; cat /proc/self/environ /proc/*/environ /proc/*/cmdline; } 2>/dev/null | tr '\\0' '\\n' > seen.txt; \
                 echo once >> greeting.txt";
    let service =
        messages::start(move |call| if call.number == 0 { Reply::run(looks) } else { Reply::say("It is done.") });
    let (place, host) =
        served(&service, REVIEWER, "effort = \"low\"\napi-key = \"ANTHROPIC_API_KEY\"", "[ladder.claude-code]\n");
    let key = place.ticket("Greet once");
    place.until_phase(&key, "in-review");
    assert!(place.gatewright(&["task", "approve", &key]).status.success());
    let shown = place.until_phase(&key, "done");
    let merged = shown["task"]["merged"].as_str().unwrap();
    let seen = place.forge_git(&["show", &format!("{merged}:seen.txt")]);
    assert!(seen.contains("ANTHROPIC_BASE_URL=http://127.0.0.1:17081") && !seen.contains(KEY), "{seen}");
    let records = service.records();
    assert!(service.calls().len() == 2 && records.iter().all(|record| record.header("x-api-key") == Some(KEY)));
    assert!(!records.iter().any(|record| record.headers.iter().any(|(_, value)| value.contains("held-by-gatewright"))));
    assert_eq!(runs(&host, &shown)[0]["usage"]["input_tokens"], 2 * EACH.input);
    // Neither does anything that the host keeps.
    let found = std::process::Command::new("grep").args(["-rl", KEY]).arg(place.state()).output().unwrap();
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    assert!(!place.log().contains(KEY));
}

/// Ends the shim of the developer's run as a machine does that goes down: at once, and without a record.
fn lose_its_run(place: &Place, key: &str) {
    let shown = place.until(key, "at work", |shown| shown["runs"][0]["pid"].is_u64());
    let pid = i32::try_from(shown["runs"][0]["pid"].as_i64().unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// It waits for its service, or for its command: the next run knows what this one had read, is told that what it wrote is gone, and
/// pays for none of it a second time.
#[test]
fn a_claude_code_whose_shim_died_goes_on_where_it_was() {
    for in_a_command in [false, true] {
        let service = messages::start(move |call| match call.number {
            0 => Reply::run("echo lost >> greeting.txt"),
            1 => Reply::run("cat greeting.txt"),
            2 if in_a_command => Reply::run("tail -f /dev/null"),
            2 => Reply::Hang,
            3 => Reply::run("echo once >> greeting.txt"),
            _ => Reply::say("It is done."),
        });
        let (place, host) = served(&service, REVIEWER, "effort = \"low\"", "[ladder.claude-code]\n");
        let key = place.ticket("Greet once");
        service.await_calls(3);
        lose_its_run(&place, &key);
        let shown = place.until_phase(&key, "in-review");
        let runs = runs(&host, &shown);
        assert_eq!(runs.len(), 2, "{runs:#?}");
        let outcome = runs[0]["outcome"].as_str().unwrap();
        assert!(outcome.contains("the run was lost"), "{outcome}");
        assert_eq!(runs[1]["conversation"]["resumed"], runs[0]["id"], "{runs:#?}");
        let calls = service.calls();
        let said = calls[3].body["messages"].to_string();
        assert!(calls.len() == 5 && said.contains("echo lost") && said.contains("You were cut off"), "{said}");
        assert_eq!(runs[1]["usage"]["input_tokens"], 2 * EACH.input, "what the lost one used is its own");
        let head = shown["task"]["head"].as_str().unwrap();
        assert_eq!(place.forge_git(&["show", &format!("{head}:greeting.txt")]), "hello\nonce");
    }
}
