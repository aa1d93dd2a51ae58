//! Deliveries of trackers and forges outside: kept once, read in order, closed with what they told.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

use std::sync::mpsc::channel;

use conductor::ports::access::{Access as _, AuditFilter, Deed};
use conductor::ports::inbox::{DeliveryFilter, NewDelivery, Received, Taken};
use conductor::ports::store::{NewItem, Store as _, StoreError};
use domain::ids::{Actor, CommitId, DeliveryId, ProjectName};
use domain::plugin::{Check, CheckState};
use domain::time::Timestamp;
use domain::verdict::WakeKind;
use store::conformance::small_project;
use store::{SqliteStore, StoreConfig};
use tempfile::TempDir;
use webhooks::{Fact, Headers, Source};

const NOW: Timestamp = Timestamp(1_000_000);

fn open() -> (TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap();
    store.put_project(&small_project(), NOW).unwrap();
    (dir, store)
}

fn delivery(key: u8, verified: bool) -> NewDelivery {
    NewDelivery {
        source: Source::Gitea,
        projects: vec![(small_project().name, verified)],
        key: [key; 32],
        sent_as: Some(format!("id-{key}")),
        word: "push".to_owned(),
        headers: Headers::new([("x-gitea-event-type", "push")]),
        body: format!("{{\"number\": {key}}}").into_bytes(),
        at: NOW,
    }
}

fn receive(store: &SqliteStore, delivery: NewDelivery) -> Result<Received, StoreError> {
    let (tell, told) = channel();
    let inbox: &dyn conductor::ports::inbox::Inbox = store;
    inbox.receive(delivery, Box::new(move |outcome| tell.send(outcome).unwrap()));
    told.recv().unwrap()
}

fn commit() -> CommitId {
    CommitId::new("a".repeat(40)).unwrap()
}

fn check() -> Check {
    let (name, raw, description) = ("build".to_owned(), "success".to_owned(), String::new());
    Check { name, state: CheckState::Success, raw, at: NOW, url: None, description, report: None }
}

fn taken(id: DeliveryId, facts: Vec<Fact>) -> Taken {
    Taken { id, facts, effect: "something".to_owned(), parked: false }
}

#[test]
fn a_delivery_that_comes_again_is_kept_once_and_counted() {
    let (_dir, store) = open();
    assert_eq!(receive(&store, delivery(1, false)).unwrap(), Received::New);
    assert_eq!(receive(&store, delivery(1, true)).unwrap(), Received::Repeat);
    assert_eq!(receive(&store, delivery(2, true)).unwrap(), Received::New);
    let rows = store.deliveries(&DeliveryFilter::default(), 10).unwrap();
    let told = rows.iter().map(|row| (row.sent_as.as_deref(), row.repeats, row.verified)).collect::<Vec<_>>();
    assert_eq!(told, [(Some("id-2"), 0, Some(true)), (Some("id-1"), 1, Some(true))], "who proved it later proved it");
    assert_eq!(store.hints(10).unwrap().len(), 2);
    let first = store.delivery(DeliveryId(1)).unwrap();
    assert_eq!((first.body, first.row.sent_as.as_deref()), (b"{\"number\": 1}".to_vec(), Some("id-1")));
    assert_eq!(first.headers.get("x-gitea-event-type"), Some("push"));
}

#[test]
fn a_delivery_that_comes_again_in_the_next_life_is_kept_once_too() {
    let (dir, store) = open();
    assert_eq!(receive(&store, delivery(1, true)).unwrap(), Received::New);
    drop(store);
    let store = SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap();
    assert_eq!(receive(&store, delivery(1, true)).unwrap(), Received::Repeat);
    assert_eq!(receive(&store, delivery(2, true)).unwrap(), Received::New);
    assert_eq!(store.deliveries(&DeliveryFilter::default(), 10).unwrap().len(), 2);
}

#[test]
fn two_projects_that_bind_one_repository_have_a_delivery_each() {
    let (_dir, store) = open();
    let mut other = small_project();
    other.name = ProjectName::new("other").unwrap();
    other.prefix = "OTHER".to_owned();
    store.put_project(&other, NOW).unwrap();
    let mut both = delivery(1, true);
    both.projects.push((other.name.clone(), false));
    assert_eq!(receive(&store, both.clone()).unwrap(), Received::New);
    assert_eq!(receive(&store, both).unwrap(), Received::Repeat);
    let hints = store.hints(10).unwrap();
    assert_eq!(hints.iter().map(|hint| hint.verified).collect::<Vec<_>>(), [true, false]);
    let of_other = DeliveryFilter { project: Some(other.name), ..DeliveryFilter::default() };
    assert_eq!(store.deliveries(&of_other, 10).unwrap().len(), 1);
}

