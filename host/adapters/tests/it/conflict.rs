//! A branch that conflicts with the base, and the ways in which a developer may mend that.

use conductor::ports::forge::{Forge, ForgeError, PathRules, Sight, TakeOver, Taken, TrespassKind};
use domain::document::Role;
use domain::ids::CommitId;

use crate::rebase::base_gets;
use crate::world::{Work, World, git, kinds, lines, mark, try_git};

/// A branch and a base that both changed line 5 of a file; the base, besides, its line 1, another file and another work item's
/// document. Answers the base's commit that the rebase stopped at.
fn conflict(world: &World) -> (Work<'_>, CommitId) {
    let mut work = world.start(7);
    work.commit("docs/work-items/T-7/01-brd.md", "wanted\n");
    work.commit("src/lib.txt", lines(1..=10).replace("line 5\n", "ours\n"));
    let head = work.take_clean(2).head;
    base_gets(world, "docs/work-items/T-6/01-brd.md", "of another\n");
    base_gets(world, "other", "x");
    let theirs = lines(1..=10).replace("line 5\n", "theirs\n").replace("line 1\n", "line one\n");
    let base = base_gets(world, "src/lib.txt", &theirs);
    let stopped = world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap_err();
    assert_eq!(stopped, ForgeError::Conflict { files: vec!["src/lib.txt".into()] });
    // Meanwhile the base moves on, and the clone shows that.
    base_gets(world, "later", "x");
    work.prepare();
    (work, base)
}

fn take(work: &Work<'_>, job: u64, conflict: &CommitId) -> Taken {
    work.world.forge.take_over(&request(work, job, conflict)).unwrap()
}

/// As a developer's run is taken over.
fn request(work: &Work<'_>, job: u64, conflict: &CommitId) -> TakeOver {
    let paths = PathRules { allowed: None, excluded: vec!["docs/work-items".into()] };
    TakeOver { paths, conflict: Some(conflict.clone()), ..work.take_request(job) }
}

/// The branch holds both sides, nothing of either is lost, and the next rebase and merge go through.
fn check_lands(work: &Work<'_>, taken: &Taken) {
    assert_eq!(taken.trespasses, []);
    let forge = &work.world.forge;
    let rebased = forge.rebase(&mark(7, 8), &work.branch, &taken.head, &work.world.main()).unwrap();
    let text = work.read("src/lib.txt");
    assert!(text.contains("ours\ntheirs\n") && text.contains("line one\n"), "{text}");
    assert_eq!((work.read("other"), work.read("later")), ("x".into(), "x".into()));
    assert_eq!(work.read("docs/work-items/T-7/01-brd.md"), "wanted\n");
    assert_eq!(work.read("docs/work-items/T-6/01-brd.md"), "of another\n");
    let main = work.world.main();
    let base = domain::ids::BranchName::new("main").unwrap();
    let merged = forge.merge_fast_forward(&mark(7, 9), &work.branch, &rebased.head, &base, &main).unwrap();
    assert_eq!(merged.base_head, rebased.head);
    git(work.world.bare(), &["fsck", "--strict", "--no-dangling"]);
}

/// Only the lines of the conflict; what else the base brought into that file, nobody touched.
fn both(work: &Work<'_>) {
    work.write("src/lib.txt", lines(1..=10).replace("line 5\n", "ours\ntheirs\n"));
}

#[test]
fn an_edit_that_holds_both_sides_and_is_left_uncommitted_lands() {
    let world = World::new();
    let (work, base) = conflict(&world);
    both(&work);
    let taken = take(&work, 4, &base);
    assert!(world.forge.is_ancestor(&base, &taken.head).unwrap());
    check_lands(&work, &taken);
}

#[test]
fn an_edit_that_holds_both_sides_and_is_committed_lands() {
    let world = World::new();
    let (work, base) = conflict(&world);
    both(&work);
    work.git(&["commit", "-q", "-a", "-m", "Both"]);
    let wanted = request(&work, 4, &base);
    let taken = world.forge.take_over(&wanted).unwrap();
    // The host died before it wrote that down.
    assert_eq!(world.forge.take_over(&wanted).unwrap(), taken);
    check_lands(&work, &taken);
}

#[test]
fn a_rebase_of_the_developers_own_lands() {
    let world = World::new();
    let (work, base) = conflict(&world);
    assert!(!try_git(&work.path(), &["rebase", "main"]).status.success());
    both_upon_the_base(&work);
    work.git(&["add", "-A"]);
    work.git(&["-c", "core.editor=true", "rebase", "--continue"]);
    check_lands(&work, &take(&work, 4, &base));
}

#[test]
fn a_rebase_onto_the_commit_that_was_named_lands() {
    let world = World::new();
    let (work, base) = conflict(&world);
    assert!(!try_git(&work.path(), &["rebase", base.as_str()]).status.success());
    both_upon_the_base(&work);
    work.git(&["add", "-A"]);
    work.git(&["-c", "core.editor=true", "rebase", "--continue"]);
    work.write("left", "uncommitted");
    let taken = take(&work, 4, &base);
    assert_eq!(work.read("left"), "uncommitted");
    check_lands(&work, &taken);
}

