//! Writing a backup, while a host is at work or none is.

use std::fs::{self, File};
use std::path::Path;

use adapters::git::{KeptRefs, Repository};
use anyhow::{Context as _, bail};
use conductor::ports::clock::Clock as _;
use domain::ids::{Digest, ProjectName};
use domain::time::Timestamp;
use store::Moment;

use super::archive::Archive;
use super::manifest::{BLOBS, DATABASE, FORM, KeptRepository, Manifest, REPOSITORIES, folder_of};
use super::moment;
use super::place::{FOLDER, Growing, Part, Place};
use super::record::{self, BackupMade};
use crate::cli::Backup;
use crate::clock::SystemClock;
use crate::output::{Output, counted, quoted, size};
use crate::private;
use crate::state;

/// The operator's files and folders that are in each backup.
pub(super) const OPERATORS: [&str; 5] = ["gatewright.toml", "projects", "prompts", "plugins", "components"];
/// Secrets: in a backup only where that is asked for.
pub(super) const SECRETS: [&str; 2] = [state::TOKEN_FILE, "secrets"];
/// What is left out, and why.
const LEFT_OUT: [(&str, &str); 5] = [
    ("runs", "what was under way is launched again, and logs of runs stay behind"),
    ("clones", "they are cut anew from the repositories"),
    ("briefs", "they are written anew for each launch"),
    ("cache", "it is made again"),
    ("homes", "an agent that is asked again does not remember what it said"),
];
/// What nobody misses.
const UNMISSED: [&str; 9] = [
    "gatewright.db",
    "gatewright.db-wal",
    "gatewright.db-shm",
    "gatewright.lock",
    state::ADDRESS_FILE,
    state::WEBHOOKS_FILE,
    FOLDER,
    record::FILE,
    BLOBS,
];
/// Runs the command.
pub(crate) fn create(dir: &Path, options: &Backup, out: &Output) -> anyhow::Result<()> {
    let at = SystemClock.now();
    let place = Place::find(dir, options.to.as_deref(), at)?;
    let (made, manifest) = write(dir, &place, options.with_secrets, at)?;
    // From here on there is a backup, whatever is known of it.
    let unknown = record::made(dir, &made).err().map(|error| format!("{}: {error:#}", record::UNKNOWN));
    let value = serde_json::json!({"backup": made, "manifest": {
        "at": manifest.at, "schema": manifest.schema, "version": manifest.version, "counts": manifest.counts,
        "blobs": manifest.blobs, "secrets": manifest.secrets, "left_out": manifest.left_out,
        "repositories": manifest.repositories.iter().map(|kept| &kept.project).collect::<Vec<_>>(),
    }, "warnings": unknown.iter().collect::<Vec<_>>()});
    out.value(&value, || {
        let mut text = format!("{} holds {} ({})\n", made.path.display(), told(&manifest), size(made.bytes));
        for line in &manifest.left_out {
            text.push_str(&format!("  not in it: {line}\n"));
        }
        if made.path.starts_with(dir) {
            text.push_str("  it lies on the disk of the state folder: copy it to another machine\n");
        }
        if let Some(warning) = &unknown {
            text.push_str(&format!("  warning: {warning}\n"));
        }
        text.push_str("\nNext: see whether it can be restored, in a folder that is removed again:\n");
        let path = quoted(&made.path.to_string_lossy());
        text.push_str(&format!("  {}", out.command(&format!("gatewright restore --verify {path}"))));
        text
    })
}

fn told(manifest: &Manifest) -> String {
    let count = |table: &str| manifest.counts.get(table).copied().unwrap_or_default();
    let secrets = if manifest.secrets { ", with secrets" } else { "" };
    format!(
        "{}, {}, {}, {}{secrets}",
        counted(count("task"), "task", "tasks"),
        counted(count("entry"), "entry", "entries"),
        counted(manifest.blobs, "blob", "blobs"),
        counted(manifest.repositories.len() as u64, "repository", "repositories")
    )
}

/// What `restore` would refuse is no backup: whoever counted on it would hear so on the day he needs it.
fn refuse_damage(dir: &Path, copy: &Moment) -> anyhow::Result<()> {
    let database = dir.join(DATABASE);
    let cure = "no backup was made; the last one that `gatewright restore --verify` takes is the way back, and a copy of \
                the folder, made while the host is stopped, is what there is of the time since";
    let complaints = copy
        .complaints()
        .with_context(|| format!("{} is damaged, and cannot be read to its end; {cure}", database.display()))?;
    if !complaints.is_empty() {
        bail!("{} is damaged: {}; {cure}", database.display(), complaints.join("; "));
    }
    Ok(())
}

