//! Clones that an adversary prepared to be read: nothing outside is read, nothing waits, nothing broken is taken.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use conductor::ports::forge::{CollectLimits, Forge, ForgeError, Sight, TrespassKind};

use crate::world::{World, git, id, kinds, try_git};

/// A repository that the agent must not read, with one secret blob.
fn secret(world: &World) -> (PathBuf, String) {
    let secret = world.folder.path().join("secret");
    fs::create_dir(&secret).unwrap();
    git(&secret, &["init", "-q", "-b", "main"]);
    fs::write(secret.join("token"), "hunter2\n").unwrap();
    git(&secret, &["add", "-A"]);
    git(&secret, &["commit", "-qm", "Secret"]);
    let blob = git(&secret, &["rev-parse", "HEAD:token"]);
    (secret, blob)
}

fn assert_not_in(world: &World, object: &str) {
    assert!(!try_git(world.bare(), &["cat-file", "-e", object]).status.success(), "{object} came into the repository");
}

#[test]
fn planted_alternates_bring_nothing_from_outside() {
    let world = World::new();
    let work = world.start(7);
    let (secret, blob) = secret(&world);
    let alternates = work.path().join(".git/objects/info/alternates");
    let own = fs::read_to_string(&alternates).unwrap();
    fs::write(&alternates, format!("{own}{}/.git/objects\n", secret.display())).unwrap();
    work.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},stolen")]);
    work.git(&["commit", "-qm", "Take it along"]);
    work.git(&["reset", "-q", "--hard"]);
    fs::remove_file(work.path().join("stolen")).unwrap();
    let taken = work.take(2);
    assert_eq!(kinds(&taken), [TrespassKind::ObjectsRefused], "{taken:?}");
    assert_eq!(taken.head, world.main());
    assert_not_in(&world, &blob);
}

#[test]
fn objects_reached_by_links_are_not_copied() {
    let world = World::new();
    let work = world.start(7);
    let (secret, blob) = secret(&world);
    let objects = work.path().join(".git/objects");
    let fan_out = &blob[..2];
    let _ = fs::remove_dir_all(objects.join(fan_out));
    symlink(secret.join(".git/objects").join(fan_out), objects.join(fan_out)).unwrap();
    work.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},stolen")]);
    let tree = work.git(&["write-tree"]);
    let commit = work.git(&["commit-tree", &tree, "-p", "HEAD", "-m", "Take it along"]);
    work.git(&["update-ref", "refs/heads/feature/T-7", &commit]);
    assert_eq!(kinds(&work.take(2)), [TrespassKind::ObjectsRefused]);
    assert_not_in(&world, &blob);
    // The whole folder of objects, and single files of it.
    fs::remove_file(objects.join(fan_out)).unwrap();
    fs::create_dir_all(objects.join(fan_out)).unwrap();
    symlink(secret.join(".git/objects").join(fan_out).join(&blob[2..]), objects.join(fan_out).join(&blob[2..]))
        .unwrap();
    assert_eq!(kinds(&work.take(3)), [TrespassKind::ObjectsRefused]);
    fs::rename(&objects, work.path().join("moved")).unwrap();
    symlink(work.path().join("moved"), &objects).unwrap();
    assert!(kinds(&work.take(4)).contains(&TrespassKind::GitFolderBroken));
    assert_not_in(&world, &blob);
}