#[test]
fn a_merge_of_the_developers_own_lands_committed_or_not() {
    for is_committed in [true, false] {
        let world = World::new();
        let (work, base) = conflict(&world);
        assert!(!try_git(&work.path(), &["merge", base.as_str()]).status.success());
        both_upon_the_base(&work);
        if is_committed {
            work.git(&["commit", "-q", "-a", "--no-edit"]);
        }
        check_lands(&work, &take(&work, 4, &base));
    }
}

fn both_upon_the_base(work: &Work<'_>) {
    let both = lines(1..=10).replace("line 5\n", "ours\ntheirs\n").replace("line 1\n", "line one\n");
    work.write("src/lib.txt", both);
}

#[test]
fn what_was_not_mended_conflicts_again() {
    let markers = "<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> main\n";
    for (name, text) in [("unrelated", "x".to_owned()), ("src/lib.txt", lines(1..=10).replace("line 5\n", markers))] {
        let world = World::new();
        let (work, base) = conflict(&world);
        work.write(name, text);
        let taken = take(&work, 4, &base);
        assert!(!world.forge.is_ancestor(&base, &taken.head).unwrap(), "{name}");
        let again = world.forge.rebase(&mark(7, 5), &work.branch, &taken.head, &base);
        assert!(matches!(again, Err(ForgeError::Conflict { .. })), "{name}: {again:?}");
    }
}

#[test]
fn only_a_commit_of_the_base_is_merged_for_a_run() {
    let world = World::new();
    let (work, _) = conflict(&world);
    both(&work);
    git(&world.user, &["checkout", "-q", "-b", "elsewhere", "HEAD~1"]);
    std::fs::write(world.user.join("src/lib.txt"), lines(1..=10).replace("line 5\n", "planted\n")).unwrap();
    git(&world.user, &["commit", "-q", "-a", "-m", "Not of main"]);
    git(&world.user, &["push", "-q", "gatewright", "elsewhere"]);
    let planted = CommitId::new(git(&world.user, &["rev-parse", "elsewhere"])).unwrap();
    let taken = take(&work, 4, &planted);
    assert!(!world.forge.is_ancestor(&planted, &taken.head).unwrap());
}

#[test]
fn a_rebase_in_the_middle_is_not_taken() {
    let world = World::new();
    let (work, base) = conflict(&world);
    let before = work.head();
    assert!(!try_git(&work.path(), &["rebase", "main"]).status.success());
    let taken = take(&work, 4, &base);
    assert_eq!(kinds(&taken), [TrespassKind::HistoryRewritten]);
    assert!(taken.trespasses[0].note.contains("carried to its end"), "{:?}", taken.trespasses);
    assert_eq!(work.head(), before);
}

#[test]
fn a_branch_that_stands_on_the_base_with_nothing_of_its_own_is_not_taken() {
    let world = World::new();
    let (work, base) = conflict(&world);
    let before = work.head();
    work.git(&["reset", "-q", "--hard", "main"]);
    let taken = take(&work, 4, &base);
    assert_eq!(kinds(&taken), [TrespassKind::HeadElsewhere]);
    assert_eq!(work.head(), before);
}

#[test]
fn a_rebase_puts_no_other_roles_document_aside() {
    let world = World::new();
    let (work, base) = conflict(&world);
    // The developer's code alone, upon the base: its analyst's document is lost, another's is changed.
    work.git(&["reset", "-q", "--hard", "main"]);
    both_upon_the_base(&work);
    work.commit("docs/work-items/T-6/01-brd.md", "rewritten\n");
    let taken = take(&work, 4, &base);
    assert_eq!(kinds(&taken), [TrespassKind::OutsideOwned; 2], "{:?}", taken.trespasses);
    check_lands(&work, &Taken { trespasses: Vec::new(), ..taken });
}

#[test]
fn a_role_that_writes_documents_rebases_nothing() {
    let world = World::new();
    let mut work = world.start(7);
    work.commit("docs/work-items/T-7/01-brd.md", "wanted\n");
    work.take_clean(2);
    base_gets(&world, "other", "x");
    work.prepare();
    work.git(&["rebase", "-q", "main"]);
    let request = TakeOver { role: Role::Analyst, ..work.take_request(3) };
    assert_eq!(kinds(&world.forge.take_over(&request).unwrap()), [TrespassKind::HistoryRewritten]);
}

#[test]
fn a_later_commit_that_took_the_bases_lines_over_is_enough() {
    let world = World::new();
    let work = world.start(7);
    work.commit("README.md", "ours\n");
    work.commit("README.md", "theirs\n");
    work.commit("code", "x");
    let head = work.take_clean(2).head;
    let base = base_gets(&world, "README.md", "theirs\n");
    let rebased = world.forge.rebase(&mark(7, 3), &work.branch, &head, &base).unwrap();
    assert!(world.forge.is_ancestor(&base, &rebased.head).unwrap());
    assert!(world.forge.is_ancestor(&head, &rebased.head).unwrap(), "its commits stay");
    assert_eq!((work.read("README.md").as_str(), work.read("code").as_str()), ("theirs\n", "x"));
}
