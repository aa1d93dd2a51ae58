//! Taking over: commits, leftovers, what must not be taken, repeats.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use conductor::ports::forge::{CollectLimits, Collected, Forge, ForgeError, PathRules, Sight, TakeOver, TrespassKind};
use domain::document::Role;

use crate::world::{World, git, id, kinds, lines};

#[test]
fn commits_arrive_as_they_are() {
    let world = World::new();
    let work = world.start(7);
    work.commit("a.txt", "a");
    work.commit("b/c.txt", "c");
    let offered = work.git(&["rev-parse", "HEAD"]);
    let taken = work.take_clean(2);
    assert_eq!(taken.head, id(&offered));
    assert_eq!(taken.changed, ["a.txt", "b/c.txt"]);
    assert_eq!(work.head(), taken.head);
    git(world.bare(), &["fsck", "--strict"]);
    assert!(fs::read_dir(&world.forge.layout().cache).unwrap().next().is_none(), "nothing is left in the cache");
}

#[test]
fn e9_2_leftovers_become_one_commit_of_the_role() {
    let world = World::new();
    let work = world.start(7);
    work.commit("committed.txt", "x");
    work.write("new.txt", "new");
    work.write("target/ignored", "built");
    work.write("src/lib.txt", lines(1..=11));
    fs::remove_file(work.path().join("README.md")).unwrap();
    work.write("run.sh", "#!/bin/sh\n");
    fs::set_permissions(work.path().join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("src/lib.txt", work.path().join("link")).unwrap();
    let taken = work.take_clean(45);
    let told = git(world.bare(), &["log", "-1", "--format=%an|%ae|%cn|%at|%ct|%s", taken.head.as_str()]);
    let message = "developer(T-7): auto-commit from developer run_id=45";
    assert_eq!(told, format!("developer|developer@gatewright.localhost|Gatewright|1700000045|1700000045|{message}"));
    let files = git(world.bare(), &["ls-tree", "-r", taken.head.as_str()]);
    assert!(files.contains("100755 blob") && files.contains("120000 blob") && !files.contains("target"), "{files}");
    assert!(!files.contains("README.md"));
    assert_eq!(taken.changed, ["README.md", "committed.txt", "link", "new.txt", "run.sh", "src/lib.txt"]);
}

#[test]
fn nothing_done_is_nothing_taken() {
    let world = World::new();
    let work = world.start(7);
    let before = work.head();
    let taken = work.take_clean(2);
    assert_eq!((&taken.head, taken.changed.len()), (&before, 0));
    // A staged change alone is a leftover; an index is never read.
    work.write("a", "a");
    work.git(&["add", "a"]);
    assert_eq!(work.take_clean(3).changed, ["a"]);
}

#[test]
fn leftovers_of_a_role_that_commits_nothing_stay_where_they_are() {
    let world = World::new();
    let work = world.start(7);
    work.write("12-review.md", "x");
    let request = TakeOver { leftovers: false, role: Role::Reviewer, ..work.take_request(2) };
    let taken = world.forge.take_over(&request).unwrap();
    assert_eq!((taken.head, taken.trespasses.len()), (world.main(), 0));
    assert!(work.path().join("12-review.md").exists());
}

#[test]
fn folders_and_files_change_places() {
    let world = World::new();
    let mut work = world.start(7);
    work.commit("one", "file");
    work.commit("two/inner", "in a folder");
    work.take_clean(2);
    work.prepare();
    fs::remove_file(work.path().join("one")).unwrap();
    work.write("one/inner", "now a folder");
    fs::remove_dir_all(work.path().join("two")).unwrap();
    work.write("two", "now a file");
    let taken = work.take_clean(3);
    assert_eq!(taken.changed, ["one", "one/inner", "two", "two/inner"]);
    assert_eq!((work.read("one/inner").as_str(), work.read("two").as_str()), ("now a folder", "now a file"));
}

/// What `git status` would call a move and a new link. No path below the link is read, nor a file's mode changed behind it.
#[test]
fn a_folder_that_became_a_link_loses_no_work() {
    for outside in [false, true] {
        let world = World::new();
        let mut work = world.start(7);
        work.commit("src/deep/inner", "inner");
        work.take_clean(2);
        work.prepare();
        let target = if outside { world.folder.path().join("elsewhere") } else { work.path().join("lib") };
        fs::rename(work.path().join("src"), &target).unwrap();
        symlink(if outside { target.as_path() } else { "lib".as_ref() }, work.path().join("src")).unwrap();
        // A secret file of somebody who shall not be read, and that shall not be made readable.
        let shut = target.join("deep/inner");
        fs::write(&shut, "behind the link").unwrap();
        fs::set_permissions(&shut, fs::Permissions::from_mode(if outside { 0o200 } else { 0o644 })).unwrap();
        work.write("new", "new");
        let taken = work.take_clean(3);
        let mut expected = vec!["new", "src", "src/deep/inner", "src/lib.txt"];
        if !outside {
            expected.splice(0..0, ["lib/deep/inner", "lib/lib.txt"]);
        }
        assert_eq!(taken.changed, expected);
        assert!(git(world.bare(), &["ls-tree", taken.head.as_str(), "src"]).starts_with("120000 blob"));
        if outside {
            assert_eq!(fs::metadata(&shut).unwrap().permissions().mode() & 0o777, 0o200);
        } else {
            assert_eq!(work.read("lib/deep/inner"), "behind the link");
        }
        work.prepare();
        assert_eq!(work.git(&["status", "--porcelain"]), "");
    }
}

/// Each of a file, a folder, a link to a folder and a repository becomes each of the others.
#[test]
fn whatever_becomes_whatever_no_work_is_lost() {
    const KINDS: [&str; 4] = ["file", "folder", "link", "repository"];
    let put = |work: &crate::world::Work<'_>, kind: &str, text: &str| {
        let place = work.path().join("it");
        match kind {
            "file" => work.write("it", text),
            "folder" => work.write("it/inner/most", text),
            "link" => symlink("there", &place).unwrap(),
            _ => {
                fs::create_dir(&place).unwrap();
                git(&place, &["init", "-q"]);
                git(&place, &["commit", "-q", "--allow-empty", "-m", "x"]);
                work.write("it/inner/most", text);
            }
        }
    };
    for before in &KINDS[..3] {
        for after in KINDS.iter().filter(|after| *after != before) {
            let world = World::new();
            let mut work = world.start(7);
            // Where the link leads there is what was below the folder.
            work.write("there/inner/most", "there");
            put(&work, before, "before");
            work.take_clean(2);
            work.prepare();
            let place = work.path().join("it");
            if *before == "folder" { fs::remove_dir_all(&place) } else { fs::remove_file(&place) }.unwrap();
            put(&work, after, "after");
            work.write("beside", "new");
            let taken = work.take(3);
            let what = format!("{before} to {after}: {taken:?}");
            assert!(taken.changed.contains(&"beside".to_owned()), "{what}");
            let there =
                git(world.bare(), &["ls-tree", "-r", "--format=%(objectmode) %(path)", taken.head.as_str(), "it"]);
            let expected = match (*before, *after) {
                (_, "file") => "100644 it",
                (_, "link") => "120000 it",
                // Files of the branch lie there: git takes it for the folder that it was.
                ("folder", _) | (_, "folder") => "100644 it/inner/most",
                _ => "",
            };
            assert_eq!(there, expected, "{what}");
        }
    }
}

