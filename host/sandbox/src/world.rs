//! From a host call to the world's function and back, with the limits that hold for single answers.

use conductor::ports::plugins::World;
use domain::ids::CommitId;
use domain::plugin::HostError;

use crate::exchange::{Bytes, HostAnswer, HostCall};
use crate::policy::compile_glob;

/// Bytes of one file, document or diff.
const FILE_BYTES: u64 = 1024 * 1024;
/// Bytes of the end of a log.
const LOG_BYTES: u32 = 256 * 1024;
/// Paths that one list holds.
const PATHS: usize = 10_000;
/// Commits that one list holds.
const COMMITS: usize = 1_000;
/// Comments or runs that one list holds.
const NEWEST: u32 = 100;

/// Asks the world. The driver keeps the limits too; what it let through is cut or refused here, before it is lowered.
pub(crate) fn look(world: &dyn World, call: &HostCall) -> Result<HostAnswer, HostError> {
    match call {
        HostCall::RepoRead { at, path } => file(world.read_file(*at, path)?),
        HostCall::RepoList { at, glob } => list(world.list_files(*at)?, glob),
        HostCall::RepoChanges => world.changes().map(HostAnswer::Changes),
        HostCall::RepoDiff { path } => file(world.diff(path)?),
        HostCall::RepoCommits => world.commits().map(|mut commits| {
            commits.truncate(COMMITS);
            HostAnswer::Commits(commits)
        }),
        HostCall::RepoLastChange { at, path } => world.last_change(*at, path).map(HostAnswer::LastChange),
        HostCall::RepoIsAncestor { ancestor, descendant } => {
            world.is_ancestor(&commit(ancestor)?, &commit(descendant)?).map(HostAnswer::Flag)
        }
        HostCall::DocumentsList => world.documents().map(HostAnswer::Documents),
        HostCall::DocumentsRead { id } => file(world.read_document(*id)?),
        HostCall::ForgeChecks => world.checks().map(HostAnswer::Checks),
        HostCall::ForgeCodePullRequest => world.code_pull_request().map(HostAnswer::PullRequest),
        HostCall::TrackerCurrent => world.work_item().map(HostAnswer::WorkItem),
        HostCall::TrackerComments { newest } => {
            let newest = (*newest).min(NEWEST);
            world.comments(newest).map(|mut comments| {
                comments.truncate(newest as usize);
                HostAnswer::Comments(comments)
            })
        }
        HostCall::RunsList { newest } => {
            let newest = (*newest).min(NEWEST);
            world.runs(newest).map(|mut runs| {
                runs.truncate(newest as usize);
                HostAnswer::Runs(runs)
            })
        }
        HostCall::RunsLogTail { run, bytes } => {
            let bytes = (*bytes).min(LOG_BYTES);
            world.log_tail(*run, bytes).map(|tail| {
                let from = tail.len().saturating_sub(bytes as usize);
                HostAnswer::Bytes(Bytes(tail[from..].to_vec()))
            })
        }
        HostCall::RunsReport { run } => world.report(*run).map(HostAnswer::Report),
        HostCall::HistoryFinished { .. } | HostCall::Later { .. } => {
            Err(HostError::Unavailable("this host has no such function yet".to_owned()))
        }
    }
}

fn file(bytes: Vec<u8>) -> Result<HostAnswer, HostError> {
    if bytes.len() as u64 > FILE_BYTES {
        Err(HostError::TooLarge(FILE_BYTES))
    } else {
        Ok(HostAnswer::Bytes(Bytes(bytes)))
    }
}

fn commit(id: &str) -> Result<CommitId, HostError> {
    CommitId::new(id).map_err(|error| HostError::Invalid(error.to_string()))
}

fn list(mut paths: Vec<String>, glob: &str) -> Result<HostAnswer, HostError> {
    let glob = compile_glob(glob).map_err(|error| HostError::Invalid(format!("the glob: {error}")))?;
    paths.retain(|path| glob.is_match(path));
    if paths.len() > PATHS {
        return Err(HostError::TooLarge(PATHS as u64));
    }
    paths.sort_unstable();
    Ok(HostAnswer::Paths(paths))
}
