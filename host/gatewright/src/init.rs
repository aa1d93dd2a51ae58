//! `gatewright init`: a state folder, a bare repository in it, and the remote `gatewright` in the user's own.

mod machine;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use adapters::git::Remote;
use anyhow::{Context as _, anyhow, bail};
use configuration::{
    AgentChoice, AgentProgram, Code, Complaint, Found, InitRequest, Preset, RootListing, init, prefix_of, project_name,
    split_words, write_plan,
};
use domain::document::Role;
use domain::ids::{BranchName, ProjectName};

use crate::cli::Init;
use crate::output::{Output, quoted};
use crate::private;
use crate::readiness::own_environment;
use crate::repository::{self, Closed};
use crate::state;
use crate::wiring::init_forge;

/// Runs the command.
pub(crate) fn run(dir: Option<&Path>, options: &Init, out: &Output) -> anyhow::Result<()> {
    let repository = match &options.repository {
        Some(path) => repository::top_of(path).map_err(|closed| anyhow!("{} {}", path.display(), of_named(&closed)))?,
        None => repository::here().map_err(|closed| anyhow!(of_this_folder(&closed)))?,
    };
    let folder = repository.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = match &options.name {
        Some(name) => ProjectName::new(name.clone())?,
        None => project_name(&folder),
    };
    let dir_was_found = dir.is_none() && name == project_name(&folder);
    let dir = state::for_project(dir, name.as_str())?;
    let base = base_branch(&repository, options.base.as_deref())?;
    let request = request(options, name.clone(), &dir, &repository, base)?;
    let plan = init(&request).map_err(|errors| {
        let lines = errors.iter().map(|error| format!("- {error}")).collect::<Vec<_>>().join("\n");
        anyhow!("the project cannot be set up:\n{lines}")
    })?;
    let closed = private::close(&dir);
    let undo = Undo::before(&dir, &name, &repository)?;
    // The forge comes first: without commits there is nothing to set up, and no file shall say otherwise.
    let (forge, remote) = init_forge(&dir, &name, &request.base_branch, &repository)?;
    let written = write_plan(&dir, &plan)?;
    undo.files(&written.written);
    let loaded = crate::wiring::load(&dir)?;
    undo.nothing();
    let own = dir.join(format!("projects/{name}.toml"));
    let missing: Vec<String> =
        crate::check::waiting(&dir, &loaded).into_iter().filter_map(|told| warning(told, &plan.found)).collect();
    let found_from_here = dir_was_found && options.repository.is_none();
    let here = if found_from_here { String::new() } else { format!(" --dir {}", quoted(&dir.to_string_lossy())) };
    let (agent, suite) = found_json(&plan.found);
    let value = serde_json::json!({
        "agent": agent, "suite": suite,
        "project": name, "dir": dir, "repository": repository, "base_branch": request.base_branch,
        "forge": forge, "written": written.written, "kept": written.kept, "projects": loaded.projects.len(),
        "remote": match &remote { Remote::There => None, Remote::Owed(command) => Some(command) }, "warnings": missing,
    });
    out.value(&value, || {
        let mut text = format!("{name} is set up in {}; nothing was committed.\n", dir.display());
        for file in &written.written {
            text.push_str(&format!("  wrote {}\n", file.display()));
        }
        text.push_str(&found_lines(&plan.found, &own));
        text.push_str(&of_remote(&remote, &repository, &forge));
        if let Some(told) = &closed {
            text.push_str(&format!("  note: {told}\n"));
        }
        if repository.join(".gitmodules").exists() {
            text.push_str("  note: submodules are not checked out in the clones that agents and suites work on\n");
        }
        for warning in &missing {
            text.push_str(&format!("  warning: {warning}\n"));
        }
        text.push_str("\nNext:\n");
        text.push_str(&format!("  gatewright serve{here}\n"));
        text.push_str(&format!("  gatewright task create{here} \"what shall change\"\n"));
        text.push_str(&format!("  gatewright task approve{here} {}-001", request.prefix));
        text
    })
}

/// A line; none: it is told with the agent, in fewer words.
fn warning((source, complaint): (PathBuf, Complaint), found: &Found) -> Option<String> {
    let key = found.agent.as_ref().and_then(|agent| agent.key);
    let is_of_key = complaint.code == Code::UnsetVariable && key.is_some_and(|key| complaint.message.contains(key));
    let helps = complaint.helps.iter().flat_map(|help| ["; ", help.as_str()]).collect::<String>();
    (!is_of_key).then(|| format!("{}: {}{helps}", source.display(), complaint.message))
}

