//! Objects on probation: a folder that the repository's git reads beside its own, until they are accepted or dropped.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use conductor::ports::forge::{ForgeError, Trespass, TrespassKind};
use domain::ids::CommitId;
use rustix::fs::FileType;

use super::EmbeddedForge;
use super::base;
use super::command::{Answer, Call, parse_id, quoted};
use super::folder::{self, infra};
use super::sight::lossy;

/// All that one run may bring, as it lies in the clone, beside what its clone was given.
const COPIED_BYTES: u64 = 1 << 30;

/// Files of it: loose objects and packs.
const COPIED_FILES: usize = 500_000;

/// One file of a commit.
pub(super) const FILE_BYTES: u64 = 50 << 20;

/// All new files of a run together.
pub(super) const ALL_FILES_BYTES: u64 = 500 << 20;

/// Words by which git says that it was not the objects' fault.
const MACHINE_AT_FAULT: [&str; 6] = [
    "No space left on device",
    "Input/output error",
    "Permission denied",
    "Read-only file system",
    "Cannot allocate memory",
    "Too many open files",
];

/// The folder; removed when it goes out of scope.
pub(super) struct Quarantine {
    folder: tempfile::TempDir,
}

impl Quarantine {
    pub(super) fn new(forge: &EmbeddedForge) -> Result<Self, ForgeError> {
        let folder = tempfile::Builder::new().prefix("quarantine-").tempdir_in(&forge.layout.cache);
        let folder = folder.map_err(|error| infra("the cache cannot be written", error))?;
        fs::create_dir_all(folder.path().join("objects/pack"))
            .map_err(|error| infra("the cache cannot be written", error))?;
        Ok(Self { folder })
    }

