//! The events of trackers and forges in our own words. What a sender did not say is none.

use domain::ids::{BranchName, CommitId};
use domain::plugin::CheckState;
use domain::time::Timestamp;
use serde::Serialize;

use crate::words::{Change, Field, PullRequestAction, Verdict};

/// What a request tells of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Event {
    /// A project of the tracker was made, changed or deleted.
    ProjectChanged(ProjectChanged),
    /// A work item was made, or one of its fields was changed.
    WorkItemChanged(Box<WorkItem>),
    /// A comment on a work item was written or edited.
    ItemCommented(ItemComment),
    /// A cycle of the tracker was made, changed or deleted.
    CycleChanged(ProjectChanged),
    /// A module of the tracker was made, changed or deleted.
    ModuleChanged(ProjectChanged),
    /// A branch or tag moved.
    Pushed(BranchPushed),
    /// A branch or tag was made.
    RefCreated(RefChanged),
    /// A branch or tag was deleted.
    RefDeleted(RefChanged),
    /// A pull request changed.
    PullRequestChanged(Box<PullRequest>),
    /// A pull request was judged.
    PullRequestReviewed(Box<Review>),
    /// Somebody wrote at a pull request.
    PullRequestCommented(Box<Comment>),
    /// An issue of the forge changed.
    IssueChanged(Issue),
    /// Somebody wrote at an issue of the forge.
    IssueCommented(Box<Comment>),
    /// A check of a commit was reported.
    CheckReported(CheckReported),
    /// A workflow of the forge went on.
    WorkflowRun(Workflow),
    /// A job of a workflow went on.
    WorkflowJob(Workflow),
    /// Something else about the repository: itself, a fork, its wiki, a release, a package.
    RepositoryChanged(RepositoryChanged),
}

/// Who did it, as the sender says. In a tracker it is the activity's actor, never a field that the author may fill in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The sender's own id.
    pub id: Option<String>,
    /// The name by which people know them.
    pub name: Option<String>,
}

/// A status of the tracker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The tracker's id.
    pub id: Option<String>,
    /// Its name on the board.
    pub name: Option<String>,
    /// `backlog`, `unstarted`, `started`, `completed`, `cancelled`, `triage`.
    pub group: Option<String>,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// The sender's id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
}

/// A project, cycle or module of the tracker.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProjectChanged {
    /// What was done.
    pub change: Option<Change>,
    /// The tracker's id of the project.
    pub project: Option<String>,
    /// The id of the thing itself.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// The letters before its work items' numbers.
    pub identifier: Option<String>,
    /// Who did it.
    pub actor: Option<Person>,
}

/// A work item as it stands now, and which of its fields was changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkItem {
    /// What was done.
    pub change: Option<Change>,
    /// Which field; none: the item is new.
    pub field: Option<Field>,
    /// What the field was, one text or several; a long one is cut.
    pub old: Vec<String>,
    /// What was *asked for*, which is not always what was done: the item itself says that.
    pub requested: Vec<String>,
    /// The tracker's id of the project.
    pub project: Option<String>,
    /// The tracker's id of the item.
    pub item: Option<String>,
    /// Its number in the project.
    pub number: Option<u64>,
    /// Its title.
    pub title: Option<String>,
    /// Its status.
    pub status: Option<Status>,
    /// Its labels.
    pub labels: Vec<Label>,
    /// Who works on it.
    pub assignees: Vec<Person>,
    /// `urgent`, `high`, `medium`, `low`, `none`.
    pub priority: Option<String>,
    /// Of which item it is a part.
    pub parent: Option<String>,
    /// It was put away.
    pub archived: bool,
    /// It is a draft.
    pub draft: bool,
    /// Who did it.
    pub actor: Option<Person>,
    /// When the tracker last wrote it; deliveries of one change differ in it.
    pub updated_at: Option<Timestamp>,
}

/// A comment on a work item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ItemComment {
    /// What was done.
    pub change: Option<Change>,
    /// Which field was edited.
    pub field: Option<Field>,
    /// The tracker's id of the project.
    pub project: Option<String>,
    /// The tracker's id of the item.
    pub item: Option<String>,
    /// The tracker's id of the comment.
    pub comment: Option<String>,
    /// What it says, as HTML that nobody cleaned; cut after 2,000 characters.
    pub html: Option<String>,
    /// `INTERNAL` or `EXTERNAL`.
    pub access: Option<String>,
    /// The name of the program that wrote it, and its id there.
    pub external: Option<[String; 2]>,
    /// Who wrote or edited it now.
    pub actor: Option<Person>,
    /// When it was written.
    pub created_at: Option<Timestamp>,
}

/// How many lines a change touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lines {
    /// New ones.
    pub added: u64,
    /// Gone ones.
    pub removed: u64,
    /// In so many files.
    pub files: u64,
}

/// A branch or tag that moved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BranchPushed {
    /// The repository's full name.
    pub repository: Option<String>,
    /// Which branch; none: it is no branch, or its name is none that git takes.
    pub branch: Option<BranchName>,
    /// Which tag.
    pub tag: Option<String>,
    /// Where it stood; none: it is new.
    pub before: Option<CommitId>,
    /// Where it stands; none: it is gone.
    pub after: Option<CommitId>,
    /// It is a push that moves nothing: a test of the hook.
    pub is_test: bool,
    /// Commits in all; the sender lists at most a few of them.
    pub commits: Option<u64>,
    /// The newest commit's first line.
    pub title: Option<String>,
    /// Who did it.
    pub actor: Option<Person>,
}

