//! Reading the repository: from objects alone. It is bare, so git finds no attributes in it, and nothing names a driver.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::time::{Duration, Instant};

use conductor::ports::forge::ForgeError;
use domain::ids::CommitId;
use domain::plugin::{ChangeKind, ChangedFile, CommitInfo, EntryKind};
use domain::time::Timestamp;
use globset::GlobBuilder;

use super::EmbeddedForge;
use super::command::{Call, nul_separated, os, parse_id};
use super::folder::checked_parts;

/// A file or a diff.
const FILE_BYTES: u64 = 1 << 20;

/// Somebody looks at a page meanwhile: all questions together take no longer.
const GLANCE: Duration = Duration::from_secs(3);
/// Some ten thousand files.
const GLANCE_BYTES: usize = 4 << 20;

/// Entries of a listing or of a change.
const ENTRIES: usize = 10_000;

/// Commits of a branch.
const COMMITS: &str = "--max-count=1000";

/// Fields of a commit, one a line; the message comes last, since it has lines of its own.
const COMMIT_FORMAT: &str = "--format=%H%n%P%n%an <%ae>%n%ct%n%B";

/// No program that a configuration could name has a say in a diff.
const PLAIN_DIFF: [&str; 4] = ["--no-ext-diff", "--no-textconv", "--no-color", "--full-index"];

/// `NotFound` unless the commit is there.
pub(super) fn require(forge: &EmbeddedForge, commit: &CommitId) -> Result<(), ForgeError> {
    let found = forge.call().args(["cat-file", "-e", &format!("{commit}^{{commit}}")]).answer()?;
    if found.code == 0 { Ok(()) } else { Err(ForgeError::NotFound(format!("commit {commit}"))) }
}

/// See the port.
pub(super) fn is_ancestor(
    forge: &EmbeddedForge,
    ancestor: &CommitId,
    descendant: &CommitId,
) -> Result<bool, ForgeError> {
    let answer =
        forge.call().args(["merge-base", "--is-ancestor", ancestor.as_str(), descendant.as_str()]).long().answer()?;
    match answer.code {
        0 => Ok(true),
        1 => Ok(false),
        _ => {
            require(forge, ancestor)?;
            require(forge, descendant)?;
            Err(answer.failure())
        }
    }
}

/// See the port.
pub(super) fn merge_base(
    forge: &EmbeddedForge,
    one: &CommitId,
    other: &CommitId,
) -> Result<Option<CommitId>, ForgeError> {
    let answer = forge.call().args(["merge-base", one.as_str(), other.as_str()]).long().answer()?;
    match answer.code {
        0 => parse_id(&answer.stdout).map(Some),
        1 => Ok(None),
        _ => {
            require(forge, one)?;
            require(forge, other)?;
            Err(answer.failure())
        }
    }
}