#[test]
fn strange_names_survive() {
    let world = World::new();
    let mut work = world.start(7);
    let names =
        ["new\nline", "quo\"te", "-dash", "--", "ünïcödé ☃", "tab\there", " space ", ":(glob)*", "#hash", "a*b"];
    for name in names {
        work.write(name, name);
    }
    let mut taken = work.take_clean(2);
    let mut expected = names.map(str::to_owned);
    expected.sort();
    taken.changed.sort();
    assert_eq!(taken.changed, expected);
    for name in names {
        assert_eq!(work.read(name), name);
    }
    work.prepare();
    assert_eq!(work.git(&["status", "--porcelain"]), "");
    for name in names {
        fs::remove_file(work.path().join(name)).unwrap();
    }
    assert_eq!(work.take_clean(3).changed, expected);
}

#[test]
fn names_that_are_no_text_are_left_out_and_told() {
    let world = World::new();
    let work = world.start(7);
    let name = std::ffi::OsStr::from_bytes(b"bad\xff");
    fs::write(work.path().join(name), "x").unwrap();
    work.write(".GIT/config", "x");
    work.write("good", "x");
    let taken = work.take(2);
    assert_eq!(kinds(&taken), [TrespassKind::BadName; 2]);
    assert_eq!(taken.changed, ["good"]);
    // The same, committed by the agent itself.
    work.git(&["add", "--", "good"]);
    work.git(&["-c", "core.protectHFS=false", "-c", "core.protectNTFS=false", "add", "-A", "--", ":!.GIT"]);
    work.git(&["commit", "-qm", "All of it"]);
    let taken = work.take(3);
    assert!(taken.trespasses.iter().any(|trespass| trespass.kind == TrespassKind::HistoryRewritten), "{taken:?}");
}

