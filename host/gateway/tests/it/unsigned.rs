//! Deliveries without a signature: a webhook that was made without a secret is refused each time, and its owner must hear of it.

use std::sync::Arc;
use std::time::Duration;

use domain::ids::ProjectName;
use gateway::api::{Flaw, Listing, RefusedDeliveries};
use gateway::{Hooks, Intake};
use tokio::net::TcpListener;
use webhooks::Source;

use crate::intake::{NEW, PUSH, hook, request, request_in_russian, send, sign};
use crate::world::{NOW, World};

/// A world whose host takes deliveries of `acme/app` for `demo`, and where.
async fn world() -> (World, u16) {
    let world = World::new();
    let look = Arc::new(|_: &ProjectName, _, _| {});
    let intake = Arc::new(Intake::new(world.inbox.clone(), look, Arc::new(|| NOW)).counted_by(world.meters.clone()));
    intake.put_hooks(Hooks::new(vec![hook("demo", Source::Gitea, "acme/app", &[NEW])]));
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
    // A receiver of old would be content with this one.
    assert_eq!(told(&[("x-gitea-event", "push"), ("x-hub-signature", "sha1=0123")]).await, 401);
    world.pass(Duration::from_mins(5));
    let refused = listed().await.remove(0);
    assert_eq!((refused.flaw, refused.count, refused.source.as_str()), (Flaw::Unsigned, 3, "gitea"));
    assert!(refused.advice.contains("its webhook has no secret"), "{}", refused.advice);
    let page = world.get("/deliveries").await;
    for part in ["gitea: 3 deliveries since the host started, for they are not signed", ">5 min<", "(127.0.0.1: 3)"] {
        assert!(page.text().contains(part), "{part}: {}", page.text());
    }
    // Anybody can send such: it is a line there, and alarms nobody.
    assert!(!page.text().contains("banner failed") && !world.get("/").await.text().contains("refused for its"));
    let russian = world.send(request_in_russian("/deliveries")).await;
    assert!(russian.text().contains("потому что не подписаны") && russian.text().contains("у его вебхука нет секрета"));
    // Another one from the same address fits: what is not signed from there is the sender's own.
    let signature = sign(NEW, PUSH.as_bytes());
    let signed = [("x-gitea-event-type", "push"), ("x-gitea-signature", signature.as_str())];
    assert_eq!((told(&signed).await, told(&without).await), (202, 401));
    let page = world.get("/deliveries").await;
    assert!(page.text().contains("banner failed") && page.text().contains("a second webhook without a secret"));
}

#[tokio::test]
async fn a_signature_of_the_old_kind_alone_is_refused_by_its_name() {
    let (_world, port) = world().await;
    let headers = [("x-gitea-event", "push"), ("x-hub-signature", "sha1=0123456789abcdef")];
    let (status, said) = send(port, &request("/webhook/gitea", &headers, PUSH.as_bytes())).await;
    assert!(status == 401 && said.contains("it is made with SHA-1 alone"), "{said}");
}
