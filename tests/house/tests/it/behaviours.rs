//! docs/behaviours.md: each behaviour has its row, and what the row names is there. That it ran, `.ci/run` looks after.

use std::collections::BTreeSet;

use house::{Behaviour, TestPath, behaviours, files, not_run, root, source_tests};

/// The behaviours and how many lines each has: `B1` has `B1.1` to `B1.3`.
const LINES: [(&str, u32); 40] = [
    ("B1", 3),
    ("B2", 3),
    ("B3", 2),
    ("B4", 2),
    ("B5", 2),
    ("B6", 2),
    ("B7", 4),
    ("B8", 3),
    ("B9", 2),
    ("B10", 2),
    ("C1", 3),
    ("C2", 3),
    ("C3", 4),
    ("C4", 2),
    ("C5", 3),
    ("C6", 3),
    ("C7", 5),
    ("C8", 2),
    ("D1", 3),
    ("D2", 4),
    ("D3", 2),
    ("D4", 3),
    ("D5", 3),
    ("D6", 3),
    ("D7", 3),
    ("E1", 2),
    ("E2", 2),
    ("E3", 2),
    ("E4", 3),
    ("E5", 2),
    ("E6", 2),
    ("E7", 3),
    ("E8", 2),
    ("E9", 2),
    ("H3", 2),
    ("I4", 5),
    ("I5", 6),
    ("L1", 2),
    ("L2", 3),
    ("L3", 2),
];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rows() -> Vec<Behaviour> {
    behaviours(&read("docs/behaviours.md")).unwrap_or_else(|why| panic!("docs/behaviours.md: {why}"))
}

/// A text without what makes it bold, each stretch of blanks and line ends as one blank.
fn flat(text: &str) -> String {
    text.replace('*', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_behaviour_has_one_row_in_order() {
    let wanted = LINES.iter().flat_map(|(name, lines)| (1..=*lines).map(move |line| format!("{name}.{line}")));
    let found = rows().into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(found, wanted.collect::<Vec<_>>());
}

#[test]
fn every_test_that_a_row_names_is_one_and_there_is_no_other_of_its_name() {
    let known = source_tests(&files());
    let flaw = |test: &TestPath| {
        let namesake = known.iter().find(|source| source.name == test.name() && !test.is_in_package_of(source));
        match namesake {
            _ if !known.iter().any(|source| test.is(source)) => Some("no such test that always runs".to_owned()),
            // The output of cargo would not tell the two apart.
            Some(namesake) => Some(format!("{} has one of that name too", namesake.package)),
            None => None,
        }
    };
    let flaws = rows().into_iter().flat_map(|row| {
        let of = |test: &TestPath| flaw(test).map(|flaw| format!("{}: {test}: {flaw}", row.id));
        row.tests.iter().filter_map(of).collect::<Vec<_>>()
    });
    let flaws = flaws.collect::<Vec<_>>();
    assert!(flaws.is_empty(), "{flaws:#?}");
}

#[test]
fn what_overrules_a_behaviour_stands_in_the_architecture() {
    let page = flat(&read("docs/ARCHITECTURE.md"));
    let rows = rows();
    let quoted = rows.iter().flat_map(|row| row.overruled.iter().map(move |sentence| (&row.id, sentence)));
    let strange = quoted.filter(|(_, sentence)| !page.contains(&flat(sentence))).collect::<Vec<_>>();
    assert!(strange.is_empty(), "not in docs/ARCHITECTURE.md: {strange:#?}");
}

#[test]
fn what_comes_later_is_named_once_and_awaited_by_somebody() {
    let page = read("docs/behaviours.md");
    let listed = page.split("What comes later").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap_or_default();
    let parts = listed.lines().filter_map(|line| line.strip_prefix("- **")?.split_once("**").map(|(part, _)| part));
    let parts = parts.collect::<BTreeSet<_>>();
    let rows = rows();
    let awaited = rows.iter().flat_map(|row| row.later.iter().map(String::as_str)).collect::<BTreeSet<_>>();
    assert_eq!(awaited, parts);
}

#[test]
fn a_row_says_what_holds_it_or_is_refused() {
    let read =
        |cells: &str| behaviours(&format!("| id | what | tests | besides |\n| --- | --- | --- | --- |\n{cells}"));
    let row =
        &read("| B1.1 | So it is. | `a_b::c::d`, `e::f` | overruled: \"Not so; ever.\"; later: more |").unwrap()[0];
    assert_eq!(row.tests.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a_b::c::d", "e::f"]);
    assert_eq!((&row.overruled, &row.later), (&vec!["Not so; ever.".to_owned()], &vec!["more".to_owned()]));
    for (cells, why) in [
        ("| B1.1 | So it is. |  |  |", "names nothing that holds it"),
        ("| B1.1 |  | `a::b` |  |", "says nothing"),
        ("| B1.1 | So it is. | a::b |  |", "no test as"),
        ("| B1.1 | So it is. | `a` |  |", "no test as"),
        ("| B1.1 | So it is. |  | not yet |", "neither"),
        ("| B1.1 | So it is. |  | overruled: \"never |", "has no end"),
        ("| B1.1 | So it is. | `a::b` |", "four cells"),
    ] {
        let refused = read(cells).unwrap_err();
        assert!(refused.starts_with("line 3: ") && refused.contains(why), "{refused}");
    }
}

#[test]
fn a_test_that_is_missing_ignored_or_red_is_told() {
    let row = |test: &str| behaviours(&format!("| B1.1 | So it is. | `it::{test}` |  |")).unwrap();
    let output = "running 4 tests\ntest a::well ... ok\nnoise of a childtest a::loud ... ok\ntest a::red ... FAILED\n\
        test a::away ... ignored, for now\ntest a::panics - should panic ... ok\ntest b::twice ... ok\ntest b::twice ... FAILED\n";
    for (test, told) in [
        ("a::well", None),
        ("a::loud", None),
        ("a::panics", None),
        ("a::red", Some("B1.1: it::a::red: FAILED")),
        ("a::away", Some("B1.1: it::a::away: ignored")),
        ("b::twice", Some("B1.1: it::b::twice: FAILED")),
        ("a::gone", Some("B1.1: it::a::gone: did not run")),
        ("well", Some("B1.1: it::well: did not run")),
    ] {
        let missing = not_run(&row(test), output);
        assert_eq!(missing.first().map(String::as_str), told);
    }
}