#[test]
fn a_committed_name_that_is_no_text_is_put_back() {
    let world = World::new();
    let work = world.start(7);
    fs::write(work.path().join(std::ffi::OsStr::from_bytes(b"bad\xff")), "x").unwrap();
    work.commit("good", "x");
    let taken = work.take(2);
    assert_eq!(kinds(&taken), [TrespassKind::BadName]);
    assert_eq!(taken.changed, ["good"]);
}

#[test]
fn a_repeat_answers_as_the_first_call() {
    let world = World::new();
    let work = world.start(7);
    work.commit("a", "a");
    work.write("b", "b");
    let request = work.take_request(2);
    let first = world.forge.take_over(&request).unwrap();
    // The host died before it wrote that down.
    assert_eq!(world.forge.take_over(&request).unwrap(), first);
    // And even when the time that it is given differs.
    let mut later = request.clone();
    later.mark.at.0 += 5000;
    assert_eq!(world.forge.take_over(&later).unwrap().head, first.head);
    // Another job's write is not this one's.
    let mut other = request;
    other.mark.job.0 += 1;
    let moved = world.forge.take_over(&other);
    assert!(matches!(moved, Err(ForgeError::Moved { found: Some(found), .. }) if found == first.head));
}

#[test]
fn a_branch_that_a_person_moved_or_deleted_is_not_overwritten() {
    let world = World::new();
    let work = world.start(7);
    work.commit("a", "a");
    let request = work.take_request(2);
    git(&world.user, &["commit", "-q", "--allow-empty", "-m", "By hand"]);
    git(&world.user, &["push", "-q", "gatewright", "main:feature/T-7"]);
    let theirs = id(&git(&world.user, &["rev-parse", "main"]));
    let moved = world.forge.take_over(&request);
    assert!(matches!(moved, Err(ForgeError::Moved { found: Some(found), .. }) if found == theirs));
    git(&world.user, &["push", "-q", "gatewright", ":feature/T-7"]);
    assert!(matches!(world.forge.take_over(&request), Err(ForgeError::Moved { found: None, .. })));
}