/// A branch or tag that was made or deleted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RefChanged {
    /// The repository's full name.
    pub repository: Option<String>,
    /// Which branch.
    pub branch: Option<BranchName>,
    /// Which tag.
    pub tag: Option<String>,
    /// Where it was made; of a deleted one the sender does not say.
    pub commit: Option<CommitId>,
    /// Who did it.
    pub actor: Option<Person>,
}

/// One end of a pull request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Branch {
    /// Its name; none: the branch is gone, or its name is none that git takes.
    pub name: Option<BranchName>,
    /// Where it stands.
    pub commit: Option<CommitId>,
}

/// A pull request as it stands now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PullRequest {
    /// What was done.
    pub action: Option<PullRequestAction>,
    /// The repository's full name.
    pub repository: Option<String>,
    /// Its number.
    pub number: Option<u64>,
    /// Its title.
    pub title: Option<String>,
    /// `open` or `closed`.
    pub state: Option<String>,
    /// It is not meant to be merged yet.
    pub draft: bool,
    /// Where it comes from.
    pub head: Branch,
    /// Where it goes to.
    pub base: Branch,
    /// It comes from another repository.
    pub from_fork: bool,
    /// It was merged.
    pub merged: bool,
    /// As what it was merged.
    pub merge_commit: Option<CommitId>,
    /// By whom it was merged.
    pub merged_by: Option<Person>,
    /// False also while the forge has not worked it out.
    pub mergeable: Option<bool>,
    /// Its labels; a change of labels names none.
    pub labels: Vec<Label>,
    /// What an edit changed: `title`, `body`, `base`.
    pub changed: Vec<String>,
    /// How large it is.
    pub lines: Option<Lines>,
    /// Who is asked to judge it, where that is the news.
    pub reviewer: Option<Person>,
    /// Whose it is.
    pub author: Option<Person>,
    /// Who did it.
    pub actor: Option<Person>,
    /// When it was last written.
    pub updated_at: Option<Timestamp>,
}

/// A judgement of a pull request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Review {
    /// How it ended.
    pub verdict: Option<Verdict>,
    /// What it says, cut after 2,000 characters.
    pub text: Option<String>,
    /// Of what.
    #[serde(flatten)]
    pub pull_request: PullRequest,
}

/// A comment at a pull request or an issue of the forge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comment {
    /// What was done.
    pub change: Option<Change>,
    /// The repository's full name.
    pub repository: Option<String>,
    /// The number of the pull request or issue.
    pub number: Option<u64>,
    /// Its title.
    pub title: Option<String>,
    /// The branch of the pull request, where the sender says it.
    pub head: Option<Branch>,
    /// It comes from another repository.
    pub from_fork: bool,
    /// The forge's id of the comment.
    pub comment: Option<String>,
    /// What it says, cut after 2,000 characters.
    pub text: Option<String>,
    /// Who wrote or edited it now.
    pub actor: Option<Person>,
    /// When it was written.
    pub created_at: Option<Timestamp>,
}

/// An issue of the forge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Issue {
    /// The sender's own word for what was done.
    pub action: Option<String>,
    /// The repository's full name.
    pub repository: Option<String>,
    /// Its number.
    pub number: Option<u64>,
    /// Its title.
    pub title: Option<String>,
    /// `open` or `closed`.
    pub state: Option<String>,
    /// Its labels.
    pub labels: Vec<Label>,
    /// The commit that closed it.
    pub commit: Option<CommitId>,
    /// Who did it.
    pub actor: Option<Person>,
}

/// A check of a commit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckReported {
    /// The repository's full name.
    pub repository: Option<String>,
    /// Of which commit.
    pub commit: Option<CommitId>,
    /// Its name.
    pub name: Option<String>,
    /// How it stands; none: the sender's word is none that we know.
    pub state: Option<CheckState>,
    /// The sender's own word.
    pub raw: Option<String>,
    /// For people; cut after 500 characters.
    pub description: Option<String>,
    /// Where to read more; `http` or `https` only.
    pub url: Option<String>,
    /// The forge's id of the report: the greatest of a name is the newest.
    pub report: Option<u64>,
    /// Who reported it.
    pub actor: Option<Person>,
    /// When.
    pub at: Option<Timestamp>,
}

/// A workflow or one of its jobs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Workflow {
    /// `requested`, `queued`, `waiting`, `in_progress`, `completed`.
    pub action: Option<String>,
    /// The repository's full name.
    pub repository: Option<String>,
    /// The forge's id of the run or job.
    pub id: Option<u64>,
    /// Its name.
    pub name: Option<String>,
    /// Which branch it is about.
    pub branch: Option<BranchName>,
    /// Which commit it is about.
    pub commit: Option<CommitId>,
    /// `queued`, `waiting`, `in_progress`, `completed`.
    pub status: Option<String>,
    /// `success`, `failure`, `cancelled`, `skipped`.
    pub conclusion: Option<String>,
    /// Which try it is.
    pub attempt: Option<u64>,
    /// Who did it.
    pub actor: Option<Person>,
}

/// Something else about a repository.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepositoryChanged {
    /// The sender's word for what it is about: `repository`, `fork`, `wiki`, `release`, `package`.
    pub what: String,
    /// The sender's word for what was done.
    pub action: Option<String>,
    /// The repository's full name.
    pub repository: Option<String>,
    /// The name of the fork, page, release or package.
    pub name: Option<String>,
    /// Who did it.
    pub actor: Option<Person>,
}
