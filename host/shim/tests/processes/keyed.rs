//! The keyed door: a run uses a key that it never sees. These tests fail, and do not skip, without bubblewrap.

use std::net::SocketAddr;

use agents::{LaunchError, LaunchSpec, Runner, SandboxError, SandboxMode};
use domain::network::Network;
use shim::protocol::{Exit, KeyHeader, Keyed, Place, Secret, Transport, Upstream as Service};

use crate::network;
use crate::scene::{World, await_file, exit, log};
use crate::upstream::{Authority, Upstream};

const KEY: &str = "key-0f-the-test-c0ffee";
/// Where the door stands.
const DOOR: &str = "127.0.0.1:17081";

/// `say PORT TEXT`: what is answered.
const SAY: &str = r#"say() { exec 3<>/dev/tcp/127.0.0.1/$1 && printf "$2" >&3 && cat <&3; exec 3>&-; }
"#;

fn keyed(place: Place, transport: Transport, base: &str) -> Keyed {
    Keyed {
        door: DOOR.parse().unwrap(),
        upstream: Service { place, transport, base: base.to_owned() },
        header: KeyHeader::XApiKey,
        patience_ms: 60_000,
        value: Secret::try_from(KEY.to_owned()).unwrap(),
    }
}

fn plain(upstream: &Upstream, base: &str) -> Keyed {
    keyed(Place::Address { address: upstream.address }, Transport::Plain, base)
}

/// A service that shows a certificate for `localhost`, believed by the authorities in a file of the world.
fn by_name(upstream: &Upstream, world: &World) -> Keyed {
    let place = Place::Name { name: "localhost".to_owned(), port: upstream.address.port() };
    keyed(place, Transport::Tls { authorities: Some(world.path("authority.pem")) }, "")
}

fn bash(world: &World, script: &str, keyed: Keyed, named: &[SocketAddr]) -> LaunchSpec {
    let mut spec = world.script("");
    spec.argv = vec!["/bin/bash".into(), "-c".into(), format!("{SAY}{script}")];
    spec.network = Network(named.iter().map(|address| address.to_string().parse().unwrap()).collect());
    spec.keyed = Some(keyed);
    spec
}

/// Runs it to its end in the sandbox and gives its log, in which no key stands.
fn run(runner: &Runner, spec: &LaunchSpec) -> String {
    let said = network::run(runner, spec);
    assert!(!said.contains(KEY), "{said}");
    said
}

fn post(path: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\\r\\nHost: {DOOR}\\r\\nx-api-key: mine\\r\\nauthorization: Bearer mine\\r\\nContent-Length: 2\\r\\n\\r\\n{{}}"
    )
}

