//! The table of all places.

/// Writes the table: commits by what was asked of the store, jobs by their effect, and the rest by name.
macro_rules! places {
    (commits: $($kind:literal)*; jobs: $($effect:literal)*; others: $($name:literal)*;
     seldom commits: $($seldom_kind:literal)*; seldom jobs: $($seldom_effect:literal)*;
     seldom others: $($seldom_name:literal)*;) => {
        /// Those that the demonstration's world passes each time, or after a death.
        pub const PLACES: &[&str] = &[
            $(concat!("before-commit-of-", $kind), concat!("after-commit-of-", $kind),)*
            $(concat!("claimed-", $effect), concat!("done-", $effect),)*
            $($name,)*
        ];
        /// Those that it passes when two things happen to meet, or never.
        pub const SELDOM: &[&str] = &[
            $(concat!("before-commit-of-", $seldom_kind), concat!("after-commit-of-", $seldom_kind),)*
            $(concat!("claimed-", $seldom_effect), concat!("done-", $seldom_effect),)*
            $($seldom_name,)*
        ];
    };
}

places! {
    commits:
        "apply" "attempted" "claim" "close_cancelled" "complete" "create_item" "depend" "expand" "give_back" "move_item"
        "put_check" "put_comment" "put_evaluation" "put_project" "put_run" "reap" "remove_item" "set_freeze" "take_rows"
        "undepend";
    jobs:
        "clean-up" "deploy" "judge" "launch-agent" "merge" "notify" "post-comment" "prove-merged" "rebase" "retest"
        "set-status" "staging" "tidy";
    others:
        "before-blob-is-written" "blob-has-no-name-yet" "after-blob-has-its-name"
        "before-branch-is-cut" "after-branch-is-cut"
        "before-clone-is-made" "clone-is-half-made" "after-clone-is-made"
        "before-objects-are-taken-over" "before-branch-takes-over" "after-branch-took-over"
        "before-branch-is-rebased" "after-branch-is-rebased"
        "before-main-is-moved" "ref-is-moved-not-synced" "after-main-is-moved"
        "before-branch-is-discarded" "after-branch-is-discarded"
        "before-clone-is-removed" "clone-is-half-removed" "after-clone-is-removed"
        "before-run-folder-is-made" "after-spec-is-written" "after-shim-was-started" "after-shim-gave-its-word"
        "before-run-is-cancelled" "after-run-is-cancelled"
        "shim-begins" "shim-took-the-lock" "shim-read-its-spec" "shim-opened-the-log" "shim-says-that-it-lives"
        "shim-started-the-command" "shim-gave-its-word" "shim-ends-its-run" "shim-strikes-its-tree" "shim-sees-the-tree-empty" "shim-wrote-its-record";
    seldom commits:
        "apply_seen" "clock_went_back" "create_task" "end_session" "expand_later" "hold_cycles" "open_session" "put_document"
        "put_over_budget" "put_token" "put_would" "receive" "record" "revoke_token" "run_collected" "session_seen" "take_hints"
        "token_used" "unattempted" "wake";
    seldom jobs: "timer";
    seldom others: "shim-cuts-its-log";
}

/// Whether the table has this name.
pub const fn is_known(name: &str) -> bool {
    is_in(PLACES, name) || is_in(SELDOM, name)
}

const fn is_in(table: &[&str], name: &str) -> bool {
    let mut index = 0;
    while index < table.len() {
        if is_same(table[index].as_bytes(), name.as_bytes()) {
            return true;
        }
        index += 1;
    }
    false
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// The place before or after a commit of what was asked of the store in these words.
pub fn commit(when: &str, kind: &str) -> String {
    format!("{when}-commit-of-{kind}")
}

/// The place where a job with this effect is claimed or done.
pub fn job(effect: &str, point: &str) -> String {
    format!("{point}-{effect}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_name_of_its_own() {
        let mut all = [PLACES, SELDOM].concat();
        all.sort_unstable();
        let before = all.len();
        all.dedup();
        assert_eq!(all.len(), before);
        assert!(before > 80, "{before}");
    }

    #[test]
    fn a_name_is_known_or_it_is_not() {
        assert!(is_known(&commit("before", "claim")) && is_known(&job("merge", "done")));
        assert!(is_known("before-main-is-moved") && !is_known("before-main-is-move") && !is_known(""));
    }
}
