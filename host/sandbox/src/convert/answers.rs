//! What host calls are asked about and answer.

use domain::plugin as own;

use super::shared::facts;
use crate::bindings::gatewright::{documents::documents, forge::forge, repo::repo, tracker::tracker};

impl From<repo::Revision> for own::Revision {
    fn from(at: repo::Revision) -> Self {
        match at {
            repo::Revision::Subject => Self::Subject,
            repo::Revision::ForkPoint => Self::ForkPoint,
            repo::Revision::BaseHead => Self::BaseHead,
        }
    }
}

impl From<own::ChangedFile> for repo::ChangedFile {
    fn from(file: own::ChangedFile) -> Self {
        Self {
            path: file.path,
            old_path: file.old_path,
            change: match file.change {
                own::ChangeKind::Added => repo::Change::Added,
                own::ChangeKind::Modified => repo::Change::Modified,
                own::ChangeKind::Deleted => repo::Change::Deleted,
                own::ChangeKind::Renamed => repo::Change::Renamed,
                own::ChangeKind::Copied => repo::Change::Copied,
                own::ChangeKind::TypeChanged => repo::Change::TypeChanged,
            },
            kind: match file.kind {
                own::EntryKind::File => repo::EntryKind::File,
                own::EntryKind::Executable => repo::EntryKind::Executable,
                own::EntryKind::Symlink => repo::EntryKind::Symlink,
                own::EntryKind::Submodule => repo::EntryKind::Submodule,
            },
            binary: file.binary,
            added_lines: file.added_lines,
            deleted_lines: file.deleted_lines,
        }
    }
}

impl From<own::CommitInfo> for repo::CommitInfo {
    fn from(commit: own::CommitInfo) -> Self {
        Self {
            id: commit.id.into(),
            parents: commit.parents.into_iter().map(Into::into).collect(),
            author: commit.author,
            committed_at: commit.committed_at.0,
            message: commit.message,
            run: commit.run.map(|run| run.0),
        }
    }
}

impl From<own::DocumentInfo> for documents::Document {
    fn from(document: own::DocumentInfo) -> Self {
        Self {
            id: document.id.0,
            kind: document.kind,
            name: document.name,
            stage: document.stage.into(),
            visit: document.visit,
            current: document.current,
            run: document.run.map(|run| run.0),
            written_at: document.written_at.0,
            size: document.size,
        }
    }
}

impl From<own::Check> for forge::Check {
    fn from(check: own::Check) -> Self {
        Self {
            name: check.name,
            state: match check.state {
                own::CheckState::Pending => forge::CheckState::Pending,
                own::CheckState::Success => forge::CheckState::Success,
                own::CheckState::Neutral => forge::CheckState::Neutral,
                own::CheckState::Failure => forge::CheckState::Failure,
                own::CheckState::Error => forge::CheckState::Error,
            },
            raw: check.raw,
            at: check.at.0,
            url: check.url,
            description: check.description,
        }
    }
}

impl From<own::PullRequest> for forge::PullRequest {
    fn from(request: own::PullRequest) -> Self {
        Self {
            number: request.number,
            head: request.head.into(),
            base: request.base,
            merged: request.merged,
            mergeable: request.mergeable,
            url: request.url,
        }
    }
}

impl From<own::WorkItemView> for tracker::WorkItem {
    fn from(item: own::WorkItemView) -> Self {
        Self {
            title: item.title,
            description: item.description,
            status: item.status.into(),
            labels: item.labels,
            url: item.url,
            more: facts(item.more),
        }
    }
}

impl From<own::Comment> for tracker::Comment {
    fn from(comment: own::Comment) -> Self {
        Self { author: comment.author, by_us: comment.by_us, text: comment.text, at: comment.at.0 }
    }
}
