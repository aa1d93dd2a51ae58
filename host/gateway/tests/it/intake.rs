//! The listener of trackers and forges on a real socket: whom it takes, what it refuses and by which name, whom it does not wait for.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use conductor::ports::inbox::DeliveryFilter;
use conductor::ports::store::Store;
use domain::ids::ProjectName;
use gateway::{Hook, Hooks, Intake, LARGEST_DELIVERY, Meters, Trust};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use store::{SqliteStore, StoreConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use webhooks::{Secret, Source};

use crate::world::{NOW, name, project};

pub(crate) const OLD: &[u8] = b"the secret until today";
pub(crate) const NEW: &[u8] = b"the secret from now on";
pub(crate) const PUSH: &str =
    r#"{"ref": "refs/heads/feature/x", "before": "", "repository": {"full_name": "Acme/App"}}"#;

pub(crate) struct Listening {
    pub(crate) port: u16,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) intake: Arc<Intake>,
    pub(crate) looks: Arc<Mutex<Vec<(ProjectName, Source, Trust)>>>,
    meters: Arc<Meters>,
    /// Ends it when it is sent or dropped.
    pub(crate) end: tokio::sync::oneshot::Sender<()>,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) fn hook(of: &str, source: Source, about: &str, secrets: &[&[u8]]) -> Hook {
    let secrets = secrets.iter().map(|secret| Secret::new(secret).unwrap()).collect::<Vec<_>>();
    Hook { project: name(of), source, about: about.to_owned(), unsigned: secrets.is_empty(), secrets }
}

/// `demo` takes `acme/app` by two secrets, `other` takes `acme/other` by a secret of its own, `open` takes `acme/open` unsigned.
pub(crate) async fn listening() -> Listening {
    listening_with(|intake| intake).await
}

pub(crate) async fn listening_with(more: impl FnOnce(Intake) -> Intake) -> Listening {
    listening_at("127.0.0.1:0", more).await
}

pub(crate) async fn listening_at(address: &str, more: impl FnOnce(Intake) -> Intake) -> Listening {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap());
    for (of, prefix) in [("demo", "DEMO"), ("other", "OTHER"), ("open", "OPEN")] {
        store.put_project(&project(of, prefix), NOW).unwrap();
    }
    let looks = Arc::new(Mutex::new(Vec::new()));
    let seen = looks.clone();
    let look = Arc::new(move |project: &ProjectName, source, trust| {
        seen.lock().unwrap().push((project.clone(), source, trust));
    });
    let meters = Arc::new(Meters::new(NOW).unwrap());
    let intake = Intake::new(store.clone(), look, Arc::new(|| NOW)).counted_by(meters.clone());
    let intake = Arc::new(more(intake));
    intake.put_hooks(Hooks::new(vec![
        hook("demo", Source::Gitea, "acme/app", &[NEW, OLD]),
        hook("other", Source::Gitea, "acme/other", &[b"a secret of another's"]),
        hook("open", Source::Gitea, "acme/open", &[]),
    ]));
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (end, ends) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(gateway::serve_intake(listener, intake.clone(), async move { drop(ends.await) }));
    Listening { port, store, intake, looks, meters, end, dir }
}

pub(crate) fn sign(secret: &[u8], body: &[u8]) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    hmac.update(body);
    hmac.finalize().into_bytes().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn request(path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text =
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        text.push_str("content-type: application/json\r\n");
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    [text.as_bytes(), b"\r\n", body].concat()
}

/// The status and the body of an answer to these bytes.
pub(crate) async fn send(port: u16, bytes: &[u8]) -> (u16, String) {
    answered(TcpStream::connect(("127.0.0.1", port)).await.unwrap(), bytes).await
}

