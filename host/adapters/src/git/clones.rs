//! Clones: made whole or not at all, repaired without believing anything that lies in them.
//!
//! Git's own folder of a clone is made anew each time, beside the clone, and moved into it when the last call of git is over.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use conductor::ports::forge::{CloneKey, CloneRequest, ForgeError, PreparedClone};
use domain::ids::{JobId, TaskId};
use kill_points::kill_point;
use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

use super::EmbeddedForge;
use super::base;
use super::command::Call;
use super::folder::{self, checked_parts, infra};
use super::refs;
use super::scan::{ENTRIES, scan};
use super::sight::require;

/// How the names of half-made clones begin.
pub(super) const MAKING: &str = ".making-";

/// See the port.
pub(super) fn prepare(forge: &EmbeddedForge, request: &CloneRequest) -> Result<PreparedClone, ForgeError> {
    prepare_within(forge, request, ENTRIES)
}

/// The same; a clone that holds more than `most` entries is not looked through.
fn prepare_within(forge: &EmbeddedForge, request: &CloneRequest, most: usize) -> Result<PreparedClone, ForgeError> {
    require(forge, &request.head)?;
    if request.key.job.is_none() {
        let found = refs::head(forge, &request.branch)?;
        if found.as_ref() != Some(&request.head) {
            let (branch, expected) = (request.branch.clone(), Some(request.head.clone()));
            return Err(ForgeError::Moved { branch, expected, found });
        }
    }
    kill_point!("before-clone-is-made");
    let making = tempfile::Builder::new().prefix(MAKING).tempdir_in(&forge.layout.clones);
    let making = making.map_err(|error| infra("a clone cannot be made", error))?;
    let making = Making { forge, request, most, folder: making.path().to_owned(), _removed_at_the_end: making };
    match making.all() {
        Err(error @ ForgeError::Infra(_)) => {
            // Perhaps what it borrows is broken: then the next one has it new.
            if let Err(unseen) = base::mistrust(forge) {
                tracing::warn!(%unseen, "the base's objects could not be looked at");
            }
            Err(error)
        }
        other => other,
    }?;
    kill_point!("after-clone-is-made");
    let path = place(forge, request.key);
    Ok(PreparedClone { key: request.key, path, readable: base::objects(forge), head: request.head.clone() })
}

/// Where a clone lies.
pub(super) fn place(forge: &EmbeddedForge, key: CloneKey) -> PathBuf {
    forge.layout.clones.join(key.to_string())
}

/// Opens a clone's root. A symlink in its place is no clone.
pub(super) fn open(forge: &EmbeddedForge, key: CloneKey) -> Result<OwnedFd, ForgeError> {
    match folder::open(&place(forge, key)) {
        Ok(root) => Ok(root),
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => Err(ForgeError::NotFound(format!("clone {key}"))),
        Err(error) => Err(infra("a clone cannot be opened", error)),
    }
}

/// See the port.
pub(super) fn list(forge: &EmbeddedForge) -> Result<Vec<CloneKey>, ForgeError> {
    let entries = fs::read_dir(&forge.layout.clones).map_err(|error| infra("the clones cannot be listed", error))?;
    let mut keys: Vec<CloneKey> =
        entries.flatten().filter_map(|entry| parse_key(&entry.file_name().to_string_lossy())).collect();
    keys.sort_unstable();
    Ok(keys)
}

fn parse_key(name: &str) -> Option<CloneKey> {
    let (task, job) = match name.split_once('-') {
        Some((task, job)) => (task, Some(job.parse().map(JobId).ok()?)),
        None => (name, None),
    };
    let key = CloneKey { task: task.parse().map(TaskId).ok()?, job };
    (key.to_string() == name).then_some(key)
}

/// See the port.
pub(super) fn remove(forge: &EmbeddedForge, key: CloneKey) -> Result<(), ForgeError> {
    kill_point!("before-clone-is-removed");
    discard(forge, key)?;
    kill_point!("clone-is-half-removed");
    forge.trash()?.empty()?;
    kill_point!("after-clone-is-removed");
    Ok(())
}

fn discard(forge: &EmbeddedForge, key: CloneKey) -> Result<(), ForgeError> {
    let failed = |error| infra("a clone cannot be removed", error);
    let clones = folder::open(&forge.layout.clones).map_err(failed)?;
    forge.trash()?.discard(&clones, key.to_string().as_str()).map_err(failed)
}

/// A clone in the making.
struct Making<'a> {
    forge: &'a EmbeddedForge,
    request: &'a CloneRequest,
    most: usize,
    folder: PathBuf,
    _removed_at_the_end: tempfile::TempDir,
}

