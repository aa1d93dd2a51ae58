//! A state folder and a repository on a real disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use domain::ids::PluginId;
use domain::plugin::PluginKind;
use tempfile::TempDir;

use crate::{Diagnostic, Loaded, Surroundings, load, render};

/// A sound host file.
pub(crate) const HOST: &str = include_str!("../init/host.toml");

/// A sound project file.
pub(crate) const PROJECT: &str = r#"name = "app"
prefix = "APP"
repository = "~/src/app"
base-branch = "main"
pipeline = "quick"

[roles.developer]
command = ["agent", "{brief}"]
timeout = "60m"

[roles.reviewer]
command = ["agent", "{brief}"]

[roles.tester]
run = ["make", "test"]

[commands.test]
run = ["make", "test"]
"#;

/// A sound pipeline, drawn by hand.
pub(crate) const STAGES: &str = r#"
[[stage]]
name = "development"
role = "developer"
to = "testing"
on-fail = "development"
steps = ["checks-green"]

[[stage]]
name = "testing"
role = "tester"
to = "done"
on-fail = "development"
on-moved-base = "testing:rebase"
steps = ["tests-passed", { gate = "style", plugin = "review-verdict", patience = "10m" }, "[lease] rebase", "merge", "prove-merged"]

[[stage]]
name = "done"
terminal = "done"

[[stage]]
name = "cancelled"
terminal = "cancelled"
"#;

pub(crate) struct World {
    root: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { root: TempDir::new().unwrap() };
        fs::create_dir_all(world.repository().join(".git")).unwrap();
        world.write("gatewright.toml", HOST);
        world.write("projects/app.toml", PROJECT);
        for role in ["developer", "reviewer", "tester"] {
            world.write(&format!("prompts/{role}.md"), "Do it well.\n");
        }
        world
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("state")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub(crate) fn repository(&self) -> PathBuf {
        self.home().join("src/app")
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.dir().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn surroundings(&self) -> Surroundings {
        let gates = [
            "checks-green",
            "review-verdict",
            "tests-passed",
            "questions",
            "deliverables",
            "staging-status",
            "deploy-status",
        ];
        let mut plugins: BTreeMap<PluginId, PluginKind> = gates.map(|gate| (id(gate), PluginKind::Gate)).into();
        plugins.insert(id("quiet-hours"), PluginKind::Guard);
        plugins.insert(id("card"), PluginKind::Notifier);
        plugins.insert(id("board-words"), PluginKind::StatusMapper);
        Surroundings { home: Some(self.home()), plugins, status_mapper: id("board-words") }
    }

    pub(crate) fn load(&self) -> Result<Loaded, Vec<Diagnostic>> {
        load(&self.dir(), &self.surroundings())
    }

    /// What an operator reads; the machine's own paths are taken out.
    pub(crate) fn complaints(&self) -> String {
        match self.load() {
            Ok(_) => "nothing is wrong\n".to_owned(),
            Err(diagnostics) => {
                let text = render(&diagnostics, false);
                text.replace(&shown(&self.dir()), "STATE").replace(&shown(self.root.path()), "ROOT")
            }
        }
    }
}

fn shown(path: &Path) -> String {
    path.canonicalize().unwrap().display().to_string()
}

pub(crate) fn id(text: &str) -> PluginId {
    PluginId::new(text).unwrap()
}

/// One bad edit of the sound project file after another, each with all that is said about it.
pub(crate) fn edits(of: &str, file: &str, edits: &[(&str, &str, &str)]) -> String {
    let mut said = String::new();
    for (title, from, to) in edits {
        let world = World::new();
        let text = if from.is_empty() {
            format!("{of}{to}")
        } else {
            assert!(of.contains(from), "{title}: {from}");
            of.replacen(from, to, 1)
        };
        world.write(file, text);
        said.push_str(&format!("### {title}\n{}\n", world.complaints()));
    }
    said
}
