//! Branches: read, cut, moved by compare-and-swap, merged, deleted. The reflog remembers whose hand it was.

use std::fs::File;

use conductor::ports::forge::{ForgeError, Mark, Merged};
use domain::ids::{BranchName, CommitId, TaskId};
use kill_points::kill_point;

use super::EmbeddedForge;
use super::command::parse_id;
use super::folder::infra;
use super::sight::{is_ancestor, require};

/// A branch's head; none: it is not there.
pub(super) fn head(forge: &EmbeddedForge, branch: &BranchName) -> Result<Option<CommitId>, ForgeError> {
    let name = full(branch);
    let answer = forge.call().args(["rev-parse", "--verify", "--quiet", "--end-of-options", &name]).answer()?;
    match answer.code {
        0 => parse_id(&answer.stdout).map(Some),
        1 => Ok(None),
        _ => Err(answer.failure()),
    }
}

pub(super) fn full(branch: &BranchName) -> String {
    format!("refs/heads/{branch}")
}

/// Where a branch stands before a write of this mark.
pub(super) enum Standing {
    /// At the expected commit: the write may be made.
    Ready,
    /// The write of this mark was made, and the branch is where it put it.
    Written(CommitId),
}

/// `Moved` unless the branch is at `expected`, or where this mark brought it from there.
pub(super) fn standing(
    forge: &EmbeddedForge,
    mark: &Mark,
    branch: &BranchName,
    expected: &CommitId,
) -> Result<Standing, ForgeError> {
    let found = head(forge, branch)?;
    if found.as_ref() == Some(expected) {
        return Ok(Standing::Ready);
    }
    let ours = moved_by(forge, mark, branch, expected)?;
    match (ours, found) {
        (Some(ours), Some(found)) if ours == found => Ok(Standing::Written(ours)),
        (ours, found) => {
            let expected = Some(ours.unwrap_or_else(|| expected.clone()));
            Err(ForgeError::Moved { branch: branch.clone(), expected, found })
        }
    }
}

/// See the port: by the reflog, which a mark signs. A mark may have moved the branch more than once, each time from where the
/// last one ended.
pub(super) fn moved_by(
    forge: &EmbeddedForge,
    mark: &Mark,
    branch: &BranchName,
    from: &CommitId,
) -> Result<Option<CommitId>, ForgeError> {
    signed_moves(forge, &format!("{mark}: "), branch, from)
}

/// Where the moves that are signed so brought the branch from `from`; none: there are none.
fn signed_moves(
    forge: &EmbeddedForge,
    signed: &str,
    branch: &BranchName,
    from: &CommitId,
) -> Result<Option<CommitId>, ForgeError> {
    let path = forge.layout.repository.join("logs").join(full(branch));
    let log = match std::fs::read(path) {
        Ok(log) => String::from_utf8_lossy(&log).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(infra("a reflog cannot be read", error)),
    };
    let mut at = from.as_str();
    for line in log.lines() {
        let Some((ids, message)) = line.split_once('\t') else { continue };
        let mut ids = ids.split(' ');
        if let (Some(old), Some(new)) = (ids.next(), ids.next())
            && message.starts_with(signed)
            && old == at
        {
            at = new;
        }
    }
    if at == from.as_str() { Ok(None) } else { parse_id(at.as_bytes()).map(Some) }
}

/// Moves a branch from `expected` to `new`, once. Answers where the branch is: `new`, or where an earlier call of this mark
/// put it.
pub(super) fn advance(
    forge: &EmbeddedForge,
    mark: &Mark,
    branch: &BranchName,
    expected: &CommitId,
    new: &CommitId,
    deed: &str,
) -> Result<CommitId, ForgeError> {
    let _guard = forge.refs_guard();
    match standing(forge, mark, branch, expected)? {
        Standing::Written(ours) => Ok(ours),
        Standing::Ready if new == expected => Ok(new.clone()),
        Standing::Ready => write(forge, mark, branch, Some(expected), new, deed).map(|()| new.clone()),
    }
}

/// Writes a ref with its old value as the condition. `expected` none: it must not be there.
fn write(
    forge: &EmbeddedForge,
    mark: &Mark,
    branch: &BranchName,
    expected: Option<&CommitId>,
    new: &CommitId,
    deed: &str,
) -> Result<(), ForgeError> {
    let name = full(branch);
    let message = format!("{mark}: {deed}");
    let zero = "0".repeat(new.as_str().len());
    let old = expected.map_or(zero.as_str(), CommitId::as_str);
    let date = date(mark);
    let call = || {
        let call = forge.durable().env("GIT_COMMITTER_DATE", &date);
        call.args(["update-ref", "--create-reflog", "-m", &message, &name, new.as_str(), old]).answer()
    };
    let mut answer = call()?;
    if answer.code != 0 && forge.clear_stale_locks()? > 0 {
        answer = call()?;
    }
    if answer.code == 0 {
        kill_point!("ref-is-moved-not-synced");
        return sync_folder_of(forge, &name);
    }
    // A person's push got in between; or git failed on its own, and then the branch is where it was.
    let found = head(forge, branch)?;
    if found.as_ref() == expected {
        return Err(answer.failure());
    }
    Err(ForgeError::Moved { branch: branch.clone(), expected: expected.cloned(), found })
}

/// Git syncs the ref's file, not the folder that names it.
fn sync_folder_of(forge: &EmbeddedForge, name: &str) -> Result<(), ForgeError> {
    let path = forge.layout.repository.join(name);
    let folder = path.parent().unwrap_or(&forge.layout.repository);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| infra("a ref cannot be synced", error))
}

/// A mark's time as git reads it.
pub(super) fn date(mark: &Mark) -> String {
    format!("@{} +0000", mark.at.0 / 1000)
}

