//! What plugins and gates see of the repository.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use conductor::ports::forge::{ForgeError, Sight};
use domain::ids::CommitId;
use domain::plugin::{ChangeKind, EntryKind};
use domain::time::Timestamp;

use crate::world::{World, git, id, lines};

/// A branch with a change of each sort. Answers base and head.
fn changed(world: &World) -> (CommitId, CommitId) {
    let user = &world.user;
    fs::write(user.join("gone.txt"), "gone\n").unwrap();
    fs::write(user.join("type.txt"), "a file\n").unwrap();
    fs::write(user.join("original.txt"), lines(1..=30)).unwrap();
    fs::write(user.join("blob.bin"), b"\0\x01").unwrap();
    git(user, &["add", "-A"]);
    git(user, &["commit", "-qm", "More files"]);
    git(user, &["push", "-q", "gatewright", "main"]);
    let work = world.start(7);
    let path = work.path();
    work.git(&["mv", "src/lib.txt", "src/renamed.txt"]);
    work.write("src/renamed.txt", lines(1..=11));
    fs::remove_file(path.join("gone.txt")).unwrap();
    fs::remove_file(path.join("type.txt")).unwrap();
    symlink("README.md", path.join("type.txt")).unwrap();
    work.write("original.txt", lines(1..=31));
    work.write("copy.txt", lines(1..=30));
    work.write("blob.bin", b"\0\x02\x03");
    work.write("run.sh", "#!/bin/sh\n");
    fs::set_permissions(path.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(path.join("README.md"), fs::Permissions::from_mode(0o755)).unwrap();
    work.write("weird \"näme\"\n", "x\n");
    let head = work.take_clean(2).head;
    (world.main(), head)
}

#[test]
fn changes_have_kind_lines_and_renames() {
    let world = World::new();
    let (base, head) = changed(&world);
    let changes = world.forge.changes(&base, &head).unwrap();
    let told: Vec<_> = changes
        .iter()
        .map(|file| {
            let old = file.old_path.as_deref().unwrap_or("");
            (file.path.as_str(), old, file.change, file.kind, file.binary, file.added_lines, file.deleted_lines)
        })
        .collect();
    use ChangeKind::{Added, Copied, Deleted, Modified, Renamed, TypeChanged};
    use EntryKind::{Executable, File, Symlink};
    let expected = [
        ("README.md", "", Modified, Executable, false, 0, 0),
        ("blob.bin", "", Modified, File, true, 0, 0),
        ("copy.txt", "original.txt", Copied, File, false, 0, 0),
        ("gone.txt", "", Deleted, File, false, 0, 1),
        ("original.txt", "", Modified, File, false, 1, 0),
        ("run.sh", "", Added, Executable, false, 1, 0),
        ("src/renamed.txt", "src/lib.txt", Renamed, File, false, 1, 0),
        ("type.txt", "", TypeChanged, Symlink, false, 1, 1),
        ("weird \"näme\"\n", "", Added, File, false, 1, 0),
    ];
    assert_eq!(told, expected);
    assert_eq!(world.forge.changes(&head, &head).unwrap(), []);
}

#[test]
fn a_diff_is_of_one_file_and_follows_a_rename() {
    let world = World::new();
    let (base, head) = changed(&world);
    let diff = |path: &str| world.forge.diff(&base, &head, path).map(|bytes| String::from_utf8(bytes).unwrap());
    let renamed = diff("src/renamed.txt").unwrap();
    assert!(renamed.contains("rename from src/lib.txt") && renamed.contains("+line 11"), "{renamed}");
    assert_eq!(renamed.matches("diff --git").count(), 1);
    assert!(diff("gone.txt").unwrap().contains("-gone"));
    assert!(diff("blob.bin").unwrap().contains("Binary files"));
    assert!(diff("weird \"näme\"\n").unwrap().contains("+x"));
    assert!(matches!(diff(".gitignore"), Err(ForgeError::NotFound(_))));
    assert!(matches!(diff("../x"), Err(ForgeError::Invalid(_))));
}

#[test]
fn files_are_read_from_objects_by_their_literal_name() {
    let world = World::new();
    let (base, head) = changed(&world);
    let read = |path: &str| world.forge.read(&head, path);
    assert_eq!(read("run.sh").unwrap(), b"#!/bin/sh\n");
    assert_eq!(read("weird \"näme\"\n").unwrap(), b"x\n");
    assert_eq!(world.forge.read(&base, "gone.txt").unwrap(), b"gone\n");
    for missing in ["gone.txt", "src", "*", "READ*", ":(glob)*", "type.txt/x", "README.md/x"] {
        assert!(matches!(read(missing), Err(ForgeError::NotFound(_))), "{missing}");
    }
    for broken in ["", "/etc/passwd", "../x", "src/../README.md", "./README.md", "src/", "type.txt"] {
        assert!(matches!(read(broken), Err(ForgeError::Invalid(_))), "{broken}");
    }
    let unknown = world.forge.read(&id(&"1".repeat(40)), "README.md");
    assert!(matches!(unknown, Err(ForgeError::NotFound(_))));
    assert!(matches!(read("bad\u{fffd}"), Err(ForgeError::Refused(_))));
}

#[test]
fn globs_match_whole_paths() {
    let world = World::new();
    let (_, head) = changed(&world);
    let list = |glob: &str| world.forge.list(&head, glob).unwrap();
    assert_eq!(list("*.txt"), ["copy.txt", "original.txt", "type.txt"]);
    assert_eq!(list("**/*.txt"), ["copy.txt", "original.txt", "src/renamed.txt", "type.txt"]);
    assert_eq!(list("src/**"), ["src/renamed.txt"]);
    assert_eq!(list("{run.sh,README.md}"), ["README.md", "run.sh"]);
    assert_eq!(list("run.s?"), ["run.sh"]);
    assert_eq!(list("nothing"), [""; 0]);
    assert!(matches!(world.forge.list(&head, "{a"), Err(ForgeError::Invalid(_))));
}

#[test]
fn answers_are_bounded() {
    let world = World::new();
    let work = world.start(7);
    let base = work.head();
    work.write("large.txt", "x".repeat((1 << 20) + 1));
    for number in 0..10_001 {
        work.write(&format!("many/{number}"), "");
    }
    let head = work.take_clean(2).head;
    let forge = &world.forge;
    assert!(matches!(forge.read(&head, "large.txt"), Err(ForgeError::TooLarge { limit, .. }) if limit == 1 << 20));
    assert!(matches!(forge.list(&head, "**"), Err(ForgeError::TooLarge { limit: 10_000, .. })));
    assert!(matches!(forge.changes(&base, &head), Err(ForgeError::TooLarge { limit: 10_000, .. })));
    assert_eq!(forge.list(&head, "*.txt").unwrap(), ["large.txt"]);
}

#[test]
fn a_diff_that_is_too_large_is_said_so() {
    let world = World::new();
    let work = world.start(7);
    let base = work.head();
    work.write("large.txt", "line\n".repeat(300_000));
    let head = work.take_clean(2).head;
    let diff = world.forge.diff(&base, &head, "large.txt");
    assert!(matches!(&diff, Err(ForgeError::TooLarge { what, .. }) if what.contains("large.txt")), "{diff:?}");
}

#[test]
fn commits_tell_who_when_and_what() {
    let world = World::new();
    let work = world.start(7);
    let base = work.head();
    work.commit("a", "a");
    work.git(&["commit", "-q", "--allow-empty", "-m", "Subject\n\nBody with\ntwo lines\n\n|"]);
    work.write("left", "x");
    let head = work.take_clean(5).head;
    let commits = world.forge.commits(&base, &head).unwrap();
    assert_eq!(commits.len(), 3);
    assert_eq!(commits[0].id, head);
    assert_eq!(commits[0].author, "developer <developer@gatewright.localhost>");
    assert_eq!(commits[0].committed_at, Timestamp(1_700_000_005_000));
    assert_eq!(commits[1].message, "Subject\n\nBody with\ntwo lines\n\n|");
    assert_eq!(commits[2].parents, std::slice::from_ref(&base));
    assert_eq!(commits[2].message, "Change a");
    let last = world.forge.last_change(&head, "a").unwrap().unwrap();
    assert_eq!(last.id, commits[2].id);
    assert_eq!(world.forge.last_change(&base, "a").unwrap(), None);
    assert_eq!(world.forge.last_change(&head, "README.md").unwrap().unwrap().id, base);
    assert_eq!(world.forge.last_change(&head, "*").unwrap(), None);
}

#[test]
fn ancestry_bases_and_trees() {
    let world = World::new();
    let work = world.start(7);
    let base = work.head();
    work.commit("a", "a");
    let head = work.take_clean(2).head;
    let forge = &world.forge;
    assert!(forge.is_ancestor(&base, &head).unwrap() && forge.is_ancestor(&head, &head).unwrap());
    assert!(!forge.is_ancestor(&head, &base).unwrap());
    assert_eq!(forge.merge_base(&base, &head).unwrap(), Some(base.clone()));
    git(&world.user, &["checkout", "-q", "--orphan", "alone"]);
    git(&world.user, &["commit", "-q", "-m", "Alone"]);
    git(&world.user, &["push", "-q", "gatewright", "alone"]);
    let alone = id(&git(&world.user, &["rev-parse", "alone"]));
    assert_eq!(forge.merge_base(&alone, &head).unwrap(), None);
    assert_eq!(forge.tree_of(&alone).unwrap(), forge.tree_of(&base).unwrap());
    assert_ne!(forge.tree_of(&head).unwrap(), forge.tree_of(&base).unwrap());
    let unknown = id(&"1".repeat(40));
    assert!(matches!(forge.is_ancestor(&unknown, &head), Err(ForgeError::NotFound(_))));
    assert!(matches!(forge.is_ancestor(&head, &unknown), Err(ForgeError::NotFound(_))));
    assert!(matches!(forge.tree_of(&unknown), Err(ForgeError::NotFound(_))));
    assert!(matches!(forge.merge_base(&unknown, &head), Err(ForgeError::NotFound(_))));
}

/// Whatever the repository's configuration and the commits' attributes name, nothing of it is run.
#[test]
fn a_glance_counts_lines_and_runs_nothing_that_is_named_to_it() {
    let world = World::new();
    let work = world.start(7);
    let base = work.head();
    let marks = tempfile::tempdir().unwrap();
    let mark = marks.path().join("ran");
    let trap = format!("touch {}; cat", mark.display());
    for setting in ["diff.external", "diff.trap.command", "diff.trap.textconv", "core.fsmonitor", "core.pager"] {
        git(world.bare(), &["config", setting, &trap]);
    }
    work.write(".gitattributes", "* diff=trap\n");
    work.write("new.txt", "one\ntwo\n");
    work.write("bytes", [0_u8, 1, 2]);
    let head = work.take_clean(2).head;
    let glance = world.forge.glance(&world.main(), &head).unwrap();
    assert_eq!(glance.base, base);
    let told: Vec<_> = glance
        .files
        .iter()
        .map(|file| (file.path.as_str(), file.added_lines, file.deleted_lines, file.binary))
        .collect();
    assert!(told.contains(&("new.txt", 2, 0, false)) && told.contains(&("bytes", 0, 0, true)), "{told:?}");
    assert!(!mark.exists(), "something that the configuration names was run");
    let nowhere = world.forge.glance(&base, &id(&"0".repeat(40)));
    assert!(matches!(nowhere, Err(ForgeError::NotFound(_))), "{nowhere:?}");
}
