//! Making the repository from the user's, opening it again, people's own pushes and pulls.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use adapters::git::{EmbeddedForge, Layout, Synced};
use conductor::ports::forge::{Forge, ForgeError, Sight};
use domain::ids::{ProjectName, TaskId};

use crate::world::{World, branch, git, id, layout, mark, try_git};

fn init(folder: &tempfile::TempDir, user: &Path, base: &str) -> Result<EmbeddedForge, ForgeError> {
    EmbeddedForge::init(Path::new("git"), layout(folder), user, &branch(base)).map(|(forge, _)| forge)
}

fn refusal(folder: &tempfile::TempDir, user: &Path, base: &str) -> String {
    match init(folder, user, base) {
        Err(ForgeError::Refused(text)) => text,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn the_repository_is_the_base_branch_alone_and_the_user_gets_a_remote() {
    let world = World::new();
    git(&world.user, &["branch", "private"]);
    git(&world.user, &["tag", "v1"]);
    let head = git(&world.user, &["rev-parse", "main"]);
    assert_eq!(world.main(), id(&head));
    assert_eq!(git(world.bare(), &["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
    assert!(!world.bare().join("hooks").exists());
    assert!(!world.bare().join("objects/info/alternates").exists(), "objects are copied");
    assert_eq!(git(&world.user, &["status", "--porcelain"]), "");
    assert_eq!(git(&world.user, &["remote", "get-url", "gatewright"]), world.bare().to_str().unwrap());
    assert_eq!(world.forge.pull_command(), "git pull gatewright main");
}

#[test]
fn a_repeat_changes_nothing_and_another_base_is_refused() {
    let world = World::new();
    let before = world.main();
    let again = init(&world.folder, &world.user, "main").unwrap();
    assert_eq!(again.base_head(&branch("main")).unwrap(), before);
    git(&world.user, &["branch", "trunk"]);
    assert!(refusal(&world.folder, &world.user, "trunk").contains("base branch is `main`"));
}

#[test]
fn what_cannot_be_copied_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let user = folder.path().join("user");
    fs::create_dir(&user).unwrap();
    assert!(refusal(&folder, &user, "main").contains("git init"));
    assert!(refusal(&folder, &folder.path().join("nowhere"), "main").contains("cannot be opened"));
    git(&user, &["init", "-q", "-b", "main"]);
    assert!(refusal(&folder, &user, "main").contains("git commit -m"));
    git(&user, &["commit", "-q", "--allow-empty", "-m", "First"]);
    assert!(refusal(&folder, &user, "trunk").contains("no branch `trunk`; it has: main"));
    assert_eq!(git(&user, &["remote"]), "", "a refused repository is not touched");
    git(&user, &["commit", "-q", "--allow-empty", "-m", "Second"]);
    let url = format!("file://{}", user.display());
    git(folder.path(), &["clone", "-q", "--depth=1", &url, "shallow"]);
    assert!(refusal(&folder, &folder.path().join("shallow"), "main").contains("--unshallow"));
    git(&user, &["remote", "add", "gatewright", "/elsewhere"]);
    assert!(refusal(&folder, &user, "main").contains("remote rename"));
    assert!(!layout(&folder).repository.exists());
    git(&user, &["remote", "remove", "gatewright"]);
    init(&folder, &user, "main").unwrap();
}

#[test]
fn a_repository_of_sha256_and_one_with_its_own_hooks_are_copied() {
    let folder = tempfile::tempdir().unwrap();
    let user = folder.path().join("user");
    fs::create_dir(&user).unwrap();
    git(&user, &["init", "-q", "-b", "main", "--object-format=sha256"]);
    git(&user, &["commit", "-q", "--allow-empty", "-m", "First"]);
    let marker = folder.path().join("ran");
    let script = format!("#!/bin/sh\ntouch {}\n", marker.display());
    for name in ["post-checkout", "reference-transaction", "pre-push", "fsmonitor"] {
        let hook = user.join(".git/hooks").join(name);
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        fs::write(&hook, &script).unwrap();
        fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    git(&user, &["config", "core.fsmonitor", user.join(".git/hooks/fsmonitor").to_str().unwrap()]);
    git(&user, &["config", "uploadpack.packObjectsHook", user.join(".git/hooks/fsmonitor").to_str().unwrap()]);
    let forge = init(&folder, &user, "main").unwrap();
    assert_eq!(forge.base_head(&branch("main")).unwrap().as_str().len(), 64);
    assert!(!marker.exists());
}

#[test]
fn a_project_without_a_repository_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let opened = EmbeddedForge::open(Path::new("git"), layout(&folder));
    assert!(matches!(opened, Err(ForgeError::Refused(text)) if text.contains("gatewright init")));
    let relative = Layout::new(Path::new("state"), &ProjectName::new("x").unwrap());
    assert!(matches!(EmbeddedForge::open(Path::new("git"), relative), Err(ForgeError::Refused(_))));
    let opened = EmbeddedForge::open(Path::new("/nonexistent/git"), layout(&folder));
    assert!(matches!(opened, Err(ForgeError::Infra(text)) if text.contains("cannot be started")));
}

#[test]
fn people_push_fast_forward_and_pull_and_nothing_else() {
    let world = World::new();
    let first = world.main();
    git(&world.user, &["commit", "-q", "--allow-empty", "-m", "By hand"]);
    git(&world.user, &["push", "-q", "gatewright", "main"]);
    assert_eq!(world.main(), id(&git(&world.user, &["rev-parse", "main"])));
    git(&world.user, &["reset", "-q", "--hard", first.as_str()]);
    assert!(!try_git(&world.user, &["push", "-q", "--force", "gatewright", "main"]).status.success());
    assert!(!try_git(&world.user, &["push", "-q", "gatewright", ":main"]).status.success());
    let hidden = "HEAD:refs/gatewright/seen";
    assert!(!try_git(&world.user, &["push", "-q", "gatewright", hidden]).status.success());
    git(&world.user, &["pull", "-q", "gatewright", "main"]);
    assert_eq!(world.main(), id(&git(&world.user, &["rev-parse", "main"])));
}

#[test]
fn the_base_follows_the_users_repository_forward_only() {
    let world = World::new();
    assert_eq!(world.forge.sync_base_from(&world.user).unwrap(), Synced::Current(world.main()));
    git(&world.user, &["commit", "-q", "--allow-empty", "-m", "By hand"]);
    let theirs = id(&git(&world.user, &["rev-parse", "main"]));
    assert_eq!(world.forge.sync_base_from(&world.user).unwrap(), Synced::Moved(theirs.clone()));
    assert_eq!(world.main(), theirs);
    git(&world.user, &["commit", "-q", "--amend", "--allow-empty", "-m", "Otherwise"]);
    let other = id(&git(&world.user, &["rev-parse", "main"]));
    let diverged = Synced::Diverged { ours: theirs.clone(), theirs: other };
    assert_eq!(world.forge.sync_base_from(&world.user).unwrap(), diverged);
    assert_eq!(world.main(), theirs);
}

/// Before the file was written, that is: just now.
fn a_minute_before(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap() - Duration::from_mins(1)
}

#[test]
fn locks_and_halves_that_a_crash_left_are_cleared_at_the_start() {
    let world = World::new();
    let old = a_minute_before(world.bare());
    let stale = [world.bare().join("refs/heads/main.lock"), world.bare().join("packed-refs.lock")];
    for lock in &stale {
        fs::File::create(lock).unwrap().set_modified(old).unwrap();
    }
    let fresh = world.bare().join("refs/heads/other.lock");
    fs::File::create(&fresh).unwrap();
    let half = world.forge.layout().clones.join(".making-x/tree/deep");
    fs::create_dir_all(&half).unwrap();
    let quarantine = world.forge.layout().cache.join("quarantine-x/objects");
    fs::create_dir_all(&quarantine).unwrap();
    let _world = world.restarted();
    assert!(stale.iter().all(|lock| !lock.exists()));
    assert!(fresh.exists(), "a person may be pushing at this moment");
    assert!(!half.exists() && !quarantine.exists());
}

#[test]
fn a_lock_that_turns_stale_later_does_not_stop_a_write() {
    let world = World::new();
    let lock = world.bare().join("refs/heads/feature/x.lock");
    fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let file = fs::File::create(&lock).unwrap();
    let name = branch("feature/x");
    let blocked = world.forge.cut_branch(&mark(1, 1), &name, &world.main());
    assert!(matches!(blocked, Err(ForgeError::Infra(_))), "{blocked:?}");
    file.set_modified(a_minute_before(&lock)).unwrap();
    world.forge.cut_branch(&mark(1, 1), &name, &world.main()).unwrap();
}

#[test]
fn tidying_makes_one_pack_and_loses_nothing() {
    let world = World::new();
    let mut lost = world.main();
    for number in 0..60 {
        let pack = world.bare().join("objects/pack");
        git(&world.user, &["commit", "-q", "--allow-empty", "-m", &number.to_string()]);
        lost = id(&git(&world.user, &["rev-parse", "main"]));
        git(&world.user, &["push", "-q", "gatewright", "main:refs/heads/feature/x"]);
        git(world.bare(), &["repack", "-q"]);
        assert!(pack.exists());
    }
    assert_eq!(world.forge.discard_branch(TaskId(1), &branch("feature/x"), &lost).unwrap(), None);
    world.forge.tidy().unwrap();
    let packs = fs::read_dir(world.bare().join("objects/pack")).unwrap().flatten();
    assert_eq!(packs.filter(|entry| entry.file_name().to_string_lossy().ends_with(".pack")).count(), 1);
    assert!(world.forge.tree_of(&lost).is_ok(), "a clone may still borrow it");
}

/// A git that takes each repository that it looks for to be another user's, whoever runs this test.
fn strangers_git(folder: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let program = folder.join("git of a stranger's");
    fs::write(&program, "#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec git \"$@\"\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

#[test]
fn another_users_repository_is_copied_and_followed_and_only_the_one_that_was_named() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let program = strangers_git(folder.path());
    git(&world.user, &["remote", "remove", "gatewright"]);
    // A folder of theirs whose name a shell would take apart.
    let theirs = folder.path().join("it's $(theirs)");
    fs::rename(&world.user, &theirs).unwrap();
    let (forge, _) = EmbeddedForge::init(&program, layout(&folder), &theirs, &branch("main")).unwrap();
    assert_eq!(forge.base_head(&branch("main")).unwrap(), world.main());
    git(&theirs, &["commit", "-q", "--allow-empty", "-m", "Second"]);
    let second = id(&git(&theirs, &["rev-parse", "main"]));
    assert_eq!(forge.sync_base_from(&theirs).unwrap(), Synced::Moved(second));
    let inner = theirs.join("src");
    let refused = forge.sync_base_from(&inner).unwrap_err().to_string();
    assert!(refused.contains("dubious ownership"), "{refused}");
}
