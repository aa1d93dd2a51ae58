//! How the repository comes to be, from the user's own, and what a start puts in order.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use conductor::ports::forge::ForgeError;
use domain::ids::{BranchName, CommitId, ProjectName};
use rustix::fs::Access;

use super::EmbeddedForge;
use super::command::{Call, Git, shell_word};
use super::folder::{Trash, infra};
use super::refs;
use super::sight::is_ancestor;

/// The first that has `merge-tree --write-tree`.
const GIT_VERSION: (u32, u32) = (2, 38);

/// Git holds a lock for milliseconds: an older one was left by a process that died.
const STALE_LOCK: Duration = Duration::from_secs(10);

/// A person's push may take long; unfinished packs are left alone for so long.
const STALE_PACK: Duration = Duration::from_hours(24);

/// More packs than this are made into one by [`EmbeddedForge::tidy`].
const PACKS: usize = 50;

/// Where the documents of tasks lie in a repository (catalogue F).
const DOCUMENTS: &str = "docs/work-items";
/// The name under which the user's repository knows ours.
const REMOTE: &str = "gatewright";

/// Where things lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The bare repository.
    pub repository: PathBuf,
    /// What its base branch reaches, for clones to borrow and sandboxes to see. It can be made anew from the repository.
    pub base: PathBuf,
    /// Its clones, one folder each.
    pub clones: PathBuf,
    /// For what is gone when a call is over. On the same file system as the others.
    pub cache: PathBuf,
    /// The state's folder: never shown in an error.
    pub state: PathBuf,
}

impl Layout {
    /// The places of a project below the host's state folder, which must be absolute and should be its user's alone.
    pub fn new(state: &Path, project: &ProjectName) -> Self {
        Self {
            repository: state.join("repositories").join(format!("{project}.git")),
            // No `.git` at its end: so no project's repository is called, and no backup takes it for one.
            base: state.join("repositories").join(format!("{project}.base")),
            clones: state.join("clones").join(project.as_str()),
            cache: state.join("cache").join("git").join(project.as_str()),
            state: state.to_owned(),
        }
    }

    fn make(&self) -> Result<(), ForgeError> {
        // The objects' path goes into files where a line is a path.
        if !self.state.is_absolute() || self.state.to_str().is_none_or(|path| path.contains(['\n', '\r', '"'])) {
            let told = "the state's folder must be an absolute path in UTF-8 without line breaks and quotes";
            return Err(ForgeError::Refused(told.into()));
        }
        let repositories = self.repository.parent().unwrap_or(&self.state);
        for folder in [repositories, &self.clones, &self.cache] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(|error| infra("a folder of the state cannot be made", error))?;
        }
        Ok(())
    }
}

/// What became of a look at the user's own base branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Synced {
    /// Ours contains it.
    Current(CommitId),
    /// It was ahead; ours followed.
    Moved(CommitId),
    /// Both have commits that the other has not: a person must merge. Nothing was written.
    Diverged {
        /// Our base branch.
        ours: CommitId,
        /// The user's.
        theirs: CommitId,
    },
}

/// Whether the user's repository knows ours under our name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remote {
    /// It does.
    There,
    /// It is not for this user to write: what its owner types.
    Owed(String),
}

