//! The table of all places.

/// Writes the table: commits by what was asked of the store, jobs by their effect, and the rest by name.
macro_rules! places {
    (commits: $($kind:literal)*; jobs: $($effect:literal)*; others: $($name:literal)*;
     seldom commits: $($seldom_kind:literal)*; seldom jobs: $($seldom_effect:literal)*;
     seldom others: $($seldom_name:literal)*;) => {
        /// Those that the demonstration's world passes each time, after a death, or where somebody shall die there.
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
        "apply" "apply_seen" "attempted" "claim" "close_cancelled" "complete" "create_item" "depend" "end_session"
        "expand" "give_back" "move_item" "open_session" "put_check" "put_comment" "put_evaluation" "put_over_budget"
        "put_project" "put_run" "put_token" "put_would" "reap" "receive" "record" "remove_item" "revoke_token"
        "run_collected" "set_freeze" "take_hints" "take_rows" "token_used" "unattempted" "undepend";
    jobs:
        "clean-up" "deploy" "judge" "launch-agent" "merge" "notify" "post-comment" "prove-merged" "rebase" "retest"
        "set-status" "staging" "tidy" "timer";
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
    // What is not brought about at the real program, and where else it is under fire. The simulator is killed anywhere in a commit.
    // `clock_went_back`: a machine's clock is set back for all of its programs. The simulator's trouble `clock`.
    // `create_task`, `put_document`: no part of the program asks for them; tasks come with `expand`, documents with `complete`.
    // `expand_later`: a status-mapper that fails, and ours does not. The simulator's mapper fails.
    // `hold_cycles`: no door lets tasks need each other. The store's own tests alone.
    // `apply_to_all`, `depend_seen`, `retry_parked`, `set_freeze_seen`, `undepend_seen`: buttons of pages, and nobody presses one here.
    // The store's own tests alone.
    // `retry_delivery`: a person reads a parked delivery again, and nothing parks one here. The store's own tests alone.
    // `session_seen`: the use of a session is written down a minute after its log-in. The store's own tests alone.
    // `wake`: a poll finds a comment for which a gate waits, and no gate of ours does. Gates of the simulator do.
    seldom commits:
        "apply_to_all" "clock_went_back" "create_task" "depend_seen" "expand_later" "hold_cycles" "put_document"
        "retry_delivery" "retry_parked" "session_seen" "set_freeze_seen" "undepend_seen" "wake";
    seldom jobs: ;
    // An agent's log is cut at 64 MiB.
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
