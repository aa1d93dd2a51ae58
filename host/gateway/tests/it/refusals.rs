//! What follows from a delivery that is not taken: whoever sent it does not come again, so somebody looks; and anybody may send such,
//! so not for each.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use conductor::ports::access::Deed;
use conductor::ports::inbox::{DeliveryFilter, Taken};
use conductor::ports::store::Store as _;
use domain::ids::DeliveryId;
use domain::time::Timestamp;
use gateway::api::{AuditPage, DeliveryView};
use gateway::{Hooks, Intake, Trust};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use webhooks::Source;

use crate::intake::{Listening, NEW, OLD, PUSH, hook, listening, request, sign};
use crate::world::{NOW, World};

fn looks(host: &Listening) -> Vec<(String, Trust)> {
    let looks = std::mem::take(&mut *host.looks.lock().unwrap());
    looks.into_iter().map(|(project, _, trust)| (project.to_string(), trust)).collect()
}

fn seldom() -> Vec<(String, Trust)> {
    ["demo", "open", "other"].map(|project| (project.to_owned(), Trust::Anybody)).to_vec()
}

#[tokio::test]
async fn what_its_sender_signed_and_nobody_can_read_is_looked_after_where_the_secret_fits() {
    let host = listening().await;
    for broken in ["nonsense", "[1]", "{\"repository\": "] {
        assert_eq!(host.gitea("1", NEW, broken).await.0, 400, "{broken}");
        assert_eq!(looks(&host), [("demo".to_owned(), Trust::Proven)], "{broken}");
    }
    assert_eq!(host.kept(), []);
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_off_is_looked_after_though_nobody_knows_whose_it_was() {
    let host = listening().await;
    let mut slow = TcpStream::connect(("127.0.0.1", host.port)).await.unwrap();
    let head = "POST /webhook/gitea HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    slow.write_all(format!("{head}content-length: 100\r\n\r\n{{").as_bytes()).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(looks(&host), seldom());
}

#[tokio::test]
async fn a_flood_of_strangers_brings_one_look_and_the_last_of_it_another_one() {
    let host = listening().await;
    let clock = Arc::new(AtomicU64::new(1_000_000));
    let (time, looked) = (clock.clone(), Arc::new(Notify::new()));
    let (seen, told) = (host.looks.clone(), looked.clone());
    let look = Arc::new(move |project: &domain::ids::ProjectName, source, trust| {
        seen.lock().unwrap().push((project.clone(), source, trust));
        told.notify_one();
    });
    let intake = Intake::new(host.store.clone(), look, Arc::new(move || Timestamp(time.load(Ordering::SeqCst))));
    intake.put_hooks(Hooks::new(vec![hook("demo", Source::Gitea, "acme/app", &[NEW])]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(gateway::serve_intake(listener, Arc::new(intake), std::future::pending()));
    let flood = async || {
        for _ in 0..50 {
            let bytes = request("/webhook/gitea", &[], PUSH.as_bytes());
            assert_eq!(crate::intake::send(port, &bytes).await.0, 401);
        }
    };
    flood().await;
    assert_eq!(looks(&host), [("demo".to_owned(), Trust::Anybody)]);
    looked.notified().await;
    clock.fetch_add(10_000, Ordering::SeqCst);
    // Nobody comes any more; the look that is owed is made all the same.
    tokio::time::timeout(Duration::from_secs(30), looked.notified()).await.unwrap();
    assert_eq!(looks(&host), [("demo".to_owned(), Trust::Anybody)]);
}

#[tokio::test]
async fn an_event_that_nobody_knows_is_kept_by_its_name_for_whom_its_sender_may_write() {
    let host = listening().await;
    let star = |body: &str, secret: &[u8]| {
        let signature = sign(secret, body.as_bytes());
        let headers = [("x-gitea-signature", signature.as_str()), ("x-gitea-event-type", "star")];
        request("/webhook/gitea", &headers, body.as_bytes())
    };
    assert_eq!(host.send(&star(r#"{"repository": {"full_name": "acme/app"}}"#, NEW)).await.0, 202);
    assert_eq!(
        host.send(&star(r#"{"repo": "acme/app"}"#, NEW)).await.0,
        202,
        "it may name its repository in a new way"
    );
    let rows = host.store.deliveries(&DeliveryFilter::default(), 10).unwrap();
    let told = rows.iter().map(|row| (row.project.as_str(), row.word.as_deref())).collect::<Vec<_>>();
    assert_eq!(told, [("demo", Some("star")), ("demo", Some("star"))]);
    // A known one that names nobody is for nobody, and its sender may have meant something.
    assert_eq!(host.gitea("1", NEW, "{}").await.0, 200);
    assert_eq!(looks(&host), [("demo".to_owned(), Trust::Anybody)]);
    // `open` takes what comes from this machine, so this is in order; but who sent it did not prove anything.
    assert_eq!(host.send(&star("{}", b"what somebody guessed")).await.0, 200);
    assert_eq!(looks(&host), []);
    assert_eq!(host.kept().len(), 2);
}

/// Behind a proxy that is named, people are told apart; one that is not named speaks for nobody but itself.
#[tokio::test]
async fn who_came_by_a_proxy_is_known_by_what_it_says_where_it_is_named() {
    let world = World::new();
    let local: IpAddr = "127.0.0.1".parse().unwrap();
    let serve = async |proxies: Vec<IpAddr>| {
        let intake = Intake::new(world.inbox.clone(), Arc::new(|_, _, _| {}), Arc::new(|| NOW));
        let intake = intake.counted_by(world.meters.clone()).behind(proxies);
        intake.put_hooks(Hooks::new(vec![hook("demo", Source::Gitea, "acme/app", &[NEW])]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(gateway::serve_intake(listener, Arc::new(intake), std::future::pending()));
        port
    };
    let push = async |port: u16, from: &str, secret: &[u8]| {
        let signature = sign(secret, PUSH.as_bytes());
        let headers = [("x-gitea-signature", signature.as_str()), ("x-forwarded-for", from)];
        crate::intake::send(port, &request("/webhook/gitea", &headers, PUSH.as_bytes())).await.0
    };
    let refused = async || {
        let told: gateway::api::Listing<gateway::api::RefusedDeliveries> =
            world.get("/api/v1/deliveries/refused").await.parse();
        let from = told.items.into_iter().flat_map(|refused| refused.addresses);
        from.map(|from| (from.address.to_string(), from.fitted_before)).collect::<Vec<_>>()
    };
    let named = serve(vec![local]).await;
    assert_eq!(push(named, "192.0.2.7", OLD).await, 401);
    assert_eq!(refused().await, [("192.0.2.7".to_owned(), false)]);
    assert_eq!(push(named, "10.0.0.5", NEW).await, 202);
    assert_eq!(refused().await, [], "the forge is known now, and that was somebody else");
    assert_eq!(push(named, "192.0.2.7", OLD).await, 401);
    assert_eq!(refused().await, []);
    assert_eq!(push(named, "10.0.0.5", OLD).await, 401);
    assert_eq!(refused().await, [("10.0.0.5".to_owned(), true)]);
    let unnamed = serve(Vec::new()).await;
    assert_eq!(push(unnamed, "10.0.0.5", OLD).await, 401);
    assert_eq!(refused().await, [("10.0.0.5".to_owned(), true)], "what anybody may write there is not believed");
}

#[tokio::test]
async fn a_parked_delivery_is_read_again_by_who_may_operate_and_no_other() {
    let world = World::new();
    world.told(1, "push", "no JSON");
    let retry = "/api/v1/deliveries/1/retry";
    let pending = world.post(retry, "").await;
    assert_eq!(pending.status, StatusCode::CONFLICT, "{}", pending.text());
    assert!(pending.detail().contains("delivery 1 is pending; only one that is parked"), "{}", pending.detail());
    let why = "the body is no JSON".to_owned();
    let parked = Taken { id: DeliveryId(1), facts: Vec::new(), effect: why, parked: true };
    world.store.take_hints(&[parked], NOW).unwrap();
    assert_eq!(world.send(crate::world::request(Method::POST, retry).body("".into()).unwrap()).await.status, 401);
    let (wakes, again) = (world.wakes(), world.post(retry, "").await);
    assert_eq!(again.status, StatusCode::OK, "{}", again.text());
    let view: DeliveryView = again.parse();
    assert_eq!((view.row.state.as_str(), view.row.effect, view.row.closed_at), ("pending", None, None));
    assert!(world.wakes() > wakes, "it is read at once");
    assert_eq!(world.store.hints(10).unwrap().len(), 1);
    assert_eq!(world.post(retry, "").await.status, StatusCode::CONFLICT);
    assert_eq!(world.post("/api/v1/deliveries/7/retry", "").await.status, StatusCode::NOT_FOUND);
    let audit: AuditPage = world.get(&format!("/api/v1/audit?what={}", Deed::RetryDelivery)).await.parse();
    let line = &audit.items[0];
    let told = (line.who.as_str(), line.outcome.as_str(), line.subject.as_deref(), line.project.as_deref());
    assert_eq!(told, ("operator", "done", Some("1"), Some("demo")));
    assert_eq!((line.before.as_deref(), audit.items.len()), (Some("parked: the body is no JSON"), 1));
    assert_eq!(json!(line.after), "pending");
}
