//! All names of a repository and what is known of their moves, read from its files.
//!
//! No process is started for it, so a look takes well below a millisecond: between two looks at a repository that people push to
//! all the time there must be a moment at which nobody did. The repository is one that [`make_empty`](super::setup::make_empty)
//! made, so its refs are files: a line in one of their own, or in `packed-refs`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use conductor::ports::forge::ForgeError;
use domain::ids::{BranchName, CommitId};

use super::command::parse_id;
use super::folder::infra;

/// All names of one moment, and what is known of their moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRefs {
    /// The branch that `HEAD` names.
    pub base: BranchName,
    /// Full names, each with its object, in the order of the names.
    pub refs: Vec<(String, CommitId)>,
    /// In the order of the names.
    pub logs: Vec<Reflog>,
}

/// What is known of the moves of one ref, in git's own form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reflog {
    /// The ref's full name.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
}

/// What stands where a ref does.
enum Target {
    Object(CommitId),
    /// Another name.
    Name(String),
}

/// The names as they stand now.
pub(super) fn read(repository: &Path) -> Result<KeptRefs, ForgeError> {
    let head = fs::read_to_string(repository.join("HEAD")).map_err(|error| infra("its HEAD cannot be read", error))?;
    let base = head.trim_end().strip_prefix("ref: refs/heads/").and_then(|name| BranchName::new(name).ok());
    let base = base.ok_or_else(|| ForgeError::Refused(format!("its HEAD is no branch: `{}`", head.trim_end())))?;
    // The loose ones first: one that is packed meanwhile is in the file when that is read.
    let loose = files(repository)?;
    let mut targets = packed(repository)?;
    for (name, bytes) in loose {
        let target = target(&bytes).ok_or_else(|| ForgeError::Refused(format!("the ref {name} does not read")))?;
        targets.insert(name, target);
    }
    let resolved = |target: &Target| match target {
        Target::Object(id) => Some(id.clone()),
        Target::Name(name) => match targets.get(name) {
            Some(Target::Object(id)) => Some(id.clone()),
            // It leads nowhere: git does not list it either.
            Some(Target::Name(_)) | None => None,
        },
    };
    let refs = targets.iter().filter_map(|(name, target)| Some((name.clone(), resolved(target)?))).collect();
    let logs = files(&repository.join("logs"))?.into_iter().map(|(name, bytes)| Reflog { name, bytes }).collect();
    Ok(KeptRefs { base, refs, logs })
}

fn target(bytes: &[u8]) -> Option<Target> {
    let text = std::str::from_utf8(bytes).ok()?.trim_end();
    match text.strip_prefix("ref: ") {
        Some(name) => Some(Target::Name(name.to_owned())),
        None => parse_id(text.as_bytes()).ok().map(Target::Object),
    }
}

/// The file in which a repository with many refs has most of them.
fn packed(repository: &Path) -> Result<BTreeMap<String, Target>, ForgeError> {
    let text = match fs::read_to_string(repository.join("packed-refs")) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(infra("its packed refs cannot be read", error)),
    };
    // Beside the refs: a head line, and below an annotated tag what it stands for.
    let lines = text.lines().filter(|line| !line.starts_with(['#', '^']));
    let refs = lines.map(|line| {
        let (id, name) = line.split_once(' ').unwrap_or((line, ""));
        Ok((name.to_owned(), Target::Object(parse_id(id.as_bytes())?)))
    });
    refs.collect()
}

/// The files below `refs` of a folder, by their names from there; one that is gone by now is not missed.
fn files(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, ForgeError> {
    let mut found = BTreeMap::new();
    let mut names = vec!["refs".to_owned()];
    while let Some(name) = names.pop() {
        for entry in below(&folder.join(&name))? {
            let own = entry.file_name().into_string();
            let own = own.map_err(|_| ForgeError::Refused("a ref's name is not UTF-8".into()))?;
            let inner = format!("{name}/{own}");
            let kind = entry.file_type().map_err(|error| infra("the refs cannot be listed", error))?;
            if kind.is_dir() {
                names.push(inner);
            } else if kind.is_file() && Path::new(&own).extension().is_none_or(|end| end != "lock") {
                match fs::read(entry.path()) {
                    Ok(bytes) => drop(found.insert(inner, bytes)),
                    Err(error) if is_gone(&error) => {}
                    Err(error) => return Err(infra("a ref cannot be read", error)),
                }
            }
        }
    }
    Ok(found)
}

fn below(folder: &Path) -> Result<Vec<fs::DirEntry>, ForgeError> {
    match fs::read_dir(folder).and_then(Iterator::collect) {
        Ok(entries) => Ok(entries),
        Err(error) if is_gone(&error) => Ok(Vec::new()),
        Err(error) => Err(infra("the refs cannot be listed", error)),
    }
}

/// A folder of refs becomes a ref, and a ref such a folder, when the last name of one goes and one of the other comes.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_names_are_those_that_git_lists_loose_packed_and_symbolic() {
        let folder = tempfile::tempdir().unwrap();
        let git = |words: &[&str]| {
            let identity = ["-c", "user.name=U", "-c", "user.email=u@localhost"];
            let mut command = Command::new("git");
            command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
            let done = command.arg("-C").arg(folder.path()).args(identity).args(words).output().unwrap();
            assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
            String::from_utf8(done.stdout).unwrap().trim().to_owned()
        };
        git(&["init", "--quiet", "--bare", "--initial-branch=main"]);
        let tree = git(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
        let first = git(&["commit-tree", &tree, "-m", "first"]);
        let second = git(&["commit-tree", &tree, "-m", "second", "-p", &first]);
        for name in ["refs/heads/main", "refs/heads/a/b"] {
            git(&["update-ref", "--create-reflog", name, &first]);
        }
        git(&["tag", "--annotate", "v1", "-m", "one", &first]);
        git(&["pack-refs", "--all"]);
        git(&["update-ref", "refs/heads/main", &second]);
        git(&["update-ref", "refs/heads/a-b", &second]);
        git(&["symbolic-ref", "refs/heads/also", "refs/heads/a/b"]);
        git(&["symbolic-ref", "refs/heads/nowhere", "refs/heads/gone"]);
        fs::write(folder.path().join("refs/heads/new.lock"), "half").unwrap();
        let listed = git(&["for-each-ref", "--format=%(objectname) %(refname)"]);
        let read = self::read(folder.path()).unwrap();
        let told: Vec<String> = read.refs.iter().map(|(name, id)| format!("{id} {name}")).collect();
        assert_eq!(told.join("\n"), listed);
        assert_eq!(read.base.as_str(), "main");
        let logs: Vec<&str> = read.logs.iter().map(|log| log.name.as_str()).collect();
        assert_eq!(logs, ["refs/heads/a/b", "refs/heads/main"]);
        fs::write(folder.path().join("refs/heads/main"), "").unwrap();
        let said = self::read(folder.path()).unwrap_err().to_string();
        assert!(said.contains("the ref refs/heads/main does not read"), "{said}");
    }
}
