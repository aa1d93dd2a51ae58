//! Writing a backup, while a host is at work or none is.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use adapters::git::{KeptRefs, Repository};
use anyhow::{Context as _, bail};
use conductor::ports::clock::Clock as _;
use domain::ids::{Digest, ProjectName};
use domain::time::Timestamp;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use store::Moment;

use super::archive::Archive;
use super::manifest::{BLOBS, DATABASE, FORM, KeptRepository, Manifest, REPOSITORIES, folder_of};
use super::record::{self, BackupMade};
use crate::cli::Backup;
use crate::clock::SystemClock;
use crate::output::{Output, counted, size};
use crate::state;

/// Where backups go when nobody says where.
const FOLDER: &str = "backups";
/// The operator's files and folders that are in each backup.
pub(super) const OPERATORS: [&str; 5] = ["gatewright.toml", "projects", "prompts", "plugins", "components"];
/// Secrets: in a backup only where that is asked for.
pub(super) const SECRETS: [&str; 2] = [state::TOKEN_FILE, "secrets"];
/// What is left out, and why.
const LEFT_OUT: [(&str, &str); 4] = [
    ("runs", "what was under way is launched again, and logs of runs stay behind"),
    ("clones", "they are cut anew from the repositories"),
    ("briefs", "they are written anew for each launch"),
    ("cache", "it is made again"),
];
/// What nobody misses.
const UNMISSED: [&str; 8] = [
    "gatewright.db",
    "gatewright.db-wal",
    "gatewright.db-shm",
    "gatewright.lock",
    state::ADDRESS_FILE,
    FOLDER,
    record::FILE,
    BLOBS,
];
/// How often the moment is tried: a look at refs takes milliseconds, and refs move with each step of a task, not more often.
const TRIES: u32 = 200;

