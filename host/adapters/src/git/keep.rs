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
use domain::ids::CommitId;

use super::command::{Call, Git};
use super::folder::{infra, parts};
use super::names::{self, KeptRefs};
use super::setup::{check_version, make_empty};

/// Packing or hashing all of a large repository.
const WHOLE: Duration = Duration::from_hours(2);

/// A repository of ours, read from beside the host that writes it.
#[derive(Debug)]
pub struct Repository {
    git: Git,
    path: PathBuf,
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
        names::read(&self.path)
    }

    /// `sha1` or `sha256`.
    pub fn object_format(&self) -> Result<String, ForgeError> {
        self.call().args(["rev-parse", "--show-object-format"]).text()
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
        Ok(bytes / if self.object_format()? == "sha256" { 65 } else { 41 })
    }

    /// Makes the repository at its path, where nothing must be, from what was kept of it.
    pub fn make(&self, object_format: &str, kept: &KeptRefs, pack: File) -> Result<(), ForgeError> {
        if !matches!(object_format, "sha1" | "sha256") {
            return Err(ForgeError::Refused(format!("there is no object format `{object_format}`")));
        }
        make_empty(&self.git, &self.path, object_format, &kept.base)?;
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
