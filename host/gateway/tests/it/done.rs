//! A page says that something was done only where it was, and to whoever did it.

use std::time::Duration;

use axum::http::header;

use crate::buttons::{hidden, press};
use crate::sessions::Browser;
use crate::world::{SECRET, World};

const BANNER: &str = "id=\"did\"";

/// All that an address may say was done.
const DEEDS: [&str; 22] = [
    "approve",
    "reject",
    "confirm-deploy",
    "stop",
    "resume",
    "waive",
    "pause",
    "freeze",
    "thaw",
    "depend",
    "undepend",
    "started",
    "resumed-all",
    "retried",
    "created",
    "comment",
    "stopped-all",
    "stopped-project",
    "token-revoked",
    "delivery-retried",
    "deliveries-retried",
    "paused-all",
];

#[tokio::test]
async fn an_address_that_somebody_made_up_says_nothing_was_done() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    let browser = Browser::log_in(&world, SECRET).await;
    for did in DEEDS.into_iter().chain(["%3Cscript%3E", "nothing", ""]) {
        for page in ["/", "/q", "/t/DEMO-001", "/p/demo", "/system", "/deliveries", "/repositories", "/plugins"] {
            // The list of deliveries takes no item.
            let item = if page == "/deliveries" { "" } else { "&item=DEMO-001" };
            let address = format!("{page}?did={did}{item}");
            let (known, stranger) = (browser.get(&world, &address).await, world.get(&address).await);
            assert!(known.text().contains("<main"), "{address}: {}", known.text());
            assert!(!known.text().contains(BANNER) && !stranger.text().contains(BANNER), "{address}");
        }
    }
}

#[tokio::test]
async fn what_was_done_is_said_to_who_did_it_on_its_page_for_a_while() {
    let world = World::new();
    world.task("DEMO-001", "Say hello");
    let (browser, other) = (Browser::log_in(&world, SECRET).await, Browser::log_in(&world, SECRET).await);
    let version = hidden(browser.get(&world, "/").await.text(), "/t/DEMO-001/approve", "version");
    let fields =
        [("task", "1"), ("version", version.as_str()), ("note", "well done"), ("back", "/q?did=stop&item=DEMO-001")];
    let pressed = press(&world, &browser, "/t/DEMO-001/approve", &fields).await;
    let address = pressed.headers[header::LOCATION].to_str().unwrap().to_owned();
    assert_eq!(address, "/q?did=approve&item=DEMO-001");
    let page = browser.get(&world, &address).await;
    assert!(page.text().contains(BANNER) && page.text().contains("approved: DEMO-001"), "{}", page.text());
    assert!(!other.get(&world, &address).await.text().contains(BANNER), "another session did nothing");
    assert!(!world.get(&address).await.text().contains(BANNER));
    for never in
        ["/q?did=approve&item=DEMO-002", "/q?did=approve", "/q?did=stop&item=DEMO-001", "/?did=approve&item=DEMO-001"]
    {
        assert!(!browser.get(&world, never).await.text().contains(BANNER), "{never}");
    }
    // What is refused says why, and not what was done before.
    let referer = format!("http://127.0.0.1:8500{address}");
    let again = crate::sessions::with(
        crate::sessions::form("/t/DEMO-001/approve", &[&fields[..], &[("csrf", &browser.csrf)]].concat()),
        header::REFERER,
        &referer,
    );
    let late = browser.send(&world, again).await;
    assert!(late.text().contains("changed since you looked") && !late.text().contains(BANNER), "{}", late.text());
    world.pass(Duration::from_mins(10));
    assert!(!browser.get(&world, &address).await.text().contains(BANNER), "it is news no more");
}
