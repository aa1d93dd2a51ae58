//! What counts as a verdict's field, and what does not.

use super::*;

fn check(document: &str, expected: Result<&str, &str>) {
    let read = Frontmatter::read(document).and_then(|head| head.value("verdict").map(str::to_owned));
    match (read, expected) {
        (Ok(value), Ok(expected)) => assert_eq!(value, expected, "{document:?}"),
        (Err(unread), Err(expected)) => {
            assert!(unread.to_string().contains(expected), "{document:?}: {unread}");
        }
        (read, expected) => panic!("{document:?}: {read:?} instead of {expected:?}"),
    }
}

#[test]
fn plain_values_are_read_as_written() {
    check("---\nverdict: APPROVED\n---\n", Ok("APPROVED"));
    check("---\nverdict:   APPROVED   # fine\n---", Ok("APPROVED"));
    check("---\nverdict: 'it''s'\n---\n", Ok("it's"));
    check("---\nverdict: \"PASS \\u2014 ready\"\n---\n", Ok("PASS — ready"));
    check("---\nverdict: PASS — ready-to-deploy\n---\n", Ok("PASS — ready-to-deploy"));
    check("---\nverdict: yes\n---\n", Ok("yes"));
    check("---\nverdict: >\n  APPROVED\n---\n", Ok("APPROVED"));
    check("---\n# a comment\nverdict: &a APPROVED\n---\n", Ok("APPROVED"));
    check("---\n{verdict: APPROVED, other: [1, 2]}\n---\n", Ok("APPROVED"));
}

#[test]
fn line_ends_a_mark_and_blank_lines_before_do_not_matter() {
    check("\u{feff}---\r\nverdict: APPROVED\r\n---\r\nbody", Ok("APPROVED"));
    check("\n\n---  \nverdict: APPROVED\n--- \n", Ok("APPROVED"));
}

#[test]
fn nested_values_are_stepped_over() {
    check(
        "---\nauthors:\n  - name: a\n    roles: [x, {y: z}]\n? [complex, key]\n: value\nverdict: APPROVED\n---\n",
        Ok("APPROVED"),
    );
    check("---\nbase: &b {verdict: APPROVED}\nextra: *b\nverdict: REQUEST_CHANGES\n---\n", Ok("REQUEST_CHANGES"));
}

#[test]
fn four_mistakes_have_four_reasons() {
    check("# Review\nverdict: APPROVED\n", Err("no frontmatter"));
    check("", Err("no frontmatter"));
    check("text\n---\nverdict: APPROVED\n---\n", Err("no frontmatter"));
    check("---\nverdict: \"APPROVED\n---\n", Err("no YAML mapping: line 2"));
    check("---\nsummary: one: two\nverdict: APPROVED\n---\n", Err("no YAML mapping: line 2"));
    check("---\nresult: APPROVED\n---\nverdict: APPROVED\n", Err("no key `verdict`"));
    check("---\nVerdict: APPROVED\n---\n", Err("no key `verdict`"));
    for empty in ["", " ", "\"\"", "~", "null", "   # nothing", "\"  \""] {
        check(&format!("---\nverdict: {empty}\n---\n"), Err("`verdict` in its frontmatter is empty"));
    }
}

#[test]
fn an_empty_head_has_no_key() {
    check("---\n---\nverdict: APPROVED\n", Err("no key `verdict`"));
    check("---\n# only a comment\n---\n", Err("no key `verdict`"));
}

#[test]
fn a_head_that_never_closes_is_broken() {
    check("---\nverdict: APPROVED\n", Err("closing line"));
    check("---", Err("closing line"));
}

#[test]
fn what_could_be_read_in_two_ways_is_broken() {
    check("---\nverdict: REQUEST_CHANGES\nverdict: APPROVED\n---\n", Err("stands there twice"));
    check("---\nverdict: APPROVED\n...\nverdict: REQUEST_CHANGES\n---\n", Err("more than one"));
    check("---\n- verdict: APPROVED\n---\n", Err("not `key: value`"));
    check("---\nAPPROVED\n---\n", Err("not `key: value`"));
}

#[test]
fn a_value_that_is_not_plain_is_no_verdict() {
    check("---\nverdict: [APPROVED]\n---\n", Err("no plain value"));
    check("---\nverdict:\n  is: APPROVED\n---\n", Err("no plain value"));
    check("---\nbase: &b APPROVED\nverdict: *b\n---\n", Err("no plain value"));
    check("---\nbase: &b {verdict: APPROVED}\n<<: *b\n---\n", Err("no key `verdict`"));
}

#[test]
fn a_bomb_costs_no_more_than_its_bytes() {
    let mut bomb = String::from("---\na0: &a0 [x, x]\n");
    for level in 1..60 {
        bomb += &format!("a{level}: &a{level} [*a{0}, *a{0}, *a{0}]\n", level - 1);
    }
    check(&(bomb + "verdict: APPROVED\n---\n"), Ok("APPROVED"));
    check(&format!("---\ndeep: {}\n---\n", "[".repeat(200)), Err("nests deeper"));
    check(&format!("---\nlong: {}\nverdict: APPROVED\n---\n", "x".repeat(HEAD_BYTES_MAX)), Err("64 KiB"));
}

#[test]
fn the_body_is_all_that_follows() {
    let head = Frontmatter::read("---\na: 1\nb: 2\n---\nfirst\n---\nsecond").unwrap();
    assert_eq!(head.body, "first\n---\nsecond");
    assert_eq!(head.keys().collect::<Vec<_>>(), ["a", "b"]);
}
