//! Webhooks at the built binary: stored requests are decoded, a project without a secret does not start, and what was answered is
//! there after a kill in the middle of a burst.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::fixture::{DEVELOPER, Place, REVIEWER, Serving, said};

pub(crate) const SECRET: &[u8] = b"the secret of the tests";
/// As the checker sends them.
const BURST: u32 = 10_000;
/// Nothing here takes as long unless it hangs.
const LONGEST: Duration = Duration::from_secs(90);

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../webhooks/tests/fixtures").join(name)
}

fn decode(arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatewright"));
    let done = command.args(["webhook", "decode"]).args(arguments).output().unwrap();
    (done.status.code().unwrap(), said(&done))
}

#[test]
fn a_stored_request_is_decoded_and_a_broken_file_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let push = fixture("gitea/01_push.json");
    let push = push.to_str().unwrap();
    let (code, told) = decode(&[push, "--source", "gitea"]);
    assert_eq!(code, 0, "{told}");
    assert!(told.starts_with("pushed\n") && told.contains("branch: feature/sort-7"), "{told}");
    let (code, told) = decode(&[push, "--source", "gitea", "--json"]);
    let value: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (code, value["event"]["kind"].as_str(), value["event"]["commits"].as_u64()),
        (0, Some("pushed"), Some(9))
    );
    let secret = dir.path().join("secret");
    fs::write(&secret, "a-secret-for-fixtures-only\n").unwrap();
    let (code, told) = decode(&[push, "--source", "gitea", "--secret-file", secret.to_str().unwrap()]);
    assert!(code == 0 && told.contains("signature: fits"), "{told}");
    fs::write(&secret, "another secret altogether").unwrap();
    assert_eq!(decode(&[push, "--source", "gitea", "--secret-file", secret.to_str().unwrap()]).0, 1);
    assert_eq!(decode(&[push, "--source", "plane"]).0, 1, "it is no event of Plane's");
    assert_eq!(decode(&[push, "--source", "github"]).0, 2);
    let hostile = dir.path().join("hostile.json");
    let body = r#"{"event": "issue", "data": {"name": "a\u001b[2Jb\u202ec"}}"#;
    let request = serde_json::json!({"headers": [["content-type", "application/json"]], "raw_body": body});
    fs::write(&hostile, request.to_string()).unwrap();
    let (code, told) = decode(&[hostile.to_str().unwrap(), "--source", "plane"]);
    assert!(code == 0 && !told.contains('\u{1b}') && !told.contains('\u{202e}'), "{told:?}");
    let body = r#"{"repository": {"full_name": "acme/app"}, "ref": "refs/heads/x", "n": NaN, "t": "\ud83d"}"#;
    for headers in [
        r#"[["X-Gitea-Event-Type", "push"]]"#,
        r#"[["X-Gogs-Event", "push"], ["X-Foo", null], ["X-Bar", 5]]"#,
        r#"{"X-Gogs-Event-Type": ["push"], "Content-Type": ["application/json"]}"#,
    ] {
        for body in [serde_json::json!(body).to_string(), r#"{"repository": {"full_name": "acme/app"}}"#.to_owned()] {
            fs::write(&hostile, format!(r#"{{"headers": {headers}, "raw_body": {body}}}"#)).unwrap();
            let (code, told) = decode(&[hostile.to_str().unwrap(), "--source", "gitea"]);
            assert!(code == 0 && told.starts_with("pushed\n"), "{headers} {body}: {told}");
        }
    }
    for text in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"headers": [], "raw_body": 1}"#,
        r#"{"headers": [["content-type", "application/json"]], "raw_body": "{"}"#,
    ] {
        fs::write(&hostile, text).unwrap();
        let (code, told) = decode(&[hostile.to_str().unwrap(), "--source", "plane"]);
        assert!(code == 2 && told.contains("hostile.json: "), "{text}: {told}");
    }
    assert_eq!(decode(&["/nowhere/at/all.json", "--source", "plane"]).0, 2);
}