#[test]
fn the_key_goes_to_the_service_and_is_nowhere_inside() {
    let upstream = Upstream::plain();
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    let script = format!(
        "say 17081 '{}' > answer
         {{ env; cat /proc/self/environ /proc/*/environ /proc/*/cmdline /proc/net/*; cat /proc/*/maps
            ls -R /proc/*/fd; }} > seen 2>/dev/null
         cat answer; echo seen > done",
        post("/v1/messages?x=1")
    );
    let said = run(&runner, &bash(&world, &script, plain(&upstream, ""), &[]));
    assert!(said.contains("HTTP/1.1 200 OK\r\n") && said.contains("you asked for /v1/messages?x=1\n"), "{said}");
    let heard = upstream.said();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].starts_with("POST /v1/messages?x=1 HTTP/1.1\r\n"), "{heard:?}");
    assert_eq!(heard[0].matches(&format!("x-api-key: {KEY}\r\n")).count(), 1, "{heard:?}");
    assert!(
        heard[0].contains(&format!("Host: {}\r\n", upstream.address)) && heard[0].ends_with("\r\n\r\n{}"),
        "{heard:?}"
    );
    assert!(!heard[0].contains("mine"), "{heard:?}");
    let seen = std::fs::read(world.path("clone/seen")).unwrap();
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("HTTP_PROXY=") && !seen.contains(KEY), "{seen}");
    // Neither does the run folder keep it: what was written for the shim is gone.
    let held =
        |folder: &str| std::process::Command::new("grep").args(["-rl", KEY]).arg(world.path(folder)).output().unwrap();
    assert!(held("").stdout.is_empty(), "{:?}", held(""));
}

/// Whoever asks through the door may have no bound of his own for that.
#[test]
fn a_service_that_does_not_begin_its_answer_in_time_is_told_as_one_that_did_not() {
    let (authority, world) = (Authority::new(), World::new());
    authority.write(&world.path("authority.pem"));
    let (bare, safe) = (Upstream::plain(), Upstream::tls(&authority, "localhost"));
    for (upstream, keyed) in [(&bare, plain(&bare, "")), (&safe, by_name(&safe, &world))] {
        let hasty = Keyed { patience_ms: 300, ..keyed };
        let inside = World::new();
        let script = format!("say 17081 '{}'", post("/silent"));
        let said = run(&inside.runner(SandboxMode::Bubblewrap), &bash(&inside, &script, hasty, &[upstream.address]));
        assert!(said.contains("HTTP/1.1 504 No answer\r\n") && said.contains("did not answer within 300 ms"), "{said}");
        upstream.go_on.send(()).unwrap();
        assert_eq!(upstream.said().len(), 1);
    }
}

#[test]
fn only_the_first_request_of_a_connection_gets_the_key() {
    let upstream = Upstream::plain();
    let world = World::new();
    let both = format!("{}{}", post("/first"), post("/second"));
    let said = run(
        &world.runner(SandboxMode::Bubblewrap),
        &bash(&world, &format!("say 17081 '{both}'"), plain(&upstream, ""), &[]),
    );
    assert!(said.contains("you asked for /first\n"), "{said}");
    let heard = upstream.said().concat();
    assert_eq!(heard.matches(KEY).count(), 1, "{heard}");
    let (first, rest) = heard.split_once("{}").unwrap();
    assert!(first.contains(KEY) && !rest.contains(KEY), "{heard}");
}

#[test]
fn nothing_but_the_door_leads_to_the_service_unless_it_was_named() {
    let upstream = Upstream::plain();
    let (to, port) = (upstream.address, upstream.address.port());
    let script = format!(
        "say 17080 'CONNECT {to} HTTP/1.1\\r\\n\\r\\n'
         say 17080 'GET http://{to}/by-the-proxy HTTP/1.1\\r\\n\\r\\n'
         (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo past; exit 0"
    );
    let world = World::new();
    let said = run(&world.runner(SandboxMode::Bubblewrap), &bash(&world, &script, plain(&upstream, ""), &[]));
    assert_eq!(said.matches("HTTP/1.1 403 Not among the names").count(), 2, "{said}");
    assert!(!said.contains("past"), "{said}");
    assert_eq!(upstream.said(), Vec::<String>::new());
    // Named by the operator it is reached, and nobody adds a key.
    let world = World::new();
    let script = script.split_once('\n').unwrap().1;
    let said = run(&world.runner(SandboxMode::Bubblewrap), &bash(&world, script, plain(&upstream, ""), &[to]));
    assert!(said.contains("you asked for /by-the-proxy\n") && said.contains("past"), "{said}");
    assert!(!upstream.said().concat().contains(KEY));
}

#[test]
fn what_is_no_plain_request_for_the_service_is_refused_with_a_reason_and_never_gets_there() {
    let upstream = Upstream::plain();
    let to = upstream.address;
    let asks = [
        (format!("CONNECT {to} HTTP/1.1"), "this method is not handed on"),
        (format!("GET http://{to}/v1/x HTTP/1.1"), "neither a URL nor CONNECT"),
        (format!("GET {to} HTTP/1.1"), "neither a URL nor CONNECT"),
        ("TRACE /v1/x HTTP/1.1".to_owned(), "this method is not handed on"),
        ("GET /v1/../admin HTTP/1.1".to_owned(), "does not lie below"),
        ("GET /admin HTTP/1.1".to_owned(), "does not lie below"),
        ("POST /v1/x HTTP/1.1\\r\\nContent-Length: 2\\r\\nTransfer-Encoding: chunked".to_owned(), "more than one way"),
        ("GET /v1/x HTTP/1.1\\nx-api-key: mine".to_owned(), "a line feed alone"),
        ("GET /v1/x HTTP/1.1\\r\\nx: y\\rz: a".to_owned(), "a header line is malformed"),
    ];
    let lines = asks.iter().map(|(ask, _)| format!("say 17081 '{ask}\\r\\n\\r\\n'; echo"));
    let world = World::new();
    let script = lines.collect::<Vec<_>>().join("\n");
    let said = run(&world.runner(SandboxMode::Bubblewrap), &bash(&world, &script, plain(&upstream, "/v1"), &[]));
    assert_eq!(said.matches("HTTP/1.1 400 Bad Request\r\n").count(), asks.len(), "{said}");
    let answers: Vec<&str> = said.split("HTTP/1.1 ").skip(1).collect();
    for ((ask, why), answer) in asks.iter().zip(answers) {
        assert!(answer.contains(why), "{ask}: {answer}");
    }
    assert_eq!(upstream.said(), Vec::<String>::new());
}

#[test]
fn an_answer_comes_through_piece_by_piece() {
    let authority = Authority::new();
    for is_secret in [false, true] {
        let world = World::new();
        authority.write(&world.path("authority.pem"));
        let upstream = if is_secret { Upstream::tls(&authority, "localhost") } else { Upstream::plain() };
        let keyed = if is_secret { by_name(&upstream, &world) } else { plain(&upstream, "") };
        let script = format!(
            "exec 3<>{DOOR_FILE}; printf '{}' >&3
             while read -r line <&3; do case $line in first*) echo first > came;; last*) echo last;; esac; done",
            post("/stream")
        );
        let runner = world.runner(SandboxMode::Bubblewrap);
        // A name that leads to this machine is one that the operator named.
        runner.launch(1, &bash(&world, &script, keyed, &[upstream.address])).unwrap();
        assert_eq!(await_file(&world.path("clone/came")), "first\n");
        upstream.go_on.send(()).unwrap();
        assert_eq!(exit(&runner, 1), Exit::Exited { code: 0 }, "{}", log(&runner, 1));
        assert!(log(&runner, 1).contains("last\n"), "{}", log(&runner, 1));
    }
}

const DOOR_FILE: &str = "/dev/tcp/127.0.0.1/17081";

#[test]
fn over_tls_the_service_shows_who_it_is_and_large_bodies_pass_both_ways() {
    let authority = Authority::new();
    let world = World::new();
    authority.write(&world.path("authority.pem"));
    let upstream = Upstream::tls(&authority, "localhost");
    let script = format!(
        "say 17081 '{}' | tail -c 2900000 | tr -d z | wc -c
         head -c 2000000 /dev/zero | tr '\\0' b > body
         exec 3<>{DOOR_FILE}; printf 'POST /upload HTTP/1.1\\r\\nContent-Length: 2000000\\r\\n\\r\\n' >&3; cat body >&3; cat <&3",
        post("/large")
    );
    let runner = world.runner(SandboxMode::Bubblewrap);
    let said = run(&runner, &bash(&world, &script, by_name(&upstream, &world), &[upstream.address]));
    assert!(said.starts_with("0\n") && said.contains("you asked for /upload\n"), "{said}");
    let heard = upstream.said();
    assert!(heard.iter().all(|said| said.matches(&format!("x-api-key: {KEY}\r\n")).count() == 1));
    let uploaded = heard.iter().find(|said| said.starts_with("POST /upload ")).unwrap();
    assert!(uploaded.contains(&format!("Host: localhost:{}\r\n", upstream.address.port())));
    assert_eq!(uploaded.matches('b').count() / 1_999_990, 1);
}

#[test]
fn a_service_that_shows_the_wrong_certificate_never_hears_the_key() {
    let (believed, other) = (Authority::new(), Authority::new());
    for upstream in [Upstream::tls(&other, "localhost"), Upstream::tls(&believed, "other.example"), Upstream::plain()] {
        let world = World::new();
        believed.write(&world.path("authority.pem"));
        let ask = format!("say 17081 '{}'", post("/v1/x"));
        let spec = bash(&world, &ask, by_name(&upstream, &world), &[upstream.address]);
        let said = run(&world.runner(SandboxMode::Bubblewrap), &spec);
        assert!(said.contains("HTTP/1.1 502 Not reached\r\n") && said.contains("cannot be spoken to safely"), "{said}");
        assert!(!upstream.said().concat().contains("x-api-key"));
    }
}

#[test]
fn the_door_leads_neither_to_the_operator_nor_by_a_name_to_this_machine() {
    let upstream = Upstream::plain();
    let ask = format!("say 17081 '{}'", post("/v1/x"));
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    runner.never_reach(upstream.address);
    let said = run(&runner, &bash(&world, &ask, plain(&upstream, ""), &[]));
    assert!(said.contains("HTTP/1.1 403 ") && said.contains("Gatewright itself listens there"), "{said}");
    let world = World::new();
    let place = Place::Name { name: "localhost".to_owned(), port: upstream.address.port() };
    let near = keyed(place, Transport::Plain, "");
    let said = run(&world.runner(SandboxMode::Bubblewrap), &bash(&world, &ask, near, &[]));
    assert!(said.contains("HTTP/1.1 403 ") && said.contains("leads to this machine or a private network"), "{said}");
    assert_eq!(upstream.said(), Vec::<String>::new());
}

#[test]
fn without_the_sandbox_nobody_gets_a_key() {
    let upstream = Upstream::plain();
    let world = World::new();
    let refused = world.runner(SandboxMode::None).launch(1, &bash(&world, "true", plain(&upstream, ""), &[]));
    assert!(matches!(refused, Err(LaunchError::Sandbox(SandboxError::Keyless))), "{refused:?}");
    assert!(!world.path("state/runs/1").exists());
}
