//! The operator's files and the database.

use std::path::Path;

use configuration::{Looked, ProjectFile};
use store::Moment;

use super::Finding;
use crate::output::{counted, size};
use crate::task::visible;

/// A log of this size means that nobody folds it into the database.
const LARGE_LOG: u64 = 1 << 30;

/// Whether the files can be read.
pub(super) fn sound(looked: &Looked) -> Finding {
    let names = looked.readable.projects.iter().map(|file| file.project.name.as_str()).collect::<Vec<_>>().join(", ");
    if looked.diagnostics.is_empty() {
        return Finding::ok("files", format!("all are sound; projects: {names}"));
    }
    let errors = counted(looked.diagnostics.len() as u64, "error", "errors");
    Finding::error(
        "files",
        format!("{errors}: no host starts with them; what could be read was looked at all the same"),
        "`gatewright check` shows each with its line",
    )
}

/// Whether each project has its repository, the user's and the host's: a host starts with none missing.
pub(super) fn repositories(dir: &Path, looked: &Looked) -> Vec<Finding> {
    let told = |file: &ProjectFile| {
        let name = &file.project.name;
        let complaints = crate::check::of_repository(dir, looked, file);
        let found = complaints.into_iter().map(move |complaint| {
            let cure = complaint.helps.first().map_or("`gatewright check` shows the line", String::as_str).to_owned();
            Finding::error("repository", format!("{name}: {}", visible(&complaint.message)), cure)
        });
        found.collect::<Vec<_>>()
    };
    let found: Vec<Finding> = looked.readable.projects.iter().flat_map(told).collect();
    let is_read = |file: &&ProjectFile| !looked.branchless.contains(&file.source);
    let count = looked.readable.projects.iter().filter(is_read).count() as u64;
    if found.is_empty() && count > 0 {
        let told = format!("{} and the base branch of each", counted(count, "repository", "repositories"));
        return vec![Finding::ok("repository", told)];
    }
    found
}

/// Whether the database is there, of a schema that this program knows, and whole.
pub(super) fn database(dir: &Path) -> Vec<Finding> {
    let path = dir.join("gatewright.db");
    if !path.exists() {
        return vec![Finding::warning("database", "there is none yet", "the first `gatewright serve` makes it")];
    }
    let looked = Moment::open(dir).and_then(|moment| Ok((moment.schema()?, moment.complaints()?)));
    let (schema, complaints) = match looked {
        Ok(looked) => looked,
        Err(error) => {
            let cure = "look at the disk; `gatewright restore` makes a new state folder of a backup";
            return vec![Finding::error("database", format!("it does not open: {error}"), cure)];
        }
    };
    if !complaints.is_empty() {
        let cure = "end the host, and make a new state folder of the last backup with `gatewright restore`";
        return vec![Finding::error("database", format!("it is damaged: {}", complaints.join("; ")), cure)];
    }
    let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |about| about.len());
    let mut findings =
        vec![Finding::ok("database", format!("schema {schema}, {}, every page and key read", size(bytes(&path))))];
    let log = bytes(&path.with_extension("db-wal"));
    if log > LARGE_LOG {
        let cure = "a program that reads the database keeps it open: end it; a restart of the host folds the log in";
        findings.push(Finding::warning("database", format!("its log has grown to {}", size(log)), cure));
    }
    findings
}