impl Making<'_> {
    fn all(&self) -> Result<(), ForgeError> {
        let (forge, key) = (self.forge, self.request.key);
        self.git_folder()?;
        kill_point!("clone-is-half-made");
        let place = place(forge, key);
        let is_folder = fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_dir());
        if key.job.is_some() || !is_folder {
            return self.fresh(&place);
        }
        match self.repair(&place) {
            Err(ForgeError::Infra(error)) => {
                let lost = "what was left in it uncommitted, ignored files too, is lost";
                tracing::warn!(clone = %key, error, lost, "a clone could not be repaired and is made anew");
                self.git_folder()?;
                self.fresh(&place)
            }
            other => other,
        }
    }

    fn git(&self) -> PathBuf {
        self.folder.join("git")
    }

    fn call(&self) -> Call {
        self.forge.git.call(&self.git()).set("core.fsync=none")
    }

    fn on(&self, tree: &Path) -> Call {
        self.call().env("GIT_WORK_TREE", tree).at(tree).long()
    }

    /// The clone's own `.git`: the base's objects, borrowed; the branch, the base, nothing else. What the branch holds beyond the
    /// base is copied: where it could be borrowed, what other tasks committed could be read as well.
    fn git_folder(&self) -> Result<(), ForgeError> {
        let failed = |error| infra("a clone cannot be made", error);
        let request = self.request;
        let format = base::object_format(&request.head);
        let git = self.git();
        if git.exists() {
            fs::remove_dir_all(&git).map_err(failed)?;
        }
        let init = ["init", "--quiet", "--bare", "--template=", "--object-format", format];
        self.call().args(init).done()?;
        let shared = base::current(self.forge)?;
        let borrowed = format!("{}\n", base::objects(self.forge).display());
        fs::create_dir_all(git.join("objects/info")).map_err(failed)?;
        fs::write(git.join("objects/info/alternates"), borrowed).map_err(failed)?;
        let is_shared = request.base == self.forge.base;
        let base = if is_shared { Some(shared.clone()) } else { refs::head(self.forge, &request.base)? };
        let base = base.ok_or_else(|| ForgeError::NotFound(format!("branch `{}`", request.base)))?;
        if base != shared || request.head != shared {
            base::copy(self.forge, self.call(), &[&request.head, &base], Some(&shared), "--window=10")?;
        }
        let mut updates = format!("create refs/remotes/origin/{} {base}\n", request.base);
        if request.base != request.branch {
            updates.push_str(&format!("create {} {base}\n", refs::full(&request.base)));
        }
        updates.push_str(&format!("create {} {}\n", refs::full(&request.branch), request.head));
        self.call().args(["update-ref", "--stdin"]).input(updates).done()?;
        self.call().args(["symbolic-ref", "HEAD", &refs::full(&request.branch)]).done()?;
        // Last: with it, the folder is no bare repository any more.
        fs::write(git.join("config"), self.configuration(format)).map_err(failed)
    }

    fn configuration(&self, format: &str) -> String {
        let (version, extension) = match format {
            "sha1" => (0, String::new()),
            other => (1, format!("[extensions]\n\tobjectformat = {other}\n")),
        };
        let user = self.request.role.map_or_else(
            || "Gatewright\n\temail = gatewright@localhost".to_owned(),
            |role| format!("{role}\n\temail = {role}@gatewright.localhost"),
        );
        format!(
            "[core]\n\trepositoryformatversion = {version}\n\tfilemode = true\n\tbare = false\n\tlogAllRefUpdates = true\n\
             [user]\n\tname = {user}\n[gc]\n\tauto = 0\n{extension}"
        )
    }

    /// A new clone, put in its place when it is whole.
    fn fresh(&self, place: &Path) -> Result<(), ForgeError> {
        let failed = |error| infra("a clone cannot be made", error);
        let tree = self.folder.join("tree");
        fs::create_dir(&tree).map_err(failed)?;
        self.check_out(&tree)?;
        self.furnish(&folder::open(&tree).map_err(|error| failed(error.into()))?)?;
        fs::rename(self.git(), tree.join(".git")).map_err(failed)?;
        discard(self.forge, self.request.key)?;
        fs::rename(&tree, place).map_err(failed)?;
        self.forge.trash()?.empty()
    }

    /// The clone that is there, with a new `.git` and the commit's files. Ignored files stay: they are what builds are fast by.
    fn repair(&self, place: &Path) -> Result<(), ForgeError> {
        let root = open(self.forge, self.request.key)?;
        let trash = self.forge.trash()?;
        trash.discard(&root, ".git").map_err(|error| infra("a clone cannot be repaired", error))?;
        // More than is looked through is nothing to repair: refused, it would stand in the way of each launch to come.
        scan(&root, &trash, self.most).map_err(|error| match error {
            ForgeError::Refused(told) => ForgeError::Infra(told),
            other => other,
        })?;
        self.check_out(place)?;
        self.furnish(&root)?;
        fs::rename(self.git(), place.join(".git")).map_err(|error| infra("a clone cannot be repaired", error))?;
        trash.empty()
    }

    /// Brings the commit's files there. Files that are right already are left alone, so that their times stay.
    fn check_out(&self, tree: &Path) -> Result<(), ForgeError> {
        let head = self.request.head.as_str();
        self.on(tree).args(["read-tree", head]).done()?;
        let refreshed = self.on(tree).args(["update-index", "-q", "--refresh"]).answer()?;
        if refreshed.code > 1 {
            return Err(refreshed.failure());
        }
        self.on(tree).args(["reset", "--hard", "--quiet", head]).done()?;
        self.on(tree).args(["clean", "-ffdq"]).done()
    }

    /// Removes what the worker shall write anew, and makes the folder to write it in.
    fn furnish(&self, root: &OwnedFd) -> Result<(), ForgeError> {
        let failed = |error| infra("a clone cannot be made ready", error);
        let trash = self.forge.trash()?;
        for path in &self.request.empty {
            let parts = checked_parts(path)?;
            let Some((last, folders)) = parts.split_last() else { continue };
            // No such folder, or a symlink instead of one: then there is nothing that the host would read.
            let Ok(folder) = folder::descend(root, folders) else { continue };
            trash.discard(&folder, *last).map_err(failed)?;
        }
        match &self.request.folder {
            Some(path) => make_folder(root, path),
            None => Ok(()),
        }
    }
}