/// See the port.
pub(super) fn tree_of(forge: &EmbeddedForge, commit: &CommitId) -> Result<String, ForgeError> {
    require(forge, commit)?;
    forge.call().args(["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).text()
}

/// An entry of a tree.
struct Entry {
    mode: String,
    object: String,
    /// Of files.
    bytes: u64,
}

/// What lies at a path. None: nothing.
fn entry(forge: &EmbeddedForge, at: &CommitId, path: &str) -> Result<Option<Entry>, ForgeError> {
    checked_parts(path)?;
    require(forge, at)?;
    let call = forge.call().args(["ls-tree", "--full-tree", "-l", "-z", at.as_str(), "--", path]);
    let listed = call.bytes()?;
    let found = nul_separated(&listed).find_map(|line| {
        let text = String::from_utf8_lossy(line);
        let (fields, name) = text.split_once('\t')?;
        let mut fields = fields.split_ascii_whitespace();
        let (mode, _, object) = (fields.next()?, fields.next()?, fields.next()?);
        let bytes = fields.next()?.parse().unwrap_or(0);
        (name == path).then(|| Entry { mode: mode.to_owned(), object: object.to_owned(), bytes })
    });
    // Paths that are not UTF-8 are listed with replacement characters. To say that such a one is not there would be a lie.
    if found.is_none() && path.contains(char::REPLACEMENT_CHARACTER) {
        return Err(ForgeError::Refused(format!("the name of `{path}` is not UTF-8; it cannot be read")));
    }
    Ok(found)
}

/// See the port.
pub(super) fn read(forge: &EmbeddedForge, at: &CommitId, path: &str) -> Result<Vec<u8>, ForgeError> {
    let missing = || ForgeError::NotFound(format!("file `{path}`"));
    let entry = entry(forge, at, path)?.ok_or_else(missing)?;
    match kind(&entry.mode) {
        Some(EntryKind::File | EntryKind::Executable) => {}
        Some(EntryKind::Symlink) => return Err(ForgeError::Invalid(format!("`{path}` is a symbolic link"))),
        Some(EntryKind::Submodule) | None => return Err(missing()),
    }
    if entry.bytes > FILE_BYTES {
        return Err(ForgeError::TooLarge { what: format!("`{path}`"), limit: FILE_BYTES });
    }
    forge.call().args(["cat-file", "blob", &entry.object]).output_bytes(FILE_BYTES as usize).bytes()
}

/// See the port.
pub(super) fn list(forge: &EmbeddedForge, at: &CommitId, glob: &str) -> Result<Vec<String>, ForgeError> {
    require(forge, at)?;
    let pattern = GlobBuilder::new(glob)
        .literal_separator(true)
        .build()
        .map_err(|error| ForgeError::Invalid(format!("`{glob}` is no glob: {}", error.kind())))?
        .compile_matcher();
    let listed =
        forge.call().args(["ls-tree", "--full-tree", "-r", "-z", "--name-only", at.as_str()]).long().bytes()?;
    let mut paths: Vec<&[u8]> =
        nul_separated(&listed).filter(|path| pattern.is_match(os(path))).take(ENTRIES + 1).collect();
    if paths.len() > ENTRIES {
        return Err(ForgeError::TooLarge { what: format!("the list of `{glob}`"), limit: ENTRIES as u64 });
    }
    paths.sort_unstable();
    Ok(paths.into_iter().map(lossy).collect())
}

/// See the port.
pub(super) fn changes(forge: &EmbeddedForge, from: &CommitId, to: &CommitId) -> Result<Vec<ChangedFile>, ForgeError> {
    require(forge, from)?;
    require(forge, to)?;
    let call = forge.call().args(["diff-tree", "-r", "-z", "--raw", "--numstat", "-M", "-C"]).args(PLAIN_DIFF);
    let changes = sorted_changes(&call.args([from.as_str(), to.as_str()]).long().bytes()?)?;
    if changes.len() > ENTRIES {
        return Err(ForgeError::TooLarge { what: "the list of changes".into(), limit: ENTRIES as u64 });
    }
    Ok(changes)
}

fn sorted_changes(told: &[u8]) -> Result<Vec<ChangedFile>, ForgeError> {
    let mut changes = parse_changes(told)
        .ok_or_else(|| ForgeError::Infra("git's list of changes is not of the form that is known".into()))?;
    changes.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(changes)
}

/// What a page shows of a change, while somebody waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// Where the change left its base.
    pub base: CommitId,
    /// Sorted by path.
    pub files: Vec<ChangedFile>,
}

/// See [`EmbeddedForge::glance`].
pub(super) fn glance(forge: &EmbeddedForge, base: &CommitId, head: &CommitId) -> Result<Glance, ForgeError> {
    let end = Instant::now() + GLANCE;
    let quick = || forge.call().time(end.saturating_duration_since(Instant::now()));
    for commit in [base, head] {
        let found = quick().args(["cat-file", "-e", &format!("{commit}^{{commit}}")]).answer()?;
        if found.code != 0 {
            return Err(ForgeError::NotFound(format!("commit {commit}")));
        }
    }
    let forked = quick().args(["merge-base", base.as_str(), head.as_str()]).answer()?;
    let base = match forked.code {
        0 => parse_id(&forked.stdout)?,
        1 => return Err(ForgeError::NotFound(format!("commit that {base} and {head} have in common"))),
        _ => return Err(forked.failure()),
    };
    let call = quick().output_bytes(GLANCE_BYTES).args(["diff-tree", "-r", "-z", "--raw", "--numstat", "-M"]);
    let told = call.args(PLAIN_DIFF).args([base.as_str(), head.as_str()]).bytes()?;
    Ok(Glance { files: sorted_changes(&told)?, base })
}

/// All `:…` lines of `--raw -z` come first, then those of `--numstat -z`. They meet by path.
fn parse_changes(told: &[u8]) -> Option<Vec<ChangedFile>> {
    let mut parts = told.split(|byte| *byte == 0).peekable();
    let mut changes = Vec::new();
    while let Some(header) = parts.next_if(|part| part.starts_with(b":")) {
        let header = lossy(header);
        let mut fields = header.trim_start_matches(':').split(' ');
        let (old_mode, new_mode) = (fields.next()?, fields.next()?);
        let status = fields.nth(2)?.chars().next()?;
        let first = parts.next()?;
        let (old_path, path) = if matches!(status, 'R' | 'C') { (Some(first), parts.next()?) } else { (None, first) };
        let mode = if status == 'D' { old_mode } else { new_mode };
        let file = ChangedFile {
            path: lossy(path),
            old_path: old_path.map(lossy),
            change: change(status)?,
            kind: kind(mode)?,
            binary: false,
            added_lines: 0,
            deleted_lines: 0,
        };
        changes.push((path, file));
    }
    let mut counts = HashMap::new();
    while let Some(line) = parts.next().filter(|line| !line.is_empty()) {
        let mut fields = line.splitn(3, |byte| *byte == b'\t');
        let (added, deleted, path) = (lossy(fields.next()?), lossy(fields.next()?), fields.next()?);
        // Of renames the paths follow, each for itself: the old one, the new one.
        let path = if path.is_empty() { parts.nth(1)? } else { path };
        counts.insert(path, (added, deleted));
    }
    for (path, file) in &mut changes {
        let (added, deleted) = counts.get(path)?;
        file.binary = added == "-";
        file.added_lines = added.parse().unwrap_or(0);
        file.deleted_lines = deleted.parse().unwrap_or(0);
    }
    Some(changes.into_iter().map(|(_, file)| file).collect())
}

fn change(status: char) -> Option<ChangeKind> {
    Some(match status {
        'A' => ChangeKind::Added,
        'M' => ChangeKind::Modified,
        'D' => ChangeKind::Deleted,
        'R' => ChangeKind::Renamed,
        'C' => ChangeKind::Copied,
        'T' => ChangeKind::TypeChanged,
        _ => return None,
    })
}

/// None: a folder.
fn kind(mode: &str) -> Option<EntryKind> {
    Some(match mode {
        "100755" => EntryKind::Executable,
        "120000" => EntryKind::Symlink,
        "160000" => EntryKind::Submodule,
        _ if mode.starts_with("100") => EntryKind::File,
        _ => return None,
    })
}

/// See the port.
pub(super) fn diff(forge: &EmbeddedForge, from: &CommitId, to: &CommitId, path: &str) -> Result<Vec<u8>, ForgeError> {
    checked_parts(path)?;
    let changes = changes(forge, from, to)?;
    let changed = changes.iter().find(|change| change.path == path);
    let changed = changed.ok_or_else(|| ForgeError::NotFound(format!("change of `{path}`")))?;
    let mut call = forge.call().args(["diff-tree", "-r", "-p", "-U3", "-M"]).args(PLAIN_DIFF);
    call = call.args([from.as_str(), to.as_str(), "--", path]);
    if changed.change == ChangeKind::Renamed {
        // The rename is seen only by who sees both paths.
        call = call.args(changed.old_path.as_deref().map(OsStr::new));
    }
    let too_large = |error| match error {
        ForgeError::TooLarge { limit, .. } => ForgeError::TooLarge { what: format!("the diff of `{path}`"), limit },
        other => other,
    };
    call.long().output_bytes(FILE_BYTES as usize).bytes().map_err(too_large)
}

/// See the port.
pub(super) fn commits(forge: &EmbeddedForge, from: &CommitId, to: &CommitId) -> Result<Vec<CommitInfo>, ForgeError> {
    require(forge, from)?;
    require(forge, to)?;
    let call = log(forge).args([COMMITS, to.as_str(), &format!("^{from}")]);
    parse_commits(&call.bytes()?)
}

/// See the port.
pub(super) fn last_change(forge: &EmbeddedForge, at: &CommitId, path: &str) -> Result<Option<CommitInfo>, ForgeError> {
    if entry(forge, at, path)?.is_none() {
        return Ok(None);
    }
    let call = log(forge).args(["--max-count=1", at.as_str(), "--", path]);
    Ok(parse_commits(&call.bytes()?)?.into_iter().next())
}

fn log(forge: &EmbeddedForge) -> Call {
    forge.call().args(["log", "-z", "--no-show-signature", "--no-mailmap", "--no-decorate", COMMIT_FORMAT]).long()
}

fn parse_commits(told: &[u8]) -> Result<Vec<CommitInfo>, ForgeError> {
    nul_separated(told).map(parse_commit).collect()
}

fn parse_commit(told: &[u8]) -> Result<CommitInfo, ForgeError> {
    let text = lossy(told);
    let mut lines = text.splitn(5, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (id, parents, author, seconds, message) = (next(), next(), next(), next(), next());
    Ok(CommitInfo {
        id: parse_id(id.as_bytes())?,
        parents: parents.split_ascii_whitespace().map(|id| parse_id(id.as_bytes())).collect::<Result<_, _>>()?,
        author: author.to_owned(),
        // Before 1970 there are no commits, whatever a commit says.
        committed_at: Timestamp(seconds.parse::<u64>().unwrap_or(0).saturating_mul(1000)),
        message: message.trim_end().to_owned(),
        run: None,
    })
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
