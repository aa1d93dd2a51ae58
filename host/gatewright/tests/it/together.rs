//! Commands for many at once: each does what a button of the board does, and only for as many as it was told.

use rusqlite::Connection;

use crate::fixture::{Place, REVIEWER, said};

/// A developer that works until it is ended.
const ENDLESS: &str = "#!/bin/sh\nexec tail -f /dev/null\n";

#[test]
fn all_are_paused_let_on_and_stopped_by_one_command_each() {
    let place = Place::new(ENDLESS, REVIEWER);
    place.init();
    let _host = place.serve();
    let keys = [place.ticket("One thing"), place.ticket("Another thing")];
    for key in &keys {
        place.until(key, "begun", |shown| shown["task"]["id"].is_u64());
    }
    let reader = place.json(&["token", "new", "reader", "--right", "read"])["secret"].as_str().unwrap().to_owned();
    for line in [vec!["pause", "--all"], vec!["resume", "--all"], vec!["retry", "--cause", "panicked"]] {
        let done = place.command(&line).env("GATEWRIGHT_TOKEN", &reader).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{line:?}: {}", said(&done));
        assert!(said(&done).contains("has the right `read`, and this needs `operate`"), "{}", said(&done));
    }
    let late = place.gatewright(&["pause", "--all", "--count", "1"]);
    assert_eq!(late.status.code(), Some(1), "{}", said(&late));
    assert!(said(&late).contains("`count` says 1 live ticket, and there are 2 now"), "{}", said(&late));
    let is_paused = |key: &str| place.json(&["task", "show", key])["task"]["paused"] == true;
    assert!(!keys.iter().any(|key| is_paused(key)));
    let paused = place.gatewright(&["pause", "--all", "--count", "2", "--note", "lunch"]);
    assert!(paused.status.success(), "{}", said(&paused));
    assert_eq!(said(&paused).trim(), format!("2 tasks are to pause: {}, {}", keys[0], keys[1]));
    assert!(keys.iter().all(|key| is_paused(key)));
    let again = place.gatewright(&["pause", "--project", "repository"]);
    assert!(again.status.success() && said(&again).contains("No task is meant."), "{}", said(&again));
    let on = place.json(&["resume", "--all"]);
    assert_eq!((on["tasks"].as_array().unwrap().len(), on["more"].as_bool()), (2, Some(false)));
    assert!(!keys.iter().any(|key| is_paused(key)));
    let none = place.gatewright(&["retry", "--cause", "infra-exhausted", "--step", "merge"]);
    assert!(none.status.success() && said(&none).contains("No task is meant."), "{}", said(&none));
    for wrong in
        [vec!["retry", "--cause", "bad-luck"], vec!["retry"], vec!["pause"], vec!["resume"], vec!["stop", "--yes"]]
    {
        assert_eq!(place.gatewright(&wrong).status.code(), Some(2), "{wrong:?}");
    }
    let stopped = place.gatewright(&["stop", "--project", "repository", "--yes", "--wait"]);
    assert!(stopped.status.success(), "{}", said(&stopped));
    assert_eq!(said(&stopped).matches("it has ended").count(), 2, "{}", said(&stopped));
}

#[test]
fn all_parked_deliveries_are_read_again_by_one_command() {
    let place = Place::new(ENDLESS, REVIEWER);
    place.init();
    let host = place.serve();
    host.kill();
    let sql = Connection::open(place.state().join("gatewright.db")).unwrap();
    for number in [1, 2] {
        sql.execute(
            "INSERT INTO delivery (source, project, received_at, body, state, closed_at, hook_key, sent_as, word, verified, headers)
                VALUES ('gitea', 'repository', 1, x'7b7d', 'parked', 1, CAST(printf('%032d', ?1) AS BLOB), 'id', 'push', 1, '[]')",
            [number],
        )
        .unwrap();
    }
    drop(sql);
    let _host = place.serve();
    let parked = || place.json(&["delivery", "list", "--state", "parked"])["items"].as_array().unwrap().len();
    assert_eq!(place.gatewright(&["delivery", "retry"]).status.code(), Some(2));
    assert_eq!(place.gatewright(&["delivery", "retry", "1", "--all-parked"]).status.code(), Some(2));
    let late = place.gatewright(&["delivery", "retry", "--all-parked", "--count", "3"]);
    assert_eq!(late.status.code(), Some(1), "{}", said(&late));
    assert!(said(&late).contains("and there are 2 now"), "{}", said(&late));
    assert_eq!(parked(), 2);
    let retried = place.gatewright(&["delivery", "retry", "--all-parked", "--count", "2"]);
    assert!(
        retried.status.success() && said(&retried).contains("2 deliveries are read once more"),
        "{}",
        said(&retried)
    );
    let text = said(&place.gatewright(&["audit", "--what", "retry-delivery", "--json"]));
    assert_eq!(text.matches("retry-delivery").count(), 2, "{text}");
}
