//! Statuses of a commit, as a forge sends them, at the door of the built binary.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::fixture::{LONGEST, Place, Serving};
use crate::webhooks::{SECRET, door, fixture, place};

/// The commit that the fixtures are about.
const COMMIT: &str = "11f6ad8ec52a2984abaafd7c3b516503785c2072";

/// The file of a report, and its number.
type Told = (&'static str, u64);

/// The body of a stored status, of our repository, as this report of this check.
fn body(file: &str, context: &str, report: u64) -> String {
    let stored: Value = serde_json::from_slice(&fs::read(fixture(file)).unwrap()).unwrap();
    let mut body: Value = serde_json::from_str(stored["raw_body"].as_str().unwrap()).unwrap();
    body["id"] = json!(report);
    body["context"] = json!(context);
    body["repository"]["full_name"] = json!("acme/app");
    body.to_string()
}

/// Sends it as the forge does; how it was taken.
fn send(place: &Place, id: &str, body: &str) -> u16 {
    let mut hmac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
    hmac.update(body.as_bytes());
    let signature = hmac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let request = format!(
        "POST /webhook/gitea HTTP/1.1\r\nhost: gw\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         x-gitea-event-type: status\r\nx-gitea-delivery: {id}\r\nx-gitea-signature: {signature}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(door(place)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Until nothing that came waits to be read.
fn until_read(place: &Place, host: &Serving) {
    let began = Instant::now();
    while host.get("/api/v1/deliveries?state=pending&limit=1").1.contains("\"pending\"") {
        assert!(began.elapsed() < LONGEST, "{}", place.log());
        place.pause();
    }
}

/// How a check stands.
fn stands(host: &Serving, context: &str) -> Value {
    let (status, text) = host.get(&format!("/api/v1/projects/repository/commits/{COMMIT}/checks"));
    assert_eq!(status, 200, "{text}");
    let listed: Value = serde_json::from_str(&text).unwrap();
    let mut checks = listed["items"].as_array().unwrap().iter();
    checks.find(|check| check["name"] == context).unwrap_or_else(|| panic!("{context}: {text}"))["state"].clone()
}

/// A forge counts time by the second, and promises no order: of several reports of a second the one with the greatest id is the last.
#[test]
fn of_reports_of_one_second_the_one_with_the_greatest_id_counts_in_whatever_order_they_come() {
    let place = place("secret-files = [\"secrets/gitea\"]\n");
    let host = place.serve();
    let (pending, success, failure) =
        ("gitea/31_status_pending.json", "gitea/32_status_success.json", "gitea/34_status_failure.json");
    // By arrival: file and report. What was told first comes last, or once more.
    let cases: [(&str, &[Told], &str); 4] = [
        ("in-order", &[(pending, 10), (success, 11)], "success"),
        ("swapped", &[(success, 21), (pending, 20)], "success"),
        ("worse-last", &[(failure, 31), (success, 30)], "failure"),
        ("again", &[(pending, 40), (failure, 41), (success, 42), (failure, 41), (pending, 40)], "success"),
    ];
    for (context, reports, expected) in cases {
        for (number, (file, report)) in reports.iter().enumerate() {
            // A person who replays a delivery sends it under another id.
            let status = send(&place, &format!("{context}-{number}"), &body(file, context, *report));
            assert_eq!(status, 202, "{}", place.log());
            until_read(&place, &host);
        }
        assert_eq!(stands(&host, context), expected, "{context}");
    }
}