#[test]
fn a_git_folder_that_leads_elsewhere_gives_files_only() {
    let world = World::new();
    let (secret, blob) = secret(&world);
    type Plant<'a> = &'a dyn Fn(&Path);
    let planted: [(&str, Plant<'_>); 4] = [
        ("link", &|git_folder| symlink(secret.join(".git"), git_folder).unwrap()),
        ("file", &|git_folder| fs::write(git_folder, format!("gitdir: {}/.git\n", secret.display())).unwrap()),
        ("gone", &|_| ()),
        ("pipe", &|git_folder| make_pipe(git_folder)),
    ];
    for (task, (name, plant)) in planted.into_iter().enumerate() {
        let work = world.start(task as u64 + 10);
        work.write("own", "x");
        fs::remove_dir_all(work.path().join(".git")).unwrap();
        plant(&work.path().join(".git"));
        let taken = work.take(2);
        assert!(kinds(&taken).contains(&TrespassKind::GitFolderBroken), "{name}: {taken:?}");
        assert_eq!(taken.changed, ["own"], "{name}");
        assert_not_in(&world, &blob);
    }
}

#[test]
fn a_clone_that_is_a_link_is_no_clone() {
    let world = World::new();
    let work = world.start(7);
    let (secret, _) = secret(&world);
    fs::remove_dir_all(work.path()).unwrap();
    symlink(&secret, work.path()).unwrap();
    let taken = world.forge.take_over(&work.take_request(2));
    assert!(matches!(taken, Err(ForgeError::NotFound(_))), "{taken:?}");
    let collected = world.forge.collect_documents(work.request().key, ".git", CollectLimits::default());
    assert!(matches!(collected, Err(ForgeError::NotFound(_))));
    world.forge.remove_clone(work.request().key).unwrap();
    assert!(secret.join("token").exists());
}

fn make_pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn pipes_and_sockets_make_nothing_wait() {
    let world = World::new();
    let mut work = world.start(7);
    fs::remove_file(work.path().join(".gitignore")).unwrap();
    fs::remove_file(work.path().join("README.md")).unwrap();
    fs::create_dir_all(work.path().join("docs/nested/.git")).unwrap();
    for place in
        [".gitignore", ".gitattributes", "README.md", "src/.gitignore", "docs/12-review.md", "docs/nested/.git/HEAD"]
    {
        make_pipe(&work.path().join(place));
    }
    for place in [".git/refs/heads/pipe", ".git/packed-refs", ".git/objects/pack/pack-x.pack", ".git/index.lock"] {
        make_pipe(&work.path().join(place));
    }
    let _socket = UnixListener::bind(work.path().join("socket")).unwrap();
    let collected = world.forge.collect_documents(work.request().key, "docs", CollectLimits::default()).unwrap();
    assert_eq!(collected.files, []);
    assert!(collected.trespasses.iter().all(|trespass| trespass.kind == TrespassKind::SpecialFile));
    assert_eq!(collected.trespasses.len(), 2, "{:?}", collected.trespasses);
    work.write("work", "x");
    let taken = work.take(2);
    assert!(kinds(&taken).iter().filter(|kind| **kind == TrespassKind::SpecialFile).count() == 7, "{taken:?}");
    assert!(taken.changed.contains(&"work".to_owned()));
    make_pipe(&work.path().join(".gitignore"));
    make_pipe(&work.path().join("src/.gitattributes"));
    fs::remove_file(work.path().join(".git/config")).unwrap();
    make_pipe(&work.path().join(".git/config"));
    work.prepare();
    assert_eq!(work.git(&["status", "--porcelain"]), "");
    // A `HEAD` that is a pipe names nothing.
    fs::remove_file(work.path().join(".git/HEAD")).unwrap();
    make_pipe(&work.path().join(".git/HEAD"));
    assert_eq!(kinds(&work.take(3)), [TrespassKind::GitFolderBroken]);
}

#[test]
fn documents_behind_links_are_not_read() {
    let world = World::new();
    let work = world.start(7);
    let (secret, _) = secret(&world);
    let key = work.request().key;
    let collect = |folder: &str| world.forge.collect_documents(key, folder, CollectLimits::default()).unwrap();
    work.write("docs/real.md", "x");
    symlink(secret.join("token"), work.path().join("docs/12-review.md")).unwrap();
    symlink(&secret, work.path().join("docs/06-adr")).unwrap();
    let collected = collect("docs");
    assert_eq!(collected.files, [("real.md".to_owned(), b"x".to_vec())]);
    assert_eq!(collected.trespasses.len(), 2);
    assert!(collected.trespasses.iter().all(|trespass| trespass.kind == TrespassKind::SymbolicLink));
    symlink(&secret, work.path().join("linked")).unwrap();
    fs::create_dir(secret.join("inner")).unwrap();
    fs::write(secret.join("inner/12-review.md"), "x").unwrap();
    for folder in ["linked", "linked/inner"] {
        let collected = collect(folder);
        assert_eq!((collected.files.len(), collected.trespasses.len()), (0, 1), "{folder}");
    }
    for folder in ["../secret", "/etc", "docs/../../secret"] {
        let refused = world.forge.collect_documents(key, folder, CollectLimits::default());
        assert!(matches!(refused, Err(ForgeError::Invalid(_))), "{folder}");
    }
}

#[test]
fn a_linked_folder_gives_the_link_and_not_what_lies_behind() {
    let world = World::new();
    let work = world.start(7);
    let (secret, blob) = secret(&world);
    fs::remove_dir_all(work.path().join("src")).unwrap();
    symlink(&secret, work.path().join("src")).unwrap();
    let taken = work.take_clean(2);
    assert_eq!(taken.changed, ["src", "src/lib.txt"]);
    assert_not_in(&world, &blob);
}

#[test]
fn repositories_within_are_left_out() {
    let world = World::new();
    let work = world.start(7);
    git(&work.path(), &["init", "-q", "nested"]);
    work.write("nested/file", "x");
    git(&work.path().join("nested"), &["add", "-A"]);
    git(&work.path().join("nested"), &["commit", "-qm", "Inner"]);
    git(&work.path(), &["init", "-q", "target/dependency"]);
    work.write("linked/.git", "gitdir: ../nested/.git\n");
    fs::remove_dir_all(work.path().join("src")).unwrap();
    git(&work.path(), &["init", "-q", "src"]);
    git(&work.path().join("src"), &["commit", "-q", "--allow-empty", "-m", "x"]);
    let taken = work.take(2);
    assert!(kinds(&taken).iter().all(|kind| *kind == TrespassKind::NestedRepository), "{taken:?}");
    let mut paths: Vec<&str> = taken.trespasses.iter().map(|trespass| trespass.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["linked/", "nested/"]);
    assert_eq!(taken.changed, ["src/lib.txt"]);
}

#[test]
fn repositories_within_that_the_agent_committed_are_put_back() {
    let world = World::new();
    let work = world.start(7);
    git(&work.path(), &["init", "-q", "nested"]);
    git(&work.path().join("nested"), &["commit", "-q", "--allow-empty", "-m", "Inner"]);
    work.commit("own", "x");
    assert!(work.git(&["ls-tree", "-r", "HEAD"]).contains("160000 commit"));
    let taken = work.take(2);
    assert_eq!(kinds(&taken), [TrespassKind::NestedRepository]);
    assert_eq!(taken.changed, ["own"]);
}

#[test]
fn a_file_that_became_a_repository_is_a_deletion() {
    let world = World::new();
    let work = world.start(7);
    fs::remove_file(work.path().join("README.md")).unwrap();
    git(&work.path(), &["init", "-q", "README.md"]);
    git(&work.path().join("README.md"), &["commit", "-q", "--allow-empty", "-m", "x"]);
    let taken = work.take(2);
    assert_eq!(taken.changed, ["README.md"]);
    assert!(world.forge.list(&taken.head, "README.md").unwrap().is_empty(), "{taken:?}");
}

#[test]
fn huge_files_are_left_out_and_in_commits_refused() {
    let world = World::new();
    let mut work = world.start(7);
    // Sparse, and packed to almost nothing.
    let huge = fs::File::create(work.path().join("huge")).unwrap();
    huge.set_len(60 << 20).unwrap();
    work.write("small", "x");
    let taken = work.take(2);
    assert_eq!((kinds(&taken), taken.changed), (vec![TrespassKind::TooLarge], vec!["small".to_owned()]));
    work.prepare();
    let huge = fs::File::create(work.path().join("huge")).unwrap();
    huge.set_len(60 << 20).unwrap();
    work.commit("also", "x");
    let offered = id(&work.git(&["rev-parse", "HEAD"]));
    let taken = work.take(3);
    assert_eq!(kinds(&taken), [TrespassKind::TooLarge; 2]);
    assert!(taken.trespasses.iter().all(|trespass| trespass.path == "huge"));
    assert_eq!(taken.changed, ["also"], "the rest of the work is not lost");
    assert!(matches!(world.forge.tree_of(&offered), Err(ForgeError::NotFound(_))));
}

#[test]
fn broken_and_forged_objects_are_refused() {
    let world = World::new();
    let mut work = world.start(7);
    // An object that is missing.
    work.commit("a", "content of a");
    let blob = work.git(&["rev-parse", "HEAD:a"]);
    let place = work.path().join(".git/objects").join(&blob[..2]).join(&blob[2..]);
    let bytes = fs::read(&place).unwrap();
    fs::remove_file(&place).unwrap();
    fs::remove_file(work.path().join("a")).unwrap();
    assert_eq!(kinds(&work.take(2)), [TrespassKind::ObjectsRefused]);
    // One with another's content under its name.
    work.write("b", "content of b");
    let other = work.git(&["hash-object", "-w", "b"]);
    fs::remove_file(work.path().join("b")).unwrap();
    fs::copy(work.path().join(".git/objects").join(&other[..2]).join(&other[2..]), &place).unwrap();
    assert_eq!(kinds(&work.take(3)), [TrespassKind::ObjectsRefused]);
    // Rubbish.
    fs::write(&place, "rubbish").unwrap_or_else(|_| {
        fs::remove_file(&place).unwrap();
        fs::write(&place, "rubbish").unwrap();
    });
    assert_eq!(kinds(&work.take(4)), [TrespassKind::ObjectsRefused]);
    assert_eq!(work.head(), world.main());
    // Whole again, it is taken.
    fs::remove_file(&place).unwrap();
    fs::write(&place, bytes).unwrap();
    work.write("a", "content of a");
    assert_eq!(work.take_clean(5).head, id(&work.git(&["rev-parse", "HEAD"])));
    work.prepare();
    // Rubbish that no commit needs is no matter.
    work.commit("c", "c");
    fs::write(work.path().join(".git/objects/pack").join(format!("pack-{blob}.pack")), "PACK rubbish").unwrap();
    assert_eq!(work.take_clean(6).changed, ["c"]);
}

#[test]
fn trees_that_git_calls_dangerous_are_refused() {
    let world = World::new();
    for (task, name) in [".git", "..", ".GIT", "git~1"].into_iter().enumerate() {
        let work = world.start(task as u64 + 10);
        work.write("x", "x");
        let blob = work.git(&["hash-object", "-w", "x"]);
        fs::remove_file(work.path().join("x")).unwrap();
        let mut tree = format!("100644 {name}\0").into_bytes();
        tree.extend((0..20).map(|at| u8::from_str_radix(&blob[at * 2..at * 2 + 2], 16).unwrap()));
        fs::write(work.path().join(".git/raw"), tree).unwrap();
        let tree = work.git(&["hash-object", "-t", "tree", "-w", "--literally", ".git/raw"]);
        let commit = work.git(&["commit-tree", &tree, "-p", "HEAD", "-m", "Dangerous"]);
        work.git(&["update-ref", "refs/heads/feature/T-1", &commit]);
        work.git(&["update-ref", "HEAD", &commit]);
        let taken = work.take(2);
        assert!(kinds(&taken).contains(&TrespassKind::ObjectsRefused), "{name}: {taken:?}");
        assert_eq!(taken.head, world.main(), "{name}");
    }
}

#[test]
fn refs_and_shallow_marks_and_replacements_of_the_clone_are_not_believed() {
    let world = World::new();
    let work = world.start(7);
    work.commit("a", "honest");
    let honest = work.git(&["rev-parse", "HEAD"]);
    work.commit("a", "false");
    let lie = work.git(&["rev-parse", "HEAD"]);
    work.git(&["reset", "-q", "--hard", &honest]);
    work.git(&["replace", &honest, &lie]);
    work.write(".git/shallow", format!("{honest}\n"));
    work.write(".git/info/grafts", format!("{honest}\n"));
    work.git(&["update-ref", "refs/heads/main", &honest]);
    work.write("a", "honest");
    let taken = work.take_clean(2);
    assert_eq!(taken.head, id(&honest));
    assert_eq!(work.read("a"), "honest");
    assert_eq!(
        git(world.bare(), &["for-each-ref", "refs/replace", "refs/heads/main", "--format=%(objectname)"]),
        world.main().as_str()
    );
    assert_ne!(world.main(), id(&honest));
}

#[test]
fn folders_without_end_and_folders_without_rights_are_no_trap() {
    let world = World::new();
    let mut work = world.start(7);
    let mut place = work.path();
    for _ in 0..120 {
        place.push("d");
        fs::create_dir(&place).unwrap();
    }
    fs::write(place.join("file"), "x").unwrap();
    work.write("locked/inner/file", "x");
    work.write("unreadable", "x");
    for (name, mode) in [("locked/inner", 0o000), ("locked", 0o000), ("unreadable", 0o000)] {
        fs::set_permissions(work.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let taken = work.take(2);
    assert_eq!(kinds(&taken), [TrespassKind::TooDeep], "{taken:?}");
    assert_eq!(taken.changed, ["locked/inner/file", "unreadable"]);
    fs::set_permissions(work.path().join("locked"), fs::Permissions::from_mode(0o000)).unwrap();
    work.prepare();
    fs::set_permissions(work.path().join("locked"), fs::Permissions::from_mode(0o000)).unwrap();
    world.forge.remove_clone(work.request().key).unwrap();
    assert!(!work.path().exists());
}
