//! Deliveries that are refused for their signature: who made a webhook without a secret, or changed it on one side alone, must hear of it,
//! and strangers must alarm nobody.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::ProjectName;
use gateway::api::{Flaw, Listing, RefusedDeliveries};
use gateway::{Hook, Hooks, Intake};
use tokio::net::{TcpListener, TcpSocket};
use webhooks::Source;

use crate::intake::{NEW, OLD, PUSH, answered, hook, request, send, sign};
use crate::world::{NOW, World};

/// A world whose host takes deliveries of `acme/app` for `demo`, and where.
async fn world() -> (World, u16) {
    world_of(vec![hook("demo", Source::Gitea, "acme/app", &[NEW])]).await
}

async fn world_of(hooks: Vec<Hook>) -> (World, u16) {
    let world = World::new();
    let look = Arc::new(|_: &ProjectName, _, _| {});
    let intake = Arc::new(Intake::new(world.inbox.clone(), look, Arc::new(|| NOW)).counted_by(world.meters.clone()));
    intake.put_hooks(Hooks::new(hooks));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(gateway::serve_intake(listener, intake, std::future::pending()));
    (world, port)
}

#[tokio::test]
async fn a_webhook_without_a_secret_is_seen_on_the_pages() {
    let (world, port) = world().await;
    let told =
        async |headers: &[(&str, &str)]| send(port, &request("/webhook/gitea", headers, PUSH.as_bytes())).await.0;
    // A scanner tells of no event that a forge knows.
    for noise in [&[][..], &[("x-gitea-event", "anything")], &[("x-plane-event", "issue")]] {
        assert_eq!(told(noise).await, 401);
    }
    let listed = async || world.get("/api/v1/deliveries/refused").await.parse::<Listing<RefusedDeliveries>>().items;
    assert_eq!(listed().await, []);
    // As Gitea sends it that was given none: the headers are there and empty.
    let without = [("x-gitea-event", "push"), ("x-gitea-event-type", "push"), ("x-gitea-signature", "")];
    assert_eq!((told(&without).await, told(&without).await), (401, 401));
    world.pass(Duration::from_mins(5));
    let refused = listed().await.remove(0);
    assert_eq!((refused.flaw, refused.count, refused.source.as_str()), (Flaw::Unsigned, 2, "gitea"));
    assert!(refused.advice.contains("its webhook has no secret"), "{}", refused.advice);
    let page = world.get("/deliveries").await;
    for part in ["gitea: 2 deliveries since the host started, because they are not signed", ">5 min<", "(127.0.0.1: 2)"]
    {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    // Anybody can send such: it is a line there, and alarms nobody.
    assert!(!page.text().contains("banner failed") && !world.get("/").await.text().contains("refused for its"));
    let russian = world.send(request_in_russian("/deliveries")).await;
    assert!(russian.text().contains("потому что не подписаны") && russian.text().contains("у его вебхука нет секрета"));
    // The secret is entered: nothing is wrong any more.
    let signature = sign(NEW, PUSH.as_bytes());
    let signed = [("x-gitea-event-type", "push"), ("x-gitea-signature", signature.as_str())];
    assert_eq!(told(&signed).await, 202);
    assert_eq!(listed().await, []);
    // What is not signed from there after that is the sender's own.
    assert_eq!(told(&without).await, 401);
    assert!(world.get("/").await.text().contains("refused, not signed</span> gitea"));
    let page = world.get("/deliveries").await;
    assert!(page.text().contains("banner failed") && page.text().contains("a second webhook without a secret"));
}

#[tokio::test]
async fn a_signature_of_the_old_kind_alone_is_refused_by_its_name() {
    let (world, port) = world().await;
    let headers = [("x-gitea-event", "push"), ("x-hub-signature", "sha1=0123456789abcdef")];
    let (status, said) = send(port, &request("/webhook/gitea", &headers, PUSH.as_bytes())).await;
    assert!(status == 401 && said.contains("it is made with SHA-1 alone"), "{said}");
    let refused = world.get("/api/v1/deliveries/refused").await.parse::<Listing<RefusedDeliveries>>().items.remove(0);
    assert!(refused.flaw == Flaw::Malformed && refused.advice.contains("signs in another way"), "{}", refused.advice);
}

/// Of two projects one has a sender that is known, and of the other's nothing is known yet.
#[tokio::test]
async fn what_a_stranger_sends_alarms_nobody_for_what_another_ones_sender_did() {
    let hooks = ["acme/app", "acme/other"].map(|about| hook("demo", Source::Gitea, about, &[NEW]));
    let [mut known, mut quiet] = hooks;
    (known.project, quiet.project) = (ProjectName::new("demo").unwrap(), ProjectName::new("quiet").unwrap());
    let (world, port) = world_of(vec![known, quiet]).await;
    let signed_by = |secret: &[u8]| {
        let signature = sign(secret, PUSH.as_bytes());
        request("/webhook/gitea", &[("x-gitea-event-type", "push"), ("x-gitea-signature", &signature)], PUSH.as_bytes())
    };
    let own = [signed_by(NEW), signed_by(OLD), signed_by(NEW)];
    let mut answers = Vec::new();
    for bytes in &own {
        world.pass(Duration::from_mins(90));
        answers.push(send(port, bytes).await.0);
    }
    assert_eq!(answers, [202, 401, 200], "the last one comes a second time");
    let stranger = TcpSocket::new_v4().unwrap();
    stranger.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let stream = stranger.connect(([127, 0, 0, 1], port).into()).await.unwrap();
    let bytes = request("/webhook/gitea", &[("x-gitea-event", "push")], b"");
    assert_eq!(answered(stream, &bytes).await.0, 401);
    let listed = world.get("/api/v1/deliveries/refused").await.parse::<Listing<RefusedDeliveries>>().items;
    let told = listed.iter().map(|one| (one.projects[0].as_str(), one.flaw, one.count, one.addresses[0].fitted_before));
    let expected = [("quiet", Flaw::Unsigned, 1, false), ("demo", Flaw::Unfit, 1, true)];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    assert!(!world.get("/").await.text().contains("refused, not signed"));
}

#[tokio::test]
async fn who_signs_with_another_secret_is_seen_on_the_pages() {
    let world = World::new();
    let look = Arc::new(|_: &ProjectName, _, _| {});
    let intake = Arc::new(Intake::new(world.inbox.clone(), look, Arc::new(|| NOW)).counted_by(world.meters.clone()));
    intake.put_hooks(Hooks::new(vec![hook("demo", Source::Gitea, "acme/app", &[NEW])]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(gateway::serve_intake(listener, intake, std::future::pending()));
    let told = async |secret: &[u8]| {
        let signature = sign(secret, PUSH.as_bytes());
        let headers = [("x-gitea-signature", signature.as_str()), ("x-gitea-event-type", "push")];
        send(port, &request("/webhook/gitea", &headers, PUSH.as_bytes())).await.0
    };
    for noise in [PUSH.replace("Acme", "Nobody"), "no JSON".to_owned(), "{}".to_owned()] {
        let signature = sign(OLD, noise.as_bytes());
        for headers in [vec![("x-gitea-signature", signature.as_str())], Vec::new()] {
            assert_eq!(send(port, &request("/webhook/gitea", &headers, noise.as_bytes())).await.0, 401);
        }
    }
    let quiet = world.get("/deliveries").await;
    assert!(!quiet.text().contains("banner failed"), "anybody can send such: {}", quiet.text());
    assert_eq!((told(OLD).await, told(OLD).await), (401, 401));
    world.pass(Duration::from_mins(5));
    let page = world.get("/deliveries").await;
    for part in ["gitea: 2 deliveries since the host started, for the signature", ">5 min<", "[webhooks.gitea]"] {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    let listed: Listing<RefusedDeliveries> = world.get("/api/v1/deliveries/refused").await.parse();
    let refused = &listed.items[0];
    assert_eq!(
        (refused.count, refused.first_at, refused.projects.as_slice()),
        (2, NOW, [ProjectName::new("demo").unwrap()].as_slice())
    );
    assert_eq!(refused.addresses[0].address.to_string(), "127.0.0.1");
    assert!(refused.advice.contains("no delivery of gitea for demo has fitted since"), "{}", refused.advice);
    // Whoever knows the name of a repository can send such: it is a line there, and alarms nobody.
    assert!(!page.text().contains("banner failed") && page.text().contains("(127.0.0.1: 2)"), "{}", page.text());
    assert!(!world.get("/").await.text().contains("refused for its signature"));
    let russian = || request_in_russian("/deliveries");
    let text = world.send(russian()).await.text().to_owned();
    assert!(text.contains("Есть ли среди этих адресов ваш gitea?") && !text.contains("strangers"), "{text}");
    // It fits from the same address: what does not fit from there is the sender's own.
    assert_eq!((told(NEW).await, told(OLD).await), (202, 401));
    let page = world.get("/deliveries").await;
    assert!(page.text().contains("banner failed") && page.text().contains("changed on one side alone"));
    assert!(world.send(russian()).await.text().contains("секрет, скорее всего, сменили только с одной стороны"));
    world.pass(Duration::from_mins(1));
    assert_eq!(told(OLD).await, 401);
    let first = world.get("/").await;
    assert!(first.text().contains("refused for its signature</span> gitea"), "{}", first.text());
}

fn request_in_russian(path: &str) -> axum::http::Request<axum::body::Body> {
    let request = crate::world::request(axum::http::Method::GET, path);
    request.header(axum::http::header::ACCEPT_LANGUAGE, "ru").body(axum::body::Body::empty()).unwrap()
}
