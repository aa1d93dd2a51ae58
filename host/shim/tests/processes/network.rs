//! The network of a run: none, or what its operator named. These tests fail, and do not skip, without bubblewrap.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use agents::{Confinement, LaunchSpec, RunState, Runner, SandboxMode};
use domain::network::Network;
use rustix::process::{Pid, Signal, kill_process_group};
use shim::protocol::Exit;

use crate::scene::{World, await_file, config_at, exit, log, script_at};

/// `ask REQUEST`: what the proxy answers.
const ASK: &str = r#"ask() { exec 3<>/dev/tcp/127.0.0.1/17080 && printf "$1" >&3 && cat <&3; exec 3>&-; }
"#;

/// Answers each request with what it asked for, and each tunnel with its own bytes.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            thread::spawn(move || {
                let mut said = [0_u8; 4096];
                while let Ok(read @ 1..) = client.read(&mut said) {
                    let text = String::from_utf8_lossy(&said[..read]);
                    if text.starts_with("GET ") {
                        let path = text.split(' ').nth(1).unwrap();
                        let body = format!("you asked for {path}\n");
                        let head =
                            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                        let _ = client.write_all((head + &body).as_bytes());
                        return;
                    }
                    let _ = client.write_all(&said[..read]);
                }
            });
        }
    });
    address
}

fn only(named: &[String]) -> Network {
    Network(named.iter().map(|text| text.parse().unwrap()).collect())
}

fn bash(world: &World, script: &str, named: &[String]) -> LaunchSpec {
    let mut spec = world.script("");
    spec.argv = vec!["/bin/bash".into(), "-c".into(), format!("{ASK}{script}")];
    spec.network = only(named);
    spec
}

/// Runs it to its end in the sandbox and gives its log.
pub(crate) fn run(runner: &Runner, spec: &LaunchSpec) -> String {
    runner.launch(1, spec).unwrap();
    let ended = exit(runner, 1);
    let said = log(runner, 1);
    assert_eq!(ended, Exit::Exited { code: 0 }, "{said}");
    said
}

fn said_by(script: &str, named: &[String]) -> String {
    let world = World::new();
    run(&world.runner(SandboxMode::Bubblewrap), &bash(&world, script, named))
}

fn connect(to: SocketAddr) -> String {
    format!("CONNECT {to} HTTP/1.1\\r\\n\\r\\n")
}

#[test]
fn without_a_network_no_listener_of_the_host_is_reached() {
    let server = server();
    let script = format!("(exec 3<>/dev/tcp/{}/{}) 2>/dev/null && echo reached; exit 0", server.ip(), server.port());
    assert_eq!(said_by(&script, &[]), "");
}

/// A process of the sandbox, which the next test starts. It does nothing when it is run with the other tests.
#[test]
fn client_of_an_abstract_socket() {
    let Ok(name) = std::env::var("TEST_ABSTRACT_SOCKET") else { return };
    let reached = UnixStream::connect_addr(&UnixAddress::from_abstract_name(name).unwrap());
    std::fs::write("reached", format!("{}\n", reached.is_ok())).unwrap();
}

#[test]
fn abstract_sockets_of_the_host_are_not_reached() {
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    let name = format!("gatewright-test-{}", std::process::id());
    let _listener = UnixListener::bind_addr(&UnixAddress::from_abstract_name(&name).unwrap()).unwrap();
    let ourselves = std::env::current_exe().unwrap();
    let mut spec = world.script("");
    let words = ["--exact", "network::client_of_an_abstract_socket", "--nocapture"];
    spec.argv = [ourselves.to_str().unwrap()].into_iter().chain(words).map(str::to_owned).collect();
    spec.env = crate::scene::environment(&[("TEST_ABSTRACT_SOCKET", &name)]);
    spec.readable = vec![ourselves];
    for (job, confinement, reached) in [(1, Confinement::Sandboxed, "false\n"), (2, Confinement::Trusted, "true\n")] {
        (spec.network, spec.confinement) = (only(&["*".to_owned()]), confinement);
        runner.launch(job, &spec).unwrap();
        assert_eq!(exit(&runner, job), Exit::Exited { code: 0 }, "{}", log(&runner, job));
        assert_eq!(world.read("clone/reached"), reached);
    }
}

#[test]
fn a_trusted_hook_has_the_hosts_own_network() {
    let server = server();
    let script = format!("exec 3<>/dev/tcp/{}/{}; echo \"reached $HTTP_PROXY\"", server.ip(), server.port());
    let world = World::new();
    let mut spec = bash(&world, &script, &[]);
    spec.confinement = Confinement::Trusted;
    assert_eq!(run(&world.runner(SandboxMode::Bubblewrap), &spec), "reached \n");
}

