//! Clones: fresh, repaired, remade, removed.

use std::fs;
use std::os::unix::fs::symlink;

use conductor::ports::forge::{CloneKey, CloneRequest, Forge, ForgeError};
use domain::ids::{JobId, TaskId};

use crate::world::{World, branch, git, id, mark, try_git};

#[test]
fn e1_2_an_agent_finds_its_branch_and_no_other_tasks() {
    let world = World::new();
    world.start(8);
    let work = world.start(7);
    let branches = work.git(&["for-each-ref", "--format=%(refname)"]);
    let expected = ["refs/heads/feature/T-7", "refs/heads/main", "refs/remotes/origin/main"];
    assert_eq!(branches.lines().collect::<Vec<_>>(), expected);
    assert_eq!(work.git(&["rev-parse", "--abbrev-ref", "HEAD"]), "feature/T-7");
    assert_eq!(work.git(&["status", "--porcelain"]), "");
    assert_eq!(work.git(&["rev-parse", "main", "origin/main"]).lines().collect::<Vec<_>>(), [world.main().as_str(); 2]);
    assert_eq!(work.git(&["config", "user.name"]), "developer");
    assert_eq!(work.git(&["remote"]), "");
    assert_eq!(work.git(&["log", "--format=%s", "main"]), "First");
    work.git(&["fsck", "--strict"]);
    assert!(work.path().join(".git").is_dir());
    assert_eq!(world.forge.clones().unwrap(), [7, 8].map(|task| CloneKey::of_task(TaskId(task))));
}

#[test]
fn a_clone_borrows_objects_and_has_none_of_its_own() {
    let world = World::new();
    let work = world.start(7);
    assert_eq!(work.git(&["count-objects"]), "0 objects, 0 kilobytes");
    let prepared = world.forge.prepare_clone(&work.request()).unwrap();
    let borrowed = fs::read_to_string(work.path().join(".git/objects/info/alternates")).unwrap();
    assert_eq!(borrowed.trim(), prepared.readable.to_str().unwrap());
}

#[test]
fn a_second_preparation_cleans_up_and_keeps_ignored_files_and_times() {
    let world = World::new();
    let mut work = world.start(7);
    let time = |work: &crate::world::Work<'_>| fs::metadata(work.path().join("README.md")).unwrap().modified().unwrap();
    let before = time(&work);
    work.write("src/lib.txt", "dirty");
    work.write("untracked/a", "x");
    work.write("target/cache", "built");
    fs::remove_file(work.path().join(".gitignore")).unwrap();
    work.git(&["config", "user.name", "somebody"]);
    work.git(&["checkout", "-q", "--detach"]);
    work.write(".git/index.lock", "");
    work.prepare();
    assert_eq!(work.git(&["status", "--porcelain"]), "");
    assert_eq!(work.git(&["rev-parse", "--abbrev-ref", "HEAD"]), "feature/T-7");
    assert_eq!(work.git(&["config", "user.name"]), "developer");
    assert!(!work.path().join("untracked").exists() && work.path().join("target/cache").exists());
    assert_eq!(time(&work), before, "a file that did not change is not written");
}

#[test]
fn a_clone_follows_its_branch() {
    let world = World::new();
    let mut work = world.start(7);
    work.commit("new.txt", "new");
    let taken = work.take_clean(2);
    work.prepare();
    assert_eq!(work.git(&["rev-parse", "HEAD"]), taken.head.as_str());
    assert_eq!(work.git(&["status", "--porcelain"]), "");
}

