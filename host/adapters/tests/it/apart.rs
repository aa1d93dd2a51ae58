//! Of the repository a clone shows the base branch and its own, and no run brings in what another task committed.

use std::fs;
use std::path::Path;

use conductor::ports::forge::{CloneKey, CloneRequest, Forge, ForgeError, Sight, TrespassKind};
use domain::ids::{CommitId, JobId, TaskId};

use crate::world::{Work, World, branch, git, id, kinds, mark, try_git};

/// What task 1 commits and nobody else shall read.
const WORDS: &str = "words that are not told";

/// Objects of another task: its commit, with all that only it has.
struct Untold(Vec<String>);

impl Untold {
    /// Of the head of this task's branch, as the repository knows it.
    fn of(work: &Work<'_>) -> Self {
        let bare = work.world.bare();
        let listed = git(bare, &["rev-list", "--objects", "--no-object-names", work.head().as_str(), "--not", "main"]);
        let ids: Vec<String> = listed.lines().map(str::to_owned).collect();
        assert!(ids.len() >= 3, "a commit, a tree and a blob: {ids:?}");
        Self(ids)
    }

    /// How many of them a git in this folder reads, by its id or in a list of all; and whether the words are among what it reads.
    fn seen(&self, folder: &Path) -> (usize, bool) {
        let by_id = self.0.iter().filter(|id| try_git(folder, &["cat-file", "-e", id]).status.success()).count();
        let all = try_git(folder, &["cat-file", "--batch-all-objects", "--batch"]);
        assert!(all.status.success());
        let text = String::from_utf8_lossy(&all.stdout);
        let listed = self.0.iter().filter(|id| text.lines().any(|line| line.starts_with(id.as_str()))).count();
        assert_eq!(by_id, listed);
        (by_id, text.contains(WORDS))
    }

    fn is_apart_from(&self, folder: &Path, when: &str) {
        assert_eq!(self.seen(folder), (0, false), "{when}");
    }

    fn is_whole_in(&self, folder: &Path, when: &str) {
        assert_eq!(self.seen(folder), (self.0.len(), true), "{when}");
    }
}

fn throwaway(work: &Work<'_>) -> std::path::PathBuf {
    let key = CloneKey::of_job(TaskId(work.task), JobId(99));
    work.world.forge.prepare_clone(&CloneRequest { key, role: None, ..work.request() }).unwrap().path
}

/// A person's commit on the base branch.
fn by_hand(world: &World, name: &str) -> CommitId {
    git(&world.user, &["pull", "-q", "--ff-only", "gatewright", "main"]);
    fs::write(world.user.join(name), name).unwrap();
    git(&world.user, &["add", "-A"]);
    git(&world.user, &["commit", "-qm", name]);
    git(&world.user, &["push", "-q", "gatewright", "main"]);
    id(&git(&world.user, &["rev-parse", "main"]))
}

#[test]
fn no_object_of_another_task_is_in_a_clone_until_it_is_merged() {
    let world = World::new();
    let mut one = world.start(1);
    one.commit("one.txt", WORDS);
    one.take_clean(2);
    let first = Untold::of(&one);
    first.is_whole_in(world.bare(), "the repository has it, so the probe finds it");
    first.is_whole_in(&one.prepare(), "its own next clone has it");
    first.is_whole_in(&throwaway(&one), "who judges it has it");

    let mut two = world.start(2);
    first.is_apart_from(&two.path(), "a new clone");
    two.commit("two.txt", "two");
    two.take_clean(2);
    first.is_apart_from(&two.prepare(), "a clone with commits of its own");
    assert_eq!(two.git(&["log", "--format=%s"]), "Change two.txt\nFirst");
    two.git(&["fsck", "--strict"]);

    // The first moves on; both are rebased onto what a person pushed.
    one.commit("more.txt", "more");
    one.take_clean(3);
    let base = by_hand(&world, "three.txt");
    for work in [&one, &two] {
        world.forge.rebase(&mark(work.task, 4), &work.branch, &work.head(), &base).unwrap();
    }
    let moved = Untold::of(&one);
    for (untold, what) in [(&first, "what it was"), (&moved, "what it became")] {
        untold.is_apart_from(&two.path(), what);
        untold.is_apart_from(&two.prepare(), what);
        untold.is_apart_from(&throwaway(&two), what);
    }
    assert_eq!(two.git(&["log", "--format=%s"]), "Change two.txt\nthree.txt\nFirst");
    assert_eq!(two.git(&["rev-parse", "origin/main"]), base.as_str());
    two.commit("two.txt", "two again");
    two.take_clean(5);
    moved.is_apart_from(&two.prepare(), "after all of it was taken over once more");
    moved.is_whole_in(&one.prepare(), "its own clone");

    world.forge.merge_fast_forward(&mark(1, 6), &one.branch, &one.head(), &branch("main"), &base).unwrap();
    moved.is_apart_from(&two.path(), "merged, and no clone was made since");
    moved.is_whole_in(&two.prepare(), "merged is everybody's");
    moved.is_whole_in(&throwaway(&two), "merged is everybody's");
}

