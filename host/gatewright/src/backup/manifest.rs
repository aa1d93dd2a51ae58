//! What a backup says of itself.

use std::collections::BTreeMap;

use domain::ids::{Digest, ProjectName};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Of this form; another one is refused.
pub(crate) const FORM: u32 = 1;

/// The name of the database in it.
pub(crate) const DATABASE: &str = "gatewright.db";
/// The folder of blobs in it.
pub(crate) const BLOBS: &str = "blobs";
/// The folder of repositories in it.
pub(crate) const REPOSITORIES: &str = "repositories";

/// What a backup says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// [`FORM`].
    pub(crate) form: u32,
    /// The version of the program that wrote it.
    pub(crate) version: String,
    /// The moment that it holds.
    pub(crate) at: Timestamp,
    /// The database's schema.
    pub(crate) schema: u32,
    /// The rows of each table.
    pub(crate) counts: BTreeMap<String, u64>,
    /// Blobs that are named and were there.
    pub(crate) blobs: u64,
    /// Named, and never there: what nobody must read may be missing.
    pub(crate) absent_blobs: Vec<Digest>,
    /// The repositories of the projects.
    pub(crate) repositories: Vec<KeptRepository>,
    /// Whether secrets are in it.
    pub(crate) secrets: bool,
    /// What of the state folder is not in it, a sentence each.
    pub(crate) left_out: Vec<String>,
    /// All files in it but this one, in their order.
    pub(crate) members: Vec<Member>,
}

/// One project's repository.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeptRepository {
    /// Whose.
    pub(crate) project: ProjectName,
    /// The branch that everything is merged into.
    pub(crate) base: domain::ids::BranchName,
    /// `sha1` or `sha256`.
    pub(crate) object_format: String,
    /// Names and the objects that they stand for.
    pub(crate) refs: Vec<(String, domain::ids::CommitId)>,
    /// The names of which a reflog is in the backup.
    pub(crate) logs: Vec<String>,
    /// How many objects.
    pub(crate) objects: u64,
}

impl KeptRepository {
    /// Where its files are in a backup.
    pub(crate) fn folder(&self) -> String {
        folder_of(&self.project)
    }
}

/// Where a repository's files are in a backup.
pub(crate) fn folder_of(project: &ProjectName) -> String {
    format!("{REPOSITORIES}/{project}.git")
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    /// Relative, with `/`.
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: u64,
    /// Of its bytes.
    pub(crate) sha256: Digest,
}