#[test]
fn whatever_lies_in_its_place_is_repaired_or_replaced() {
    let world = World::new();
    let mut work = world.start(7);
    let elsewhere = world.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("kept"), "x").unwrap();
    let path = work.path();
    let broken: [(&str, &dyn Fn()); 6] = [
        ("no .git", &|| fs::remove_dir_all(path.join(".git")).unwrap()),
        ("a .git that is a link", &|| {
            fs::remove_dir_all(path.join(".git")).unwrap();
            symlink(&elsewhere, path.join(".git")).unwrap();
        }),
        ("a folder that is a link", &|| {
            fs::remove_dir_all(path.join("src")).unwrap();
            symlink(&elsewhere, path.join("src")).unwrap();
        }),
        ("a clone that is a link", &|| {
            fs::remove_dir_all(&path).unwrap();
            symlink(&elsewhere, &path).unwrap();
        }),
        ("a clone that is a file", &|| {
            fs::remove_dir_all(&path).unwrap();
            fs::write(&path, "x").unwrap();
        }),
        ("repositories within", &|| {
            git(&path, &["init", "-q", "nested"]);
            git(&path, &["init", "-q", "src/nested"]);
        }),
    ];
    for (name, destroy) in broken {
        destroy();
        work.prepare();
        assert_eq!(work.git(&["status", "--porcelain"]), "", "{name}");
        assert!(path.join(".git").symlink_metadata().unwrap().is_dir(), "{name}");
        assert_eq!(fs::read_to_string(path.join("src/lib.txt")).unwrap().lines().count(), 10, "{name}");
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1, "{name}: what lies outside was touched");
    }
    assert_eq!(fs::read_dir(world.forge.layout().clones.join(".trash")).unwrap().count(), 0);
}

#[test]
fn a_clone_of_a_moved_branch_is_refused() {
    let world = World::new();
    let work = world.start(7);
    let request = work.request();
    work.commit("a", "a");
    work.take_clean(2);
    let stale = world.forge.prepare_clone(&request);
    assert!(matches!(stale, Err(ForgeError::Moved { found: Some(found), .. }) if found == work.head()));
    let unknown = CloneRequest { head: id(&"1".repeat(40)), ..request };
    assert!(matches!(world.forge.prepare_clone(&unknown), Err(ForgeError::NotFound(_))));
}

#[test]
fn a_throwaway_clone_is_new_each_time_and_goes_alone() {
    let world = World::new();
    let work = world.start(7);
    let key = CloneKey::of_job(TaskId(7), JobId(12));
    // The judged commit, though the branch went on.
    let request = CloneRequest { key, role: None, ..work.request() };
    work.commit("a", "a");
    work.take_clean(2);
    let path = world.forge.prepare_clone(&request).unwrap().path;
    fs::create_dir(path.join("target")).unwrap();
    assert_eq!(git(&path, &["rev-parse", "HEAD"]), world.main().as_str());
    world.forge.prepare_clone(&request).unwrap();
    assert!(!path.join("target").exists());
    let keys = [CloneKey::of_task(TaskId(7)), key];
    assert_eq!(world.forge.clones().unwrap(), keys);
    world.forge.remove_clone(key).unwrap();
    world.forge.remove_clone(key).unwrap();
    assert!(!path.exists() && work.path().exists());
    world.forge.prepare_clone(&request).unwrap();
    world.forge.remove_clones(TaskId(7)).unwrap();
    assert_eq!(world.forge.clones().unwrap(), []);
}

#[test]
fn owned_paths_are_gone_and_the_folder_is_there() {
    let world = World::new();
    let mut work = world.start(7);
    work.commit("docs/work-items/T-7/12-review.md", "old");
    work.commit("docs/work-items/T-7/01-brd.md", "kept");
    work.take_clean(2);
    let folder = "docs/work-items/T-7".to_owned();
    let empty = vec![format!("{folder}/12-review.md"), format!("{folder}/06-adr"), "nowhere/x".into()];
    let request = CloneRequest { empty, folder: Some(folder.clone()), ..work.request() };
    let path = world.forge.prepare_clone(&request).unwrap().path;
    assert!(path.join(&folder).join("01-brd.md").exists());
    assert!(!path.join(&folder).join("12-review.md").exists());
    for broken in ["/etc", "../x", "a//b", ""] {
        let request = CloneRequest { folder: Some(broken.into()), ..work.request() };
        assert!(matches!(world.forge.prepare_clone(&request), Err(ForgeError::Invalid(_))), "{broken}");
    }
    work.prepare();
}

