//! What Gitea and its kin send. The event is named by `X-Gitea-Event-Type`: `X-Gitea-Event` says the same of several, and in one
//! version nothing at all.

use domain::plugin::CheckState;
use serde_json::Value;

use crate::event::{
    Branch, BranchPushed, CheckReported, Comment, Event, Issue, Lines, PullRequest, RefChanged, RepositoryChanged,
    Review, Workflow,
};
use crate::headers::Headers;
use crate::look::{self, TEXT, TITLE, WORD};
use crate::route;
use crate::words::{Change, PullRequestAction, Verdict};
use crate::{DecodeError, Source};

/// The events that are read.
pub(crate) const KNOWN: [&str; 28] = [
    "push",
    "create",
    "delete",
    "pull_request",
    "pull_request_assign",
    "pull_request_label",
    "pull_request_milestone",
    "pull_request_sync",
    "pull_request_review_request",
    "pull_request_review_approved",
    "pull_request_review_rejected",
    "pull_request_review_comment",
    "pull_request_approved",
    "pull_request_rejected",
    "pull_request_comment",
    "issue_comment",
    "issues",
    "issue_assign",
    "issue_label",
    "issue_milestone",
    "status",
    "workflow_run",
    "workflow_job",
    "repository",
    "fork",
    "wiki",
    "release",
    "package",
];

pub(crate) fn decode(headers: &Headers, body: &Value) -> Result<Event, DecodeError> {
    let kind = route::event(Source::Gitea, headers, None);
    let Some(kind) = kind.as_deref() else {
        return Err(DecodeError::Unknown("neither `X-Gitea-Event-Type` nor `X-Gitea-Event` names one".to_owned()));
    };
    Ok(match kind {
        "push" => Event::Pushed(push(body)),
        "create" => Event::RefCreated(reference(body)),
        "delete" => Event::RefDeleted(reference(body)),
        "pull_request"
        | "pull_request_assign"
        | "pull_request_label"
        | "pull_request_milestone"
        | "pull_request_sync"
        | "pull_request_review_request" => Event::PullRequestChanged(Box::new(pull_request(body))),
        "pull_request_review_approved"
        | "pull_request_review_rejected"
        | "pull_request_review_comment"
        | "pull_request_approved"
        | "pull_request_rejected" => Event::PullRequestReviewed(Box::new(review(kind, body))),
        // Without an event type this word is both a review without a verdict and a comment.
        "pull_request_comment" if look::at(body, &["comment"]).is_null() && !look::at(body, &["review"]).is_null() => {
            Event::PullRequestReviewed(Box::new(review("pull_request_review_comment", body)))
        }
        "pull_request_comment" => Event::PullRequestCommented(Box::new(comment(body))),
        "issue_comment" if is_pull_request(body) => Event::PullRequestCommented(Box::new(comment(body))),
        "issue_comment" => Event::IssueCommented(Box::new(comment(body))),
        "issues" | "issue_assign" | "issue_label" | "issue_milestone" => Event::IssueChanged(issue(body)),
        "status" => Event::CheckReported(status(body)),
        "workflow_run" => Event::WorkflowRun(workflow(body, "workflow_run")),
        "workflow_job" => Event::WorkflowJob(workflow(body, "workflow_job")),
        "repository" | "fork" | "wiki" | "release" | "package" => Event::RepositoryChanged(other(kind, body)),
        unknown => return Err(DecodeError::Unknown(format!("Gitea's `{}`", look::cut(unknown, 40)))),
    })
}

fn repository(body: &Value) -> Option<String> {
    look::word(body, &["repository.full_name"]).or_else(|| {
        let owner = look::word(body, &["repository.owner.login", "repository.owner.username"])?;
        Some(format!("{owner}/{}", look::word(body, &["repository.name"])?))
    })
}

