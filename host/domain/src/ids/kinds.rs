//! Which identifiers there are, and of which forms.

use std::fmt;

/// What an identifier identifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a task.
    Task,
    /// Of a job.
    Job,
    /// Of a run.
    Run,
    /// Of an evaluation.
    Evaluation,
    /// Of a delivery.
    Delivery,
    /// Of a document.
    Document,
    /// A version of a task.
    Version,
    /// An epoch of a task.
    Epoch,
    /// The token of a lease.
    FenceToken,
    /// Of a log-in.
    Session,
    /// The name of a project.
    Project,
    /// The key of a work item.
    WorkItem,
    /// The name of a stage.
    Stage,
    /// The name of a step.
    Step,
    /// Of a plugin.
    Plugin,
    /// The name of a lease.
    Lease,
    /// The name of a driver.
    Driver,
    /// The name of a token.
    Token,
    /// The name of a branch.
    Branch,
    /// Of a commit.
    Commit,
    /// A sha256.
    Digest,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Task,
        Self::Job,
        Self::Run,
        Self::Evaluation,
        Self::Delivery,
        Self::Document,
        Self::Version,
        Self::Epoch,
        Self::FenceToken,
        Self::Session,
        Self::Project,
        Self::WorkItem,
        Self::Stage,
        Self::Step,
        Self::Plugin,
        Self::Lease,
        Self::Driver,
        Self::Token,
        Self::Branch,
        Self::Commit,
        Self::Digest,
    ];

    /// As sentences call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "id of a task",
            Self::Job => "id of a job",
            Self::Run => "id of a run",
            Self::Evaluation => "id of an evaluation",
            Self::Delivery => "id of a delivery",
            Self::Document => "id of a document",
            Self::Version => "version of a task",
            Self::Epoch => "epoch of a task",
            Self::FenceToken => "token of a lease",
            Self::Session => "id of a session",
            Self::Project => "project name",
            Self::WorkItem => "work item id",
            Self::Stage => "stage name",
            Self::Step => "step name",
            Self::Plugin => "plugin id",
            Self::Lease => "lease name",
            Self::Driver => "driver name",
            Self::Token => "token name",
            Self::Branch => "branch name",
            Self::Commit => "commit id",
            Self::Digest => "sha256",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The rule of a kind of identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Of counted things.
    Number,
    /// Of what can be a folder.
    Name,
    /// Of what files of ours name.
    Word,
    /// Of a git branch.
    Branch,
    /// Of a git object.
    Commit,
    /// Of a digest.
    Sha256,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Number, Self::Name, Self::Word, Self::Branch, Self::Commit, Self::Sha256];

    /// As sentences call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "a whole number",
            Self::Name => "letters, digits, `-`, `_`, `.`, at most 64",
            Self::Word => "kebab-case, at most 64",
            Self::Branch => "a name that git takes, without `..` or a leading `-`",
            Self::Commit => "40 or 64 lower-case hexadecimal digits",
            Self::Sha256 => "64 lower-case hexadecimal digits",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
