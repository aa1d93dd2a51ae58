//! Paths in files: which are relative to what, and which must never be opened to a worker.

use std::path::{Component, Path, PathBuf};

use crate::diagnostic::{Problem, Report, quoted};
use crate::reader::{At, Section};

/// What paths are measured against.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    dir: PathBuf,
    home: Option<PathBuf>,
}

impl Paths {
    pub(crate) fn new(dir: &Path, home: Option<&Path>) -> Self {
        Self { dir: real(dir), home: home.map(Path::to_path_buf) }
    }

    /// The state folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A path outside the state folder: absolute, or from the home folder. A relative one would mean another place in each
    /// working directory.
    pub(crate) fn outside(&self, report: &Report, what: &str, text: &At<String>) -> Option<PathBuf> {
        let refuse = |message: String, help: &str| {
            report.add(Problem::at(text.span.clone(), message).of_value().help(help));
            None
        };
        let path = match text.value.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => match &self.home {
                Some(home) => home.join(rest.trim_start_matches('/')),
                None => {
                    return refuse(format!("{what} begins with `~`, and HOME is not set"), "write the path in full");
                }
            },
            Some(_) => return refuse(format!("{what} begins with `~USER`"), "write the path in full"),
            None => PathBuf::from(&text.value),
        };
        if path.is_relative() {
            let message = format!("{what} must be an absolute path, and {} is relative", quoted(&text.value));
            return refuse(message, "begin with `/`, or with `~/` for the home folder");
        }
        if climbs(&path) {
            return refuse(format!("{what} holds `..`"), "write the path that is meant");
        }
        Some(path)
    }

    /// A path of the operator's own files: relative to the state folder and within it, or absolute.
    pub(crate) fn beneath(&self, report: &Report, what: &str, text: &At<String>) -> Option<PathBuf> {
        if text.value.starts_with(['/', '~']) {
            return self.outside(report, what, text);
        }
        let path = Path::new(&text.value);
        if climbs(path) {
            let problem = Problem::at(text.span.clone(), format!("{what} leaves the state folder")).of_value();
            report.add(
                problem.help(
                    "relative paths begin at the folder of gatewright.toml; write an absolute one to go elsewhere",
                ),
            );
            return None;
        }
        Some(self.dir.join(path))
    }

    /// Paths that a worker may read beside the system.
    pub(crate) fn readable(&self, section: &Section<'_>) -> Vec<PathBuf> {
        self.open(section, "readable", None)
    }

    /// Paths that a worker may write beside its clone. The repository is the host's alone: what a worker leaves in its
    /// configuration and hooks would run with the operator's rights.
    pub(crate) fn writable(&self, section: &Section<'_>, repository: Option<&Path>) -> Vec<PathBuf> {
        self.open(section, "writable", repository)
    }

    fn open(&self, section: &Section<'_>, key: &str, repository: Option<&Path>) -> Vec<PathBuf> {
        let report = section.report;
        let what = format!("a path in `{key}` of {}", section.name);
        let mut paths = Vec::new();
        for text in section.texts(key) {
            let Some(path) = self.outside(report, &what, &text) else { continue };
            if overlap(&path, &self.dir) {
                let problem = Problem::at(text.span, format!("{what} opens the state folder to the worker")).of_value();
                report.add(problem.help(format!(
                    "{} holds the database and the operator's token; name a narrower path",
                    self.dir.display()
                )));
            } else if repository.is_some_and(|repository| overlap(&path, repository)) {
                let problem =
                    Problem::at(text.span, format!("{what} opens the repository itself to the worker")).of_value();
                report.add(problem.help("a worker changes its own clone; the host takes its commits over from there"));
            } else {
                paths.push(path);
            }
        }
        paths
    }
}

/// As the machine resolves it, or as it is written where there is nothing yet.
pub(crate) fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}

/// One lies within the other, or they are the same.
pub(crate) fn overlap(left: &Path, right: &Path) -> bool {
    let (left, right) = (real(left), real(right));
    left.starts_with(&right) || right.starts_with(&left)
}

fn climbs(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}