fn push(body: &Value) -> BranchPushed {
    let name = look::reference(body, &["ref"]).unwrap_or_default();
    let (before, after) = (look::commit(body, &["before"]), look::commit(body, &["after"]));
    let listed = look::at(body, &["commits"]).as_array().map(|commits| commits.len() as u64);
    let title = look::text(body, &["head_commit.message"], TITLE);
    BranchPushed {
        repository: repository(body),
        branch: if name.starts_with("refs/tags/") { None } else { look::branch(name) },
        tag: name.strip_prefix("refs/tags/").map(|name| look::cut(name, WORD)),
        is_test: before.is_some() && before == after,
        before,
        after,
        commits: look::number(body, &["total_commits"]).or(listed),
        title: title.and_then(|title| title.lines().next().map(str::to_owned)),
        actor: look::person(body, &["pusher", "sender"]),
    }
}

fn reference(body: &Value) -> RefChanged {
    let name = look::reference(body, &["ref"]).unwrap_or_default();
    let is_tag = look::word(body, &["ref_type"]).as_deref() == Some("tag") || name.starts_with("refs/tags/");
    RefChanged {
        repository: repository(body),
        branch: if is_tag { None } else { look::branch(name) },
        tag: is_tag.then(|| look::cut(name.trim_start_matches("refs/tags/"), WORD)),
        commit: look::commit(body, &["sha"]),
        actor: look::person(body, &["sender", "pusher"]),
    }
}

fn end(pull: &Value, name: &str) -> Branch {
    let end = look::at(pull, &[name]);
    Branch { name: look::reference(end, &["ref"]).and_then(look::branch), commit: look::commit(end, &["sha"]) }
}

/// Where both ends say whose they are, and it is not the same.
fn is_from_fork(pull: &Value) -> bool {
    let of = |name: &str| look::id(look::at(pull, &[name]), &["repo_id", "repo.id", "repo"]);
    matches!((of("head"), of("base")), (Some(head), Some(base)) if head != base)
}

fn pull_request(body: &Value) -> PullRequest {
    let pull = look::at(body, &["pull_request"]);
    // Only what is merged has a time of it.
    let is_dated = || look::time(pull, &["merged_at"]).is_some();
    let merged = look::flag(pull, &["merged", "has_merged"]).unwrap_or_else(is_dated);
    let action = look::word(body, &["action"]).map(|word| PullRequestAction::of(&word));
    let lines = look::number(pull, &["additions"]).zip(look::number(pull, &["deletions"]));
    let changes = [("title", "changes.title"), ("body", "changes.body"), ("base", "changes.ref")];
    PullRequest {
        // A merge is a closing, and the one is told from the other nowhere else.
        action: if merged && action == Some(PullRequestAction::Closed) {
            Some(PullRequestAction::Merged)
        } else {
            action
        },
        repository: repository(body),
        number: look::number(body, &["number", "pull_request.number", "index"]),
        title: look::text(pull, &["title"], TITLE),
        state: look::word(pull, &["state"]),
        draft: look::flag(pull, &["draft"]).unwrap_or(false),
        head: end(pull, "head"),
        base: end(pull, "base"),
        from_fork: is_from_fork(pull),
        merged,
        merge_commit: look::commit(pull, &["merge_commit_sha", "merged_commit_id"]),
        merged_by: look::person(pull, &["merged_by"]),
        mergeable: look::flag(pull, &["mergeable"]),
        labels: look::labels(pull, &["labels"]),
        changed: changes
            .iter()
            .filter(|(_, path)| look::at(body, &[path]).is_object())
            .map(|(name, _)| (*name).to_owned())
            .collect(),
        lines: lines.map(|(added, removed)| Lines {
            added,
            removed,
            files: look::number(pull, &["changed_files"]).unwrap_or(0),
        }),
        reviewer: look::person(body, &["requested_reviewer"]),
        author: look::person(pull, &["user", "poster"]),
        actor: look::person(body, &["sender"]),
        updated_at: look::time(pull, &["updated_at"]),
    }
}

