//! Rebasing without a work tree.

use std::fs;

use conductor::ports::forge::{Forge, ForgeError, Sight};
use domain::ids::CommitId;

use crate::world::{Work, World, git, id, lines, mark};

/// The user changes a file of `main` and pushes it.
pub(crate) fn base_gets(world: &World, name: &str, text: &str) -> CommitId {
    let path = world.user.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    git(&world.user, &["add", "-A"]);
    git(&world.user, &["commit", "-qm", &format!("Base changes {name}")]);
    git(&world.user, &["push", "-q", "gatewright", "main"]);
    world.main()
}

fn subjects(world: &World, work: &Work<'_>) -> String {
    git(world.bare(), &["log", "--format=%s", &format!("main..{}", work.branch)])
}

#[test]
fn an_up_to_date_branch_is_left_alone() {
    let world = World::new();
    let work = world.start(7);
    work.commit("a", "a");
    let head = work.take_clean(2).head;
    let rebased = world.forge.rebase(&mark(7, 3), &work.branch, &head, &world.main()).unwrap();
    assert_eq!((rebased.head, rebased.moved), (head.clone(), false));
    let log = fs::read_to_string(world.bare().join("logs/refs/heads/feature/T-7")).unwrap();
    assert!(!log.contains("rebase"));
    assert_eq!(work.head(), head);
}

#[test]
fn commits_are_replayed_with_their_authors() {
    let world = World::new();
    let work = world.start(7);
    work.commit("a", "a");
    work.commit("b", "b");
    work.write("c", "c");
    let head = work.take_clean(2).head;
    let base = base_gets(&world, "src/lib.txt", &lines(1..=12));
    let rebased = world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap();
    assert!(rebased.moved && rebased.head != head && rebased.base == base);
    assert!(world.forge.is_ancestor(&base, &rebased.head).unwrap());
    assert_eq!(work.head(), rebased.head);
    let told = git(world.bare(), &["log", "--format=%an|%cn|%ct", &format!("main..{}", work.branch)]);
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        ["developer|Gatewright|1700000003", "Ada|Gatewright|1700000003", "Ada|Gatewright|1700000003"]
    );
    assert_eq!(work.read("src/lib.txt"), lines(1..=12));
    assert_eq!(work.read("b"), "b");
    git(world.bare(), &["fsck", "--strict", "--no-dangling"]);
    let count = git(world.bare(), &["rev-list", "--count", "--all", "--not", "main"]);
    assert_eq!(count, "3", "no stand-in was named by anything");
}

#[test]
fn the_same_lines_of_a_file_merge_where_they_can() {
    let world = World::new();
    let work = world.start(7);
    let changed = lines(1..=10).replace("line 9\n", "line nine\n");
    work.commit("src/lib.txt", &changed);
    let head = work.take_clean(2).head;
    let base = base_gets(&world, "src/lib.txt", &lines(1..=10).replace("line 1\n", "line one\n"));
    world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap();
    let text = work.read("src/lib.txt");
    assert!(text.contains("line one") && text.contains("line nine"));
}

#[test]
fn a_conflict_writes_nothing_and_names_the_files() {
    let world = World::new();
    let work = world.start(7);
    work.commit("README.md", "theirs\n");
    work.commit("näme \"x\"", "one\n");
    let head = work.take_clean(2).head;
    base_gets(&world, "README.md", "ours\n");
    let base = base_gets(&world, "näme \"x\"", "two\n");
    let conflict = world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap_err();
    // All of them, not those of the first commit alone.
    let files = vec!["README.md".to_owned(), "näme \"x\"".to_owned()];
    assert_eq!(conflict, ForgeError::Conflict { files });
    assert_eq!(work.head(), head);
    assert!(fs::read_dir(&world.forge.layout().cache).unwrap().next().is_none());
}

#[test]
fn a_repeat_finds_its_own_rebase() {
    let world = World::new();
    let work = world.start(7);
    work.commit("a", "a");
    let head = work.take_clean(2).head;
    let base = base_gets(&world, "b", "b");
    let first = world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap();
    assert_eq!(world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap(), first);
    let other = world.forge.rebase(&mark(7, 4), &work.branch, &head, &base);
    assert!(matches!(other, Err(ForgeError::Moved { found: Some(found), .. }) if found == first.head));
    // Then a person pushes: the repeat says where the branch should be.
    git(&world.user, &["fetch", "-q", "gatewright"]);
    git(&world.user, &["checkout", "-q", "-b", "theirs", first.head.as_str()]);
    git(&world.user, &["commit", "-q", "--allow-empty", "-m", "By hand"]);
    git(&world.user, &["push", "-q", "gatewright", "theirs:feature/T-7"]);
    let moved = world.forge.rebase(&mark(7, 3), &work.branch, &head, &base);
    assert!(matches!(moved, Err(ForgeError::Moved { expected: Some(expected), .. }) if expected == first.head));
}