#[test]
fn a_link_where_the_folder_should_be_is_refused_and_nothing_behind_it_is_touched() {
    let world = World::new();
    let work = world.start(7);
    let outside = world.folder.path().join("outside");
    fs::create_dir_all(outside.join("work-items")).unwrap();
    fs::write(outside.join("work-items/12-review.md"), "x").unwrap();
    symlink(&outside, work.path().join("docs")).unwrap();
    work.git(&["add", "-A"]);
    work.git(&["commit", "-qm", "A link"]);
    work.take_clean(2);
    let empty = vec!["docs/work-items/12-review.md".into()];
    let request = CloneRequest { empty, folder: Some("docs/work-items/T-7".into()), ..work.request() };
    let refused = world.forge.prepare_clone(&request);
    assert!(
        matches!(&refused, Err(ForgeError::Refused(text)) if text.contains("`docs` must be a folder")),
        "{refused:?}"
    );
    assert_eq!(fs::read_dir(outside.join("work-items")).unwrap().count(), 1);
}

#[test]
fn a_half_made_clone_is_not_seen_and_a_crash_in_a_repair_does_no_harm() {
    let world = World::new();
    let mut work = world.start(7);
    // As a crash leaves it between the old `.git` and the new.
    fs::remove_dir_all(work.path().join(".git")).unwrap();
    fs::create_dir_all(world.forge.layout().clones.join(".making-abc/git")).unwrap();
    assert_eq!(world.forge.clones().unwrap().len(), 1);
    work.prepare();
    assert_eq!(work.git(&["status", "--porcelain"]), "");
}

#[test]
fn branches_are_cut_once_listed_and_deleted_with_care() {
    let world = World::new();
    let name = branch("feature/x");
    let first = world.main();
    assert_eq!(world.forge.cut_branch(&mark(1, 1), &name, &first).unwrap(), first);
    assert_eq!(world.forge.cut_branch(&mark(1, 1), &name, &first).unwrap(), first);
    git(&world.user, &["commit", "-q", "--allow-empty", "-m", "By hand"]);
    git(&world.user, &["push", "-q", "gatewright", "main"]);
    // The base moved between a crash and the repeat.
    assert_eq!(world.forge.cut_branch(&mark(1, 1), &name, &world.main()).unwrap(), first);
    assert_eq!(world.forge.task_branches().unwrap(), [(name.clone(), first.clone())]);

    git(&world.user, &["checkout", "-q", "-b", "theirs", first.as_str()]);
    git(&world.user, &["commit", "-q", "--allow-empty", "-m", "Work"]);
    git(&world.user, &["push", "-q", "gatewright", "theirs:feature/x", "theirs:feature/y"]);
    let tip = id(&git(&world.user, &["rev-parse", "theirs"]));
    let taken = world.forge.cut_branch(&mark(2, 2), &name, &world.main());
    assert!(matches!(taken, Err(ForgeError::Refused(text)) if text.contains("holds commits")));
    let kept = world.forge.discard_branch(TaskId(1), &name, &first).unwrap();
    assert_eq!(kept.as_ref(), Some(&tip), "another hand's work is not thrown away");
    for _ in 0..2 {
        assert_eq!(world.forge.discard_branch(TaskId(1), &name, &tip).unwrap(), None);
    }
    assert_eq!(world.forge.task_branches().unwrap(), [(branch("feature/y"), tip)]);
    let base = world.forge.discard_branch(TaskId(1), &branch("main"), &world.main());
    assert!(matches!(base, Err(ForgeError::Refused(_))));
    // A person's deletion is seen.
    assert!(try_git(&world.user, &["push", "-q", "gatewright", ":feature/y"]).status.success());
    assert_eq!(world.forge.task_branches().unwrap(), []);
    let unknown = world.forge.cut_branch(&mark(1, 1), &name, &id(&"1".repeat(40)));
    assert!(matches!(unknown, Err(ForgeError::NotFound(_))));
}