    /// A place for a file or folder of the host's that shares this one's fate.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn objects(&self) -> PathBuf {
        self.path("objects")
    }

    /// A call on the repository that reads these objects, too, and writes new ones here.
    pub(super) fn call(&self, forge: &EmbeddedForge) -> Call {
        forge
            .call()
            .set("core.fsync=none")
            .env("GIT_OBJECT_DIRECTORY", self.objects())
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted(&forge.objects()))
    }

    /// Copies loose objects and packs of a clone, as bytes: no index of a pack, no alternates, no graph. Those would have to be
    /// believed; objects prove themselves.
    /// `expected`: the branch at the launch, whose objects are in the clone, too.
    pub(super) fn copy_from(
        &self,
        forge: &EmbeddedForge,
        objects: &OwnedFd,
        expected: &CommitId,
    ) -> Result<Option<Trespass>, ForgeError> {
        let mut copy = Copy { bytes: 0, files: 0, limit: COPIED_BYTES.saturating_add(given_bytes(forge, expected)?) };
        let listed = folder::entries(objects, COPIED_FILES).map_err(unreadable)?.unwrap_or_default();
        for (name, file_type) in listed {
            let name = name.to_string_lossy().into_owned();
            if file_type != FileType::Directory || (name != "pack" && !is_hex(&name, &[2])) {
                continue;
            }
            let Ok(inner) = folder::open_in(objects, name.as_str()) else { continue };
            let target = self.objects().join(&name);
            fs::create_dir_all(&target).map_err(|error| infra("the cache cannot be written", error))?;
            let wanted = |file: &str| match file.strip_prefix("pack-").and_then(|rest| rest.strip_suffix(".pack")) {
                Some(digest) => name == "pack" && is_hex(digest, &[40, 64]),
                None => name != "pack" && is_hex(file, &[38, 62]),
            };
            if copy.folder(&inner, &target, wanted)? {
                let limit = copy.limit >> 20;
                let note = format!("the clone's new objects are more than {limit} MiB or {COPIED_FILES} files");
                return Ok(Some(Trespass { kind: TrespassKind::TooLarge, path: ".git/objects".into(), note }));
            }
        }
        self.index_packs(forge)?;
        Ok(None)
    }

    /// A pack that git cannot read is as if it were not there: if a commit needs it, that is said later.
    fn index_packs(&self, forge: &EmbeddedForge) -> Result<(), ForgeError> {
        let packs =
            fs::read_dir(self.objects().join("pack")).map_err(|error| infra("the cache cannot be read", error))?;
        for pack in packs.flatten() {
            let answer = self.call(forge).args(["index-pack".as_ref(), pack.path().as_os_str()]).long().answer()?;
            if answer.code != 0 {
                let trespass = refused(answer)?;
                tracing::warn!(note = trespass.note, "a pack of a clone was left out");
            }
        }
        Ok(())
    }

    /// Does this commit need objects that the run cannot have had? The repository holds those of all tasks, and an id may be known
    /// from a comment: a commit that names it, and does not bring it, would bring it into the branch, for the next run to read.
    pub(super) fn foreign(
        &self,
        forge: &EmbeddedForge,
        head: &CommitId,
        expected: &CommitId,
    ) -> Result<Option<Trespass>, ForgeError> {
        let base = base::current(forge)?;
        let walk = |of: &CommitId, not: &[&CommitId]| {
            let call = self.call(forge).args(["rev-list", "--objects", of.as_str(), "--not"]);
            call.args(not.iter().map(|commit| commit.as_str())).long().answer()
        };
        let listed = walk(head, &[expected, &base])?;
        if listed.code != 0 {
            return refused(listed).map(Some);
        }
        let asked = forge
            .call()
            .env("GIT_OBJECT_DIRECTORY", self.objects())
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted(&base::objects(forge)))
            .args(["cat-file", "--batch-check=%(objectname)", "--buffer"])
            .input(ids(&listed.stdout))
            .long()
            .bytes()?;
        let mut lacking: BTreeSet<&[u8]> =
            asked.split(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b" missing")).collect();
        if lacking.is_empty() {
            return Ok(None);
        }
        // Objects of its own branch that it took up again, and whose copy it threw away.
        let own = walk(expected, &[&base])?;
        if own.code != 0 {
            return Err(own.failure());
        }
        for id in ids(&own.stdout).split(|byte| *byte == b'\n') {
            lacking.remove(id);
        }
        let note = "the commits name objects that this run was not given and did not bring";
        let trespass = || Trespass { kind: TrespassKind::ObjectsRefused, path: String::new(), note: note.to_owned() };
        Ok((!lacking.is_empty()).then(trespass))
    }

    /// Brings a commit, and all it needs, into the repository, but for what is there: below its refs, and below `known`, which
    /// an earlier import brought. A trespass: it was refused, and why.
    pub(super) fn import(
        &self,
        forge: &EmbeddedForge,
        head: &CommitId,
        known: Option<&CommitId>,
    ) -> Result<Option<Trespass>, ForgeError> {
        let walk = |call: Call, more: &[&str]| {
            let call = call.args(["rev-list", "--objects"]).args(more).args([head.as_str(), "--not", "--all"]);
            call.args(known.map(CommitId::as_str)).long().answer()
        };
        let listed = walk(self.call(forge), &[])?;
        if listed.code != 0 {
            return refused(listed).map(Some);
        }
        let ids = ids(&listed.stdout);
        if ids.is_empty() {
            return Ok(None);
        }
        if let Some(trespass) = self.too_large(forge, &ids, &listed.stdout)? {
            return Ok(Some(trespass));
        }
        let pack = self.path("accepted.pack");
        let written = File::create(&pack).map_err(|error| infra("the cache cannot be written", error))?;
        let packed = self
            .call(forge)
            .args(["pack-objects", "--stdout", "-q"])
            .input(ids)
            .long()
            .output_file(written)
            .answer()?;
        if packed.code != 0 {
            return refused(packed).map(Some);
        }
        let pack = File::open(&pack).map_err(|error| infra("the cache cannot be read", error))?;
        let indexed = forge.durable().args(["index-pack", "--strict", "--stdin"]).input_file(pack).long().answer()?;
        if indexed.code != 0 {
            return refused(indexed).map(Some);
        }
        // Without the quarantine: what is missing now is missing.
        let connected = walk(forge.call(), &["--quiet"])?;
        if connected.code == 0 { Ok(None) } else { refused(connected).map(Some) }
    }

    /// Is any file of these objects, or are all together, larger than a run may bring? Paths are for the note.
    fn too_large(&self, forge: &EmbeddedForge, ids: &[u8], paths: &[u8]) -> Result<Option<Trespass>, ForgeError> {
        let format = "--batch-check=%(objectname) %(objecttype) %(objectsize)";
        let told = self.call(forge).args(["cat-file", format, "--buffer"]).input(ids).long().bytes()?;
        let mut all: u64 = 0;
        for line in lossy(&told).lines() {
            let mut fields = line.split(' ');
            let (Some(id), Some(_), Some(bytes)) = (fields.next(), fields.next(), fields.next()) else { continue };
            let bytes: u64 = bytes.parse().unwrap_or(0);
            all = all.saturating_add(bytes);
            if bytes > FILE_BYTES {
                let path = lossy(paths).lines().find_map(|line| Some(line.strip_prefix(id)?.trim().to_owned()));
                let note = format!("a file of {} MiB; {} are allowed", bytes >> 20, FILE_BYTES >> 20);
                let path = path.unwrap_or_default();
                return Ok(Some(Trespass { kind: TrespassKind::TooLarge, path, note }));
            }
        }
        let note = format!("all new files together are {} MiB; {} are allowed", all >> 20, ALL_FILES_BYTES >> 20);
        let trespass = Trespass { kind: TrespassKind::TooLarge, path: String::new(), note };
        Ok((all > ALL_FILES_BYTES).then_some(trespass))
    }
}