impl EmbeddedForge {
    /// Makes the repository from the user's: its base branch alone, objects copied. Adds the remote `gatewright` there, where it may
    /// be written; beyond that, the user's repository and checkout are not written. It may be another user's: just this folder is
    /// trusted. May be called again. The caller holds the host's exclusive lock, as for [`Self::open`].
    ///
    /// `Refused`: no repository, no commit, no such branch, a shallow or partial clone, another remote of that name; the text
    /// says what to do.
    pub fn init(program: &Path, layout: Layout, from: &Path, base: &BranchName) -> Result<(Self, Remote), ForgeError> {
        layout.make()?;
        let git = Git::new(program, &layout.state);
        check_version(&git)?;
        let theirs = UserRepository::open(&git, from)?;
        theirs.check(base)?;
        theirs.check_remote(&layout.repository)?;
        if !layout.repository.exists() {
            // What an earlier project of this name showed its runs is nobody's business any more.
            match fs::remove_dir_all(&layout.base) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(infra("the base's objects cannot be removed", error));
                }
                _ => make_repository(&git, &layout, &theirs, base)?,
            }
        }
        let remote = theirs.add_remote(&layout.repository)?;
        let forge = Self::open(program, layout)?;
        if forge.base == *base {
            Ok((forge, remote))
        } else {
            Err(ForgeError::Refused(format!("this project's base branch is `{}`, not `{base}`", forge.base)))
        }
    }

    /// Opens the repository and puts in order what a crash left. The caller holds the host's exclusive lock.
    pub fn open(program: &Path, layout: Layout) -> Result<Self, ForgeError> {
        layout.make()?;
        let git = Git::new(program, &layout.state);
        check_version(&git)?;
        let head = git.call(&layout.repository).args(["symbolic-ref", "HEAD"]).answer()?;
        let head = String::from_utf8_lossy(&head.stdout).trim().to_owned();
        let base = head.strip_prefix("refs/heads/").and_then(|name| BranchName::new(name).ok()).ok_or_else(|| {
            let ours = layout.repository.display();
            ForgeError::Refused(format!(
                "the host has no repository {ours} for this project: run `gatewright init` in yours; `gatewright check` names its file"
            ))
        })?;
        let forge = Self { git, layout, base, refs: Mutex::new(()), base_store: Mutex::new(()) };
        forge.clear_stale_locks()?;
        forge.clear_leftovers()?;
        Ok(forge)
    }

    /// The branch that everything is merged into.
    pub fn base_branch(&self) -> &BranchName {
        &self.base
    }

    /// Where everything lies.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What a person types in his own repository to get what was merged.
    pub fn pull_command(&self) -> String {
        format!("git pull {REMOTE} {}", self.base)
    }

    /// Brings commits of the user's own base branch here, if that is a fast-forward. His repository is only read.
    pub fn sync_base_from(&self, from: &Path) -> Result<Synced, ForgeError> {
        let theirs = UserRepository::open(&self.git, from)?;
        theirs.check(&self.base)?;
        let seen = theirs.head(&self.base)?;
        theirs.fetch_into(&self.layout.repository, &refs::full(&self.base), "refs/gatewright/seen")?;
        let _guard = self.refs_guard();
        let ours =
            refs::head(self, &self.base)?.ok_or_else(|| ForgeError::NotFound(format!("branch `{}`", self.base)))?;
        if is_ancestor(self, &seen, &ours)? {
            return Ok(Synced::Current(ours));
        }
        if !is_ancestor(self, &ours, &seen)? {
            return Ok(Synced::Diverged { ours, theirs: seen });
        }
        let call = self.durable().args(["update-ref", "--create-reflog", "-m", "followed the user's repository"]);
        call.args([&refs::full(&self.base), seen.as_str(), ours.as_str()]).done()?;
        Ok(Synced::Moved(seen))
    }

    /// The branches of the user's own repository, each with its commit; it is only read.
    pub(super) fn branches_of(&self, from: &Path) -> Result<String, ForgeError> {
        let theirs = UserRepository::open(&self.git, from)?;
        theirs.call().args(["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads/"]).long().text()
    }

    /// Takes in all branches of the user's own repository: the base as [`Self::sync_base_from`] does, and each other one as it
    /// stands there, also where it was rewritten. A branch that we ourselves wrote stays ours. His repository is only read, and a
    /// branch that he deletes stays here.
    pub(super) fn follow(&self, from: &Path) -> Result<Synced, ForgeError> {
        let synced = self.sync_base_from(from)?;
        let theirs = UserRepository::open(&self.git, from)?;
        theirs.fetch_into(&self.layout.repository, "refs/heads/*", "refs/gatewright/theirs/*")?;
        refs::follow(self, "refs/gatewright/theirs/", &self.base)?;
        Ok(synced)
    }

    /// Upkeep, now and then: empties the trash, and makes many packs into one. Drops no object, since clones borrow them.
    pub fn tidy(&self) -> Result<(), ForgeError> {
        self.trash()?.empty()?;
        self.make_one_pack(&self.layout.repository)?;
        let _guard = self.base_guard();
        // No clone was made yet, or the next one makes it anew.
        if !self.layout.base.exists() {
            return Ok(());
        }
        self.make_one_pack(&self.layout.base)
    }

    fn make_one_pack(&self, store: &Path) -> Result<(), ForgeError> {
        let packs =
            fs::read_dir(store.join("objects/pack")).map_err(|error| infra("the packs cannot be listed", error))?;
        let packs = packs.flatten().filter(|entry| entry.file_name().to_string_lossy().ends_with(".pack")).count();
        if packs > PACKS {
            self.durable_on(store).args(["repack", "-a", "-d", "-k", "-q"]).long().done()?;
        }
        Ok(())
    }

    pub(super) fn trash(&self) -> Result<Trash, ForgeError> {
        Trash::open(self.layout.clones.join(".trash"))
    }

    /// Removes lock files that nobody can be holding; says how many.
    pub(super) fn clear_stale_locks(&self) -> Result<usize, ForgeError> {
        let now = self.now()?;
        let mut removed = 0;
        let mut folders = vec![self.layout.repository.clone(), self.layout.base.clone()];
        while let Some(folder) = folders.pop() {
            // A person's push may be at work: what is gone by now is not missed.
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
                let Ok(metadata) = entry.metadata() else { continue };
                let age = metadata.modified().ok().and_then(|at| now.duration_since(at).ok()).unwrap_or_default();
                // Loose objects: 256 folders without a lock in any.
                let is_fan_out = folder.ends_with("objects") && name.len() == 2;
                let is_lock = path.extension().is_some_and(|extension| extension == "lock");
                if metadata.is_dir() && !is_fan_out {
                    folders.push(path);
                } else if is_lock && age >= STALE_LOCK || name.starts_with("tmp_") && age >= STALE_PACK {
                    match fs::remove_file(&path) {
                        Ok(()) => removed += 1,
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                        Err(error) => return Err(infra("a lock cannot be removed", error)),
                    }
                    tracing::warn!(name, "removed a file that a dead git left in the repository");
                }
            }
        }
        Ok(removed)
    }

    /// The file system's own clock, which dated the locks.
    fn now(&self) -> Result<SystemTime, ForgeError> {
        let probe = tempfile::tempfile_in(&self.layout.cache).and_then(|file| file.metadata()?.modified());
        probe.map_err(|error| infra("the cache cannot be written", error))
    }

    /// What calls that were cut short left: half-made clones, quarantines, trash.
    fn clear_leftovers(&self) -> Result<(), ForgeError> {
        let trash = self.trash()?;
        for place in [&self.layout.clones, &self.layout.cache] {
            let folder =
                super::folder::open(place).map_err(|error| infra("a folder of the state cannot be read", error))?;
            for entry in
                fs::read_dir(place).map_err(|error| infra("a folder of the state cannot be read", error))?.flatten()
            {
                let name = entry.file_name();
                if name.to_string_lossy().starts_with(super::clones::MAKING) || place == &self.layout.cache {
                    trash
                        .discard(&folder, name.as_os_str())
                        .map_err(|error| infra("leftovers cannot be moved", error))?;
                }
            }
        }
        trash.empty()
    }
}

