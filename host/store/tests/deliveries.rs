//! Deliveries as people ask for them: whatever is asked for, it is what one would find by looking at each of them.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

use std::collections::BTreeMap;
use std::sync::mpsc::channel;

use conductor::ports::inbox::{DeliveryFilter, DeliveryRow, Inbox, NewDelivery, Received, Taken};
use conductor::ports::store::{Expansion, NewItem, Overview as _, Store as _};
use domain::ids::{Actor, DeliveryId, ProjectName};
use domain::time::Timestamp;
use store::conformance::small_project;
use store::{SqliteStore, StoreConfig};
use webhooks::{Headers, Source};

const SOURCES: [&str; 3] = ["board", "gitea", "plane"];
const STATES: [&str; 3] = ["expanded", "parked", "pending"];

fn other() -> ProjectName {
    ProjectName::new("other").unwrap()
}

fn hook(number: u64) -> NewDelivery {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&number.to_be_bytes());
    NewDelivery {
        source: if number.is_multiple_of(3) { Source::Plane } else { Source::Gitea },
        projects: vec![(if number.is_multiple_of(5) { other() } else { small_project().name }, true)],
        key,
        sent_as: None,
        word: "push".to_owned(),
        headers: Headers::default(),
        body: b"{}".to_vec(),
        at: Timestamp(number),
    }
}

fn receive(store: &SqliteStore, delivery: NewDelivery) -> Received {
    let (tell, told) = channel();
    Inbox::receive(store, delivery, Box::new(move |outcome| tell.send(outcome).unwrap()));
    told.recv().unwrap().unwrap()
}

/// Deliveries of two projects and three sources, some of them read, some parked, some waiting, in no order.
fn filled(dir: &std::path::Path) -> SqliteStore {
    let store = SqliteStore::open(StoreConfig::new(dir, "here")).unwrap();
    let mut project = small_project();
    store.put_project(&project, Timestamp(1)).unwrap();
    project.name = other();
    "OTHER".clone_into(&mut project.prefix);
    store.put_project(&project, Timestamp(1)).unwrap();
    for number in 1..=60 {
        if number % 7 == 0 {
            let project = if number % 2 == 0 { other() } else { small_project().name };
            let (title, description, status) = (format!("Card {number}"), String::new(), "To do".to_owned());
            let (labels, actor, after) = (Vec::new(), Actor::Person("ada".to_owned()), Vec::new());
            let item = NewItem { project, title, description, status, labels, actor, after };
            store.create_item(&item, Timestamp(number)).unwrap();
        } else {
            assert_eq!(receive(&store, hook(number)), Received::New);
        }
    }
    let taken = |id: DeliveryId| {
        (id.0 % 4 < 2).then_some(Taken { id, facts: Vec::new(), effect: String::new(), parked: id.0.is_multiple_of(4) })
    };
    let all = store.hints(100).unwrap().into_iter().filter_map(|hint| taken(hint.id)).collect::<Vec<_>>();
    store.take_hints(&all, Timestamp(100)).unwrap();
    for delivery in store.pending_deliveries(3).unwrap() {
        let nothing = Expansion::Nothing { why: "nothing".to_owned() };
        store.expand(delivery.id, &[nothing], Timestamp(100)).unwrap();
    }
    store
}

#[test]
fn every_filter_finds_what_it_says_the_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let all = store.deliveries(&DeliveryFilter::default(), 1000).unwrap();
    assert_eq!(all.len(), 60);
    for source in SOURCES {
        for state in STATES {
            let is_there = |row: &DeliveryRow| row.source == source && row.state == state;
            assert!(all.iter().any(is_there) || (source, state) == ("board", "parked"), "{source} {state}");
        }
    }
    let some = |words: &[&str; 3]| {
        [None].into_iter().chain(words.iter().map(|word| Some((*word).to_owned()))).collect::<Vec<_>>()
    };
    for source in some(&SOURCES) {
        for state in some(&STATES) {
            for project in [None, Some(small_project().name), Some(other()), Some(ProjectName::new("nobody").unwrap())]
            {
                for (before, limit) in
                    [(None, 1000), (None, 4), (Some(DeliveryId(31)), 1000), (Some(DeliveryId(31)), 5)]
                {
                    let filter = DeliveryFilter {
                        source: source.clone(),
                        project: project.clone(),
                        state: state.clone(),
                        before,
                    };
                    let fits = |row: &&DeliveryRow| {
                        source.as_ref().is_none_or(|source| row.source == *source)
                            && state.as_ref().is_none_or(|state| row.state == *state)
                            && project.as_ref().is_none_or(|project| row.project == *project)
                            && before.is_none_or(|before| row.id < before)
                    };
                    let expected = all.iter().filter(fits).take(limit as usize).cloned().collect::<Vec<_>>();
                    assert_eq!(store.deliveries(&filter, limit).unwrap(), expected, "{filter:?}");
                }
            }
        }
    }
}

#[test]
fn of_each_sender_the_last_is_known_whether_or_not_it_was_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let mut expected = BTreeMap::new();
    for row in store.deliveries(&DeliveryFilter::default(), 1000).unwrap() {
        expected.entry((row.project, row.source)).or_insert(row.received_at);
    }
    let contacts = store.contacts().unwrap().into_iter();
    let told = contacts.map(|contact| ((contact.project, contact.source), contact.delivered.unwrap()));
    assert_eq!(told.collect::<BTreeMap<_, _>>(), expected);
}

#[test]
fn in_the_next_life_each_is_known_however_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()));
    let store = SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap();
    for number in (1..=60).filter(|number| number % 7 != 0) {
        assert_eq!(receive(&store, hook(number)), Received::Repeat, "{number}");
    }
    assert_eq!(receive(&store, hook(61)), Received::New);
}

/// A delivery is never deleted, so no number is given twice, though nothing counts them but the table itself.
#[test]
fn numbers_go_on_in_the_next_life() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path()));
    let store = SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap();
    receive(&store, hook(61));
    let newest = store.deliveries(&DeliveryFilter::default(), 1).unwrap().remove(0);
    assert_eq!((newest.id, newest.received_at), (DeliveryId(61), Timestamp(61)));
}