#[test]
fn a_hint_is_closed_with_its_facts_once_and_in_one_transaction() {
    let (_dir, store) = open();
    receive(&store, delivery(1, true)).unwrap();
    let project = small_project().name;
    let id = store.hints(1).unwrap()[0].id;
    let facts = vec![
        Fact::Check { commit: commit(), check: check() },
        Fact::Wake { subject: "feature/x".to_owned(), wake: WakeKind::Push },
    ];
    let before = store.sequence();
    store.take_hints(&[taken(id, facts.clone())], NOW).unwrap();
    assert_eq!(store.sequence(), before + 1);
    assert_eq!(store.checks(&project, &commit()).unwrap(), [check()]);
    assert_eq!(store.hints(10).unwrap(), []);
    store.take_hints(&[taken(id, facts)], Timestamp(2_000_000)).unwrap();
    let row = store.deliveries(&DeliveryFilter::default(), 1).unwrap().remove(0);
    assert_eq!((row.state.as_str(), row.closed_at), ("expanded", Some(NOW)), "nothing happens a second time");
}

#[test]
fn a_parked_one_is_pending_again_once_and_the_audit_says_who_wanted_it() {
    let (_dir, store) = open();
    receive(&store, delivery(1, true)).unwrap();
    let (id, ada) = (store.hints(1).unwrap()[0].id, Actor::Person("ada".to_owned()));
    assert!(matches!(store.retry_delivery(id, &ada, NOW), Err(StoreError::Refused(_))), "it is pending");
    store.take_hints(&[Taken { parked: true, ..taken(id, Vec::new()) }], NOW).unwrap();
    assert_eq!(store.hints(10).unwrap(), []);
    store.retry_delivery(id, &ada, NOW).unwrap();
    assert_eq!(store.hints(10).unwrap().len(), 1);
    let fact = Fact::Check { commit: commit(), check: check() };
    store.take_hints(&[taken(id, vec![fact])], NOW).unwrap();
    assert_eq!(store.checks(&small_project().name, &commit()).unwrap().len(), 1);
    assert!(matches!(store.retry_delivery(id, &ada, NOW), Err(StoreError::Refused(_))), "it was read");
    assert!(matches!(store.retry_delivery(DeliveryId(9), &ada, NOW), Err(StoreError::NotFound { .. })));
    let lines = store.audit(&AuditFilter { what: Some(Deed::RetryDelivery), ..AuditFilter::default() }, 10).unwrap();
    let told = lines.iter().map(|line| (line.who.as_str(), line.subject.as_deref())).collect::<Vec<_>>();
    assert_eq!(told, [("ada", Some("1"))]);
}

#[test]
fn a_hint_is_no_delivery_of_the_board_and_the_other_way_round() {
    let (_dir, store) = open();
    for key in 0..40 {
        receive(&store, delivery(key, true)).unwrap();
    }
    let item = NewItem {
        project: small_project().name,
        title: "A card".to_owned(),
        description: String::new(),
        status: "To do".to_owned(),
        labels: Vec::new(),
        actor: Actor::Person("ada".to_owned()),
        after: Vec::new(),
    };
    store.create_item(&item, NOW).unwrap();
    let pending = store.pending_deliveries(10).unwrap();
    assert_eq!(pending.iter().map(|delivery| delivery.source.as_str()).collect::<Vec<_>>(), ["board"]);
    let hints = store.hints(100).unwrap();
    assert_eq!(hints.len(), 40);
    assert!(hints.is_sorted_by_key(|hint| hint.id));
}

#[test]
fn large_hints_are_read_a_few_at_a_time() {
    let (_dir, store) = open();
    for key in 0..4 {
        let mut large = delivery(key, true);
        large.body = vec![b' '; 5 << 20];
        receive(&store, large).unwrap();
    }
    assert_eq!(store.hints(100).unwrap().len(), 1, "two of them are over the bound");
}

#[test]
fn who_is_no_project_is_refused_and_takes_nobody_with_him() {
    let (_dir, store) = open();
    let mut foreign = delivery(1, true);
    foreign.projects = vec![(ProjectName::new("nobody").unwrap(), true)];
    assert!(receive(&store, foreign).is_err());
    assert_eq!(receive(&store, delivery(2, true)).unwrap(), Received::New);
}
