//! The demonstration's world: a repository with a program and its suite, agents, hooks, two environments, a state folder.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use domain::ids::{BranchName, ProjectName};

use crate::wiring::init_forge;

const PROGRAM: [(&str, &str); 3] = [
    ("bin/slugify", include_str!("../../demo/program/bin/slugify")),
    ("tests/run.sh", include_str!("../../demo/program/tests/run.sh")),
    ("README.md", include_str!("../../demo/program/README.md")),
];
const AGENTS: [(&str, &str); 4] = [
    ("analyst", include_str!("../../demo/agents/analyst.sh")),
    ("architect", include_str!("../../demo/agents/architect.sh")),
    ("developer", include_str!("../../demo/agents/developer.sh")),
    ("reviewer", include_str!("../../demo/agents/reviewer.sh")),
];
const HOOK: &str = include_str!("../../demo/hooks/release.sh");

/// The project in which the ticket walks.
pub(crate) const PROJECT: &str = "slugify";
/// The project into which the stranger is dropped.
pub(crate) const OTHER_PROJECT: &str = "visited";
/// The stranger's name as a step.
pub(crate) const STRANGER: &str = "stranger";

/// Where everything lies.
pub(crate) struct World {
    /// All of it.
    pub(crate) root: PathBuf,
    /// The host's state.
    pub(crate) state: PathBuf,
    /// The user's repository.
    pub(crate) repository: PathBuf,
    /// What the agents and the hooks write, and nobody else.
    pub(crate) effects_log: PathBuf,
    /// The stranger's component.
    pub(crate) stranger: PathBuf,
}

impl World {
    /// Lays it out in an empty folder.
    pub(crate) fn make(root: &Path, stranger: &[u8]) -> anyhow::Result<Self> {
        let world = Self {
            root: root.to_owned(),
            state: root.join("state"),
            repository: root.join(PROJECT),
            effects_log: root.join("effects/log"),
            stranger: root.join("stranger.wasm"),
        };
        for folder in ["agents", "hooks", "effects", "environments/staging", "environments/production"] {
            fs::create_dir_all(root.join(folder))
                .with_context(|| format!("{} cannot be made", root.join(folder).display()))?;
        }
        repository(&world.repository)?;
        repository(&world.root.join(OTHER_PROJECT))?;
        for (role, script) in AGENTS {
            executable(&world.agent(role), script)?;
        }
        executable(&root.join("hooks/release.sh"), HOOK)?;
        fs::write(&world.effects_log, "")?;
        fs::write(&world.stranger, stranger)?;
        fs::create_dir_all(world.state.join("projects"))?;
        fs::write(world.state.join("gatewright.toml"), host_file())?;
        fs::write(world.project_file(PROJECT), world.full_project())?;
        fs::write(world.project_file(OTHER_PROJECT), world.visited_project())?;
        write_prompts(&world.state)?;
        let main = BranchName::new("main")?;
        init_forge(&world.state, &ProjectName::new(PROJECT)?, &main, &world.repository)?;
        init_forge(&world.state, &ProjectName::new(OTHER_PROJECT)?, &main, &world.root.join(OTHER_PROJECT))?;
        Ok(world)
    }

    /// A project's file.
    pub(crate) fn project_file(&self, name: &str) -> PathBuf {
        self.state.join("projects").join(format!("{name}.toml"))
    }

    fn agent(&self, role: &str) -> PathBuf {
        self.root.join("agents").join(format!("{role}.sh"))
    }

    fn roles(&self, text: &mut String, roles: &[&str]) {
        let agents = quoted(&self.root.join("agents"));
        let (log, effects) = (quoted(&self.effects_log), quoted(&self.root.join("effects")));
        for role in roles {
            let script = quoted(&self.agent(role));
            text.push_str(&format!(
                "\n# A scripted agent: a process on the same road as any other.\n[roles.{role}]\ncommand = [{script}, {log}]\n\
                 prompt = \"prompts/{role}.md\"\ntimeout = \"2m\"\nreadable = [{agents}]\nwritable = [{effects}]\n\
                 usage = {{ format = \"json\", cost-usd = \"/total_cost_usd\", input-tokens = \"/usage/input_tokens\", output-tokens = \"/usage/output_tokens\" }}\n"
            ));
        }
        text.push_str("\n[roles.tester]\nrun = [\"sh\", \"tests/run.sh\"]\ntimeout = \"2m\"\n");
        text.push_str("\n[commands.test]\nrun = [\"sh\", \"tests/run.sh\"]\ntimeout = \"2m\"\n");
    }

