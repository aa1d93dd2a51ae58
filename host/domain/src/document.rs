//! Documents: what a run or the host wrote down about a work item, and whose hand owns which.

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, DocumentId, RunId, StageName, WorkItemId};
use crate::time::Timestamp;

/// Who works in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Writes what is wanted.
    Analyst,
    /// Writes how it shall be built.
    Architect,
    /// Changes the code.
    Developer,
    /// Judges the change by reading it.
    Reviewer,
    /// Judges the change by running it.
    Tester,
    /// Judges a staging or production deploy.
    Deployer,
}

impl Role {
    /// All roles, in the order of the full pipeline.
    pub const ALL: [Self; 6] =
        [Self::Analyst, Self::Architect, Self::Developer, Self::Reviewer, Self::Tester, Self::Deployer];

    /// As files and environments spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Analyst => "analyst",
            Self::Architect => "architect",
            Self::Developer => "developer",
            Self::Reviewer => "reviewer",
            Self::Tester => "tester",
            Self::Deployer => "deployer",
        }
    }

    /// A role that judges works on a throwaway clone: only its documents are taken.
    pub const fn judges(self) -> bool {
        matches!(self, Self::Reviewer | Self::Tester | Self::Deployer)
    }

    /// The kinds whose documents this role alone may write.
    pub fn owned_kinds(self) -> impl Iterator<Item = DocumentKind> {
        DocumentKind::ALL.into_iter().filter(move |kind| kind.owner() == Some(self))
    }

    /// At least one of these must be there after a run, or the run is launched again.
    pub const fn required_kinds(self) -> &'static [DocumentKind] {
        match self {
            Self::Analyst => &[DocumentKind::Brd, DocumentKind::Questions],
            Self::Architect => &[DocumentKind::Adr],
            Self::Developer => &[],
            Self::Reviewer => &[DocumentKind::Review],
            Self::Tester => &[DocumentKind::TestReport],
            Self::Deployer => &[DocumentKind::StagingLog, DocumentKind::DeployLog],
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a document is, whatever its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// The ticket's own words, written by the host.
    BusinessRequest,
    /// What is wanted.
    Brd,
    /// Questions that somebody must answer first.
    Questions,
    /// The technical specification.
    Specification,
    /// Acceptance criteria.
    Acceptance,
    /// The plan of tests.
    TestPlan,
    /// A record of an architectural decision.
    Adr,
    /// The reviewer's verdict.
    Review,
    /// The tester's verdict.
    TestReport,
    /// The outcome of the production deploy.
    DeployLog,
    /// The outcome of the staging deploy.
    StagingLog,
    /// The outcome of the watch after a deploy.
    WatchLog,
    /// The outcome of the security scan.
    SecurityReport,
    /// The outcome of the coverage measurement.
    CoverageReport,
}

impl DocumentKind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::BusinessRequest,
        Self::Brd,
        Self::Questions,
        Self::Specification,
        Self::Acceptance,
        Self::TestPlan,
        Self::Adr,
        Self::Review,
        Self::TestReport,
        Self::DeployLog,
        Self::StagingLog,
        Self::WatchLog,
        Self::SecurityReport,
        Self::CoverageReport,
    ];

    /// The word for it in the WIT and in settings.
    pub const fn word(self) -> &'static str {
        match self {
            Self::BusinessRequest => "business-request",
            Self::Brd => "brd",
            Self::Questions => "questions",
            Self::Specification => "specification",
            Self::Acceptance => "acceptance",
            Self::TestPlan => "test-plan",
            Self::Adr => "adr",
            Self::Review => "review",
            Self::TestReport => "test-report",
            Self::DeployLog => "deploy-log",
            Self::StagingLog => "staging-log",
            Self::WatchLog => "watch-log",
            Self::SecurityReport => "security-report",
            Self::CoverageReport => "coverage-report",
        }
    }

    /// The file's name in the work item's folder; of `adr` it is the folder in which its files lie.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::BusinessRequest => "00-business-request.md",
            Self::Brd => "01-brd.md",
            Self::Questions => "01-questions.md",
            Self::Specification => "02-specification.md",
            Self::Acceptance => "03-acceptance.md",
            Self::TestPlan => "04-test-plan.md",
            Self::Adr => "06-adr",
            Self::Review => "12-review.md",
            Self::TestReport => "13-test-report.md",
            Self::DeployLog => "14-deploy-log.md",
            Self::StagingLog => "15-staging-log.md",
            Self::WatchLog => "16-post-deploy-log.md",
            Self::SecurityReport => "17-security-report.md",
            Self::CoverageReport => "18-coverage-report.md",
        }
    }

    /// Who alone may write it; none: the host.
    pub const fn owner(self) -> Option<Role> {
        match self {
            Self::Brd | Self::Questions | Self::Specification | Self::Acceptance | Self::TestPlan => {
                Some(Role::Analyst)
            }
            Self::Adr => Some(Role::Architect),
            Self::Review => Some(Role::Reviewer),
            Self::TestReport => Some(Role::Tester),
            Self::StagingLog | Self::DeployLog => Some(Role::Deployer),
            Self::BusinessRequest | Self::WatchLog | Self::SecurityReport | Self::CoverageReport => None,
        }
    }

    /// The kind of a file by its name within the work item's folder.
    pub fn of_file(name: &str) -> Option<Self> {
        if let Some(record) = name.strip_prefix("06-adr/ADR-") {
            return record.strip_suffix(".md").filter(|title| !title.contains('/')).map(|_| Self::Adr);
        }
        Self::ALL.into_iter().find(|kind| *kind != Self::Adr && kind.file_name() == name)
    }
}

/// The folder of a work item's documents within a clone, relative to its root.
pub fn documents_folder(work_item: &WorkItemId) -> String {
    format!("docs/work-items/{work_item}")
}

/// A document as the store keeps it; its bytes are a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its id.
    pub id: DocumentId,
    /// What it is.
    pub kind: DocumentKind,
    /// The file's name within the work item's folder.
    pub name: String,
    /// The stage in which it was written.
    pub stage: StageName,
    /// The visit of that stage.
    pub visit: u32,
    /// The run that wrote it; none: the host did.
    pub run: Option<RunId>,
    /// When it was taken.
    pub written_at: Timestamp,
    /// Bytes.
    pub size: u64,
    /// Where its bytes are.
    pub blob: Digest,
}

/// A document on its way into the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewDocument {
    /// What it is.
    pub kind: DocumentKind,
    /// The file's name within the work item's folder.
    pub name: String,
    /// The stage in which it was written.
    pub stage: StageName,
    /// The visit of that stage.
    pub visit: u32,
    /// The run that wrote it; none: the host did.
    pub run: Option<RunId>,
    /// Bytes.
    pub size: u64,
    /// Where its bytes are.
    pub blob: Digest,
}

#[cfg(test)]
mod tests;