fn write(dir: &Path, place: &Place, secrets: bool, at: Timestamp) -> anyhow::Result<(BackupMade, Manifest)> {
    let growing = Growing::within(place.folder()?)?;
    let repositories = repositories(dir)?;
    let moment = Moment::open(dir)?;
    let refs = moment::pin(&moment, &repositories)?;
    moment.copy_to(&growing.at(Part::Database))?;
    drop(moment);
    // From here on the copy is asked, so that what the manifest says is true of what is kept.
    let moment = Moment::open(&growing.look())?;
    refuse_damage(dir, &moment)?;
    let file = Part::Whole.create(&growing)?;
    if place.folder()?.starts_with(dir) {
        private::give_to_owner(dir, &file)?;
    }
    let mut archive = Archive::new(file);
    let mut manifest = Manifest {
        form: FORM,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        at,
        schema: moment.schema()?,
        counts: moment.counts()?,
        blobs: 0,
        absent_blobs: Vec::new(),
        repositories: Vec::new(),
        secrets,
        left_out: left_out(dir, secrets)?,
        members: Vec::new(),
    };
    archive.add_file(DATABASE, File::open(growing.at(Part::Database))?)?;
    add_blobs(dir, &moment, &mut archive, &mut manifest)?;
    for ((project, repository), refs) in repositories.iter().zip(refs) {
        manifest.repositories.push(add_repository(project, repository, refs, &growing, &mut archive)?);
    }
    let files = OPERATORS.iter().chain(if secrets { SECRETS.iter() } else { [].iter() });
    for name in files {
        add_tree(dir, name, &mut archive)?;
    }
    let (seal, bytes, manifest) = archive.seal(manifest)?;
    let path = place.name(&growing.at(Part::Whole))?;
    let tasks = manifest.counts.get("task").copied().unwrap_or_default();
    Ok((BackupMade { at, path, bytes, seal, tasks }, manifest))
}

/// Each project's repository, by its folder: one whose file is gone may still be the only place of its code.
fn repositories(dir: &Path) -> anyhow::Result<Vec<(ProjectName, Repository)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir.join(REPOSITORIES)).into_iter().flatten() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(project) = name.strip_suffix(".git").and_then(|name| ProjectName::new(name).ok()) else { continue };
        found.push((project, Repository::open(Path::new("git"), dir, &entry.path())?));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

fn add_blobs(dir: &Path, moment: &Moment, archive: &mut Archive, manifest: &mut Manifest) -> anyhow::Result<()> {
    for blob in moment.blobs()? {
        let name = format!("{BLOBS}/{}", blob.path());
        let file = match File::open(dir.join(&name)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && blob.size.is_none() => {
                manifest.absent_blobs.push(blob.digest);
                continue;
            }
            Err(error) => return Err(error).with_context(|| damaged(&name)),
        };
        let found = archive.add_file(&name, file)?;
        if found != blob.digest {
            bail!("{}: its bytes are not the ones that were written there", damaged(&name));
        }
        manifest.blobs += 1;
    }
    Ok(())
}

fn damaged(name: &str) -> String {
    format!("the state folder is damaged: {name}, which the database names, cannot be kept")
}

fn add_repository(
    project: &ProjectName,
    repository: &Repository,
    refs: KeptRefs,
    growing: &Growing,
    archive: &mut Archive,
) -> anyhow::Result<KeptRepository> {
    let cannot = || format!("the repository of {project} cannot be kept");
    let object_format = repository.object_format().with_context(cannot)?;
    let objects = repository.pack_into(Part::Pack.create(growing)?).with_context(cannot)?;
    let folder = folder_of(project);
    archive.add_file(&format!("{folder}/objects.pack"), File::open(growing.at(Part::Pack))?)?;
    fs::remove_file(growing.at(Part::Pack))?;
    for log in &refs.logs {
        archive.add_bytes(&format!("{folder}/logs/{}", log.name), &log.bytes)?;
    }
    let logs = refs.logs.into_iter().map(|log| log.name).collect();
    Ok(KeptRepository { project: project.clone(), base: refs.base, object_format, refs: refs.refs, logs, objects })
}

/// A file, or all files of a folder, in the order of their names. A link to a file is kept as that file.
fn add_tree(dir: &Path, name: &str, archive: &mut Archive) -> anyhow::Result<()> {
    let path = dir.join(name);
    let kind = match fs::symlink_metadata(&path) {
        Ok(about) => about.file_type(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("{name} cannot be kept")),
    };
    if kind.is_dir() {
        let mut names = Vec::new();
        for entry in fs::read_dir(&path)? {
            let own = entry?.file_name().into_string();
            names.push(own.map_err(|own| anyhow::anyhow!("{name}/{}: the name is not UTF-8", own.display()))?);
        }
        names.sort();
        return names.into_iter().try_for_each(|own| add_tree(dir, &format!("{name}/{own}"), archive));
    }
    // Opening a named pipe would wait for whoever writes into it.
    if !fs::metadata(&path).is_ok_and(|about| about.is_file()) {
        return Ok(());
    }
    let file = File::open(&path).with_context(|| format!("{name} cannot be kept"))?;
    archive.add_file(name, file).map(|_: Digest| ())
}

fn left_out(dir: &Path, secrets: bool) -> anyhow::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    for name in names {
        let name = name.as_str();
        if let Some((_, why)) = LEFT_OUT.iter().find(|(known, _)| *known == name) {
            lines.push(format!("{name}: {why}"));
        } else if SECRETS.contains(&name) {
            if !secrets {
                lines.push(format!("{name}: a secret; `--with-secrets` keeps it, and who has the backup then has it"));
            }
        } else if !OPERATORS.contains(&name) && !UNMISSED.contains(&name) && name != REPOSITORIES {
            lines.push(format!("{name}: it is none of Gatewright's files"));
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_host_writes_is_kept_or_left_out_with_a_reason_or_missed_by_nobody() {
        let known = |name: &&str| {
            let left_out = LEFT_OUT.iter().any(|(known, _)| known == name);
            left_out || OPERATORS.contains(name) || SECRETS.contains(name) || UNMISSED.contains(name)
        };
        let unknown: Vec<&str> =
            private::OURS.into_iter().filter(|name| !known(name) && *name != REPOSITORIES).collect();
        assert_eq!(unknown, Vec::<&str>::new());
    }
}