/// Writes an object into a clone, whatever it names.
fn plant(work: &Work<'_>, object_type: &str, bytes: &[u8]) -> String {
    let file = work.world.folder.path().join("planted");
    fs::write(&file, bytes).unwrap();
    work.git(&["hash-object", "--literally", "-w", "-t", object_type, file.to_str().unwrap()])
}

fn commit_of(tree: &str, parents: &[&str]) -> String {
    let parents = parents.iter().flat_map(|parent| ["parent ", parent, "\n"]).collect::<String>();
    let who = "Ada <ada@example.org> 1700000000 +0000";
    format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\nPlanted\n")
}

fn tree_of(name: &str, blob: &str) -> Vec<u8> {
    let id = (0..blob.len()).step_by(2).map(|at| u8::from_str_radix(&blob[at..at + 2], 16).unwrap());
    format!("100644 {name}\0").into_bytes().into_iter().chain(id).collect()
}

#[test]
fn an_id_of_another_task_brings_nothing_into_a_branch() {
    let world = World::new();
    let one = world.start(1);
    one.commit("one.txt", WORDS);
    one.take_clean(2);
    let untold = Untold::of(&one);
    let commit = one.head().to_string();
    let rev = |name: &str| git(world.bare(), &["rev-parse", name]);
    let (tree, blob) = (rev(&format!("{commit}^{{tree}}")), rev(&format!("{commit}:one.txt")));
    let mut two = world.start(2);
    let start = two.head();
    let own_tree = rev(&format!("{start}^{{tree}}"));
    for (number, what) in ["its commit", "a merge of it", "its tree", "its file"].into_iter().enumerate() {
        let planted = match what {
            "its commit" => commit.clone(),
            "a merge of it" => plant(&two, "commit", commit_of(&own_tree, &[start.as_str(), &commit]).as_bytes()),
            "its tree" => plant(&two, "commit", commit_of(&tree, &[start.as_str()]).as_bytes()),
            _ => {
                let tree = plant(&two, "tree", &tree_of("taken.txt", &blob));
                plant(&two, "commit", commit_of(&tree, &[start.as_str()]).as_bytes())
            }
        };
        fs::write(two.path().join(".git/refs/heads/feature/T-2"), format!("{planted}\n")).unwrap();
        let taken = two.take(u64::try_from(number).unwrap() + 2);
        assert_eq!((kinds(&taken), &taken.head), (vec![TrespassKind::ObjectsRefused], &start), "{what}");
        assert!(taken.trespasses[0].note.contains("was not given"), "{what}: {:?}", taken.trespasses);
        untold.is_apart_from(&two.prepare(), what);
    }
    // The same words from its own hand are its own.
    two.commit("one.txt", WORDS);
    two.take_clean(9);
    assert_eq!(two.read("one.txt"), WORDS);
}

#[test]
fn what_a_branch_had_before_may_be_taken_up_again_without_a_copy_of_it() {
    let world = World::new();
    let mut work = world.start(7);
    work.commit("note.txt", "before");
    work.take_clean(2);
    let before = git(world.bare(), &["rev-parse", &format!("{}^{{tree}}", work.head())]);
    work.prepare();
    work.commit("note.txt", "after");
    work.take_clean(3);
    work.prepare();
    let head = work.head();
    fs::remove_dir_all(work.path().join(".git/objects/pack")).unwrap();
    let commit = plant(&work, "commit", commit_of(&before, &[head.as_str()]).as_bytes());
    fs::write(work.path().join(".git/refs/heads/feature/T-7"), format!("{commit}\n")).unwrap();
    work.write("note.txt", "before");
    let taken = work.take_clean(4);
    assert_eq!((taken.head.as_str(), work.read("note.txt")), (commit.as_str(), "before".to_owned()));
}

