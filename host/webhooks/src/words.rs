//! Words of the senders as enums: each in all its spellings, and a word that nobody knew yet as itself.

use serde::{Serialize, Serializer};

macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $($word:literal)|+),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// Another one, as it came.
            Other(String),
        }

        impl $name {
            /// The word in any of its spellings.
            pub fn of(text: &str) -> Self {
                match text {
                    $($($word)|+ => Self::$variant,)+
                    other => Self::Other(other.to_owned()),
                }
            }

            /// Our spelling.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => first(&[$($word),+]),)+
                    Self::Other(word) => word,
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}

const fn first(words: &[&'static str]) -> &'static str {
    words[0]
}

words! {
    /// What was done to a thing.
    Change {
        /// It is new.
        Created = "created" | "create",
        /// It is another than before.
        Updated = "updated" | "update" | "edited",
        /// It is gone.
        Deleted = "deleted" | "delete",
    }
}

words! {
    /// Which field of a work item or comment was changed: the web page and the API spell four of them differently.
    Field {
        /// Its status.
        Status = "status" | "state" | "state_id",
        /// Its labels.
        Labels = "labels" | "label_ids" | "label",
        /// Who works on it.
        Assignees = "assignees" | "assignee_ids" | "assignee",
        /// Of what it is a part.
        Parent = "parent" | "parent_id",
        /// Its title.
        Title = "title" | "name",
        /// Its text.
        Description = "description" | "description_html" | "description_json",
        /// How urgent it is.
        Priority = "priority",
        /// When it shall begin.
        StartDate = "start-date" | "start_date",
        /// When it shall be done.
        TargetDate = "target-date" | "target_date",
        /// Whether it was put away.
        Archived = "archived" | "archived_at",
        /// Whether it is a draft.
        Draft = "draft" | "is_draft",
        /// A comment's text.
        CommentText = "text" | "comment_html",
        /// Who may read a comment.
        Access = "access",
    }
}

words! {
    /// What was done to a pull request.
    PullRequestAction {
        /// It is new.
        Opened = "opened",
        /// It was closed without being merged.
        Closed = "closed",
        /// It was merged; the sender says `closed`.
        Merged = "merged",
        /// It is open again.
        Reopened = "reopened",
        /// Its title, text or base was changed.
        Edited = "edited",
        /// It is gone.
        Deleted = "deleted",
        /// Its branch moved.
        Synchronized = "synchronized" | "synchronize",
        /// It has another assignee.
        Assigned = "assigned",
        /// It has one assignee less.
        Unassigned = "unassigned",
        /// Its labels are others; which, only the list tells.
        Labelled = "label-updated" | "label_updated" | "labeled" | "unlabeled",
        /// It has no labels.
        LabelsCleared = "label-cleared" | "label_cleared",
        /// It belongs to a milestone.
        Milestoned = "milestoned",
        /// It belongs to none.
        Demilestoned = "demilestoned",
        /// Somebody judged it.
        Reviewed = "reviewed",
        /// Somebody is asked to judge it.
        ReviewRequested = "review-requested" | "review_requested",
        /// Nobody is asked any more.
        ReviewRequestRemoved = "review-request-removed" | "review_request_removed",
    }
}

words! {
    /// How a review ended.
    Verdict {
        /// Good.
        Approved = "approved" | "pull_request_review_approved" | "pull_request_approved",
        /// Changes are wanted.
        Rejected = "rejected" | "pull_request_review_rejected" | "pull_request_rejected",
        /// Neither.
        Commented = "commented" | "pull_request_review_comment",
    }
}