/// Runs the command.
pub(crate) fn create(dir: &Path, options: &Backup, out: &Output) -> anyhow::Result<()> {
    let at = SystemClock.now();
    let target = target(dir, options.to.as_deref(), at)?;
    let (made, manifest) = write(dir, &target, options.with_secrets, at)?;
    record::made(dir, &made)?;
    let value = serde_json::json!({"backup": made, "manifest": {
        "at": manifest.at, "schema": manifest.schema, "version": manifest.version, "counts": manifest.counts,
        "blobs": manifest.blobs, "secrets": manifest.secrets, "left_out": manifest.left_out,
        "repositories": manifest.repositories.iter().map(|kept| &kept.project).collect::<Vec<_>>(),
    }});
    out.value(&value, || {
        let mut text = format!("{} holds {} ({})\n", made.path.display(), told(&manifest), size(made.bytes));
        for line in &manifest.left_out {
            text.push_str(&format!("  not in it: {line}\n"));
        }
        if target.parent().is_some_and(|folder| folder.starts_with(dir)) {
            text.push_str("  it lies on the disk of the state folder: copy it to another machine\n");
        }
        text.push_str("\nNext: see whether it can be restored, in a folder that is removed again:\n");
        text.push_str(&format!("  {}", out.command(&format!("gatewright restore --verify {}", made.path.display()))));
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

/// How the name of a backup ends that is meant to be one file.
const SUFFIXES: [&str; 3] = ["backup", "bak", "tar"];

/// Whether a path that is not there yet is a file's: it ends like one, and with no `/`. Any other is a folder's, into which a
/// nightly backup goes again and again.
fn names_file(to: &Path) -> bool {
    let has_suffix = to.extension().is_some_and(|suffix| SUFFIXES.iter().any(|known| suffix == *known));
    has_suffix && !to.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// The file that is meant.
fn target(dir: &Path, to: Option<&Path>, at: Timestamp) -> anyhow::Result<PathBuf> {
    let folder = match to {
        None => {
            let folder = dir.join(FOLDER);
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            folder
        }
        Some(to) if to.is_dir() => std::path::absolute(to)?,
        Some(to) => {
            let place = std::path::absolute(to)?;
            if place.symlink_metadata().is_ok() {
                bail!("{} is there already: a backup writes over nothing", place.display());
            }
            let parent = place.parent().filter(|parent| parent.is_dir()).with_context(|| {
                format!("{} is in no folder that is there: make that first, or mount its disk", place.display())
            })?;
            if names_file(to) {
                return Ok(place);
            }
            // Only this one: what is above it may be a disk that is not mounted.
            let made = DirBuilder::new().mode(0o700).create(&place).and_then(|()| File::open(parent)?.sync_all());
            made.with_context(|| format!("the folder {} cannot be made", place.display()))?;
            place
        }
    };
    let name = dir.file_name().map_or_else(|| "gatewright".into(), |name| name.to_string_lossy().into_owned());
    let milliseconds = i64::try_from(at.0).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(milliseconds)?.strftime("%Y%m%dT%H%M%SZ");
    let names = (1..).map(|number: u32| match number {
        1 => format!("{name}-{time}.backup"),
        _ => format!("{name}-{time}-{number}.backup"),
    });
    let free = names.map(|name| folder.join(name)).find(|file| !file.exists());
    free.context("there is no name left for a backup")
}

/// The folder beside the target in which it grows. While its writer lives it is locked; what a dead one left is swept.
struct Growing {
    folder: PathBuf,
    _lock: File,
}

/// How the name of such a folder ends. It begins with a dot.
const GROWING: &str = ".partial";

impl Growing {
    fn beside(target: &Path) -> anyhow::Result<Self> {
        let parent = target.parent().context("a backup lies in a folder")?;
        sweep(parent);
        let name = target.file_name().context("a backup has a name")?.to_string_lossy().into_owned();
        let folder = parent.join(format!(".{name}{GROWING}"));
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("{} cannot be made: is another backup under way?", folder.display()))?;
        let lock = File::open(&folder)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).context("another backup is under way")?;
        Ok(Self { folder, _lock: lock })
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        // What cannot be removed now, the next backup sweeps.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes what backups left whose process is gone.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !(name.starts_with('.') && name.ends_with(GROWING)) {
            continue;
        }
        let left = File::open(entry.path())
            .is_ok_and(|folder| flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok());
        if left {
            // It only takes space: the next backup tries again.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn write(dir: &Path, target: &Path, secrets: bool, at: Timestamp) -> anyhow::Result<(BackupMade, Manifest)> {
    let growing = Growing::beside(target)?;
    let repositories = repositories(dir)?;
    let moment = Moment::open(dir)?;
    let refs = at_one_moment(&moment, &repositories)?;
    let copy = growing.folder.join("database");
    moment.copy_to(&copy)?;
    drop(moment);
    // From here on the copy is asked, so that what the manifest says is true of what is kept.
    let kept = growing.folder.join("look");
    fs::create_dir(&kept)?;
    fs::rename(&copy, kept.join(DATABASE))?;
    let moment = Moment::open(&kept)?;
    let whole = growing.folder.join("whole");
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&whole)?;
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
    archive.add_file(DATABASE, File::open(kept.join(DATABASE))?)?;
    add_blobs(dir, &moment, &mut archive, &mut manifest)?;
    for ((project, repository), refs) in repositories.iter().zip(refs) {
        let pack = growing.folder.join("pack");
        let kept = add_repository(project, repository, refs, &pack, &mut archive)?;
        manifest.repositories.push(kept);
    }
    let files = OPERATORS.iter().chain(if secrets { SECRETS.iter() } else { [].iter() });
    for name in files {
        add_tree(dir, name, &mut archive)?;
    }
    let (seal, bytes, manifest) = archive.seal(manifest)?;
    renameat_with(CWD, &whole, CWD, target, RenameFlags::NOREPLACE)
        .with_context(|| format!("the backup cannot be named {}", target.display()))?;
    File::open(target.parent().unwrap_or(target))?.sync_all()?;
    let tasks = manifest.counts.get("task").copied().unwrap_or_default();
    Ok((BackupMade { at, path: target.to_owned(), bytes, seal, tasks }, manifest))
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

/// Pins a moment at which no ref was moving, and says what the refs were.
fn at_one_moment(moment: &Moment, repositories: &[(ProjectName, Repository)]) -> anyhow::Result<Vec<KeptRefs>> {
    let refs = || -> anyhow::Result<Vec<KeptRefs>> {
        let look = |(project, repository): &(ProjectName, Repository)| {
            repository.refs().with_context(|| format!("the repository of {project} cannot be read"))
        };
        repositories.iter().map(look).collect()
    };
    let mut before = refs()?;
    for _ in 0..TRIES {
        moment.pin()?;
        let after = refs()?;
        if after == before {
            return Ok(after);
        }
        moment.release()?;
        before = after;
    }
    bail!("the repositories moved at each of {TRIES} looks: try again when fewer pushes arrive")
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
    pack: &Path,
    archive: &mut Archive,
) -> anyhow::Result<KeptRepository> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(pack)?;
    let objects = repository.pack_into(file).with_context(|| format!("the repository of {project} cannot be kept"))?;
    let folder = folder_of(project);
    archive.add_file(&format!("{folder}/objects.pack"), File::open(pack)?)?;
    fs::remove_file(pack)?;
    for log in &refs.logs {
        archive.add_bytes(&format!("{folder}/logs/{}", log.name), &log.bytes)?;
    }
    let logs = refs.logs.into_iter().map(|log| log.name).collect();
    let (base, object_format) = (refs.base, refs.object_format);
    Ok(KeptRepository { project: project.clone(), base, object_format, refs: refs.refs, logs, objects })
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