#[test]
fn a_clone_of_an_older_host_is_taken_over_and_shows_less_from_then_on() {
    let world = World::new();
    let one = world.start(1);
    one.commit("one.txt", WORDS);
    one.take_clean(2);
    let untold = Untold::of(&one);
    let mut two = world.start(2);
    // So a clone was made: it borrows all of the repository, and there is no other store.
    let alternates = two.path().join(".git/objects/info/alternates");
    fs::write(&alternates, format!("{}\n", world.bare().join("objects").display())).unwrap();
    fs::remove_dir_all(&world.forge.layout().base).unwrap();
    untold.is_whole_in(&two.path(), "until it is made ready again");
    two.commit("two.txt", "two");
    let taken = two.take_clean(2);
    assert_eq!(two.read("two.txt"), "two");
    // What it could see then it may have named, and that is not taken.
    two.git(&["merge", "-q", "-s", "ours", "--no-edit", one.head().as_str()]);
    let merged = two.take(3);
    assert_eq!((kinds(&merged), &merged.head), (vec![TrespassKind::ObjectsRefused], &taken.head));
    untold.is_apart_from(&two.prepare(), "made ready");
    let shown = world.forge.layout().base.join("objects");
    assert_eq!(fs::read_to_string(alternates).unwrap().trim(), shown.to_str().unwrap());
}

#[test]
fn the_bases_objects_are_made_anew_whatever_became_of_them() {
    let world = World::new();
    let mut work = world.start(7);
    work.commit("a.txt", "a");
    work.take_clean(2);
    let base = world.forge.layout().base.clone();
    let packs = base.join("objects/pack");
    let elsewhere = world.folder.path().join("elsewhere.git");
    git(&world.user, &["clone", "-q", "--bare", ".", elsewhere.to_str().unwrap()]);
    git(&elsewhere, &["config", "user.name", "x"]);
    let foreign = git(&elsewhere, &["commit-tree", "-m", "Of another repository", "HEAD^{tree}"]);
    let broken: [(&str, bool, &dyn Fn()); 6] = [
        ("gone", false, &|| fs::remove_dir_all(&base).unwrap()),
        ("a file", false, &|| {
            fs::remove_dir_all(&base).unwrap();
            fs::write(&base, "x").unwrap();
        }),
        ("half made", false, &|| fs::remove_file(base.join("refs/gatewright/base")).unwrap()),
        ("locked by a dead call", false, &|| {
            git(&base, &["update-ref", "-d", "refs/gatewright/base"]);
            fs::write(base.join("refs/gatewright/base.lock"), "").unwrap();
        }),
        ("of another repository", false, &|| {
            fs::remove_dir_all(&base).unwrap();
            git(&elsewhere, &["clone", "-q", "--bare", ".", base.to_str().unwrap()]);
            git(&elsewhere, &["push", "-q", base.to_str().unwrap(), &format!("{foreign}:refs/gatewright/base")]);
        }),
        ("without its packs", true, &|| fs::remove_dir_all(&packs).unwrap()),
    ];
    for (what, fails_once, destroy) in broken {
        work.prepare();
        destroy();
        if fails_once {
            let failed = world.forge.prepare_clone(&work.request());
            assert!(matches!(failed, Err(ForgeError::Infra(_))), "{what}: {failed:?}");
        }
        work.prepare();
        assert_eq!(work.git(&["status", "--porcelain"]), "", "{what}");
        work.git(&["fsck", "--strict"]);
        assert_eq!(git(&base, &["rev-parse", "refs/gatewright/base"]), world.main().as_str(), "{what}");
        assert!(!try_git(&work.path(), &["cat-file", "-e", &foreign]).status.success(), "{what}");
    }
}

#[test]
fn the_bases_objects_follow_it_lose_nothing_and_become_one_pack() {
    let world = World::new();
    let mut work = world.start(7);
    let first = world.main();
    for number in 0..52 {
        by_hand(&world, &number.to_string());
        work.prepare();
    }
    let last = world.main();
    let packs = world.forge.layout().base.join("objects/pack");
    let count = || {
        let files = fs::read_dir(&packs).unwrap().flatten();
        files.filter(|entry| entry.file_name().to_string_lossy().ends_with(".pack")).count()
    };
    assert!(count() > 50, "a pack for each move");
    // Somebody takes the newest out again, by force, in the repository itself. A living clone still borrows it.
    git(world.bare(), &["update-ref", "refs/heads/main", first.as_str()]);
    let other = world.start(8);
    assert_eq!(other.git(&["rev-parse", "origin/main"]), first.as_str());
    world.forge.tidy().unwrap();
    assert_eq!(count(), 1);
    assert_eq!(work.git(&["rev-parse", "origin/main"]), last.as_str());
    work.git(&["fsck", "--strict"]);
    assert!(world.forge.tree_of(&last).is_ok());
}