fn make_folder(root: impl AsFd, path: &str) -> Result<(), ForgeError> {
    let failed = |error| infra("a clone cannot be made ready", error);
    let mut folder = folder::open_in(root, c".").map_err(failed)?;
    for part in checked_parts(path)? {
        match rustix::fs::mkdirat(&folder, part, Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(failed(error)),
        }
        if folder::type_of(&folder, part).map_err(failed)? != Some(FileType::Directory) {
            return Err(ForgeError::Refused(format!(
                "the branch has a file or a symbolic link in the way of the folder `{path}`: `{part}` must be a folder"
            )));
        }
        folder = folder::open_in(&folder, part).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use domain::ids::{BranchName, ProjectName};
    use domain::time::Timestamp;

    use super::super::Layout;
    use super::*;
    use conductor::ports::forge::{Forge as _, Mark};

    #[test]
    fn a_clone_with_more_entries_than_are_looked_through_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let user = folder.path().join("user");
        fs::create_dir(&user).unwrap();
        fs::write(user.join("kept"), "x").unwrap();
        let who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
        for step in [&["init", "-q", "-b", "main"][..], &["add", "kept"], &["commit", "-qm", "First"]] {
            let nobody = [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null")];
            let done = Command::new("git").current_dir(&user).envs(nobody).args(who).args(step).status();
            assert!(done.unwrap().success(), "{step:?}");
        }
        let layout = Layout::new(&folder.path().join("state"), &ProjectName::new("example").unwrap());
        let base = BranchName::new("main").unwrap();
        let (forge, _) = EmbeddedForge::init(Path::new("git"), layout, &user, &base).unwrap();
        let branch = BranchName::new("feature/T-7").unwrap();
        let head = refs::head(&forge, &base).unwrap().unwrap();
        forge.cut_branch(&Mark { task: TaskId(7), job: JobId(1), at: Timestamp(0) }, &branch, &head).unwrap();
        let key = CloneKey::of_task(TaskId(7));
        let request = CloneRequest { key, branch, head, base, role: None, empty: Vec::new(), folder: None };
        let path = prepare_within(&forge, &request, 10).unwrap().path;
        fs::create_dir(path.join("many")).unwrap();
        for number in 0..10 {
            fs::write(path.join("many").join(number.to_string()), "").unwrap();
        }
        for _ in 0..2 {
            assert_eq!(prepare_within(&forge, &request, 10).unwrap().path, path);
            assert_eq!(fs::read_to_string(path.join("kept")).unwrap(), "x");
            assert!(!path.join("many").exists());
        }
        // What the branch itself has in the way is refused all the same, and no reason to make anything anew.
        let blocked = CloneRequest { folder: Some("kept/documents".into()), ..request };
        assert!(matches!(prepare_within(&forge, &blocked, 10), Err(ForgeError::Refused(_))));
        assert!(fs::read_dir(&forge.layout.clones).unwrap().flatten().all(|entry| {
            let name = entry.file_name();
            name == "7" || name == ".trash"
        }));
    }

    #[test]
    fn only_names_that_we_give_are_clones() {
        assert_eq!(parse_key("7"), Some(CloneKey::of_task(TaskId(7))));
        assert_eq!(parse_key("7-12"), Some(CloneKey::of_job(TaskId(7), JobId(12))));
        for other in [".trash", ".making-x", "7-", "07", "7-012", "x", "7-1-2", ""] {
            assert_eq!(parse_key(other), None, "{other}");
        }
    }
}
