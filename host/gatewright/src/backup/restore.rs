//! A new state folder from a backup: all of it is checked before the folder has its name.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use adapters::git::{KeptRefs, Reflog, Repository};
use anyhow::{Context as _, bail};
use conductor::ports::clock::Clock as _;

use super::archive::{self, Sound};
use super::create::{OPERATORS, SECRETS};
use super::manifest::{BLOBS, DATABASE, KeptRepository, REPOSITORIES};
use super::record::{self, Verified};
use super::verify::{Proof, prove};
use crate::clock::SystemClock;
use crate::output::{Output, counted, size};
use crate::state;

/// Where the parts of repositories wait until these are made of them.
const PARTS: &str = "restoring";

/// Where a backup is restored.
pub(crate) enum Target {
    /// Into a folder that is not there yet.
    New(PathBuf),
    /// Into one that is removed again: to see whether it can be done.
    Rehearsal,
}

/// Runs the command. `dir`: the state folder that remembers what was proven, if it is one of its backups.
pub(crate) fn restore(file: &Path, target: Target, dir: Option<&Path>, out: &Output) -> anyhow::Result<()> {
    let (parent, name) = place(&target)?;
    let sound = archive::open(file)?;
    let growing = tempfile::Builder::new().prefix(".restoring-").tempdir_in(&parent);
    let growing = growing.with_context(|| format!("{} cannot be written", parent.display()))?;
    let folder = growing.path().join("state");
    DirBuilder::new().mode(0o700).create(&folder)?;
    unpack(&sound, &folder)?;
    let mut proof = prove(&folder, &sound.manifest)?;
    if let Some(name) = &name {
        rustix::fs::syncfs(File::open(&folder)?)?;
        let placed = rustix::fs::renameat_with(
            rustix::fs::CWD,
            &folder,
            rustix::fs::CWD,
            name,
            rustix::fs::RenameFlags::NOREPLACE,
        );
        placed.with_context(|| format!("{} was made meanwhile by somebody else", name.display()))?;
        File::open(&parent)?.sync_all()?;
    }
    let manifest = &sound.manifest;
    let (at, backup_at, seal) = (SystemClock.now(), manifest.at, sound.seal.clone());
    let verified = Verified { at, backup_at, seal, tasks: proof.tasks };
    let known = dir.map(Path::to_owned).or_else(|| state::find(None).ok());
    let noted = match known.as_deref().map(|dir| record::proven(dir, &verified)) {
        Some(Ok(true)) => known,
        Some(Ok(false)) | None => None,
        Some(Err(error)) => {
            // It is proven all the same.
            proof.warnings.push(format!("{}: {error:#}", record::UNKNOWN));
            None
        }
    };
    tell(&sound, &proof, name.as_deref(), noted.as_deref(), out)
}

/// The folder that holds the new one, and the new one's own path.
fn place(target: &Target) -> anyhow::Result<(PathBuf, Option<PathBuf>)> {
    let Target::New(dir) = target else { return Ok((std::env::temp_dir(), None)) };
    let dir = std::path::absolute(dir)?;
    if fs::symlink_metadata(&dir).is_ok() {
        bail!(
            "{} is there already: a restore writes over nothing, so name a folder that is not there yet",
            dir.display()
        );
    }
    let parent = dir.parent().filter(|parent| parent.is_dir());
    let parent = parent.with_context(|| format!("{} is in no folder that is there: make it first", dir.display()))?;
    if let Some(state) = state::around(parent) {
        bail!("{} is in the state folder {}: a host's own is no place for another", dir.display(), state.display());
    }
    Ok((parent.to_owned(), Some(dir)))
}

