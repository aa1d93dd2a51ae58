//! What a group of requests does to each of its members, and what an error of the database does to all that come after.

use std::sync::mpsc::{Receiver, channel};

use conductor::ports::inbox::{NewDelivery, Received};
use conductor::ports::store::{Store as _, StoreError};
use rusqlite::params;
use tempfile::TempDir;

use super::{Outcome, Tx};
use crate::failure::{Result, inside};
use crate::row::{execute, number};
use crate::{SqliteStore, StoreConfig, hints};

fn open() -> (TempDir, SqliteStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(StoreConfig::new(dir.path(), "here")).unwrap();
    let made = store.write(|tx| execute(tx.sql, "CREATE TABLE note (text TEXT NOT NULL)", []));
    made.unwrap();
    (dir, store)
}

fn note(tx: &Tx<'_>, text: &str) -> Result<()> {
    execute(tx.sql, "INSERT INTO note (text) VALUES (?1)", params![text]).map(|_| ())
}

fn notes(store: &SqliteStore) -> Vec<String> {
    store.read(|sql| crate::row::all(sql, "SELECT text FROM note ORDER BY rowid", [], |row| Ok(row.get(0)?))).unwrap()
}

type Work = Box<dyn FnMut(&Tx<'_>) -> Result<()> + Send>;

/// Runs all of `works` in one group: while the first request waits inside the writer, the others queue up behind it.
fn together(store: &SqliteStore, works: Vec<Work>) -> Vec<Outcome<()>> {
    let (entered, is_in) = channel();
    let (go, may_go) = channel::<()>();
    let may_go = std::sync::Mutex::new(may_go);
    let first = store.writer.enqueue(move |_| {
        let _ = entered.send(());
        let _ = may_go.lock().unwrap().recv();
        Ok(())
    });
    is_in.recv().unwrap();
    let answers: Vec<Receiver<_>> = works.into_iter().map(|work| store.writer.enqueue(work).unwrap()).collect();
    drop(go);
    first.unwrap().recv().unwrap().unwrap();
    answers.into_iter().map(|answer| answer.recv().unwrap()).collect()
}

#[test]
fn a_refused_or_panicking_request_takes_nobody_with_it() {
    let (_dir, store) = open();
    let before = store.sequence();
    let outcomes = together(
        &store,
        vec![
            Box::new(|tx| note(tx, "first")),
            Box::new(|tx| note(tx, "refused").and(Err(inside("not today")))),
            Box::new(|tx| {
                note(tx, "panicked")?;
                panic!("out of ink")
            }),
            Box::new(|tx| note(tx, "last")),
        ],
    );
    assert_eq!(notes(&store), ["first", "last"]);
    assert!(outcomes[0].is_ok() && outcomes[3].is_ok());
    assert!(matches!(&outcomes[1], Err(StoreError::Refused(why)) if why.to_string() == "not today"));
    assert!(matches!(&outcomes[2], Err(StoreError::Broken(why)) if why.contains("out of ink")));
    assert_eq!(store.sequence(), before + 1, "one commit for all of them");
}

/// Of a group that is run again each member comes to what it would alone: what one that is refused had put in is forgotten with it.
#[test]
fn a_delivery_whose_request_is_refused_in_a_group_is_new_when_it_comes_again() {
    let (_dir, store, kept) = crate::seen::tests::with_delivery();
    let mut lost = kept.clone();
    lost.key = [9; 32];
    let insert = |delivery: &NewDelivery, tx: &Tx<'_>| hints::insert(tx, delivery, "[]");
    let (first, second) = (kept.clone(), lost.clone());
    let outcomes = together(
        &store,
        vec![
            Box::new(move |tx| insert(&first, tx).map(|received| assert_eq!(received, Received::New))),
            Box::new(move |tx| insert(&second, tx).and(Err(inside("not today")))),
        ],
    );
    assert!(outcomes[0].is_ok() && outcomes[1].is_err(), "{outcomes:?}");
    let again = |delivery: NewDelivery| store.write(move |tx| insert(&delivery, tx)).unwrap();
    assert_eq!((again(lost), again(kept)), (Received::New, Received::Repeat));
}

#[test]
fn a_full_disk_refuses_the_large_request_and_takes_the_small_one() {
    let (_dir, store) = open();
    store.write(|tx| note(tx, "before")).unwrap();
    let room = |tx: &Tx<'_>| {
        let pages = number(tx.sql, "PRAGMA page_count", [])?.unwrap_or(0) + 8;
        tx.sql.pragma_update(None, "max_page_count", pages as i64)?;
        Ok(())
    };
    store.write(room).unwrap();
    let outcomes = together(
        &store,
        vec![
            Box::new(|tx| note(tx, "small")),
            Box::new(|tx| note(tx, &"large ".repeat(100_000))),
            Box::new(|tx| note(tx, "small too")),
        ],
    );
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok(), "{outcomes:?}");
    assert!(matches!(outcomes[1], Err(StoreError::Full(_))), "{outcomes:?}");
    assert_eq!(notes(&store), ["before", "small", "small too"]);
}

#[test]
fn after_an_error_of_the_database_nothing_is_answered_any_more() {
    let (_dir, store) = open();
    let broken = |_: &Tx<'_>| -> Result<()> {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
        Err(rusqlite::Error::SqliteFailure(code, Some("the disk is gone".to_owned())).into())
    };
    let outcomes = together(&store, vec![Box::new(|tx| note(tx, "before")), Box::new(broken)]);
    for outcome in outcomes {
        assert!(matches!(outcome, Err(StoreError::Fatal(_))), "{outcome:?}");
    }
    let fatal = |outcome: Outcome<()>| assert!(matches!(outcome, Err(StoreError::Fatal(_))), "{outcome:?}");
    fatal(store.write(|tx| note(tx, "after")));
    fatal(store.tasks(false, 1).map(|_| ()));
    fatal(store.put_blob(b"bytes").map(|_| ()));
}

#[test]
fn whoever_subscribed_is_called_after_each_commit() {
    let (_dir, store) = open();
    let (news, heard) = channel();
    let news = std::sync::Mutex::new(news);
    store.subscribe(Box::new(move || news.lock().unwrap().send(()).unwrap()));
    store.write(|tx| note(tx, "one")).unwrap();
    heard.recv().unwrap();
    store.write(|_| Ok(())).unwrap();
    store.write(|tx| note(tx, "two")).unwrap();
    heard.recv().unwrap();
    drop(store);
    assert_eq!(heard.try_iter().count(), 0, "a commit without changes is no news");
}

#[test]
fn the_writer_waits_for_the_disk_and_keeps_references_whole() {
    let (_dir, store) = open();
    let settings = |tx: &Tx<'_>| {
        ["synchronous", "foreign_keys"].iter().map(|name| number(tx.sql, &format!("PRAGMA {name}"), [])).collect()
    };
    let found: Vec<Option<u64>> = store.write(move |tx| settings(tx)).unwrap();
    assert_eq!(found, [Some(2), Some(1)], "synchronous is FULL, foreign keys are held");
    let mode = store.read(|sql| Ok(sql.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0))?));
    assert_eq!(mode.unwrap(), "wal");
}
