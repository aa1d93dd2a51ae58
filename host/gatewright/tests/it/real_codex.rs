//! The real Codex as the developer of `quick`, in a repository of a user's own, against a service of the test's own: behind the door
//! that holds its key, with what it used on the board, and refused by its service.

use fake_services::{Call, EACH, Reply, Service, npm, responses};
use serde_json::Value;

use crate::fixture::{Place, REVIEWER, Serving, said};
use crate::real_agents::{ASKS_ONCE, placed, runs};

const KEY: &str = "key-0f-the-test-c0dec5";
/// A name that no service knows: what the file says is what is asked for.
const MODEL: &str = "model-of-the-test";
/// What a call uses in all.
const ONE: u64 = EACH.input + EACH.cache_read + EACH.output;

/// A place whose developer is Codex, and a host that has its key.
fn served(service: &Service, reviewer: &str) -> (Place, Serving) {
    let developer = format!(
        "driver = \"codex\"\nprogram = '{}'\napi = \"{}/v1\"\napi-retries = 0\napi-key = \"KEY_OF_CODEX\"\n\
         model = \"{MODEL}\"\neffort = \"low\"\n",
        npm::codex().display(),
        service.url()
    );
    let place = placed(reviewer, &developer, "");
    let host = place.start(place.command(&["serve"]).env("KEY_OF_CODEX", KEY));
    (place, host)
}

fn figures(run: &Value) -> [Option<u64>; 3] {
    ["input_tokens", "cache_read_tokens", "output_tokens"].map(|name| run["usage"][name].as_u64())
}

/// What the key went to, and where it is not.
fn the_key_is_the_services_alone(place: &Place, service: &Service) {
    let bearer = format!("Bearer {KEY}");
    let records = service.records();
    assert!(records.iter().all(|record| record.header("authorization") == Some(&bearer)), "{records:?}");
    assert!(!records.iter().any(|record| record.headers.iter().any(|(_, value)| value.contains("held-by-gatewright"))));
    let found = std::process::Command::new("grep").args(["-rl", KEY]).arg(place.state()).output().unwrap();
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    assert!(!place.log().contains(KEY));
}

fn writes(call: &Call) -> Reply {
    let looks = "{ env; cat /proc/self/environ /proc/*/environ /proc/*/cmdline; } 2>/dev/null | tr '\\0' '\\n' > seen.txt; \
                 echo once >> greeting.txt";
    match call.number {
        0 => Reply::run(looks),
        2 => Reply::run("echo twice >> greeting.txt"),
        _ => Reply::say("It is done."),
    }
}

#[test]
fn codex_develops_with_a_key_that_it_never_sees_is_bounced_goes_on_and_its_tokens_stand_on_the_board() {
    let service = responses::start(writes);
    let (place, host) = served(&service, ASKS_ONCE);
    let key = place.ticket("Greet twice");
    place.until_phase(&key, "in-review");
    let approved = place.gatewright(&["task", "approve", &key]);
    assert!(approved.status.success(), "{}", said(&approved));
    let shown = place.until_phase(&key, "done");
    let merged = shown["task"]["merged"].as_str().unwrap();
    assert_eq!(place.forge_git(&["show", &format!("{merged}:greeting.txt")]), "hello\nonce\ntwice");
    let seen = place.forge_git(&["show", &format!("{merged}:seen.txt")]);
    assert!(seen.contains("base_url=\"http://127.0.0.1:17081/v1\"") && !seen.contains(KEY), "{seen}");

    let calls = service.calls();
    assert_eq!((calls.len(), service.records().len()), (4, 4), "it asks for nothing else: {:?}", service.records());
    assert!(calls.iter().all(|call| call.body["model"] == MODEL && call.body["reasoning"]["effort"] == "low"));
    let runs = runs(&host, &shown);
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[1]["conversation"]["resumed"], runs[0]["id"], "what it knew is not paid for again");
    let items = |number: usize| calls[number].body["input"].as_array().unwrap().len();
    assert!(items(2) > items(1), "it goes on where it was");
    for run in &runs {
        assert_eq!((&run["model"], &run["effort"], &run["steps"]), (&MODEL.into(), &"low".into(), &1.into()));
        let each = [EACH.input, EACH.cache_read, EACH.output].map(|tokens| Some(2 * tokens));
        assert_eq!(figures(run), each, "its own calls and nobody else's: {run}");
    }
    let spent = &shown["task"]["spent"];
    let counted = ["input_tokens", "cache_read_tokens", "output_tokens"].map(|name| spent[name].as_u64().unwrap());
    assert_eq!(counted.iter().sum::<u64>(), 4 * ONE, "the reviewer says nothing of its tokens: {spent}");
    let (_, page) = host.get(&format!("/r/{}", runs[1]["id"]));
    assert!(page.contains(MODEL) && page.contains("It is done.") && page.contains(&(2 * ONE).to_string()), "{page}");
    let (_, page) = host.get(&format!("/t/{key}"));
    assert!(page.contains(&format!("{} tokens", 4 * ONE)), "{page}");
    the_key_is_the_services_alone(&place, &service);
}

/// What the service refuses for now is nobody's fault: it costs no attempt, the board says whose fault it is, and the same attempt
/// is made again by itself.
#[test]
fn a_codex_that_its_service_refuses_is_told_as_infrastructure_and_tried_again_at_the_cost_of_no_attempt() {
    let service = responses::start(|call| match call.number {
        0 => Reply::Refuse(503),
        1 => Reply::Refuse(429),
        2 => Reply::run("echo once >> greeting.txt"),
        _ => Reply::say("It is done."),
    });
    let (place, host) = served(&service, REVIEWER);
    let key = place.ticket("Greet once");
    let shown = place.until_phase(&key, "in-review");
    assert_eq!(shown["task"]["retries"], 0, "it costs no attempt");
    let runs = runs(&host, &shown);
    assert_eq!(runs.len(), 3, "{runs:#?}");
    for (run, status) in runs.iter().zip(["503", "429"]) {
        let outcome = run["outcome"].as_str().unwrap();
        assert!(outcome.contains(status), "{outcome}");
        assert_eq!((&run["attempt"], &run["result"]), (&runs[2]["attempt"], &"error".into()), "{run}");
    }
    assert_eq!(figures(&runs[2]), [EACH.input, EACH.cache_read, EACH.output].map(|tokens| Some(2 * tokens)));
    let waits = shown["entries"].to_string();
    assert!(waits.contains("503") && waits.contains("429"), "{waits}");
    let (_, page) = host.get(&format!("/r/{}", runs[0]["id"]));
    assert!(page.contains("503"), "{page}");
    the_key_is_the_services_alone(&place, &service);
}
