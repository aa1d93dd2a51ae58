//! Whether a restored folder is what was kept: counted, opened, migrated, each task rebuilt, each repository walked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use adapters::git::Repository;
use anyhow::{Context as _, bail};
use conductor::ports::store::{Overview as _, Store as _};
use domain::ids::{Digest, TaskId};
use domain::task::Task;
use store::{Moment, SqliteStore, StoreConfig};

use super::manifest::{BLOBS, Manifest};

/// What was proven.
pub(super) struct Proof {
    /// Tasks that were rebuilt.
    pub(super) tasks: u64,
    /// Of them, those that have not ended.
    pub(super) live: u64,
    /// The schema after the migration.
    pub(super) schema: u32,
    /// What a person should look at before this folder serves.
    pub(super) warnings: Vec<String>,
}

/// Proves it, or says what is wrong.
pub(super) fn prove(folder: &Path, manifest: &Manifest) -> anyhow::Result<Proof> {
    check_database(folder, manifest)?;
    let tasks = rebuild(folder)?;
    let schema = Moment::open(folder)?.schema()?;
    check_repositories(folder, manifest, &tasks)?;
    let mut warnings = Vec::new();
    if let Err(diagnostics) = configuration::load(folder, &crate::wiring::surroundings()) {
        let count = diagnostics.len();
        warnings.push(format!("on this machine the files have {count} errors: `gatewright check` shows them"));
    }
    let live = tasks.iter().filter(|task| task.end().is_none()).count() as u64;
    Ok(Proof { tasks: tasks.len() as u64, live, schema, warnings })
}

fn check_database(folder: &Path, manifest: &Manifest) -> anyhow::Result<()> {
    let moment = Moment::open(folder)?;
    let complaints = moment.complaints().context("the database in the backup is damaged")?;
    if !complaints.is_empty() {
        bail!("the database in the backup is damaged: {}", complaints.join("; "));
    }
    if moment.schema()? != manifest.schema {
        bail!("the database in the backup has schema {}, its manifest says {}", moment.schema()?, manifest.schema);
    }
    for (table, counted) in moment.counts()? {
        let told = manifest.counts.get(&table).copied();
        if told != Some(counted) {
            let told = told.map_or_else(|| "none".to_owned(), |told| told.to_string());
            bail!("the backup has {counted} rows of `{table}`, its manifest says {told}");
        }
    }
    let absent: BTreeSet<_> = manifest.absent_blobs.iter().collect();
    let kept: BTreeMap<&str, &Digest> =
        manifest.members.iter().map(|member| (member.name.as_str(), &member.sha256)).collect();
    for blob in moment.blobs()? {
        let bytes = kept.get(format!("{BLOBS}/{}", blob.path()).as_str()).copied();
        let excused = bytes.is_none() && absent.contains(&blob.digest);
        if bytes != Some(&blob.digest) && !excused {
            bail!("the blob {} is named by the database and is not in the backup", blob.digest);
        }
    }
    Ok(())
}

/// Opens it as a host does, and folds the entries of each task anew.
fn rebuild(folder: &Path) -> anyhow::Result<Vec<Task>> {
    let host = crate::clock::incarnation()?.host;
    let store = SqliteStore::open(StoreConfig::new(folder, host)).context("the restored database does not open")?;
    // By their numbers: a list of them leaves out what does not read.
    let tasks = (1..=store.extent()?.tasks)
        .map(|id| store.task(TaskId(id)).with_context(|| format!("task {id} is not whole")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    for task in &tasks {
        let differences = store.rebuild(task.id)?;
        if !differences.is_empty() {
            bail!("task {} ({}) does not rebuild: {}", task.id, task.work_item, differences.join("; "));
        }
    }
    Ok(tasks)
}

fn check_repositories(folder: &Path, manifest: &Manifest, tasks: &[Task]) -> anyhow::Result<()> {
    for kept in &manifest.repositories {
        let repository = Repository::open(Path::new("git"), folder, &folder.join(kept.folder()))?;
        let project = &kept.project;
        repository.check_whole().with_context(|| format!("the repository of {project} is not whole"))?;
        let refs = repository.refs()?;
        if refs.refs != kept.refs {
            bail!("the refs of {project} are not those that were kept");
        }
        for task in tasks.iter().filter(|task| task.project == *project && task.end().is_none()) {
            if let Some(head) = &task.head
                && !repository.has(head)?
            {
                bail!("task {} ({}) stands at {head}, which the repository does not have", task.id, task.work_item);
            }
        }
    }
    Ok(())
}