/// A project that takes a repository's webhooks.
pub(crate) fn place(project: &str) -> Place {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.state().join("gatewright.toml");
    let text = fs::read_to_string(&host).unwrap();
    fs::write(&host, format!("{text}\n[webhooks]\nlisten = \"127.0.0.1:0\"\n")).unwrap();
    let file = place.project_file();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\n[webhooks.gitea]\nrepository = \"acme/app\"\n{project}")).unwrap();
    let secret = place.state().join("secrets/gitea");
    fs::create_dir_all(secret.parent().unwrap()).unwrap();
    fs::write(&secret, SECRET).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    place
}

#[test]
fn a_project_without_a_secret_does_not_start() {
    let place = place("");
    let done = place.gatewright(&["serve"]);
    assert!(!done.status.success());
    let told = said(&done);
    assert!(told.contains("[webhooks.gitea] has no secret") && told.contains("projects/repository.toml:"), "{told}");
    assert!(!place.gatewright(&["check"]).status.success());
}

pub(crate) fn door(place: &Place) -> String {
    let file = place.state().join("webhooks-address");
    let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "as all that the host writes, whatever the umask says");
    let text = fs::read_to_string(file).unwrap();
    text.trim().strip_prefix("http://").unwrap().to_owned()
}

/// The request of a push, signed by this secret.
pub(crate) fn delivery(secret: &[u8], number: u32) -> String {
    let body = format!(
        r#"{{"ref": "refs/heads/branch-{number}", "after": "{}", "repository": {{"full_name": "acme/app"}}}}"#,
        "a".repeat(40)
    );
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    hmac.update(body.as_bytes());
    let signature = hmac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    format!(
        "POST /webhook/gitea HTTP/1.1\r\nhost: gw\r\ncontent-type: application/json\r\ncontent-length: {}\r\nx-gitea-event-type: push\r\n\
         x-gitea-delivery: {number}\r\nx-gitea-signature: {signature}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a push on an open connection; none: the host is gone.
fn push(stream: &mut TcpStream, number: u32) -> Option<u16> {
    push_by(stream, SECRET, number)
}

fn push_by(stream: &mut TcpStream, secret: &[u8], number: u32) -> Option<u16> {
    stream.write_all(delivery(secret, number).as_bytes()).ok()?;
    let mut answer = [0; 1024];
    let read = stream.read(&mut answer).ok().filter(|read| *read > 0)?;
    std::str::from_utf8(&answer[..read]).ok()?.split(' ').nth(1)?.parse().ok()
}

/// Sends numbers from many connections at once until all are sent or the host is gone; who was answered, and how.
fn burst(address: &str, numbers: u32, until: impl Fn(u32) + Sync) -> Vec<(u32, u16)> {
    let (next, answered) = (AtomicU32::new(0), Arc::new(Mutex::new(Vec::new())));
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let Ok(mut stream) = TcpStream::connect(address) else { return };
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= numbers {
                        return;
                    }
                    let Some(status) = push(&mut stream, number) else { return };
                    let mut answered = answered.lock().unwrap();
                    answered.push((number, status));
                    until(answered.len() as u32);
                }
            });
        }
    });
    Arc::into_inner(answered).unwrap().into_inner().unwrap()
}

/// How often the host has each delivery id.
fn kept(host: &Serving) -> BTreeMap<u32, u32> {
    let (mut kept, mut before) = (BTreeMap::new(), String::new());
    loop {
        let (status, body) = host.get(&format!("/api/v1/deliveries?source=gitea&limit=1000{before}"));
        assert_eq!(status, 200, "{body}");
        let listing: Value = serde_json::from_str(&body).unwrap();
        let rows = listing["items"].as_array().unwrap();
        for row in rows {
            *kept.entry(row["sent_as"].as_str().unwrap().parse::<u32>().unwrap()).or_default() += 1;
        }
        let Some(last) = rows.last() else { return kept };
        before = format!("&before={}", last["id"]);
    }
}