fn unpack(sound: &Sound, folder: &Path) -> anyhow::Result<()> {
    let parts = folder.join(PARTS);
    sound.each(|member, bytes| {
        let top = member.name.split('/').next().unwrap_or_default();
        let path = match top {
            REPOSITORIES => parts.join(&member.name),
            DATABASE | BLOBS => folder.join(&member.name),
            known if OPERATORS.contains(&known) || SECRETS.contains(&known) => folder.join(&member.name),
            _ => bail!("it is no part of a state folder"),
        };
        write(&path, bytes)
    })?;
    for kept in &sound.manifest.repositories {
        make_repository(folder, &parts, kept)
            .with_context(|| format!("the repository of {} cannot be restored", kept.project))?;
    }
    if parts.exists() {
        fs::remove_dir_all(&parts)?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &mut dyn Read) -> anyhow::Result<()> {
    let folder = path.parent().context("a file lies in a folder")?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(bytes, &mut file)?;
    Ok(())
}

fn make_repository(folder: &Path, parts: &Path, kept: &KeptRepository) -> anyhow::Result<()> {
    let mut logs = Vec::new();
    for name in &kept.logs {
        let file = parts.join(kept.folder()).join("logs").join(name);
        logs.push(Reflog {
            name: name.clone(),
            bytes: fs::read(&file).with_context(|| format!("the reflog of {name}"))?,
        });
    }
    let refs = KeptRefs { base: kept.base.clone(), refs: kept.refs.clone(), logs };
    let pack = File::open(parts.join(kept.folder()).join("objects.pack")).context("its objects are not there")?;
    let path = folder.join(kept.folder());
    DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap_or(folder))?;
    Ok(Repository::open(Path::new("git"), folder, &path)?.make(&kept.object_format, &refs, pack)?)
}

fn tell(sound: &Sound, proof: &Proof, made: Option<&Path>, noted: Option<&Path>, out: &Output) -> anyhow::Result<()> {
    let manifest = &sound.manifest;
    let value = serde_json::json!({
        "verified": true, "seal": sound.seal, "at": manifest.at, "version": manifest.version,
        "schema": {"backup": manifest.schema, "restored": proof.schema},
        "tasks": proof.tasks, "live": proof.live, "counts": manifest.counts, "blobs": manifest.blobs,
        "repositories": manifest.repositories.iter().map(|kept| serde_json::json!({
            "project": kept.project, "refs": kept.refs.len(), "objects": kept.objects,
        })).collect::<Vec<_>>(),
        "dir": made, "noted_in": noted, "left_out": manifest.left_out, "warnings": proof.warnings,
    });
    out.value(&value, || {
        let bytes = manifest.members.iter().map(|member| member.size).sum();
        let mut text = format!(
            "the backup is whole: {} rebuilt and unchanged, {} live; {}, {}, {} in all\n",
            counted(proof.tasks, "task", "tasks"),
            proof.live,
            counted(manifest.blobs, "blob", "blobs"),
            counted(manifest.repositories.len() as u64, "repository", "repositories"),
            size(bytes)
        );
        if proof.schema != manifest.schema {
            text.push_str(&format!("  its schema {} was migrated to {}\n", manifest.schema, proof.schema));
        }
        for line in &manifest.left_out {
            text.push_str(&format!("  not in it: {line}\n"));
        }
        for warning in &proof.warnings {
            text.push_str(&format!("  warning: {warning}\n"));
        }
        if let Some(noted) = noted {
            text.push_str(&format!("  noted in {}\n", noted.display()));
        }
        match made {
            Some(dir) => text.push_str(&next(dir, manifest.repositories.iter())),
            None => text.push_str("\nNothing was kept of it. `--to NEWDIR` makes a state folder of it."),
        }
        text
    })
}

fn next<'k>(dir: &Path, kept: impl Iterator<Item = &'k KeptRepository>) -> String {
    let shown = crate::output::quoted(&dir.to_string_lossy());
    let mut text = format!(
        "\nRestored into {}. Before it serves, end the host that it was made from: two would do everything twice.\n",
        dir.display()
    );
    text.push_str(&format!("  gatewright --dir {shown} check\n  gatewright --dir {shown} serve\n"));
    for kept in kept {
        let path = crate::output::quoted(&dir.join(kept.folder()).to_string_lossy());
        text.push_str(&format!("  git remote set-url gatewright {path}   # in your repository of {}\n", kept.project));
    }
    text.trim_end().to_owned()
}