/// `"open"`: the operator's listener, and whatever else listens on this machine, is not among everything.
#[test]
fn everything_is_reached_through_the_proxy_and_this_machine_is_not_among_it() {
    let server = server();
    let script = format!(
        "(exec 3<>/dev/tcp/{}/{}) 2>/dev/null && echo got in
         ask '{}GET /in-a-tunnel HTTP/1.1\\r\\n\\r\\n'
         ask 'CONNECT no-such-name.invalid:443 HTTP/1.1\\r\\n\\r\\n'",
        server.ip(),
        server.port(),
        connect(server),
    );
    let said = said_by(&script, &["*".to_owned()]);
    assert!(!said.contains("got in") && !said.contains("you asked for"), "{said}");
    assert!(said.contains(&format!("{server}: the name leads to this machine")), "{said}");
    assert!(said.contains("no-such-name.invalid:443: there is no such name"), "names are not held back: {said}");
}

#[test]
fn an_address_that_was_named_is_reached_through_the_proxy() {
    let server = server();
    let script = format!(
        "ask 'GET http://{server}/a?b HTTP/1.1\\r\\nHost: other.example\\r\\n\\r\\n'
         ask '{}GET /in-a-tunnel HTTP/1.1\\r\\n\\r\\n'
         if command -v curl >/dev/null; then NO_PROXY= no_proxy= curl -sS http://{server}/by-curl; fi",
        connect(server),
    );
    let said = said_by(&script, &[server.to_string()]);
    assert!(said.contains("you asked for /a?b\n"), "{said}");
    assert!(said.contains("you asked for /in-a-tunnel\n"), "{said}");
    assert!(said.matches("200 Connection established").count() >= 1, "{said}");
    let has_curl = Path::new("/usr/bin/curl").exists();
    assert_eq!(said.contains("you asked for /by-curl\n"), has_curl, "{said}");
}

#[test]
fn a_loopback_address_that_was_named_has_a_door_of_its_own_inside() {
    let (named, other) = (server(), server());
    let get = |to: SocketAddr| {
        format!("(exec 3<>/dev/tcp/{}/{}; printf 'GET /by-a-door ' >&3; cat <&3) 2>/dev/null; ", to.ip(), to.port())
    };
    let said = said_by(&(get(named) + &get(other) + "true"), &[named.to_string(), "127.0.0.1:80".to_owned()]);
    assert_eq!(said.matches("you asked for /by-a-door\n").count(), 1, "{said}");
}

#[test]
fn what_nobody_named_is_refused_with_a_sentence_and_told_once_in_the_log() {
    let server = server();
    let named = ["api.example.com".to_owned(), "*.example.org".to_owned(), server.to_string()];
    let asks = [
        "CONNECT blocked.example:443",
        "CONNECT blocked.example:443",
        "CONNECT api.example.com:22",
        "CONNECT api.example.com.blocked.example:443",
        "CONNECT example.org:443",
        "CONNECT 127.0.0.1:1",
        "CONNECT [::1]:443",
        "GET http://blocked.example/",
    ];
    let lines = asks.iter().map(|ask| format!("ask '{ask} HTTP/1.1\\r\\n\\r\\n' >> answers"));
    let script = lines.collect::<Vec<_>>().join("\n");
    let world = World::new();
    let said = run(&world.runner(SandboxMode::Bubblewrap), &bash(&world, &script, &named));
    let answers = world.read("clone/answers");
    assert_eq!(answers.matches("HTTP/1.1 403 Not among the names that this run may reach\r\n").count(), 8, "{answers}");
    let sentence = "blocked.example:443: it is not among the names that this run may reach; if it should be, add it to \
                    `network` of the worker in the project's file\n";
    assert!(answers.contains(&format!("gatewright: {sentence}")), "{answers}");
    assert_eq!(said.matches(&format!("gatewright: the network refused {sentence}")).count(), 1, "{said}");
    assert_eq!(said.matches("gatewright: ").count(), 7, "{said}");
}

#[test]
fn a_name_that_leads_to_this_machine_is_refused_unless_its_address_was_named_too() {
    let server = server();
    let ask = format!("ask 'GET http://localhost:{}/x HTTP/1.1\\r\\n\\r\\n'", server.port());
    let name = format!("localhost:{}", server.port());
    let said = said_by(&ask, std::slice::from_ref(&name));
    assert!(said.contains("HTTP/1.1 403 "), "{said}");
    assert!(said.contains(&format!("refused {name}: the name leads to this machine or a private network")), "{said}");
    let said = said_by(&ask, &[name, server.to_string()]);
    assert!(said.contains("you asked for /x\n"), "{said}");
}