pub(crate) async fn answered(mut stream: TcpStream, bytes: &[u8]) -> (u16, String) {
    // Whoever is refused early may hang up before all was sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0);
    (status, answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
}

impl Listening {
    pub(crate) async fn send(&self, bytes: &[u8]) -> (u16, String) {
        send(self.port, bytes).await
    }

    pub(crate) async fn gitea(&self, id: &str, secret: &[u8], body: &str) -> (u16, String) {
        let signature = sign(secret, body.as_bytes());
        let headers =
            [("x-gitea-signature", signature.as_str()), ("x-gitea-delivery", id), ("x-gitea-event-type", "push")];
        self.send(&request("/webhook/gitea", &headers, body.as_bytes())).await
    }

    pub(crate) fn kept(&self) -> Vec<(String, Option<bool>, u64)> {
        let rows = self.store.deliveries(&DeliveryFilter::default(), 1000).unwrap();
        rows.into_iter().rev().map(|row| (row.project.to_string(), row.verified, row.repeats)).collect()
    }
}

#[tokio::test]
async fn a2_1_what_fits_a_secret_is_committed_and_one_byte_more_or_less_is_401() {
    let host = listening().await;
    assert_eq!(host.gitea("1", NEW, PUSH).await, (202, r#"{"status":"accepted"}"#.to_owned()));
    assert_eq!(host.gitea("2", OLD, PUSH).await.0, 202, "both secrets of a rotation fit");
    let (status, body) = host.gitea("3", b"what somebody guessed", PUSH).await;
    assert_eq!(status, 401);
    assert!(body.contains("fits no secret") && body.contains("urn:gatewright:signature"), "{body}");
    let signature = sign(NEW, PUSH.as_bytes());
    for (given, body) in [
        (signature.clone(), PUSH.replace("feature/x", "feature/y")),
        (signature.replacen(&signature[..1], if signature.starts_with('0') { "1" } else { "0" }, 1), PUSH.to_owned()),
        (signature[..63].to_owned(), PUSH.to_owned()),
        (String::new(), PUSH.to_owned()),
        (format!("sha256={signature}"), PUSH.to_owned()),
    ] {
        let bytes = request("/webhook/gitea", &[("x-gitea-signature", &given)], body.as_bytes());
        assert_eq!(host.send(&bytes).await.0, 401, "{given}");
    }
    assert_eq!(host.send(&request("/webhook/gitea", &[], PUSH.as_bytes())).await.0, 401, "without any");
    assert_eq!(host.kept().len(), 2, "what was refused left nothing");
}

#[tokio::test]
async fn a2_2_what_comes_twice_is_kept_once_and_looked_after_again() {
    let host = listening().await;
    assert_eq!(host.gitea("same", NEW, PUSH).await.0, 202);
    assert_eq!(host.gitea("same", NEW, PUSH).await, (200, r#"{"status":"duplicate"}"#.to_owned()));
    assert_eq!(host.kept(), [("demo".to_owned(), Some(true), 1)]);
    assert_eq!(*host.looks.lock().unwrap(), [(name("demo"), Source::Gitea, Trust::Proven)]);
}

#[tokio::test]
async fn what_becomes_of_requests_is_counted_by_source_and_outcome() {
    let host = listening().await;
    assert_eq!(host.gitea("one", NEW, PUSH).await.0, 202);
    assert_eq!(host.gitea("one", NEW, PUSH).await.0, 200);
    assert_eq!(host.gitea("two", b"a secret that is none", PUSH).await.0, 401);
    let told = host.meters.told().unwrap();
    for outcome in ["accepted", "duplicate", "signature"] {
        let line = format!("gatewright_webhook_deliveries_total{{outcome=\"{outcome}\",source=\"gitea\"}} 1");
        assert!(told.lines().any(|found| found == line), "no {line} in {told}");
    }
}

#[tokio::test]
async fn a1_2_what_is_for_nobody_here_is_ignored_and_what_is_for_another_is_refused() {
    let host = listening().await;
    let (status, body) = host.gitea("1", NEW, r#"{"repository": {"full_name": "acme/unknown"}}"#).await;
    assert_eq!(status, 200);
    assert!(body.contains("ignored") && body.contains("no project here is bound to `acme/unknown`"), "{body}");
    assert_eq!(host.gitea("2", NEW, "{}").await.0, 200, "it names nobody");
    let (status, _) = host.gitea("3", NEW, r#"{"repository": {"full_name": "acme/other"}}"#).await;
    assert_eq!(status, 401, "the secret is another project's");
    let (status, body) = host.send(&request("/webhook/plane", &[], b"{}")).await;
    assert_eq!(status, 404);
    assert!(body.contains("[webhooks.plane]"), "{body}");
    assert_eq!(host.kept(), []);
}

#[tokio::test]
async fn what_is_not_signed_is_taken_from_this_machine_where_the_file_says_so_and_marked() {
    let host = listening().await;
    let body = br#"{"repository": {"full_name": "acme/open"}}"#;
    assert_eq!(host.send(&request("/webhook/gitea", &[], body)).await.0, 202);
    let named = |host: &str, body: &[u8]| {
        let text = String::from_utf8(request("/webhook/gitea", &[], body)).unwrap();
        text.replacen("host: localhost", &format!("host: {host}"), 1).into_bytes()
    };
    // A page of any site, in a browser on this machine.
    for header in
        [("origin", "https://evil.example"), ("origin", "null"), ("referer", "http://x/"), ("sec-fetch-site", "none")]
    {
        assert_eq!(host.send(&request("/webhook/gitea", &[header], body)).await.0, 401, "{header:?}");
    }
    for other in ["evil.example", "localhost.evil.example:80", "192.0.2.1", ""] {
        assert_eq!(host.send(&named(other, body)).await.0, 401, "{other}");
    }
    assert_eq!(host.kept(), [("open".to_owned(), Some(false), 0)]);
    // A proxy on this machine speaks for somebody else.
    for name in ["x-forwarded-for", "forwarded", "via", "x-real-ip"] {
        assert_eq!(host.send(&request("/webhook/gitea", &[(name, "10.0.0.1")], body)).await.0, 401, "{name}");
    }
    let app = br#"{"repository": {"full_name": "acme/app"}}"#;
    assert_eq!(host.send(&request("/webhook/gitea", &[], app)).await.0, 401, "another project has a secret");
}

#[tokio::test]
async fn what_is_no_delivery_is_refused_by_name() {
    let host = listening().await;
    let signed = |body: &[u8]| sign(NEW, body);
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for (headers, body, status, word) in [
        (vec![("content-type", "text/plain")], b"{}".to_vec(), 415, "media-type"),
        (vec![("content-type", "")], b"{}".to_vec(), 415, "media-type"),
        (vec![("content-encoding", "gzip")], vec![0x1f, 0x8b, 8, 0], 415, "encoding"),
        (vec![], b"nonsense".to_vec(), 400, "json"),
        (vec![], b"[1, 2]".to_vec(), 400, "json"),
        (vec![], b"{\"a\": \"\xff\"}".to_vec(), 400, "utf-8"),
        (vec![], deep.into_bytes(), 400, "deep"),
        (vec![("content-type", "application/x-www-form-urlencoded")], b"other=1".to_vec(), 400, "form"),
    ] {
        let signature = signed(&body);
        let headers = [headers, vec![("x-gitea-signature", signature.as_str())]].concat();
        let (found, said) = host.send(&request("/webhook/gitea", &headers, &body)).await;
        assert_eq!(found, status, "{said}");
        assert!(said.contains(&format!("urn:gatewright:{word}")), "{said}");
    }
    let many = (0..10_000).map(|number| format!("x-{number}: 1\r\n")).collect::<Vec<_>>().concat();
    for flood in [many, format!("x-long: {}\r\n", "a".repeat(1 << 20))] {
        let bytes = format!("POST /webhook/gitea HTTP/1.1\r\nhost: localhost\r\n{flood}\r\n");
        let (status, said) = host.send(bytes.as_bytes()).await;
        assert_eq!(status, 431);
        assert!(said.contains("at most 100 headers") && said.contains("at most 65536 bytes"), "{said}");
    }
    for (line, status) in
        [("GET /webhook/gitea", 405), ("GET /", 404), ("GET /api/v1/tasks", 404), ("POST /webhook/gitea/", 404)]
    {
        let bytes = format!("{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        assert_eq!(host.send(bytes.as_bytes()).await.0, status, "{line}");
    }
    assert_eq!(host.kept(), []);
    assert_eq!(host.gitea("1", NEW, PUSH).await.0, 202, "and nobody else minds");
}

#[tokio::test]
async fn what_is_too_large_is_not_read_and_looked_after_once() {
    let host = listening().await;
    let announced = format!(
        "POST /webhook/gitea HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        LARGEST_DELIVERY + 1
    );
    let (status, said) = host.send(announced.as_bytes()).await;
    assert!(status == 202 && said.contains("\"status\":\"too-large\""), "{said}");
    let mut chunked = b"POST /webhook/gitea HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..=LARGEST_DELIVERY / 65_536 {
        chunked.extend_from_slice(b"10000\r\n");
        chunked.resize(chunked.len() + 65_536, b' ');
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"10000\r\n");
    assert_eq!(host.send(&chunked).await.0, 202);
    assert_eq!(host.kept(), []);
    let looks = host.looks.lock().unwrap().len();
    assert_eq!(looks, 3, "one look at each project, however many came");
    let whole = format!(
        "{{\"repository\": {{\"full_name\": \"acme/app\"}}, \"a\": \"{}\"}}",
        "a".repeat(LARGEST_DELIVERY - 60)
    );
    assert!(whole.len() <= LARGEST_DELIVERY);
    assert_eq!(host.gitea("large", NEW, &whole).await.0, 202);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_not_waited_for() {
    let host = listening().await;
    let head = "POST /webhook/gitea HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    for body in ["content-length: 100\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"] {
        let mut slow = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
        slow.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        slow.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.starts_with("HTTP/1.1 408") && answer.contains("did not arrive within 10 seconds, or less"),
            "{answer}"
        );
    }
    let mut silent = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
    silent.write_all(b"POST /webh").await.unwrap();
    let mut answer = Vec::new();
    let _ = silent.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("202"));
}

#[tokio::test]
async fn a_truncated_request_leaves_nothing() {
    let host = listening().await;
    let whole = request("/webhook/gitea", &[("x-gitea-signature", &sign(NEW, PUSH.as_bytes()))], PUSH.as_bytes());
    for end in (1..whole.len()).step_by(7) {
        let mut stream = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
        stream.write_all(&whole[..end]).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 2"), "{end}");
    }
    assert_eq!(host.kept(), []);
}

#[tokio::test]
async fn a_form_is_signed_over_its_payload() {
    let host = listening().await;
    let form = form_urlencoded::Serializer::new(String::new()).append_pair("payload", PUSH).finish();
    let signature = sign(NEW, PUSH.as_bytes());
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-gitea-signature", signature.as_str())];
    assert_eq!(host.send(&request("/webhook/gitea", &headers, form.as_bytes())).await.0, 202);
    let over_the_body = sign(NEW, form.as_bytes());
    let headers =
        [("content-type", "application/x-www-form-urlencoded"), ("x-gitea-signature", over_the_body.as_str())];
    assert_eq!(host.send(&request("/webhook/gitea", &headers, form.as_bytes())).await.0, 401);
}

#[tokio::test]
async fn a_rotated_secret_counts_from_the_next_delivery_on() {
    let host = listening().await;
    host.intake.put_hooks(Hooks::new(vec![hook("demo", Source::Gitea, "acme/app", &[OLD])]));
    assert_eq!(host.gitea("1", NEW, PUSH).await.0, 401);
    assert_eq!(host.gitea("2", OLD, PUSH).await.0, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_ones_at_once_are_all_taken_in_little_room_and_a_small_one_waits_for_none() {
    let host = Arc::new(listening_with(|intake| intake.with_room(2 * LARGEST_DELIVERY)).await);
    let large = |number: usize| {
        let body = format!(
            "{{\"repository\": {{\"full_name\": \"acme/app\"}}, \"n\": {number}, \"a\": \"{}\"}}",
            "a".repeat(LARGEST_DELIVERY - 100)
        );
        request("/webhook/gitea", &[("x-gitea-signature", &sign(NEW, body.as_bytes()))], body.as_bytes())
    };
    // What takes long is done before anybody's time runs.
    let others = (2..12).map(large).collect::<Vec<_>>();
    // Two hold all of the room and stop in the middle.
    let mut holders = Vec::new();
    for bytes in [large(0), large(1)] {
        let mut stream = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
        stream.write_all(&bytes[..LARGEST_DELIVERY / 2]).await.unwrap();
        holders.push((stream, bytes));
    }
    let all_is_taken = async {
        while host.intake.room() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all_is_taken).await.unwrap();
    let mut all = tokio::task::JoinSet::new();
    for bytes in others {
        let host = host.clone();
        all.spawn(async move { host.send(&bytes).await });
    }
    let small = tokio::time::timeout(Duration::from_secs(2), host.gitea("small", NEW, PUSH)).await.unwrap();
    assert_eq!(small.0, 202);
    assert!(all.try_join_next().is_none(), "there is no room");
    for (mut stream, bytes) in holders {
        stream.write_all(&bytes[LARGEST_DELIVERY / 2..]).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }
    while let Some(answer) = all.join_next().await {
        assert_eq!(answer.unwrap(), (202, r#"{"status":"accepted"}"#.to_owned()));
    }
    assert_eq!(host.kept().len(), 13);
}

#[tokio::test]
async fn what_is_not_signed_is_refused_before_its_body_comes() {
    let host = listening().await;
    host.intake.put_hooks(Hooks::new(vec![hook("demo", Source::Gitea, "acme/app", &[NEW])]));
    let head = "POST /webhook/gitea HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n";
    for signature in ["", "x-gitea-signature: \r\n", "x-gitea-signature: abcd\r\n"] {
        let bytes = format!("{head}{signature}\r\n");
        let answer = host.send(bytes.as_bytes());
        let (status, said) = tokio::time::timeout(Duration::from_secs(2), answer).await.unwrap();
        assert_eq!(status, 401, "{said}");
    }
}

/// A proxy that goes by the other length would take what follows for a request of its own.
#[tokio::test]
async fn of_a_body_with_two_lengths_nothing_is_read_as_a_second_request() {
    let host = listening().await;
    let request = |id: &str, lengths: &str, body: &str| {
        let signature = sign(NEW, PUSH.as_bytes());
        format!(
            "POST /webhook/gitea HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nx-gitea-event-type: push\r\n\
             x-gitea-delivery: {id}\r\nx-gitea-signature: {signature}\r\n{lengths}\r\n\r\n{body}"
        )
    };
    let second = request("second", &format!("content-length: {}", PUSH.len()), PUSH);
    let chunked = format!("{:x}\r\n{PUSH}\r\n0\r\n\r\n{second}", PUSH.len());
    for (id, lengths) in [
        ("one", format!("content-length: {}\r\ntransfer-encoding: chunked", chunked.len())),
        ("two", format!("transfer-encoding: chunked\r\ncontent-length: {}", chunked.len())),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
        stream.write_all(request(id, &lengths, &chunked).as_bytes()).await.unwrap();
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers).await;
        let answers = String::from_utf8_lossy(&answers);
        assert!(answers.matches("HTTP/1.1").count() <= 1, "{answers}");
    }
    let rows = host.store.deliveries(&DeliveryFilter::default(), 10).unwrap();
    assert!(rows.iter().all(|row| row.sent_as.as_deref() != Some("second")), "{rows:?}");
}

/// Nobody is refused for coming at once with everybody else: the answers only come later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_all_taken() {
    let host = Arc::new(listening().await);
    let mut all = tokio::task::JoinSet::new();
    for number in 0..1_500 {
        let host = host.clone();
        all.spawn(async move { host.gitea(&number.to_string(), NEW, PUSH).await.0 });
    }
    while let Some(status) = all.join_next().await {
        assert_eq!(status.unwrap(), 202);
    }
    let mut before = None;
    let mut kept = 0;
    loop {
        let rows = host.store.deliveries(&DeliveryFilter { before, ..DeliveryFilter::default() }, 500).unwrap();
        let Some(last) = rows.last() else { break };
        (before, kept) = (Some(last.id), kept + rows.len());
    }
    assert_eq!(kept, 1_500);
}
