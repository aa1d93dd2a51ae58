//! A host over a database of which rows do not read, and a folder in which a blob is gone: it starts, says so, and carries everybody
//! else through (catalogue C2).

use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;

use crate::fixture::{DEVELOPER, Place, REVIEWER, said};

fn database(place: &Place) -> Connection {
    let sql = Connection::open(place.state().join("gatewright.db")).unwrap();
    sql.pragma_update(None, "foreign_keys", "OFF").unwrap();
    sql.pragma_update(None, "ignore_check_constraints", "ON").unwrap();
    sql
}

/// Where the ticket's text lies that a task began with.
fn ticket_text(place: &Place, sql: &Connection, key: &str) -> PathBuf {
    let query = "SELECT body ->> '$.description' FROM task WHERE work_item = ?1";
    let digest: String = sql.query_row(query, [key], |row| row.get(0)).unwrap();
    place.state().join("blobs").join(&digest[..2]).join(digest)
}

fn begun(place: &Place, title: &str) -> String {
    let made = place.json(&["task", "create", title, "--description", &format!("Add a line for {title}.")]);
    let key = made["card"]["work_item"].as_str().unwrap().to_owned();
    place.until(&key, "begun", |shown| shown["task"]["id"].is_u64());
    key
}

#[test]
fn c2_2_a_host_starts_over_damaged_rows_and_carries_all_others_through() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let host = place.serve();
    let of_run = begun(&place, "One");
    place.until_phase(&of_run, "in-review");
    let frozen = place.gatewright(&["project", "freeze", "repository", "--reason", "a holiday"]);
    assert!(frozen.status.success(), "{}", said(&frozen));
    let (of_task, of_blob, sound) = (begun(&place, "Two"), begun(&place, "Three"), begun(&place, "Four"));
    host.kill();
    let sql = database(&place);
    fs::remove_file(ticket_text(&place, &sql, &of_blob)).unwrap();
    sql.execute_batch(&format!(
        "UPDATE task SET body = '{{', version = version + 1 WHERE work_item = '{of_task}';
        UPDATE run SET body = '{{' WHERE task = (SELECT id FROM task WHERE work_item = '{of_run}');
        INSERT INTO delivery (source, project, received_at, body, state, hook_key, sent_as, word, verified, headers)
            VALUES ('gitea', 'repository', 1, x'7b7d', 'pending', zeroblob(32), 'id-1', 'push', 1, '{{');
        INSERT INTO delivery (source, project, work_item, received_at, body, state, log_row, row_order)
            VALUES (CAST(x'ff' AS TEXT), 'repository', '{sound}', 1, x'7b7d', 'pending', '0', 0);"
    ))
    .unwrap();
    drop(sql);
    let mut host = place.serve();
    let thawed = place.gatewright(&["project", "unfreeze", "repository"]);
    assert!(thawed.status.success(), "{}", said(&thawed));
    for key in [&sound, &of_run] {
        place.until_phase(key, "in-review");
        let approved = place.gatewright(&["task", "approve", key]);
        assert!(approved.status.success(), "{}", said(&approved));
        place.until_phase(key, "done");
    }
    let shown = place.until(&of_blob, "held", |shown| shown["task"]["position"]["activity"]["activity"] == "held");
    let why = said(&place.gatewright(&["task", "why", &of_blob]));
    assert!(why.contains("`launch-agent` cannot be done: ") && why.contains("blob"), "{why}\n{shown}");
    let why = place.gatewright(&["task", "why", &of_task]);
    assert_eq!(why.status.code(), Some(1));
    assert!(said(&why).contains("a row of `task` does not read: number "), "{}", said(&why));
    let (_, queue) = host.get("/api/v1/queue?limit=100");
    assert!(queue.contains("damaged") && queue.contains("a row of `task` does not read"), "{of_task}: {queue}");
    let log = place.log();
    for row in ["`task` does not read", "`run` does not read", "`delivery` does not read"] {
        assert!(log.contains(row), "{row}\n{log}");
    }
    let (status, listed) = host.get("/api/v1/deliveries");
    assert!(status == 200 && listed.contains("a row of `delivery` does not read"), "{status} {listed}");
    assert!(host.is_up());
}