/// The version of this git, if it is new enough. `state` is shown in no error.
pub fn version(program: &Path, state: &Path) -> Result<String, ForgeError> {
    let git = Git::new(program, state);
    check_version(&git)?;
    git.bare_call().args(["version"]).text()
}

pub(super) fn check_version(git: &Git) -> Result<(), ForgeError> {
    let told = git.bare_call().args(["version"]).text()?;
    let version = told.split(' ').nth(2).unwrap_or_default();
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    let found: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found >= GIT_VERSION {
        return Ok(());
    }
    let (major, minor) = GIT_VERSION;
    Err(ForgeError::Refused(format!("git {major}.{minor} or newer is needed; this machine has `{told}`")))
}

/// Builds it beside its place and moves it there when it is whole.
fn make_repository(
    git: &Git,
    layout: &Layout,
    theirs: &UserRepository<'_>,
    base: &BranchName,
) -> Result<(), ForgeError> {
    let making = tempfile::tempdir_in(&layout.cache).map_err(|error| infra("the cache cannot be written", error))?;
    let path = making.path().join("repository.git");
    let format = theirs.call().args(["rev-parse", "--show-object-format"]).text()?;
    make_empty(git, &path, &format, base)?;
    theirs.fetch_into(&path, &refs::full(base), &refs::full(base))?;
    fs::rename(&path, &layout.repository).map_err(|error| infra("the repository cannot be put in its place", error))
}