/// Ten thousand in one burst, and the host is killed in the middle of it. What was answered is there; and when all of them are sent
/// again, as by a person who replays them, each is there once.
#[test]
fn what_was_answered_is_there_after_a_kill_in_the_middle_of_a_burst() {
    let place = place("secret-files = [\"secrets/gitea\"]\n");
    let host = Mutex::new(place.serve());
    let address = door(&place);
    let answered = burst(&address, BURST, |answered| {
        if answered == BURST / 3 {
            host.lock().unwrap().kill_and_leave();
        }
    });
    let count = answered.len() as u32;
    assert!((BURST / 3..BURST).contains(&count), "{count} were answered before the kill\n{}", place.log());
    assert!(answered.iter().all(|(_, status)| *status == 202), "none is refused");
    drop(host);
    let host = place.serve();
    let there = kept(&host);
    let lost = answered.iter().filter(|(number, _)| !there.contains_key(number)).count();
    assert_eq!(lost, 0, "of {} that were answered", answered.len());
    let again = burst(&door(&place), BURST, |_| {});
    assert_eq!(again.len() as u32, BURST);
    for (number, status) in again {
        let expected = if there.contains_key(&number) { 200 } else { 202 };
        assert_eq!(status, expected, "{number}: what was kept is a repeat, and what was not is new");
    }
    let all = kept(&host);
    assert!(all.len() as u32 == BURST && all.values().all(|times| *times == 1), "none is lost and none is doubled");
    let began = Instant::now();
    while host.get("/api/v1/deliveries?source=gitea&state=pending&limit=1").1.contains("\"pending\"") {
        assert!(began.elapsed() < LONGEST, "{}", place.log());
        place.pause();
    }
    let (_, parked) = host.get("/api/v1/deliveries?source=gitea&state=parked&limit=1");
    assert!(!parked.contains("\"parked\""), "{parked}");
}

#[test]
fn ten_thousand_at_once_are_taken_and_each_has_its_effect_once() {
    let place = place("secret-files = [\"secrets/gitea\"]\n");
    let host = place.serve();
    let address = door(&place);
    let answered = burst(&address, BURST, |_| {});
    assert_eq!(answered.len() as u32, BURST);
    assert!(answered.iter().all(|(_, status)| *status == 202), "none is refused");
    let mut stream = TcpStream::connect(&address).unwrap();
    assert_eq!(push(&mut stream, 5), Some(200), "one of them again");
    drop(stream);
    host.kill();
    let kept = kept(&place.serve());
    assert_eq!(kept.len() as u32, BURST, "none is lost");
    assert!(kept.values().all(|times| *times == 1), "none is there twice");
}

/// Until it is taken, by whichever secret counts.
fn until_it_fits(place: &Place, secret: &[u8], number: u32) {
    let began = Instant::now();
    while push_by(&mut TcpStream::connect(door(place)).unwrap(), secret, number) == Some(401) {
        assert!(began.elapsed() < LONGEST, "{}", place.log());
        place.pause();
    }
}

#[test]
fn a_secret_that_is_written_anew_counts_wherever_its_file_stands() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("secret");
    fs::write(&file, SECRET).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let place = place(&format!("secret-files = [{file:?}]\n"));
    fs::remove_dir_all(place.state().join("secrets")).unwrap();
    let _host = place.serve();
    until_it_fits(&place, SECRET, 1);
    let second = b"a second secret, of the rotation";
    fs::write(&file, second).unwrap();
    until_it_fits(&place, second, 2);
    // Its first place in the state folder, where there was none at the start.
    let (inside, third) = (place.state().join("secrets/gitea"), b"a third secret, in a new place");
    fs::write(&inside, third).unwrap();
    fs::set_permissions(&inside, fs::Permissions::from_mode(0o600)).unwrap();
    let project = fs::read_to_string(place.project_file()).unwrap();
    fs::write(place.project_file(), project.replace(&format!("{file:?}"), "\"secrets/gitea\"")).unwrap();
    until_it_fits(&place, third, 3);
    fs::write(&inside, second).unwrap();
    until_it_fits(&place, second, 4);
    let status = push_by(&mut TcpStream::connect(door(&place)).unwrap(), third, 5);
    assert_eq!(status, Some(401), "what was replaced counts no more");
}

