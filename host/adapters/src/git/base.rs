//! What a project's sandboxes see of its repository: a second store of objects, which holds what the base branch reaches.
//!
//! Clones borrow from it, never from the repository itself: there lies what all tasks have committed and nobody has merged. The
//! host alone fills it, a call at a time, from the repository, before a clone is made. It can be made anew from there whenever
//! it is gone or broken, so no backup holds it. What it has, it keeps: living clones borrow it, and a commit that somebody takes
//! out of the base branch by force stays readable.

use std::fs;
use std::io::Seek as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use conductor::ports::forge::ForgeError;
use domain::ids::CommitId;

use super::EmbeddedForge;
use super::command::{Call, parse_id};
use super::folder::{self, infra};
use super::refs;
use super::setup::make_empty;
use super::sight::require;

/// Up to where the store is filled. It is no branch, so `HEAD` has no part in its moves.
const FILLED: &str = "refs/gatewright/base";

/// Packing all of a large repository, once.
const WHOLE: Duration = Duration::from_hours(2);

/// Of a pack: four letters, a version of four bytes, and so many objects.
const COUNT_AT: u64 = 8;

/// The objects that all clones borrow.
pub(super) fn objects(forge: &EmbeddedForge) -> PathBuf {
    forge.layout.base.join("objects")
}

/// The base branch's head, all of which is in the store now.
pub(super) fn current(forge: &EmbeddedForge) -> Result<CommitId, ForgeError> {
    let _guard = forge.base_guard();
    let head = refs::head(forge, &forge.base)?;
    let head = head.ok_or_else(|| ForgeError::NotFound(format!("branch `{}`", forge.base)))?;
    match filled(forge)? {
        Some(filled) if filled == head => {}
        // Known here, too, or it is another repository's store: one of the same name was there before.
        Some(filled) if require(forge, &filled).is_ok() => fill(forge, &forge.layout.base, &head, Some(&filled))?,
        _ => make(forge, &head)?,
    }
    Ok(head)
}

/// Up to where it is filled; none: it is not there, half made, or nothing that git reads.
fn filled(forge: &EmbeddedForge) -> Result<Option<CommitId>, ForgeError> {
    let call = forge.git.call(&forge.layout.base);
    let answer = call.args(["rev-parse", "--verify", "--quiet", "--end-of-options", FILLED]).answer()?;
    if answer.code == 0 { parse_id(&answer.stdout).map(Some) } else { Ok(None) }
}

/// Builds it beside its place and moves it there when it is whole.
fn make(forge: &EmbeddedForge, head: &CommitId) -> Result<(), ForgeError> {
    let failed = |error| infra("the base's objects cannot be put in their place", error);
    let making = tempfile::tempdir_in(&forge.layout.cache).map_err(failed)?;
    let path = making.path().join("base");
    make_empty(&forge.git, &path, object_format(head), &forge.base)?;
    fill(forge, &path, head, None)?;
    // What was not synced by git itself, before it has its name.
    let folder = folder::open(&path).map_err(|error| failed(error.into()))?;
    rustix::fs::syncfs(folder).map_err(|error| failed(error.into()))?;
    discard(forge)?;
    fs::rename(&path, &forge.layout.base).map_err(failed)
}

/// Brings there what it lacks. Its name for it comes last, so that a crash before costs a pack that is there twice, no more.
fn fill(forge: &EmbeddedForge, store: &Path, head: &CommitId, filled: Option<&CommitId>) -> Result<(), ForgeError> {
    // Nobody else writes here: it is a dead call's.
    let _ = fs::remove_file(store.join(format!("{FILLED}.lock")));
    // All of it at once: as it lies in the repository, without a search for better deltas.
    let window = if filled.is_none() { "--window=0" } else { "--window=10" };
    copy(forge, forge.durable_on(store), &[head], filled, window)?;
    let call = forge.durable_on(store).set("core.logAllRefUpdates=false");
    call.args(["update-ref", FILLED, head.as_str()]).done()
}

/// Copies what these commits reach, and the known one does not, out of the repository into another store: as one pack that needs
/// no other object to be read, or, where there is nothing, not at all.
pub(super) fn copy(
    forge: &EmbeddedForge,
    into: Call,
    wanted: &[&CommitId],
    known: Option<&CommitId>,
    window: &str,
) -> Result<(), ForgeError> {
    let failed = |error| infra("the cache cannot be used", error);
    let mut pack = tempfile::tempfile_in(&forge.layout.cache).map_err(failed)?;
    let known = known.map(|commit| format!("^{commit}"));
    let revisions: Vec<&str> = wanted.iter().map(|commit| commit.as_str()).chain(known.as_deref()).collect();
    let packing = forge.call().args(["pack-objects", "--revs", "--stdout", "--quiet", "--threads=1", window]);
    packing.input(revisions.join("\n") + "\n").time(WHOLE).output_file(pack.try_clone().map_err(failed)?).done()?;
    let mut count = [0; 4];
    pack.read_exact_at(&mut count, COUNT_AT).map_err(failed)?;
    if count == [0; 4] {
        return Ok(());
    }
    pack.rewind().map_err(failed)?;
    into.args(["index-pack", "--stdin"]).time(WHOLE).input_file(pack).done()
}

/// A clone could not be made. If that is the store's fault, it goes, and the next call makes it anew.
pub(super) fn mistrust(forge: &EmbeddedForge) -> Result<(), ForgeError> {
    let _guard = forge.base_guard();
    let call = forge.git.call(&forge.layout.base);
    let checked = call.args(["rev-list", "--objects", "--quiet", FILLED]).time(WHOLE).answer()?;
    if checked.code != 0 && forge.layout.base.exists() {
        tracing::warn!(error = checked.stderr, "the base's objects are not whole and are made anew");
        discard(forge)?;
    }
    Ok(())
}

/// Whatever lies in its place.
pub(super) fn discard(forge: &EmbeddedForge) -> Result<(), ForgeError> {
    let failed = |error| infra("the base's objects cannot be removed", error);
    let (Some(folder), Some(name)) = (forge.layout.base.parent(), forge.layout.base.file_name()) else { return Ok(()) };
    let trash = forge.trash()?;
    trash.discard(folder::open(folder).map_err(failed)?, name).map_err(failed)?;
    trash.empty()
}

/// By the length of its names.
pub(super) fn object_format(commit: &CommitId) -> &'static str {
    if commit.as_str().len() == 64 { "sha256" } else { "sha1" }
}