/// A repository with our configuration and nothing in it.
pub(super) fn make_empty(git: &Git, path: &Path, format: &str, base: &BranchName) -> Result<(), ForgeError> {
    // Refs as files, also where a later git would rather have tables: a backup reads them.
    git.call(path)
        .env("GIT_DEFAULT_REF_FORMAT", "files")
        .args(["init", "--quiet", "--bare", "--template="])
        .args([format!("--object-format={format}"), format!("--initial-branch={base}")])
        .done()?;
    fs::write(path.join("config"), configuration(format))
        .map_err(|error| infra("the repository cannot be written", error))
}

/// All that the repository's own configuration says; people's pushes obey it, too.
fn configuration(format: &str) -> String {
    let extension = |version| format!("\trepositoryformatversion = {version}\n");
    let (version, extensions) = match format {
        "sha1" => (extension(0), String::new()),
        other => (extension(1), format!("[extensions]\n\tobjectformat = {other}\n")),
    };
    format!(
        "# Written by gatewright. Its own calls of git overrule most of this; pushes of people obey it.\n\
         [core]\n{version}\tfilemode = true\n\tbare = true\n\tlogAllRefUpdates = always\n\tfsync = all\n\
         \thooksPath = /dev/null\n\tfsmonitor = false\n\
         [receive]\n\tdenyNonFastForwards = true\n\tdenyDeleteCurrent = refuse\n\tfsckObjects = true\n\tautogc = false\n\
         [transfer]\n\thideRefs = refs/gatewright\n\
         [gc]\n\tauto = 0\n[maintenance]\n\tauto = false\n{extensions}"
    )
}

/// The user's own repository: read, but for one remote.
struct UserRepository<'a> {
    git: &'a Git,
    /// The folder that the user named.
    path: PathBuf,
    /// Its git folder; of a linked work tree, the main one's.
    folder: PathBuf,
}

impl<'a> UserRepository<'a> {
    fn open(git: &'a Git, path: &Path) -> Result<Self, ForgeError> {
        let path = path
            .canonicalize()
            .map_err(|error| ForgeError::Refused(format!("{} cannot be opened: {error}", path.display())))?;
        let call = git.bare_call().trusting(&path).at(&path);
        let found = call.args(["rev-parse", "--path-format=absolute", "--git-common-dir"]).answer()?;
        if found.code != 0 {
            let told = format!("{} is no git repository that git opens here ({}); ", path.display(), found.stderr);
            return Err(ForgeError::Refused(told + "name the folder of one, or run `git init` there"));
        }
        let folder = PathBuf::from(super::command::os(found.stdout.trim_ascii_end()));
        Ok(Self { git, path, folder })
    }

    fn call(&self) -> Call {
        self.git.bare_call().trusting(&self.path).at(&self.path)
    }

    fn head(&self, branch: &BranchName) -> Result<CommitId, ForgeError> {
        self.call().args(["rev-parse", "--verify", "--end-of-options", &refs::full(branch)]).id()
    }

