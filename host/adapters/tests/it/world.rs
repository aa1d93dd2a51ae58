//! A user's repository, a forge made from it, and hands that work in clones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use adapters::git::{EmbeddedForge, Layout};
use conductor::ports::forge::{
    CloneKey, CloneRequest, Forge, Mark, PathRules, PreparedClone, Sight, TakeOver, Taken, TrespassKind,
    auto_commit_message,
};
use domain::document::Role;
use domain::ids::{BranchName, CommitId, JobId, ProjectName, RunId, TaskId, WorkItemId};
use domain::time::Timestamp;
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) user: PathBuf,
    pub(crate) forge: EmbeddedForge,
}

impl World {
    /// With one commit on `main`: `README.md`, `src/lib.txt` of ten lines, `.gitignore` for `target/`.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let user = folder.path().join("user");
        fs::create_dir_all(user.join("src")).unwrap();
        git(&user, &["init", "-q", "-b", "main"]);
        fs::write(user.join("README.md"), "# Example\n").unwrap();
        fs::write(user.join("src/lib.txt"), lines(1..=10)).unwrap();
        fs::write(user.join(".gitignore"), "target/\n").unwrap();
        git(&user, &["add", "-A"]);
        git(&user, &["commit", "-qm", "First"]);
        let (forge, _) = EmbeddedForge::init(Path::new("git"), layout(&folder), &user, &branch("main")).unwrap();
        Self { folder, user, forge }
    }

    /// The host starts again.
    pub(crate) fn restarted(self) -> Self {
        let forge = EmbeddedForge::open(Path::new("git"), layout(&self.folder)).unwrap();
        Self { forge, ..self }
    }

    pub(crate) fn main(&self) -> CommitId {
        self.forge.base_head(&branch("main")).unwrap()
    }

    pub(crate) fn bare(&self) -> &Path {
        &self.forge.layout().repository
    }

    /// Cuts the task's branch and prepares its own clone.
    pub(crate) fn start(&self, task: u64) -> Work<'_> {
        let name = branch(&format!("feature/T-{task}"));
        self.forge.cut_branch(&mark(task, 1), &name, &self.main()).unwrap();
        let mut work = Work { world: self, task, branch: name, clone: None };
        work.prepare();
        work
    }
}

/// One task's way.
pub(crate) struct Work<'a> {
    pub(crate) world: &'a World,
    pub(crate) task: u64,
    pub(crate) branch: BranchName,
    clone: Option<PreparedClone>,
}

impl Work<'_> {
    pub(crate) fn head(&self) -> CommitId {
        self.world.forge.branch_head(&self.branch).unwrap().unwrap()
    }

    pub(crate) fn request(&self) -> CloneRequest {
        CloneRequest {
            key: CloneKey::of_task(TaskId(self.task)),
            branch: self.branch.clone(),
            head: self.head(),
            base: branch("main"),
            role: Some(Role::Developer),
            empty: Vec::new(),
            folder: None,
        }
    }

    pub(crate) fn prepare(&mut self) -> PathBuf {
        self.clone = Some(self.world.forge.prepare_clone(&self.request()).unwrap());
        self.path()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.clone.as_ref().unwrap().path.clone()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        git(&self.path(), args)
    }

    /// An agent's own commit of one file.
    pub(crate) fn commit(&self, name: &str, text: impl AsRef<[u8]>) {
        self.write(name, text);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", &format!("Change {name}")]);
    }

    pub(crate) fn take_request(&self, job: u64) -> TakeOver {
        let work_item = WorkItemId::new(format!("T-{}", self.task)).unwrap();
        TakeOver {
            mark: mark(self.task, job),
            clone: CloneKey::of_task(TaskId(self.task)),
            branch: self.branch.clone(),
            expected: self.head(),
            role: Role::Developer,
            message: auto_commit_message(Role::Developer, &work_item, RunId(job)),
            paths: PathRules::default(),
            leftovers: true,
            conflict: None,
        }
    }

    pub(crate) fn take(&self, job: u64) -> Taken {
        self.world.forge.take_over(&self.take_request(job)).unwrap()
    }

    /// Nothing was wrong.
    pub(crate) fn take_clean(&self, job: u64) -> Taken {
        let taken = self.take(job);
        assert_eq!(taken.trespasses, []);
        taken
    }

    /// A file of the branch.
    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8(self.world.forge.read(&self.head(), name).unwrap()).unwrap()
    }
}

pub(crate) fn kinds(taken: &Taken) -> Vec<TrespassKind> {
    taken.trespasses.iter().map(|trespass| trespass.kind).collect()
}

pub(crate) fn layout(folder: &TempDir) -> Layout {
    Layout::new(&folder.path().join("state"), &ProjectName::new("example").unwrap())
}

pub(crate) fn branch(name: &str) -> BranchName {
    BranchName::new(name).unwrap()
}

pub(crate) fn mark(task: u64, job: u64) -> Mark {
    Mark { task: TaskId(task), job: JobId(job), at: Timestamp(1_700_000_000_000 + job * 1000) }
}

pub(crate) fn lines(numbers: impl Iterator<Item = u32>) -> String {
    numbers.flat_map(|number| ["line ".to_owned(), number.to_string(), "\n".to_owned()]).collect()
}

/// Git as a person or an agent runs it, without the tester's own configuration.
pub(crate) fn try_git(folder: &Path, args: &[&str]) -> Output {
    Command::new("git")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs([("HOME", "/nonexistent"), ("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null")])
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.org")])
        .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.org")])
        .current_dir(folder)
        .args(args)
        .output()
        .unwrap()
}

pub(crate) fn git(folder: &Path, args: &[&str]) -> String {
    let output = try_git(folder, args);
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub(crate) fn id(text: &str) -> CommitId {
    CommitId::new(text).unwrap()
}

pub(crate) fn key(task: u64) -> CloneKey {
    CloneKey::of_task(TaskId(task))
}