/// Which agent and which suite were taken, why, and how that is changed.
fn found_lines(found: &Found, file: &Path) -> String {
    let mut text = String::new();
    let mut line = |line: String| text.push_str(&format!("  {line}\n"));
    let file = file.display();
    if let Some(agent) = &found.agent {
        let key = match agent.key {
            Some(key) if agent.key_is_set => format!(", with the key of {key}"),
            _ => String::new(),
        };
        line(format!("agent: {}, for {}{key}", agent.program, agent.because));
        if let Some(key) = agent.key.filter(|_| !agent.key_is_set) {
            let other =
                agent.other_key.map(|other| format!(" (or `export {other}=…`, and api-key = \"{other}\" in {file})"));
            line(format!(
                "  its key is not set: `export {key}=…` before `gatewright serve`{}",
                other.unwrap_or_default()
            ));
        }
    }
    let suite = found.suite.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    let reaches = match found.network.as_slice() {
        [] => String::new(),
        network => format!("; it reaches {}", network.join(", ")),
    };
    line(format!("suite: {suite}, for {}{reaches}", found.suite_because));
    for need in &found.needs {
        line(format!("  to do: {need}"));
    }
    line(format!("  another agent or suite: --agent CMD, --test CMD; now in [roles.…] and [commands.test] of {file}"));
    text
}

fn found_json(found: &Found) -> (serde_json::Value, serde_json::Value) {
    let agent = found.agent.as_ref().map_or(serde_json::Value::Null, |agent| {
        serde_json::json!({
            "program": agent.program, "because": agent.because, "key": agent.key, "key_is_set": agent.key_is_set,
        })
    });
    let suite = serde_json::json!({
        "run": found.suite, "because": found.suite_because, "network": found.network, "needs": found.needs,
    });
    (agent, suite)
}

fn of_named(closed: &Closed) -> String {
    match closed {
        Closed::NoRepository => "is no git repository: run `git init` there first".to_owned(),
        Closed::Bare => "is a bare repository: `init` looks at a work tree, so name a clone".to_owned(),
        Closed::Foreign(why) => {
            format!(
                "lies in another user's repository ({why}): name its top folder, which is trusted then, and no other"
            )
        }
        Closed::Unknown(why) => format!("cannot be opened by git: {why}"),
    }
}

fn of_this_folder(closed: &Closed) -> String {
    match closed {
        Closed::NoRepository => {
            "this folder is in no git repository: go to one, or make one with `git init` and a first commit".to_owned()
        }
        Closed::Bare => "this is a bare repository: `init` looks at a work tree, so run it in a clone".to_owned(),
        Closed::Foreign(why) => format!(
            "this is another user's repository ({why}): name its top folder, `gatewright init FOLDER`, which is trusted then, \
             and no other"
        ),
        Closed::Unknown(why) => format!("git does not open this folder: {why}"),
    }
}

/// What whoever works in the repository does by himself, as lines.
fn of_remote(remote: &Remote, repository: &Path, forge: &Path) -> String {
    let mut text = match remote {
        Remote::There => format!("  added the remote `gatewright` to {}\n", repository.display()),
        Remote::Owed(command) => format!(
            "  to do: {} is not this user's to write; its owner adds the remote: {command}\n",
            repository.display()
        ),
    };
    let owner = |path: &Path| std::fs::metadata(path).map(|about| about.uid()).ok();
    let (me, theirs) = (owner(forge), owner(repository));
    if let (Some(me), Some(_)) = (me, theirs.filter(|theirs| me != Some(*theirs))) {
        text.push_str(&format!(
            "  to do: what is merged lies where its owner cannot look; to pull it: git -C {} config \
             remote.gatewright.uploadpack \"sudo -u '#{me}' git-upload-pack\"\n",
            quoted(&repository.to_string_lossy())
        ));
    }
    text
}