#[test]
fn a_repeat_after_the_base_moved_again_rests_on_the_newer_base() {
    let world = World::new();
    let work = world.start(7);
    work.commit("a", "a");
    let head = work.take_clean(2).head;
    assert_eq!(world.forge.moved_by(&mark(7, 3), &work.branch, &head).unwrap(), None);
    let base = base_gets(&world, "b", "b");
    let first = world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap();
    assert_eq!(world.forge.moved_by(&mark(7, 3), &work.branch, &head).unwrap(), Some(first.head.clone()));
    // The host dies before it wrote that down, and meanwhile the base moves.
    let base = base_gets(&world, "c", "c");
    let second = world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap();
    assert!(second.moved && second.base == base && world.forge.is_ancestor(&base, &second.head).unwrap());
    assert_eq!(world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap(), second);
    assert_eq!(world.forge.moved_by(&mark(7, 3), &work.branch, &head).unwrap(), Some(second.head));
    assert_eq!(world.forge.moved_by(&mark(7, 4), &work.branch, &head).unwrap(), None);
}

#[test]
fn what_the_base_has_already_is_dropped() {
    let world = World::new();
    let work = world.start(7);
    work.commit("a", "a\n");
    work.commit("b", "b\n");
    let head = work.take_clean(2).head;
    let base = base_gets(&world, "a", "a\n");
    world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap();
    assert_eq!(subjects(&world, &work), "Change b");
    // All of it: the branch is the base.
    let head = work.head();
    let base = base_gets(&world, "b", "b\n");
    let rebased = world.forge.rebase(&mark(7, 4), &work.branch, &head, &base).unwrap();
    assert_eq!(rebased.head, base);
}

#[test]
fn an_empty_commit_that_was_meant_stays() {
    let world = World::new();
    let work = world.start(7);
    work.git(&["commit", "-q", "--allow-empty", "-m", "Retrigger"]);
    let head = work.take_clean(2).head;
    let base = base_gets(&world, "b", "b");
    world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap();
    assert_eq!(subjects(&world, &work), "Retrigger");
}

#[test]
fn a_branch_with_merges_gets_one_more() {
    let world = World::new();
    let mut work = world.start(7);
    work.commit("README.md", "ours\n");
    work.take_clean(2);
    base_gets(&world, "README.md", "theirs\n");
    work.prepare();
    // The agent merges the base and resolves the conflict; a replay commit by commit would meet it again.
    assert!(!crate::world::try_git(&work.path(), &["merge", "main"]).status.success());
    work.write("README.md", "both\n");
    work.git(&["commit", "-q", "-a", "-m", "Merge"]);
    let head = work.take_clean(3).head;
    let unmoved = world.forge.rebase(&mark(7, 4), &work.branch, &head, &world.main()).unwrap();
    assert!(!unmoved.moved);
    let base = base_gets(&world, "other", "x");
    let rebased = world.forge.rebase(&mark(7, 5), &work.branch, &head, &base).unwrap();
    assert!(rebased.moved && world.forge.is_ancestor(&base, &rebased.head).unwrap());
    assert!(world.forge.is_ancestor(&head, &rebased.head).unwrap());
    assert_eq!(work.read("README.md"), "both\n");
    assert_eq!(work.read("other"), "x");
}

#[test]
fn both_entries_of_a_changelog_survive_where_the_base_says_union() {
    let world = World::new();
    base_gets(&world, ".gitattributes", "CHANGELOG.md merge=union\n");
    base_gets(&world, "docs/.gitattributes", "NEWS merge=union\n");
    base_gets(&world, "CHANGELOG.md", "# Changes\n");
    base_gets(&world, "docs/NEWS", "# News\n");
    let work = world.start(7);
    work.commit("CHANGELOG.md", "# Changes\n- ours\n");
    work.commit("docs/NEWS", "# News\n- ours\n");
    let head = work.take_clean(2).head;
    base_gets(&world, "CHANGELOG.md", "# Changes\n- theirs\n");
    let base = base_gets(&world, "docs/NEWS", "# News\n- theirs\n");
    world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap();
    for name in ["CHANGELOG.md", "docs/NEWS"] {
        let text = work.read(name);
        assert!(text.contains("- ours") && text.contains("- theirs"), "{text}");
    }
}

#[test]
fn attributes_of_the_branch_under_judgement_have_no_say() {
    let world = World::new();
    let work = world.start(7);
    work.commit(".gitattributes", "* merge=union\n");
    work.commit("README.md", "ours\n");
    let head = work.take_clean(2).head;
    let base = base_gets(&world, "README.md", "theirs\n");
    let conflict = world.forge.rebase(&mark(7, 3), &work.branch, &head, &base);
    assert!(matches!(conflict, Err(ForgeError::Conflict { .. })), "{conflict:?}");
}

#[test]
fn a_rename_is_followed() {
    let world = World::new();
    let work = world.start(7);
    work.git(&["mv", "src/lib.txt", "src/moved.txt"]);
    work.git(&["commit", "-qm", "Rename"]);
    let head = work.take_clean(2).head;
    let base = base_gets(&world, "src/lib.txt", &lines(1..=11));
    world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap();
    assert_eq!(work.read("src/moved.txt"), lines(1..=11));
}

#[test]
fn an_unknown_base_is_not_found() {
    let world = World::new();
    let work = world.start(7);
    let unknown = world.forge.rebase(&mark(7, 3), &work.branch, &work.head(), &id(&"1".repeat(40)));
    assert!(matches!(unknown, Err(ForgeError::NotFound(_))));
}