#[test]
fn the_operators_listener_is_never_reached_though_it_was_named() {
    let server = server();
    let port = server.port();
    let world = World::new();
    let runner = world.runner(SandboxMode::Bubblewrap);
    runner.never_reach(server);
    let script = format!(
        "for to in 127.0.0.1 127.0.0.2 0.0.0.0 localhost [::1] [::ffff:127.0.0.1]; do
           ask \"GET http://$to:{port}/ HTTP/1.1\\r\\n\\r\\n\"; done
         exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET / ' >&3; echo \"past the proxy: $(cat <&3 2>/dev/null)\""
    );
    let named = [server.to_string(), format!("127.0.0.2:{port}"), format!("localhost:{port}")];
    let said = run(&runner, &bash(&world, &script, &named));
    assert!(!said.contains("you asked"), "{said}");
    assert_eq!(said.matches("HTTP/1.1 403 ").count(), 6, "{said}");
    assert!(said.contains("Gatewright itself listens there"), "{said}");
    assert!(said.contains("past the proxy: \n"), "{said}");
}

#[test]
fn a_flood_of_connections_and_heads_without_end_do_no_harm() {
    let server = server();
    let script = format!(
        "for i in $(seq 64); do exec {{fd}}<>/dev/tcp/127.0.0.1/17080; printf 'CONNECT ' >&$fd; held+=($fd); done
         # They wait for the rest of their heads in vain, and whoever comes now waits for them.
         ask 'GET http://{server}/after-them HTTP/1.1\\r\\n\\r\\n'; cat <&${{held[0]}}
         for fd in ${{held[@]}}; do exec {{fd}}>&-; done
         (printf 'GET http://a.example/'; head -c 20000 /dev/zero | tr '\\0' a) > long
         exec 3<>/dev/tcp/127.0.0.1/17080; cat long >&3; cat <&3; exec 3>&-
         ask 'GET http://{server}/at-last HTTP/1.1\\r\\n\\r\\n'"
    );
    let said = said_by(&script, &[server.to_string()]);
    for status in ["408 Request Timeout", "431 Head too large", "200 OK"] {
        assert!(said.contains(&format!("HTTP/1.1 {status}\r\n")), "{status}: {said}");
    }
    for path in ["/after-them", "/at-last"] {
        assert!(said.contains(&format!("you asked for {path}\n")), "{said}");
    }
}

/// A host of its own, which the next test kills. It does nothing when it is run with the other tests.
#[test]
fn host_of_a_named_network() {
    let (Ok(root), Ok(named)) = (std::env::var("TEST_NETWORK_ROOT"), std::env::var("TEST_NETWORK_NAMED")) else {
        return;
    };
    let root = Path::new(&root);
    let wait = "echo here > ready; until [ -e go ]; do sleep 0.01; done";
    let script = format!("{ASK}{wait}; ask 'GET http://{named}/late HTTP/1.1\\r\\n\\r\\n'");
    let mut spec = script_at(root, "");
    spec.argv = vec!["/bin/bash".into(), "-c".into(), script];
    spec.network = only(&[named]);
    Runner::new(config_at(root, SandboxMode::Bubblewrap)).unwrap().launch(1, &spec).unwrap();
    std::io::read_to_string(std::io::stdin()).unwrap();
}

#[test]
fn a_run_whose_host_died_keeps_its_way_out() {
    let server = server();
    let world = World::new();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "network::host_of_a_named_network", "--nocapture"]);
    command.env("TEST_NETWORK_ROOT", world.path("")).env("TEST_NETWORK_NAMED", server.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut host = std::os::unix::process::CommandExt::process_group(&mut command, 0).spawn().unwrap();
    await_file(&world.path("clone/ready"));
    kill_process_group(Pid::from_raw(i32::try_from(host.id()).unwrap()).unwrap(), Signal::KILL).unwrap();
    host.wait().unwrap();
    let runner = world.runner(SandboxMode::Bubblewrap);
    assert!(matches!(runner.inspect(1).unwrap(), RunState::Live(_)));
    std::fs::write(world.path("clone/go"), "").unwrap();
    assert_eq!(exit(&runner, 1), Exit::Exited { code: 0 });
    assert!(log(&runner, 1).contains("you asked for /late\n"), "{}", log(&runner, 1));
}
