//! Named tokens and the audit from the command line, with a host and without one.

use serde_json::Value;

use crate::fixture::{DEVELOPER, Place, REVIEWER, said};

fn json(place: &Place, arguments: &[&str]) -> Value {
    let done = place.gatewright(&[arguments, &["--json"]].concat());
    assert!(done.status.success(), "{arguments:?}: {}", said(&done));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Each line of the audit is a value.
fn audit(place: &Place, query: &[&str]) -> Value {
    let done = place.gatewright(&[&["audit"], query, &["--json"]].concat());
    assert!(done.status.success(), "{query:?}: {}", said(&done));
    std::str::from_utf8(&done.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .collect()
}

fn words(place: &Place, query: &[&str]) -> Vec<String> {
    let rows = audit(place, query);
    let rows = rows.as_array().unwrap().iter().rev();
    rows.map(|row| {
        format!(
            "{} {} {}",
            row["who"].as_str().unwrap(),
            row["what"].as_str().unwrap(),
            row["outcome"].as_str().unwrap()
        )
    })
    .collect()
}

#[test]
fn tokens_are_made_and_revoked_with_a_host_and_without_one_and_the_audit_tells_both() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let made = place.gatewright(&["token", "new", "early", "--right", "operate", "--expires", "30d"]);
    assert!(made.status.success(), "{}", said(&made));
    let early = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert_eq!((early.len(), &early[..4]), (68, "gwt_"), "the secret stands alone on standard output");
    let serving = place.serve();
    assert!(!audit(&place, &["--what", "reload"])[0]["after"].is_null());
    let reader = json(&place, &["token", "new", "reader", "--right", "read"])["secret"].as_str().unwrap().to_owned();

    let by =
        |secret: &str, arguments: &[&str]| place.command(arguments).env("GATEWRIGHT_TOKEN", secret).output().unwrap();
    let frozen = by(&early, &["project", "freeze", "repository", "--reason", "a holiday"]);
    assert!(frozen.status.success(), "{}", said(&frozen));
    let refused = by(&reader, &["project", "unfreeze", "repository"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(
        said(&refused).contains("the token `reader` has the right `read`, and this needs `operate`"),
        "{}",
        said(&refused)
    );
    let own = place.gatewright(&["token", "new", "host", "--right", "read"]);
    assert!(!own.status.success() && said(&own).contains("`host-token` for one"), "{}", said(&own));
    let denied = audit(&place, &["--what", "denied"]);
    assert_eq!((&denied[0]["who"], &denied[0]["outcome"]), (&"reader".into(), &"refused".into()), "{denied}");
    assert_eq!(denied[0]["why"], "it has `read`, and this needs `operate`");
    let wrong = by("gwt_nothing", &["project", "unfreeze", "repository"]);
    assert!(said(&wrong).contains("the token is not this host's"), "{}", said(&wrong));

    assert!(place.gatewright(&["token", "revoke", "early"]).status.success());
    assert!(!by(&early, &["task", "list"]).status.success());
    let listed = json(&place, &["token", "list"]);
    assert_eq!((&listed[0]["name"], &listed[1]["name"]), (&Value::from("early"), &Value::from("reader")));
    assert!(!listed[0]["revoked_at"].is_null() && !listed[0]["used_at"].is_null() && listed[1]["revoked_at"].is_null());
    let told = words(&place, &["--since", "1h"]);
    let expected = ["operator make-token done", "host reload done", "operator make-token done", "early freeze done"];
    assert_eq!(told[..4], expected);
    assert!(told.contains(&"operator revoke-token done".to_owned()), "{told:?}");
    let some = place.gatewright(&["audit", "--limit", "2"]);
    assert_eq!(String::from_utf8_lossy(&some.stdout).lines().count(), 2);
    assert!(
        said(&some).contains("these are the newest 2; `--limit N` shows more") && said(&some).contains("audit --json`")
    );
    drop(serving);

    assert!(place.gatewright(&["token", "revoke", "reader"]).status.success());
    assert_eq!(words(&place, &["--what", "revoke-token"]), ["operator revoke-token done"; 2]);
    let again = place.gatewright(&["token", "new", "reader", "--right", "admin"]);
    assert!(!again.status.success() && said(&again).contains("choose another name, `reader-2`"), "{}", said(&again));
    for own in ["host", "Nobody", "board"] {
        let refused = place.gatewright(&["token", "new", own, "--right", "read"]);
        assert!(
            !refused.status.success() && said(&refused).contains("that the audit has for the host's own doing"),
            "{own}"
        );
    }
    let slip = place.gatewright(&["token", "new", "x", "--right", "root"]);
    assert!(said(&slip).contains("[possible values: read, operate, admin]"), "{}", said(&slip));
}

/// Which third party's component stands where is an operator's decision, by whichever way it came into the files.
#[test]
fn the_audit_tells_of_components_that_came_and_went() {
    let place = Place::new(DEVELOPER, REVIEWER);
    place.init();
    let count = |what: &str| audit(&place, &["--what", what]).as_array().unwrap().len();
    drop(place.serve());
    assert_eq!((count("reload"), count("add-plugin")), (1, 0));
    drop(place.serve());
    assert_eq!(count("reload"), 1, "nothing was edited");
    let bare = std::fs::read_to_string(place.project_file()).unwrap();
    let file = test_artifacts::guest("validate-loops");
    let added = place.gatewright(&["plugin", "add", file.to_str().unwrap(), "--gate", "review:testing", "--yes"]);
    assert!(added.status.success(), "{}", said(&added));
    drop(place.serve());
    drop(place.serve());
    let added = audit(&place, &["--what", "add-plugin"]);
    assert_eq!(added.as_array().unwrap().len(), 1, "it is told once: {added}");
    assert!(added[0]["subject"].as_str().unwrap().starts_with("repository/"), "{added}");
    assert_eq!((&added[0]["before"], added[0]["after"].as_str().unwrap().len()), (&Value::Null, 64), "{added}");
    std::fs::write(place.project_file(), bare).unwrap();
    drop(place.serve());
    let gone = audit(&place, &["--what", "change-plugin"]);
    assert_eq!((&gone[0]["before"], &gone[0]["after"]), (&added[0]["after"], &Value::Null), "{gone}");
    assert_eq!(count("reload"), 3, "two edits, each told once");
}