    fn full_project(&self) -> String {
        let mut text = format!(
            "name = \"{PROJECT}\"\nprefix = \"DEMO\"\nrepository = {}\nbase-branch = \"main\"\npipeline = \"full\"\n",
            quoted(&self.repository)
        );
        self.roles(&mut text, &["analyst", "architect", "developer", "reviewer"]);
        for (name, environment) in [("staging", "staging"), ("deploy", "production")] {
            let target = quoted(&self.root.join("environments").join(environment));
            let effects = quoted(&self.root.join("effects"));
            text.push_str(&format!(
                "\n[commands.{name}]\nrun = [\"sh\", {}, \"{name}\", {target}, {}]\ntimeout = \"2m\"\nreadable = [{}]\nwritable = [{target}, {effects}]\n",
                quoted(&self.root.join("hooks/release.sh")),
                quoted(&self.effects_log),
                quoted(&self.root.join("hooks")),
            ));
        }
        text
    }

    fn visited_project(&self) -> String {
        let mut text = format!(
            "name = \"{OTHER_PROJECT}\"\nprefix = \"VISIT\"\nrepository = {}\nbase-branch = \"main\"\npipeline = \"quick\"\n",
            quoted(&self.root.join(OTHER_PROJECT))
        );
        self.roles(&mut text, &["developer", "reviewer"]);
        text
    }
}

fn host_file() -> String {
    "[listen]\noperator = \"127.0.0.1:0\"\n\n[limits]\nruns = 2\nfree-space-mib = 64\n\n[plugins]\nceiling = [\"repo\", \"documents\", \"forge\", \"tracker\", \"runs\", \"history\", \"kv\"]\n".to_owned()
}

fn write_prompts(state: &Path) -> anyhow::Result<()> {
    let prompts = BTreeMap::from([
        ("analyst", "Write down what the ticket wants in `01-brd.md`."),
        ("architect", "Write down how it shall be built as a record in `06-adr/`."),
        ("developer", "Change the code as the ticket says. What must be mended stands first below."),
        ("reviewer", "Read the change and write your verdict into `12-review.md`."),
    ]);
    fs::create_dir_all(state.join("prompts"))?;
    for (role, prompt) in prompts {
        fs::write(state.join("prompts").join(format!("{role}.md")), format!("{prompt}\n"))?;
    }
    Ok(())
}

fn repository(at: &Path) -> anyhow::Result<()> {
    for (path, content) in PROGRAM {
        let file = at.join(path);
        fs::create_dir_all(file.parent().unwrap_or(at))?;
        executable(&file, content)?;
    }
    git(at, &["init", "--quiet", "--initial-branch=main"])?;
    git(at, &["add", "--all"])?;
    let identity = ["-c", "user.name=Demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false"];
    git(
        at,
        &[&identity[..], &["commit", "--quiet", "--no-verify", "--message", "A small program and its suite"]].concat(),
    )
}

/// Runs git on a repository that this very program made.
pub(crate) fn git(at: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let done = git_command(at, arguments).output().context("git could not be started: is it installed?")?;
    if !done.status.success() {
        bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}

/// What git prints.
pub(crate) fn git_says(at: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let done = git_command(at, arguments).output().context("git could not be started: is it installed?")?;
    if !done.status.success() {
        bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

fn git_command(at: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(at).args(arguments);
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    command
}

fn executable(file: &Path, content: &str) -> anyhow::Result<()> {
    fs::write(file, content)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// A path as a TOML string.
fn quoted(path: &Path) -> String {
    toml::Value::String(path.to_string_lossy().into_owned()).to_string()
}
