//! The folders in which agents keep their state: one for each run, so that no run finds what another one left there, be it
//! settings, hooks or another task's conversation. A run may write its own; what stands there is hostile. Only the record of a
//! conversation is ever carried over, as bytes, by the name that we look for.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use conductor::dialect::{Home, is_session};
use rustix::fs::{CWD, Dir, Mode, OFlags, openat};

/// A longer record is not gone on with, and not read.
const RECORD_BYTES: u64 = 64 * 1024 * 1024;
/// No folder of records is searched further than this.
const MOST_ENTRIES: usize = 4096;

/// All of them.
#[derive(Clone, Debug)]
pub(crate) struct Homes {
    dir: PathBuf,
}

/// A record that was found.
struct Record {
    /// Below the home.
    path: PathBuf,
    file: File,
}

impl Homes {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// Where a run keeps its state.
    pub(crate) fn of(&self, run: u64) -> PathBuf {
        self.dir.join(run.to_string())
    }

    /// Makes the home of a run that was not launched yet, with the conversation of an earlier one if it goes on with that.
    pub(crate) fn make(&self, run: u64, kind: Home, carried: Option<(u64, &str)>) -> io::Result<PathBuf> {
        let home = self.of(run);
        // A launch that got no further may have made it.
        gone(std::fs::remove_dir_all(&home))?;
        private().create(&home)?;
        if let Some((before, session)) = carried {
            let missing = || io::Error::new(io::ErrorKind::NotFound, "the conversation's record is gone");
            let mut record = self.find(before, kind, session).ok_or_else(missing)?;
            let path = home.join(&record.path);
            private().create(path.parent().unwrap_or(&home))?;
            let mut copy = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            io::copy(&mut (&mut record.file).take(RECORD_BYTES), &mut copy)?;
        }
        Ok(home)
    }

    /// The record of a conversation, opened for reading.
    pub(crate) fn record(&self, run: u64, kind: Home, session: &str) -> Option<File> {
        Some(self.find(run, kind, session)?.file)
    }

    /// Removes what a run that is over left, all but the record of one conversation.
    pub(crate) fn keep(&self, run: u64, kept: Option<(Home, &str)>) -> io::Result<()> {
        let (home, aside) = (self.of(run), self.dir.join(format!(".kept-{run}")));
        gone(std::fs::remove_dir_all(&aside))?;
        let record = kept.and_then(|(kind, session)| self.find(run, kind, session));
        let path = record.map(|record| record.path);
        if let Some(path) = &path {
            let to = aside.join(path);
            private().create(to.parent().unwrap_or(&aside))?;
            std::fs::rename(home.join(path), to)?;
        }
        gone(std::fs::remove_dir_all(&home))?;
        if path.is_some() { std::fs::rename(&aside, &home) } else { Ok(()) }
    }

    /// No link is followed on the way: what the folder holds was written by the agent.
    fn find(&self, run: u64, kind: Home, session: &str) -> Option<Record> {
        let home = folder(CWD, &self.of(run))?;
        if !is_session(session) {
            return None;
        }
        match kind {
            // A folder for each place that it worked in.
            Home::ClaudeCode => {
                let name = format!("{session}.jsonl");
                search(&folder(&home, Path::new("projects"))?, Path::new("projects"), 1, &|found| found == name)
            }
            // Year, month, day; before the name stands the time.
            Home::Codex => {
                let end = format!("-{session}.jsonl");
                let named = |found: &str| found.starts_with("rollout-") && found.ends_with(&end);
                search(&folder(&home, Path::new("sessions"))?, Path::new("sessions"), 3, &named)
            }
        }
    }
}

fn private() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
}

