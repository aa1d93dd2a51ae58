//! A project's repository in a backup, and out of one.
//!
//! What is kept: all refs and reflogs of one moment, and all objects, those too that nothing names any more, for a task may be
//! judged by a commit that a rebase left behind. Refs come first, objects after: objects are only added (no git of ours collects
//! any), so whatever the refs of that moment need is among them. The reflogs are not for people alone: by the marks in them a
//! repeated write is known for one that was made.
//!
//! What comes out of a backup is as hostile as the backup: the repository's configuration is written anew, objects are hashed
//! again by git as it takes them in, and the names of refs and reflogs are ones that git allows.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use conductor::ports::forge::ForgeError;
use domain::ids::{BranchName, CommitId};

use super::command::{Call, Git, parse_id};
use super::folder::{infra, parts};
use super::setup::{check_version, make_empty};

/// Packing or hashing all of a large repository.
const WHOLE: Duration = Duration::from_hours(2);

/// A repository of ours, read from beside the host that writes it.
#[derive(Debug)]
pub struct Repository {
    git: Git,
    path: PathBuf,
}

/// All names of one moment, and what is known of their moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRefs {
    /// The branch that `HEAD` names.
    pub base: BranchName,
    /// `sha1` or `sha256`.
    pub object_format: String,
    /// Full names, each with its object, in the order of the names.
    pub refs: Vec<(String, CommitId)>,
    /// In the order of the names.
    pub logs: Vec<Reflog>,
}

/// What is known of the moves of one ref, in git's own form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reflog {
    /// The ref's full name.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
}

impl Repository {
    /// `program`: git; `state`: the host's state folder, which no error shows; `path`: the bare repository.
    pub fn open(program: &Path, state: &Path, path: &Path) -> Result<Self, ForgeError> {
        let git = Git::new(program, state);
        check_version(&git)?;
        Ok(Self { git, path: path.to_owned() })
    }

    fn call(&self) -> Call {
        self.git.call(&self.path)
    }

    /// The names as they stand now. Read twice around something else, and equal, they are those of that moment.
    pub fn refs(&self) -> Result<KeptRefs, ForgeError> {
        let head = self.call().args(["symbolic-ref", "HEAD"]).text()?;
        let base = head.strip_prefix("refs/heads/").and_then(|name| BranchName::new(name).ok());
        let base = base.ok_or_else(|| ForgeError::Refused(format!("its HEAD is no branch: `{head}`")))?;
        let object_format = self.call().args(["rev-parse", "--show-object-format"]).text()?;
        let listed = self.call().args(["for-each-ref", "--format=%(objectname) %(refname)"]).long().bytes()?;
        let mut refs = Vec::new();
        for line in String::from_utf8_lossy(&listed).lines() {
            let (id, name) = line.split_once(' ').unwrap_or((line, ""));
            refs.push((name.to_owned(), parse_id(id.as_bytes())?));
        }
        let mut logs = Vec::new();
        read_logs(&self.path.join("logs"), "refs", &mut logs)?;
        logs.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(KeptRefs { base, object_format, refs, logs })
    }

    /// Writes all objects that are there as one pack into a new file; how many.
    pub fn pack_into(&self, pack: File) -> Result<u64, ForgeError> {
        let mut list = tempfile::tempfile().map_err(|error| infra("the list of objects cannot be written", error))?;
        let copy = |file: &File| file.try_clone().map_err(|error| infra("the list of objects cannot be used", error));
        let listing = ["cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname)"];
        self.call().args(listing).time(WHOLE).output_file(copy(&list)?).done()?;
        let bytes = list.metadata().map_err(|error| infra("the list of objects cannot be read", error))?.len();
        std::io::Seek::rewind(&mut list).map_err(|error| infra("the list of objects cannot be read", error))?;
        // No new deltas are looked for: a copy under load shall be quick before it is small.
        let packing = ["pack-objects", "--stdout", "--quiet", "--window=0", "--threads=1"];
        self.call().args(packing).time(WHOLE).input_file(list).output_file(pack).done()?;
        let width = self.call().args(["rev-parse", "--show-object-format"]).text()?;
        Ok(bytes / if width == "sha256" { 65 } else { 41 })
    }

    /// Makes the repository at its path, where nothing must be, from what was kept of it.
    pub fn make(&self, kept: &KeptRefs, pack: File) -> Result<(), ForgeError> {
        if !matches!(kept.object_format.as_str(), "sha1" | "sha256") {
            return Err(ForgeError::Refused(format!("there is no object format `{}`", kept.object_format)));
        }
        make_empty(&self.git, &self.path, &kept.object_format, &kept.base)?;
        let taking = self.call().set("core.fsync=all").args(["index-pack", "--stdin"]);
        taking.time(WHOLE).input_file(pack).done()?;
        let lines: Vec<String> = kept.refs.iter().map(|(name, id)| format!("create {name}\0{id}\0")).collect();
        // Each name is git's own to judge; the moves are told by the reflogs that were kept.
        let setting = self.call().set("core.logAllRefUpdates=false").set("core.fsync=all");
        setting.args(["update-ref", "-z", "--stdin"]).time(WHOLE).input(lines.concat()).done()?;
        for log in &kept.logs {
            let named = log.name.starts_with("refs/") && parts(&log.name).is_some();
            if !named || self.call().args(["check-ref-format", &log.name]).answer()?.code != 0 {
                return Err(ForgeError::Refused(format!("there is no ref that bears the name `{}`", log.name)));
            }
            let path = self.path.join("logs").join(&log.name);
            let folder = path.parent().unwrap_or(&self.path);
            let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, &log.bytes));
            written.map_err(|error| infra("a reflog cannot be written", error))?;
        }
        Ok(())
    }

    /// Is everything there that its names lead to? What is missing is an error.
    pub fn check_whole(&self) -> Result<(), ForgeError> {
        self.call().args(["rev-list", "--objects", "--all", "--quiet"]).time(WHOLE).done()
    }

    /// Is this commit there?
    pub fn has(&self, commit: &CommitId) -> Result<bool, ForgeError> {
        let asked = self.call().args(["cat-file", "-e", &format!("{commit}^{{commit}}")]).answer()?;
        Ok(asked.code == 0)
    }
}

/// The logs below a folder; one that is gone by now is not missed.
fn read_logs(folder: &Path, name: &str, logs: &mut Vec<Reflog>) -> Result<(), ForgeError> {
    let gone = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    let entries = match fs::read_dir(folder.join(name)) {
        Ok(entries) => entries,
        Err(error) if gone(&error) => return Ok(()),
        Err(error) => return Err(infra("the reflogs cannot be listed", error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| infra("the reflogs cannot be listed", error))?;
        let own = entry.file_name().into_string();
        let own = own.map_err(|_| ForgeError::Refused("a ref's name is not UTF-8".into()))?;
        let inner = format!("{name}/{own}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => read_logs(folder, &inner, logs)?,
            Ok(kind) if kind.is_file() && Path::new(&own).extension().is_none_or(|end| end != "lock") => {
                match fs::read(entry.path()) {
                    Ok(bytes) => logs.push(Reflog { name: inner, bytes }),
                    Err(error) if gone(&error) => {}
                    Err(error) => return Err(infra("a reflog cannot be read", error)),
                }
            }
            Ok(_) => {}
            Err(error) if gone(&error) => {}
            Err(error) => return Err(infra("a reflog cannot be read", error)),
        }
    }
    Ok(())
}