#[test]
fn what_is_not_the_roles_is_put_back_and_told() {
    let world = World::new();
    let mut work = world.start(7);
    work.commit("docs/work-items/T-7/12-review.md", "verdict: fail\n");
    work.commit("docs/work-items/T-7/13-test-report.md", "red\n");
    work.take_clean(2);
    work.prepare();
    let expected = work.head();
    work.write("docs/work-items/T-7/13-test-report.md", "green, uncommitted\n");
    work.git(&["rm", "-q", "docs/work-items/T-7/12-review.md"]);
    work.commit("docs/work-items/T-7/01-brd.md", "invented\n");
    work.write("docs/work-items/T-7/14-deploy-log.md", "uncommitted\n");
    work.write("code", "x");
    let paths = PathRules { allowed: None, excluded: vec!["docs/work-items".into()] };
    let request = TakeOver { paths, ..work.take_request(3) };
    let taken = world.forge.take_over(&request).unwrap();
    assert_eq!(kinds(&taken), [TrespassKind::OutsideOwned; 3], "{:?}", taken.trespasses);
    assert_eq!(taken.changed, ["code"]);
    assert!(world.forge.is_ancestor(&expected, &taken.head).unwrap());
    assert_eq!(work.read("docs/work-items/T-7/12-review.md"), "verdict: fail\n");
    assert_eq!(work.read("docs/work-items/T-7/13-test-report.md"), "red\n");
}

#[test]
fn only_what_is_allowed_is_taken() {
    let world = World::new();
    let work = world.start(7);
    work.write("docs/a.md", "a");
    work.write("src/b", "b");
    let paths = PathRules { allowed: Some(vec!["docs".into()]), excluded: Vec::new() };
    let taken = world.forge.take_over(&TakeOver { paths, ..work.take_request(2) }).unwrap();
    assert_eq!(taken.changed, ["docs/a.md"]);
    assert_eq!(taken.trespasses, []);
}

#[test]
fn commits_beside_the_branch_count_if_they_rest_on_it() {
    let world = World::new();
    let mut work = world.start(7);
    work.git(&["checkout", "-q", "--detach"]);
    work.commit("detached", "x");
    work.write("left", "x");
    assert_eq!(work.take_clean(2).changed, ["detached", "left"]);
    work.prepare();
    work.git(&["checkout", "-q", "-b", "my-own"]);
    work.commit("own", "x");
    assert_eq!(work.take_clean(3).changed, ["own"]);
    work.prepare();
    work.commit("packed", "x");
    work.git(&["gc", "-q"]);
    work.git(&["pack-refs", "--all"]);
    assert_eq!(work.take_clean(4).changed, ["packed"]);
}

#[test]
fn a_clone_that_stands_elsewhere_gives_its_branch_and_not_its_files() {
    let world = World::new();
    let mut work = world.start(7);
    work.commit("first", "x");
    work.take_clean(2);
    work.prepare();
    // Looks at `main` and forgets to come back: its files are no reversal of the branch.
    work.git(&["checkout", "-q", "main"]);
    work.write("left", "x");
    let taken = work.take(3);
    assert_eq!((kinds(&taken), taken.changed.len()), (vec![TrespassKind::HeadElsewhere], 0));
    work.git(&["checkout", "-q", "-f", "feature/T-7"]);
    work.commit("second", "x");
    work.git(&["checkout", "-q", "main"]);
    let taken = work.take(4);
    assert_eq!(
        (kinds(&taken), taken.changed),
        (vec![TrespassKind::HeadElsewhere], vec!["left".into(), "second".into()])
    );
}

#[test]
fn rewritten_history_is_not_taken_but_kept() {
    let world = World::new();
    let mut work = world.start(7);
    work.commit("a", "a");
    work.take_clean(2);
    work.prepare();
    let before = work.head();
    work.write("a", "amended");
    work.git(&["commit", "-q", "--amend", "-a", "-m", "Amended"]);
    work.write("left", "x");
    let amended = work.git(&["rev-parse", "HEAD"]);
    let taken = work.take(3);
    assert_eq!(kinds(&taken), [TrespassKind::HistoryRewritten]);
    assert_eq!((&taken.head, taken.changed.len()), (&before, 0));
    assert!(taken.trespasses[0].note.contains("refs/gatewright/kept/task-7-job-3"), "{:?}", taken.trespasses);
    assert_eq!(git(world.bare(), &["rev-parse", "refs/gatewright/kept/task-7-job-3"]), amended);
}

