//! Host calls and their answers in the broker's own types, below all versions of the WIT: what a transcript holds.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use domain::ids::{DocumentId, RunId};
use domain::plugin::{
    ChangedFile, Check, Comment, CommitInfo, DocumentInfo, Family, HostError, PullRequest, Revision, RunView,
    WorkItemView,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One host call and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What was asked.
    pub call: HostCall,
    /// What was answered.
    pub answer: Result<HostAnswer, HostError>,
}

/// A host call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "function")]
pub enum HostCall {
    /// `repo.read`
    RepoRead {
        /// In which tree.
        at: Revision,
        /// Relative to its root.
        path: String,
    },
    /// `repo.list`
    RepoList {
        /// Which tree.
        at: Revision,
        /// Which paths.
        glob: String,
    },
    /// `repo.changes`
    RepoChanges,
    /// `repo.diff`
    RepoDiff {
        /// Of which file.
        path: String,
    },
    /// `repo.commits`
    RepoCommits,
    /// `repo.last-change`
    RepoLastChange {
        /// Seen from where.
        at: Revision,
        /// Of which path.
        path: String,
    },
    /// `repo.is-ancestor`
    RepoIsAncestor {
        /// Is this …
        ancestor: String,
        /// … in the history of this?
        descendant: String,
    },
    /// `documents.list`
    DocumentsList,
    /// `documents.read`
    DocumentsRead {
        /// Which.
        id: DocumentId,
    },
    /// `forge.checks`
    ForgeChecks,
    /// `forge.code-pull-request`
    ForgeCodePullRequest,
    /// `tracker.current`
    TrackerCurrent,
    /// `tracker.comments`
    TrackerComments {
        /// How many.
        newest: u32,
    },
    /// `runs.list`
    RunsList {
        /// How many.
        newest: u32,
    },
    /// `runs.log-tail`
    RunsLogTail {
        /// Of which run.
        run: RunId,
        /// How much.
        bytes: u32,
    },
    /// `runs.report`
    RunsReport {
        /// Of which run.
        run: RunId,
    },
    /// `history.finished`
    HistoryFinished {
        /// How many.
        newest: u32,
    },
    /// A function of `kv`, `http` or `exec`: those come later, so what matters of it is only what it needs.
    Later {
        /// As the WIT names it, e.g. `kv.get`.
        name: String,
        /// Of which family.
        family: Family,
        /// The key, origin or command.
        object: String,
    },
}

impl HostCall {
    /// The family whose capability it needs.
    pub const fn family(&self) -> Family {
        match self {
            Self::RepoRead { .. }
            | Self::RepoList { .. }
            | Self::RepoChanges
            | Self::RepoDiff { .. }
            | Self::RepoCommits
            | Self::RepoLastChange { .. }
            | Self::RepoIsAncestor { .. } => Family::Repo,
            Self::DocumentsList | Self::DocumentsRead { .. } => Family::Documents,
            Self::ForgeChecks | Self::ForgeCodePullRequest => Family::Forge,
            Self::TrackerCurrent | Self::TrackerComments { .. } => Family::Tracker,
            Self::RunsList { .. } | Self::RunsLogTail { .. } | Self::RunsReport { .. } => Family::Runs,
            Self::HistoryFinished { .. } => Family::History,
            Self::Later { family, .. } => *family,
        }
    }

    /// The path that it is about, which a narrowing glob must match.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::RepoRead { path, .. } | Self::RepoDiff { path } | Self::RepoLastChange { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Bytes of its arguments, roughly.
    pub(crate) fn size(&self) -> usize {
        let text = match self {
            Self::RepoRead { path, .. } | Self::RepoDiff { path } | Self::RepoLastChange { path, .. } => path.len(),
            Self::RepoList { glob, .. } => glob.len(),
            Self::RepoIsAncestor { ancestor, descendant } => ancestor.len() + descendant.len(),
            Self::Later { object, .. } => object.len(),
            _ => 0,
        };
        text + 16
    }
}

/// What a host call answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostAnswer {
    /// A file, a document, a diff, the end of a log.
    Bytes(Bytes),
    /// Paths of a tree.
    Paths(Vec<String>),
    /// What changed.
    Changes(Vec<ChangedFile>),
    /// The commits of the branch.
    Commits(Vec<CommitInfo>),
    /// One commit, or none.
    LastChange(Option<CommitInfo>),
    /// Yes or no.
    Flag(bool),
    /// The documents.
    Documents(Vec<DocumentInfo>),
    /// The checks.
    Checks(Vec<Check>),
    /// The pull request, or none.
    PullRequest(Option<PullRequest>),
    /// The work item.
    WorkItem(WorkItemView),
    /// Its comments.
    Comments(Vec<Comment>),
    /// The runs.
    Runs(Vec<RunView>),
    /// A report, or none.
    Report(Option<String>),
}

impl HostAnswer {
    /// Bytes that it takes in the guest, roughly: texts, and 32 for each record.
    pub(crate) fn size(&self) -> u64 {
        const RECORD: usize = 32;
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let commit =
            |commit: &CommitInfo| RECORD + commit.author.len() + commit.message.len() + 64 * (1 + commit.parents.len());
        let bytes = match self {
            Self::Bytes(bytes) => bytes.0.len(),
            Self::Paths(paths) => paths.iter().map(|path| 8 + path.len()).sum(),
            Self::Changes(changes) => changes.iter().map(|file| RECORD + file.path.len() + text(&file.old_path)).sum(),
            Self::Commits(commits) => commits.iter().map(commit).sum(),
            Self::LastChange(found) => found.as_ref().map_or(RECORD, commit),
            Self::Flag(_) => 1,
            Self::Documents(documents) => {
                documents.iter().map(|one| 3 * RECORD + one.kind.len() + one.name.len()).sum()
            }
            Self::Checks(checks) => checks
                .iter()
                .map(|check| {
                    2 * RECORD + check.name.len() + check.raw.len() + check.description.len() + text(&check.url)
                })
                .sum(),
            Self::PullRequest(found) => {
                found.as_ref().map_or(RECORD, |request| 4 * RECORD + request.base.len() + request.url.len())
            }
            Self::WorkItem(item) => {
                let labels: usize = item.labels.iter().map(|label| 8 + label.len()).sum();
                let more: usize = item.more.iter().map(|fact| 16 + fact.key.len() + fact.value.len()).sum();
                2 * RECORD + item.title.len() + item.description.len() + labels + text(&item.url) + more
            }
            Self::Comments(comments) => {
                comments.iter().map(|comment| RECORD + comment.author.len() + comment.text.len()).sum()
            }
            Self::Runs(runs) => runs
                .iter()
                .map(|run| {
                    let more: usize = run.more.iter().map(|fact| 16 + fact.key.len() + fact.value.len()).sum();
                    12 * RECORD + text(&run.model) + text(&run.effort) + more
                })
                .sum(),
            Self::Report(report) => text(report),
        };
        bytes as u64
    }
}

/// Bytes; in a transcript as text where they are text, else in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BytesForm<'a> {
    #[serde(borrow)]
    Text(std::borrow::Cow<'a, str>),
    Base64(String),
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => BytesForm::Text(text.into()),
            Err(_) => BytesForm::Base64(BASE64_STANDARD.encode(&self.0)),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match BytesForm::deserialize(deserializer)? {
            BytesForm::Text(text) => Ok(Self(text.into_owned().into_bytes())),
            BytesForm::Base64(text) => BASE64_STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom),
        }
    }
}