/// See the port.
pub(super) fn cut(
    forge: &EmbeddedForge,
    mark: &Mark,
    branch: &BranchName,
    from: &CommitId,
) -> Result<CommitId, ForgeError> {
    require(forge, from)?;
    let _guard = forge.refs_guard();
    match head(forge, branch)? {
        None => {
            kill_point!("before-branch-is-cut");
            write(forge, mark, branch, None, from, "cut")?;
            kill_point!("after-branch-is-cut");
            Ok(from.clone())
        }
        Some(found) if is_ancestor(forge, &found, from)? => Ok(found),
        Some(_) => Err(ForgeError::Refused(format!(
            "the branch `{branch}` is there already and holds commits that are not in the base: \
             rename it, or delete it with `git push gatewright :{branch}`"
        ))),
    }
}

/// See the port.
pub(super) fn task_branches(forge: &EmbeddedForge) -> Result<Vec<(BranchName, CommitId)>, ForgeError> {
    let format = "--format=%(objectname) %(refname:lstrip=2)";
    let listed = forge.call().args(["for-each-ref", format, "refs/heads/"]).long().text()?;
    let mut branches = Vec::new();
    for line in listed.lines() {
        let Some((id, name)) = line.split_once(' ') else { continue };
        // A name that a person pushed and that is none of ours by its form is no task's branch.
        let Ok(branch) = BranchName::new(name) else { continue };
        if branch != forge.base {
            branches.push((branch, parse_id(id.as_bytes())?));
        }
    }
    branches.sort();
    Ok(branches)
}

/// Brings branches to where others have them: each that lies below `seen`, but for the base and what the host itself wrote.
pub(super) fn follow(forge: &EmbeddedForge, seen: &str, base: &BranchName) -> Result<(), ForgeError> {
    let format = format!("--format=%(objectname) %(refname:lstrip={})", seen.matches('/').count());
    let listed = forge.call().args(["for-each-ref", &format, seen]).long().text()?;
    let _guard = forge.refs_guard();
    for line in listed.lines() {
        let Some((id, name)) = line.split_once(' ') else { continue };
        let Ok(branch) = BranchName::new(name) else { continue };
        let found = head(forge, &branch)?;
        let theirs = parse_id(id.as_bytes())?;
        if branch == *base || found.as_ref() == Some(&theirs) || is_signed(forge, &branch)? {
            continue;
        }
        let old = found.map_or_else(String::new, |found| found.to_string());
        let call = forge.durable().args(["update-ref", "--create-reflog", "-m", "followed the user's repository"]);
        call.args([&full(&branch), theirs.as_str(), &old]).done()?;
    }
    Ok(())
}

/// Did the host write this branch?
fn is_signed(forge: &EmbeddedForge, branch: &BranchName) -> Result<bool, ForgeError> {
    let path = forge.layout.repository.join("logs").join(full(branch));
    match std::fs::read(path) {
        Ok(log) => Ok(String::from_utf8_lossy(&log).lines().any(|line| line.contains("\ttask "))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(infra("a reflog cannot be read", error)),
    }
}

/// See the port.
pub(super) fn discard(
    forge: &EmbeddedForge,
    task: TaskId,
    branch: &BranchName,
    from: &CommitId,
) -> Result<Option<CommitId>, ForgeError> {
    if *branch == forge.base {
        return Err(ForgeError::Refused(format!("`{branch}` is the base branch and is never deleted")));
    }
    let _guard = forge.refs_guard();
    let Some(found) = head(forge, branch)? else { return Ok(None) };
    // A job that ended too late to tell its task may have moved it: that is the task's own work.
    let ours = found == *from || signed_moves(forge, &signed_by_task(task), branch, from)?.as_ref() == Some(&found);
    if !ours {
        return Ok(Some(found));
    }
    let name = full(branch);
    let call = || forge.durable().args(["update-ref", "-d", &name, found.as_str()]).done();
    kill_point!("before-branch-is-discarded");
    call().or_else(|error| if forge.clear_stale_locks()? > 0 { call() } else { Err(error) })?;
    kill_point!("after-branch-is-discarded");
    Ok(None)
}

/// How each mark of a task begins (see its `Display`).
fn signed_by_task(task: TaskId) -> String {
    format!("task {task} job ")
}

/// See the port.
pub(super) fn merge(
    forge: &EmbeddedForge,
    mark: &Mark,
    branch: &BranchName,
    commit: &CommitId,
    base: &BranchName,
    expected_base: &CommitId,
) -> Result<Merged, ForgeError> {
    require(forge, commit)?;
    let _guard = forge.refs_guard();
    let base_head = head(forge, base)?.ok_or_else(|| ForgeError::NotFound(format!("branch `{base}`")))?;
    // Asked first: merged is merged, whatever became of the branch since.
    if is_ancestor(forge, commit, &base_head)? {
        return Ok(Merged { commit: commit.clone(), base_head, already: true });
    }
    let found = head(forge, branch)?;
    if found.as_ref() != Some(commit) {
        return Err(ForgeError::Moved { branch: branch.clone(), expected: Some(commit.clone()), found });
    }
    if base_head != *expected_base {
        let (expected, found) = (Some(expected_base.clone()), Some(base_head));
        return Err(ForgeError::Moved { branch: base.clone(), expected, found });
    }
    if !is_ancestor(forge, expected_base, commit)? {
        return Err(ForgeError::Refused(format!(
            "`{branch}` does not rest on the head of `{base}`: it must be rebased before it is merged"
        )));
    }
    kill_point!("before-main-is-moved");
    write(forge, mark, base, Some(expected_base), commit, &format!("merge {branch}"))?;
    kill_point!("after-main-is-moved");
    Ok(Merged { commit: commit.clone(), base_head: commit.clone(), already: false })
}