fn review(kind: &str, body: &Value) -> Review {
    let said = look::word(body, &["review.type"]).map(|word| Verdict::of(&word));
    let named = || Some(Verdict::of(kind)).filter(|verdict| !matches!(verdict, Verdict::Other(_)));
    Review {
        verdict: said.filter(|verdict| !matches!(verdict, Verdict::Other(_))).or_else(named),
        text: look::text(body, &["review.content", "review.body"], TEXT),
        pull_request: pull_request(body),
    }
}

fn is_pull_request(body: &Value) -> bool {
    look::flag(body, &["is_pull"]).unwrap_or_else(|| {
        look::at(body, &["pull_request"]).is_object() || look::at(body, &["issue.pull_request"]).is_object()
    })
}

fn comment(body: &Value) -> Comment {
    let pull = look::at(body, &["pull_request"]);
    Comment {
        change: look::word(body, &["action"]).map(|word| Change::of(&word)),
        repository: repository(body),
        number: look::number(body, &["issue.number", "pull_request.number", "number"]),
        title: look::text(body, &["issue.title", "pull_request.title"], TITLE),
        head: pull.is_object().then(|| end(pull, "head")),
        from_fork: is_from_fork(pull),
        comment: look::id(body, &["comment.id"]),
        text: look::text(body, &["comment.body"], TEXT),
        actor: look::person(body, &["sender", "comment.user"]),
        created_at: look::time(body, &["comment.created_at"]),
    }
}

fn issue(body: &Value) -> Issue {
    let issue = look::at(body, &["issue"]);
    Issue {
        action: look::word(body, &["action"]),
        repository: repository(body),
        number: look::number(body, &["number", "issue.number", "index"]),
        title: look::text(issue, &["title"], TITLE),
        state: look::word(issue, &["state"]),
        labels: look::labels(issue, &["labels"]),
        commit: look::commit(body, &["commit_id"]),
        actor: look::person(body, &["sender"]),
    }
}

/// The forge's words for how a check stands.
fn check_state(word: &str) -> Option<CheckState> {
    Some(match word {
        "pending" => CheckState::Pending,
        "success" => CheckState::Success,
        // Neither says that the commit is good.
        "skipped" | "warning" => CheckState::Neutral,
        "failure" => CheckState::Failure,
        "error" => CheckState::Error,
        _ => return None,
    })
}

fn status(body: &Value) -> CheckReported {
    let raw = look::word(body, &["state", "status"]);
    CheckReported {
        repository: repository(body),
        commit: look::commit(body, &["sha", "commit.id"]),
        name: look::text(body, &["context"], 255),
        state: raw.as_deref().and_then(check_state),
        raw,
        description: look::text(body, &["description"], 500),
        url: look::url(body, &["target_url"]),
        report: look::number(body, &["id"]),
        actor: look::person(body, &["sender", "creator"]),
        at: look::time(body, &["updated_at", "created_at"]),
    }
}

fn workflow(body: &Value, member: &str) -> Workflow {
    let run = look::at(body, &[member]);
    Workflow {
        action: look::word(body, &["action"]),
        repository: repository(body),
        id: look::number(run, &["id"]),
        name: look::text(run, &["name", "display_title"], TITLE)
            .or_else(|| look::text(body, &["workflow.name"], TITLE)),
        branch: look::reference(run, &["head_branch"]).and_then(look::branch),
        commit: look::commit(run, &["head_sha"]),
        status: look::word(run, &["status"]),
        conclusion: look::word(run, &["conclusion"]),
        attempt: look::number(run, &["run_attempt"]),
        actor: look::person(body, &["sender", "workflow_run.actor"]),
    }
}

fn other(kind: &str, body: &Value) -> RepositoryChanged {
    let names: &[&str] = match kind {
        "fork" => &["forkee.full_name"],
        "wiki" => &["page"],
        "release" => &["release.tag_name", "release.name"],
        "package" => &["package.name"],
        _ => &["repository.full_name"],
    };
    RepositoryChanged {
        what: kind.to_owned(),
        action: look::word(body, &["action"]),
        repository: repository(body),
        name: look::word(body, names),
        actor: look::person(body, &["sender"]),
    }
}