/// Each line at its most talkative, with what was read by its number, and without the secret by which it was known.
#[test]
fn the_log_tells_a_delivery_by_its_number_and_never_the_secret() {
    let place = place("secret-files = [\"secrets/gitea\"]\n");
    let file = place.state().join("gatewright.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\n[log]\nformat = \"json\"\nlevel = \"trace\"\n")).unwrap();
    let host = place.serve();
    let mut stream = TcpStream::connect(door(&place)).unwrap();
    assert_eq!(push(&mut stream, 1), Some(202));
    let read = || {
        let log = place.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect::<Vec<_>>();
        lines.into_iter().find(|line| line["message"] == "a delivery was read")
    };
    let began = Instant::now();
    let line = loop {
        if let Some(line) = read() {
            break line;
        }
        assert!(began.elapsed() < LONGEST, "{}", place.log());
        place.pause();
    };
    assert!(line["delivery"].is_u64() && line["source"] == "gitea", "{line}");
    host.kill();
    let log = place.log();
    assert!(!log.contains(std::str::from_utf8(SECRET).unwrap()), "{log}");
}

/// Whoever finds the port can send what he likes: neither the log nor the page is his.
#[test]
fn a_stranger_writes_one_line_of_the_log_and_nothing_on_the_board() {
    let place = place("secret-files = [\"secrets/gitea\"]\n");
    let host = place.serve();
    let address = door(&place);
    let mut stream = TcpStream::connect(&address).unwrap();
    for number in 0..500 {
        let signature =
            if number % 2 == 0 { String::new() } else { format!("x-gitea-signature: {}\r\n", "0".repeat(64)) };
        let request = format!(
            "POST /webhook/gitea HTTP/1.1\r\nhost: gw\r\ncontent-type: application/json\r\ncontent-length: 2\r\n{signature}\r\n{{}}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 2048];
        let mut read = 0;
        while !answer[..read].ends_with(b"}") {
            read += stream.read(&mut answer[read..]).unwrap();
        }
        assert!(answer.starts_with(b"HTTP/1.1 401"), "{}", String::from_utf8_lossy(&answer));
        // Whose body is not waited for is hung up on.
        if number % 2 == 0 {
            stream = TcpStream::connect(&address).unwrap();
        }
    }
    let (_, refused) = host.get("/api/v1/deliveries/refused");
    assert!(refused.contains("\"items\":[]"), "{refused}");
    let listed = place.json(&["delivery", "list"]);
    assert!(listed["items"].as_array().unwrap().is_empty() && listed["refused"].as_array().unwrap().is_empty());
    let done = place.gatewright(&["delivery", "retry", "1"]);
    assert!(done.status.code() == Some(1) && said(&done).contains("delivery"), "{}", said(&done));
    host.kill();
    let log = place.log();
    assert_eq!(log.matches("a delivery is refused").count(), 1, "{log}");
    assert!(log.contains("127.0.0.1") && log.len() < 20_000, "{log}");
}

#[test]
fn a_secret_that_others_could_read_counts_once_its_mode_is_mended() {
    let place = place("secret-files = [\"secrets/gitea\"]\n");
    let host = place.serve();
    until_it_fits(&place, SECRET, 1);
    let (file, second) = (place.state().join("secrets/gitea"), b"a second secret, of the rotation");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, second).unwrap();
    let began = Instant::now();
    while !host.get("/api/v1/system").1.contains("others on this machine may read the secret") {
        assert!(began.elapsed() < LONGEST, "{}", place.log());
        place.pause();
    }
    // As the message says, and nothing else.
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    until_it_fits(&place, second, 2);
}