/// What was copied so far.
struct Copy {
    bytes: u64,
    files: usize,
    /// Of the bytes.
    limit: u64,
}

impl Copy {
    /// Regular files with such names. True: a limit is reached.
    fn folder(&mut self, from: impl AsFd, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<bool, ForgeError> {
        let Some(listed) = folder::entries(&from, COPIED_FILES).map_err(unreadable)? else { return Ok(true) };
        for (name, file_type) in listed {
            let Ok(name) = name.into_string() else { continue };
            if file_type != FileType::RegularFile || !wanted(&name) {
                continue;
            }
            // What cannot be read is not there: if a commit needs it, that is said later.
            let Ok(Some(file)) = folder::open_file(&from, name.as_str()) else { continue };
            let left = self.limit - self.bytes;
            let mut target =
                File::create(to.join(&name)).map_err(|error| infra("the cache cannot be written", error))?;
            let copied = io::copy(&mut io::Read::take(file, left + 1), &mut target)
                .map_err(|error| infra("objects cannot be copied", error))?;
            self.files += 1;
            if copied > left || self.files > COPIED_FILES {
                return Ok(true);
            }
            self.bytes += copied;
        }
        Ok(false)
    }
}

/// What lies in a clone of this commit because it was put there, about: a copy is packed otherwise.
fn given_bytes(forge: &EmbeddedForge, expected: &CommitId) -> Result<u64, ForgeError> {
    let base = super::refs::full(&forge.base);
    let call = forge.call().args(["rev-list", "--disk-usage", "--objects", expected.as_str(), "--not", &base]);
    let bytes: u64 = call.long().text()?.parse().unwrap_or(0);
    Ok(bytes.saturating_mul(2))
}

/// The ids of a list of objects, a line each, without their paths.
fn ids(listed: &[u8]) -> Vec<u8> {
    let mut ids = Vec::with_capacity(listed.len());
    for line in listed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        ids.extend_from_slice(line.split(|byte| *byte == b' ').next().unwrap_or_default());
        ids.push(b'\n');
    }
    ids
}

fn is_hex(text: &str, lengths: &[usize]) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
}

fn unreadable(error: rustix::io::Errno) -> ForgeError {
    infra("a clone's objects cannot be read", error)
}

/// The objects' fault, unless git says that it was the machine's.
fn refused(answer: Answer) -> Result<Trespass, ForgeError> {
    if MACHINE_AT_FAULT.iter().any(|words| answer.stderr.contains(words)) {
        return Err(answer.failure());
    }
    let note = format!("git refuses the commits: {}", answer.stderr);
    Ok(Trespass { kind: TrespassKind::ObjectsRefused, path: String::new(), note })
}

/// Writes an object of this type into the quarantine.
pub(super) fn write_object(call: Call, object_type: &str, bytes: Vec<u8>) -> Result<CommitId, ForgeError> {
    let written = call.args(["hash-object", "-t", object_type, "-w", "--stdin"]).input(bytes).bytes()?;
    parse_id(&written)
}