#[test]
fn a_head_without_a_commit_still_gives_its_files() {
    let world = World::new();
    let work = world.start(7);
    work.git(&["checkout", "-q", "--orphan", "unborn"]);
    work.write("new", "x");
    let taken = work.take(2);
    assert_eq!((kinds(&taken), taken.changed), (vec![TrespassKind::GitFolderBroken], vec!["new".to_owned()]));
}

#[test]
fn a_locked_index_and_a_merge_in_the_middle_do_not_matter() {
    let world = World::new();
    let mut work = world.start(7);
    work.git(&["checkout", "-q", "-b", "side"]);
    work.commit("README.md", "one\n");
    work.git(&["checkout", "-q", "feature/T-7"]);
    work.commit("README.md", "two\n");
    assert!(!crate::world::try_git(&work.path(), &["merge", "side"]).status.success());
    work.write(".git/index.lock", "");
    let taken = work.take_clean(2);
    assert_eq!(taken.changed, ["README.md"]);
    assert!(work.read("README.md").contains("<<<<<<<"), "what was left is taken as it lies");
    work.prepare();
    assert_eq!(work.git(&["status", "--porcelain"]), "");
}

#[test]
fn documents_are_read_by_name_and_size() {
    let world = World::new();
    let work = world.start(7);
    let folder = "docs/work-items/T-7";
    let key = work.request().key;
    let collect = || world.forge.collect_documents(key, folder, CollectLimits::default()).unwrap();
    assert_eq!(collect(), Collected::default());
    work.write(&format!("{folder}/12-review.md"), "verdict");
    work.write(&format!("{folder}/06-adr/ADR-1.md"), "decision");
    work.write(&format!("{folder}/huge.md"), vec![b'x'; (1 << 20) + 1]);
    let collected = collect();
    let files = [("06-adr/ADR-1.md".to_owned(), b"decision".to_vec()), ("12-review.md".into(), b"verdict".to_vec())];
    assert_eq!(collected.files, files);
    let told: Vec<(TrespassKind, &str)> =
        collected.trespasses.iter().map(|trespass| (trespass.kind, trespass.path.as_str())).collect();
    assert_eq!(told, [(TrespassKind::TooLarge, "huge.md")]);
    for number in 0..150 {
        work.write(&format!("{folder}/many/{number}.md"), "x");
    }
    assert_eq!(collect().files.len(), 100);
    let gone = world.forge.collect_documents(crate::world::key(99), folder, CollectLimits::default());
    assert!(matches!(gone, Err(ForgeError::NotFound(_))));
}

/// With a link in its place no later clone could hold a document, and the developer would never be launched again to mend it.
#[test]
fn a_folder_of_documents_that_becomes_a_link_or_a_file_is_a_finding_and_not_taken() {
    for (number, committed) in [(7, true), (8, false)] {
        let world = World::new();
        let mut work = world.start(number);
        let before = work.head();
        let _ = std::fs::remove_dir_all(work.path().join("docs"));
        std::os::unix::fs::symlink("/x", work.path().join("docs")).unwrap();
        if committed {
            work.git(&["add", "--all", "--force"]);
            work.git(&["commit", "-q", "-m", "a link"]);
        }
        let mut request = work.take_request(2);
        request.paths.excluded = vec!["docs/work-items".to_owned()];
        let taken = world.forge.take_over(&request).unwrap();
        assert!(taken.trespasses.iter().any(|trespass| trespass.note.contains("must stay a folder")), "{taken:?}");
        assert_eq!(work.head(), before);
        work.prepare();
        assert!(work.path().join("docs").is_dir() || !work.path().join("docs").exists());
    }
}