fn request(
    options: &Init,
    name: ProjectName,
    dir: &Path,
    repository: &Path,
    base_branch: BranchName,
) -> anyhow::Result<InitRequest> {
    let preset = Preset::ALL
        .into_iter()
        .find(|preset| preset.as_str() == options.pipeline)
        .with_context(|| format!("there is no pipeline `{}`; there are: quick, full", options.pipeline))?;
    let words = |what: &str, line: &Option<String>| -> anyhow::Result<Option<Vec<String>>> {
        line.as_deref().map(|line| split_words(line).map_err(|why| anyhow!("--{what}: {why}"))).transpose()
    };
    let mut agents = BTreeMap::new();
    for given in &options.role {
        let (role, line) =
            given.split_once('=').with_context(|| format!("--role {given}: write it as ROLE=COMMAND"))?;
        let role = Role::ALL.into_iter().find(|known| known.as_str() == role).with_context(|| {
            let known = Role::ALL.map(Role::as_str).join(", ");
            format!("--role {given}: there is no role `{role}`; there are: {known}")
        })?;
        let words = split_words(line).map_err(|why| anyhow!("--role {given}: {why}"))?;
        agents.insert(role, choice(words));
    }
    let mut root = RootListing::read(repository);
    if options.test.is_none() {
        machine::ask(&mut root);
    }
    Ok(InitRequest {
        prefix: options.prefix.clone().unwrap_or_else(|| prefix_of(&name)),
        name,
        dir: dir.to_owned(),
        repository: repository.to_owned(),
        base_branch,
        root,
        set: own_environment().into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name).collect(),
        preset,
        detected: AgentProgram::ALL.into_iter().filter(|agent| on_path(agent.program())).collect(),
        agent: words("agent", &options.agent)?.map(choice),
        agents,
        test: words("test", &options.test)?.map(in_the_checkout),
        staging: words("staging", &options.staging)?.map(in_the_checkout),
        deploy: words("deploy", &options.deploy)?.map(in_the_checkout),
    })
}

/// A command of the project's own runs in a checkout: a relative program is one of the repository's files there.
fn in_the_checkout(mut words: Vec<String>) -> Vec<String> {
    if words.first().is_some_and(|program| program.contains('/') && !program.starts_with(['/', '~'])) {
        words.insert(0, "env".to_owned());
    }
    words
}

/// What `init` made is gone again unless all of it was made.
struct Undo {
    /// A folder that was not there before; else what lies in one that was.
    made: Vec<PathBuf>,
    /// Folders that go where nothing lies in them.
    emptied: Vec<PathBuf>,
    remote_of: Option<PathBuf>,
    files: RefCell<Vec<PathBuf>>,
    armed: Cell<bool>,
}

impl Undo {
    fn before(dir: &Path, name: &ProjectName, repository: &Path) -> anyhow::Result<Self> {
        let failed = || format!("{} cannot be made", dir.display());
        let parent = dir.parent().with_context(failed)?;
        std::fs::create_dir_all(parent).with_context(failed)?;
        let mut builder = std::fs::DirBuilder::new();
        let made = match builder.mode(0o700).create(dir) {
            Ok(()) => vec![dir.to_owned()],
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let forge = dir.join(state::FORGES).join(format!("{name}.git"));
                if forge.exists() { Vec::new() } else { vec![forge] }
            }
            Err(error) => return Err(error).with_context(failed),
        };
        let remote = repository::ask(repository, &["remote", "get-url", "gatewright"]);
        Ok(Self {
            made,
            emptied: ["clones", state::CACHE, state::FORGES].map(|folder| dir.join(folder)).to_vec(),
            remote_of: remote.is_err().then(|| repository.to_owned()),
            files: RefCell::default(),
            armed: Cell::new(true),
        })
    }

    fn files(&self, written: &[PathBuf]) {
        self.files.borrow_mut().extend_from_slice(written);
    }

    fn nothing(&self) {
        self.armed.set(false);
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        if !self.armed.get() {
            return;
        }
        // The error that brought us here is the one to tell; what cannot be removed is named by the next `init`.
        for file in self.files.borrow().iter() {
            let _ = std::fs::remove_file(file);
        }
        for folder in &self.made {
            let _ = std::fs::remove_dir_all(folder);
        }
        for folder in &self.emptied {
            let _ = std::fs::remove_dir(folder);
        }
        if let Some(repository) = &self.remote_of {
            let _ = repository::ask(repository, &["remote", "remove", "gatewright"]);
        }
    }
}

/// A relative program means the one that lies here: a clone has another working directory.
fn choice(mut words: Vec<String>) -> AgentChoice {
    if let Some(program) = words.first_mut()
        && program.contains('/')
        && let Ok(whole) = std::fs::canonicalize(&*program)
    {
        *program = whole.to_string_lossy().into_owned();
    }
    AgentChoice::of_words(words)
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn base_branch(repository: &Path, given: Option<&str>) -> anyhow::Result<BranchName> {
    if let Some(name) = given {
        return Ok(BranchName::new(name)?);
    }
    let asked = repository::ask(repository, &["symbolic-ref", "--quiet", "--short", "HEAD"]);
    let name = asked.unwrap_or_default().trim().to_owned();
    if name.is_empty() {
        bail!("no branch is checked out in {}: name the one that tasks are for with --base", repository.display());
    }
    Ok(BranchName::new(name)?)
}