fn gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn folder(at: impl std::os::fd::AsFd, path: &Path) -> Option<OwnedFd> {
    openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// The file so named, `depth` folders below.
fn search(at: &OwnedFd, path: &Path, depth: usize, named: &dyn Fn(&str) -> bool) -> Option<Record> {
    let entries = Dir::read_from(at).ok()?.take(MOST_ENTRIES).flatten();
    let names: Vec<String> = entries.filter_map(|entry| entry.file_name().to_str().ok().map(str::to_owned)).collect();
    let mut names: Vec<&String> = names.iter().filter(|name| *name != "." && *name != "..").collect();
    names.sort();
    if depth > 0 {
        // The newest first.
        let below = |name: &&String| search(&folder(at, Path::new(name))?, &path.join(name), depth - 1, named);
        return names.iter().rev().find_map(below);
    }
    let name = names.into_iter().find(|name| named(name))?;
    // A pipe in its place would keep us waiting.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(at, name.as_str(), flags, Mode::empty()).ok()?);
    let found = file.metadata().ok().filter(|found| found.is_file() && found.len() <= RECORD_BYTES);
    found.map(|_| Record { path: path.join(name), file })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const SESSION: &str = "00000000-0000-4000-8000-000000000007";

    fn scene() -> (tempfile::TempDir, Homes) {
        let dir = tempfile::tempdir().unwrap();
        let homes = Homes::new(&dir.path().join("homes"));
        (dir, homes)
    }

    fn plant(homes: &Homes, run: u64, file: &str, text: &str) {
        let file = homes.of(run).join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn all(at: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(at).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { found.extend(all(&path)) } else { found.push(path.to_string_lossy().into_owned()) }
        }
        found
    }

    #[test]
    fn of_what_a_run_left_only_its_conversation_is_carried_over() {
        for (kind, record) in [
            (Home::ClaudeCode, format!("projects/-clones-1/{SESSION}.jsonl")),
            (Home::Codex, format!("sessions/2026/01/31/rollout-2026-01-31T10-00-00-{SESSION}.jsonl")),
        ] {
            let (_dir, homes) = scene();
            homes.make(1, kind, None).unwrap();
            for planted in ["settings.json", "config.toml", "hooks/start.sh", "projects/-clones-1/other.jsonl"] {
                plant(&homes, 1, planted, "planted");
            }
            plant(&homes, 1, &record, "said");
            let next = homes.make(2, kind, Some((1, SESSION))).unwrap();
            assert_eq!(all(&next), [next.join(&record).to_string_lossy()]);
            assert_eq!(fs::read_to_string(next.join(&record)).unwrap(), "said");
            homes.keep(1, Some((kind, SESSION))).unwrap();
            assert_eq!(all(&homes.of(1)).len(), 1, "nothing else is kept");
            homes.keep(1, None).unwrap();
            homes.keep(1, None).unwrap();
            assert!(!homes.of(1).exists());
            assert!(homes.make(3, kind, Some((1, SESSION))).is_err(), "there is none to go on with");
        }
    }

    #[test]
    fn a_link_or_a_pipe_in_place_of_a_record_is_none() {
        let (dir, homes) = scene();
        let secret = dir.path().join(format!("{SESSION}.jsonl"));
        fs::write(&secret, "the operator's").unwrap();
        homes.make(1, Home::ClaudeCode, None).unwrap();
        let projects = homes.of(1).join("projects");
        fs::create_dir_all(projects.join("a")).unwrap();
        symlink(dir.path(), projects.join("b")).unwrap();
        symlink(&secret, projects.join(format!("a/{SESSION}.jsonl"))).unwrap();
        assert!(homes.record(1, Home::ClaudeCode, SESSION).is_none());
        fs::remove_file(projects.join(format!("a/{SESSION}.jsonl"))).unwrap();
        let pipe = projects.join(format!("a/{SESSION}.jsonl"));
        rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(homes.record(1, Home::ClaudeCode, SESSION).is_none());
        assert!(homes.record(1, Home::ClaudeCode, "../../x").is_none());
        homes.keep(1, Some((Home::ClaudeCode, SESSION))).unwrap();
        assert!(!homes.of(1).exists() && secret.exists());
    }
}