    /// Can it be copied?
    fn check(&self, base: &BranchName) -> Result<(), ForgeError> {
        let shown = self.path.display();
        if self.call().args(["rev-parse", "--verify", "--quiet", &refs::full(base)]).answer()?.code != 0 {
            let listed = self.call().args(["for-each-ref", "--count=10", "--format=%(refname:short)", "refs/heads/"]);
            let branches = listed.text()?;
            return Err(ForgeError::Refused(if branches.is_empty() {
                format!(
                    "{shown} has no commit yet: make one with `git add -A && git commit -m \"First commit\"`, then run this again"
                )
            } else {
                format!("{shown} has no branch `{base}`; it has: {}", branches.replace('\n', ", "))
            }));
        }
        if self.call().args(["rev-parse", "--is-shallow-repository"]).text()? == "true" {
            return Err(ForgeError::Refused(format!(
                "{shown} is a shallow clone: run `git fetch --unshallow` there first"
            )));
        }
        if self.call().args(["config", "--get", "extensions.partialclone"]).answer()?.code == 0 {
            return Err(ForgeError::Refused(format!("{shown} is a partial clone: make a full one and name that")));
        }
        let folders = self.call().args(["ls-tree", &refs::full(base), "--", "docs", DOCUMENTS]).text()?;
        if let Some(other) = folders.lines().find(|line| line.split(' ').nth(1) != Some("tree")) {
            let name = other.split_once('\t').map_or(DOCUMENTS, |(_, name)| name);
            return Err(ForgeError::Refused(format!(
                "`{name}` is no folder in the branch `{base}` of {shown}: the documents of tasks lie in {DOCUMENTS}, so make it one first"
            )));
        }
        Ok(())
    }

    /// The URLs of the remote that it has under our name.
    fn remote(&self) -> Result<Option<String>, ForgeError> {
        let found = self.call().args(["config", "--get-all", &format!("remote.{REMOTE}.url")]).answer()?;
        match found.code {
            0 => Ok(Some(String::from_utf8_lossy(&found.stdout).trim().to_owned())),
            1 => Ok(None),
            _ => Err(found.failure()),
        }
    }

    fn check_remote(&self, ours: &Path) -> Result<(), ForgeError> {
        match self.remote()? {
            Some(url) if Path::new(&url) != ours => Err(ForgeError::Refused(format!(
                "{} has a remote `{REMOTE}` already, for {url}: rename it with `git remote rename {REMOTE} NAME`, \
                 then run this again",
                self.path.display()
            ))),
            _ => Ok(()),
        }
    }

    fn add_remote(&self, ours: &Path) -> Result<Remote, ForgeError> {
        self.check_remote(ours)?;
        if self.remote()?.is_some() {
            return Ok(Remote::There);
        }
        // Git writes its configuration by a new file beside the old one.
        if rustix::fs::access(&self.folder, Access::WRITE_OK).is_err() {
            let [theirs, ours] = [&self.path, ours].map(|path| shell_word(path.as_os_str()));
            let [theirs, ours] = [theirs.to_string_lossy(), ours.to_string_lossy()];
            return Ok(Remote::Owed(format!("git -C {theirs} remote add {REMOTE} {ours}")));
        }
        let url = ours.as_os_str();
        self.call().args(["remote".as_ref(), "add".as_ref(), REMOTE.as_ref(), url]).done()?;
        Ok(Remote::There)
    }

    /// Copies a ref of it, with all that it needs, into a repository of ours. Its hooks have no part in that.
    fn fetch_into(&self, repository: &Path, theirs: &str, ours: &str) -> Result<(), ForgeError> {
        let call = self.git.call(repository).set("protocol.file.allow=always").set("core.fsync=all");
        let call = call.set("fetch.unpackLimit=1").set("fetch.fsckObjects=false");
        let mut upload_pack = std::ffi::OsString::from("--upload-pack=");
        upload_pack.push(self.git.upload_pack(&self.folder));
        call.args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"])
            .args([upload_pack.as_os_str(), "--".as_ref()])
            .args([self.folder.as_os_str(), format!("+{theirs}:{ours}").as_ref()])
            .long()
            .done()
    }
}
